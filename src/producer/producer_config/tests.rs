//! The table compared with Kafka's own, the parsing of values, and the rules between keys.

mod blanks;
mod effects;
mod metrics;
mod mistakes;
mod ssl;

use std::collections::BTreeSet;

use super::resolved::MAX_STRING_LENGTH;
use super::*;
use crate::error::{Error, ErrorKind};
use crate::producer::config_def::Rule;

fn config(entries: &[(&str, &str)]) -> ProducerConfig {
    let mut all = vec![("bootstrap.servers", "localhost:9092")];
    all.extend(entries);
    ProducerConfig::from_map(all).unwrap()
}

fn resolved(entries: &[(&str, &str)]) -> ResolvedConfig {
    config(entries).resolve(Refusals::default()).unwrap()
}

/// Builds with these entries, and returns the error. Asserts that it contains every one of `names`.
fn refused(entries: &[(&str, &str)], names: &[&str]) -> Error {
    let error = config(entries).resolve(Refusals::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    for name in names {
        assert!(text.contains(name), "{name} is missing in: {text}");
    }
    error
}

fn notes(entries: &[(&str, &str)]) -> Vec<String> {
    let (_, notes) = config(entries).check(Refusals::default()).unwrap();
    notes.into_iter().map(|note| note.text).collect()
}

#[test]
fn the_table_is_kafkas() {
    let table = include_str!("../../../tests/data/producer-config.tsv");
    let mut kafkas = BTreeSet::new();
    for line in table.lines() {
        let [name, kind, default, valid, importance] =
            line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        kafkas.insert(name);
        if later_keys::names().any(|later| later == name) {
            let ours = later_keys::java_default(name);
            assert_eq!(ours.unwrap_or("null"), plain(default), "{name}");
            assert!(keys::find(name).is_none(), "{name} is in both tables");
            continue;
        }
        let ours = keys::find(name).unwrap_or_else(|| panic!("{name} is forgotten"));
        assert_eq!(ours.type_name(), kind, "{name}");
        assert_eq!(ours.valid_values(), valid, "{name}");
        assert_eq!(ours.importance(), importance, "{name}");
        let default_is = match ours.default_value() {
            Some(text) => text,
            None if ours.is_required() => "(required)",
            None => "null",
        };
        assert_eq!(default_is, plain(default), "{name}");
    }
    let ours: Vec<_> = ProducerConfig::keys()
        .map(ConfigKey::name)
        .filter(|name| !kafkas.contains(name))
        .collect();
    // Java has the others as system properties.
    let expected = [
        "receive.max.bytes",
        "org.apache.kafka.sasl.oauthbearer.allowed.files",
        "org.apache.kafka.sasl.oauthbearer.allowed.urls",
    ];
    assert_eq!(ours, expected);
    assert!(later_keys::names().all(|name| kafkas.contains(name)));
    assert_eq!(kafkas.len(), 120);
}

/// Returns a default in Java's notation, without the brackets of a list or the word before a class.
fn plain(printed: &str) -> String {
    let printed = printed.strip_prefix("class ").unwrap_or(printed);
    let list = printed.strip_prefix('[').and_then(|p| p.strip_suffix(']'));
    list.unwrap_or(printed).replace(", ", ",")
}

#[test]
fn every_default_is_valid_and_documented() {
    for key in ProducerConfig::keys() {
        if let Some(default) = key.default_value() {
            key.check(default).unwrap();
        }
        assert!(!key.documentation().is_empty());
    }
}

#[test]
fn rules_are_enforced_at_their_bounds() {
    let mut bounds = 0;
    for key in ProducerConfig::keys() {
        let (inside, outside) = match key.rule {
            Rule::Any => continue,
            Rule::NonEmpty => {
                assert!(key.check(" ").is_err() && key.check("x").is_ok());
                continue;
            }
            Rule::Hundredths(min, max) => {
                let text = |hundredths| format!("{}", f64::from(hundredths) / 100.0);
                assert!(key.check(&text(min)).is_ok() && key.check(&text(max)).is_ok());
                assert!(key.check(&text(min - 1)).is_err() && key.check(&text(max + 1)).is_err());
                assert!(key.check("NaN").is_err() && key.check("x").is_err());
                continue;
            }
            Rule::AtLeast(min) => (vec![min], vec![min - 1]),
            Rule::Between(min, max) => (vec![min, max], vec![min - 1, max + 1]),
            Rule::BetweenOr(min, max, other) => {
                (vec![min, max, other], vec![min - 1, max + 1, other - 1])
            }
            Rule::OneOf(allowed) | Rule::OneOfIgnoringCase(allowed) => {
                assert!(allowed.iter().all(|value| key.check(value).is_ok()));
                let text = key.check("nonsense").unwrap_err().to_string();
                assert!(
                    text.contains(key.name) && text.contains("nonsense"),
                    "{text}"
                );
                assert!(allowed.iter().all(|value| text.contains(value)), "{text}");
                continue;
            }
        };
        bounds += 1;
        for number in inside {
            key.check(&number.to_string()).unwrap();
        }
        for number in outside {
            let text = key.check(&number.to_string()).unwrap_err().to_string();
            assert!(
                text.contains(key.name) && text.contains(&number.to_string()),
                "{text}"
            );
        }
    }
    assert_eq!(bounds, 30);
}

#[test]
fn values_are_trimmed_and_read_by_their_type() {
    let config = resolved(&[
        ("batch.size", " 100 "),
        ("retries", "+7"),
        ("enable.idempotence", " TRUE "),
        ("partitioner.ignore.keys", "False"),
        ("bootstrap.servers", " a:1 , b:2,c:3 "),
        ("client.id", " mine "),
        ("acks", "-1"),
        ("metadata.recovery.strategy", "NONE"),
        ("buffer.memory.allocation.strategy", "Incremental"),
    ]);
    assert_eq!((config.batch_size, config.retries), (100, 7));
    assert!(config.enable_idempotence && !config.partitioner_ignore_keys);
    assert_eq!(config.bootstrap_servers, ["a:1", "b:2", "c:3"]);
    assert_eq!(&*config.client_id, "mine");
    assert_eq!(config.acks, Acks::All);
    assert_eq!(
        config.metadata_recovery_strategy,
        MetadataRecoveryStrategy::None
    );
    assert_eq!(
        config.buffer_memory_allocation_strategy,
        BufferMemoryAllocationStrategy::Incremental
    );
}

#[test]
fn a_refused_value_is_named_with_its_key_and_the_reason() {
    for (key, value, reason) in [
        ("batch.size", "many", "not a whole number of 32 bits"),
        ("batch.size", "1.5", "not a whole number of 32 bits"),
        ("batch.size", "2147483648", "not a whole number of 32 bits"),
        (
            "linger.ms",
            "9223372036854775808",
            "not a whole number of 64 bits",
        ),
        ("linger.ms", "-1", "must be at least 0"),
        ("compression.gzip.level", "0", "must be from 1 to 9, or -1"),
        ("enable.idempotence", "yes", "expected true or false"),
        // Java: ProducerConfigTest.testInvalidCompressionType.
        (
            "compression.type",
            "brotli",
            "must be one of none, gzip, snappy, lz4, zstd",
        ),
        ("acks", "2", "must be one of all, -1, 0, 1"),
        // Java: ProducerConfigTest.testInvalidMetadataRecoveryStrategy.
        (
            "metadata.recovery.strategy",
            "abc",
            "must be one of REBOOTSTRAP, NONE",
        ),
        (
            "buffer.memory.allocation.strategy",
            "chunked",
            "must be one of FULL, INCREMENTAL",
        ),
        ("receive.max.bytes", "1", "must be at least 65536"),
    ] {
        let error = ProducerConfig::new().set(key, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(
            error.to_string(),
            format!("invalid value '{value}' for {key}: {reason}")
        );
    }
}

#[test]
fn defaults_match_javas() {
    let config = resolved(&[]);
    assert_eq!(config.linger, Duration::from_millis(5));
    assert_eq!(
        (config.batch_size, config.buffer_memory),
        (16_384, 33_554_432)
    );
    assert_eq!(config.max_request_size, 1_048_576);
    assert_eq!(config.delivery_timeout, Duration::from_secs(120));
    assert_eq!(config.request_timeout, Duration::from_secs(30));
    assert_eq!(config.max_block, Duration::from_secs(60));
    assert_eq!(config.acks.code(), -1);
    assert!(config.enable_idempotence);
    assert_eq!(config.max_in_flight_requests_per_connection, 5);
    assert_eq!(config.compression.kind, CompressionType::None);
    assert_eq!(config.partitioner_class, None);
    assert_eq!(
        config.buffer_memory_allocation_strategy,
        BufferMemoryAllocationStrategy::Full
    );
    // Java: ProducerConfigTest.testDefaultMetadataRecoveryStrategy.
    assert_eq!(
        config.metadata_recovery_strategy,
        MetadataRecoveryStrategy::Rebootstrap
    );
    assert_eq!(config.connections_max_idle, Some(Duration::from_secs(540)));
    assert_eq!(config.send_buffer_bytes, Some(131_072));
    assert_eq!(config.receive_buffer_bytes, Some(32_768));
    assert_eq!(config.client_rack, None);
    assert!(notes(&[]).is_empty(), "defaults deserve no warning");
}

#[test]
fn minus_one_is_no_limit_or_the_systems_choice() {
    let config = resolved(&[
        ("connections.max.idle.ms", "-1"),
        ("send.buffer.bytes", "-1"),
        ("receive.buffer.bytes", "-1"),
    ]);
    assert_eq!(config.connections_max_idle, None);
    assert_eq!(
        (config.send_buffer_bytes, config.receive_buffer_bytes),
        (None, None)
    );
    // Java: KafkaProducerTest.testInvalidSocketSendBufferSize, testInvalidSocketReceiveBufferSize.
    for key in ["send.buffer.bytes", "receive.buffer.bytes"] {
        ProducerConfig::new().set(key, "-2").unwrap_err();
    }
    // Java's table has no range for this key, but its value must not be negative.
    refused(
        &[("socket.connection.setup.timeout.ms", "-1")],
        &["socket.connection.setup.timeout.ms", "-1", "at least 0"],
    );
}

#[test]
fn bootstrap_servers_are_required() {
    let error = ProducerConfig::new().validate().unwrap_err();
    assert!(
        error.to_string().contains("bootstrap.servers is required"),
        "{error}"
    );
    for nothing in ["", " "] {
        refused(
            &[("bootstrap.servers", nothing)],
            &["bootstrap.servers", "host:port"],
        );
    }
}

// Java: KafkaProducerTest.testOverwriteAcksAndRetriesForIdempotentProducers and the tests of the combinations.
#[test]
fn idempotence_that_was_asked_for_must_be_possible() {
    let asked = ("enable.idempotence", "true");
    for (key, value, names) in [
        ("retries", "0", ["enable.idempotence", "retries"]),
        ("acks", "0", ["enable.idempotence", "acks=all"]),
        ("acks", "1", ["enable.idempotence", "acks=all"]),
        (
            "max.in.flight.requests.per.connection",
            "6",
            [
                "max.in.flight.requests.per.connection is 6",
                "enable.idempotence",
            ],
        ),
    ] {
        refused(&[asked, (key, value)], &names);
        let off = resolved(&[("enable.idempotence", "false"), (key, value)]);
        assert!(!off.enable_idempotence);
    }
    assert!(resolved(&[asked, ("acks", "all"), ("retries", "1")]).enable_idempotence);
}

#[test]
fn idempotence_by_default_steps_back() {
    for (key, value) in [("retries", "0"), ("acks", "0"), ("acks", "1")] {
        assert!(
            !resolved(&[(key, value)]).enable_idempotence,
            "{key}={value}"
        );
        let notes = notes(&[(key, value)]);
        assert!(
            notes[0].contains("idempotence is off") && notes[0].contains(key),
            "{notes:?}"
        );
    }
    // An explicit "false" causes no warning, and allows any number in flight.
    let off = ("enable.idempotence", "false");
    assert!(notes(&[off, ("acks", "1")]).is_empty());
    let many = ("max.in.flight.requests.per.connection", "6");
    assert!(!resolved(&[off, many]).enable_idempotence);
    // Since 4.0, too many in flight is an error by default, even if another key turns it off.
    for others in [vec![], vec![("acks", "1")], vec![("retries", "0")]] {
        let set = [others, vec![many]].concat();
        refused(&set, &["max.in.flight.requests.per.connection is 6"]);
    }
}

// Java: KafkaProducerTest.testDeliveryTimeoutAndLingerMsConfig.
#[test]
fn delivery_timeout_covers_linger_and_request_timeout() {
    let short = [("linger.ms", "1000"), ("request.timeout.ms", "1000")];
    let with = |delivery| [short[0], short[1], ("delivery.timeout.ms", delivery)];
    refused(
        &with("1999"),
        &[
            "delivery.timeout.ms is 1999",
            "linger.ms",
            "request.timeout.ms",
            "2000",
        ],
    );
    assert_eq!(
        resolved(&with("2000")).delivery_timeout,
        Duration::from_secs(2)
    );
    let raised = [("linger.ms", "100000"), ("request.timeout.ms", "30000")];
    assert_eq!(resolved(&raised).delivery_timeout, Duration::from_secs(130));
    assert!(notes(&raised)[0].contains("raised from 120000 to 130000"));
    // The sum never exceeds Java's int.
    let forever = [("linger.ms", "9223372036854775807")];
    let millis = u64::try_from(i32::MAX).unwrap();
    assert_eq!(resolved(&forever).linger, Duration::from_millis(millis));
    assert_eq!(
        resolved(&forever).delivery_timeout,
        Duration::from_millis(millis)
    );
}

#[test]
fn reconnect_backoff_alone_is_constant() {
    let alone = [("reconnect.backoff.ms", "2000")];
    let config = resolved(&alone);
    assert_eq!(config.reconnect_backoff, Duration::from_secs(2));
    assert_eq!(config.reconnect_backoff_max, Duration::from_secs(2));
    assert!(notes(&alone)[0].contains("reconnect.backoff.max.ms"));
    let lower = resolved(&[("reconnect.backoff.ms", "20")]);
    assert_eq!(lower.reconnect_backoff_max, Duration::from_millis(20));
    let both = resolved(&[
        ("reconnect.backoff.ms", "20"),
        ("reconnect.backoff.max.ms", "70"),
    ]);
    assert_eq!(both.reconnect_backoff_max, Duration::from_millis(70));
}

// Java: CommonClientConfigsTest.testExponentialBackoffDefaults and the warnings beside it.
#[test]
fn a_first_wait_above_the_longest_is_the_longest() {
    for (first, max) in [
        ("retry.backoff.ms", "retry.backoff.max.ms"),
        ("reconnect.backoff.ms", "reconnect.backoff.max.ms"),
        (
            "socket.connection.setup.timeout.ms",
            "socket.connection.setup.timeout.max.ms",
        ),
    ] {
        let set = [(first, "5000"), (max, "400")];
        let config = resolved(&set);
        let waits = match first {
            "retry.backoff.ms" => [config.retry_backoff, config.retry_backoff_max],
            "reconnect.backoff.ms" => [config.reconnect_backoff, config.reconnect_backoff_max],
            _ => [
                config.socket_connection_setup_timeout,
                config.socket_connection_setup_timeout_max,
            ],
        };
        assert_eq!(waits, [Duration::from_millis(400); 2], "{first}");
        assert!(notes(&set)[0].contains(first));
    }
}

// Java: KafkaProducerTest.testClientIdGenerated..., and ProducerConfigTest for an empty one.
#[test]
fn client_id_is_numbered_unless_it_is_set() {
    let numbers = [(); 2].map(|()| {
        let id = resolved(&[]).client_id;
        let number = id.strip_prefix("producer-").expect("a numbered client.id");
        number.parse::<u64>().unwrap()
    });
    assert!(numbers[1] > numbers[0] && numbers[0] > 0, "{numbers:?}");
    assert_eq!(&*resolved(&[("client.id", "")]).client_id, "");
    config(&[]).validate().unwrap();
}

#[test]
fn rack_awareness_needs_a_rack() {
    refused(
        &[("partitioner.rack.aware", "true")],
        &["partitioner.rack.aware", "client.rack"],
    );
    let config = resolved(&[("partitioner.rack.aware", "true"), ("client.rack", "eu-1a")]);
    assert!(config.partitioner_rack_aware);
    assert_eq!(config.client_rack.as_deref(), Some("eu-1a"));
    refused(
        &[("partitioner.rack.aware", "true"), ("client.rack", " ")],
        &["partitioner.rack.aware", "client.rack"],
    );
}

#[cfg(feature = "lz4")]
#[test]
fn a_level_that_lz4_cannot_honour_is_an_error() {
    refused(
        &[("compression.type", "lz4"), ("compression.lz4.level", "3")],
        &["compression.lz4.level", "3", "9"],
    );
    for entries in [
        &[("compression.type", "lz4")][..],
        &[("compression.type", "lz4"), ("compression.lz4.level", "9")],
        // The level of an unused codec is only checked for its range.
        &[("compression.type", "none"), ("compression.lz4.level", "3")],
    ] {
        resolved(entries);
    }
}

#[cfg(not(feature = "zstd"))]
#[test]
fn a_codec_that_is_not_compiled_in_is_an_error() {
    refused(&[("compression.type", "zstd")], &["zstd", "feature"]);
}

#[test]
fn keys_of_later_versions_are_refused_and_their_values_are_not_shown() {
    for (key, value, what) in [
        ("ssl.truststore.locatoin", "hunter2", "no TLS key"),
        ("sasl.jaas.confg", "password=\"hunter2\"", "no SASL key"),
        (
            "transaction.two.phase.commit.enable",
            "true",
            "two-phase commits are not supported yet",
        ),
        ("metrics.context.cluster", "hunter2", "labels"),
        ("config.providers", "hunter2", "providers"),
        ("config.providers.file.class", "hunter2", "providers"),
    ] {
        let error = ProducerConfig::from_map([(key, value)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = format!("{error} {error:?}");
        assert!(text.contains(key) && text.contains(what), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn keys_of_later_versions_that_ask_for_nothing_are_accepted() {
    let mut config = config(&[]);
    for name in later_keys::names() {
        if let Some(default) = later_keys::java_default(name) {
            config.set(name, default).unwrap();
        }
    }
    config.validate().unwrap();
    assert!(config.check(Refusals::default()).unwrap().1.is_empty());
}

// Java: ProducerConfigTest.testCaseInsensitiveSecurityProtocol.
#[test]
fn the_security_protocol_is_read_in_any_case() {
    let config = resolved(&[("security.protocol", "Plaintext")]);
    assert_eq!(config.security_protocol, SecurityProtocol::Plaintext);
    // Java: ProducerConfigTest.testInvalidSecurityProtocol.
    let mut config = ProducerConfig::new();
    let error = config.set("security.protocol", "abc").unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("must be one of SASL_SSL, PLAINTEXT"),
        "{text}"
    );
}

#[test]
fn unknown_keys_are_warned_of_and_their_values_are_forgotten() {
    let config = config(&[("liger.ms", "hunter2"), ("my.plugin.token", "hunter2")]);
    let (_, notes) = config.check(Refusals::default()).unwrap();
    let texts: Vec<_> = notes.iter().map(|note| note.text.as_str()).collect();
    assert!(
        texts[0].contains("liger.ms") && texts[0].contains("linger.ms?"),
        "{texts:?}"
    );
    assert!(texts[1].contains("my.plugin.token") && !texts[1].contains("did you mean"));
    assert!(notes.iter().all(|note| note.level == log::Level::Warn));
    assert!(!format!("{config:?} {notes:?}").contains("hunter2"));
    assert_eq!(config.get("liger.ms"), None);
}

// Java: KafkaProducerTest.testMissingSerializer has no counterpart: there are always serializers.
#[test]
fn code_is_given_to_the_builder() {
    for (key, value) in [
        ("key.serializer", "org.example.AvroSerializer"),
        (
            "value.serializer",
            "io.confluent.kafka.serializers.KafkaAvroSerializer",
        ),
        ("interceptor.classes", "org.example.Tracing"),
        ("partitioner.class", "org.example.Mine"),
        ("partitioner.class", ""),
    ] {
        let error = ProducerConfig::new().set(key, value).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(key) && text.contains("builder"), "{text}");
    }
    let config = resolved(&[
        (
            "key.serializer",
            "org.apache.kafka.common.serialization.StringSerializer",
        ),
        (
            "value.serializer",
            "org.apache.kafka.common.serialization.ByteArraySerializer",
        ),
        ("interceptor.classes", " "),
    ]);
    assert_eq!(config.partitioner_class, None);
}

#[test]
fn partitioners_have_names() {
    for (name, class) in [
        ("RoundRobinPartitioner", PartitionerClass::RoundRobin),
        (
            "org.apache.kafka.clients.producer.RoundRobinPartitioner",
            PartitionerClass::RoundRobin,
        ),
        (
            "org.apache.kafka.clients.producer.UniformStickyPartitioner",
            PartitionerClass::UniformSticky,
        ),
        (
            "org.apache.kafka.clients.producer.internals.DefaultPartitioner",
            PartitionerClass::Default,
        ),
    ] {
        assert_eq!(
            resolved(&[("partitioner.class", name)]).partitioner_class,
            Some(class)
        );
    }
}

#[test]
fn what_was_set_is_known_even_if_it_is_the_default() {
    let mut config = ProducerConfig::new();
    assert!(!config.is_set("acks"));
    assert_eq!(config.get("acks"), Some("all"));
    config.acks(Acks::All);
    assert!(config.is_set("acks"));
    config.acks(Acks::Leader).set("acks", "0").unwrap();
    assert_eq!(config.get("acks"), Some("0"), "the last one counts");
    assert_eq!(config.get("partitioner.class"), None);
    assert_eq!(config.get("no.such.key"), None);
}

#[test]
fn typed_setters_write_what_a_file_would() {
    let mut config = ProducerConfig::new();
    config
        .bootstrap_servers("a:1")
        .linger(Duration::from_micros(500))
        .max_block(Duration::MAX)
        .connections_max_idle(None)
        .send_buffer_bytes(Some(4096))
        .receive_buffer_bytes(None)
        .metadata_recovery_strategy(MetadataRecoveryStrategy::None)
        .buffer_memory_allocation_strategy(BufferMemoryAllocationStrategy::Incremental)
        .client_dns_lookup(ClientDnsLookup::UseAllDnsIps)
        .compression_zstd_level(-7)
        .enable_idempotence(true);
    for (key, text) in [
        ("linger.ms", "1"),
        ("max.block.ms", "9223372036854775807"),
        ("connections.max.idle.ms", "-1"),
        ("send.buffer.bytes", "4096"),
        ("receive.buffer.bytes", "-1"),
        ("metadata.recovery.strategy", "none"),
        ("client.dns.lookup", "use_all_dns_ips"),
        ("compression.zstd.level", "-7"),
        ("enable.idempotence", "true"),
    ] {
        assert_eq!(config.get(key), Some(text), "{key}");
    }
    config.validate().unwrap();
    // Building the producer refuses values that the setter accepts and the key does not allow.
    config.batch_size(usize::MAX);
    assert!(
        config
            .validate()
            .unwrap_err()
            .to_string()
            .contains("batch.size")
    );
    config.batch_size(1).retries(u32::MAX);
    assert!(
        config
            .validate()
            .unwrap_err()
            .to_string()
            .contains("retries")
    );
}

#[test]
fn properties_become_a_configuration() {
    let text = "# of the order service\nbootstrap.servers = a:1,\\\n   b:2\nlinger.ms:20\n";
    let config = ProducerConfig::from_properties(text).unwrap();
    assert_eq!(
        config
            .resolve(Refusals::default())
            .unwrap()
            .bootstrap_servers,
        ["a:1", "b:2"]
    );
    assert_eq!(config.get("linger.ms"), Some("20"));
    let error = ProducerConfig::from_properties("a=\\u12").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let error = ProducerConfig::from_properties_file("/no/such/file.properties").unwrap_err();
    assert!(
        error.to_string().contains("/no/such/file.properties"),
        "{error}"
    );
}

// Java: KafkaProducerTest.testOverwriteAcksAndRetriesForIdempotentProducers and the rule for transactional.id.
#[test]
fn transactions_need_idempotence() {
    for off in [
        ("enable.idempotence", "false"),
        ("acks", "1"),
        ("retries", "0"),
    ] {
        refused(
            &[("transactional.id", "orders"), off],
            &["transactional.id", "idempotence"],
        );
    }
    let error = ProducerConfig::from_map([("transactional.id", " ")]).unwrap_err();
    assert!(error.to_string().contains("must not be empty"), "{error}");
    // Without a `client.id`, the client is named after it.
    let named = ("client.id", "orders");
    for (length, others, room) in [(32_759, vec![], "32758"), (32_768, vec![named], "32767")] {
        let long = "x".repeat(length);
        let set = [vec![("transactional.id", &*long)], others].concat();
        refused(&set, &["transactional.id", room]);
        let set = [&[("transactional.id", &long[1..])], &set[1..]].concat();
        assert!(resolved(&set).transactional_id.is_some());
    }
}

#[test]
fn a_transactional_producer_is_named_after_its_transactions() {
    let entries = [
        ("transactional.id", "orders"),
        ("transaction.timeout.ms", "5000"),
    ];
    let resolved = config(&entries).resolve(Refusals::default()).unwrap();
    assert_eq!(&*resolved.client_id, "producer-orders");
    assert_eq!(resolved.transactional_id.as_deref(), Some("orders"));
    assert_eq!(resolved.transaction_timeout_ms, 5000);
}
