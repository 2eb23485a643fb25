//! Handshakes with the cryptography of other providers than graviola.

use rustls::CipherSuite;
use rustls::crypto::CryptoProvider;

use super::*;
use crate::utils::runs_alone;

/// The server has the provider of the process, so that each speaks to another implementation.
#[cfg(any(feature = "tls-aws-lc", feature = "tls-ring"))]
#[test]
fn the_providers_in_c_speak_both_versions() {
    use crate::network::ssl::certificates::StoreContents;

    let providers = [
        #[cfg(feature = "tls-aws-lc")]
        rustls::crypto::aws_lc_rs::default_provider(),
        #[cfg(feature = "tls-ring")]
        rustls::crypto::ring::default_provider(),
    ];
    for provider in providers {
        let factory = |config| SslFactory::with_reader(config, &provider, StoreContents::read);
        for server_version in [&version::TLS12, &version::TLS13] {
            // With keys on a curve and keys of RSA, on both sides.
            for (client, identity) in [("client", "server-rsa"), ("client-rsa", "server")] {
                let mut factory = factory(with_identity(client)).unwrap();
                let server = server(identity, server_version, ClientAuth::Required);
                let mut pair = Pair::new(&mut factory, server, "localhost");
                pair.connect().unwrap();
                assert_eq!(pair.server.protocol_version(), Some(server_version.version));
                pair.client.write_all(b"request").unwrap();
                assert_eq!(pair.server_reads(), b"request");
                pair.server_writes(b"response");
                assert_eq!(pair.read().unwrap(), b"response");
            }
        }
        let mut untrusting = factory(trusting("other-ca")).unwrap();
        let server = server("server", &version::TLS13, ClientAuth::None);
        let refusal = Pair::new(&mut untrusting, server, "localhost").refusal();
        assert!(refusal.contains("ssl.truststore"), "{refusal}");
    }
}

/// Runs alone in its own process, because the provider stays installed.
#[test]
fn an_installed_provider_is_used() {
    const NAME: &str = "network::ssl::tests::providers::an_installed_provider_is_used";
    if !runs_alone(NAME) {
        return;
    }
    // The servers have every suite. Only the client can restrict the connection to one.
    let [before, after] = [0, 1].map(|_| server("server", &version::TLS13, ClientAuth::None));
    let suite = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
    let used_with = |server| {
        let mut factory = SslFactory::new(trusting("ca")).unwrap();
        let mut pair = Pair::new(&mut factory, server, "localhost");
        pair.connect().unwrap();
        pair.server.negotiated_cipher_suite().unwrap().suite()
    };
    assert_ne!(used_with(before), suite);
    let mut provider: CryptoProvider = (*crypto_provider().unwrap()).clone();
    provider.cipher_suites.retain(|it| it.suite() == suite);
    provider.install_default().unwrap();
    assert_eq!(used_with(after), suite);
}
