//! The wall clock in milliseconds, for the cost of reading the processor's counter.
//!
//! Every send reads it for its record's timestamp, up to millions of times a second. Reading the
//! system's clock takes two to three times as long as reading the counter. So a thread reads the
//! clock once, computes at which count the millisecond ends, and knows the time until then. This is
//! as exact as the clock itself, except that a change of the clock shows up to a millisecond late.
//! With the system's clock, `100b-defaults` has 0.75 times the rate and takes 1.25 times the CPU.
//!
//! The same read checks the process id, with which a send detects a fork.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Process;
use crate::sync::OnceLock;

/// Returns the time in milliseconds since 1970.
#[inline]
pub(crate) fn unix_millis() -> i64 {
    static CLOCK: OnceLock<WallClock> = OnceLock::new();
    let clock = CLOCK.get_or_init(WallClock::new);
    let count = clock.counter.raw();
    let last = LAST.get();
    if count.wrapping_sub(last.count) < last.lasts {
        last.millis
    } else {
        clock.read()
    }
}

thread_local! {
    static LAST: Cell<Reading> = const {
        Cell::new(Reading {
            count: 0,
            lasts: 0,
            millis: 0,
        })
    };
}

/// A reading of the clock.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// The counter just before the reading.
    count: u64,
    /// The number of counts until the millisecond ends.
    lasts: u64,
    millis: i64,
}

#[derive(Debug)]
struct WallClock {
    counter: quanta::Clock,
    /// The duration of [`MANY`] counts.
    nanos_of_many: u64,
}

const MANY: u64 = 1 << 32;

const NANOS_PER_MILLI: u64 = 1_000_000;

impl WallClock {
    fn new() -> Self {
        let counter = quanta::Clock::new();
        let nanos_of_many = counter.delta_as_nanos(0, MANY).max(1);
        Self {
            counter,
            nanos_of_many,
        }
    }

    #[cold]
    #[expect(
        clippy::disallowed_methods,
        reason = "with time.rs, this is the place that reads the clocks"
    )]
    fn read(&self) -> i64 {
        // Sends compare with the process that was seen last.
        Process::current();
        // Read before the clock. If the thread is interrupted between the two, the millisecond
        // seems to end too early, which is harmless.
        let count = self.counter.raw();
        let Ok(since_epoch) = SystemTime::now().duration_since(UNIX_EPOCH) else {
            return 0;
        };
        let of_second = u64::from(since_epoch.subsec_nanos());
        let left = NANOS_PER_MILLI - of_second % NANOS_PER_MILLI;
        let millis = since_epoch.as_secs() * 1000 + of_second / NANOS_PER_MILLI;
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        LAST.set(Reading {
            count,
            lasts: left.saturating_mul(MANY) / self.nanos_of_many,
            millis,
        });
        millis
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "to compare with")]
    fn system_millis() -> i64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(since_epoch.as_millis()).unwrap()
    }

    /// Covers many milliseconds and their ends. The system may adjust its clock slightly meanwhile.
    #[test]
    fn says_what_the_clock_says() {
        let work = || {
            let first = system_millis();
            let mut readings = 0;
            while system_millis() < first + 50 {
                let before = system_millis();
                let millis = unix_millis();
                let after = system_millis();
                assert!(
                    before - 1 <= millis && millis <= after + 1,
                    "{before} {millis} {after}"
                );
                readings += 1;
            }
            assert!(readings > 0);
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(work);
            }
        });
    }

    /// If every call read the clock, this module would be useless.
    #[test]
    fn a_reading_lasts_until_its_millisecond_ends() {
        unix_millis();
        let last = LAST.get();
        let clock = WallClock::new();
        let nanos = clock
            .counter
            .delta_as_nanos(last.count, last.count + last.lasts);
        assert!(0 < nanos && nanos <= NANOS_PER_MILLI + 1000, "{nanos}");
    }
}
