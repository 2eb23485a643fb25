//! Where certificates and keys come from, and whether that has changed. Java: `DefaultSslEngineFactory.SecurityStore`,
//! `FileBasedPemStore`.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::pem;
use crate::utils::{Secret, log};

/// The authorities whose certificates are accepted. Java: `ssl.truststore.*`.
#[derive(Clone, Debug)]
pub(crate) enum Truststore {
    /// Those that the operating system trusts.
    Platform,
    PemFile(PathBuf),
    Pem(Secret),
}

/// What proves who this client is. Java: `ssl.keystore.*`.
#[derive(Clone, Debug)]
pub(crate) enum Keystore {
    /// The key and its certificates in one file.
    PemFile(PathBuf),
    Pem {
        key: Secret,
        certificate_chain: Secret,
    },
}

/// The texts of all stores as they were read last. Compared with what is there before each new connection: times of files
/// lie, and the files are small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreTexts {
    /// `None` is the operating system's.
    truststore: Option<Secret>,
    keystore: Option<KeyTexts>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyTexts {
    key: Secret,
    certificate_chain: Secret,
}

impl StoreTexts {
    /// # Errors
    ///
    /// A file cannot be read.
    pub(super) fn read(
        truststore: &Truststore,
        keystore: Option<&Keystore>,
    ) -> Result<Self, String> {
        Ok(Self {
            truststore: match truststore {
                Truststore::Platform => None,
                Truststore::PemFile(path) => Some(read("ssl.truststore.location", path)?),
                Truststore::Pem(text) => Some(text.clone()),
            },
            keystore: match keystore {
                None => None,
                Some(Keystore::PemFile(path)) => {
                    let text = read("ssl.keystore.location", path)?;
                    Some(KeyTexts {
                        key: text.clone(),
                        certificate_chain: text,
                    })
                }
                Some(Keystore::Pem {
                    key,
                    certificate_chain,
                }) => Some(KeyTexts {
                    key: key.clone(),
                    certificate_chain: certificate_chain.clone(),
                }),
            },
        })
    }

    /// The authorities to trust.
    ///
    /// # Errors
    ///
    /// There is none, or one is damaged.
    pub(super) fn roots(&self, truststore: &Truststore) -> Result<RootCertStore, String> {
        let place = match truststore {
            Truststore::Platform => return platform_roots(),
            Truststore::PemFile(path) => in_file("ssl.truststore.location", path),
            Truststore::Pem(_) => "ssl.truststore.certificates".to_owned(),
        };
        let text = self.truststore.as_ref().map_or("", Secret::expose);
        let certificates = pem::certificates(text).map_err(|error| format!("{place}: {error}"))?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| format!("{place}: a certificate is damaged: {error}"))?;
        }
        Ok(roots)
    }

    /// This client's key and certificates, its own first.
    ///
    /// # Errors
    ///
    /// One of them is not there, damaged or encrypted.
    pub(super) fn identity(&self, keystore: Option<&Keystore>) -> Result<Option<Identity>, String> {
        let (Some(texts), Some(keystore)) = (&self.keystore, keystore) else {
            return Ok(None);
        };
        let (key_place, chain_place) = match keystore {
            Keystore::PemFile(path) => {
                let place = in_file("ssl.keystore.location", path);
                (place.clone(), place)
            }
            Keystore::Pem { .. } => (
                "ssl.keystore.key".to_owned(),
                "ssl.keystore.certificate.chain".to_owned(),
            ),
        };
        let key = pem::private_key(texts.key.expose());
        let chain = pem::certificates(texts.certificate_chain.expose());
        Ok(Some(Identity {
            key: key.map_err(|error| format!("{key_place}: {error}"))?,
            certificate_chain: chain.map_err(|error| format!("{chain_place}: {error}"))?,
            place: key_place,
        }))
    }
}

/// A private key and its certificates.
pub(super) struct Identity {
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) certificate_chain: Vec<CertificateDer<'static>>,
    /// The setting that the key comes from, for errors.
    pub(super) place: String,
}

fn in_file(key: &str, path: &Path) -> String {
    format!("{key} {}", path.display())
}

/// The text of a store. Bytes that are no text become a text that is no PEM.
fn read(key: &str, path: &Path) -> Result<Secret, String> {
    let bytes = std::fs::read(path).map(Zeroizing::new);
    let bytes = bytes.map_err(|error| format!("{} cannot be read: {error}", in_file(key, path)))?;
    Ok(Secret::new(String::from_utf8_lossy(&bytes).into_owned()))
}

fn platform_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    log::debug!("{added} authorities of the operating system are trusted, {ignored} are ignored");
    if !roots.is_empty() {
        return Ok(roots);
    }
    let reason = match found.errors.first() {
        Some(error) => error.to_string(),
        None => "it has none".to_owned(),
    };
    Err(format!(
        "no authority of the operating system can be trusted: {reason}; install its package of CA certificates, or set \
         ssl.truststore.type=PEM and ssl.truststore.location"
    ))
}
