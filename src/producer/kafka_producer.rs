//! The producer. Java: `KafkaProducer`.
//!
//! Threads: any number of callers, by reference or `Arc`; one I/O thread, `kafka-producer-network-thread | <client.id>`,
//! which also runs the callbacks.
//! Locks: none here but the one around the thread's handle. What callers and the I/O thread share is in the accumulator and
//! the metadata.

mod as_producer;
mod builder;
mod close;
mod failed_sends;
#[cfg(feature = "sasl")]
mod sasl_setters;
mod send;
mod telemetry;
mod timeouts;
mod transactions;

use std::fmt;
use std::time::{Duration, Instant};

pub use self::builder::KafkaProducerBuilder;
use self::close::IoThreadHandle;
pub(crate) use self::close::undelivered_at_close;
pub(crate) use self::send::{check_size, is_api_error, no_such_partition, partition_of_key};
pub(crate) use self::transactions::needs_transactional_id;
use super::internals::transactions::TransactionManager;
use super::internals::{
    CallTimes, Ledger, ProducerCall, RecordAccumulator, RecordErrors, SenderControl, WaitLimit,
};
use super::producer_interceptors::ProducerInterceptors;
use super::record_futures::send_all;
use super::{
    BytesSerializer, Callback, Health, NodeHealth, Partitioner, ProducerConfig, ProducerRecord,
    RecordFuture, RecordFutures, RecordMetadata, Serializer, TrySendError, check_topic,
};
use crate::client::{ClientInstanceId, ClientStatus, Metadata};
use crate::common::PartitionInfo;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::{Metrics, MetricsSnapshot};
use crate::sync::Arc;
use crate::utils::{LogContext, Process, SystemTime, Time};

/// Sends records to Kafka: appends them to batches, which one I/O thread sends.
///
/// The plain `KafkaProducer` takes bytes and text. One producer serves a whole program: it is `Send + Sync`, every
/// method takes `&self`, and threads that share it fill batches together.
///
/// ```
/// # use std::time::Duration;
/// use kafka_producer::{Delivery, KafkaProducer, ProducerRecord};
///
/// # fn main() -> kafka_producer::Result<()> {
/// # let broker = kafka_producer::testing::FakeBroker::builder().start().unwrap();
/// # let servers = broker.bootstrap_servers();
/// let producer = KafkaProducer::builder().bootstrap_servers(&servers).build()?;
///
/// let metadata = producer.send(ProducerRecord::new("orders", "value").key("k"))?.get()?;
/// println!("{}-{}@{}", metadata.topic(), metadata.partition(), metadata.offset());
///
/// producer.send_with_callback(ProducerRecord::new("orders", b"value"), |result| match result {
///     Ok(metadata) => println!("{}@{}", metadata.partition(), metadata.offset()),
///     Err(error) if error.delivery() == Delivery::MaybeWritten => eprintln!("perhaps: {error}"),
///     Err(error) => eprintln!("not written: {error}"),
/// })?;
///
/// producer.flush()?;
/// producer.close(Duration::from_secs(10))?;
/// # Ok(())
/// # }
/// ```
///
/// # Dropping
///
/// Dropping the producer closes it, and waits for the deliveries for at most `request.timeout.ms`; what was not delivered
/// then fails, and is logged. Call [`close`](Self::close) to choose the time and to see the error.
///
/// **A producer in a `static` is never dropped**: Rust drops no statics, and the program ends with records still in their
/// batches, without an error and without a line in the log. The same goes for `std::process::exit`, for a producer that was
/// leaked, and for one that a thread holds that still runs when `main` returns. Call [`close`](Self::close), or at least
/// [`flush`](Self::flush), before `main` returns:
///
/// ```
/// # use std::time::Duration;
/// use std::sync::OnceLock;
///
/// use kafka_producer::{KafkaProducer, ProducerRecord};
///
/// static PRODUCER: OnceLock<KafkaProducer> = OnceLock::new();
///
/// # fn main() -> kafka_producer::Result<()> {
/// # let broker = kafka_producer::testing::FakeBroker::builder().start().unwrap();
/// # let servers = broker.bootstrap_servers();
/// let built = KafkaProducer::builder().bootstrap_servers(&servers).build()?;
/// let producer = PRODUCER.get_or_init(|| built);
/// producer.send_with_callback(ProducerRecord::new("orders", "value"), drop)?;
/// // The last thing that the program does.
/// producer.close(Duration::from_secs(30))?;
/// # assert_eq!(broker.record_count("orders"), 1);
/// # Ok(())
/// # }
/// ```
///
/// # Forking
///
/// A child of `fork` has the producer's memory and not its I/O thread. Every call on the producer and every wait on one of its
/// futures fails there with [`Forked`](crate::ErrorKind::Forked), and dropping it does nothing; the parent's producer goes on
/// and delivers what was sent before. Build a producer of its own in the child. A send notices the fork at most a millisecond
/// after the parent's last send on the same thread; a record that is sent within that time may join the child's copy of a
/// batch, which nobody sends: its future says so, its callback is never called. A child that is forked inside a callback must
/// not return from it.
pub struct KafkaProducer<KS: Serializer = BytesSerializer, VS: Serializer = BytesSerializer> {
    client_id: Arc<str>,
    /// Entered before anything that may log.
    log_context: LogContext,
    max_block: Duration,
    max_request_size: usize,
    buffer_memory: usize,
    close_on_drop_timeout: Duration,
    ignore_keys: bool,
    key_serializer: KS,
    value_serializer: VS,
    partitioner: Option<Box<dyn Partitioner>>,
    interceptors: Arc<ProducerInterceptors<KS::Input, VS::Input>>,
    metadata: Arc<Metadata>,
    accumulator: Arc<RecordAccumulator>,
    /// There for a transactional producer.
    transactions: Option<Arc<TransactionManager>>,
    control: Arc<SenderControl>,
    io_thread: IoThreadHandle,
    metrics: Arc<Metrics>,
    /// There if metrics may be pushed.
    client_instance_id: Option<ClientInstanceId>,
    call_times: CallTimes,
    record_errors: RecordErrors,
    status: Arc<ClientStatus>,
    ledger: Ledger,
    /// Whose I/O thread it is.
    process: Process,
    time: SystemTime,
}

impl KafkaProducer {
    /// Sets up a producer of bytes and text; its serializers can be changed on the builder.
    pub fn builder() -> KafkaProducerBuilder {
        KafkaProducerBuilder::new(ProducerConfig::new())
    }

    /// A producer of bytes and text with this configuration.
    ///
    /// # Errors
    ///
    /// As [`KafkaProducerBuilder::build`].
    ///
    /// # Blocking
    ///
    /// While the names of `bootstrap.servers` are resolved. No broker is waited for.
    pub fn new(config: ProducerConfig) -> Result<Self> {
        KafkaProducerBuilder::new(config).build()
    }
}

impl<KS: Serializer, VS: Serializer> KafkaProducer<KS, VS> {
    /// Appends the record to a batch, and returns at once with its delivery.
    ///
    /// # Errors
    ///
    /// The record was not sent and never will be: `Closed`, `Serialization` (the serializer refused it, or panicked),
    /// `IllegalArgument` (a negative partition or timestamp, a partitioner that failed or chose what is no partition),
    /// `Panic` (in the partitioner), or `WouldDeadlock` (inside a callback, where the call would have to wait); from a
    /// transactional producer `IllegalState` outside of a transaction, `Transaction` or `Fenced` in one that failed. As in Java,
    /// failures that have to do with the cluster are in the [`RecordFuture`] instead: no metadata or no buffer memory
    /// within `max.block.ms`, a record too large, an illegal or forbidden topic. The manual's page
    /// [`delivery`](crate::manual::delivery) says what to do with each.
    ///
    /// # Blocking
    ///
    /// While the topic's metadata are not known and while the buffer is full: at most `max.block.ms` in all.
    pub fn send(
        &self,
        mut record: ProducerRecord<'_, KS::Input, VS::Input>,
    ) -> Result<RecordFuture> {
        self.do_send(&mut record, None, self.patience(), true)
            .map(|future| future.unwrap_or_else(unreachable_future))
    }

    /// Appends the record to a batch, and calls `callback` exactly once when its fate is known, unless an error is returned
    /// here.
    ///
    /// The callback runs on the I/O thread; keep it short. Those of one partition run in the order of its records, except
    /// that what is acknowledged while an earlier batch is tried again is told first. It may send, but calls that would
    /// have to wait fail there. A panic in it is logged and harms nothing else. For a failure that
    /// [`send`](Self::send) would put in the future, it runs before this returns.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); the callback is dropped without being called then.
    ///
    /// # Blocking
    ///
    /// As [`send`](Self::send).
    pub fn send_with_callback(
        &self,
        mut record: ProducerRecord<'_, KS::Input, VS::Input>,
        callback: impl FnOnce(Result<RecordMetadata>) + Send + 'static,
    ) -> Result<()> {
        let callback = Some(Callback::new(callback));
        self.do_send(&mut record, callback, self.patience(), false)
            .map(drop)
    }

    /// Sends every record, in order, and returns all deliveries as one.
    ///
    /// ```
    /// # use kafka_producer::{KafkaProducer, ProducerRecord};
    /// # fn send(producer: &KafkaProducer, lines: Vec<String>) -> kafka_producer::Result<()> {
    /// let records = lines.iter().map(|line| ProducerRecord::new("lines", line));
    /// producer.send_all(records).get()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Each record is sent whatever became of those before it, and each has a result: what [`send`](Self::send) would fail with
    /// is the result of that record. So none of the others is lost with the error, and
    /// [`JoinError`](crate::JoinError) tells how many were delivered.
    ///
    /// # Blocking
    ///
    /// As [`send`](Self::send), for each record. But after a record for which `max.block.ms` was too short, the next ones
    /// fail at once where they would have to wait, until one is taken. So in an outage the call takes about `max.block.ms`,
    /// and not that for each record.
    pub fn send_all<'a>(
        &self,
        records: impl IntoIterator<Item = ProducerRecord<'a, KS::Input, VS::Input>>,
    ) -> RecordFutures
    where
        KS::Input: 'a,
        VS::Input: 'a,
    {
        send_all(records, |record, may_wait| match may_wait {
            true => self.send(record),
            false => self.send_now(record),
        })
    }

    /// As [`send`](Self::send), but never blocks.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), with the record; `WouldBlock` when the topic's metadata are not known yet, which asks for
    /// them, or the buffer is full.
    pub fn try_send<'a>(
        &self,
        record: ProducerRecord<'a, KS::Input, VS::Input>,
    ) -> Result<RecordFuture, TrySendError<'a, KS::Input, VS::Input>> {
        self.do_try_send(record, None, true)
            .map(|future| future.unwrap_or_else(unreachable_future))
    }

    /// As [`send_with_callback`](Self::send_with_callback), but never blocks.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send); the callback is dropped without being called.
    pub fn try_send_with_callback<'a>(
        &self,
        record: ProducerRecord<'a, KS::Input, VS::Input>,
        callback: impl FnOnce(Result<RecordMetadata>) + Send + 'static,
    ) -> Result<(), TrySendError<'a, KS::Input, VS::Input>> {
        self.do_try_send(record, Some(Callback::new(callback)), false)
            .map(drop)
    }

    /// Sends everything now, without waiting for `linger.ms`, and waits until each record that was sent before has its
    /// result. Records that others send meanwhile are not waited for. Failed deliveries are not an error here: they are in
    /// the futures and callbacks.
    ///
    /// # Errors
    ///
    /// `WouldDeadlock` inside a callback; `Forked` in a forked child.
    ///
    /// # Blocking
    ///
    /// At most `delivery.timeout.ms`, and a little for requests that are under way then.
    pub fn flush(&self) -> Result<()> {
        self.accumulator.io_thread().check_may_block("flush")?;
        let start = self.time.now();
        self.accumulator.begin_flush();
        self.accumulator.signal().wake();
        self.accumulator.await_flush_completion(None);
        self.accumulator.end_flush();
        self.note_time(ProducerCall::Flush, start);
        Ok(())
    }

    /// Reads every metric of this producer: Java's, under Java's names, and a few more. Works at any time, inside a callback
    /// and after the close too.
    ///
    /// The manual's page [`java_map`](crate::manual::java_map#metrics) says which of Java's metrics are not there, and which
    /// are there besides.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.metrics.snapshot()
    }

    /// Returns what the producer knows of its own state, for a readiness probe. Sends nothing, and works at any time, inside a
    /// callback and after the close too. [`Health::is_healthy`] sums it up.
    ///
    /// ```
    /// # use kafka_producer::{KafkaProducer, ProducerRecord};
    /// # fn main() -> kafka_producer::Result<()> {
    /// # let broker = kafka_producer::testing::FakeBroker::builder().topic("orders", 1).start().unwrap();
    /// # let servers = broker.bootstrap_servers();
    /// let producer = KafkaProducer::builder().bootstrap_servers(&servers).build()?;
    /// producer.send(ProducerRecord::new("orders", "value"))?.get()?;
    /// assert!(producer.health().is_healthy());
    /// # Ok(())
    /// # }
    /// ```
    pub fn health(&self) -> Health {
        let nodes = self.status.nodes();
        let nodes = nodes.iter().map(|status| {
            NodeHealth::new(status, self.metadata.connection_failure_of(&status.node))
        });
        let pool = self.accumulator.pool();
        let fatal_error = self.ledger.fatal_error();
        Health {
            is_open: !self.accumulator.is_closed(),
            fatal_error: fatal_error.or_else(|| self.metadata.bootstrap_error()),
            since_last_response: self
                .status
                .since_last_response(self.metrics.time_at(self.time.now())),
            nodes: nodes.collect(),
            buffer_total_bytes: pool.total_memory(),
            buffer_available_bytes: pool.available_memory(),
            waiting_threads: pool.queued(),
        }
    }

    /// A caller is done with what it began at `start`.
    fn note_time(&self, call: ProducerCall, start: Instant) {
        let spent = self.time.now().saturating_duration_since(start);
        self.call_times.add(call, spent);
    }

    /// The partitions of a topic, as the metadata have them; a topic that is not known yet is asked for. In an outage of all
    /// brokers they are those known last, without leaders.
    ///
    /// # Errors
    ///
    /// `Timeout` when the topic is not known within `max.block.ms`, `InvalidTopic`, `Authorization`, `Authentication`,
    /// `Closed`, `Forked` in a forked child, and `WouldDeadlock` inside a callback.
    ///
    /// # Blocking
    ///
    /// While the topic's metadata are not known: at most `max.block.ms`.
    pub fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionInfo>> {
        check_topic(topic)?;
        self.accumulator.io_thread().check_process()?;
        self.check_open()?;
        self.metadata.add(topic, self.time.now());
        self.wait_on_metadata(topic, None, WaitLimit::max_block(self.max_block))?;
        let cluster = self.metadata.snapshot();
        Ok(cluster
            .topic(topic)
            .map_or_else(Vec::new, |topic| topic.partitions().to_vec()))
    }

    /// Checks that the producer takes calls.
    ///
    /// # Errors
    ///
    /// `Closed` after the close.
    #[inline(always)]
    fn check_open(&self) -> Result<()> {
        if self.accumulator.is_closed() {
            return Err(Error::new(ErrorKind::Closed, "the producer is closed"));
        }
        Ok(())
    }

    /// # Errors
    ///
    /// `WouldDeadlock` inside a callback; `Forked` in a forked child.
    pub(super) fn check_may_block(&self, call: &str) -> Result<()> {
        self.accumulator.io_thread().check_may_block(call)
    }

    /// The name of this producer in broker logs, quotas and thread names (`client.id`).
    pub fn client_id(&self) -> &str {
        &self.client_id
    }
}

/// A future was asked for, so the append made one; this stands in for it should that ever be broken.
fn unreachable_future() -> RecordFuture {
    RecordFuture::done(Err(Error::new(
        ErrorKind::Internal,
        "the record was appended without the future that was asked for",
    )))
}

impl<KS: Serializer, VS: Serializer> fmt::Debug for KafkaProducer<KS, VS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaProducer")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}
