//! OAUTHBEARER tokens from a token endpoint (OpenID Connect, KIP-768, KIP-1139, KIP-1258). Java: `HttpJwtRetriever`,
//! `ClientCredentialsJwtRetriever`, `JwtBearerJwtRetriever`, `Retry`.
//!
//! Threads: the thread that builds the producer, and the one that refreshes tokens.
//!
//! Differs from Java: redirects and untrusted certificates are not retried. There are timeouts even
//! if the configuration has none. Errors do not show a response without a token, because it may
//! contain other secrets. Whatever an error shows of a response is first searched for the client's
//! own secrets.

mod assertion;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use assertion::{Assertion, SignedAssertion};
use request::TokenMessage;
pub(crate) use request::TokenRequest;

use super::token::token_of;
use super::{OAuthBearerToken, SaslFailure};
use crate::network::http::{HttpClient, HttpFailure, HttpResponse, HttpTimeouts};
use crate::network::ssl::SslConfig;
use crate::utils::{Secret, Time, later, log, printable};

/// The endpoint that issues tokens, and how to request one.
#[derive(Clone, Debug)]
pub(crate) struct TokenEndpoint {
    /// `sasl.oauthbearer.token.endpoint.url`, already validated.
    pub(crate) url: Secret,
    /// The address for errors and logs.
    pub(crate) shown_url: String,
    pub(crate) request: TokenRequest,
    /// The TLS settings for `https`.
    pub(crate) ssl: Option<SslConfig>,
    pub(crate) timeouts: HttpTimeouts,
    pub(crate) retry_backoff: Duration,
    /// How long to retry.
    pub(crate) retry_backoff_max: Duration,
    pub(crate) scope_claim: String,
    pub(crate) sub_claim: String,
    pub(crate) extensions: Vec<(String, String)>,
}

impl TokenEndpoint {
    /// Requests a token.
    ///
    /// # Errors
    ///
    /// The endpoint returns none. The text contains no secret.
    ///
    /// # Blocking
    ///
    /// Until a response arrives, for up to `sasl.login.retry.backoff.max.ms` and the timeouts of one request.
    pub(crate) fn token(&self, time: &dyn Time) -> Result<OAuthBearerToken, SaslFailure> {
        let client = HttpClient::new(self.timeouts, self.ssl.as_ref());
        let client = client.map_err(|reason| self.failed(&reason))?;
        self.token_from(time, |message| {
            let mut headers = vec![
                ("Accept", "application/json"),
                ("Cache-Control", "no-cache"),
            ];
            let authorization = message.authorization.as_ref();
            headers.extend(authorization.map(|value| ("Authorization", value.expose())));
            client.post_form(self.url.expose(), &headers, message.body.expose())
        })
    }

    /// Requests a token with `send`.
    fn token_from(
        &self,
        time: &dyn Time,
        send: impl Fn(&TokenMessage) -> Result<HttpResponse, HttpFailure>,
    ) -> Result<OAuthBearerToken, SaslFailure> {
        let message = self.request.message(time.unix_millis());
        let message = message.map_err(|reason| self.failed(&reason))?;
        let attempt = || response::token_text(&send(&message)?);
        let text = self.retried(time, attempt).map_err(|reason| {
            // A server may return what it received.
            self.failed(&printable(&message.hide(&reason)).to_string())
        })?;
        let token = token_of(text.expose(), &self.scope_claim, &self.sub_claim);
        let token =
            token.map_err(|reason| self.failed(&format!("it sent no usable JWT: {reason}")))?;
        Ok(self.extensions.iter().fold(token, |token, (name, value)| {
            token.extension(name.clone(), value.clone())
        }))
    }

    /// Retries retriable failures, with pauses that double. Java: `Retry.execute`.
    fn retried<T>(
        &self,
        time: &dyn Time,
        attempt: impl Fn() -> Result<T, HttpFailure>,
    ) -> Result<T, String> {
        let end = later(time.now(), self.retry_backoff_max);
        let mut pause = self.retry_backoff;
        let mut attempts: u32 = 1;
        loop {
            let failure = match attempt() {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let left = end.saturating_duration_since(time.now());
            let wait = pause.min(left);
            if !failure.is_retriable || wait.is_zero() {
                return Err(match attempts {
                    1 => failure.reason,
                    attempts => format!("after {attempts} attempts: {}", failure.reason),
                });
            }
            log::debug!(
                "a request to the token endpoint {} failed, and is retried in {} ms",
                self.shown_url,
                wait.as_millis()
            );
            time.sleep(wait);
            pause = pause.saturating_mul(2);
            attempts = attempts.saturating_add(1);
        }
    }

    fn failed(&self, reason: &str) -> SaslFailure {
        SaslFailure(format!("the token endpoint {}: {reason}", self.shown_url))
    }
}
