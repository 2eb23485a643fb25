//! The JSON columns of the APIs of SASL.

use super::{Fields, from_base64};
use crate::protocol::messages::*;

pub(super) fn sasl_handshake_request(f: Fields) -> SaslHandshakeRequest {
    read_all!(
        f,
        SaslHandshakeRequest {
            mechanism: f.text("mechanism"),
        }
    )
}

pub(super) fn sasl_handshake_response(f: Fields) -> SaslHandshakeResponse {
    read_all!(
        f,
        SaslHandshakeResponse {
            error_code: f.error_code("errorCode"),
            mechanisms: f
                .texts("mechanisms")
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    )
}

pub(super) fn sasl_authenticate_request(f: Fields) -> SaslAuthenticateRequest {
    read_all!(
        f,
        SaslAuthenticateRequest {
            auth_bytes: from_base64(&f.text("authBytes")),
        }
    )
}

pub(super) fn sasl_authenticate_response(f: Fields) -> SaslAuthenticateResponse {
    read_all!(
        f,
        SaslAuthenticateResponse {
            error_code: f.error_code("errorCode"),
            error_message: f.nullable_text("errorMessage"),
            auth_bytes: from_base64(&f.text("authBytes")),
            session_lifetime_ms: f.int("sessionLifetimeMs", 0),
        }
    )
}
