//! The contents of the logs.

use crate::testing::fake_broker::FakeBroker;
use crate::testing::fake_broker::model::facts::{StoredBatch, StoredRecord};

/// The contents of the logs.
impl FakeBroker {
    /// Returns the records of a partition, in order. Includes those of open and aborted
    /// transactions.
    pub fn records(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        let cluster = self.core.cluster.lock();
        let found = cluster.partition(topic, partition);
        found.map_or_else(Vec::new, |found| found.log.records(partition))
    }

    /// Returns the records of all partitions of a topic, partition by partition. Includes those of
    /// open and aborted transactions.
    pub fn all_records(&self, topic: &str) -> Vec<StoredRecord> {
        let cluster = self.core.cluster.lock();
        let partitions = cluster
            .topics
            .get(topic)
            .into_iter()
            .flat_map(|t| &t.partitions);
        (0..)
            .zip(partitions)
            .flat_map(|(number, partition)| partition.log.records(number))
            .collect()
    }

    /// Returns the batches of a partition, in order. [`markers`](Self::markers) are not included.
    pub fn batches(&self, topic: &str, partition: i32) -> Vec<StoredBatch> {
        let cluster = self.core.cluster.lock();
        let found = cluster.partition(topic, partition);
        found.map_or_else(Vec::new, |found| found.log.batches())
    }

    /// Returns the offset that the next record of a partition gets, or 0 if there is no such
    /// partition.
    pub fn log_end_offset(&self, topic: &str, partition: i32) -> i64 {
        let cluster = self.core.cluster.lock();
        cluster
            .partition(topic, partition)
            .map_or(0, |found| found.log.end_offset())
    }

    /// Returns the first offset of a partition, or 0 if there is no such partition.
    pub fn log_start_offset(&self, topic: &str, partition: i32) -> i64 {
        let cluster = self.core.cluster.lock();
        cluster
            .partition(topic, partition)
            .map_or(0, |found| found.log.start_offset())
    }

    /// Returns the number of records in a topic. Includes those of open and aborted transactions.
    pub fn record_count(&self, topic: &str) -> u64 {
        let cluster = self.core.cluster.lock();
        let partitions = cluster
            .topics
            .get(topic)
            .into_iter()
            .flat_map(|t| &t.partitions);
        let counts = partitions.map(|p| p.log.record_count());
        counts.map(i64::unsigned_abs).sum()
    }
}
