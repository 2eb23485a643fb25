//! One transactional id at its coordinator: its producer, its transaction, and the effect of each
//! request. Java (broker): `TransactionMetadata`, and the checks of `TransactionCoordinator`.
//!
//! | state | InitProducerId | AddPartitions, AddOffsets | EndTxn |
//! |---|---|---|---|
//! | Empty | next epoch | Ongoing | INVALID_TXN_STATE; an abort by v5 bumps the epoch |
//! | Ongoing | aborts under the next epoch, CONCURRENT_TRANSACTIONS | added | PrepareCommit, PrepareAbort |
//! | PrepareCommit, PrepareAbort | CONCURRENT_TRANSACTIONS | CONCURRENT_TRANSACTIONS | CONCURRENT_TRANSACTIONS |
//! | CompleteCommit, CompleteAbort | next epoch | Ongoing | the same again: success; the other: INVALID_TXN_STATE |
//!
//! With transaction version 2 (KIP-890: EndTxn v5 and newer), every EndTxn gives the producer its
//! next epoch. "The same again" is then an EndTxn with the previous epoch. One with the current
//! epoch is handled as in Empty.
//!
//! Differs from Java: `PrepareEpochFence` and `PrepareAbort` are one state, because nothing can
//! fail between them.

use std::collections::BTreeSet;

use super::facts::{Transaction, TransactionState};
use crate::common::TopicPartition;
use crate::protocol::ErrorCode;
use crate::sync::Arc;

/// The id and epoch of a producer in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerIdAndEpoch {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

/// Generates producer ids.
#[derive(Debug)]
pub(crate) struct ProducerIds(i64);

impl Default for ProducerIds {
    fn default() -> Self {
        Self(1000)
    }
}

impl ProducerIds {
    pub(crate) fn next(&mut self) -> i64 {
        let id = self.0;
        self.0 += 1;
        id
    }
}

impl ProducerIdAndEpoch {
    pub(crate) const fn new(producer_id: i64, epoch: i16) -> Self {
        Self { producer_id, epoch }
    }

    /// Returns whether only markers can use this epoch. A producer that would get it gets a new id.
    /// Java: `isEpochExhausted`.
    const fn is_exhausted(self) -> bool {
        self.epoch >= i16::MAX - 1
    }
}

/// The marker that ends a transaction in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) producer: ProducerIdAndEpoch,
    pub(crate) is_commit: bool,
}

/// What happens to a producer whose transaction the coordinator aborts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fence {
    /// It may request the next epoch, as if it had aborted the transaction itself. From
    /// `transaction.version` 2.
    Bump,
    /// It is fenced.
    Final,
}

#[derive(Debug)]
enum State {
    Empty,
    Ongoing,
    /// Decided. The marker is not written everywhere yet.
    Prepare(Marker),
    Complete {
        is_commit: bool,
    },
}

/// The state of a transactional id. Java: `TransactionMetadata`.
#[derive(Debug)]
pub(crate) struct TransactionMetadata {
    /// The epoch is -1 before the first InitProducerId is complete.
    producer: ProducerIdAndEpoch,
    /// The producer that requested the current epoch with its own. The same request again gets the
    /// same response.
    previous: Option<ProducerIdAndEpoch>,
    timeout_ms: i32,
    state: State,
    /// The partitions that still need the marker. Each is removed when it has it.
    pub(crate) partitions: BTreeSet<TopicPartition>,
    /// The groups whose offsets wait for the marker.
    pub(crate) groups: BTreeSet<Arc<str>>,
}

impl TransactionMetadata {
    pub(crate) fn new(producer_id: i64) -> Self {
        Self {
            producer: ProducerIdAndEpoch::new(producer_id, -1),
            previous: None,
            timeout_ms: 0,
            state: State::Empty,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
        }
    }

    pub(crate) fn describe(&self) -> Transaction {
        Transaction {
            state: match self.state {
                State::Empty => TransactionState::Empty,
                State::Ongoing => TransactionState::Ongoing,
                State::Prepare(marker) if marker.is_commit => TransactionState::PrepareCommit,
                State::Prepare(_) => TransactionState::PrepareAbort,
                State::Complete { is_commit: true } => TransactionState::CompleteCommit,
                State::Complete { is_commit: false } => TransactionState::CompleteAbort,
            },
            producer_id: self.producer.producer_id,
            producer_epoch: self.producer.epoch,
            timeout_ms: self.timeout_ms,
            partitions: self.partitions.iter().cloned().collect(),
            groups: self.groups.iter().map(ToString::to_string).collect(),
        }
    }

    pub(crate) fn set_epoch(&mut self, epoch: i16) {
        self.producer.epoch = epoch;
    }

    /// Returns the marker to write, between the decision and the end.
    pub(crate) fn marker(&self) -> Option<Marker> {
        match self.state {
            State::Prepare(marker) => Some(marker),
            _ => None,
        }
    }

    /// Ends the transaction: the marker is written everywhere.
    pub(crate) fn complete(&mut self) {
        if let State::Prepare(marker) = self.state {
            self.state = State::Complete {
                is_commit: marker.is_commit,
            };
        }
    }

    /// Handles InitProducerId. Java: `TransactionCoordinator.prepareInitProducerIdTransit`.
    ///
    /// `expected` is the producer that requests its own next epoch (KIP-360).
    pub(crate) fn init(
        &mut self,
        expected: Option<ProducerIdAndEpoch>,
        timeout_ms: i32,
        fence: Fence,
        new_producer_id: impl FnOnce() -> i64,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        if expected.is_some_and(|expected| !self.may_ask(expected)) {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match self.state {
            State::Prepare(_) => return Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            State::Ongoing => {
                // No producer gets this epoch. The same request again gets the next one, which
                // fences the earlier producer.
                self.fence(fence);
                return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
            }
            State::Empty | State::Complete { .. } => {}
        }
        let is_current = expected.is_none_or(|expected| expected == self.producer);
        if self.producer.is_exhausted() && is_current {
            self.previous = expected.map(|_| self.producer);
            self.producer = ProducerIdAndEpoch::new(new_producer_id(), 0);
        } else if is_current || self.producer.epoch == -1 {
            self.previous = expected;
            self.producer.epoch += 1;
        } else if expected != self.previous {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        self.timeout_ms = timeout_ms;
        self.state = State::Empty;
        Ok(self.producer)
    }

    fn may_ask(&self, expected: ProducerIdAndEpoch) -> bool {
        self.producer.epoch == -1
            || expected.producer_id == self.producer.producer_id
            || (expected.is_exhausted()
                && self
                    .previous
                    .is_some_and(|previous| previous.producer_id == expected.producer_id))
    }

    /// Aborts the open transaction under the next epoch. Java: `prepareFenceProducerEpoch`.
    fn fence(&mut self, fence: Fence) {
        self.previous = match fence {
            Fence::Bump => Some(self.producer),
            Fence::Final => None,
        };
        self.producer.epoch = self.producer.epoch.saturating_add(1);
        self.state = State::Prepare(Marker {
            producer: self.producer,
            is_commit: false,
        });
    }

    /// Aborts a transaction that has exceeded its timeout. Returns false if there is none.
    pub(crate) fn expire(&mut self, fence: Fence) -> bool {
        let is_ongoing = matches!(self.state, State::Ongoing);
        if is_ongoing {
            self.fence(fence);
        }
        is_ongoing
    }

    /// Handles AddPartitionsToTxn, AddOffsetsToTxn, and the additions that brokers make themselves
    /// (KIP-890). Decides whether `producer` may add to the transaction, and begins one if
    /// necessary.
    pub(crate) fn begin_or_go_on(&mut self, producer: ProducerIdAndEpoch) -> Result<(), ErrorCode> {
        self.check_producer(producer)?;
        if self.marker().is_some() {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        self.state = State::Ongoing;
        Ok(())
    }

    /// Returns whether `producer` may write to what `is_added` looks up.
    pub(crate) fn verify(
        &self,
        producer: ProducerIdAndEpoch,
        is_added: impl FnOnce(&Self) -> bool,
    ) -> Result<(), ErrorCode> {
        self.check_producer(producer)?;
        if self.marker().is_some() {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        if matches!(self.state, State::Ongoing) && is_added(self) {
            return Ok(());
        }
        Err(ErrorCode::TRANSACTION_ABORTABLE)
    }

    fn check_producer(&self, producer: ProducerIdAndEpoch) -> Result<(), ErrorCode> {
        if producer.producer_id != self.producer.producer_id {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if producer.epoch != self.producer.epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        Ok(())
    }

    /// Handles EndTxn as in transaction version 1: the epoch stays.
    pub(crate) fn end(
        &mut self,
        producer: ProducerIdAndEpoch,
        is_commit: bool,
    ) -> Result<(), ErrorCode> {
        self.check_producer(producer)?;
        match self.state {
            State::Ongoing => {
                self.state = State::Prepare(Marker {
                    producer,
                    is_commit,
                });
                Ok(())
            }
            _ => self.end_again(is_commit),
        }
    }

    /// Handles EndTxn as in transaction version 2. Returns the producer's id and epoch for the next
    /// transaction.
    pub(crate) fn end_and_bump(
        &mut self,
        producer: ProducerIdAndEpoch,
        is_commit: bool,
        new_producer_id: impl FnOnce() -> i64,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        if self.may_be_ended_by(producer) {
            self.end_again(is_commit)?;
            return Ok(self.producer);
        }
        self.check_producer(producer)?;
        match self.state {
            State::Prepare(_) => return Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            State::Ongoing => {}
            // A client that lost a response does not know whether anything was added.
            _ if !is_commit => {}
            _ => return Err(ErrorCode::INVALID_TXN_STATE),
        }
        let marker = ProducerIdAndEpoch::new(producer.producer_id, producer.epoch + 1);
        self.state = State::Prepare(Marker {
            producer: marker,
            is_commit,
        });
        self.previous = Some(producer);
        self.producer = if producer.is_exhausted() {
            ProducerIdAndEpoch::new(new_producer_id(), 0)
        } else {
            marker
        };
        Ok(self.producer)
    }

    /// Returns whether this is a repeated EndTxn, whose first response was lost after it had bumped
    /// the epoch. Kafka decides this by the epoch alone, so it also takes the coordinator's own
    /// abort for one by the producer.
    fn may_be_ended_by(&self, producer: ProducerIdAndEpoch) -> bool {
        let is_one_before = producer.producer_id == self.producer.producer_id
            && producer.epoch.checked_add(1) == Some(self.producer.epoch);
        match self.state {
            State::Empty | State::Ongoing => false,
            State::Prepare(_) | State::Complete { .. } => {
                is_one_before || self.previous == Some(producer)
            }
        }
    }

    /// Handles EndTxn without an open transaction.
    fn end_again(&self, is_commit: bool) -> Result<(), ErrorCode> {
        match &self.state {
            State::Complete { is_commit: done } if *done == is_commit => Ok(()),
            State::Prepare(_) => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            _ => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }
}

#[cfg(test)]
mod tests;
