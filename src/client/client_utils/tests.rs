//! The accepted bootstrap addresses, and the resulting nodes.

use std::io;
use std::net::SocketAddr;

use super::*;

/// Knows `one` and `two`, which have one and two addresses, and their canonical names.
#[derive(Debug)]
struct FakeLookup;

impl HostLookup for FakeLookup {
    fn addresses(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        let addresses: &[&str] = match host {
            "one" => &["10.0.0.1:0"],
            "two" => &["10.0.0.1:0", "10.0.0.2:0"],
            "none" => &[],
            _ => return Err(io::Error::other("unknown host")),
        };
        Ok(addresses.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn canonical_host_name(&self, address: SocketAddr) -> String {
        match address.ip().to_string().as_str() {
            "10.0.0.1" => "canonical1".to_owned(),
            "10.0.0.2" => "canonical2".to_owned(),
            other => other.to_owned(),
        }
    }
}

fn check(urls: &[&str], lookup: ClientDnsLookup) -> Result<Vec<(i32, String, u16)>, Error> {
    let urls: Vec<_> = urls.iter().map(|url| (*url).to_owned()).collect();
    let nodes =
        parse_and_validate_addresses_with(&urls, SecurityProtocol::Plaintext, lookup, &FakeLookup)?;
    let parts = |node: &Node| (node.id().0, node.host().to_owned(), node.port());
    Ok(nodes.iter().map(parts).collect())
}

fn check_default(urls: &[&str]) -> Result<Vec<(i32, String, u16)>, Error> {
    check(urls, ClientDnsLookup::UseAllDnsIps)
}

// Java: ClientUtilsTest.testNoPort, testInvalidPort, UtilsTest.testGetHost.
#[test]
fn what_is_not_a_host_and_port_is_an_error_that_names_it() {
    for (url, reason) in [
        ("127.0.0.1", "port is missing"),
        ("localhost:", "not a number"),
        ("localhost:10a", "not a number"),
        ("localhost:+1", "not a number"),
        ("localhost:0", "between 1 and 65535"),
        ("localhost:70000", "between 1 and 65535"),
        ("localhost:99999999999999999999", "between 1 and 65535"),
        (":9092", "host is missing"),
        ("[]:9092", "host is missing"),
        ("[::1:9092", "']' is missing"),
        ("a b:9092", "character"),
        ("host/path:9092", "character"),
        ("PLAIN TEXT://host:9092", "'://'"),
        ("://host:9092", "'://'"),
        ("a:b:9092", "not an IPv6 address"),
        ("[fe80::1%]:9092", "not an IPv6 address"),
    ] {
        let error = check_default(&[url]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(
            text.contains("bootstrap.servers") && text.contains(url) && text.contains(reason),
            "{text}"
        );
    }
}

// Java: ClientUtilsTest.testParseAndValidateAddressesWithReverseLookup, the first half.
#[test]
fn bootstrap_nodes_have_negative_ids() {
    let nodes = check_default(&["one:1", "two:2", "10.1.1.1:3", "[::1]:4"]).unwrap();
    let expected = [
        (-1, "one".to_owned(), 1),
        (-2, "two".to_owned(), 2),
        (-3, "10.1.1.1".to_owned(), 3),
        (-4, "::1".to_owned(), 4),
    ];
    assert_eq!(nodes, expected);
}

// Java: ClientUtilsTest.testParseAndValidateAddressesWithReverseLookup.
#[test]
fn canonical_lookup_makes_a_node_of_each_address() {
    let lookup = ClientDnsLookup::ResolveCanonicalBootstrapServersOnly;
    let nodes = check(&["two:9092", "10.0.0.1:1"], lookup).unwrap();
    let expected = [
        (-1, "canonical1".to_owned(), 9092),
        (-2, "canonical2".to_owned(), 9092),
        (-3, "canonical1".to_owned(), 1),
    ];
    assert_eq!(nodes, expected);
    assert!(check(&["unknown:1"], lookup).is_err());
}

// Java: ClientUtilsTest.testOnlyBadHostname, testValidBrokerAddress with an unknown host.
#[test]
fn hosts_that_cannot_be_resolved_are_left_out_unless_there_is_no_other() {
    assert_eq!(check_default(&["unknown:1", "one:2"]).unwrap().len(), 1);
    let error = check_default(&["unknown:1", "none:2"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("none: it has no addresses"),
        "{error}"
    );
    let error = check_default(&[]).unwrap_err();
    assert!(error.to_string().contains("empty"), "{error}");
}

#[test]
fn a_scheme_is_the_security_protocol() {
    for url in ["PLAINTEXT://one:1", "plaintext://one:1", "one:1"] {
        assert_eq!(check_default(&[url]).unwrap(), [(-1, "one".to_owned(), 1)]);
    }
    for (scheme, protocol) in [
        ("SSL", SecurityProtocol::Ssl),
        ("SASL_PLAINTEXT", SecurityProtocol::SaslPlaintext),
        ("SASL_SSL", SecurityProtocol::SaslSsl),
        ("sasl_ssl", SecurityProtocol::SaslSsl),
    ] {
        let url = format!("{scheme}://one:1");
        let error = check_default(&["one:1", &url]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(
            error.to_string(),
            format!(
                "bootstrap.servers: '{url}' asks for {scheme}, but security.protocol is PLAINTEXT: \
                 set security.protocol={protocol}, or write host:port"
            )
        );
        // What is refused here is valid if the connections use that protocol.
        let urls = [url];
        let lookup = ClientDnsLookup::UseAllDnsIps;
        let nodes = parse_and_validate_addresses_with(&urls, protocol, lookup, &FakeLookup);
        assert_eq!(nodes.unwrap().len(), 1);
    }
    let urls = ["PLAINTEXT://one:1".to_owned()];
    let lookup = ClientDnsLookup::UseAllDnsIps;
    parse_and_validate_addresses_with(&urls, SecurityProtocol::Ssl, lookup, &FakeLookup)
        .unwrap_err();
}

#[test]
fn a_scheme_of_another_kind_is_named() {
    for scheme in ["http", "kafka", "INTERNAL"] {
        let url = format!("{scheme}://one:1");
        let error = check_default(&[&url]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "bootstrap.servers: '{url}' has the scheme '{scheme}', which is not a security protocol \
                 (PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL): write host:port"
            )
        );
    }
}

#[test]
fn a_scope_is_kept() {
    let nodes = check_default(&["[fe80::1%4]:1"]).unwrap();
    assert_eq!(nodes, [(-1, "fe80::1%4".to_owned(), 1)]);
    let lookup = ClientDnsLookup::ResolveCanonicalBootstrapServersOnly;
    let urls = ["[fe80::1%4]:1".to_owned()];
    let nodes = parse_and_validate_addresses(&urls, SecurityProtocol::Plaintext, lookup).unwrap();
    assert_eq!(nodes[0].host(), "fe80::1%4");
}

#[test]
fn every_lookup_has_its_name() {
    for lookup in [
        ClientDnsLookup::UseAllDnsIps,
        ClientDnsLookup::ResolveCanonicalBootstrapServersOnly,
    ] {
        assert_eq!(ClientDnsLookup::from_name(lookup.as_str()), Some(lookup));
    }
    assert_eq!(ClientDnsLookup::from_name("default"), None);
}

#[test]
fn a_literal_address_resolves_to_itself() {
    let nodes = parse_and_validate_addresses(
        &["127.0.0.1:9092".to_owned()],
        SecurityProtocol::Plaintext,
        ClientDnsLookup::ResolveCanonicalBootstrapServersOnly,
    );
    assert_eq!(nodes.unwrap()[0].host(), "127.0.0.1");
}
