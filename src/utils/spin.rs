//! Waits without sleeping for events that come sooner than a sleeping thread could wake up.
//!
//! A sleeping thread needs another thread's system call to wake up, and runs some microseconds
//! later, or tens of them if the processor is asleep too. For a response that is nearer than that,
//! the thread polls, yields the processor, and polls again. If nothing comes that soon, the time is
//! wasted. So polling is short, and becomes rare while it finds nothing. Without it, the median of
//! the benchmark `blocking-defaults` is 1.29 times as long.

use std::thread;
use std::time::Duration;

use super::{SystemTime, Time};
use crate::sync::{AtomicBool, AtomicU32, Ordering};

/// The longest time to poll: about the time to fall asleep and to wake up.
const SPIN: Duration = Duration::from_micros(50);

/// The largest number of waits to skip between two polls, if polling finds nothing.
const MOST_SKIPPED: u32 = 63;

/// Returns how long to poll at the beginning of a wait that may take `wait`, or forever.
pub(crate) fn spin_limit(wait: Option<Duration>) -> Duration {
    wait.map_or(SPIN, |wait| wait.min(SPIN))
}

/// Polls until `is_done` returns true or `limit` has passed. Returns whether it is done.
pub(crate) fn spin_until(limit: Duration, mut is_done: impl FnMut() -> bool) -> bool {
    let start = SystemTime.now();
    loop {
        if is_done() {
            return true;
        }
        if SystemTime.now().saturating_duration_since(start) >= limit {
            return false;
        }
        thread::yield_now();
    }
}

/// Decides which of the threads that wait for the same kind of event polls: one at a time, and
/// rarely while polling finds nothing.
#[derive(Debug, Default)]
pub(crate) struct AdaptiveSpin {
    /// Whether a thread has the turn. Only that thread uses the other fields.
    is_taken: AtomicBool,
    /// How many more waits to skip.
    to_skip: AtomicU32,
    /// How many waits were skipped after the last turn that found nothing; 0 after one that found
    /// something.
    skipped: AtomicU32,
}

/// The turn to poll.
#[derive(Debug)]
pub(crate) struct SpinTurn<'a>(&'a AdaptiveSpin);

impl AdaptiveSpin {
    /// Takes the turn. Returns `None` if it is better to sleep.
    pub(crate) fn take_turn(&self) -> Option<SpinTurn<'_>> {
        if self.is_taken.load(Ordering::Relaxed) || self.is_taken.swap(true, Ordering::Acquire) {
            return None;
        }
        let turn = SpinTurn(self);
        let to_skip = self.to_skip.load(Ordering::Relaxed);
        if to_skip > 0 {
            self.to_skip.store(to_skip - 1, Ordering::Relaxed);
            return None;
        }
        Some(turn)
    }
}

impl SpinTurn<'_> {
    /// Polls as [`spin_until`] does, and remembers whether that found something.
    pub(crate) fn spin_until(self, limit: Duration, is_done: impl FnMut() -> bool) -> bool {
        let is_done = spin_until(limit, is_done);
        let to_skip = if is_done {
            0
        } else {
            let skipped = self.0.skipped.load(Ordering::Relaxed);
            (2 * skipped + 1).min(MOST_SKIPPED)
        };
        self.0.skipped.store(to_skip, Ordering::Relaxed);
        self.0.to_skip.store(to_skip, Ordering::Relaxed);
        is_done
    }
}

impl Drop for SpinTurn<'_> {
    fn drop(&mut self) {
        self.0.is_taken.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many turns are refused before there is one.
    fn refused(spin: &AdaptiveSpin) -> usize {
        std::iter::repeat_with(|| spin.take_turn())
            .take_while(Option::is_none)
            .count()
    }

    fn spin_in_vain(spin: &AdaptiveSpin) {
        let turn = spin.take_turn().unwrap();
        assert!(!turn.spin_until(Duration::ZERO, || false));
    }

    #[test]
    fn a_spin_ends_with_the_first_look_that_finds_something() {
        let mut looks = 0;
        let found = spin_until(Duration::MAX, || {
            looks += 1;
            looks == 3
        });
        assert!(found);
        assert_eq!(looks, 3);
    }

    #[test]
    fn there_is_one_look_however_short_the_time() {
        assert!(spin_until(Duration::ZERO, || true));
        assert!(!spin_until(Duration::ZERO, || false));
    }

    #[test]
    fn spins_in_vain_become_rare_and_one_that_pays_brings_them_back() {
        let spin = AdaptiveSpin::default();
        for expected in [1, 3, 7, 15, 31, 63, 63] {
            spin_in_vain(&spin);
            assert_eq!(refused(&spin), expected);
        }
        let turn = spin.take_turn().unwrap();
        assert!(turn.spin_until(Duration::ZERO, || true));
        assert_eq!(refused(&spin), 0);
        spin_in_vain(&spin);
        assert_eq!(refused(&spin), 1);
    }

    #[test]
    fn one_spins_at_a_time() {
        let spin = AdaptiveSpin::default();
        let turn = spin.take_turn();
        assert!(turn.is_some());
        assert!(spin.take_turn().is_none());
        drop(turn);
        assert!(spin.take_turn().is_some());
    }
}
