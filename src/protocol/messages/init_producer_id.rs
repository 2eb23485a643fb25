//! InitProducerId (22): a producer id and epoch. Java: `InitProducerIdRequestData`, `InitProducerIdResponseData`.
//!
//! Schemas: `InitProducerIdRequest.json`, `InitProducerIdResponse.json`, versions 0-5. KIP-98,
//! KIP-360 (version 3: the epoch that the producer wants bumped), KIP-588 (version 4:
//! PRODUCER_FENCED), KIP-890 (version 5: TRANSACTION_ABORTABLE).

use crate::protocol::{
    ApiKey, ApiRequest, DecodeError, EncodeError, ErrorCode, Message, Reader, Writer,
};
use crate::sync::Arc;

/// Requests a producer id, or the next epoch of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InitProducerIdRequest {
    /// Null for a producer with idempotence and without transactions.
    pub(crate) transactional_id: Option<Arc<str>>,
    pub(crate) transaction_timeout_ms: i32,
    /// Version 3+; -1 if there is none yet.
    pub(crate) producer_id: i64,
    /// Version 3+; -1 if there is none yet.
    pub(crate) producer_epoch: i16,
}

impl Default for InitProducerIdRequest {
    fn default() -> Self {
        Self {
            transactional_id: None,
            transaction_timeout_ms: 0,
            producer_id: -1,
            producer_epoch: -1,
        }
    }
}

impl ApiRequest for InitProducerIdRequest {
    const KEY: ApiKey = ApiKey::InitProducerId;
    type Response = InitProducerIdResponse;
}

impl Message for InitProducerIdRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = Self::KEY.is_flexible(version);
        w.nullable_string(self.transactional_id.as_deref(), flexible)?;
        w.i32(self.transaction_timeout_ms);
        if version >= 3 {
            w.i64(self.producer_id);
            w.i16(self.producer_epoch);
        } else if self.producer_id != -1 {
            return Err(EncodeError::UnsupportedField {
                field: "producer_id",
                version,
            });
        } else if self.producer_epoch != -1 {
            return Err(EncodeError::UnsupportedField {
                field: "producer_epoch",
                version,
            });
        }
        w.no_tagged_fields(flexible);
        Ok(())
    }

    #[inline]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = Self::KEY.is_flexible(version);
        let request = Self {
            transactional_id: r.nullable_string(flexible)?.map(Arc::from),
            transaction_timeout_ms: r.i32()?,
            producer_id: if version >= 3 { r.i64()? } else { -1 },
            producer_epoch: if version >= 3 { r.i16()? } else { -1 },
        };
        r.skip_tagged_fields(flexible)?;
        Ok(request)
    }
}

/// The producer's id and epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InitProducerIdResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) error_code: ErrorCode,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
}

impl Default for InitProducerIdResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            producer_id: -1,
            producer_epoch: 0,
        }
    }
}

impl Message for InitProducerIdResponse {
    #[inline]
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.no_tagged_fields(ApiKey::InitProducerId.is_flexible(version));
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let response = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            producer_id: r.i64()?,
            producer_epoch: r.i16()?,
        };
        r.skip_tagged_fields(ApiKey::InitProducerId.is_flexible(version))?;
        Ok(response)
    }
}
