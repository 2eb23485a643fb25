//! EndTxn: commits or aborts the transaction. Java: `EndTxnHandler`.

use super::{AbortableIfBump, Done, ErrorTable, Fatal, Verdict, valid_producer};
use crate::producer::internals::sequences::ProducerIdAndEpoch;
use crate::producer::internals::transactions::state::End;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{EndTxnRequest, EndTxnResponse};
use crate::sync::Arc;

pub(super) static ERRORS: ErrorTable = ErrorTable {
    rows: &[(ErrorCode::UNKNOWN_PRODUCER_ID, AbortableIfBump)],
    others: Fatal,
};

pub(super) fn body(
    end: End,
    transactional_id: Arc<str>,
    producer: ProducerIdAndEpoch,
) -> EndTxnRequest {
    EndTxnRequest {
        transactional_id,
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
        committed: end == End::Commit,
    }
}

pub(super) fn judge(body: &EndTxnResponse) -> Verdict {
    let code = body.error_code;
    if !code.is_none() {
        let why = match code {
            // The error names nothing that the reader could change.
            ErrorCode::INVALID_TXN_STATE => {
                ", because it has no open transaction (it aborts one that takes longer than transaction.timeout.ms)"
            }
            _ => "",
        };
        let text = format!("the coordinator did not end the transaction: {code}{why}");
        return ERRORS.refusal(code, text);
    }
    Verdict::Done(Done::Ended(valid_producer(
        body.producer_id,
        body.producer_epoch,
    )))
}
