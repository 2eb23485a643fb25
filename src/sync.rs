//! The one place that names lock and atomic types, so that a model checker can take their place.
//!
//! Locks come from `parking_lot`: they are never poisoned, and notifying a condition variable on which nobody waits
//! costs a load instead of a system call. The one exception is [`Latch`].

use std::sync::PoisonError;
use std::time::Duration;

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, OnceLock};

pub(crate) use arc_swap::{ArcSwap, ArcSwapOption, Guard as Snapshot};
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

/// Opens once, for everybody who waits then.
///
/// One system call wakes them all. `parking_lot` would pass its lock from one waiter to the next, and each would wake the one
/// behind it: where 256 threads wait for one batch, the last would go on after 256 switches in a row.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    is_open: AtomicBool,
    /// How many wait, so that nobody is notified in vain: that would be a system call for each batch.
    waiting: std::sync::Mutex<usize>,
    opened: std::sync::Condvar,
}

impl Latch {
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Lets all go on who wait, now and later.
    ///
    /// A waiter looks once more when it has the lock and before it waits. So either it has seen the store, or it is counted
    /// by the time that this has the lock.
    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::Release);
        let waiting = *self.waiting();
        if waiting > 0 {
            self.opened.notify_all();
        }
    }

    /// Waits until it opens.
    pub(crate) fn wait(&self) {
        if self.is_open() {
            return;
        }
        let mut waiting = self.waiting();
        *waiting += 1;
        waiting = self
            .opened
            .wait_while(waiting, |_| !self.is_open())
            .unwrap_or_else(PoisonError::into_inner);
        *waiting -= 1;
    }

    /// Waits until it opens, `timeout` at most. Says whether it is open.
    pub(crate) fn wait_for(&self, timeout: Duration) -> bool {
        if !self.is_open() {
            let mut waiting = self.waiting();
            *waiting += 1;
            (waiting, _) = self
                .opened
                .wait_timeout_while(waiting, timeout, |_| !self.is_open())
                .unwrap_or_else(PoisonError::into_inner);
            *waiting -= 1;
        }
        self.is_open()
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, usize> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_latch_lets_everybody_go_on() {
        let latch = Latch::default();
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..8)
                .map(|number| {
                    let latch = &latch;
                    scope.spawn(move || match number % 2 {
                        0 => latch.wait(),
                        _ => assert!(latch.wait_for(Duration::MAX)),
                    })
                })
                .collect();
            while *latch.waiting() < waiting.len() {
                thread::yield_now();
            }
            assert!(!latch.is_open());
            latch.open();
        });
        assert_eq!(*latch.waiting(), 0);
        latch.wait();
        assert!(latch.wait_for(Duration::ZERO));
    }

    #[test]
    fn a_wait_may_end_before_the_latch_opens() {
        let latch = Latch::default();
        assert!(!latch.wait_for(Duration::from_millis(1)));
        assert_eq!(*latch.waiting(), 0);
    }

    #[test]
    fn a_latch_that_opens_while_others_come_misses_nobody() {
        for _ in 0..500 {
            let latch = Latch::default();
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| latch.wait());
                }
                latch.open();
            });
        }
    }
}
