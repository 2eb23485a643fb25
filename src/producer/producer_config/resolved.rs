//! The configuration as the producer uses it: typed, complete, and consistent. Java: the
//! constructor of `ProducerConfig` and `KafkaProducer.configureDeliveryTimeout`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::keys;
use super::refusals::Refusals;
#[cfg(feature = "sasl")]
use super::sasl_config;
use super::sasl_keys;
use super::{
    Acks, BufferMemoryAllocationStrategy, ClientDnsLookup, MetadataRecoveryStrategy,
    PartitionerClass, ProducerConfig, SecurityProtocol, nearest_key,
};
use crate::client::address_refusals;
use crate::error::Result;
use crate::metrics::MetricConfig;
#[cfg(feature = "sasl")]
use crate::network::sasl::SaslMechanism;
#[cfg(feature = "tls")]
use crate::network::ssl::SslConfig;
use crate::producer::config_def::config_error;
use crate::record::Compression;
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::utils::{LogContext, log};

/// A broker remembers five batches of a producer. With more requests in flight it could not
/// recognize a retried batch.
const MAX_IN_FLIGHT_WITH_IDEMPOTENCE: usize = 5;

/// The protocol has a signed 16-bit length for names.
pub(super) const MAX_STRING_LENGTH: usize = 32_767;
/// The prefix of a generated `client.id`.
const CLIENT_ID_PREFIX: &str = "producer-";

/// The longest time in Java's `int` milliseconds.
pub(super) const MAX_INT_MILLIS: Duration = Duration::from_millis(i32::MAX.unsigned_abs() as u64);

/// The number of the next producer without a `client.id` of its own.
static NEXT_CLIENT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// Every setting of a producer. The fields have the names of the keys, without the unit.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedConfig {
    /// Not empty. The addresses are not validated here.
    pub(crate) bootstrap_servers: Vec<String>,
    pub(crate) bootstrap_resolve_timeout: Duration,
    pub(crate) client_dns_lookup: ClientDnsLookup,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_rack: Option<Arc<str>>,
    pub(crate) security_protocol: SecurityProtocol,
    /// The TLS settings, if the connections speak TLS.
    #[cfg(feature = "tls")]
    pub(crate) ssl: Option<SslConfig>,

    pub(crate) acks: Acks,
    pub(crate) retries: u32,
    pub(crate) enable_idempotence: bool,
    pub(crate) max_in_flight_requests_per_connection: usize,

    pub(crate) batch_size: usize,
    pub(crate) linger: Duration,
    pub(crate) buffer_memory: usize,
    pub(crate) buffer_memory_allocation_strategy: BufferMemoryAllocationStrategy,
    pub(crate) max_request_size: usize,
    pub(crate) max_block: Duration,
    /// At least `linger` + `request_timeout`.
    pub(crate) delivery_timeout: Duration,
    pub(crate) request_timeout: Duration,

    pub(crate) compression: Compression,

    pub(crate) partitioner_class: Option<PartitionerClass>,
    pub(crate) partitioner_adaptive_partitioning_enable: bool,
    /// Zero disables it.
    pub(crate) partitioner_availability_timeout: Duration,
    pub(crate) partitioner_ignore_keys: bool,
    /// Only true with a `client_rack`.
    pub(crate) partitioner_rack_aware: bool,

    pub(crate) metadata_max_age: Duration,
    pub(crate) metadata_max_idle: Duration,
    pub(crate) metadata_recovery_strategy: MetadataRecoveryStrategy,
    pub(crate) metadata_recovery_rebootstrap_trigger: Duration,
    pub(crate) metadata_cluster_check_enable: bool,

    pub(crate) metrics: MetricConfig,
    pub(crate) enable_metrics_push: bool,

    /// A first wait is at most its maximum.
    pub(crate) retry_backoff: Duration,
    pub(crate) retry_backoff_max: Duration,
    pub(crate) reconnect_backoff: Duration,
    pub(crate) reconnect_backoff_max: Duration,
    pub(crate) socket_connection_setup_timeout: Duration,
    pub(crate) socket_connection_setup_timeout_max: Duration,
    /// `None` means never.
    pub(crate) connections_max_idle: Option<Duration>,
    /// `None` means the operating system's choice.
    pub(crate) send_buffer_bytes: Option<usize>,
    pub(crate) receive_buffer_bytes: Option<usize>,
    pub(crate) receive_max_bytes: usize,

    /// Set if the security protocol uses SASL.
    #[cfg(feature = "sasl")]
    pub(crate) sasl: Option<sasl_config::SaslSettings>,

    /// Only set with idempotence.
    pub(crate) transactional_id: Option<Arc<str>>,
    pub(crate) transaction_timeout_ms: i32,
}

/// A log line about the configuration.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) level: log::Level,
    pub(super) text: String,
}

impl Note {
    pub(super) fn warning(text: String) -> Self {
        let level = log::Level::Warn;
        Self { level, text }
    }

    fn info(text: String) -> Self {
        let level = log::Level::Info;
        Self { level, text }
    }
}

impl ResolvedConfig {
    /// Returns the prefix of the producer's log lines.
    pub(crate) fn log_context(&self) -> LogContext {
        LogContext::of_producer(&self.client_id, self.transactional_id.as_deref())
    }
}

impl ProducerConfig {
    /// Returns the settings from which the producer is built. Logs what was changed or ignored, and
    /// generates a `client.id` if there is none. `refusals` are earlier mistakes.
    ///
    /// # Errors
    ///
    /// Those of [`validate`](Self::validate).
    pub(crate) fn resolve(&self, refusals: Refusals) -> Result<ResolvedConfig> {
        let (mut resolved, notes) = self.check(refusals)?;
        if !self.is_set(keys::CLIENT_ID.name) {
            resolved.client_id = Arc::from(match &resolved.transactional_id {
                Some(id) => format!("{CLIENT_ID_PREFIX}{id}"),
                None => {
                    let number = NEXT_CLIENT_NUMBER.fetch_add(1, Ordering::Relaxed);
                    format!("{CLIENT_ID_PREFIX}{number}")
                }
            });
        }
        let _context = resolved.log_context().enter();
        for Note { level, text } in notes {
            log::log!(level, "{text}");
        }
        Ok(resolved)
    }

    /// Parses every key, applies every rule, and returns the lines for the log.
    ///
    /// # Errors
    ///
    /// `Config` with every mistake, including those in `refusals`.
    pub(super) fn check(&self, mut refusals: Refusals) -> Result<(ResolvedConfig, Vec<Note>)> {
        let mut resolved = self.read(&mut refusals);
        let mut notes: Vec<Note> = self.unknown.iter().map(|key| unknown(key)).collect();
        remove_duplicates(&mut resolved.bootstrap_servers, &mut notes);
        check_security(&resolved, &mut refusals);
        #[cfg(feature = "tls")]
        {
            let protocol = resolved.security_protocol;
            resolved.ssl = self.ssl(protocol, &mut refusals, &mut notes);
        }
        #[cfg(feature = "sasl")]
        {
            let protocol = resolved.security_protocol;
            resolved.sasl = sasl_config::read(self, protocol, &mut refusals);
        }
        note_unprotected(self, &resolved, &mut notes);
        self.note_metrics(&mut notes);
        self.check_names(&resolved, &mut refusals);
        check_rack(&resolved, &mut refusals);
        self.check_idempotence(&mut resolved, &mut notes, &mut refusals);
        check_transactions(&resolved, &mut refusals);
        self.check_delivery_timeout(&mut resolved, &mut notes, &mut refusals);
        self.check_backoffs(&mut resolved, &mut notes);
        refusals.into_result().map(|()| (resolved, notes))
    }

    /// Adds notes about metrics settings of Java that have no effect here.
    fn note_metrics(&self, notes: &mut Vec<Note>) {
        let reporters = &keys::METRIC_REPORTERS;
        if self.is_set(reporters.name)
            && self.value(reporters).is_some_and(|value| !value.is_empty())
        {
            let text = "metric.reporters names JMX, which is not supported: read the metrics with producer.metrics(), or give a \
                        MetricsReporter to the builder";
            notes.push(Note::info(text.to_owned()));
        }
    }

    /// Checks idempotence. If it is requested, it must be possible; if it is only the default,
    /// contradicting keys turn it off.
    fn check_idempotence(
        &self,
        resolved: &mut ResolvedConfig,
        notes: &mut Vec<Note>,
        refusals: &mut Refusals,
    ) {
        let keys = [
            &keys::ENABLE_IDEMPOTENCE,
            &keys::RETRIES,
            &keys::ACKS,
            &keys::MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION,
        ];
        if !resolved.enable_idempotence || refusals.concern(&keys) {
            return;
        }
        let obstacles: Vec<_> = [
            (resolved.retries == 0).then_some("retries is 0; set retries above 0"),
            (resolved.acks != Acks::All).then_some("acks is not all; set acks=all"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let is_requested = self.is_set(keys::ENABLE_IDEMPOTENCE.name);
        if is_requested {
            for obstacle in &obstacles {
                refusals.refuse(config_error(format!(
                    "enable.idempotence=true is not possible: {obstacle}, or set enable.idempotence=false"
                )));
            }
        }
        // As in Java, even if another key turns idempotence off.
        let in_flight = resolved.max_in_flight_requests_per_connection;
        if in_flight > MAX_IN_FLIGHT_WITH_IDEMPOTENCE {
            refusals.refuse(config_error(format!(
                "max.in.flight.requests.per.connection is {in_flight}, but idempotence allows at most \
                 {MAX_IN_FLIGHT_WITH_IDEMPOTENCE}: lower it, or set enable.idempotence=false"
            )));
        }
        if !is_requested && !obstacles.is_empty() {
            resolved.enable_idempotence = false;
            notes.push(Note::info(format!(
                "idempotence is off, so a retry may duplicate or reorder records: {} to turn it on",
                obstacles.join(" and ")
            )));
        }
    }

    fn check_delivery_timeout(
        &self,
        resolved: &mut ResolvedConfig,
        notes: &mut Vec<Note>,
        refusals: &mut Refusals,
    ) {
        let keys = [
            &keys::DELIVERY_TIMEOUT_MS,
            &keys::LINGER_MS,
            &keys::REQUEST_TIMEOUT_MS,
        ];
        let least = (resolved.linger + resolved.request_timeout).min(MAX_INT_MILLIS);
        let delivery = resolved.delivery_timeout;
        if delivery >= least || refusals.concern(&keys) {
            return;
        }
        let (delivery, least_ms) = (delivery.as_millis(), least.as_millis());
        if self.is_set(keys::DELIVERY_TIMEOUT_MS.name) {
            return refusals.refuse(config_error(format!(
                "delivery.timeout.ms is {delivery}, but linger.ms + request.timeout.ms is {least_ms}: raise \
                 delivery.timeout.ms to at least that, or lower one of the others"
            )));
        }
        resolved.delivery_timeout = least;
        notes.push(Note::warning(format!(
            "delivery.timeout.ms is raised from {delivery} to {least_ms}, which is linger.ms + request.timeout.ms"
        )));
    }

    /// Checks the lengths of names. Otherwise a request that cannot be encoded would look like a
    /// broker's fault each time.
    fn check_names(&self, resolved: &ResolvedConfig, refusals: &mut Refusals) {
        let transactional_id = resolved.transactional_id.as_deref().unwrap_or_default();
        // It is part of the `client.id` if that is not set.
        let prefix = match self.is_set(keys::CLIENT_ID.name) {
            true => 0,
            false => CLIENT_ID_PREFIX.len(),
        };
        let names = [
            (&keys::CLIENT_ID, &*resolved.client_id, MAX_STRING_LENGTH),
            (
                &keys::TRANSACTIONAL_ID,
                transactional_id,
                MAX_STRING_LENGTH - prefix,
            ),
        ];
        for (key, name, room) in names {
            let length = name.len();
            if length > room {
                refusals.refuse(config_error(format!(
                    "{} has {length} bytes, more than the {room} that fit into a request: \
                     choose a shorter one",
                    key.name
                )));
            }
        }
    }

    fn check_backoffs(&self, resolved: &mut ResolvedConfig, notes: &mut Vec<Note>) {
        if self.is_set(keys::RECONNECT_BACKOFF_MS.name)
            && !self.is_set(keys::RECONNECT_BACKOFF_MAX_MS.name)
        {
            resolved.reconnect_backoff_max = resolved.reconnect_backoff;
            notes.push(Note::warning(format!(
                "{} is set and {} is not, so the wait between attempts to connect does not grow",
                keys::RECONNECT_BACKOFF_MS.name,
                keys::RECONNECT_BACKOFF_MAX_MS.name
            )));
        }
        let pairs = [
            (
                &mut resolved.retry_backoff,
                resolved.retry_backoff_max,
                [&keys::RETRY_BACKOFF_MS, &keys::RETRY_BACKOFF_MAX_MS],
            ),
            (
                &mut resolved.reconnect_backoff,
                resolved.reconnect_backoff_max,
                [&keys::RECONNECT_BACKOFF_MS, &keys::RECONNECT_BACKOFF_MAX_MS],
            ),
            (
                &mut resolved.socket_connection_setup_timeout,
                resolved.socket_connection_setup_timeout_max,
                [
                    &keys::SOCKET_CONNECTION_SETUP_TIMEOUT_MS,
                    &keys::SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS,
                ],
            ),
        ];
        for (first, max, [first_key, max_key]) in pairs {
            if *first > max {
                *first = max;
                notes.push(Note::warning(format!(
                    "{} is above {}, which is used each time instead",
                    first_key.name, max_key.name
                )));
            }
        }
    }
}

/// Checks that transactions have idempotence, even if another key turned it off.
fn check_transactions(resolved: &ResolvedConfig, refusals: &mut Refusals) {
    let is_idempotent =
        resolved.enable_idempotence || refusals.concern(&[&keys::ENABLE_IDEMPOTENCE]);
    if resolved.transactional_id.is_some() && !is_idempotent {
        refusals.refuse(config_error(
            "transactional.id is set, but idempotence is off: set enable.idempotence=true, acks=all and retries above 0, \
             or leave transactional.id out",
        ));
    }
}

/// Removes duplicates, with a warning as in Java: `ConfigDef.ListSize`.
fn remove_duplicates(servers: &mut Vec<String>, notes: &mut Vec<Note>) {
    let mut seen = BTreeSet::new();
    servers.retain(|server| {
        let is_new = seen.insert(server.clone());
        if !is_new {
            let name = keys::BOOTSTRAP_SERVERS.name;
            notes.push(Note::warning(format!(
                "{name} names {server} more than once"
            )));
        }
        is_new
    });
}

/// Checks that this build supports the requested connections.
fn check_security(resolved: &ResolvedConfig, refusals: &mut Refusals) {
    let key = &keys::SECURITY_PROTOCOL;
    if refusals.concern(&[key]) {
        return;
    }
    let protocol = resolved.security_protocol;
    for refusal in address_refusals(&resolved.bootstrap_servers, protocol) {
        refusals.refuse(refusal);
    }
    if protocol.uses_tls() && !cfg!(feature = "tls") {
        refusals.refuse(key.invalid(
            protocol.as_str(),
            "TLS needs the Cargo feature `tls` of kafka-producer, which is off",
        ));
    }
    if protocol.uses_sasl() && !cfg!(feature = "sasl") {
        refusals.refuse(key.invalid(
            protocol.as_str(),
            "SASL needs the Cargo feature `sasl` of kafka-producer, which is off",
        ));
    }
}

/// Notes what is sent without protection, and what is set without effect.
fn note_unprotected(config: &ProducerConfig, resolved: &ResolvedConfig, notes: &mut Vec<Note>) {
    let protocol = resolved.security_protocol;
    let jaas = sasl_keys::JAAS_CONFIG.name;
    if config.is_set(jaas) && !protocol.uses_sasl() {
        notes.push(Note::warning(format!(
            "{jaas} is set, but security.protocol={protocol} does not authenticate: set SASL_SSL to use it"
        )));
    }
    let mut keys = config.values.keys();
    let unused = keys.find(|name| name.starts_with("ssl."));
    if let Some(unused) = unused.filter(|_| !protocol.uses_tls()) {
        notes.push(Note::warning(format!(
            "{unused} is set and has no effect, because connections are not encrypted with security.protocol={protocol}"
        )));
    }
    #[cfg(feature = "sasl")]
    if resolved
        .sasl
        .as_ref()
        .is_some_and(sasl_config::SaslSettings::exposes_secrets)
    {
        notes.push(Note::warning(format!(
            "{} begins with http:, so that the client's secret goes over the network in the clear: use https:",
            sasl_keys::OAUTHBEARER_TOKEN_ENDPOINT_URL.name
        )));
    }
    #[cfg(feature = "sasl")]
    if let (Some(sasl), false) = (&resolved.sasl, protocol.uses_tls()) {
        let exposed = match sasl.mechanism {
            SaslMechanism::Plain => "the password of PLAIN",
            SaslMechanism::OAuthBearer => "the token of OAUTHBEARER",
            #[cfg(feature = "gssapi")]
            SaslMechanism::Gssapi => "all records",
            SaslMechanism::Scram(_) => "all records, and what an attack on a weak password needs,",
        };
        notes.push(Note::warning(format!(
            "security.protocol={protocol} sends {exposed} over the network in the clear: use SASL_SSL outside of a trusted network"
        )));
    }
}

fn check_rack(resolved: &ResolvedConfig, refusals: &mut Refusals) {
    if resolved.partitioner_rack_aware && resolved.client_rack.is_none() {
        refusals.refuse(config_error(
            "partitioner.rack.aware=true needs client.rack: set it to the rack where this producer runs",
        ));
    }
}

/// Returns the note about an unknown key.
fn unknown(key: &str) -> Note {
    match nearest_key::nearest_key(key) {
        Some(nearest) => Note::warning(format!(
            "unknown configuration key {key} is ignored; did you mean {nearest}?"
        )),
        None => Note::warning(format!("unknown configuration key {key} is ignored")),
    }
}
