//! The configuration as the producer uses it: typed, complete, and checked value against value. Java: the constructor of
//! `ProducerConfig` and `KafkaProducer.configureDeliveryTimeout`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::keys;
use super::{
    Acks, ClientDnsLookup, CompressionType, MetadataRecoveryStrategy, PartitionerClass,
    ProducerConfig, nearest_key,
};
use crate::error::Result;
use crate::producer::config_def::{ConfigKey, config_error, trim};
use crate::record::Compression;
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::utils::{LogContext, log};

/// With more requests in flight the broker, which remembers five batches of a producer, could not recognise one that
/// is sent again.
const MAX_IN_FLIGHT_WITH_IDEMPOTENCE: usize = 5;

/// The protocol counts the bytes of a name in 16 bits with a sign.
const MAX_STRING_LENGTH: usize = 32_767;
/// What the name of a client begins with that was given none.
const CLIENT_ID_PREFIX: &str = "producer-";

/// The longest time that Java's `int` milliseconds can say.
const MAX_INT_MILLIS: Duration = Duration::from_millis(i32::MAX.unsigned_abs() as u64);

/// Numbers the producers of this process that have no `client.id` of their own.
static NEXT_CLIENT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// Every setting of a producer. Fields are named as the keys, without the unit.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedConfig {
    /// Not empty; whether they are addresses is not checked here.
    pub(crate) bootstrap_servers: Vec<String>,
    pub(crate) bootstrap_resolve_timeout: Duration,
    pub(crate) client_dns_lookup: ClientDnsLookup,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_rack: Option<Arc<str>>,

    pub(crate) acks: Acks,
    pub(crate) retries: u32,
    pub(crate) enable_idempotence: bool,
    pub(crate) max_in_flight_requests_per_connection: usize,

    pub(crate) batch_size: usize,
    pub(crate) linger: Duration,
    pub(crate) buffer_memory: usize,
    pub(crate) max_request_size: usize,
    pub(crate) max_block: Duration,
    /// At least `linger` + `request_timeout`.
    pub(crate) delivery_timeout: Duration,
    pub(crate) request_timeout: Duration,

    pub(crate) compression: Compression,

    pub(crate) partitioner_class: Option<PartitionerClass>,
    pub(crate) partitioner_adaptive_partitioning_enable: bool,
    /// Zero is off.
    pub(crate) partitioner_availability_timeout: Duration,
    pub(crate) partitioner_ignore_keys: bool,
    /// Only with a `client_rack`.
    pub(crate) partitioner_rack_aware: bool,

    pub(crate) metadata_max_age: Duration,
    pub(crate) metadata_max_idle: Duration,
    pub(crate) metadata_recovery_strategy: MetadataRecoveryStrategy,
    pub(crate) metadata_recovery_rebootstrap_trigger: Duration,
    pub(crate) metadata_cluster_check_enable: bool,

    /// Each first wait is at most its maximum.
    pub(crate) retry_backoff: Duration,
    pub(crate) retry_backoff_max: Duration,
    pub(crate) reconnect_backoff: Duration,
    pub(crate) reconnect_backoff_max: Duration,
    pub(crate) socket_connection_setup_timeout: Duration,
    pub(crate) socket_connection_setup_timeout_max: Duration,
    /// `None` is never.
    pub(crate) connections_max_idle: Option<Duration>,
    /// `None` is what the operating system chooses.
    pub(crate) send_buffer_bytes: Option<usize>,
    pub(crate) receive_buffer_bytes: Option<usize>,
    pub(crate) receive_max_bytes: usize,

    /// Only with idempotence.
    pub(crate) transactional_id: Option<Arc<str>>,
    pub(crate) transaction_timeout_ms: i32,
}

/// A line for the log about what the configuration comes to.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) level: log::Level,
    pub(super) text: String,
}

impl Note {
    fn warning(text: String) -> Self {
        let level = log::Level::Warn;
        Self { level, text }
    }

    fn info(text: String) -> Self {
        let level = log::Level::Info;
        Self { level, text }
    }
}

impl ResolvedConfig {
    /// How the producer's log lines begin.
    pub(crate) fn log_context(&self) -> LogContext {
        LogContext::of_producer(&self.client_id, self.transactional_id.as_deref())
    }
}

impl ProducerConfig {
    /// What the producer is built from. Logs what was changed or ignored, and takes a `client.id` where there is none.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate).
    pub(crate) fn resolve(&self) -> Result<ResolvedConfig> {
        let (mut resolved, notes) = self.check()?;
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

    /// Reads every key, applies every rule, and says what belongs in the log.
    pub(super) fn check(&self) -> Result<(ResolvedConfig, Vec<Note>)> {
        let mut resolved = self.read()?;
        let mut notes: Vec<Note> = self.unknown.iter().map(|key| unknown(key)).collect();
        remove_duplicates(&mut resolved.bootstrap_servers, &mut notes);
        self.check_names(&resolved)?;
        check_rack(&resolved)?;
        self.check_idempotence(&mut resolved, &mut notes)?;
        check_transactions(&resolved)?;
        self.check_delivery_timeout(&mut resolved, &mut notes)?;
        self.check_backoffs(&mut resolved, &mut notes);
        Ok((resolved, notes))
    }

    fn read(&self) -> Result<ResolvedConfig> {
        Ok(ResolvedConfig {
            bootstrap_servers: self.bootstrap_servers_list()?,
            bootstrap_resolve_timeout: self.millis(&keys::BOOTSTRAP_RESOLVE_TIMEOUT_MS)?,
            client_dns_lookup: self.one_of(&keys::CLIENT_DNS_LOOKUP, ClientDnsLookup::from_name)?,
            client_id: Arc::from(self.text(&keys::CLIENT_ID)),
            client_rack: match self.text(&keys::CLIENT_RACK) {
                "" => None,
                rack => Some(Arc::from(rack)),
            },
            acks: self.one_of(&keys::ACKS, |name| match name {
                "-1" => Some(Acks::All),
                name => Acks::from_name(name),
            })?,
            retries: self.unsigned(&keys::RETRIES)?,
            enable_idempotence: self.flag(&keys::ENABLE_IDEMPOTENCE)?,
            max_in_flight_requests_per_connection: self
                .unsigned(&keys::MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION)?,
            batch_size: self.unsigned(&keys::BATCH_SIZE)?,
            linger: self.millis(&keys::LINGER_MS)?.min(MAX_INT_MILLIS),
            buffer_memory: self.unsigned(&keys::BUFFER_MEMORY)?,
            max_request_size: self.unsigned(&keys::MAX_REQUEST_SIZE)?,
            max_block: self.millis(&keys::MAX_BLOCK_MS)?,
            delivery_timeout: self.millis(&keys::DELIVERY_TIMEOUT_MS)?,
            request_timeout: self.millis(&keys::REQUEST_TIMEOUT_MS)?,
            compression: self.compression()?,
            partitioner_class: super::partitioner_class(self.text(&keys::PARTITIONER_CLASS)),
            partitioner_adaptive_partitioning_enable: self
                .flag(&keys::PARTITIONER_ADAPTIVE_PARTITIONING_ENABLE)?,
            partitioner_availability_timeout: self
                .millis(&keys::PARTITIONER_AVAILABILITY_TIMEOUT_MS)?,
            partitioner_ignore_keys: self.flag(&keys::PARTITIONER_IGNORE_KEYS)?,
            partitioner_rack_aware: self.flag(&keys::PARTITIONER_RACK_AWARE)?,
            metadata_max_age: self.millis(&keys::METADATA_MAX_AGE_MS)?,
            metadata_max_idle: self.millis(&keys::METADATA_MAX_IDLE_MS)?,
            metadata_recovery_strategy: self.one_of(&keys::METADATA_RECOVERY_STRATEGY, |name| {
                MetadataRecoveryStrategy::from_name(&name.to_ascii_lowercase())
            })?,
            metadata_recovery_rebootstrap_trigger: self
                .millis(&keys::METADATA_RECOVERY_REBOOTSTRAP_TRIGGER_MS)?,
            metadata_cluster_check_enable: self.flag(&keys::METADATA_CLUSTER_CHECK_ENABLE)?,
            retry_backoff: self.millis(&keys::RETRY_BACKOFF_MS)?,
            retry_backoff_max: self.millis(&keys::RETRY_BACKOFF_MAX_MS)?,
            reconnect_backoff: self.millis(&keys::RECONNECT_BACKOFF_MS)?,
            reconnect_backoff_max: self.millis(&keys::RECONNECT_BACKOFF_MAX_MS)?,
            socket_connection_setup_timeout: self
                .millis(&keys::SOCKET_CONNECTION_SETUP_TIMEOUT_MS)?,
            socket_connection_setup_timeout_max: self
                .millis(&keys::SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS)?,
            connections_max_idle: self
                .unless_negative(&keys::CONNECTIONS_MAX_IDLE_MS)?
                .map(Duration::from_millis),
            send_buffer_bytes: self
                .unless_negative(&keys::SEND_BUFFER_BYTES)?
                .map(to_usize),
            receive_buffer_bytes: self
                .unless_negative(&keys::RECEIVE_BUFFER_BYTES)?
                .map(to_usize),
            receive_max_bytes: self.unsigned(&keys::RECEIVE_MAX_BYTES)?,
            transactional_id: self.transactional_id_text()?.map(Arc::from),
            transaction_timeout_ms: self.unsigned(&keys::TRANSACTION_TIMEOUT_MS)?,
        })
    }

    fn bootstrap_servers_list(&self) -> Result<Vec<String>> {
        let key = &keys::BOOTSTRAP_SERVERS;
        if !self.is_set(key.name) {
            return Err(config_error(format!(
                "{} is required and has no default: set it to host:port of one broker or more",
                key.name
            )));
        }
        let servers = key.list(self.text(key))?;
        if servers.is_empty() {
            return Err(key.invalid(self.text(key), "names no broker; expected host:port"));
        }
        Ok(servers.into_iter().map(str::to_owned).collect())
    }

    fn transactional_id_text(&self) -> Result<Option<&str>> {
        let key = &keys::TRANSACTIONAL_ID;
        match self.get(key.name) {
            Some(text) => key.choice(text).map(Some),
            None => Ok(None),
        }
    }

    /// The codec, if it was compiled in and can honour the level.
    fn compression(&self) -> Result<Compression> {
        let codec = self.one_of(&keys::COMPRESSION_TYPE, CompressionType::from_name)?;
        // Each level is checked whichever codec is chosen, as every other value is.
        let gzip = self.unless_negative(&keys::COMPRESSION_GZIP_LEVEL)?;
        let lz4 = self.number(&keys::COMPRESSION_LZ4_LEVEL)?;
        let zstd = self.number(&keys::COMPRESSION_ZSTD_LEVEL)?;
        let level = match codec {
            CompressionType::Gzip => gzip.and_then(|level| i32::try_from(level).ok()),
            CompressionType::Lz4 => i32::try_from(lz4).ok(),
            CompressionType::Zstd => i32::try_from(zstd).ok(),
            CompressionType::None | CompressionType::Snappy => None,
        };
        Compression::new(codec, level).map_err(|error| config_error(error.to_string()))
    }

    /// The text of a key without blanks around it; empty where it has none.
    fn text(&self, key: &ConfigKey) -> &str {
        trim(self.get(key.name).unwrap_or_default())
    }

    fn flag(&self, key: &ConfigKey) -> Result<bool> {
        key.boolean(self.text(key))
    }

    fn number(&self, key: &ConfigKey) -> Result<i64> {
        key.number(self.text(key))
    }

    /// A number that must not be negative, whether or not the table says so.
    fn unsigned<T: TryFrom<i64>>(&self, key: &ConfigKey) -> Result<T> {
        T::try_from(self.number(key)?)
            .map_err(|_| key.invalid(self.text(key), "must be at least 0"))
    }

    fn unless_negative(&self, key: &ConfigKey) -> Result<Option<u64>> {
        Ok(u64::try_from(self.number(key)?).ok())
    }

    fn millis(&self, key: &ConfigKey) -> Result<Duration> {
        self.unsigned(key).map(Duration::from_millis)
    }

    fn one_of<T>(&self, key: &ConfigKey, from_name: impl Fn(&str) -> Option<T>) -> Result<T> {
        let name = key.choice(self.text(key))?;
        from_name(name).ok_or_else(|| key.invalid(name, "not a name that is known"))
    }

    /// Idempotence that was asked for must be possible; idempotence by default steps back for what was asked for.
    fn check_idempotence(
        &self,
        resolved: &mut ResolvedConfig,
        notes: &mut Vec<Note>,
    ) -> Result<()> {
        if !resolved.enable_idempotence {
            return Ok(());
        }
        let obstacle = if resolved.retries == 0 {
            Some("retries is 0; set retries above 0")
        } else if resolved.acks != Acks::All {
            Some("acks is not all; set acks=all")
        } else {
            None
        };
        let in_flight = resolved.max_in_flight_requests_per_connection;
        match obstacle {
            Some(obstacle) if self.is_set(keys::ENABLE_IDEMPOTENCE.name) => {
                Err(config_error(format!(
                    "enable.idempotence=true is not possible: {obstacle}, or set enable.idempotence=false"
                )))
            }
            // As in Java: even where another key turns idempotence off.
            _ if in_flight > MAX_IN_FLIGHT_WITH_IDEMPOTENCE => Err(config_error(format!(
                "max.in.flight.requests.per.connection is {in_flight}, but idempotence allows at most \
                 {MAX_IN_FLIGHT_WITH_IDEMPOTENCE}: lower it, or set enable.idempotence=false"
            ))),
            Some(obstacle) => {
                resolved.enable_idempotence = false;
                notes.push(Note::info(format!(
                    "idempotence is off, so that a retry may duplicate or reorder records: {obstacle} to have it on"
                )));
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn check_delivery_timeout(
        &self,
        resolved: &mut ResolvedConfig,
        notes: &mut Vec<Note>,
    ) -> Result<()> {
        let least = (resolved.linger + resolved.request_timeout).min(MAX_INT_MILLIS);
        let delivery = resolved.delivery_timeout;
        if delivery >= least {
            return Ok(());
        }
        let (delivery, least_ms) = (delivery.as_millis(), least.as_millis());
        if self.is_set(keys::DELIVERY_TIMEOUT_MS.name) {
            return Err(config_error(format!(
                "delivery.timeout.ms is {delivery}, but linger.ms + request.timeout.ms is {least_ms}: raise \
                 delivery.timeout.ms to at least that, or lower one of the others"
            )));
        }
        resolved.delivery_timeout = least;
        notes.push(Note::warning(format!(
            "delivery.timeout.ms is raised from {delivery} to {least_ms}, which is linger.ms + request.timeout.ms"
        )));
        Ok(())
    }

    /// A request that cannot be written would be told as a broker's fault, each time.
    fn check_names(&self, resolved: &ResolvedConfig) -> Result<()> {
        let transactional_id = resolved.transactional_id.as_deref().unwrap_or_default();
        // It is a part of the client's name where that is not set.
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
                return Err(config_error(format!(
                    "{} has {length} bytes, which is more than the {room} that a request has room for: \
                     choose a shorter one",
                    key.name
                )));
            }
        }
        Ok(())
    }

    fn check_backoffs(&self, resolved: &mut ResolvedConfig, notes: &mut Vec<Note>) {
        if self.is_set(keys::RECONNECT_BACKOFF_MS.name)
            && !self.is_set(keys::RECONNECT_BACKOFF_MAX_MS.name)
        {
            resolved.reconnect_backoff_max = resolved.reconnect_backoff;
            notes.push(Note::warning(format!(
                "{} is set and {} is not, so that the wait between attempts to connect does not grow",
                keys::RECONNECT_BACKOFF_MS.name, keys::RECONNECT_BACKOFF_MAX_MS.name
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

/// Transactions rest on idempotence, be it that it was turned off by another key.
fn check_transactions(resolved: &ResolvedConfig) -> Result<()> {
    if resolved.transactional_id.is_some() && !resolved.enable_idempotence {
        return Err(config_error(
            "transactional.id is set, but idempotence is off: set enable.idempotence=true, acks=all and retries above 0, \
             or leave transactional.id out",
        ));
    }
    Ok(())
}

/// Java: `ConfigDef.ListSize`, which warns too.
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

fn check_rack(resolved: &ResolvedConfig) -> Result<()> {
    if resolved.partitioner_rack_aware && resolved.client_rack.is_none() {
        return Err(config_error(
            "partitioner.rack.aware=true needs client.rack: set it to the rack where this producer runs",
        ));
    }
    Ok(())
}

/// What is said of a key that nobody knows.
fn unknown(key: &str) -> Note {
    match nearest_key::nearest_key(key) {
        Some(nearest) => Note::warning(format!(
            "unknown configuration key {key} is ignored; did you mean {nearest}?"
        )),
        None => Note::warning(format!("unknown configuration key {key} is ignored")),
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
