//! Who the client is, and where that is asked for at each authentication. Java: `CallbackHandler`, `LoginManager`,
//! `OAuthBearerToken`.

use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use super::oauthbearer::OAuthBearerSaslClient;
use super::plain::PlainSaslClient;
use super::scram::{ScramKeyCache, ScramSaslClient};
use super::{RefreshingLogin, SaslClient, SaslFailure};
use crate::sync::Arc;
use crate::utils::{ScramMechanism, Secret};

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

fn unix_millis(time: SystemTime) -> i64 {
    let millis = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .map(|since| since.as_millis());
    i64::try_from(millis.unwrap_or_default()).unwrap_or(i64::MAX)
}

/// A mechanism that this library speaks (`sasl.mechanism`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SaslMechanism {
    Plain,
    Scram(ScramMechanism),
    OAuthBearer,
}

impl SaslMechanism {
    pub(crate) const ALL: [Self; 4] = [
        Self::Plain,
        Self::Scram(ScramMechanism::Sha256),
        Self::Scram(ScramMechanism::Sha512),
        Self::OAuthBearer,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram(mechanism) => mechanism.as_str(),
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// What a closure of the user returns.
pub(crate) type Provided<T> = Result<T, Box<dyn StdError + Send + Sync>>;

/// Where the credentials come from.
#[derive(Clone)]
pub(crate) enum Source {
    Fixed(SaslCredentials),
    /// Asked at each authentication, on the I/O thread.
    Provider(Arc<dyn Fn() -> Provided<SaslCredentials> + Send + Sync>),
    Token(Arc<RefreshingLogin>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed(_) => "Fixed([hidden])",
            Self::Provider(_) => "Provider(..)",
            Self::Token(_) => "Token([hidden])",
        })
    }
}

/// What the connections of one client authenticate with.
#[derive(Debug)]
pub(crate) struct SaslLogin {
    mechanism: SaslMechanism,
    source: Source,
    scram_keys: ScramKeyCache,
}

impl SaslLogin {
    pub(crate) fn new(mechanism: SaslMechanism, source: Source) -> Self {
        Self {
            mechanism,
            source,
            scram_keys: ScramKeyCache::default(),
        }
    }

    pub(super) fn mechanism(&self) -> SaslMechanism {
        self.mechanism
    }

    /// The client's side of an exchange, with the credentials of this moment.
    pub(super) fn client(&self) -> Result<Box<dyn SaslClient>, SaslFailure> {
        Ok(match self.mechanism {
            SaslMechanism::Plain => Box::new(PlainSaslClient::new(self.credentials()?)),
            SaslMechanism::Scram(mechanism) => {
                let cache = self.scram_keys.clone();
                Box::new(ScramSaslClient::new(mechanism, self.credentials()?, cache)?)
            }
            SaslMechanism::OAuthBearer => match &self.source {
                Source::Token(login) => Box::new(OAuthBearerSaslClient::new(login.token()?)),
                _ => return Err(SaslFailure::new("OAUTHBEARER needs a token")),
            },
        })
    }

    fn credentials(&self) -> Result<SaslCredentials, SaslFailure> {
        match &self.source {
            Source::Fixed(credentials) => Ok(credentials.clone()),
            Source::Provider(provider) => {
                ask(&**provider).map_err(|reason| SaslFailure(format!("no credentials: {reason}")))
            }
            Source::Token(_) => Err(SaslFailure::new("a token is no user and password")),
        }
    }
}

/// Calls a closure of the user, whose panic must not end the thread.
pub(super) fn ask<T>(provider: &(dyn Fn() -> Provided<T> + Send + Sync)) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(provider)) {
        Ok(Ok(provided)) => Ok(provided),
        Ok(Err(error)) => Err(crate::utils::printable(&error.to_string()).to_string()),
        Err(_) => Err("the provider panicked".to_owned()),
    }
}
