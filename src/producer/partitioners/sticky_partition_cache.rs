//! The current partition of each topic's records without a key, which changes when its batch is
//! full. Java: `StickyPartitionCache`; KIP-480.
//!
//! Differs from Java: the partition also changes if the topic no longer has it, or if it has no
//! leader and others have one.

use hashbrown::HashMap;

use crate::common::TopicInfo;
use crate::sync::RwLock;

/// One partition per topic.
#[derive(Debug, Default)]
pub(super) struct StickyPartitionCache {
    /// Locked for writing when a topic is new, when a batch is new, and when a partition is left.
    partitions: RwLock<HashMap<String, i32>>,
}

impl StickyPartitionCache {
    /// Returns the topic's partition. It is random at first, and when the previous one can no
    /// longer be used.
    pub(super) fn partition(&self, topic: &TopicInfo) -> i32 {
        if let Some(partition) = self.partitions.read().get(topic.name()) {
            if is_usable(topic, *partition) {
                return *partition;
            }
        }
        let mut partitions = self.partitions.write();
        let partition = partitions.entry_ref(topic.name());
        let partition = partition.or_insert_with(|| random_partition(topic, None));
        // Another thread may have changed it while this one waited for the lock.
        if !is_usable(topic, *partition) {
            *partition = random_partition(topic, Some(*partition));
        }
        *partition
    }

    /// Moves the topic to another partition, if its partition is still `previous`. If two threads
    /// filled the same batch, the first one moves the topic, and the second must not move it again.
    ///
    /// Returns whether the topic's partition now differs from `previous`.
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

/// Returns whether the topic has the partition, and the partition has a leader if any has.
fn is_usable(topic: &TopicInfo, partition: i32) -> bool {
    topic
        .partition(partition)
        .is_some_and(|info| info.leader().is_some() || topic.available_partitions().is_empty())
}

/// Returns a random partition with a leader, other than `previous` if possible. If none has a
/// leader, chooses among all.
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
