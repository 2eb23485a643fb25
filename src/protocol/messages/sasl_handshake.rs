//! SaslHandshake (17): the SASL mechanism of a connection. Java: `SaslHandshakeRequestData`,
//! `SaslHandshakeResponseData`.
//!
//! Schemas: `SaslHandshakeRequest.json`, `SaslHandshakeResponse.json`, versions 0-1. KIP-43,
//! KIP-152 (version 1: the following tokens are SaslAuthenticate requests).

use crate::protocol::{
    ApiKey, ApiRequest, DecodeError, EncodeError, ErrorCode, Message, Reader, Writer,
};

/// Requests a mechanism.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SaslHandshakeRequest {
    pub(crate) mechanism: String,
}

impl ApiRequest for SaslHandshakeRequest {
    const KEY: ApiKey = ApiKey::SaslHandshake;
    type Response = SaslHandshakeResponse;
}

impl Message for SaslHandshakeRequest {
    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.mechanism, false)
    }

    #[inline]
    fn decode(r: &mut Reader<'_>, _version: i16) -> Result<Self, DecodeError> {
        let mechanism = r.string(false)?.to_owned();
        Ok(Self { mechanism })
    }
}

/// Whether the broker supports the mechanism, and the ones that it supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SaslHandshakeResponse {
    pub(crate) error_code: ErrorCode,
    pub(crate) mechanisms: Vec<String>,
}

impl Default for SaslHandshakeResponse {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            mechanisms: Vec::new(),
        }
    }
}

impl Message for SaslHandshakeResponse {
    #[inline]
    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.error_code(self.error_code);
        w.array(&self.mechanisms, false, |w, mechanism| {
            w.string(mechanism, false)
        })
    }

    fn decode(r: &mut Reader<'_>, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            error_code: r.error_code()?,
            mechanisms: r.array(false, 2, |r| Ok(r.string(false)?.to_owned()))?,
        })
    }
}
