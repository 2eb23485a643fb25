//! Answers InitProducerId: a new producer id with epoch 0. Java (broker): `TransactionCoordinator.handleInitProducerId`.
//!
//! Differs from Java: there is no transaction coordinator, so that transactional ids are refused.

use super::cluster::Cluster;
use super::script::Failure;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

pub(super) fn handle(
    cluster: &mut Cluster,
    request: &InitProducerIdRequest,
    failure: Option<&Failure>,
) -> InitProducerIdResponse {
    let refused = |error_code| InitProducerIdResponse {
        throttle_time_ms: 0,
        error_code,
        producer_id: -1,
        producer_epoch: -1,
    };
    if let Some(failure) = failure {
        return refused(failure.code);
    }
    match request.transactional_id.as_deref() {
        Some("") => return refused(ErrorCode::INVALID_REQUEST),
        Some(_) => return refused(ErrorCode::NOT_COORDINATOR),
        None => {}
    }
    // An id without an epoch, or an epoch without an id.
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return refused(ErrorCode::INVALID_REQUEST);
    }
    InitProducerIdResponse {
        throttle_time_ms: 0,
        error_code: ErrorCode::NONE,
        producer_id: cluster.new_producer_id(),
        producer_epoch: 0,
    }
}
