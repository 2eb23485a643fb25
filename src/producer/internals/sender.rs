//! The I/O thread: takes ready batches from the accumulator, sends them, and completes them
//! according to the responses. Java: `Sender`.
//!
//! Threads: one, which owns the `Sender` and calls [`Sender::run`]. Others hold its
//! [`SenderControl`].
//! Locks: none of its own. It waits in one place, the client's `poll`.
//!
//! Differs from Java:
//! - Batches move. A batch is in its partition's deque, in [`Sender::in_flight`], or complete. So
//!   it cannot be completed twice, and a request without a response cannot lose it.
//! - If `delivery.timeout.ms` passes while a batch is in flight, the batch fails immediately, but
//!   its sequences stay with the request, so that a late response still resolves them
//!   (KAFKA-13843). The batch counts as possibly written even if no byte of the request has left:
//!   the request cannot be withdrawn, and the rest may leave a moment later. Its memory stays with
//!   the request's bytes until those are written or discarded (KAFKA-19012).
//! - A request for a producer id never blocks the thread's other work.
//! - A partition that is missing from a response fails like a lost connection, instead of waiting
//!   (KAFKA-19397).

mod cluster_change;
mod decision;
mod expiry;
mod failures;
mod in_flight;
mod init_producer_id;
mod ledger;
mod produce_response;
mod resolution;
mod transactional;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use self::decision::PartitionOutcome;
use self::failures::{MAX_LOGGED_PARTITIONS, Trouble, failed_before};
use self::in_flight::{InFlightBatch, InFlightProduce};
pub(crate) use self::ledger::Ledger;
use super::fate::Certainty;
use super::transactions::{TxnRequest, usable_versions};
use super::{DrainedBatch, ProducerBatch, RecordAccumulator, Scheduler, SenderMetrics};
use crate::client::{ClientRequest, ClientResponse, CorrelationId, KafkaClient, Metadata};
use crate::common::{NodeId, TopicPartition};
use crate::error::{Error, ErrorKind};
use crate::protocol::messages::{ProducePartition, ProduceRequest, ProduceTopic};
use crate::protocol::{ApiKey, RequestBody};
use crate::record::CompressionType;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering};
use crate::utils::{LogLimiter, NextDue, Time, log};

/// The first Produce version whose responses identify topics only by their ids.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;
/// The first Produce version whose brokers support zstd.
const FIRST_VERSION_WITH_ZSTD: i16 = 7;

/// The shortest wait for a node that can take a request.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// The settings of the sender, named after their configuration keys.
#[derive(Clone, Debug)]
pub(crate) struct SenderConfig {
    pub(crate) acks: i16,
    pub(crate) retries: u32,
    pub(crate) max_request_size: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) delivery_timeout: Duration,
    pub(crate) retry_backoff: Duration,
    pub(crate) max_in_flight_requests_per_connection: usize,
    pub(crate) compression: CompressionType,
}

/// Ends the I/O thread from other threads. The caller must wake the client's poll afterwards.
#[derive(Debug, Default)]
pub(crate) struct SenderControl {
    closing: AtomicBool,
    force_close: AtomicBool,
    /// The number of records without an outcome when the thread ended.
    undelivered: AtomicUsize,
}

impl SenderControl {
    /// Lets the thread end once everything that was appended has an outcome. The accumulator must
    /// be closed before.
    pub(crate) fn initiate_close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Lets the thread end now. Whatever has no outcome yet fails. The thread closes the accumulator.
    pub(crate) fn force_close(&self) {
        self.force_close.store(true, Ordering::Release);
        self.initiate_close();
    }

    /// How many records failed because the thread ended before they were delivered.
    pub(crate) fn undelivered(&self) -> usize {
        self.undelivered.load(Ordering::Acquire)
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn is_forced(&self) -> bool {
        self.force_close.load(Ordering::Acquire)
    }
}

/// The parts of a [`Sender`].
#[derive(Debug)]
pub(crate) struct SenderParts<C> {
    pub(crate) config: SenderConfig,
    pub(crate) client: C,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) scheduler: Scheduler,
    pub(crate) ledger: Ledger,
    pub(crate) time: Arc<dyn Time>,
    pub(crate) metrics: SenderMetrics,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Sender<C> {
    config: SenderConfig,
    client: C,
    metadata: Arc<Metadata>,
    scheduler: Scheduler,
    ledger: Ledger,
    time: Arc<dyn Time>,
    metrics: SenderMetrics,
    control: Arc<SenderControl>,
    in_flight: HashMap<CorrelationId, InFlightProduce>,
    /// When the first batch in flight expires.
    in_flight_expiry: NextDue,
    /// The InitProducerId request in flight, for a producer without transactions.
    init_producer_id: Option<CorrelationId>,
    /// The transaction manager's request in flight. There is at most one.
    transactional_request: Option<(CorrelationId, TxnRequest)>,
    /// The id of the cluster in the latest metadata.
    cluster_id: Option<Arc<str>>,
    log_limiter: RefCell<LogLimiter<(TopicPartition, Trouble)>>,
    /// By text, because a broker may repeat a response.
    warnings: RefCell<LogLimiter<String>>,
}

impl<C: KafkaClient> Sender<C> {
    pub(crate) fn new(parts: SenderParts<C>) -> Self {
        Self {
            config: parts.config,
            client: parts.client,
            metadata: parts.metadata,
            scheduler: parts.scheduler,
            ledger: parts.ledger,
            time: parts.time,
            metrics: parts.metrics,
            control: Arc::default(),
            in_flight: HashMap::new(),
            in_flight_expiry: NextDue::default(),
            init_producer_id: None,
            transactional_request: None,
            cluster_id: None,
            log_limiter: RefCell::new(LogLimiter::new(MAX_LOGGED_PARTITIONS)),
            warnings: RefCell::new(LogLimiter::new(16)),
        }
    }

    pub(crate) fn control(&self) -> Arc<SenderControl> {
        Arc::clone(&self.control)
    }

    fn accumulator(&self) -> &RecordAccumulator {
        self.scheduler.accumulator()
    }

    /// Runs the I/O thread from its start to its end.
    ///
    /// A panic in here is a bug of this library and leaves an unknown state. So the producer ends,
    /// and everything that it still holds gets an outcome.
    pub(crate) fn run(mut self) {
        self.accumulator().io_thread().enter();
        log::debug!("started the producer's I/O thread");
        let ended = catch_unwind(AssertUnwindSafe(|| {
            while self.should_run() {
                self.run_once();
            }
            self.push_last_telemetry();
        }));
        if ended.is_ok() {
            let text = "the producer was closed before the record was delivered";
            self.shut_down(&Error::new(ErrorKind::Closed, text), |client, id, node| {
                client.was_written(id, node)
            });
        } else {
            log::error!(
                "the producer's I/O thread panicked, which is a bug; the producer is closed"
            );
            let text = "the producer failed because of a bug in this library, and is closed";
            let error = Error::new(ErrorKind::Internal, text);
            self.ledger.transition_to_fatal_error(error.clone());
            // The client itself may be broken, so it is not called.
            self.shut_down(&error, |_, _, _| true);
        }
        let closed = catch_unwind(AssertUnwindSafe(|| self.client.close()));
        if closed.is_err() {
            log::error!("the producer's connections could not be closed");
        }
        log::debug!("the producer's I/O thread has ended");
    }

    /// Returns whether the loop continues: until the producer is closed, and then until no work is
    /// left or the close is forced. A close aborts an open transaction.
    fn should_run(&self) -> bool {
        if !self.control.is_closing() {
            return true;
        }
        if self.control.is_forced() {
            return false;
        }
        self.accumulator().has_undrained()
            || self.has_batches_in_flight()
            || self.ends_open_transaction()
    }

    /// Lets the client push its metrics one last time, if a broker requests them. By now they count
    /// every record, and the records no longer need the time.
    fn push_last_telemetry(&mut self) {
        self.client.initiate_telemetry_close(self.time.now());
        while !self.control.is_forced() {
            let now = self.time.now();
            let Some(wait) = self.client.telemetry_close_wait(now) else {
                return;
            };
            // No batch is left that could expire during the wait.
            self.poll_client(wait, now);
        }
    }

    fn has_batches_in_flight(&self) -> bool {
        self.in_flight.values().any(InFlightProduce::has_batches)
    }

    /// Fails every record and call without an outcome, and wakes all waiters. The client writes
    /// nothing after this.
    fn shut_down(
        &mut self,
        reason: &Error,
        was_written: impl Fn(&C, CorrelationId, NodeId) -> bool,
    ) {
        self.accumulator().close();
        self.metadata.close();
        self.fail_transactional_requests(reason);
        let in_flight = self.fail_in_flight(reason, was_written);
        let undelivered = in_flight + self.abort_undrained(reason);
        self.control
            .undelivered
            .store(undelivered, Ordering::Release);
    }

    /// Runs one round of the loop. Java: `runOnce`.
    ///
    /// Batches expire before the transactional step. A commit that waits for one of them thus
    /// learns of it in this round, and not after the wait at its end.
    pub(crate) fn run_once(&mut self) {
        let now = self.time.now();
        // Comes before everything that depends on the metadata, because it may bring new metadata.
        self.read_before_expiry(now);
        self.maybe_change_cluster();
        self.maybe_fail_bootstrap();
        let mut timeout = match self.ledger.fatal_error() {
            Some(error) => {
                self.abort_all_batches(&failed_before(&error));
                // Nothing is left that depends on the clock. A later record wakes the thread,
                // because its deque is empty now.
                Duration::MAX
            }
            None => self.deliver(now),
        };
        if self.control.is_closing() && !self.should_run() {
            // This round did the last of the work, such as ending an empty transaction, so no
            // response will follow.
            timeout = Duration::ZERO;
        }
        let timeout = timeout.min(self.metrics.maybe_log(now));
        self.poll(timeout, now);
    }

    /// Does the work of a round before its wait. Returns the time until there is more to do.
    fn deliver(&mut self, now: Instant) -> Duration {
        // Both may require another producer id, or make the transaction abortable only.
        self.expire_batches(now);
        self.maybe_resolve_sequences();
        let request_delay = self
            .maybe_send_init_producer_id(now)
            .min(self.maybe_send_transactional_request(now));
        self.send_producer_data(now).min(request_delay)
    }

    /// Fails a transactional call if bootstrap has failed: without a node, no request is ever sent.
    fn maybe_fail_bootstrap(&self) {
        if let Some(error) = self.metadata.bootstrap_error() {
            self.ledger.transition_to_fatal_error(error);
        }
    }

    /// Sends what is ready. Returns the time until there is more to do. Java: `sendProducerData`.
    fn send_producer_data(&mut self, now: Instant) -> Duration {
        let timeout = self.drain_and_send(now);
        // A batch that opens during the wait expires no earlier than the wait ends.
        let timeout = timeout.min(self.config.delivery_timeout);
        let expiries = [
            self.scheduler.next_expiry(),
            self.next_in_flight_expiry(now),
        ];
        let waits = expiries.into_iter().flatten();
        waits.fold(timeout, |timeout, expiry| {
            timeout.min(expiry.saturating_duration_since(now))
        })
    }

    fn drain_and_send(&mut self, now: Instant) -> Duration {
        let cluster = self.metadata.load();
        let mut ready = self.scheduler.ready(&cluster, now);
        if ready.is_view_new {
            self.metrics.retain_topics(&cluster);
        }
        if !ready.unknown_leader_topics.is_empty() {
            for topic in &ready.unknown_leader_topics {
                self.metadata.add(topic, now);
            }
            self.metadata.request_update();
        }
        let mut timeout = ready.next_ready_check_delay;
        ready.ready_nodes.retain(|node| {
            let is_ready = self.client.ready(node, now);
            self.scheduler
                .update_node_latency_stats(node.id(), now, is_ready);
            if !is_ready {
                timeout = timeout.min(self.client.poll_delay(node.id(), now));
            }
            is_ready
        });
        let drained = self.scheduler.drain(
            &ready.ready_nodes,
            self.config.max_request_size,
            now,
            self.ledger.gate(),
        );
        if drained.is_check_due {
            timeout = Duration::ZERO;
        }
        // The transactional step of this round does not see a batch that fails here, so the next
        // round follows immediately.
        let mut all_sent = drained.failed.is_empty();
        for (batch, error) in drained.failed {
            self.scheduler.end_flight(batch.partition());
            self.fail_batch(batch, error, Vec::new());
        }
        for (node, batches) in drained.batches {
            all_sent &= self.send_produce_request(node, batches, now);
        }
        if all_sent { timeout } else { Duration::ZERO }
    }

    /// Sends one request with all of the batches. Returns false if they are not in a request: they
    /// failed, or were put back. Java: `sendProduceRequest`.
    fn send_produce_request(
        &mut self,
        node: NodeId,
        mut batches: Vec<DrainedBatch>,
        now: Instant,
    ) -> bool {
        if self.is_too_old_for_compression(node) {
            self.fail_for_compression(node, batches);
            return false;
        }
        // The request names each topic once. Batches are large, so this sorts their indexes and
        // moves each batch once.
        batches.sort_by_cached_key(|batch| batch.partition().order_in_request());
        let request = self.produce_request(node, &batches);
        self.metrics.request_sent(&mut batches, now);
        let slots: Vec<_> = batches
            .into_iter()
            .map(|batch| {
                if self.config.max_in_flight_requests_per_connection == 1 {
                    self.scheduler.mute_partition(batch.partition());
                }
                InFlightBatch::new(batch)
            })
            .collect();
        let sent = self.client.send(request, now);
        let request = InFlightProduce::new(node, now, slots, self.config.delivery_timeout);
        match sent {
            Ok(correlation_id) => {
                self.in_flight_expiry.note(request.next_expiry());
                self.in_flight.insert(correlation_id, request);
                true
            }
            // The node was ready a moment ago. The batches are retried, as after any lost
            // connection.
            Err(_) => {
                self.settle_all(request, now, || {
                    PartitionOutcome::disconnected("the node was not ready", false)
                });
                false
            }
        }
    }

    /// Returns the request with these batches, which are in order.
    fn produce_request(&self, node: NodeId, batches: &[DrainedBatch]) -> ClientRequest {
        let transactions = self.ledger.transactions();
        let transaction = transactions.map(|manager| manager.transactional_id());
        let versions = match transaction {
            Some((_, version)) => usable_versions(ApiKey::Produce, version),
            None => ApiKey::Produce.versions(),
        };
        let request_timeout = self.config.request_timeout;
        let request = ProduceRequest {
            transactional_id: transaction.map(|(id, _)| id),
            acks: self.config.acks,
            timeout_ms: i32::try_from(request_timeout.as_millis()).unwrap_or(i32::MAX),
            topics: produce_topics(batches),
        };
        ClientRequest {
            destination: node,
            body: RequestBody::Produce(request),
            versions,
            expect_response: self.config.acks != 0,
            request_timeout,
        }
    }

    /// Fails batches whose node does not know their compression.
    #[cold]
    fn fail_for_compression(&self, node: NodeId, batches: Vec<DrainedBatch>) {
        for batch in batches {
            let text = format!("node {node} does not know zstd, which needs Kafka 2.1 or later");
            self.scheduler.end_flight(batch.partition());
            let error = Error::new(ErrorKind::UnsupportedVersion, text);
            self.fail_batch(*batch, error, Vec::new());
        }
    }

    fn is_too_old_for_compression(&self, node: NodeId) -> bool {
        self.config.compression == CompressionType::Zstd
            && self
                .client
                .api_version(node, ApiKey::Produce)
                .is_some_and(|version| version < FIRST_VERSION_WITH_ZSTD)
    }

    /// Waits for the network, and handles its responses.
    fn poll(&mut self, timeout: Duration, now: Instant) {
        let timeout = self.scheduler.begin_wait(timeout, now);
        self.poll_client(timeout, now);
    }

    /// Returns whether there were responses.
    fn poll_client(&mut self, timeout: Duration, now: Instant) -> bool {
        let responses = self.client.poll(timeout, now);
        if responses.is_empty() {
            return false;
        }
        let now = self.time.now();
        for response in responses {
            self.handle_response(response, now);
        }
        true
    }

    /// Returns `retry.backoff.ms`, or more if that is too short for polling. For waits that nothing
    /// else may end.
    fn pause(&self) -> Duration {
        self.config.retry_backoff.max(SHORTEST_PAUSE)
    }

    fn handle_response(&mut self, response: ClientResponse, now: Instant) {
        if self.init_producer_id == Some(response.correlation_id) {
            self.init_producer_id = None;
            self.handle_init_producer_id_response(response.outcome, now);
        } else if let Some((_, request)) = self
            .transactional_request
            .take_if(|(id, _)| *id == response.correlation_id)
        {
            self.handle_transactional_response(request, response.outcome, now);
        } else if let Some(request) = self.in_flight.remove(&response.correlation_id) {
            self.handle_produce_response(request, response, now);
        }
    }
}

/// Failure and abortion: batches that end without a response.
impl<C: KafkaClient> Sender<C> {
    /// Fails a batch that is not in flight, and its transaction. A fatal error ends the producer.
    fn fail_batch(&self, batch: ProducerBatch, error: Error, by_index: Vec<(u32, Error)>) {
        let error = self.ledger.note_failure(error);
        let by_index = by_index
            .into_iter()
            .map(|(index, of_record)| (index, of_record.abortable_like(&error)))
            .collect();
        self.ledger
            .failed(batch.topic_partition(), batch.sequence());
        batch.partition().announce();
        self.count_failed(&batch);
        batch.complete_exceptionally(error, by_index);
    }

    /// Fails every waiting batch. Returns the number of its records. Java:
    /// `abortIncompleteBatches`.
    fn abort_undrained(&mut self, error: &Error) -> usize {
        let mut records = 0;
        for batch in self.scheduler.take_all() {
            records += batch.record_count() as usize;
            self.count_failed(&batch);
            batch.complete_exceptionally(error.clone(), Vec::new());
        }
        records
    }

    /// Counts the records of a batch that is about to fail.
    fn count_failed(&self, batch: &ProducerBatch) {
        self.metrics.failed(batch, self.time.now());
    }

    /// Fails every batch, in flight or not.
    fn abort_all_batches(&mut self, error: &Error) {
        // A queued request leaves later, even now.
        self.fail_in_flight(error, |_, _, _| true);
        // Two passes, because the second one drops the announcements of the failures. No round
        // looks at these partitions any more, and an announced one would end every wait. Later
        // announcements of callers must end the next wait.
        for _ in 0..2 {
            self.scheduler.forget_announcements();
            if !self.accumulator().has_undrained() {
                return;
            }
            for batch in self.scheduler.take_all() {
                self.fail_batch(batch, error.clone(), Vec::new());
            }
        }
    }

    /// Fails every batch in flight. Returns the number of their records.
    fn fail_in_flight(
        &mut self,
        error: &Error,
        was_written: impl Fn(&C, CorrelationId, NodeId) -> bool,
    ) -> usize {
        let mut taken = Vec::new();
        for (correlation_id, request) in &mut self.in_flight {
            let may_be_written = was_written(&self.client, *correlation_id, request.node());
            for batch in request.take_batches() {
                if !may_be_written {
                    batch.result().fate().end_attempt(Certainty::NotWritten);
                }
                taken.push(batch);
            }
        }
        taken.sort_by_key(ProducerBatch::age_order);
        let mut records = 0;
        for batch in taken {
            self.ledger
                .expired(batch.topic_partition(), batch.sequence());
            records += batch.record_count() as usize;
            self.count_failed(&batch);
            batch.complete_exceptionally(error.clone(), Vec::new());
        }
        self.in_flight_expiry.clear();
        records
    }
}

/// Returns the body of a request with these batches, which are in order. If a topic's id is
/// missing, the client chooses a version that identifies topics by name.
fn produce_topics(batches: &[DrainedBatch]) -> Vec<ProduceTopic> {
    let mut topics: Vec<ProduceTopic> = Vec::new();
    for batch in batches {
        let topic_partition = batch.topic_partition();
        let partition = ProducePartition {
            index: topic_partition.partition(),
            records: Some(batch.record_set()),
        };
        match topics.last_mut() {
            Some(topic) if *topic.name == *topic_partition.topic() => {
                topic.partitions.push(partition);
            }
            _ => topics.push(ProduceTopic {
                name: Arc::clone(topic_partition.shared_topic()),
                topic_id: batch.topic_id(),
                partitions: vec![partition],
            }),
        }
    }
    topics
}
