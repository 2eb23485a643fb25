//! EndTxn (26): commits or aborts a transaction. Java: `EndTxnRequestData`, `EndTxnResponseData`.
//!
//! Schemas: `EndTxnRequest.json`, `EndTxnResponse.json`, versions 0-5. KIP-98, KIP-219 (1: throttling by the client),
//! KIP-588 (2: PRODUCER_FENCED), KIP-890 (4: TRANSACTION_ABORTABLE; 5: the broker bumps the epoch and answers with it).

use crate::protocol::{
    ApiKey, ApiRequest, DecodeError, EncodeError, ErrorCode, Message, Reader, Writer,
};
use crate::sync::Arc;

/// Ends the open transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndTxnRequest {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    /// Commits if set, and otherwise aborts.
    pub(crate) committed: bool,
}

impl Default for EndTxnRequest {
    fn default() -> Self {
        Self {
            transactional_id: Arc::from(""),
            producer_id: 0,
            producer_epoch: 0,
            committed: false,
        }
    }
}

impl ApiRequest for EndTxnRequest {
    const KEY: ApiKey = ApiKey::EndTxn;
    type Response = EndTxnResponse;
}

impl Message for EndTxnRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = Self::KEY.is_flexible(version);
        w.string(&self.transactional_id, flexible)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.bool(self.committed);
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
            committed: r.bool()?,
        };
        r.skip_tagged_fields(flexible)?;
        Ok(request)
    }
}

/// The result, and how to continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndTxnResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) error_code: ErrorCode,
    /// Version 5+, ignorable; -1 if there is none. The id and epoch of the next transaction.
    pub(crate) producer_id: i64,
    /// Version 5+, ignorable; -1 if there is none.
    pub(crate) producer_epoch: i16,
}

impl Default for EndTxnResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            producer_id: -1,
            producer_epoch: -1,
        }
    }
}

impl Message for EndTxnResponse {
    #[inline]
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        if version >= 5 {
            w.i64(self.producer_id);
            w.i16(self.producer_epoch);
        }
        w.no_tagged_fields(ApiKey::EndTxn.is_flexible(version));
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let response = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            producer_id: if version >= 5 { r.i64()? } else { -1 },
            producer_epoch: if version >= 5 { r.i16()? } else { -1 },
        };
        r.skip_tagged_fields(ApiKey::EndTxn.is_flexible(version))?;
        Ok(response)
    }
}
