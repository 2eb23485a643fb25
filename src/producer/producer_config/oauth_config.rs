//! The `sasl.oauthbearer.*` keys: a token endpoint, and the requests to it. Java:
//! `DefaultJwtRetriever`, `ClientCredentialsRequestFormatterFactory`, `AssertionSupplierFactory`,
//! `ConfigOrJaas`, `JaasOptionsUtils`.

use std::path::PathBuf;
use std::time::Duration;

use super::allowed_values::check_allowed;
use super::jaas_config::JaasEntry;
use super::refusals::Refusals;
use super::{ProducerConfig, SecurityProtocol, sasl_keys};
use crate::error::Result;
use crate::network::http::{HttpTimeouts, checked_url};
use crate::network::sasl::{Assertion, SignedAssertion, TokenEndpoint, TokenRequest};
use crate::network::ssl::{SignatureAlgorithm, SslConfig};
use crate::producer::config_def::{ConfigKey, config_error, trim};
use crate::utils::Secret;

/// Java waits forever if these are not set, or 0.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads the settings of requests to `url`. `jaas` is the entry of `sasl.jaas.config`, if it is
/// set.
pub(super) fn token_endpoint(
    config: &ProducerConfig,
    url: &str,
    jaas: Option<&JaasEntry>,
) -> Result<TokenEndpoint> {
    let options = Options { config, jaas };
    let key = &sasl_keys::OAUTHBEARER_TOKEN_ENDPOINT_URL;
    let shown_url = checked_url(url).map_err(|reason| {
        // The value may contain a password.
        config_error(format!("{}: the value {reason}", key.name))
    })?;
    let is_https = shown_url.starts_with("https:");
    Ok(TokenEndpoint {
        url: Secret::new(url),
        shown_url,
        request: options.request()?,
        ssl: is_https.then(|| options.ssl()).transpose()?,
        timeouts: HttpTimeouts {
            connect: options.timeout(
                &sasl_keys::LOGIN_CONNECT_TIMEOUT_MS,
                DEFAULT_CONNECT_TIMEOUT,
            )?,
            read: options.timeout(&sasl_keys::LOGIN_READ_TIMEOUT_MS, DEFAULT_READ_TIMEOUT)?,
        },
        retry_backoff: options
            .millis(&sasl_keys::LOGIN_RETRY_BACKOFF_MS)?
            .unwrap_or_default(),
        retry_backoff_max: options
            .millis(&sasl_keys::LOGIN_RETRY_BACKOFF_MAX_MS)?
            .unwrap_or_default(),
        scope_claim: options.text_or_empty(&sasl_keys::OAUTHBEARER_SCOPE_CLAIM_NAME),
        sub_claim: options.text_or_empty(&sasl_keys::OAUTHBEARER_SUB_CLAIM_NAME),
        extensions: jaas.map_or_else(Vec::new, JaasEntry::extensions),
    })
}

/// The keys, and the login module's options that they replace.
struct Options<'a> {
    config: &'a ProducerConfig,
    jaas: Option<&'a JaasEntry>,
}

impl<'a> Options<'a> {
    /// Returns the value of a key, unless it is blank.
    fn text(&self, key: &ConfigKey) -> Option<&'a str> {
        let value = trim(self.config.value(key)?);
        (!value.is_empty()).then_some(value)
    }

    fn text_or_empty(&self, key: &ConfigKey) -> String {
        self.text(key).unwrap_or_default().to_owned()
    }

    /// Returns the value of a key, or of an option of the login module.
    fn text_or_option(&self, key: &ConfigKey, option: &str) -> Option<&'a str> {
        self.text(key).or_else(|| {
            let value = trim(self.jaas?.option(option)?);
            (!value.is_empty()).then_some(value)
        })
    }

    fn required(&self, key: &ConfigKey, option: &str) -> Result<&'a str> {
        self.text_or_option(key, option).ok_or_else(|| {
            config_error(format!(
                "{} is required for tokens by HTTP: set it, or the option {option} of {}",
                key.name,
                sasl_keys::JAAS_CONFIG.name
            ))
        })
    }

    fn number(&self, key: &ConfigKey) -> Result<i64> {
        key.number(self.text(key).unwrap_or("0"))
    }

    fn flag(&self, key: &ConfigKey) -> Result<bool> {
        key.boolean(self.text(key).unwrap_or("false"))
    }

    fn millis(&self, key: &ConfigKey) -> Result<Option<Duration>> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        let millis = u64::try_from(key.number(text)?);
        let millis = millis.map_err(|_| key.invalid(text, "must not be negative"))?;
        Ok(Some(Duration::from_millis(millis)))
    }

    /// Returns a timeout. In Java, 0 is none.
    fn timeout(&self, key: &ConfigKey, default: Duration) -> Result<Duration> {
        let timeout = self.millis(key)?.filter(|timeout| !timeout.is_zero());
        Ok(timeout.unwrap_or(default))
    }

    fn request(&self) -> Result<TokenRequest> {
        let class = self.text_or_empty(&sasl_keys::OAUTHBEARER_JWT_RETRIEVER_CLASS);
        let scope_key = &sasl_keys::OAUTHBEARER_SCOPE;
        if class.ends_with("JwtBearerJwtRetriever") {
            return Ok(TokenRequest::JwtBearer {
                assertion: self.assertion()?,
                scope: self.text(scope_key).map(str::to_owned),
            });
        }
        if class.ends_with("FileJwtRetriever") {
            let key = &sasl_keys::OAUTHBEARER_JWT_RETRIEVER_CLASS;
            return Err(key.invalid(
                &class,
                format_args!(
                    "reads a file: set {} to file:///path, or remove the key",
                    sasl_keys::OAUTHBEARER_TOKEN_ENDPOINT_URL.name
                ),
            ));
        }
        let scope = self.text_or_option(scope_key, "scope").map(str::to_owned);
        let id_key = &sasl_keys::OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_ID;
        let has_assertion = self.text(&sasl_keys::OAUTHBEARER_ASSERTION_FILE).is_some()
            || self
                .text(&sasl_keys::OAUTHBEARER_ASSERTION_CLAIM_ISS)
                .is_some();
        if has_assertion {
            return Ok(TokenRequest::ClientAssertion {
                id: self.text_or_option(id_key, "clientId").map(str::to_owned),
                assertion: self.assertion()?,
                scope,
            });
        }
        let secret_key = &sasl_keys::OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET;
        Ok(TokenRequest::ClientSecret {
            id: self.required(id_key, "clientId")?.to_owned(),
            secret: Secret::new(self.required(secret_key, "clientSecret")?),
            scope,
            url_encodes: self.flag(&sasl_keys::OAUTHBEARER_HEADER_URLENCODE)?,
        })
    }

    fn assertion(&self) -> Result<Assertion> {
        if let Some(path) = self.file(&sasl_keys::OAUTHBEARER_ASSERTION_FILE)? {
            return Ok(Assertion::File(path));
        }
        let key_file = &sasl_keys::OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE;
        let private_key_file = self.file(key_file)?.ok_or_else(|| {
            config_error(format!(
                "{} is required to sign an assertion: set it, or {}",
                key_file.name,
                sasl_keys::OAUTHBEARER_ASSERTION_FILE.name
            ))
        })?;
        let algorithm = self.text_or_empty(&sasl_keys::OAUTHBEARER_ASSERTION_ALGORITHM);
        let claims = [
            ("aud", &sasl_keys::OAUTHBEARER_ASSERTION_CLAIM_AUD),
            ("iss", &sasl_keys::OAUTHBEARER_ASSERTION_CLAIM_ISS),
            ("sub", &sasl_keys::OAUTHBEARER_ASSERTION_CLAIM_SUB),
        ];
        let claims = claims.into_iter();
        let passphrase = self.text(&sasl_keys::OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE);
        Ok(Assertion::Signed(SignedAssertion {
            algorithm: match algorithm.eq_ignore_ascii_case("ES256") {
                true => SignatureAlgorithm::Es256,
                false => SignatureAlgorithm::Rs256,
            },
            private_key_file,
            passphrase: passphrase.map(Secret::new),
            template_file: self.file(&sasl_keys::OAUTHBEARER_ASSERTION_TEMPLATE_FILE)?,
            claims: claims
                .filter_map(|(name, key)| Some((name, self.text(key)?.to_owned())))
                .collect(),
            exp_seconds: self.number(&sasl_keys::OAUTHBEARER_ASSERTION_CLAIM_EXP_SECONDS)?,
            nbf_seconds: self.number(&sasl_keys::OAUTHBEARER_ASSERTION_CLAIM_NBF_SECONDS)?,
            includes_jti: self.flag(&sasl_keys::OAUTHBEARER_ASSERTION_CLAIM_JTI_INCLUDE)?,
        }))
    }

    fn file(&self, key: &ConfigKey) -> Result<Option<PathBuf>> {
        let Some(path) = self.text(key) else {
            return Ok(None);
        };
        check_allowed(
            self.config,
            key,
            &sasl_keys::OAUTHBEARER_ALLOWED_FILES,
            path,
        )?;
        Ok(Some(PathBuf::from(path)))
    }

    /// Returns the TLS settings of the token endpoint, which are options of the login module. Those
    /// of the brokers do not apply to it.
    fn ssl(&self) -> Result<SslConfig> {
        let mut options = ProducerConfig::new();
        for (name, value) in self
            .jaas
            .into_iter()
            .flat_map(|entry| entry.options_with("ssl."))
        {
            options.set(&format!("ssl.{name}"), value)?;
        }
        let mut refusals = Refusals::default();
        let mut notes = Vec::new();
        let ssl = options.ssl(SecurityProtocol::Ssl, &mut refusals, &mut notes);
        refusals
            .into_result()
            .map_err(|error| config_error(format!("{}: {error}", sasl_keys::JAAS_CONFIG.name)))?;
        ssl.filter(|ssl| ssl.verifies_host).ok_or_else(|| {
            config_error(format!(
                "{}: the token endpoint must prove its host name: remove ssl.endpoint.identification.algorithm",
                sasl_keys::JAAS_CONFIG.name
            ))
        })
    }
}
