//! The JSON columns of the transactional APIs.

use super::Fields;
use crate::protocol::messages::*;
use crate::sync::Arc;

/// Up to version 3 the table has one `key`, and from version 4 on `coordinatorKeys`.
pub(super) fn find_coordinator_request(f: Fields) -> FindCoordinatorRequest {
    read_all!(
        f,
        FindCoordinatorRequest {
            key_type: f.int("keyType", 0),
            coordinator_keys: match f.nullable_text("key") {
                Some(key) => vec![Arc::from(key)],
                None => f.texts("coordinatorKeys"),
            },
        }
    )
}

/// Up to version 3 the response itself has the fields of its single coordinator.
pub(super) fn find_coordinator_response(f: Fields) -> FindCoordinatorResponse {
    let coordinator = |f: &mut Fields| Coordinator {
        key: Arc::from(f.text("key")),
        node_id: f.int("nodeId", 0),
        host: f.text("host"),
        port: f.int("port", 0),
        error_code: f.error_code("errorCode"),
        error_message: f.nullable_text("errorMessage"),
    };
    read_all!(
        f,
        FindCoordinatorResponse {
            throttle_time_ms: f.int("throttleTimeMs", 0),
            coordinators: if f.0.contains_key("nodeId") {
                vec![coordinator(&mut f)]
            } else {
                f.list("coordinators", |f| read_all!(f, coordinator(&mut f)))
            },
        }
    )
}

pub(super) fn add_partitions_to_txn_request(f: Fields) -> AddPartitionsToTxnRequest {
    let topic = |f: Fields| {
        read_all!(
            f,
            AddPartitionsToTxnTopic {
                name: Arc::from(f.text("name")),
                partitions: f.ints("partitions"),
            }
        )
    };
    read_all!(
        f,
        AddPartitionsToTxnRequest {
            transactional_id: Arc::from(f.text("v3AndBelowTransactionalId")),
            producer_id: f.int("v3AndBelowProducerId", 0),
            producer_epoch: f.int("v3AndBelowProducerEpoch", 0),
            topics: f.list("v3AndBelowTopics", topic),
        }
    )
}

pub(super) fn add_partitions_to_txn_response(f: Fields) -> AddPartitionsToTxnResponse {
    let partition = |f: Fields| {
        read_all!(
            f,
            TxnPartitionResult {
                partition_index: f.int("partitionIndex", 0),
                error_code: f.error_code("partitionErrorCode"),
            }
        )
    };
    let topic = |f: Fields| {
        read_all!(
            f,
            AddPartitionsToTxnTopicResult {
                name: Arc::from(f.text("name")),
                partitions: f.list("resultsByPartition", partition),
            }
        )
    };
    read_all!(
        f,
        AddPartitionsToTxnResponse {
            throttle_time_ms: f.int("throttleTimeMs", 0),
            topics: f.list("resultsByTopicV3AndBelow", topic),
        }
    )
}

pub(super) fn add_offsets_to_txn_request(f: Fields) -> AddOffsetsToTxnRequest {
    read_all!(
        f,
        AddOffsetsToTxnRequest {
            transactional_id: Arc::from(f.text("transactionalId")),
            producer_id: f.int("producerId", 0),
            producer_epoch: f.int("producerEpoch", 0),
            group_id: Arc::from(f.text("groupId")),
        }
    )
}

pub(super) fn add_offsets_to_txn_response(f: Fields) -> AddOffsetsToTxnResponse {
    read_all!(
        f,
        AddOffsetsToTxnResponse {
            throttle_time_ms: f.int("throttleTimeMs", 0),
            error_code: f.error_code("errorCode"),
        }
    )
}

pub(super) fn end_txn_request(f: Fields) -> EndTxnRequest {
    read_all!(
        f,
        EndTxnRequest {
            transactional_id: Arc::from(f.text("transactionalId")),
            producer_id: f.int("producerId", 0),
            producer_epoch: f.int("producerEpoch", 0),
            committed: f.bool("committed", false),
        }
    )
}

pub(super) fn end_txn_response(f: Fields) -> EndTxnResponse {
    read_all!(
        f,
        EndTxnResponse {
            throttle_time_ms: f.int("throttleTimeMs", 0),
            error_code: f.error_code("errorCode"),
            producer_id: f.int("producerId", -1),
            producer_epoch: f.int("producerEpoch", -1),
        }
    )
}

pub(super) fn txn_offset_commit_request(f: Fields) -> TxnOffsetCommitRequest {
    let partition = |f: Fields| {
        read_all!(
            f,
            TxnOffsetCommitPartition {
                partition_index: f.int("partitionIndex", 0),
                committed_offset: f.int("committedOffset", 0),
                committed_leader_epoch: f.int("committedLeaderEpoch", -1),
                committed_metadata: f.nullable_text("committedMetadata").map(Arc::from),
            }
        )
    };
    let topic = |f: Fields| {
        read_all!(
            f,
            TxnOffsetCommitTopic {
                name: Arc::from(f.text("name")),
                topic_id: f.uuid("topicId"),
                partitions: f.list("partitions", partition),
            }
        )
    };
    // Kafka 4.4 renamed the field of all versions.
    let generation = |f: &mut Fields| {
        let renamed = f.int("generationIdOrMemberEpoch", -1);
        f.int("generationId", renamed)
    };
    read_all!(
        f,
        TxnOffsetCommitRequest {
            transactional_id: Arc::from(f.text("transactionalId")),
            group_id: Arc::from(f.text("groupId")),
            producer_id: f.int("producerId", 0),
            producer_epoch: f.int("producerEpoch", 0),
            generation_id_or_member_epoch: generation(&mut f),
            member_id: Arc::from(f.text("memberId")),
            group_instance_id: f.nullable_text("groupInstanceId").map(Arc::from),
            topics: f.list("topics", topic),
        }
    )
}

pub(super) fn txn_offset_commit_response(f: Fields) -> TxnOffsetCommitResponse {
    let partition = |f: Fields| {
        read_all!(
            f,
            TxnPartitionResult {
                partition_index: f.int("partitionIndex", 0),
                error_code: f.error_code("errorCode"),
            }
        )
    };
    let topic = |f: Fields| {
        read_all!(
            f,
            TxnOffsetCommitTopicResult {
                name: Arc::from(f.text("name")),
                topic_id: f.uuid("topicId"),
                partitions: f.list("partitions", partition),
            }
        )
    };
    read_all!(
        f,
        TxnOffsetCommitResponse {
            throttle_time_ms: f.int("throttleTimeMs", 0),
            topics: f.list("topics", topic),
        }
    )
}
