//! The configuration as the user writes it. Java: `ProducerConfig`, `AbstractConfig`.
//!
//! Values are kept as text, however they were set, so that one parser and one table define their
//! meaning. The configuration knows which keys were set, because several rules depend on that. The
//! rules are in [`resolved`].

#[cfg(feature = "sasl")]
mod allowed_values;
mod choices;
mod constants;
mod environment;
mod into_list;
#[cfg(feature = "sasl")]
mod jaas_config;
#[cfg(feature = "gssapi")]
mod kerberos_config;
pub(crate) mod keys;
mod later_keys;
#[cfg(feature = "aws-msk-iam")]
mod msk_iam_config;
mod nearest_key;
#[cfg(feature = "oauth-oidc")]
mod oauth_config;
mod properties;
mod reader;
mod refusals;
mod resolved;
#[cfg(feature = "sasl")]
mod sasl_config;
mod sasl_keys;
#[cfg(feature = "sasl")]
mod sasl_setters;
#[cfg(feature = "serde")]
mod serde;
mod serializer_class;
#[cfg(feature = "tls")]
mod ssl;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

pub use choices::{
    Acks, BufferMemoryAllocationStrategy, ClientDnsLookup, CompressionType,
    MetadataRecoveryStrategy, PartitionerClass, RecordingLevel, SecurityProtocol,
};
pub use into_list::IntoList;
pub(crate) use refusals::Refusals;
pub(crate) use resolved::ResolvedConfig;

use super::Serializer;
use super::config_def::{ConfigKey, HIDDEN, Kind, config_error, trim};
use crate::error::Result;
use keys::{rule_text, with_producer_keys};

/// The producer's configuration: Java's keys with Java's defaults, by name or by typed setter.
///
/// Only `bootstrap.servers` is required. Building the producer, or [`validate`](Self::validate),
/// refuses values that contradict each other.
///
/// ```
/// # use std::time::Duration;
/// use kafka_producer::{Acks, ProducerConfig};
///
/// let mut config = ProducerConfig::new();
/// config
///     .bootstrap_servers("broker-1:9092,broker-2:9092")
///     .linger(Duration::from_millis(20))
///     .acks(Acks::All);
/// config.set("batch.size", "65536")?;
/// config.validate()?;
///
/// assert_eq!(config.get("linger.ms"), Some("20"));
/// assert_eq!(config.get("acks"), Some("all"));
/// # Ok::<(), kafka_producer::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct ProducerConfig {
    /// The values that the user set. Other keys have their defaults.
    values: BTreeMap<&'static str, Zeroizing<String>>,
    /// Unknown keys. Their values are not kept, so that they are never printed.
    unknown: BTreeSet<String>,
    /// Closures that provide credentials.
    #[cfg(feature = "sasl")]
    sasl_provider: Option<sasl_config::SaslProvider>,
}

impl ProducerConfig {
    /// Creates a configuration in which every key has its default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets every key of a map. If a key occurs more than once, only the last value is checked and
    /// used.
    ///
    /// # Errors
    ///
    /// Those of [`set`](Self::set). The message lists every refused entry.
    pub fn from_map<K, V>(entries: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let entries: Vec<(K, V)> = entries.into_iter().collect();
        let entries = entries.iter().map(|(key, value)| Located {
            place: None,
            key: key.as_ref(),
            value: value.as_ref(),
        });
        Self::from_located(&entries.collect::<Vec<_>>())
    }

    /// Sets every key, and collects all refusals in one error.
    fn from_located(entries: &[Located<'_>]) -> Result<Self> {
        let places = entries.iter().enumerate();
        let last: HashMap<_, _> = places.map(|(index, entry)| (entry.key, index)).collect();
        let mut config = Self::new();
        let mut refusals = Refusals::default();
        for (index, entry) in entries.iter().enumerate() {
            if last.get(entry.key) != Some(&index) {
                continue;
            }
            if let Err(refusal) = config.set(entry.key, entry.value) {
                let refusal = match &entry.place {
                    Some(place) => config_error(format!("{place}: {refusal}")),
                    None => refusal,
                };
                refusals.refuse_key(entry.key, refusal);
            }
        }
        if refusals.is_empty() {
            // The program may still set what is missing or contradictory.
            return Ok(config);
        }
        // It is refused anyway, so contradictions between its entries are reported in the same
        // error.
        if !config.is_set(keys::BOOTSTRAP_SERVERS.name) {
            refusals.leave_out(keys::BOOTSTRAP_SERVERS.name);
        }
        config.check(refusals).map(|_| config)
    }

    /// Reads a file in Java's `.properties` format, in UTF-8. If a key occurs more than once, the
    /// last value is used.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is malformed, or has entries that [`set`](Self::set) refuses.
    /// The message lists every such entry, with file and line.
    pub fn from_properties_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| {
            config_error(format!(
                "cannot read the properties file {}",
                path.display()
            ))
            .caused_by(error)
        })?;
        Self::from_properties_at(&text, |line| format!("{}:{line}", path.display()))
    }

    /// Reads several files in Java's `.properties` format. If a key is in more than one file, the
    /// last file wins. A file with a machine's own settings can thus follow a shared one.
    ///
    /// # Errors
    ///
    /// Those of [`from_properties_file`](Self::from_properties_file), for the first refused file.
    pub fn from_properties_files<P: AsRef<Path>>(
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Self> {
        let mut config = Self::new();
        for path in paths {
            config.merge(Self::from_properties_file(path)?);
        }
        Ok(config)
    }

    /// Sets every key that is set in `overrides`, and keeps the others. A user and a password in
    /// `overrides` also replace a closure that provided credentials.
    pub fn merge(&mut self, overrides: Self) -> &mut Self {
        #[cfg(feature = "sasl")]
        if overrides.sasl_provider.is_some() || sasl_config::has_user_and_password(&overrides) {
            self.sasl_provider = overrides.sasl_provider;
        }
        self.values.extend(overrides.values);
        self.unknown.extend(overrides.unknown);
        self
    }

    /// Reads text in Java's `.properties` format. If a key occurs more than once, the last value is
    /// used.
    ///
    /// # Errors
    ///
    /// If the text has a malformed escape, or entries that [`set`](Self::set) refuses. The message
    /// lists every such entry, with its line.
    pub fn from_properties(text: &str) -> Result<Self> {
        Self::from_properties_at(text, |line| format!("line {line}"))
    }

    fn from_properties_at(text: &str, place: impl Fn(usize) -> String) -> Result<Self> {
        let entries = properties::parse_entries(text).map_err(|(line, error)| {
            let place = place(line);
            config_error(format!("{place}: the properties cannot be read")).caused_by(error)
        })?;
        let entries = entries.iter().map(|entry| Located {
            place: Some(place(entry.line)),
            key: &entry.key,
            value: &entry.value,
        });
        Self::from_located(&entries.collect::<Vec<_>>())
    }

    /// Sets a key by Kafka's name. Removes blanks around the value, up to U+0020.
    ///
    /// An unknown key is not an error. When the producer is built, it logs a warning with the
    /// nearest known key.
    ///
    /// # Errors
    ///
    /// The value is not of the key's type or out of its range, or the key requires a feature that
    /// this version does not have.
    pub fn set(&mut self, key: &str, value: &str) -> Result<&mut Self> {
        if let Some(key) = keys::find(key) {
            check_plugin(key, value)?;
            key.check(value)?;
            self.put(key, value);
            return Ok(self);
        }
        match later_keys::refusal(key, value) {
            Some(refusal) => return Err(config_error(refusal)),
            None if later_keys::names().any(|name| name == key) => {}
            // Unknown keys are logged, and the other lines of the PEM are such keys too.
            None if key.starts_with(PEM_BOUNDARY) => {
                return Err(config_error(
                    "a line of PEM is no key: end each line of the PEM but the last with a backslash, so that all of them are \
                     one value",
                ));
            }
            None => {
                self.unknown.insert(key.to_owned());
            }
        }
        Ok(self)
    }

    /// Returns the value of a key as text: the one that was set, or the default. Returns `None` for
    /// keys without a value and for unknown keys. A password is returned as `[hidden]`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let key = keys::find(key)?;
        let set = self.values.get(key.name);
        let set = set.map(|value| shown(key, value));
        set.or_else(|| key.default_value())
    }

    /// Does the same as [`get`](Self::get), but returns passwords.
    fn value(&self, key: &ConfigKey) -> Option<&str> {
        let set = self.values.get(key.name).map(|value| value.as_str());
        set.or_else(|| key.default_value())
    }

    /// Returns `true` if a key was set, even to its default.
    pub fn is_set(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Returns every key that the producer supports, with its type, default, valid values and
    /// meaning. Java: `configDef`.
    pub fn keys() -> impl Iterator<Item = &'static ConfigKey> {
        keys::all()
    }

    /// Validates every value and the rules between values, as building a producer does. Only
    /// building resolves the names of `bootstrap.servers` and checks the serializers.
    ///
    /// # Errors
    ///
    /// `Config`. The message lists every refused value and every broken rule, with the keys and the
    /// remedy.
    pub fn validate(&self) -> Result<()> {
        self.check(Refusals::default()).map(drop)
    }

    /// Compares the serializer class in the configuration with the builder's serializer.
    pub(crate) fn check_serializer<S: Serializer>(
        &self,
        key: &ConfigKey,
        builder_method: &str,
        refusals: &mut Refusals,
    ) {
        let Some(class) = self.values.get(key.name) else {
            return;
        };
        if let Err(reason) = serializer_class::compare::<S>(trim(class), builder_method) {
            refusals.refuse_key(key.name, key.invalid(class, reason));
        }
    }

    /// Stores a setting. Building the producer checks it.
    fn put(&mut self, key: &ConfigKey, value: impl ConfigText) -> &mut Self {
        self.values
            .insert(key.name, Zeroizing::new(value.config_text()));
        self
    }
}

/// Hides passwords and the values of unknown keys.
impl fmt::Debug for ProducerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerConfig")
            .field("values", &ShownValues(&self.values))
            .field("unknown", &self.unknown)
            .finish_non_exhaustive()
    }
}

struct ShownValues<'a>(&'a BTreeMap<&'static str, Zeroizing<String>>);

impl fmt::Debug for ShownValues<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| match keys::find(name) {
            // A URL may contain a password.
            Some(key) if !key.name.ends_with(".endpoint.url") => (name, shown(key, value)),
            _ => (name, HIDDEN),
        });
        f.debug_map().entries(shown).finish()
    }
}

fn shown<'a>(key: &ConfigKey, value: &'a str) -> &'a str {
    match key.kind {
        Kind::Password => HIDDEN,
        _ => value,
    }
}

macro_rules! default_text {
    (required) => {
        "None: it must be set."
    };
    (null) => {
        "Not set by default."
    };
    ("") => {
        "Not set by default."
    };
    ($text:literal) => {
        concat!("Default: `", $text, "`.")
    };
}

pub(crate) use default_text;

macro_rules! define_setters {
    ($(
        $(#[doc = $doc:literal])+
        $name:literal $constant:ident: $kind:ident, $default:tt, [$($rule:tt)+], $importance:ident, $setter:ident($argument:ty);
    )*) => {
        /// Typed setters, one for each key. They do not fail: building the producer refuses values
        /// that are out of range.
        ///
        /// Times have a resolution of whole milliseconds; a fraction is rounded up.
        impl ProducerConfig {
            $(
                #[doc = concat!("`", $name, "`:")]
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!(default_text!($default), valid_text!($($rule)+))]
                pub fn $setter(&mut self, value: $argument) -> &mut Self {
                    self.put(&keys::$constant, value)
                }
            )*
        }
    };
}

macro_rules! valid_text {
    (any) => { "" };
    ($($rule:tt)+) => { concat!(" Valid: `", rule_text!($($rule)+), "`.") };
}

pub(crate) use valid_text;

with_producer_keys!(define_setters);

/// The argument of a typed setter, in the form of a configuration file.
trait ConfigText {
    fn config_text(&self) -> String;
}

macro_rules! config_text_by_display {
    ($($type:ty),+) => {
        $(impl ConfigText for $type {
            fn config_text(&self) -> String {
                self.to_string()
            }
        })+
    };
}

config_text_by_display!(
    bool,
    i32,
    u32,
    usize,
    Acks,
    CompressionType,
    ClientDnsLookup,
    BufferMemoryAllocationStrategy,
    MetadataRecoveryStrategy,
    RecordingLevel,
    SecurityProtocol
);

impl<T: IntoList> ConfigText for T {
    fn config_text(&self) -> String {
        self.list()
    }
}

impl ConfigText for Duration {
    fn config_text(&self) -> String {
        let millis = self.as_nanos().div_ceil(1_000_000);
        i64::try_from(millis).unwrap_or(i64::MAX).to_string()
    }
}

/// `None` is Kafka's -1: no limit, or the operating system's choice.
impl<T: ConfigText> ConfigText for Option<T> {
    fn config_text(&self) -> String {
        self.as_ref()
            .map_or_else(|| "-1".to_owned(), T::config_text)
    }
}

/// The beginning of the first and the last line of PEM.
const PEM_BOUNDARY: &str = "-----";

/// An entry and its place in the file.
struct Located<'a> {
    place: Option<String>,
    key: &'a str,
    value: &'a str,
}

/// Restricts keys whose values are code to the names that the library knows.
fn check_plugin(key: &ConfigKey, value: &str) -> Result<()> {
    let name = trim(value);
    let class = name.rsplit('.').next().unwrap_or(name);
    let builder_method = match key.name {
        "sasl.client.callback.handler.class" | "sasl.login.class"
            if !matches!(class, "" | "IAMClientCallbackHandler") =>
        {
            "sasl_credentials"
        }
        "sasl.login.callback.handler.class"
            if !matches!(
                class,
                "" | "OAuthBearerLoginCallbackHandler"
                    | "OAuthBearerUnsecuredLoginCallbackHandler"
                    | "IAMOAuthBearerLoginCallbackHandler"
            ) =>
        {
            "sasl_oauthbearer"
        }
        "sasl.oauthbearer.jwt.retriever.class"
            if !matches!(
                class,
                "DefaultJwtRetriever"
                    | "FileJwtRetriever"
                    | "ClientCredentialsJwtRetriever"
                    | "JwtBearerJwtRetriever"
            ) =>
        {
            "sasl_oauthbearer"
        }
        "sasl.oauthbearer.jwt.validator.class"
            if !matches!(class, "DefaultJwtValidator" | "ClientJwtValidator") =>
        {
            "sasl_oauthbearer"
        }
        "key.serializer" if !serializer_class::is_known(name) => "key_serializer",
        "value.serializer" if !serializer_class::is_known(name) => "value_serializer",
        "interceptor.classes" if !name.is_empty() => "interceptor",
        "metric.reporters" if !name.split(',').all(is_no_reporter) => "metrics_reporter",
        "partitioner.class" if partitioner_class(name).is_none() => "partitioner",
        _ => return Ok(()),
    };
    Err(key.invalid(
        name,
        format_args!(
            "a class of Java cannot be loaded; remove the key and call .{builder_method}(..) on the builder with a Rust value"
        ),
    ))
}

/// Returns whether the name is Java's JMX reporter, which is the default of older configurations,
/// or an empty list.
fn is_no_reporter(name: &str) -> bool {
    matches!(
        trim(name),
        "" | "org.apache.kafka.common.metrics.JmxReporter" | "JmxReporter"
    )
}

/// Returns the partitioner of this name, with or without Java's package.
fn partitioner_class(name: &str) -> Option<PartitionerClass> {
    let class = match name.rsplit_once('.') {
        Some((
            "org.apache.kafka.clients.producer" | "org.apache.kafka.clients.producer.internals",
            class,
        )) => class,
        _ => name,
    };
    PartitionerClass::from_name(class)
}
