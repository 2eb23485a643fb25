//! The effect of batches and their sequences on their transaction. Java: `canRetry`,
//! `handleFailedBatch`, `maybeResolveSequences`.

use std::time::Instant;

use super::api::TransactionVersion;
use super::state::TxnState;
use super::{TransactionManager, Transactions};
use crate::common::TopicPartition;
use crate::error::{Error, ErrorKind};
use crate::producer::internals::fate::HasFate;
use crate::producer::internals::sequences::{
    Attempt, BatchSequence, Bump, DrainGate, LogView, NextBatch, Resolved, ResolvedOutcome,
    Sequences,
};
use crate::protocol::ErrorCode;
use crate::sync::Arc;

impl TransactionManager {
    /// Runs `call` on the sequences.
    pub(crate) fn with_sequences<R>(&self, call: impl FnOnce(&mut Sequences) -> R) -> R {
        call(&mut self.lock().sequences)
    }

    /// Returns whether the transaction allows a batch to be retried after a refusal because of its
    /// sequence or its producer id. Not if it is the first unsettled one, because there is no new
    /// epoch before the abort of the transaction. Not if the producer id itself is refused, which
    /// ends the producer.
    pub(crate) fn lets_retry(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
        attempt: Attempt,
    ) -> bool {
        attempt != Attempt::ProducerRefused
            && !self.with_sequences(|sequences| sequences.is_first(topic_partition, sequence))
    }

    /// Notes that an attempt to write a batch may take effect later. In another transaction of the
    /// same epoch it would count for that one.
    pub(crate) fn note_indefinite_batch(&self) {
        self.lock().require_bump_if_possible();
    }

    /// Notes that a batch of the partition was refused for good. If the broker has forgotten the
    /// producer and the abort brings no new epoch, the next transaction starts at 0 in this
    /// partition.
    pub(crate) fn batch_refused(&self, topic_partition: &TopicPartition, code: ErrorCode) {
        if code == ErrorCode::UNKNOWN_PRODUCER_ID {
            self.with_sequences(|sequences| sequences.forget_settled(topic_partition));
        }
    }

    /// Resolves every partition whose batches all have an outcome. It continues if nothing is
    /// missing. Otherwise its batches fail, and the transaction with them.
    pub(crate) fn maybe_resolve_sequences(&self) -> Vec<Resolved> {
        let mut inner = self.lock();
        match inner.state {
            TxnState::Fatal(_) => Vec::new(),
            _ => inner.resolve_sequences(),
        }
    }
}

impl Transactions {
    /// Handles gaps. After a gap no new sequences can be assigned until the epoch is bumped, which
    /// happens after the abort of the transaction. With brokers that cannot bump epochs, the unused
    /// sequences are then used again.
    fn resolve_sequences(&mut self) -> Vec<Resolved> {
        let (can_bump, mark) = (self.can_handle_abortable_error(), self.mark.clone());
        let mut errors = Vec::new();
        let resolved = self.sequences.resolve(|sequences, topic_partition| {
            let can_handle = can_bump || sequences.rewind(topic_partition);
            let text = format!("records of the transaction were not written to {topic_partition}");
            let error =
                Error::new(ErrorKind::Transaction, text).for_partition(topic_partition.clone());
            let error = match can_handle {
                true => error.into_abortable(&mark),
                false => error.into_fatal(),
            };
            errors.push(error.clone());
            Some(ResolvedOutcome::Abandoned(error))
        });
        for error in errors {
            self.require_bump_if_possible();
            match error.is_fatal() {
                true => self.transition_to_fatal_error(error),
                false => self.transition_to_abortable_error(error),
            }
        }
        resolved
    }

    /// Returns whether the producer will have an epoch that brokers accept after an abort of the
    /// transaction. Java: `canHandleAbortableError`.
    pub(super) fn can_handle_abortable_error(&self) -> bool {
        self.coordinators.can_bump || self.version == TransactionVersion::V2
    }

    /// Notes that the sequences are not reliable after an error. Transactions of version 2 always
    /// bump the epoch.
    pub(super) fn require_bump_if_possible(&mut self) {
        if self.version == TransactionVersion::V1 {
            self.sequences.require_bump(Bump::IfPossible);
        }
    }

    /// Notes that a request of this transaction has no definite end, and would count for the next
    /// transaction of the same epoch. In version 2 each transaction has its own epoch, so nothing
    /// is needed.
    pub(super) fn require_bump(&mut self) {
        if self.version == TransactionVersion::V1 {
            self.sequences.require_bump(Bump::Required);
        }
    }
}

impl DrainGate for TransactionManager {
    fn next_to_drain(
        &self,
        topic_partition: &TopicPartition,
        has_sequence: bool,
        log: LogView,
        now: Instant,
    ) -> NextBatch {
        let mut inner = self.lock();
        let transaction = inner.state.transaction();
        match transaction.is_some_and(|transaction| transaction.contains(topic_partition)) {
            true => inner
                .sequences
                .next_to_drain(topic_partition, has_sequence, log, now),
            false => NextBatch::None,
        }
    }

    fn assign_sequence(
        &self,
        topic_partition: &TopicPartition,
        record_count: u32,
        batch: Arc<dyn HasFate>,
        log: LogView,
    ) -> BatchSequence {
        self.with_sequences(|sequences| sequences.assign(topic_partition, record_count, batch, log))
    }

    fn add_in_flight(&self, topic_partition: &TopicPartition, sequence: &BatchSequence) {
        self.with_sequences(|sequences| sequences.add_in_flight(topic_partition, sequence));
    }
}
