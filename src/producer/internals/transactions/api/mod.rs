//! The requests of transactions, one file each: the body, the meaning of each error code, and the
//! verdict on a response. Java: the `TxnRequestHandler`s, as tables and functions without state.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod end_txn;
mod find_coordinator;
mod init_producer_id;
mod txn_offset_commit;
mod version;

pub(crate) use self::version::{TransactionVersion, usable_versions, usable_versions_of};
use super::TransactionConfig;
use super::queue::{CoordinatorKey, GroupOffsets, RequestKind};
use crate::common::{Node, TopicPartition};
use crate::error::{Error, ErrorKind};
use crate::producer::internals::sequences::ProducerIdAndEpoch;
use crate::protocol::{ErrorCode, RequestBody, ResponseBody};
use crate::sync::Arc;

/// The meaning of a response.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The broker did what was requested.
    Done(Done),
    Refused(Refusal),
    /// The response is unusable, for this reason. The request is sent again.
    Unusable(String),
    /// The response breaks the protocol. The producer cannot continue.
    Broken(Error),
}

impl Verdict {
    /// Adds the partition to the verdict, if it is an error.
    fn for_partition(self, topic_partition: TopicPartition) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(Refusal {
                error: refusal.error.for_partition(topic_partition),
                ..refusal
            }),
            verdict => verdict,
        }
    }
}

/// The action that a broker completed.
#[derive(Debug)]
pub(super) enum Done {
    CoordinatorFound(CoordinatorKey, Node),
    /// It assigned a producer id and epoch.
    Initialized(ProducerIdAndEpoch),
    PartitionsAdded(Vec<TopicPartition>),
    /// It added the group. Its offsets can now be committed.
    GroupAdded(GroupOffsets),
    OffsetsCommitted,
    /// It ended the transaction. The next one has this id and epoch, if the response contains them.
    Ended(Option<ProducerIdAndEpoch>),
}

/// The broker refused the request.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) reaction: Reaction,
    pub(super) error: Error,
}

/// The reaction to an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Another node is the coordinator: find it and retry.
    FindCoordinator,
    Retry,
    /// Another producer uses this transactional id now.
    Fenced,
    /// The transaction can only be aborted.
    Abortable,
    /// The transaction can only be aborted, and only if that can bump the epoch. Otherwise the
    /// error is fatal.
    AbortableIfBump,
    /// The producer lacks rights. It can be initialized again once it has them.
    Uninitialized,
    Fatal,
}

use Reaction::{Abortable, AbortableIfBump, Fatal, Fenced, FindCoordinator, Retry, Uninitialized};

/// The error codes of one API. If Java's versions differ, this follows 4.4.
struct ErrorTable {
    /// The codes that are special to the API.
    rows: &'static [(ErrorCode, Reaction)],
    /// The meaning of any code that is neither here nor in [`COMMON`], and not retriable.
    others: Reaction,
}

/// The meaning of a code in every API, unless the API's own table has it.
static COMMON: &[(ErrorCode, Reaction)] = &[
    (ErrorCode::NOT_COORDINATOR, FindCoordinator),
    (ErrorCode::COORDINATOR_NOT_AVAILABLE, FindCoordinator),
    (ErrorCode::INVALID_PRODUCER_EPOCH, Fenced),
    (ErrorCode::PRODUCER_FENCED, Fenced),
    (ErrorCode::TRANSACTION_ABORTABLE, Abortable),
    (ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Fatal),
    (ErrorCode::INVALID_TXN_STATE, Fatal),
    (ErrorCode::INVALID_PRODUCER_ID_MAPPING, Fatal),
];

impl ErrorTable {
    fn reaction(&self, code: ErrorCode) -> Reaction {
        let rows = self.rows.iter().chain(COMMON);
        let row = rows.into_iter().find(|(named, _)| *named == code);
        match row {
            Some((_, reaction)) => *reaction,
            None if code.is_retriable() => Retry,
            None => self.others,
        }
    }

    /// Returns the verdict on a response with an error code. `text` explains the code.
    fn refusal(&self, code: ErrorCode, text: String) -> Verdict {
        Verdict::Refused(Refusal {
            code,
            reaction: self.reaction(code),
            error: Error::from_code(code, text),
        })
    }
}

/// Returns the body of a request.
pub(super) fn body(
    kind: &RequestKind,
    config: &TransactionConfig,
    producer: ProducerIdAndEpoch,
) -> RequestBody {
    let id = Arc::clone(&config.transactional_id);
    match kind {
        RequestKind::FindCoordinator(key) => find_coordinator::body(key, id).into(),
        RequestKind::InitProducerId => init_producer_id::body(config, producer).into(),
        RequestKind::AddPartitionsToTxn(partitions) => {
            add_partitions_to_txn::body(partitions, id, producer).into()
        }
        RequestKind::AddOffsetsToTxn(offsets) => {
            add_offsets_to_txn::body(offsets, id, producer).into()
        }
        RequestKind::TxnOffsetCommit(commit) => {
            txn_offset_commit::body(commit, id, producer).into()
        }
        RequestKind::EndTxn(end) => end_txn::body(*end, id, producer).into(),
    }
}

/// Judges the response to a request. Removes committed offsets from the request.
pub(super) fn judge(
    kind: &mut RequestKind,
    body: ResponseBody,
    warn: &mut dyn FnMut(String),
) -> Verdict {
    match (&mut *kind, body) {
        (RequestKind::FindCoordinator(key), ResponseBody::FindCoordinator(body)) => {
            find_coordinator::judge(key, &body)
        }
        (RequestKind::InitProducerId, ResponseBody::InitProducerId(body)) => {
            init_producer_id::judge(&body)
        }
        (RequestKind::AddPartitionsToTxn(partitions), ResponseBody::AddPartitionsToTxn(body)) => {
            add_partitions_to_txn::judge(partitions, &body)
        }
        (RequestKind::AddOffsetsToTxn(offsets), ResponseBody::AddOffsetsToTxn(body)) => {
            add_offsets_to_txn::judge(offsets, &body)
        }
        (RequestKind::TxnOffsetCommit(commit), ResponseBody::TxnOffsetCommit(body)) => {
            txn_offset_commit::judge(commit, &body, warn)
        }
        (RequestKind::EndTxn(_), ResponseBody::EndTxn(body)) => end_txn::judge(&body),
        (kind, body) => {
            let text = format!("the response to {kind:?} is a {:?}", body.api_key());
            Verdict::Broken(Error::new(ErrorKind::Protocol, text))
        }
    }
}

/// Returns the producer id and epoch of a response, if they are valid.
fn valid_producer(producer_id: i64, epoch: i16) -> Option<ProducerIdAndEpoch> {
    let producer = ProducerIdAndEpoch { producer_id, epoch };
    Some(producer).filter(|producer| producer.is_valid() && producer.epoch >= 0)
}

#[cfg(test)]
mod tests;
