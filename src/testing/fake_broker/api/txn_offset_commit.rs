//! Responds to TxnOffsetCommit. Java (broker): `GroupCoordinator.commitTransactionalOffsets`.

use super::RequestContext;
use crate::common::TopicPartition;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
    TxnOffsetCommitTopic, TxnOffsetCommitTopicResult, TxnPartitionResult,
};
use crate::sync::Arc;
use crate::testing::fake_broker::model::cluster::Cluster;
use crate::testing::fake_broker::model::coordinators::CoordinatorType;
use crate::testing::fake_broker::model::facts::CommittedOffset;
use crate::testing::fake_broker::model::failure::Failure;
use crate::testing::fake_broker::model::transaction_metadata::ProducerIdAndEpoch;
use crate::testing::fake_broker::model::transactions::TransactionalWrite;

/// The first version with TRANSACTION_ABORTABLE (KIP-890).
const FIRST_VERSION_WITH_ABORTABLE: i16 = 4;

/// The first version that adds the group to the transaction (KIP-890).
const FIRST_VERSION_THAT_ADDS: i16 = 5;

pub(crate) fn handle(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let refusal = context.plan.whole_failure();
    let refused = refusal.filter(|failure| !failure.is_after_append);
    let refused = refused.map(|failure| failure.code);
    let accepted = match refused {
        Some(code) => Err(code),
        // The coordinator does not see partitions that do not exist, nor a request without others.
        None if !names_a_partition(cluster, request) => Ok(()),
        None => accept(cluster, context, request),
    };
    let mut response = TxnOffsetCommitResponse::default();
    for topic in &request.topics {
        let name = topic_name(cluster, topic);
        let label = name.as_deref().unwrap_or_default();
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let scripted = name
                .as_ref()
                .and_then(|name| context.plan.failure(name, index));
            let is_refused = scripted.is_some_and(|failure| !failure.is_after_append);
            let is_unknown = cluster.partition(label, index).is_none();
            let written = match &name {
                None => Err(refused.unwrap_or(ErrorCode::UNKNOWN_TOPIC_ID)),
                Some(_) if is_unknown && !is_refused => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                Some(name) => accepted
                    .and_then(|()| write_pending(cluster, request, name, partition, scripted)),
            };
            if !context.plan.omits(label, index) {
                partitions.push(TxnPartitionResult {
                    partition_index: index,
                    error_code: written.err().unwrap_or(ErrorCode::NONE),
                });
            }
        }
        response.topics.push(TxnOffsetCommitTopicResult {
            name: Arc::clone(&topic.name),
            topic_id: topic.topic_id,
            partitions,
        });
    }
    response
}

/// Returns the topic's name, which newer versions identify by its id, or `None` if no topic has the
/// id.
fn topic_name(cluster: &Cluster, topic: &TxnOffsetCommitTopic) -> Option<Arc<str>> {
    if topic.topic_id.is_zero() {
        return Some(Arc::clone(&topic.name));
    }
    let known = cluster.topic_with_id(topic.topic_id);
    known.map(|(name, _)| Arc::clone(name))
}

fn names_a_partition(cluster: &Cluster, request: &TxnOffsetCommitRequest) -> bool {
    request.topics.iter().any(|topic| {
        let Some(name) = topic_name(cluster, topic) else {
            return false;
        };
        let mut partitions = topic.partitions.iter();
        partitions.any(|partition| {
            let index = partition.partition_index;
            cluster.partition(&name, index).is_some()
        })
    })
}

/// Checks the group and the transaction, regardless of the partitions. The group's members come
/// last, because a broker verifies the transaction before it schedules the write.
fn accept(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &TxnOffsetCommitRequest,
) -> Result<(), ErrorCode> {
    let group_id = &request.group_id;
    if group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    cluster.check_coordinator(CoordinatorType::Group, group_id, context.node)?;
    let producer = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
    let write = TransactionalWrite {
        transactional_id: &request.transactional_id,
        producer,
        adds: context.version >= FIRST_VERSION_THAT_ADDS,
        knows_abortable: context.version >= FIRST_VERSION_WITH_ABORTABLE,
    };
    let is_open = match cluster.groups.get(group_id) {
        Some(group) => group.has_open_transaction(producer)?,
        None => false,
    };
    if !is_open {
        cluster.check_transactional_write(
            write,
            |transaction| transaction.groups.contains(group_id),
            |transaction| {
                transaction.groups.insert(Arc::clone(group_id));
            },
        )?;
    }
    match cluster.groups.get(group_id) {
        Some(group) => group.check_member(request),
        None => Ok(()),
    }
}

fn write_pending(
    cluster: &mut Cluster,
    request: &TxnOffsetCommitRequest,
    topic: &Arc<str>,
    partition: &TxnOffsetCommitPartition,
    scripted: Option<&Failure>,
) -> Result<(), ErrorCode> {
    if let Some(failure) = scripted.filter(|failure| !failure.is_after_append) {
        return Err(failure.code);
    }
    let metadata = partition.committed_metadata.as_deref();
    let metadata_units = metadata.map_or(0, |text| text.encode_utf16().count());
    if metadata_units > cluster.settings.offset_metadata_max_bytes {
        return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    }
    let offset = CommittedOffset {
        topic_partition: TopicPartition::new(Arc::clone(topic), partition.partition_index),
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.as_deref().map(str::to_owned),
    };
    let group = cluster.groups.entry(Arc::clone(&request.group_id));
    let group = group.or_default();
    let producer = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
    group.write_in_transaction(producer, offset);
    match scripted {
        Some(failure) => Err(failure.code),
        None => Ok(()),
    }
}
