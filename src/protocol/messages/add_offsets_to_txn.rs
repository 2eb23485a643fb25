//! AddOffsetsToTxn (25): tells the transaction coordinator that offsets of a consumer group are about to be written.
//! Java: `AddOffsetsToTxnRequestData`, `AddOffsetsToTxnResponseData`.
//!
//! Schemas: `AddOffsetsToTxnRequest.json`, `AddOffsetsToTxnResponse.json`, versions 0-4. KIP-98, KIP-219 (1: throttling
//! by the client), KIP-588 (2: PRODUCER_FENCED), KIP-890 (4: TRANSACTION_ABORTABLE).

use crate::protocol::{
    ApiKey, ApiRequest, DecodeError, EncodeError, ErrorCode, Message, Reader, Writer,
};
use crate::sync::Arc;

/// A group whose offsets are added to the open transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddOffsetsToTxnRequest {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) group_id: Arc<str>,
}

impl Default for AddOffsetsToTxnRequest {
    fn default() -> Self {
        Self {
            transactional_id: Arc::from(""),
            producer_id: 0,
            producer_epoch: 0,
            group_id: Arc::from(""),
        }
    }
}

impl ApiRequest for AddOffsetsToTxnRequest {
    const KEY: ApiKey = ApiKey::AddOffsetsToTxn;
    type Response = AddOffsetsToTxnResponse;
}

impl Message for AddOffsetsToTxnRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = Self::KEY.is_flexible(version);
        w.string(&self.transactional_id, flexible)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.string(&self.group_id, flexible)?;
        w.no_tagged_fields(flexible);
        Ok(())
    }

    #[inline]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = Self::KEY.is_flexible(version);
        let request = Self {
            transactional_id: Arc::from(r.string(flexible)?),
            producer_id: r.i64()?,
            producer_epoch: r.i16()?,
            group_id: Arc::from(r.string(flexible)?),
        };
        r.skip_tagged_fields(flexible)?;
        Ok(request)
    }
}

/// The result of adding the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddOffsetsToTxnResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) error_code: ErrorCode,
}

impl Default for AddOffsetsToTxnResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
        }
    }
}

impl Message for AddOffsetsToTxnResponse {
    #[inline]
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.no_tagged_fields(ApiKey::AddOffsetsToTxn.is_flexible(version));
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let response = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
        };
        r.skip_tagged_fields(ApiKey::AddOffsetsToTxn.is_flexible(version))?;
        Ok(response)
    }
}
