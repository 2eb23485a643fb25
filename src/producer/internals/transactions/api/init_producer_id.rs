//! InitProducerId: requests a producer id, or the next epoch of the current one. Java:
//! `InitProducerIdHandler`.

use super::{Done, ErrorTable, Fatal, Uninitialized, Verdict, valid_producer};
use crate::error::{Error, ErrorKind};
use crate::producer::internals::sequences::ProducerIdAndEpoch;
use crate::producer::internals::transactions::TransactionConfig;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use crate::sync::Arc;

pub(super) static ERRORS: ErrorTable = ErrorTable {
    rows: &[
        (
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            Uninitialized,
        ),
        (ErrorCode::CLUSTER_AUTHORIZATION_FAILED, Uninitialized),
    ],
    others: Fatal,
};

pub(super) fn body(
    config: &TransactionConfig,
    producer: ProducerIdAndEpoch,
) -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: Some(Arc::clone(&config.transactional_id)),
        transaction_timeout_ms: config.transaction_timeout_ms,
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
    }
}

pub(super) fn judge(body: &InitProducerIdResponse) -> Verdict {
    let code = body.error_code;
    if !code.is_none() {
        let text = format!("the coordinator refused a producer id: {code}");
        return ERRORS.refusal(code, text);
    }
    match valid_producer(body.producer_id, body.producer_epoch) {
        Some(producer) => Verdict::Done(Done::Initialized(producer)),
        None => {
            let invalid = ProducerIdAndEpoch {
                producer_id: body.producer_id,
                epoch: body.producer_epoch,
            };
            let text = format!("the coordinator returned an invalid {invalid}");
            Verdict::Broken(Error::new(ErrorKind::Protocol, text))
        }
    }
}
