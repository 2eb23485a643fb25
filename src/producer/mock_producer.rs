//! A producer for tests of programs that produce: it sends nothing, remembers every record, and
//! fails on demand. Java: `MockProducer`.
//!
//! Threads: any.
//! Locks: one, never held while a callback, a serializer or a partitioner runs.

mod as_producer;
mod controls;
mod coordinator;
mod telemetry;
mod timeouts;
mod transactions;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::time::Duration;

use self::coordinator::Coordinator;
use self::telemetry::MockTelemetry;
use self::transactions::Transactions;
use super::internals::{AppendRecord, IoThreadId, WaitLimit};
use super::record_future::RecordCompleter;
use super::serializer::{Serializer, serialize};
use super::serializers::BytesSerializer;
use super::{
    Callback, Data, Partitioner, ProducerRecord, RecordFuture, RecordMetadata, TrySendError,
    check_size, check_topic, choose_partition, is_api_error, no_such_partition, partition_of_key,
    undelivered_at_close,
};
use crate::common::{
    Cluster, ClusterBuilder, Node, NodeId, PartitionInfo, PartitionInfos, Replicas, TopicInfo,
    TopicPartition, Uuid,
};
use crate::error::{Delivery, Error, ErrorKind, FailedRecord, Result};
use crate::metrics::{MetricName, MetricValue};
use crate::protocol::ErrorCode;
use crate::sync::{Arc, Mutex};
use crate::utils::{SystemTime, Time};

/// A [`Producer`](super::Producer) without brokers.
///
/// With `auto_complete` every send succeeds before it returns. Without it, sends stay open until
/// the test sets their outcomes, oldest first:
///
/// ```
/// use kafka_producer::{Delivery, ErrorCode, MockProducer, ProducerRecord};
///
/// let producer = MockProducer::new(false);
/// let first = producer.send(ProducerRecord::new("orders", "a"))?;
/// let second = producer.send(ProducerRecord::new("orders", "b"))?;
/// assert!(!first.is_done());
///
/// producer.complete_next();
/// assert_eq!(first.get()?.offset(), 0);
///
/// producer.error_next((ErrorCode::REQUEST_TIMED_OUT, Delivery::MaybeWritten));
/// assert_eq!(second.get().unwrap_err().delivery(), Delivery::MaybeWritten);
/// # Ok::<(), kafka_producer::Error>(())
/// ```
///
/// Apart from the broker's part, the mock behaves like a [`KafkaProducer`](crate::KafkaProducer)
/// with default settings. It refuses the same records with the same errors, has the same states of
/// a transaction, and allows the same calls inside a callback. A test of the library compares the
/// two. The mock replaces the broker as follows:
///
/// - A topic has the partitions that [`with_topic`](Self::with_topic) sets, and one by default, as
///   with `auto.create.topics.enable` and `num.partitions=1`.
/// - A send is delivered immediately, or when the test completes it. The mock never waits for
///   metadata or memory.
/// - A record without partition, partitioner and key goes to the first partition.
/// - The coordinator of transactions agrees, unless the test injects an error or
///   [fences](Self::fence_producer) the mock. Transactions need
///   [`with_transactional_id`](Self::with_transactional_id).
pub struct MockProducer<KS = BytesSerializer, VS = BytesSerializer> {
    auto_complete: bool,
    cluster: Cluster,
    partitioner: Option<Box<dyn Partitioner>>,
    key_serializer: KS,
    value_serializer: VS,
    max_request_size: usize,
    /// Set in a mock with a transactional id.
    coordinator: Option<Coordinator>,
    /// The id with which a thread runs a callback of this mock.
    io_thread: IoThreadId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    history: Vec<ProducerRecord<'static>>,
    /// Sends without an outcome, in order.
    open: VecDeque<Completion>,
    next_offsets: HashMap<TopicPartition, i64>,
    errors: InjectedErrors,
    transactions: Transactions,
    /// The topics that were used before, whose metadata a real producer would have.
    created_topics: HashSet<String>,
    metrics: BTreeMap<MetricName, MetricValue>,
    telemetry: MockTelemetry,
    /// Why no broker is reachable, if the test says so.
    unreachable: Option<Error>,
    is_closed: bool,
}

/// The errors of the methods, until they are reset.
#[derive(Default)]
struct InjectedErrors {
    send: Option<Error>,
    flush: Option<Error>,
    init_transactions: Option<Error>,
    begin_transaction: Option<Error>,
    send_offsets_to_transaction: Option<Error>,
    commit_transaction: Option<Error>,
    abort_transaction: Option<Error>,
    partitions_for: Option<Error>,
    client_instance_id: Option<Error>,
    close: Option<Error>,
}

/// Selects the error of one method.
type Injection = fn(&InjectedErrors) -> &Option<Error>;

/// A send without an outcome.
struct Completion {
    metadata: RecordMetadata,
    record: FailedRecord,
    completer: RecordCompleter,
    callback: Option<Callback>,
}

impl Completion {
    /// Sets the outcome. As in a real producer, the callback runs on the (simulated) I/O thread,
    /// and has returned when the future is done.
    fn complete(self, io_thread: IoThreadId, error: Option<Error>) {
        let result = error.map_or_else(
            || Ok(self.metadata.clone()),
            |error| {
                let error = error.for_partition(self.metadata.topic_partition().clone());
                Err(error.of_record(self.record))
            },
        );
        if let Some(callback) = self.callback {
            io_thread.run(|| callback.call(result.clone()));
        }
        self.completer.complete(result);
    }
}

/// The defaults of `max.request.size`, `buffer.memory` and `max.block.ms`.
const MAX_REQUEST_SIZE: usize = 1024 * 1024;
const BUFFER_MEMORY: usize = 32 * 1024 * 1024;
const MAX_BLOCK: Duration = Duration::from_secs(60);

/// The number of partitions of a topic that the test does not add.
const DEFAULT_PARTITIONS: usize = 1;

impl MockProducer {
    /// Creates a mock that takes bytes and text and has no topics. With `auto_complete`, sends
    /// succeed immediately.
    pub fn new(auto_complete: bool) -> Self {
        Self::with_serializers(auto_complete, BytesSerializer, BytesSerializer)
    }
}

impl<KS: Serializer, VS: Serializer> MockProducer<KS, VS> {
    /// Creates a mock with these serializers.
    pub fn with_serializers(auto_complete: bool, key_serializer: KS, value_serializer: VS) -> Self {
        Self {
            auto_complete,
            cluster: Cluster::default(),
            partitioner: None,
            key_serializer,
            value_serializer,
            max_request_size: MAX_REQUEST_SIZE,
            coordinator: None,
            io_thread: IoThreadId::next(),
            state: Mutex::default(),
        }
    }

    /// Adds a topic. Its partitions are numbered from 0, and each has a leader.
    #[must_use]
    pub fn with_topic(mut self, topic: &str, partitions: i32) -> Self {
        let leader = mock_node();
        let partitions = all_partitions(&leader, usize::try_from(partitions).unwrap_or(0));
        let info = TopicInfo::new(Arc::from(topic), Uuid::ZERO, false, partitions);
        let builder: ClusterBuilder = self.cluster.to_builder();
        self.cluster = builder
            .nodes(vec![leader.clone()])
            .topic(Arc::new(info))
            .build();
        self
    }

    /// Sets the transactional id (`transactional.id`), which transactions need.
    #[must_use]
    pub fn with_transactional_id(mut self, transactional_id: &str) -> Self {
        self.coordinator = Some(Coordinator::new(transactional_id));
        self
    }

    /// Sets the limit for records (`max.request.size`), in bytes. Default: 1 MiB.
    #[must_use]
    pub fn with_max_request_size(mut self, bytes: usize) -> Self {
        self.max_request_size = bytes;
        self
    }

    /// Sets a partitioner for records of known topics.
    #[must_use]
    pub fn with_partitioner(mut self, partitioner: impl Partitioner + 'static) -> Self {
        self.partitioner = Some(Box::new(partitioner));
        self
    }

    /// Remembers a record as sent. With `auto_complete`, completes it immediately.
    ///
    /// # Errors
    ///
    /// Those of [`KafkaProducer::send`](crate::KafkaProducer::send), which also lists the errors in
    /// the future: a record that is too large, an illegal topic, a partition that does not exist.
    /// As with a real producer, the error of [`set_send_error`](Self::set_send_error) is in the
    /// call or in the future.
    pub fn send(&self, record: ProducerRecord<'_, KS::Input, VS::Input>) -> Result<RecordFuture> {
        self.do_send(record, None)
    }

    /// Does the same as [`send`](Self::send), and calls the closure with the outcome.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send). The closure is not called then.
    pub fn send_with_callback(
        &self,
        record: ProducerRecord<'_, KS::Input, VS::Input>,
        callback: impl FnOnce(Result<RecordMetadata>) + Send + 'static,
    ) -> Result<()> {
        self.do_send(record, Some(Callback::new(callback)))
            .map(drop)
    }

    /// Does the same as [`send`](Self::send), but returns a refused record. A mock never blocks.
    ///
    /// # Errors
    ///
    /// Those of [`KafkaProducer::try_send`](crate::KafkaProducer::try_send), but never
    /// `WouldBlock`.
    pub fn try_send<'a>(
        &self,
        record: ProducerRecord<'a, KS::Input, VS::Input>,
    ) -> Result<RecordFuture, TrySendError<'a, KS::Input, VS::Input>> {
        let partition = record.partition.unwrap_or(-1);
        self.try_to_send(record.reborrow(), &mut None)
            .map_err(|error| {
                let topic_partition = TopicPartition::new(&*record.topic, partition);
                let error = error.for_partition(topic_partition);
                TrySendError { record, error }
            })
    }

    fn do_send(
        &self,
        record: ProducerRecord<'_, KS::Input, VS::Input>,
        mut callback: Option<Callback>,
    ) -> Result<RecordFuture> {
        let partition = record.partition.unwrap_or(-1);
        let topic_partition = TopicPartition::new(&*record.topic, partition);
        match self.try_to_send(record.reborrow(), &mut callback) {
            Ok(future) => Ok(future),
            Err(error) if is_api_error(&error) => {
                let error = self.in_transaction(error.for_partition(topic_partition));
                let error = self.with_record(error, record);
                if let Some(callback) = callback {
                    callback.call(Err(error.clone()));
                }
                Ok(RecordFuture::done(Err(error)))
            }
            Err(error) => Err(self.with_record(error.for_partition(topic_partition), record)),
        }
    }

    /// Returns the error of a refused record. Attaches the record's bytes.
    fn with_record(&self, error: Error, record: ProducerRecord<'_, KS::Input, VS::Input>) -> Error {
        if matches!(
            error.kind(),
            ErrorKind::Serialization | ErrorKind::Closed | ErrorKind::Forked
        ) {
            return error;
        }
        match self.serialized(record) {
            Ok(record) => error.of_record(FailedRecord::copy_of(&record)),
            Err(_) => error,
        }
    }

    /// Takes the steps of a real send, in their order.
    fn try_to_send(
        &self,
        record: ProducerRecord<'_, KS::Input, VS::Input>,
        callback: &mut Option<Callback>,
    ) -> Result<RecordFuture> {
        record.validate()?;
        self.check_open()?;
        self.check_may_send()?;
        self.injected(|errors| &errors.send)?;
        let count = self.partition_count(&record.topic)?;
        if let Some(partition) = record.partition {
            if usize::try_from(partition).is_ok_and(|partition| partition >= count) {
                let (topic, limit) = (&record.topic, WaitLimit::max_block(MAX_BLOCK));
                return Err(no_such_partition(topic, partition, count, limit));
            }
        }
        let record = self.serialized(record)?;
        let (key, value) = (record.key.as_ref(), record.value.as_ref());
        let size = AppendRecord::new(0, key, value, &record.headers)
            .map_err(|error| Error::new(ErrorKind::RecordTooLarge, error.to_string()))?
            .upper_bound();
        check_size(size, self.max_request_size, BUFFER_MEMORY)?;
        let partition = self.partition(&record)?;
        if let Some(coordinator) = &self.coordinator {
            let topic_partition = TopicPartition::new(&*record.topic, partition);
            coordinator
                .manager()
                .maybe_add_partition(&topic_partition)?;
        }
        let (completer, future) = RecordFuture::pair(self.io_thread);
        let is_transactional = self.coordinator.is_some();
        let mut failed = FailedRecord::copy_of(&record);
        failed.partition = Some(partition);
        let mut state = self.state.lock();
        let metadata = state.append(record, partition, is_transactional);
        failed.timestamp = metadata.timestamp();
        state.open.push_back(Completion {
            metadata,
            record: failed,
            completer,
            callback: callback.take(),
        });
        drop(state);
        if self.auto_complete {
            self.decide_next(None);
        }
        Ok(future)
    }

    fn check_may_send(&self) -> Result<()> {
        self.coordinator
            .as_ref()
            .map_or(Ok(()), |coordinator| coordinator.manager().check_may_send())
    }

    /// Returns the number of a topic's partitions. A real producer requests the metadata of an
    /// unknown topic, and a callback cannot wait for that.
    fn partition_count(&self, topic: &str) -> Result<usize> {
        if let Some(info) = self.cluster.topic(topic) {
            return Ok(info.partition_count());
        }
        let created = &mut self.state.lock().created_topics;
        if !created.contains(topic) {
            self.io_thread
                .check_may_block("a send to a topic that is not known yet")?;
            check_legal(topic)?;
            created.insert(topic.to_owned());
        }
        Ok(DEFAULT_PARTITIONS)
    }

    /// Returns the record as a broker would receive it: as bytes, with the headers that the
    /// serializers added.
    fn serialized(
        &self,
        record: ProducerRecord<'_, KS::Input, VS::Input>,
    ) -> Result<ProducerRecord<'static>> {
        let ProducerRecord {
            topic,
            partition,
            timestamp,
            mut headers,
            key,
            value,
        } = record;
        let key = serialize(
            &self.key_serializer,
            "key",
            &topic,
            &mut headers,
            key.as_ref(),
        )?;
        let value = serialize(
            &self.value_serializer,
            "value",
            &topic,
            &mut headers,
            value.as_ref(),
        )?;
        let owned = |bytes: Option<&[u8]>| bytes.map_or(Data::Null, |b| Data::Owned(b.to_vec()));
        Ok(ProducerRecord {
            topic: topic.into_owned().into(),
            partition,
            timestamp,
            headers,
            key: owned(key.as_bytes()),
            value: owned(value.as_bytes()),
        })
    }

    /// Chooses a partition as a real producer does. A record without partition, partitioner and key
    /// goes to the first one.
    fn partition(&self, record: &ProducerRecord<'_>) -> Result<i32> {
        if let Some(partition) = record.partition {
            return Ok(partition);
        }
        let Some(info) = self.cluster.topic(&record.topic) else {
            return Ok(0);
        };
        let (key, value) = (record.key.as_ref(), record.value.as_ref());
        match (&self.partitioner, key) {
            (Some(partitioner), _) => {
                choose_partition(&**partitioner, info, key, value, &self.cluster)
            }
            (None, Some(key)) => Ok(partition_of_key(key, info.partition_count())),
            (None, None) => Ok(0),
        }
    }

    /// Completes every open send, oldest first.
    ///
    /// # Errors
    ///
    /// The error of [`set_flush_error`](Self::set_flush_error); `WouldDeadlock` inside a callback.
    /// As with a real producer, flushing a closed mock succeeds.
    pub fn flush(&self) -> Result<()> {
        self.io_thread.check_may_block("flush")?;
        self.injected(|errors| &errors.flush)?;
        while self.complete_next() {}
        Ok(())
    }

    /// Returns the partitions of a topic.
    ///
    /// # Errors
    ///
    /// `InvalidTopic`; `Closed`; `WouldDeadlock` inside a callback for a topic that was not used
    /// before; the error of [`set_partitions_for_error`](Self::set_partitions_for_error).
    pub fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionInfo>> {
        check_topic(topic)?;
        self.check_open()?;
        self.injected(|errors| &errors.partitions_for)?;
        self.partition_count(topic)?;
        let info = self.cluster.topic(topic);
        Ok(info.map_or_else(
            || all_partitions(&mock_node(), DEFAULT_PARTITIONS),
            |info| info.partitions().to_vec(),
        ))
    }

    /// Closes the mock. From now on only this and `flush` succeed. Open sends fail as with a
    /// cluster that does not respond within `timeout`, and an open transaction is aborted. Does not
    /// wait for `timeout`.
    ///
    /// # Errors
    ///
    /// `Timeout` if sends were open, except inside a callback. The error of
    /// [`set_close_error`](Self::set_close_error), after which the mock is still open.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        self.injected(|errors| &errors.close)?;
        let reason = Error::new(
            ErrorKind::Closed,
            "the producer was closed before the record was delivered",
        );
        let open = {
            let mut state = self.state.lock();
            if std::mem::replace(&mut state.is_closed, true) {
                return Ok(());
            }
            state.transactions.abort_if_any();
            std::mem::take(&mut state.open)
        };
        if let Some(coordinator) = &self.coordinator {
            coordinator.manager().close(&reason);
        }
        let records = open.len();
        give_up(
            open,
            self.io_thread,
            &reason.with_delivery(Delivery::MaybeWritten),
        );
        match self.io_thread.is_current() {
            true => Ok(()),
            false => undelivered_at_close(records, timeout),
        }
    }

    fn check_open(&self) -> Result<()> {
        match self.state.lock().is_closed {
            true => Err(Error::new(ErrorKind::Closed, "the producer is closed")),
            false => Ok(()),
        }
    }

    fn injected(&self, place: Injection) -> Result<()> {
        place(&self.state.lock().errors).clone().map_or(Ok(()), Err)
    }
}

/// Checks a topic's name as brokers do. Java (broker): `Topic.validate`.
fn check_legal(topic: &str) -> Result<()> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if topic.chars().all(is_legal) && topic != "." && topic != ".." {
        return Ok(());
    }
    let code = ErrorCode::INVALID_TOPIC_EXCEPTION;
    let text = format!("the mock refuses topic '{topic}': its name is not legal ({code})");
    Err(Error::from_code(code, text))
}

fn mock_node() -> Node {
    Node::new(NodeId(0), "mock", 9092, None)
}

fn all_partitions(leader: &Node, count: usize) -> Vec<PartitionInfo> {
    let only = Some(leader.id());
    let replicas = Replicas {
        all: only,
        in_sync: only,
        offline: None,
    };
    let mut infos = PartitionInfos::default();
    for partition in (0..i32::MAX).take(count) {
        let info = PartitionInfo::new(partition, Some(leader.clone()));
        infos.push(info, &replicas);
    }
    infos.into_sorted_vec(None)
}

impl State {
    /// Adds the record to the history, with the next offset of its partition.
    fn append(
        &mut self,
        record: ProducerRecord<'static>,
        partition: i32,
        is_transactional: bool,
    ) -> RecordMetadata {
        let topic_partition = TopicPartition::new(&*record.topic, partition);
        let next_offset = self
            .next_offsets
            .entry(topic_partition.clone())
            .or_default();
        let offset = *next_offset;
        *next_offset += 1;
        let size = |data: &Data<'_, [u8]>| {
            data.as_ref()
                .map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX))
        };
        let metadata = RecordMetadata::new(
            topic_partition,
            Some(offset),
            record.timestamp.or_else(|| Some(SystemTime.unix_millis())),
            size(&record.key),
            size(&record.value),
        );
        match is_transactional {
            true => self.transactions.uncommitted_records.push(record),
            false => self.history.push(record),
        }
        metadata
    }
}

fn give_up(open: VecDeque<Completion>, io_thread: IoThreadId, error: &Error) {
    for completion in open {
        completion.complete(io_thread, Some(error.clone()));
    }
}

fn undecided(what: &str) -> Error {
    let text = format!("the mock producer was {what} before the outcome of this send was set");
    Error::new(ErrorKind::IllegalState, text)
}

/// Fails the open sends, so that no thread waits for them forever.
impl<KS, VS> Drop for MockProducer<KS, VS> {
    fn drop(&mut self) {
        let open = std::mem::take(&mut self.state.get_mut().open);
        give_up(open, self.io_thread, &undecided("dropped"));
    }
}

impl<KS, VS> fmt::Debug for MockProducer<KS, VS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("MockProducer")
            .field("auto_complete", &self.auto_complete)
            .field("history", &state.history)
            .field("open", &state.open.len())
            .field("closed", &state.is_closed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
