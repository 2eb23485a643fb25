//! AddPartitionsToTxn: adds partitions to the transaction (version 1). Java:
//! `AddPartitionsToTxnHandler`.

use super::{Abortable, AbortableIfBump, Done, ErrorTable, Verdict};
use crate::common::TopicPartition;
use crate::producer::internals::sequences::ProducerIdAndEpoch;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic,
};
use crate::sync::Arc;

pub(super) static ERRORS: ErrorTable = ErrorTable {
    rows: &[
        (ErrorCode::TOPIC_AUTHORIZATION_FAILED, Abortable),
        (ErrorCode::OPERATION_NOT_ATTEMPTED, Abortable),
        (ErrorCode::UNKNOWN_PRODUCER_ID, AbortableIfBump),
    ],
    others: Abortable,
};

/// Returns the body of a request. The partitions are sorted, so that each topic is named once.
pub(super) fn body(
    partitions: &[TopicPartition],
    transactional_id: Arc<str>,
    producer: ProducerIdAndEpoch,
) -> AddPartitionsToTxnRequest {
    let by_topic = partitions.chunk_by(|a, b| a.topic() == b.topic());
    let topics = by_topic.filter_map(|of_topic| {
        Some(AddPartitionsToTxnTopic {
            name: Arc::clone(of_topic.first()?.shared_topic()),
            partitions: of_topic.iter().map(TopicPartition::partition).collect(),
        })
    });
    AddPartitionsToTxnRequest {
        transactional_id,
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
        topics: topics.collect(),
    }
}

/// Judges a response. The first error that affects all partitions wins; otherwise the errors of
/// single partitions count.
pub(super) fn judge(partitions: &[TopicPartition], body: &AddPartitionsToTxnResponse) -> Verdict {
    let results = body.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|result| (&topic.name, result.partition_index, result.error_code))
    });
    let failed: Vec<_> = results.filter(|(_, _, code)| !code.is_none()).collect();
    let deciding = failed.iter().find(|(_, _, code)| {
        *code == ErrorCode::TRANSACTION_ABORTABLE || ERRORS.reaction(*code) != Abortable
    });
    let unauthorized = failed
        .iter()
        .find(|(_, _, code)| *code == ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let Some((topic, partition, code)) = deciding.or(unauthorized).or_else(|| failed.first())
    else {
        return Verdict::Done(Done::PartitionsAdded(partitions.to_vec()));
    };
    let text = format!("the partition cannot join the transaction: {code}");
    let topic_partition = TopicPartition::new(&***topic, *partition);
    ERRORS.refusal(*code, text).for_partition(topic_partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_is_named_once() {
        let partitions = [("a", 0), ("a", 3), ("b", 1)]
            .map(|(topic, partition)| TopicPartition::new(topic, partition));
        let body = body(&partitions, Arc::from("id"), ProducerIdAndEpoch::NONE);
        let topics = body.topics.iter();
        let topics: Vec<_> = topics
            .map(|topic| (&*topic.name, topic.partitions.clone()))
            .collect();
        assert_eq!(topics, [("a", vec![0, 3]), ("b", vec![1])]);
    }
}
