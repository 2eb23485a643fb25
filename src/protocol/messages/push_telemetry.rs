//! PushTelemetry (72): carries the client's metrics to the broker. Java: `PushTelemetryRequestData`,
//! `PushTelemetryResponseData`.
//!
//! Schemas: `PushTelemetryRequest.json`, `PushTelemetryResponse.json`, version 0. KIP-714.

use crate::common::Uuid;
use crate::protocol::{
    ApiKey, ApiRequest, DecodeError, EncodeError, ErrorCode, Message, Reader, Writer,
};

/// The metrics that a subscription requested.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PushTelemetryRequest {
    pub(crate) client_instance_id: Uuid,
    pub(crate) subscription_id: i32,
    /// Whether the client is closing and pushes nothing after this.
    pub(crate) terminating: bool,
    /// The id of the codec of `metrics`.
    pub(crate) compression_type: i8,
    /// OpenTelemetry's `MetricsData`, compressed.
    pub(crate) metrics: Vec<u8>,
}

impl ApiRequest for PushTelemetryRequest {
    const KEY: ApiKey = ApiKey::PushTelemetry;
    type Response = PushTelemetryResponse;
}

impl Message for PushTelemetryRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = Self::KEY.is_flexible(version);
        w.uuid(self.client_instance_id);
        w.i32(self.subscription_id);
        w.bool(self.terminating);
        w.i8(self.compression_type);
        w.bytes(&self.metrics, flexible)?;
        w.no_tagged_fields(flexible);
        Ok(())
    }

    #[inline]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = Self::KEY.is_flexible(version);
        let request = Self {
            client_instance_id: r.uuid()?,
            subscription_id: r.i32()?,
            terminating: r.bool()?,
            compression_type: r.i8()?,
            metrics: r.bytes(flexible)?.to_vec(),
        };
        r.skip_tagged_fields(flexible)?;
        Ok(request)
    }
}

/// The broker's response to a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PushTelemetryResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) error_code: ErrorCode,
}

impl Default for PushTelemetryResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
        }
    }
}

impl Message for PushTelemetryResponse {
    #[inline]
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.no_tagged_fields(ApiKey::PushTelemetry.is_flexible(version));
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let response = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
        };
        r.skip_tagged_fields(ApiKey::PushTelemetry.is_flexible(version))?;
        Ok(response)
    }
}
