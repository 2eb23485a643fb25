//! Responds to EndTxn. Java (broker): `KafkaApis.handleEndTxnRequest`.

use super::{FIRST_VERSION_WITH_PRODUCER_FENCED, RequestContext};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{EndTxnRequest, EndTxnResponse};
use crate::testing::fake_broker::model::cluster::Cluster;
use crate::testing::fake_broker::model::transaction_metadata::ProducerIdAndEpoch;
use crate::testing::fake_broker::model::transactions::fenced;

/// The version of EndTxn whose response has the next epoch (KIP-890).
const FIRST_END_TXN_WITH_NEXT_EPOCH: i16 = 5;

pub(crate) fn handle(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &EndTxnRequest,
) -> EndTxnResponse {
    let knows_fenced = context.version >= FIRST_VERSION_WITH_PRODUCER_FENCED;
    let ended = context
        .plan
        .around(|| end(cluster, context, request).map_err(|code| fenced(code, knows_fenced)));
    match ended {
        Ok(next) => EndTxnResponse {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            producer_id: next.producer_id,
            producer_epoch: next.epoch,
        },
        Err(error_code) => EndTxnResponse {
            error_code,
            ..EndTxnResponse::default()
        },
    }
}

/// Returns the producer's id and epoch for the next transaction.
fn end(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &EndTxnRequest,
) -> Result<ProducerIdAndEpoch, ErrorCode> {
    let id = &request.transactional_id;
    let producer = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
    let bumps = context.version >= FIRST_END_TXN_WITH_NEXT_EPOCH;
    cluster.coordinated_transaction(id, context.node)?;
    cluster.end_transaction(id, producer, request.committed, bumps)
}
