//! Applies the responses to a transactional producer's requests. Java: the `TxnRequestHandler`s.
//!
//! [`api`] judges a response, and [`Transactions::apply`] carries the verdict out.
//!
//! Differs from Java:
//! - A request may arrive late if it has no response, or one that does not tell what the
//!   coordinator did. In protocol version 1 the coordinator could take it for one of the next
//!   transaction, so no transaction begins before the epoch is bumped.
//! - If the coordinator refuses an abort, an epoch bump replaces it. Otherwise no call could help
//!   the producer any more.

use std::time::{Duration, Instant};

use super::api::{self, Done, Reaction, Refusal, TransactionVersion, Verdict};
use super::next_request::ClusterFacts;
use super::queue::{RequestKind, TxnRequest};
use super::state::{End, TxnState};
use super::{TransactionManager, Transactions};
use crate::error::{Error, ErrorKind};
use crate::producer::internals::sequences::{Bump, ProducerIdAndEpoch};
use crate::protocol::{ErrorCode, ResponseBody};
use crate::utils::log;

/// The longest wait for the end of the previous transaction, if the first partition or offset of
/// this one waits only for that: it takes a short time. Java: `ADD_PARTITIONS_RETRY_BACKOFF_MS`.
pub(crate) const CONCURRENT_TRANSACTIONS_BACKOFF: Duration = Duration::from_millis(20);

impl TransactionManager {
    /// Handles a request without a response. `was_written` says whether a broker may have received
    /// it.
    pub(crate) fn handle_disconnect(
        &self,
        mut request: TxnRequest,
        was_written: bool,
        now: Instant,
    ) {
        let mut inner = self.lock();
        inner.note_attempt(&mut request, was_written);
        inner.find_coordinator_of(&request, now);
        inner.retry(request, now);
    }

    /// Handles a node that supports no version that can carry the request.
    pub(crate) fn handle_unsupported_version(&self, request: &TxnRequest, message: &str) {
        let error = Error::new(ErrorKind::UnsupportedVersion, message);
        request.note_delivery();
        self.lock().fail_fatally(request, error);
    }

    pub(crate) fn handle_response(
        &self,
        mut request: TxnRequest,
        body: ResponseBody,
        facts: ClusterFacts,
    ) {
        let mut inner = self.lock();
        if let Some(error) = inner.fatal_error().cloned() {
            return inner.fail(&request, &error);
        }
        let warnings = &mut inner.warnings;
        let verdict = api::judge(&mut request.kind, body, &mut |text| {
            warnings.warn(text, facts.now);
        });
        inner.apply(request, verdict, facts);
    }
}

impl Transactions {
    /// Carries out the verdict on a response.
    fn apply(&mut self, request: TxnRequest, verdict: Verdict, facts: ClusterFacts) {
        match verdict {
            Verdict::Done(done) => self.done(request, done, facts),
            Verdict::Refused(refusal) => self.refused(request, refusal, facts),
            Verdict::Unusable(text) => {
                self.warnings.warn(text, facts.now);
                self.retry(request, facts.now);
            }
            Verdict::Broken(error) => self.fail_fatally(&request, error),
        }
    }

    fn done(&mut self, request: TxnRequest, done: Done, facts: ClusterFacts) {
        if !matches!(done, Done::CoordinatorFound(..)) {
            self.coordinators.did_work();
        }
        match done {
            Done::CoordinatorFound(key, node) => {
                log::debug!("the coordinator of {key:?} is node {node}");
                self.coordinators.set(key, node);
                request.result.complete();
            }
            Done::Initialized(producer) => self.initialized(&request, producer, facts),
            Done::PartitionsAdded(partitions) => {
                if let Some(transaction) = self.state.transaction_mut() {
                    transaction.partitions_added(&partitions);
                }
                request.result.complete();
            }
            Done::GroupAdded(offsets) => {
                if let Some(transaction) = self.state.transaction_mut() {
                    transaction.set_started();
                }
                let commit = RequestKind::TxnOffsetCommit(offsets);
                self.queue.push(TxnRequest::new(commit, request.result));
                self.drop_what_an_abort_does_without();
            }
            Done::OffsetsCommitted => request.result.complete(),
            Done::Ended(next) => {
                if self.version == TransactionVersion::V2 && next.is_none() {
                    // Without the bumped epoch, the next transaction would be fenced.
                    self.sequences.require_bump(Bump::IfPossible);
                }
                self.finish_transaction(request, next, facts);
            }
        }
    }

    fn initialized(
        &mut self,
        request: &TxnRequest,
        producer: ProducerIdAndEpoch,
        facts: ClusterFacts,
    ) {
        log::info!("producer id set to {producer}");
        self.sequences.take_over(producer);
        self.version = TransactionVersion::from_feature_level(facts.transaction_version);
        self.transition_or_fail(TxnState::Ready);
        request.result.complete();
    }

    /// Notes that the transaction has ended. The next one may begin immediately, or after the epoch
    /// is bumped. Java: `completeTransaction`, and the second half of `beginCompletingTransaction`.
    pub(super) fn finish_transaction(
        &mut self,
        request: TxnRequest,
        next: Option<ProducerIdAndEpoch>,
        facts: ClusterFacts,
    ) {
        if let Some(producer) = next {
            self.sequences.take_over(producer);
        }
        if matches!(request.kind, RequestKind::EndTxn(End::Commit)) {
            request.result.settle();
        }
        let has_producer_id = self.sequences.producer().is_valid();
        let bump = self.sequences.bump();
        let ended = self.version;
        self.version = TransactionVersion::from_feature_level(facts.transaction_version);
        let is_upgrade = ended != self.version && self.version == TransactionVersion::V2;
        let wants_bump = bump != Bump::NotNeeded || is_upgrade;
        if !has_producer_id || (wants_bump && self.coordinators.can_bump) {
            let bump = TxnRequest::new(RequestKind::InitProducerId, request.result);
            self.queue.push(bump);
            self.transition_or_fail(TxnState::Initializing);
        } else if bump == Bump::Required {
            let text = "a request of the last transaction may still arrive, and these brokers (before Kafka 2.5) \
                        cannot keep it out of the next one: close this producer and open another";
            request.result.complete();
            self.transition_to_fatal_error(Error::new(ErrorKind::Transaction, text));
        } else {
            self.transition_or_fail(TxnState::Ready);
            request.result.complete();
        }
    }
}

/// Refusals.
impl Transactions {
    /// Reacts to an error code according to the API's table.
    fn refused(&mut self, mut request: TxnRequest, refusal: Refusal, facts: ClusterFacts) {
        let Refusal {
            code,
            reaction,
            error,
        } = refusal;
        log::debug!("response to {:?}: {code}, {reaction:?}", request.kind);
        request.may_be_done |= may_be_logged(&request.kind, code);
        self.note_attempt(&mut request, leaves_open(code));
        match reaction {
            Reaction::FindCoordinator => {
                request.result.set_refusal(error);
                self.find_coordinator_of(&request, facts.now);
                self.retry(request, facts.now);
            }
            Reaction::Retry => {
                request.result.set_refusal(error);
                if code == ErrorCode::CONCURRENT_TRANSACTIONS && self.follows_an_end(&request) {
                    let wait = self.retry_backoff.backoff(request.attempts);
                    let wait = wait.min(CONCURRENT_TRANSACTIONS_BACKOFF);
                    return self.retry_after(request, facts.now + wait);
                }
                self.retry(request, facts.now);
            }
            Reaction::Fenced => {
                let error = self.fenced(code);
                self.fail_fatally(&request, error);
            }
            Reaction::AbortableIfBump if !self.can_handle_abortable_error() => {
                self.fail_fatally(&request, error);
            }
            Reaction::Abortable | Reaction::AbortableIfBump => {
                self.fail_abortably(request, error, facts);
            }
            Reaction::Uninitialized => self.fail_initialization(&request, &error),
            Reaction::Fatal => self.fail_fatally(&request, error),
        }
    }

    /// Notes an attempt that may have succeeded.
    fn note_attempt(&mut self, request: &mut TxnRequest, may_be_done: bool) {
        request.may_be_done |= may_be_done;
        request.note_delivery();
        if may_be_done && request.kind.changes_transaction() {
            self.require_bump();
        }
    }

    /// Sends the request again after a wait, unless the transaction is being aborted and does not
    /// need it.
    fn retry(&mut self, mut request: TxnRequest, now: Instant) {
        let wait = self.retry_backoff.backoff(request.attempts);
        request.attempts = request.attempts.saturating_add(1);
        self.retry_after(request, now + wait);
    }

    fn retry_after(&mut self, mut request: TxnRequest, at: Instant) {
        request.wait_until(at);
        match self.fatal_error().cloned() {
            Some(error) => self.fail(&request, &error),
            None => self.queue.put_back(request),
        }
        self.drop_what_an_abort_does_without();
    }

    /// Drops the requests that an abort does not need.
    fn drop_what_an_abort_does_without(&mut self) {
        if self.state.is_aborting() {
            self.drop_unsent();
        }
    }

    /// Returns whether this request tells the coordinator of the transaction. It can then only be
    /// concurrent with the end of the previous one.
    fn follows_an_end(&self, request: &TxnRequest) -> bool {
        match request.kind {
            RequestKind::AddPartitionsToTxn(_) => {
                let transaction = self.state.transaction();
                !transaction.is_some_and(|transaction| transaction.has_partitions())
            }
            RequestKind::TxnOffsetCommit(_) => self.version == TransactionVersion::V2,
            _ => false,
        }
    }

    fn fenced(&self, code: ErrorCode) -> Error {
        let text = format!(
            "this producer ({}) is fenced off: another one with transactional id {} has taken over, or a transaction took \
             longer than transaction.timeout.ms; the coordinator returned {code}",
            self.sequences.producer(),
            self.config.transactional_id
        );
        Error::from_code(ErrorCode::PRODUCER_FENCED, text)
    }

    /// Fails the transaction with an abortable error. Java: `abortableError`.
    fn fail_abortably(&mut self, request: TxnRequest, error: Error, facts: ClusterFacts) {
        if self.state.is_aborting() && matches!(request.kind, RequestKind::EndTxn(_)) {
            return self.abort_by_bump(request, error, facts);
        }
        let error = self.abortable(error);
        self.fail(&request, &error);
        self.require_bump_if_possible();
        self.transition_to_abortable_error(error);
    }

    /// Replaces a refused abort. A new epoch aborts whatever the coordinator has under the old one.
    fn abort_by_bump(&mut self, request: TxnRequest, error: Error, facts: ClusterFacts) {
        match self.coordinators.can_bump {
            true => {
                self.sequences.require_bump(Bump::IfPossible);
                self.finish_transaction(request, None, facts);
            }
            false => self.fail_fatally(&request, error),
        }
    }

    fn fail_fatally(&mut self, request: &TxnRequest, error: Error) {
        let error = error.into_fatal();
        self.fail(request, &error);
        self.transition_to_fatal_error(error);
    }

    /// Handles missing rights to a producer id. They may be granted later, so the producer can be
    /// initialized again.
    fn fail_initialization(&mut self, request: &TxnRequest, error: &Error) {
        self.sequences.take_over(ProducerIdAndEpoch::NONE);
        self.fail(request, error);
        self.fail_all(error);
        self.transition_or_fail(TxnState::Uninitialized);
    }
}

/// Returns whether a coordinator that returns this code may have done what was requested.
fn leaves_open(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UNKNOWN_SERVER_ERROR | ErrorCode::REQUEST_TIMED_OUT
    ) || code.name().is_none()
}

/// Returns whether a coordinator that returns this code may still have logged the beginning or the
/// end of the transaction. Its log returns such codes if the followers do not follow, or if it has
/// lost its role meanwhile. The next coordinator may then have what this one refused.
fn may_be_logged(kind: &RequestKind, code: ErrorCode) -> bool {
    let is_logged = match kind {
        RequestKind::AddPartitionsToTxn(_)
        | RequestKind::AddOffsetsToTxn(_)
        | RequestKind::EndTxn(_) => true,
        RequestKind::FindCoordinator(_)
        | RequestKind::InitProducerId
        | RequestKind::TxnOffsetCommit(_) => false,
    };
    is_logged
        && matches!(
            code,
            ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR
        )
}
