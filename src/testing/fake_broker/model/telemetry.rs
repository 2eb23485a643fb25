//! The telemetry that the cluster requests from clients, and what they pushed. Java (broker):
//! `ClientMetricsManager`.
//!
//! Differs from Java: all clients have the same subscription, and may send requests as often as
//! they like.

use std::time::Duration;

use crate::common::{NodeId, Uuid};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{GetTelemetrySubscriptionsResponse, PushTelemetryRequest};
use crate::record::{CompressionType, decompress};

/// The largest payload that a test broker decompresses.
const MAX_DECOMPRESSED: usize = 64 * 1024 * 1024;

/// The metrics that a test broker requests from clients, and their form (KIP-714).
#[must_use]
#[derive(Clone, Debug)]
pub struct TelemetrySubscription {
    response: GetTelemetrySubscriptionsResponse,
}

impl TelemetrySubscription {
    /// Creates a subscription to the metrics whose names have one of these prefixes. `*` matches
    /// all metrics, and an empty list matches none. The rest has Kafka's defaults: one push every
    /// five minutes, cumulative sums, any codec, 1 MiB.
    pub fn new<P: Into<String>>(prefixes: impl IntoIterator<Item = P>) -> Self {
        Self {
            response: GetTelemetrySubscriptionsResponse {
                // The order of Kafka's brokers.
                accepted_compression_types: vec![4, 3, 1, 2],
                push_interval_ms: 300_000,
                telemetry_max_bytes: 1024 * 1024,
                requested_metrics: prefixes.into_iter().map(Into::into).collect(),
                ..GetTelemetrySubscriptionsResponse::default()
            },
        }
    }

    /// Sets how often the client should push.
    pub fn push_interval(mut self, interval: Duration) -> Self {
        self.response.push_interval_ms = i32::try_from(interval.as_millis()).unwrap_or(i32::MAX);
        self
    }

    /// Sets whether sums count only what was added since the last push.
    pub fn delta_temporality(mut self, is_delta: bool) -> Self {
        self.response.delta_temporality = is_delta;
        self
    }

    /// Sets the ids of the codecs that the broker accepts in addition to `none` (0), best first.
    pub fn accepted_compression_types(mut self, ids: impl IntoIterator<Item = i8>) -> Self {
        self.response.accepted_compression_types = ids.into_iter().collect();
        self
    }

    /// Sets the largest payload, in bytes.
    pub fn telemetry_max_bytes(mut self, bytes: i32) -> Self {
        self.response.telemetry_max_bytes = bytes;
        self
    }
}

/// Metrics that a client pushed and that the broker accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TelemetryPush {
    /// The node that received them.
    pub node: NodeId,
    /// The id of the client's instance.
    pub client_instance_id: Uuid,
    /// Whether the client marked this as its last push.
    pub is_terminating: bool,
    /// The codec, as `compression.type` names it.
    pub compression: &'static str,
    /// The size of the received payload, in bytes.
    pub compressed_bytes: usize,
    /// The payload, decompressed: OpenTelemetry's `MetricsData`.
    pub metrics: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    subscription: Option<TelemetrySubscription>,
    /// Increases with each subscription.
    subscription_id: i32,
    pub(crate) pushes: Vec<TelemetryPush>,
}

impl Telemetry {
    pub(crate) fn is_on(&self) -> bool {
        self.subscription.is_some()
    }

    pub(crate) fn subscribe(&mut self, subscription: Option<TelemetrySubscription>) {
        self.subscription = subscription;
        self.subscription_id += 1;
    }

    /// Returns what a client should push. A client without an id gets one.
    pub(crate) fn subscription_for(
        &self,
        client_instance_id: Uuid,
    ) -> Result<GetTelemetrySubscriptionsResponse, ErrorCode> {
        let subscription = self.subscription.as_ref();
        let subscription = subscription.ok_or(ErrorCode::UNSUPPORTED_VERSION)?;
        Ok(GetTelemetrySubscriptionsResponse {
            client_instance_id: match client_instance_id.is_zero() {
                true => Uuid::random(),
                false => client_instance_id,
            },
            subscription_id: self.subscription_id,
            ..subscription.response.clone()
        })
    }

    pub(crate) fn push(
        &mut self,
        node: NodeId,
        request: &PushTelemetryRequest,
    ) -> Result<(), ErrorCode> {
        let wanted = self.subscription_for(request.client_instance_id)?;
        if request.client_instance_id.is_zero() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        if request.subscription_id != self.subscription_id {
            return Err(ErrorCode::UNKNOWN_SUBSCRIPTION_ID);
        }
        let kind = CompressionType::from_id(request.compression_type.into());
        let is_accepted = request.compression_type == 0
            || wanted
                .accepted_compression_types
                .contains(&request.compression_type);
        let kind = kind.filter(|_| is_accepted);
        let kind = kind.ok_or(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE)?;
        let length = request.metrics.len();
        if usize::try_from(wanted.telemetry_max_bytes).is_ok_and(|most| length > most) {
            return Err(ErrorCode::TELEMETRY_TOO_LARGE);
        }
        let metrics = match kind {
            CompressionType::None => request.metrics.clone(),
            kind => decompress(kind, &request.metrics, MAX_DECOMPRESSED)
                .map_err(|_| ErrorCode::INVALID_RECORD)?,
        };
        self.pushes.push(TelemetryPush {
            node,
            client_instance_id: request.client_instance_id,
            is_terminating: request.terminating,
            compression: kind.as_str(),
            compressed_bytes: length,
            metrics,
        });
        Ok(())
    }
}
