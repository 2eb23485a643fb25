//! What each error code of a transactional response means. Java: the `handleResponse` of the `TxnRequestHandler`s, as
//! tables. Versions: where Java's own changed its mind, what 4.4 does.
//!
//! A code that a table does not name is tried again if it is retriable, and is what the table's last line says otherwise.

use super::requests::RequestKind;
use crate::protocol::ErrorCode;

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

struct ErrorTable {
    rows: &'static [(ErrorCode, Reaction)],
    others: Reaction,
}

static FIND_COORDINATOR: ErrorTable = ErrorTable {
    rows: &[
        (ErrorCode::COORDINATOR_NOT_AVAILABLE, Retry),
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, Abortable),
        (ErrorCode::TRANSACTION_ABORTABLE, Abortable),
        (ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Fatal),
    ],
    others: Fatal,
};

static INIT_PRODUCER_ID: ErrorTable = ErrorTable {
    rows: &[
        (ErrorCode::NOT_COORDINATOR, FindCoordinator),
        (ErrorCode::COORDINATOR_NOT_AVAILABLE, FindCoordinator),
        (ErrorCode::INVALID_PRODUCER_EPOCH, Fenced),
        (ErrorCode::PRODUCER_FENCED, Fenced),
        (
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            Uninitialized,
        ),
        (ErrorCode::CLUSTER_AUTHORIZATION_FAILED, Uninitialized),
        (ErrorCode::TRANSACTION_ABORTABLE, Abortable),
    ],
    others: Fatal,
};

static ADD_PARTITIONS_TO_TXN: ErrorTable = ErrorTable {
    rows: &[
        (ErrorCode::NOT_COORDINATOR, FindCoordinator),
        (ErrorCode::COORDINATOR_NOT_AVAILABLE, FindCoordinator),
        (ErrorCode::INVALID_PRODUCER_EPOCH, Fenced),
        (ErrorCode::PRODUCER_FENCED, Fenced),
        (ErrorCode::TRANSACTION_ABORTABLE, Abortable),
        (ErrorCode::TOPIC_AUTHORIZATION_FAILED, Abortable),
        (ErrorCode::OPERATION_NOT_ATTEMPTED, Abortable),
        (ErrorCode::UNKNOWN_PRODUCER_ID, AbortableIfBump),
        (ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Fatal),
        (ErrorCode::INVALID_TXN_STATE, Fatal),
        (ErrorCode::INVALID_PRODUCER_ID_MAPPING, Fatal),
    ],
    others: Abortable,
};

static ADD_OFFSETS_TO_TXN: ErrorTable = ErrorTable {
    rows: &[
        (ErrorCode::NOT_COORDINATOR, FindCoordinator),
        (ErrorCode::COORDINATOR_NOT_AVAILABLE, FindCoordinator),
        (ErrorCode::INVALID_PRODUCER_EPOCH, Fenced),
        (ErrorCode::PRODUCER_FENCED, Fenced),
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, Abortable),
        (ErrorCode::TRANSACTION_ABORTABLE, Abortable),
        (ErrorCode::UNKNOWN_PRODUCER_ID, AbortableIfBump),
        (ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Fatal),
        (ErrorCode::INVALID_TXN_STATE, Fatal),
        (ErrorCode::INVALID_PRODUCER_ID_MAPPING, Fatal),
    ],
    others: Fatal,
};

static TXN_OFFSET_COMMIT: ErrorTable = ErrorTable {
    rows: &[
        (ErrorCode::NOT_COORDINATOR, FindCoordinator),
        (ErrorCode::COORDINATOR_NOT_AVAILABLE, FindCoordinator),
        (ErrorCode::REQUEST_TIMED_OUT, FindCoordinator),
        (ErrorCode::INVALID_PRODUCER_EPOCH, Fenced),
        (ErrorCode::PRODUCER_FENCED, Fenced),
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, Abortable),
        (ErrorCode::FENCED_INSTANCE_ID, Abortable),
        (ErrorCode::UNKNOWN_MEMBER_ID, Abortable),
        (ErrorCode::ILLEGAL_GENERATION, Abortable),
        (ErrorCode::GROUP_ID_NOT_FOUND, Abortable),
        (ErrorCode::STALE_MEMBER_EPOCH, Abortable),
        (ErrorCode::TRANSACTION_ABORTABLE, Abortable),
        (ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Fatal),
        (ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT, Fatal),
    ],
    others: Fatal,
};

static END_TXN: ErrorTable = ErrorTable {
    rows: &[
        (ErrorCode::NOT_COORDINATOR, FindCoordinator),
        (ErrorCode::COORDINATOR_NOT_AVAILABLE, FindCoordinator),
        (ErrorCode::INVALID_PRODUCER_EPOCH, Fenced),
        (ErrorCode::PRODUCER_FENCED, Fenced),
        (ErrorCode::TRANSACTION_ABORTABLE, Abortable),
        (ErrorCode::UNKNOWN_PRODUCER_ID, AbortableIfBump),
        (ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Fatal),
        (ErrorCode::INVALID_TXN_STATE, Fatal),
        (ErrorCode::INVALID_PRODUCER_ID_MAPPING, Fatal),
    ],
    others: Fatal,
};

/// What an error code in the answer to such a request means.
pub(super) fn reaction(kind: &RequestKind, code: ErrorCode) -> Reaction {
    let table = match kind {
        RequestKind::FindCoordinator(_) => &FIND_COORDINATOR,
        RequestKind::InitProducerId => &INIT_PRODUCER_ID,
        RequestKind::AddPartitionsToTxn(_) => &ADD_PARTITIONS_TO_TXN,
        RequestKind::AddOffsetsToTxn(_) => &ADD_OFFSETS_TO_TXN,
        RequestKind::TxnOffsetCommit(_) => &TXN_OFFSET_COMMIT,
        RequestKind::EndTxn { .. } => &END_TXN,
    };
    let row = table.rows.iter().find(|(named, _)| *named == code);
    match row {
        Some((_, reaction)) => *reaction,
        None if code.is_retriable() => Retry,
        None => table.others,
    }
}
