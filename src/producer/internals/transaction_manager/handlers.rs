//! The requests of a transactional producer, on the I/O thread: what their answers mean. Java: the
//! `TxnRequestHandler`s.
//!
//! Differs from Java:
//! - A request without an answer, or with one that leaves open what the coordinator did, may reach the coordinator late. The
//!   protocol of version 1 cannot tell it from one of the next transaction, so that none begins before the epoch is bumped
//!   (reliability.md 1.3).
//! - An abort that the coordinator refuses to carry out is made by bumping the epoch, instead of leaving the producer where
//!   no call helps.

use std::time::{Duration, Instant};

use super::error_tables::{Reaction, reaction};
use super::requests::{CoordinatorKey, GroupOffsets, RequestKind, TxnRequest};
use super::sequence::ProducerIdAndEpoch;
use super::states::State;
use super::transaction::TransactionVersion;
use super::{ClusterFacts, Inner, TransactionManager};
use crate::client::{node_from_wire, printable};
use crate::common::TopicPartition;
use crate::error::{Error, ErrorKind};
use crate::protocol::messages::{
    AddPartitionsToTxnResponse, EndTxnResponse, FindCoordinatorResponse, InitProducerIdResponse,
    TxnOffsetCommitResponse,
};
use crate::protocol::{ErrorCode, ResponseBody};
use crate::utils::{ExponentialBackoff, log};

/// The longest wait for the end of the transaction before, where that is all that the first partition or offset of this one
/// waits for: it is nearly over. Java: `ADD_PARTITIONS_RETRY_BACKOFF_MS`.
pub(crate) const CONCURRENT_TRANSACTIONS_BACKOFF: Duration = Duration::from_millis(20);

impl TransactionManager {
    /// The request has no answer. `was_written` says whether a broker may have seen it.
    pub(crate) fn handle_disconnect(
        &self,
        mut request: TxnRequest,
        was_written: bool,
        now: Instant,
    ) {
        let mut inner = self.lock();
        inner.request_ended();
        inner.note_attempt(&mut request, was_written);
        inner.find_coordinator_of(&request, &self.retry_backoff, now);
        inner.retry(request, &self.retry_backoff, now);
    }

    /// The node speaks no version that can carry the request.
    pub(crate) fn handle_unsupported_version(&self, request: &TxnRequest, message: &str) {
        let error = Error::new(ErrorKind::UnsupportedVersion, message);
        let mut inner = self.lock();
        inner.request_ended();
        inner.note_answer(request, false);
        inner.fail_fatally(request, error);
    }

    pub(crate) fn handle_response(
        &self,
        request: TxnRequest,
        body: ResponseBody,
        facts: ClusterFacts,
    ) {
        let mut inner = self.lock();
        inner.request_ended();
        if let Some(error) = inner.fatal_error() {
            if let Ok(transaction) = inner.transaction() {
                transaction.fail(&request, &error);
            }
            return;
        }
        let backoff = &self.retry_backoff;
        match (&request.kind, body) {
            (RequestKind::FindCoordinator(key), ResponseBody::FindCoordinator(body)) => {
                let key = key.clone();
                inner.handle_find_coordinator(request, key, &body, backoff, facts);
            }
            (RequestKind::InitProducerId, ResponseBody::InitProducerId(body)) => {
                inner.handle_init_producer_id(request, &body, backoff, facts);
            }
            (RequestKind::AddPartitionsToTxn(_), ResponseBody::AddPartitionsToTxn(body)) => {
                inner.handle_add_partitions(request, &body, backoff, facts);
            }
            (RequestKind::AddOffsetsToTxn(_), ResponseBody::AddOffsetsToTxn(body)) => {
                inner.handle_add_offsets(request, body.error_code, backoff, facts);
            }
            (RequestKind::TxnOffsetCommit(_), ResponseBody::TxnOffsetCommit(body)) => {
                inner.handle_txn_offset_commit(request, &body, backoff, facts);
            }
            (RequestKind::EndTxn { .. }, ResponseBody::EndTxn(body)) => {
                inner.handle_end_txn(request, &body, backoff, facts);
            }
            (kind, body) => {
                let text = format!("{kind:?} was answered with {:?}", body.api_key());
                inner.fail_fatally(&request, Error::new(ErrorKind::Protocol, text));
            }
        }
    }
}

impl Inner {
    fn request_ended(&mut self) {
        if let Ok(transaction) = self.transaction() {
            transaction.has_request_in_flight = false;
        }
    }

    /// Remembers an attempt that may have done its work.
    fn note_attempt(&mut self, request: &mut TxnRequest, may_be_done: bool) {
        request.may_be_done |= may_be_done;
        self.note_answer(request, may_be_done);
        if may_be_done && request.kind.changes_transaction() {
            if let Ok(transaction) = self.transaction() {
                transaction.note_indefinite();
            }
        }
    }

    /// Lets who waits for a commit know whether it may have happened, after an answer that says that it did not, or none.
    #[expect(clippy::unused_self, reason = "reads as the others do")]
    fn note_answer(&self, request: &TxnRequest, may_be_done: bool) {
        if matches!(request.kind, RequestKind::EndTxn { committed: true }) {
            let may_be_done = may_be_done || request.may_be_done;
            request.result.set_may_be_done(may_be_done);
        }
    }

    pub(super) fn find_coordinator_of(
        &mut self,
        request: &TxnRequest,
        backoff: &ExponentialBackoff,
        now: Instant,
    ) {
        if let (Some(key), Ok(transaction)) = (request.kind.coordinator(), self.transaction()) {
            transaction.find_coordinator(key, backoff, now);
        }
    }

    /// Sends the request again after a wait; unless the transaction is aborted and will do without it.
    fn retry(&mut self, mut request: TxnRequest, backoff: &ExponentialBackoff, now: Instant) {
        let wait = backoff.backoff(request.attempts);
        request.attempts = request.attempts.saturating_add(1);
        self.retry_after(request, now + wait);
    }

    fn retry_after(&mut self, mut request: TxnRequest, at: Instant) {
        request.wait_until(at);
        let fatal = self.fatal_error();
        let Ok(transaction) = self.transaction() else {
            return;
        };
        match fatal {
            Some(error) => transaction.fail(&request, &error),
            None => transaction.queue.put_back(request),
        }
        self.drop_what_an_abort_does_without();
    }

    /// Does what the table says about an error code.
    fn react(
        &mut self,
        mut request: TxnRequest,
        code: ErrorCode,
        error: Error,
        backoff: &ExponentialBackoff,
        facts: ClusterFacts,
    ) {
        let reaction = reaction(&request.kind, code);
        log::debug!("{:?} was answered {code}: {reaction:?}", request.kind);
        request.may_be_done |= may_be_ended(&request.kind, code);
        self.note_attempt(&mut request, leaves_open(code));
        match reaction {
            Reaction::FindCoordinator => {
                request.result.set_refusal(error);
                self.find_coordinator_of(&request, backoff, facts.now);
                self.retry(request, backoff, facts.now);
            }
            Reaction::Retry => {
                request.result.set_refusal(error);
                if code == ErrorCode::CONCURRENT_TRANSACTIONS && self.follows_an_end(&request) {
                    let wait = backoff.backoff(request.attempts);
                    let wait = wait.min(CONCURRENT_TRANSACTIONS_BACKOFF);
                    return self.retry_after(request, facts.now + wait);
                }
                self.retry(request, backoff, facts.now);
            }
            Reaction::Fenced => {
                let error = self.fenced(code);
                self.fail_fatally(&request, error);
            }
            Reaction::Abortable => self.fail_abortably(request, error, facts),
            Reaction::AbortableIfBump => {
                let can_handle = self
                    .transaction()
                    .is_ok_and(|transaction| transaction.can_handle_abortable_error());
                match can_handle {
                    true => self.fail_abortably(request, error, facts),
                    false => self.fail_fatally(&request, error),
                }
            }
            Reaction::Uninitialized => self.fail_initialization(&request, &error),
            Reaction::Fatal => self.fail_fatally(&request, error),
        }
    }

    /// Whether the request is what lets the coordinator know of the transaction: what it is concurrent with is the end of the
    /// one before.
    fn follows_an_end(&mut self, request: &TxnRequest) -> bool {
        let Ok(transaction) = self.transaction() else {
            return false;
        };
        match request.kind {
            RequestKind::AddPartitionsToTxn(_) => transaction.partitions.is_empty(),
            RequestKind::TxnOffsetCommit(_) => transaction.version == TransactionVersion::V2,
            _ => false,
        }
    }

    fn fenced(&self, code: ErrorCode) -> Error {
        let id = self.transaction.as_ref();
        let id = id.map_or("", |transaction| &transaction.config.transactional_id);
        let text = format!(
            "this producer ({}) is fenced off: another one with transactional id {id} has taken over, or a transaction took \
             longer than transaction.timeout.ms; the coordinator answered {code}",
            self.producer
        );
        Error::from_code(ErrorCode::PRODUCER_FENCED, text)
    }

    /// Java: `abortableError`.
    fn fail_abortably(&mut self, request: TxnRequest, error: Error, facts: ClusterFacts) {
        if self.state == State::AbortingTransaction
            && matches!(request.kind, RequestKind::EndTxn { .. })
        {
            return self.abort_by_bump(request, error, facts);
        }
        let error = self.abortable(error);
        if let Ok(transaction) = self.transaction() {
            transaction.fail(&request, &error);
            transaction.require_bump_if_possible();
        }
        self.transition_to_abortable_error(error);
    }

    /// The coordinator does not carry the abort out. A new epoch aborts whatever it has under the old one.
    fn abort_by_bump(&mut self, request: TxnRequest, error: Error, facts: ClusterFacts) {
        match self.transaction() {
            Ok(transaction) if transaction.can_bump => {
                transaction.bump_required = true;
                self.finish_transaction(request, None, facts);
            }
            _ => self.fail_fatally(&request, error),
        }
    }

    fn fail_fatally(&mut self, request: &TxnRequest, error: Error) {
        let error = error.into_fatal();
        if let Ok(transaction) = self.transaction() {
            transaction.fail(request, &error);
        }
        self.transition_to_fatal_error(error);
    }

    /// There is no producer id because rights are missing. They may be given, so the producer can be initialized again.
    fn fail_initialization(&mut self, request: &TxnRequest, error: &Error) {
        self.set_producer(ProducerIdAndEpoch::NONE);
        if let Ok(transaction) = self.transaction() {
            transaction.fail(request, error);
            transaction.fail_all(error);
        }
        self.transition_or_fail(State::Uninitialized);
    }
}

/// Each API's answer.
impl Inner {
    fn handle_find_coordinator(
        &mut self,
        request: TxnRequest,
        key: CoordinatorKey,
        body: &FindCoordinatorResponse,
        backoff: &ExponentialBackoff,
        facts: ClusterFacts,
    ) {
        let [coordinator] = body.coordinators.as_slice() else {
            let count = body.coordinators.len();
            let text = format!("the search for the coordinator of {key:?} found {count} of them");
            return self.fail_fatally(&request, Error::new(ErrorKind::Protocol, text));
        };
        let code = coordinator.error_code;
        if !code.is_none() {
            let message = coordinator.error_message.as_deref().map(printable);
            let text = format!(
                "the coordinator of {key:?} cannot be found: {code}{}",
                message.map_or_else(String::new, |message| format!(" ({message})"))
            );
            return self.react(request, code, Error::from_code(code, text), backoff, facts);
        }
        let (id, host, port) = (coordinator.node_id, &coordinator.host, coordinator.port);
        match (node_from_wire(id, host, port, None), self.transaction()) {
            (Ok(node), Ok(transaction)) => {
                log::debug!("the coordinator of {key:?} is node {node}");
                transaction.set_coordinator(key, node);
                request.result.complete();
            }
            (Err(reason), _) => {
                let text = format!("the coordinator of {key:?} has no address: {reason}");
                self.warnings.warn(text, facts.now);
                self.retry(request, backoff, facts.now);
            }
            (_, Err(_)) => {}
        }
    }

    fn handle_init_producer_id(
        &mut self,
        request: TxnRequest,
        body: &InitProducerIdResponse,
        backoff: &ExponentialBackoff,
        facts: ClusterFacts,
    ) {
        let code = body.error_code;
        if !code.is_none() {
            let text = format!("the coordinator refuses a producer id: {code}");
            return self.react(request, code, Error::from_code(code, text), backoff, facts);
        }
        let producer = ProducerIdAndEpoch {
            producer_id: body.producer_id,
            epoch: body.producer_epoch,
        };
        if !producer.is_valid() || producer.epoch < 0 {
            let text = format!("the coordinator gave out an invalid {producer}");
            return self.fail_fatally(&request, Error::new(ErrorKind::Protocol, text));
        }
        log::info!("producer id set to {producer}");
        self.set_producer(producer);
        if let Ok(transaction) = self.transaction() {
            transaction.coordinator_answered();
            transaction.bump_required = false;
            transaction.is_epoch_unsafe = false;
            transaction.end(TransactionVersion::from_feature_level(
                facts.transaction_version,
            ));
        }
        self.transition_or_fail(State::Ready);
        request.result.complete();
    }

    fn handle_add_partitions(
        &mut self,
        request: TxnRequest,
        body: &AddPartitionsToTxnResponse,
        backoff: &ExponentialBackoff,
        facts: ClusterFacts,
    ) {
        let RequestKind::AddPartitionsToTxn(partitions) = &request.kind else {
            return;
        };
        let Some((code, error)) = add_partitions_error(&request.kind, body) else {
            let partitions = partitions.clone();
            if let Ok(transaction) = self.transaction() {
                transaction.coordinator_answered();
                transaction.partitions_answered(&partitions, true);
            }
            request.result.complete();
            return;
        };
        self.react(request, code, error, backoff, facts);
    }

    fn handle_add_offsets(
        &mut self,
        request: TxnRequest,
        code: ErrorCode,
        backoff: &ExponentialBackoff,
        facts: ClusterFacts,
    ) {
        let RequestKind::AddOffsetsToTxn(offsets) = &request.kind else {
            return;
        };
        if !code.is_none() {
            let text = format!(
                "the offsets of group {} cannot join the transaction: {code}",
                offsets.group_id
            );
            return self.react(request, code, Error::from_code(code, text), backoff, facts);
        }
        let commit = RequestKind::TxnOffsetCommit(offsets.clone());
        if let Ok(transaction) = self.transaction() {
            transaction.coordinator_answered();
            transaction.is_started = true;
            let commit = TxnRequest::new(commit, request.result);
            transaction.queue.push(commit);
        }
        self.drop_what_an_abort_does_without();
    }

    /// Nothing more is asked for a transaction that is being aborted.
    fn drop_what_an_abort_does_without(&mut self) {
        if self.state == State::AbortingTransaction {
            if let Ok(transaction) = self.transaction() {
                transaction.drop_unsent(&super::operations::transaction_aborted());
            }
        }
    }

    fn handle_txn_offset_commit(
        &mut self,
        mut request: TxnRequest,
        body: &TxnOffsetCommitResponse,
        backoff: &ExponentialBackoff,
        facts: ClusterFacts,
    ) {
        let RequestKind::TxnOffsetCommit(commit) = &mut request.kind else {
            return;
        };
        let worst = commit.remove_committed(body, &mut self.warnings, facts.now);
        match worst {
            Some(code) => {
                let text = offsets_refused(commit, code);
                self.react(request, code, Error::from_code(code, text), backoff, facts);
            }
            None if commit.offsets.is_empty() => {
                if let Ok(transaction) = self.transaction() {
                    transaction.coordinator_answered();
                }
                request.result.complete();
            }
            None => {
                let text = format!(
                    "the response to an offset commit of group {} leaves partitions out",
                    commit.group_id
                );
                self.warnings.warn(text, facts.now);
                self.retry(request, backoff, facts.now);
            }
        }
    }

    fn handle_end_txn(
        &mut self,
        request: TxnRequest,
        body: &EndTxnResponse,
        backoff: &ExponentialBackoff,
        facts: ClusterFacts,
    ) {
        let code = body.error_code;
        if !code.is_none() {
            let why = match code {
                // The error names nothing that its reader could change.
                ErrorCode::INVALID_TXN_STATE => {
                    ", because it has none, as after one that takes longer than transaction.timeout.ms"
                }
                _ => "",
            };
            let text = format!("the coordinator did not end the transaction: {code}{why}");
            return self.react(request, code, Error::from_code(code, text), backoff, facts);
        }
        let producer = ProducerIdAndEpoch {
            producer_id: body.producer_id,
            epoch: body.producer_epoch,
        };
        let next = Some(producer).filter(|producer| producer.is_valid() && producer.epoch >= 0);
        if let Ok(transaction) = self.transaction() {
            transaction.coordinator_answered();
            if transaction.version == TransactionVersion::V2 && next.is_none() {
                // Without the epoch that it was bumped to the next transaction would be fenced.
                transaction.bump_required = true;
            }
        }
        self.finish_transaction(request, next, facts);
    }

    /// The transaction has ended. The next one may begin at once, or when the epoch is bumped. Java: `completeTransaction`,
    /// and the second half of `beginCompletingTransaction`.
    pub(super) fn finish_transaction(
        &mut self,
        request: TxnRequest,
        next: Option<ProducerIdAndEpoch>,
        facts: ClusterFacts,
    ) {
        if let Some(producer) = next {
            self.set_producer(producer);
        }
        let has_producer_id = self.producer.is_valid();
        let Ok(transaction) = self.transaction() else {
            return;
        };
        if matches!(request.kind, RequestKind::EndTxn { committed: true }) {
            request.result.settle();
        }
        let version = TransactionVersion::from_feature_level(facts.transaction_version);
        let is_upgrade = transaction.version != version && version == TransactionVersion::V2;
        transaction.end(version);
        let is_unsafe = transaction.is_epoch_unsafe;
        let wants_bump = transaction.bump_required || is_unsafe || is_upgrade || !has_producer_id;
        if wants_bump && (transaction.can_bump || !has_producer_id) {
            let bump = TxnRequest::new(RequestKind::InitProducerId, request.result);
            transaction.queue.push(bump);
            self.transition_or_fail(State::Initializing);
        } else if is_unsafe {
            let text = "a request of the last transaction may still be under way, and these brokers (before Kafka 2.5) \
                        cannot keep it out of the next one: close this producer and open another";
            request.result.complete();
            self.transition_to_fatal_error(Error::new(ErrorKind::Transaction, text));
        } else {
            self.transition_or_fail(State::Ready);
            request.result.complete();
        }
    }
}

/// Whether a coordinator that answers so may have done what it was asked for.
fn leaves_open(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UNKNOWN_SERVER_ERROR | ErrorCode::REQUEST_TIMED_OUT
    ) || code.name().is_none()
}

/// Whether a coordinator that answers so may have written the end of the transaction all the same: its log says one of these
/// where the followers do not follow, or it has lost its place meanwhile.
fn may_be_ended(kind: &RequestKind, code: ErrorCode) -> bool {
    matches!(kind, RequestKind::EndTxn { .. })
        && matches!(
            code,
            ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR
        )
}

/// The first error that decides for all partitions, or else what was said of single ones; `None` if all were added.
fn add_partitions_error(
    kind: &RequestKind,
    body: &AddPartitionsToTxnResponse,
) -> Option<(ErrorCode, Error)> {
    let results = body.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|result| (&topic.name, result.partition_index, result.error_code))
    });
    let failed: Vec<_> = results.filter(|(_, _, code)| !code.is_none()).collect();
    let deciding = failed.iter().find(|(_, _, code)| {
        *code == ErrorCode::TRANSACTION_ABORTABLE || reaction(kind, *code) != Reaction::Abortable
    });
    let unauthorized = failed
        .iter()
        .find(|(_, _, code)| *code == ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let (topic, partition, code) = *deciding.or(unauthorized).or_else(|| failed.first())?;
    let text = format!("the partition cannot join the transaction: {code}");
    let error = Error::from_code(code, text);
    let topic_partition = TopicPartition::new(&**topic, partition);
    Some((code, error.for_partition(topic_partition)))
}

/// Says why the group's coordinator does not commit the offsets.
fn offsets_refused(commit: &GroupOffsets, code: ErrorCode) -> String {
    let group_id = &commit.group_id;
    match code {
        ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::ILLEGAL_GENERATION
        | ErrorCode::GROUP_ID_NOT_FOUND
        | ErrorCode::STALE_MEMBER_EPOCH => format!(
            "the offsets of group {group_id} cannot be committed with the transaction, because the consumer group metadata \
             (generation {}, member '{}') does not match the group: {code}",
            commit.group.generation_id(),
            commit.group.member_id()
        ),
        _ => format!(
            "the offsets of group {group_id} cannot be committed with the transaction: {code}"
        ),
    }
}
