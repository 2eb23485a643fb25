//! Consumer groups, as far as a producer meets them: who is a member, and what offsets they have. Answers TxnOffsetCommit.
//! Java (broker): `GroupCoordinator.commitTransactionalOffsets`, `ClassicGroup.validateOffsetCommit`.
//!
//! Differs from Java: a group that no test gave a member takes every generation and member id, because there are no
//! consumers here that could have joined it.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::coordinators::CoordinatorType;
use super::facts::CommittedOffset;
use super::handler::RequestContext;
use super::script::Failure;
use super::transaction_coordinator::TransactionalWrite;
use super::transaction_metadata::{Marker, ProducerIdAndEpoch};
use crate::common::TopicPartition;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
    TxnOffsetCommitTopic, TxnOffsetCommitTopicResult, TxnPartitionResult,
};
use crate::sync::Arc;

/// The first version with TRANSACTION_ABORTABLE (KIP-890).
const FIRST_VERSION_WITH_ABORTABLE: i16 = 4;

/// The first version that adds the group to the transaction (KIP-890).
const FIRST_VERSION_THAT_ADDS: i16 = 5;

#[derive(Debug)]
struct Member {
    id: String,
    instance_id: Option<String>,
}

type Offsets = BTreeMap<TopicPartition, CommittedOffset>;

/// A consumer group.
#[derive(Debug, Default)]
pub(super) struct Group {
    members: Vec<Member>,
    generation: i32,
    committed: Offsets,
    /// What transactions wrote, by producer id.
    pending: BTreeMap<i64, Offsets>,
    /// The newest epoch of each producer that wrote offsets or ended a transaction with them. Java (broker): the
    /// `ProducerStateManager` of the partition of `__consumer_offsets`.
    epochs: BTreeMap<i64, i16>,
}

impl Group {
    /// A member joins, which makes a new generation. One with the instance id of another takes its place.
    pub(super) fn join(&mut self, id: &str, instance_id: Option<&str>) -> i32 {
        self.members.retain(|member| {
            let is_replaced = instance_id.is_some() && member.instance_id.as_deref() == instance_id;
            member.id != id && !is_replaced
        });
        self.members.push(Member {
            id: id.to_owned(),
            instance_id: instance_id.map(str::to_owned),
        });
        self.generation += 1;
        self.generation
    }

    /// A member leaves, which makes a new generation; false when there is no such member.
    pub(super) fn leave(&mut self, id: &str) -> bool {
        let count = self.members.len();
        self.members.retain(|member| member.id != id);
        let has_left = self.members.len() < count;
        if has_left {
            self.generation += 1;
        }
        has_left
    }

    pub(super) fn committed(&self) -> Vec<CommittedOffset> {
        self.committed.values().cloned().collect()
    }

    /// What open transactions wrote.
    pub(super) fn pending(&self) -> Vec<CommittedOffset> {
        let offsets = self.pending.values().flat_map(BTreeMap::values);
        offsets.cloned().collect()
    }

    /// Ends a transaction that has the group, even if it wrote no offsets.
    pub(super) fn end_transaction(&mut self, marker: Marker) {
        self.note_epoch(marker.producer);
        let pending = self.pending.remove(&marker.producer.producer_id);
        if marker.is_commit {
            self.committed.extend(pending.unwrap_or_default());
        }
    }

    fn note_epoch(&mut self, producer: ProducerIdAndEpoch) {
        let known = self.epochs.entry(producer.producer_id);
        let known = known.or_insert(producer.epoch);
        *known = producer.epoch.max(*known);
    }

    /// Returns whether the producer has written offsets in a transaction that is open. Such a producer may write more
    /// without the coordinator, as in a partition. A producer with an old epoch may not write.
    fn has_open_transaction(&self, producer: ProducerIdAndEpoch) -> Result<bool, ErrorCode> {
        match self.epochs.get(&producer.producer_id) {
            Some(known) if producer.epoch < *known => Err(ErrorCode::INVALID_PRODUCER_EPOCH),
            Some(known) => {
                Ok(producer.epoch == *known && self.pending.contains_key(&producer.producer_id))
            }
            None => Ok(false),
        }
    }

    fn check_member(&self, request: &TxnOffsetCommitRequest) -> Result<(), ErrorCode> {
        let tells_nothing = request.generation_id_or_member_epoch < 0
            && request.member_id.is_empty()
            && request.group_instance_id.is_none();
        // No member ever joined, or the client is too old to say anything (KIP-447).
        if self.generation == 0 || tells_nothing {
            return Ok(());
        }
        if let Some(instance_id) = &request.group_instance_id {
            let is_instance = |member: &&Member| {
                member
                    .instance_id
                    .as_ref()
                    .is_some_and(|id| **id == **instance_id)
            };
            let owner = self.members.iter().find(is_instance);
            if owner.is_some_and(|owner| *owner.id != *request.member_id) {
                return Err(ErrorCode::FENCED_INSTANCE_ID);
            }
        }
        if !self
            .members
            .iter()
            .any(|member| *member.id == *request.member_id)
        {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if request.generation_id_or_member_epoch != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        Ok(())
    }
}

pub(super) fn commit_in_transaction(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let refusal = context.plan.whole_failure();
    let refused = refusal.filter(|failure| !failure.is_after_append);
    let refused = refused.map(|failure| failure.code);
    let accepted = match refused {
        Some(code) => Err(code),
        // The coordinator does not hear of partitions that do not exist, nor of a request without others.
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

/// The topic's name, which newer versions tell by its id; `None` if no topic has the id.
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

/// What is checked for the group and the transaction, whatever the partitions. The group's members are checked last: a broker
/// verifies the transaction before it schedules the write.
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
    let topic_partition = TopicPartition::new(Arc::clone(topic), partition.partition_index);
    let offset = CommittedOffset {
        topic_partition: topic_partition.clone(),
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.as_deref().map(str::to_owned),
    };
    let group = cluster.groups.entry(Arc::clone(&request.group_id));
    let group = group.or_default();
    let producer = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
    group.note_epoch(producer);
    let of_producer = group.pending.entry(request.producer_id).or_default();
    of_producer.insert(topic_partition, offset);
    match scripted {
        Some(failure) => Err(failure.code),
        None => Ok(()),
    }
}
