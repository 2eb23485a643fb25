//! Reports the outcomes of batches to the sequences and the transaction. Every producer has one;
//! without idempotence it does nothing.
//!
//! Threads: the I/O thread; a caller reads whether there is a fatal error.
//! Locks: that of the sequences, held within each method.

use std::time::Instant;

use crate::common::TopicPartition;
use crate::error::Error;
use crate::producer::internals::ProduceRequestResult;
use crate::producer::internals::fate::HasFate;
#[cfg(test)]
use crate::producer::internals::sequences::ProducerIdAndEpoch;
use crate::producer::internals::sequences::{
    Attempt, BatchSequence, DrainGate, IdempotentProducer, Resolved, Sequences,
};
use crate::producer::internals::transactions::TransactionManager;
use crate::protocol::ErrorCode;
use crate::sync::Arc;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) enum Ledger {
    /// Without idempotence: batches have no sequences.
    Plain,
    Idempotent(Arc<IdempotentProducer>),
    Transactional(Arc<TransactionManager>),
}

impl Ledger {
    pub(super) fn idempotent(&self) -> Option<&Arc<IdempotentProducer>> {
        match self {
            Self::Idempotent(producer) => Some(producer),
            Self::Plain | Self::Transactional(_) => None,
        }
    }

    pub(super) fn transactions(&self) -> Option<&Arc<TransactionManager>> {
        match self {
            Self::Transactional(manager) => Some(manager),
            Self::Plain | Self::Idempotent(_) => None,
        }
    }

    /// Returns the transactions, for the producer's callers.
    pub(crate) fn into_transactions(self) -> Option<Arc<TransactionManager>> {
        match self {
            Self::Transactional(manager) => Some(manager),
            Self::Plain | Self::Idempotent(_) => None,
        }
    }

    /// Returns the gate that decides which batches may be drained and gives them sequences.
    pub(super) fn gate(&self) -> Option<&dyn DrainGate> {
        match self {
            Self::Plain => None,
            Self::Idempotent(producer) => Some(&**producer),
            Self::Transactional(manager) => Some(&**manager),
        }
    }

    /// Runs `call` on the sequences, if there are any.
    fn sequences<R>(&self, call: impl FnOnce(&mut Sequences) -> R) -> Option<R> {
        match self {
            Self::Plain => None,
            Self::Idempotent(producer) => Some(producer.with_sequences(call)),
            Self::Transactional(manager) => Some(manager.with_sequences(call)),
        }
    }

    /// Returns why nothing can be sent any more, if there is such an error.
    pub(crate) fn fatal_error(&self) -> Option<Error> {
        match self {
            Self::Plain => None,
            Self::Idempotent(producer) => producer.fatal_error(),
            Self::Transactional(manager) => manager.fatal_error(),
        }
    }

    /// Ends all sending. The first error is kept.
    pub(super) fn transition_to_fatal_error(&self, error: Error) {
        match self {
            Self::Plain => {}
            Self::Idempotent(producer) => producer.transition_to_fatal_error(error),
            Self::Transactional(manager) => manager.transition_to_fatal_error(error),
        }
    }

    /// Notes the effect of a batch's failure on its transaction and on the producer, which a fatal
    /// error ends. Returns the error for the batch's records.
    pub(super) fn note_failure(&self, error: Error) -> Error {
        match self {
            Self::Plain => error,
            Self::Idempotent(producer) => {
                if error.is_fatal() {
                    producer.transition_to_fatal_error(error.clone());
                }
                error
            }
            Self::Transactional(manager) => manager.handle_error_in_transaction(error),
        }
    }

    /// Resolves partitions whose sequences were in doubt. Returns what happens to their batches.
    pub(super) fn maybe_resolve_sequences(&self) -> Vec<Resolved> {
        match self {
            Self::Plain => Vec::new(),
            Self::Idempotent(producer) => producer.maybe_resolve_sequences(),
            Self::Transactional(manager) => manager.maybe_resolve_sequences(),
        }
    }
}

/// Outcomes of batches. The caller has noted the outcome of the last attempt in the batch's fate.
impl Ledger {
    /// Notes that the log has the batch.
    pub(super) fn completed(
        &self,
        topic_partition: &TopicPartition,
        sequence: Option<BatchSequence>,
        now: Instant,
    ) {
        if let Some(sequence) = sequence {
            self.sequences(|sequences| sequences.completed(topic_partition, &sequence, now));
        }
    }

    /// Notes that the batch goes back to the accumulator for another attempt.
    /// `may_take_effect_later` says that the failed attempt may still take effect.
    pub(super) fn retried(
        &self,
        topic_partition: &TopicPartition,
        sequence: Option<BatchSequence>,
        attempt: Attempt,
        may_take_effect_later: bool,
    ) {
        let Some(sequence) = sequence else {
            return;
        };
        self.sequences(|sequences| sequences.retried(topic_partition, &sequence, attempt));
        if let (Self::Transactional(manager), true) = (self, may_take_effect_later) {
            manager.note_indefinite_batch();
        }
    }

    /// Notes that the batch failed while it was not on the wire: between two attempts or before the
    /// first one.
    pub(super) fn failed(&self, topic_partition: &TopicPartition, sequence: Option<BatchSequence>) {
        if let Some(sequence) = sequence {
            self.sequences(|sequences| sequences.failed(topic_partition, &sequence));
        }
    }

    /// Notes the outcome of the batch's last attempt. [`failed`](Self::failed) follows.
    pub(super) fn gave_up(
        &self,
        topic_partition: &TopicPartition,
        sequence: Option<BatchSequence>,
        attempt: Attempt,
    ) {
        if let Some(sequence) = sequence {
            self.sequences(|sequences| sequences.last_attempt(topic_partition, &sequence, attempt));
        }
    }

    /// Notes that a batch of the partition was refused for good. It was already reported as failed.
    pub(super) fn refused(&self, topic_partition: &TopicPartition, code: ErrorCode) {
        if let Self::Transactional(manager) = self {
            manager.batch_refused(topic_partition, code);
        }
    }

    /// Notes that the batch failed while its request has no response. The response is reported
    /// later, as for any batch.
    pub(super) fn expired(
        &self,
        topic_partition: &TopicPartition,
        sequence: Option<BatchSequence>,
    ) {
        if let Some(sequence) = sequence {
            self.sequences(|sequences| sequences.expired_in_flight(topic_partition, &sequence));
        }
    }

    /// Notes that the batch was split into parts, given as record counts and results in order.
    /// Returns the parts' sequences.
    pub(super) fn split(
        &self,
        topic_partition: &TopicPartition,
        original: &BatchSequence,
        parts: &[(u32, Arc<ProduceRequestResult>)],
    ) -> Vec<BatchSequence> {
        let parts: Vec<_> = parts
            .iter()
            .map(|(count, result)| (*count, Arc::clone(result) as Arc<dyn HasFate>))
            .collect();
        let sequences =
            self.sequences(|sequences| sequences.split(topic_partition, original, &parts));
        sequences.unwrap_or_default()
    }
}

/// The meaning of a refusal for the sequences.
impl Ledger {
    /// Returns whether a batch may be retried after a refusal because of its sequence or its
    /// producer id. Java: `canRetry`.
    ///
    /// Returns false if an attempt may have written it. Under another sequence it could be written
    /// twice, and under its own it was just refused.
    pub(super) fn can_retry_out_of_sequence(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
        attempt: Attempt,
    ) -> bool {
        let may_be_written =
            self.sequences(|sequences| sequences.may_be_written(topic_partition, sequence));
        if may_be_written.flatten() != Some(false) {
            return false;
        }
        self.transactions()
            .is_none_or(|manager| manager.lets_retry(topic_partition, sequence, attempt))
    }

    /// Returns whether the refusal ends the producer: the brokers do not know a transactional
    /// producer's id, and it may not request another one.
    pub(super) fn ends_producer(&self, sequence: &BatchSequence, attempt: Attempt) -> bool {
        let is_unknown = match attempt {
            Attempt::ProducerRefused => true,
            Attempt::UnknownProducer => sequence.base_sequence == 0,
            Attempt::Refused | Attempt::OutOfSequence | Attempt::Indefinite => false,
        };
        is_unknown && self.transactions().is_some()
    }
}

#[cfg(test)]
impl Ledger {
    /// Returns the current producer id and epoch, or [`ProducerIdAndEpoch::NONE`].
    pub(super) fn producer_id_and_epoch(&self) -> ProducerIdAndEpoch {
        let producer = self.sequences(|sequences| sequences.producer());
        producer.unwrap_or(ProducerIdAndEpoch::NONE)
    }

    pub(super) fn has_producer_id(&self) -> bool {
        self.producer_id_and_epoch().is_valid()
    }

    pub(super) fn set_next_sequence(&self, topic_partition: &TopicPartition, sequence: i32) {
        self.sequences(|sequences| sequences.set_next_sequence(topic_partition, sequence));
    }
}
