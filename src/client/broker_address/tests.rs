//! Valid and invalid addresses, and their parts.

use super::*;

// Java: ClientUtilsTest.testParseAndValidateAddresses, UtilsTest.testGetHost, testGetPort.
#[test]
fn a_url_is_split_into_scheme_host_and_port() {
    for (url, scheme, host, port) in [
        ("127.0.0.1:8000", None, "127.0.0.1", 8000),
        ("localhost:8080", None, "localhost", 8080),
        ("My_Domain.com:1", None, "My_Domain.com", 1),
        (
            "PLAINTEXT://mydomain.com:9092",
            Some("PLAINTEXT"),
            "mydomain.com",
            9092,
        ),
        ("SASL_SSL://[::1]:65535", Some("SASL_SSL"), "::1", 65535),
        ("[::1]:1234", None, "::1", 1234),
        ("::1:1234", None, "::1", 1234),
        (
            "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:5678",
            None,
            "2001:db8:85a3:8d3:1319:8a2e:370:7348",
            5678,
        ),
        (
            "fe80::b1da:69ca:57f7:63d8%3:1",
            None,
            "fe80::b1da:69ca:57f7:63d8%3",
            1,
        ),
        ("[fe80::1%eth0]:1", None, "fe80::1%eth0", 1),
    ] {
        let expected = BrokerUrl { scheme, host, port };
        assert_eq!(parse_url(url), Ok(expected), "{url}");
    }
}

#[test]
fn a_literal_keeps_its_scope() {
    let literal = |host| literal_address(host).map(|address| address.to_string());
    for (host, address) in [
        ("10.0.0.1", "10.0.0.1:0"),
        ("::1", "[::1]:0"),
        ("fe80::1%4", "[fe80::1%4]:0"),
        ("fe80::1%4294967295", "[fe80::1%4294967295]:0"),
        ("fe80::1%0", "[fe80::1]:0"),
    ] {
        assert_eq!(literal(host).as_deref(), Some(address), "{host}");
    }
    for name in [
        "localhost",
        "fe80::1%eth0",
        "fe80::1%4294967296",
        "10.0.0.1%4",
    ] {
        assert_eq!(literal(name), None, "{name}");
    }
}

#[test]
fn a_host_is_refused_for_a_reason() {
    let long = "h".repeat(256);
    for (host, reason) in [
        ("", "missing"),
        ("[]", "missing"),
        ("[::1", "']' is missing"),
        ("::1]", "character"),
        ("[[::1]]", "character"),
        ("a b", "character"),
        ("a\nb", "character"),
        ("a\u{a0}b", "character"),
        ("host:9092", "not an IPv6 address"),
        ("fe80::1%", "not an IPv6 address"),
        (&long, "longer than 255 bytes"),
    ] {
        let error = parse_host(host).unwrap_err();
        assert!(error.contains(reason), "{host}: {error}");
    }
    for (text, host) in [
        ("[::1]", "::1"),
        ("[fe80::1%eth0]", "fe80::1%eth0"),
        ("kafka-1.example", "kafka-1.example"),
        // The resolver decides which names exist.
        ("bücher.example", "bücher.example"),
    ] {
        assert_eq!(parse_host(text), Ok(host));
    }
}
