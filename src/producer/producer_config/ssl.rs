//! The `ssl.*` keys: stores, versions, checks, and contradictions between them. Java: `SslConfigs`,
//! `DefaultSslEngineFactory.configure`.

use super::keys;
use super::reader::Reader;
use super::refusals::Refusals;
use super::resolved::Note;
use super::{ProducerConfig, SecurityProtocol};
use crate::network::ssl::{Keystore, SslConfig, TlsVersion, Truststore};
use crate::producer::config_def::{ConfigKey, config_error};
use crate::utils::Secret;

/// The formats of stores. The content tells Java's two formats apart, as in Java.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoreType {
    Pem,
    Java,
}

/// The keys of one store.
struct StoreKeys {
    store_type: &'static ConfigKey,
    location: &'static ConfigKey,
    password: &'static ConfigKey,
    /// The key that contains the content itself instead of a file's path.
    inline: &'static ConfigKey,
    /// The commands that convert a Java store to PEM.
    conversion: &'static str,
}

static TRUSTSTORE: StoreKeys = StoreKeys {
    store_type: &keys::SSL_TRUSTSTORE_TYPE,
    location: &keys::SSL_TRUSTSTORE_LOCATION,
    password: &keys::SSL_TRUSTSTORE_PASSWORD,
    inline: &keys::SSL_TRUSTSTORE_CERTIFICATES,
    conversion: "keytool -exportcert -rfc -alias ALIAS -keystore STORE -file ca.pem",
};

static KEYSTORE: StoreKeys = StoreKeys {
    store_type: &keys::SSL_KEYSTORE_TYPE,
    location: &keys::SSL_KEYSTORE_LOCATION,
    password: &keys::SSL_KEYSTORE_PASSWORD,
    inline: &keys::SSL_KEYSTORE_KEY,
    conversion: "keytool -importkeystore -srckeystore STORE -destkeystore store.p12 -deststoretype PKCS12, and then openssl \
                 pkcs12 -in store.p12 -nodes -out keystore.pem",
};

impl ProducerConfig {
    /// Returns the TLS settings, if the connections use TLS. Adds problems to `refusals`.
    pub(super) fn ssl(
        &self,
        protocol: SecurityProtocol,
        refusals: &mut Refusals,
        notes: &mut Vec<Note>,
    ) -> Option<SslConfig> {
        let config = self;
        protocol
            .uses_tls()
            .then(|| Reader { config, refusals }.ssl(notes))
    }
}

impl<'a> Reader<'a> {
    fn ssl(mut self, notes: &mut Vec<Note>) -> SslConfig {
        self.check_jvm_keys(notes);
        SslConfig {
            truststore: self.truststore(),
            keystore: self.keystore(),
            verifies_host: self.verifies_host(notes),
            protocols: self.protocols(),
            cipher_suites: {
                let key = &keys::SSL_CIPHER_SUITES;
                let suites = self
                    .refusals
                    .value_or(key, key.list(self.text(key)), Vec::new());
                suites.into_iter().map(str::to_owned).collect()
            },
        }
    }

    /// Returns the text of a key that is set and not empty.
    fn given(&self, key: &ConfigKey) -> Option<&'a str> {
        Some(self.text(key)).filter(|text| !text.is_empty())
    }

    fn secret(&self, key: &ConfigKey) -> Secret {
        Secret::new(self.text(key))
    }

    fn password(&self, key: &ConfigKey) -> Option<Secret> {
        self.given(key).map(Secret::new)
    }

    fn refuse(&mut self, text: String) {
        self.refusals.refuse(config_error(text));
    }

    /// Checks the rules that both stores share.
    fn check_store(&mut self, store: &StoreKeys) -> StoreType {
        let store_type = self.store_type(store);
        let is_pem = store_type == StoreType::Pem;
        let has_location = self.given(store.location).is_some();
        let has_password = self.given(store.password).is_some();
        let has_inline = self.given(store.inline).is_some();
        let (type_key, location, password, inline) = (
            store.store_type.name,
            store.location.name,
            store.password.name,
            store.inline.name,
        );
        let type_text = self.text(store.store_type);
        if has_inline && has_location {
            self.refuse(format!(
                "{inline} and {location} are both set: remove one of them"
            ));
        } else if has_inline && !is_pem {
            self.refuse(format!(
                "{inline} is PEM, but {type_key} is {type_text}: set {type_key}=PEM"
            ));
        } else if has_location && !is_pem && !cfg!(feature = "keystores") {
            self.refuse(format!(
                "{type_key} is {type_text}: that needs the Cargo feature `keystores` of kafka-producer, which is off; or \
                 convert {location} to PEM ({}) and set {type_key}=PEM",
                store.conversion
            ));
        }
        if has_password && !has_location {
            self.refuse(format!(
                "{password} is set without {location}, which it is for: remove it"
            ));
        } else if has_password && is_pem {
            self.refuse(format!(
                "{password} is set, but a PEM file has no password: remove it (the password of the key is ssl.key.password)"
            ));
        }
        store_type
    }

    fn store_type(&mut self, store: &StoreKeys) -> StoreType {
        let (key, text) = (store.store_type, self.text(store.store_type));
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        if is("PEM") {
            return StoreType::Pem;
        }
        if !is("JKS") && !is("PKCS12") {
            let refusal = key.invalid(text, "is not supported; there are PEM, JKS and PKCS12");
            self.refusals.refuse_key(key.name, refusal);
        }
        StoreType::Java
    }

    fn truststore(&mut self) -> Truststore {
        let store_type = self.check_store(&TRUSTSTORE);
        let Some(location) = self.given(TRUSTSTORE.location) else {
            return match self.given(TRUSTSTORE.inline) {
                Some(_) => Truststore::Pem(self.secret(TRUSTSTORE.inline)),
                None => Truststore::Platform,
            };
        };
        let path = location.into();
        match store_type {
            #[cfg(feature = "keystores")]
            StoreType::Java => Truststore::StoreFile {
                path,
                password: self.password(TRUSTSTORE.password),
            },
            // Without the feature, `check_store` refuses it.
            #[cfg(not(feature = "keystores"))]
            StoreType::Java => Truststore::PemFile(path),
            StoreType::Pem => Truststore::PemFile(path),
        }
    }

    fn keystore(&mut self) -> Option<Keystore> {
        let store_type = self.check_store(&KEYSTORE);
        let chain = &keys::SSL_KEYSTORE_CERTIFICATE_CHAIN;
        let has_key = self.given(KEYSTORE.inline).is_some();
        let has_chain = self.given(chain).is_some();
        if has_key != has_chain {
            let (set, missing) = match has_key {
                true => (KEYSTORE.inline.name, chain.name),
                false => (chain.name, KEYSTORE.inline.name),
            };
            self.refuse(format!(
                "{set} is set without {missing}: set both, or neither"
            ));
        }
        let key_password = self.password(&keys::SSL_KEY_PASSWORD);
        let Some(location) = self.given(KEYSTORE.location) else {
            return has_key.then(|| Keystore::Pem {
                key: self.secret(KEYSTORE.inline),
                certificate_chain: self.secret(chain),
                key_password,
            });
        };
        let path = location.into();
        Some(match store_type {
            #[cfg(feature = "keystores")]
            StoreType::Java => Keystore::StoreFile {
                path,
                password: self.keystore_password(),
                key_password,
            },
            // Without the feature, `check_store` refuses it.
            #[cfg(not(feature = "keystores"))]
            StoreType::Java => Keystore::PemFile { path, key_password },
            StoreType::Pem => Keystore::PemFile { path, key_password },
        })
    }

    /// Returns the password, which is required as in Java. It may be empty.
    #[cfg(feature = "keystores")]
    fn keystore_password(&mut self) -> Secret {
        let (password, location) = (KEYSTORE.password, KEYSTORE.location);
        if self.config.is_set(password.name) {
            return self.secret(password);
        }
        self.refuse(format!(
            "{} is set without {}: set both",
            location.name, password.name
        ));
        Secret::default()
    }

    fn verifies_host(&mut self, notes: &mut Vec<Note>) -> bool {
        let key = &keys::SSL_ENDPOINT_IDENTIFICATION_ALGORITHM;
        match self.text(key) {
            "" => {
                notes.push(Note::warning(format!(
                    "{} is empty: host names of brokers are not verified, so a broker with any trusted certificate can pass for another",
                    key.name
                )));
                false
            }
            name if name.eq_ignore_ascii_case("https") => true,
            name => {
                let refusal = key.invalid(name, "must be https, or empty to check no host name");
                self.refusals.refuse_key(key.name, refusal);
                true
            }
        }
    }

    fn protocols(&mut self) -> Vec<TlsVersion> {
        let key = &keys::SSL_ENABLED_PROTOCOLS;
        let text = self.text(key);
        let versions = key.list(text).and_then(|names| {
            if names.is_empty() {
                return Err(key.invalid(text, "must name TLSv1.2, TLSv1.3 or both"));
            }
            let version = |name: &str| match name {
                "TLSv1.2" => Ok(TlsVersion::Tls12),
                "TLSv1.3" => Ok(TlsVersion::Tls13),
                name => Err(key.invalid(
                    text,
                    format_args!("'{name}' is not supported; there are TLSv1.2 and TLSv1.3"),
                )),
            };
            names.into_iter().map(version).collect()
        });
        self.refusals.value_or(key, versions, Vec::new())
    }

    /// Handles settings of Java's TLS that have no meaning here. They are ignored with a warning,
    /// or refused if that would weaken the connection.
    fn check_jvm_keys(&mut self, notes: &mut Vec<Note>) {
        for key in keys::all().filter(|key| key.name.starts_with("ssl.")) {
            let value = self.text(key);
            if value.is_empty() || key.default_value() == Some(value) {
                continue;
            }
            let refusal = match (key.name, value) {
                ("ssl.protocol", "TLS" | "TLSv1.2") => continue,
                ("ssl.protocol", _) => {
                    "is not supported; ssl.enabled.protocols says which versions are"
                }
                ("ssl.trustmanager.algorithm", "SunX509") => continue,
                ("ssl.trustmanager.algorithm", _) => {
                    "is a trust manager of Java: certificates are checked as by PKIX"
                }
                ("ssl.engine.factory.class", _) => {
                    "is a class of Java, which cannot be loaded; remove the key"
                }
                (
                    "ssl.provider"
                    | "ssl.keymanager.algorithm"
                    | "ssl.secure.random.implementation",
                    _,
                ) => {
                    let name = key.name;
                    notes.push(Note::warning(format!(
                        "{name} configures Java's TLS alone, and is ignored"
                    )));
                    continue;
                }
                _ => continue,
            };
            self.refusals
                .refuse_key(key.name, key.invalid(value, refusal));
        }
    }
}
