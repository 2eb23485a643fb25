//! The sequences of one partition: assigned, acknowledged, and unsettled ones. A batch is unsettled
//! while it has no definite outcome. Java: `TxnPartitionEntry`.
//!
//! Differs from Java: a batch is renumbered only if it is known not to be in the log. Java
//! renumbers every batch in flight, and an append whose response was lost becomes a duplicate under
//! the new epoch (KAFKA-12152).
//!
//! While a broker keeps its state, a log accepts the sequences of one producer epoch without gaps.
//! An acknowledged batch then proves that every earlier batch is in the log. But a broker forgets
//! an idle producer, a topic is created again, a log is truncated, and a broker without state
//! accepts *any* sequence. So nothing here depends on that rule alone:
//!
//! - Only one batch is in flight until the broker has acknowledged one, and again whenever it may
//!   have forgotten the producer: after [`REMEMBERED_FOR`] without an acknowledgement, with another
//!   topic id, leader or leader epoch, and after an outcome that means so.
//! - A batch with an indefinite attempt is acknowledged under its old sequence or fails ([`Fate`]).
//!   An old request may be handled after the retry was refused.
//! - A batch is retried only if no later one is on the wire, because that one's response may show
//!   that it was overtaken.
//! - If a batch was refused while a later one was appended, it can no longer be written in order,
//!   and fails. The same holds if the later one failed and may have been appended, unless the
//!   broker's last response was that it does not have it.
//!
//! [`Fate`]: crate::producer::internals::fate::Fate

use std::time::{Duration, Instant};

use super::number::{BatchSequence, ProducerIdAndEpoch, compare, increment};
use crate::common::{NodeId, Uuid};
use crate::producer::internals::fate::{Certainty, HasFate};
use crate::sync::Arc;

/// "No batch was acknowledged yet": the sequence before the first one.
const NO_LAST_ACKED_SEQUENCE: i32 = -1;

/// How long a broker is trusted to remember a producer after an acknowledgement.
/// `producer.id.expiration.ms` is a day, unless an administrator chose less. A short time costs an
/// idle partition one round trip.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// The outcome of an attempt to write a batch, other than success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The broker refused this attempt, or it never left: this attempt is not in the log. Says
    /// nothing about earlier ones.
    Refused,
    /// The broker compared the sequence and refused it: OUT_OF_ORDER_SEQUENCE_NUMBER.
    OutOfSequence,
    /// The broker has no state of the producer and refused the batch: UNKNOWN_PRODUCER_ID.
    UnknownProducer,
    /// The brokers do not accept the producer id: INVALID_PRODUCER_ID_MAPPING.
    ProducerRefused,
    /// There is no response, or one that does not tell whether the batch was appended.
    Indefinite,
}

/// The identity of the log that receives a partition's batches, according to the metadata. A
/// different view may be a different log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogView {
    pub(crate) topic_id: Uuid,
    /// The leader and its epoch.
    pub(crate) leader: Option<(NodeId, Option<i32>)>,
}

impl LogView {
    /// The metadata do not contain the partition.
    pub(crate) const UNKNOWN: Self = Self {
        topic_id: Uuid::ZERO,
        leader: None,
    };
}

/// How much a partition may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// The broker may have no state of the producer and accept any batch. A second batch in flight
    /// could then overtake a refused first one, so only one batch is in flight.
    Probing,
    /// At this time the broker showed that it checks sequences of this producer id and epoch.
    /// Several batches may be in flight.
    Open { since: Instant },
    /// No new sequences are assigned until it is known whether the assigned ones have a gap.
    Resolving(Resolving),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Resolving {
    gap: Gap,
    /// Whether the log may contain a batch that failed, so that the sequences after the last
    /// acknowledged one may be used.
    gave_up: Certainty,
    /// The time of [`Flow::Open`], or `None` for [`Flow::Probing`].
    since: Option<Instant>,
}

/// The reason why a partition awaits resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    /// A batch failed without a definite outcome. A gap, unless a later one is acknowledged.
    Possible,
    /// The broker's log or state has changed.
    Certain,
    /// The brokers no longer know the producer id.
    ProducerLost,
}

impl Flow {
    fn probing_or_open(since: Option<Instant>) -> Self {
        match since {
            None => Self::Probing,
            Some(since) => Self::Open { since },
        }
    }

    /// Returns when the broker showed that it checks sequences; `None` if it may have forgotten.
    fn since(&self) -> Option<Instant> {
        match *self {
            Self::Probing => None,
            Self::Open { since } => Some(since),
            Self::Resolving(resolving) => resolving.since,
        }
    }

    fn set_since(&mut self, since: Option<Instant>) {
        match self {
            Self::Probing | Self::Open { .. } => *self = Self::probing_or_open(since),
            Self::Resolving(resolving) => resolving.since = since,
        }
    }
}

/// A batch with sequences that is neither acknowledged nor failed.
#[derive(Clone, Debug)]
struct Unsettled {
    sequence: BatchSequence,
    /// Tells whether the log may contain the batch.
    batch: Arc<dyn HasFate>,
    /// Its request has no response yet. Otherwise the batch waits for its next attempt.
    on_wire: bool,
    /// The log contains a later batch, or may contain one that failed.
    overtaken: bool,
    /// In the last attempt the broker compared the sequence and does not have the batch:
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    is_absent: bool,
    /// The [`PartitionEntry::view`] to which it was sent.
    view: u32,
    /// The number of batches with earlier sequences. Parts of a split batch share the whole's.
    ordinal: u64,
}

/// The place of an unsettled batch, and whether the log may contain it, as
/// [`Error::delivery`](crate::Error::delivery) would say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Its request has no response yet.
    OnWire(Certainty),
    /// It waits in the accumulator for its next attempt.
    Waiting(Certainty),
}

impl Unsettled {
    fn certainty(&self) -> Certainty {
        self.batch.fate().certainty()
    }

    fn standing(&self) -> Standing {
        match self.on_wire {
            true => Standing::OnWire(self.certainty()),
            false => Standing::Waiting(self.certainty()),
        }
    }

    /// Returns whether the batch is known not to be in the log.
    fn is_refused(&self) -> bool {
        self.standing() == Standing::Waiting(Certainty::NotWritten)
    }

    /// Returns whether an attempt may have written the batch, and another attempt can find out.
    fn is_in_doubt(&self) -> bool {
        self.standing() == Standing::Waiting(Certainty::Maybe)
    }
}

/// How a partition that awaits resolution continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// Some batch may still be acknowledged.
    Pending,
    /// There is no gap: everything that was missing is in the log.
    Resolved,
    /// There is a gap, and every remaining batch is known not to be in the log.
    Gap,
}

/// What happens to the batches that waited for another attempt when a partition restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restart {
    /// The old sequences of overtaken batches. They are the first ones, and can only fail.
    pub(crate) overtaken: Vec<BatchSequence>,
    /// The new sequences of the others, in order.
    pub(crate) renumbered: Vec<BatchSequence>,
}

/// The state of one partition.
#[derive(Debug)]
pub(super) struct PartitionEntry {
    producer: ProducerIdAndEpoch,
    next_sequence: i32,
    /// The number of batches with sequences of this producer id and epoch.
    assigned: u64,
    last_acked_sequence: i32,
    log: LogView,
    /// Increases with each change of `log`.
    view: u32,
    flow: Flow,
    /// In sequence order.
    unsettled: Vec<Unsettled>,
}

impl PartitionEntry {
    pub(super) fn new(producer: ProducerIdAndEpoch, log: LogView) -> Self {
        Self {
            producer,
            next_sequence: 0,
            assigned: 0,
            last_acked_sequence: NO_LAST_ACKED_SEQUENCE,
            log,
            view: 0,
            flow: Flow::Probing,
            unsettled: Vec::new(),
        }
    }

    pub(super) fn producer(&self) -> ProducerIdAndEpoch {
        self.producer
    }

    /// Returns whether no new sequences are assigned until the old ones are resolved.
    pub(super) fn awaits_resolution(&self) -> bool {
        self.gap().is_some()
    }

    /// Returns whether the brokers no longer know the producer id. Another epoch would not help.
    pub(super) fn has_lost_producer(&self) -> bool {
        self.gap() == Some(Gap::ProducerLost)
    }

    pub(super) fn has_unsettled(&self) -> bool {
        !self.unsettled.is_empty()
    }

    /// Returns whether every earlier batch has an outcome.
    pub(super) fn is_first(&self, sequence: &BatchSequence) -> bool {
        let first = self.unsettled.first();
        first.is_some_and(|first| first.sequence == *sequence)
    }

    /// Returns whether an earlier attempt may have written this batch, which keeps its sequence.
    pub(super) fn may_be_written(&self, sequence: &BatchSequence) -> bool {
        let mut unsettled = self.unsettled.iter();
        unsettled.any(|batch| batch.sequence == *sequence && batch.certainty() == Certainty::Maybe)
    }

    /// Notes the destination of the next batch. Another log may not know the producer.
    pub(super) fn observe(&mut self, log: LogView) {
        if self.log != log {
            self.log = log;
            self.view = self.view.wrapping_add(1);
            self.flow.set_since(None);
        }
    }

    /// Returns whether a batch without sequences may get some now.
    ///
    /// The limit is the distance from the first unsettled batch, and not the number of unsettled
    /// ones, because a broker remembers five batches. Suppose that five later batches were appended
    /// while an early one is retried. The broker would no longer recognize the early one as a
    /// duplicate, and would return an out-of-order error although it is in the log.
    pub(super) fn can_assign(
        &self,
        current: ProducerIdAndEpoch,
        max_in_flight: u64,
        now: Instant,
    ) -> bool {
        let is_remembered = match self.flow {
            Flow::Probing => false,
            Flow::Open { since } => now.saturating_duration_since(since) < REMEMBERED_FOR,
            Flow::Resolving(_) => return false,
        };
        let limit = if self.producer == current && is_remembered {
            max_in_flight
        } else {
            1
        };
        let first = self.unsettled.first();
        first.is_none_or(|first| self.assigned.saturating_sub(first.ordinal) < limit)
    }

    /// Returns the batch that may be retried now, if any: in order and one at a time. In a
    /// partition that awaits resolution, only batches in doubt are retried, to learn their outcome.
    /// If there is a gap, batches that were refused before them wait for a new epoch. No batch is
    /// retried behind a later one without a response. A broker that has forgotten the producer
    /// could append the later one, forget the producer again, and accept the earlier one. The wait
    /// ends with the responses, or with `request.timeout.ms` if a connection hangs.
    pub(super) fn next_retry(&self) -> Option<BatchSequence> {
        if self.unsettled.iter().any(|batch| batch.on_wire) {
            return None;
        }
        let first = self.unsettled.first();
        let in_doubt = self.unsettled.iter().find(|batch| batch.is_in_doubt());
        let next = match self.gap() {
            None => first,
            Some(Gap::Possible) => in_doubt.and(first),
            Some(Gap::Certain | Gap::ProducerLost) => in_doubt,
        };
        next.map(|batch| batch.sequence)
    }

    /// Assigns the next sequences to a batch that is about to be sent.
    pub(super) fn assign(&mut self, record_count: u32, batch: Arc<dyn HasFate>) -> BatchSequence {
        let sequence = BatchSequence {
            producer: self.producer,
            base_sequence: self.next_sequence,
            record_count,
        };
        self.next_sequence = sequence.next_sequence();
        self.insert(Unsettled {
            sequence,
            batch,
            on_wire: true,
            overtaken: false,
            is_absent: false,
            view: self.view,
            ordinal: self.assigned,
        });
        self.assigned += 1;
        sequence
    }

    /// Notes that a batch with sequences is about to be sent again.
    pub(super) fn set_on_wire(&mut self, sequence: &BatchSequence) {
        let view = self.view;
        if let Some(batch) = self.find_mut(sequence) {
            batch.on_wire = true;
            batch.view = view;
        }
    }

    /// Notes that the batch is in the log. Returns whether it was still unsettled.
    pub(super) fn acknowledge(&mut self, sequence: &BatchSequence, now: Instant) -> bool {
        let Some(index) = self.position(sequence) else {
            return false;
        };
        let batch = self.unsettled.remove(index);
        let last = sequence.last_sequence();
        let moves_up = self.last_acked_sequence == NO_LAST_ACKED_SEQUENCE
            || compare(self.last_acked_sequence, last).is_lt();
        if moves_up {
            self.last_acked_sequence = last;
        }
        if batch.view == self.view {
            self.flow.set_since(Some(now));
        }
        self.overtake(index);
        true
    }

    /// Notes that the log contains, or may contain, the batch that was at this index. Earlier ones
    /// can no longer be written in order, unless they already are.
    fn overtake(&mut self, index: usize) {
        let mut is_gap = false;
        for earlier in self.unsettled.iter_mut().take(index) {
            earlier.overtaken = true;
            is_gap |= earlier.is_refused();
        }
        if is_gap {
            self.raise(Gap::Certain);
        }
    }

    /// Notes that the batch went back to the accumulator for another attempt.
    pub(super) fn attempt_failed(&mut self, sequence: &BatchSequence, attempt: Attempt) {
        let is_first = self.is_first(sequence);
        let Some(batch) = self.find_mut(sequence) else {
            return;
        };
        batch.on_wire = false;
        let is_gap = batch.overtaken && batch.is_refused();
        if attempt != Attempt::Refused {
            self.flow.set_since(None);
        }
        if is_gap {
            self.raise(Gap::Certain);
        }
        // Behind an unsettled batch, a broker must return an out-of-sequence error, which means
        // nothing. For the first unsettled batch, every earlier one has an outcome, so the log is
        // not the expected one.
        self.note_lost_state(sequence, attempt, is_first);
    }

    /// Notes the outcome of the batch's last attempt.
    pub(super) fn last_attempt_failed(&mut self, sequence: &BatchSequence, attempt: Attempt) {
        let is_next = self.is_first(sequence) && !self.awaits_resolution();
        if let Some(batch) = self.find_mut(sequence) {
            batch.is_absent = attempt == Attempt::OutOfSequence;
        }
        self.note_lost_state(sequence, attempt, is_next);
    }

    fn note_lost_state(&mut self, sequence: &BatchSequence, attempt: Attempt, is_next: bool) {
        match attempt {
            Attempt::ProducerRefused => self.raise(Gap::ProducerLost),
            // A broker accepts sequence 0 from any producer id that it knows.
            Attempt::UnknownProducer if is_next && sequence.base_sequence == 0 => {
                self.raise(Gap::ProducerLost);
            }
            Attempt::OutOfSequence | Attempt::UnknownProducer if is_next => {
                self.raise(Gap::Certain);
            }
            _ => {}
        }
    }

    /// Notes that the batch will not be retried, and that nothing proves that it is in the log.
    pub(super) fn give_up(&mut self, sequence: &BatchSequence) {
        if let Some(index) = self.position(sequence) {
            let batch = self.unsettled.remove(index);
            if batch.certainty() == Certainty::Maybe && !batch.is_absent {
                self.overtake(index);
            }
            self.raise_after(Gap::Possible, batch.certainty());
        }
    }

    /// Notes that the batch failed while its request is on the wire. The response still resolves
    /// its sequences.
    pub(super) fn give_up_on_wire(&mut self, sequence: &BatchSequence) {
        if self.position(sequence).is_some() {
            self.raise(Gap::Possible);
        }
    }

    /// Replaces a batch by its parts, which have the same sequences in the same order.
    pub(super) fn split(
        &mut self,
        original: &BatchSequence,
        parts: &[(u32, Arc<dyn HasFate>)],
    ) -> Vec<BatchSequence> {
        let index = self.position(original);
        let whole = index.map(|index| self.unsettled.remove(index));
        let (overtaken, ordinal) = whole.map_or((false, self.assigned), |whole| {
            (whole.overtaken, whole.ordinal)
        });
        let mut base_sequence = original.base_sequence;
        let mut sequences = Vec::with_capacity(parts.len());
        for (record_count, batch) in parts {
            let sequence = BatchSequence {
                producer: original.producer,
                base_sequence,
                record_count: *record_count,
            };
            base_sequence = sequence.next_sequence();
            self.insert(Unsettled {
                sequence,
                batch: Arc::clone(batch),
                on_wire: false,
                overtaken,
                is_absent: false,
                view: self.view,
                ordinal,
            });
            sequences.push(sequence);
        }
        sequences
    }

    /// Determines whether a partition that awaits resolution can continue.
    pub(super) fn resolution(&self) -> Resolution {
        // A batch that may be in the log keeps its old sequence until it is acknowledged or fails.
        if !self.unsettled.iter().all(Unsettled::is_refused) {
            return Resolution::Pending;
        }
        match self.gap() {
            None | Some(Gap::Possible) if self.is_contiguous() => Resolution::Resolved,
            _ => Resolution::Gap,
        }
    }

    /// Continues where the partition stopped.
    pub(super) fn resolve(&mut self) {
        self.flow = Flow::probing_or_open(self.flow.since());
    }

    /// After a gap, drops every remaining batch, all of which are known not to be in the log, and
    /// continues after the last one that is. Returns whether that is possible: the end of the log
    /// must be known.
    pub(super) fn rewind(&mut self) -> bool {
        if let Flow::Resolving(resolving) = self.flow {
            if resolving.gap > Gap::Possible || resolving.gave_up == Certainty::Maybe {
                return false;
            }
        }
        self.unsettled.clear();
        self.next_sequence = increment(self.last_acked_sequence, 1);
        self.resolve();
        true
    }

    /// Restarts at 0 with another producer id or epoch. Renumbers the batches that wait for another
    /// attempt in order; the caller writes the result into them.
    pub(super) fn restart(&mut self, producer: ProducerIdAndEpoch) -> Restart {
        let fresh = Self {
            view: self.view,
            ..Self::new(producer, self.log)
        };
        let waiting = std::mem::replace(self, fresh).unsettled;
        debug_assert!(
            waiting.iter().all(Unsettled::is_refused),
            "renumbered a batch of unknown fate"
        );
        let mut restart = Restart::default();
        for batch in waiting {
            if batch.overtaken {
                restart.overtaken.push(batch.sequence);
                continue;
            }
            let sequence = self.assign(batch.sequence.record_count, batch.batch);
            if let Some(batch) = self.find_mut(&sequence) {
                batch.on_wire = false;
            }
            restart.renumbered.push(sequence);
        }
        restart
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = increment(self.last_acked_sequence, 1);
        for batch in &self.unsettled {
            if batch.sequence.base_sequence != expected {
                return false;
            }
            expected = batch.sequence.next_sequence();
        }
        expected == self.next_sequence
    }

    fn gap(&self) -> Option<Gap> {
        match self.flow {
            Flow::Probing | Flow::Open { .. } => None,
            Flow::Resolving(resolving) => Some(resolving.gap),
        }
    }

    /// Assigns no sequences until this gap, or a worse known one, is resolved.
    fn raise(&mut self, gap: Gap) {
        self.raise_after(gap, Certainty::NotWritten);
    }

    /// Does the same as [`raise`](Self::raise), after a batch failed that the log may contain.
    fn raise_after(&mut self, gap: Gap, gave_up: Certainty) {
        let known = match self.flow {
            Flow::Probing | Flow::Open { .. } => None,
            Flow::Resolving(resolving) => Some(resolving),
        };
        self.flow = Flow::Resolving(Resolving {
            gap: known.map_or(gap, |known| known.gap.max(gap)),
            gave_up: known.map_or(gave_up, |known| known.gave_up.max(gave_up)),
            since: self.flow.since(),
        });
    }

    fn insert(&mut self, batch: Unsettled) {
        let base = batch.sequence.base_sequence;
        let index = self
            .unsettled
            .partition_point(|other| compare(other.sequence.base_sequence, base).is_lt());
        self.unsettled.insert(index, batch);
    }

    fn find_mut(&mut self, sequence: &BatchSequence) -> Option<&mut Unsettled> {
        let mut unsettled = self.unsettled.iter_mut();
        unsettled.find(|batch| batch.sequence == *sequence)
    }

    fn position(&self, sequence: &BatchSequence) -> Option<usize> {
        let mut unsettled = self.unsettled.iter();
        unsettled.position(|batch| batch.sequence == *sequence)
    }
}

#[cfg(test)]
impl PartitionEntry {
    pub(super) fn next_sequence(&self) -> i32 {
        self.next_sequence
    }

    pub(super) fn last_acked_sequence(&self) -> i32 {
        self.last_acked_sequence
    }

    pub(super) fn set_next_sequence(&mut self, sequence: i32) {
        self.next_sequence = sequence;
        self.last_acked_sequence = sequence - 1;
    }

    pub(super) fn unsettled(&self) -> Vec<BatchSequence> {
        self.unsettled.iter().map(|batch| batch.sequence).collect()
    }

    pub(super) fn batch(&self, sequence: &BatchSequence) -> Arc<dyn HasFate> {
        let batch = self.unsettled.iter().find(|b| b.sequence == *sequence);
        Arc::clone(&batch.expect("settled already").batch)
    }
}

#[cfg(test)]
mod tests;
