//! The states of a producer, and which may follow which. Java: `TransactionManager.State`.

use std::fmt;

/// What the producer may do now. A producer without a transactional id knows `Uninitialized`, `Initializing`, `Ready` and
/// `FatalError` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No producer id.
    Uninitialized,
    /// A producer id, or the next epoch of one, is asked for.
    Initializing,
    /// A producer id and no transaction.
    Ready,
    /// A transaction takes records and offsets.
    InTransaction,
    /// The transaction takes nothing more, and is committed when all of it is settled.
    CommittingTransaction,
    /// The transaction takes nothing more, and is aborted when all that was sent is settled.
    AbortingTransaction,
    /// The transaction can only be aborted.
    AbortableError,
    /// Nothing can be done any more.
    FatalError,
}

use State::{
    AbortableError, AbortingTransaction, CommittingTransaction, FatalError, InTransaction,
    Initializing, Ready, Uninitialized,
};

impl State {
    /// The states from which this one can be reached.
    ///
    /// Differs from Java: a request for a producer id that is refused for missing rights, and one of an idempotent producer
    /// that failed, lead straight from `Initializing` to `Uninitialized`.
    const fn sources(self) -> &'static [Self] {
        match self {
            Uninitialized => &[Ready, Initializing, AbortableError],
            Initializing => &[Uninitialized, CommittingTransaction, AbortingTransaction],
            Ready => &[Initializing, CommittingTransaction, AbortingTransaction],
            InTransaction => &[Ready],
            CommittingTransaction => &[InTransaction],
            AbortingTransaction => &[InTransaction, AbortableError],
            AbortableError => &[
                InTransaction,
                CommittingTransaction,
                AbortableError,
                Initializing,
            ],
            FatalError => &[
                Uninitialized,
                Initializing,
                Ready,
                InTransaction,
                CommittingTransaction,
                AbortingTransaction,
                AbortableError,
                FatalError,
            ],
        }
    }

    pub(super) fn may_follow(self, source: Self) -> bool {
        self.sources().contains(&source)
    }

    /// Whether a transaction is open, be it that it can only be ended. Java: `hasOngoingTransaction`.
    pub(super) const fn has_ongoing_transaction(self) -> bool {
        matches!(
            self,
            InTransaction | CommittingTransaction | AbortingTransaction | AbortableError
        )
    }

    /// Java: `isCompleting`.
    pub(super) const fn is_completing(self) -> bool {
        matches!(self, CommittingTransaction | AbortingTransaction)
    }

    pub(super) const fn is_error(self) -> bool {
        matches!(self, AbortableError | FatalError)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Uninitialized => "not initialized",
            Initializing => "being initialized",
            Ready => "without a transaction",
            InTransaction => "in a transaction",
            CommittingTransaction => "committing a transaction",
            AbortingTransaction => "aborting a transaction",
            AbortableError => "in a transaction that can only be aborted",
            FatalError => "unusable after a fatal error",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [State; 8] = [
        Uninitialized,
        Initializing,
        Ready,
        InTransaction,
        CommittingTransaction,
        AbortingTransaction,
        AbortableError,
        FatalError,
    ];

    #[test]
    fn every_state_but_a_fatal_error_has_an_exit() {
        for state in ALL {
            let mut exits = ALL.iter().filter(|next| **next != state);
            let has_exit = exits.any(|next| *next != FatalError && next.may_follow(state));
            assert_eq!(has_exit, state != FatalError, "{state:?}");
            assert!(FatalError.may_follow(state), "{state:?}");
        }
    }

    #[test]
    fn a_transaction_begins_and_ends_with_ready() {
        assert!(InTransaction.may_follow(Ready));
        for before in ALL {
            assert_eq!(InTransaction.may_follow(before), before == Ready);
        }
        assert!(!CommittingTransaction.may_follow(AbortableError));
        assert!(AbortingTransaction.may_follow(AbortableError));
        assert!(!AbortableError.may_follow(AbortingTransaction));
    }

    // Java: TransactionManagerTest.testHasOngoingTransactionSuccessfulAbort and its neighbours.
    #[test]
    fn has_ongoing_transaction() {
        let ongoing: Vec<_> = ALL
            .into_iter()
            .filter(|state| state.has_ongoing_transaction())
            .collect();
        assert_eq!(
            ongoing,
            [
                InTransaction,
                CommittingTransaction,
                AbortingTransaction,
                AbortableError
            ]
        );
    }
}
