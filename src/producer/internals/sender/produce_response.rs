//! Completes the batches of a Produce request according to its response. Java:
//! `Sender.handleProduceResponse`, `completeBatch`, `failBatch`.

use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::decision::{BatchFacts, Decision, FailedAttempt, PartitionOutcome, classify, is_ack};
use super::failures::Trouble;
use super::in_flight::{InFlightBatch, InFlightProduce};
use super::{FIRST_VERSION_WITH_TOPIC_IDS, Sender};
use crate::client::{ClientResponse, KafkaClient, RequestFailure, node_from_wire};
use crate::common::{Node, TopicPartition, Uuid};
use crate::error::Error;
use crate::producer::internals::ProducerBatch;
use crate::producer::internals::transactions::CONCURRENT_TRANSACTIONS_BACKOFF;
use crate::protocol::messages::{
    NodeEndpoint, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use crate::protocol::{ErrorCode, ResponseBody};
use crate::sync::Arc;
use crate::utils::{Count, log};

impl<C: KafkaClient> Sender<C> {
    pub(super) fn handle_produce_response(
        &mut self,
        request: InFlightProduce,
        response: ClientResponse,
        now: Instant,
    ) {
        let waited = now.saturating_duration_since(request.created());
        match response.outcome {
            Ok(Some(ResponseBody::Produce(body))) => {
                self.settle_by_answer(request, body, response.api_version, waited, now);
            }
            Ok(None) => {
                let slots = request.slots().iter();
                let batches = slots.filter_map(|slot| slot.batch.as_deref());
                self.metrics.unconfirmed(waited, batches, now);
                self.settle_all(request, now, || PartitionOutcome::UNCONFIRMED);
            }
            Ok(Some(_)) => self.settle_all(request, now, || {
                PartitionOutcome::unintelligible(
                    "the response to a produce request belongs to another API",
                )
            }),
            Err(RequestFailure::Disconnected {
                timed_out,
                was_written,
                cause,
            }) => {
                log::debug!(
                    "a produce request to node {} failed: {cause}",
                    request.node()
                );
                self.settle_all(request, now, || match timed_out {
                    true => PartitionOutcome::timed_out(&cause, waited, was_written),
                    false => PartitionOutcome::disconnected(&cause, was_written),
                });
            }
            Err(RequestFailure::UnsupportedVersion { message, node }) => {
                self.warn_once(format!("cannot produce to node {node}: {message}"), now);
                self.settle_all(request, now, || {
                    PartitionOutcome::unsupported_version(&message)
                });
            }
            Err(RequestFailure::InvalidResponse { message }) => {
                self.settle_all(request, now, || PartitionOutcome::unintelligible(&message));
            }
        }
    }

    /// Gives every batch of the request the same outcome.
    pub(super) fn settle_all(
        &mut self,
        request: InFlightProduce,
        now: Instant,
        outcome: impl Fn() -> PartitionOutcome,
    ) {
        let mut refresh_metadata = false;
        for slot in request.into_slots() {
            let outcome = outcome();
            refresh_metadata |= outcome.code().refreshes_metadata();
            self.settle(slot, outcome, now);
        }
        if refresh_metadata {
            self.metadata.request_update();
        }
    }

    fn settle_by_answer(
        &mut self,
        request: InFlightProduce,
        body: ProduceResponse,
        version: i16,
        waited: Duration,
        now: Instant,
    ) {
        let (endpoints, unusable) = nodes(&body.node_endpoints);
        for reason in unusable {
            self.warn_once(format!("ignored a leader's address: {reason}"), now);
        }
        let answers = answers_in_order(request.slots(), body.topics, version);
        self.count_answered(&request, &answers, waited, now);
        let mut leaders = Vec::new();
        let mut refresh_metadata = false;
        let mut slots = request.into_slots().into_iter();
        let mut answers = answers.into_iter();
        while let Some(slot) = slots.next() {
            let next = slots.as_slice().first();
            if let Some(next) = next.and_then(|slot| slot.batch.as_ref()) {
                next.prefetch_thunks();
            }
            let outcome = match answers.next().flatten() {
                Some(answer) => {
                    leaders.extend(leader_hint(slot.topic_partition(), &answer));
                    PartitionOutcome::from(answer)
                }
                None => {
                    let text = "the response to a produce request leaves the partition out";
                    self.warn_of_partition(slot.topic_partition(), Trouble::LeftOut, text, now);
                    PartitionOutcome::unintelligible(
                        "the broker's response leaves out the partition",
                    )
                }
            };
            refresh_metadata |= outcome.code().refreshes_metadata();
            if matches!(
                outcome.code(),
                ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            ) {
                self.metadata.leader_refused(slot.topic_partition());
            }
            self.settle(slot, outcome, now);
        }
        if !leaders.is_empty() {
            self.metadata
                .update_partition_leadership(&leaders, &endpoints);
        }
        if refresh_metadata {
            self.metadata.request_update();
        }
    }

    /// Counts the response, before a callback or a future of its records can read the metrics.
    fn count_answered(
        &self,
        request: &InFlightProduce,
        answers: &[Option<PartitionProduceResponse>],
        latency: Duration,
        now: Instant,
    ) {
        let slots = request.slots().iter().zip(answers);
        let acknowledged = slots.filter_map(|(slot, answer)| {
            let is_acked = answer
                .as_ref()
                .is_some_and(|answer| is_ack(answer.error_code));
            slot.batch.as_deref().filter(|_| is_acked)
        });
        self.metrics
            .answered(request.node(), latency, acknowledged, now);
    }

    /// Carries out the outcome for one entry of a request.
    fn settle(&mut self, slot: InFlightBatch, outcome: PartitionOutcome, now: Instant) {
        match slot.batch {
            Some(batch) => match outcome {
                PartitionOutcome::Acked {
                    base_offset,
                    log_append_time,
                } => {
                    self.ledger
                        .completed(batch.topic_partition(), batch.sequence(), now);
                    batch.complete(base_offset, log_append_time);
                }
                PartitionOutcome::Failed(failed) => self.attempt_failed(*batch, &failed, now),
            },
            None => self.settle_late(&slot, &outcome, now),
        }
        if self.config.max_in_flight_requests_per_connection == 1 {
            self.scheduler.unmute_partition(&slot.partition);
        }
        self.scheduler.end_flight(&slot.partition);
    }

    /// Notes the outcome of a batch that failed while it was in flight.
    fn settle_late(&self, slot: &InFlightBatch, outcome: &PartitionOutcome, now: Instant) {
        let (topic_partition, sequence) = (slot.topic_partition(), slot.sequence);
        match outcome {
            PartitionOutcome::Acked { .. } => {
                log::debug!("{topic_partition} acknowledged a batch after its delivery timeout");
                self.ledger.completed(topic_partition, sequence, now);
            }
            PartitionOutcome::Failed(failed) => {
                slot.result.fate().end_attempt(failed.certainty());
                let attempt = failed.attempt();
                self.ledger.gave_up(topic_partition, sequence, attempt);
                self.ledger.failed(topic_partition, sequence);
            }
        }
    }

    fn attempt_failed(&mut self, batch: ProducerBatch, failed: &FailedAttempt, now: Instant) {
        batch.result().fate().end_attempt(failed.certainty());
        match self.decide(&batch, failed, now) {
            Decision::Split => self.split(batch, failed, now),
            Decision::Retry => self.retry(batch, failed, now),
            Decision::Fail => {
                let error = self.last_error(&batch, failed, now);
                let topic_partition = batch.topic_partition().clone();
                self.ledger
                    .gave_up(&topic_partition, batch.sequence(), failed.attempt());
                self.log_failure(&batch, &error, now);
                self.fail_batch(batch, error, failed.errors_by_index());
                self.ledger.refused(&topic_partition, failed.code());
            }
            Decision::FailProducer => {
                let error = failed.error().into_fatal();
                self.fail_batch(batch, error, failed.errors_by_index());
            }
        }
    }

    /// Returns why the batch is not retried. A broker's error is the reason whenever it arrives.
    /// Without a response, the reason is the lack of time, even if the request's own timeout ended
    /// at the same moment.
    fn last_error(&self, batch: &ProducerBatch, failed: &FailedAttempt, now: Instant) -> Error {
        match failed {
            FailedAttempt::Lost {
                code, error: cause, ..
            } if code.is_retriable()
                && batch.has_reached_delivery_timeout(self.config.delivery_timeout, now) =>
            {
                self.expiry_error(batch, Some(cause.clone()), now)
            }
            _ => failed.error(),
        }
    }

    fn decide(&self, batch: &ProducerBatch, failed: &FailedAttempt, now: Instant) -> Decision {
        let sequence = batch.sequence();
        let facts = BatchFacts {
            record_count: batch.record_count(),
            attempts: batch.attempts(),
            has_reached_delivery_timeout: batch
                .has_reached_delivery_timeout(self.config.delivery_timeout, now),
            is_idempotent: sequence.is_some(),
            can_retry_out_of_sequence: sequence.is_some_and(|sequence| {
                let (topic_partition, attempt) = (batch.topic_partition(), failed.attempt());
                self.ledger
                    .can_retry_out_of_sequence(topic_partition, &sequence, attempt)
            }),
            ends_producer: sequence
                .is_some_and(|sequence| self.ledger.ends_producer(&sequence, failed.attempt())),
        };
        classify(failed.code(), facts, self.config.retries)
    }

    /// Sends the same bytes again, with the same sequences.
    fn retry(&mut self, mut batch: ProducerBatch, failed: &FailedAttempt, now: Instant) {
        self.log_retry(&batch, failed, now);
        self.metrics.retried(&batch, now);
        batch.set_last_failure(failed.error());
        self.ledger.retried(
            batch.topic_partition(),
            batch.sequence(),
            failed.attempt(),
            failed.may_take_effect_later(),
        );
        // Brokers of version 2 delay a transaction until the previous one has ended, which takes
        // only a short time.
        let limit = match failed.code() {
            ErrorCode::CONCURRENT_TRANSACTIONS => CONCURRENT_TRANSACTIONS_BACKOFF,
            _ => Duration::MAX,
        };
        self.scheduler.reenqueue(batch, now, limit);
    }

    fn split(&mut self, batch: ProducerBatch, failed: &FailedAttempt, now: Instant) {
        let topic_partition = batch.topic_partition().clone();
        let records = Count(batch.record_count(), "record");
        let text = format!("the broker refused a batch of {records} as too large; it is split");
        self.warn_of_partition(&topic_partition, Trouble::Split, &text, now);
        self.metrics.split(now);
        let ledger = &self.ledger;
        let split = self
            .scheduler
            .split_and_reenqueue(batch, |sequence, parts| {
                ledger.split(&topic_partition, sequence, parts)
            });
        if let Err(unreadable) = split {
            let (batch, error) = *unreadable;
            log::error!("a batch that is too large cannot be split: {error}");
            self.fail_batch(batch, failed.error(), Vec::new());
        }
    }
}

/// The identity of a topic in a response, which depends on the version.
#[derive(Clone, PartialEq, Eq, Hash)]
enum TopicKey {
    Id(Uuid),
    Name(Arc<str>),
}

impl TopicKey {
    fn of_slot(slot: &InFlightBatch, by_id: bool) -> Self {
        match by_id {
            true => Self::Id(slot.topic_id),
            false => Self::Name(Arc::clone(slot.topic_partition().shared_topic())),
        }
    }

    fn of_response(topic: &TopicProduceResponse, by_id: bool) -> Self {
        match by_id {
            true => Self::Id(topic.topic_id),
            false => Self::Name(Arc::clone(&topic.name)),
        }
    }

    fn names(&self, slot: &InFlightBatch) -> bool {
        match self {
            Self::Id(id) => *id == slot.topic_id,
            Self::Name(name) => **name == *slot.topic_partition().topic(),
        }
    }
}

/// Returns the response's answer for each entry of the request, or `None` for an entry that it
/// leaves out.
///
/// Brokers respond in the request's order, so each partition is first compared with the next entry.
/// If that fails, a table finds the rest. If a partition occurs twice, the first one counts. A
/// partition that is not in the request is ignored.
fn answers_in_order(
    slots: &[InFlightBatch],
    topics: Vec<TopicProduceResponse>,
    version: i16,
) -> Vec<Option<PartitionProduceResponse>> {
    let by_id = version >= FIRST_VERSION_WITH_TOPIC_IDS;
    let mut answers = Vec::with_capacity(slots.len());
    let mut others = HashMap::new();
    for topic in topics {
        let key = TopicKey::of_response(&topic, by_id);
        for partition in topic.partitions {
            let next = slots.get(answers.len()).filter(|_| others.is_empty());
            let is_next = next.is_some_and(|slot| {
                slot.topic_partition().partition() == partition.index && key.names(slot)
            });
            if is_next {
                answers.push(Some(partition));
            } else {
                let key = (key.clone(), partition.index);
                others.entry(key).or_insert(partition);
            }
        }
    }
    let left = slots.get(answers.len()..).unwrap_or_default();
    answers.extend(left.iter().map(|slot| {
        let key = TopicKey::of_slot(slot, by_id);
        others.remove(&(key, slot.topic_partition().partition()))
    }));
    answers
}

/// Returns the new leader, if a broker that is no longer the leader knows it (KIP-951).
fn leader_hint(
    topic_partition: &TopicPartition,
    answer: &PartitionProduceResponse,
) -> Option<(TopicPartition, i32, i32)> {
    let is_moved = matches!(
        answer.error_code,
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH
    );
    let leader = &answer.current_leader;
    (is_moved && leader.leader_id != -1 && leader.leader_epoch != -1).then(|| {
        (
            topic_partition.clone(),
            leader.leader_id,
            leader.leader_epoch,
        )
    })
}

/// Returns the nodes in a response, and descriptions of those with invalid addresses.
fn nodes(endpoints: &[NodeEndpoint]) -> (Vec<Node>, Vec<String>) {
    let (mut nodes, mut unusable) = (Vec::new(), Vec::new());
    for endpoint in endpoints {
        let rack = endpoint.rack.as_deref();
        match node_from_wire(endpoint.node_id, &endpoint.host, endpoint.port, rack) {
            Ok(node) => nodes.push(node),
            Err(reason) => unusable.push(reason),
        }
    }
    (nodes, unusable)
}
