//! Chooses the partition of records that name none. Java: `BuiltInPartitioner`; KIP-480, KIP-794, KIP-1123.
//!
//! Records without a key stick to one partition until about `batch.size` bytes went there, so that they fill batches
//! instead of opening one on every partition. The next one is drawn at random; with adaptive partitioning, so that
//! partitions whose queues are longer get less.
//!
//! Threads: caller threads read and switch the sticky partition; the I/O thread publishes the load table.
//! Locks: none here. The sticky choice is one atomic word, changed only under the lock of the partition that it leaves;
//! a thread that finds it changed after locking starts over.
//! Differs from Java: the bytes produced to the sticky partition are counted in that partition's own locked state.

use crate::common::{Cluster, NodeId, TopicInfo};
use crate::sync::{Arc, ArcSwapOption, AtomicU64, Ordering};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct BuiltInPartitioner {
    /// The bytes after which the sticky partition changes: `batch.size`, at least 1.
    sticky_batch_size: usize,
    /// Prefer partitions led from this rack (`client.rack` with `partitioner.rack.aware`).
    rack: Option<Arc<str>>,
    sticky: AtomicU64,
    load: ArcSwapOption<PartitionLoadStats>,
}

/// A sticky choice. Equal only if no switch happened in between, even one back to the same partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StickyPartition {
    pub(crate) partition: i32,
    pub(crate) generation: u32,
}

/// How likely each partition is to be drawn: the running sum of the weights.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PartitionLoadStats {
    cumulative_weights: Vec<u64>,
    partitions: Vec<i32>,
}

/// The queue of one partition, for [`BuiltInPartitioner::update_partition_load_stats`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionLoad {
    pub(crate) partition: i32,
    /// What waits, in batches of `batch.size`.
    pub(crate) queue_len: u32,
    /// The node was found unavailable for longer than `partitioner.availability.timeout.ms`.
    pub(crate) excluded: bool,
}

const UNSET: u64 = u64::MAX;

impl StickyPartition {
    fn to_bits(self) -> u64 {
        // The partition is never negative, so no choice has the bits of UNSET.
        (u64::from(self.partition.unsigned_abs()) << 32) | u64::from(self.generation)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the word"
    )]
    fn from_bits(bits: u64) -> Self {
        Self {
            partition: (bits >> 32) as i32,
            generation: bits as u32,
        }
    }
}

impl BuiltInPartitioner {
    pub(crate) fn new(sticky_batch_size: usize, rack: Option<Arc<str>>) -> Self {
        Self {
            sticky_batch_size: sticky_batch_size.max(1),
            rack,
            sticky: AtomicU64::new(UNSET),
            load: ArcSwapOption::empty(),
        }
    }

    /// The sticky partition, drawn now if there is none yet.
    pub(crate) fn peek_current_partition(
        &self,
        topic: &TopicInfo,
        cluster: &Cluster,
    ) -> StickyPartition {
        let bits = self.sticky.load(Ordering::Acquire);
        if bits != UNSET {
            return StickyPartition::from_bits(bits);
        }
        let first = StickyPartition {
            partition: self.next_partition(topic, cluster),
            generation: 0,
        };
        match self.sticky.compare_exchange(
            UNSET,
            first.to_bits(),
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => first,
            Err(other) => StickyPartition::from_bits(other),
        }
    }

    /// Whether any record ever asked for the sticky partition.
    pub(crate) fn is_in_use(&self) -> bool {
        self.sticky.load(Ordering::Relaxed) != UNSET
    }

    /// Whether the choice that was peeked is no longer the current one.
    pub(crate) fn is_partition_changed(&self, peeked: StickyPartition) -> bool {
        self.sticky.load(Ordering::Acquire) != peeked.to_bits()
    }

    /// Whether enough bytes went to the sticky partition to switch: `batch.size` at a batch's end, twice that anywhere.
    pub(crate) fn should_switch(&self, produced_bytes: usize, enable_switch: bool) -> bool {
        (enable_switch && produced_bytes >= self.sticky_batch_size)
            || produced_bytes >= self.sticky_batch_size.saturating_mul(2)
    }

    /// Draws the next sticky partition. The caller holds the lock of the one that is left.
    pub(crate) fn switch_partition(
        &self,
        current: StickyPartition,
        topic: &TopicInfo,
        cluster: &Cluster,
    ) {
        let next = StickyPartition {
            partition: self.next_partition(topic, cluster),
            generation: current.generation.wrapping_add(1),
        };
        // Only a holder of the lock of `current` switches away from it, so this fails for nobody but a thread that
        // peeked before an earlier switch, whose bytes were counted to a partition that is no longer sticky.
        let _ = self.sticky.compare_exchange(
            current.to_bits(),
            next.to_bits(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
    }

    /// Draws a partition: by load where the table knows it, else evenly over those that have a leader, or over all.
    fn next_partition(&self, topic: &TopicInfo, cluster: &Cluster) -> i32 {
        if let Some(load) = &*self.load.load() {
            return load.draw(fastrand::u64(..));
        }
        if let Some(partition) = self.partition_in_rack(topic, cluster) {
            return partition;
        }
        if let Some(partition) = draw(topic.available_partitions()) {
            return partition;
        }
        let all = topic.partitions();
        let index = if all.is_empty() {
            0
        } else {
            fastrand::usize(..all.len())
        };
        all.get(index).map_or(0, |info| info.partition())
    }

    /// A partition that is led from our own rack, where that is asked for and there is one.
    fn partition_in_rack(&self, topic: &TopicInfo, cluster: &Cluster) -> Option<i32> {
        let rack = self.rack.as_deref()?;
        draw(&in_rack(rack, topic, cluster))
    }

    /// Publishes how long the queues are, or that it does not matter: fewer than two partitions, or all alike.
    ///
    /// A partition's weight is the longest queue plus one, less its own: queues of 0, 3 and 1 are drawn 4:1:3.
    pub(crate) fn update_partition_load_stats(
        &self,
        loads: &[PartitionLoad],
        topic: &TopicInfo,
        cluster: &Cluster,
    ) {
        self.load
            .store(self.load_stats(loads, topic, cluster).map(Arc::new));
    }

    fn load_stats(
        &self,
        loads: &[PartitionLoad],
        topic: &TopicInfo,
        cluster: &Cluster,
    ) -> Option<PartitionLoadStats> {
        if topic.partition_count() < 2 {
            return None;
        }
        let local = self
            .rack
            .as_deref()
            .map(|rack| in_rack(rack, topic, cluster));
        let usable = |load: &&PartitionLoad| !load.excluded;
        let is_local = |load: &&PartitionLoad| {
            local
                .as_ref()
                .is_some_and(|local| local.contains(&load.partition))
        };
        let mut drawn: Vec<_> = loads.iter().filter(usable).filter(is_local).collect();
        if drawn.is_empty() {
            drawn = loads.iter().filter(usable).collect();
        }
        let longest = drawn.iter().map(|load| load.queue_len).max()?;
        let all_alike = drawn.iter().all(|load| load.queue_len == longest);
        if all_alike && drawn.len() == loads.len() {
            return None;
        }
        let mut sum = 0;
        let cumulative_weights = drawn
            .iter()
            .map(|load| {
                sum += u64::from(longest - load.queue_len) + 1;
                sum
            })
            .collect();
        let partitions = drawn.iter().map(|load| load.partition).collect();
        Some(PartitionLoadStats {
            cumulative_weights,
            partitions,
        })
    }
}

impl PartitionLoadStats {
    /// The first partition whose running sum is above the number, taken modulo the whole.
    fn draw(&self, random: u64) -> i32 {
        let total = self.cumulative_weights.last().copied().unwrap_or(1);
        let point = random % total.max(1);
        let index = self.cumulative_weights.partition_point(|sum| *sum <= point);
        self.partitions.get(index).copied().unwrap_or(0)
    }
}

fn in_rack(rack: &str, topic: &TopicInfo, cluster: &Cluster) -> Vec<i32> {
    let leads_here = |id: NodeId| cluster.node(id).and_then(|node| node.rack()) == Some(rack);
    let led_here = |info: &&crate::common::PartitionInfo| {
        info.leader().is_some_and(|leader| leads_here(leader.id()))
    };
    topic
        .partitions()
        .iter()
        .filter(led_here)
        .map(|info| info.partition())
        .collect()
}

fn draw(partitions: &[i32]) -> Option<i32> {
    if partitions.is_empty() {
        return None;
    }
    partitions.get(fastrand::usize(..partitions.len())).copied()
}

#[cfg(test)]
#[path = "built_in_partitioner/tests.rs"]
mod tests;
