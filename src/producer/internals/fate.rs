//! Whether a batch may be in the log although nothing has acknowledged it: the one place that knows.
//!
//! The error of a failed record says it ([`Delivery`]), and the sequences follow it: a batch that may be in the log is never
//! renumbered. Both read this value, so that they cannot disagree.
//!
//! Threads: the I/O thread changes it. Locks: none.

use crate::error::Delivery;
use crate::sync::{AtomicU32, Ordering};

/// No attempt was made, or each was refused before the append.
const NOT_WRITTEN: u32 = 0;
/// A request with the batch was handed to the client and has no outcome yet.
const ATTEMPTED: u32 = 1;
/// An attempt ended without an outcome that excludes the append. Nothing but an acknowledgement changes that.
const MAYBE_WRITTEN: u32 = 2;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Fate(AtomicU32);

impl Fate {
    /// A request with the batch is handed to the client.
    pub(crate) fn begin_attempt(&self) {
        if self.load() == NOT_WRITTEN {
            self.0.store(ATTEMPTED, Ordering::Relaxed);
        }
    }

    /// The attempt has an outcome. `is_indefinite` if the log may hold the batch because of it.
    ///
    /// One indefinite attempt decides: a later refusal proves nothing about the earlier request, which may even be handled
    /// after the refusal.
    pub(crate) fn end_attempt(&self, is_indefinite: bool) {
        if self.load() != MAYBE_WRITTEN {
            let fate = if is_indefinite {
                MAYBE_WRITTEN
            } else {
                NOT_WRITTEN
            };
            self.0.store(fate, Ordering::Relaxed);
        }
    }

    /// Takes over the fate of the batch that this one is a part of.
    pub(crate) fn inherit(&self, whole: &Self) {
        self.0.store(whole.load(), Ordering::Relaxed);
    }

    /// Returns whether the log may hold the batch. An attempt without an outcome counts.
    pub(crate) fn may_be_written(&self) -> bool {
        self.load() != NOT_WRITTEN
    }

    /// The same, as the errors of the batch's records say it.
    pub(crate) fn delivery(&self) -> Delivery {
        if self.may_be_written() {
            Delivery::MaybeWritten
        } else {
            Delivery::NotWritten
        }
    }

    fn load(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_ends_an_attempt_and_an_indefinite_attempt_stays() {
        let fate = Fate::default();
        assert_eq!(fate.delivery(), Delivery::NotWritten);
        fate.begin_attempt();
        assert_eq!(fate.delivery(), Delivery::MaybeWritten);
        fate.end_attempt(false);
        assert_eq!(fate.delivery(), Delivery::NotWritten);
        fate.begin_attempt();
        fate.end_attempt(true);
        fate.begin_attempt();
        fate.end_attempt(false);
        assert_eq!(fate.delivery(), Delivery::MaybeWritten);
    }
}
