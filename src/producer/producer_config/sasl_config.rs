//! The `sasl.*` keys: a mechanism, and the source of its credentials. Java: `SaslChannelBuilder`,
//! `JaasContext`, `LoginManager`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::allowed_values::check_allowed;
use super::jaas_config::JaasEntry;
use super::refusals::Refusals;
use super::{ProducerConfig, SecurityProtocol, keys, sasl_keys};
use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "aws-msk-iam")]
use crate::network::sasl::MskIam;
#[cfg(feature = "oauth-oidc")]
use crate::network::sasl::TokenEndpoint;
#[cfg(feature = "gssapi")]
use crate::network::sasl::{KerberosConfig, KerberosLogin};
use crate::network::sasl::{
    OAuthBearerToken, Provided, RefreshConfig, RefreshingLogin, SaslCredentials, SaslFailure,
    SaslLogin, SaslMechanism, Source, UnsecuredClaims, json_text, read_token_file,
};
use crate::producer::config_def::{ConfigKey, config_error, trim};
use crate::sync::Arc;
use crate::utils::Time;

/// A user's closure that provides credentials.
#[derive(Clone)]
pub(crate) enum SaslProvider {
    Credentials(Arc<dyn Fn() -> Provided<SaslCredentials> + Send + Sync>),
    Token(Arc<dyn Fn() -> Provided<OAuthBearerToken> + Send + Sync>),
    #[cfg(feature = "aws-msk-iam")]
    Aws(MskIam),
}

impl fmt::Debug for SaslProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials(_) => "Credentials(..)",
            Self::Token(_) => "Token(..)",
            #[cfg(feature = "aws-msk-iam")]
            Self::Aws(_) => "Aws(..)",
        })
    }
}

/// The authentication of a producer.
#[derive(Clone, Debug)]
pub(crate) struct SaslSettings {
    pub(crate) mechanism: SaslMechanism,
    origin: Origin,
    refresh: RefreshConfig,
}

/// The source of the credentials.
#[derive(Clone, Debug)]
enum Origin {
    Credentials(SaslCredentials),
    Provider(SaslProvider),
    TokenFile(TokenFile),
    #[cfg(feature = "oauth-oidc")]
    TokenEndpoint(Box<TokenEndpoint>),
    #[cfg(feature = "aws-msk-iam")]
    MskIam(MskIam),
    #[cfg(feature = "gssapi")]
    Kerberos(KerberosConfig),
    Unsecured(UnsecuredClaims),
}

#[derive(Clone, Debug)]
struct TokenFile {
    path: PathBuf,
    scope_claim: String,
    sub_claim: String,
    extensions: Vec<(String, String)>,
}

impl TokenFile {
    fn token(&self) -> Provided<OAuthBearerToken> {
        let token = read_token_file(&self.path, &self.scope_claim, &self.sub_claim)?;
        Ok(self.extensions.iter().fold(token, |token, (name, value)| {
            token.extension(name.clone(), value.clone())
        }))
    }
}

impl SaslSettings {
    /// Returns whether secrets go to a token endpoint without TLS.
    pub(super) fn exposes_secrets(&self) -> bool {
        #[cfg(feature = "oauth-oidc")]
        if let Origin::TokenEndpoint(endpoint) = &self.origin {
            return endpoint.ssl.is_none();
        }
        false
    }

    /// Gets the first token or ticket, if the mechanism has such. `client_id` names the thread that gets the others.
    ///
    /// # Errors
    ///
    /// `Authentication`: there is no token or ticket.
    ///
    /// # Blocking
    ///
    /// As long as the provider of tokens or Kerberos does.
    pub(crate) fn log_in(self, client_id: &str, time: &Arc<dyn Time>) -> Result<SaslLogin> {
        let provider: Box<dyn Fn() -> Provided<OAuthBearerToken> + Send + Sync> = match self.origin
        {
            Origin::Credentials(credentials) => {
                return Ok(SaslLogin::new(self.mechanism, Source::Fixed(credentials)));
            }
            Origin::Provider(SaslProvider::Credentials(provider)) => {
                return Ok(SaslLogin::new(self.mechanism, Source::Provider(provider)));
            }
            Origin::Provider(SaslProvider::Token(provider)) => Box::new(move || provider()),
            #[cfg(feature = "aws-msk-iam")]
            Origin::Provider(SaslProvider::Aws(msk_iam)) => {
                return Self {
                    origin: Origin::MskIam(msk_iam),
                    ..self
                }
                .log_in(client_id, time);
            }
            Origin::TokenFile(file) => Box::new(move || file.token()),
            #[cfg(feature = "oauth-oidc")]
            Origin::TokenEndpoint(endpoint) => {
                let clock = Arc::clone(time);
                Box::new(move || Ok(endpoint.token(&*clock)?))
            }
            #[cfg(feature = "aws-msk-iam")]
            Origin::MskIam(msk_iam) => {
                let clock = Arc::clone(time);
                Box::new(move || msk_iam.token(&*clock))
            }
            #[cfg(feature = "gssapi")]
            Origin::Kerberos(kerberos) => {
                let login = KerberosLogin::log_in(client_id, kerberos, Arc::clone(time));
                let source = Source::Kerberos(Arc::new(login.map_err(cannot_log_in)?));
                return Ok(SaslLogin::new(self.mechanism, source));
            }
            Origin::Unsecured(claims) => {
                let clock = Arc::clone(time);
                Box::new(move || Ok(claims.token(clock.unix_millis())))
            }
        };
        let login = RefreshingLogin::log_in(client_id, provider, self.refresh, Arc::clone(time));
        let source = Source::Token(Arc::new(login.map_err(cannot_log_in)?));
        Ok(SaslLogin::new(self.mechanism, source))
    }
}

fn cannot_log_in(failure: SaslFailure) -> Error {
    Error::new(ErrorKind::Authentication, "the producer cannot log in").caused_by(failure)
}

/// Reads the keys of SASL. `None` if the protocol uses none of them, or after a refusal.
pub(super) fn read(
    config: &ProducerConfig,
    protocol: SecurityProtocol,
    refusals: &mut Refusals,
) -> Option<SaslSettings> {
    if !protocol.uses_sasl() || refusals.concern(&[&keys::SECURITY_PROTOCOL]) {
        return None;
    }
    let mechanism = read_mechanism(config);
    let settings = mechanism.and_then(|mechanism| {
        Ok(SaslSettings {
            mechanism,
            origin: origin(config, mechanism)?,
            refresh: refresh(config)?,
        })
    });
    match settings {
        Ok(settings) => Some(settings),
        Err(refusal) => {
            refusals.refuse_key(sasl_keys::MECHANISM.name, refusal);
            None
        }
    }
}

const GSSAPI_FEATURE: &str = "the Cargo feature `gssapi` of kafka-producer, which is off";

/// The mechanism of Amazon's library for MSK.
const AWS_MSK_IAM: &str = "AWS_MSK_IAM";

fn read_mechanism(config: &ProducerConfig) -> Result<SaslMechanism> {
    let key = &sasl_keys::MECHANISM;
    let name = text(config, key);
    if let Some(mechanism) = SaslMechanism::from_name(name) {
        return Ok(mechanism);
    }
    if name == AWS_MSK_IAM {
        // Its signature is sent as a bearer token.
        return Ok(SaslMechanism::OAuthBearer);
    }
    let known = SaslMechanism::ALL.iter().map(|known| known.name());
    let known = known.collect::<Vec<_>>().join(", ");
    // Known with the feature, and not refused here.
    let reason = match name {
        "GSSAPI" if !config.is_set(key.name) => {
            format!("it is the default, and needs {GSSAPI_FEATURE}: set one of {known}")
        }
        "GSSAPI" => format!("Kerberos needs {GSSAPI_FEATURE}; without it there are {known}"),
        _ => format!("must be one of {known}"),
    };
    Err(key.invalid(name, reason))
}

fn origin(config: &ProducerConfig, mechanism: SaslMechanism) -> Result<Origin> {
    let is_token = mechanism == SaslMechanism::OAuthBearer;
    #[cfg(feature = "gssapi")]
    if mechanism == SaslMechanism::Gssapi {
        return kerberos(config);
    }
    match &config.sasl_provider {
        Some(provider) => {
            #[cfg(feature = "aws-msk-iam")]
            if let (SaslProvider::Aws(msk_iam), true) = (provider, is_token) {
                super::msk_iam_config::checked_region(&msk_iam.region)?;
                return Ok(Origin::MskIam(msk_iam.clone()));
            }
            let provides_tokens = !matches!(provider, SaslProvider::Credentials(_));
            if provides_tokens == is_token {
                return Ok(Origin::Provider(provider.clone()));
            }
            let name = mechanism.name();
            let has = match provider {
                SaslProvider::Credentials(_) => "sasl_credentials",
                SaslProvider::Token(_) => "sasl_oauthbearer",
                #[cfg(feature = "aws-msk-iam")]
                SaslProvider::Aws(_) => "sasl_aws_msk_iam",
            };
            let needs = match is_token {
                true => "sasl_oauthbearer",
                false => "sasl_credentials",
            };
            Err(config_error(format!(
                "sasl.mechanism is {name}, which needs {needs}(..), but {has}(..) was called: set one of both"
            )))
        }
        None if is_token => token_origin(config),
        None => user_and_password(config).map(Origin::Credentials),
    }
}

/// Returns the entry of `sasl.jaas.config`.
fn jaas(config: &ProducerConfig, modules: &[&str]) -> Result<JaasEntry> {
    let key = &sasl_keys::JAAS_CONFIG;
    let Some(value) = config.values.get(key.name) else {
        return Err(config_error(format!(
            "{} is required with the mechanism {}: set it to \"org.apache.kafka.common.security...{} required ...;\" (if Java \
             reads a JAAS file by java.security.auth.login.config, to the entry of KafkaClient in it), or give the \
             credentials to the builder",
            key.name,
            text(config, &sasl_keys::MECHANISM),
            modules.join(" or "),
        )));
    };
    let entry = JaasEntry::parse(value)
        .map_err(|error| config_error(format!("{} cannot be read: {error}", key.name)))?;
    if !modules.contains(&entry.simple_name()) {
        let module = crate::utils::printable(&entry.login_module).to_string();
        return Err(config_error(format!(
            "{} names the login module {module}, which is not supported with the mechanism {}{}: expected {}",
            key.name,
            text(config, &sasl_keys::MECHANISM),
            match config.is_set(sasl_keys::MECHANISM.name) {
                true => "",
                false => ", the default of sasl.mechanism",
            },
            modules.join(" or "),
        )));
    }
    Ok(entry)
}

/// The login modules whose options are a user and a password.
const USER_MODULES: [&str; 2] = ["PlainLoginModule", "ScramLoginModule"];

/// Returns whether `sasl.jaas.config` has a user and a password itself, or is malformed, which must not go unnoticed.
pub(super) fn has_user_and_password(config: &ProducerConfig) -> bool {
    let jaas = config.values.get(sasl_keys::JAAS_CONFIG.name);
    let entry = jaas.map(|jaas| JaasEntry::parse(jaas));
    entry.is_some_and(|entry| {
        entry.map_or(true, |entry| USER_MODULES.contains(&entry.simple_name()))
    })
}

/// Reads the user and password. Java accepts either module for either mechanism.
fn user_and_password(config: &ProducerConfig) -> Result<SaslCredentials> {
    let entry = jaas(config, &USER_MODULES)?;
    let option = |name: &str| {
        let value = entry.option(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| {
            config_error(format!(
                "{} has no {name}: add {name}=\"...\"",
                sasl_keys::JAAS_CONFIG.name
            ))
        })
    };
    let credentials = SaslCredentials::new(option("username")?, option("password")?);
    let is_token = entry.option("tokenauth");
    Ok(
        match is_token.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            true => credentials.delegation_token(),
            false => credentials,
        },
    )
}

fn token_origin(config: &ProducerConfig) -> Result<Origin> {
    let handler = text(config, &sasl_keys::LOGIN_CALLBACK_HANDLER_CLASS);
    let is_iam = text(config, &sasl_keys::MECHANISM) == AWS_MSK_IAM;
    if is_iam || handler.ends_with("IAMOAuthBearerLoginCallbackHandler") {
        return msk_iam(config);
    }
    let url = &sasl_keys::OAUTHBEARER_TOKEN_ENDPOINT_URL;
    let address = text(config, url);
    check_login_handler(handler, address)?;
    if address.is_empty() {
        let entry = jaas(config, &["OAuthBearerLoginModule"])?;
        return unsecured(&entry)?.map(Origin::Unsecured).ok_or_else(|| {
            config_error(format!(
                "the mechanism OAUTHBEARER has no source of tokens: set {} to https://host/path or file:///path, or call \
                 sasl_oauthbearer(..) on the builder",
                url.name
            ))
        });
    }
    check_allowed(config, url, &sasl_keys::OAUTHBEARER_ALLOWED_URLS, address)?;
    let entry = match config.is_set(sasl_keys::JAAS_CONFIG.name) {
        true => Some(jaas(config, &["OAuthBearerLoginModule"])?),
        false => None,
    };
    if !address.starts_with("file:") {
        return endpoint(config, address, entry.as_ref());
    }
    let path = file_path(address)
        .ok_or_else(|| url.invalid(address, "expected file:///path of a file on this machine"))?;
    Ok(Origin::TokenFile(TokenFile {
        path,
        scope_claim: text(config, &sasl_keys::OAUTHBEARER_SCOPE_CLAIM_NAME).to_owned(),
        sub_claim: text(config, &sasl_keys::OAUTHBEARER_SUB_CLAIM_NAME).to_owned(),
        extensions: entry.map_or_else(Vec::new, |entry| entry.extensions()),
    }))
}

/// Refuses a login handler that contradicts the URL of the tokens. A token without a signature never replaces one with a
/// signature. Java ignores the URL in that case.
fn check_login_handler(handler: &str, address: &str) -> Result<()> {
    let key = &sasl_keys::LOGIN_CALLBACK_HANDLER_CLASS;
    let url = sasl_keys::OAUTHBEARER_TOKEN_ENDPOINT_URL.name;
    match (handler.rsplit('.').next(), address.is_empty()) {
        (Some("OAuthBearerLoginCallbackHandler"), true) => Err(key.invalid(
            handler,
            format_args!(
                "needs a source of tokens: set {url} to https://host/path or file:///path"
            ),
        )),
        (Some("OAuthBearerUnsecuredLoginCallbackHandler"), false) => Err(key.invalid(
            handler,
            format_args!("makes tokens without a signature, but {url} is set: remove one of both"),
        )),
        _ => Ok(()),
    }
}

#[cfg(feature = "gssapi")]
fn kerberos(config: &ProducerConfig) -> Result<Origin> {
    if config.sasl_provider.is_some() {
        return Err(config_error(format!(
            "{} is GSSAPI, whose credentials are Kerberos tickets, but a closure for credentials was given: set the mechanism \
             that they are for",
            sasl_keys::MECHANISM.name
        )));
    }
    let entry = match config.is_set(sasl_keys::JAAS_CONFIG.name) {
        true => Some(jaas(config, &[super::kerberos_config::LOGIN_MODULE])?),
        false => None,
    };
    super::kerberos_config::kerberos(config, entry.as_ref()).map(Origin::Kerberos)
}

#[cfg(feature = "aws-msk-iam")]
fn msk_iam(config: &ProducerConfig) -> Result<Origin> {
    let entry = match config.is_set(sasl_keys::JAAS_CONFIG.name) {
        true => Some(jaas(config, &["IAMLoginModule", "OAuthBearerLoginModule"])?),
        false => None,
    };
    super::msk_iam_config::msk_iam(config, entry.as_ref()).map(Origin::MskIam)
}

#[cfg(not(feature = "aws-msk-iam"))]
fn msk_iam(_: &ProducerConfig) -> Result<Origin> {
    Err(config_error(format!(
        "{}: Amazon MSK with IAM needs the Cargo feature `aws-msk-iam` of kafka-producer, which is off; Amazon MSK also offers \
         SCRAM-SHA-512",
        sasl_keys::MECHANISM.name
    )))
}

#[cfg(feature = "oauth-oidc")]
fn endpoint(config: &ProducerConfig, address: &str, entry: Option<&JaasEntry>) -> Result<Origin> {
    let endpoint = super::oauth_config::token_endpoint(config, address, entry)?;
    Ok(Origin::TokenEndpoint(Box::new(endpoint)))
}

#[cfg(not(feature = "oauth-oidc"))]
fn endpoint(_: &ProducerConfig, _: &str, _: Option<&JaasEntry>) -> Result<Origin> {
    Err(config_error(format!(
        "{}: tokens by HTTP need the Cargo feature `oauth-oidc` of kafka-producer, which is off; or set file:///path, or call \
         sasl_oauthbearer(..) on the builder",
        sasl_keys::OAUTHBEARER_TOKEN_ENDPOINT_URL.name
    )))
}

/// Returns the path of a `file:` URL of this machine.
fn file_path(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("file:")?;
    let path = match rest.strip_prefix("//") {
        Some(with_host) => with_host.strip_prefix("localhost").unwrap_or(with_host),
        None => rest,
    };
    let is_absolute = path.starts_with('/') && path.len() > 1;
    let path = is_absolute.then(|| percent_decoded(path))??;
    // On Windows, `/C:/path` means `C:/path`.
    let has_drive = path.as_bytes().get(2) == Some(&b':');
    Some(PathBuf::from(match path.strip_prefix('/') {
        Some(path) if has_drive && cfg!(windows) => path,
        _ => &path,
    }))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// Returns the options of `OAuthBearerUnsecuredLoginCallbackHandler`, or `None` if there are none.
fn unsecured(entry: &JaasEntry) -> Result<Option<UnsecuredClaims>> {
    const PREFIX: &str = "unsecuredLogin";
    let invalid = |name: &str, reason: &str| {
        config_error(format!(
            "{}: {PREFIX}{name} {reason}",
            sasl_keys::JAAS_CONFIG.name
        ))
    };
    let mut unsecured = UnsecuredClaims {
        principal_claim: "sub".to_owned(),
        lifetime_seconds: 3600,
        claims: Vec::new(),
        extensions: Vec::new(),
    };
    let mut is_empty = true;
    for (name, value) in entry.options_with(PREFIX) {
        is_empty = false;
        if let Some(claim) = name.strip_prefix("StringClaim_") {
            unsecured.claims.push((claim.to_owned(), json_text(value)));
        } else if let Some(claim) = name.strip_prefix("NumberClaim_") {
            let number: f64 = value
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .ok_or_else(|| invalid(name, "is not a number"))?;
            unsecured
                .claims
                .push((claim.to_owned(), number.to_string()));
        } else if let Some(claim) = name.strip_prefix("ListClaim_") {
            unsecured.claims.push((claim.to_owned(), list_claim(value)));
        } else if let Some(extension) = name.strip_prefix("Extension_") {
            unsecured
                .extensions
                .push((extension.to_owned(), value.to_owned()));
        } else {
            match name {
                "PrincipalClaimName" => unsecured.principal_claim = value.to_owned(),
                "LifetimeSeconds" => {
                    unsecured.lifetime_seconds = value
                        .parse()
                        .ok()
                        .filter(|seconds| *seconds > 0)
                        .ok_or_else(|| invalid(name, "is not a positive number"))?;
                }
                "ScopeClaimName" => {}
                _ => return Err(invalid(name, "is not an option of an unsecured token")),
            }
        }
    }
    let has_principal = unsecured
        .claims
        .iter()
        .any(|(name, _)| *name == unsecured.principal_claim);
    match (is_empty, has_principal) {
        (true, _) => Ok(None),
        (false, true) => Ok(Some(unsecured)),
        (false, false) => {
            let claim = format!("StringClaim_{}", unsecured.principal_claim);
            Err(invalid(&claim, "is missing, which names the principal"))
        }
    }
}

/// Parses a list whose first character separates its elements.
fn list_claim(value: &str) -> String {
    let mut characters = value.chars();
    let elements = match characters.next() {
        Some(separator) => characters
            .as_str()
            .split(separator)
            .map(json_text)
            .collect(),
        None => Vec::new(),
    };
    format!("[{}]", elements.join(","))
}

fn refresh(config: &ProducerConfig) -> Result<RefreshConfig> {
    let decimal = |key: &ConfigKey| key.decimal(text(config, key));
    let seconds = |key: &ConfigKey| -> Result<Duration> {
        let seconds = key.number(text(config, key))?;
        Ok(Duration::from_secs(
            u64::try_from(seconds).unwrap_or_default(),
        ))
    };
    Ok(RefreshConfig {
        window_factor: decimal(&sasl_keys::LOGIN_REFRESH_WINDOW_FACTOR)?,
        window_jitter: decimal(&sasl_keys::LOGIN_REFRESH_WINDOW_JITTER)?,
        min_period: seconds(&sasl_keys::LOGIN_REFRESH_MIN_PERIOD_SECONDS)?,
        buffer: seconds(&sasl_keys::LOGIN_REFRESH_BUFFER_SECONDS)?,
    })
}

/// Returns the value of a key that is not a password, without surrounding blanks.
fn text<'a>(config: &'a ProducerConfig, key: &ConfigKey) -> &'a str {
    trim(config.get(key.name).unwrap_or_default())
}

#[cfg(test)]
mod tests;
