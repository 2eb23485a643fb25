//! The producer id, the epoch, and the sequences of batches, for every idempotent producer. Java:
//! `TxnPartitionMap`, and the part of `TransactionManager` that a producer without transactions
//! uses; KIP-98, KIP-360.
//!
//! - [`number`] has sequence numbers that wrap, [`partition`] the sequences of one partition, and
//!   [`idempotent`] the producer id of a producer without transactions. Transactions build on this
//!   module, which does not know them.
//!
//! # Epoch bump
//!
//! A new epoch restarts every partition at sequence 0. This module owns the epoch. There are three
//! ways to get another one:
//!
//! - [`Sequences::bump_after_gap`]: a producer without transactions takes the next epoch itself if
//!   sequences are missing in a log. If the epochs of its id are used up, or no broker knows the
//!   id, it drops the id and requests another one.
//! - [`Sequences::require_bump`]: a transactional producer notes that the next transaction needs
//!   another epoch. The end of the transaction reads [`Sequences::bump`], and requests the epoch
//!   from the coordinator.
//! - [`Sequences::take_over`]: a coordinator's response contains the id and epoch to use from now
//!   on.
//!
//! Threads: the owner's. Locks: none.
//!
//! Differs from Java:
//! - This module knows batches only by their [`BatchSequence`]. It owns and changes no batch, and
//!   returns the new numbers to the caller.
//! - A batch with an indefinite attempt is never renumbered. Java renumbers every batch in flight
//!   as soon as it sees a gap. Here the partition awaits resolution. It assigns no new sequences,
//!   and its batches are retried with their old ones until each is acknowledged, failed, or known
//!   not to be in the log. Only then does the epoch change: for this partition immediately, and for
//!   every other one when it has no unsettled batch. In a transaction the epoch changes after the
//!   abort, and the batches behind a gap fail with it.
//! - If a batch was sent even once and then failed without a definite outcome, its partition is
//!   unresolved. In Java it must have been *retried* once.
//! - At most `max.in.flight` batches, or five, have sequences from the first unsettled one on, even
//!   if later ones were acknowledged. Java counts only those without a response, and can exceed
//!   what a broker remembers.
//! - A partition has only one batch in flight until the broker has acknowledged one, and whenever
//!   the broker may have forgotten the producer; see [`partition`].

mod idempotent;
mod number;
mod partition;

#[cfg(test)]
mod tests;

use std::time::Instant;

use hashbrown::HashMap;

pub(crate) use self::idempotent::{IdempotentProducer, InitOutcome};
pub(crate) use self::number::{BatchSequence, ProducerIdAndEpoch, compare as compare_sequences};
pub(crate) use self::partition::{Attempt, LogView, Restart};
use self::partition::{PartitionEntry, Resolution};
use crate::common::TopicPartition;
use crate::error::Error;
use crate::producer::internals::fate::HasFate;
use crate::sync::Arc;
use crate::utils::log;

/// A broker remembers this many batches of a producer in each partition, and recognizes duplicates
/// only among them.
const MAX_IN_FLIGHT_WITH_IDEMPOTENCE: u64 = 5;

/// Whether the next transaction needs another epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bump {
    NotNeeded,
    /// The sequences are not reliable after an error. Brokers that cannot bump epochs only abort
    /// the transaction.
    IfPossible,
    /// A request of the last transaction may reach a broker late, and would then count for the next
    /// one if that had the same epoch.
    Required,
}

/// How a partition continues after its resolution.
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
    Restarted(Restart),
    /// The batches with sequences can never be sent, and fail with this error. They belong to a
    /// transaction that can only be aborted.
    Abandoned(Error),
}

/// The batch of a partition that may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextBatch {
    None,
    /// The head of the deque, which has no sequence yet.
    Head,
    /// The batch with this sequence, for another attempt.
    Retry(BatchSequence),
}

/// The drain's access to the sequences. Called with the lock of the partition's deque.
pub(crate) trait DrainGate {
    /// Returns which batch of the partition may be sent to `log` now. `has_sequence` says whether
    /// the head of the deque has a sequence.
    fn next_to_drain(
        &self,
        topic_partition: &TopicPartition,
        has_sequence: bool,
        log: LogView,
        now: Instant,
    ) -> NextBatch;

    /// Assigns sequences to a batch that is about to be sent for the first time, and counts it as
    /// in flight. Only for a head that [`next_to_drain`](Self::next_to_drain) returned.
    fn assign_sequence(
        &self,
        topic_partition: &TopicPartition,
        record_count: u32,
        batch: Arc<dyn HasFate>,
        log: LogView,
    ) -> BatchSequence;

    /// Counts a batch with sequences as in flight again.
    fn add_in_flight(&self, topic_partition: &TopicPartition, sequence: &BatchSequence);
}

/// The producer id and epoch, and the sequences of the partitions.
#[derive(Debug)]
pub(crate) struct Sequences {
    max_in_flight: u64,
    /// The id and epoch with which partitions start from now on. A partition with unsettled batches
    /// keeps its own until it has none.
    producer: ProducerIdAndEpoch,
    bump: Bump,
    /// Never shrinks while the epoch stays. If a partition were forgotten while its topic is
    /// missing from the metadata, it would start at 0 again, and the broker would drop new records
    /// as duplicates.
    partitions: HashMap<TopicPartition, PartitionEntry>,
    /// The partitions that await resolution. An empty list makes the check free.
    unresolved: Vec<TopicPartition>,
}

impl Sequences {
    /// Creates empty sequences. `max_in_flight` is `max.in.flight.requests.per.connection`.
    pub(crate) fn new(max_in_flight: usize) -> Self {
        Self {
            max_in_flight: u64::try_from(max_in_flight)
                .unwrap_or(u64::MAX)
                .clamp(1, MAX_IN_FLIGHT_WITH_IDEMPOTENCE),
            producer: ProducerIdAndEpoch::NONE,
            bump: Bump::NotNeeded,
            partitions: HashMap::new(),
            unresolved: Vec::new(),
        }
    }

    /// Returns the current producer id and epoch, or [`ProducerIdAndEpoch::NONE`].
    pub(crate) fn producer(&self) -> ProducerIdAndEpoch {
        self.producer
    }
}

/// The epoch: see the module's documentation.
impl Sequences {
    /// Notes that the next transaction needs another epoch.
    pub(crate) fn require_bump(&mut self, bump: Bump) {
        self.bump = self.bump.max(bump);
    }

    /// Returns whether the next transaction needs another epoch.
    pub(crate) fn bump(&self) -> Bump {
        self.bump
    }

    /// Restarts every partition with a producer id and epoch from a coordinator, or without one.
    /// Whatever was sent under an older one either has an outcome, or the brokers refuse it from
    /// now on.
    pub(crate) fn take_over(&mut self, producer: ProducerIdAndEpoch) {
        self.producer = producer;
        self.bump = Bump::NotNeeded;
        self.partitions.clear();
        self.unresolved.clear();
    }

    /// Uses the first producer id, or the next one after a dropped id. Partitions with unsettled
    /// batches keep the old one until they are resolved.
    fn take_over_unsettled(&mut self, producer: ProducerIdAndEpoch) {
        self.producer = producer;
    }

    /// Restarts a partition with a gap at sequence 0. Uses the epoch that another partition's gap
    /// required, or the next one. Returns `None` if there is no producer id until another one is
    /// taken over.
    fn bump_after_gap(&mut self, topic_partition: &TopicPartition) -> Option<Restart> {
        let entry = self.partitions.get_mut(topic_partition)?;
        let stale = entry.producer();
        if self.producer == stale {
            let next = stale.next_epoch();
            if entry.has_lost_producer() {
                self.give_up_producer(&format!("no broker knows {stale}"));
            } else if let Some(next) = next {
                self.producer = next;
            } else {
                self.give_up_producer(&format!("the epochs of {stale} are used up"));
            }
        }
        if !self.producer.is_valid() {
            return None;
        }
        let producer = self.producer;
        let restart = self.partitions.get_mut(topic_partition)?.restart(producer);
        log::info!(
            "{topic_partition} restarts at sequence 0 with {producer} after a gap under {stale}"
        );
        Some(restart)
    }

    /// Drops the producer id of a producer that may request another one.
    fn give_up_producer(&mut self, reason: &str) {
        log::info!("requesting another producer id: {reason}");
        self.producer = ProducerIdAndEpoch::NONE;
    }
}

/// The drain. See [`DrainGate`], whose implementations have further reasons to hold a batch back.
impl Sequences {
    pub(crate) fn next_to_drain(
        &mut self,
        topic_partition: &TopicPartition,
        has_sequence: bool,
        log: LogView,
        now: Instant,
    ) -> NextBatch {
        let Some(entry) = self.partitions.get_mut(topic_partition) else {
            return match has_sequence {
                true => NextBatch::None,
                false => NextBatch::Head,
            };
        };
        entry.observe(log);
        if has_sequence {
            return entry.next_retry().map_or(NextBatch::None, NextBatch::Retry);
        }
        match entry.can_assign(self.producer, self.max_in_flight, now) {
            true => NextBatch::Head,
            false => NextBatch::None,
        }
    }

    /// Assigns the next sequences. A partition with an older producer id or epoch starts at 0 with
    /// the current one.
    pub(crate) fn assign(
        &mut self,
        topic_partition: &TopicPartition,
        record_count: u32,
        batch: Arc<dyn HasFate>,
        log: LogView,
    ) -> BatchSequence {
        let producer = self.producer;
        let entry = self
            .partitions
            .entry_ref(topic_partition)
            .or_insert_with(|| PartitionEntry::new(producer, log));
        if entry.producer() != producer && !entry.has_unsettled() {
            entry.restart(producer);
        }
        entry.assign(record_count, batch)
    }

    pub(crate) fn add_in_flight(
        &mut self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
    ) {
        if let Some(entry) = self.partitions.get_mut(topic_partition) {
            entry.set_on_wire(sequence);
        }
    }
}

/// Outcomes of batches that were sent. The caller has noted the outcome in the batch's fate.
impl Sequences {
    /// Notes that the batch is in the log. Also for a duplicate, and for the late response to a
    /// batch that expired in flight. Returns whether the batch was unsettled.
    pub(crate) fn completed(
        &mut self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
        now: Instant,
    ) -> bool {
        self.settle(topic_partition, |entry| entry.acknowledge(sequence, now))
            .unwrap_or(false)
    }

    /// Notes that the batch goes back to the accumulator with its sequences for another attempt.
    pub(crate) fn retried(
        &mut self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
        attempt: Attempt,
    ) {
        self.settle(topic_partition, |entry| {
            entry.attempt_failed(sequence, attempt);
        });
    }

    /// Notes the outcome of a batch's last attempt.
    pub(crate) fn last_attempt(
        &mut self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
        attempt: Attempt,
    ) {
        self.settle(topic_partition, |entry| {
            entry.last_attempt_failed(sequence, attempt);
        });
    }

    /// Notes that the batch failed while it was not on the wire: refused for good, or expired
    /// between two attempts.
    pub(crate) fn failed(&mut self, topic_partition: &TopicPartition, sequence: &BatchSequence) {
        self.settle(topic_partition, |entry| entry.give_up(sequence));
    }

    /// Notes that the batch failed while its request waits for a response. The response is reported
    /// later, to [`completed`](Self::completed) or to [`failed`](Self::failed), as for any batch.
    pub(crate) fn expired_in_flight(
        &mut self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
    ) {
        self.settle(topic_partition, |entry| entry.give_up_on_wire(sequence));
    }

    /// Replaces a batch that was split by its parts, given as record counts and fates in order.
    /// Returns the parts' sequences.
    pub(crate) fn split(
        &mut self,
        topic_partition: &TopicPartition,
        original: &BatchSequence,
        parts: &[(u32, Arc<dyn HasFate>)],
    ) -> Vec<BatchSequence> {
        let producer = original.producer;
        self.partitions
            .entry_ref(topic_partition)
            .or_insert_with(|| PartitionEntry::new(producer, LogView::UNKNOWN))
            .split(original, parts)
    }

    /// Returns whether an attempt may have written the batch, which then keeps its sequence.
    /// Returns `None` if the partition is unknown.
    pub(crate) fn may_be_written(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
    ) -> Option<bool> {
        let entry = self.partitions.get(topic_partition)?;
        Some(entry.may_be_written(sequence))
    }

    /// Returns whether every earlier batch has an outcome.
    pub(crate) fn is_first(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
    ) -> bool {
        let entry = self.partitions.get(topic_partition);
        entry.is_some_and(|entry| entry.is_first(sequence))
    }

    /// Forgets a partition without unsettled batches, so that it starts at 0 again under the same
    /// epoch: the broker has forgotten the producer.
    pub(crate) fn forget_settled(&mut self, topic_partition: &TopicPartition) {
        let entry = self.partitions.get(topic_partition);
        if entry.is_some_and(|entry| !entry.has_unsettled()) {
            self.partitions.remove(topic_partition);
            self.unresolved.retain(|other| other != topic_partition);
        }
    }

    /// Applies `change`, and schedules the partition's resolution if it now awaits that. Returns
    /// `None` if the partition is unknown.
    fn settle<R>(
        &mut self,
        topic_partition: &TopicPartition,
        change: impl FnOnce(&mut PartitionEntry) -> R,
    ) -> Option<R> {
        let entry = self.partitions.get_mut(topic_partition)?;
        let awaited = entry.awaits_resolution();
        let result = change(entry);
        if !awaited && entry.awaits_resolution() {
            log::debug!(
                "{topic_partition} assigns no sequences until its unsettled batches are resolved"
            );
            self.unresolved.push(topic_partition.clone());
        }
        Some(result)
    }
}

/// Recovery. Java: `maybeResolveSequences`.
impl Sequences {
    /// Resolves every partition whose batches all have an outcome. It continues where it stopped if
    /// nothing is missing, and otherwise as `after_gap` decides. If that returns `None`, the
    /// partition continues to wait.
    ///
    /// Called before every drain. The caller writes new sequences into the batches before anything
    /// is drained.
    pub(crate) fn resolve(
        &mut self,
        mut after_gap: impl FnMut(&mut Self, &TopicPartition) -> Option<ResolvedOutcome>,
    ) -> Vec<Resolved> {
        let mut resolved = Vec::new();
        for topic_partition in std::mem::take(&mut self.unresolved) {
            let Some(entry) = self.partitions.get_mut(&topic_partition) else {
                continue;
            };
            let outcome = match entry.resolution() {
                Resolution::Pending => None,
                Resolution::Resolved => {
                    entry.resolve();
                    Some(ResolvedOutcome::Unchanged)
                }
                Resolution::Gap => after_gap(self, &topic_partition),
            };
            match outcome {
                Some(outcome) => resolved.push(Resolved {
                    topic_partition,
                    outcome,
                }),
                None => self.unresolved.push(topic_partition),
            }
        }
        resolved
    }

    /// After a gap, drops every remaining batch, and continues after the last one in the log under
    /// the same epoch. Returns whether that is possible.
    pub(crate) fn rewind(&mut self, topic_partition: &TopicPartition) -> bool {
        let entry = self.partitions.get_mut(topic_partition);
        entry.is_some_and(PartitionEntry::rewind)
    }
}

#[cfg(test)]
impl Sequences {
    pub(crate) fn set_next_sequence(&mut self, topic_partition: &TopicPartition, sequence: i32) {
        let entry = self.partitions.get_mut(topic_partition);
        entry
            .expect("the partition has a batch")
            .set_next_sequence(sequence);
    }
}
