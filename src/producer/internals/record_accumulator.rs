//! Collects records into batches, partition by partition, until they are sent. Java:
//! `RecordAccumulator`.
//!
//! It has two halves. Callers share [`RecordAccumulator`]: topics, deques, [`append`], flush and
//! close. The I/O thread owns the [`Scheduler`], which knows where each partition waits
//! ([`parked`], [`parking`]). [`ready`] determines the nodes with something to send, and [`pacing`]
//! whether they wait for more. [`drain`] takes batches. [`retry`] puts them back, splits and aborts
//! them. [`expiry`] finds those that have timed out. Java has all of these in one class, under the
//! same names.
//!
//! Threads: callers append; the I/O thread does the rest. Both use the partitions' deques.
//! Locks: one mutex per partition, held for the copy of a record and for counters. Some locks are
//! taken under it, one at a time: the transaction manager's at drain and, in a transaction, at the
//! start of a batch; at the start of a batch also those of the incomplete batches, the spare
//! thunks, the compression ratios, the idle codec states and the expiry register; and the
//! `BufferPool`'s when a batch gets another chunk. No thread waits for memory while it holds the
//! mutex. The topic table has a lock, which a send does not take. The scheduler has none.
//! Differs from Java: partitions are announced (see [`ready_signal`](super::ready_signal)) instead
//! of all being visited in each round. A partition that may not send does not block others on its
//! node. Batches grow if their partition is backlogged. With
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

pub(crate) use self::append::{AppendContext, AppendOutcome, Joined, Share};
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

/// The settings of the accumulator, named after their configuration keys.
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
    /// `partitioner.availability.timeout.ms`; zero disables it.
    pub(crate) availability_timeout: Duration,
    /// `client.rack` if `partitioner.rack.aware` is on.
    pub(crate) rack: Option<Arc<str>>,
}

/// The callers' half. See the module's documentation.
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
    /// The number of batches in all deques.
    undrained: AtomicUsize,
    closed: AtomicBool,
}

/// The I/O thread's half: where each partition waits, and what follows from that. See the module's
/// documentation.
#[derive(Debug)]
pub(crate) struct Scheduler {
    accumulator: Arc<RecordAccumulator>,
    backoff: ExponentialBackoff,
    routes: Routes,
    parking: Parking,
    expiries: Expiries,
    load: LoadReports,
    /// When the last round that filled a request began.
    filled: Option<Instant>,
    /// How long a round that fills requests takes.
    request_cost: Typical,
    /// Emptied and refilled in each round.
    announcements: Vec<Arc<PartitionHandle>>,
    /// The partitions to look at. Also refilled in each round.
    to_look_at: Vec<SlotId>,
}

impl RecordAccumulator {
    /// Creates both halves.
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

    /// Waits for every batch that is incomplete now, including the parts of split ones. Returns the
    /// number of batches without an outcome at the deadline, which no longer linger. Java:
    /// `awaitFlushCompletion`.
    ///
    /// # Blocking
    ///
    /// Until each batch has an outcome, which `delivery.timeout.ms` bounds, or until `deadline`.
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

    /// Returns whether a batch waits in any deque.
    pub(crate) fn has_undrained(&self) -> bool {
        self.undrained.load(Ordering::Acquire) > 0
    }

    /// Refuses further records, makes the present ones sendable immediately, and wakes the threads
    /// that wait for memory. When it returns, every accepted record is in a batch that counts as
    /// undrained.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // An append that checked before the line above may still add its batch. The I/O thread must
        // not find nothing and end before that.
        self.await_appends();
        self.free.close();
        self.signal.recheck_all();
    }

    /// Waits for the running appends. Later ones see what changed before this call.
    ///
    /// A running append holds its partition's lock, so this takes each lock once. It holds the
    /// topic table, so that no other queue appears.
    fn await_appends(&self) {
        for queue in self.topics.lock().partitions() {
            drop(queue.state.lock());
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Returns whether every batch is sent immediately. Threads that wait for memory are visible
    /// here before they sleep.
    fn is_urgent(&self) -> bool {
        self.free.queued() > 0 || self.is_closed() || self.is_flush_in_progress()
    }

    /// Returns whether an appended record has no outcome yet. Waits for running appends: if the
    /// calling thread made the producer refuse records before, it sees every record that was not
    /// refused.
    pub(crate) fn has_incomplete_batches(&self) -> bool {
        // Takes the locks of all partitions only if the answer depends on them.
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
