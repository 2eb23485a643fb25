//! Knows whether the code that runs now is a producer's own I/O thread, inside a user's callback for instance.
//!
//! A wait there would wait for work that only this thread does, so every blocking call asks first (KAFKA-10790). So would a
//! wait in a forked child, which has the producer and not its thread; there even a lock may be held for ever.

use std::cell::Cell;

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{AtomicU64, Ordering};
use crate::utils::Process;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The id of the producer whose I/O thread this is; 0 on every other thread.
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

/// Names one producer's I/O thread, before and after the thread exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IoThreadId {
    number: u64,
    /// The one that has the thread.
    process: Process,
}

impl IoThreadId {
    /// An id that no other producer of this process has.
    pub(crate) fn next() -> Self {
        Self {
            number: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            process: Process::current(),
        }
    }

    /// Declares the current thread to be this producer's I/O thread, to its end.
    pub(crate) fn enter(self) {
        CURRENT.set(self.number);
    }

    /// Runs `body` as if the current thread were this producer's I/O thread: what a mock does with callbacks.
    pub(crate) fn run<T>(self, body: impl FnOnce() -> T) -> T {
        struct Restore(u64);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        let _restore = Restore(CURRENT.replace(self.number));
        body()
    }

    /// Whether the current thread is this producer's I/O thread.
    pub(crate) fn is_current(self) -> bool {
        CURRENT.get() == self.number
    }

    /// The process that has the thread.
    pub(crate) fn process(self) -> Process {
        self.process
    }

    /// Asks the operating system.
    ///
    /// # Errors
    ///
    /// `Forked` in any process but the thread's own.
    pub(crate) fn check_process(self) -> Result<()> {
        check_is(self.process == Process::current(), self.process)
    }

    /// Compares with the process that was seen last, which costs a load.
    ///
    /// # Errors
    ///
    /// As [`Self::check_process`].
    #[inline(always)]
    pub(crate) fn check_recent_process(process: Process) -> Result<()> {
        check_is(process.is_recent(), process)
    }

    /// # Errors
    ///
    /// `Forked` in another process; `WouldDeadlock`, naming `call`, when the current thread is this producer's I/O thread.
    pub(crate) fn check_may_block(self, call: &str) -> Result<()> {
        self.check_process()?;
        if self.is_current() {
            let text = format!(
                "{call} was called from inside a callback: it would wait for the thread that it runs on"
            );
            return Err(Error::new(ErrorKind::WouldDeadlock, text));
        }
        Ok(())
    }
}

#[inline(always)]
fn check_is(is_same: bool, built_in: Process) -> Result<()> {
    if is_same {
        Ok(())
    } else {
        Err(forked(built_in))
    }
}

#[cold]
fn forked(built_in: Process) -> Error {
    let text = format!(
        "the producer was built in process {}, and this is process {}, a fork without the producer's I/O thread: build a \
         producer in this process",
        built_in.id(),
        Process::current().id()
    );
    Error::new(ErrorKind::Forked, text)
}
