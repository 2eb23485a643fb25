//! Answers InitProducerId: a producer id with epoch 0, or the next epoch of a transactional id. Java (broker):
//! `TransactionCoordinator.handleInitProducerId`.

use super::cluster::Cluster;
use super::coordinators::CoordinatorType;
use super::handler::RequestContext;
use super::transaction_coordinator::{fenced, next_producer_id};
use super::transaction_metadata::{ProducerIdAndEpoch, TransactionMetadata};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use crate::sync::Arc;

/// The first version with PRODUCER_FENCED (KIP-588).
const FIRST_VERSION_WITH_PRODUCER_FENCED: i16 = 4;

/// `transaction.max.timeout.ms` of Kafka.
const MAX_TIMEOUT_MS: i32 = 15 * 60 * 1000;

pub(super) fn handle(
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

impl Cluster {
    /// The next epoch of a transactional id, whose open transaction is aborted first.
    pub(super) fn init_transactional_id(
        &mut self,
        id: &Arc<str>,
        expected: Option<ProducerIdAndEpoch>,
        timeout_ms: i32,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        let fence = self.fence();
        let producer_ids = &mut self.next_producer_id;
        let transaction = self
            .transactions
            .entry(Arc::clone(id))
            .or_insert_with(|| TransactionMetadata::new(next_producer_id(producer_ids)));
        let initialized = transaction.init(expected, timeout_ms, fence, || {
            next_producer_id(producer_ids)
        });
        self.write_markers();
        initialized
    }
}
