//! When full batches gather for a common request, and when a caller wakes the I/O thread.
//!
//! A request costs the I/O thread about as much as all other work for a batch of `batch.size`. So
//! full batches gather if one request each would take more than a quarter of the thread's time. The
//! next request then leaves when 128 KiB are full, or eight times the cost of a request after the
//! last one. The scheduler measures both the cost and how often batches become full. At lower rates
//! each full batch is sent immediately.
//!
//! The full batches behind a partition's head count towards the 128 KiB. A request takes only one
//! batch of each partition, so a backlog of one partition must not wait for others.
//!
//! Everything else is sent immediately: a batch that a caller waits for, one that has lingered, a
//! retry, a flush, any batch while memory is short. If `linger.ms` is less than 5, nothing gathers.
//!
//! A caller does not wake the I/O thread if it will look in time on its own: for an open batch
//! within `linger.ms`, and for a full one when gathering ends.
//!
//! Without gathering, the benchmark `100b-defaults` has 0.88 times the rate and takes 1.21 times
//! the CPU.
//!
//! Threads: callers read [`WaitNotice`], which the I/O thread writes; the rest belongs to the I/O
//! thread.
//! Locks: none.
//! Differs from Java: there the sender's next round sends a full batch, and each full batch wakes
//! it.

use std::time::{Duration, Instant};

use super::{RecordAccumulator, Scheduler};
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use crate::utils::{Time, later};

/// The longest gathering, which is also the shortest wait of the operating system's selector.
const LONGEST_GATHERING: Duration = Duration::from_millis(1);

/// Full batches gather only if `linger.ms` is at least this.
const SHORTEST_LINGER: Duration = Duration::from_millis(5);

/// One request per full batch may take this fraction of the I/O thread's time: one divided by this
/// number.
const SHARE_OF_TIME: u32 = 4;

/// How long full batches gather, in costs of a request.
const COSTS_OF_GATHERING: u32 = 8;

/// The bytes in full batches that suffice for a request.
const MUCH: usize = 128 << 10;

/// Returns how long full batches gather after a request. `None` means that each is sent
/// immediately.
fn gathering_time(cost: Duration, between_full: Duration) -> Option<Duration> {
    let is_dense = between_full < (SHARE_OF_TIME * cost).min(LONGEST_GATHERING);
    is_dense.then(|| (COSTS_OF_GATHERING * cost).min(LONGEST_GATHERING))
}

/// A typical value of a series of times. It follows changes in steps, and a single outlier moves it
/// by one step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Typical(Option<Duration>);

impl Typical {
    fn note(&mut self, sample: Duration) {
        let typical = self.0.map_or(sample, |typical| {
            let step = typical / 8;
            if sample > typical {
                sample.min(typical + step)
            } else {
                sample.max(typical - step)
            }
        });
        // Zero could never grow by steps.
        self.0 = Some(typical).filter(|typical| !typical.is_zero());
    }

    fn get(self) -> Option<Duration> {
        self.0
    }
}

/// Which of a node's ready partitions may gather.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the last request with full batches was filled.
    filled: Option<Instant>,
    /// The typical time between two full batches.
    between_full: Typical,
    /// The end of the gathering.
    until: Option<Instant>,
    /// The bytes in the gathering batches.
    gathered: usize,
    /// Something must be sent without gathering.
    hurried: bool,
}

impl Pace {
    /// Notes that the head of a partition became ready. `gathers` says that it is full and may
    /// gather; `bytes` is what the partition's full batches have.
    pub(super) fn ready(&mut self, gathers: bool, bytes: usize) {
        self.gathered += bytes;
        self.hurried |= !gathers;
    }

    pub(super) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// Returns when the node's ready partitions may be sent, if they gather.
    pub(super) fn holds_until(&self, now: Instant) -> Option<Instant> {
        self.gathers_until(now)
            .filter(|_| !self.hurried && self.gathered < MUCH)
    }

    /// Notes a request with this many full batches. `left` says that something ready did not fit.
    /// `cost` is the cost of a request, if full batches may gather.
    pub(super) fn drained(&mut self, full: u32, left: bool, cost: Option<Duration>, now: Instant) {
        if full > 0 {
            if let Some(before) = self.filled.replace(now) {
                let elapsed = now.saturating_duration_since(before);
                // After a pause of any length, full batches are rare.
                self.between_full
                    .note(elapsed.min(LONGEST_GATHERING) / full);
            }
            let time = cost
                .zip(self.between_full.get())
                .and_then(|(cost, between_full)| gathering_time(cost, between_full));
            self.until = time.map(|time| later(now, time));
        }
        self.gathered = 0;
        self.hurried = left;
    }

    /// Notes that no partition of the node is ready.
    pub(super) fn nothing_waits(&mut self) {
        self.gathered = 0;
        self.hurried = false;
    }

    fn gathers_until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}

/// What callers know of the I/O thread's wait.
#[derive(Debug)]
pub(super) struct WaitNotice {
    origin: Instant,
    /// The wait is at most `linger.ms`.
    ends_within_linger: AtomicBool,
    /// When the gathering ends, in nanoseconds since `origin`. 0 means that each full batch is due
    /// immediately.
    gathering_ends: AtomicU64,
}

impl WaitNotice {
    pub(super) fn new(origin: Instant) -> Self {
        Self {
            origin,
            // Until the first wait begins, every announcement wakes the thread.
            ends_within_linger: AtomicBool::new(false),
            gathering_ends: AtomicU64::new(0),
        }
    }

    fn nanos(&self, instant: Instant) -> u64 {
        let elapsed = instant.saturating_duration_since(self.origin);
        elapsed.as_nanos().try_into().unwrap_or(u64::MAX)
    }

    fn publish(&self, ends_within_linger: bool, gathering_ends: Option<Instant>) {
        let gathering_ends = gathering_ends.map_or(0, |instant| self.nanos(instant));
        self.gathering_ends.store(gathering_ends, Ordering::Release);
        self.ends_within_linger
            .store(ends_within_linger, Ordering::Release);
    }

    /// Returns whether the I/O thread will look at a new open batch before it has lingered.
    fn ends_within_linger(&self) -> bool {
        self.ends_within_linger.load(Ordering::Acquire)
    }

    /// Returns whether full batches gather. Reads the clock only if they can.
    fn is_gathering(&self, time: &dyn Time) -> bool {
        let ends = self.gathering_ends.load(Ordering::Acquire);
        ends > 0 && self.nanos(time.now()) < ends
    }
}

impl RecordAccumulator {
    pub(super) fn may_gather(&self) -> bool {
        self.config.linger >= SHORTEST_LINGER
    }

    /// Returns whether the announcement of a partition need not wake the I/O thread.
    pub(super) fn may_go_unseen(&self, is_full: bool) -> bool {
        if !is_full {
            return self.wait.ends_within_linger();
        }
        self.wait.is_gathering(&*self.time)
            && self.signal.add_waiting(self.config.batch_size) < MUCH
    }
}

impl Scheduler {
    /// Called before each wait, with its longest duration `timeout` and the time when the round
    /// began. Returns how long to wait.
    pub(crate) fn begin_wait(&mut self, timeout: Duration, round: Instant) -> Duration {
        let accumulator = &*self.accumulator;
        let mut now = round;
        if self.filled == Some(round) {
            now = accumulator.time.now();
            self.request_cost.note(now.saturating_duration_since(round));
        }
        let gathering = self
            .parking
            .paces()
            .filter_map(|pace| pace.gathers_until(now));
        let gathering_ends = gathering.min();
        let timeout = gathering_ends.map_or(timeout, |ends| {
            timeout.min(ends.saturating_duration_since(now))
        });
        // The selector rounds the wait up to whole milliseconds, as it does for the batch's own
        // linger.
        let ends_within_linger = timeout <= accumulator.config.linger;
        accumulator.wait.publish(ends_within_linger, gathering_ends);
        // A caller did not wake the thread if the last wait would have ended in time. So its
        // announcement must be taken when gathering ends, or before the thread waits.
        if gathering_ends.is_none() && accumulator.signal.has_announcements() {
            return Duration::ZERO;
        }
        timeout
    }

    /// Returns the cost of a request, if full batches may gather.
    pub(super) fn cost_of_gathering(&self) -> Option<Duration> {
        self.request_cost
            .get()
            .filter(|_| self.accumulator.may_gather())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::utils::MockTime;

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn batches_gather_if_a_request_for_each_takes_more_than_a_quarter_of_the_time() {
        let table = [
            ("one thread at 200,000 records a second", 15, 730, None),
            ("at 500,000", 15, 290, None),
            ("a quarter of the time", 25, 100, None),
            ("a little more", 25, 99, Some(200)),
            ("several million a second", 30, 17, Some(240)),
            ("a slow machine", 200, 730, Some(1000)),
            (
                "a machine so slow that gathering ends first",
                400,
                730,
                Some(1000),
            ),
            ("rare batches on it", 400, 1000, None),
            ("a clock that stands still", 0, 0, None),
        ];
        for (case, cost, between_full, expected) in table {
            let time = gathering_time(us(cost), us(between_full));
            assert_eq!(time, expected.map(us), "{case}");
        }
    }

    #[test]
    fn a_typical_time_follows_its_samples_in_steps() {
        let after = |samples: &[u64]| {
            let mut typical = Typical::default();
            for sample in samples {
                typical.note(us(*sample));
            }
            typical.get()
        };
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[0]), None, "nothing was measured");
        assert_eq!(after(&[80]), Some(us(80)));
        assert_eq!(after(&[80, 82]), Some(us(82)));
        assert_eq!(
            after(&[80, 4000]),
            Some(us(90)),
            "the thread was interrupted"
        );
        assert_eq!(after(&[80, 4000, 80]), Some(us(80)));
        assert_eq!(after(&[80, 1]), Some(us(70)));
    }

    /// The full batches of a node whose last request left 100 us ago, with a gathering of 800 us.
    #[test]
    fn a_node_is_held_until_gathering_ends_unless_there_is_much_or_something_urgent() {
        type Change = fn(&mut Pace);
        let table: [(&str, Change, bool); 5] = [
            ("a full batch", |pace| pace.ready(true, 16 << 10), true),
            ("much", |pace| pace.ready(true, MUCH), false),
            ("a lingered batch", |pace| pace.ready(false, 100), false),
            ("a waiting caller", Pace::hurry, false),
            (
                "more than fits in a request",
                |pace| {
                    pace.drained(0, true, Some(us(100)), MockTime::new().now());
                },
                false,
            ),
        ];
        let start = MockTime::new().now();
        for (case, change, is_held) in table {
            let mut pace = Pace::default();
            pace.drained(1, false, Some(us(100)), start);
            pace.drained(1, false, Some(us(100)), start + us(100));
            change(&mut pace);
            let held = pace.holds_until(start + us(200));
            assert_eq!(held, is_held.then_some(start + us(900)), "{case}");
            assert_eq!(pace.holds_until(start + us(900)), None, "{case}");
        }
    }

    #[test]
    fn batches_after_a_pause_do_not_gather_until_they_are_dense_again() {
        let start = MockTime::new().now();
        let mut pace = Pace::default();
        let mut now = start;
        let mut send = |after, full| {
            now += us(after);
            pace.drained(full, false, Some(us(25)), now);
            pace.holds_until(now).is_some()
        };
        assert!(!send(0, 1));
        assert!(send(50, 1), "dense");
        // One request per millisecond moves the typical time by one step each.
        let rare = (0..100).position(|_| !send(1000, 1));
        assert!(rare.is_some_and(|count| count < 10), "{rare:?}");
    }
}
