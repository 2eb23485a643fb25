//! Holds a program to a number of records per second.

use std::time::Duration;

/// Returns how long to wait, because `sent` records should have taken longer than `elapsed`.
pub(crate) fn ahead(sent: u64, per_second: f64, elapsed: Duration) -> Option<Duration> {
    // A rate near zero makes the next record due after all time that can be counted.
    let due = Duration::try_from_secs_f64(sent as f64 / per_second).unwrap_or(Duration::MAX);
    // Not for less than a sleep can be trusted with.
    due.checked_sub(elapsed)
        .filter(|early| *early >= Duration::from_millis(2))
}
