//! Ends the I/O thread's wait from another thread. Java: `Selector.wakeup`.
//!
//! Threads: any thread calls [`Waker::wake`] and [`Waker::stay_awake`]. Only the polling thread
//! calls the rest.
//! Locks: none. A notification is a system call of about 400 ns. One atomic word limits it to one
//! for each poll that sleeps, because a thread that is awake reads the word before it sleeps.

use std::fmt;
use std::io;

use crate::sync::{Arc, AtomicBool, AtomicU32, Ordering};
use crate::utils::{LogContext, log};

/// The polling thread sleeps or is about to. A notification wakes it.
const ASLEEP: u32 = 0;
/// The polling thread is busy, or polls this word without sleeping.
const AWAKE: u32 = 1;
/// A thread woke the polling thread, which has not acknowledged it yet. If it was asleep, it was
/// notified.
const WOKEN: u32 = 2;

/// A handle that ends the current or the next [`poll`](super::Selectable::poll). Cheap to clone.
/// Does nothing once the selector is gone.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    shared: Arc<Shared>,
}

struct Shared {
    state: AtomicU32,
    /// A thread expects the next event soon.
    stays_awake: AtomicBool,
    notify: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
    /// Any thread may call the waker, so it keeps the context of its producer for log lines.
    log_context: Option<LogContext>,
}

impl Waker {
    /// Creates a waker. `notify` makes the current or the next wait return.
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

    /// Makes the poll return. Publish the work for the polling thread *before* this call.
    ///
    /// # Ordering
    ///
    /// What happened before this call is visible to the polling thread once its poll has returned.
    pub(crate) fn wake(&self) {
        // Already woken: the first caller notified, if that was necessary, and no poll has
        // acknowledged it since. The acknowledgement is a swap that is still to come. It reads this
        // value or a later one, so it happens after our work was published, and the polling thread
        // looks for work only after it. Nothing is missed.
        //
        // Awake: the polling thread calls `begin_sleep` before it sleeps, which sees this value.
        if self.shared.state.swap(WOKEN, Ordering::AcqRel) != ASLEEP {
            return;
        }
        if let Err(error) = (self.shared.notify)() {
            // Otherwise the word would swallow every wake-up until the poll returns for another
            // reason.
            self.replace(WOKEN, ASLEEP);
            let _context = self.shared.log_context.as_ref().map(LogContext::enter);
            log::warn!("the I/O thread could not be woken: {error}");
        }
    }

    /// Asks the polling thread to poll for events for a short time before it sleeps. The request
    /// holds until such a poll finds nothing. It is only a hint: without it no event is missed.
    pub(crate) fn stay_awake(&self) {
        self.shared.stays_awake.store(true, Ordering::Relaxed);
    }

    /// For the polling thread: returns whether a thread called [`stay_awake`](Self::stay_awake).
    pub(crate) fn stays_awake(&self) -> bool {
        self.shared.stays_awake.load(Ordering::Relaxed)
    }

    /// For the polling thread: ends the request, because polling found nothing.
    pub(crate) fn may_sleep_again(&self) {
        self.shared.stays_awake.store(false, Ordering::Relaxed);
    }

    /// Returns whether a thread woke the polling thread since the last acknowledgement.
    pub(crate) fn is_woken(&self) -> bool {
        self.shared.state.load(Ordering::Relaxed) == WOKEN
    }

    /// For the polling thread: called before it sleeps. Returns `false` if a thread woke it since
    /// the last acknowledgement, so that it must not sleep.
    ///
    /// This call sees any earlier wake-up. A later caller sees that a notification is needed, which
    /// ends the sleep at once.
    pub(crate) fn begin_sleep(&self) -> bool {
        self.replace(AWAKE, ASLEEP) != WOKEN
    }

    /// For the polling thread: called after each wait, before it looks for work. This order is
    /// necessary.
    ///
    /// In the opposite order this would hang: the I/O thread looks and finds nothing. A caller
    /// publishes a record, sees the word as an earlier wake-up left it, and does not notify. Then
    /// the I/O thread acknowledges and sleeps, and nothing announces the record again.
    ///
    /// In this order, the look that follows sees any earlier wake-up, and `begin_sleep` or a
    /// notification handles any later one. One harmless case remains: a caller sees the thread
    /// asleep, the wait ends for another reason, the thread acknowledges, and only then the caller
    /// notifies. The next wait then ends without a reason.
    pub(crate) fn acknowledge(&self) {
        // A swap instead of a store: only an acquiring read of the word makes the caller's work
        // visible.
        self.shared.state.swap(AWAKE, Ordering::AcqRel);
    }

    /// Replaces `current` by `new`. Returns the previous value.
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
        // The sleep ended on its own.
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
