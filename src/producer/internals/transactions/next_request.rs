//! Which request of a transactional producer is sent next, and to whom. Java: `nextRequest`, `lookupCoordinator`.

use std::time::{Duration, Instant};

use super::calls::transaction_aborted;
use super::queue::{CoordinatorKey, RequestKind, TxnRequest};
use super::result::TransactionalRequestResult;
use super::state::{End, TxnState};
use super::{TransactionManager, Transactions, api};
use crate::common::Node;
use crate::protocol::RequestBody;
use crate::utils::log;

/// What the sender is to do next for the transaction.
#[derive(Debug)]
pub(crate) enum NextRequest {
    Nothing,
    /// The next request waits for this long.
    Wait(Duration),
    Send(TxnRequest),
}

/// What the sender knows when a response comes, or when a transaction ends without a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClusterFacts {
    pub(crate) now: Instant,
    /// The level of the feature `transaction.version` that the cluster has finalized; 0 for none.
    pub(crate) transaction_version: i16,
}

impl TransactionManager {
    /// Takes the request that is to be sent now. The one before has ended. `is_drained` says that the transaction is being
    /// ended, and that no record of it is without its outcome.
    pub(crate) fn next_request(&self, is_drained: bool, facts: ClusterFacts) -> NextRequest {
        let mut inner = self.lock();
        loop {
            inner.refuse_waiting();
            inner.enqueue_new_partitions();
            let Some(first) = inner.queue.peek() else {
                return NextRequest::Nothing;
            };
            let is_end = matches!(first.kind, RequestKind::EndTxn(_));
            if is_end && !is_drained {
                return NextRequest::Nothing;
            }
            let delay = first.delay(facts.now);
            if !delay.is_zero() {
                return NextRequest::Wait(delay);
            }
            let Some(request) = inner.queue.pop() else {
                return NextRequest::Nothing;
            };
            let transaction = inner.state.transaction();
            if is_end && !transaction.is_some_and(|transaction| transaction.is_started()) {
                log::debug!("nothing was sent in the transaction, which ends without a request");
                inner.finish_transaction(request, None, facts);
                continue;
            }
            if is_end {
                // From here on, because what fails before it is sent must not turn the transaction into one to abort.
                inner.state.set_end_requested(true);
            }
            return NextRequest::Send(request);
        }
    }

    /// Returns the coordinator that the request needs, if it is known. `None` within: any node will do.
    pub(crate) fn coordinator(&self, request: &TxnRequest) -> Option<Option<Node>> {
        let Some(key) = request.kind.coordinator() else {
            return Some(None);
        };
        self.lock().coordinators.get(&key).cloned().map(Some)
    }

    /// Puts back a request that could not be sent yet.
    pub(crate) fn put_back(&self, request: TxnRequest) {
        self.lock().put_back(request);
    }

    /// Puts back a request whose coordinator is not known or not to be reached, and has the coordinator looked for.
    pub(crate) fn look_for_coordinator(&self, request: TxnRequest, now: Instant) {
        let mut inner = self.lock();
        inner.find_coordinator_of(&request, now);
        inner.put_back(request);
    }

    pub(crate) fn request_body(&self, request: &TxnRequest) -> RequestBody {
        let inner = self.lock();
        api::body(&request.kind, &inner.config, inner.sequences.producer())
    }

    /// The request is on its way. `can_bump` says what a transaction coordinator speaks.
    pub(crate) fn request_sent(&self, request: &TxnRequest, can_bump: bool) {
        if request.kind.coordinator() == Some(CoordinatorKey::Transaction) {
            self.lock().coordinators.can_bump = can_bump;
        }
        if let RequestKind::EndTxn(end) = request.kind {
            request.result.set_may_be_done(end == End::Commit);
        }
    }
}

impl Transactions {
    fn put_back(&mut self, request: TxnRequest) {
        let is_end = matches!(request.kind, RequestKind::EndTxn(_));
        if is_end && request.attempts == 0 {
            self.state.set_end_requested(false);
        }
        self.queue.put_back(request);
    }

    /// Makes the request that adds the partitions of new records. Not after an error.
    fn enqueue_new_partitions(&mut self) {
        let (TxnState::Open(transaction) | TxnState::Ending(transaction, _)) = &mut self.state
        else {
            return;
        };
        let partitions = transaction.take_new_partitions();
        if partitions.is_empty() {
            return;
        }
        let result = TransactionalRequestResult::new("AddPartitionsToTxn");
        let request = TxnRequest::new(RequestKind::AddPartitionsToTxn(partitions), result);
        self.queue.push(request);
    }

    /// Ends the requests that are not sent in a state of error. In one that can be aborted, who the coordinator is can be
    /// found out still, and whether it has begun the transaction.
    fn refuse_waiting(&mut self) {
        let Some(error) = self.state.error().cloned() else {
            return;
        };
        let is_fatal = self.fatal_error().is_some();
        let refused = self.queue.take(|request| {
            let is_lookup = matches!(request.kind, RequestKind::FindCoordinator(_));
            is_fatal || !(is_lookup || request.may_have_begun())
        });
        for request in refused {
            self.fail(&request, &error);
        }
    }

    /// Forgets what was not requested of the coordinator yet: the transaction is aborted without it.
    ///
    /// What the coordinator may have begun the transaction for is requested again, so that it is known whether there is
    /// something to abort. A bump of the epoch does not do for that: before version 2 the coordinator fences off a producer
    /// that requests one while its transaction is open.
    pub(super) fn drop_unsent(&mut self) {
        if let Some(transaction) = self.state.transaction_mut() {
            transaction.drop_new_partitions();
        }
        let bumps = self.can_handle_abortable_error();
        let unsent = self.queue.take(|request| match &request.kind {
            // Of a group only what is dropped here needs it, and the end of the transaction would wait behind it.
            RequestKind::FindCoordinator(CoordinatorKey::Group(_)) => true,
            RequestKind::AddPartitionsToTxn(_)
            | RequestKind::AddOffsetsToTxn(_)
            | RequestKind::TxnOffsetCommit(_) => {
                !request.may_have_begun() && (bumps || request.attempts == 0)
            }
            _ => false,
        });
        for request in unsent {
            self.fail(&request, &transaction_aborted());
        }
    }

    /// Has the request's coordinator looked for again.
    pub(super) fn find_coordinator_of(&mut self, request: &TxnRequest, now: Instant) {
        if let Some(key) = request.kind.coordinator() {
            self.coordinators
                .look_up(key, &mut self.queue, &self.retry_backoff, now);
        }
    }
}
