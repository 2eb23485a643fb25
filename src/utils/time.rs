//! The clocks, as a value that is passed in. Java: `Time`, `SystemTime`, `MockTime`.
//!
//! Every timeout uses the monotonic clock. Only record timestamps use the wall clock, so that
//! changing it moves no deadline.

use std::fmt;
use std::time::{Duration, Instant};

use super::wall_clock;

/// The source of the time.
pub(crate) trait Time: Send + Sync + fmt::Debug {
    /// Returns the time of the monotonic clock.
    fn now(&self) -> Instant;

    /// Returns the time of the wall clock in milliseconds since 1970, as in record timestamps.
    fn unix_millis(&self) -> i64;

    /// Blocks the thread for this long.
    #[cfg(any(feature = "classic", feature = "gssapi", feature = "oauth-oidc"))]
    fn sleep(&self, by: Duration);
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemTime;

#[expect(
    clippy::disallowed_methods,
    reason = "this is the place that reads the clocks and sleeps"
)]
impl Time for SystemTime {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_millis(&self) -> i64 {
        wall_clock::unix_millis()
    }

    #[cfg(any(feature = "classic", feature = "gssapi", feature = "oauth-oidc"))]
    fn sleep(&self, by: Duration) {
        std::thread::sleep(by);
    }
}

/// Returns the duration in milliseconds, with its fraction.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The duration in nanoseconds. Not from `as_nanos`, whose 128 bits take long to become a float.
pub(crate) fn nanos(duration: Duration) -> f64 {
    duration.as_secs() as f64 * 1e9 + f64::from(duration.subsec_nanos())
}

/// Returns the instant `by` after another, or one so late that nothing waits for it if the sum would overflow.
pub(crate) fn later(instant: Instant, by: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    instant.checked_add(by).unwrap_or(instant + YEAR)
}

#[cfg(test)]
pub(crate) use mock::MockTime;

#[cfg(test)]
mod mock {
    use std::time::{Duration, Instant};

    use super::{SystemTime, Time};
    use crate::sync::{Arc, Mutex};

    /// A clock that a test advances. Clones share the clock.
    ///
    /// Wall time and monotonic time are deliberately unrelated, so that code that mixes them fails.
    #[derive(Clone, Debug)]
    pub(crate) struct MockTime {
        start: Instant,
        elapsed: Arc<Mutex<Duration>>,
    }

    impl MockTime {
        pub(crate) fn new() -> Self {
            Self {
                start: SystemTime.now(),
                elapsed: Arc::default(),
            }
        }

        /// Advances both clocks. Java: `MockTime.sleep`.
        pub(crate) fn advance(&self, by: Duration) {
            *self.elapsed.lock() += by;
        }

        pub(crate) fn advance_ms(&self, millis: u64) {
            self.advance(Duration::from_millis(millis));
        }
    }

    impl Time for MockTime {
        fn now(&self) -> Instant {
            self.start + *self.elapsed.lock()
        }

        fn unix_millis(&self) -> i64 {
            1_600_000_000_000 + i64::try_from(self.elapsed.lock().as_millis()).unwrap()
        }

        #[cfg(any(feature = "classic", feature = "gssapi", feature = "oauth-oidc"))]
        fn sleep(&self, by: Duration) {
            self.advance(by);
        }
    }
}
