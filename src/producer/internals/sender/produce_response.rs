//! Settles the batches of a Produce request by its answer. Java: `Sender.handleProduceResponse`, `completeBatch`,
//! `failBatch`.

use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::decision::{BatchFacts, Decision, FailedAttempt, PartitionOutcome, classify};
use super::failures::Trouble;
use super::in_flight::{InFlightBatch, InFlightRequest};
use super::{FIRST_VERSION_WITH_TOPIC_IDS, Sender};
use crate::client::{ClientResponse, KafkaClient, RequestFailure, node_from_wire};
use crate::common::{Node, TopicPartition, Uuid};
use crate::error::Error;
use crate::producer::internals::ProducerBatch;
use crate::producer::internals::transactions::CONCURRENT_TRANSACTIONS_BACKOFF;
use crate::protocol::messages::{NodeEndpoint, PartitionProduceResponse, ProduceResponse};
use crate::protocol::{ErrorCode, ResponseBody};
use crate::sync::Arc;
use crate::utils::{Count, log};

impl<C: KafkaClient> Sender<C> {
    pub(super) fn handle_produce_response(
        &mut self,
        request: InFlightRequest,
        response: ClientResponse,
        now: Instant,
    ) {
        let waited = now.saturating_duration_since(request.created());
        match response.outcome {
            Ok(Some(ResponseBody::Produce(body))) => {
                self.metrics.answered(request.node(), waited, now);
                self.settle_by_answer(request, body, response.api_version, now);
            }
            Ok(None) => self.settle_all(request, now, || PartitionOutcome::UNCONFIRMED),
            Ok(Some(_)) => self.settle_all(request, now, || {
                PartitionOutcome::unintelligible(
                    "a produce request was answered with something else",
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

    /// The same for every batch of the request.
    pub(super) fn settle_all(
        &mut self,
        request: InFlightRequest,
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
        request: InFlightRequest,
        body: ProduceResponse,
        version: i16,
        now: Instant,
    ) {
        let (endpoints, unusable) = nodes(&body.node_endpoints);
        for reason in unusable {
            self.warn_once(format!("ignored a leader's address: {reason}"), now);
        }
        let mut answers = Answers::new(body, version);
        let mut leaders = Vec::new();
        let mut refresh_metadata = false;
        let mut slots = request.into_slots().into_iter();
        while let Some(slot) = slots.next() {
            let next = slots.as_slice().first();
            if let Some(next) = next.and_then(|slot| slot.batch.as_ref()) {
                next.prefetch_thunks();
            }
            let outcome = match answers.take(&slot) {
                Some(answer) => {
                    leaders.extend(leader_hint(slot.topic_partition(), &answer));
                    PartitionOutcome::from(answer)
                }
                None => {
                    let text = "the response to a produce request leaves the partition out";
                    self.warn_of_partition(slot.topic_partition(), Trouble::LeftOut, text, now);
                    PartitionOutcome::unintelligible("the broker's answer leaves out the partition")
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

    /// Carries out what the outcome means for one place of a request.
    fn settle(&mut self, slot: InFlightBatch, outcome: PartitionOutcome, now: Instant) {
        match slot.batch {
            Some(batch) => match outcome {
                PartitionOutcome::Acked {
                    base_offset,
                    log_append_time,
                } => {
                    self.ledger
                        .completed(batch.topic_partition(), batch.sequence(), now);
                    self.metrics.acknowledged(&batch, now);
                    batch.complete(base_offset, log_append_time);
                }
                PartitionOutcome::Failed(failed) => self.attempt_failed(batch, &failed, now),
            },
            None => self.settle_late(&slot, &outcome, now),
        }
        if self.config.max_in_flight_requests_per_connection == 1 {
            self.scheduler.unmute_partition(&slot.partition);
        }
        self.scheduler.end_flight(&slot.partition);
    }

    /// Notes the outcome of a batch that was failed while it was in flight.
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

    /// Why the batch is not tried again. What a broker answered is the reason whenever it comes; but a request that got no
    /// answer would be sent again if there were time, be it that the request's own time-out ended in the same moment.
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

    /// The same bytes go out again, with the same sequences.
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
        // Brokers of version 2 hold back a transaction until the one before it has ended, which is nearly over.
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

/// The partitions of an answer, to be found by the places of the request.
///
/// Brokers answer in the request's order, so the next one is looked at. Where that is broken once, the rest is searched for
/// through a table. Of two answers for one partition the first counts, and what nobody asked for is
/// left alone.
struct Answers {
    by_id: bool,
    entries: Vec<Entry>,
    next: usize,
    table: Option<HashMap<(TopicKey, i32), usize>>,
}

struct Entry {
    topic: TopicKey,
    index: i32,
    response: Option<PartitionProduceResponse>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum TopicKey {
    Id(Uuid),
    Name(Arc<str>),
}

impl Answers {
    fn new(body: ProduceResponse, version: i16) -> Self {
        let by_id = version >= FIRST_VERSION_WITH_TOPIC_IDS;
        let mut entries = Vec::new();
        for topic in body.topics {
            let key = match by_id {
                true => TopicKey::Id(topic.topic_id),
                false => TopicKey::Name(topic.name),
            };
            entries.extend(topic.partitions.into_iter().map(|partition| Entry {
                topic: key.clone(),
                index: partition.index,
                response: Some(partition),
            }));
        }
        Self {
            by_id,
            entries,
            next: 0,
            table: None,
        }
    }

    fn take(&mut self, slot: &InFlightBatch) -> Option<PartitionProduceResponse> {
        let topic_partition = slot.topic_partition();
        let key = match self.by_id {
            true => TopicKey::Id(slot.topic_id),
            false => TopicKey::Name(Arc::clone(topic_partition.shared_topic())),
        };
        let index = topic_partition.partition();
        let next = self.entries.get(self.next).filter(|_| self.table.is_none());
        let is_next = next.is_some_and(|entry| entry.topic == key && entry.index == index);
        let position = if is_next {
            self.next
        } else {
            *self.table().get(&(key, index))?
        };
        self.next = position + 1;
        self.entries.get_mut(position)?.response.take()
    }

    fn table(&mut self) -> &HashMap<(TopicKey, i32), usize> {
        let entries = &self.entries;
        self.table.get_or_insert_with(|| {
            let mut table = HashMap::with_capacity(entries.len());
            for (position, entry) in entries.iter().enumerate() {
                table
                    .entry((entry.topic.clone(), entry.index))
                    .or_insert(position);
            }
            table
        })
    }
}

/// The new leader, where a broker that is not the leader knows it (KIP-951).
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

/// The nodes that a response introduces, and why others have impossible addresses.
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
