//! The requests of transactions, one file each: the body as it goes out, what each error code means, and the verdict on a
//! response. Java: the `TxnRequestHandler`s, as tables and functions without a state.

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

/// What a response means.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The broker did what was requested.
    Done(Done),
    Refused(Refusal),
    /// Nothing can be made of the response, for this reason. The request is sent again.
    Unusable(String),
    /// The response breaks the protocol. The producer cannot go on.
    Broken(Error),
}

impl Verdict {
    /// Returns the verdict as one about a partition, if it has an error.
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

/// What a broker did.
#[derive(Debug)]
pub(super) enum Done {
    CoordinatorFound(CoordinatorKey, Node),
    /// It gave out a producer id and epoch.
    Initialized(ProducerIdAndEpoch),
    PartitionsAdded(Vec<TopicPartition>),
    /// It added the group. Its offsets are to be committed.
    GroupAdded(GroupOffsets),
    OffsetsCommitted,
    /// It ended the transaction. The next one has this id and epoch, if the response brings them.
    Ended(Option<ProducerIdAndEpoch>),
}

/// The broker did not do what was requested.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) reaction: Reaction,
    pub(super) error: Error,
}

/// What is to be done about an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Another node is the coordinator: find it, and try again.
    FindCoordinator,
    Retry,
    /// Another producer has this transactional id now.
    Fenced,
    /// The transaction can only be aborted.
    Abortable,
    /// The transaction can only be aborted, if the epoch can be bumped then; else the producer is finished.
    AbortableIfBump,
    /// The producer has no rights to begin with. When it has been given them, it can be initialized again.
    Uninitialized,
    Fatal,
}

use Reaction::{Abortable, AbortableIfBump, Fatal, Fenced, FindCoordinator, Retry, Uninitialized};

/// The error codes of one API. Versions: where Java's own changed its mind, what 4.4 does.
struct ErrorTable {
    /// What the codes mean that are special to the API.
    rows: &'static [(ErrorCode, Reaction)],
    /// What a code means that is neither here nor in [`COMMON`], and is not retriable.
    others: Reaction,
}

/// What a code means in every API that does not say otherwise.
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

    /// Returns the verdict on a response with an error code, which `text` explains.
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

/// Judges the response to a request. Offsets that were committed are taken out of the request.
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

/// Returns the producer id and epoch of a response, if they are possible.
fn valid_producer(producer_id: i64, epoch: i16) -> Option<ProducerIdAndEpoch> {
    let producer = ProducerIdAndEpoch { producer_id, epoch };
    Some(producer).filter(|producer| producer.is_valid() && producer.epoch >= 0)
}

#[cfg(test)]
mod tests;
