//! Collects records into batches, partition by partition, until they are sent. Java: `RecordAccumulator`.
//!
//! This file holds the callers' half: append, flush, close. The I/O thread's half is in [`ready`] (which nodes have
//! something to send), [`drain`] (take it) and [`retry`] (put back, split, expire, abort).
//!
//! Threads: callers append; the I/O thread does the rest. Both use the partitions' deques.
//! Locks: one mutex per partition, held for the copy of a record and the counters. Under it, one at a time: the transaction
//! manager's at drain and, in a transaction, where a batch begins; those of the incomplete batches, the spare thunks, the
//! compression ratios and the idle codec states where a batch begins. Memory is never asked of the `BufferPool` with it. `io`
//! is the I/O thread's own state, and is taken by nobody else. The topic table is read without a lock and replaced whole.
//! Differs from Java: partitions announce themselves (see [`partition_queue`]) instead of all being visited each round; a
//! partition that may not send stops nobody else on its node; batches grow where a partition is backlogged.

mod drain;
mod partition_queue;
mod ready;
mod retry;

use std::time::Duration;

use hashbrown::HashMap;

use self::partition_queue::QueueState;
pub(crate) use self::partition_queue::{PartitionQueue, ReadySignal};
use self::ready::IoState;
use super::buffer_pool::{BufferPool, PooledBuffer};
use super::built_in_partitioner::{BuiltInPartitioner, StickyPartition};
use super::incomplete_batches::IncompleteBatches;
use super::io_thread::IoThreadId;
use super::produce_request_result::ProduceRequestResult;
use super::producer_batch::{AppendRecord, Appended, NewBatch, ProducerBatch};
use super::thunks::SpareThunks;
use super::transaction_manager::TransactionManager;
use crate::common::{Cluster, TopicInfo, TopicPartition};
use crate::error::{Error, ErrorKind, Result};
use crate::producer::Callback;
use crate::record::{Compression, CompressionRatioEstimator};
use crate::sync::{Arc, ArcSwap, AtomicBool, AtomicUsize, Mutex, MutexGuard, Ordering};
use crate::utils::{ExponentialBackoff, Time};

/// The settings of the accumulator, from the configuration keys that they are named after.
#[derive(Debug)]
pub(crate) struct AccumulatorConfig {
    pub(crate) batch_size: usize,
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

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct RecordAccumulator {
    config: AccumulatorConfig,
    time: Arc<dyn Time>,
    backoff: ExponentialBackoff,
    signal: Arc<ReadySignal>,
    free: Arc<BufferPool>,
    incomplete: Arc<IncompleteBatches>,
    spare_thunks: Arc<SpareThunks>,
    ratio: CompressionRatioEstimator,
    topics: ArcSwap<TopicTable>,
    /// Held while the topic table is replaced.
    topics_change: Mutex<()>,
    flushes_in_progress: AtomicUsize,
    /// Batches in all deques.
    undrained: AtomicUsize,
    closed: AtomicBool,
    io: Mutex<IoState>,
}

type TopicTable = HashMap<Arc<str>, Arc<TopicQueues>>;

/// The partitions of one topic.
#[derive(Debug)]
struct TopicQueues {
    /// By partition number.
    partitions: Vec<Arc<PartitionQueue>>,
    partitioner: Arc<BuiltInPartitioner>,
    /// No batch is opened larger than this: half of what a broker refused as too large.
    batch_ceiling: Arc<AtomicUsize>,
}

/// How an append is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppendContext<'a> {
    pub(crate) topic: &'a TopicInfo,
    pub(crate) cluster: &'a Cluster,
    /// How long to wait for memory; `None` is not at all.
    pub(crate) max_block: Option<Duration>,
    /// Stop before a new batch is opened, so that the partitioner can choose again.
    pub(crate) abort_for_new_batch: bool,
    /// Whether a future is wanted, which costs a share in the batch's result.
    pub(crate) with_future: bool,
    /// There for a transactional producer: what decides whether the record may be sent, and is to know its partition.
    pub(crate) transactions: Option<&'a TransactionManager>,
}

/// What became of an append.
#[derive(Debug)]
pub(crate) enum AppendOutcome {
    /// The record is at `index` of a batch, which begins with it where that is 0; `result` is there if a future was wanted.
    Appended {
        result: Option<Arc<ProduceRequestResult>>,
        index: u32,
    },
    /// It needs a new batch on `partition`, which `abort_for_new_batch` forbids.
    NewBatchNeeded { partition: i32 },
}

impl AppendOutcome {
    fn new(batch: &ProducerBatch, appended: &Appended, context: &AppendContext<'_>) -> Self {
        Self::Appended {
            result: context.with_future.then(|| Arc::clone(batch.result())),
            index: appended.index,
        }
    }
}

impl RecordAccumulator {
    pub(crate) fn new(
        config: AccumulatorConfig,
        free: Arc<BufferPool>,
        time: Arc<dyn Time>,
    ) -> Self {
        let backoff = ExponentialBackoff::new(config.retry_backoff, config.retry_backoff_max);
        Self {
            config,
            time,
            backoff,
            signal: ReadySignal::new(IoThreadId::next()),
            free,
            incomplete: Arc::default(),
            spare_thunks: Arc::default(),
            ratio: CompressionRatioEstimator::new(),
            topics: ArcSwap::default(),
            topics_change: Mutex::default(),
            flushes_in_progress: AtomicUsize::new(0),
            undrained: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            io: Mutex::default(),
        }
    }

    pub(crate) fn signal(&self) -> &Arc<ReadySignal> {
        &self.signal
    }

    pub(crate) fn io_thread(&self) -> IoThreadId {
        self.signal.io_thread()
    }

    #[cfg(test)]
    pub(crate) fn pool(&self) -> &Arc<BufferPool> {
        &self.free
    }

    /// Puts the record into a batch of `partition`, or of the sticky partition where that is `None`. The callback is taken
    /// when, and only when, the record was appended.
    ///
    /// # Errors
    ///
    /// `Closed`; the pool's errors; a record that no batch can hold.
    ///
    /// # Blocking
    ///
    /// For memory, up to the context's `max_block`.
    // Inlined into its one caller, with what it calls for a record that joins an open batch: what the record and the context
    // say then goes from register to register, where it would go through memory five times.
    #[inline(always)]
    pub(crate) fn append(
        &self,
        partition: Option<i32>,
        record: &AppendRecord<'_>,
        callback: &mut Option<Callback>,
        context: &AppendContext<'_>,
    ) -> Result<AppendOutcome> {
        let queues = context
            .topic
            .attachment(|| self.topic_queues(context.topic))
            .ok_or_else(queues_of_another)?;
        let place = queues.place(partition, context)?;
        let mut state = place.queue.state.lock();
        if self.may_append(&place, &state, context)? {
            if let Some((appended, outcome)) =
                append_to_tail(&mut state, record, callback, context)?
            {
                self.after_append(&place, state, &appended, context);
                return Ok(outcome);
            }
        }
        drop(state);
        self.append_to_new_batch(queues, partition, record, callback, context)
    }

    /// The rest of an append whose record did not join an open batch at once.
    #[inline(never)]
    fn append_to_new_batch(
        &self,
        queues: &TopicQueues,
        partition: Option<i32>,
        record: &AppendRecord<'_>,
        callback: &mut Option<Callback>,
        context: &AppendContext<'_>,
    ) -> Result<AppendOutcome> {
        let mut memory = None;
        loop {
            let place = queues.place(partition, context)?;
            let mut state = place.queue.state.lock();
            if !self.may_append(&place, &state, context)? {
                continue;
            }
            let joined = append_to_tail(&mut state, record, callback, context)?;
            let (appended, outcome) = match joined {
                Some(joined) => joined,
                None if context.abort_for_new_batch => {
                    let partition = place.queue.topic_partition().partition();
                    return Ok(AppendOutcome::NewBatchNeeded { partition });
                }
                None => match memory.take() {
                    Some(memory) => {
                        self.open_batch(&place, &mut state, memory, record, callback, context)?
                    }
                    None => {
                        let size = self.next_batch_size(queues, &state, record);
                        drop(state);
                        memory = Some(self.allocate(size, context.max_block)?);
                        continue;
                    }
                },
            };
            self.after_append(&place, state, &appended, context);
            return Ok(outcome);
        }
    }

    /// Whether the record may join this partition now that it is locked, and need not be placed anew.
    #[inline(always)]
    fn may_append(
        &self,
        place: &Place<'_>,
        state: &QueueState,
        context: &AppendContext<'_>,
    ) -> Result<bool> {
        // Under the lock, so that whoever closes and then takes every lock once knows that no append comes after.
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        // Under the lock too, so that no record is appended after the end of its transaction has begun.
        if let Some(transactions) = context.transactions {
            transactions.check_may_send()?;
        }
        Ok(place.is_sticky_choice_current(state, context))
    }

    /// Ends the batch at the back, and opens one with the record.
    fn open_batch(
        &self,
        place: &Place<'_>,
        state: &mut QueueState,
        memory: PooledBuffer,
        record: &AppendRecord<'_>,
        callback: &mut Option<Callback>,
        context: &AppendContext<'_>,
    ) -> Result<(Appended, AppendOutcome)> {
        if let Some(tail) = state.batches.back_mut() {
            tail.close_for_record_appends()?;
        }
        if let Some(transactions) = context.transactions {
            transactions.maybe_add_partition(place.queue.topic_partition())?;
        }
        let mut batch = self.new_batch(place, memory, record, context);
        let mut appended = batch.try_append(record, callback)?.unwrap_or_default();
        // The batch's header counts too.
        appended.growth = batch.estimated_size_in_bytes();
        let outcome = AppendOutcome::new(&batch, &appended, context);
        state.batches.push_back(batch);
        self.undrained.fetch_add(1, Ordering::AcqRel);
        place.queue.publish_len(state);
        Ok((appended, outcome))
    }

    /// Counts the record, lets the lock go, and tells the I/O thread if there is something new for it.
    #[inline(always)]
    fn after_append(
        &self,
        place: &Place<'_>,
        mut state: MutexGuard<'_, QueueState>,
        appended: &Appended,
        context: &AppendContext<'_>,
    ) {
        if let Some(sticky) = place.sticky {
            let produced = state.add_sticky_bytes(sticky.generation, appended.growth);
            let partitioner = &place.queues.partitioner;
            if partitioner.should_switch(produced, appended.is_full) {
                partitioner.switch_partition(sticky, context.topic, context.cluster);
            }
        }
        // A partition that stands in a ready queue, or is looked at again when a request in flight is answered, has a batch
        // to send, and more of them change nothing.
        let is_news = (appended.index == 0 || appended.is_full)
            && state.queued_on.is_none()
            && !state.is_blocked;
        drop(state);
        if is_news {
            place.queue.announce();
            self.signal.wake();
        }
    }

    fn new_batch(
        &self,
        place: &Place<'_>,
        memory: PooledBuffer,
        record: &AppendRecord<'_>,
        context: &AppendContext<'_>,
    ) -> ProducerBatch {
        let topic = place.queue.topic_partition().topic();
        ProducerBatch::new(NewBatch {
            partition: Arc::clone(place.queue),
            incomplete: &self.incomplete,
            spare_thunks: &self.spare_thunks,
            write_limit: memory.reserved().max(record.upper_bound()),
            memory,
            compression: &self.config.compression,
            compression_ratio: self.ratio.estimation(topic, self.config.compression.kind),
            is_transactional: context.transactions.is_some(),
            now: self.time.now(),
        })
    }

    /// `batch.size`, or more for a record that needs it or a partition whose batches wait for each other.
    fn next_batch_size(
        &self,
        queues: &TopicQueues,
        state: &QueueState,
        record: &AppendRecord<'_>,
    ) -> usize {
        let mut size = self.config.batch_size;
        let backlog = state.batches.len();
        if backlog >= BACKLOGGED {
            let ceiling = self
                .config
                .max_request_size
                .min(queues.batch_ceiling.load(Ordering::Relaxed))
                .min(self.free.total_memory() / SHARE_OF_MEMORY);
            // By doublings, since buffers of such sizes are used again.
            for _ in BACKLOGGED..=backlog {
                if size > ceiling / 2 {
                    break;
                }
                size *= 2;
            }
        }
        size.max(record.upper_bound())
    }

    fn allocate(&self, size: usize, max_block: Option<Duration>) -> Result<PooledBuffer> {
        let Some(max_block) = max_block else {
            return self.free.try_allocate(size);
        };
        if size > self.config.batch_size {
            if let Ok(buffer) = self.free.try_allocate(size) {
                return Ok(buffer);
            }
        }
        self.free.allocate(size, max_block, || {
            self.signal.recheck_all();
            self.signal.wake();
        })
    }

    /// The queues of the topic, with one for each partition that it has.
    fn topic_queues(&self, topic: &TopicInfo) -> Arc<TopicQueues> {
        let _change = self.topics_change.lock();
        let table = self.topics.load_full();
        let known = table.get(topic.name());
        let last = topic.partitions().last();
        let wanted = last.map_or(0, |last| last.partition().saturating_add(1));
        let count = known.map_or(0, |queues| queues.partitions.len());
        let missing = i32::try_from(count).unwrap_or(i32::MAX)..wanted;
        if let Some(known) = known.filter(|_| missing.is_empty()) {
            return Arc::clone(known);
        }
        let name = topic.shared_name();
        let mut partitions = known.map_or_else(Vec::new, |queues| queues.partitions.clone());
        partitions.extend(missing.map(|number| {
            let topic_partition = TopicPartition::new(Arc::clone(name), number);
            PartitionQueue::new(topic_partition, Arc::clone(&self.signal))
        }));
        let new_partitioner =
            || BuiltInPartitioner::new(self.config.batch_size, self.config.rack.clone());
        let queues = Arc::new(TopicQueues {
            partitions,
            partitioner: known.map_or_else(
                || Arc::new(new_partitioner()),
                |queues| Arc::clone(&queues.partitioner),
            ),
            batch_ceiling: known.map_or_else(
                || Arc::new(AtomicUsize::new(usize::MAX)),
                |queues| Arc::clone(&queues.batch_ceiling),
            ),
        });
        let mut table = TopicTable::clone(&table);
        table.insert(Arc::clone(name), Arc::clone(&queues));
        self.topics.store(Arc::new(table));
        queues
    }

    fn queue(&self, topic_partition: &TopicPartition) -> Option<Arc<PartitionQueue>> {
        let topics = self.topics.load();
        let queues = topics.get(topic_partition.topic())?;
        let index = usize::try_from(topic_partition.partition()).ok()?;
        queues.partitions.get(index).cloned()
    }

    /// Every partition that was ever appended to. For what happens seldom.
    fn all_queues(&self) -> Vec<Arc<PartitionQueue>> {
        let topics = self.topics.load();
        topics
            .values()
            .flat_map(|queues| queues.partitions.iter().cloned())
            .collect()
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

    /// Waits for every batch that is incomplete now, the parts of those that are split included. Java:
    /// `awaitFlushCompletion`.
    ///
    /// # Blocking
    ///
    /// Until each has an outcome, which `delivery.timeout.ms` bounds.
    pub(crate) fn await_flush_completion(&self) {
        for result in self.incomplete.copy_all() {
            result.wait_all();
        }
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
        let _change = self.topics_change.lock();
        for queue in self.all_queues() {
            drop(queue.state.lock());
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// The number of waiting batches from which on a partition counts as backlogged.
const BACKLOGGED: usize = 2;

/// A batch that has grown takes at most this part of `buffer.memory`, so that other partitions are not starved.
const SHARE_OF_MEMORY: usize = 16;

/// Where an append goes.
struct Place<'a> {
    queues: &'a TopicQueues,
    queue: &'a Arc<PartitionQueue>,
    sticky: Option<StickyPartition>,
}

/// Appends to the batch at the back, if it has room.
#[inline(always)]
fn append_to_tail(
    state: &mut QueueState,
    record: &AppendRecord<'_>,
    callback: &mut Option<Callback>,
    context: &AppendContext<'_>,
) -> Result<Option<(Appended, AppendOutcome)>> {
    let Some(tail) = state.batches.back_mut() else {
        return Ok(None);
    };
    let appended = tail.try_append(record, callback)?;
    Ok(appended.map(|appended| {
        let outcome = AppendOutcome::new(tail, &appended, context);
        (appended, outcome)
    }))
}

#[cold]
fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the producer is closed")
}

#[cold]
fn queues_of_another() -> Error {
    Error::new(ErrorKind::Internal, "a topic with somebody else's queues")
}

#[cold]
fn no_such_partition(topic: &TopicInfo, partition: i32) -> Error {
    let text = format!("topic {} has no partition {partition}", topic.name());
    Error::new(ErrorKind::IllegalArgument, text)
}

impl TopicQueues {
    /// The place of a partition, or of the sticky one.
    #[inline(always)]
    fn place(&self, partition: Option<i32>, context: &AppendContext<'_>) -> Result<Place<'_>> {
        let (number, sticky) = match partition {
            Some(partition) => (partition, None),
            None => {
                let partitioner = &self.partitioner;
                let sticky = partitioner.peek_current_partition(context.topic, context.cluster);
                (sticky.partition, Some(sticky))
            }
        };
        let queue = usize::try_from(number)
            .ok()
            .and_then(|index| self.partitions.get(index))
            .ok_or_else(|| no_such_partition(context.topic, number))?;
        Ok(Place {
            queues: self,
            queue,
            sticky,
        })
    }
}

impl Place<'_> {
    /// Whether the sticky choice still holds now that the partition is locked. A switch that was put off until the batch
    /// is full is made here.
    #[inline(always)]
    fn is_sticky_choice_current(&self, state: &QueueState, context: &AppendContext<'_>) -> bool {
        let Some(sticky) = self.sticky else {
            return true;
        };
        let partitioner = &self.queues.partitioner;
        if partitioner.is_partition_changed(sticky) {
            return false;
        }
        let produced = state.sticky_bytes(sticky.generation);
        if produced > 0 && state.is_tail_full() && partitioner.should_switch(produced, true) {
            partitioner.switch_partition(sticky, context.topic, context.cluster);
            return false;
        }
        true
    }
}

impl Drop for RecordAccumulator {
    fn drop(&mut self) {
        self.signal.forget_announcements();
    }
}

#[cfg(test)]
mod tests;
