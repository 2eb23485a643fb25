//! Knows whether a batch without an acknowledgement may be in the log. No other place decides this.
//!
//! The error of a failed record reports it ([`Delivery`]), and the sequences depend on it: a batch
//! that may be in the log never gets new sequence numbers. Both read this value, so they cannot
//! disagree.
//!
//! Threads: the I/O thread changes it.
//! Locks: none.

use std::fmt;

use crate::error::Delivery;
#[cfg(test)]
use crate::sync::Arc;
use crate::sync::{AtomicU32, Ordering};

/// What is known about a batch without an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Certainty {
    /// The log does not contain it: there was no attempt, or each was refused before the append.
    NotWritten,
    /// The log may contain it.
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

/// Something that may be in the log. The sequences see a batch only through this trait.
pub(crate) trait HasFate: fmt::Debug + Send + Sync {
    fn fate(&self) -> &Fate;
}

/// The result of the attempts to write a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempts {
    /// There was no attempt, or each was refused before the append.
    Refused = 0,
    /// A request with the batch was passed to the client and has no outcome yet.
    UnderWay = 1,
    /// An attempt ended with an outcome that does not exclude the append. Only an acknowledgement
    /// changes that.
    Indefinite = 2,
}

/// The state of a batch's attempts. Holds [`Attempts`].
#[derive(Default)]
pub(crate) struct Fate(AtomicU32);

impl Fate {
    /// Notes that a request with the batch is passed to the client.
    pub(crate) fn begin_attempt(&self) {
        if self.attempts() == Attempts::Refused {
            self.set(Attempts::UnderWay);
        }
    }

    /// Notes the outcome of the attempt. `certainty` says whether the log may contain the batch
    /// because of this attempt.
    ///
    /// One indefinite attempt is enough. A later refusal proves nothing about the earlier request,
    /// which the broker may even handle after the refusal.
    pub(crate) fn end_attempt(&self, certainty: Certainty) {
        if self.attempts() != Attempts::Indefinite {
            self.set(match certainty {
                Certainty::NotWritten => Attempts::Refused,
                Certainty::Maybe => Attempts::Indefinite,
            });
        }
    }

    /// Takes over the state of the batch that this one is a part of.
    pub(crate) fn inherit(&self, whole: &Self) {
        self.set(whole.attempts());
    }

    /// Returns whether the log may contain the batch. An attempt without an outcome counts as one.
    pub(crate) fn certainty(&self) -> Certainty {
        match self.attempts() {
            Attempts::Refused => Certainty::NotWritten,
            Attempts::UnderWay | Attempts::Indefinite => Certainty::Maybe,
        }
    }

    /// Returns the same in the terms of the records' errors.
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

/// Returns the fate of a batch that has no other owner.
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
