//! Ends the I/O thread's wait from another thread. Java: `Selector.wakeup`.
//!
//! Threads: any thread calls [`Waker::wake`]; the polling thread alone calls `acknowledge`.
//! Locks: none; one flag keeps the notification (a system call of about 400 ns) to one per poll.

use std::fmt;
use std::io;

use crate::sync::{Arc, AtomicBool, Ordering};

/// A handle that ends the current or the next [`poll`](super::Selectable::poll). Cheap to clone; harmless when the
/// selector is gone.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    shared: Arc<Shared>,
}

struct Shared {
    /// A notification is out, or about to be, that no poll has acknowledged.
    pending: AtomicBool,
    notify: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
}

impl Waker {
    /// `notify` makes the poll return, now or when it next waits.
    pub(crate) fn new(notify: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self {
            shared: Arc::new(Shared {
                pending: AtomicBool::new(false),
                notify: Box::new(notify),
            }),
        }
    }

    /// Makes the poll return. Call it *after* the work that the polling thread is to find was published.
    ///
    /// # Ordering
    ///
    /// What happened before this call is visible to the polling thread once its poll has returned.
    pub(crate) fn wake(&self) {
        // True already: whoever set it notifies, or has notified, and no poll has acknowledged it since. That
        // acknowledgement is still to come, it is a swap that reads this one or a later one (hence it happens after
        // our work was published), and the polling thread looks at the work only after it. So nothing is missed.
        if self.shared.pending.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Err(error) = (self.shared.notify)() {
            // Without this the flag would swallow every wake-up until a poll returns for another reason.
            self.shared.pending.store(false, Ordering::Release);
            log::warn!("the I/O thread could not be woken: {error}");
        }
    }

    /// The polling thread's half: called after each wait, before the work is looked at. The order is what makes it
    /// right.
    ///
    /// Had the flag been cleared after the work was looked at, this would hang: the I/O thread looks and finds
    /// nothing; a caller publishes a record and finds the flag still set by an earlier wake-up, so it does not notify;
    /// the I/O thread clears the flag and waits, with a record that nobody will announce again.
    ///
    /// As it is, a wake-up that comes before the clearing is seen by the look that follows it, and one that comes
    /// later finds the flag clear and notifies, which ends the next wait at once. What remains is harmless: a caller
    /// set the flag, the wait ended for another reason and the flag was cleared, and only then the caller notifies.
    /// The next wait then ends once for nothing.
    pub(crate) fn acknowledge(&self) {
        // A swap and not a store: only an acquiring read of the flag makes the caller's work visible.
        self.shared.pending.swap(false, Ordering::AcqRel);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("pending", &self.pending)
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
        waker.wake();
        waker.clone().wake();
        waker.wake();
        assert_eq!(count.load(Ordering::Relaxed), 1);

        waker.acknowledge();
        waker.wake();
        waker.wake();
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn acknowledging_without_a_wake_up_is_harmless() {
        let (waker, count) = counting();
        waker.acknowledge();
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
        waker.wake();
        waker.wake();
        waker.wake();
        assert_eq!(attempts.load(Ordering::Relaxed), 2);
    }
}
