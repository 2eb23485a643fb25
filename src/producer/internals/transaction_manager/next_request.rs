//! Which request of a transactional producer is sent next, and to whom. Java: `nextRequest`, `lookupCoordinator`.

use std::time::{Duration, Instant};

use super::requests::{CoordinatorKey, RequestKind, TxnRequest};
use super::{TransactionManager, bodies};
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

/// What the sender knows when an answer comes, or when a transaction ends without asking.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClusterFacts {
    pub(crate) now: Instant,
    /// The level of the feature `transaction.version` that the cluster has finalized; 0 for none.
    pub(crate) transaction_version: i16,
}

impl TransactionManager {
    /// Takes the request that is to be sent now. `is_drained` says that the transaction is being ended, and that no record
    /// of it is without its outcome.
    pub(crate) fn next_request(&self, is_drained: bool, facts: ClusterFacts) -> NextRequest {
        let mut inner = self.lock();
        loop {
            let (state, last_error) = (inner.state, inner.last_error.clone());
            let Ok(transaction) = inner.transaction() else {
                return NextRequest::Nothing;
            };
            if transaction.has_request_in_flight {
                return NextRequest::Nothing;
            }
            if state.is_error() {
                let error = last_error.unwrap_or_else(super::operations::transaction_aborted);
                transaction.refuse_waiting(state, &error);
            } else if transaction.has_new_partitions() {
                transaction.enqueue_new_partitions();
            }
            let Some(first) = transaction.queue.peek() else {
                return NextRequest::Nothing;
            };
            let is_end = matches!(first.kind, RequestKind::EndTxn { .. });
            if is_end && !is_drained {
                return NextRequest::Nothing;
            }
            match transaction.queue.delay(facts.now) {
                Some(delay) if !delay.is_zero() => return NextRequest::Wait(delay),
                _ => {}
            }
            let Some(request) = transaction.queue.pop() else {
                return NextRequest::Nothing;
            };
            if is_end && !transaction.is_started {
                log::debug!("nothing was sent in the transaction, which ends without a request");
                inner.finish_transaction(request, None, facts);
            } else {
                // From here on, for what fails before it is sent must not turn the transaction into one to abort.
                transaction.is_end_sent |= is_end;
                return NextRequest::Send(request);
            }
        }
    }

    /// The coordinator that the request needs, if it is known. `None` within: any node will do.
    pub(crate) fn coordinator(&self, request: &TxnRequest) -> Option<Option<Node>> {
        let Some(key) = request.kind.coordinator() else {
            return Some(None);
        };
        let mut inner = self.lock();
        let known = inner.transaction().ok()?.coordinator(&key).cloned();
        known.map(Some)
    }

    /// Puts back a request that could not be sent yet.
    pub(crate) fn put_back(&self, request: TxnRequest) {
        if let Ok(transaction) = self.lock().transaction() {
            transaction.put_back(request);
        }
    }

    /// Puts back a request whose coordinator is not known or not to be reached, and has the coordinator looked for.
    pub(crate) fn look_for_coordinator(&self, request: TxnRequest, now: Instant) {
        let mut inner = self.lock();
        inner.find_coordinator_of(&request, &self.retry_backoff, now);
        if let Ok(transaction) = inner.transaction() {
            transaction.put_back(request);
        }
    }

    pub(crate) fn request_body(&self, request: &TxnRequest) -> Option<RequestBody> {
        let mut inner = self.lock();
        let producer = inner.producer;
        let transaction = inner.transaction().ok()?;
        Some(bodies::body(&request.kind, &transaction.config, producer))
    }

    /// The request is on its way. `can_bump` says what a transaction coordinator speaks.
    pub(crate) fn request_sent(&self, request: &TxnRequest, can_bump: bool) {
        let mut inner = self.lock();
        let Ok(transaction) = inner.transaction() else {
            return;
        };
        transaction.has_request_in_flight = true;
        if request.kind.coordinator() == Some(CoordinatorKey::Transaction) {
            transaction.can_bump = can_bump;
        }
        if let RequestKind::EndTxn { committed } = request.kind {
            request.result.set_may_be_done(committed);
        }
    }
}
