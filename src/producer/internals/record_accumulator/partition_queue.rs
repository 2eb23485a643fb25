//! The batches of one partition that wait to be sent, and how the I/O thread hears of them.
//!
//! A partition announces itself when something about it changes: its first batch, a full batch, a waiting caller, a batch
//! that left the in-flight requests. The I/O thread looks at announced partitions only, so what it does in one round is in
//! proportion to the partitions where something happened, not to those that exist.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Instant;

use super::expiry::ExpiryRegister;
use super::pacing::Watch;
use super::route::Route;
use crate::common::{NodeId, TopicPartition};
use crate::network::Waker;
use crate::producer::internals::{IoThreadId, ProducerBatch};
use crate::record::RECORD_BATCH_OVERHEAD;
use crate::sync::{Arc, AtomicBool, AtomicU32, AtomicUsize, Mutex, OnceLock, Ordering};
use crate::utils::{AdaptiveSpin, SpinTurn};

thread_local! {
    /// The address of the partition that this thread appended to last.
    static LAST_APPENDED_TO: Cell<usize> = const { Cell::new(0) };
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct PartitionQueue {
    topic_partition: TopicPartition,
    /// The same for all partitions of the topic.
    topic_number: usize,
    signal: Arc<ReadySignal>,
    /// Whether the partition is among the announcements already.
    announced: AtomicBool,
    /// The length of the deque, so that the load table passes over empty ones without their locks.
    queue_len: AtomicU32,
    /// The batches that were drained and are not settled. Only the I/O thread counts.
    in_flight: AtomicU32,
    pub(super) state: Mutex<QueueState>,
}

/// What the lock of a partition guards.
#[derive(Debug, Default)]
pub(super) struct QueueState {
    /// Appends go to the back; retries and parts of split batches to the front.
    pub(super) batches: VecDeque<ProducerBatch>,
    /// A batch is in flight and no other may follow it (`max.in.flight.requests.per.connection` is 1).
    pub(super) muted: bool,
    /// As it was looked up last; see there.
    pub(super) route: Route,
    /// The ready queue that the partition stands in.
    pub(super) queued_on: Option<NodeId>,
    /// The earliest timer that will look at the partition again.
    pub(super) timer: Option<Instant>,
    /// Whether the partition is in the list of those without a known leader.
    pub(super) in_unknown: bool,
    /// Whether the partition is in the list of those whose head may not be sent yet. It stays there until the list is
    /// emptied, so this outlasts the blockade.
    pub(super) in_blocked: bool,
    /// Whether the head may not be sent until something in flight is answered.
    pub(super) is_blocked: bool,
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
    pub(crate) fn new(
        topic_partition: TopicPartition,
        topic_number: usize,
        signal: Arc<ReadySignal>,
    ) -> Arc<Self> {
        Arc::new(Self {
            topic_partition,
            topic_number,
            signal,
            announced: AtomicBool::new(false),
            queue_len: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            state: Mutex::default(),
        })
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// Where a request has the partition: behind those of topics that came earlier, and with its topic's others.
    pub(crate) fn place_in_request(&self) -> (usize, i32) {
        (self.topic_number, self.topic_partition.partition())
    }

    pub(crate) fn io_thread(&self) -> IoThreadId {
        self.signal.io_thread
    }

    /// Asks the I/O thread to look at this partition in its next round. Does not wake it.
    ///
    /// Called after the change, outside the partition's lock. The I/O thread clears the flag before it takes the lock, so
    /// whoever finds the flag set knows that the look at the partition is still to come and will see the change.
    pub(crate) fn announce(self: &Arc<Self>) {
        if !self.announced.swap(true, Ordering::AcqRel) {
            self.signal.announcements.lock().push(Arc::clone(self));
        }
    }

    /// A batch of this partition was drained.
    pub(super) fn begin_flight(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A batch that was drained is settled, or put back.
    pub(super) fn end_flight(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn has_batch_in_flight(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    pub(super) fn expiry_register(&self) -> &ExpiryRegister {
        &self.signal.expiries
    }

    /// Ends the partition's use if nothing waits here and nothing is in flight. Returns whether that is so.
    pub(super) fn retire(&self) -> bool {
        let mut state = self.state.lock();
        state.is_retired = state.batches.is_empty() && !self.has_batch_in_flight();
        state.is_retired
    }

    /// Takes note that the I/O thread looks now.
    pub(super) fn clear_announcement(&self) {
        self.announced.store(false, Ordering::Release);
    }

    pub(crate) fn wake_io_thread(&self) {
        self.signal.wake();
    }

    /// To be asked with each append. Whether this thread appended to another partition since it was here, and so will
    /// before it comes back.
    #[inline]
    pub(super) fn is_returned_to(&self) -> bool {
        let this = std::ptr::from_ref(self).addr();
        LAST_APPENDED_TO.replace(this) != this
    }

    /// The turn of a caller to wait awake for an answer, if that is likely to pay. The I/O thread stays awake too.
    pub(crate) fn take_spin_turn(&self) -> Option<SpinTurn<'_>> {
        let turn = self.signal.spin.take_turn()?;
        if let Some(waker) = self.signal.waker.get() {
            waker.stay_awake();
        }
        Some(turn)
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

/// What caller threads tell the I/O thread.
#[derive(Debug)]
pub(crate) struct ReadySignal {
    io_thread: IoThreadId,
    announcements: Mutex<Vec<Arc<PartitionQueue>>>,
    expiries: ExpiryRegister,
    /// How soon they are looked at by itself.
    watch: AtomicU32,
    /// The bytes of full batches that were announced since the last look and did not wake the I/O thread.
    waiting_bytes: AtomicUsize,
    /// Every partition that waits is to be looked at: a flush, a close, or a thread that waits for memory.
    recheck_all: AtomicBool,
    /// Which caller waits awake for an answer.
    spin: AdaptiveSpin,
    /// Set when the I/O thread's selector exists; unit tests have none.
    waker: OnceLock<Waker>,
}

impl ReadySignal {
    pub(crate) fn new(io_thread: IoThreadId) -> Arc<Self> {
        Arc::new(Self {
            io_thread,
            announcements: Mutex::default(),
            expiries: ExpiryRegister::default(),
            watch: AtomicU32::new(Watch::Asleep as u32),
            waiting_bytes: AtomicUsize::new(0),
            recheck_all: AtomicBool::new(false),
            spin: AdaptiveSpin::default(),
            waker: OnceLock::new(),
        })
    }

    pub(crate) fn set_waker(&self, waker: Waker) {
        // Set once, by the constructor of the producer.
        let _ = self.waker.set(waker);
    }

    /// Ends the I/O thread's wait. Cheap while the thread is awake.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    pub(super) fn io_thread(&self) -> IoThreadId {
        self.io_thread
    }

    /// The accumulator is gone, and with it everybody who would look. An announced partition and this hold each other, so
    /// that neither would ever be freed, nor the selector's waker that this holds.
    pub(super) fn forget_announcements(&self) {
        self.announcements.lock().clear();
        self.expiries.clear();
    }

    pub(super) fn expiry_register(&self) -> &ExpiryRegister {
        &self.expiries
    }

    pub(super) fn recheck_all(&self) {
        self.recheck_all.store(true, Ordering::SeqCst);
    }

    pub(super) fn take_recheck_all(&self) -> bool {
        self.recheck_all.swap(false, Ordering::SeqCst)
    }

    /// How soon the I/O thread looks at what was announced before this was called.
    pub(super) fn watch(&self) -> Watch {
        match self.watch.load(Ordering::Acquire) {
            0 => Watch::Asleep,
            1 => Watch::Patient,
            _ => Watch::Pacing,
        }
    }

    /// Publishes how soon the I/O thread looks after it has begun to wait. True if it may not wait: something was announced
    /// by somebody who relied on a closer watch.
    ///
    /// A caller announces and then asks for the watch; this publishes the watch and then looks for announcements. Both do
    /// it with the lock between, so one of them sees what the other did.
    pub(super) fn begin_watch(&self, watch: Watch) -> bool {
        let before = self.watch.swap(watch as u32, Ordering::AcqRel);
        (watch as u32) < before && !self.announcements.lock().is_empty()
    }

    /// Counts bytes that the I/O thread is not woken for, and says how many those are now.
    pub(super) fn add_waiting(&self, bytes: usize) -> usize {
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Moves the announcements to `into`, which is empty and keeps its capacity.
    pub(super) fn take_announcements(&self, into: &mut Vec<Arc<PartitionQueue>>) {
        // Whoever announces between the two lines has counted in vain, and what follows waits a little longer.
        self.waiting_bytes.store(0, Ordering::Relaxed);
        std::mem::swap(&mut *self.announcements.lock(), into);
    }
}
