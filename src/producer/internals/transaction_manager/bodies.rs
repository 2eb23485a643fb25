//! The transactional requests as they go out. Java: `TxnRequestHandler.requestBuilder`.

use std::ops::RangeInclusive;

use super::requests::{CoordinatorKey, GroupOffsets, RequestKind};
use super::sequence::ProducerIdAndEpoch;
use super::transaction::{TransactionConfig, TransactionVersion};
use crate::common::TopicPartition;
use crate::protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, EndTxnRequest,
    FindCoordinatorRequest, InitProducerIdRequest, TxnOffsetCommitPartition,
    TxnOffsetCommitRequest, TxnOffsetCommitTopic,
};
use crate::protocol::{ApiKey, RequestBody};
use crate::sync::Arc;

/// The first versions that belong to transactions of version 2 (KIP-890, part 2).
const FIRST_PRODUCE_V2: i16 = 12;
const FIRST_END_TXN_V2: i16 = 5;
const FIRST_TXN_OFFSET_COMMIT_V2: i16 = 5;

/// The last version of TxnOffsetCommit that tells topics by their names.
const LAST_TXN_OFFSET_COMMIT_BY_NAME: i16 = 5;

/// The versions of a request that keep to the protocol of the open transaction: a broker tells by the version whether the
/// client follows the one or the other.
pub(crate) fn usable_versions(key: ApiKey, version: TransactionVersion) -> RangeInclusive<i16> {
    let first_v2 = match key {
        ApiKey::Produce => FIRST_PRODUCE_V2,
        ApiKey::EndTxn => FIRST_END_TXN_V2,
        ApiKey::TxnOffsetCommit => FIRST_TXN_OFFSET_COMMIT_V2,
        _ => return key.versions(),
    };
    let all = key.versions();
    match version {
        TransactionVersion::V1 => *all.start()..=first_v2 - 1,
        TransactionVersion::V2 => first_v2..=*all.end(),
    }
}

/// The versions of a transactional request that can carry what it says.
pub(crate) fn usable_versions_of(
    body: &RequestBody,
    version: TransactionVersion,
) -> RangeInclusive<i16> {
    let versions = usable_versions(body.api_key(), version);
    match body {
        RequestBody::TxnOffsetCommit(commit) if !commit.has_topic_ids() => {
            *versions.start()..=LAST_TXN_OFFSET_COMMIT_BY_NAME.min(*versions.end())
        }
        _ => versions,
    }
}

pub(super) fn body(
    kind: &RequestKind,
    config: &TransactionConfig,
    producer: ProducerIdAndEpoch,
) -> RequestBody {
    let transactional_id = Arc::clone(&config.transactional_id);
    match kind {
        RequestKind::FindCoordinator(key) => {
            let (key_type, key) = match key {
                CoordinatorKey::Transaction => {
                    (FindCoordinatorRequest::TRANSACTION, transactional_id)
                }
                CoordinatorKey::Group(id) => (FindCoordinatorRequest::GROUP, Arc::clone(id)),
            };
            FindCoordinatorRequest {
                key_type,
                coordinator_keys: vec![key],
            }
            .into()
        }
        RequestKind::InitProducerId => InitProducerIdRequest {
            transactional_id: Some(transactional_id),
            transaction_timeout_ms: config.transaction_timeout_ms,
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
        }
        .into(),
        RequestKind::AddPartitionsToTxn(partitions) => AddPartitionsToTxnRequest {
            transactional_id,
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            topics: add_partitions_topics(partitions),
        }
        .into(),
        RequestKind::AddOffsetsToTxn(offsets) => AddOffsetsToTxnRequest {
            transactional_id,
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            group_id: Arc::clone(&offsets.group_id),
        }
        .into(),
        RequestKind::TxnOffsetCommit(commit) => TxnOffsetCommitRequest {
            transactional_id,
            group_id: Arc::clone(&commit.group_id),
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            generation_id_or_member_epoch: commit.group.generation_id(),
            member_id: Arc::clone(commit.group.shared_member_id()),
            group_instance_id: commit.group.shared_instance_id().cloned(),
            topics: offset_commit_topics(commit),
        }
        .into(),
        RequestKind::EndTxn { committed } => EndTxnRequest {
            transactional_id,
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            committed: *committed,
        }
        .into(),
    }
}

/// The partitions are sorted, so that each topic is named once.
fn add_partitions_topics(partitions: &[TopicPartition]) -> Vec<AddPartitionsToTxnTopic> {
    let by_topic = partitions.chunk_by(|a, b| a.topic() == b.topic());
    by_topic
        .filter_map(|of_topic| {
            Some(AddPartitionsToTxnTopic {
                name: Arc::clone(of_topic.first()?.shared_topic()),
                partitions: of_topic.iter().map(TopicPartition::partition).collect(),
            })
        })
        .collect()
}

fn offset_commit_topics(commit: &GroupOffsets) -> Vec<TxnOffsetCommitTopic> {
    let by_topic = commit
        .offsets
        .chunk_by(|(a, _), (b, _)| a.topic() == b.topic());
    by_topic
        .filter_map(|of_topic| {
            let partitions =
                of_topic
                    .iter()
                    .map(|(topic_partition, offset)| TxnOffsetCommitPartition {
                        partition_index: topic_partition.partition(),
                        committed_offset: offset.offset(),
                        committed_leader_epoch: offset.known_leader_epoch().unwrap_or(-1),
                        committed_metadata: Some(Arc::clone(offset.text())),
                    });
            let name = of_topic.first()?.0.shared_topic();
            Some(TxnOffsetCommitTopic {
                name: Arc::clone(name),
                topic_id: commit.topic_ids.id(name),
                partitions: partitions.collect(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::Uuid;

    #[test]
    fn versions_tell_the_protocols_apart() {
        let v1 = |key| usable_versions(key, TransactionVersion::V1);
        let v2 = |key| usable_versions(key, TransactionVersion::V2);
        assert_eq!(v1(ApiKey::Produce), 3..=11);
        assert_eq!(v2(ApiKey::Produce), 12..=13);
        assert_eq!((v1(ApiKey::EndTxn), v2(ApiKey::EndTxn)), (0..=4, 5..=5));
        assert_eq!(v1(ApiKey::TxnOffsetCommit), 0..=4);
        assert_eq!(v2(ApiKey::TxnOffsetCommit), 5..=6);
        assert_eq!(v1(ApiKey::InitProducerId), v2(ApiKey::InitProducerId));
    }

    // Java: TransactionManagerTest (4.4).
    #[test]
    fn offsets_go_by_topic_id_only_if_every_id_is_known() {
        let known = Uuid::from_bytes([7; 16]);
        let usable = |ids: &[Uuid], version| {
            let topics = ids.iter().map(|topic_id| TxnOffsetCommitTopic {
                name: Arc::from("t"),
                topic_id: *topic_id,
                partitions: Vec::new(),
            });
            let request = TxnOffsetCommitRequest {
                topics: topics.collect(),
                ..TxnOffsetCommitRequest::default()
            };
            usable_versions_of(&request.into(), version)
        };
        let v2 = TransactionVersion::V2;
        assert_eq!(usable(&[known, known], v2), 5..=6);
        assert_eq!(usable(&[known, Uuid::ZERO], v2), 5..=5);
        assert_eq!(usable(&[known, known], TransactionVersion::V1), 0..=4);
    }

    #[test]
    fn each_topic_is_named_once() {
        let partitions = [("a", 0), ("a", 3), ("b", 1)]
            .map(|(topic, partition)| TopicPartition::new(topic, partition));
        let topics = add_partitions_topics(&partitions);
        let topics: Vec<_> = topics
            .iter()
            .map(|topic| (&*topic.name, topic.partitions.clone()))
            .collect();
        assert_eq!(topics, [("a", vec![0, 3]), ("b", vec![1])]);
    }
}
