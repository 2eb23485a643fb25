//! Amazon MSK with IAM. The token is a presigned request (`kafka-cluster:Connect`), sent with
//! OAUTHBEARER. Amazon's Java library: `IAMLoginModule`, `IAMOAuthBearerLoginCallbackHandler`.
//!
//! Threads: the thread that builds the producer, and the one that refreshes tokens.
//!
//! Differs from Amazon's library: its mechanism `AWS_MSK_IAM` sends the same signature in another
//! frame. The brokers accept both on the same port.

mod aws_credentials;
mod credentials_chain;
mod presigned_request;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

pub use aws_credentials::AwsCredentials;
use credentials_chain::CredentialsChain;
use presigned_request::PresignedRequest;

use super::{OAuthBearerToken, Provided, SaslFailure};
use crate::network::http::{HttpClient, HttpTimeouts};
use crate::sync::Arc;
use crate::utils::{Secret, Time};

/// The lifetime of a token. Amazon's library: `EXPIRY_DURATION_MINUTES`.
const LIFETIME_SECONDS: i64 = 900;

/// Short timeouts, because the metadata services are on the same machine.
const TIMEOUTS: HttpTimeouts = HttpTimeouts {
    connect: Duration::from_secs(1),
    read: Duration::from_secs(5),
};

/// The source of the AWS credentials.
#[derive(Clone)]
pub(crate) enum AwsOrigin {
    Provider(Arc<dyn Fn() -> Provided<AwsCredentials> + Send + Sync>),
    /// The environment, profile files, and metadata services, in the order of Amazon's SDKs.
    /// `profile` is `awsProfileName`.
    Chain {
        profile: Option<String>,
    },
}

impl fmt::Debug for AwsOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(_) => f.write_str("Provider(..)"),
            Self::Chain { profile } => f.debug_struct("Chain").field("profile", profile).finish(),
        }
    }
}

/// Creates tokens for the brokers of one region.
#[derive(Clone, Debug)]
pub(crate) struct MskIam {
    pub(crate) region: String,
    pub(crate) origin: AwsOrigin,
}

impl MskIam {
    /// Gets credentials, and signs a token with them.
    ///
    /// # Errors
    ///
    /// There are no credentials. The text contains no secret.
    ///
    /// # Blocking
    ///
    /// While files are read and metadata services are asked.
    pub(crate) fn token(&self, time: &dyn Time) -> Provided<OAuthBearerToken> {
        let credentials = match &self.origin {
            AwsOrigin::Provider(provider) => provider()?,
            AwsOrigin::Chain { profile } => {
                let client = HttpClient::without_proxy(TIMEOUTS);
                let chain = CredentialsChain {
                    profile: profile.as_deref(),
                    environment: &|name| std::env::var(name).ok(),
                    send: &|request| client.send(request),
                    pause: &|pause| time.sleep(pause),
                };
                let credentials = chain.credentials();
                credentials
                    .map_err(|reason| SaslFailure(format!("no AWS credentials: {reason}")))?
            }
        };
        Ok(token(&self.region, &credentials, time.unix_millis())?)
    }
}

/// Amazon's signer for Python: `generate_auth_token`.
fn token(
    region: &str,
    credentials: &AwsCredentials,
    now_ms: i64,
) -> Result<OAuthBearerToken, SaslFailure> {
    let ends_at = credentials.expiry().unwrap_or(i64::MAX);
    if ends_at <= now_ms {
        return Err(SaslFailure::new("the AWS credentials have expired"));
    }
    let host = format!("kafka.{region}.amazonaws.com");
    let request = PresignedRequest {
        host: &host,
        path: "/",
        query: &[("Action", "kafka-cluster:Connect")],
        region,
        service: "kafka-cluster",
        lifetime_seconds: LIFETIME_SECONDS,
        payload_hash: presigned_request::NO_PAYLOAD,
    };
    let query = request.query(credentials, now_ms / 1000);
    let query = query.ok_or_else(|| SaslFailure::new("the clock shows no time after 1970"))?;
    let agent = concat!("kafka-producer-rust%2F", env!("CARGO_PKG_VERSION"));
    let url = Zeroizing::new(format!("https://{host}/?{}&User-Agent={agent}", *query));
    let value = Secret::new(BASE64_URL_SAFE_NO_PAD.encode(&*url));
    // The signature covers whole seconds.
    let start = now_ms - now_ms.rem_euclid(1000);
    let end = start.saturating_add(LIFETIME_SECONDS * 1000).min(ends_at);
    Ok(OAuthBearerToken::from_millis(value, Some(start), end))
}
