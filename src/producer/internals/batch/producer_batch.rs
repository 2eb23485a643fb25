//! The records of one partition that are sent together. Java: `ProducerBatch`.
//!
//! A batch has one owner at a time: its partition's deque, then the request that it is in flight
//! with, then the deque again for a retry, or the code that completes it. Only two parts are
//! shared: its [`ProduceRequestResult`], and its frozen bytes with a socket that is still writing
//! them. A batch that is dropped without a result completes itself with an error, so that a bug
//! elsewhere cannot leave a caller waiting.

mod failure;
mod split;

use std::fmt;
use std::time::{Duration, Instant};

use super::frozen_records::FrozenRecords;
use super::incomplete_batches::IncompleteBatches;
use super::produce_request_result::{Outcome, ProduceRequestResult, record_result};
use super::record_facts::RecordFacts;
use super::thunks::{SpareThunks, Thunks};
use crate::common::{Headers, TopicPartition, Uuid};
use crate::error::{Error, ErrorKind, Result};
use crate::producer::Callback;
use crate::producer::internals::buffer_pool::{BufferPool, PooledBuffer};
use crate::producer::internals::ready_signal::PartitionHandle;
use crate::producer::internals::sequences::BatchSequence;
use crate::producer::user_code::contain;
use crate::protocol::{RecordBytes, RecordSet};
use crate::record::{Compression, DefaultRecord, MemoryRecordsBuilder, ProducerState, RecordError};
use crate::sync::Arc;
use crate::utils::{log, millis};

/// See the module's documentation.
pub(crate) struct ProducerBatch {
    result: Arc<ProduceRequestResult>,
    incomplete: Arc<IncompleteBatches>,
    thunks: Thunks,
    /// The limit of the memory for callbacks, which is that of the records. No limit outside of the
    /// pool.
    callback_limit: usize,
    /// The pool of lists of thunks.
    spare_thunks: Arc<SpareThunks>,
    records: Records,
    record_count: u32,
    max_record_size: usize,
    sequence: Option<BatchSequence>,
    is_transactional: bool,
    created: Instant,
    /// The time from the first record to the last request, in milliseconds.
    queue_time_ms: f64,
    /// The topic's id in the metadata when the batch was drained; zero if the brokers have none.
    topic_id: Uuid,
    attempts: u32,
    /// After a failed attempt, the earliest time of the next one.
    backoff_until: Option<Instant>,
    leader_epoch: Option<i32>,
    /// The value of `attempts` when `leader_epoch` last rose (KIP-951).
    attempts_when_leader_last_changed: u32,
    is_split: bool,
    /// The error of the last attempt.
    last_failure: Option<Error>,
}

/// A batch from its drain to its outcome. It moves between lists on the way and is therefore boxed:
/// moving the batch itself would copy hundreds of bytes.
pub(crate) type DrainedBatch = Box<ProducerBatch>;

/// The bytes, in the states of a batch's life.
enum Records {
    Open {
        builder: MemoryRecordsBuilder,
        memory: PooledBuffer,
    },
    Closed {
        frozen: Arc<FrozenRecords>,
        uncompressed_bytes: usize,
        ratio: f32,
    },
    /// Returned: the batch is done.
    Gone,
}

/// The settings of a new batch.
pub(crate) struct NewBatch<'a> {
    pub(crate) partition: Arc<PartitionHandle>,
    pub(crate) incomplete: &'a Arc<IncompleteBatches>,
    pub(crate) spare_thunks: &'a Arc<SpareThunks>,
    pub(crate) memory: PooledBuffer,
    pub(crate) compression: &'a Compression,
    pub(crate) compression_ratio: f32,
    /// The estimated size at which the batch is full.
    pub(crate) write_limit: usize,
    /// Whether it is part of a transaction.
    pub(crate) is_transactional: bool,
    pub(crate) now: Instant,
}

/// A record that is being appended to a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppendRecord<'a> {
    timestamp: i64,
    /// Measured before the partition's lock is taken.
    record: DefaultRecord<'a>,
}

impl<'a> AppendRecord<'a> {
    /// Measures the record.
    ///
    /// # Errors
    ///
    /// A length does not fit the record format.
    // Inlined. Otherwise the result is written to memory and read back in pieces of other sizes,
    // which stalls the processor.
    #[inline(always)]
    pub(crate) fn new(
        timestamp: i64,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        headers: &'a Headers,
    ) -> std::result::Result<Self, RecordError> {
        let record = DefaultRecord::new(key, value, headers)?;
        Ok(Self { timestamp, record })
    }

    pub(crate) fn timestamp(&self) -> i64 {
        self.timestamp
    }

    pub(crate) fn headers(&self) -> &'a Headers {
        self.record.headers()
    }

    #[inline]
    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        self.record.key()
    }

    #[inline]
    pub(crate) fn value(&self) -> Option<&'a [u8]> {
        self.record.value()
    }

    #[inline]
    pub(crate) fn facts(&self) -> RecordFacts {
        RecordFacts {
            timestamp: self.timestamp,
            serialized_key_size: self.record.key_length(),
            serialized_value_size: self.record.value_length(),
        }
    }

    /// Returns an upper bound for the size of a batch with only this record.
    #[inline]
    pub(crate) fn upper_bound(&self) -> usize {
        self.record.batch_size_upper_bound()
    }
}

/// The result of an append.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Appended {
    /// The record's index in the batch.
    pub(crate) index: u32,
    /// The estimated growth of the batch in bytes.
    pub(crate) growth: usize,
    /// Whether the batch is full now.
    pub(crate) is_full: bool,
}

/// Whether a batch received the memory for another record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extension {
    /// The record does not lack memory.
    NotNeeded,
    Extended,
    /// The pool has too little, or other threads wait for it.
    Refused,
}

impl ProducerBatch {
    pub(crate) fn new(mut new: NewBatch<'_>) -> Self {
        let buffer = new.memory.take_bytes();
        let mut builder = MemoryRecordsBuilder::new(
            buffer,
            new.compression,
            new.write_limit,
            new.compression_ratio,
        );
        let result = ProduceRequestResult::new(new.partition);
        new.incomplete.add(&result);
        let callback_limit = match new.memory.reserved() {
            0 => usize::MAX,
            reserved => {
                builder.limit_memory(reserved);
                new.write_limit
            }
        };
        Self {
            result,
            incomplete: Arc::clone(new.incomplete),
            thunks: new.spare_thunks.take(callback_limit),
            callback_limit,
            spare_thunks: Arc::clone(new.spare_thunks),
            records: Records::Open {
                builder,
                memory: new.memory,
            },
            record_count: 0,
            max_record_size: 0,
            sequence: None,
            is_transactional: new.is_transactional,
            created: new.now,
            queue_time_ms: 0.0,
            topic_id: Uuid::ZERO,
            attempts: 0,
            backoff_until: None,
            leader_epoch: None,
            attempts_when_leader_last_changed: 0,
            is_split: false,
            last_failure: None,
        }
    }

    /// Appends the record and takes its callback, if there is room for both.
    ///
    /// # Errors
    ///
    /// The record cannot be in any batch (a negative timestamp, a length above 2 GiB), or the codec
    /// fails.
    #[inline(always)]
    pub(crate) fn try_append(
        &mut self,
        record: &AppendRecord<'_>,
        callback: &mut Option<Callback>,
    ) -> Result<Option<Appended>> {
        let Records::Open { builder, .. } = &mut self.records else {
            return Ok(None);
        };
        let index = self.record_count;
        if let Some(callback) = callback {
            // Callbacks are kept as long as the records. The callbacks of small records could
            // otherwise fill the memory.
            if index > 0 && self.thunks.size_with(index, callback) > self.callback_limit {
                return Ok(None);
            }
        }
        let estimated_before = builder.estimated_size_in_bytes();
        let appended = builder.try_append(record.timestamp, &record.record);
        let Some(size) = appended.map_err(refused_record)? else {
            return Ok(None);
        };
        self.max_record_size = self.max_record_size.max(size);
        self.record_count += 1;
        if let Some(callback) = callback.take() {
            self.thunks.push(index, record.facts(), callback);
        }
        Ok(Some(Appended {
            index,
            growth: builder
                .estimated_size_in_bytes()
                .saturating_sub(estimated_before),
            is_full: builder.is_full(),
        }))
    }

    /// If the record lacks only memory to join the batch, takes it from `pool`.
    pub(crate) fn extend_for(&mut self, record: &AppendRecord<'_>, pool: &BufferPool) -> Extension {
        let Records::Open { builder, memory } = &mut self.records else {
            return Extension::NotNeeded;
        };
        let Some(missing) = builder.missing_memory(record.timestamp, &record.record) else {
            return Extension::NotNeeded;
        };
        match pool.extend(memory, missing) {
            Some(chunk) => {
                builder.add_chunk(chunk);
                Extension::Extended
            }
            None => Extension::Refused,
        }
    }

    /// Prefetches the memory for another record of `size` bytes and its callback. For a thread that
    /// visits other batches first.
    #[inline]
    pub(crate) fn prefetch(&self, size: usize) {
        if let Records::Open { builder, .. } = &self.records {
            builder.prefetch(size);
            self.thunks.prefetch();
        }
    }

    /// Prefetches the first records. For the thread that is about to freeze the batch.
    pub(crate) fn prefetch_records(&self) {
        if let Records::Open { builder, .. } = &self.records {
            builder.prefetch_written();
        }
    }

    /// Prefetches the first callbacks. For the thread that is about to complete the batch.
    pub(crate) fn prefetch_thunks(&self) {
        self.thunks.prefetch_first();
    }

    /// Refuses further records and finishes the compressed stream, which makes the later drain
    /// faster.
    pub(crate) fn close_for_record_appends(&mut self) -> Result<()> {
        match &mut self.records {
            Records::Open { builder, .. } => builder
                .close_for_record_appends()
                .map_err(|error| codec_failure(&error)),
            Records::Closed { .. } | Records::Gone => Ok(()),
        }
    }

    /// Freezes the batch: writes the header, the CRC and the batch's producer state. Does nothing
    /// if it is already frozen.
    ///
    /// # Errors
    ///
    /// The codec fails or the producer state is invalid. The batch must then be failed.
    pub(crate) fn close(&mut self) -> Result<()> {
        let (builder, memory) = match std::mem::replace(&mut self.records, Records::Gone) {
            Records::Open { builder, memory } => (builder, memory),
            closed => {
                self.records = closed;
                return Ok(());
            }
        };
        let closed = builder
            .close(producer_state(self.sequence, self.is_transactional))
            .map_err(|error| codec_failure(&error))?;
        self.records = Records::Closed {
            frozen: Arc::new(FrozenRecords::new(closed.bytes, memory)),
            uncompressed_bytes: closed.uncompressed_bytes,
            ratio: closed.compression_ratio,
        };
        Ok(())
    }

    /// Returns the frozen bytes, shared and not copied. Empty before [`Self::close`].
    pub(crate) fn record_set(&self) -> RecordSet {
        match &self.records {
            Records::Closed { frozen, .. } => RecordSet(Arc::<FrozenRecords>::clone(frozen)),
            Records::Open { .. } | Records::Gone => RecordSet::from(Vec::new()),
        }
    }

    /// Sets the batch's place in its producer's sequence, before it is frozen.
    pub(crate) fn set_sequence(&mut self, sequence: BatchSequence) {
        debug_assert!(
            matches!(self.records, Records::Open { .. }),
            "a frozen batch keeps its sequence"
        );
        self.sequence = Some(sequence);
    }

    /// Sets a new place in the sequence after an epoch bump. Only for a batch that no broker has.
    ///
    /// # Errors
    ///
    /// The frozen bytes are not a batch, which is a bug.
    pub(crate) fn reset_sequence(&mut self, sequence: BatchSequence) -> Result<()> {
        self.sequence = Some(sequence);
        if let Records::Closed { frozen, .. } = &mut self.records {
            if Arc::get_mut(frozen).is_none() {
                // A socket is still writing the old bytes, so they must not change.
                *frozen = Arc::new(frozen.unpooled_copy());
            }
            if let Some(frozen) = Arc::get_mut(frozen) {
                frozen
                    .rewrite_producer_state(producer_state(self.sequence, self.is_transactional))
                    .map_err(|error| codec_failure(&error))?;
            }
        }
        Ok(())
    }

    /// Completes every record with its offset, callbacks first.
    pub(crate) fn complete(mut self: Box<Self>, base_offset: i64, log_append_time: i64) {
        self.finish(Outcome::Acked {
            base_offset,
            log_append_time,
        });
    }

    /// Returns the memory, runs the callbacks, and opens the result, in this order. A callback that
    /// sends finds the memory free, and a `get` or `flush` that returns finds the callbacks done.
    fn finish(&mut self, outcome: Outcome) {
        self.records = Records::Gone;
        let mut thunks = std::mem::take(&mut self.thunks);
        let mut waiting = thunks.drain();
        // Contains the panics of all callbacks together. After a panic, the loop continues with the
        // next callback.
        while let Err(panic) = contain("a callback", || {
            for thunk in waiting.by_ref() {
                let result = record_result(&outcome, thunk.index).map(|place| {
                    let partition = self.result.topic_partition();
                    thunk.facts.metadata(partition, thunk.index, place)
                });
                thunk.callback.call_uncontained(result);
            }
        }) {
            log::error!("{panic}; its record was for {}", self.topic_partition());
        }
        drop(waiting);
        self.spare_thunks.put(thunks);
        self.result.complete(outcome);
        self.incomplete.remove(&self.result);
    }

    /// Prepares the batch for another attempt.
    pub(crate) fn reenqueued(&mut self, now: Instant, backoff: Duration) {
        self.attempts += 1;
        self.backoff_until = now.checked_add(backoff);
    }

    /// Updates the leader epoch from the metadata. A new leader makes the rest of the backoff
    /// pointless (KIP-951).
    pub(crate) fn maybe_update_leader_epoch(&mut self, latest: Option<i32>) {
        if latest.is_some() && latest > self.leader_epoch {
            self.attempts_when_leader_last_changed = self.attempts;
            self.leader_epoch = latest;
        }
    }

    /// Returns whether the leader changed since the last failed attempt.
    pub(crate) fn has_leader_changed_for_the_ongoing_retry(&self) -> bool {
        self.attempts >= 1 && self.attempts == self.attempts_when_leader_last_changed
    }

    /// Returns when the backoff after the last failure ends, if it has not ended yet.
    pub(crate) fn backing_off_until(&self, now: Instant) -> Option<Instant> {
        if self.has_leader_changed_for_the_ongoing_retry() {
            return None;
        }
        self.backoff_until.filter(|until| *until > now)
    }

    pub(crate) fn has_reached_delivery_timeout(&self, timeout: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.created) >= timeout
    }

    /// Returns whether no further record fits.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        match &self.records {
            Records::Open { builder, .. } => builder.is_full(),
            Records::Closed { .. } | Records::Gone => true,
        }
    }

    /// Returns the bytes that the batch takes in a request: exact if it is frozen, otherwise an
    /// estimate.
    pub(crate) fn estimated_size_in_bytes(&self) -> usize {
        match &self.records {
            Records::Open { builder, .. } => builder.estimated_size_in_bytes(),
            Records::Closed { frozen, .. } => frozen.len(),
            Records::Gone => 0,
        }
    }

    /// Returns the compressed size divided by the plain size. Known once the batch is frozen.
    pub(crate) fn compression_ratio(&self) -> f32 {
        match &self.records {
            Records::Closed { ratio, .. } => *ratio,
            Records::Open { .. } | Records::Gone => 1.0,
        }
    }

    /// Returns the largest record, in bytes of its uncompressed form.
    pub(crate) fn max_record_size(&self) -> usize {
        self.max_record_size
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        self.result.topic_partition()
    }

    pub(crate) fn partition(&self) -> &Arc<PartitionHandle> {
        self.result.partition()
    }

    pub(crate) fn result(&self) -> &Arc<ProduceRequestResult> {
        &self.result
    }

    pub(crate) fn record_count(&self) -> u32 {
        self.record_count
    }

    pub(crate) fn created(&self) -> Instant {
        self.created
    }

    /// Returns the sort key for a partition's batches that were taken from several places. The
    /// parts of a split batch have the same age.
    pub(crate) fn age_order(&self) -> (Instant, Option<i32>) {
        (
            self.created,
            self.sequence.map(|sequence| sequence.base_sequence),
        )
    }

    /// Notes that the batch is taken for a request, which may identify the topic by this id.
    pub(crate) fn mark_drained(&mut self, topic_id: Uuid) {
        self.topic_id = topic_id;
        self.result.mark_drained();
    }

    pub(crate) fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    /// Notes that the batch leaves in a request, and how long it waited for that.
    pub(crate) fn leave_queue(&mut self, now: Instant) {
        self.queue_time_ms = millis(now.saturating_duration_since(self.created));
    }

    /// Returns the time from the first record to the last request, in milliseconds.
    pub(crate) fn queue_time_ms(&self) -> f64 {
        self.queue_time_ms
    }

    /// Notes the error of the last attempt, which becomes the final one if there is no time for
    /// another attempt.
    pub(crate) fn set_last_failure(&mut self, failure: Error) {
        self.last_failure = Some(failure);
    }

    /// Returns the error of the last attempt, if one failed.
    pub(crate) fn last_failure(&self) -> Option<&Error> {
        self.last_failure.as_ref()
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns whether the batch was sent before.
    pub(crate) fn in_retry(&self) -> bool {
        self.attempts > 0
    }

    /// Returns whether the batch was in flight, or is a part of one that was.
    pub(crate) fn is_back(&self) -> bool {
        self.in_retry() || self.is_split
    }

    /// Returns the batch's place in its producer's sequence. Returns `None` before the first drain,
    /// and without idempotence.
    pub(crate) fn sequence(&self) -> Option<BatchSequence> {
        self.sequence
    }
}

impl fmt::Debug for ProducerBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerBatch")
            .field("topic_partition", self.topic_partition())
            .field("record_count", &self.record_count)
            .field("sequence", &self.sequence)
            .field("attempts", &self.attempts)
            .field("fate", self.result.fate())
            .finish_non_exhaustive()
    }
}

fn producer_state(sequence: Option<BatchSequence>, is_transactional: bool) -> ProducerState {
    sequence.map_or(ProducerState::NONE, |sequence| ProducerState {
        producer_id: sequence.producer.producer_id,
        producer_epoch: sequence.producer.epoch,
        base_sequence: sequence.base_sequence,
        is_transactional,
    })
}

fn refused_record(error: RecordError) -> Error {
    Error::new(ErrorKind::IllegalArgument, "the record cannot be encoded").caused_by(error)
}

fn codec_failure(error: &(impl std::error::Error + Clone + Send + Sync + 'static)) -> Error {
    Error::new(ErrorKind::Internal, "a batch could not be finished").caused_by(error.clone())
}
