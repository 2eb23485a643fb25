//! Who the client is, and the closures that tell it. Java: `CallbackHandler`, `OAuthBearerToken`.

use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use crate::utils::Secret;

/// A user name and a password for PLAIN or SCRAM. The password is overwritten when this is dropped, and never printed.
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
    /// A user and the user's password.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: Secret::new(password),
            is_delegation_token: false,
        }
    }

    /// Says that these are the id and the HMAC of a delegation token (KIP-48). Has an effect with SCRAM only. Java: the JAAS
    /// option `tokenauth`.
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

/// A bearer token for OAUTHBEARER, and how long it is valid. It is overwritten when this is dropped, and never printed. Java:
/// `OAuthBearerToken`.
#[derive(Clone, Debug)]
pub struct OAuthBearerToken {
    value: Secret,
    started_at: Option<i64>,
    expires_at: i64,
    extensions: Vec<(String, String)>,
}

impl OAuthBearerToken {
    /// A token that is valid until `expires_at`, in the form in which it is sent.
    pub fn new(value: impl Into<String>, expires_at: SystemTime) -> Self {
        Self {
            value: Secret::new(value),
            started_at: None,
            expires_at: unix_millis(expires_at),
            extensions: Vec::new(),
        }
    }

    /// Says since when the token is valid, from which the time of its refresh is counted. Default: when it was provided.
    #[must_use]
    pub fn started_at(mut self, started_at: SystemTime) -> Self {
        self.started_at = Some(unix_millis(started_at));
        self
    }

    /// Sends a SASL extension with the token (KIP-342), such as Confluent's `logicalCluster`. The name is made of letters.
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

    /// Milliseconds since 1970.
    pub(super) fn start(&self) -> Option<i64> {
        self.started_at
    }

    /// Milliseconds since 1970.
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

/// What a closure of the user returns.
pub(crate) type Provided<T> = Result<T, Box<dyn StdError + Send + Sync>>;

/// Calls a closure of the user, whose panic must not end the thread.
pub(super) fn ask<T>(provider: &(dyn Fn() -> Provided<T> + Send + Sync)) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(provider)) {
        Ok(Ok(provided)) => Ok(provided),
        Ok(Err(error)) => Err(crate::utils::printable(&error.to_string()).to_string()),
        Err(_) => Err("the provider panicked".to_owned()),
    }
}
