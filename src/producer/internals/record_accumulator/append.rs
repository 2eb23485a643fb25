//! The callers' half: appends a record to the open batch of its partition, or to a new one.

use super::partition_queue::{PartitionQueue, QueueState};
use super::{RecordAccumulator, TopicQueues};
use crate::common::{Cluster, TopicInfo};
use crate::error::{Error, ErrorKind, Result};
use crate::producer::Callback;
use crate::producer::internals::batch::ProduceRequestResult;
use crate::producer::internals::batch::{
    AppendRecord, Appended, Extension, NewBatch, ProducerBatch,
};
use crate::producer::internals::buffer_pool::PooledBuffer;
use crate::producer::internals::built_in_partitioner::{
    StickyPartition, is_leaderless, thread_number,
};
use crate::producer::internals::patience::Patience;
use crate::producer::internals::transactions::TransactionManager;
use crate::sync::{Arc, MutexGuard, Ordering};

/// The options of an append.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppendContext<'a> {
    pub(crate) topic: &'a TopicInfo,
    pub(crate) cluster: &'a Cluster,
    /// How long to wait for memory.
    pub(crate) patience: Patience,
    /// Stops before a new batch is opened, so that the partitioner can choose again.
    pub(crate) abort_for_new_batch: bool,
    /// Set for a transactional producer. Decides whether the record may be sent, and learns its
    /// partition.
    pub(crate) transactions: Option<&'a TransactionManager>,
}

/// The part of a batch that a caller keeps: its result for a future, or nothing, which costs nothing.
pub(crate) trait Share: Sized {
    fn of(result: &Arc<ProduceRequestResult>) -> Self;
}

impl Share for Arc<ProduceRequestResult> {
    #[inline(always)]
    fn of(result: &Arc<ProduceRequestResult>) -> Self {
        Self::clone(result)
    }
}

impl Share for () {
    #[inline(always)]
    fn of(_: &Arc<ProduceRequestResult>) -> Self {}
}

/// A record that was appended.
#[derive(Debug)]
pub(crate) struct Joined<S> {
    pub(crate) share: S,
    /// The record's index in its batch. 0 means that the batch begins with it.
    pub(crate) index: u32,
}

/// The result of an append.
#[derive(Debug)]
pub(crate) enum AppendOutcome<S> {
    Appended(Joined<S>),
    /// The record needs a new batch on `partition`, and `abort_for_new_batch` is set.
    NewBatchNeeded {
        partition: i32,
    },
}

impl<S: Share> Joined<S> {
    #[inline(always)]
    fn new(batch: &ProducerBatch, appended: &Appended) -> Self {
        Self {
            share: S::of(batch.result()),
            index: appended.index,
        }
    }
}

impl RecordAccumulator {
    /// Appends the record to the open batch of `partition`, or of the sticky partition if that is
    /// `None`. Returns `None` if there is no open batch, if it has no room, or if the sticky
    /// partition has just changed; [`Self::append`] handles these cases. Takes the callback if and
    /// only if the record was appended.
    ///
    /// # Errors
    ///
    /// `Closed`; a record that no batch can hold; the errors of a transaction that takes no
    /// records.
    // Inlined into its one caller, with everything that it calls. The record's and the context's
    // fields then stay in registers instead of passing through memory five times. Without it, a send
    // takes 1.20 times the instructions.
    #[inline(always)]
    pub(crate) fn append_to_open_batch<S: Share>(
        &self,
        partition: Option<i32>,
        record: &AppendRecord<'_>,
        callback: &mut Option<Callback>,
        context: &AppendContext<'_>,
    ) -> Result<Option<Joined<S>>> {
        let queues = self.queues_for(context)?;
        let target = queues.target(partition, context)?;
        let mut state = match target.queue.state.try_lock() {
            Some(state) => state,
            None => target.wait_for_lock(context)?,
        };
        if !self.may_append(&target, &state, context)? {
            return Ok(None);
        }
        let Some((appended, joined)) = append_to_tail(&mut state, record, callback)? else {
            return Ok(None);
        };
        if target.queue.is_returned_to() {
            if let Some(tail) = state.batches.back() {
                tail.prefetch(appended.growth);
            }
        }
        self.after_append(&target, state, &appended, context);
        Ok(Some(joined))
    }

    /// Appends the record to a batch of `partition`, or of the sticky partition if that is `None`.
    /// Opens the batch if necessary. Takes the callback if and only if the record was appended.
    ///
    /// # Errors
    ///
    /// `Closed`; the pool's errors; a record that no batch can hold; the errors of a transaction
    /// that takes no records.
    ///
    /// # Blocking
    ///
    /// Until there is memory, as long as the context's patience lasts.
    pub(crate) fn append<S: Share>(
        &self,
        partition: Option<i32>,
        record: &AppendRecord<'_>,
        callback: &mut Option<Callback>,
        context: &AppendContext<'_>,
    ) -> Result<AppendOutcome<S>> {
        let mut memory = None;
        let queues = self.queues_for(context)?;
        let mut appended =
            self.append_to(queues, partition, record, callback, context, &mut memory)?;
        loop {
            if let Some(outcome) = appended {
                return Ok(outcome);
            }
            // The topic was idle and its queues were dropped after the caller had read its view.
            let queues = self.topic_queues(context.topic, context.cluster);
            appended =
                self.append_to(&queues, partition, record, callback, context, &mut memory)?;
        }
    }

    /// Appends to one of these queues. Returns `None` if it is retired. `memory` keeps an
    /// allocation that is not used yet.
    fn append_to<S: Share>(
        &self,
        queues: &TopicQueues,
        partition: Option<i32>,
        record: &AppendRecord<'_>,
        callback: &mut Option<Callback>,
        context: &AppendContext<'_>,
        memory: &mut Option<PooledBuffer>,
    ) -> Result<Option<AppendOutcome<S>>> {
        loop {
            let target = queues.target(partition, context)?;
            let mut state = target.queue.state.lock();
            if !self.may_append(&target, &state, context)? {
                continue;
            }
            if let Some((appended, joined)) = append_to_tail(&mut state, record, callback)? {
                self.after_append(&target, state, &appended, context);
                return Ok(Some(AppendOutcome::Appended(joined)));
            }
            if state.is_retired {
                return Ok(None);
            }
            match self.extend_tail(&mut state, record) {
                Extension::NotNeeded => {}
                Extension::Extended => continue,
                Extension::Refused => {
                    // The records in it should be sent, so that their memory is returned.
                    let was_open = close_tail(&mut state)?;
                    self.unlock_and_announce(&target, state, was_open, true);
                    continue;
                }
            }
            if context.abort_for_new_batch {
                let partition = target.queue.topic_partition().partition();
                return Ok(Some(AppendOutcome::NewBatchNeeded { partition }));
            }
            if let Some(sticky) = target.choice_to_leave(&state, context) {
                let partitioner = &queues.partitioner;
                partitioner.switch_partition(sticky, context.topic, context.cluster);
                let was_open = close_tail(&mut state)?;
                self.unlock_and_announce(&target, state, was_open, true);
                continue;
            }
            let Some(memory) = memory.take() else {
                let wanted = self.first_memory(queues, &state, record);
                drop(state);
                *memory = Some(self.allocate(wanted, context.patience)?);
                continue;
            };
            let (appended, joined) =
                self.open_batch(&target, &mut state, memory, record, callback, context)?;
            self.after_append(&target, state, &appended, context);
            return Ok(Some(AppendOutcome::Appended(joined)));
        }
    }

    #[inline(always)]
    fn queues_for<'a>(&self, context: &AppendContext<'a>) -> Result<&'a TopicQueues> {
        let init = || self.topic_queues(context.topic, context.cluster);
        let queues = context.topic.attachment(init);
        queues.ok_or_else(no_queues)
    }

    /// Returns whether the record may join this partition now that it is locked. If not, it must
    /// choose another one.
    #[inline(always)]
    fn may_append(
        &self,
        target: &Target<'_>,
        state: &QueueState,
        context: &AppendContext<'_>,
    ) -> Result<bool> {
        // Checked under the lock. A thread that closes and then takes every lock once knows that no
        // append follows.
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        // Also under the lock, so that no record is appended once the end of its transaction has
        // begun.
        if let Some(transactions) = context.transactions {
            transactions.check_may_send()?;
        }
        Ok(target.is_sticky_choice_current(state, context))
    }

    /// Closes the last batch, and opens a new one with the record.
    fn open_batch<S: Share>(
        &self,
        target: &Target<'_>,
        state: &mut QueueState,
        memory: PooledBuffer,
        record: &AppendRecord<'_>,
        callback: &mut Option<Callback>,
        context: &AppendContext<'_>,
    ) -> Result<(Appended, Joined<S>)> {
        close_tail(state)?;
        if let Some(transactions) = context.transactions {
            transactions.maybe_add_partition(target.queue.topic_partition())?;
        }
        let write_limit = self.write_limit(target.queues, state, record, &memory);
        let mut batch = self.new_batch(target, memory, write_limit, context);
        let mut appended = batch.try_append(record, callback)?.unwrap_or_default();
        // Includes the batch's header.
        appended.growth = batch.estimated_size_in_bytes();
        let joined = Joined::new(&batch, &appended);
        let expiry = self.expiry_of(&batch);
        self.expiries.register(target.queue, state, expiry);
        state.batches.push_back(batch);
        self.undrained.fetch_add(1, Ordering::AcqRel);
        target.queue.publish_len(state);
        Ok((appended, joined))
    }

    /// Counts the record, unlocks the partition, and tells the I/O thread if necessary.
    #[inline(always)]
    fn after_append(
        &self,
        target: &Target<'_>,
        mut state: MutexGuard<'_, QueueState>,
        appended: &Appended,
        context: &AppendContext<'_>,
    ) {
        if let Some(sticky) = target.sticky {
            state.appender = thread_number();
            let produced = state.add_sticky_bytes(sticky.generation, appended.growth);
            let partitioner = &target.queues.partitioner;
            if partitioner.should_switch(produced, appended.is_full) {
                partitioner.switch_partition(sticky, context.topic, context.cluster);
            }
        }
        let is_news = appended.index == 0 || appended.is_full;
        // If this is not the only batch, the one before it is full.
        let is_full = appended.is_full || state.batches.len() > 1;
        self.unlock_and_announce(target, state, is_news, is_full);
    }

    #[inline(always)]
    fn unlock_and_announce(
        &self,
        target: &Target<'_>,
        state: MutexGuard<'_, QueueState>,
        is_news: bool,
        is_full: bool,
    ) {
        drop(state);
        let partition = target.queue.handle();
        if is_news && partition.wants_news() {
            partition.announce();
            if !self.may_go_unseen(is_full) {
                self.signal.wake();
            }
        }
    }

    fn new_batch(
        &self,
        target: &Target<'_>,
        memory: PooledBuffer,
        write_limit: usize,
        context: &AppendContext<'_>,
    ) -> ProducerBatch {
        let topic = target.queue.topic_partition().topic();
        ProducerBatch::new(NewBatch {
            partition: Arc::clone(target.queue.handle()),
            incomplete: &self.incomplete,
            spare_thunks: &self.spare_thunks,
            write_limit,
            memory,
            compression: &self.config.compression,
            compression_ratio: self.ratio.estimation(topic, self.config.compression.kind),
            is_transactional: context.transactions.is_some(),
            now: self.time.now(),
        })
    }
}

/// The place of an append.
struct Target<'a> {
    queues: &'a TopicQueues,
    queue: &'a Arc<PartitionQueue>,
    sticky: Option<StickyPartition>,
}

/// Appends to the last batch, if it has room.
#[inline(always)]
fn append_to_tail<S: Share>(
    state: &mut QueueState,
    record: &AppendRecord<'_>,
    callback: &mut Option<Callback>,
) -> Result<Option<(Appended, Joined<S>)>> {
    let Some(tail) = state.batches.back_mut() else {
        return Ok(None);
    };
    let appended = tail.try_append(record, callback)?;
    Ok(appended.map(|appended| {
        let joined = Joined::new(tail, &appended);
        (appended, joined)
    }))
}

/// Closes the last batch. Returns whether it was open until now.
fn close_tail(state: &mut QueueState) -> Result<bool> {
    let Some(tail) = state.batches.back_mut() else {
        return Ok(false);
    };
    let was_open = !tail.is_full();
    tail.close_for_record_appends()?;
    Ok(was_open)
}

#[cold]
fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the producer is closed")
}

#[cold]
fn no_queues() -> Error {
    Error::new(ErrorKind::Internal, "the topic has no queues")
}

#[cold]
fn no_such_partition(topic: &TopicInfo, partition: i32) -> Error {
    let text = format!("topic {} has no partition {partition}", topic.name());
    Error::new(ErrorKind::IllegalArgument, text)
}

impl TopicQueues {
    /// Returns the partition with this number, or the sticky one.
    #[inline(always)]
    fn target(&self, partition: Option<i32>, context: &AppendContext<'_>) -> Result<Target<'_>> {
        let (number, sticky) = match (partition, &self.only_partition) {
            (Some(partition), _) => (partition, None),
            (None, Some(queue)) => {
                return Ok(Target {
                    queues: self,
                    queue,
                    sticky: None,
                });
            }
            (None, None) => {
                let partitioner = &self.partitioner;
                let sticky = partitioner.peek_current_partition(context.topic, context.cluster);
                (sticky.partition, Some(sticky))
            }
        };
        let index = usize::try_from(number).ok();
        match index.and_then(|index| self.partitions.get(index)) {
            Some(queue) => Ok(Target {
                queues: self,
                queue,
                sticky,
            }),
            None => Err(no_such_partition(context.topic, number)),
        }
    }
}

impl<'a> Target<'a> {
    /// Locks a partition that another thread has locked. The last appender tells which thread that
    /// probably is. If it was this thread, then the I/O thread is looking at the partition, as it
    /// does from time to time. In a forked child the lock may be held forever.
    #[cold]
    fn wait_for_lock(&self, context: &AppendContext<'_>) -> Result<MutexGuard<'a, QueueState>> {
        self.queue.handle().io_thread().check_process()?;
        let state = self.queue.state.lock();
        let by_another = state.appender != 0 && state.appender != thread_number();
        if self.sticky.is_some() && by_another {
            self.queues.partitioner.part(context.topic);
        }
        Ok(state)
    }

    /// Returns whether the sticky choice is still valid now that the partition is locked. Makes a
    /// switch that was postponed until the batch is full.
    #[inline(always)]
    fn is_sticky_choice_current(&self, state: &QueueState, context: &AppendContext<'_>) -> bool {
        let Some(sticky) = self.sticky else {
            return true;
        };
        let partitioner = &self.queues.partitioner;
        if partitioner.is_partition_changed(sticky) {
            return false;
        }
        if self.spent_choice(state).is_some() && state.is_tail_full() {
            partitioner.switch_partition(sticky, context.topic, context.cluster);
            return false;
        }
        true
    }

    /// Returns the sticky choice if no batch should be opened there: it has received enough bytes,
    /// or it has no leader and others have one.
    fn choice_to_leave(
        &self,
        state: &QueueState,
        context: &AppendContext<'_>,
    ) -> Option<StickyPartition> {
        let leaderless = |sticky: &StickyPartition| is_leaderless(context.topic, sticky.partition);
        let spent = self.spent_choice(state);
        spent.or_else(|| self.sticky.filter(leaderless))
    }

    /// Returns the sticky choice if it has received enough bytes for a switch at the end of a
    /// batch.
    #[inline(always)]
    fn spent_choice(&self, state: &QueueState) -> Option<StickyPartition> {
        self.sticky.filter(|sticky| {
            let produced = state.sticky_bytes(sticky.generation);
            self.queues.partitioner.should_switch(produced, true)
        })
    }
}
