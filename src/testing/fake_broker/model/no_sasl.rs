//! Replaces `sasl.rs` without the feature `sasl`: no listener expects SASL.

use std::time::Instant;

use super::api::Api;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};

#[derive(Clone, Debug, Default)]
pub(crate) struct SaslServer {}

#[derive(Debug, Default)]
pub(crate) struct SaslSession {}

impl SaslSession {
    pub(crate) fn refusal(
        &self,
        _server: &SaslServer,
        _api: Api,
        _now: Instant,
    ) -> Option<&'static str> {
        None
    }

    pub(crate) fn shake_hands(
        &self,
        _server: &SaslServer,
        _request: &SaslHandshakeRequest,
        _now: Instant,
    ) -> SaslHandshakeResponse {
        SaslHandshakeResponse {
            error_code: ErrorCode::ILLEGAL_SASL_STATE,
            ..SaslHandshakeResponse::default()
        }
    }

    pub(crate) fn authenticate(
        &self,
        _server: &SaslServer,
        _request: &SaslAuthenticateRequest,
        _now: Instant,
    ) -> SaslAuthenticateResponse {
        SaslAuthenticateResponse {
            error_code: ErrorCode::ILLEGAL_SASL_STATE,
            ..SaslAuthenticateResponse::default()
        }
    }
}
