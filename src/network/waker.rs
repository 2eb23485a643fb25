//! Ends the I/O thread's wait from another thread. Java: `Selector.wakeup`.
//!
//! Threads: any thread calls [`Waker::wake`] and [`Waker::stay_awake`]; the polling thread alone calls the rest.
//! Locks: none; one word keeps the notification (a system call of about 400 ns) to one per poll that sleeps. A thread that
//! is awake looks at the word before it sleeps.

use std::fmt;
use std::io;

use crate::sync::{Arc, AtomicBool, AtomicU32, Ordering};
use crate::utils::{LogContext, log};

/// The polling thread sleeps, or is about to: a notification ends that.
const ASLEEP: u32 = 0;
/// The polling thread does something else, or looks at this word again and again.
const AWAKE: u32 = 1;
/// A thread woke the polling thread, which has not acknowledged it. It was notified if it slept.
const WOKEN: u32 = 2;

/// A handle that ends the current or the next [`poll`](super::Selectable::poll). Cheap to clone; harmless when the
/// selector is gone.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    shared: Arc<Shared>,
}

struct Shared {
    state: AtomicU32,
    /// A thread expects the next event soon.
    stays_awake: AtomicBool,
    notify: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
    /// Any thread may wake, so the waker knows the producer that a log line is about.
    log_context: Option<LogContext>,
}

impl Waker {
    /// `notify` makes the poll return, now or when it next waits.
    pub(crate) fn new(notify: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: AtomicU32::new(AWAKE),
                stays_awake: AtomicBool::new(false),
                notify: Box::new(notify),
                log_context: LogContext::current(),
            }),
        }
    }

    /// Makes the poll return. Call it *after* the work that the polling thread is to find was published.
    ///
    /// # Ordering
    ///
    /// What happened before this call is visible to the polling thread once its poll has returned.
    pub(crate) fn wake(&self) {
        // Already woken: the first waker notifies, or has notified if needed, and no poll has
        // acknowledged it since. That acknowledgement is still to come, it is a swap that reads
        // this one or a later one (hence it happens after our work was published), and the polling
        // thread looks at the work only after it. So nothing is missed.
        //
        // Awake: before it sleeps it asks `begin_sleep`, which finds this.
        if self.shared.state.swap(WOKEN, Ordering::AcqRel) != ASLEEP {
            return;
        }
        if let Err(error) = (self.shared.notify)() {
            // Without this the word would swallow every wake-up until a poll returns for another reason.
            self.replace(WOKEN, ASLEEP);
            let _context = self.shared.log_context.as_ref().map(LogContext::enter);
            log::warn!("the I/O thread could not be woken: {error}");
        }
    }

    /// Asks the polling thread to look for events for a little while before it sleeps, until that was in vain. A hint: no
    /// event is missed without it.
    pub(crate) fn stay_awake(&self) {
        self.shared.stays_awake.store(true, Ordering::Relaxed);
    }

    /// The polling thread's half: returns whether a thread requested that.
    pub(crate) fn stays_awake(&self) -> bool {
        self.shared.stays_awake.load(Ordering::Relaxed)
    }

    /// The polling thread's half: it was in vain.
    pub(crate) fn may_sleep_again(&self) {
        self.shared.stays_awake.store(false, Ordering::Relaxed);
    }

    /// Returns whether a thread woke the polling thread since the last acknowledgement.
    pub(crate) fn is_woken(&self) -> bool {
        self.shared.state.load(Ordering::Relaxed) == WOKEN
    }

    /// The polling thread's half, to be called before it sleeps. False if it was woken since the last acknowledgement,
    /// and is not to sleep.
    ///
    /// A wake-up before this is seen here, and a later waker sees that a notification is needed,
    /// which ends the sleep at once.
    pub(crate) fn begin_sleep(&self) -> bool {
        self.replace(AWAKE, ASLEEP) != WOKEN
    }

    /// The polling thread's half: called after each wait, before the work is looked at. The order is what makes it
    /// right.
    ///
    /// Had the word been changed after the work was looked at, this would hang: the I/O thread
    /// looks and finds nothing; a caller publishes a record and finds the word as an earlier
    /// wake-up left it, so it does not notify; the I/O thread takes note and sleeps, with a record
    /// that is never announced again.
    ///
    /// As it is, a wake-up that comes before this is seen by the look that follows it, and one that comes
    /// later is seen by `begin_sleep` or notifies. What remains is harmless: a caller found the thread asleep, the wait
    /// ended for another reason and this was called, and only then the caller notifies. The next wait then ends once for
    /// nothing.
    pub(crate) fn acknowledge(&self) {
        // A swap and not a store: only an acquiring read of the word makes the caller's work visible.
        self.shared.state.swap(AWAKE, Ordering::AcqRel);
    }

    /// Puts `new` where `current` is. Gives what was there.
    fn replace(&self, current: u32, new: u32) -> u32 {
        let state = &self.shared.state;
        state
            .compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
            .unwrap_or_else(|found| found)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::AtomicUsize;

    fn counting() -> (Waker, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let waker = Waker::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        (waker, count)
    }

    #[test]
    fn one_notification_until_it_is_acknowledged() {
        let (waker, count) = counting();
        assert!(waker.begin_sleep());
        waker.wake();
        waker.clone().wake();
        waker.wake();
        assert_eq!(count.load(Ordering::Relaxed), 1);

        waker.acknowledge();
        assert!(waker.begin_sleep());
        waker.wake();
        waker.wake();
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn who_is_awake_is_not_notified_and_does_not_fall_asleep() {
        let (waker, count) = counting();
        waker.wake();
        assert!(!waker.begin_sleep());
        assert!(!waker.begin_sleep(), "before it took note of it");
        waker.acknowledge();
        assert!(waker.begin_sleep());
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn acknowledging_without_a_wake_up_is_harmless() {
        let (waker, count) = counting();
        waker.acknowledge();
        assert!(waker.begin_sleep());
        // The sleep ended by itself.
        waker.acknowledge();
        assert!(waker.begin_sleep());
        waker.wake();
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_failed_notification_does_not_swallow_the_next() {
        let attempts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&attempts);
        let waker = Waker::new(move || match counted.fetch_add(1, Ordering::Relaxed) {
            0 => Err(io::Error::other("no")),
            _ => Ok(()),
        });
        assert!(waker.begin_sleep());
        waker.wake();
        waker.wake();
        waker.wake();
        assert_eq!(attempts.load(Ordering::Relaxed), 2);
    }
}
