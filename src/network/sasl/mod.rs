//! Authentication by SASL: one file per mechanism, and the requests that carry their messages.
//! Java: `common.security.authenticator`, `common.security.{plain,scram,oauthbearer}`.
//!
//! Everything but the logins is bytes in, bytes out. What a broker sent is never trusted: it is bounded, checked, and escaped
//! where it is shown.

mod authenticator;
mod credentials;
#[cfg(feature = "gssapi")]
mod gssapi;
mod json;
mod login;
#[cfg(feature = "aws-msk-iam")]
mod msk_iam;
mod oauthbearer;
#[cfg(feature = "oauth-oidc")]
mod oidc;
mod plain;
mod sasl_login;
mod scram;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;

pub(super) use authenticator::SaslClientAuthenticator;
pub(crate) use credentials::Provided;
pub use credentials::{OAuthBearerToken, SaslCredentials};
#[cfg(all(test, feature = "gssapi", feature = "tls"))]
pub(crate) use gssapi::tests::gated_login;
#[cfg(feature = "gssapi")]
pub(crate) use gssapi::{KerberosConfig, KerberosLogin, Keytab, RenewConfig};
pub(crate) use json::json_text;
pub(crate) use login::{RefreshConfig, RefreshingLogin};
#[cfg(feature = "aws-msk-iam")]
pub use msk_iam::AwsCredentials;
#[cfg(feature = "aws-msk-iam")]
pub(crate) use msk_iam::{AwsOrigin, MskIam};
#[cfg(feature = "oauth-oidc")]
pub(crate) use oidc::{Assertion, SignedAssertion, TokenEndpoint, TokenRequest};
pub(crate) use sasl_login::{SaslLogin, SaslMechanism, Source};
pub(crate) use token::{UnsecuredClaims, read_token_file};

use super::Waker;
use crate::sync::Arc;
use crate::utils::SecretBytes;

/// Whom a connection authenticates to, and how the thread that polls it is woken.
#[cfg_attr(
    not(feature = "gssapi"),
    expect(
        dead_code,
        reason = "only Kerberos names the host, and works on another thread"
    )
)]
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// The name of the broker, as it is configured or advertised.
    pub(super) host: Arc<str>,
    pub(super) waker: Waker,
}

/// The client's side of one exchange of a mechanism. Java: `SaslClient`.
trait SaslClient: fmt::Debug + Send {
    /// Takes a message of the broker and returns the next message to send, if any. The message is
    /// empty before the client's first one.
    ///
    /// # Errors
    ///
    /// The mechanism does not allow the broker's message, or the message does not prove what it
    /// must prove.
    fn evaluate(&mut self, challenge: &[u8]) -> Result<Option<SecretBytes>, SaslFailure>;

    /// Returns whether the client has nothing more to send or to verify.
    fn is_complete(&self) -> bool;

    /// Returns the broker's reason for refusing the credentials, if it came in the mechanism's own
    /// messages.
    fn refusal(&self) -> Option<&str> {
        None
    }

    /// Returns whether the exchange failed for a reason that may pass.
    fn is_transient(&self) -> bool {
        false
    }
}

/// The reason why an exchange cannot succeed. The text contains no secret, and data from a broker
/// is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SaslFailure(pub(crate) String);

impl fmt::Display for SaslFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SaslFailure {}

impl SaslFailure {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Formats bytes from a broker for display.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    crate::utils::printable(&text).to_string()
}
