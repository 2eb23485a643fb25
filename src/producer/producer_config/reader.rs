//! Parses the text of every key. A refused value does not end the parsing, so that one error lists
//! them all.

use std::time::Duration;

use super::keys;
use super::refusals::Refusals;
use super::resolved::{MAX_INT_MILLIS, ResolvedConfig};
use super::{
    Acks, BufferMemoryAllocationStrategy, ClientDnsLookup, CompressionType,
    MetadataRecoveryStrategy, ProducerConfig, RecordingLevel, SecurityProtocol, partitioner_class,
};
use crate::error::Result;
use crate::metrics::MetricConfig;
use crate::producer::config_def::{ConfigKey, config_error, trim};
use crate::record::Compression;
use crate::sync::Arc;

impl ProducerConfig {
    /// Parses every key. A refused value is added to `refusals`, and replaced by a stand-in here.
    pub(super) fn read(&self, refusals: &mut Refusals) -> ResolvedConfig {
        let config = self;
        Reader { config, refusals }.read()
    }
}

/// A configuration that is being parsed, and its problems.
pub(super) struct Reader<'a> {
    pub(super) config: &'a ProducerConfig,
    pub(super) refusals: &'a mut Refusals,
}

impl<'a> Reader<'a> {
    fn read(mut self) -> ResolvedConfig {
        ResolvedConfig {
            bootstrap_servers: self.bootstrap_servers(),
            bootstrap_resolve_timeout: self.millis(&keys::BOOTSTRAP_RESOLVE_TIMEOUT_MS),
            client_dns_lookup: self.one_of(
                &keys::CLIENT_DNS_LOOKUP,
                ClientDnsLookup::UseAllDnsIps,
                ClientDnsLookup::from_name,
            ),
            client_id: Arc::from(self.text(&keys::CLIENT_ID)),
            client_rack: self.client_rack(),
            security_protocol: self.security_protocol(),
            #[cfg(feature = "tls")]
            ssl: None,
            acks: self.one_of(&keys::ACKS, Acks::All, |name| match name {
                "-1" => Some(Acks::All),
                name => Acks::from_name(name),
            }),
            retries: self.unsigned(&keys::RETRIES),
            enable_idempotence: self.flag(&keys::ENABLE_IDEMPOTENCE),
            max_in_flight_requests_per_connection: self
                .unsigned(&keys::MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION),
            batch_size: self.unsigned(&keys::BATCH_SIZE),
            linger: self.millis(&keys::LINGER_MS).min(MAX_INT_MILLIS),
            buffer_memory: self.unsigned(&keys::BUFFER_MEMORY),
            buffer_memory_allocation_strategy: self.allocation_strategy(),
            max_request_size: self.unsigned(&keys::MAX_REQUEST_SIZE),
            max_block: self.millis(&keys::MAX_BLOCK_MS),
            delivery_timeout: self.millis(&keys::DELIVERY_TIMEOUT_MS),
            request_timeout: self.millis(&keys::REQUEST_TIMEOUT_MS),
            compression: self.compression(),
            partitioner_class: partitioner_class(self.text(&keys::PARTITIONER_CLASS)),
            partitioner_adaptive_partitioning_enable: self
                .flag(&keys::PARTITIONER_ADAPTIVE_PARTITIONING_ENABLE),
            partitioner_availability_timeout: self
                .millis(&keys::PARTITIONER_AVAILABILITY_TIMEOUT_MS),
            partitioner_ignore_keys: self.flag(&keys::PARTITIONER_IGNORE_KEYS),
            partitioner_rack_aware: self.flag(&keys::PARTITIONER_RACK_AWARE),
            metadata_max_age: self.millis(&keys::METADATA_MAX_AGE_MS),
            metadata_max_idle: self.millis(&keys::METADATA_MAX_IDLE_MS),
            metadata_recovery_strategy: self.one_of(
                &keys::METADATA_RECOVERY_STRATEGY,
                MetadataRecoveryStrategy::Rebootstrap,
                |name| MetadataRecoveryStrategy::from_name(&name.to_ascii_lowercase()),
            ),
            metadata_recovery_rebootstrap_trigger: self
                .millis(&keys::METADATA_RECOVERY_REBOOTSTRAP_TRIGGER_MS),
            metadata_cluster_check_enable: self.flag(&keys::METADATA_CLUSTER_CHECK_ENABLE),
            metrics: self.metrics(),
            enable_metrics_push: self.flag(&keys::ENABLE_METRICS_PUSH),
            retry_backoff: self.millis(&keys::RETRY_BACKOFF_MS),
            retry_backoff_max: self.millis(&keys::RETRY_BACKOFF_MAX_MS),
            reconnect_backoff: self.millis(&keys::RECONNECT_BACKOFF_MS),
            reconnect_backoff_max: self.millis(&keys::RECONNECT_BACKOFF_MAX_MS),
            socket_connection_setup_timeout: self.millis(&keys::SOCKET_CONNECTION_SETUP_TIMEOUT_MS),
            socket_connection_setup_timeout_max: self
                .millis(&keys::SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS),
            connections_max_idle: self
                .unless_negative(&keys::CONNECTIONS_MAX_IDLE_MS)
                .map(Duration::from_millis),
            send_buffer_bytes: self.unless_negative(&keys::SEND_BUFFER_BYTES).map(to_usize),
            receive_buffer_bytes: self
                .unless_negative(&keys::RECEIVE_BUFFER_BYTES)
                .map(to_usize),
            receive_max_bytes: self.unsigned(&keys::RECEIVE_MAX_BYTES),
            #[cfg(feature = "sasl")]
            sasl: None,
            transactional_id: self.transactional_id(),
            transaction_timeout_ms: self.unsigned(&keys::TRANSACTION_TIMEOUT_MS),
        }
    }

    fn bootstrap_servers(&mut self) -> Vec<String> {
        let key = &keys::BOOTSTRAP_SERVERS;
        let servers = match self.config.get(key.name) {
            None => Err(config_error(format!(
                "{} is required and has no default: set it to host:port of one broker or more",
                key.name
            ))),
            Some(text) => key.list(text).and_then(|servers| match servers.is_empty() {
                true => Err(key.invalid(trim(text), "names no broker; expected host:port")),
                false => Ok(servers),
            }),
        };
        let servers = self.refusals.value_or(key, servers, Vec::new());
        servers.into_iter().map(str::to_owned).collect()
    }

    fn metrics(&mut self) -> MetricConfig {
        MetricConfig {
            samples: self.unsigned(&keys::METRICS_NUM_SAMPLES),
            window: self.millis(&keys::METRICS_SAMPLE_WINDOW_MS),
            recording_level: self.one_of(
                &keys::METRICS_RECORDING_LEVEL,
                RecordingLevel::Info,
                RecordingLevel::from_name,
            ),
        }
    }

    fn client_rack(&self) -> Option<Arc<str>> {
        match self.text(&keys::CLIENT_RACK) {
            "" => None,
            rack => Some(Arc::from(rack)),
        }
    }

    fn security_protocol(&mut self) -> SecurityProtocol {
        let from_name = |name: &str| SecurityProtocol::from_name(&name.to_ascii_uppercase());
        let stand_in = SecurityProtocol::Plaintext;
        self.one_of(&keys::SECURITY_PROTOCOL, stand_in, from_name)
    }

    fn transactional_id(&mut self) -> Option<Arc<str>> {
        let key = &keys::TRANSACTIONAL_ID;
        let text = self.config.get(key.name)?;
        let id = self.refusals.value_or(key, key.choice(text), "");
        (!id.is_empty()).then(|| Arc::from(id))
    }

    fn allocation_strategy(&mut self) -> BufferMemoryAllocationStrategy {
        self.one_of(
            &keys::BUFFER_MEMORY_ALLOCATION_STRATEGY,
            BufferMemoryAllocationStrategy::Full,
            |name| BufferMemoryAllocationStrategy::from_name(&name.to_ascii_lowercase()),
        )
    }

    /// Returns the codec, if it was compiled in and supports the level.
    fn compression(&mut self) -> Compression {
        let key = &keys::COMPRESSION_TYPE;
        let codec = self.one_of(key, CompressionType::None, CompressionType::from_name);
        // Every level is validated, whichever codec is chosen.
        let gzip = self.unless_negative(&keys::COMPRESSION_GZIP_LEVEL);
        let lz4 = self.number(&keys::COMPRESSION_LZ4_LEVEL);
        let zstd = self.number(&keys::COMPRESSION_ZSTD_LEVEL);
        let (level, level_key) = match codec {
            CompressionType::Gzip => (
                gzip.and_then(|level| i32::try_from(level).ok()),
                &keys::COMPRESSION_GZIP_LEVEL,
            ),
            CompressionType::Lz4 => (i32::try_from(lz4).ok(), &keys::COMPRESSION_LZ4_LEVEL),
            CompressionType::Zstd => (i32::try_from(zstd).ok(), &keys::COMPRESSION_ZSTD_LEVEL),
            CompressionType::None | CompressionType::Snappy => (None, key),
        };
        if self.refusals.concern(&[level_key]) {
            return Compression::none();
        }
        let compression = Compression::new(codec, level);
        let compression = compression.map_err(|error| config_error(error.to_string()));
        self.refusals
            .value_or(key, compression, Compression::none())
    }

    /// Returns the text of a key without surrounding blanks, or an empty text if it has none.
    pub(super) fn text(&self, key: &ConfigKey) -> &'a str {
        trim(self.config.value(key).unwrap_or_default())
    }

    fn flag(&mut self, key: &ConfigKey) -> bool {
        self.refusals
            .value_or(key, key.boolean(self.text(key)), false)
    }

    fn number(&mut self, key: &ConfigKey) -> i64 {
        self.refusals.value_or(key, key.number(self.text(key)), 0)
    }

    /// Parses a number that must not be negative, even if the table allows it.
    fn unsigned<T: TryFrom<i64> + Default>(&mut self, key: &ConfigKey) -> T {
        let text = self.text(key);
        let number = key.number(text).and_then(|number| {
            T::try_from(number).map_err(|_| key.invalid(text, "must be at least 0"))
        });
        self.refusals.value_or(key, number, T::default())
    }

    fn unless_negative(&mut self, key: &ConfigKey) -> Option<u64> {
        u64::try_from(self.number(key)).ok()
    }

    fn millis(&mut self, key: &ConfigKey) -> Duration {
        Duration::from_millis(self.unsigned(key))
    }

    fn one_of<T>(
        &mut self,
        key: &ConfigKey,
        stand_in: T,
        from_name: impl Fn(&str) -> Option<T>,
    ) -> T {
        let choice: Result<T> = key.choice(self.text(key)).and_then(|name| {
            from_name(name).ok_or_else(|| key.invalid(name, "not a name that is known"))
        });
        self.refusals.value_or(key, choice, stand_in)
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
