//! Latencies of an open loop, each from the time when its record was due.
//!
//! Threads: the callbacks of a client add, on whatever thread runs them. Locks: one, held for a push.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::workload::DELIVERIES;

/// Nanoseconds since the clock was read first.
pub(super) fn now_ns() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos().try_into().unwrap_or(u64::MAX)
}

/// When a record is due, in the time of [`now_ns`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due(pub(super) u64);

impl Due {
    /// Called when the record has a result.
    pub(super) fn end(self, delivered: bool) {
        DELIVERIES.count(delivered);
        LATENCIES.add(self, now_ns(), delivered);
    }
}

pub(super) static LATENCIES: Latencies = Latencies(Mutex::new(Phase {
    from: Due(0),
    samples_ns: Vec::new(),
    failed: 0,
}));

/// The latencies of one phase: the warm-up, or the measurement.
pub(super) struct Latencies(Mutex<Phase>);

struct Phase {
    /// Records that were due before this belong to the phase before.
    from: Due,
    samples_ns: Vec<u32>,
    failed: u64,
}

impl Latencies {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a phase of this many records, with memory for them.
    pub(super) fn begin(&self, from: Due, records: u64) {
        *self.phase() = Phase {
            from,
            samples_ns: Vec::with_capacity(records.try_into().unwrap_or(0)),
            failed: 0,
        };
    }

    fn add(&self, due: Due, now_ns: u64, delivered: bool) {
        let mut phase = self.phase();
        if due < phase.from {
            return;
        }
        if delivered {
            let latency = now_ns.saturating_sub(due.0).try_into();
            phase.samples_ns.push(latency.unwrap_or(u32::MAX));
        } else {
            phase.failed += 1;
        }
    }

    /// Takes the latencies, and the number of records without a result. Waits for the latter for at
    /// most `patience`, because some clients end a flush before the last callbacks.
    pub(super) fn take(&self, records: u64, patience: Duration) -> (Vec<u32>, u64) {
        let deadline = Instant::now() + patience;
        loop {
            let mut phase = self.phase();
            let ended = phase.samples_ns.len() as u64 + phase.failed;
            if ended >= records || Instant::now() >= deadline {
                let samples = std::mem::take(&mut phase.samples_ns);
                return (samples, records.saturating_sub(ended));
            }
            drop(phase);
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Returns the latency that this share of the records does not exceed, by the nearest rank. 0 without records.
pub(super) fn quantile(sorted: &[u32], share: f64) -> u32 {
    let last = sorted.len().saturating_sub(1);
    let rank = (last as f64 * share).round() as usize;
    sorted.get(rank).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies() -> Latencies {
        Latencies(Mutex::new(Phase {
            from: Due(0),
            samples_ns: Vec::new(),
            failed: 0,
        }))
    }

    #[test]
    fn a_quantile_is_the_latency_of_its_rank() {
        let latencies: Vec<u32> = (0..=1000).collect();
        for (share, expected) in [(0.0, 0), (0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1000)] {
            assert_eq!(quantile(&latencies, share), expected);
        }
        assert_eq!(quantile(&[7], 0.999), 7);
        assert_eq!(quantile(&[], 0.5), 0);
    }

    #[test]
    fn a_latency_counts_from_the_due_time() {
        let latencies = latencies();
        latencies.begin(Due(1_000), 3);
        latencies.add(Due(1_000), 1_500, true);
        latencies.add(Due(1_200), 1_200, true);
        latencies.add(Due(2_000), 2_000 + 5_000_000_000, true);
        let (samples, missing) = latencies.take(3, Duration::ZERO);
        assert_eq!(samples, [500, 0, u32::MAX]);
        assert_eq!(missing, 0);
    }

    #[test]
    fn a_late_callback_of_the_warm_up_does_not_count() {
        let latencies = latencies();
        latencies.begin(Due(1_000), 2);
        latencies.add(Due(999), 5_000, true);
        latencies.add(Due(1_000), 1_100, true);
        assert_eq!(latencies.take(1, Duration::ZERO), (vec![100], 0));
    }

    #[test]
    fn a_record_without_an_outcome_is_missing_and_a_failed_one_is_not() {
        let latencies = latencies();
        latencies.begin(Due(0), 3);
        latencies.add(Due(0), 10, true);
        latencies.add(Due(1), 10, false);
        assert_eq!(latencies.take(3, Duration::ZERO), (vec![10], 1));
    }
}
