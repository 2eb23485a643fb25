//! Responds to InitProducerId with a producer id and epoch 0, or with the next epoch of a
//! transactional id. Java (broker): `TransactionCoordinator.handleInitProducerId`.

use super::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use crate::testing::fake_broker::model::cluster::Cluster;
use crate::testing::fake_broker::model::coordinators::CoordinatorType;
use crate::testing::fake_broker::model::transaction_metadata::ProducerIdAndEpoch;
use crate::testing::fake_broker::model::transactions::fenced;

/// The first version with PRODUCER_FENCED (KIP-588).
const FIRST_VERSION_WITH_PRODUCER_FENCED: i16 = 4;

/// `transaction.max.timeout.ms` of Kafka.
const MAX_TIMEOUT_MS: i32 = 15 * 60 * 1000;

pub(crate) fn handle(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &InitProducerIdRequest,
) -> InitProducerIdResponse {
    let answer = context.plan.around(|| {
        let knows_fenced = context.version >= FIRST_VERSION_WITH_PRODUCER_FENCED;
        init(cluster, context, request).map_err(|code| fenced(code, knows_fenced))
    });
    let (error_code, producer) = match answer {
        Ok(producer) => (ErrorCode::NONE, producer),
        Err(code) => (code, ProducerIdAndEpoch::new(-1, -1)),
    };
    InitProducerIdResponse {
        throttle_time_ms: 0,
        error_code,
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
    }
}

fn init(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &InitProducerIdRequest,
) -> Result<ProducerIdAndEpoch, ErrorCode> {
    // An id without an epoch, or an epoch without an id.
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let Some(id) = &request.transactional_id else {
        return Ok(ProducerIdAndEpoch::new(cluster.new_producer_id(), 0));
    };
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    if !(1..=MAX_TIMEOUT_MS).contains(&request.transaction_timeout_ms) {
        return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    }
    cluster.check_coordinator(CoordinatorType::Transaction, id, context.node)?;
    let expected = (request.producer_id != -1)
        .then(|| ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch));
    cluster.init_transactional_id(id, expected, request.transaction_timeout_ms)
}
