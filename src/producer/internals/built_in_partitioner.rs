//! Chooses the partition of records without one. Java: `BuiltInPartitioner`; KIP-480, KIP-794,
//! KIP-1123.
//!
//! Records without a key stay on one partition until it has received about `batch.size` bytes. They
//! thus fill batches, instead of opening one on every partition. The next partition is random. With
//! adaptive partitioning, partitions with longer queues are chosen less often.
//!
//! When two threads contend for the sticky partition's lock, the one that waited sticks to another
//! partition from then on. So there are as many sticky choices as threads that really append at the
//! same time, and a thread finds the data of its last append in its processor's cache. Threads that
//! never contend share one choice, and their records share a batch. Without this separation of
//! threads, the benchmark `4-threads` has 0.51 times the rate.
//!
//! Threads: caller threads read and switch the sticky partitions; the I/O thread publishes the load
//! table.
//! Locks: none here. A sticky choice is one atomic word. A thread that finds it changed after
//! locking the partition starts over. A thread leaves a full partition while it holds the
//! partition's lock. The first thread that learns that a partition has no leader leaves that one.
//! Differs from Java: the bytes sent to a sticky partition are counted in that partition's own
//! locked state. Contending threads separate. A partition without a leader is left immediately.

use std::cell::Cell;
use std::num::NonZero;
use std::thread;

use crate::common::{Cluster, NodeId, TopicInfo};
use crate::sync::{Arc, ArcSwapOption, AtomicU32, AtomicU64, OnceLock, Ordering};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct BuiltInPartitioner {
    /// The bytes after which the sticky partition changes: `batch.size`, at least 1.
    sticky_batch_size: usize,
    /// Prefers partitions led from this rack (`client.rack` with `partitioner.rack.aware`).
    rack: Option<Arc<str>>,
    /// The choice of all threads that have not separated.
    sticky: AtomicU64,
    /// The choices of the threads that separated.
    more: OnceLock<Box<[AtomicU64]>>,
    /// The generation of the newest choice. Partitions remember generations, so it continues when
    /// the topic changes.
    generation: Arc<AtomicU32>,
    load: ArcSwapOption<PartitionLoadStats>,
}

/// A sticky choice. Two are equal only if no switch happened in between, even one back to the same
/// partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StickyPartition {
    pub(crate) partition: i32,
    pub(crate) generation: u32,
    /// The slot of the choice.
    slot: usize,
}

/// The probabilities of the partitions, as the running sum of their weights.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PartitionLoadStats {
    cumulative_weights: Vec<u64>,
    partitions: Vec<i32>,
}

/// The queue of one partition, for [`BuiltInPartitioner::update_partition_load_stats`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionLoad {
    pub(crate) partition: i32,
    /// The number of waiting batches of `batch.size`.
    pub(crate) queue_len: u32,
    /// The node was unavailable for longer than `partitioner.availability.timeout.ms`.
    pub(crate) excluded: bool,
}

const UNSET: u64 = u64::MAX;

/// The largest number of sticky choices per topic.
const MAX_SLOTS: usize = 16;
/// A choice counts as in use for this many draws per slot. A choice whose threads send as much as
/// others is renewed sooner.
const RECENT_ROUNDS: usize = 4;

/// How often to draw from the load table until the partition has a leader.
const LOAD_DRAWS: usize = 8;

thread_local! {
    /// The choice of this thread, modulo the number of the topic's choices.
    static SLOT: Cell<usize> = const { Cell::new(0) };
}

/// Returns a number that no other running thread has.
#[inline]
pub(crate) fn thread_number() -> usize {
    SLOT.with(|slot| std::ptr::from_ref(slot).addr())
}

impl StickyPartition {
    fn to_bits(self) -> u64 {
        // The partition is never negative, so no choice equals UNSET.
        (u64::from(self.partition.unsigned_abs()) << 32) | u64::from(self.generation)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the word"
    )]
    fn from_bits(bits: u64, slot: usize) -> Self {
        Self {
            partition: (bits >> 32) as i32,
            generation: bits as u32,
            slot,
        }
    }
}

impl BuiltInPartitioner {
    pub(crate) fn new(sticky_batch_size: usize, rack: Option<Arc<str>>) -> Self {
        Self {
            sticky_batch_size: sticky_batch_size.max(1),
            rack,
            sticky: AtomicU64::new(UNSET),
            more: OnceLock::new(),
            generation: Arc::default(),
            load: ArcSwapOption::empty(),
        }
    }

    /// Creates a partitioner without choices, for the same topic with other partitions.
    pub(crate) fn for_other_partitions(&self) -> Self {
        Self {
            generation: Arc::clone(&self.generation),
            ..Self::new(self.sticky_batch_size, self.rack.clone())
        }
    }

    /// Moves the choices away from partitions without a leader, if others have one.
    pub(crate) fn leave_leaderless(&self, topic: &TopicInfo, cluster: &Cluster) {
        let more = self.more.get().map_or(0, |more| more.len());
        for slot in 0..=more {
            let bits = self.slot(slot).load(Ordering::Acquire);
            let choice = StickyPartition::from_bits(bits, slot);
            if bits != UNSET && is_leaderless(topic, choice.partition) {
                self.switch_partition(choice, topic, cluster);
            }
        }
    }

    /// Returns this thread's sticky partition. Draws it if there is none yet.
    #[inline(always)]
    pub(crate) fn peek_current_partition(
        &self,
        topic: &TopicInfo,
        cluster: &Cluster,
    ) -> StickyPartition {
        let slot = match SLOT.get() {
            0 => 0,
            slot => self.more.get().map_or(0, |more| slot % (more.len() + 1)),
        };
        let bits = self.slot(slot).load(Ordering::Acquire);
        if bits == UNSET {
            return self.first_partition(slot, topic, cluster);
        }
        StickyPartition::from_bits(bits, slot)
    }

    #[cold]
    fn first_partition(
        &self,
        slot: usize,
        topic: &TopicInfo,
        cluster: &Cluster,
    ) -> StickyPartition {
        let first = self.draw_choice(slot, topic, cluster);
        match self.slot(slot).compare_exchange(
            UNSET,
            first.to_bits(),
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => first,
            Err(other) => StickyPartition::from_bits(other, slot),
        }
    }

    #[inline]
    fn slot(&self, slot: usize) -> &AtomicU64 {
        let more = slot.checked_sub(1).zip(self.more.get());
        more.and_then(|(index, more)| more.get(index))
            .unwrap_or(&self.sticky)
    }

    /// Gives another sticky choice to this thread, which contended with another thread. Does
    /// nothing if there are not enough partitions or processors.
    #[cold]
    pub(crate) fn part(&self, topic: &TopicInfo) {
        let more = self.more.get_or_init(|| {
            let processors = thread::available_parallelism().map_or(1, NonZero::get);
            // Then each thread can find a partition of its own.
            let slots = processors
                .min(topic.available_partitions().len() / 2)
                .min(MAX_SLOTS);
            (1..slots).map(|_| AtomicU64::new(UNSET)).collect()
        });
        SLOT.set((SLOT.get() + 1) % (more.len() + 1));
    }

    /// Returns whether a record ever used the sticky partition.
    pub(crate) fn is_in_use(&self) -> bool {
        self.sticky.load(Ordering::Relaxed) != UNSET
    }

    /// Returns whether the peeked choice is no longer the current one.
    pub(crate) fn is_partition_changed(&self, peeked: StickyPartition) -> bool {
        self.slot(peeked.slot).load(Ordering::Acquire) != peeked.to_bits()
    }

    /// Returns whether the sticky partition has received enough bytes for a switch: `batch.size` at
    /// the end of a batch, and twice that anywhere.
    #[inline]
    pub(crate) fn should_switch(&self, produced_bytes: usize, enable_switch: bool) -> bool {
        (enable_switch && produced_bytes >= self.sticky_batch_size)
            || produced_bytes >= self.sticky_batch_size.saturating_mul(2)
    }

    /// Draws the next sticky partition. The caller holds the lock of the current one, unless that
    /// has no leader: then a thread that has already read the choice may still append there.
    pub(crate) fn switch_partition(
        &self,
        current: StickyPartition,
        topic: &TopicInfo,
        cluster: &Cluster,
    ) {
        let next = self.draw_choice(current.slot, topic, cluster);
        // This fails if another thread has switched since `current` was peeked.
        let _ = self.slot(current.slot).compare_exchange(
            current.to_bits(),
            next.to_bits(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
    }

    /// Draws a partition. Avoids those of the other choices if that is easy.
    fn draw_choice(&self, slot: usize, topic: &TopicInfo, cluster: &Cluster) -> StickyPartition {
        let slots = self.more.get().map_or(1, |more| more.len() + 1);
        let newest = self.generation.load(Ordering::Relaxed);
        // The choices of threads that have ended, or that hardly send, are never renewed. They must
        // not block partitions forever.
        let recent = u32::try_from(RECENT_ROUNDS * slots).unwrap_or(u32::MAX);
        let is_taken = |partition: i32| {
            let mut others = (0..slots).filter(|other| *other != slot);
            others.any(|other| {
                let bits = self.slot(other).load(Ordering::Relaxed);
                let choice = StickyPartition::from_bits(bits, other);
                bits != UNSET
                    && choice.partition == partition
                    && newest.wrapping_sub(choice.generation) < recent
            })
        };
        let mut partition = self.next_partition(topic, cluster);
        for _ in 1..MAX_SLOTS {
            if !is_taken(partition) {
                break;
            }
            partition = self.next_partition(topic, cluster);
        }
        StickyPartition {
            partition,
            generation: self.generation.fetch_add(1, Ordering::Relaxed),
            slot,
        }
    }

    /// Draws a partition: by load if the load is known, otherwise evenly over those with a leader,
    /// or over all.
    fn next_partition(&self, topic: &TopicInfo, cluster: &Cluster) -> i32 {
        if let Some(load) = &*self.load.load() {
            // The table may be older than the topic's loss of a leader.
            for _ in 0..LOAD_DRAWS {
                let partition = load.draw(fastrand::u64(..));
                if has_leader(topic, partition) {
                    return partition;
                }
            }
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

    /// Returns a partition that is led from the client's rack, if that is requested and there is
    /// one.
    fn partition_in_rack(&self, topic: &TopicInfo, cluster: &Cluster) -> Option<i32> {
        let rack = self.rack.as_deref()?;
        draw(&in_rack(rack, topic, cluster))
    }

    /// Publishes the lengths of the queues. Publishes nothing if there are fewer than two
    /// partitions or all queues are equal.
    ///
    /// The weight of a partition is the longest queue plus one, minus its own. Queues of 0, 3 and 1
    /// thus get the weights 4, 1 and 3. All partitions together decide whether the load matters.
    /// The weights are those of the partitions in the client's rack, if any of those is usable
    /// (KIP-1123).
    pub(crate) fn update_partition_load_stats(
        &self,
        loads: &[PartitionLoad],
        topic: &TopicInfo,
        cluster: &Cluster,
    ) {
        let stats = self.load_stats(loads, topic, cluster);
        // Every send of every thread reads this pointer. Replacing nothing with nothing would only
        // cost cache misses.
        if stats.is_some() || self.load.load().is_some() {
            self.load.store(stats.map(Arc::new));
        }
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
        let usable: Vec<_> = loads.iter().filter(|load| !load.excluded).collect();
        let first = usable.first()?;
        let all_alike = usable.iter().all(|load| load.queue_len == first.queue_len);
        if all_alike && usable.len() == loads.len() {
            return None;
        }
        let local = self.rack.as_deref();
        let local = local.map_or_else(Vec::new, |rack| in_rack(rack, topic, cluster));
        let is_local = |load: &&PartitionLoad| local.contains(&load.partition);
        let mut drawn: Vec<_> = usable.iter().copied().filter(is_local).collect();
        if drawn.is_empty() {
            drawn = usable;
        }
        let longest = drawn.iter().map(|load| load.queue_len).max()?;
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
    /// Returns the first partition whose running sum exceeds the number, taken modulo the total.
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

fn has_leader(topic: &TopicInfo, partition: i32) -> bool {
    let info = topic.partition(partition);
    info.is_some_and(|info| info.leader().is_some())
}

/// Returns whether the partition has no leader although others have one.
pub(crate) fn is_leaderless(topic: &TopicInfo, partition: i32) -> bool {
    !has_leader(topic, partition) && !topic.available_partitions().is_empty()
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
