//! Knows whether the code that runs now is a producer's own I/O thread, inside a user's callback for instance.
//!
//! A wait there would wait for work that only this thread does, so every blocking call asks first (KAFKA-10790).

use std::cell::Cell;

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{AtomicU64, Ordering};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The id of the producer whose I/O thread this is; 0 on every other thread.
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

/// Names one producer's I/O thread, before and after the thread exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IoThreadId(u64);

impl IoThreadId {
    /// An id that no other producer of this process has.
    pub(crate) fn next() -> Self {
        Self(NEXT_ID.fetch_add(1, Ordering::Relaxed))
    }

    /// Declares the current thread to be this producer's I/O thread, to its end.
    pub(crate) fn enter(self) {
        CURRENT.set(self.0);
    }

    /// Whether the current thread is this producer's I/O thread.
    pub(crate) fn is_current(self) -> bool {
        CURRENT.get() == self.0
    }

    /// # Errors
    ///
    /// `WouldDeadlock`, naming `call`, when the current thread is this producer's I/O thread.
    pub(crate) fn check_may_block(self, call: &str) -> Result<()> {
        if self.is_current() {
            let text = format!(
                "{call} was called from inside a callback: it would wait for the thread that it runs on"
            );
            return Err(Error::new(ErrorKind::WouldDeadlock, text));
        }
        Ok(())
    }
}
