//! The only place that names lock and atomic types, so that a model checker can replace them.
//!
//! Locks come from `parking_lot`. They are never poisoned, and notifying a condition variable
//! without waiting threads costs a load instead of a system call. The exception is [`Latch`].

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::task::Waker;
use std::time::Duration;

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(all(feature = "gssapi", unix))]
pub(crate) use std::sync::mpsc;
pub(crate) use std::sync::{Arc, OnceLock};

pub(crate) use arc_swap::{ArcSwap, ArcSwapOption, Guard as Snapshot};
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

/// A value that is set once and can be waited for.
///
/// One system call wakes all waiting threads. `parking_lot` would pass its lock from one thread to
/// the next, and each would wake the one behind it. If 256 threads wait for a batch, the last one
/// would wait for 256 context switches in a row.
#[derive(Debug)]
pub(crate) struct Latch<T> {
    value: OnceLock<T>,
    waiting: std::sync::Mutex<Waiting>,
    opened: std::sync::Condvar,
}

/// The threads and tasks that wait for a latch.
#[derive(Debug, Default)]
struct Waiting {
    /// The number of threads. Without any, nothing is notified, which saves a system call for each
    /// batch.
    threads: u32,
    /// The tasks by number.
    #[expect(
        clippy::box_collection,
        reason = "few latches have tasks, and each batch has a latch"
    )]
    tasks: Option<Box<BTreeMap<u32, Waker>>>,
}

/// The result of opening a latch.
#[must_use = "the tasks are to be woken"]
pub(crate) struct Opened {
    /// Only the first value is kept.
    pub(crate) is_first: bool,
    /// The waiting tasks, which the caller must wake. Their wakers are the program's code, so they
    /// run without a lock.
    pub(crate) tasks: BTreeMap<u32, Waker>,
}

impl<T> Default for Latch<T> {
    fn default() -> Self {
        Self {
            value: OnceLock::new(),
            waiting: std::sync::Mutex::default(),
            opened: std::sync::Condvar::new(),
        }
    }
}

impl<T> Latch<T> {
    /// Returns the value, if it is set.
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Sets the value, wakes all waiting threads, and returns the waiting tasks. Only the first
    /// value is kept.
    ///
    /// A waiting thread checks once more with the lock before it waits. So either it sees the
    /// value, or it is counted before this function gets the lock.
    pub(crate) fn open(&self, value: T) -> Opened {
        let is_first = self.value.set(value).is_ok();
        let mut waiting = self.waiting();
        let tasks = waiting.tasks.take();
        let has_threads = waiting.threads > 0;
        drop(waiting);
        if has_threads {
            self.opened.notify_all();
        }
        Opened {
            is_first,
            tasks: tasks.map(|tasks| *tasks).unwrap_or_default(),
        }
    }

    /// Registers a task to be woken when the value is set. Replaces the task's earlier waker.
    /// Returns false if the value is already set.
    ///
    /// An unneeded waker is dropped after the lock is released, because that may run the program's
    /// code.
    pub(crate) fn register(&self, task: u32, waker: Waker) -> bool {
        let mut waiting = self.waiting();
        let (unneeded, is_registered) = match self.get() {
            None => {
                let tasks = waiting.tasks.get_or_insert_default();
                (tasks.insert(task, waker), true)
            }
            Some(_) => (Some(waker), false),
        };
        drop(waiting);
        drop(unneeded);
        is_registered
    }

    /// Waits for the value, for at most `timeout` if there is one.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> Option<&T> {
        if self.get().is_none() {
            let mut waiting = self.waiting();
            waiting.threads += 1;
            let is_closed = |_: &mut Waiting| self.get().is_none();
            waiting = match timeout {
                None => self.opened.wait_while(waiting, is_closed),
                Some(timeout) => self
                    .opened
                    .wait_timeout_while(waiting, timeout, is_closed)
                    .map(|(waiting, _)| waiting)
                    .map_err(|poisoned| PoisonError::new(poisoned.into_inner().0)),
            }
            .unwrap_or_else(PoisonError::into_inner);
            waiting.threads -= 1;
        }
        self.get()
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
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
                    let timeout = (number % 2 == 1).then_some(Duration::MAX);
                    scope.spawn(move || assert_eq!(latch.wait(timeout), Some(&7)))
                })
                .collect();
            while (latch.waiting().threads as usize) < waiting.len() {
                thread::yield_now();
            }
            assert_eq!(latch.get(), None);
            assert!(latch.open(7).is_first);
        });
        assert_eq!(latch.waiting().threads, 0);
        assert_eq!(latch.wait(None), Some(&7));
        assert_eq!(latch.wait(Some(Duration::ZERO)), Some(&7));
        assert!(!latch.open(8).is_first);
        assert_eq!(latch.get(), Some(&7));
    }

    #[test]
    fn a_wait_may_end_before_the_latch_opens() {
        let latch = Latch::<()>::default();
        assert_eq!(latch.wait(Some(Duration::from_millis(1))), None);
        assert_eq!(latch.waiting().threads, 0);
    }

    #[test]
    fn a_latch_that_opens_while_others_come_misses_nobody() {
        for _ in 0..500 {
            let latch = Latch::default();
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| assert_eq!(latch.wait(None), Some(&())));
                }
                drop(latch.open(()));
            });
        }
    }

    #[test]
    fn a_task_is_registered_until_the_latch_opens_or_finds_it_open() {
        for _ in 0..500 {
            let latch = Latch::default();
            let woken = thread::scope(|scope| {
                let tasks = [1, 2].map(|task| {
                    let latch = &latch;
                    scope.spawn(move || latch.register(task, Waker::noop().clone()))
                });
                let woken = latch.open(()).tasks;
                let registered = tasks.map(|task| task.join().unwrap());
                (woken.len(), registered.iter().filter(|is| **is).count())
            });
            assert_eq!(woken.0, woken.1);
            assert!(latch.waiting().tasks.is_none());
        }
    }
}
