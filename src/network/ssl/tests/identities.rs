//! The identities that are accepted and those that are not, each of which has its own error.

use super::*;

/// The identity of a server, the host that the client looks for, and what the refusal says.
const BAD: &[(&str, &str, &str)] = &[
    (
        "expired",
        "localhost",
        "the certificate of localhost expired ",
    ),
    ("not-yet-valid", "localhost", "is not valid yet, but in "),
    (
        "self-signed",
        "localhost",
        "is not signed by an authority of the truststore",
    ),
    (
        "unknown-issuer",
        "localhost",
        "is not signed by an authority of the truststore",
    ),
    (
        "missing-intermediate",
        "localhost",
        "does not send an intermediate certificate",
    ),
    (
        "by-no-authority",
        "localhost",
        "is not signed by an authority of the truststore",
    ),
    (
        "wrong-host",
        "localhost",
        "the certificate of localhost is not for localhost, but for elsewhere.example, other.example",
    ),
    ("wrong-host", "127.0.0.1", "is not for 127.0.0.1, but for "),
    (
        "wrong-address",
        "127.0.0.1",
        "is not for 127.0.0.1, but for 192.0.2.1",
    ),
    (
        "wrong-address",
        "localhost",
        "is not for localhost, but for ",
    ),
    (
        "name-for-address",
        "127.0.0.1",
        "is not for 127.0.0.1, but for 127.0.0.1",
    ),
    (
        "server",
        "other.example",
        "is not for other.example, but for localhost",
    ),
    (
        "server",
        "localhost.example",
        "is not for localhost.example, but for ",
    ),
    ("server", "127.0.0.2", "is not for 127.0.0.2, but for "),
    ("server", "::2", "is not for ::2, but for "),
    (
        "wildcard",
        "brokers.example",
        "is not for brokers.example, but for *.brokers.example",
    ),
    (
        "wildcard",
        "a.b.brokers.example",
        "is not for a.b.brokers.example, but for ",
    ),
    ("wildcard", "127.0.0.1", "is not for 127.0.0.1, but for "),
    ("wide-wildcard", "localhost", "of localhost is "),
    (
        "common-name-only",
        "localhost",
        "names no host: it needs a subject alternative name",
    ),
    ("for-clients", "localhost", "is not meant for servers"),
    (
        "sha1",
        "localhost",
        "is signed with an algorithm that is too weak",
    ),
    (
        "full-chain",
        "other.example",
        "is not for other.example, but for ",
    ),
    ("for-clients", "127.0.0.1", "is not meant for servers"),
    (
        "authority-as-server",
        "localhost",
        "is that of an authority (CA:TRUE)",
    ),
];

fn connect(config: SslConfig, identity: &str, host: &str) -> Pair {
    let server = server(identity, &version::TLS13, ClientAuth::None);
    let mut factory = SslFactory::new(config).unwrap();
    Pair::new(&mut factory, server, host)
}

// Java: SslTransportLayerTest.testInvalidEndpointIdentification, testServerCertificateExpired and their like.
#[test]
fn no_bad_identity_is_accepted() {
    let mut wrong = Vec::new();
    for (identity, host, expected) in BAD {
        let mut pair = connect(trusting("ca"), identity, host);
        let message = pair.refusal();
        if !message.contains(expected) || !message.contains(host) {
            wrong.push(format!("{identity} as {host}: {message}"));
        }
        // The peer learns only that it was refused.
        pair.pump();
        let failure = pair.server_failure.as_ref();
        assert!(
            matches!(failure, Some(rustls::Error::AlertReceived(_))),
            "{identity}: {failure:?}"
        );
        assert!(pair.received.is_empty());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(BAD.len() >= 25);
}

// Java: SslTransportLayerTest.testValidEndpointIdentificationSanDns, testValidEndpointIdentificationSanIp.
#[test]
fn good_identities_are_accepted() {
    for (identity, host) in [
        ("server", "localhost"),
        ("server", "LOCALHOST"),
        ("server", "localhost."),
        ("server", "127.0.0.1"),
        ("server", "::1"),
        ("server", "::1%lo"),
        ("server-rsa", "localhost"),
        ("full-chain", "localhost"),
        ("wildcard", "broker-1.brokers.example"),
    ] {
        let mut pair = connect(trusting("ca"), identity, host);
        if let Err(error) = pair.connect() {
            panic!("{identity} as {host}: {error}");
        }
        let name = pair.server.server_name().map(str::to_owned);
        let expected = host.trim_end_matches('.').to_lowercase();
        // The SNI extension carries a name, but never an address.
        let is_address =
            host.contains(':') || host.starts_with(|first: char| first.is_ascii_digit());
        assert_eq!(name, (!is_address).then_some(expected), "{host}");
    }
}

// Java: SslTransportLayerTest.testEndpointIdentificationDisabled.
#[test]
fn without_the_host_check_only_the_name_is_not_checked() {
    let any_name = || SslConfig {
        verifies_host: false,
        ..trusting("ca")
    };
    for identity in ["wrong-host", "wrong-address", "common-name-only", "server"] {
        connect(any_name(), identity, "localhost")
            .connect()
            .unwrap();
    }
    for identity in [
        "expired",
        "not-yet-valid",
        "self-signed",
        "unknown-issuer",
        "for-clients",
        "sha1",
    ] {
        connect(any_name(), identity, "localhost").refusal();
    }
}

/// A truststore with the certificate of the server itself.
#[test]
fn a_self_signed_certificate_can_be_trusted_itself() {
    connect(trusting("self-signed"), "self-signed", "localhost")
        .connect()
        .unwrap();
    connect(trusting("self-signed"), "server", "localhost").refusal();
}

fn authenticate(config: SslConfig, version: &'static SupportedProtocolVersion) -> Pair {
    let server = server("server", version, ClientAuth::Required);
    Pair::new(&mut SslFactory::new(config).unwrap(), server, "localhost")
}

// Java: SslTransportLayerTest.testClientAuthenticationRequiredValidProvided.
#[test]
fn a_client_certificate_is_sent_in_both_versions() {
    for version in [&version::TLS12, &version::TLS13] {
        for identity in ["client", "client-rsa"] {
            let mut pair = authenticate(with_identity(identity), version);
            pair.connect().unwrap();
            assert_eq!(pair.server.peer_certificates().map(<[_]>::len), Some(1));
            pair.server_writes(b"welcome");
            assert_eq!(pair.read().unwrap(), b"welcome");
        }
    }
}

// Java: SslTransportLayerTest.testClientAuthenticationRequiredNotProvided, testClientAuthenticationRequiredUntrustedProvided.
#[test]
fn a_client_certificate_that_the_broker_refuses_fails_the_authentication() {
    for (config, texts) in [
        (
            trusting("ca"),
            [
                "",
                "demands a client certificate (alert CertificateRequired): set ssl.keystore.location",
            ],
        ),
        (
            with_identity("client-of-other-ca"),
            [
                "refuses this client's certificate",
                "refuses this client's certificate",
            ],
        ),
    ] {
        let mut pair = authenticate(config.clone(), &version::TLS12);
        let message = pair.refusal();
        assert!(message.contains(texts[0]), "{message}");

        // With TLS 1.3 the client has ended its half by then, and sees the refusal in its first
        // read.
        let mut pair = authenticate(config, &version::TLS13);
        pair.connect().unwrap();
        let why = Disconnect::failed(&pair.read().unwrap_err());
        let Disconnect::AuthenticationFailed { message } = why else {
            panic!("{why:?}");
        };
        assert!(message.contains(texts[1]), "{message}");
    }
}
