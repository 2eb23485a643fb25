//! The producer. Java: `KafkaProducer`.
//!
//! Threads: any number of callers, by reference or `Arc`; one I/O thread,
//! `kafka-producer-network-thread | <client.id>`, which also runs the callbacks.
//! Locks: only the one around the thread's handle. Callers and the I/O thread share the accumulator
//! and the metadata.

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
    CallTimes, ErrorCounter, Ledger, ProducerCall, RecordAccumulator, SenderControl, WaitLimit,
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
/// Dropping the producer closes it, and waits for deliveries for at most `request.timeout.ms`.
/// Records that are not delivered by then fail, and the failure is logged. Call
/// [`close`](Self::close) to choose the time and to see the error.
///
/// **A producer in a `static` is never dropped.** The program ends with records still in their
/// batches, without an error and without a line in the log. The same happens with
/// `std::process::exit`, with a leaked producer, and if a thread that holds the producer still runs
/// when `main` returns. Call [`close`](Self::close), or at least [`flush`](Self::flush), before
/// `main` returns:
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
/// A child of `fork` has the producer's memory but not its I/O thread. Every call on the producer
/// and every wait on one of its futures fails there with [`Forked`](crate::ErrorKind::Forked), and
/// dropping it does nothing. The parent's producer goes on and delivers the records that were sent
/// before. Build another producer in the child. A send notices the fork at most a millisecond after
/// the parent's last send on the same thread. A record that is sent within that time may join the
/// child's copy of a batch, which is never sent. Its future fails with `Forked`, and its callback
/// is never called. A child that is forked inside a callback must not return from it.
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
    /// Set in a transactional producer.
    transactions: Option<Arc<TransactionManager>>,
    control: Arc<SenderControl>,
    io_thread: IoThreadHandle,
    metrics: Arc<Metrics>,
    /// Set if metrics may be pushed.
    client_instance_id: Option<ClientInstanceId>,
    call_times: CallTimes,
    record_errors: ErrorCounter,
    status: Arc<ClientStatus>,
    ledger: Ledger,
    /// The process that runs the I/O thread.
    process: Process,
    time: SystemTime,
}

impl KafkaProducer {
    /// Returns a builder for a producer of bytes and text. The builder can change the serializers.
    pub fn builder() -> KafkaProducerBuilder {
        KafkaProducerBuilder::new(ProducerConfig::new())
    }

    /// Builds a producer of bytes and text with this configuration.
    ///
    /// # Errors
    ///
    /// Those of [`KafkaProducerBuilder::build`].
    ///
    /// # Blocking
    ///
    /// While the names of `bootstrap.servers` are resolved and, with OAUTHBEARER and AWS_MSK_IAM,
    /// until the first token is there. It does not wait for brokers.
    pub fn new(config: ProducerConfig) -> Result<Self> {
        KafkaProducerBuilder::new(config).build()
    }
}

impl<KS: Serializer, VS: Serializer> KafkaProducer<KS, VS> {
    /// Appends the record to a batch, and returns a future of its delivery.
    ///
    /// # Errors
    ///
    /// The record was not sent and never will be. The kinds are `Closed`, `Serialization` (the
    /// serializer refused it, or panicked), `IllegalArgument` (a negative partition or timestamp, a
    /// partitioner that failed or chose an unknown partition), `Panic` (in the partitioner), and
    /// `WouldDeadlock` (inside a callback, if the call would have to wait). A transactional
    /// producer also fails with `IllegalState` outside of a transaction, and with `Transaction` or
    /// `Fenced` in one that failed. As in Java, the [`RecordFuture`] has the failures that concern
    /// the cluster: no metadata or no buffer memory within `max.block.ms`, a record too large, an
    /// illegal or forbidden topic. The manual's page [`delivery`](crate::manual::delivery) says
    /// what to do with each.
    ///
    /// # Blocking
    ///
    /// While the topic's metadata is unknown and while the buffer is full, for at most
    /// `max.block.ms` in all.
    pub fn send(
        &self,
        mut record: ProducerRecord<'_, KS::Input, VS::Input>,
    ) -> Result<RecordFuture> {
        self.do_send(&mut record, None, self.patience())
    }

    /// Appends the record to a batch, and calls `callback` exactly once with the outcome, unless
    /// this call returns an error.
    ///
    /// The callback runs on the I/O thread; keep it short. The callbacks of one partition run in
    /// the order of its records. Only a batch that is acknowledged while an earlier one is retried
    /// completes first. A callback may send, but calls that would have to wait fail in it. A panic
    /// in it is logged, and has no other effect. For a failure that [`send`](Self::send) would put
    /// in the future, the callback runs before this call returns.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send). The callback is then dropped without being called.
    ///
    /// # Blocking
    ///
    /// As long as [`send`](Self::send).
    pub fn send_with_callback(
        &self,
        mut record: ProducerRecord<'_, KS::Input, VS::Input>,
        callback: impl FnOnce(Result<RecordMetadata>) + Send + 'static,
    ) -> Result<()> {
        let callback = Some(Callback::new(callback));
        self.do_send(&mut record, callback, self.patience())
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
    /// Every record is sent, even if an earlier one fails, and each has a result: an error that
    /// [`send`](Self::send) would return is the result of that record. So no other record is lost
    /// with the error. [`JoinError`](crate::JoinError) says how many records were delivered.
    ///
    /// # Blocking
    ///
    /// As long as [`send`](Self::send), for each record. But once `max.block.ms` was too short for
    /// a record, the following ones fail immediately instead of waiting. In an outage the call thus
    /// takes about `max.block.ms`, and not that for each record.
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

    /// Does the same as [`send`](Self::send), but never blocks.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), with the record. `WouldBlock` if the topic's metadata is not known
    /// yet, which this call requests, or if the buffer is full.
    pub fn try_send<'a>(
        &self,
        record: ProducerRecord<'a, KS::Input, VS::Input>,
    ) -> Result<RecordFuture, TrySendError<'a, KS::Input, VS::Input>> {
        self.do_try_send(record, None)
    }

    /// Does the same as [`send_with_callback`](Self::send_with_callback), but never blocks.
    ///
    /// # Errors
    ///
    /// Those of [`try_send`](Self::try_send). The callback is then dropped without being called.
    pub fn try_send_with_callback<'a>(
        &self,
        record: ProducerRecord<'a, KS::Input, VS::Input>,
        callback: impl FnOnce(Result<RecordMetadata>) + Send + 'static,
    ) -> Result<(), TrySendError<'a, KS::Input, VS::Input>> {
        self.do_try_send(record, Some(Callback::new(callback)))
    }

    /// Sends all batches without waiting for `linger.ms`, and waits until each record that was sent
    /// before has an outcome. It does not wait for records that other threads send meanwhile. A
    /// failed delivery is no error of this call: the futures and callbacks have it.
    ///
    /// # Errors
    ///
    /// `WouldDeadlock` inside a callback; `Forked` in a forked child.
    ///
    /// # Blocking
    ///
    /// At most `delivery.timeout.ms`, plus the rest of a request that is in flight then.
    pub fn flush(&self) -> Result<()> {
        self.flush_within("flush", None)?;
        Ok(())
    }

    /// Returns every metric of this producer: Java's, under Java's names, and a few more. Works at
    /// any time, even inside a callback and after the close.
    ///
    /// The manual's page [`java_map`](crate::manual::java_map#metrics) lists the metrics that only
    /// Java has, and those that only this producer has.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.metrics.snapshot()
    }

    /// Returns what the producer knows of its own state, for a readiness probe. Sends nothing, and
    /// works at any time, even inside a callback and after the close. [`Health::is_healthy`]
    /// summarizes it.
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
        // Checked before any lock, which in a forked child may be held forever.
        if let Err(forked) = self.accumulator.io_thread().check_process() {
            return Health::of_fork(forked, self.buffer_memory);
        }
        let nodes = self.status.nodes();
        let nodes = nodes.iter().map(|status| {
            NodeHealth::new(status, self.metadata.connection_failure_of(&status.node))
        });
        let pool = self.accumulator.pool();
        let fatal_error = self.ledger.fatal_error();
        Health {
            is_open: !self.accumulator.is_closed(),
            fatal_error: fatal_error.or_else(|| self.metadata.bootstrap_error()),
            since_last_response: self.status.since_last_response(self.time.now()),
            nodes: nodes.collect(),
            buffer_total_bytes: pool.total_memory(),
            buffer_available_bytes: pool.available_memory(),
            waiting_threads: pool.queued(),
        }
    }

    /// Records the time of a call that began at `start` and succeeded.
    fn note_time(&self, call: ProducerCall, start: Instant) {
        let spent = self.time.now().saturating_duration_since(start);
        self.call_times.add(call, spent);
    }

    /// Returns the partitions of a topic from the metadata, and requests the metadata of a topic
    /// that is not known yet. In an outage of all brokers it returns the last known partitions,
    /// without leaders.
    ///
    /// # Errors
    ///
    /// `Timeout` if the topic does not become known within `max.block.ms`, `InvalidTopic`,
    /// `Authorization`, `Authentication`, `Closed`, `Forked` in a forked child, and `WouldDeadlock`
    /// inside a callback.
    ///
    /// # Blocking
    ///
    /// While the topic's metadata is unknown, for at most `max.block.ms`.
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

    /// Checks that the producer is open.
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

    /// Checks that a call may block.
    ///
    /// `WouldDeadlock` inside a callback; `Forked` in a forked child.
    pub(super) fn check_may_block(&self, call: &str) -> Result<()> {
        self.accumulator.io_thread().check_may_block(call)
    }

    /// Returns the name of this producer in broker logs, quotas and thread names (`client.id`).
    pub fn client_id(&self) -> &str {
        &self.client_id
    }
}

impl<KS: Serializer, VS: Serializer> fmt::Debug for KafkaProducer<KS, VS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaProducer")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}
