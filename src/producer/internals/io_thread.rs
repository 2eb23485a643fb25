//! Detects whether the current code runs on a producer's own I/O thread, for example in a user's
//! callback.
//!
//! A wait there would never end, because only this thread does the work. So every blocking call
//! checks first (KAFKA-10790). A forked child has the producer but not its thread, and a lock may
//! be held there forever, so the same check covers it.

use std::cell::Cell;

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{AtomicU64, Ordering};
use crate::utils::Process;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The id of the producer whose I/O thread this is; 0 on every other thread.
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

/// Identifies one producer's I/O thread, before and after the thread exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IoThreadId {
    number: u64,
    /// The process in which the thread runs.
    process: Process,
}

impl IoThreadId {
    /// Returns an id that no other producer of this process has.
    pub(crate) fn next() -> Self {
        Self {
            number: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            process: Process::current(),
        }
    }

    /// Marks the current thread as this producer's I/O thread, until it ends.
    pub(crate) fn enter(self) {
        CURRENT.set(self.number);
    }

    /// Runs `body` as if the current thread were this producer's I/O thread. A mock does this with
    /// callbacks.
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

    /// Returns whether the current thread is this producer's I/O thread.
    pub(crate) fn is_current(self) -> bool {
        CURRENT.get() == self.number
    }

    /// Returns the process in which the thread runs.
    pub(crate) fn process(self) -> Process {
        self.process
    }

    /// Compares the thread's process with the current one, as the operating system reports it.
    ///
    /// # Errors
    ///
    /// `Forked` in any process other than the thread's own.
    pub(crate) fn check_process(self) -> Result<()> {
        check_is(self.process == Process::current(), self.process)
    }

    /// Compares with the process that was seen last, which costs only a load.
    ///
    /// # Errors
    ///
    /// Those of [`Self::check_process`].
    #[inline(always)]
    pub(crate) fn check_recent_process(process: Process) -> Result<()> {
        check_is(process.is_recent(), process)
    }

    /// Checks that a call may block.
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
