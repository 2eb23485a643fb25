//! How callers have the I/O thread look at a partition.
//!
//! A partition announces itself when something about it changes: its first batch, a full batch, a waiting caller, a batch
//! that left the in-flight requests. The I/O thread looks at announced partitions only, so the work of one round is in
//! proportion to the partitions where something happened, and not to those that exist.
//!
//! Threads: callers and the I/O thread announce; the I/O thread takes the announcements.
//! Locks: the announcements' mutex is a leaf, held for a push or a swap.

use std::fmt;

use super::io_thread::IoThreadId;
use crate::common::TopicPartition;
use crate::network::Waker;
use crate::sync::{Arc, AtomicBool, AtomicU32, AtomicUsize, Mutex, OnceLock, Ordering};
use crate::utils::{AdaptiveSpin, SpinTurn};

/// The I/O thread waits for a change of the partition, and only an announcement tells it.
const WANTED: u32 = 0;
/// The I/O thread will look at the partition by itself, and see the change then.
const LOOK_IS_COMING: u32 = 1;
/// The partition is among the announcements.
const ANNOUNCED: u32 = 2;

/// A partition as its batches, their results and the callers' futures know it: its name, and how to have the I/O thread
/// look at it.
pub(crate) struct PartitionHandle {
    topic_partition: TopicPartition,
    /// The same for all partitions of the topic.
    topic_number: usize,
    signal: Arc<ReadySignal>,
    /// Whether the I/O thread wants to hear of a change: [`WANTED`], [`LOOK_IS_COMING`] or [`ANNOUNCED`]. The I/O thread
    /// sets `WANTED` before or inside the critical section in which it looks at the deque, and `LOOK_IS_COMING` only if a
    /// later look is certain. So a caller that changed the deque and then reads anything but `WANTED` knows that a look
    /// is still to come and will see the change.
    news: AtomicU32,
    /// The batches that were drained and are not settled. Only the I/O thread counts.
    in_flight: AtomicU32,
    /// Where the I/O thread keeps what it knows of the partition, plus one; 0 is nowhere. Only the I/O thread uses this.
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
    /// Called after the change. The I/O thread clears the mark before it looks, so a caller that finds the partition
    /// announced knows that the look is still to come.
    pub(crate) fn announce(self: &Arc<Self>) {
        if self.news.swap(ANNOUNCED, Ordering::AcqRel) != ANNOUNCED {
            self.signal.announcements.lock().push(Arc::clone(self));
        }
    }

    pub(crate) fn wake_io_thread(&self) {
        self.signal.wake();
    }

    /// Returns whether the I/O thread is to be told of a change of the deque. Called after the change.
    #[inline]
    pub(super) fn wants_news(&self) -> bool {
        self.news.load(Ordering::Acquire) != LOOK_IS_COMING
    }

    /// The I/O thread is about to look, or looks with the partition locked: later changes are news.
    pub(super) fn want_news(&self) {
        // An announced partition stays so, because it is in the list already.
        self.replace_news(LOOK_IS_COMING, WANTED);
    }

    /// The I/O thread has looked, and is sure to look again.
    pub(super) fn expect_look(&self) {
        // A caller may have announced a change since.
        self.replace_news(WANTED, LOOK_IS_COMING);
    }

    #[inline]
    fn replace_news(&self, from: u32, to: u32) {
        if self.news.load(Ordering::Acquire) == from {
            // It fails if a caller announces the partition meanwhile, which stays announced then.
            let _ = self
                .news
                .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
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

    pub(super) fn slot(&self) -> Option<u32> {
        self.slot.load(Ordering::Relaxed).checked_sub(1)
    }

    pub(super) fn set_slot(&self, slot: Option<u32>) {
        let number = slot.map_or(0, |slot| slot + 1);
        self.slot.store(number, Ordering::Relaxed);
    }

    /// The turn of a caller to wait awake for a response, if that is likely to pay. The I/O thread stays awake too.
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
        // The signal's announcements hold handles.
        f.debug_struct("PartitionHandle")
            .field("topic_partition", &self.topic_partition)
            .field("news", &self.news)
            .finish_non_exhaustive()
    }
}

/// What caller threads tell the I/O thread.
#[derive(Debug)]
pub(crate) struct ReadySignal {
    io_thread: IoThreadId,
    announcements: Mutex<Vec<Arc<PartitionHandle>>>,
    /// The bytes of full batches that were announced since the last look and did not wake the I/O thread.
    waiting_bytes: AtomicUsize,
    /// Every partition that waits is to be looked at: a flush, a close, or a thread that waits for memory.
    recheck_all: AtomicBool,
    /// Which caller waits awake for a response.
    spin: AdaptiveSpin,
    /// Set when the I/O thread's selector exists; unit tests have none.
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

    /// Drops the announcements, once the I/O thread looks no more. An announced partition and this hold each other, and
    /// this holds the selector's waker: neither would ever be freed.
    pub(super) fn forget_announcements(&self) {
        self.announcements.lock().clear();
    }

    pub(super) fn recheck_all(&self) {
        self.recheck_all.store(true, Ordering::SeqCst);
    }

    pub(super) fn take_recheck_all(&self) -> bool {
        self.recheck_all.swap(false, Ordering::SeqCst)
    }

    /// Returns whether callers have announced something that was not taken.
    ///
    /// A caller announces and then reads when the I/O thread's wait ends; the I/O thread publishes that and then calls this.
    /// Both take the lock between the two steps, so one of them sees what the other did.
    pub(super) fn has_announcements(&self) -> bool {
        !self.announcements.lock().is_empty()
    }

    /// Counts bytes that the I/O thread is not woken for. Returns how many those are now.
    pub(super) fn add_waiting(&self, bytes: usize) -> usize {
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Moves the announcements to `into`, which is empty and keeps its capacity. What changes from now on is news.
    pub(super) fn take_announcements(&self, into: &mut Vec<Arc<PartitionHandle>>) {
        // A caller that announces between the two lines has counted in vain, and what follows waits a little longer.
        self.waiting_bytes.store(0, Ordering::Relaxed);
        std::mem::swap(&mut *self.announcements.lock(), into);
        for partition in into {
            // Exchanged and not stored: a caller that expedites a batch changes it without the partition's lock, and does not
            // announce what is announced. The look that follows sees what such a caller changed before.
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

    /// A caller waits for a batch of a partition that stands in a ready queue.
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
