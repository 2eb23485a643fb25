//! The JSON columns of the APIs of telemetry.

use super::{Fields, from_base64};
use crate::protocol::messages::*;

pub(super) fn get_telemetry_subscriptions_request(f: Fields) -> GetTelemetrySubscriptionsRequest {
    read_all!(
        f,
        GetTelemetrySubscriptionsRequest {
            client_instance_id: f.uuid("clientInstanceId"),
        }
    )
}

pub(super) fn get_telemetry_subscriptions_response(f: Fields) -> GetTelemetrySubscriptionsResponse {
    read_all!(
        f,
        GetTelemetrySubscriptionsResponse {
            throttle_time_ms: f.int("throttleTimeMs", 0),
            error_code: f.error_code("errorCode"),
            client_instance_id: f.uuid("clientInstanceId"),
            subscription_id: f.int("subscriptionId", 0),
            accepted_compression_types: f
                .ints("acceptedCompressionTypes")
                .iter()
                .map(|kind| i8::try_from(*kind).unwrap())
                .collect(),
            push_interval_ms: f.int("pushIntervalMs", 0),
            telemetry_max_bytes: f.int("telemetryMaxBytes", 0),
            delta_temporality: f.bool("deltaTemporality", false),
            requested_metrics: f
                .texts("requestedMetrics")
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    )
}

pub(super) fn push_telemetry_request(f: Fields) -> PushTelemetryRequest {
    read_all!(
        f,
        PushTelemetryRequest {
            client_instance_id: f.uuid("clientInstanceId"),
            subscription_id: f.int("subscriptionId", 0),
            terminating: f.bool("terminating", false),
            compression_type: f.int("compressionType", 0),
            metrics: from_base64(&f.text("metrics")),
        }
    )
}

pub(super) fn push_telemetry_response(f: Fields) -> PushTelemetryResponse {
    read_all!(
        f,
        PushTelemetryResponse {
            throttle_time_ms: f.int("throttleTimeMs", 0),
            error_code: f.error_code("errorCode"),
        }
    )
}
