//! Detects that the program has forked. The child has the memory of its parent, but only the thread
//! that forked.
//!
//! Reading the process id is a system call, which glibc has not cached since 2.25. It takes about
//! as long as a whole send, so a send compares with the id that was read last. Each sending thread
//! reads the wall clock once a millisecond, and reads the id then.

use std::process;

use crate::sync::{AtomicU32, Ordering};

/// The id that was read last.
static RECENT: OwnLine = OwnLine(AtomicU32::new(0));

/// Has its cache lines to itself. Otherwise the linker may place something there that other threads
/// write, a counter of the program for example, and each send would wait for it. A build in which it
/// lay beside the seeds of `foldhash` had 0.89 times the rate in `futures`, and one in which it lay
/// beside the counter of the benchmark took 1.06 times the CPU in `100b-defaults`.
#[repr(align(128))]
struct OwnLine(AtomicU32);

/// A process, identified by its id while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// Returns the current process.
    pub(crate) fn current() -> Self {
        let id = process::id();
        if RECENT.0.load(Ordering::Relaxed) != id {
            RECENT.0.store(id, Ordering::Relaxed);
        }
        Self(id)
    }

    /// Returns whether this is the current process, according to the id that was read last.
    #[inline(always)]
    pub(crate) fn is_recent(self) -> bool {
        RECENT.0.load(Ordering::Relaxed) == self.0
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
