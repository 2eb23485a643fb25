//! The `ssl.*` keys. Java: `SslConfigsTest`, `DefaultSslEngineFactoryTest`, the rules of `SslFactoryTest`.

use super::*;

/// Without the feature, TLS is refused and never skipped.
#[test]
#[cfg(not(feature = "tls"))]
fn without_the_feature_tls_is_refused() {
    for protocol in ["SSL", "SASL_SSL"] {
        refused(
            &[("security.protocol", protocol)],
            &["security.protocol", "TLS needs the Cargo feature `tls`"],
        );
    }
}

#[test]
fn passwords_are_shown_nowhere() {
    let config = config(&[
        ("ssl.key.password", "hunter2"),
        ("ssl.keystore.key", "hunter2"),
        ("ssl.truststore.password", "hunter2"),
    ]);
    assert_eq!(config.get("ssl.key.password"), Some("[hidden]"));
    assert!(config.is_set("ssl.key.password") && !config.is_set("ssl.keystore.password"));
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("hunter2") && shown.contains("[hidden]"),
        "{shown}"
    );
}

/// Each line of the key would be an unknown key, and be logged.
#[test]
fn pem_whose_lines_are_not_continued_is_refused_and_not_shown() {
    let lines = [
        "ssl.keystore.key=-----BEGIN PRIVATE KEY-----",
        "MIIEhunter2",
        "hunter2==",
        "-----END PRIVATE KEY-----",
    ];
    let error = ProducerConfig::from_properties(&lines.join("\n")).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("line 4: a line of PEM is no key") && shown.contains("with a backslash"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    let config = ProducerConfig::from_properties(&lines.join("\\\n")).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    assert!(config.is_set("ssl.keystore.key"));
}

#[test]
fn tls_keys_without_tls_are_warned_of() {
    let notes = notes(&[("ssl.truststore.location", "ca.pem")]);
    assert_eq!(
        notes,
        [
            "ssl.truststore.location is set and has no effect, because connections are not encrypted with \
             security.protocol=PLAINTEXT"
        ]
    );
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use crate::network::ssl::{Keystore, SslConfig, TlsVersion, Truststore};

    const PROTOCOL: (&str, &str) = ("security.protocol", "SSL");

    fn with_tls<'a>(entries: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&[PROTOCOL], entries].concat()
    }

    fn ssl(entries: &[(&str, &str)]) -> SslConfig {
        resolved(&with_tls(entries)).ssl.unwrap()
    }

    // Java: SslTransportLayerTest.testTLSDefaults.
    #[test]
    fn tls_has_javas_defaults_and_the_systems_authorities() {
        let ssl = ssl(&[]);
        assert!(matches!(ssl.truststore, Truststore::Platform) && ssl.keystore.is_none());
        assert!(ssl.verifies_host && ssl.cipher_suites.is_empty());
        assert_eq!(ssl.protocols, [TlsVersion::Tls12, TlsVersion::Tls13]);
        assert!(notes(&with_tls(&[])).is_empty());
        assert!(resolved(&[]).ssl.is_none());
    }

    #[test]
    fn stores_are_files_or_texts() {
        let files = ssl(&[
            ("ssl.truststore.type", "pem"),
            ("ssl.truststore.location", "ca.pem"),
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.location", "client.pem"),
        ]);
        assert!(matches!(files.truststore, Truststore::PemFile(path) if path.ends_with("ca.pem")));
        assert!(
            matches!(files.keystore, Some(Keystore::PemFile { path, .. }) if path.ends_with("client.pem"))
        );
        let texts = ssl(&[
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.certificates", "trusted"),
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.key", "key"),
            ("ssl.keystore.certificate.chain", "chain"),
        ]);
        assert!(matches!(texts.truststore, Truststore::Pem(text) if text.expose() == "trusted"));
        let Some(Keystore::Pem {
            key,
            certificate_chain,
            key_password: None,
        }) = texts.keystore
        else {
            panic!("no keystore");
        };
        assert_eq!((key.expose(), certificate_chain.expose()), ("key", "chain"));
    }

    // Java: DefaultSslEngineFactoryTest, SslFactoryTest.testPemKeyStoreConfigWithoutCertChain and their like.
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn contradictions_of_stores_are_named() {
        for (entries, text) in [
            (
                &[("ssl.truststore.type", "JCEKS")][..],
                "is not supported; there are PEM, JKS and PKCS12",
            ),
            (
                &[("ssl.keystore.type", "BCFKS")],
                "is not supported; there are PEM, JKS and PKCS12",
            ),
            (
                &[("ssl.truststore.certificates", "hunter2")],
                "ssl.truststore.certificates is PEM, but ssl.truststore.type is JKS: set ssl.truststore.type=PEM",
            ),
            (
                &[
                    ("ssl.keystore.key", "hunter2"),
                    ("ssl.keystore.type", "PEM"),
                ],
                "ssl.keystore.key is set without ssl.keystore.certificate.chain",
            ),
            (
                &[("ssl.keystore.certificate.chain", "hunter2")],
                "ssl.keystore.certificate.chain is set without ssl.keystore.key",
            ),
            (
                &[
                    ("ssl.truststore.type", "PEM"),
                    ("ssl.truststore.location", "ca.pem"),
                    ("ssl.truststore.certificates", "hunter2"),
                ],
                "ssl.truststore.certificates and ssl.truststore.location are both set",
            ),
            (
                &[("ssl.keystore.password", "hunter2")],
                "ssl.keystore.password is set without ssl.keystore.location",
            ),
            (
                &[
                    ("ssl.truststore.type", "PEM"),
                    ("ssl.truststore.location", "ca.pem"),
                    ("ssl.truststore.password", "hunter2"),
                ],
                "ssl.truststore.password is set, but a PEM file has no password",
            ),
            (
                &[("ssl.enabled.protocols", "TLSv1.1,TLSv1.2")],
                "'TLSv1.1' is not supported",
            ),
            (
                &[("ssl.enabled.protocols", "")],
                "must name TLSv1.2, TLSv1.3 or both",
            ),
            (
                &[("ssl.endpoint.identification.algorithm", "none")],
                "must be https, or empty",
            ),
            (
                &[("ssl.engine.factory.class", "org.example.Engine")],
                "is a class of Java",
            ),
            (
                &[("ssl.trustmanager.algorithm", "Strict")],
                "is a trust manager of Java",
            ),
            (
                &[("ssl.protocol", "SSLv3")],
                "ssl.enabled.protocols says which versions are",
            ),
        ] {
            let error = refused(&with_tls(entries), &[text]);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn what_weakens_or_does_nothing_is_warned_of() {
        let entries = [("ssl.endpoint.identification.algorithm", "")];
        assert!(!ssl(&entries).verifies_host);
        let texts = notes(&with_tls(&entries));
        assert!(
            texts[0].contains("host names of brokers are not verified"),
            "{texts:?}"
        );
        let texts = notes(&with_tls(&[
            ("ssl.provider", "SunJSSE"),
            ("ssl.keymanager.algorithm", "PKIX"),
            ("ssl.secure.random.implementation", "SHA1PRNG"),
        ]));
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(
            texts.iter().all(|text| text.contains("and is ignored")),
            "{texts:?}"
        );
    }

    #[test]
    #[cfg(not(feature = "keystores"))]
    fn javas_stores_without_the_feature_are_refused() {
        for (entries, text) in [
            (
                &[("ssl.truststore.location", "a.jks")][..],
                "ssl.truststore.type is JKS: that needs the Cargo feature `keystores` of kafka-producer, which is off; or \
                 convert ssl.truststore.location to PEM (keytool",
            ),
            (
                &[
                    ("ssl.keystore.location", "a.p12"),
                    ("ssl.keystore.password", "hunter2"),
                    ("ssl.keystore.type", "PKCS12"),
                ],
                "ssl.keystore.type is PKCS12: that needs the Cargo feature `keystores`",
            ),
        ] {
            refused(&with_tls(entries), &[text]);
        }
    }

    // Java: DefaultSslEngineFactory.createKeystore, createTruststore.
    #[test]
    #[cfg(feature = "keystores")]
    fn javas_stores_have_passwords() {
        let ssl = ssl(&[
            ("ssl.truststore.location", "trust.jks"),
            ("ssl.keystore.type", "pkcs12"),
            ("ssl.keystore.location", "client.p12"),
            ("ssl.keystore.password", "hunter2"),
            ("ssl.key.password", "hunter3"),
        ]);
        assert!(matches!(
            ssl.truststore,
            Truststore::StoreFile { path, password: None } if path.ends_with("trust.jks")
        ));
        let Some(Keystore::StoreFile {
            password,
            key_password: Some(key_password),
            ..
        }) = ssl.keystore
        else {
            panic!("no keystore");
        };
        assert_eq!(
            (password.expose(), key_password.expose()),
            ("hunter2", "hunter3")
        );
        refused(
            &with_tls(&[("ssl.keystore.location", "client.jks")]),
            &["ssl.keystore.location is set without ssl.keystore.password: set both"],
        );
    }

    // Java: `DefaultSslEngineFactory.createKeystore`, which refuses only a password that is not set.
    #[test]
    #[cfg(feature = "keystores")]
    fn the_password_of_a_keystore_may_be_empty() {
        let ssl = ssl(&[
            ("ssl.keystore.location", "client.p12"),
            ("ssl.keystore.password", ""),
        ]);
        assert!(matches!(
            ssl.keystore,
            Some(Keystore::StoreFile { password, key_password: None, .. }) if password.expose().is_empty()
        ));
    }
}
