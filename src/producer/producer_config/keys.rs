//! The one table of the producer's keys: type, default, valid values, importance, meaning. Java: `ProducerConfig`.
//!
//! `with_producer_keys!` hands the rows to another macro, so that the constants here, the typed setters of
//! [`ProducerConfig`](super::ProducerConfig) and those of the builder come from the same place and say the same.

use crate::producer::config_def::{ConfigKey, DefaultValue, Importance, Kind, Rule};

/// `"key" CONSTANT: Kind, default, [rule], Importance, setter(argument);` under its documentation.
macro_rules! with_producer_keys {
    ($callback:ident) => {
        $callback! {
            /// Where the first connections go: `host:port` pairs separated by commas. A few brokers are enough, because
            /// they tell of all the others.
            "bootstrap.servers" BOOTSTRAP_SERVERS: List, required, [any], High, bootstrap_servers(impl IntoList);

            /// How long, in milliseconds, the names of `bootstrap.servers` may stay unresolved. 0 resolves them while the
            /// producer is built, which fails if none resolves. Otherwise the producer is built at once, and the names are
            /// resolved in the background; after this time every call fails for good (KIP-909).
            "bootstrap.resolve.timeout.ms" BOOTSTRAP_RESOLVE_TIMEOUT_MS: Long, "0", [at_least 0], High,
                bootstrap_resolve_timeout(Duration);

            /// Whether every address of a host name is tried, or bootstrap names are replaced by their canonical names.
            "client.dns.lookup" CLIENT_DNS_LOOKUP: String, "use_all_dns_ips",
                [one_of "use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"], Medium,
                client_dns_lookup(ClientDnsLookup);

            /// The name of this producer in broker logs, quotas and metrics. Where it is not set, `producer-1`,
            /// `producer-2` and so on, or `producer-` and the `transactional.id`.
            "client.id" CLIENT_ID: String, "", [any], Medium, client_id(&str);

            /// The rack or zone where this producer runs, compared with the brokers' `broker.rack` when
            /// `partitioner.rack.aware` is on.
            "client.rack" CLIENT_RACK: String, "", [any], Low, client_rack(&str);

            /// How many replicas must have a record before the broker confirms it. Idempotence needs `all`.
            "acks" ACKS: String, "all", [one_of "all", "-1", "0", "1"], Low, acks(Acks);

            /// How often a batch is sent again after an error that may pass. Leave it alone, and bound the whole with
            /// `delivery.timeout.ms`.
            "retries" RETRIES: Int, "2147483647", [between 0, 2147483647], High, retries(u32);

            /// Whether the broker recognises a batch that is sent again, so that each record is in the log once and in
            /// order. Needs `acks=all`, `retries` above 0 and at most 5 requests in flight. Unless it is set to `true`,
            /// an `acks` or `retries` that contradicts it turns it off.
            "enable.idempotence" ENABLE_IDEMPOTENCE: Boolean, "true", [any], Low, enable_idempotence(bool);

            /// How many requests may wait for an answer on one connection. More than 1 without idempotence can change
            /// the order of records on a retry.
            "max.in.flight.requests.per.connection" MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION: Int, "5", [at_least 1], Low,
                max_in_flight_requests_per_connection(u32);

            /// The size, in bytes, at which a batch of one partition is sent without waiting for `linger.ms`. 0 puts
            /// each record into a batch of its own.
            "batch.size" BATCH_SIZE: Int, "16384", [at_least 0], Medium, batch_size(usize);

            /// How long, in milliseconds, a batch that is not full waits for more records.
            "linger.ms" LINGER_MS: Long, "5", [at_least 0], Medium, linger(Duration);

            /// How many bytes of records may wait to be sent. When they are used up, `send` blocks for at most
            /// `max.block.ms`. The callbacks of these records take at most as much again.
            "buffer.memory" BUFFER_MEMORY: Long, "33554432", [at_least 0], High, buffer_memory(usize);

            /// How batches take their share of `buffer.memory` (KIP-1332). With `full`, each takes `batch.size` bytes when
            /// it is opened. With `incremental` it takes memory as it grows, in chunks, so that many partitions with few
            /// records need little. A batch that finds no memory to grow is sent early, and no record fails that would
            /// not fail with `full`. Differs from Java: works with every `compression.type` and `batch.size`.
            "buffer.memory.allocation.strategy" BUFFER_MEMORY_ALLOCATION_STRATEGY: String, "full",
                [one_of_ignoring_case "FULL", "INCREMENTAL"], Medium,
                buffer_memory_allocation_strategy(BufferMemoryAllocationStrategy);

            /// How long, in milliseconds, `send` and `partitions_for` may wait for metadata and for buffer memory,
            /// both together, and each call that begins or ends a transaction for the coordinator.
            "max.block.ms" MAX_BLOCK_MS: Long, "60000", [at_least 0], Medium, max_block(Duration);

            /// The largest Produce request, in bytes, and so the largest record, measured before compression. Brokers
            /// have a limit of their own, `message.max.bytes`.
            "max.request.size" MAX_REQUEST_SIZE: Int, "1048576", [at_least 0], Medium, max_request_size(usize);

            /// How long, in milliseconds, after `send` returns the outcome is known at the latest: lingering, sending,
            /// waiting for the broker, and every retry. At least `linger.ms` plus `request.timeout.ms`.
            "delivery.timeout.ms" DELIVERY_TIMEOUT_MS: Int, "120000", [at_least 0], Medium, delivery_timeout(Duration);

            /// How long, in milliseconds, an answer to one request is waited for. Must be longer than the brokers'
            /// `replica.lag.time.max.ms`, or there are retries for nothing.
            "request.timeout.ms" REQUEST_TIMEOUT_MS: Int, "30000", [at_least 0], Medium, request_timeout(Duration);

            /// The codec for whole batches. Each codec is a Cargo feature; `gzip`, `snappy` and `lz4` are on by default.
            "compression.type" COMPRESSION_TYPE: String, "none", [one_of "none", "gzip", "snappy", "lz4", "zstd"], High,
                compression_type(CompressionType);

            /// The effort of `compression.type=gzip`; -1 leaves it to the codec, which takes 6.
            "compression.gzip.level" COMPRESSION_GZIP_LEVEL: Int, "-1", [between_or 1, 9, -1], Medium,
                compression_gzip_level(i32);

            /// The effort of `compression.type=lz4`. Differs from Java: the codec has one level, Java's default, and any
            /// other is an error.
            "compression.lz4.level" COMPRESSION_LZ4_LEVEL: Int, "9", [between 1, 17], Medium,
                compression_lz4_level(i32);

            /// The effort of `compression.type=zstd`.
            "compression.zstd.level" COMPRESSION_ZSTD_LEVEL: Int, "3", [between -131072, 22], Medium,
                compression_zstd_level(i32);

            /// Whether records without a key go more often to partitions whose broker takes them fast.
            "partitioner.adaptive.partitioning.enable" PARTITIONER_ADAPTIVE_PARTITIONING_ENABLE: Boolean, "true", [any],
                Low, partitioner_adaptive_partitioning_enable(bool);

            /// How long, in milliseconds, a broker may fail to take a batch before records without a key avoid its
            /// partitions; 0 turns this off. Only with adaptive partitioning.
            "partitioner.availability.timeout.ms" PARTITIONER_AVAILABILITY_TIMEOUT_MS: Long, "0", [at_least 0], Low,
                partitioner_availability_timeout(Duration);

            /// Whether records with a key are spread like those without, instead of by the hash of the key. Of no
            /// effect with a partitioner of your own.
            "partitioner.ignore.keys" PARTITIONER_IGNORE_KEYS: Boolean, "false", [any], Medium,
                partitioner_ignore_keys(bool);

            /// Whether records without a key prefer partitions whose leader is in the rack `client.rack`, which must be
            /// set (KIP-1123).
            "partitioner.rack.aware" PARTITIONER_RACK_AWARE: Boolean, "false", [any], Low, partitioner_rack_aware(bool);

            /// The age, in milliseconds, at which metadata is refreshed although nothing hints at a change.
            "metadata.max.age.ms" METADATA_MAX_AGE_MS: Long, "300000", [at_least 0], Low, metadata_max_age(Duration);

            /// How long, in milliseconds, a topic that nothing is sent to stays in the metadata.
            "metadata.max.idle.ms" METADATA_MAX_IDLE_MS: Long, "300000", [at_least 5000], Low,
                metadata_max_idle(Duration);

            /// What is done when no known broker can be reached any more.
            "metadata.recovery.strategy" METADATA_RECOVERY_STRATEGY: String, "rebootstrap",
                [one_of_ignoring_case "REBOOTSTRAP", "NONE"], Low,
                metadata_recovery_strategy(MetadataRecoveryStrategy);

            /// How long, in milliseconds, refreshing metadata may fail before the producer starts again from
            /// `bootstrap.servers`. Only with `metadata.recovery.strategy=rebootstrap`.
            "metadata.recovery.rebootstrap.trigger.ms" METADATA_RECOVERY_REBOOTSTRAP_TRIGGER_MS: Long, "300000",
                [at_least 0], Low, metadata_recovery_rebootstrap_trigger(Duration);

            /// Whether each new connection names the cluster and the node that it is meant for, so that any other broker
            /// refuses it (KIP-1242; brokers from Kafka 4.4). The client then starts again from `bootstrap.servers`. Has no
            /// effect with `metadata.recovery.strategy=none`.
            "metadata.cluster.check.enable" METADATA_CLUSTER_CHECK_ENABLE: Boolean, "true", [any], Low,
                metadata_cluster_check_enable(bool);

            /// The first wait, in milliseconds, before a request is sent again. It doubles up to
            /// `retry.backoff.max.ms`, with 20 % of chance in it.
            "retry.backoff.ms" RETRY_BACKOFF_MS: Long, "100", [at_least 0], Low, retry_backoff(Duration);

            /// The longest wait, in milliseconds, before a request is sent again. Below `retry.backoff.ms`, it is the
            /// wait each time.
            "retry.backoff.max.ms" RETRY_BACKOFF_MAX_MS: Long, "1000", [at_least 0], Low, retry_backoff_max(Duration);

            /// The first wait, in milliseconds, before a broker is connected to again. It doubles up to
            /// `reconnect.backoff.max.ms`; where only this one is set, the wait is always the same.
            "reconnect.backoff.ms" RECONNECT_BACKOFF_MS: Long, "50", [at_least 0], Low, reconnect_backoff(Duration);

            /// The longest wait, in milliseconds, before a broker is connected to again.
            "reconnect.backoff.max.ms" RECONNECT_BACKOFF_MAX_MS: Long, "1000", [at_least 0], Low,
                reconnect_backoff_max(Duration);

            /// How the connections to the brokers are protected; `SSL` is TLS.
            "security.protocol" SECURITY_PROTOCOL: String, "PLAINTEXT",
                [one_of_ignoring_case "SASL_SSL", "PLAINTEXT", "SSL", "SASL_PLAINTEXT"], Medium,
                security_protocol(SecurityProtocol);

            /// The type of the file `ssl.truststore.location`: `JKS`, `PKCS12` or `PEM`. The content tells the first two apart,
            /// which need the feature `keystores`.
            "ssl.truststore.type" SSL_TRUSTSTORE_TYPE: String, "JKS", [any], Medium, ssl_truststore_type(&str);

            /// The file with the certificates of the authorities that brokers are trusted from. Without it, those that the
            /// operating system trusts. It is read again for each new connection.
            "ssl.truststore.location" SSL_TRUSTSTORE_LOCATION: String, null, [any], High, ssl_truststore_location(&str);

            /// The certificates of the trusted authorities themselves, in PEM, instead of a file.
            "ssl.truststore.certificates" SSL_TRUSTSTORE_CERTIFICATES: Password, null, [any], High,
                ssl_truststore_certificates(&str);

            /// The password of the truststore. Without it, the integrity of the file is not checked. PEM has none, so that it
            /// must not be set.
            "ssl.truststore.password" SSL_TRUSTSTORE_PASSWORD: Password, null, [any], High, ssl_truststore_password(&str);

            /// The type of the file `ssl.keystore.location`: `JKS`, `PKCS12` or `PEM`. The content tells the first two apart,
            /// which need the feature `keystores`.
            "ssl.keystore.type" SSL_KEYSTORE_TYPE: String, "JKS", [any], Medium, ssl_keystore_type(&str);

            /// The file with this client's private key and certificate chain, for brokers that demand client certificates. It
            /// is read again for each new connection.
            "ssl.keystore.location" SSL_KEYSTORE_LOCATION: String, null, [any], High, ssl_keystore_location(&str);

            /// This client's private key itself, in PEM (PKCS#8, PKCS#1 or SEC 1), instead of a file. Needs
            /// `ssl.keystore.certificate.chain`.
            "ssl.keystore.key" SSL_KEYSTORE_KEY: Password, null, [any], High, ssl_keystore_key(&str);

            /// The certificates for `ssl.keystore.key`, in PEM, this client's own first.
            "ssl.keystore.certificate.chain" SSL_KEYSTORE_CERTIFICATE_CHAIN: Password, null, [any], High,
                ssl_keystore_certificate_chain(&str);

            /// The password of the keystore, which JKS and PKCS#12 require. PEM has none, so that it must not be set.
            "ssl.keystore.password" SSL_KEYSTORE_PASSWORD: Password, null, [any], High, ssl_keystore_password(&str);

            /// The password of the private key, if it is encrypted. Without it, a key in JKS or PKCS#12 has the password of the
            /// store. Encrypted keys need the feature `keystores`.
            "ssl.key.password" SSL_KEY_PASSWORD: Password, null, [any], High, ssl_key_password(&str);

            /// The versions of TLS that may be spoken: `TLSv1.2`, `TLSv1.3` or both.
            "ssl.enabled.protocols" SSL_ENABLED_PROTOCOLS: List, "TLSv1.2,TLSv1.3", [any], Medium,
                ssl_enabled_protocols(&str);

            /// The cipher suites that may be used, by IANA's names. Empty allows all that are safe.
            "ssl.cipher.suites" SSL_CIPHER_SUITES: List, "", [any], Low, ssl_cipher_suites(&str);

            /// Whether the certificate of a broker must be for the host that is connected to: `https`. Empty turns the check off,
            /// so that any certificate of a trusted authority passes for any broker.
            "ssl.endpoint.identification.algorithm" SSL_ENDPOINT_IDENTIFICATION_ALGORITHM: String, "https", [any], Low,
                ssl_endpoint_identification_algorithm(&str);

            /// How long, in milliseconds, the first attempt to open a connection may take. It doubles with each failure
            /// up to `socket.connection.setup.timeout.max.ms`.
            "socket.connection.setup.timeout.ms" SOCKET_CONNECTION_SETUP_TIMEOUT_MS: Long, "10000", [any], Medium,
                socket_connection_setup_timeout(Duration);

            /// How long, in milliseconds, any attempt to open a connection may take.
            "socket.connection.setup.timeout.max.ms" SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS: Long, "30000", [any],
                Medium, socket_connection_setup_timeout_max(Duration);

            /// How long, in milliseconds, a connection may be idle before it is closed; negative (`None`) for ever.
            "connections.max.idle.ms" CONNECTIONS_MAX_IDLE_MS: Long, "540000", [any], Medium,
                connections_max_idle(Option<Duration>);

            /// The socket's send buffer (`SO_SNDBUF`) in bytes; -1 (`None`) leaves it to the operating system.
            "send.buffer.bytes" SEND_BUFFER_BYTES: Int, "131072", [at_least -1], Medium,
                send_buffer_bytes(Option<usize>);

            /// The socket's receive buffer (`SO_RCVBUF`) in bytes; -1 (`None`) leaves it to the operating system.
            "receive.buffer.bytes" RECEIVE_BUFFER_BYTES: Int, "32768", [at_least -1], Medium,
                receive_buffer_bytes(Option<usize>);

            /// The name under which transactions are made, the same each time this part of the program runs: a producer that
            /// is initialized with it ends what an earlier one left open, and fences that one off. Needs idempotence.
            "transactional.id" TRANSACTIONAL_ID: String, null, [non_empty], Low, transactional_id(&str);

            /// How long, in milliseconds, a transaction may be open before the coordinator aborts it. Brokers allow at most
            /// their `transaction.max.timeout.ms`.
            "transaction.timeout.ms" TRANSACTION_TIMEOUT_MS: Int, "60000", [any], Low, transaction_timeout(Duration);

            /// How many windows of time averages, maxima and rates of metrics are taken over.
            "metrics.num.samples" METRICS_NUM_SAMPLES: Int, "2", [at_least 1], Low, metrics_num_samples(u32);

            /// How long, in milliseconds, one window of the metrics is.
            "metrics.sample.window.ms" METRICS_SAMPLE_WINDOW_MS: Long, "30000", [at_least 0], Low,
                metrics_sample_window(Duration);

            /// Which metrics are recorded: `DEBUG` and `TRACE` add the latency quantiles of each broker, at 14 KB a broker.
            "metrics.recording.level" METRICS_RECORDING_LEVEL: String, "INFO", [one_of "INFO", "DEBUG", "TRACE"], Low,
                metrics_recording_level(RecordingLevel);

            /// The largest answer, in bytes, that is taken from a broker, so that a broken or hostile peer cannot
            /// exhaust the memory. Not a key of Java's producer.
            "receive.max.bytes" RECEIVE_MAX_BYTES: Int, "104857600", [at_least 65536], Low, receive_max_bytes(usize);
        }
    };
}
pub(crate) use with_producer_keys;

/// The key's rule, from the words that the table uses.
macro_rules! rule {
    (any) => { Rule::Any };
    (non_empty) => { Rule::NonEmpty };
    (at_least $min:literal) => { Rule::AtLeast($min) };
    (between $min:literal, $max:literal) => { Rule::Between($min, $max) };
    (between_or $min:literal, $max:literal, $other:literal) => { Rule::BetweenOr($min, $max, $other) };
    (one_of $($allowed:literal),+) => { Rule::OneOf(&[$($allowed),+]) };
    (one_of_ignoring_case $($allowed:literal),+) => { Rule::OneOfIgnoringCase(&[$($allowed),+]) };
}

/// The rule as Kafka prints it.
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
    " What sees, and may change, each record: Rust values, given to the builder.",
);
pub(crate) static PARTITIONER_CLASS: ConfigKey = plugin(
    "partitioner.class",
    DefaultValue::Null,
    Kind::Class,
    Importance::Medium,
    " What chooses a record's partition: a Rust value, given to the builder, or by name\
     \n `RoundRobinPartitioner`, `UniformStickyPartitioner` or `DefaultPartitioner`. Where it is not set, the hash of the\
     \n key, and without a key a partition that changes with each batch.",
);

pub(crate) static METRIC_REPORTERS: ConfigKey = plugin(
    "metric.reporters",
    DefaultValue::Text("org.apache.kafka.common.metrics.JmxReporter"),
    Kind::List,
    Importance::Low,
    " What is told of every metric: Rust values, given to the builder. There is no JMX, so that Java's default stands for\
     \n none.",
);
pub(crate) static ENABLE_METRICS_PUSH: ConfigKey = plugin(
    "enable.metrics.push",
    DefaultValue::Text("true"),
    Kind::Boolean,
    Importance::Low,
    " Whether metrics are pushed to brokers that subscribe to them (KIP-714). This version never pushes any; a\
     \n configuration that sets `true` has the log say so.",
);

/// Keys of Java's TLS that mean nothing here.
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

/// A key without a typed setter: its value is code, or means something to Java alone.
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

/// Every key that the producer honours.
pub(crate) fn all() -> impl Iterator<Item = &'static ConfigKey> {
    let plugins = [
        &KEY_SERIALIZER,
        &VALUE_SERIALIZER,
        &INTERCEPTOR_CLASSES,
        &PARTITIONER_CLASS,
        &METRIC_REPORTERS,
        &ENABLE_METRICS_PUSH,
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
