//! The table of the producer's keys: type, default, valid values, importance, meaning. Java:
//! `ProducerConfig`.
//!
//! `with_producer_keys!` passes the rows to another macro. The constants here, the typed setters of
//! [`ProducerConfig`](super::ProducerConfig) and those of the builder thus have the same source.

use crate::producer::config_def::{ConfigKey, DefaultValue, Importance, Kind, Rule};

/// `"key" CONSTANT: Kind, default, [rule], Importance, setter(argument);` after its documentation.
macro_rules! with_producer_keys {
    ($callback:ident) => {
        $callback! {
            /// The brokers to connect to first: `host:port` pairs, separated by commas. A few
            /// brokers are enough, because they name all the others.
            "bootstrap.servers" BOOTSTRAP_SERVERS: List, required, [any], High, bootstrap_servers(impl IntoList);

            /// How long, in milliseconds, to keep trying to resolve the names of
            /// `bootstrap.servers`. With 0, building the producer resolves them, and fails if none
            /// resolves. Otherwise the producer is built at once and resolves the names in the
            /// background; after this time every call fails permanently (KIP-909).
            "bootstrap.resolve.timeout.ms" BOOTSTRAP_RESOLVE_TIMEOUT_MS: Long, "0", [at_least 0], High,
                bootstrap_resolve_timeout(Duration);

            /// Whether to try every address of a host name, or to replace bootstrap names by their
            /// canonical names.
            "client.dns.lookup" CLIENT_DNS_LOOKUP: String, "use_all_dns_ips",
                [one_of "use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"], Medium,
                client_dns_lookup(ClientDnsLookup);

            /// The name of this producer in broker logs, quotas and metrics. If unset, it is
            /// `producer-1`, `producer-2` and so on, or `producer-` and the `transactional.id`.
            "client.id" CLIENT_ID: String, "", [any], Medium, client_id(&str);

            /// The rack or zone of this producer. With `partitioner.rack.aware` it is compared with
            /// the brokers' `broker.rack`.
            "client.rack" CLIENT_RACK: String, "", [any], Low, client_rack(&str);

            /// How many replicas must have a record before the broker acknowledges it. Idempotence
            /// needs `all`.
            "acks" ACKS: String, "all", [one_of "all", "-1", "0", "1"], Low, acks(Acks);

            /// How often a batch is retried after a retriable error. Prefer bounding retries with
            /// `delivery.timeout.ms`.
            "retries" RETRIES: Int, "2147483647", [between 0, 2147483647], High, retries(u32);

            /// Whether the broker recognizes a retried batch, so that each record is in the log
            /// once and in order. Needs `acks=all`, `retries` above 0 and at most 5 requests in
            /// flight. Unless this key is set to `true`, a conflicting `acks` or `retries` turns
            /// idempotence off.
            "enable.idempotence" ENABLE_IDEMPOTENCE: Boolean, "true", [any], Low, enable_idempotence(bool);

            /// How many requests may wait for a response on one connection. Without idempotence,
            /// more than 1 can reorder records on a retry.
            "max.in.flight.requests.per.connection" MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION: Int, "5", [at_least 1], Low,
                max_in_flight_requests_per_connection(u32);

            /// The size, in bytes, at which a partition's batch is sent without waiting for
            /// `linger.ms`. With 0, each record has a batch of its own.
            "batch.size" BATCH_SIZE: Int, "16384", [at_least 0], Medium, batch_size(usize);

            /// How long, in milliseconds, a batch that is not full waits for more records.
            "linger.ms" LINGER_MS: Long, "5", [at_least 0], Medium, linger(Duration);

            /// How many bytes of records may wait to be sent. When they are used up, `send` blocks
            /// for at most `max.block.ms`. The callbacks of these records take at most as much
            /// again.
            "buffer.memory" BUFFER_MEMORY: Long, "33554432", [at_least 0], High, buffer_memory(usize);

            /// How batches take their share of `buffer.memory` (KIP-1332). With `full`, each batch
            /// takes `batch.size` bytes when it is opened. With `incremental`, a batch takes memory
            /// in chunks as it grows, so that many partitions with few records need little. A batch
            /// that finds no memory to grow is sent early, and no record fails that would not fail
            /// with `full`. Differs from Java: works with every `compression.type` and
            /// `batch.size`.
            "buffer.memory.allocation.strategy" BUFFER_MEMORY_ALLOCATION_STRATEGY: String, "full",
                [one_of_ignoring_case "FULL", "INCREMENTAL"], Medium,
                buffer_memory_allocation_strategy(BufferMemoryAllocationStrategy);

            /// How long, in milliseconds, `send` and `partitions_for` may block for metadata and
            /// buffer memory together. It also bounds each wait for the coordinator in a call that
            /// begins or ends a transaction.
            "max.block.ms" MAX_BLOCK_MS: Long, "60000", [at_least 0], Medium, max_block(Duration);

            /// The largest Produce request, in bytes. It also bounds a record, measured before
            /// compression. Brokers have a limit of their own, `message.max.bytes`.
            "max.request.size" MAX_REQUEST_SIZE: Int, "1048576", [at_least 0], Medium, max_request_size(usize);

            /// How long, in milliseconds, after `send` returns a record may take to succeed or
            /// fail, including linger, requests and all retries. At least `linger.ms` plus
            /// `request.timeout.ms`.
            "delivery.timeout.ms" DELIVERY_TIMEOUT_MS: Int, "120000", [at_least 0], Medium, delivery_timeout(Duration);

            /// How long, in milliseconds, to wait for the response to a request. Should be longer
            /// than the brokers' `replica.lag.time.max.ms`, to avoid needless retries.
            "request.timeout.ms" REQUEST_TIMEOUT_MS: Int, "30000", [at_least 0], Medium, request_timeout(Duration);

            /// The codec for whole batches. Each codec is a Cargo feature; `gzip`, `snappy` and
            /// `lz4` are on by default.
            "compression.type" COMPRESSION_TYPE: String, "none", [one_of "none", "gzip", "snappy", "lz4", "zstd"], High,
                compression_type(CompressionType);

            /// The level for `compression.type=gzip`; -1 leaves it to the codec, which uses 6.
            "compression.gzip.level" COMPRESSION_GZIP_LEVEL: Int, "-1", [between_or 1, 9, -1], Medium,
                compression_gzip_level(i32);

            /// The level for `compression.type=lz4`. Differs from Java: the codec has one level,
            /// Java's default. Any other level is an error.
            "compression.lz4.level" COMPRESSION_LZ4_LEVEL: Int, "9", [between 1, 17], Medium,
                compression_lz4_level(i32);

            /// The level for `compression.type=zstd`.
            "compression.zstd.level" COMPRESSION_ZSTD_LEVEL: Int, "3", [between -131072, 22], Medium,
                compression_zstd_level(i32);

            /// Whether more of the records without a key go to partitions whose brokers are fast.
            "partitioner.adaptive.partitioning.enable" PARTITIONER_ADAPTIVE_PARTITIONING_ENABLE: Boolean, "true", [any],
                Low, partitioner_adaptive_partitioning_enable(bool);

            /// How long, in milliseconds, a broker may accept no batch before records without a key
            /// avoid its partitions; 0 turns this off. Needs adaptive partitioning.
            "partitioner.availability.timeout.ms" PARTITIONER_AVAILABILITY_TIMEOUT_MS: Long, "0", [at_least 0], Low,
                partitioner_availability_timeout(Duration);

            /// Whether to spread records with a key like those without one, instead of by the hash
            /// of the key. Has no effect with a partitioner of your own.
            "partitioner.ignore.keys" PARTITIONER_IGNORE_KEYS: Boolean, "false", [any], Medium,
                partitioner_ignore_keys(bool);

            /// Whether records without a key prefer partitions whose leader is in the rack
            /// `client.rack`, which must be set (KIP-1123).
            "partitioner.rack.aware" PARTITIONER_RACK_AWARE: Boolean, "false", [any], Low, partitioner_rack_aware(bool);

            /// How old, in milliseconds, metadata may become before it is refreshed, even without a
            /// sign of change.
            "metadata.max.age.ms" METADATA_MAX_AGE_MS: Long, "300000", [at_least 0], Low, metadata_max_age(Duration);

            /// How long, in milliseconds, a topic stays in the metadata after the last record for
            /// it.
            "metadata.max.idle.ms" METADATA_MAX_IDLE_MS: Long, "300000", [at_least 5000], Low,
                metadata_max_idle(Duration);

            /// What to do when no known broker is reachable.
            "metadata.recovery.strategy" METADATA_RECOVERY_STRATEGY: String, "rebootstrap",
                [one_of_ignoring_case "REBOOTSTRAP", "NONE"], Low,
                metadata_recovery_strategy(MetadataRecoveryStrategy);

            /// How long, in milliseconds, metadata refreshes may fail before the producer starts
            /// again from `bootstrap.servers`. Needs `metadata.recovery.strategy=rebootstrap`.
            "metadata.recovery.rebootstrap.trigger.ms" METADATA_RECOVERY_REBOOTSTRAP_TRIGGER_MS: Long, "300000",
                [at_least 0], Low, metadata_recovery_rebootstrap_trigger(Duration);

            /// Whether each new connection names its intended cluster and node, so that any other
            /// broker refuses it (KIP-1242; brokers from Kafka 4.4). After a refusal the client
            /// starts again from `bootstrap.servers`. Has no effect with
            /// `metadata.recovery.strategy=none`.
            "metadata.cluster.check.enable" METADATA_CLUSTER_CHECK_ENABLE: Boolean, "true", [any], Low,
                metadata_cluster_check_enable(bool);

            /// How long, in milliseconds, to wait before the first retry of a request. The wait
            /// doubles up to `retry.backoff.max.ms`, with 20 % jitter.
            "retry.backoff.ms" RETRY_BACKOFF_MS: Long, "100", [at_least 0], Low, retry_backoff(Duration);

            /// How long, in milliseconds, to wait at most before a retry of a request. If it is
            /// below `retry.backoff.ms`, every wait is this long.
            "retry.backoff.max.ms" RETRY_BACKOFF_MAX_MS: Long, "1000", [at_least 0], Low, retry_backoff_max(Duration);

            /// How long, in milliseconds, to wait before the first new attempt to connect to a
            /// broker. The wait doubles up to `reconnect.backoff.max.ms`. If only this key is set,
            /// the wait stays the same.
            "reconnect.backoff.ms" RECONNECT_BACKOFF_MS: Long, "50", [at_least 0], Low, reconnect_backoff(Duration);

            /// How long, in milliseconds, to wait at most before a new attempt to connect to a
            /// broker.
            "reconnect.backoff.max.ms" RECONNECT_BACKOFF_MAX_MS: Long, "1000", [at_least 0], Low,
                reconnect_backoff_max(Duration);

            /// How connections to the brokers are protected; `SSL` is TLS.
            "security.protocol" SECURITY_PROTOCOL: String, "PLAINTEXT",
                [one_of_ignoring_case "SASL_SSL", "PLAINTEXT", "SSL", "SASL_PLAINTEXT"], Medium,
                security_protocol(SecurityProtocol);

            /// The type of the file `ssl.truststore.location`: `JKS`, `PKCS12` or `PEM`. `JKS` and
            /// `PKCS12` are told apart by content, and need the feature `keystores`.
            "ssl.truststore.type" SSL_TRUSTSTORE_TYPE: String, "JKS", [any], Medium, ssl_truststore_type(&str);

            /// The file with the certificates of the trusted authorities. Without it, the operating
            /// system's authorities are trusted. It is read again for each new connection.
            "ssl.truststore.location" SSL_TRUSTSTORE_LOCATION: String, null, [any], High, ssl_truststore_location(&str);

            /// The certificates of the trusted authorities as PEM text, instead of a file.
            "ssl.truststore.certificates" SSL_TRUSTSTORE_CERTIFICATES: Password, null, [any], High,
                ssl_truststore_certificates(&str);

            /// The password of the truststore. Without it, the integrity of the file is not
            /// checked. Must be unset for PEM, which has no password.
            "ssl.truststore.password" SSL_TRUSTSTORE_PASSWORD: Password, null, [any], High, ssl_truststore_password(&str);

            /// The type of the file `ssl.keystore.location`: `JKS`, `PKCS12` or `PEM`. `JKS` and
            /// `PKCS12` are told apart by content, and need the feature `keystores`.
            "ssl.keystore.type" SSL_KEYSTORE_TYPE: String, "JKS", [any], Medium, ssl_keystore_type(&str);

            /// The file with this client's private key and certificate chain, for brokers that
            /// require client certificates. It is read again for each new connection.
            "ssl.keystore.location" SSL_KEYSTORE_LOCATION: String, null, [any], High, ssl_keystore_location(&str);

            /// This client's private key as PEM text (PKCS#8, PKCS#1 or SEC 1), instead of a file.
            /// Needs `ssl.keystore.certificate.chain`.
            "ssl.keystore.key" SSL_KEYSTORE_KEY: Password, null, [any], High, ssl_keystore_key(&str);

            /// The certificates for `ssl.keystore.key` as PEM text, this client's own first.
            "ssl.keystore.certificate.chain" SSL_KEYSTORE_CERTIFICATE_CHAIN: Password, null, [any], High,
                ssl_keystore_certificate_chain(&str);

            /// The password of the keystore, which JKS and PKCS#12 require. Must be unset for PEM,
            /// which has no password.
            "ssl.keystore.password" SSL_KEYSTORE_PASSWORD: Password, null, [any], High, ssl_keystore_password(&str);

            /// The password of the private key, if the key is encrypted. Without it, a key in JKS
            /// or PKCS#12 has the password of the store. Encrypted keys need the feature
            /// `keystores`.
            "ssl.key.password" SSL_KEY_PASSWORD: Password, null, [any], High, ssl_key_password(&str);

            /// The allowed versions of TLS: `TLSv1.2`, `TLSv1.3` or both.
            "ssl.enabled.protocols" SSL_ENABLED_PROTOCOLS: List, "TLSv1.2,TLSv1.3", [any], Medium,
                ssl_enabled_protocols(&str);

            /// The allowed cipher suites, by IANA's names. Empty allows all safe ones.
            "ssl.cipher.suites" SSL_CIPHER_SUITES: List, "", [any], Low, ssl_cipher_suites(&str);

            /// Whether a broker's certificate must match its host name: `https`. Empty turns the
            /// check off, so that a trusted authority's certificate for any host passes.
            "ssl.endpoint.identification.algorithm" SSL_ENDPOINT_IDENTIFICATION_ALGORITHM: String, "https", [any], Low,
                ssl_endpoint_identification_algorithm(&str);

            /// How long, in milliseconds, the first attempt to open a connection may take. It
            /// doubles with each failure up to `socket.connection.setup.timeout.max.ms`.
            "socket.connection.setup.timeout.ms" SOCKET_CONNECTION_SETUP_TIMEOUT_MS: Long, "10000", [any], Medium,
                socket_connection_setup_timeout(Duration);

            /// How long, in milliseconds, any attempt to open a connection may take.
            "socket.connection.setup.timeout.max.ms" SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS: Long, "30000", [any],
                Medium, socket_connection_setup_timeout_max(Duration);

            /// How long, in milliseconds, a connection may be idle before it is closed; negative
            /// (`None`) means forever.
            "connections.max.idle.ms" CONNECTIONS_MAX_IDLE_MS: Long, "540000", [any], Medium,
                connections_max_idle(Option<Duration>);

            /// The socket's send buffer (`SO_SNDBUF`) in bytes; -1 (`None`) leaves it to the operating system.
            "send.buffer.bytes" SEND_BUFFER_BYTES: Int, "131072", [at_least -1], Medium,
                send_buffer_bytes(Option<usize>);

            /// The socket's receive buffer (`SO_RCVBUF`) in bytes; -1 (`None`) leaves it to the operating system.
            "receive.buffer.bytes" RECEIVE_BUFFER_BYTES: Int, "32768", [at_least -1], Medium,
                receive_buffer_bytes(Option<usize>);

            /// The name for transactions, which must be the same at each start of this part of the
            /// program. A new producer with the same name ends the transaction of an earlier one,
            /// and fences that producer off. Needs idempotence.
            "transactional.id" TRANSACTIONAL_ID: String, null, [non_empty], Low, transactional_id(&str);

            /// How long, in milliseconds, a transaction may be open before the coordinator aborts
            /// it. At most the brokers' `transaction.max.timeout.ms`.
            "transaction.timeout.ms" TRANSACTION_TIMEOUT_MS: Int, "60000", [any], Low, transaction_timeout(Duration);

            /// How many time windows averages, maxima and rates cover.
            "metrics.num.samples" METRICS_NUM_SAMPLES: Int, "2", [at_least 1], Low, metrics_num_samples(u32);

            /// How long, in milliseconds, one window of the metrics is.
            "metrics.sample.window.ms" METRICS_SAMPLE_WINDOW_MS: Long, "30000", [at_least 0], Low,
                metrics_sample_window(Duration);

            /// Which metrics to record: `DEBUG` and `TRACE` add the latency quantiles of each
            /// broker, at 14 KB a broker.
            "metrics.recording.level" METRICS_RECORDING_LEVEL: String, "INFO", [one_of "INFO", "DEBUG", "TRACE"], Low,
                metrics_recording_level(RecordingLevel);

            /// Whether the brokers may request metrics of this producer, which then pushes them
            /// (KIP-714). Without a subscription on the brokers, nothing is pushed.
            "enable.metrics.push" ENABLE_METRICS_PUSH: Boolean, "true", [any], Low, enable_metrics_push(bool);

            /// The largest response, in bytes, to accept from a broker, so that a broken or hostile
            /// peer cannot exhaust the memory. Not a key of Java's producer.
            "receive.max.bytes" RECEIVE_MAX_BYTES: Int, "104857600", [at_least 65536], Low, receive_max_bytes(usize);
        }
    };
}
pub(crate) use with_producer_keys;

/// The rule of a key, from the words in the table.
macro_rules! rule {
    (any) => { Rule::Any };
    (non_empty) => { Rule::NonEmpty };
    (at_least $min:literal) => { Rule::AtLeast($min) };
    (between $min:literal, $max:literal) => { Rule::Between($min, $max) };
    (between_or $min:literal, $max:literal, $other:literal) => { Rule::BetweenOr($min, $max, $other) };
    (one_of $($allowed:literal),+) => { Rule::OneOf(&[$($allowed),+]) };
    (one_of_ignoring_case $($allowed:literal),+) => { Rule::OneOfIgnoringCase(&[$($allowed),+]) };
}

/// The rule in Kafka's notation.
macro_rules! rule_text {
    (any) => { "" };
    (non_empty) => { "non-empty string" };
    (at_least $min:literal) => { concat!("[", $min, ",...]") };
    (between $min:literal, $max:literal) => { concat!("[", $min, ",...,", $max, "]") };
    (between_or $min:literal, $max:literal, $other:literal) => { concat!("[", $min, ",...,", $max, "] or ", $other) };
    (one_of $first:literal $(, $more:literal)*) => { concat!("[", $first, $(", ", $more,)* "]") };
    (one_of_ignoring_case $($allowed:literal),+) => {
        concat!("(case insensitive) ", rule_text!(one_of $($allowed),+))
    };
}
pub(crate) use rule_text;

macro_rules! default_value {
    (required) => {
        DefaultValue::Required
    };
    (null) => {
        DefaultValue::Null
    };
    ($text:literal) => {
        DefaultValue::Text($text)
    };
}

macro_rules! define_keys {
    ($(
        $(#[doc = $doc:literal])+
        $name:literal $constant:ident: $kind:ident, $default:tt, [$($rule:tt)+], $importance:ident, $setter:ident($argument:ty);
    )*) => {
        $(pub(crate) static $constant: ConfigKey = ConfigKey {
            name: $name,
            kind: Kind::$kind,
            default: default_value!($default),
            rule: rule!($($rule)+),
            valid: rule_text!($($rule)+),
            importance: Importance::$importance,
            doc: concat!($($doc),+),
        };)*

        /// The keys that have a typed setter.
        static SETTABLE: &[&ConfigKey] = &[$(&$constant),*];
    };
}

with_producer_keys!(define_keys);

pub(crate) static KEY_SERIALIZER: ConfigKey = plugin(
    "key.serializer",
    DefaultValue::Required,
    Kind::Class,
    Importance::High,
    " How keys become bytes: a Rust value, given to the builder.",
);
pub(crate) static VALUE_SERIALIZER: ConfigKey = plugin(
    "value.serializer",
    DefaultValue::Required,
    Kind::Class,
    Importance::High,
    " How values become bytes: a Rust value, given to the builder.",
);
pub(crate) static INTERCEPTOR_CLASSES: ConfigKey = plugin(
    "interceptor.classes",
    DefaultValue::Text(""),
    Kind::List,
    Importance::Low,
    " Rust values that see each record and may change it, given to the builder.",
);
pub(crate) static PARTITIONER_CLASS: ConfigKey = plugin(
    "partitioner.class",
    DefaultValue::Null,
    Kind::Class,
    Importance::Medium,
    " Chooses a record's partition: a Rust value, given to the builder, or by name\
     \n `RoundRobinPartitioner`, `UniformStickyPartitioner` or `DefaultPartitioner`. If unset, the\
     \n hash of the key decides. Records without a key go to a partition that changes with each\
     \n batch.",
);

pub(crate) static METRIC_REPORTERS: ConfigKey = plugin(
    "metric.reporters",
    DefaultValue::Text("org.apache.kafka.common.metrics.JmxReporter"),
    Kind::List,
    Importance::Low,
    " Rust values that receive every metric, given to the builder. There is no JMX, so Java's\
     \n default means none.",
);

/// Keys of Java's TLS that have no meaning here.
static JVM_SSL: &[ConfigKey] = &[
    jvm_ssl(
        "ssl.protocol",
        DefaultValue::Text("TLSv1.3"),
        Kind::String,
        Importance::Medium,
    ),
    jvm_ssl(
        "ssl.provider",
        DefaultValue::Null,
        Kind::String,
        Importance::Medium,
    ),
    jvm_ssl(
        "ssl.keymanager.algorithm",
        DefaultValue::Text("SunX509"),
        Kind::String,
        Importance::Low,
    ),
    jvm_ssl(
        "ssl.trustmanager.algorithm",
        DefaultValue::Text("PKIX"),
        Kind::String,
        Importance::Low,
    ),
    jvm_ssl(
        "ssl.secure.random.implementation",
        DefaultValue::Null,
        Kind::String,
        Importance::Low,
    ),
    jvm_ssl(
        "ssl.engine.factory.class",
        DefaultValue::Null,
        Kind::Class,
        Importance::Low,
    ),
];

const fn jvm_ssl(
    name: &'static str,
    default: DefaultValue,
    kind: Kind,
    importance: Importance,
) -> ConfigKey {
    let doc = " A setting of Java's TLS, which has no effect here.";
    plugin(name, default, kind, importance, doc)
}

/// A key without a typed setter: its value is code, or matters only to Java.
const fn plugin(
    name: &'static str,
    default: DefaultValue,
    kind: Kind,
    importance: Importance,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey {
        name,
        kind,
        default,
        rule: Rule::Any,
        valid: "",
        importance,
        doc,
    }
}

/// Returns every key that the producer supports.
pub(crate) fn all() -> impl Iterator<Item = &'static ConfigKey> {
    let plugins = [
        &KEY_SERIALIZER,
        &VALUE_SERIALIZER,
        &INTERCEPTOR_CLASSES,
        &PARTITIONER_CLASS,
        &METRIC_REPORTERS,
    ];
    let sasl = super::sasl_keys::ALL.iter().copied();
    SETTABLE
        .iter()
        .copied()
        .chain(plugins)
        .chain(JVM_SSL)
        .chain(sasl)
}

pub(crate) fn find(name: &str) -> Option<&'static ConfigKey> {
    all().find(|key| key.name == name)
}
