//! The mechanism of a client, and the source of its credentials. Java: `LoginManager`.

use std::fmt;

use super::credentials::{Provided, SaslCredentials, ask};
#[cfg(feature = "gssapi")]
use super::gssapi::{KerberosLogin, PendingToken};
use super::login::RefreshingLogin;
use super::oauthbearer::OAuthBearerSaslClient;
use super::plain::PlainSaslClient;
use super::scram::{ScramKeyCache, ScramSaslClient};
use super::{Peer, SaslClient, SaslFailure};
use crate::sync::Arc;
use crate::utils::ScramMechanism;

/// A supported mechanism (`sasl.mechanism`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SaslMechanism {
    Plain,
    Scram(ScramMechanism),
    OAuthBearer,
    #[cfg(feature = "gssapi")]
    Gssapi,
}

impl SaslMechanism {
    pub(crate) const ALL: &[Self] = &[
        Self::Plain,
        Self::Scram(ScramMechanism::Sha256),
        Self::Scram(ScramMechanism::Sha512),
        Self::OAuthBearer,
        #[cfg(feature = "gssapi")]
        Self::Gssapi,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram(mechanism) => mechanism.as_str(),
            Self::OAuthBearer => "OAUTHBEARER",
            #[cfg(feature = "gssapi")]
            Self::Gssapi => "GSSAPI",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.name() == name)
    }
}

/// The source of the credentials.
#[derive(Clone)]
pub(crate) enum Source {
    Fixed(SaslCredentials),
    /// Called at each authentication, on the I/O thread.
    Provider(Arc<dyn Fn() -> Provided<SaslCredentials> + Send + Sync>),
    Token(Arc<RefreshingLogin>),
    #[cfg(feature = "gssapi")]
    Kerberos(Arc<KerberosLogin>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed(_) => "Fixed([hidden])",
            Self::Provider(_) => "Provider(..)",
            Self::Token(_) => "Token([hidden])",
            #[cfg(feature = "gssapi")]
            Self::Kerberos(_) => "Kerberos(..)",
        })
    }
}

/// How an exchange begins.
#[derive(Debug)]
pub(super) enum Beginning {
    /// The client makes its first token at once.
    Client(Box<dyn SaslClient>),
    /// There are no credentials now, but soon.
    Later(SaslFailure),
    /// Another thread makes it, and wakes the connection.
    #[cfg(feature = "gssapi")]
    Pending(PendingToken),
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

    /// Begins an exchange with the credentials of this moment.
    pub(super) fn begin(
        &self,
        #[cfg_attr(
            not(feature = "gssapi"),
            expect(unused_variables, reason = "only Kerberos names the peer")
        )]
        peer: &Peer,
    ) -> Result<Beginning, SaslFailure> {
        #[cfg(feature = "gssapi")]
        if let Source::Kerberos(login) = &self.source {
            return login.begin(peer).map(Beginning::Pending);
        }
        if let (SaslMechanism::OAuthBearer, Source::Token(login)) = (self.mechanism, &self.source) {
            return match login.token() {
                Ok(token) => {
                    let client = OAuthBearerSaslClient::new(token);
                    Ok(Beginning::Client(Box::new(client)))
                }
                Err(expired) if expired.is_replaced => Ok(Beginning::Later(expired.failure)),
                Err(expired) => Err(expired.failure),
            };
        }
        self.client().map(Beginning::Client)
    }

    fn client(&self) -> Result<Box<dyn SaslClient>, SaslFailure> {
        Ok(match self.mechanism {
            SaslMechanism::Plain => Box::new(PlainSaslClient::new(self.credentials()?)),
            SaslMechanism::Scram(mechanism) => {
                let cache = self.scram_keys.clone();
                Box::new(ScramSaslClient::new(mechanism, self.credentials()?, cache)?)
            }
            SaslMechanism::OAuthBearer => {
                return Err(SaslFailure::new("OAUTHBEARER needs a token"));
            }
            #[cfg(feature = "gssapi")]
            SaslMechanism::Gssapi => return Err(SaslFailure::new("GSSAPI needs a Kerberos login")),
        })
    }

    fn credentials(&self) -> Result<SaslCredentials, SaslFailure> {
        match &self.source {
            Source::Fixed(credentials) => Ok(credentials.clone()),
            Source::Provider(provider) => {
                ask(&**provider).map_err(|reason| SaslFailure(format!("no credentials: {reason}")))
            }
            Source::Token(_) => Err(SaslFailure::new("a token is no user and password")),
            #[cfg(feature = "gssapi")]
            Source::Kerberos(_) => Err(SaslFailure::new("a ticket is no user and password")),
        }
    }
}
