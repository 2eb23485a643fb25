//! Sequences of one partition: what was given out, what is acknowledged, what is unsettled.
//! Java: `TxnPartitionEntry`.
//!
//! Differs from Java: a batch is renumbered only when it is surely not in the log. Java renumbers whatever is in flight,
//! and an append that it had not heard of becomes a duplicate under the new epoch (KAFKA-12152).
//!
//! The log takes the sequences of one producer epoch without gaps. Two conclusions rest on that:
//!
//! - an acknowledged batch proves that every batch before it is in the log;
//! - a batch that is surely not in the log proves that no batch after it is.

use super::sequence::{BatchSequence, ProducerIdAndEpoch, compare, increment};

/// "No batch was acknowledged yet": the sequence before the first one.
const NO_LAST_ACKED_SEQUENCE: i32 = -1;

/// What the last attempt to write a batch came to, where it was not success and the batch will be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The broker refused this attempt, or it never left: this attempt is not in the log. It says nothing of earlier ones.
    Refused,
    /// The broker compared the sequence with its log and refused (OUT_OF_ORDER_SEQUENCE_NUMBER, UNKNOWN_PRODUCER_ID): no
    /// attempt is in the log.
    OutOfSequence,
    /// No answer, or one that does not tell whether the batch was appended.
    Indefinite,
}

/// A batch that has sequences and is neither acknowledged nor given up.
#[derive(Clone, Copy, Debug)]
struct Unsettled {
    sequence: BatchSequence,
    /// Its request has not been answered yet. Otherwise the batch waits in the accumulator for its next attempt.
    on_wire: bool,
    /// Some attempt before the one on the wire may be in the log.
    may_be_written: bool,
    /// It was split from a batch that may be in the log under the same sequences, so that "out of sequence" can mean that
    /// its records are there already.
    parent_may_be_written: bool,
    /// How many batches were given sequences before it. The parts of a split batch share that of the whole.
    ordinal: u64,
}

/// How a partition that awaits resolution goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// Some batch may yet be acknowledged.
    Pending,
    /// There is no gap: everything that was missing turned out to be in the log.
    Resolved,
    /// There is a gap, and every batch that is left is surely not in the log.
    Gap,
}

/// The state of one partition.
#[derive(Debug)]
pub(super) struct PartitionEntry {
    producer: ProducerIdAndEpoch,
    next_sequence: i32,
    /// How many batches were given sequences of this producer id and epoch.
    assigned: u64,
    last_acked_sequence: i32,
    /// A batch of this producer id and epoch was acknowledged. Before, the broker has no state to check sequences against
    /// and takes whatever comes first (KIP-360), so a second batch in flight could pass a lost first one.
    has_ack: bool,
    /// A batch went away without an answer that it is in the log, or the broker lost sequences: no new ones are given out.
    awaits_resolution: bool,
    /// The broker refused the sequence that follows the last one it acknowledged: its log or its state is not what it was.
    state_lost: bool,
    /// A batch was given up that may be in the log: the sequences after the last acknowledged one may be used.
    gave_up_unknown: bool,
    /// In sequence order.
    unsettled: Vec<Unsettled>,
}

impl PartitionEntry {
    pub(super) fn new(producer: ProducerIdAndEpoch) -> Self {
        Self {
            producer,
            next_sequence: 0,
            assigned: 0,
            last_acked_sequence: NO_LAST_ACKED_SEQUENCE,
            has_ack: false,
            awaits_resolution: false,
            state_lost: false,
            gave_up_unknown: false,
            unsettled: Vec::new(),
        }
    }

    pub(super) fn producer(&self) -> ProducerIdAndEpoch {
        self.producer
    }

    pub(super) fn awaits_resolution(&self) -> bool {
        self.awaits_resolution
    }

    pub(super) fn has_unsettled(&self) -> bool {
        !self.unsettled.is_empty()
    }

    /// Whether everything before this batch is settled.
    pub(super) fn is_first(&self, sequence: &BatchSequence) -> bool {
        let first = self.unsettled.first();
        first.is_some_and(|first| first.sequence == *sequence)
    }

    /// Whether a batch without sequences may get some now.
    ///
    /// The bound is on the distance from the first unsettled batch and not on the number of the unsettled ones: a broker
    /// remembers five batches. If five later ones were appended while an early one is tried again and again, the broker
    /// would not know the early one for a duplicate any more, and would call it out of order although it is in the log.
    pub(super) fn can_assign(&self, current: ProducerIdAndEpoch, max_in_flight: u64) -> bool {
        if self.awaits_resolution {
            return false;
        }
        let limit = if self.producer == current && self.has_ack {
            max_in_flight
        } else {
            1
        };
        let first = self.unsettled.first();
        first.is_none_or(|first| self.assigned.saturating_sub(first.ordinal) < limit)
    }

    /// Whether a batch that has sequences may be sent again now: in order, one at a time, and where sequences are
    /// unresolved only to learn its fate.
    pub(super) fn can_retry_now(&self, sequence: &BatchSequence) -> bool {
        self.unsettled.first().is_some_and(|first| {
            first.sequence == *sequence
                && !first.on_wire
                && (!self.awaits_resolution || first.may_be_written)
        })
    }

    /// Gives the next sequences to a batch that is about to be sent.
    pub(super) fn assign(&mut self, record_count: u32) -> BatchSequence {
        let sequence = BatchSequence {
            producer: self.producer,
            base_sequence: self.next_sequence,
            record_count,
        };
        self.next_sequence = sequence.next_sequence();
        self.insert(Unsettled {
            sequence,
            on_wire: true,
            may_be_written: false,
            parent_may_be_written: false,
            ordinal: self.assigned,
        });
        self.assigned += 1;
        sequence
    }

    /// Notes that a batch which has sequences is about to be sent again.
    pub(super) fn set_on_wire(&mut self, sequence: &BatchSequence) {
        if let Some(batch) = self.find_mut(sequence) {
            batch.on_wire = true;
        }
    }

    /// The batch is in the log. Says whether it was still unsettled.
    pub(super) fn acknowledge(&mut self, sequence: &BatchSequence) -> bool {
        if !self.remove(sequence) {
            return false;
        }
        let last = sequence.last_sequence();
        let moves_up = self.last_acked_sequence == NO_LAST_ACKED_SEQUENCE
            || compare(self.last_acked_sequence, last).is_lt();
        if moves_up {
            self.last_acked_sequence = last;
        }
        self.has_ack = true;
        true
    }

    /// The batch went back to the accumulator for another attempt. Says whether the partition must be resolved now.
    pub(super) fn attempt_failed(&mut self, sequence: &BatchSequence, attempt: Attempt) -> bool {
        let is_first = self.is_first(sequence);
        let Some(batch) = self.find_mut(sequence) else {
            return false;
        };
        batch.on_wire = false;
        match attempt {
            Attempt::Refused => {}
            Attempt::Indefinite => batch.may_be_written = true,
            Attempt::OutOfSequence => batch.may_be_written = batch.parent_may_be_written,
        }
        // Behind an unsettled batch "out of sequence" is what a broker must answer, and means nothing. For the first one
        // everything before it was settled, so the log is not what we know of it.
        if attempt == Attempt::OutOfSequence && is_first {
            self.state_lost = true;
            self.awaits_resolution = true;
            return true;
        }
        false
    }

    /// What the attempt came to after which the batch is given up.
    pub(super) fn last_attempt_failed(&mut self, sequence: &BatchSequence, attempt: Attempt) {
        let is_next = self.is_first(sequence) && !self.awaits_resolution;
        self.state_lost |= attempt == Attempt::OutOfSequence && is_next;
        if attempt == Attempt::Indefinite {
            if let Some(batch) = self.find_mut(sequence) {
                batch.may_be_written = true;
            }
        }
    }

    /// The batch will not be tried again, and nothing proves that it is in the log.
    pub(super) fn give_up(&mut self, sequence: &BatchSequence) -> bool {
        let may_be_written = self
            .find_mut(sequence)
            .is_some_and(|batch| batch.may_be_written);
        let known = self.remove(sequence);
        self.awaits_resolution |= known;
        self.gave_up_unknown |= may_be_written;
        known
    }

    /// The batch was completed while its request is on the wire; the answer still settles its sequences.
    pub(super) fn give_up_on_wire(&mut self, sequence: &BatchSequence) -> bool {
        let known = self.find_mut(sequence).is_some();
        self.awaits_resolution |= known;
        known
    }

    /// Whether "out of sequence" can mean that the records of this batch are in the log, as part of a larger batch.
    pub(super) fn parent_may_be_written(&self, sequence: &BatchSequence) -> bool {
        self.unsettled
            .iter()
            .any(|batch| batch.sequence == *sequence && batch.parent_may_be_written)
    }

    /// Puts the parts of a batch that was split into its place, with the same sequences in the same order.
    pub(super) fn split(&mut self, original: &BatchSequence, counts: &[u32]) -> Vec<BatchSequence> {
        let newest = self.assigned;
        let (parent_may_be_written, ordinal) =
            self.find_mut(original).map_or((false, newest), |batch| {
                (batch.may_be_written, batch.ordinal)
            });
        self.remove(original);
        let mut base_sequence = original.base_sequence;
        let mut parts = Vec::with_capacity(counts.len());
        for &record_count in counts {
            let sequence = BatchSequence {
                producer: original.producer,
                base_sequence,
                record_count,
            };
            base_sequence = sequence.next_sequence();
            self.insert(Unsettled {
                sequence,
                on_wire: false,
                may_be_written: parent_may_be_written,
                parent_may_be_written,
                ordinal,
            });
            parts.push(sequence);
        }
        parts
    }

    /// Looks whether a partition that awaits resolution can go on.
    pub(super) fn resolution(&self) -> Resolution {
        if self.unsettled.iter().any(|batch| batch.on_wire) {
            return Resolution::Pending;
        }
        // The first batch decides for all: if it is surely not in the log, none after it is. If it may be, it is sent
        // again with its old sequence until it has an answer, and then the next one is the first.
        if self
            .unsettled
            .first()
            .is_some_and(|first| first.may_be_written)
        {
            return Resolution::Pending;
        }
        if self.is_contiguous() && !self.state_lost {
            return Resolution::Resolved;
        }
        Resolution::Gap
    }

    /// Goes on where it stopped.
    pub(super) fn resolve(&mut self) {
        self.awaits_resolution = false;
    }

    /// After a gap: gives up every batch that is left, all of which are surely not in the log, and goes on after the last one
    /// that is. Says whether that is possible: not where the log is not known to end there.
    pub(super) fn rewind(&mut self) -> bool {
        if self.state_lost || self.gave_up_unknown {
            return false;
        }
        self.unsettled.clear();
        self.next_sequence = increment(self.last_acked_sequence, 1);
        self.awaits_resolution = false;
        true
    }

    /// Starts at 0 with another producer id or epoch. The batches that wait for another attempt are renumbered in order;
    /// the caller writes the result into them.
    pub(super) fn restart(&mut self, producer: ProducerIdAndEpoch) -> Vec<BatchSequence> {
        let waiting = std::mem::replace(self, Self::new(producer)).unsettled;
        debug_assert!(
            waiting.iter().all(|batch| !batch.on_wire),
            "renumbered a batch of unknown fate"
        );
        let mut renumbered = Vec::with_capacity(waiting.len());
        for batch in waiting {
            let sequence = self.assign(batch.sequence.record_count);
            if let Some(batch) = self.find_mut(&sequence) {
                batch.on_wire = false;
            }
            renumbered.push(sequence);
        }
        renumbered
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

    fn insert(&mut self, batch: Unsettled) {
        let base = batch.sequence.base_sequence;
        let index = self
            .unsettled
            .partition_point(|other| compare(other.sequence.base_sequence, base).is_lt());
        self.unsettled.insert(index, batch);
    }

    fn find_mut(&mut self, sequence: &BatchSequence) -> Option<&mut Unsettled> {
        self.unsettled
            .iter_mut()
            .find(|batch| batch.sequence == *sequence)
    }

    fn remove(&mut self, sequence: &BatchSequence) -> bool {
        let index = self
            .unsettled
            .iter()
            .position(|batch| batch.sequence == *sequence);
        index.map(|index| self.unsettled.remove(index)).is_some()
    }

    #[cfg(test)]
    pub(super) fn next_sequence(&self) -> i32 {
        self.next_sequence
    }

    #[cfg(test)]
    pub(super) fn last_acked_sequence(&self) -> i32 {
        self.last_acked_sequence
    }

    #[cfg(test)]
    pub(super) fn set_next_sequence(&mut self, sequence: i32) {
        self.next_sequence = sequence;
        self.last_acked_sequence = sequence - 1;
        self.has_ack = true;
    }

    #[cfg(test)]
    pub(super) fn unsettled(&self) -> Vec<BatchSequence> {
        self.unsettled.iter().map(|batch| batch.sequence).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const PRODUCER: ProducerIdAndEpoch = ProducerIdAndEpoch {
        producer_id: 1,
        epoch: 0,
    };

    #[derive(Clone, Debug)]
    enum Step {
        Assign(u32),
        Acknowledge(usize),
        GiveUp(usize),
        Fail(usize),
        Split(usize),
        Restart,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (1..50_u32).prop_map(Step::Assign),
            2 => (0..8_usize).prop_map(Step::Acknowledge),
            1 => (0..8_usize).prop_map(Step::GiveUp),
            2 => (0..8_usize).prop_map(Step::Fail),
            1 => (0..8_usize).prop_map(Step::Split),
            1 => Just(Step::Restart),
        ];
        proptest::collection::vec(step, 1..60)
    }

    /// The unsettled batches by how many records were assigned before them, which never wraps.
    #[derive(Default)]
    struct Model {
        start: i64,
        assigned: i64,
        batches: BTreeMap<i64, u32>,
    }

    impl Model {
        fn nth(&self, n: usize) -> Option<(i64, u32)> {
            let n = n.checked_rem(self.batches.len())?;
            self.batches.iter().nth(n).map(|(&at, &count)| (at, count))
        }

        fn sequence(
            &self,
            producer: ProducerIdAndEpoch,
            at: i64,
            record_count: u32,
        ) -> BatchSequence {
            BatchSequence {
                producer,
                base_sequence: i32::try_from((self.start + at) % (1 << 31)).unwrap(),
                record_count,
            }
        }

        fn sequences(&self, producer: ProducerIdAndEpoch) -> Vec<BatchSequence> {
            let batches = self.batches.iter();
            batches
                .map(|(&at, &count)| self.sequence(producer, at, count))
                .collect()
        }
    }

    proptest! {
        // B8: KAFKA-8483, KAFKA-13794. The set against a model that has no wrap.
        #[test]
        fn the_in_flight_set_equals_its_model(start in (i32::MAX - 300)..i32::MAX, steps in steps()) {
            let mut entry = PartitionEntry::new(PRODUCER);
            entry.set_next_sequence(start);
            let mut model = Model { start: i64::from(start), ..Model::default() };
            for step in steps {
                let producer = entry.producer();
                match step {
                    Step::Assign(count) => {
                        let sequence = entry.assign(count);
                        prop_assert_eq!(sequence, model.sequence(producer, model.assigned, count));
                        model.batches.insert(model.assigned, count);
                        model.assigned += i64::from(count);
                    }
                    Step::Acknowledge(n) => if let Some((at, count)) = model.nth(n) {
                        let sequence = model.sequence(producer, at, count);
                        prop_assert!(entry.acknowledge(&sequence));
                        prop_assert!(!entry.acknowledge(&sequence));
                        model.batches.remove(&at);
                    },
                    Step::GiveUp(n) => if let Some((at, count)) = model.nth(n) {
                        prop_assert!(entry.give_up(&model.sequence(producer, at, count)));
                        model.batches.remove(&at);
                    },
                    Step::Fail(n) => if let Some((at, count)) = model.nth(n) {
                        entry.attempt_failed(&model.sequence(producer, at, count), Attempt::Refused);
                    },
                    Step::Split(n) => if let Some((at, count)) = model.nth(n).filter(|b| b.1 > 1) {
                        let counts = [count / 2, count - count / 2];
                        entry.split(&model.sequence(producer, at, count), &counts);
                        model.batches.insert(at, counts[0]);
                        model.batches.insert(at + i64::from(counts[0]), counts[1]);
                    },
                    Step::Restart => {
                        for sequence in entry.unsettled() {
                            entry.attempt_failed(&sequence, Attempt::Refused);
                        }
                        let next = producer.next_epoch().unwrap();
                        let counts: Vec<_> = model.batches.values().copied().collect();
                        model = Model::default();
                        for count in counts {
                            model.batches.insert(model.assigned, count);
                            model.assigned += i64::from(count);
                        }
                        prop_assert_eq!(entry.restart(next), model.sequences(next));
                    }
                }
                prop_assert_eq!(entry.unsettled(), model.sequences(entry.producer()));
            }
        }
    }
}
