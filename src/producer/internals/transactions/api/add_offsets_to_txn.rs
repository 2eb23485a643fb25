//! AddOffsetsToTxn: adds the offsets of a group to the transaction (version 1). Java:
//! `AddOffsetsToTxnHandler`.

use super::{Abortable, AbortableIfBump, Done, ErrorTable, Fatal, Verdict};
use crate::producer::internals::sequences::ProducerIdAndEpoch;
use crate::producer::internals::transactions::queue::GroupOffsets;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use crate::sync::Arc;

pub(super) static ERRORS: ErrorTable = ErrorTable {
    rows: &[
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, Abortable),
        (ErrorCode::UNKNOWN_PRODUCER_ID, AbortableIfBump),
    ],
    others: Fatal,
};

pub(super) fn body(
    offsets: &GroupOffsets,
    transactional_id: Arc<str>,
    producer: ProducerIdAndEpoch,
) -> AddOffsetsToTxnRequest {
    AddOffsetsToTxnRequest {
        transactional_id,
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
        group_id: Arc::clone(&offsets.group_id),
    }
}

pub(super) fn judge(offsets: &GroupOffsets, body: &AddOffsetsToTxnResponse) -> Verdict {
    let code = body.error_code;
    if !code.is_none() {
        let text = format!(
            "the offsets of group {} cannot join the transaction: {code}",
            offsets.group_id
        );
        return ERRORS.refusal(code, text);
    }
    Verdict::Done(Done::GroupAdded(offsets.clone()))
}
