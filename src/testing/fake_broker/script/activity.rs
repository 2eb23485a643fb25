//! The single condition variable of a test broker. Every event is announced here, and every waiting
//! thread then checks its condition again.
//!
//! Threads: connection threads and tests announce. `await_*`, held requests and held replies wait.
//! Locks: `version` is a leaf. No other lock is taken while it is held.

use std::time::Instant;

use crate::sync::{Condvar, Mutex};

/// Counts events, so that a waiting thread cannot miss one between its check and its sleep.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    version: Mutex<u64>,
    changed: Condvar,
}

impl Activity {
    /// Makes every waiting thread check again.
    pub(crate) fn announce(&self) {
        let mut version = self.version.lock();
        *version = version.wrapping_add(1);
        drop(version);
        self.changed.notify_all();
    }

    /// Waits until `is_done` returns true. Returns false if `deadline` passes first. Without a
    /// deadline it waits as long as it takes.
    ///
    /// `is_done` runs without the lock. The version is read before it. If an event is announced
    /// meanwhile, the version differs, so the wait below does not begin and `is_done` runs again.
    pub(crate) fn wait_until(
        &self,
        deadline: Option<Instant>,
        mut is_done: impl FnMut() -> bool,
    ) -> bool {
        loop {
            let seen = *self.version.lock();
            if is_done() {
                return true;
            }
            let mut version = self.version.lock();
            while *version == seen {
                let Some(deadline) = deadline else {
                    self.changed.wait(&mut version);
                    continue;
                };
                if self.changed.wait_until(&mut version, deadline).timed_out() {
                    drop(version);
                    return is_done();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sync::{Arc, AtomicBool, Ordering};
    use crate::utils::{SystemTime, Time};

    #[test]
    fn announce_wakes_a_waiter_whose_condition_is_true() {
        let activity = Arc::new(Activity::default());
        let flag = Arc::new(AtomicBool::new(false));
        let setter = {
            let (activity, flag) = (Arc::clone(&activity), Arc::clone(&flag));
            std::thread::spawn(move || {
                flag.store(true, Ordering::SeqCst);
                activity.announce();
            })
        };
        assert!(activity.wait_until(None, || flag.load(Ordering::SeqCst)));
        setter.join().unwrap();
    }

    #[test]
    fn wait_until_returns_false_at_the_deadline() {
        let deadline = SystemTime.now() + Duration::from_millis(1);
        assert!(!Activity::default().wait_until(Some(deadline), || false));
    }
}
