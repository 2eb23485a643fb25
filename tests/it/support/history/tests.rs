//! Histories with known faults: each check finds its fault, and nothing else.

use super::*;

const RUN: u32 = 0xbeef;
const RECORDS: u64 = 20;
const KEYS: u64 = 3;

/// A log as a list of records, and the results that the producer reported: one session, two
/// partitions, each key in one of them.
struct Story {
    history: History,
    payloads: Vec<Payload>,
    log: Vec<(i32, i64, Payload)>,
}

impl Story {
    /// A history without faults, in which nothing has completed.
    fn new() -> Self {
        let history = History::new(RUN, 1);
        let mut ends = [0; 2];
        let mut log = Vec::new();
        let mut payloads = Vec::new();
        for number in 0..RECORDS {
            let key = format!("key-{}", number % KEYS);
            let payload = history.invoke(0, Some(&key), 100);
            let partition = (number % KEYS % 2) as usize;
            log.push((partition as i32, ends[partition], payload.clone()));
            payloads.push(payload);
            ends[partition] += 1;
        }
        Self {
            history,
            payloads,
            log,
        }
    }

    fn ack_all(self) -> Self {
        for (partition, offset, payload) in &self.log {
            let outcome = Outcome::Acked {
                partition: *partition,
                offset: Some(*offset),
            };
            self.history.complete(payload.id, outcome);
        }
        self
    }

    fn verdict(self) -> Verdict {
        let mut checker = self.history.check();
        for (partition, offset, payload) in &self.log {
            checker.read(ReadRecord {
                partition: *partition,
                offset: *offset,
                key: payload.key.as_deref().map(str::as_bytes),
                value: Some(payload.value.as_bytes()),
            });
        }
        checker.verdict()
    }
}

/// Checks that the verdict has exactly these findings.
#[track_caller]
fn assert_found(verdict: &Verdict, expected: &[(&str, u64)]) {
    let found: Vec<(&str, u64)> = verdict
        .findings()
        .iter()
        .map(|(name, findings)| (*name, findings.count))
        .filter(|(_, n)| *n > 0)
        .collect();
    assert_eq!(found, expected, "{verdict}");
    assert_eq!(verdict.is_clean(), expected.is_empty());
}

#[test]
fn a_good_history_is_clean() {
    let story = Story::new().ack_all();
    assert_eq!(story.history.sent(), RECORDS);
    let verdict = story.verdict();
    assert_found(&verdict, &[]);
    verdict.assert_clean();
    assert_eq!(
        (verdict.sent, verdict.acked, verdict.read),
        (RECORDS, RECORDS, RECORDS)
    );
    assert!(
        verdict
            .to_string()
            .contains("; lost 0; phantom 0; duplicates 0;"),
        "{verdict}"
    );
}

#[test]
fn an_acked_record_that_is_missing_is_lost() {
    let mut story = Story::new().ack_all();
    story.log.remove(4);
    assert_found(&story.verdict(), &[("lost", 1)]);
}

#[test]
fn a_record_said_not_to_be_written_is_a_phantom() {
    let story = Story::new();
    for (index, (partition, offset, payload)) in story.log.iter().enumerate() {
        let outcome = match index {
            3 => Outcome::NotWritten,
            _ => Outcome::Acked {
                partition: *partition,
                offset: Some(*offset),
            },
        };
        story.history.complete(payload.id, outcome);
    }
    let verdict = story.verdict();
    assert_found(&verdict, &[("phantom", 1)]);
    assert_eq!((verdict.acked, verdict.not_written), (RECORDS - 1, 1));
}

#[test]
fn a_record_that_may_be_written_may_be_there_or_not() {
    let mut story = Story::new();
    for (_, _, payload) in &story.log {
        story.history.complete(payload.id, Outcome::MaybeWritten);
    }
    story.log.truncate(15);
    let verdict = story.verdict();
    assert_found(&verdict, &[]);
    assert_eq!((verdict.maybe_written, verdict.maybe_in_log), (RECORDS, 15));
}

#[test]
fn a_record_that_may_be_written_is_not_to_be_there_twice() {
    let mut story = Story::new();
    for (_, _, payload) in &story.log {
        story.history.complete(payload.id, Outcome::MaybeWritten);
    }
    let (partition, _, payload) = story.log[6].clone();
    story.log.push((partition, 1000, payload));
    assert_found(&story.verdict(), &[("duplicates", 1)]);
}

#[test]
fn a_record_at_two_offsets_is_a_duplicate() {
    let mut story = Story::new().ack_all();
    let (partition, _, payload) = story.log[6].clone();
    story.log.push((partition, 1000, payload));
    assert_found(&story.verdict(), &[("duplicates", 1)]);
}

#[test]
fn records_of_another_run_and_records_never_sent_are_fabricated() {
    let mut story = Story::new().ack_all();
    let other_run = History::new(RUN + 1, 1).invoke(0, Some("key-0"), 100);
    story.log.push((0, 1000, other_run));
    let longer = History::new(RUN, 2);
    let other_session = longer.invoke(1, Some("key-0"), 100);
    story.log.push((0, 1001, other_session));
    for _ in 0..RECORDS {
        longer.invoke(0, Some("key-0"), 100);
    }
    let beyond = longer.invoke(0, Some("key-0"), 100);
    story.log.push((0, 1002, beyond));
    assert_found(&story.verdict(), &[("fabricated", 3)]);
}

#[test]
fn a_changed_value_or_key_is_corrupted() {
    let mut story = Story::new();
    // Not acknowledged, so that corrupted records do not count as lost too.
    for (_, _, payload) in &story.log {
        story.history.complete(payload.id, Outcome::MaybeWritten);
    }
    story.log[0].2.value = story.log[0].2.value.replacen('.', ",", 1);
    story.log[1].2.key = None;
    story.log[2].2.value.truncate(3);
    story.log[3].2.key = Some("key-9".to_owned());
    assert_found(&story.verdict(), &[("corrupted", 4)]);
}

#[test]
fn an_empty_key_is_not_a_null_key() {
    let history = History::new(RUN, 1);
    let payload = history.invoke(0, Some(""), 0);
    assert!(decode(payload.value.as_bytes(), Some(b"")).is_ok());
    assert!(decode(payload.value.as_bytes(), None).is_err());
}

#[test]
fn another_offset_or_partition_than_acked_is_misplaced() {
    let story = Story::new();
    for (index, (partition, offset, payload)) in story.log.iter().enumerate() {
        let (partition, offset) = match index {
            4 => (*partition, Some(offset + 1)),
            // The last record of its partition, so that no callback is out of order.
            19 => (1 - *partition, Some(*offset)),
            5 => (*partition, None),
            _ => (*partition, Some(*offset)),
        };
        story
            .history
            .complete(payload.id, Outcome::Acked { partition, offset });
    }
    assert_found(&story.verdict(), &[("misplaced", 2)]);
}

#[test]
fn records_that_changed_places_are_reordered() {
    let mut story = Story::new();
    for (_, _, payload) in &story.log {
        story.history.complete(payload.id, Outcome::MaybeWritten);
    }
    // Numbers 0 and 2 are in partition 0, with different keys.
    let (first, second) = (story.log[0].2.clone(), story.log[2].2.clone());
    (story.log[0].2, story.log[2].2) = (second, first);
    assert_found(&story.verdict(), &[("reordered", 1)]);
}

#[test]
fn a_keys_records_that_changed_places_are_named() {
    let mut story = Story::new();
    for (_, _, payload) in &story.log {
        story.history.complete(payload.id, Outcome::MaybeWritten);
    }
    // Numbers 1 and 4 have the only key of partition 1, and are adjacent.
    let (first, second) = (story.log[1].2.clone(), story.log[4].2.clone());
    (story.log[1].2, story.log[4].2) = (second, first);
    assert_found(&story.verdict(), &[("reordered", 1), ("keys_reordered", 1)]);
}

#[test]
fn a_key_in_two_partitions_is_scattered() {
    let mut story = Story::new();
    for (_, _, payload) in &story.log {
        story.history.complete(payload.id, Outcome::MaybeWritten);
    }
    story.log.last_mut().unwrap().0 = 5;
    assert_found(&story.verdict(), &[("keys_scattered", 1)]);
}

#[test]
fn acknowledgements_out_of_order_are_named() {
    let story = Story::new();
    let mut log = story.log.clone();
    // Numbers 1 and 4 are adjacent in partition 1.
    log.swap(1, 4);
    for (partition, offset, payload) in log {
        story.history.complete(
            payload.id,
            Outcome::Acked {
                partition,
                offset: Some(offset),
            },
        );
    }
    assert_found(&story.verdict(), &[("callbacks_reordered", 1)]);
}

#[test]
fn a_send_that_never_completes_is_incomplete() {
    let story = Story::new();
    let last = story.log.len() - 1;
    for (partition, offset, payload) in &story.log[..last] {
        story.history.complete(
            payload.id,
            Outcome::Acked {
                partition: *partition,
                offset: Some(*offset),
            },
        );
    }
    assert_found(&story.verdict(), &[("incomplete", 1)]);
}

#[test]
fn a_send_that_completes_twice_is_named() {
    let story = Story::new().ack_all();
    story
        .history
        .complete(story.payloads[7].id, Outcome::NotWritten);
    assert_found(&story.verdict(), &[("completed_twice", 1)]);
}

#[test]
fn values_have_the_size_that_was_asked_for() {
    let history = History::new(RUN, 1);
    assert_eq!(history.invoke(0, None, 100).value.len(), 100);
    assert_eq!(history.invoke(0, None, 100_000).value.len(), 100_000);
    let smallest = history.invoke(0, None, 0).value;
    assert!(
        smallest.len() < 30 && decode(smallest.as_bytes(), None).is_ok(),
        "{smallest}"
    );
}
