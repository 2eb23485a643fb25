//! The names of the keys as constants, under Java's names. Java: `ProducerConfig.*_CONFIG`, `CommonClientConfigs.*_CONFIG`.

use super::ProducerConfig;

macro_rules! constants {
    ($($name:ident = $key:literal;)*) => {
        /// The names of the keys, for [`set`](Self::set), [`get`](Self::get) and [`from_map`](Self::from_map).
        impl ProducerConfig {
            $(
                #[doc = concat!("`", $key, "`")]
                pub const $name: &'static str = $key;
            )*
        }

        #[cfg(test)]
        const ALL: &[&str] = &[$($key),*];
    };
}

constants! {
    BOOTSTRAP_SERVERS_CONFIG = "bootstrap.servers";
    BOOTSTRAP_RESOLVE_TIMEOUT_MS_CONFIG = "bootstrap.resolve.timeout.ms";
    CLIENT_DNS_LOOKUP_CONFIG = "client.dns.lookup";
    CLIENT_ID_CONFIG = "client.id";
    CLIENT_RACK_CONFIG = "client.rack";
    KEY_SERIALIZER_CLASS_CONFIG = "key.serializer";
    VALUE_SERIALIZER_CLASS_CONFIG = "value.serializer";
    INTERCEPTOR_CLASSES_CONFIG = "interceptor.classes";
    PARTITIONER_CLASS_CONFIG = "partitioner.class";
    ACKS_CONFIG = "acks";
    RETRIES_CONFIG = "retries";
    ENABLE_IDEMPOTENCE_CONFIG = "enable.idempotence";
    MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION = "max.in.flight.requests.per.connection";
    BATCH_SIZE_CONFIG = "batch.size";
    LINGER_MS_CONFIG = "linger.ms";
    BUFFER_MEMORY_CONFIG = "buffer.memory";
    BUFFER_MEMORY_ALLOCATION_STRATEGY_CONFIG = "buffer.memory.allocation.strategy";
    MAX_BLOCK_MS_CONFIG = "max.block.ms";
    MAX_REQUEST_SIZE_CONFIG = "max.request.size";
    DELIVERY_TIMEOUT_MS_CONFIG = "delivery.timeout.ms";
    REQUEST_TIMEOUT_MS_CONFIG = "request.timeout.ms";
    COMPRESSION_TYPE_CONFIG = "compression.type";
    COMPRESSION_GZIP_LEVEL_CONFIG = "compression.gzip.level";
    COMPRESSION_LZ4_LEVEL_CONFIG = "compression.lz4.level";
    COMPRESSION_ZSTD_LEVEL_CONFIG = "compression.zstd.level";
    PARTITIONER_ADAPTIVE_PARTITIONING_ENABLE_CONFIG = "partitioner.adaptive.partitioning.enable";
    PARTITIONER_AVAILABILITY_TIMEOUT_MS_CONFIG = "partitioner.availability.timeout.ms";
    PARTITIONER_IGNORE_KEYS_CONFIG = "partitioner.ignore.keys";
    PARTITIONER_RACK_AWARE_CONFIG = "partitioner.rack.aware";
    METADATA_MAX_AGE_CONFIG = "metadata.max.age.ms";
    METADATA_MAX_IDLE_CONFIG = "metadata.max.idle.ms";
    METADATA_RECOVERY_STRATEGY_CONFIG = "metadata.recovery.strategy";
    METADATA_RECOVERY_REBOOTSTRAP_TRIGGER_MS_CONFIG = "metadata.recovery.rebootstrap.trigger.ms";
    METADATA_CLUSTER_CHECK_ENABLE_CONFIG = "metadata.cluster.check.enable";
    RETRY_BACKOFF_MS_CONFIG = "retry.backoff.ms";
    RETRY_BACKOFF_MAX_MS_CONFIG = "retry.backoff.max.ms";
    RECONNECT_BACKOFF_MS_CONFIG = "reconnect.backoff.ms";
    RECONNECT_BACKOFF_MAX_MS_CONFIG = "reconnect.backoff.max.ms";
    SECURITY_PROTOCOL_CONFIG = "security.protocol";
    SOCKET_CONNECTION_SETUP_TIMEOUT_MS_CONFIG = "socket.connection.setup.timeout.ms";
    SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS_CONFIG = "socket.connection.setup.timeout.max.ms";
    CONNECTIONS_MAX_IDLE_MS_CONFIG = "connections.max.idle.ms";
    SEND_BUFFER_CONFIG = "send.buffer.bytes";
    RECEIVE_BUFFER_CONFIG = "receive.buffer.bytes";
    TRANSACTIONAL_ID_CONFIG = "transactional.id";
    TRANSACTION_TIMEOUT_CONFIG = "transaction.timeout.ms";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::producer_config::keys;

    #[test]
    fn each_constant_is_a_key_and_each_key_of_the_producer_has_one() {
        for name in ALL {
            assert!(keys::find(name).is_some(), "{name} is no key");
        }
        // Java has those of TLS and SASL in other classes. This table does not contain
        // `receive.max.bytes` and metrics.
        let of_the_producer = keys::all().map(|key| key.name).filter(|name| {
            let is_other = [
                "ssl.",
                "sasl.",
                "org.apache.kafka.sasl.",
                "security.providers",
                "receive.max.bytes",
                "metric",
                "enable.metrics",
            ];
            !is_other.iter().any(|prefix| name.starts_with(prefix))
        });
        let missing: Vec<_> = of_the_producer.filter(|name| !ALL.contains(name)).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }
}
