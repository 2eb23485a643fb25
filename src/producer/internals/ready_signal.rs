//! The announcements that make the I/O thread look at a partition.
//!
//! A partition is announced when it changes: its first batch, a full batch, a waiting caller, a
//! batch that left the in-flight requests. The I/O thread looks only at announced partitions. So
//! the work of a round is proportional to the number of changed partitions, and not to the number
//! of partitions that exist.
//!
//! Threads: callers and the I/O thread announce; the I/O thread takes the announcements.
//! Locks: the announcements' mutex is a leaf, held for a push or a swap.

use std::fmt;

use super::io_thread::IoThreadId;
use crate::common::TopicPartition;
use crate::network::Waker;
use crate::sync::{Arc, AtomicBool, AtomicU32, AtomicUsize, Mutex, OnceLock, Ordering};
use crate::utils::{AdaptiveSpin, SpinTurn};

/// The I/O thread does not know of changes to the partition unless they are announced.
const WANTED: u32 = 0;
/// The I/O thread will look at the partition anyway, and see the change then.
const LOOK_IS_COMING: u32 = 1;
/// The partition is among the announcements.
const ANNOUNCED: u32 = 2;

/// A partition as its batches, their results and the callers' futures know it: its name, and the
/// means to announce it.
pub(crate) struct PartitionHandle {
    topic_partition: TopicPartition,
    /// The same number for all partitions of the topic.
    topic_number: usize,
    signal: Arc<ReadySignal>,
    /// Whether the I/O thread needs announcements: [`WANTED`], [`LOOK_IS_COMING`] or [`ANNOUNCED`].
    /// The I/O thread sets `WANTED` before or inside the critical section in which it looks at the
    /// deque. It sets `LOOK_IS_COMING` only if a later look is certain. So if a caller changes the
    /// deque and then reads anything other than `WANTED`, a later look will see the change.
    news: AtomicU32,
    /// The number of batches that were drained and have no outcome. Only the I/O thread counts.
    in_flight: AtomicU32,
    /// The index of the I/O thread's own data about the partition, plus one; 0 means none. Only the
    /// I/O thread uses this.
    slot: AtomicU32,
}

impl PartitionHandle {
    pub(super) fn new(
        topic_partition: TopicPartition,
        topic_number: usize,
        signal: Arc<ReadySignal>,
    ) -> Arc<Self> {
        Arc::new(Self {
            topic_partition,
            topic_number,
            signal,
            news: AtomicU32::new(WANTED),
            in_flight: AtomicU32::new(0),
            slot: AtomicU32::new(0),
        })
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// Returns the number of the topic, which it has for as long as the accumulator has the topic.
    pub(crate) fn topic_number(&self) -> usize {
        self.topic_number
    }

    /// Returns the order of the partition in a request: behind those of topics that came earlier, and with its topic's
    /// others.
    pub(crate) fn order_in_request(&self) -> (usize, i32) {
        (self.topic_number, self.topic_partition.partition())
    }

    pub(crate) fn io_thread(&self) -> IoThreadId {
        self.signal.io_thread
    }

    /// Asks the I/O thread to look at this partition in its next round. Does not wake it.
    ///
    /// Called after the change. The I/O thread clears the mark before it looks. So if a caller
    /// finds the partition already announced, the look is still to come.
    pub(crate) fn announce(self: &Arc<Self>) {
        if self.news.swap(ANNOUNCED, Ordering::AcqRel) != ANNOUNCED {
            self.signal.announcements.lock().push(Arc::clone(self));
        }
    }

    pub(crate) fn wake_io_thread(&self) {
        self.signal.wake();
    }

    /// Returns whether a change of the deque must be announced. Called after the change.
    #[inline]
    pub(super) fn wants_news(&self) -> bool {
        self.news.load(Ordering::Acquire) != LOOK_IS_COMING
    }

    /// Requests announcements from now on: the I/O thread is about to look, or is looking with the
    /// partition locked.
    pub(super) fn want_news(&self) {
        // An announced partition stays announced, because it is already in the list.
        self.replace_news(LOOK_IS_COMING, WANTED);
    }

    /// Notes that the I/O thread has looked, and is certain to look again.
    pub(super) fn expect_look(&self) {
        // A caller may have announced a change meanwhile.
        self.replace_news(WANTED, LOOK_IS_COMING);
    }

    #[inline]
    fn replace_news(&self, from: u32, to: u32) {
        if self.news.load(Ordering::Acquire) == from {
            // Fails if a caller announces the partition meanwhile. It then stays announced.
            let _ = self
                .news
                .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Notes that a batch of this partition was drained.
    pub(super) fn begin_flight(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a drained batch has an outcome, or was put back.
    pub(super) fn end_flight(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn has_batch_in_flight(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    pub(super) fn slot(&self) -> Option<u32> {
        self.slot.load(Ordering::Relaxed).checked_sub(1)
    }

    pub(super) fn set_slot(&self, slot: Option<u32>) {
        let number = slot.map_or(0, |slot| slot + 1);
        self.slot.store(number, Ordering::Relaxed);
    }

    /// Returns a turn for the caller to poll for a response without sleeping, if that is likely to
    /// pay off. The I/O thread stays awake too.
    pub(crate) fn take_spin_turn(&self) -> Option<SpinTurn<'_>> {
        let turn = self.signal.spin.take_turn()?;
        if let Some(waker) = self.signal.waker.get() {
            waker.stay_awake();
        }
        Some(turn)
    }
}

impl fmt::Debug for PartitionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the signal, whose announcements contain handles.
        f.debug_struct("PartitionHandle")
            .field("topic_partition", &self.topic_partition)
            .field("news", &self.news)
            .finish_non_exhaustive()
    }
}

/// What callers tell the I/O thread.
#[derive(Debug)]
pub(crate) struct ReadySignal {
    io_thread: IoThreadId,
    announcements: Mutex<Vec<Arc<PartitionHandle>>>,
    /// The bytes of full batches that were announced since the last look without waking the I/O
    /// thread.
    waiting_bytes: AtomicUsize,
    /// Every waiting partition must be looked at, because of a flush, a close, or a thread that
    /// waits for memory.
    recheck_all: AtomicBool,
    /// The turns of callers to poll for a response.
    spin: AdaptiveSpin,
    /// Set once the I/O thread's selector exists. Not set in unit tests.
    waker: OnceLock<Waker>,
}

impl ReadySignal {
    pub(crate) fn new(io_thread: IoThreadId) -> Arc<Self> {
        Arc::new(Self {
            io_thread,
            announcements: Mutex::default(),
            waiting_bytes: AtomicUsize::new(0),
            recheck_all: AtomicBool::new(false),
            spin: AdaptiveSpin::default(),
            waker: OnceLock::new(),
        })
    }

    pub(crate) fn set_waker(&self, waker: Waker) {
        // Set once, by the producer's constructor.
        let _ = self.waker.set(waker);
    }

    /// Ends the I/O thread's wait. Cheap if the thread is awake.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    pub(super) fn io_thread(&self) -> IoThreadId {
        self.io_thread
    }

    /// Drops the announcements when the I/O thread stops. An announced partition and this signal
    /// refer to each other, and the signal refers to the selector's waker, so neither would ever be
    /// freed.
    pub(super) fn forget_announcements(&self) {
        self.announcements.lock().clear();
    }

    pub(super) fn recheck_all(&self) {
        self.recheck_all.store(true, Ordering::SeqCst);
    }

    pub(super) fn take_recheck_all(&self) -> bool {
        self.recheck_all.swap(false, Ordering::SeqCst)
    }

    /// Returns whether there are announcements that the I/O thread has not taken.
    ///
    /// A caller announces, and then reads when the I/O thread's wait ends. The I/O thread publishes
    /// that time, and then calls this. Both take the lock between their two steps, so at least one
    /// of them sees the other's first step.
    pub(super) fn has_announcements(&self) -> bool {
        !self.announcements.lock().is_empty()
    }

    /// Counts bytes for which the I/O thread was not woken. Returns their total.
    pub(super) fn add_waiting(&self, bytes: usize) -> usize {
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Moves the announcements to `into`, which is empty and keeps its capacity. Later changes need
    /// a new announcement.
    pub(super) fn take_announcements(&self, into: &mut Vec<Arc<PartitionHandle>>) {
        // A caller that announces between these two lines loses its count. The next bytes then wait
        // slightly longer.
        self.waiting_bytes.store(0, Ordering::Relaxed);
        std::mem::swap(&mut *self.announcements.lock(), into);
        for partition in into {
            // A swap instead of a store. A caller that expedites a batch changes it without the
            // partition's lock, and does not announce a partition that is already announced. The
            // following look must see that change.
            partition.news.swap(WANTED, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> Arc<PartitionHandle> {
        let signal = ReadySignal::new(IoThreadId::next());
        PartitionHandle::new(TopicPartition::new("t", 0), 0, signal)
    }

    fn take(partition: &Arc<PartitionHandle>) -> usize {
        let mut taken = Vec::new();
        partition.signal.take_announcements(&mut taken);
        taken.len()
    }

    #[test]
    fn a_partition_is_announced_once_until_it_is_looked_at() {
        let partition = partition();
        partition.announce();
        partition.announce();
        assert_eq!(take(&partition), 1);
        partition.announce();
        assert_eq!(take(&partition), 1);
    }

    #[test]
    fn changes_are_no_news_while_a_look_is_to_come() {
        let partition = partition();
        assert!(partition.wants_news());
        partition.expect_look();
        assert!(!partition.wants_news());
        partition.want_news();
        assert!(partition.wants_news());
    }

    /// A caller waits for a batch of a partition in a ready queue.
    #[test]
    fn an_announcement_is_taken_whether_or_not_a_look_is_to_come() {
        let partition = partition();
        partition.expect_look();
        partition.announce();
        partition.want_news();
        partition.expect_look();
        assert!(partition.wants_news(), "it is announced");
        assert_eq!(take(&partition), 1);
    }
}
