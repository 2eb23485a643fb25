//! The sequence numbers that a partition accepts from each producer. Java (broker):
//! `ProducerAppendInfo`, `ProducerStateEntry`.
//!
//! | producer's state | batch | answer |
//! |---|---|---|
//! | none | any sequence | append (brokers before 2.5: UNKNOWN_PRODUCER_ID unless it is 0) |
//! | none, or a marker alone | not 0, in a transaction of version 2 (Produce v12) | OUT_OF_ORDER_SEQUENCE_NUMBER |
//! | any | higher than the lowest that is under verification | OUT_OF_ORDER_SEQUENCE_NUMBER |
//! | same epoch | next sequence | append |
//! | same epoch | exactly one of the last 5 batches | success, with that batch's offset; nothing is appended |
//! | same epoch | anything else, older batches too | OUT_OF_ORDER_SEQUENCE_NUMBER |
//! | older epoch in the batch | any sequence | INVALID_PRODUCER_EPOCH |
//! | same epoch, known by a marker alone | not 0 | OUT_OF_ORDER_SEQUENCE_NUMBER |
//! | newer epoch in the batch | 0 | append; the old epoch's batches are forgotten |
//! | newer epoch in the batch | not 0 | OUT_OF_ORDER_SEQUENCE_NUMBER |
//!
//! Differs from Java: the response to batches older than the last 5 can be chosen. Brokers of the
//! 1.0 line returned DUPLICATE_SEQUENCE_NUMBER, and clients still take that for a success.
//! Producers and verifications do not expire with time.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::failure::Failure;
use crate::protocol::ErrorCode;

/// The number of batches of a producer that a partition remembers. Java:
/// `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`.
const BATCHES_TO_RETAIN: usize = 5;

/// The differences between broker versions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SequenceRules {
    /// Returns UNKNOWN_PRODUCER_ID if the producer is unknown and its sequence is not 0.
    pub(crate) unknown_producer_id: bool,
    /// The response to a batch that is older than all remembered ones.
    pub(crate) stale_duplicate: ErrorCode,
}

impl Default for SequenceRules {
    fn default() -> Self {
        Self {
            unknown_producer_id: false,
            stale_duplicate: ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        }
    }
}

/// The properties of a batch that the rules need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequenced {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
}

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchMetadata {
    first_sequence: i32,
    last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) timestamp: i64,
}

#[derive(Debug)]
struct Entry {
    epoch: i16,
    /// Oldest first. Empty if a marker was the first write of this epoch.
    batches: VecDeque<BatchMetadata>,
}

/// A transactional batch for which the partition asks the coordinator. The note stays if the batch
/// is refused, and the next batches are checked against it. Java (broker):
/// `VerificationStateEntry`.
#[derive(Clone, Copy, Debug)]
struct Verification {
    epoch: i16,
    lowest_sequence: i32,
    /// In transactions of version 2 each epoch begins at 0. The first batch determines this.
    starts_at_zero: bool,
}

/// The producers that a partition knows.
#[derive(Debug, Default)]
pub(crate) struct ProducerStates {
    entries: HashMap<i64, Entry>,
    verifications: HashMap<i64, Verification>,
}

impl ProducerStates {
    /// Forgets all producers, like a partition that lost its log.
    pub(crate) fn forget(&mut self) {
        self.entries.clear();
        self.verifications.clear();
    }

    /// Notes a transactional batch whose transaction must be verified. Java (broker):
    /// `UnifiedLog.maybeStartTransactionVerification`.
    pub(crate) fn start_verification(
        &mut self,
        batch: Sequenced,
        starts_at_zero: bool,
    ) -> Result<(), Failure> {
        self.check_epoch(batch)?;
        let noted = self.verifications.entry(batch.producer_id);
        let noted = noted.or_insert(Verification {
            epoch: batch.epoch,
            lowest_sequence: batch.first_sequence,
            starts_at_zero,
        });
        if batch.epoch > noted.epoch {
            noted.epoch = batch.epoch;
            noted.lowest_sequence = batch.first_sequence;
        } else if batch.epoch == noted.epoch {
            noted.lowest_sequence = noted.lowest_sequence.min(batch.first_sequence);
        }
        Ok(())
    }

    /// Forgets the note of a producer that wrote in its transaction, or whose transaction has
    /// ended.
    pub(crate) fn end_verification(&mut self, producer_id: i64) {
        self.verifications.remove(&producer_id);
    }

    /// Forgets the producers whose newest batch lies before `offset`.
    pub(crate) fn forget_before(&mut self, offset: i64) {
        self.entries.retain(|_, entry| {
            entry
                .batches
                .back()
                .is_some_and(|batch| batch.base_offset >= offset)
        });
    }

    /// Checks a batch. Returns `None` if it may be appended, or its place if it is a duplicate.
    pub(crate) fn check(
        &self,
        batch: Sequenced,
        rules: SequenceRules,
    ) -> Result<Option<BatchMetadata>, Failure> {
        let entry = self.entries.get(&batch.producer_id);
        if let Some(duplicate) = entry.and_then(|entry| entry.duplicate(batch)) {
            return Ok(Some(duplicate));
        }
        self.check_epoch(batch)?;
        self.check_verification(batch)?;
        let Some(entry) = entry else {
            if rules.unknown_producer_id && batch.first_sequence != 0 {
                return Err(refusal(
                    ErrorCode::UNKNOWN_PRODUCER_ID,
                    batch,
                    "no state of it",
                ));
            }
            return Ok(None);
        };
        if batch.epoch > entry.epoch {
            return match batch.first_sequence {
                0 => Ok(None),
                _ => Err(refusal(
                    ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
                    batch,
                    "a new epoch starts at sequence 0",
                )),
            };
        }
        entry.check_sequence(batch, rules).map(|()| None)
    }

    fn check_epoch(&self, batch: Sequenced) -> Result<(), Failure> {
        match self.epoch(batch.producer_id) {
            Some(epoch) if batch.epoch < epoch => {
                let known = format!("its epoch is {epoch}");
                Err(refusal(ErrorCode::INVALID_PRODUCER_EPOCH, batch, &known))
            }
            _ => Ok(()),
        }
    }

    fn check_verification(&self, batch: Sequenced) -> Result<(), Failure> {
        let Some(noted) = self.verifications.get(&batch.producer_id) else {
            return Ok(());
        };
        let entry = self.entries.get(&batch.producer_id);
        let has_batches = entry.is_some_and(|entry| !entry.batches.is_empty());
        let code = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;
        if noted.starts_at_zero && !has_batches && batch.first_sequence != 0 {
            let known = "no batch of it, and version 2 starts at sequence 0";
            return Err(refusal(code, batch, known));
        }
        if batch.first_sequence > noted.lowest_sequence {
            let lowest = noted.lowest_sequence;
            let known = format!("a batch from sequence {lowest} on came and was not appended");
            return Err(refusal(code, batch, &known));
        }
        Ok(())
    }

    /// Returns the epoch that the partition knows of a producer.
    pub(crate) fn epoch(&self, producer_id: i64) -> Option<i16> {
        self.entries.get(&producer_id).map(|entry| entry.epoch)
    }

    /// Remembers the marker at the end of a transaction. A marker with a newer epoch fences batches
    /// with older ones.
    pub(crate) fn append_marker(&mut self, producer_id: i64, epoch: i16) {
        self.end_verification(producer_id);
        let entry = self.entries.entry(producer_id).or_insert_with(|| Entry {
            epoch,
            batches: VecDeque::new(),
        });
        if entry.epoch < epoch {
            entry.epoch = epoch;
            entry.batches.clear();
        }
    }

    /// Remembers a batch that was checked and appended.
    pub(crate) fn append(&mut self, batch: Sequenced, base_offset: i64, timestamp: i64) {
        let entry = self
            .entries
            .entry(batch.producer_id)
            .or_insert_with(|| Entry {
                epoch: batch.epoch,
                batches: VecDeque::with_capacity(BATCHES_TO_RETAIN),
            });
        if entry.epoch != batch.epoch {
            entry.epoch = batch.epoch;
            entry.batches.clear();
        }
        if entry.batches.len() == BATCHES_TO_RETAIN {
            entry.batches.pop_front();
        }
        entry.batches.push_back(BatchMetadata {
            first_sequence: batch.first_sequence,
            last_sequence: batch.last_sequence,
            base_offset,
            timestamp,
        });
    }
}

impl Entry {
    fn duplicate(&self, batch: Sequenced) -> Option<BatchMetadata> {
        let mut known = self.batches.iter().copied();
        known.find(|known| {
            self.epoch == batch.epoch
                && known.first_sequence == batch.first_sequence
                && known.last_sequence == batch.last_sequence
        })
    }

    fn check_sequence(&self, batch: Sequenced, rules: SequenceRules) -> Result<(), Failure> {
        let (Some(oldest), Some(newest)) = (self.batches.front(), self.batches.back()) else {
            return match batch.first_sequence {
                0 => Ok(()),
                _ => Err(refusal(
                    ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
                    batch,
                    "nothing but a marker in its epoch",
                )),
            };
        };
        if follows(newest.last_sequence, batch.first_sequence) {
            return Ok(());
        }
        let code = if is_before(batch.last_sequence, oldest.first_sequence) {
            rules.stale_duplicate
        } else {
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        };
        let known = format!("its last sequence is {}", newest.last_sequence);
        Err(refusal(code, batch, &known))
    }
}

fn refusal(code: ErrorCode, batch: Sequenced, known: &str) -> Failure {
    Failure::new(code).message(format!(
        "producer {} epoch {} sequences {} to {}: {known}",
        batch.producer_id, batch.epoch, batch.first_sequence, batch.last_sequence
    ))
}

/// Returns whether `next` follows `last`. 0 follows `i32::MAX`.
fn follows(last: i32, next: i32) -> bool {
    last.checked_add(1).unwrap_or(0) == next
}

/// Returns whether `a` lies before `b` on the circle of 2^31 sequences, by less than half of the
/// circle.
fn is_before(a: i32, b: i32) -> bool {
    let ahead = (i64::from(b) - i64::from(a)).rem_euclid(1 << 31);
    ahead > 0 && ahead < 1 << 30
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT_OF_ORDER: ErrorCode = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;

    fn batch(epoch: i16, first_sequence: i32, last_sequence: i32) -> Sequenced {
        Sequenced {
            producer_id: 7,
            epoch,
            first_sequence,
            last_sequence,
        }
    }

    /// Returns the state of a partition with these batches: `(epoch, first, last)`, each 100
    /// offsets after the previous one.
    fn states(appended: &[(i16, i32, i32)]) -> ProducerStates {
        let mut states = ProducerStates::default();
        for (index, &(epoch, first, last)) in (0..).zip(appended) {
            let batch = batch(epoch, first, last);
            assert_eq!(states.check(batch, SequenceRules::default()), Ok(None));
            states.append(batch, index * 100, 1000 + index);
        }
        states
    }

    /// Returns the partition's response: the offset of a duplicate, "append", or an error code.
    fn answer(states: &ProducerStates, epoch: i16, first: i32, last: i32) -> String {
        match states.check(batch(epoch, first, last), SequenceRules::default()) {
            Ok(None) => "append".into(),
            Ok(Some(duplicate)) => format!("duplicate of {}", duplicate.base_offset),
            Err(failure) => failure.code.name().unwrap_or("?").into(),
        }
    }

    // Java (broker): ProducerStateManagerTest.testBasicIdMapping, testProducerSequenceWrapAround,
    // testProducerSequenceInvalidWrapAround, testPidExpirationTimeout; UnifiedLogTest.testDuplicateAppends.
    #[test]
    fn answers_as_kafka_does() {
        const OOO: &str = "OUT_OF_ORDER_SEQUENCE_NUMBER";
        const OLD: &str = "INVALID_PRODUCER_EPOCH";
        const MAX: i32 = i32::MAX;
        type Batch = (i16, i32, i32);
        #[rustfmt::skip]
        let table: &[(&str, &[Batch], Batch, &str)] = &[
            ("no state, first sequence 0",       &[],                                     (0, 0, 0),        "append"),
            ("no state, any sequence",           &[],                                     (3, 99, 104),     "append"),
            ("next",                             &[(0, 0, 4)],                            (0, 5, 5),        "append"),
            ("gap",                              &[(0, 0, 4)],                            (0, 6, 6),        OOO),
            ("last batch again",                 &[(0, 0, 4)],                            (0, 0, 4),        "duplicate of 0"),
            ("a part of the last batch",         &[(0, 0, 4)],                            (0, 0, 3),        OOO),
            ("more than the last batch",         &[(0, 0, 4)],                            (0, 0, 5),        OOO),
            ("tail of the last batch and more",  &[(0, 0, 4)],                            (0, 3, 7),        OOO),
            ("5th last batch again",             &[(0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 3), (0, 4, 4)], (0, 0, 0), "duplicate of 0"),
            ("6th last batch again",             &[(0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 3), (0, 4, 4), (0, 5, 5)], (0, 0, 0), OOO),
            ("2nd last of six again",            &[(0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 3), (0, 4, 4), (0, 5, 5)], (0, 4, 4), "duplicate of 400"),
            ("older epoch",                      &[(3, 0, 0)],                            (2, 1, 1),        OLD),
            ("older epoch, known sequences",     &[(2, 0, 0), (3, 0, 0)],                 (2, 0, 0),        OLD),
            ("newer epoch from 0",               &[(3, 0, 9)],                            (4, 0, 0),        "append"),
            ("newer epoch goes on counting",     &[(3, 0, 9)],                            (4, 10, 10),      OOO),
            ("newer epoch, old batch's numbers", &[(3, 0, 9), (4, 0, 0)],                 (4, 0, 9),        OOO),
            ("up to the last sequence",          &[(0, MAX - 1, MAX - 1)],                (0, MAX, MAX),    "append"),
            ("wraps to 0",                       &[(0, MAX - 1, MAX)],                    (0, 0, 0),        "append"),
            ("does not wrap to 1",               &[(0, MAX - 1, MAX)],                    (0, 1, 1),        OOO),
            ("a batch across the wrap",          &[(0, MAX - 1, MAX - 1), (0, MAX, 1)],   (0, 2, 2),        "append"),
            ("a batch across the wrap again",    &[(0, MAX - 1, MAX - 1), (0, MAX, 1)],   (0, MAX, 1),      "duplicate of 100"),
        ];
        for (name, appended, (epoch, first, last), expected) in table {
            let states = states(appended);
            assert_eq!(&answer(&states, *epoch, *first, *last), expected, "{name}");
        }
    }

    #[test]
    fn producers_do_not_know_of_each_other() {
        let states = states(&[(0, 0, 4)]);
        let mut other = batch(0, 0, 4);
        other.producer_id = 8;
        assert_eq!(states.check(other, SequenceRules::default()), Ok(None));
    }

    #[test]
    fn a_batch_older_than_the_window_gets_the_chosen_answer() {
        let states = states(&[
            (0, 0, 0),
            (0, 1, 1),
            (0, 2, 2),
            (0, 3, 3),
            (0, 4, 4),
            (0, 5, 5),
        ]);
        let rules = SequenceRules {
            stale_duplicate: ErrorCode::DUPLICATE_SEQUENCE_NUMBER,
            ..SequenceRules::default()
        };
        let code = |first, last| {
            let answer = states.check(batch(0, first, last), rules);
            answer.map_err(|failure| failure.code)
        };
        assert_eq!(code(0, 0), Err(ErrorCode::DUPLICATE_SEQUENCE_NUMBER));
        assert_eq!(code(0, 1), Err(OUT_OF_ORDER), "it overlaps the window");
        assert_eq!(code(9, 9), Err(OUT_OF_ORDER));
    }

    #[test]
    fn old_brokers_do_not_know_a_producer_that_starts_in_the_middle() {
        let rules = SequenceRules {
            unknown_producer_id: true,
            ..SequenceRules::default()
        };
        let states = ProducerStates::default();
        assert_eq!(states.check(batch(0, 0, 0), rules), Ok(None));
        let refused = states.check(batch(0, 1, 1), rules).unwrap_err();
        assert_eq!(refused.code, ErrorCode::UNKNOWN_PRODUCER_ID);
    }

    // KIP-890.
    #[test]
    fn a_producer_of_version_2_starts_at_0_where_nothing_is_known_of_it() {
        for (starts_at_zero, expected) in
            [(true, "OUT_OF_ORDER_SEQUENCE_NUMBER"), (false, "append")]
        {
            let mut states = ProducerStates::default();
            let noted = states.start_verification(batch(3, 5, 5), starts_at_zero);
            assert_eq!(noted, Ok(()));
            assert_eq!(answer(&states, 3, 5, 5), expected);
            assert_eq!(answer(&states, 3, 0, 4), "append");
        }
    }

    // KIP-890.
    #[test]
    fn a_refused_batch_of_a_transaction_keeps_later_ones_out() {
        let mut states = states(&[(0, 0, 4)]);
        states.start_verification(batch(0, 5, 6), false).unwrap();
        // The coordinator refused 5 and 6.
        states.start_verification(batch(0, 7, 7), false).unwrap();
        assert_eq!(answer(&states, 0, 7, 7), "OUT_OF_ORDER_SEQUENCE_NUMBER");
        assert_eq!(answer(&states, 0, 0, 4), "duplicate of 0");
        assert_eq!(answer(&states, 0, 5, 6), "append");
        // A new epoch has its own lowest sequence. A batch of an older epoch is fenced before it is
        // noted.
        states.append_marker(7, 1);
        states.start_verification(batch(1, 3, 3), false).unwrap();
        assert_eq!(answer(&states, 1, 4, 4), "OUT_OF_ORDER_SEQUENCE_NUMBER");
        assert_eq!(answer(&states, 1, 0, 0), "append");
        let fenced = states.start_verification(batch(0, 7, 7), false);
        let fenced = fenced.map_err(|failure| failure.code);
        assert_eq!(fenced, Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    }

    #[test]
    fn retention_forgets_producers_whose_records_are_gone() {
        let mut states = states(&[(0, 0, 4), (0, 5, 9)]);
        states.forget_before(100);
        assert_eq!(answer(&states, 0, 50, 50), "OUT_OF_ORDER_SEQUENCE_NUMBER");
        states.forget_before(101);
        assert_eq!(answer(&states, 0, 50, 50), "append");
    }
}
