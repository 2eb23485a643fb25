//! The broker's side of SASL: PLAIN, SCRAM and OAUTHBEARER, and the expiry of sessions (KIP-368).
//! Java (broker): `SaslServerAuthenticator`, `PlainSaslServer`, `ScramSaslServer`,
//! `OAuthBearerSaslServer`.

use std::fmt;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::api::Api;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use crate::sync::Arc;
use crate::utils::{ScramMechanism, Secret, SecretBytes, sasl_name};

const PLAIN: &str = "PLAIN";
const OAUTHBEARER: &str = "OAUTHBEARER";
const SALT: &[u8] = b"salt of a test broker";

/// The least time between two re-authentications. Java: `MIN_REAUTH_INTERVAL_ONE_SECOND_NANOS`.
const REAUTHENTICATION_INTERVAL: Duration = Duration::from_secs(1);

type TokenCheck = dyn Fn(&str) -> bool + Send + Sync;

/// The users that may connect. Without mechanisms, every client may.
#[derive(Clone)]
pub(crate) struct SaslServer {
    users: Vec<User>,
    is_token: Option<Arc<TokenCheck>>,
    /// `connections.max.reauth.ms`.
    pub(crate) max_reauth: Option<Duration>,
    pub(crate) scram_iterations: u32,
}

#[derive(Clone, Debug)]
struct User {
    mechanism: &'static str,
    name: String,
    password: Secret,
}

impl Default for SaslServer {
    fn default() -> Self {
        Self {
            users: Vec::new(),
            is_token: None,
            max_reauth: None,
            scram_iterations: 4096,
        }
    }
}

impl fmt::Debug for SaslServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslServer")
            .field("users", &self.users)
            .field("max_reauth", &self.max_reauth)
            .finish_non_exhaustive()
    }
}

impl SaslServer {
    pub(crate) fn add_plain_user(&mut self, name: &str, password: &str) {
        self.add(PLAIN, name, password);
    }

    pub(crate) fn add_scram_user(&mut self, mechanism: ScramMechanism, name: &str, password: &str) {
        self.add(mechanism.as_str(), name, password);
    }

    pub(crate) fn accept_tokens(&mut self, is_token: Arc<TokenCheck>) {
        self.is_token = Some(is_token);
    }

    fn add(&mut self, mechanism: &'static str, name: &str, password: &str) {
        self.users
            .retain(|user| (user.mechanism, &*user.name) != (mechanism, name));
        self.users.push(User {
            mechanism,
            name: name.to_owned(),
            password: Secret::new(password),
        });
    }

    fn mechanisms(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .users
            .iter()
            .map(|user| user.mechanism.to_owned())
            .collect();
        names.extend(self.is_token.is_some().then(|| OAUTHBEARER.to_owned()));
        names.sort();
        names.dedup();
        names
    }

    fn password(&self, mechanism: &str, name: &str) -> Option<&Secret> {
        let mut users = self.users.iter();
        let user = users.find(|user| user.mechanism == mechanism && user.name == name)?;
        Some(&user.password)
    }
}

/// The state of a connection.
#[derive(Debug, Default)]
pub(crate) struct SaslSession {
    exchange: Option<Exchange>,
    authenticated: Option<Authenticated>,
    /// When the last re-authentication began.
    renewed_at: Option<Instant>,
}

#[derive(Debug)]
struct Authenticated {
    mechanism: String,
    principal: String,
    ends_at: Option<Instant>,
}

#[derive(Debug)]
struct Exchange {
    mechanism: String,
    step: Step,
}

#[derive(Debug)]
enum Step {
    First,
    /// SCRAM: the client's proof comes next.
    ScramProof {
        mechanism: ScramMechanism,
        user: String,
        salted_password: SecretBytes,
        /// The text that both sides sign, without the client's last message.
        signed: String,
        nonce: String,
    },
    /// OAUTHBEARER: the client must acknowledge that its token was refused.
    TokenRefused,
}

/// The result of a client's message.
enum Turn {
    Challenge(Vec<u8>, Step),
    Success { principal: String, message: Vec<u8> },
    Failure(String),
}

impl SaslSession {
    /// Returns why a request ends the connection, if it does.
    pub(crate) fn refusal(
        &self,
        server: &SaslServer,
        api: Api,
        now: Instant,
    ) -> Option<&'static str> {
        if server.mechanisms().is_empty()
            || matches!(api, Api::SaslHandshake | Api::SaslAuthenticate)
        {
            return None;
        }
        match &self.authenticated {
            None if api == Api::ApiVersions => None,
            None => Some("a request before the authentication"),
            Some(authenticated) => {
                let is_over = authenticated.ends_at.is_some_and(|end| end <= now);
                is_over.then_some("a request after the end of the session")
            }
        }
    }

    pub(crate) fn shake_hands(
        &mut self,
        server: &SaslServer,
        request: &SaslHandshakeRequest,
        now: Instant,
    ) -> SaslHandshakeResponse {
        let mechanisms = server.mechanisms();
        let error_code = if mechanisms.is_empty() || self.is_too_early(now) {
            ErrorCode::ILLEGAL_SASL_STATE
        } else if mechanisms.contains(&request.mechanism) {
            self.exchange = Some(Exchange {
                mechanism: request.mechanism.clone(),
                step: Step::First,
            });
            ErrorCode::NONE
        } else {
            ErrorCode::UNSUPPORTED_SASL_MECHANISM
        };
        SaslHandshakeResponse {
            error_code,
            mechanisms,
        }
    }

    /// Returns whether a re-authentication follows the one before too soon. Java:
    /// `maybeBeginServerReauthentication`.
    fn is_too_early(&mut self, now: Instant) -> bool {
        if self.authenticated.is_none() {
            return false;
        }
        let before = self.renewed_at.replace(now);
        before.is_some_and(|at| now.saturating_duration_since(at) < REAUTHENTICATION_INTERVAL)
    }

    /// Handles a message of the exchange. A response with an error ends the connection.
    pub(crate) fn authenticate(
        &mut self,
        server: &SaslServer,
        request: &SaslAuthenticateRequest,
        now: Instant,
    ) -> SaslAuthenticateResponse {
        let Some(Exchange { mechanism, step }) = self.exchange.take() else {
            return failure(ErrorCode::ILLEGAL_SASL_STATE, "no handshake came before");
        };
        let refused = |reason: &str| {
            let text = format!(
                "Authentication failed during authentication due to {reason} with SASL mechanism {mechanism}"
            );
            failure(ErrorCode::SASL_AUTHENTICATION_FAILED, &text)
        };
        match turn(server, &mechanism, step, &request.auth_bytes) {
            Turn::Challenge(auth_bytes, step) => {
                self.exchange = Some(Exchange { mechanism, step });
                SaslAuthenticateResponse {
                    auth_bytes,
                    ..SaslAuthenticateResponse::default()
                }
            }
            Turn::Failure(reason) => refused(&reason),
            Turn::Success { principal, message } => {
                let changed = |earlier: &Authenticated| {
                    (&earlier.principal, &earlier.mechanism) != (&principal, &mechanism)
                };
                if self.authenticated.as_ref().is_some_and(changed) {
                    return refused("a principal or a mechanism that changed");
                }
                self.authenticated = Some(Authenticated {
                    mechanism,
                    principal,
                    ends_at: server.max_reauth.and_then(|after| now.checked_add(after)),
                });
                let lifetime = server.max_reauth.map_or(0, |after| after.as_millis());
                SaslAuthenticateResponse {
                    auth_bytes: message,
                    session_lifetime_ms: i64::try_from(lifetime).unwrap_or(i64::MAX),
                    ..SaslAuthenticateResponse::default()
                }
            }
        }
    }
}

fn failure(error_code: ErrorCode, text: &str) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse {
        error_code,
        error_message: Some(text.to_owned()),
        ..SaslAuthenticateResponse::default()
    }
}

fn turn(server: &SaslServer, mechanism: &str, step: Step, message: &[u8]) -> Turn {
    let message = String::from_utf8_lossy(message);
    let invalid = || Turn::Failure("invalid credentials".to_owned());
    match step {
        Step::TokenRefused => Turn::Failure("a token that was refused".to_owned()),
        Step::First if mechanism == PLAIN => plain(server, &message).unwrap_or_else(invalid),
        Step::First if mechanism == OAUTHBEARER => token(server, &message),
        Step::First => scram_first(server, mechanism, &message).unwrap_or_else(invalid),
        Step::ScramProof {
            mechanism,
            user,
            salted_password,
            signed,
            nonce,
        } => scram_proof(mechanism, user, &salted_password, &signed, &nonce, &message)
            .unwrap_or_else(invalid),
    }
}

fn plain(server: &SaslServer, message: &str) -> Option<Turn> {
    let parts: Vec<&str> = message.split('\0').collect();
    let ["", user, password] = parts[..] else {
        return None;
    };
    let is_known = server.password(PLAIN, user)?.expose() == password;
    is_known.then(|| Turn::Success {
        principal: user.to_owned(),
        message: Vec::new(),
    })
}

fn token(server: &SaslServer, message: &str) -> Turn {
    let rest = message.strip_prefix("n,,\x01auth=Bearer ");
    let value = rest.and_then(|rest| rest.split('\x01').next());
    let is_token = server.is_token.as_deref();
    match (value, is_token) {
        (Some(value), Some(is_token)) if is_token(value) => Turn::Success {
            principal: OAUTHBEARER.to_owned(),
            message: Vec::new(),
        },
        _ => Turn::Challenge(
            b"{\"status\":\"invalid_token\"}".to_vec(),
            Step::TokenRefused,
        ),
    }
}

fn scram_first(server: &SaslServer, mechanism: &str, message: &str) -> Option<Turn> {
    let mechanism = ScramMechanism::from_name(mechanism)?;
    let bare = message.strip_prefix("n,,")?;
    let mut attributes = bare.split(',');
    let name = attributes.next()?.strip_prefix("n=")?;
    let client_nonce = attributes.next()?.strip_prefix("r=")?;
    let user = server
        .users
        .iter()
        .find(|user| user.mechanism == mechanism.as_str() && sasl_name(&user.name) == name)?;
    let nonce = format!("{client_nonce}of-the-broker");
    let iterations = server.scram_iterations;
    let salt = BASE64_STANDARD.encode(SALT);
    let first = format!("r={nonce},s={salt},i={iterations}");
    let step = Step::ScramProof {
        mechanism,
        user: user.name.clone(),
        salted_password: mechanism.salted_password(
            user.password.expose(),
            SALT,
            iterations.clamp(1, 1 << 16),
        ),
        signed: format!("{bare},{first}"),
        nonce,
    };
    Some(Turn::Challenge(first.into_bytes(), step))
}

fn scram_proof(
    mechanism: ScramMechanism,
    user: String,
    salted_password: &[u8],
    signed: &str,
    nonce: &str,
    message: &str,
) -> Option<Turn> {
    let (without_proof, proof) = message.rsplit_once(",p=")?;
    if without_proof != format!("c=biws,r={nonce}") {
        return None;
    }
    let proof = BASE64_STANDARD.decode(proof).ok()?;
    let auth_message = format!("{signed},{without_proof}");
    let stored_key = mechanism.stored_key(&mechanism.client_key(salted_password));
    if !mechanism.is_proof(&proof, &stored_key, auth_message.as_bytes()) {
        return None;
    }
    let server_key = mechanism.server_key(salted_password);
    let signature = mechanism.server_signature(&server_key, auth_message.as_bytes());
    let message = format!("v={}", BASE64_STANDARD.encode(&*signature)).into_bytes();
    Some(Turn::Success {
        principal: user,
        message,
    })
}
