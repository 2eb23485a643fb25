//! The batches of one partition that wait to be sent.
//!
//! Threads: callers append; the I/O thread takes and puts back. Locks: one mutex per partition.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Instant;

use crate::common::TopicPartition;
use crate::producer::internals::batch::ProducerBatch;
use crate::producer::internals::ready_signal::{PartitionHandle, ReadySignal};
use crate::record::RECORD_BATCH_OVERHEAD;
use crate::sync::{Arc, AtomicU32, Mutex, Ordering};

thread_local! {
    /// The address of the partition that this thread appended to last.
    static LAST_APPENDED_TO: Cell<usize> = const { Cell::new(0) };
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct PartitionQueue {
    handle: Arc<PartitionHandle>,
    /// The length of the deque, so that the load table passes over empty ones without their locks.
    queue_len: AtomicU32,
    pub(super) state: Mutex<QueueState>,
}

/// What the lock of a partition guards.
#[derive(Debug, Default)]
pub(super) struct QueueState {
    /// Appends go to the back; retries and parts of split batches to the front.
    pub(super) batches: VecDeque<ProducerBatch>,
    /// When the I/O thread looks for expired batches here, at the latest; see [`super::expiry`].
    pub(super) expiry: Option<Instant>,
    /// The bytes produced here by the sticky choice of this generation.
    pub(super) sticky_bytes: usize,
    pub(super) sticky_generation: u32,
    /// The accumulator has given the partition back, and another object has taken its place: no batch is opened here.
    pub(super) is_retired: bool,
    /// The number of the thread that appended last by a sticky choice; 0 before the first.
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

    /// Whether nothing waits here. Takes no lock.
    pub(super) fn is_empty(&self) -> bool {
        self.queue_len.load(Ordering::Relaxed) == 0
    }

    /// Ends the partition's use if nothing waits here and nothing is in flight. Returns whether that is so.
    pub(super) fn retire(&self) -> bool {
        let mut state = self.state.lock();
        state.is_retired = state.batches.is_empty() && !self.handle.has_batch_in_flight();
        state.is_retired
    }

    /// To be asked with each append. Returns whether this thread appended to another partition since it was here, and so
    /// will before it comes back.
    #[inline]
    pub(super) fn is_returned_to(&self) -> bool {
        let this = std::ptr::from_ref(self).addr();
        LAST_APPENDED_TO.replace(this) != this
    }

    /// How much waits here, in batches of `batch_size`, or of one record where that is larger. The last one counts as
    /// whole.
    ///
    /// Batches of a backlogged partition are larger than those of others. If each counted as one, the partition with the
    /// most bytes could be the one with the fewest batches, and would be given still more.
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
    /// The bytes that the sticky choice of `generation` has put here. Where two choices have met, those of both, whichever of
    /// them asks: the newer one began to count, and what the older one adds is added to that.
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

    /// Whether the next append needs a new batch for sure.
    #[inline]
    pub(super) fn is_tail_full(&self) -> bool {
        self.batches.back().is_none_or(ProducerBatch::is_full)
    }
}
