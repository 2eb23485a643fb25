//! Compares the set of unsettled batches with a model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::producer::internals::fate::detached;
use crate::utils::{MockTime, Time};

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

/// The unsettled batches by the number of earlier records, which never wraps.
#[derive(Default)]
struct Model {
    start: i64,
    assigned: i64,
    batches: BTreeMap<i64, u32>,
    /// The last one that was acknowledged.
    acknowledged: Option<i64>,
}

impl Model {
    fn nth(&self, n: usize) -> Option<(i64, u32)> {
        let n = n.checked_rem(self.batches.len())?;
        self.batches.iter().nth(n).map(|(&at, &count)| (at, count))
    }

    fn sequence(&self, producer: ProducerIdAndEpoch, at: i64, record_count: u32) -> BatchSequence {
        BatchSequence {
            producer,
            base_sequence: i32::try_from((self.start + at) % (1 << 31)).unwrap(),
            record_count,
        }
    }

    /// A later batch was acknowledged.
    fn is_overtaken(&self, at: i64) -> bool {
        self.acknowledged
            .is_some_and(|acknowledged| at < acknowledged)
    }

    fn sequences(&self, producer: ProducerIdAndEpoch) -> Vec<BatchSequence> {
        let batches = self.batches.iter();
        batches
            .map(|(&at, &count)| self.sequence(producer, at, count))
            .collect()
    }
}

proptest! {
    // KAFKA-8483, KAFKA-13794: the order of requests in flight. The model has no wrap.
    #[test]
    fn the_in_flight_set_equals_its_model(start in (i32::MAX - 300)..i32::MAX, steps in steps()) {
        let mut entry = PartitionEntry::new(PRODUCER, LogView::UNKNOWN);
        entry.set_next_sequence(start);
        let mut model = Model { start: i64::from(start), ..Model::default() };
            let now = MockTime::new().now();
        for step in steps {
            let producer = entry.producer();
            match step {
                Step::Assign(count) => {
                    let sequence = entry.assign(count, detached());
                    prop_assert_eq!(sequence, model.sequence(producer, model.assigned, count));
                    model.batches.insert(model.assigned, count);
                    model.assigned += i64::from(count);
                }
                Step::Acknowledge(n) => if let Some((at, count)) = model.nth(n) {
                    let sequence = model.sequence(producer, at, count);
                    prop_assert!(entry.acknowledge(&sequence, now));
                    prop_assert!(!entry.acknowledge(&sequence, now));
                    model.batches.remove(&at);
                    model.acknowledged = model.acknowledged.max(Some(at));
                },
                Step::GiveUp(n) => if let Some((at, count)) = model.nth(n) {
                    entry.give_up(&model.sequence(producer, at, count));
                    model.batches.remove(&at);
                },
                Step::Fail(n) => if let Some((at, count)) = model.nth(n) {
                    entry.attempt_failed(&model.sequence(producer, at, count), Attempt::Refused);
                },
                Step::Split(n) => if let Some((at, count)) = model.nth(n).filter(|b| b.1 > 1) {
                    let counts = [count / 2, count - count / 2];
                    let parts = counts.map(|count| (count, detached()));
                    entry.split(&model.sequence(producer, at, count), &parts);
                    model.batches.insert(at, counts[0]);
                    model.batches.insert(at + i64::from(counts[0]), counts[1]);
                },
                Step::Restart => {
                    for sequence in entry.unsettled() {
                        entry.attempt_failed(&sequence, Attempt::Refused);
                    }
                    let next = producer.next_epoch().unwrap();
                    let overtaken = model.batches.keys().filter(|at| model.is_overtaken(**at));
                    let overtaken = overtaken.count();
                    let counts: Vec<_> = model.batches.values().copied().collect();
                    model = Model::default();
                    for &count in &counts[overtaken..] {
                        model.batches.insert(model.assigned, count);
                        model.assigned += i64::from(count);
                    }
                    let restart = entry.restart(next);
                    prop_assert_eq!(restart.overtaken.len(), overtaken);
                    prop_assert_eq!(restart.renumbered, model.sequences(next));
                }
            }
            prop_assert_eq!(entry.unsettled(), model.sequences(entry.producer()));
        }
    }
}

#[test]
fn a_gap_that_was_none_does_not_keep_a_later_one_from_being_rewound() {
    let mut entry = PartitionEntry::new(PRODUCER, LogView::UNKNOWN);
    let now = MockTime::new().now();
    let [unknown, later, refused] = [(); 3].map(|()| {
        let batch = detached();
        (entry.assign(1, Arc::clone(&batch)), batch)
    });
    unknown.1.fate().end_attempt(Certainty::Maybe);
    entry.give_up(&unknown.0);
    assert!(entry.awaits_resolution());
    entry.acknowledge(&later.0, now);
    entry.attempt_failed(&refused.0, Attempt::Refused);
    assert_eq!(entry.resolution(), Resolution::Resolved);
    entry.resolve();

    entry.give_up(&refused.0);
    assert_eq!(entry.resolution(), Resolution::Gap);
    assert!(entry.rewind(), "the log ends with the acknowledged batch");
    assert_eq!(entry.next_sequence(), 2);
}

/// A broker that has forgotten the producer accepts the later batch, although it refused the
/// earlier one.
#[test]
fn a_refused_batch_fails_after_a_later_one_was_given_up_that_may_be_written() {
    for (certainty, last_attempt, may_be_written) in [
        (Certainty::NotWritten, Attempt::Refused, false),
        (Certainty::Maybe, Attempt::Indefinite, true),
        (Certainty::Maybe, Attempt::Refused, true),
        // A broker without state of the producer does not tell what is in its log.
        (Certainty::Maybe, Attempt::UnknownProducer, true),
        (Certainty::Maybe, Attempt::OutOfSequence, false),
    ] {
        let mut entry = PartitionEntry::new(PRODUCER, LogView::UNKNOWN);
        let [first, second] = [1, 1].map(|count| entry.assign(count, detached()));
        entry.attempt_failed(&first, Attempt::Refused);
        entry.batch(&second).fate().end_attempt(certainty);
        entry.last_attempt_failed(&second, last_attempt);
        entry.give_up(&second);
        assert_eq!(entry.resolution(), Resolution::Gap);
        let restart = entry.restart(PRODUCER.next_epoch().unwrap());
        let is_failed = restart.overtaken == [first];
        assert_eq!(is_failed, may_be_written, "{certainty:?} {last_attempt:?}");
        assert_eq!(restart.renumbered.is_empty(), may_be_written);
    }
}

#[test]
fn a_retry_waits_for_the_responses_to_later_batches() {
    let mut entry = PartitionEntry::new(PRODUCER, LogView::UNKNOWN);
    let [first, second, third] = [1, 1, 1].map(|count| entry.assign(count, detached()));
    entry.attempt_failed(&first, Attempt::Refused);
    assert_eq!(entry.next_retry(), None);
    entry.attempt_failed(&second, Attempt::OutOfSequence);
    assert_eq!(entry.next_retry(), None);
    entry.attempt_failed(&third, Attempt::OutOfSequence);
    assert_eq!(entry.next_retry(), Some(first));
}
