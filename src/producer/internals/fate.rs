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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// What came of the attempts to write a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempts {
    /// None was made, or each was refused before the append.
    Refused = 0,
    /// A request with the batch was handed to the client and has no outcome yet.
    UnderWay = 1,
    /// One ended without an outcome that excludes the append. Nothing but an acknowledgement changes that.
    Indefinite = 2,
}

/// See the module's documentation. Holds [`Attempts`].
#[derive(Default)]
pub(crate) struct Fate(AtomicU32);

impl Fate {
    /// A request with the batch is handed to the client.
    pub(crate) fn begin_attempt(&self) {
        if self.attempts() == Attempts::Refused {
            self.set(Attempts::UnderWay);
        }
    }

    /// The attempt has an outcome, after which the log may hold the batch, or not because of this attempt.
    ///
    /// One indefinite attempt decides: a later refusal proves nothing about the earlier request, which may even be handled
    /// after the refusal.
    pub(crate) fn end_attempt(&self, certainty: Certainty) {
        if self.attempts() != Attempts::Indefinite {
            self.set(match certainty {
                Certainty::NotWritten => Attempts::Refused,
                Certainty::Maybe => Attempts::Indefinite,
            });
        }
    }

    /// Takes over the fate of the batch that this one is a part of.
    pub(crate) fn inherit(&self, whole: &Self) {
        self.set(whole.attempts());
    }

    /// Returns whether the log may hold the batch. An attempt without an outcome counts.
    pub(crate) fn certainty(&self) -> Certainty {
        match self.attempts() {
            Attempts::Refused => Certainty::NotWritten,
            Attempts::UnderWay | Attempts::Indefinite => Certainty::Maybe,
        }
    }

    /// The same, as the errors of the batch's records say it.
    pub(crate) fn delivery(&self) -> Delivery {
        self.certainty().into()
    }

    #[cfg(test)]
    pub(crate) fn is_indefinite(&self) -> bool {
        self.attempts() == Attempts::Indefinite
    }

    fn attempts(&self) -> Attempts {
        const REFUSED: u32 = Attempts::Refused as u32;
        const UNDER_WAY: u32 = Attempts::UnderWay as u32;
        match self.0.load(Ordering::Relaxed) {
            REFUSED => Attempts::Refused,
            UNDER_WAY => Attempts::UnderWay,
            _ => Attempts::Indefinite,
        }
    }

    fn set(&self, attempts: Attempts) {
        self.0.store(attempts as u32, Ordering::Relaxed);
    }
}

impl fmt::Debug for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.attempts().fmt(f)
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
