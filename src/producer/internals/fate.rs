//! Whether a batch may be in the log although nothing has acknowledged it: the one place that knows.
//!
//! The error of a failed record says it ([`Delivery`]), and the sequences follow it: a batch that may be in the log is never
//! renumbered. Both read this value, so that they cannot disagree.
//!
//! Threads: the I/O thread changes it. Locks: none.

use std::fmt;

use crate::error::Delivery;
#[cfg(test)]
use crate::sync::Arc;
use crate::sync::{AtomicU32, Ordering};

/// What is known about a batch that nothing has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// The log does not hold it: no attempt was made, or each was refused before the append.
    NotWritten,
    /// The log may hold it.
    Maybe,
}

impl From<Certainty> for Delivery {
    fn from(certainty: Certainty) -> Self {
        match certainty {
            Certainty::NotWritten => Self::NotWritten,
            Certainty::Maybe => Self::MaybeWritten,
        }
    }
}

/// Something that the log may hold. The sequences know a batch as this alone.
pub(crate) trait HasFate: fmt::Debug + Send + Sync {
    fn fate(&self) -> &Fate;
}

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

    /// The attempt has an outcome, after which the log may hold the batch, or not because of this attempt.
    ///
    /// One indefinite attempt decides: a later refusal proves nothing about the earlier request, which may even be handled
    /// after the refusal.
    pub(crate) fn end_attempt(&self, certainty: Certainty) {
        if self.load() != MAYBE_WRITTEN {
            let fate = match certainty {
                Certainty::NotWritten => NOT_WRITTEN,
                Certainty::Maybe => MAYBE_WRITTEN,
            };
            self.0.store(fate, Ordering::Relaxed);
        }
    }

    /// Takes over the fate of the batch that this one is a part of.
    pub(crate) fn inherit(&self, whole: &Self) {
        self.0.store(whole.load(), Ordering::Relaxed);
    }

    /// Returns whether the log may hold the batch. An attempt without an outcome counts.
    pub(crate) fn certainty(&self) -> Certainty {
        match self.load() {
            NOT_WRITTEN => Certainty::NotWritten,
            _ => Certainty::Maybe,
        }
    }

    /// The same, as the errors of the batch's records say it.
    pub(crate) fn delivery(&self) -> Delivery {
        self.certainty().into()
    }

    fn load(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
impl HasFate for Fate {
    fn fate(&self) -> &Fate {
        self
    }
}

/// The fate of a batch that nothing else knows.
#[cfg(test)]
pub(crate) fn detached() -> Arc<dyn HasFate> {
    Arc::new(Fate::default())
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
        fate.end_attempt(Certainty::NotWritten);
        assert_eq!(fate.delivery(), Delivery::NotWritten);
        fate.begin_attempt();
        fate.end_attempt(Certainty::Maybe);
        fate.begin_attempt();
        fate.end_attempt(Certainty::NotWritten);
        assert_eq!(fate.delivery(), Delivery::MaybeWritten);
    }
}
