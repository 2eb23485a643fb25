//! SaslAuthenticate (36): a message of a SASL mechanism. Java: `SaslAuthenticateRequestData`,
//! `SaslAuthenticateResponseData`.
//!
//! Schemas: `SaslAuthenticateRequest.json`, `SaslAuthenticateResponse.json`, versions 0-2. KIP-152, KIP-368 (version 1: the
//! lifetime of the session).

use std::fmt;

use crate::protocol::{
    ApiKey, ApiRequest, DecodeError, EncodeError, ErrorCode, Message, Reader, Writer,
};

/// A message of the client. It may contain a password, so it is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct SaslAuthenticateRequest {
    pub(crate) auth_bytes: Vec<u8>,
}

impl fmt::Debug for SaslAuthenticateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaslAuthenticateRequest([hidden])")
    }
}

impl ApiRequest for SaslAuthenticateRequest {
    const KEY: ApiKey = ApiKey::SaslAuthenticate;
    type Response = SaslAuthenticateResponse;
}

impl Message for SaslAuthenticateRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = Self::KEY.is_flexible(version);
        w.bytes(&self.auth_bytes, flexible)?;
        w.no_tagged_fields(flexible);
        Ok(())
    }

    #[inline]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = Self::KEY.is_flexible(version);
        let auth_bytes = r.bytes(flexible)?.to_vec();
        r.skip_tagged_fields(flexible)?;
        Ok(Self { auth_bytes })
    }
}

/// A message of the broker, or its refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SaslAuthenticateResponse {
    pub(crate) error_code: ErrorCode,
    pub(crate) error_message: Option<String>,
    pub(crate) auth_bytes: Vec<u8>,
    /// Version 1+, ignorable. 0 if the session has no end.
    pub(crate) session_lifetime_ms: i64,
}

impl Default for SaslAuthenticateResponse {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            error_message: None,
            auth_bytes: Vec::new(),
            session_lifetime_ms: 0,
        }
    }
}

impl Message for SaslAuthenticateResponse {
    #[inline]
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = ApiKey::SaslAuthenticate.is_flexible(version);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_deref(), flexible)?;
        w.bytes(&self.auth_bytes, flexible)?;
        if version >= 1 {
            w.i64(self.session_lifetime_ms);
        }
        w.no_tagged_fields(flexible);
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = ApiKey::SaslAuthenticate.is_flexible(version);
        let response = Self {
            error_code: r.error_code()?,
            error_message: r.nullable_string(flexible)?.map(str::to_owned),
            auth_bytes: r.bytes(flexible)?.to_vec(),
            session_lifetime_ms: if version >= 1 { r.i64()? } else { 0 },
        };
        r.skip_tagged_fields(flexible)?;
        Ok(response)
    }
}
