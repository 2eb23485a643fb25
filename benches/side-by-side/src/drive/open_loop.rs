//! An open loop: records are due at a fixed rate, however long earlier ones take.
//!
//! A record that a slow send delayed is sent late, and its latency counts from the time when it was
//! due. So a client that stalls pays for each record that became due meanwhile, instead of hiding
//! them by sending fewer (coordinated omission).
//!
//! Between two records the thread yields instead of sleeping, because a sleep of 50 us takes 100.
//! So it uses all processor time that no other thread wants.

use std::thread;
use std::time::Duration;

use super::latencies::{Due, LATENCIES, now_ns};
use super::workload::{Options, Source};
use super::{Client, Work};

/// How long to wait for callbacks after a flush.
const PATIENCE: Duration = Duration::from_secs(10);

/// When records are due.
#[derive(Clone, Copy)]
struct Schedule {
    start: Due,
    /// Records a second.
    rate: u64,
    records: u64,
}

impl Schedule {
    fn new(start: Due, rate: u64, duration: Duration) -> Self {
        let records = u128::from(rate) * duration.as_nanos() / 1_000_000_000;
        Self {
            start,
            rate,
            records: records.try_into().unwrap_or(u64::MAX),
        }
    }

    /// Returns the due times. None depends on when the previous record was sent.
    fn dues(self) -> impl Iterator<Item = Due> {
        let Due(start) = self.start;
        (0..self.records).map(move |record| Due(start + record * 1_000_000_000 / self.rate))
    }
}

/// What the sending thread knows of time.
trait Clock {
    fn now(&self) -> u64;

    /// Lets a little time pass.
    fn pause(&self);
}

struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> u64 {
        now_ns()
    }

    fn pause(&self) {
        thread::yield_now();
    }
}

/// Sends each record when it is due, or as soon as earlier sends allow.
fn offer(schedule: Schedule, clock: &impl Clock, mut send: impl FnMut(Due)) {
    for due in schedule.dues() {
        while clock.now() < due.0 {
            clock.pause();
        }
        send(due);
    }
}

/// Sends at `--rate` for this long, and waits until each record has its outcome.
pub(super) fn run<C: Client>(client: &C, options: &Options, duration: Duration) -> Work {
    let schedule = Schedule::new(Due(now_ns()), options.rate, duration);
    LATENCIES.begin(schedule.start, schedule.records);
    let mut source = Source::new(options, 0);
    let mut work = client.on_thread(|| {
        offer(schedule, &RealClock, |due| {
            client.send_due(source.next(), due)
        });
        Work {
            sent: schedule.records,
            ..Work::default()
        }
    });
    client.flush();
    let (latencies_ns, missing) = LATENCIES.take(schedule.records, PATIENCE);
    work.latencies_ns = latencies_ns;
    work.failed += missing;
    work
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A clock that a pause moves by 10 ns.
    struct FakeClock(Cell<u64>);

    impl FakeClock {
        fn advance(&self, by: u64) {
            self.0.set(self.0.get() + by);
        }
    }

    impl Clock for FakeClock {
        fn now(&self) -> u64 {
            self.0.get()
        }

        fn pause(&self) {
            self.advance(10);
        }
    }

    /// Five records, 1000 ns apart, from 5000 on.
    fn schedule() -> Schedule {
        Schedule::new(Due(5_000), 1_000_000, Duration::from_micros(5))
    }

    #[test]
    fn records_are_due_at_the_rate_without_drift() {
        let dues: Vec<_> = schedule().dues().map(|due| due.0).collect();
        assert_eq!(dues, [5_000, 6_000, 7_000, 8_000, 9_000]);
        // A third of a second is no whole number of nanoseconds.
        let schedule = Schedule::new(Due(0), 3, Duration::from_secs(1_000));
        assert_eq!(schedule.records, 3_000);
        assert_eq!(schedule.dues().nth(2_997), Some(Due(999_000_000_000)));
    }

    #[test]
    fn no_record_is_sent_before_it_is_due() {
        let clock = FakeClock(Cell::new(5_000));
        let mut sent = Vec::new();
        offer(schedule(), &clock, |due| sent.push((due.0, clock.now())));
        assert_eq!(sent.len(), 5);
        for (due, at) in sent {
            assert!(at >= due && at < due + 10, "due {due}, sent {at}");
        }
    }

    #[test]
    fn a_stall_counts_for_every_record_that_was_due_meanwhile() {
        let clock = FakeClock(Cell::new(5_000));
        let mut latencies = Vec::new();
        offer(schedule(), &clock, |due| {
            // The second send stalls; all others take no time.
            if due == Due(6_000) {
                clock.advance(2_500);
            }
            latencies.push(clock.now() - due.0);
        });
        assert_eq!(latencies, [0, 2_500, 1_500, 500, 0]);
    }
}
