//! Transactions: the states, the requests and their order, and the meaning of responses. Java: the
//! part of `TransactionManager` that a producer with a transactional id uses; KIP-98, KIP-360,
//! KIP-447, KIP-890.
//!
//! - [`state`] has the states and their data, and [`transaction`] the data of an open transaction.
//! - [`calls`] has the program's calls. [`queue`] orders their requests, [`next_request`] returns
//!   the next one, and [`coordinator`] knows the nodes that receive them.
//! - [`api`] has one file for each request: its body, its error codes, and the verdict on its
//!   response. [`responses`] applies the verdicts.
//! - [`topic_ids`] has the ids with which an offset commit identifies its topics, and [`result`]
//!   has the outcome for which a caller waits.
//!
//! The sequences of batches are those of any idempotent producer, see
//! [`sequences`](super::sequences).
//!
//! Threads: the I/O thread sends, handles responses and drains; callers begin and end transactions
//! and append.
//! Locks: one mutex around everything, held for a few instructions. Order: the drain, and an append
//! that begins a batch, take it inside the lock of a partition's deque. Inside it, only the mutex
//! of a [`TransactionalRequestResult`] is taken. Callers wait on that one, and hold no other lock.
//!
//! Differs from Java: see [`responses`], [`queue`] and [`topic_ids`].

mod api;
mod batches;
mod calls;
mod coordinator;
mod next_request;
mod queue;
mod responses;
mod result;
mod state;
mod topic_ids;
mod transaction;

pub(crate) use self::api::{TransactionVersion, usable_versions, usable_versions_of};
pub(crate) use self::calls::transaction_aborted;
use self::coordinator::Coordinators;
pub(crate) use self::next_request::{ClusterFacts, NextRequest};
pub(crate) use self::queue::TxnRequest;
use self::queue::{RequestKind, RequestQueue};
pub(crate) use self::responses::CONCURRENT_TRANSACTIONS_BACKOFF;
pub(crate) use self::result::TransactionalRequestResult;
use self::state::{State, TxnState};
use super::sequences::Sequences;
use crate::error::{Error, ErrorKind, TransactionMark};
use crate::protocol::ErrorCode;
use crate::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering};
use crate::utils::{ExponentialBackoff, LogLimiter, log};

/// The settings of a transactional producer, named after their configuration keys.
#[derive(Clone, Debug)]
pub(crate) struct TransactionConfig {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) transaction_timeout_ms: i32,
}

/// The state of a transactional producer.
#[derive(Debug)]
pub(crate) struct TransactionManager {
    /// Whether an open transaction accepts records. Written with the lock held.
    accepts_records: Arc<AtomicBool>,
    inner: Mutex<Transactions>,
}

#[derive(Debug)]
struct Transactions {
    config: TransactionConfig,
    retry_backoff: ExponentialBackoff,
    accepts_records: Arc<AtomicBool>,
    sequences: Sequences,
    state: TxnState,
    /// The version of the open transaction, or of the next one.
    version: TransactionVersion,
    queue: RequestQueue,
    /// The last call that changes the state. Until its caller has seen the outcome, only the same
    /// call may follow. Java: `PendingStateTransition`.
    pending: Option<Arc<TransactionalRequestResult>>,
    coordinators: Coordinators,
    /// Shared by the errors of a transaction, until the next one can begin.
    mark: TransactionMark,
    /// The mark of the transaction that the program aborts, until the next one can begin.
    aborting: Option<TransactionMark>,
    /// The warnings that each retry may repeat.
    warnings: LogLimiter<String>,
}

impl TransactionManager {
    /// Creates a manager. `max_in_flight` is `max.in.flight.requests.per.connection`;
    /// `retry_backoff` delays repeated requests.
    pub(crate) fn new(
        max_in_flight: usize,
        retry_backoff: ExponentialBackoff,
        config: TransactionConfig,
    ) -> Self {
        let accepts_records = Arc::new(AtomicBool::new(false));
        Self {
            accepts_records: Arc::clone(&accepts_records),
            inner: Mutex::new(Transactions {
                config,
                retry_backoff,
                accepts_records,
                sequences: Sequences::new(max_in_flight),
                state: TxnState::Uninitialized,
                version: TransactionVersion::V1,
                queue: RequestQueue::default(),
                pending: None,
                coordinators: Coordinators::default(),
                mark: TransactionMark::default(),
                aborting: None,
                warnings: LogLimiter::new(16),
            }),
        }
    }

    /// Returns the transactional id, and the version of the open transaction.
    pub(crate) fn transactional_id(&self) -> (Arc<str>, TransactionVersion) {
        let inner = self.lock();
        (Arc::clone(&inner.config.transactional_id), inner.version)
    }

    /// Marks the error as one of the open transaction.
    pub(crate) fn in_transaction(&self, error: Error) -> Error {
        error.in_transaction(&self.lock().mark)
    }

    #[cfg(test)]
    pub(crate) fn state(&self) -> State {
        self.lock().state.name()
    }

    /// Returns why nothing can be sent any more, if there is such an error.
    pub(crate) fn fatal_error(&self) -> Option<Error> {
        self.lock().fatal_error().cloned()
    }

    /// Ends all sending. The first error is kept.
    pub(crate) fn transition_to_fatal_error(&self, error: Error) {
        self.lock().transition_to_fatal_error(error);
    }

    fn lock(&self) -> MutexGuard<'_, Transactions> {
        self.inner.lock()
    }
}

/// The open transaction, from the sender's side.
impl TransactionManager {
    /// Returns whether a transaction is ending, so that nothing is added to it any more.
    pub(crate) fn is_completing(&self) -> bool {
        matches!(self.lock().state, TxnState::Ending(..))
    }

    /// Returns whether a transaction is open. Java: `hasOngoingTransaction`.
    pub(crate) fn has_ongoing_transaction(&self) -> bool {
        self.lock().state.transaction().is_some()
    }

    /// Returns why batches that were never sent must fail now, or `None` if they need not.
    pub(crate) fn reason_to_abort_batches(&self) -> Option<Error> {
        let inner = self.lock();
        match &inner.state {
            TxnState::Abortable(_, cause) => {
                let aborted = inner.abortable(transaction_aborted());
                Some(aborted.caused_by(cause.clone()))
            }
            state => state.is_aborting().then(transaction_aborted),
        }
    }

    /// Notes the effect of a batch's failure on its transaction. Returns the error for the batch's
    /// records. Java: `maybeTransitionToErrorState`.
    pub(crate) fn handle_error_in_transaction(&self, error: Error) -> Error {
        let mut inner = self.lock();
        if ends_producer(&error) {
            inner.transition_to_fatal_error(error.clone());
            return error.into_fatal();
        }
        // A record that fails after the end was requested is not part of this transaction, which
        // may already be committed.
        if inner.state.transaction().is_none() || inner.state.is_end_requested() {
            return error;
        }
        inner.require_bump_if_possible();
        let error = inner.abortable(error);
        inner.transition_to_abortable_error(error.clone());
        error
    }

    /// Fails because the brokers belong to another cluster, which has neither the transaction nor
    /// the offsets of its group.
    pub(crate) fn fail_for_other_cluster(&self, reason: String) {
        let mut inner = self.lock();
        if !matches!(inner.state, TxnState::Uninitialized) {
            inner.transition_to_fatal_error(Error::new(ErrorKind::Fenced, reason));
        }
    }

    /// Ends all requests, because the I/O thread ends.
    pub(crate) fn close(&self, reason: &Error) {
        let mut inner = self.lock();
        if inner.fatal_error().is_none() {
            inner.set_state(TxnState::Fatal(reason.clone()));
        }
        inner.fail_all(reason);
    }
}

/// Transitions.
impl Transactions {
    /// Sets the state. No other function does.
    fn set_state(&mut self, state: TxnState) {
        log::debug!(
            "the producer is now {}; before, it was {}",
            state.name(),
            self.state.name()
        );
        let accepts_records = matches!(state, TxnState::Open(_));
        self.accepts_records
            .store(accepts_records, Ordering::Relaxed);
        if matches!(state, TxnState::Ready) {
            // The next transaction can begin. The errors of the last one now say that it was
            // aborted, if it was.
            if let Some(aborted) = self.aborting.take() {
                aborted.set_aborted();
            }
            self.mark = TransactionMark::default();
        }
        self.state = state;
    }

    /// Makes a transition on the I/O thread. An impossible one is a bug after which nothing is
    /// reliable.
    fn transition_or_fail(&mut self, target: TxnState) {
        if target.name().may_follow(self.state.name()) {
            return self.set_state(target);
        }
        let text = format!(
            "the producer cannot become {}, as it is {}",
            target.name(),
            self.state.name()
        );
        self.transition_to_fatal_error(Error::new(ErrorKind::Internal, text));
    }

    /// Fails the transaction. The first error is kept. A transaction that is already being aborted
    /// continues with that.
    fn transition_to_abortable_error(&mut self, error: Error) {
        let is_aborted = matches!(self.state, TxnState::Abortable(..) | TxnState::Fatal(_));
        if is_aborted || self.state.is_aborting() {
            log::debug!("another error while the transaction is aborted: {error}");
        } else if State::AbortableError.may_follow(self.state.name()) {
            log::warn!("the transaction must be aborted: {error}");
            let transaction = self.state.take_transaction();
            self.set_state(TxnState::Abortable(transaction, error));
        } else {
            let text = format!(
                "a transaction failed while the producer was {}",
                self.state.name()
            );
            let error = Error::new(ErrorKind::Internal, text).caused_by(error);
            self.transition_to_fatal_error(error);
        }
    }

    fn transition_to_fatal_error(&mut self, error: Error) {
        if self.fatal_error().is_some() {
            return;
        }
        log::error!("the producer failed permanently: {error}");
        let error = error.into_fatal();
        self.set_state(TxnState::Fatal(error.clone()));
        self.fail_all(&error);
    }

    fn fatal_error(&self) -> Option<&Error> {
        match &self.state {
            TxnState::Fatal(error) => Some(error),
            _ => None,
        }
    }

    /// Returns an error that says that the open transaction can only be aborted.
    fn abortable(&self, error: Error) -> Error {
        error.into_abortable(&self.mark)
    }
}

/// Failures of requests.
impl Transactions {
    fn fail(&mut self, request: &TxnRequest, error: &Error) {
        if let RequestKind::AddPartitionsToTxn(partitions) = &request.kind {
            if let Some(transaction) = self.state.transaction_mut() {
                transaction.partitions_refused(partitions);
            }
        }
        request.fail(error);
    }

    /// Fails every waiting request and the pending call.
    fn fail_all(&mut self, error: &Error) {
        while let Some(request) = self.queue.pop() {
            self.fail(&request, error);
        }
        if let Some(pending) = &self.pending {
            pending.fail(error.clone());
        }
    }
}

/// Returns whether a transactional producer cannot continue after this error. Java:
/// `maybeTransitionToErrorState`.
fn ends_producer(error: &Error) -> bool {
    let fatal_code = matches!(
        error.code(),
        Some(
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED
                | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                | ErrorCode::PRODUCER_FENCED
                | ErrorCode::UNSUPPORTED_VERSION
                | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        )
    );
    fatal_code || error.is_fatal() || error.kind() == ErrorKind::UnsupportedVersion
}
