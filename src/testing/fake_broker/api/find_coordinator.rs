//! Responds to FindCoordinator. Java (broker): `KafkaApis.handleFindCoordinatorRequest`.

use crate::protocol::ErrorCode;
use crate::protocol::messages::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use crate::sync::Arc;
use crate::testing::fake_broker::model::cluster::Cluster;
use crate::testing::fake_broker::model::coordinators::CoordinatorType;
use crate::testing::fake_broker::model::failure::Failure;

pub(crate) fn handle(
    cluster: &Cluster,
    request: &FindCoordinatorRequest,
    failure: Option<&Failure>,
) -> FindCoordinatorResponse {
    let coordinators = request.coordinator_keys.iter();
    FindCoordinatorResponse {
        throttle_time_ms: 0,
        coordinators: coordinators
            .map(|key| find_one(cluster, request.key_type, key, failure))
            .collect(),
    }
}

fn find_one(
    cluster: &Cluster,
    key_type: i8,
    key: &Arc<str>,
    failure: Option<&Failure>,
) -> Coordinator {
    let refused = |error_code, error_message| Coordinator {
        key: Arc::clone(key),
        node_id: -1,
        port: -1,
        error_code,
        error_message,
        ..Coordinator::default()
    };
    if let Some(failure) = failure {
        return refused(failure.code, failure.message.clone());
    }
    let Some(kind) = CoordinatorType::from_key_type(key_type) else {
        return refused(ErrorCode::INVALID_REQUEST, None);
    };
    let node = cluster.coordinator(kind, key);
    match node.and_then(|node| cluster.broker(node)) {
        Some(broker) => Coordinator {
            key: Arc::clone(key),
            node_id: broker.id.0,
            host: broker.host.clone(),
            port: i32::from(broker.port),
            error_code: ErrorCode::NONE,
            error_message: None,
        },
        None => refused(ErrorCode::COORDINATOR_NOT_AVAILABLE, None),
    }
}
