//! Several mistakes of a configuration, which one error lists together.

use super::*;

#[test]
fn every_mistake_is_in_one_error() {
    let mut config = ProducerConfig::new();
    config
        .bootstrap_servers("a,SSL://b:1")
        .receive_max_bytes(1)
        .socket_connection_setup_timeout(Duration::MAX)
        .metadata_max_idle(Duration::ZERO)
        .delivery_timeout(Duration::from_secs(1))
        .enable_idempotence(true)
        .acks(Acks::None)
        .retries(0)
        .max_in_flight_requests_per_connection(6)
        .compression_gzip_level(77)
        .transactional_id("")
        .partitioner_rack_aware(true)
        .client_id(&"c".repeat(MAX_STRING_LENGTH + 1));
    let text = config.validate().unwrap_err().to_string();
    let lines: Vec<_> = text.lines().collect();
    let parts = [
        "12 settings are refused:",
        "value '77' for compression.gzip.level",
        "value '0' for metadata.max.idle.ms",
        "value '1' for receive.max.bytes",
        "value '' for transactional.id",
        "'a' is not a host:port",
        "'SSL://b:1' asks for SSL",
        "client.id has 32768 bytes",
        "partitioner.rack.aware=true",
        "possible: retries is 0",
        "possible: acks is not all",
        "max.in.flight.requests.per.connection is 6",
        "delivery.timeout.ms is 1000",
    ];
    assert_eq!(lines.len(), parts.len(), "{text}");
    for (line, part) in lines.iter().zip(parts) {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

/// A rule ignores a refused value, whatever its stand-in is.
#[test]
fn a_refused_value_breaks_no_rule() {
    for entries in [
        ["delivery.timeout.ms=1000", "request.timeout.ms=soon"],
        ["delivery.timeout.ms=soon", "request.timeout.ms=500000"],
        ["acks=1", "enable.idempotence=perhaps"],
        ["enable.idempotence=true", "retries=none"],
        ["transactional.id=t", "enable.idempotence=perhaps"],
        ["compression.type=gzip", "compression.gzip.level=high"],
    ] {
        let error = ProducerConfig::from_properties(&entries.join("\n")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("invalid value"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    // Typed setters leave the refusal to the validation.
    let mut config = config(&[("delivery.timeout.ms", "1")]);
    config.metadata_max_idle(Duration::ZERO);
    config.receive_max_bytes(1);
    assert_eq!(
        config.validate().unwrap_err().to_string().lines().count(),
        4
    );
}

#[test]
fn a_refused_file_names_its_contradictions_too() {
    let text = "acks=1\nenable.idempotence=true\nsecurity.providers=SSL\n";
    let error = ProducerConfig::from_properties(text).unwrap_err();
    let text = error.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[1].contains("line 3: security.providers"), "{text}");
    assert!(lines[2].contains("acks is not all"), "{text}");
}
