//! The sources of certificates and keys, and the detection of changes. Java:
//! `DefaultSslEngineFactory.SecurityStore`, `FileBasedPemStore`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::pem;
#[cfg(feature = "keystores")]
use super::stores;
#[cfg(feature = "keystores")]
use crate::utils::printable;
use crate::utils::{Secret, log};

/// The authorities whose certificates are accepted. Java: `ssl.truststore.*`.
#[derive(Clone, Debug)]
pub(crate) enum Truststore {
    /// The authorities that the operating system trusts.
    Platform,
    PemFile(PathBuf),
    Pem(Secret),
    /// A file in JKS or PKCS#12 format. Without a password, its integrity is not checked.
    #[cfg(feature = "keystores")]
    StoreFile {
        path: PathBuf,
        password: Option<Secret>,
    },
}

/// The client's own key and certificates. Java: `ssl.keystore.*`.
#[derive(Clone, Debug)]
pub(crate) enum Keystore {
    /// The key and its certificates in one file.
    PemFile {
        path: PathBuf,
        key_password: Option<Secret>,
    },
    Pem {
        key: Secret,
        certificate_chain: Secret,
        key_password: Option<Secret>,
    },
    /// A file in JKS or PKCS#12 format.
    #[cfg(feature = "keystores")]
    StoreFile {
        path: PathBuf,
        password: Secret,
        /// `None` if the key has the file's password.
        key_password: Option<Secret>,
    },
}

/// The content of all stores at the last reading. Each new connection compares it with the current
/// files: their modification times are not reliable, and the files are small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreContents {
    /// `None` if the truststore is not a file.
    truststore: Option<Content>,
    keystore: Option<Content>,
}

/// The bytes of a file, which may hold a private key.
#[derive(Clone, PartialEq, Eq)]
struct Content(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

impl Content {
    fn read(key: &str, path: &Path) -> Result<Self, String> {
        let bytes = read_file(path);
        let bytes =
            bytes.map_err(|error| format!("{} cannot be read: {error}", in_file(key, path)))?;
        Ok(Self(bytes))
    }

    /// Returns the content as PEM text. Bytes that are not text become text that is not PEM.
    fn text(&self) -> Secret {
        Secret::new(String::from_utf8_lossy(&self.0))
    }
}

/// The largest file. All authorities of an operating system together need far less.
const MAX_FILE_SIZE: u64 = 16 << 20;

/// Reads a file that has an end. A pipe or a device could hold up the program for ever.
fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let mut file = File::open(path)?.take(MAX_FILE_SIZE + 1);
    if file.read_to_end(&mut bytes)? as u64 > MAX_FILE_SIZE {
        let text = format!("it is longer than {MAX_FILE_SIZE} bytes");
        return Err(io::Error::other(text));
    }
    Ok(bytes)
}

const TRUSTSTORE: &str = "ssl.truststore.location";
const KEYSTORE: &str = "ssl.keystore.location";

impl Truststore {
    /// Returns the path, if the truststore is a file.
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Platform | Self::Pem(_) => None,
            Self::PemFile(path) => Some(path),
            #[cfg(feature = "keystores")]
            Self::StoreFile { path, .. } => Some(path),
        }
    }
}

impl Keystore {
    /// Returns the path, if the keystore is a file.
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Pem { .. } => None,
            Self::PemFile { path, .. } => Some(path),
            #[cfg(feature = "keystores")]
            Self::StoreFile { path, .. } => Some(path),
        }
    }
}

impl StoreContents {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub(super) fn read(
        truststore: &Truststore,
        keystore: Option<&Keystore>,
    ) -> Result<Self, String> {
        let read = |key, path: Option<&Path>| path.map(|path| Content::read(key, path)).transpose();
        Ok(Self {
            truststore: read(TRUSTSTORE, truststore.path())?,
            keystore: read(KEYSTORE, keystore.and_then(Keystore::path))?,
        })
    }

    /// Returns whether a store is in a file, which may change.
    pub(super) fn is_of_files(&self) -> bool {
        self.truststore.is_some() || self.keystore.is_some()
    }

    /// The authorities to trust.
    ///
    /// # Errors
    ///
    /// There are none, or one is damaged.
    pub(super) fn roots(&self, truststore: &Truststore) -> Result<RootCertStore, String> {
        if let Truststore::Platform = truststore {
            return platform_roots();
        }
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(truststore)? {
            roots.add(certificate).map_err(|error| {
                let place = place_of(truststore);
                format!("{place}: a certificate is damaged: {error}")
            })?;
        }
        Ok(roots)
    }

    /// Returns the certificates of the authorities to trust.
    ///
    /// # Errors
    ///
    /// As [`roots`](Self::roots).
    #[cfg(feature = "oauth-oidc")]
    pub(super) fn authorities(
        &self,
        truststore: &Truststore,
    ) -> Result<Vec<CertificateDer<'static>>, String> {
        // Reports certificates that cannot be used now, rather than ignoring them later.
        self.roots(truststore)?;
        match truststore {
            Truststore::Platform => Ok(rustls_native_certs::load_native_certs().certs),
            truststore => self.certificates(truststore),
        }
    }

    /// Returns the certificates of a truststore other than the platform's.
    fn certificates(
        &self,
        truststore: &Truststore,
    ) -> Result<Vec<CertificateDer<'static>>, String> {
        let file = || {
            self.truststore
                .as_ref()
                .map(Content::text)
                .unwrap_or_default()
        };
        let certificates = match truststore {
            Truststore::Platform => Ok(Vec::new()),
            Truststore::PemFile(_) => pem::certificates(file().expose()),
            Truststore::Pem(text) => pem::certificates(text.expose()),
            #[cfg(feature = "keystores")]
            Truststore::StoreFile { password, .. } => {
                let bytes = self
                    .truststore
                    .as_ref()
                    .map_or(&[][..], |content| &content.0);
                store_roots(bytes, password.as_ref())
            }
        };
        certificates.map_err(|error| format!("{}: {error}", place_of(truststore)))
    }

    /// Returns this client's keys and certificates. Only a Java store has more than one key.
    ///
    /// # Errors
    ///
    /// There are none, or one is damaged or cannot be decrypted.
    pub(super) fn identities(&self, keystore: &Keystore) -> Result<Vec<Identity>, String> {
        match keystore {
            Keystore::PemFile { path, key_password } => {
                let place = in_file(KEYSTORE, path);
                let text = self
                    .keystore
                    .as_ref()
                    .map(Content::text)
                    .unwrap_or_default();
                let places = (place.as_str(), place.as_str());
                Identity::of_pem(&text, &text, key_password.as_ref(), places).map(|it| vec![it])
            }
            Keystore::Pem {
                key,
                certificate_chain,
                key_password,
            } => {
                let places = ("ssl.keystore.key", "ssl.keystore.certificate.chain");
                Identity::of_pem(key, certificate_chain, key_password.as_ref(), places)
                    .map(|it| vec![it])
            }
            #[cfg(feature = "keystores")]
            Keystore::StoreFile {
                path,
                password,
                key_password,
            } => {
                let place = in_file(KEYSTORE, path);
                let bytes = self.keystore.as_ref().map_or(&[][..], |content| &content.0);
                Identity::of_store(bytes, password, key_password.as_ref(), &place)
                    .map_err(|error| format!("{place}: {error}"))
            }
        }
    }
}

/// A private key and its certificates.
pub(super) struct Identity {
    /// The alias of the key in a Java store; empty for other formats.
    pub(super) alias: String,
    pub(super) key: PrivateKeyDer<'static>,
    /// The chain, with the key's own certificate first.
    pub(super) certificate_chain: Vec<CertificateDer<'static>>,
    /// The setting that contains the key, for errors.
    pub(super) place: String,
}

impl Identity {
    /// Parses PEM. `places` are the settings with the key and with the chain.
    fn of_pem(
        key: &Secret,
        chain: &Secret,
        key_password: Option<&Secret>,
        places: (&str, &str),
    ) -> Result<Self, String> {
        let (key_place, chain_place) = places;
        let key = pem::private_key(key.expose(), key_password);
        let chain = pem::certificates(chain.expose());
        Ok(Self {
            alias: String::new(),
            key: key.map_err(|error| format!("{key_place}: {error}"))?,
            certificate_chain: chain.map_err(|error| format!("{chain_place}: {error}"))?,
            place: key_place.to_owned(),
        })
    }

    /// Parses a Java store. As in Java, all its keys must have the same password.
    #[cfg(feature = "keystores")]
    fn of_store(
        bytes: &[u8],
        password: &Secret,
        key_password: Option<&Secret>,
        place: &str,
    ) -> Result<Vec<Self>, String> {
        let store = stores::Store::new(bytes, Some(password))
            .map_err(|error| format!("{error} (ssl.keystore.password)"))?;
        if store.keys.is_empty() {
            return Err(
                "the store holds no private key with a certificate: leave ssl.keystore.location out if the brokers demand no \
                 client certificate"
                    .to_owned(),
            );
        }
        let key = match key_password {
            Some(_) => "ssl.key.password",
            None => "ssl.keystore.password; ssl.key.password is not set",
        };
        let keys = store.keys.into_iter().map(|entry| {
            Ok(Self {
                key: entry
                    .private_key(key_password.unwrap_or(password))
                    .map_err(|error| format!("{error} ({key})"))?,
                place: format!("{place}, '{}'", printable(&entry.alias)),
                alias: entry.alias,
                certificate_chain: entry.certificate_chain,
            })
        });
        keys.collect()
    }
}

/// Returns the trusted certificates of a Java store: those that it marks as trusted and, as in
/// Java, the own certificate of each key.
#[cfg(feature = "keystores")]
fn store_roots(
    bytes: &[u8],
    password: Option<&Secret>,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let store = stores::Store::new(bytes, password)
        .map_err(|error| format!("{error} (ssl.truststore.password)"))?;
    let own = store.keys.into_iter();
    let own = own.filter_map(|entry| entry.certificate_chain.into_iter().next());
    let trusted: Vec<_> = store.trusted.into_iter().chain(own).collect();
    match (trusted.is_empty(), store.other_certificates) {
        (false, _) => Ok(trusted),
        (true, 0) => Err("the store holds no certificate".to_owned()),
        (true, count) => Err(format!(
            "the store holds no trusted certificate: {count} certificates lack Java's mark of trust, as those of OpenSSL do; \
             import them with `keytool -importcert -file ca.pem -alias ca -keystore STORE`, or use PEM"
        )),
    }
}

fn place_of(truststore: &Truststore) -> String {
    match truststore.path() {
        Some(path) => in_file(TRUSTSTORE, path),
        None => "ssl.truststore.certificates".to_owned(),
    }
}

fn in_file(key: &str, path: &Path) -> String {
    format!("{key} {}", path.display())
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
