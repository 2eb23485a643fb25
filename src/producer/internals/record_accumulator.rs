//! Collects records into batches, partition by partition, until they are sent. Java: `RecordAccumulator`.
//!
//! It has two halves. Callers share [`RecordAccumulator`]: topics, deques, [`append`], flush and close. The I/O thread owns
//! the [`Scheduler`], which knows where each partition waits ([`parked`], [`parking`]): [`ready`] says which nodes have
//! something to send and [`pacing`] whether they wait for more, [`drain`] takes it, [`retry`] puts back, splits and aborts,
//! [`expiry`] finds what has waited too long. Java has all of these in one class, under the same names.
//!
//! Threads: callers append; the I/O thread does the rest. Both use the partitions' deques.
//! Locks: one mutex per partition, held for the copy of a record and the counters. Under it, one at a time: the transaction
//! manager's at drain and, in a transaction, where a batch begins; those of the incomplete batches, the spare thunks, the
//! compression ratios, the idle codec states and the expiry register where a batch begins; the `BufferPool`'s where a batch
//! gets another chunk. No thread waits for memory with it. The topic table has a lock that a send does not take. The
//! scheduler has none.
//! Differs from Java: partitions announce themselves (see [`ready_signal`](super::ready_signal))
//! instead of all being visited each round; a partition that may not send does not stop others on
//! its node; batches grow where a partition is backlogged; with
//! `buffer.memory.allocation.strategy=incremental` (KIP-1332) the chunks of a batch double, see
//! [`memory`].

mod append;
mod drain;
mod expiry;
mod load;
mod memory;
mod pacing;
mod parked;
mod parking;
mod partition_queue;
mod queue_metrics;
mod ready;
mod retry;
mod route;
mod topics;

use std::time::{Duration, Instant};

pub(crate) use self::append::{AppendContext, AppendOutcome, Joined};
use self::expiry::{Expiries, ExpiryRegister};
use self::load::LoadReports;
use self::pacing::{Typical, WaitNotice};
use self::parking::{Parking, SlotId};
use self::route::Routes;
use self::topics::{TopicQueues, TopicTable};
use super::batch::{IncompleteBatches, SpareThunks};
use super::buffer_pool::BufferPool;
use super::io_thread::IoThreadId;
use super::ready_signal::{PartitionHandle, ReadySignal};
use crate::producer::BufferMemoryAllocationStrategy;
use crate::record::{Compression, CompressionRatioEstimator};
use crate::sync::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering};
use crate::utils::{ExponentialBackoff, Time};

/// The settings of the accumulator, from the configuration keys that they are named after.
#[derive(Debug)]
pub(crate) struct AccumulatorConfig {
    pub(crate) batch_size: usize,
    pub(crate) allocation: BufferMemoryAllocationStrategy,
    pub(crate) compression: Compression,
    pub(crate) linger: Duration,
    pub(crate) retry_backoff: Duration,
    pub(crate) retry_backoff_max: Duration,
    pub(crate) delivery_timeout: Duration,
    pub(crate) max_request_size: usize,
    pub(crate) adaptive_partitioning: bool,
    /// `partitioner.availability.timeout.ms`; zero is off.
    pub(crate) availability_timeout: Duration,
    /// `client.rack` where `partitioner.rack.aware` is on.
    pub(crate) rack: Option<Arc<str>>,
}

/// The callers' half; see the module's documentation.
#[derive(Debug)]
pub(crate) struct RecordAccumulator {
    config: AccumulatorConfig,
    time: Arc<dyn Time>,
    signal: Arc<ReadySignal>,
    wait: WaitNotice,
    free: Arc<BufferPool>,
    incomplete: Arc<IncompleteBatches>,
    spare_thunks: Arc<SpareThunks>,
    ratio: CompressionRatioEstimator,
    topics: Mutex<TopicTable>,
    expiries: ExpiryRegister,
    flushes_in_progress: AtomicUsize,
    /// Batches in all deques.
    undrained: AtomicUsize,
    closed: AtomicBool,
}

/// The I/O thread's half: where each partition waits, and what follows from it. See the module's documentation.
#[derive(Debug)]
pub(crate) struct Scheduler {
    accumulator: Arc<RecordAccumulator>,
    backoff: ExponentialBackoff,
    routes: Routes,
    parking: Parking,
    expiries: Expiries,
    load: LoadReports,
    /// The round that last filled a request, by the time when it began.
    filled: Option<Instant>,
    /// How long a round takes that fills requests.
    request_cost: Typical,
    /// Emptied and refilled in each round.
    announcements: Vec<Arc<PartitionHandle>>,
    /// As above: the partitions to look at.
    to_look_at: Vec<SlotId>,
}

impl RecordAccumulator {
    /// Makes both halves.
    pub(crate) fn new(
        config: AccumulatorConfig,
        free: Arc<BufferPool>,
        time: Arc<dyn Time>,
    ) -> (Arc<Self>, Scheduler) {
        let backoff = ExponentialBackoff::new(config.retry_backoff, config.retry_backoff_max);
        let accumulator = Arc::new(Self::callers_half(config, free, time));
        let scheduler = Scheduler {
            accumulator: Arc::clone(&accumulator),
            backoff,
            routes: Routes::default(),
            parking: Parking::default(),
            expiries: Expiries::default(),
            load: LoadReports::default(),
            filled: None,
            request_cost: Typical::default(),
            announcements: Vec::new(),
            to_look_at: Vec::new(),
        };
        (accumulator, scheduler)
    }

    fn callers_half(config: AccumulatorConfig, free: Arc<BufferPool>, time: Arc<dyn Time>) -> Self {
        Self {
            config,
            wait: WaitNotice::new(time.now()),
            time,
            signal: ReadySignal::new(IoThreadId::next()),
            free,
            incomplete: Arc::default(),
            spare_thunks: Arc::default(),
            ratio: CompressionRatioEstimator::new(),
            topics: Mutex::default(),
            expiries: ExpiryRegister::default(),
            flushes_in_progress: AtomicUsize::new(0),
            undrained: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn signal(&self) -> &Arc<ReadySignal> {
        &self.signal
    }

    pub(crate) fn io_thread(&self) -> IoThreadId {
        self.signal.io_thread()
    }

    pub(crate) fn pool(&self) -> &Arc<BufferPool> {
        &self.free
    }

    /// Makes every batch sendable until [`Self::end_flush`].
    pub(crate) fn begin_flush(&self) {
        self.flushes_in_progress.fetch_add(1, Ordering::SeqCst);
        self.signal.recheck_all();
    }

    pub(crate) fn end_flush(&self) {
        self.flushes_in_progress.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn is_flush_in_progress(&self) -> bool {
        self.flushes_in_progress.load(Ordering::SeqCst) > 0
    }

    /// Waits for every batch that is incomplete now, the parts of those that are split included. Returns how many have no
    /// outcome at the deadline; these do not linger any more. Java: `awaitFlushCompletion`.
    ///
    /// # Blocking
    ///
    /// Until each has an outcome, which `delivery.timeout.ms` bounds, and at most until `deadline`.
    pub(crate) fn await_flush_completion(&self, deadline: Option<Instant>) -> usize {
        let mut open = 0;
        for result in self.incomplete.copy_all() {
            if !result.wait_all(deadline) {
                result.expedite();
                open += 1;
            }
        }
        open
    }

    #[cfg(test)]
    pub(crate) fn has_incomplete(&self) -> bool {
        !self.incomplete.is_empty()
    }

    /// Whether a batch waits in any deque.
    pub(crate) fn has_undrained(&self) -> bool {
        self.undrained.load(Ordering::Acquire) > 0
    }

    /// Refuses further records, lets those that are here go out at once, and wakes the threads that wait for memory. When it
    /// returns, everything that was taken is counted as undrained.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // An append that looked before the line above would add its batch when the I/O thread has found nothing left and
        // ended.
        self.await_appends();
        self.free.close();
        self.signal.recheck_all();
    }

    /// Waits for the appends that are under way. Those that come later see what was changed before this was called.
    ///
    /// An append that looked before may still be at work in its partition's lock. Each lock is waited for once; with the
    /// topic table held no queue comes that is not among them.
    fn await_appends(&self) {
        for queue in self.topics.lock().partitions() {
            drop(queue.state.lock());
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether every batch goes out at once. Threads that wait for memory show here before they are asleep.
    fn is_urgent(&self) -> bool {
        self.free.queued() > 0 || self.is_closed() || self.is_flush_in_progress()
    }

    /// Returns whether an appended record has no outcome yet. Waits for appends that are running:
    /// the thread that made the producer refuse records before sees every one that it did not
    /// refuse.
    pub(crate) fn has_incomplete_batches(&self) -> bool {
        // The locks of all partitions are taken only where the answer depends on them.
        !self.incomplete.is_empty() || {
            self.await_appends();
            !self.incomplete.is_empty()
        }
    }
}

impl Scheduler {
    pub(crate) fn accumulator(&self) -> &Arc<RecordAccumulator> {
        &self.accumulator
    }
}

impl Drop for RecordAccumulator {
    fn drop(&mut self) {
        self.signal.forget_announcements();
    }
}

#[cfg(test)]
mod tests;
