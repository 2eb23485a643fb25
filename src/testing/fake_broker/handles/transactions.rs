//! The test's access to transactions, their coordinators and consumer groups.

use super::illegal;
use crate::common::NodeId;
use crate::error::Result;
use crate::protocol::ErrorCode;
use crate::sync::Arc;
use crate::testing::fake_broker::FakeBroker;
use crate::testing::fake_broker::model::coordinators::CoordinatorType;
use crate::testing::fake_broker::model::facts::{
    CommittedOffset, StoredMarker, StoredRecord, Transaction,
};

/// Transactions, their coordinators, and consumer groups.
impl FakeBroker {
    // The view of a consumer.

    /// Returns the records that a read_committed consumer sees in all partitions of a topic,
    /// partition by partition. These are the records of committed transactions and those without
    /// one, up to the [`last_stable_offset`](Self::last_stable_offset).
    pub fn committed_records(&self, topic: &str) -> Vec<StoredRecord> {
        let cluster = self.core.cluster.lock();
        let topic = cluster.topics.get(topic).into_iter();
        let partitions = (0..).zip(topic.flat_map(|topic| &topic.partitions));
        partitions
            .flat_map(|(number, partition)| partition.log.committed_records(number))
            .collect()
    }

    /// Returns the offset at which a read_committed consumer of a partition stops: the first open
    /// transaction, or the end. Returns 0 if there is no such partition.
    pub fn last_stable_offset(&self, topic: &str, partition: i32) -> i64 {
        let cluster = self.core.cluster.lock();
        cluster
            .partition(topic, partition)
            .map_or(0, |found| found.log.last_stable_offset())
    }

    /// Returns the ends of transactions in a partition, in order.
    pub fn markers(&self, topic: &str, partition: i32) -> Vec<StoredMarker> {
        let cluster = self.core.cluster.lock();
        let found = cluster.partition(topic, partition);
        found.map_or_else(Vec::new, |found| found.log.markers().to_vec())
    }

    /// Returns the offsets of a consumer group, by partition.
    pub fn committed_offsets(&self, group: &str) -> Vec<CommittedOffset> {
        let cluster = self.core.cluster.lock();
        let found = cluster.groups.get(group);
        found.map_or_else(Vec::new, |group| group.committed())
    }

    /// Returns the offsets of a consumer group that open transactions wrote, by producer and
    /// partition.
    pub fn pending_offsets(&self, group: &str) -> Vec<CommittedOffset> {
        let cluster = self.core.cluster.lock();
        let found = cluster.groups.get(group);
        found.map_or_else(Vec::new, |group| group.pending())
    }

    // Transactions.

    /// Returns the coordinator's state of a transactional id, or `None` before its first
    /// InitProducerId.
    pub fn transaction(&self, transactional_id: &str) -> Option<Transaction> {
        let cluster = self.core.cluster.lock();
        let found = cluster.transactions.get(transactional_id)?;
        Some(found.describe())
    }

    /// Aborts all open transactions, as the coordinator does after `transaction.timeout.ms`. The
    /// next epoch fences their producers. From `transaction.version` 2 on, a producer may abort and
    /// then gets that epoch. Returns the number of transactions.
    pub fn expire_transactions(&self) -> usize {
        let count = self.core.cluster.lock().expire_transactions();
        self.core.activity.announce();
        count
    }

    /// Fences the producer of a transactional id, as another producer with this id does. The open
    /// transaction is aborted, and the epoch is bumped.
    ///
    /// # Errors
    ///
    /// No producer has this id, or its last transaction still waits for markers.
    pub fn fence_producer(&self, transactional_id: &str) -> Result<()> {
        let id = Arc::from(transactional_id);
        let mut cluster = self.core.cluster.lock();
        let known = cluster.transactions.get(&id);
        let timeout_ms = match known {
            Some(known) => known.describe().timeout_ms,
            None => return Err(unknown_id(transactional_id)),
        };
        let mut init = || cluster.init_transactional_id(&id, None, timeout_ms);
        // The first call may have had a transaction to abort.
        let fenced = init().or_else(|_| init());
        drop(cluster);
        self.core.activity.announce();
        fenced
            .map(drop)
            .map_err(|code| illegal(format!("transactional id '{transactional_id}': {code}")))
    }

    /// Sets the epoch of a transactional id, as if it had been bumped that often.
    ///
    /// # Errors
    ///
    /// No producer has this id.
    pub fn set_producer_epoch(&self, transactional_id: &str, epoch: i16) -> Result<()> {
        let mut cluster = self.core.cluster.lock();
        let known = cluster.transactions.get_mut(transactional_id);
        let known = known.ok_or_else(|| unknown_id(transactional_id))?;
        known.set_epoch(epoch);
        Ok(())
    }

    /// Forgets a transactional id, as `transactional.id.expiration.ms` does.
    ///
    /// # Errors
    ///
    /// No producer has this id.
    pub fn forget_transactional_id(&self, transactional_id: &str) -> Result<()> {
        let mut cluster = self.core.cluster.lock();
        let removed = cluster.transactions.remove(transactional_id);
        removed
            .map(drop)
            .ok_or_else(|| unknown_id(transactional_id))
    }

    /// Stops the writing of markers. Transactions that end stay in their `Prepare` states, and
    /// further requests for them return CONCURRENT_TRANSACTIONS.
    pub fn pause_markers(&self) {
        self.core.cluster.lock().are_markers_paused = true;
    }

    /// Writes the pending markers, and further ones without a delay.
    pub fn resume_markers(&self) {
        let mut cluster = self.core.cluster.lock();
        cluster.are_markers_paused = false;
        cluster.write_markers();
        drop(cluster);
        self.core.activity.announce();
    }

    /// Changes the level of the feature `transaction.version`. Connections learn of it with their
    /// next ApiVersions request.
    pub fn set_transaction_version(&self, level: i16) {
        self.core.cluster.lock().set_transaction_version(level);
    }

    // Coordinators.

    /// Returns the node that coordinates a transactional id; `None` while no node runs.
    pub fn transaction_coordinator(&self, transactional_id: &str) -> Option<NodeId> {
        self.coordinator(CoordinatorType::Transaction, transactional_id)
    }

    /// Returns the node that coordinates a consumer group; `None` while no node runs.
    pub fn group_coordinator(&self, group: &str) -> Option<NodeId> {
        self.coordinator(CoordinatorType::Group, group)
    }

    /// Moves a transactional id to another coordinator. The previous one returns NOT_COORDINATOR
    /// from now on.
    ///
    /// # Errors
    ///
    /// There is no such running node.
    pub fn move_transaction_coordinator(
        &self,
        transactional_id: &str,
        node: impl Into<NodeId>,
    ) -> Result<()> {
        let node = node.into();
        self.move_coordinator(CoordinatorType::Transaction, transactional_id, node)
    }

    /// Moves a consumer group to another coordinator. The previous one returns NOT_COORDINATOR from
    /// now on.
    ///
    /// # Errors
    ///
    /// There is no such running node.
    pub fn move_group_coordinator(&self, group: &str, node: impl Into<NodeId>) -> Result<()> {
        let node = node.into();
        self.move_coordinator(CoordinatorType::Group, group, node)
    }

    // Consumer groups.

    /// Adds a consumer to a group, and returns the group's new generation. The consumer replaces
    /// one with the same member id or the same `group.instance.id`.
    ///
    /// From then on, the member, instance and generation in a TxnOffsetCommit must exist. Otherwise
    /// the response is UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID or ILLEGAL_GENERATION. A group that no
    /// consumer has joined accepts any.
    pub fn join_group(&self, group: &str, member_id: &str, instance_id: Option<&str>) -> i32 {
        let mut cluster = self.core.cluster.lock();
        let group = cluster.groups.entry(Arc::from(group)).or_default();
        group.join(member_id, instance_id)
    }

    /// Removes a consumer from a group, which makes a new generation.
    ///
    /// # Errors
    ///
    /// The group has no such member.
    pub fn leave_group(&self, group: &str, member_id: &str) -> Result<()> {
        let mut cluster = self.core.cluster.lock();
        let found = cluster.groups.get_mut(group);
        if found.is_some_and(|group| group.leave(member_id)) {
            return Ok(());
        }
        let text = format!("group '{group}' has no member '{member_id}'");
        Err(illegal(text))
    }

    fn coordinator(&self, kind: CoordinatorType, key: &str) -> Option<NodeId> {
        self.core.cluster.lock().coordinator(kind, key)
    }

    fn move_coordinator(&self, kind: CoordinatorType, key: &str, node: NodeId) -> Result<()> {
        let mut cluster = self.core.cluster.lock();
        if !cluster.is_up(node) {
            let code = ErrorCode::BROKER_NOT_AVAILABLE;
            return Err(illegal(format!("coordinator of '{key}': {code}")));
        }
        cluster.coordinators.assign(kind, key, node);
        Ok(())
    }
}

fn unknown_id(transactional_id: &str) -> crate::error::Error {
    illegal(format!("there is no transactional id '{transactional_id}'"))
}
