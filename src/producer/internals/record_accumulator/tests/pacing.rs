//! When full batches gather, when they do not, and who is woken for them.

use super::*;
use crate::network::Waker;
use crate::utils::SystemTime;

/// The cost of a request for the I/O thread. Full batches gather for eight times as long.
const COST: Duration = Duration::from_micros(100);

/// Returns a node whose full batches arrive as fast as the I/O thread can send them. They gather
/// for seven more [`COST`]s.
fn gathering(config: AccumulatorConfig) -> Fixture {
    let fixture = Fixture::new(config);
    for _ in 0..2 {
        fixture.fill_batch(0);
        assert_eq!(fixture.ready_ids(), [1], "not gathering yet");
        let round = fixture.time.now();
        complete(fixture.drain(1));
        fixture.time.advance(COST);
        fixture.io().begin_wait(Duration::MAX, round);
    }
    fixture
}

/// Two full batches of this size reach the limit.
const HALF_OF_MUCH: usize = 66_000;

#[test]
fn full_batches_gather_where_each_alone_would_cost_too_much() {
    let fixture = gathering(config());
    fixture.fill_batch(0);
    fixture.fill_batch(1);
    let result = fixture.ready();
    assert!(result.ready_nodes.is_empty());
    assert_eq!(result.next_ready_check_delay, 7 * COST);
    fixture.fill_batch(2);
    assert_eq!(fixture.ready_ids(), [2], "another node has its own pace");
    fixture.time.advance(7 * COST);
    assert_eq!(fixture.ready_ids(), [1, 2]);
    let batches = fixture.drain(1);
    assert_eq!(batches.len(), 2, "in one request");
    complete(batches);
    fixture.io().abort_batches(&refused());
}

#[test]
fn much_does_not_wait() {
    let fixture = gathering(AccumulatorConfig {
        batch_size: HALF_OF_MUCH,
        ..config()
    });
    fixture.fill_batch(0);
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    fixture.fill_batch(1);
    assert_eq!(fixture.ready_ids(), [1]);
    fixture.io().abort_batches(&refused());
}

#[test]
fn what_a_caller_waits_for_takes_the_others_along() {
    let fixture = gathering(config());
    fixture.fill_batch(0);
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    fixture.append(1, VALUE).result.expedite();
    assert_eq!(fixture.ready_ids(), [1]);
    let batches = fixture.drain(1);
    assert_eq!(batches.len(), 2);
    complete(batches);
    fixture.io().abort_batches(&refused());
}

#[test]
fn a_full_batch_that_a_caller_waits_for_does_not_wait() {
    let fixture = gathering(config());
    let result = fixture.append(1, VALUE).result;
    fixture.fill_batch(1);
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    result.expedite();
    assert_eq!(fixture.ready_ids(), [1]);
    fixture.io().abort_batches(&refused());
}

#[test]
fn a_flush_ends_the_wait() {
    let fixture = gathering(config());
    fixture.fill_batch(0);
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    fixture.accumulator.begin_flush();
    assert_eq!(fixture.ready_ids(), [1]);
    fixture.accumulator.end_flush();
    fixture.io().abort_batches(&refused());
}

/// The sticky partitioner draws the same partition twice now and then.
#[test]
fn a_batch_gathers_although_its_partition_has_another_in_flight() {
    let fixture = gathering(config());
    fixture.fill_batch(1);
    fixture.time.advance(7 * COST);
    assert_eq!(fixture.ready_ids(), [1]);
    let first = fixture.drain(1);
    fixture.fill_batch(1);
    let result = fixture.ready();
    assert!(result.ready_nodes.is_empty());
    assert_eq!(result.next_ready_check_delay, 8 * COST);
    complete(first);
    fixture.io().abort_batches(&refused());
}

/// Each request takes one batch of the partition, so waiting for others would let it fall behind.
#[test]
fn much_in_one_partition_does_not_wait() {
    let fixture = gathering(AccumulatorConfig {
        batch_size: HALF_OF_MUCH,
        ..config()
    });
    fixture.time.advance(7 * COST);
    for _ in 0..4 {
        fixture.fill_batch(1);
    }
    for _ in 0..3 {
        assert_eq!(fixture.ready_ids(), [1]);
        let batches = fixture.drain(1);
        assert_eq!(batches.len(), 1);
        complete(batches);
    }
    fixture.io().abort_batches(&refused());
}

#[test]
fn nothing_gathers_where_linger_is_short_or_nothing_was_full() {
    let fixture = gathering(AccumulatorConfig {
        linger: Duration::from_millis(4),
        ..config()
    });
    fixture.fill_batch(0);
    assert_eq!(fixture.ready_ids(), [1]);
    fixture.io().abort_batches(&refused());

    let fixture = Fixture::new(config());
    fixture.append(0, VALUE);
    fixture.time.advance_ms(10);
    assert_eq!(fixture.ready_ids(), [1]);
    complete(fixture.drain(1));
    fixture.fill_batch(0);
    assert_eq!(fixture.ready_ids(), [1]);
    fixture.io().abort_batches(&refused());
}

/// Counts how often the I/O thread was woken.
pub(super) struct Wakes {
    waker: Waker,
    count: Arc<AtomicUsize>,
}

impl Wakes {
    pub(super) fn of(fixture: &Fixture) -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let waker = Waker::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        fixture.accumulator.signal().set_waker(waker.clone());
        waker.begin_sleep();
        Self { waker, count }
    }

    /// Returns the count since the last call.
    pub(super) fn take(&self) -> usize {
        self.waker.acknowledge();
        self.waker.begin_sleep();
        self.count.swap(0, Ordering::Relaxed)
    }
}

/// Begins a wait without a timer. Returns its length.
fn begin_wait(fixture: &Fixture) -> Duration {
    begin_wait_of(fixture, Duration::MAX)
}

fn begin_wait_of(fixture: &Fixture, timeout: Duration) -> Duration {
    fixture.io().begin_wait(timeout, fixture.time.now())
}

#[test]
fn the_io_thread_is_woken_for_first_and_full_batches_while_it_sleeps() {
    let fixture = Fixture::new(config());
    let wakes = Wakes::of(&fixture);
    assert_eq!(begin_wait(&fixture), Duration::MAX);
    fixture.append(0, VALUE);
    assert_eq!(wakes.take(), 1);
    fixture.append(0, VALUE);
    assert_eq!(wakes.take(), 0);
    fixture.fill_batch(0);
    assert_eq!(wakes.take(), 1);
    fixture.io().abort_batches(&refused());
}

#[test]
fn the_io_thread_is_not_woken_for_a_first_batch_if_its_wait_ends_before_that_has_lingered() {
    let fixture = Fixture::new(config());
    let wakes = Wakes::of(&fixture);
    // A batch of another partition lingers.
    let wait = Duration::from_millis(10);
    assert_eq!(begin_wait_of(&fixture, wait), wait);
    fixture.append(0, VALUE);
    assert_eq!(wakes.take(), 0);
    fixture.fill_batch(0);
    assert_eq!(wakes.take(), 1, "a full batch is due at once");
    fixture.ready();
    let wait = Duration::from_micros(10_001);
    assert_eq!(begin_wait_of(&fixture, wait), wait);
    fixture.append(1, VALUE);
    assert_eq!(wakes.take(), 1);
    fixture.io().abort_batches(&refused());
}

#[test]
fn the_io_thread_is_woken_for_much_while_batches_gather() {
    let fixture = gathering(AccumulatorConfig {
        batch_size: HALF_OF_MUCH,
        ..config()
    });
    fixture.ready();
    assert_eq!(begin_wait(&fixture), 7 * COST);
    let wakes = Wakes::of(&fixture);
    fixture.fill_batch(0);
    assert_eq!(wakes.take(), 0);
    fixture.fill_batch(1);
    assert_eq!(wakes.take(), 1);
    fixture.io().abort_batches(&refused());
}

/// The selector sleeps for whole milliseconds, so the next caller ends the gathering in time.
#[test]
fn the_io_thread_is_woken_for_the_first_full_batch_after_the_gathering() {
    let fixture = gathering(config());
    fixture.ready();
    assert_eq!(begin_wait(&fixture), 7 * COST);
    let wakes = Wakes::of(&fixture);
    fixture.fill_batch(0);
    assert_eq!(wakes.take(), 0);
    fixture.time.advance(7 * COST);
    fixture.fill_batch(1);
    assert_eq!(wakes.take(), 1);
    fixture.io().abort_batches(&refused());
}

#[test]
fn a_get_keeps_the_io_thread_awake_unless_that_was_in_vain() {
    let fixture = Fixture::new(config());
    let result = fixture.append(0, VALUE).result;
    let wakes = Wakes::of(&fixture);
    let get_in_vain = || assert!(result.wait_record(0, Some(SystemTime.now())).is_none());
    get_in_vain();
    assert!(wakes.waker.stays_awake());
    wakes.waker.may_sleep_again();
    get_in_vain();
    assert!(!wakes.waker.stays_awake(), "the last one was in vain");
    get_in_vain();
    assert!(wakes.waker.stays_awake(), "now and then it is tried again");
    fixture.io().abort_batches(&refused());
}

/// A caller that announces while batches gather does not wake the I/O thread.
#[test]
fn the_io_thread_does_not_sleep_over_what_was_announced_meanwhile() {
    let fixture = gathering(config());
    fixture.ready();
    assert_eq!(begin_wait(&fixture), 7 * COST);
    fixture.append(1, VALUE);
    fixture.time.advance(7 * COST);
    assert_eq!(begin_wait(&fixture), Duration::ZERO);
    fixture.ready();
    assert_eq!(begin_wait(&fixture), Duration::MAX);
    fixture.io().abort_batches(&refused());
}
