//! What stands in the logs.

use crate::testing::fake_broker::FakeBroker;
use crate::testing::fake_broker::model::facts::{StoredBatch, StoredRecord};

/// What stands in the logs.
impl FakeBroker {
    /// The records of a partition, in order; those of open and aborted transactions too.
    pub fn records(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        let cluster = self.core.cluster.lock();
        let found = cluster.partition(topic, partition);
        found.map_or_else(Vec::new, |found| found.log.records(partition))
    }

    /// The records of all partitions of a topic, partition by partition; those of open and aborted transactions too.
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

    /// The batches of a partition, in order. [`markers`](Self::markers) are not among them.
    pub fn batches(&self, topic: &str, partition: i32) -> Vec<StoredBatch> {
        let cluster = self.core.cluster.lock();
        let found = cluster.partition(topic, partition);
        found.map_or_else(Vec::new, |found| found.log.batches())
    }

    /// The offset that the next record of a partition gets; 0 where there is no such partition.
    pub fn log_end_offset(&self, topic: &str, partition: i32) -> i64 {
        let cluster = self.core.cluster.lock();
        cluster
            .partition(topic, partition)
            .map_or(0, |found| found.log.end_offset())
    }

    /// The first offset of a partition; 0 where there is no such partition.
    pub fn log_start_offset(&self, topic: &str, partition: i32) -> i64 {
        let cluster = self.core.cluster.lock();
        cluster
            .partition(topic, partition)
            .map_or(0, |found| found.log.start_offset())
    }

    /// The number of records in a topic, those of open and aborted transactions too.
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
