//! Appends one record to its batch, on the caller's thread. Java: `KafkaProducer.doSend`,
//! `waitOnMetadata`, `partition`.
//!
//! The common case reads the time once, allocates nothing, and takes only the partition's lock: the
//! topic's metadata is in the snapshot, and the batch has room.

use std::time::Duration;

use super::KafkaProducer;
use crate::common::{Cluster, Headers, TopicInfo, TopicPartition};
use crate::error::{Error, ErrorKind, Result, TimeoutReason};
use crate::producer::internals::{
    AppendContext, AppendOutcome, AppendRecord, IoThreadId, Joined, Patience, ProducerCall, Share,
    WaitLimit,
};
use crate::producer::producer_interceptors::ProducerInterceptors;
use crate::producer::receipt::Receipt;
use crate::producer::record_future::RecordFuture;
use crate::producer::user_code::contain;
use crate::producer::{
    Callback, ProducerRecord, RecordData, Serializer, TrySendError, choose_partition, serialize,
};
use crate::sync::Arc;
use crate::utils::{Count, Time, murmur2, to_positive};

/// The receivers of a record's outcome.
struct Owed {
    callback: Option<Callback>,
    /// The callback notifies the interceptors too.
    told_by_callback: bool,
}

impl Owed {
    /// Makes the callback notify the interceptors first.
    fn tell<K: RecordData + ?Sized + 'static, V: RecordData + ?Sized + 'static>(
        &mut self,
        interceptors: &Arc<ProducerInterceptors<K, V>>,
        topic: &str,
        headers: &Headers,
    ) {
        self.callback = Some(interceptors.before(self.callback.take(), topic, headers.clone()));
        self.told_by_callback = true;
    }
}

impl<KS: Serializer, VS: Serializer> KafkaProducer<KS, VS> {
    /// Sends a record without a future or callback.
    pub(in crate::producer) fn send_without_future(
        &self,
        mut record: ProducerRecord<'_, KS::Input, VS::Input>,
    ) -> Result<()> {
        self.do_send(&mut record, None, self.patience())
    }

    /// Sends a record as if `max.block.ms` had passed already, so that it does not wait.
    pub(in crate::producer) fn send_now(
        &self,
        mut record: ProducerRecord<'_, KS::Input, VS::Input>,
    ) -> Result<RecordFuture> {
        let patience = Patience::UpTo(WaitLimit::max_block(Duration::ZERO));
        self.do_send(&mut record, None, patience)
    }

    /// Sends without waiting, or returns the record unchanged.
    pub(super) fn do_try_send<'a, R: Receipt>(
        &self,
        mut record: ProducerRecord<'a, KS::Input, VS::Input>,
        callback: Option<Callback>,
    ) -> Result<R, TrySendError<'a, KS::Input, VS::Input>> {
        // Serializers may change the headers, and run again when the record is sent again.
        let headers = record.headers.clone();
        self.do_send(&mut record, callback, Patience::Never)
            .map_err(|error| {
                record.headers = headers;
                TrySendError { record, error }
            })
    }

    /// Returns how long a send may wait.
    pub(super) fn patience(&self) -> Patience {
        Patience::UpTo(WaitLimit::max_block(self.max_block))
    }

    /// Returns how long a send may wait whose caller waits for at most `timeout`.
    pub(super) fn patience_of(&self, timeout: Duration) -> Patience {
        Patience::UpTo(WaitLimit::max_block(self.max_block).or_caller(timeout))
    }

    /// Intercepts, waits for metadata, serializes, partitions, appends.
    #[inline]
    pub(super) fn do_send<R: Receipt>(
        &self,
        record: &mut ProducerRecord<'_, KS::Input, VS::Input>,
        callback: Option<Callback>,
        patience: Patience,
    ) -> Result<R> {
        if self.interceptors.is_empty() {
            self.send_record(record, callback, patience)
        } else {
            self.intercept_and_send(record, callback, patience)
        }
    }

    #[cold]
    fn intercept_and_send<R: Receipt>(
        &self,
        record: &ProducerRecord<'_, KS::Input, VS::Input>,
        callback: Option<Callback>,
        patience: Patience,
    ) -> Result<R> {
        let _context = self.log_context.enter();
        self.interceptors
            .on_send(record.reborrow(), |mut intercepted| {
                self.send_record(&mut intercepted, callback, patience)
            })
    }

    /// Sends the record that the interceptors returned. Reports an error exactly once.
    fn send_record<R: Receipt>(
        &self,
        record: &mut ProducerRecord<'_, KS::Input, VS::Input>,
        callback: Option<Callback>,
        patience: Patience,
    ) -> Result<R> {
        let mut owed = Owed {
            callback,
            told_by_callback: false,
        };
        match self.try_to_send(record, &mut owed, patience) {
            Ok(receipt) => Ok(receipt),
            Err(error) => {
                let is_delivery = patience != Patience::Never && is_api_error(&error);
                let error = self.with_record(error, record, patience);
                let error = self.tell_of_error(record, owed, error, is_delivery);
                if is_delivery {
                    Ok(R::failed(error))
                } else {
                    Err(error)
                }
            }
        }
    }

    /// Reports an error to the transaction, the callback and the interceptors. Returns it as
    /// reported.
    #[cold]
    fn tell_of_error(
        &self,
        record: &ProducerRecord<'_, KS::Input, VS::Input>,
        mut owed: Owed,
        error: Error,
        is_delivery: bool,
    ) -> Error {
        let _context = self.log_context.enter();
        if error.kind() != ErrorKind::WouldBlock {
            self.record_errors.record_failed(self.time.now());
        }
        let partition = record.partition;
        let topic_partition = TopicPartition::new(&*record.topic, partition.unwrap_or(-1));
        // A transaction keeps its error, but need not keep the record.
        let (error, failed) = error.split_record();
        let mut error = error.for_partition(topic_partition);
        if let Some(transactions) = self.transactions.as_ref().filter(|_| is_delivery) {
            error = transactions.handle_error_in_transaction(error);
            // A commit that waits on another thread must fail now.
            self.accumulator.signal().wake();
        }
        if let Some(failed) = failed {
            error = error.with_record(failed.source, failed.index);
        }
        if is_delivery {
            if let Some(callback) = owed.callback.take() {
                callback.call(Err(error.clone()));
            }
        }
        if !(is_delivery && owed.told_by_callback) {
            self.interceptors
                .on_send_error(&record.topic, partition, &error, &record.headers);
        }
        error
    }

    #[inline(always)]
    fn try_to_send<R: Receipt>(
        &self,
        record: &mut ProducerRecord<'_, KS::Input, VS::Input>,
        owed: &mut Owed,
        patience: Patience,
    ) -> Result<R> {
        record.validate()?;
        // Reading the time also checks the process. In a forked child nothing below may be used.
        let mut now = self.time.unix_millis();
        IoThreadId::check_recent_process(self.process)?;
        self.check_open()?;
        if let Some(transactions) = &self.transactions {
            transactions.check_may_send()?;
        }
        // Split, so that serializers can add headers while the rest is borrowed.
        let (topic, headers) = (&*record.topic, &mut record.headers);
        let mut patience = patience;
        loop {
            let cluster = self.metadata.snapshot();
            let Some(info) = known_topic(&cluster, topic, record.partition) else {
                drop(cluster);
                patience = self.await_metadata(topic, record.partition, patience)?;
                now = self.time.unix_millis();
                continue;
            };
            let (key, value) = (record.key.as_ref(), record.value.as_ref());
            let key = serialize(&self.key_serializer, "key", topic, headers, key)?;
            let value = serialize(&self.value_serializer, "value", topic, headers, value)?;
            if !self.interceptors.is_empty() {
                owed.tell(&self.interceptors, topic, headers);
            }
            let timestamp = record.timestamp.unwrap_or(now);
            let append = AppendRecord::new(timestamp, key.as_bytes(), value.as_bytes(), headers)
                .map_err(|error| Error::new(ErrorKind::RecordTooLarge, error.to_string()))?;
            let patience = self.patience_here(patience);
            let to = Destination {
                info,
                cluster: &cluster,
                partition: record.partition,
            };
            return self.append(&to, &append, &mut owed.callback, patience);
        }
    }

    /// Returns how long this send may wait for memory. Inside a callback it may not.
    fn patience_here(&self, patience: Patience) -> Patience {
        match patience {
            Patience::UpTo(_) if self.accumulator.io_thread().is_current() => Patience::InCallback,
            patience => patience,
        }
    }

    /// Waits for the topic, or fails if it may not wait. Returns the rest of the patience.
    #[cold]
    fn await_metadata(
        &self,
        topic: &str,
        partition: Option<i32>,
        patience: Patience,
    ) -> Result<Patience> {
        self.accumulator.io_thread().check_process()?;
        let Patience::UpTo(limit) = patience else {
            self.metadata.add(topic, self.time.now());
            if let Some(error) = self.metadata.bootstrap_error() {
                return Err(error);
            }
            if let Some(error) = self.metadata.topic_error(topic) {
                if !error.is_retriable() {
                    return Err(error);
                }
            }
            self.metadata.request_update_for_topic(topic);
            self.accumulator.signal().wake();
            let text = format!("the metadata of topic {topic} is not known yet");
            let error = Error::new(ErrorKind::WouldBlock, text);
            return Err(self.with_cause(error, topic));
        };
        let waited = self.wait_on_metadata(topic, partition, limit)?;
        Ok(Patience::UpTo(limit.after(waited)))
    }

    /// Waits until the snapshot has the topic, and the partition if the record names one. Returns
    /// the time that it took.
    ///
    /// Also waits for a partition that is out of range, because the topic may be growing.
    ///
    /// # Errors
    ///
    /// `Timeout` after `limit`, even if a retriable topic error occurred meanwhile; `InvalidTopic`,
    /// `Authorization`, `Authentication`, `Closed`; `WouldDeadlock` on the I/O thread.
    pub(super) fn wait_on_metadata(
        &self,
        topic: &str,
        partition: Option<i32>,
        limit: WaitLimit,
    ) -> Result<Duration> {
        let start = self.time.now();
        self.metadata.add(topic, start);
        if known_topic(&self.metadata.snapshot(), topic, partition).is_some() {
            return Ok(Duration::ZERO);
        }
        self.accumulator
            .io_thread()
            .check_may_block("a send to a topic that is not known yet")?;
        if let Some(error) = self.metadata.topic_error(topic) {
            if error.kind() == ErrorKind::InvalidTopic {
                return Err(error);
            }
        }
        loop {
            self.metadata.add(topic, self.time.now());
            let version = self.metadata.request_update_for_topic(topic);
            self.accumulator.signal().wake();
            let elapsed = self.time.now().saturating_duration_since(start);
            let remaining = limit.after(elapsed).time;
            match self.metadata.await_update(version, remaining, &self.time) {
                Ok(()) => {}
                Err(error) if error.is_timeout() => {
                    return Err(self.metadata_timed_out(topic, partition, limit));
                }
                Err(error) => return Err(error),
            }
            let elapsed = self.time.now().saturating_duration_since(start);
            if elapsed >= limit.time {
                return Err(self.metadata_timed_out(topic, partition, limit));
            }
            self.metadata.maybe_throw_exception_for_topic(topic)?;
            if known_topic(&self.metadata.snapshot(), topic, partition).is_some() {
                self.note_time(ProducerCall::AwaitMetadata, start);
                return Ok(elapsed);
            }
        }
    }

    fn metadata_timed_out(&self, topic: &str, partition: Option<i32>, limit: WaitLimit) -> Error {
        let count = self
            .metadata
            .snapshot()
            .partition_count(topic)
            .filter(|count| *count > 0);
        let text = match (partition, count) {
            (Some(partition), Some(count)) => {
                let error = no_such_partition(topic, partition, count, limit);
                return self.with_cause(error, topic);
            }
            _ if self.metadata.snapshot().is_bootstrap() => {
                format!("no bootstrap server returned metadata for topic {topic} within {limit}")
            }
            _ => format!("topic {topic} was not in the cluster's metadata after {limit}"),
        };
        self.with_cause(metadata_timed_out(text, limit), topic)
    }

    /// Adds the cluster's error for the topic as the cause, or the reason why no broker was
    /// available.
    fn with_cause(&self, error: Error, topic: &str) -> Error {
        let cause = self.metadata.topic_error(topic);
        match cause.or_else(|| self.metadata.connection_failure()) {
            Some(cause) => error.caused_by(cause),
            None => error,
        }
    }

    #[inline(always)]
    fn append<R: Receipt>(
        &self,
        to: &Destination<'_>,
        record: &AppendRecord<'_>,
        callback: &mut Option<Callback>,
        patience: Patience,
    ) -> Result<R> {
        // Attached to the errors here, where they are small. Otherwise the whole result would be
        // copied through memory again.
        let failed = |error| self.with_serialized_record(error, to, record, patience);
        check_size(
            record.upper_bound(),
            self.max_request_size,
            self.buffer_memory,
        )
        .map_err(failed)?;
        let context = AppendContext {
            topic: to.info,
            cluster: to.cluster,
            patience,
            abort_for_new_batch: to.partition.is_none() && self.partitioner.is_some(),
            transactions: self.transactions.as_deref(),
        };
        let partition = self.partition(to, record).map_err(failed)?;
        let accumulator = &self.accumulator;
        let joined = match accumulator.append_to_open_batch(partition, record, callback, &context) {
            Ok(Some(joined)) => joined,
            Ok(None) => self
                .append_to_new_batch(to, partition, record, callback, context)
                .map_err(failed)?,
            Err(error) => return Err(failed(error)),
        };
        Ok(R::in_batch(joined.share, joined.index, record.facts()))
    }

    /// Completes the append of a record without room in an open batch.
    #[cold]
    fn append_to_new_batch<S: Share>(
        &self,
        to: &Destination<'_>,
        mut partition: Option<i32>,
        record: &AppendRecord<'_>,
        callback: &mut Option<Callback>,
        mut context: AppendContext<'_>,
    ) -> Result<Joined<S>> {
        self.accumulator.io_thread().check_process()?;
        loop {
            match self
                .accumulator
                .append(partition, record, callback, &context)
            {
                Ok(AppendOutcome::Appended(joined)) => {
                    let is_new_batch = joined.index == 0;
                    if is_new_batch {
                        self.metadata.add(to.info.name(), self.time.now());
                    }
                    return Ok(joined);
                }
                // A partitioner may choose another partition when a new batch begins. The record
                // then stays there.
                Ok(AppendOutcome::NewBatchNeeded {
                    partition: previous,
                }) => {
                    if self.on_new_batch(to, previous)? {
                        partition = self.partition(to, record)?;
                    }
                    context.abort_for_new_batch = false;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the record's own partition, the partitioner's choice, or the key's partition. `None`
    /// means the sticky partition.
    #[inline(always)]
    fn partition(&self, to: &Destination<'_>, record: &AppendRecord<'_>) -> Result<Option<i32>> {
        if to.partition.is_some() {
            return Ok(to.partition);
        }
        if let Some(partitioner) = &self.partitioner {
            let (key, value) = (record.key(), record.value());
            let chosen = choose_partition(&**partitioner, to.info, key, value, to.cluster);
            return chosen.map(Some);
        }
        match record.key().filter(|_| !self.ignore_keys) {
            Some(key) => Ok(Some(partition_of_key(key, to.info.partition_count()))),
            None => Ok(None),
        }
    }

    /// Returns whether the partitioner chooses again for a new batch.
    fn on_new_batch(&self, to: &Destination<'_>, previous: i32) -> Result<bool> {
        let Some(partitioner) = &self.partitioner else {
            return Ok(false);
        };
        contain("the partitioner", || {
            partitioner.on_new_batch(to.info.name(), to.cluster, previous)
        })
    }
}

/// Refuses a record that fits into no request or not into the buffer. `size` is that of a batch
/// with only this record, before compression.
#[inline]
pub(crate) fn check_size(size: usize, max_request_size: usize, buffer_memory: usize) -> Result<()> {
    if size > max_request_size {
        Err(too_large(size, max_request_size, "max.request.size"))
    } else if size > buffer_memory {
        Err(too_large(size, buffer_memory, "buffer.memory"))
    } else {
        Ok(())
    }
}

/// Returns the partition for this key in a topic with this many partitions.
#[inline(always)]
pub(crate) fn partition_of_key(key: &[u8], count: usize) -> i32 {
    let count = i32::try_from(count).unwrap_or(i32::MAX).max(1);
    to_positive(murmur2(key)) % count
}

#[cold]
fn too_large(size: usize, limit: usize, key: &str) -> Error {
    let text = format!(
        "the record takes {size} bytes with its batch, which is more than the {limit} bytes of {key}"
    );
    Error::new(ErrorKind::RecordTooLarge, text)
}

/// The destination of a record: its topic in the metadata, and the partition that it names.
pub(super) struct Destination<'a> {
    pub(super) info: &'a TopicInfo,
    cluster: &'a Cluster,
    pub(super) partition: Option<i32>,
}

/// Returns the topic if it has partitions, including the named one.
fn known_topic<'c>(
    cluster: &'c Cluster,
    topic: &str,
    partition: Option<i32>,
) -> Option<&'c TopicInfo> {
    let info = cluster
        .topic(topic)
        .filter(|info| info.partition_count() > 0)?;
    match partition {
        None => Some(info),
        Some(partition) => info.partition(partition).map(|_| info),
    }
}

fn metadata_timed_out(text: String, limit: WaitLimit) -> Error {
    let reason = TimeoutReason {
        waiting_for: "the metadata of a topic",
        waited: limit.time,
        config: limit.config(),
    };
    Error::timed_out(text, reason)
}

/// Returns the error for a topic that did not get the partition in time.
pub(crate) fn no_such_partition(
    topic: &str,
    partition: i32,
    count: usize,
    limit: WaitLimit,
) -> Error {
    let text = format!(
        "topic {topic} has {}, and partition {partition} did not appear within {limit}",
        Count(count, "partition")
    );
    metadata_timed_out(text, limit)
}

/// Returns whether Java has this as an `ApiException`: an error of the cluster, not of the call.
pub(crate) fn is_api_error(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Timeout
        | ErrorKind::BufferExhausted
        | ErrorKind::RecordTooLarge
        | ErrorKind::InvalidTopic
        | ErrorKind::Authorization
        | ErrorKind::Authentication
        | ErrorKind::UnsupportedVersion
        | ErrorKind::Network
        | ErrorKind::Broker
        | ErrorKind::Fenced
        | ErrorKind::Protocol => true,
        ErrorKind::Config
        | ErrorKind::BootstrapResolution
        | ErrorKind::Serialization
        | ErrorKind::IllegalArgument
        | ErrorKind::IllegalState
        | ErrorKind::Closed
        | ErrorKind::Forked
        | ErrorKind::WouldDeadlock
        | ErrorKind::WouldBlock
        | ErrorKind::Pending
        | ErrorKind::Transaction
        | ErrorKind::Panic
        | ErrorKind::Internal => false,
    }
}
