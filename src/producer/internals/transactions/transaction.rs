//! The data of an open transaction: its partitions, and whether a coordinator knows of it.

use hashbrown::HashSet;

use crate::common::TopicPartition;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// Partitions with records, before a request adds them.
    new_partitions: HashSet<TopicPartition>,
    /// Partitions that a request is adding.
    pending_partitions: HashSet<TopicPartition>,
    /// Partitions that the coordinator has, or will have with the first batch that a broker
    /// receives.
    partitions: HashSet<TopicPartition>,
    /// Whether the coordinator has a transaction that must be ended.
    is_started: bool,
}

impl Transaction {
    /// Notes that the coordinator has the transaction, or will have it with the next request.
    pub(super) fn set_started(&mut self) {
        self.is_started = true;
    }

    pub(super) fn is_started(&self) -> bool {
        self.is_started
    }

    pub(super) fn has_partitions(&self) -> bool {
        !self.partitions.is_empty()
    }

    /// Returns whether batches of the partition may be sent.
    pub(super) fn contains(&self, topic_partition: &TopicPartition) -> bool {
        self.partitions.contains(topic_partition)
    }

    /// Notes a record of a partition that brokers add to the transaction themselves (version 2).
    pub(super) fn join(&mut self, topic_partition: &TopicPartition) {
        if !self.contains(topic_partition) {
            self.partitions.insert(topic_partition.clone());
            self.is_started = true;
        }
    }

    /// Notes a record of a partition that a request must add to the transaction (version 1).
    pub(super) fn join_by_request(&mut self, topic_partition: &TopicPartition) {
        if !self.contains(topic_partition) && !self.pending_partitions.contains(topic_partition) {
            self.new_partitions.insert(topic_partition.clone());
        }
    }

    /// Takes the partitions that the next request adds, sorted.
    pub(super) fn take_new_partitions(&mut self) -> Vec<TopicPartition> {
        let mut partitions: Vec<_> = self.new_partitions.drain().collect();
        partitions.sort_unstable();
        self.pending_partitions.extend(partitions.iter().cloned());
        partitions
    }

    /// Forgets the partitions that no request has added yet.
    pub(super) fn drop_new_partitions(&mut self) {
        self.new_partitions.clear();
    }

    /// Notes that the coordinator has added these partitions.
    pub(super) fn partitions_added(&mut self, partitions: &[TopicPartition]) {
        self.partitions_refused(partitions);
        self.partitions.extend(partitions.iter().cloned());
        self.is_started = true;
    }

    /// Notes that the request for these partitions has failed.
    pub(super) fn partitions_refused(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.pending_partitions.remove(partition);
        }
    }
}
