//! Creates the TLS half of connections, and reloads certificates that were replaced. Java:
//! `SslFactory`, `DefaultSslEngineFactory`.
//!
//! Differs from Java, which reads the files once: each new connection reads them again. If they
//! cannot be used, the factory logs the reason and keeps the last certificates that worked.

use std::fmt;
use std::time::{Duration, Instant};

use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion, version};

use super::certificates::{Identity, Keystore, StoreContents, Truststore};
use super::reload::{Loaded, Outcome, Reloader};
use super::verifier::AnyNameVerifier;
use crate::sync::Arc;
use crate::utils::{crypto_provider, log};

/// How long sessions are resumed before brokers must prove their identity again. A resumed session
/// verifies no certificate, and brings the ticket for the next one. Java:
/// `javax.net.ssl.sessionTimeout`.
const SESSION_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// A version of TLS that `ssl.enabled.protocols` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsVersion {
    Tls12,
    Tls13,
}

/// The `ssl.*` settings of one client.
#[derive(Clone, Debug)]
pub(crate) struct SslConfig {
    pub(crate) truststore: Truststore,
    pub(crate) keystore: Option<Keystore>,
    /// `ssl.endpoint.identification.algorithm` is not empty.
    pub(crate) verifies_host: bool,
    /// `ssl.enabled.protocols`; not empty.
    pub(crate) protocols: Vec<TlsVersion>,
    /// `ssl.cipher.suites`, by IANA's names; empty allows all.
    pub(crate) cipher_suites: Vec<String>,
}

/// A problem with the `ssl.*` settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SslError(String);

#[cfg(feature = "oauth-oidc")]
impl SslError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for SslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SslError {}

/// The current TLS settings.
#[derive(Clone, Debug)]
pub(crate) struct SslFactory {
    loaded: Loaded,
    /// When the oldest session that may be resumed began, at the earliest.
    sessions_since: Option<Instant>,
    reloader: Reloader,
    /// Why what the stores hold now is not used; `None` if it is.
    failure: Option<String>,
}

impl SslFactory {
    /// Reads the stores and creates the factory.
    ///
    /// # Errors
    ///
    /// A store cannot be used, a cipher suite is unknown, or there is no cryptography for this processor.
    ///
    /// # Blocking
    ///
    /// Reads files.
    pub(crate) fn new(config: SslConfig) -> Result<Self, SslError> {
        let provider = crypto_provider().map_err(|error| SslError(error.to_owned()))?;
        Self::with_reader(config, &provider, StoreContents::read)
    }

    /// `read` reads the stores.
    pub(super) fn with_reader(
        config: SslConfig,
        provider: &CryptoProvider,
        read: impl Fn(&Truststore, Option<&Keystore>) -> Result<StoreContents, String>
        + Send
        + Sync
        + 'static,
    ) -> Result<Self, SslError> {
        let provider = Arc::new(limited(provider, &config.cipher_suites).map_err(SslError)?);
        let contents = read(&config.truststore, config.keystore.as_ref()).map_err(SslError)?;
        let loaded = load(&config, &provider, contents).map_err(SslError)?;
        let read_again = move |held: &StoreContents| -> Outcome {
            let contents = read(&config.truststore, config.keystore.as_ref())?;
            match contents == *held {
                true => Ok(None),
                false => load(&config, &provider, contents).map(Some),
            }
        };
        Ok(Self {
            loaded,
            sessions_since: None,
            reloader: Reloader::new(Arc::new(read_again)),
            failure: None,
        })
    }

    /// Returns the TLS half of a new connection to `host`, with the certificates that the stores
    /// hold now.
    ///
    /// # Errors
    ///
    /// A certificate cannot contain such a host name.
    ///
    /// # Blocking
    ///
    /// As [`Reloader::reload`].
    pub(crate) fn session(
        &mut self,
        host: &str,
        now: Instant,
    ) -> Result<ClientConnection, SslError> {
        self.reload();
        self.forget_old_sessions(now);
        let name = server_name(host).ok_or_else(|| {
            SslError(format!(
                "'{host}' is neither a DNS name nor an address, so that no certificate can be for it"
            ))
        })?;
        ClientConnection::new(Arc::clone(&self.loaded.client), name)
            .map_err(|error| SslError(error.to_string()))
    }

    /// Forgets all sessions once one of them may be too old.
    fn forget_old_sessions(&mut self, now: Instant) {
        let since = *self.sessions_since.get_or_insert(now);
        if now.saturating_duration_since(since) < SESSION_TIMEOUT {
            return;
        }
        let mut client = ClientConfig::clone(&self.loaded.client);
        client.resumption = Resumption::default();
        self.loaded.client = Arc::new(client);
        self.sessions_since = Some(now);
    }

    #[cfg(test)]
    pub(super) fn failure(&self) -> &str {
        self.failure.as_deref().unwrap_or_default()
    }

    /// Takes up what the stores hold now.
    fn reload(&mut self) {
        // Texts in the configuration do not change.
        if !self.loaded.contents.is_of_files() {
            return;
        }
        match self.reloader.reload(&self.loaded.contents) {
            Ok(replaced) => {
                if let Some(replaced) = replaced {
                    log::info!("the TLS certificates were replaced; new connections use them");
                    // Sessions of the old certificates are not resumed: the cache is the old configuration's.
                    self.loaded = replaced;
                }
                self.failure = None;
            }
            Err(failure) => {
                if self.failure.as_ref() != Some(&failure) {
                    log::warn!("the last valid TLS certificates stay in use: {failure}");
                }
                self.failure = Some(failure);
            }
        }
    }
}

/// Returns the provider restricted to these cipher suites.
pub(super) fn limited(
    provider: &CryptoProvider,
    names: &[String],
) -> Result<CryptoProvider, String> {
    let mut limited = provider.clone();
    if names.is_empty() {
        return Ok(limited);
    }
    let name_of = |suite: &rustls::SupportedCipherSuite| iana_name(&format!("{:?}", suite.suite()));
    let known: Vec<_> = provider.cipher_suites.iter().map(name_of).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(format!(
            "ssl.cipher.suites: '{unknown}' is not a cipher suite of this client; it has {}",
            known.join(", ")
        ));
    }
    limited
        .cipher_suites
        .retain(|suite| names.contains(&name_of(suite)));
    Ok(limited)
}

/// Returns IANA's name of a cipher suite. rustls has a different prefix for those of TLS 1.3.
fn iana_name(name: &str) -> String {
    match name.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}"),
        None => name.to_owned(),
    }
}

fn load(
    config: &SslConfig,
    provider: &Arc<CryptoProvider>,
    contents: StoreContents,
) -> Result<Loaded, String> {
    let client = client_config(config, provider, &contents)?;
    Ok(Loaded {
        contents: Arc::new(contents),
        client: Arc::new(client),
    })
}

fn client_config(
    config: &SslConfig,
    provider: &Arc<CryptoProvider>,
    contents: &StoreContents,
) -> Result<ClientConfig, String> {
    let versions: Vec<&SupportedProtocolVersion> = config
        .protocols
        .iter()
        .map(|protocol| match protocol {
            TlsVersion::Tls12 => &version::TLS12,
            TlsVersion::Tls13 => &version::TLS13,
        })
        .collect();
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&versions)
        .map_err(|_| "ssl.cipher.suites has no suite for ssl.enabled.protocols".to_owned())?;

    let roots = Arc::new(contents.roots(&config.truststore)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| format!("ssl.truststore: {error}"))?;
    let builder = builder.dangerous();
    let builder = if config.verifies_host {
        builder.with_custom_certificate_verifier(verifier)
    } else {
        builder.with_custom_certificate_verifier(Arc::new(AnyNameVerifier(verifier)))
    };

    let Some(keystore) = &config.keystore else {
        return Ok(builder.with_no_client_auth());
    };
    let keys = contents.identities(keystore)?;
    Ok(builder.with_client_cert_resolver(client_keys(keys, provider)?))
}

/// Returns the keys to choose from. A single key is always sent, so that a refusal names the
/// reason.
fn client_keys(
    identities: Vec<Identity>,
    provider: &CryptoProvider,
) -> Result<Arc<dyn ResolvesClientCert>, String> {
    let mut keys = Vec::new();
    let mut failure = String::new();
    for identity in identities {
        let Identity {
            alias,
            key,
            certificate_chain,
            place,
        } = identity;
        match CertifiedKey::from_der(certificate_chain, key, provider) {
            Ok(key) => keys.push((alias, key)),
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(format!(
                    "{place}: the private key is not that of the first certificate"
                ));
            }
            // A store may also hold keys of types that TLS does not support.
            Err(error) => {
                failure =
                    format!("{place}: the private key or the certificate cannot be used: {error}");
            }
        }
    }
    #[cfg(feature = "keystores")]
    if keys.len() > 1 {
        return Ok(Arc::new(super::client_keys::ClientKeys::new(keys)));
    }
    match keys.pop() {
        Some((_, key)) => Ok(Arc::new(SingleCertAndKey::from(key))),
        None => Err(failure),
    }
}

/// Returns the name that the broker's certificate must prove. Removes the final dot of an absolute
/// name and the zone of an address, which certificates do not contain.
fn server_name(host: &str) -> Option<ServerName<'static>> {
    let host = host.split_once('%').map_or(host, |(address, _)| address);
    let host = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(host.to_owned()).ok()
}
