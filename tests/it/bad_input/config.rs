//! Invalid configurations: single values, combinations, and files. Each error names the key, the
//! value and what is accepted.

use kafka_producer::{ErrorKind, KafkaProducer, ProducerConfig};

use super::chain;

/// Returns the complete error of setting one key.
fn refused(key: &str, value: &str) -> String {
    let error = ProducerConfig::new().set(key, value).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!error.is_retriable());
    let texts = chain(&error);
    assert_eq!(texts.len(), 1, "{texts:?}");
    texts[0].clone()
}

/// Returns the error of building a producer with these entries, each of which is valid by itself.
fn contradictory(entries: &[(&str, &str)]) -> String {
    let mut config = ProducerConfig::from_map(entries.iter().copied()).unwrap();
    if !config.is_set("bootstrap.servers") {
        config.bootstrap_servers("127.0.0.1:9092");
    }
    let checked = config.validate();
    let error = KafkaProducer::new(config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let texts = chain(&error);
    assert_eq!(texts.len(), 1, "{texts:?}");
    if let Err(invalid) = checked {
        assert_eq!(invalid.to_string(), texts[0], "validate and build agree");
    }
    texts[0].clone()
}

#[test]
fn a_value_that_is_not_of_the_type_of_its_key() {
    for key in ProducerConfig::keys() {
        let reason = match key.type_name() {
            "BOOLEAN" => "expected true or false",
            "INT" => "not a whole number of 32 bits",
            "LONG" => "not a whole number of 64 bits",
            _ => continue,
        };
        for value in ["ten", "", "1.5", "9223372036854775808"] {
            let expected = format!("invalid value '{value}' for {}: {reason}", key.name());
            assert_eq!(refused(key.name(), value), expected);
        }
    }
}

#[test]
fn a_value_out_of_range_is_refused() {
    for (key, value, reason) in [
        ("batch.size", "-1", "must be at least 0"),
        ("buffer.memory", "-1", "must be at least 0"),
        ("linger.ms", "-1", "must be at least 0"),
        ("max.block.ms", "-1", "must be at least 0"),
        ("request.timeout.ms", "-1", "must be at least 0"),
        ("delivery.timeout.ms", "-1", "must be at least 0"),
        ("max.request.size", "-1", "must be at least 0"),
        (
            "max.in.flight.requests.per.connection",
            "0",
            "must be at least 1",
        ),
        ("retries", "-1", "must be from 0 to 2147483647"),
        ("receive.max.bytes", "1024", "must be at least 65536"),
        ("compression.gzip.level", "10", "must be from 1 to 9, or -1"),
        ("acks", "2", "must be one of all, -1, 0, 1"),
        (
            "compression.type",
            "zip",
            "must be one of none, gzip, snappy, lz4, zstd",
        ),
        (
            "client.dns.lookup",
            "default",
            "must be one of use_all_dns_ips, resolve_canonical_bootstrap_servers_only",
        ),
        (
            "metadata.recovery.strategy",
            "panic",
            "must be one of REBOOTSTRAP, NONE",
        ),
    ] {
        let expected = format!("invalid value '{value}' for {key}: {reason}");
        assert_eq!(refused(key, value), expected);
    }
}

/// Typed setters do not fail. `build` reports an invalid value.
#[test]
fn a_typed_value_out_of_range_is_refused_by_build() {
    let error = KafkaProducer::builder()
        .bootstrap_servers("127.0.0.1:9092")
        .max_in_flight_requests_per_connection(0)
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        chain(&error),
        ["invalid value '0' for max.in.flight.requests.per.connection: must be at least 1"]
    );
}

#[test]
fn no_broker_is_named() {
    let error = KafkaProducer::builder().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        chain(&error),
        [
            "bootstrap.servers is required and has no default: set it to host:port of one broker or more"
        ]
    );
    for nothing in ["", "  "] {
        assert_eq!(
            contradictory(&[("bootstrap.servers", nothing)]),
            format!(
                "invalid value '{}' for bootstrap.servers: names no broker; expected host:port",
                nothing.trim()
            )
        );
    }
}

/// A script with an unset variable would otherwise connect to the other brokers, and the missing
/// one would only be noticed in an outage.
#[test]
fn an_empty_element_of_bootstrap_servers_is_refused() {
    for (servers, number) in [
        (",", 1),
        ("a:1,", 2),
        ("a:1,,b:2", 2),
        (" , a:1", 1),
        ("a:1,\t,b:2", 2),
    ] {
        let expected = format!(
            "invalid value '{}' for bootstrap.servers: element {number} of the list is empty",
            servers.trim()
        );
        assert_eq!(refused("bootstrap.servers", servers), expected);
        let built = KafkaProducer::builder().bootstrap_servers(servers).build();
        assert_eq!(chain(&built.unwrap_err()), [expected]);
    }
}

/// Java: `Properties` keeps the last value of a key, and `ProducerConfig` checks that one.
#[test]
fn a_value_that_a_later_line_overrides_is_not_checked() {
    let text = "linger.ms=soon\nsecurity.protocol=TLS\nlinger.ms=7\nsecurity.protocol=PLAINTEXT\n";
    let config = ProducerConfig::from_properties(text).unwrap();
    assert_eq!(config.get("linger.ms"), Some("7"));
    let error = ProducerConfig::from_properties("linger.ms=7\nlinger.ms=soon\n").unwrap_err();
    assert_eq!(
        chain(&error),
        ["line 2: invalid value 'soon' for linger.ms: not a whole number of 64 bits"]
    );
    let config = ProducerConfig::from_map([("acks", "2"), ("acks", "1")]).unwrap();
    assert_eq!(config.get("acks"), Some("1"));
}

// Java: ClientUtilsTest.testInvalidPort, testOnlyBadHostname, testInvalidConfig.
#[test]
fn addresses_that_are_none() {
    for (address, reason) in [
        ("localhost", "the port is missing, as in host:9092"),
        ("localhost:", "the port is not a number"),
        ("localhost:http", "the port is not a number"),
        ("localhost:9092x", "the port is not a number"),
        ("localhost:-1", "the port is not a number"),
        ("localhost:0", "the port is not between 1 and 65535"),
        ("localhost:70000", "the port is not between 1 and 65535"),
        (":9092", "the host is missing"),
        ("[::1:9092", "']' is missing"),
        (
            "my host:9092",
            "the host has a character that none can have",
        ),
        ("a:1/b", "the port is not a number"),
        ("??://a:1", "what is before '://' is not a name"),
        (
            "a\u{1b}[31m:1",
            "the host has a character that none can have",
        ),
    ] {
        let printed = address.replace('\u{1b}', "\\u{1b}");
        let expected = format!("bootstrap.servers: '{printed}' is not a host:port: {reason}");
        assert_eq!(contradictory(&[("bootstrap.servers", address)]), expected);
        // One invalid address is enough.
        let beside = format!("127.0.0.1:9092,{address}");
        assert_eq!(contradictory(&[("bootstrap.servers", &beside)]), expected);
    }
}

// Java: KafkaProducerTest.testInvalidIdempotenceConfigs...; ProducerConfig.postProcessAndValidateIdempotenceConfigs.
#[test]
fn idempotence_that_is_not_possible() {
    for (key, value, obstacle) in [
        ("retries", "0", "retries is 0; set retries above 0"),
        ("acks", "0", "acks is not all; set acks=all"),
        ("acks", "1", "acks is not all; set acks=all"),
    ] {
        assert_eq!(
            contradictory(&[("enable.idempotence", "true"), (key, value)]),
            format!(
                "enable.idempotence=true is not possible: {obstacle}, or set enable.idempotence=false"
            )
        );
    }
    assert_eq!(
        contradictory(&[("max.in.flight.requests.per.connection", "6")]),
        "max.in.flight.requests.per.connection is 6, but idempotence allows at most 5: lower it, \
         or set enable.idempotence=false"
    );
}

#[test]
fn a_delivery_timeout_that_leaves_no_time_for_a_request() {
    assert_eq!(
        contradictory(&[("delivery.timeout.ms", "30004")]),
        "delivery.timeout.ms is 30004, but linger.ms + request.timeout.ms is 30005: raise delivery.timeout.ms to at \
         least that, or lower one of the others"
    );
}

#[test]
fn a_rack_that_is_not_known() {
    assert_eq!(
        contradictory(&[("partitioner.rack.aware", "true")]),
        "partitioner.rack.aware=true needs client.rack: set it to the rack where this producer runs"
    );
}

#[cfg(not(feature = "gzip"))]
#[test]
fn a_codec_that_was_not_compiled_in() {
    let text = contradictory(&[("compression.type", "gzip")]);
    assert!(text.contains("gzip") && text.contains("feature"), "{text}");
}

#[cfg(feature = "lz4")]
#[test]
fn a_level_that_a_codec_cannot_honour() {
    let text = contradictory(&[("compression.type", "lz4"), ("compression.lz4.level", "17")]);
    assert!(text.contains("lz4") && text.contains("level"), "{text}");
}

/// A misspelt key must not leave the connections unencrypted, and its value must not be printed.
#[test]
fn a_security_key_that_is_unknown_is_refused() {
    assert_eq!(
        refused("ssl.truststore.lokation", "hunter2"),
        "ssl.truststore.lokation is set, but there is no TLS key of this name: correct the name, or remove the \
         key (its value is not shown, as it may be secret)"
    );
    let text = refused("security.protcol", "SSL");
    assert!(
        text.starts_with("security.protcol is set, but security keys other than security.protocol are not supported"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_not_there() {
    let error = ProducerConfig::from_properties_file("/no/such/producer.properties").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let texts = chain(&error);
    assert_eq!(
        texts[0],
        "cannot read the properties file /no/such/producer.properties"
    );
    assert!(texts[1].starts_with("No such file"), "{texts:?}");
}

/// All mistakes in a file of a Java producer are reported at once.
#[test]
fn a_file_with_many_mistakes_names_them_all_with_their_lines() {
    let text = "# of a Java producer\nacks=all\nsecurity.protcol=SASL_SSL\nsasl.jaas.confg=hunter2 \\\n  more\n\
                linger.ms=soon\nvalue.serializer=io.confluent.kafka.serializers.KafkaAvroSerializer\n\
                interceptor.classes=com.example.Spy\nbatch.size=-5\n";
    let path = std::env::temp_dir().join(format!("mistakes-{}.properties", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let error = ProducerConfig::from_properties_file(&path).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    let shown = error.to_string();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines.len(), 7, "{shown}");
    assert_eq!(lines[0], "6 settings are refused:");
    for (line, number, part) in [
        (lines[1], 3, "security.protcol is set"),
        (lines[2], 4, "sasl.jaas.confg is set"),
        (lines[3], 6, "linger.ms"),
        (
            lines[4],
            7,
            "remove the key and call .value_serializer(..) on the builder",
        ),
        (
            lines[5],
            8,
            "remove the key and call .interceptor(..) on the builder",
        ),
        (lines[6], 9, "batch.size"),
    ] {
        let place = format!("  {}:{number}: ", path.display());
        assert!(line.starts_with(&place) && line.contains(part), "{line}");
    }
    assert!(
        !shown.contains("leave the key out") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn a_serializer_in_the_file_and_another_in_the_code_are_a_contradiction() {
    let text = "bootstrap.servers=127.0.0.1:9092\n\
                value.serializer=org.apache.kafka.common.serialization.StringSerializer\n";
    let config = || ProducerConfig::from_properties(text).unwrap();
    let builder = || KafkaProducer::builder().config(config());
    let error = builder()
        .value_serializer(kafka_producer::producer::LongSerializer)
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let shown = error.to_string();
    assert!(
        shown.contains("StringSerializer") && shown.contains("takes i64"),
        "{shown}"
    );
    assert!(shown.contains(".value_serializer(..)"), "{shown}");
    drop(builder().build().unwrap());
    let of_text = kafka_producer::producer::StringSerializer;
    drop(builder().value_serializer(of_text).build().unwrap());
}

#[test]
fn the_same_serializer_in_the_file_and_in_the_code_is_accepted() {
    use kafka_producer::producer::{IntegerSerializer, ListSerializer, LongSerializer};
    let config = |class: &str| {
        let class = format!("org.apache.kafka.common.serialization.{class}");
        let entries = [
            ("bootstrap.servers", "127.0.0.1:9092"),
            ("key.serializer", &class),
        ];
        ProducerConfig::from_map(entries).unwrap()
    };
    let builder = |class| KafkaProducer::builder().config(config(class));
    let long = builder("LongSerializer").key_serializer(LongSerializer);
    drop(long.build().unwrap());
    let list = ListSerializer::new(LongSerializer);
    drop(
        builder("ListSerializer")
            .key_serializer(list)
            .build()
            .unwrap(),
    );

    let other = builder("LongSerializer").key_serializer(IntegerSerializer);
    let shown = other.build().unwrap_err().to_string();
    assert!(
        shown.contains("takes i32") && shown.contains("LongSerializer"),
        "{shown}"
    );
    let shown = builder("LongSerializer").build().unwrap_err().to_string();
    assert!(
        shown.contains("call .key_serializer(LongSerializer)"),
        "{shown}"
    );
    // The same error lists what else is wrong.
    let also = builder("LongSerializer").delivery_timeout(std::time::Duration::ZERO);
    let shown = also.build().unwrap_err().to_string();
    assert!(
        shown.starts_with("2 settings are refused:") && shown.contains("delivery.timeout.ms is 0"),
        "{shown}"
    );
}

#[test]
fn a_mistake_in_a_file_is_named_with_its_line() {
    let error = ProducerConfig::from_properties("acks=all\nlinger.ms=soon\n").unwrap_err();
    assert_eq!(
        chain(&error),
        ["line 2: invalid value 'soon' for linger.ms: not a whole number of 64 bits"]
    );
    let error = ProducerConfig::from_properties("client.id=\\u12").unwrap_err();
    let texts = chain(&error);
    assert_eq!(
        (texts.len(), &*texts[0]),
        (2, "line 1: the properties cannot be read")
    );
    assert!(texts[1].contains("\\u"), "{texts:?}");
}

/// A client id of this length fits into no request, so none could be written.
#[test]
fn a_client_id_that_is_too_long() {
    let id = "x".repeat(40_000);
    assert_eq!(
        contradictory(&[("client.id", &id)]),
        "client.id has 40000 bytes, more than the 32767 that fit into a request: choose a shorter one"
    );
}

/// The I/O thread is named after the client, and no operating system accepts this name.
#[test]
fn a_client_id_with_a_zero_byte_works() {
    let config = [
        ("bootstrap.servers", "127.0.0.1:9092"),
        ("client.id", "a\0b"),
    ];
    let config = ProducerConfig::from_map(config).unwrap();
    let producer = KafkaProducer::new(config).unwrap();
    assert_eq!(producer.client_id(), "a\0b");
}
