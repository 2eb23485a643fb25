//! Handshakes with the keys and authorities of Java's stores. Java: `SslFactoryTest`, `DefaultSslEngineFactoryTest`.

use std::path::PathBuf;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

use super::*;
use crate::network::ssl::client_keys::ClientKeys;

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data/keystores", name]
        .iter()
        .collect()
}

fn truststore(name: &str, password: Option<&str>) -> SslConfig {
    SslConfig {
        truststore: Truststore::StoreFile {
            path: path(name),
            password: password.map(Secret::new),
        },
        ..trusting("ca")
    }
}

fn keystore(name: &str, password: &str, key_password: Option<&str>) -> SslConfig {
    SslConfig {
        keystore: Some(Keystore::StoreFile {
            path: path(name),
            password: Secret::new(password),
            key_password: key_password.map(Secret::new),
        }),
        ..trusting("ca")
    }
}

fn refused(config: SslConfig) -> String {
    let error = SslFactory::new(config).unwrap_err().to_string();
    assert!(
        !error.contains("hunter2") && !error.contains("changeit"),
        "{error}"
    );
    error
}

/// Returns the certificate that the client sends to a broker that requires one.
fn sent(config: SslConfig) -> CertificateDer<'static> {
    let server = server("server", &version::TLS13, ClientAuth::Required);
    let mut pair = Pair::new(&mut SslFactory::new(config).unwrap(), server, "localhost");
    pair.connect().unwrap();
    pair.pump();
    assert!(pair.server_failure.is_none(), "{:?}", pair.server_failure);
    pair.server.peer_certificates().unwrap()[0].clone()
}

fn certificate(identity: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(file(identity).as_bytes()).unwrap()
}

// Java: SslFactoryTest.testSslFactoryWithoutPasswordConfiguration, testSslFactoryConfiguration.
#[test]
fn brokers_are_trusted_by_javas_stores() {
    for (name, password) in [
        ("trust.p12", Some("changeit")),
        ("trust.jks", Some("changeit")),
        ("trust.jks", None),
        ("open.p12", None),
    ] {
        Pair::of(truststore(name, password), "server")
            .connect()
            .unwrap();
        let error = Pair::of(truststore(name, password), "self-signed").refusal();
        assert!(
            error.contains("self-signed") || error.contains("authority"),
            "{error}"
        );
    }
}

/// Java trusts the own certificate of a key in a truststore. Tests often use one store for both.
#[test]
fn a_truststore_with_a_key_trusts_its_certificate() {
    for name in ["self-signed.p12", "self-signed.jks"] {
        Pair::of(truststore(name, Some("changeit")), "self-signed")
            .connect()
            .unwrap();
        Pair::of(truststore(name, Some("changeit")), "server").refusal();
    }
}

#[test]
fn a_client_certificate_of_javas_stores_is_sent() {
    for name in ["client.p12", "client.jks", "openssl.p12"] {
        assert_eq!(
            sent(keystore(name, "changeit", None)),
            certificate("client"),
            "{name}"
        );
    }
    for name in ["client-rsa.p12", "client-rsa.jks"] {
        assert_eq!(
            sent(keystore(name, "changeit", None)),
            certificate("client-rsa"),
            "{name}"
        );
    }
    let config = keystore("key-password.jks", "changeit", Some("key-password"));
    assert_eq!(sent(config), certificate("client"));
}

/// The broker names the authority `ca`, so the client does not send `other`, although Java would
/// consider it first.
#[test]
fn of_several_keys_one_is_sent_that_the_broker_accepts() {
    for name in ["several.p12", "several.jks"] {
        let sent = sent(keystore(name, "changeit", None));
        assert_eq!(sent, certificate("client"), "{name}");
    }
}

fn client_keys(identities: &[(&str, &str)]) -> ClientKeys {
    let provider = crypto_provider().unwrap();
    let key = |identity: &str| {
        let key = PrivateKeyDer::from_pem_slice(file(&format!("{identity}.key")).as_bytes());
        CertifiedKey::from_der(vec![certificate(identity)], key.unwrap(), &provider).unwrap()
    };
    let keys = identities
        .iter()
        .map(|(alias, identity)| ((*alias).to_owned(), key(identity)));
    ClientKeys::new(keys.collect())
}

/// Java's `SunX509` key manager chose the same keys from several.p12 and several.jks.
#[test]
fn of_several_keys_javas_is_chosen() {
    let keys = client_keys(&[
        ("client", "client"),
        ("client-rsa", "client-rsa"),
        ("other", "client-of-other-ca"),
    ]);
    let (ec, rsa) = (
        SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::RSA_PSS_SHA256,
    );
    let chosen = |authorities: &[&[u8]], schemes: &[SignatureScheme]| {
        let key = keys.resolve(authorities, schemes);
        key.map(|key| key.cert[0].clone())
    };
    // CN=other-ca and CN=x.
    let other_ca = b"\x30\x13\x31\x11\x30\x0f\x06\x03\x55\x04\x03\x0c\x08other-ca";
    let unknown = b"\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01x";
    assert_eq!(
        chosen(&[], &[ec, rsa]),
        Some(certificate("client-of-other-ca"))
    );
    assert_eq!(chosen(&[], &[rsa, ec]), Some(certificate("client-rsa")));
    assert_eq!(
        chosen(&[other_ca], &[rsa, ec]),
        Some(certificate("client-of-other-ca"))
    );
    assert_eq!(chosen(&[unknown], &[rsa, ec]), None);
    assert_eq!(chosen(&[], &[SignatureScheme::ED25519]), None);
}

/// The orders of Java's `HashMap`, whose table grows with the 13th entry.
#[test]
fn keys_are_considered_in_the_order_of_javas_table() {
    const INSERTED: [&str; 14] = [
        "client",
        "client-rsa",
        "other",
        "kafka",
        "producer-1",
        "producer-2",
        "mykey",
        "localhost",
        "1",
        "2",
        "3",
        "backup",
        "\u{e9}t\u{e9}",
        "tls-client",
    ];
    for (count, expected) in [
        (4, "other kafka client client-rsa"),
        (
            12,
            "producer-1 localhost producer-2 1 other 2 backup 3 kafka client client-rsa mykey",
        ),
        (
            13,
            "producer-1 localhost producer-2 other backup mykey 1 2 3 kafka client client-rsa \u{e9}t\u{e9}",
        ),
        (
            14,
            "producer-1 localhost producer-2 other backup tls-client mykey 1 2 3 kafka client client-rsa \u{e9}t\u{e9}",
        ),
    ] {
        let mut aliases = INSERTED[..count].to_vec();
        let places = client_keys::places(count);
        aliases.sort_by_key(|alias| client_keys::place(alias, places));
        assert_eq!(aliases.join(" "), expected);
    }
}

// Java: SslFactoryTest.testInvalidKeyStorePassword and its like.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn stores_that_cannot_be_used_say_which_file_and_setting() {
    for (config, texts) in [
        (
            truststore("trust.jks", Some("hunter2")),
            [
                "ssl.truststore.location",
                "trust.jks: the password is wrong, or the file is damaged (ssl.truststore.password)",
            ],
        ),
        (
            truststore("trust.p12", None),
            [
                "trust.p12: ",
                "are encrypted: set its password (ssl.truststore.password)",
            ],
        ),
        (
            truststore("empty.p12", Some("changeit")),
            [
                "ssl.truststore.location",
                "empty.p12: the store holds no certificate",
            ],
        ),
        (
            truststore("openssl-trust.p12", Some("changeit")),
            [
                "openssl-trust.p12",
                "1 certificates lack Java's mark of trust",
            ],
        ),
        (
            truststore("no-such-file.jks", None),
            ["ssl.truststore.location", "no-such-file.jks cannot be read"],
        ),
        (
            keystore("client.p12", "hunter2", None),
            [
                "ssl.keystore.location",
                "client.p12: the password is wrong, or the file is damaged (ssl.keystore.password)",
            ],
        ),
        (
            keystore("key-password.jks", "changeit", None),
            [
                "key of 'client' is wrong",
                "(ssl.keystore.password; ssl.key.password is not set)",
            ],
        ),
        (
            keystore("key-password.jks", "changeit", Some("hunter2")),
            ["key of 'client' is wrong", "(ssl.key.password)"],
        ),
        (
            keystore("trust.jks", "changeit", None),
            [
                "trust.jks",
                "the store holds no private key with a certificate",
            ],
        ),
        (
            keystore("empty.jks", "changeit", None),
            [
                "empty.jks",
                "the store holds no private key with a certificate",
            ],
        ),
        (
            keystore("store.jceks", "changeit", None),
            [
                "store.jceks: this is a JCEKS store",
                "keytool -importkeystore",
            ],
        ),
        (
            keystore("aes-256.pem", "changeit", None),
            ["aes-256.pem: this is PEM", "set the type to PEM"],
        ),
    ] {
        let error = refused(config);
        assert!(texts.iter().all(|text| error.contains(text)), "{error}");
    }
}
