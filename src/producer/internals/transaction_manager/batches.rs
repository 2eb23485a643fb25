//! The sequences of batches: given out at the drain, settled by answers, resolved after a gap. Java: the half of
//! `TransactionManager` that every idempotent producer has.

use std::time::Instant;

use super::partition_entry::{Attempt, LogView, PartitionEntry, Resolution, Restart};
use super::sequence::{BatchSequence, ProducerIdAndEpoch};
use super::states::State;
use super::{Inner, TransactionManager};
use crate::common::TopicPartition;
use crate::error::{Error, ErrorKind};
use crate::producer::internals::ProduceRequestResult;
use crate::protocol::ErrorCode;
use crate::sync::Arc;
use crate::utils::log;

/// How a partition goes on that awaited resolution.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) outcome: ResolvedOutcome,
}

#[derive(Clone, Debug)]
pub(crate) enum ResolvedOutcome {
    /// The batches stay as they are.
    Unchanged,
    /// The partition starts at sequence 0.
    Restarted {
        /// The batches that fail, because later ones are in the log already. The broker refused all of their attempts.
        overtaken: Vec<BatchSequence>,
        /// What the other sequenced batches at the front of the partition's deque become, in order.
        renumbered: Vec<BatchSequence>,
    },
    /// The sequenced batches can never be sent, and fail with this: they belong to a transaction that can only be aborted.
    Abandoned(Error),
}

/// Which batch of a partition may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextBatch {
    None,
    /// The head of the deque, which has no sequence yet.
    Head,
    /// The batch with this sequence, for another attempt.
    Retry(BatchSequence),
}

/// What the accumulator's drain asks and tells, with the lock of the partition's deque held.
impl TransactionManager {
    /// Looks which batch of the partition may be sent to `log` now. `has_sequence` says whether the head of the deque has one.
    pub(crate) fn next_to_drain(
        &self,
        topic_partition: &TopicPartition,
        has_sequence: bool,
        log: LogView,
        now: Instant,
    ) -> NextBatch {
        let mut inner = self.lock();
        if !inner.may_send_to(topic_partition) {
            return NextBatch::None;
        }
        let producer = inner.producer;
        let Some(entry) = inner.partitions.get_mut(topic_partition) else {
            return match has_sequence {
                true => NextBatch::None,
                false => NextBatch::Head,
            };
        };
        entry.observe(log);
        if has_sequence {
            return entry.next_retry().map_or(NextBatch::None, NextBatch::Retry);
        }
        match entry.can_assign(producer, self.max_in_flight, now) {
            true => NextBatch::Head,
            false => NextBatch::None,
        }
    }

    /// Gives sequences to a batch that is about to be sent for the first time, and counts it as in flight. A partition
    /// of an older producer id or epoch starts at 0 with the current one. `result` is the batch's, which holds its fate.
    ///
    /// Only for a head that [`next_to_drain`](Self::next_to_drain) let pass.
    pub(crate) fn assign_sequence(
        &self,
        topic_partition: &TopicPartition,
        record_count: u32,
        result: &Arc<ProduceRequestResult>,
        log: LogView,
    ) -> BatchSequence {
        let mut inner = self.lock();
        let producer = inner.producer;
        let entry = inner
            .partitions
            .entry_ref(topic_partition)
            .or_insert_with(|| PartitionEntry::new(producer, log));
        if entry.producer() != producer && !entry.has_unsettled() {
            entry.restart(producer);
        }
        entry.assign(record_count, result)
    }

    /// Counts a batch that has sequences as in flight again.
    pub(crate) fn add_in_flight(&self, topic_partition: &TopicPartition, sequence: &BatchSequence) {
        if let Some(entry) = self.lock().partitions.get_mut(topic_partition) {
            entry.set_on_wire(sequence);
        }
    }
}

#[cfg(test)]
impl TransactionManager {
    pub(crate) fn set_next_sequence(&self, topic_partition: &TopicPartition, sequence: i32) {
        let mut inner = self.lock();
        let entry = inner.partitions.get_mut(topic_partition);
        entry
            .expect("the partition has a batch")
            .set_next_sequence(sequence);
    }
}

/// What became of a batch that was sent. The caller has noted the outcome in the batch's fate.
impl TransactionManager {
    /// The batch is in the log. Also for a duplicate, and for the late answer to a batch that was given up on the wire.
    pub(crate) fn handle_completed_batch(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
        now: Instant,
    ) -> bool {
        self.settle(topic_partition, |entry| entry.acknowledge(sequence, now))
            .unwrap_or(false)
    }

    /// Whether a batch may be tried again that was refused because of its sequence or its producer id. Java: `canRetry`.
    ///
    /// Not if an attempt may have written it: under another sequence it would be written twice, and under its own it was
    /// refused just now. In a transaction not the first one, because there is no new epoch to send it under before the
    /// transaction has been aborted; and not with a producer id that is refused, which ends the producer.
    pub(crate) fn can_retry_out_of_sequence(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
        attempt: Attempt,
    ) -> bool {
        let inner = self.lock();
        let entry = inner.partitions.get(topic_partition);
        entry.is_some_and(|entry| {
            let is_final = self.is_transactional
                && (attempt == Attempt::ProducerRefused || entry.is_first(sequence));
            !is_final && !entry.may_be_written(sequence)
        })
    }

    /// Whether the refusal ends the producer: the brokers do not know the id of a transactional one, which has no right to
    /// another id.
    pub(crate) fn ends_producer(&self, sequence: &BatchSequence, attempt: Attempt) -> bool {
        let is_unknown = match attempt {
            Attempt::ProducerRefused => true,
            Attempt::UnknownProducer => sequence.base_sequence == 0,
            Attempt::Refused | Attempt::OutOfSequence | Attempt::Indefinite => false,
        };
        self.is_transactional && is_unknown
    }

    /// The batch goes back to the accumulator with its sequences, to be tried again.
    pub(crate) fn handle_retry(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
        attempt: Attempt,
    ) {
        self.settle(topic_partition, |entry| {
            entry.attempt_failed(sequence, attempt);
        });
    }

    /// An attempt to write a batch may have its effect later. In another transaction of the same epoch it would count for that
    /// one (reliability.md 1.3).
    pub(crate) fn note_indefinite_batch(&self) {
        if self.is_transactional {
            if let Ok(transaction) = self.lock().transaction() {
                transaction.require_bump_if_possible();
            }
        }
    }

    /// The outcome of the attempt after which a batch is given up.
    pub(crate) fn handle_last_attempt(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
        attempt: Attempt,
    ) {
        self.settle(topic_partition, |entry| {
            entry.last_attempt_failed(sequence, attempt);
        });
    }

    /// A batch of the partition was refused for good. Where the broker has forgotten the producer, a transaction that is
    /// aborted without a new epoch is followed by one that starts at 0 there.
    pub(crate) fn batch_refused(&self, topic_partition: &TopicPartition, code: ErrorCode) {
        if code != ErrorCode::UNKNOWN_PRODUCER_ID || !self.is_transactional {
            return;
        }
        let mut inner = self.lock();
        let entry = inner.partitions.get(topic_partition);
        if entry.is_some_and(|entry| !entry.has_unsettled()) {
            inner.partitions.remove(topic_partition);
            inner.unresolved.retain(|other| other != topic_partition);
        }
    }

    /// The batch failed and is not on the wire: refused for good, or expired between two attempts.
    pub(crate) fn handle_failed_batch(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
    ) {
        self.settle(topic_partition, |entry| entry.give_up(sequence));
    }

    /// The batch was completed exceptionally while its request waits for an answer.
    ///
    /// The answer is to be reported as for any batch: to [`handle_completed_batch`](Self::handle_completed_batch) or to
    /// [`handle_failed_batch`](Self::handle_failed_batch).
    pub(crate) fn handle_expired_in_flight(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
    ) {
        self.settle(topic_partition, |entry| entry.give_up_on_wire(sequence));
    }

    /// Exchanges a batch that was split for its parts, given as record counts and results in order. Returns the parts'
    /// sequences.
    pub(crate) fn replace_split_batch(
        &self,
        topic_partition: &TopicPartition,
        original: &BatchSequence,
        parts: &[(u32, Arc<ProduceRequestResult>)],
    ) -> Vec<BatchSequence> {
        let mut inner = self.lock();
        let producer = original.producer;
        inner
            .partitions
            .entry_ref(topic_partition)
            .or_insert_with(|| PartitionEntry::new(producer, LogView::UNKNOWN))
            .split(original, parts)
    }

    /// Applies `change`, and has the partition resolved if it awaits that now. `None` if the partition is unknown.
    fn settle<R>(
        &self,
        topic_partition: &TopicPartition,
        change: impl FnOnce(&mut PartitionEntry) -> R,
    ) -> Option<R> {
        let mut inner = self.lock();
        let entry = inner.partitions.get_mut(topic_partition)?;
        let awaited = entry.awaits_resolution();
        let result = change(entry);
        if !awaited && entry.awaits_resolution() {
            log::debug!(
                "{topic_partition} gives out no sequences until the open ones are resolved"
            );
            inner.unresolved.push(topic_partition.clone());
        }
        Some(result)
    }
}

/// Recovery. Java: `maybeResolveSequences`, `bumpIdempotentProducerEpoch`.
impl TransactionManager {
    /// Lets every partition go on whose batches are settled: where it stopped if nothing is missing, and otherwise at 0 with
    /// a new epoch.
    ///
    /// Called before every drain. The caller writes new sequences into the batches before anything is drained.
    pub(crate) fn maybe_resolve_sequences(&self) -> Vec<Resolved> {
        let mut inner = self.lock();
        if inner.unresolved.is_empty() || !inner.may_resolve() {
            return Vec::new();
        }
        let mut resolved = Vec::new();
        for topic_partition in std::mem::take(&mut inner.unresolved) {
            match inner.resolve(&topic_partition) {
                Some(outcome) => resolved.push(Resolved {
                    topic_partition,
                    outcome,
                }),
                None => inner.unresolved.push(topic_partition),
            }
        }
        resolved
    }
}

impl Inner {
    fn may_resolve(&self) -> bool {
        match self.transaction {
            None => self.state == State::Ready,
            Some(_) => self.state != State::FatalError,
        }
    }

    /// `None` while the partition has to wait.
    fn resolve(&mut self, topic_partition: &TopicPartition) -> Option<ResolvedOutcome> {
        let entry = self.partitions.get_mut(topic_partition)?;
        match entry.resolution() {
            Resolution::Pending => None,
            Resolution::Resolved => {
                entry.resolve();
                Some(ResolvedOutcome::Unchanged)
            }
            Resolution::Gap if self.transaction.is_some() => Some(ResolvedOutcome::Abandoned(
                self.gap_in_transaction(topic_partition),
            )),
            Resolution::Gap => {
                let stale = entry.producer();
                let is_lost = entry.has_lost_producer();
                if self.producer == stale {
                    match is_lost {
                        true => self.replace_producer_id(&format!("no broker knows {stale}")),
                        false => self.bump_epoch(),
                    }
                }
                if !self.producer.is_valid() {
                    return None;
                }
                let producer = self.producer;
                let entry = self.partitions.get_mut(topic_partition)?;
                let Restart {
                    overtaken,
                    renumbered,
                } = entry.restart(producer);
                log::info!(
                    "{topic_partition} restarts at sequence 0 with {producer} after a gap under {stale}"
                );
                Some(ResolvedOutcome::Restarted {
                    overtaken,
                    renumbered,
                })
            }
        }
    }

    /// Sequences are missing in the log. No new ones can be given out before the epoch is bumped, which is when the
    /// transaction has been aborted; or, with brokers that bump no epochs, before those that nobody used are used again.
    fn gap_in_transaction(&mut self, topic_partition: &TopicPartition) -> Error {
        let can_bump = match &mut self.transaction {
            Some(transaction) => {
                transaction.require_bump_if_possible();
                transaction.can_handle_abortable_error()
            }
            None => false,
        };
        let entry = self.partitions.get_mut(topic_partition);
        let can_handle = can_bump || entry.is_some_and(PartitionEntry::rewind);
        let text = format!("records of the transaction were not written to {topic_partition}");
        let error = Error::new(ErrorKind::Transaction, text).for_partition(topic_partition.clone());
        if can_handle {
            let error = self.abortable(error);
            self.transition_to_abortable_error(error.clone());
            return error;
        }
        let error = error.into_fatal();
        self.transition_to_fatal_error(error.clone());
        error
    }

    /// Moves to the next epoch without asking a broker, or gives up the producer id when its epochs are used up.
    fn bump_epoch(&mut self) {
        match self.producer.next_epoch() {
            Some(next) => self.producer = next,
            None => {
                self.replace_producer_id(&format!("the epochs of {} are used up", self.producer))
            }
        }
    }

    /// Gives up the producer id of a producer without transactions. The next one is requested at once.
    pub(super) fn replace_producer_id(&mut self, reason: &str) {
        log::info!("requesting another producer id: {reason}");
        self.producer = ProducerIdAndEpoch::NONE;
        self.retry_at = None;
        self.transition_or_fail(State::Uninitialized);
    }
}
