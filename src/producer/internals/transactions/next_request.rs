//! Chooses the next request of a transactional producer, and its destination. Java: `nextRequest`,
//! `lookupCoordinator`.

use std::time::{Duration, Instant};

use super::calls::transaction_aborted;
use super::queue::{CoordinatorKey, RequestKind, TxnRequest};
use super::result::TransactionalRequestResult;
use super::state::{End, TxnState};
use super::{TransactionManager, Transactions, api};
use crate::common::Node;
use crate::protocol::RequestBody;
use crate::utils::log;

/// The sender's next action for the transaction.
#[derive(Debug)]
pub(crate) enum NextRequest {
    Nothing,
    /// The next request is due after this time.
    Wait(Duration),
    Send(TxnRequest),
}

/// The facts that the sender knows when a response arrives, or when a transaction ends without a
/// request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClusterFacts {
    pub(crate) now: Instant,
    /// The cluster's finalized level of the feature `transaction.version`; 0 if it has none.
    pub(crate) transaction_version: i16,
}

impl TransactionManager {
    /// Takes the request to send now. The previous one has ended. `is_drained` says that the
    /// transaction is ending and that all of its records have an outcome.
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
                // From here on, a failure before the request is sent must not make the transaction
                // abortable.
                inner.state.set_end_requested(true);
            }
            return NextRequest::Send(request);
        }
    }

    /// Returns the coordinator for the request, if it is known. The inner `None` means any node.
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

    /// Puts back a request whose coordinator is unknown or unreachable, and looks the coordinator
    /// up.
    pub(crate) fn look_for_coordinator(&self, request: TxnRequest, now: Instant) {
        let mut inner = self.lock();
        inner.find_coordinator_of(&request, now);
        inner.put_back(request);
    }

    pub(crate) fn request_body(&self, request: &TxnRequest) -> RequestBody {
        let inner = self.lock();
        api::body(&request.kind, &inner.config, inner.sequences.producer())
    }

    /// Notes that the request was sent. `can_bump` says whether the transaction coordinator can
    /// bump epochs.
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

    /// Enqueues the request that adds the partitions of new records. Does nothing after an error.
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

    /// Fails the requests that are not sent in an error state. If the transaction can still be
    /// aborted, requests that find the coordinator, or that show whether it has begun the
    /// transaction, remain.
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

    /// Drops requests that the coordinator has not received: the transaction is aborted without
    /// them.
    ///
    /// Requests that may have begun the transaction at the coordinator are repeated, to learn
    /// whether there is something to abort. An epoch bump cannot replace this: before version 2 the
    /// coordinator fences a producer that requests a bump while its transaction is open.
    pub(super) fn drop_unsent(&mut self) {
        if let Some(transaction) = self.state.transaction_mut() {
            transaction.drop_new_partitions();
        }
        let bumps = self.can_handle_abortable_error();
        let unsent = self.queue.take(|request| match &request.kind {
            // Only requests that are dropped here need the group's coordinator, and the end of the
            // transaction would wait behind this one.
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

    /// Looks the request's coordinator up again.
    pub(super) fn find_coordinator_of(&mut self, request: &TxnRequest, now: Instant) {
        if let Some(key) = request.kind.coordinator() {
            self.coordinators
                .look_up(key, &mut self.queue, &self.retry_backoff, now);
        }
    }
}
