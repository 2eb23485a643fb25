//! The client's identity, and the closures that provide it. Java: `CallbackHandler`,
//! `OAuthBearerToken`.

use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use crate::utils::Secret;

/// A user name and a password for PLAIN or SCRAM. The password is never printed, and dropping
/// overwrites it.
///
/// ```
/// use kafka_producer::SaslCredentials;
///
/// let credentials = SaslCredentials::new("alice", "secret");
/// assert!(!format!("{credentials:?}").contains("secret"));
/// ```
#[derive(Clone, Debug)]
pub struct SaslCredentials {
    username: String,
    password: Secret,
    is_delegation_token: bool,
}

impl SaslCredentials {
    /// Creates the credentials of a user.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: Secret::new(password),
            is_delegation_token: false,
        }
    }

    /// Marks the credentials as the id and the HMAC of a delegation token (KIP-48). Has an effect
    /// with SCRAM only. Java: the JAAS option `tokenauth`.
    #[must_use]
    pub fn delegation_token(mut self) -> Self {
        self.is_delegation_token = true;
        self
    }

    pub(crate) fn username(&self) -> &str {
        &self.username
    }

    pub(crate) fn password(&self) -> &str {
        self.password.expose()
    }

    pub(crate) fn is_delegation_token(&self) -> bool {
        self.is_delegation_token
    }
}

/// A bearer token for OAUTHBEARER, and its lifetime. The token is never printed, and dropping
/// overwrites it. Java: `OAuthBearerToken`.
#[derive(Clone, Debug)]
pub struct OAuthBearerToken {
    value: Secret,
    started_at: Option<i64>,
    expires_at: i64,
    extensions: Vec<(String, String)>,
}

impl OAuthBearerToken {
    /// Creates a token that is valid until `expires_at`. `value` is sent as it is.
    pub fn new(value: impl Into<String>, expires_at: SystemTime) -> Self {
        Self {
            value: Secret::new(value),
            started_at: None,
            expires_at: unix_millis(expires_at),
            extensions: Vec::new(),
        }
    }

    /// Sets the time from which the token is valid. Its refresh time counts from there. Default:
    /// the time when it was provided.
    #[must_use]
    pub fn started_at(mut self, started_at: SystemTime) -> Self {
        self.started_at = Some(unix_millis(started_at));
        self
    }

    /// Adds a SASL extension (KIP-342), such as Confluent's `logicalCluster`. The name consists of
    /// letters.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.push((name.into(), value.into()));
        self
    }

    pub(crate) fn from_millis(value: Secret, started_at: Option<i64>, expires_at: i64) -> Self {
        Self {
            value,
            started_at,
            expires_at,
            extensions: Vec::new(),
        }
    }

    pub(super) fn value(&self) -> &str {
        self.value.expose()
    }

    /// Returns the start in milliseconds since 1970, if it is set.
    pub(super) fn start(&self) -> Option<i64> {
        self.started_at
    }

    /// Returns the expiry in milliseconds since 1970.
    pub(super) fn expiry(&self) -> i64 {
        self.expires_at
    }

    pub(super) fn extensions(&self) -> &[(String, String)] {
        &self.extensions
    }
}

pub(super) fn unix_millis(time: SystemTime) -> i64 {
    let millis = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .map(|since| since.as_millis());
    i64::try_from(millis.unwrap_or_default()).unwrap_or(i64::MAX)
}

/// The result of a user's closure.
pub(crate) type Provided<T> = Result<T, Box<dyn StdError + Send + Sync>>;

/// Calls a user's closure, and turns a panic into an error.
pub(super) fn ask<T>(provider: &(dyn Fn() -> Provided<T> + Send + Sync)) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(provider)) {
        Ok(Ok(provided)) => Ok(provided),
        Ok(Err(error)) => Err(crate::utils::printable(&error.to_string()).to_string()),
        Err(_) => Err("the provider panicked".to_owned()),
    }
}
