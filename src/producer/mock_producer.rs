//! A producer for tests of programs that produce: it sends nothing, remembers everything, and fails when it is told to.
//! Java: `MockProducer`.
//!
//! Threads: any. Locks: one, never held while a callback, a serializer or a partitioner runs.

mod transactions;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use self::transactions::Transactions;
use super::producer::Producer;
use super::record_future::RecordCompleter;
use super::serializer::{Serializer, serialize};
use super::serializers::BytesSerializer;
use super::{
    Callback, ConsumerGroupMetadata, Data, OffsetAndMetadata, Partitioner, ProducerRecord,
    RecordFuture, RecordMetadata, choose_partition,
};
use crate::common::{
    Cluster, ClusterBuilder, Node, NodeId, PartitionInfo, TopicInfo, TopicPartition, Uuid,
};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::protocol::ErrorCode;
use crate::sync::{Arc, Mutex};
use crate::utils::{Count, SystemTime, Time};

/// A [`Producer`] without brokers.
///
/// With `auto_complete` every send succeeds before it returns. Without it, sends stay open until the test decides their
/// fate, oldest first:
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
/// Partitions are what the record says; where it says none, what the partitioner says, for topics that the mock
/// [knows](Self::with_topic); and else the first one.
pub struct MockProducer<KS = BytesSerializer, VS = BytesSerializer> {
    auto_complete: bool,
    cluster: Cluster,
    partitioner: Option<Box<dyn Partitioner>>,
    key_serializer: KS,
    value_serializer: VS,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    history: Vec<ProducerRecord<'static>>,
    /// Sends whose fate is not decided, in their order.
    open: VecDeque<Completion>,
    next_offsets: HashMap<TopicPartition, i64>,
    errors: InjectedErrors,
    transactions: Transactions,
    is_closed: bool,
}

/// What the methods fail with, until it is taken back.
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
    close: Option<Error>,
}

/// A send whose fate is not decided.
struct Completion {
    metadata: RecordMetadata,
    completer: RecordCompleter,
    callback: Option<Callback>,
}

impl Completion {
    /// As in the real producer, the callback has run when the future is done.
    fn complete(self, error: Option<Error>) {
        let partition = self.metadata.topic_partition().clone();
        let result = error.map_or(Ok(self.metadata), |error| {
            Err(error.for_partition(partition))
        });
        if let Some(callback) = self.callback {
            callback.call(result.clone());
        }
        self.completer.complete(result);
    }
}

impl MockProducer {
    /// A mock that takes bytes and text and knows no topics. Whether sends succeed by themselves is `auto_complete`.
    pub fn new(auto_complete: bool) -> Self {
        Self::with_serializers(auto_complete, BytesSerializer, BytesSerializer)
    }
}

impl<KS: Serializer, VS: Serializer> MockProducer<KS, VS> {
    /// A mock that takes what these serializers take.
    pub fn with_serializers(auto_complete: bool, key_serializer: KS, value_serializer: VS) -> Self {
        Self {
            auto_complete,
            cluster: Cluster::default(),
            partitioner: None,
            key_serializer,
            value_serializer,
            state: Mutex::default(),
        }
    }

    /// This mock, knowing of a topic: its partitions are numbered from 0, and each has a leader.
    #[must_use]
    pub fn with_topic(mut self, topic: &str, partitions: i32) -> Self {
        let leader = Node::new(NodeId(0), "mock", 9092, None);
        let partitions = (0..partitions).map(|partition| {
            let replicas = vec![leader.id()];
            PartitionInfo::new(partition, Some(leader.clone())).with_replicas(
                replicas.clone(),
                replicas,
                Vec::new(),
            )
        });
        let info = TopicInfo::new(Arc::from(topic), Uuid::ZERO, false, partitions.collect());
        let builder: ClusterBuilder = self.cluster.to_builder();
        self.cluster = builder
            .nodes(vec![leader.clone()])
            .topic(Arc::new(info))
            .build();
        self
    }

    /// This mock, with a partitioner for records of topics that it knows.
    #[must_use]
    pub fn with_partitioner(mut self, partitioner: impl Partitioner + 'static) -> Self {
        self.partitioner = Some(Box::new(partitioner));
        self
    }

    /// Remembers a record as sent, and completes it at once if the mock was made so.
    ///
    /// # Errors
    ///
    /// The error of [`set_send_error`](Self::set_send_error), or why the record is refused: the mock is closed, a serializer
    /// or the partitioner fails, or a topic that is known has no such partition.
    pub fn send(&self, record: ProducerRecord<'_, KS::Input, VS::Input>) -> Result<RecordFuture> {
        self.do_send(record, None)
    }

    /// As [`send`](Self::send), with a closure that is called with the outcome.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); the closure is not called then.
    pub fn send_with_callback(
        &self,
        record: ProducerRecord<'_, KS::Input, VS::Input>,
        callback: impl FnOnce(Result<RecordMetadata>) + Send + 'static,
    ) -> Result<()> {
        self.do_send(record, Some(Callback::new(callback)))
            .map(drop)
    }

    fn do_send(
        &self,
        record: ProducerRecord<'_, KS::Input, VS::Input>,
        callback: Option<Callback>,
    ) -> Result<RecordFuture> {
        self.check_open(|errors| &errors.send)?;
        self.state.lock().transactions.check_may_send()?;
        record.validate()?;
        let record = self.serialized(record)?;
        let partition = self.partition(&record)?;
        let (completer, future) = RecordFuture::pair();
        let completion = {
            let mut state = self.state.lock();
            let metadata = state.append(record, partition);
            let completion = Completion {
                metadata,
                completer,
                callback,
            };
            if self.auto_complete {
                Some(completion)
            } else {
                state.open.push_back(completion);
                None
            }
        };
        if let Some(completion) = completion {
            completion.complete(None);
        }
        Ok(future)
    }

    /// The record as it would go to a broker: bytes, and with the headers that the serializers added.
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

    fn partition(&self, record: &ProducerRecord<'_>) -> Result<i32> {
        let info = self.cluster.topic(&record.topic);
        match (record.partition, info, &self.partitioner) {
            (Some(partition), Some(info), _) if info.partition(partition).is_none() => {
                let (topic, count) = (&record.topic, info.partition_count());
                let message = format!(
                    "topic {topic} has {}, and {partition} is none of them",
                    Count(count, "partition")
                );
                Err(Error::new(ErrorKind::IllegalArgument, message))
            }
            (Some(partition), _, _) => Ok(partition),
            (None, Some(info), Some(partitioner)) => {
                let (key, value) = (record.key.as_ref(), record.value.as_ref());
                choose_partition(&**partitioner, info, key, value, &self.cluster)
            }
            (None, _, _) => Ok(0),
        }
    }

    /// Completes every open send, oldest first.
    ///
    /// # Errors
    ///
    /// The error of [`set_flush_error`](Self::set_flush_error), or that the mock is closed.
    pub fn flush(&self) -> Result<()> {
        self.check_open(|errors| &errors.flush)?;
        while self.complete_next() {}
        Ok(())
    }

    /// The partitions of a topic; none where the mock does not know it.
    ///
    /// # Errors
    ///
    /// The error of [`set_partitions_for_error`](Self::set_partitions_for_error), or that the mock is closed.
    pub fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionInfo>> {
        self.check_open(|errors| &errors.partitions_for)?;
        let info = self.cluster.topic(topic);
        Ok(info.map_or_else(Vec::new, |info| info.partitions().to_vec()))
    }

    /// Closes the mock: everything but this fails from now on. Open sends stay open.
    ///
    /// # Errors
    ///
    /// The error of [`set_close_error`](Self::set_close_error).
    pub fn close(&self, _timeout: Duration) -> Result<()> {
        let mut state = self.state.lock();
        match &state.errors.close {
            Some(error) => Err(error.clone()),
            None => {
                state.is_closed = true;
                Ok(())
            }
        }
    }

    fn check_open(&self, injected: impl FnOnce(&InjectedErrors) -> &Option<Error>) -> Result<()> {
        let state = self.state.lock();
        if state.is_closed {
            return Err(Error::new(ErrorKind::Closed, "the mock producer is closed"));
        }
        injected(&state.errors).clone().map_or(Ok(()), Err)
    }
}

/// What a test does with the mock.
impl<KS, VS> MockProducer<KS, VS> {
    /// Lets the oldest open send succeed. `false` if there is none.
    pub fn complete_next(&self) -> bool {
        self.decide_next(None)
    }

    /// Lets the oldest open send fail. `false` if there is none.
    ///
    /// The error is made of an [`ErrorCode`] that a broker could send or of an [`ErrorKind`], with a [`Delivery`] if it is
    /// another than the code implies, or than [`NotWritten`](Delivery::NotWritten) for a kind.
    pub fn error_next(&self, error: impl Into<Error>) -> bool {
        self.decide_next(Some(error.into()))
    }

    fn decide_next(&self, error: Option<Error>) -> bool {
        let next = self.state.lock().open.pop_front();
        next.map(|completion| completion.complete(error)).is_some()
    }

    /// Every record that was sent since the beginning or the last [`clear`](Self::clear), as bytes, in order; of those sent in
    /// transactions the committed ones.
    pub fn history(&self) -> Vec<ProducerRecord<'static>> {
        self.state.lock().history.clone()
    }

    /// Forgets the history and the offsets. Sends that are open fail, so that nobody waits for them for ever.
    pub fn clear(&self) {
        let open = {
            let mut state = self.state.lock();
            state.history.clear();
            state.next_offsets.clear();
            state.transactions.clear();
            std::mem::take(&mut state.open)
        };
        give_up(open, "cleared");
    }

    /// Whether no send is open.
    pub fn flushed(&self) -> bool {
        self.state.lock().open.is_empty()
    }

    /// Whether the mock was closed.
    pub fn closed(&self) -> bool {
        self.state.lock().is_closed
    }

    /// Lets every `send` fail with this error, until it is set to `None`.
    pub fn set_send_error(&self, error: Option<Error>) {
        self.state.lock().errors.send = error;
    }

    /// Lets every `flush` fail with this error, until it is set to `None`.
    pub fn set_flush_error(&self, error: Option<Error>) {
        self.state.lock().errors.flush = error;
    }

    /// Lets every `partitions_for` fail with this error, until it is set to `None`.
    pub fn set_partitions_for_error(&self, error: Option<Error>) {
        self.state.lock().errors.partitions_for = error;
    }

    /// Lets every `close` fail with this error, until it is set to `None`.
    pub fn set_close_error(&self, error: Option<Error>) {
        self.state.lock().errors.close = error;
    }
}

impl State {
    /// Puts the record into the history, and gives it the next offset of its partition.
    fn append(&mut self, record: ProducerRecord<'static>, partition: i32) -> RecordMetadata {
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
        match self.transactions.takes_record() {
            true => self.transactions.uncommitted_records.push(record),
            false => self.history.push(record),
        }
        metadata
    }
}

fn give_up(open: VecDeque<Completion>, what: &str) {
    for completion in open {
        let message =
            format!("the mock producer was {what} before the fate of this send was decided");
        completion.complete(Some(Error::new(ErrorKind::IllegalState, message)));
    }
}

/// Sends that are still open fail, so that nobody waits for them for ever.
impl<KS, VS> Drop for MockProducer<KS, VS> {
    fn drop(&mut self) {
        give_up(std::mem::take(&mut self.state.get_mut().open), "dropped");
    }
}

impl<KS: Serializer, VS: Serializer> Producer<KS::Input, VS::Input> for MockProducer<KS, VS> {
    fn send(&self, record: ProducerRecord<'_, KS::Input, VS::Input>) -> Result<RecordFuture> {
        self.do_send(record, None)
    }

    fn send_with_callback(
        &self,
        record: ProducerRecord<'_, KS::Input, VS::Input>,
        callback: Box<dyn FnOnce(Result<RecordMetadata>) + Send>,
    ) -> Result<()> {
        self.do_send(record, Some(callback.into())).map(drop)
    }

    fn flush(&self) -> Result<()> {
        self.flush()
    }

    fn init_transactions(&self) -> Result<()> {
        self.init_transactions()
    }

    fn begin_transaction(&self) -> Result<()> {
        self.begin_transaction()
    }

    fn send_offsets_to_transaction(
        &self,
        offsets: &HashMap<TopicPartition, OffsetAndMetadata>,
        group: &ConsumerGroupMetadata,
    ) -> Result<()> {
        self.send_offsets_to_transaction(offsets, group)
    }

    fn commit_transaction(&self) -> Result<()> {
        self.commit_transaction()
    }

    fn abort_transaction(&self) -> Result<()> {
        self.abort_transaction()
    }

    fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionInfo>> {
        self.partitions_for(topic)
    }

    fn close(&self, timeout: Duration) -> Result<()> {
        self.close(timeout)
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

/// The error that a broker's code makes, for tests of what a program does with it.
impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        let delivery = match code.is_refusal_before_append() {
            true => Delivery::NotWritten,
            false => Delivery::MaybeWritten,
        };
        Self::from_code(code, format!("the mock producer answers {code}")).with_delivery(delivery)
    }
}

/// An error of this kind, for tests of what a program does with it.
impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind, format!("the mock producer fails with {kind:?}"))
    }
}

/// An error after which the log does, or may, hold the record.
impl<E: Into<Self>> From<(E, Delivery)> for Error {
    fn from((error, delivery): (E, Delivery)) -> Self {
        error.into().with_delivery(delivery)
    }
}

#[cfg(test)]
mod tests;
