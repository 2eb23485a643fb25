//! The partition that records without a key of a topic go to, until its batch is full. Java: `StickyPartitionCache`; KIP-480.
//!
//! Differs from Java: a partition is also left when the topic no longer has it, or when it has no leader and others have.

use hashbrown::HashMap;

use crate::common::TopicInfo;
use crate::sync::RwLock;

/// One partition per topic.
#[derive(Debug, Default)]
pub(super) struct StickyPartitionCache {
    /// Taken for writing when a topic is new, when a batch is, and when a partition is left.
    partitions: RwLock<HashMap<String, i32>>,
}

impl StickyPartitionCache {
    /// Returns the topic's partition, which is random the first time and when the one before can no longer be used.
    pub(super) fn partition(&self, topic: &TopicInfo) -> i32 {
        if let Some(partition) = self.partitions.read().get(topic.name()) {
            if is_usable(topic, *partition) {
                return *partition;
            }
        }
        let mut partitions = self.partitions.write();
        let partition = partitions.entry_ref(topic.name());
        let partition = partition.or_insert_with(|| random_partition(topic, None));
        // Another thread may have moved the topic while this one waited for the lock.
        if !is_usable(topic, *partition) {
            *partition = random_partition(topic, Some(*partition));
        }
        *partition
    }

    /// Moves the topic to another partition, if `previous` is still the one it is at: of two threads that filled the same
    /// batch only the first moves it, and the second must not move it on.
    ///
    /// Tells whether the topic is at another partition than `previous` now.
    pub(super) fn next_partition(&self, topic: &TopicInfo, previous: i32) -> bool {
        let mut partitions = self.partitions.write();
        let partition = partitions.entry_ref(topic.name());
        let partition = partition.or_insert_with(|| random_partition(topic, None));
        if *partition == previous {
            *partition = random_partition(topic, Some(previous));
        }
        *partition != previous
    }
}

/// Returns whether the topic has the partition, and it has a leader if any has.
fn is_usable(topic: &TopicInfo, partition: i32) -> bool {
    topic
        .partition(partition)
        .is_some_and(|info| info.leader().is_some() || topic.available_partitions().is_empty())
}

/// One of the partitions that have a leader, other than `previous` where there is another; where none has a leader, one
/// of all.
fn random_partition(topic: &TopicInfo, previous: Option<i32>) -> i32 {
    let available = topic.available_partitions();
    let others = || {
        available
            .iter()
            .filter(|&&partition| Some(partition) != previous)
    };
    let count = others().count();
    if count > 0 {
        let chosen = others().nth(fastrand::usize(..count));
        return chosen.copied().unwrap_or_default();
    }
    if let Some(only) = available.first() {
        return *only;
    }
    let all = topic.partitions();
    let index = fastrand::usize(..all.len().max(1));
    all.get(index).map_or(0, |info| info.partition())
}
