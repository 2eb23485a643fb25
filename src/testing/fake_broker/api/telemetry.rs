//! Responds to GetTelemetrySubscriptions and PushTelemetry. Java (broker):
//! `KafkaApis.handleGetTelemetrySubscriptionsRequest`, `handlePushTelemetryRequest`.

use super::RequestContext;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequest,
    PushTelemetryResponse,
};
use crate::testing::fake_broker::model::cluster::Cluster;
use crate::testing::fake_broker::script::plan::Plan;

pub(crate) fn handle_get(
    cluster: &Cluster,
    plan: &Plan,
    request: &GetTelemetrySubscriptionsRequest,
) -> GetTelemetrySubscriptionsResponse {
    let telemetry = &cluster.telemetry;
    let answer = plan.around(|| telemetry.subscription_for(request.client_instance_id));
    answer.unwrap_or_else(|error_code| GetTelemetrySubscriptionsResponse {
        error_code,
        ..GetTelemetrySubscriptionsResponse::default()
    })
}

pub(crate) fn handle_push(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &PushTelemetryRequest,
) -> PushTelemetryResponse {
    let telemetry = &mut cluster.telemetry;
    let answer = context
        .plan
        .around(|| telemetry.push(context.node, request));
    PushTelemetryResponse {
        throttle_time_ms: 0,
        error_code: answer.err().unwrap_or(ErrorCode::NONE),
    }
}
