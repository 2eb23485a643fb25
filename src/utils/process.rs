//! Notices that the program has forked: the child has the memory of its parent, and no thread of it but the one that forked.
//!
//! Asking the operating system for the process id is a system call, which glibc has not cached since 2.25. It takes about as
//! long as a whole send, so a send compares with the id that was asked for last. The wall clock is read once a millisecond by
//! each thread that sends, and asks then.

use std::process;

use crate::sync::{AtomicU32, Ordering};

/// The id that the operating system named last.
static RECENT: AtomicU32 = AtomicU32::new(0);

/// A process, by the id that it has while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// The process that runs this.
    pub(crate) fn current() -> Self {
        let id = process::id();
        if RECENT.load(Ordering::Relaxed) != id {
            RECENT.store(id, Ordering::Relaxed);
        }
        Self(id)
    }

    /// Returns whether this is the process that runs this, as far as the last question to the operating system tells.
    #[inline(always)]
    pub(crate) fn is_recent(self) -> bool {
        RECENT.load(Ordering::Relaxed) == self.0
    }

    pub(crate) fn id(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_process_is_recent_and_another_is_not() {
        let current = Process::current();
        assert_eq!(current.id(), process::id());
        assert!(current.is_recent());
        assert!(!Process(current.id().wrapping_add(1)).is_recent());
    }
}
