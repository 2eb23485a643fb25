//! Limits a program to a number of records per second.

use std::time::Duration;

/// Returns how long to wait if `sent` records took less time than they should have, given
/// `elapsed`.
pub(crate) fn ahead(sent: u64, per_second: f64, elapsed: Duration) -> Option<Duration> {
    // With a rate near zero the next record is due later than a `Duration` can express.
    let due = Duration::try_from_secs_f64(sent as f64 / per_second).unwrap_or(Duration::MAX);
    // A sleep is not precise enough for shorter waits.
    due.checked_sub(elapsed)
        .filter(|early| *early >= Duration::from_millis(2))
}
