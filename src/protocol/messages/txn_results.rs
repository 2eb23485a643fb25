//! The results of partitions in the responses to AddPartitionsToTxn and TxnOffsetCommit, which have
//! the same form. Java: `AddPartitionsToTxnPartitionResult`, `TxnOffsetCommitResponsePartition`.

use crate::protocol::{DecodeError, EncodeError, ErrorCode, Reader, Writer};

/// The result of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TxnPartitionResult {
    pub(crate) partition_index: i32,
    pub(crate) error_code: ErrorCode,
}

pub(super) fn encode_partitions(
    w: &mut Writer,
    partitions: &[TxnPartitionResult],
    flexible: bool,
) -> Result<(), EncodeError> {
    w.array(partitions, flexible, |w, partition| {
        w.i32(partition.partition_index);
        w.error_code(partition.error_code);
        w.no_tagged_fields(flexible);
        Ok(())
    })
}

pub(super) fn decode_partitions(
    r: &mut Reader<'_>,
    flexible: bool,
) -> Result<Vec<TxnPartitionResult>, DecodeError> {
    r.array(flexible, 6, |r| {
        let partition = TxnPartitionResult {
            partition_index: r.i32()?,
            error_code: r.error_code()?,
        };
        r.skip_tagged_fields(flexible)?;
        Ok(partition)
    })
}
