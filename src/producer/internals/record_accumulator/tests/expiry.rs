//! Expiries are registered when batches enter their deques, and only due ones cost time.

use super::pacing::Wakes;
use super::*;

const TIMEOUT: Duration = Duration::from_millis(3200);

fn without_linger() -> AccumulatorConfig {
    AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    }
}

impl Fixture {
    fn expire(&self) -> usize {
        let expired = self.io().expired_batches(self.time.now());
        let count = expired.len();
        for batch in expired {
            batch.complete_exceptionally(refused(), Vec::new());
        }
        count
    }

    fn visits(&self) -> usize {
        self.io().expiries.visits
    }
}

/// No round of the I/O thread has looked at the partition yet, so it has no place.
#[test]
fn a_batch_expires_that_was_never_placed() {
    let fixture = Fixture::new(without_linger());
    for _ in 0..3 {
        fixture.append(0, VALUE);
        let due = fixture.time.now() + TIMEOUT;
        assert_eq!(fixture.io().next_expiry(), Some(due));
        fixture.time.advance(TIMEOUT);
        assert_eq!(fixture.expire(), 1);
        assert_eq!(fixture.io().next_expiry(), None);
    }
}

/// The partition stays in the ready queue of a node that takes nothing, and the metadata do not
/// change.
#[test]
fn batches_expire_one_after_the_other_while_the_node_takes_nothing() {
    let fixture = Fixture::new(without_linger());
    for _ in 0..3 {
        fixture.append(0, VALUE);
        assert_eq!(fixture.ready_ids(), [1]);
        fixture.time.advance(TIMEOUT);
        assert_eq!(fixture.expire(), 1);
    }
}

#[test]
fn batches_expire_after_an_abort_emptied_their_deque() {
    let fixture = Fixture::new(without_linger());
    fixture.append(0, VALUE);
    assert_eq!(fixture.ready_ids(), [1]);
    for batch in fixture.io().take_unsequenced() {
        batch.complete_exceptionally(refused(), Vec::new());
    }
    fixture.time.advance_ms(1);
    fixture.append(0, VALUE);
    fixture.ready();
    fixture.time.advance(TIMEOUT);
    assert_eq!(fixture.expire(), 1);
}

/// The partition's entry was used up while the batch was in flight.
#[test]
fn a_batch_that_comes_back_registers_again() {
    let fixture = Fixture::new(without_linger());
    fixture.append(0, VALUE);
    fixture.time.advance_ms(1);
    fixture.ready();
    let first = fixture.drain(1).pop().unwrap();
    fixture.append(0, VALUE);
    fixture.time.advance(TIMEOUT - Duration::from_millis(1));
    assert_eq!(fixture.expire(), 0, "the first is in flight");
    let now = fixture.time.now();
    assert_eq!(
        fixture.io().next_expiry(),
        Some(now + Duration::from_millis(1))
    );
    fixture.io().reenqueue(first, now, Duration::MAX);
    assert_eq!(fixture.io().next_expiry(), Some(now));
    assert_eq!(fixture.expire(), 1);
    fixture.time.advance_ms(1);
    assert_eq!(fixture.expire(), 1);
}

/// Without sequences, the batch that came back last is at the front, whatever its age.
#[test]
fn an_old_batch_expires_behind_a_younger_one() {
    let fixture = Fixture::new(without_linger());
    let mut in_flight = Vec::new();
    for _ in 0..2 {
        fixture.append(0, VALUE);
        fixture.ready();
        in_flight.extend(fixture.drain(1));
        fixture.time.advance_ms(1000);
    }
    for batch in in_flight {
        let now = fixture.time.now();
        fixture.io().reenqueue(batch, now, Duration::MAX);
    }
    fixture.time.advance(TIMEOUT - Duration::from_millis(2000));
    assert_eq!(fixture.expire(), 1);
    fixture.time.advance_ms(1000);
    assert_eq!(fixture.expire(), 1);
}

/// 10,000 partitions have batches that are not due for a long time.
#[test]
fn expiry_visits_only_the_partitions_that_are_due() {
    const PARTITIONS: i32 = 10_000;
    let mut fixture = Fixture::with_memory(without_linger(), 20 * MB);
    fixture.cluster = cluster_of(&vec![Some(1); PARTITIONS as usize], 0);
    for partition in 0..PARTITIONS {
        if partition % 1000 == 0 {
            fixture.time.advance_ms(1);
        }
        fixture.append(partition, VALUE);
    }
    fixture.time.advance(TIMEOUT - Duration::from_millis(10));
    for round in 0..20 {
        let expired = if (1..=10).contains(&round) { 1000 } else { 0 };
        let before = fixture.visits();
        assert_eq!(fixture.expire(), expired);
        assert_eq!(fixture.visits() - before, expired, "round {round}");
        fixture.time.advance_ms(1);
    }
    assert_eq!(fixture.io().next_expiry(), None);
}

/// The partition is in a ready queue with an empty deque, so the I/O thread does not expect a batch
/// there.
#[test]
fn the_first_batch_after_an_expiry_is_news() {
    let fixture = Fixture::new(without_linger());
    fixture.append(0, VALUE);
    assert_eq!(fixture.ready_ids(), [1]);
    fixture.time.advance(TIMEOUT);
    assert_eq!(fixture.expire(), 1);
    let wakes = Wakes::of(&fixture);
    fixture.append(0, VALUE);
    assert_eq!(wakes.take(), 1);
    fixture.io().abort_batches(&refused());
}
