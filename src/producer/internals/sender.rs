//! The I/O thread: takes ready batches from the accumulator, sends them, and settles them by the answers.
//! Java: `Sender`.
//!
//! Threads: one, which owns the `Sender` and calls [`Sender::run`]; others hold its [`SenderControl`]. Locks: none of its
//! own. It waits in one place, the client's `poll`.
//!
//! Differs from Java:
//! - Batches move. One is in its partition's deque, or in [`Sender::in_flight`], or completed; so it cannot be completed
//!   twice, and a request that is never answered cannot lose one.
//! - A batch whose `delivery.timeout.ms` passes while it is in flight is failed at once, but leaves its sequences with the
//!   request, so that a late answer still settles them (KAFKA-13843). It counts as perhaps written whether or not a byte of
//!   the request has left: the request cannot be taken back, and the rest of it may leave a moment later. Its memory stays
//!   with the bytes of the request until those are written or given up (KAFKA-19012).
//! - Asking for a producer id never blocks the other work of the thread.
//! - A partition that is missing from an answer fails like a lost connection, and is not waited for (KAFKA-19397).

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
use self::in_flight::{InFlightBatch, InFlightRequest};
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

/// The first Produce version whose answers name topics by their ids alone.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;
/// The first Produce version whose brokers know zstd.
const FIRST_VERSION_WITH_ZSTD: i16 = 7;

/// How long the thread waits at least for a node that it can send to.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// The settings of the sender, from the configuration keys that they are named after.
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

/// Ends the I/O thread from other threads. The caller wakes the client's poll afterwards.
#[derive(Debug, Default)]
pub(crate) struct SenderControl {
    closing: AtomicBool,
    force_close: AtomicBool,
    /// The records that had no outcome when the thread ended.
    undelivered: AtomicUsize,
}

impl SenderControl {
    /// Lets the thread end when everything that was appended has an outcome. The accumulator is closed before.
    pub(crate) fn initiate_close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Lets the thread end now. What has no outcome yet fails.
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

/// What a [`Sender`] works with.
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
    in_flight: HashMap<CorrelationId, InFlightRequest>,
    /// When the first batch in flight expires.
    in_flight_expiry: NextDue,
    /// The InitProducerId request that is in flight, of a producer without transactions.
    init_producer_id: Option<CorrelationId>,
    /// The request of the transaction manager that is in flight; one at a time.
    transactional_request: Option<(CorrelationId, TxnRequest)>,
    /// Of the cluster that the metadata told of last.
    cluster_id: Option<Arc<str>>,
    log_limiter: RefCell<LogLimiter<(TopicPartition, Trouble)>>,
    /// By text: what the responses of a broker may repeat.
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

    /// The whole life of the I/O thread.
    ///
    /// A panic in here is a bug of this library, and what it left half done is unknown: the producer ends, and everything
    /// that it still had gets an outcome.
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
            // The client may be what is broken, so it is not asked.
            self.shut_down(&error, |_, _, _| true);
        }
        let closed = catch_unwind(AssertUnwindSafe(|| self.client.close()));
        if closed.is_err() {
            log::error!("the producer's connections could not be closed");
        }
        log::debug!("the producer's I/O thread has ended");
    }

    /// Returns whether the loop goes on: until the producer is closed, and then until no work is
    /// left or the close is forced. An open transaction is aborted then.
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

    /// Lets the client push its metrics for the last time, if a broker wants them. They count every record, and take no time
    /// of the records.
    fn push_last_telemetry(&mut self) {
        self.client.initiate_telemetry_close(self.time.now());
        while !self.control.is_forced() {
            let now = self.time.now();
            let Some(wait) = self.client.telemetry_close_wait(now) else {
                return;
            };
            // No batch is left that the wait could be too long for.
            self.poll_client(wait, now);
        }
    }

    fn has_batches_in_flight(&self) -> bool {
        self.in_flight.values().any(InFlightRequest::has_batches)
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

    /// One round of the loop. Java: `runOnce`.
    ///
    /// Batches expire before the transactional step: a commit that waits for one of them hears of it in this round, and
    /// not after the wait at its end.
    pub(crate) fn run_once(&mut self) {
        let now = self.time.now();
        // Before anything that depends on the metadata, because it may bring new metadata.
        self.read_before_expiry(now);
        self.maybe_change_cluster();
        self.maybe_fail_bootstrap();
        let mut timeout = match self.ledger.fatal_error() {
            Some(error) => {
                self.abort_all_batches(&failed_before(&error));
                // Nothing is left that the clock could end. A later record wakes the thread, because its deque was empty.
                Duration::MAX
            }
            None => self.deliver(now),
        };
        if self.control.is_closing() && !self.should_run() {
            // This round did the last of the work, such as ending a transaction that nothing was sent in: no response comes.
            timeout = Duration::ZERO;
        }
        let timeout = timeout.min(self.metrics.maybe_log(now));
        self.poll(timeout, now);
    }

    /// What a round does before its wait. Returns how long nothing else is to be done.
    fn deliver(&mut self, now: Instant) -> Duration {
        // Both may be why another producer id is needed, or why a transaction can only be aborted.
        self.expire_batches(now);
        self.maybe_resolve_sequences();
        let request_delay = self
            .maybe_send_init_producer_id(now)
            .min(self.maybe_send_transactional_request(now));
        self.send_producer_data(now).min(request_delay)
    }

    /// Without a node to begin with no request is ever sent, and a transactional call must not wait for one.
    fn maybe_fail_bootstrap(&self) {
        if let Some(error) = self.metadata.bootstrap_error() {
            self.ledger.transition_to_fatal_error(error);
        }
    }

    /// Sends what is ready, and says how long nothing else is to be done. Java: `sendProducerData`.
    fn send_producer_data(&mut self, now: Instant) -> Duration {
        let timeout = self.drain_and_send(now);
        // A batch that is opened during the wait expires no earlier than its end.
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
        // The transactional step of this round did not see a batch that ends here, so the next round follows at once.
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

    /// Sends one request with all of the batches. Returns false if they are in no request: failed, or put back. Java:
    /// `sendProduceRequest`.
    fn send_produce_request(
        &mut self,
        node: NodeId,
        mut batches: Vec<DrainedBatch>,
        now: Instant,
    ) -> bool {
        if self.is_too_old_for_compression(node) {
            for batch in batches {
                let text =
                    format!("node {node} does not know zstd, which needs Kafka 2.1 or later");
                self.scheduler.end_flight(batch.partition());
                let error = Error::new(ErrorKind::UnsupportedVersion, text);
                self.fail_batch(*batch, error, Vec::new());
            }
            return false;
        }
        // The request names each topic once. Batches are long, so their places are sorted and then each is moved once.
        batches.sort_by_cached_key(|batch| batch.partition().order_in_request());
        let topics = produce_topics(&batches);
        self.metrics.request_sent(&mut batches, now);
        let transactions = self.ledger.transactions();
        let transaction = transactions.map(|manager| manager.transactional_id());
        let versions = match transaction {
            Some((_, version)) => usable_versions(ApiKey::Produce, version),
            None => ApiKey::Produce.versions(),
        };
        let request = ProduceRequest {
            transactional_id: transaction.map(|(id, _)| id),
            acks: self.config.acks,
            timeout_ms: i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX),
            topics,
        };
        let slots: Vec<_> = batches
            .into_iter()
            .map(|batch| {
                if self.config.max_in_flight_requests_per_connection == 1 {
                    self.scheduler.mute_partition(batch.partition());
                }
                InFlightBatch::new(batch)
            })
            .collect();
        let sent = self.client.send(
            ClientRequest {
                destination: node,
                body: RequestBody::Produce(request),
                versions,
                expect_response: self.config.acks != 0,
                request_timeout: self.config.request_timeout,
            },
            now,
        );
        let request = InFlightRequest::new(node, now, slots, self.config.delivery_timeout);
        match sent {
            Ok(correlation_id) => {
                self.in_flight_expiry.note(request.next_expiry());
                self.in_flight.insert(correlation_id, request);
                true
            }
            // It was ready a moment ago; the batches are tried again like after any lost connection.
            Err(_) => {
                self.settle_all(request, now, || {
                    PartitionOutcome::disconnected("the node was not ready", false)
                });
                false
            }
        }
    }

    fn is_too_old_for_compression(&self, node: NodeId) -> bool {
        self.config.compression == CompressionType::Zstd
            && self
                .client
                .api_version(node, ApiKey::Produce)
                .is_some_and(|version| version < FIRST_VERSION_WITH_ZSTD)
    }

    /// Waits for the network, and settles what it brings.
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

    /// Returns `retry.backoff.ms`, or more where that would be a busy loop. For waits that nothing else may end.
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

/// Failure and abortion: batches that end without an answer.
impl<C: KafkaClient> Sender<C> {
    /// Fails a batch that is not in flight, and with it the transaction that it is in. A fatal error ends the producer.
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
        // A request that is still queued leaves later.
        self.fail_in_flight(error, |_, _, _| true);
        // The second time forgets what the failures announce. No round looks at these partitions, so what stays announced
        // would end every wait; what a caller announces later is to end the next one.
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

    /// Fails every batch in flight, and says how many records that were.
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

/// The body of a request with these batches, which are in order. The client chooses a version that names topics as
/// this can: without the id of every topic not by their ids.
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
