//! The waiting batches of one partition.
//!
//! Threads: callers append; the I/O thread takes batches and puts them back.
//! Locks: one mutex per partition.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Instant;

use crate::common::TopicPartition;
use crate::producer::internals::batch::ProducerBatch;
use crate::producer::internals::ready_signal::{PartitionHandle, ReadySignal};
use crate::record::RECORD_BATCH_OVERHEAD;
use crate::sync::{Arc, AtomicU32, Mutex, Ordering};

thread_local! {
    /// The address of the partition to which this thread appended last.
    static LAST_APPENDED_TO: Cell<usize> = const { Cell::new(0) };
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct PartitionQueue {
    handle: Arc<PartitionHandle>,
    /// The length of the deque, so that the load table can skip empty ones without locking them.
    queue_len: AtomicU32,
    pub(super) state: Mutex<QueueState>,
}

/// The data under a partition's lock.
#[derive(Debug, Default)]
pub(super) struct QueueState {
    /// Appends go to the back; retries and parts of split batches to the front.
    pub(super) batches: VecDeque<ProducerBatch>,
    /// The latest time when the I/O thread looks for expired batches here; see [`super::expiry`].
    pub(super) expiry: Option<Instant>,
    /// The bytes that the sticky choice of this generation put here.
    pub(super) sticky_bytes: usize,
    pub(super) sticky_generation: u32,
    /// The accumulator has dropped the partition, and another object has replaced it. No batch is
    /// opened here.
    pub(super) is_retired: bool,
    /// The number of the thread that last appended with a sticky choice; 0 before the first.
    pub(super) appender: usize,
}

impl PartitionQueue {
    pub(super) fn new(
        topic_partition: TopicPartition,
        topic_number: usize,
        signal: Arc<ReadySignal>,
    ) -> Arc<Self> {
        Arc::new(Self {
            handle: PartitionHandle::new(topic_partition, topic_number, signal),
            queue_len: AtomicU32::new(0),
            state: Mutex::default(),
        })
    }

    pub(super) fn handle(&self) -> &Arc<PartitionHandle> {
        &self.handle
    }

    pub(super) fn topic_partition(&self) -> &TopicPartition {
        self.handle.topic_partition()
    }

    /// Returns whether no batch waits here. Takes no lock.
    pub(super) fn is_empty(&self) -> bool {
        self.queue_len.load(Ordering::Relaxed) == 0
    }

    /// Retires the partition if no batch waits or is in flight. Returns whether it did.
    pub(super) fn retire(&self) -> bool {
        let mut state = self.state.lock();
        state.is_retired = state.batches.is_empty() && !self.handle.has_batch_in_flight();
        state.is_retired
    }

    /// Returns whether this thread has appended to another partition since its last append here.
    /// Call it with every append. Such a thread will probably append elsewhere again before it
    /// returns.
    #[inline]
    pub(super) fn is_returned_to(&self) -> bool {
        let this = std::ptr::from_ref(self).addr();
        LAST_APPENDED_TO.replace(this) != this
    }

    /// Returns the load in batches of `batch_size`, or of one record if that is larger. The last
    /// batch counts as full.
    ///
    /// Batches of a backlogged partition are larger than others. If each counted as one, the
    /// partition with the most bytes could have the fewest batches, and would receive even more.
    pub(super) fn load(&self, batch_size: usize) -> u32 {
        if self.queue_len.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let state = self.state.lock();
        let whole = |batch: &ProducerBatch| {
            let unit = batch_size.max(RECORD_BATCH_OVERHEAD + batch.max_record_size());
            batch.estimated_size_in_bytes().div_ceil(unit).max(1)
        };
        let load: usize = state.batches.iter().map(whole).sum();
        u32::try_from(load).unwrap_or(u32::MAX)
    }

    /// Publishes the deque's length; called under the lock, after every change of it.
    pub(super) fn publish_len(&self, state: &QueueState) {
        self.queue_len.store(
            u32::try_from(state.batches.len()).unwrap_or(u32::MAX),
            Ordering::Relaxed,
        );
    }
}

impl QueueState {
    /// Returns the bytes that the sticky choice of `generation` has put here. If two choices have
    /// met here, returns their sum for either: the newer one continued from the count of the older
    /// one, and both add to it.
    #[inline]
    pub(super) fn sticky_bytes(&self, generation: u32) -> usize {
        let age = self.sticky_generation.wrapping_sub(generation);
        if age < u32::MAX / 2 {
            self.sticky_bytes
        } else {
            0
        }
    }

    #[inline]
    pub(super) fn add_sticky_bytes(&mut self, generation: u32, bytes: usize) -> usize {
        self.sticky_bytes = self.sticky_bytes(generation) + bytes;
        if self.sticky_generation.wrapping_sub(generation) >= u32::MAX / 2 {
            self.sticky_generation = generation;
        }
        self.sticky_bytes
    }

    /// Returns whether the next append certainly needs a new batch.
    #[inline]
    pub(super) fn is_tail_full(&self) -> bool {
        self.batches.back().is_none_or(ProducerBatch::is_full)
    }
}
