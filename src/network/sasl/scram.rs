//! SCRAM (RFC 5802): both sides prove that they know the password, and neither sends it. Java: `ScramSaslClient`,
//! `ScramMessages`.
//!
//! Differs from Java: the iteration count has an upper limit, because a hostile broker's count
//! could block the I/O thread for minutes. The server's nonce must be longer than the client's, and
//! its salt must not be empty. Mandatory extensions, all of which are unknown to this client, are
//! refused as the RFC requires. The keys for the last salt are cached, so that other connections
//! and re-authentications do not compute them again.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use super::{SaslClient, SaslCredentials, SaslFailure, shown};
use crate::sync::{Arc, Mutex};
use crate::utils::{ScramMechanism, Secret, SecretBytes, is_same, sasl_name};

/// Java: `ScramMechanism.minIterations`.
const MIN_ITERATIONS: u32 = 4096;
/// Eight times the most that Apache Kafka stores for a user. Some 0.1 s with SHA-512 in an optimized build.
const MAX_ITERATIONS: u32 = 131_072;
/// Longer than any message that a server needs to send.
const MAX_MESSAGE_BYTES: usize = 4096;
const NONCE_BYTES: usize = 24;
/// The base64 of `n,,`, which means no channel binding.
const CHANNEL_BINDING: &str = "biws";

/// The keys for the last password, salt and count. Shared by the connections of one client.
#[derive(Clone, Default)]
pub(super) struct ScramKeyCache(Arc<Mutex<Option<CachedKeys>>>);

struct CachedKeys {
    mechanism: ScramMechanism,
    password: Secret,
    salt: Vec<u8>,
    iterations: u32,
    keys: Keys,
}

#[derive(Clone)]
struct Keys {
    client: SecretBytes,
    server: SecretBytes,
}

impl ScramKeyCache {
    fn keys(
        &self,
        mechanism: ScramMechanism,
        password: &str,
        salt: &[u8],
        iterations: u32,
    ) -> Keys {
        let mut cached = self.0.lock();
        if let Some(known) = &*cached {
            if known.mechanism == mechanism
                && known.iterations == iterations
                && known.salt == salt
                && known.password.expose() == password
            {
                return known.keys.clone();
            }
        }
        let salted = mechanism.salted_password(password, salt, iterations);
        let keys = Keys {
            client: mechanism.client_key(&salted),
            server: mechanism.server_key(&salted),
        };
        *cached = Some(CachedKeys {
            mechanism,
            password: Secret::new(password),
            salt: salt.to_vec(),
            iterations,
            keys: keys.clone(),
        });
        keys
    }
}

impl fmt::Debug for ScramKeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramKeyCache([hidden])")
    }
}

pub(super) struct ScramSaslClient {
    mechanism: ScramMechanism,
    credentials: SaslCredentials,
    cache: ScramKeyCache,
    state: State,
}

/// Java: `ScramSaslClient.State`.
enum State {
    SendClientFirst {
        nonce: String,
    },
    ReceiveServerFirst {
        nonce: String,
        client_first_bare: String,
    },
    ReceiveServerFinal {
        server_signature: SecretBytes,
    },
    Complete,
    Failed,
}

impl ScramSaslClient {
    pub(super) fn new(
        mechanism: ScramMechanism,
        credentials: SaslCredentials,
        cache: ScramKeyCache,
    ) -> Result<Self, SaslFailure> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)
            .map_err(|error| SaslFailure::new(format!("no random bytes for a nonce: {error}")))?;
        let nonce = BASE64_STANDARD.encode(nonce);
        Ok(Self::with_nonce(mechanism, credentials, cache, nonce))
    }

    pub(super) fn with_nonce(
        mechanism: ScramMechanism,
        credentials: SaslCredentials,
        cache: ScramKeyCache,
        nonce: String,
    ) -> Self {
        Self {
            mechanism,
            credentials,
            cache,
            state: State::SendClientFirst { nonce },
        }
    }

    fn client_first(&mut self, nonce: String) -> Result<SecretBytes, SaslFailure> {
        let user = self.credentials.username();
        if user.is_empty() {
            return Err(SaslFailure::new("the user name is empty"));
        }
        if self.credentials.password().is_empty() {
            return Err(SaslFailure::new("the password is empty"));
        }
        let extensions = match self.credentials.is_delegation_token() {
            true => ",tokenauth=true",
            false => "",
        };
        let client_first_bare = format!("n={},r={nonce}{extensions}", sasl_name(user));
        let message = format!("n,,{client_first_bare}").into_bytes();
        self.state = State::ReceiveServerFirst {
            nonce,
            client_first_bare,
        };
        Ok(Zeroizing::new(message))
    }

    fn client_final(
        &mut self,
        nonce: &str,
        client_first_bare: &str,
        message: &str,
    ) -> Result<SecretBytes, SaslFailure> {
        let server_first = ServerFirst::parse(message, nonce)?;
        let keys = self.cache.keys(
            self.mechanism,
            self.credentials.password(),
            &server_first.salt,
            server_first.iterations,
        );
        let without_proof = format!("c={CHANNEL_BINDING},r={}", server_first.nonce);
        let auth_message = format!("{client_first_bare},{message},{without_proof}");
        let proof = self
            .mechanism
            .client_proof(&keys.client, auth_message.as_bytes());
        let server_signature = self
            .mechanism
            .server_signature(&keys.server, auth_message.as_bytes());
        self.state = State::ReceiveServerFinal { server_signature };
        let proof = BASE64_STANDARD.encode(&*proof);
        Ok(Zeroizing::new(
            format!("{without_proof},p={proof}").into_bytes(),
        ))
    }
}

impl SaslClient for ScramSaslClient {
    fn evaluate(&mut self, challenge: &[u8]) -> Result<Option<SecretBytes>, SaslFailure> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::SendClientFirst { nonce } => self.client_first(nonce).map(Some),
            State::ReceiveServerFirst {
                nonce,
                client_first_bare,
            } => {
                let message = text_of(challenge, "first")?;
                self.client_final(&nonce, &client_first_bare, message)
                    .map(Some)
            }
            State::ReceiveServerFinal { server_signature } => {
                let message = text_of(challenge, "final")?;
                verify_server_final(message, &server_signature)?;
                self.state = State::Complete;
                Ok(None)
            }
            State::Complete | State::Failed => {
                Err(SaslFailure::new("the SCRAM exchange has ended already"))
            }
        }
    }

    fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }
}

impl fmt::Debug for ScramSaslClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramSaslClient")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

/// `r=<nonce>,s=<salt>,i=<iterations>` and optional extensions.
struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> ServerFirst<'a> {
    fn parse(message: &'a str, client_nonce: &str) -> Result<Self, SaslFailure> {
        let malformed = |reason: &str| {
            let message = shown(message.as_bytes());
            SaslFailure::new(format!(
                "the broker's first SCRAM message {reason}: '{message}'"
            ))
        };
        let mut attributes = message.split(',');
        let mut next = |name: &str| {
            let attribute = attributes.next().unwrap_or_default();
            attribute
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('='))
        };
        if message.starts_with("m=") {
            return Err(malformed(
                "demands an extension that this client does not know",
            ));
        }
        if message.starts_with("e=") {
            return Err(refused(message));
        }
        let nonce = next("r").ok_or_else(|| malformed("does not begin with r=, the nonce"))?;
        let salt = next("s").ok_or_else(|| malformed("has no s=, the salt, in second place"))?;
        let iterations =
            next("i").ok_or_else(|| malformed("has no i=, the iterations, in third place"))?;
        for extension in attributes {
            let is_attribute = matches!(extension.as_bytes(), [letter, b'=', ..]
                if letter.is_ascii_alphabetic() && !b"rsimpcv".contains(letter));
            if !is_attribute {
                return Err(malformed("has an extension that is none"));
            }
        }
        check_nonce(nonce, client_nonce).map_err(malformed)?;
        let salt = BASE64_STANDARD
            .decode(salt)
            .map_err(|_| malformed("has a salt that is not base64"))?;
        if salt.is_empty() {
            return Err(malformed("has an empty salt"));
        }
        Ok(Self {
            nonce,
            salt,
            iterations: iteration_count(iterations)?,
        })
    }
}

/// Checks that the nonce begins with the client's and continues. Otherwise a message of another
/// exchange could be replayed.
fn check_nonce(nonce: &str, client_nonce: &str) -> Result<(), &'static str> {
    let (own, added) = nonce
        .as_bytes()
        .split_at_checked(client_nonce.len())
        .ok_or("has a nonce that is not this client's, continued")?;
    if !is_same(own, client_nonce.as_bytes()) {
        return Err("has a nonce that is not this client's, continued");
    }
    if added.is_empty() {
        return Err("adds nothing to the client's nonce");
    }
    match added.iter().all(u8::is_ascii_graphic) {
        true => Ok(()),
        false => Err("has a nonce with characters that are not printable"),
    }
}

fn iteration_count(text: &str) -> Result<u32, SaslFailure> {
    let is_number = !text.is_empty()
        && !text.starts_with('0')
        && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        let text = shown(text.as_bytes());
        return Err(SaslFailure::new(format!(
            "the broker's SCRAM iteration count '{text}' is not a positive number"
        )));
    }
    match text.parse() {
        Ok(count) if count < MIN_ITERATIONS => Err(SaslFailure::new(format!(
            "the broker asks for {count} SCRAM iterations, fewer than the {MIN_ITERATIONS} that protect the password: \
             raise the iterations of this user on the broker"
        ))),
        Ok(count) if count <= MAX_ITERATIONS => Ok(count),
        _ => Err(SaslFailure::new(format!(
            "the broker asks for {} SCRAM iterations, more than the {MAX_ITERATIONS} that this client computes: lower \
             the iterations of this user on the broker",
            shown(text.as_bytes())
        ))),
    }
}

fn verify_server_final(message: &str, expected: &[u8]) -> Result<(), SaslFailure> {
    if message.starts_with("e=") {
        return Err(refused(message));
    }
    let Some(rest) = message.strip_prefix("v=") else {
        return Err(SaslFailure::new(format!(
            "the broker's last SCRAM message has no signature: '{}'",
            shown(message.as_bytes())
        )));
    };
    let signature = rest.split(',').next().unwrap_or_default();
    let signature = BASE64_STANDARD.decode(signature).map_err(|_| {
        SaslFailure::new("the broker's SCRAM signature is not base64, so the broker is not trusted")
    })?;
    match is_same(&signature, expected) {
        true => Ok(()),
        false => Err(SaslFailure::new(
            "the broker's SCRAM signature is wrong: it does not know the password of this user, and is not trusted",
        )),
    }
}

/// `e=<error>`
fn refused(message: &str) -> SaslFailure {
    let error = message.strip_prefix("e=").unwrap_or(message);
    SaslFailure::new(format!(
        "the broker refused the SCRAM exchange: {}",
        shown(error.as_bytes())
    ))
}

fn text_of<'a>(message: &'a [u8], which: &str) -> Result<&'a str, SaslFailure> {
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(SaslFailure::new(format!(
            "the broker's {which} SCRAM message has {} bytes, more than {MAX_MESSAGE_BYTES}",
            message.len()
        )));
    }
    std::str::from_utf8(message)
        .map_err(|_| SaslFailure::new(format!("the broker's {which} SCRAM message is not UTF-8")))
}

#[cfg(test)]
mod tests;
