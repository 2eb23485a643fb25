//! The states of a transactional producer, their data, and their transitions. Java:
//! `TransactionManager.State`.

use std::fmt;

use super::transaction::Transaction;
use crate::error::Error;

/// The state with its data.
#[derive(Debug)]
pub(super) enum TxnState {
    Uninitialized,
    Initializing,
    Ready,
    Open(Transaction),
    Ending(Transaction, Ending),
    /// Has the first error.
    Abortable(Transaction, Error),
    /// Has the first error.
    Fatal(Error),
}

/// A transaction that is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) end: End,
    /// A request to end the transaction was sent, or may have been handled.
    pub(super) is_requested: bool,
}

/// The way in which a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Commit,
    Abort,
}

impl TxnState {
    pub(super) fn name(&self) -> State {
        match self {
            Self::Uninitialized => Uninitialized,
            Self::Initializing => Initializing,
            Self::Ready => Ready,
            Self::Open(_) => InTransaction,
            Self::Ending(_, ending) => ending.end.state(),
            Self::Abortable(..) => AbortableError,
            Self::Fatal(_) => FatalError,
        }
    }

    /// Returns the open transaction, including one that can only be ended.
    pub(super) fn transaction(&self) -> Option<&Transaction> {
        match self {
            Self::Open(transaction)
            | Self::Ending(transaction, _)
            | Self::Abortable(transaction, _) => Some(transaction),
            Self::Uninitialized | Self::Initializing | Self::Ready | Self::Fatal(_) => None,
        }
    }

    pub(super) fn transaction_mut(&mut self) -> Option<&mut Transaction> {
        match self {
            Self::Open(transaction)
            | Self::Ending(transaction, _)
            | Self::Abortable(transaction, _) => Some(transaction),
            Self::Uninitialized | Self::Initializing | Self::Ready | Self::Fatal(_) => None,
        }
    }

    /// Takes the open transaction for the next state, or an empty one.
    pub(super) fn take_transaction(&mut self) -> Transaction {
        self.transaction_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Returns the error, if the state is one.
    pub(super) fn error(&self) -> Option<&Error> {
        match self {
            Self::Abortable(_, error) | Self::Fatal(error) => Some(error),
            _ => None,
        }
    }

    pub(super) fn is_aborting(&self) -> bool {
        matches!(self, Self::Ending(_, ending) if ending.end == End::Abort)
    }

    /// Returns whether the coordinator may have ended the transaction.
    pub(super) fn is_end_requested(&self) -> bool {
        matches!(self, Self::Ending(_, ending) if ending.is_requested)
    }

    pub(super) fn set_end_requested(&mut self, is_requested: bool) {
        if let Self::Ending(_, ending) = self {
            ending.is_requested = is_requested;
        }
    }
}

impl End {
    pub(super) const fn state(self) -> State {
        match self {
            Self::Commit => CommittingTransaction,
            Self::Abort => AbortingTransaction,
        }
    }
}

/// The name of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// There is no producer id.
    Uninitialized,
    /// A producer id, or its next epoch, is requested.
    Initializing,
    /// There is a producer id and no transaction.
    Ready,
    /// A transaction accepts records and offsets.
    InTransaction,
    /// The transaction accepts nothing more, and is committed once all of its records have an
    /// outcome.
    CommittingTransaction,
    /// The transaction accepts nothing more, and is aborted once everything that was sent has an
    /// outcome.
    AbortingTransaction,
    /// The transaction can only be aborted.
    AbortableError,
    /// The producer can do nothing any more.
    FatalError,
}

use State::{
    AbortableError, AbortingTransaction, CommittingTransaction, FatalError, InTransaction,
    Initializing, Ready, Uninitialized,
};

impl State {
    /// Returns the states from which this one can be reached.
    ///
    /// Differs from Java: a request for a producer id that is refused because of missing rights
    /// leads directly from `Initializing` to `Uninitialized`.
    const fn sources(self) -> &'static [Self] {
        match self {
            Uninitialized => &[Initializing, AbortableError],
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
    use crate::error::ErrorKind;

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
    fn open_ending_and_abortable_states_have_a_transaction() {
        let error = || Error::new(ErrorKind::Transaction, "refused");
        let ending = |end| {
            let is_requested = false;
            TxnState::Ending(Transaction::default(), Ending { end, is_requested })
        };
        let states = [
            TxnState::Uninitialized,
            TxnState::Initializing,
            TxnState::Ready,
            TxnState::Open(Transaction::default()),
            ending(End::Commit),
            ending(End::Abort),
            TxnState::Abortable(Transaction::default(), error()),
            TxnState::Fatal(error()),
        ];
        let names: Vec<_> = states.iter().map(TxnState::name).collect();
        assert_eq!(names, ALL);
        let ongoing: Vec<_> = states
            .iter()
            .filter(|state| state.transaction().is_some())
            .map(TxnState::name)
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
