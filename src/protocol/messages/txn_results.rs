//! What became of each partition, in the answers to AddPartitionsToTxn and TxnOffsetCommit: they tell it in the same way.
//! Java: `AddPartitionsToTxnTopicResult`, `TxnOffsetCommitResponseTopic`.

use crate::protocol::{DecodeError, EncodeError, ErrorCode, Reader, Writer};
use crate::sync::Arc;

/// The results of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TxnTopicResult {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: Vec<TxnPartitionResult>,
}

/// The result of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TxnPartitionResult {
    pub(crate) partition_index: i32,
    pub(crate) error_code: ErrorCode,
}

pub(super) fn encode(
    w: &mut Writer,
    topics: &[TxnTopicResult],
    flexible: bool,
) -> Result<(), EncodeError> {
    w.array(topics, flexible, |w, topic| {
        w.string(&topic.name, flexible)?;
        w.array(&topic.partitions, flexible, |w, partition| {
            w.i32(partition.partition_index);
            w.error_code(partition.error_code);
            w.no_tagged_fields(flexible);
            Ok(())
        })?;
        w.no_tagged_fields(flexible);
        Ok(())
    })
}

pub(super) fn decode(
    r: &mut Reader<'_>,
    flexible: bool,
) -> Result<Vec<TxnTopicResult>, DecodeError> {
    let partition = |r: &mut Reader<'_>| {
        let partition = TxnPartitionResult {
            partition_index: r.i32()?,
            error_code: r.error_code()?,
        };
        r.skip_tagged_fields(flexible)?;
        Ok(partition)
    };
    r.array(flexible, 3, |r| {
        let topic = TxnTopicResult {
            name: Arc::from(r.string(flexible)?),
            partitions: r.array(flexible, 6, partition)?,
        };
        r.skip_tagged_fields(flexible)?;
        Ok(topic)
    })
}
