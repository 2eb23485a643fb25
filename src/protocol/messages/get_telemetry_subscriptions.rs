//! GetTelemetrySubscriptions (71): requests the metrics to push to the broker, and the interval.
//! Java: `GetTelemetrySubscriptionsRequestData`, `GetTelemetrySubscriptionsResponseData`.
//!
//! Schemas: `GetTelemetrySubscriptionsRequest.json`, `GetTelemetrySubscriptionsResponse.json`, version 0. KIP-714.

use crate::common::Uuid;
use crate::protocol::{
    ApiKey, ApiRequest, DecodeError, EncodeError, ErrorCode, Message, Reader, Writer,
};

/// Requests the client's subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GetTelemetrySubscriptionsRequest {
    /// Zero to request an id from the broker.
    pub(crate) client_instance_id: Uuid,
}

impl ApiRequest for GetTelemetrySubscriptionsRequest {
    const KEY: ApiKey = ApiKey::GetTelemetrySubscriptions;
    type Response = GetTelemetrySubscriptionsResponse;
}

impl Message for GetTelemetrySubscriptionsRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.uuid(self.client_instance_id);
        w.no_tagged_fields(Self::KEY.is_flexible(version));
        Ok(())
    }

    #[inline]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let client_instance_id = r.uuid()?;
        r.skip_tagged_fields(Self::KEY.is_flexible(version))?;
        Ok(Self { client_instance_id })
    }
}

/// The subscription of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GetTelemetrySubscriptionsResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) error_code: ErrorCode,
    pub(crate) client_instance_id: Uuid,
    pub(crate) subscription_id: i32,
    /// The ids of codecs, in the order of the broker's preference.
    pub(crate) accepted_compression_types: Vec<i8>,
    pub(crate) push_interval_ms: i32,
    /// The largest payload that the broker accepts, in bytes.
    pub(crate) telemetry_max_bytes: i32,
    pub(crate) delta_temporality: bool,
    /// Prefixes of metric names.
    pub(crate) requested_metrics: Vec<String>,
}

impl Default for GetTelemetrySubscriptionsResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            client_instance_id: Uuid::ZERO,
            subscription_id: 0,
            accepted_compression_types: Vec::new(),
            push_interval_ms: 0,
            telemetry_max_bytes: 0,
            delta_temporality: false,
            requested_metrics: Vec::new(),
        }
    }
}

impl Message for GetTelemetrySubscriptionsResponse {
    #[inline]
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = ApiKey::GetTelemetrySubscriptions.is_flexible(version);
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.uuid(self.client_instance_id);
        w.i32(self.subscription_id);
        w.array(&self.accepted_compression_types, flexible, |w, kind| {
            w.i8(*kind);
            Ok(())
        })?;
        w.i32(self.push_interval_ms);
        w.i32(self.telemetry_max_bytes);
        w.bool(self.delta_temporality);
        w.array(&self.requested_metrics, flexible, |w, prefix| {
            w.string(prefix, flexible)
        })?;
        w.no_tagged_fields(flexible);
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = ApiKey::GetTelemetrySubscriptions.is_flexible(version);
        let response = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            client_instance_id: r.uuid()?,
            subscription_id: r.i32()?,
            accepted_compression_types: r.array(flexible, 1, Reader::i8)?,
            push_interval_ms: r.i32()?,
            telemetry_max_bytes: r.i32()?,
            delta_temporality: r.bool()?,
            requested_metrics: r.array(flexible, 1, |r| r.string(flexible).map(str::to_owned))?,
        };
        r.skip_tagged_fields(flexible)?;
        Ok(response)
    }
}
