//! Responds to AddOffsetsToTxn. Java (broker): `KafkaApis.handleAddOffsetsToTxnRequest`.

use super::{FIRST_VERSION_WITH_PRODUCER_FENCED, RequestContext};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use crate::sync::Arc;
use crate::testing::fake_broker::model::cluster::Cluster;
use crate::testing::fake_broker::model::transaction_metadata::ProducerIdAndEpoch;
use crate::testing::fake_broker::model::transactions::fenced;

pub(crate) fn handle(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let producer = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
    let knows_fenced = context.version >= FIRST_VERSION_WITH_PRODUCER_FENCED;
    let added = context.plan.around(|| {
        cluster
            .coordinated_transaction(&request.transactional_id, context.node)
            .and_then(|transaction| {
                transaction.begin_or_go_on(producer)?;
                transaction.groups.insert(Arc::clone(&request.group_id));
                Ok(())
            })
            .map_err(|code| fenced(code, knows_fenced))
    });
    AddOffsetsToTxnResponse {
        throttle_time_ms: 0,
        error_code: added.err().unwrap_or(ErrorCode::NONE),
    }
}
