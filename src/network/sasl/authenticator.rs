//! The requests that carry a mechanism's messages: ApiVersions, SaslHandshake, SaslAuthenticate.
//! Java: `SaslClientAuthenticator`.
//!
//! Differs from Java: if a broker does not support SaslAuthenticate (before 1.0), the client waits
//! for the response to the last token. It also checks the broker's list of versions for an error.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use zeroize::{Zeroize, Zeroizing};

#[cfg(feature = "gssapi")]
use super::gssapi::PendingToken;
use super::sasl_login::Beginning;
use super::{Peer, SaslClient, SaslFailure, SaslLogin};
use crate::network::Disconnect;
use crate::network::authenticator::{Authenticator, Received};
use crate::protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, SaslAuthenticateRequest, SaslAuthenticateResponse,
    SaslHandshakeRequest, SaslHandshakeResponse,
};
use crate::protocol::{
    ApiKey, ErrorCode, RequestBody, RequestHeader, ResponseBody, decode_response, encode_request,
};
use crate::sync::Arc;
use crate::utils::{log, printable};

/// The correlation ids of these requests. No other request uses them, so responses that arrive
/// during a re-authentication can be told apart.
const CORRELATION_IDS: RangeInclusive<i32> = i32::MAX - 7..=i32::MAX;

/// The number of the broker's mechanisms that an error lists.
const SHOWN_MECHANISMS: usize = 16;

/// The exchange of one connection.
#[derive(Debug)]
pub(in crate::network) struct SaslClientAuthenticator {
    login: Arc<SaslLogin>,
    client_id: Arc<str>,
    peer: Peer,
    state: SaslState,
    /// The versions that the broker supports. Kept for re-authentications.
    versions: Option<SaslVersions>,
    outgoing: Option<Zeroizing<Vec<u8>>>,
    next_correlation_id: i32,
    /// This is a re-authentication, so responses to earlier requests may arrive.
    is_reauthentication: bool,
}

/// Java: `SaslClientAuthenticator.SaslState`, without the states that only send.
#[derive(Debug)]
enum SaslState {
    /// The exchange has not begun.
    Initial,
    ReceiveApiVersionsResponse {
        correlation_id: i32,
    },
    ReceiveHandshakeResponse {
        correlation_id: i32,
    },
    /// Another thread makes the first token.
    #[cfg(feature = "gssapi")]
    AwaitToken(PendingToken),
    /// A token went out. `None`: without a header.
    ReceiveToken {
        correlation_id: Option<i32>,
        client: Box<dyn SaslClient>,
    },
    Complete {
        reauthenticate_at: Option<Instant>,
    },
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct SaslVersions {
    handshake: i16,
    /// `None` for brokers that expect tokens without a request header.
    authenticate: Option<i16>,
}

impl SaslClientAuthenticator {
    /// `client_id` goes into the headers of its requests.
    pub(in crate::network) fn new(login: Arc<SaslLogin>, client_id: Arc<str>, peer: Peer) -> Self {
        Self {
            login,
            client_id,
            peer,
            state: SaslState::Initial,
            versions: None,
            outgoing: None,
            next_correlation_id: *CORRELATION_IDS.start(),
            is_reauthentication: false,
        }
    }

    fn mechanism(&self) -> &'static str {
        self.login.mechanism().name()
    }

    fn failed(&self, reason: &str) -> Disconnect {
        Disconnect::AuthenticationFailed {
            message: format!("SASL {}: {reason}", self.mechanism()),
        }
    }

    fn refused(&self, failure: &SaslFailure) -> Disconnect {
        self.failed(&failure.0)
    }

    /// The exchange cannot go on. Java: `createSaslToken`, which takes some errors of Kerberos for lost connections.
    fn cannot_go_on(&self, reason: &str, is_transient: bool) -> Disconnect {
        match is_transient {
            true => Disconnect::NotAuthenticated {
                message: format!("SASL {}: {reason}", self.mechanism()),
            },
            false => self.failed(reason),
        }
    }

    /// Java: `nextCorrelationId`.
    fn next_correlation_id(&mut self) -> i32 {
        let id = self.next_correlation_id;
        self.next_correlation_id = match id == *CORRELATION_IDS.end() {
            true => *CORRELATION_IDS.start(),
            false => id + 1,
        };
        id
    }

    /// Queues a request, and returns its correlation id.
    fn request(&mut self, version: i16, body: &RequestBody) -> Result<i32, Disconnect> {
        let correlation_id = self.next_correlation_id();
        let header = RequestHeader {
            api_key: body.api_key().id(),
            api_version: version,
            correlation_id,
            client_id: Some(Arc::clone(&self.client_id)),
        };
        let message = encode_request(&header, body)
            .map_err(|error| self.failed(&format!("a request cannot be encoded: {error}")))?;
        self.queue(&Zeroizing::new(message.to_vec()))?;
        Ok(correlation_id)
    }

    /// Queues a message with its size in front.
    fn queue(&mut self, message: &[u8]) -> Result<(), Disconnect> {
        let size = i32::try_from(message.len())
            .map_err(|_| self.failed("a token is too long for a message"))?;
        let mut frame = Zeroizing::new(Vec::with_capacity(message.len() + 4));
        frame.extend_from_slice(&size.to_be_bytes());
        frame.extend_from_slice(message);
        self.outgoing = Some(frame);
        Ok(())
    }

    /// Requests the versions in version 0: an old broker would take any other version for the token
    /// of another mechanism.
    fn ask_for_versions(&mut self) -> Result<(), Disconnect> {
        let request = ApiVersionsRequest::default().into();
        let correlation_id = self.request(0, &request)?;
        self.state = SaslState::ReceiveApiVersionsResponse { correlation_id };
        Ok(())
    }

    fn handle_versions(&mut self, response: &ApiVersionsResponse) -> Result<(), Disconnect> {
        if !response.error_code.is_none() {
            let text = format!(
                "the broker returned {} for its API versions",
                response.error_code
            );
            return Err(Disconnect::InvalidReceive(text));
        }
        let highest = |key: ApiKey| {
            let mut ranges = response.api_keys.iter();
            let range = ranges.find(|range| range.api_key == key.id())?;
            Some(range.max_version.min(*key.versions().end()).max(0))
        };
        let handshake = highest(ApiKey::SaslHandshake).ok_or_else(|| {
            self.failed("the broker does not know SaslHandshake: it may not be a Kafka broker")
        })?;
        let versions = SaslVersions {
            handshake,
            authenticate: highest(ApiKey::SaslAuthenticate),
        };
        self.versions = Some(versions);
        self.shake_hands(versions)
    }

    fn shake_hands(&mut self, versions: SaslVersions) -> Result<(), Disconnect> {
        let request = SaslHandshakeRequest {
            mechanism: self.mechanism().to_owned(),
        };
        // From version 1 on, the following tokens have request headers. So it needs
        // SaslAuthenticate.
        let version = match versions.authenticate {
            Some(_) => versions.handshake,
            None => 0,
        };
        let correlation_id = self.request(version, &request.into())?;
        self.state = SaslState::ReceiveHandshakeResponse { correlation_id };
        Ok(())
    }

    fn handle_handshake(&mut self, response: &SaslHandshakeResponse) -> Result<(), Disconnect> {
        match response.error_code {
            ErrorCode::NONE => self.send_first_token(),
            ErrorCode::UNSUPPORTED_SASL_MECHANISM => Err(self.failed(&format!(
                "the broker does not enable this mechanism, but {}: set sasl.mechanism to one of them",
                listed(&response.mechanisms)
            ))),
            ErrorCode::ILLEGAL_SASL_STATE => Err(self.failed(
                "the broker expects no SASL on this listener (ILLEGAL_SASL_STATE): check security.protocol and the port",
            )),
            code => Err(self.failed(&format!(
                "the broker refused the handshake with {code}; it enables {}",
                listed(&response.mechanisms)
            ))),
        }
    }

    fn send_first_token(&mut self) -> Result<(), Disconnect> {
        let beginning = self.login.begin(&self.peer);
        match beginning.map_err(|failure| self.refused(&failure))? {
            Beginning::Client(mut client) => {
                let token = client
                    .evaluate(&[])
                    .map_err(|failure| self.refused(&failure))?;
                self.send_token(token.unwrap_or_default(), client)
            }
            Beginning::Later(failure) => Err(self.cannot_go_on(&failure.0, true)),
            #[cfg(feature = "gssapi")]
            Beginning::Pending(pending) => {
                self.state = SaslState::AwaitToken(pending);
                Ok(())
            }
        }
    }

    /// Sends a token of `client`, which receives the response.
    fn send_token(
        &mut self,
        mut token: Zeroizing<Vec<u8>>,
        client: Box<dyn SaslClient>,
    ) -> Result<(), Disconnect> {
        let authenticate = self.versions.and_then(|versions| versions.authenticate);
        let correlation_id = match authenticate {
            Some(version) => {
                let request = SaslAuthenticateRequest {
                    auth_bytes: std::mem::take(&mut *token),
                };
                let mut request = RequestBody::from(request);
                let sent = self.request(version, &request);
                if let RequestBody::SaslAuthenticate(request) = &mut request {
                    request.auth_bytes.zeroize();
                }
                Some(sent?)
            }
            None => {
                self.queue(&token)?;
                None
            }
        };
        self.state = SaslState::ReceiveToken {
            correlation_id,
            client,
        };
        Ok(())
    }

    fn handle_authenticate(
        &mut self,
        response: &SaslAuthenticateResponse,
        now: Instant,
    ) -> Result<Received, Disconnect> {
        if !response.error_code.is_none() {
            return Err(self.refused_by_broker(response));
        }
        let received = self.handle_token(&response.auth_bytes)?;
        if let SaslState::Complete { reauthenticate_at } = &mut self.state {
            *reauthenticate_at = reauthentication_time(response.session_lifetime_ms, now);
        }
        Ok(received)
    }

    fn refused_by_broker(&self, response: &SaslAuthenticateResponse) -> Disconnect {
        // The broker's earlier message says more than its final one.
        if let SaslState::ReceiveToken { client, .. } = &self.state {
            if let Some(refusal) = client.refusal() {
                return self.failed(refusal);
            }
        }
        let message = response
            .error_message
            .as_deref()
            .filter(|text| !text.is_empty());
        let message = match message {
            Some(message) => format!("the broker says: {}", printable(message)),
            None => "the broker gives no reason".to_owned(),
        };
        self.failed(&match response.error_code {
            ErrorCode::SASL_AUTHENTICATION_FAILED => {
                format!("the broker refused the credentials ({message})")
            }
            code => format!("the broker refused the exchange with {code} ({message})"),
        })
    }

    /// Handles a message of the mechanism.
    fn handle_token(&mut self, token: &[u8]) -> Result<Received, Disconnect> {
        // Every path without an error sets a state of its own.
        let state = std::mem::replace(&mut self.state, SaslState::Failed);
        let SaslState::ReceiveToken { mut client, .. } = state else {
            return Err(self.failed("there is no exchange"));
        };
        if client.is_complete() {
            if !token.is_empty() {
                let text = format!(
                    "the broker sent {} bytes after the last message",
                    token.len()
                );
                return Err(self.failed(&text));
            }
            return Ok(self.complete());
        }
        match client.evaluate(token) {
            Ok(Some(answer)) => {
                self.send_token(answer, client)?;
                Ok(Received::Token)
            }
            Ok(None) if client.is_complete() => Ok(self.complete()),
            Ok(None) => Err(self.failed("the mechanism has no next message and is not complete")),
            Err(failure) => Err(self.cannot_go_on(&failure.0, client.is_transient())),
        }
    }

    fn complete(&mut self) -> Received {
        self.state = SaslState::Complete {
            reauthenticate_at: None,
        };
        Received::Complete
    }

    fn take_frame(
        &mut self,
        expected: Option<(ApiKey, i16, i32)>,
        frame: &[u8],
        now: Instant,
    ) -> Result<Received, Disconnect> {
        let Some((key, version, expected)) = expected else {
            return self.handle_token(frame);
        };
        let id = frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes));
        if id.is_some_and(|id| id != expected && !CORRELATION_IDS.contains(&id)) {
            return self.handle_other_response(expected);
        }
        let invalid = |reason: String| {
            Disconnect::InvalidReceive(format!(
                "the response to {key} v{version} is invalid: {reason}"
            ))
        };
        let (header, body) =
            decode_response(key, version, frame).map_err(|error| invalid(error.to_string()))?;
        if header.correlation_id != expected {
            let id = header.correlation_id;
            return Err(invalid(format!(
                "its correlation id is {id} instead of {expected}"
            )));
        }
        match &body {
            ResponseBody::ApiVersions(response) => self.handle_versions(response)?,
            ResponseBody::SaslHandshake(response) => self.handle_handshake(response)?,
            ResponseBody::SaslAuthenticate(response) => {
                return self.handle_authenticate(response, now);
            }
            _ => return Err(invalid("it belongs to another API".to_owned())),
        }
        Ok(Received::Token)
    }

    /// A frame that comes before the first token has left.
    #[cfg(feature = "gssapi")]
    fn take_early_frame(&self, frame: &[u8]) -> Result<Received, Disconnect> {
        let id = frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes));
        let is_other = id.is_some_and(|id| !CORRELATION_IDS.contains(&id));
        match is_other && self.is_reauthentication {
            true => Ok(Received::Response),
            false => Err(Disconnect::InvalidReceive(
                "the broker sent a message before this client's token".to_owned(),
            )),
        }
    }

    /// A response to a request that was sent before, which only a re-authentication can meet.
    fn handle_other_response(&self, expected: i32) -> Result<Received, Disconnect> {
        match self.is_reauthentication {
            true => Ok(Received::Response),
            false => Err(Disconnect::InvalidReceive(format!(
                "the broker sent a response to no request during the authentication: its correlation id is not {expected}"
            ))),
        }
    }
}

/// Formats a broker's list.
fn listed(mechanisms: &[String]) -> String {
    if mechanisms.is_empty() {
        return "none".to_owned();
    }
    let shown = mechanisms.iter().take(SHOWN_MECHANISMS);
    let shown: Vec<String> = shown.map(|name| printable(name).to_string()).collect();
    printable(&shown.join(", ")).to_string()
}

/// Returns a time after 85 to 95 % of the session, so that many connections do not authenticate at
/// the same moment (KIP-368).
fn reauthentication_time(session_lifetime_ms: i64, now: Instant) -> Option<Instant> {
    let lifetime = u64::try_from(session_lifetime_ms)
        .ok()
        .filter(|millis| *millis > 0)?;
    let permille = fastrand::u32(850..950);
    // A lifetime beyond the range of the clock never ends.
    let after = Duration::from_millis(lifetime).checked_mul(permille)? / 1000;
    now.checked_add(after)
}

impl Authenticator for SaslClientAuthenticator {
    fn begin(&mut self) -> Result<(), Disconnect> {
        self.is_reauthentication = matches!(self.state, SaslState::Complete { .. });
        self.outgoing = None;
        log::debug!("authenticating by SASL {}", self.mechanism());
        match self.versions {
            Some(versions) => self.shake_hands(versions),
            None => self.ask_for_versions(),
        }
    }

    fn has_frame(&self) -> bool {
        self.outgoing.is_some()
    }

    fn next_frame(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.outgoing.take()
    }

    fn receive(&mut self, frame: &[u8], now: Instant) -> Result<Received, Disconnect> {
        let versions = self.versions;
        let expected = match self.state {
            SaslState::ReceiveApiVersionsResponse { correlation_id } => {
                Some((ApiKey::ApiVersions, 0, correlation_id))
            }
            SaslState::ReceiveHandshakeResponse { correlation_id } => {
                // The layout is the same in both versions.
                Some((ApiKey::SaslHandshake, 0, correlation_id))
            }
            SaslState::ReceiveToken { correlation_id, .. } => {
                let version = versions.and_then(|versions| versions.authenticate);
                let ids = correlation_id.zip(version);
                ids.map(|(id, version)| (ApiKey::SaslAuthenticate, version, id))
            }
            #[cfg(feature = "gssapi")]
            SaslState::AwaitToken(_) => {
                let received = self.take_early_frame(frame);
                if received.is_err() {
                    self.state = SaslState::Failed;
                }
                return received;
            }
            SaslState::Initial | SaslState::Complete { .. } | SaslState::Failed => {
                return Err(self.failed("the exchange is not under way"));
            }
        };
        let received = self.take_frame(expected, frame, now);
        match &received {
            Ok(Received::Complete) => {
                log::debug!("authenticated by SASL {}", self.mechanism());
            }
            Ok(_) => {}
            Err(_) => {
                self.outgoing = None;
                self.state = SaslState::Failed;
            }
        }
        received
    }

    #[cfg(feature = "gssapi")]
    fn is_waiting(&self) -> bool {
        matches!(self.state, SaslState::AwaitToken(_))
    }

    #[cfg(feature = "gssapi")]
    fn resume(&mut self) -> Result<(), Disconnect> {
        let SaslState::AwaitToken(pending) = &self.state else {
            return Ok(());
        };
        match pending.take() {
            None => Ok(()),
            Some(Ok((client, token))) => self.send_token(token, client),
            Some(Err(failure)) => {
                self.state = SaslState::Failed;
                Err(self.cannot_go_on(&failure.text, failure.is_transient))
            }
        }
    }

    fn reauthenticate_at(&self) -> Option<Instant> {
        match self.state {
            SaslState::Complete { reauthenticate_at } => reauthenticate_at,
            _ => None,
        }
    }
}
