//! Consumer groups, as far as a producer meets them: their members and their offsets. Java
//! (broker): `ClassicGroup.validateOffsetCommit`.
//!
//! Differs from Java: a group without members accepts every generation and member id, because there
//! are no consumers here that could have joined.

use std::collections::BTreeMap;

use super::facts::CommittedOffset;
use super::transaction_metadata::{Marker, ProducerIdAndEpoch};
use crate::common::TopicPartition;
use crate::protocol::ErrorCode;
use crate::protocol::messages::TxnOffsetCommitRequest;

#[derive(Debug)]
struct Member {
    id: String,
    instance_id: Option<String>,
}

type Offsets = BTreeMap<TopicPartition, CommittedOffset>;

/// A consumer group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    members: Vec<Member>,
    generation: i32,
    committed: Offsets,
    /// The offsets of open transactions, by producer id.
    pending: BTreeMap<i64, Offsets>,
    /// The newest epoch of each producer that wrote offsets or ended a transaction with them. Java (broker): the
    /// `ProducerStateManager` of the partition of `__consumer_offsets`.
    epochs: BTreeMap<i64, i16>,
}

impl Group {
    /// Adds a member, which makes a new generation. It replaces a member with the same instance id.
    pub(crate) fn join(&mut self, id: &str, instance_id: Option<&str>) -> i32 {
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

    /// Removes a member, which makes a new generation. Returns false if there is no such member.
    pub(crate) fn leave(&mut self, id: &str) -> bool {
        let count = self.members.len();
        self.members.retain(|member| member.id != id);
        let has_left = self.members.len() < count;
        if has_left {
            self.generation += 1;
        }
        has_left
    }

    pub(crate) fn committed(&self) -> Vec<CommittedOffset> {
        self.committed.values().cloned().collect()
    }

    /// Returns the offsets of open transactions.
    pub(crate) fn pending(&self) -> Vec<CommittedOffset> {
        let offsets = self.pending.values().flat_map(BTreeMap::values);
        offsets.cloned().collect()
    }

    /// Stores an offset that takes effect when the producer's transaction commits.
    pub(crate) fn write_in_transaction(
        &mut self,
        producer: ProducerIdAndEpoch,
        offset: CommittedOffset,
    ) {
        self.note_epoch(producer);
        let of_producer = self.pending.entry(producer.producer_id).or_default();
        of_producer.insert(offset.topic_partition.clone(), offset);
    }

    /// Ends a transaction that contains the group, even if it wrote no offsets.
    pub(crate) fn end_transaction(&mut self, marker: Marker) {
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

    /// Returns whether the producer has written offsets in its open transaction. As in a partition,
    /// such a producer may write more without the coordinator. A producer with an old epoch may
    /// not.
    pub(crate) fn has_open_transaction(
        &self,
        producer: ProducerIdAndEpoch,
    ) -> Result<bool, ErrorCode> {
        match self.epochs.get(&producer.producer_id) {
            Some(known) if producer.epoch < *known => Err(ErrorCode::INVALID_PRODUCER_EPOCH),
            Some(known) => {
                Ok(producer.epoch == *known && self.pending.contains_key(&producer.producer_id))
            }
            None => Ok(false),
        }
    }

    pub(crate) fn check_member(&self, request: &TxnOffsetCommitRequest) -> Result<(), ErrorCode> {
        let tells_nothing = request.generation_id_or_member_epoch < 0
            && request.member_id.is_empty()
            && request.group_instance_id.is_none();
        // No member ever joined, or the client is too old to send its member (KIP-447).
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
