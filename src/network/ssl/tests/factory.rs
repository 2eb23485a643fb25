//! The effect of the settings, and the replacement of certificates.

use std::path::{Path, PathBuf};

use rustls::HandshakeKind;

use super::*;
use crate::network::ssl::certificates::StoreContents;
use crate::sync::{AtomicUsize, Mutex, Ordering};
use crate::utils::log;

fn refused(config: SslConfig) -> String {
    SslFactory::new(config).unwrap_err().to_string()
}

fn version_of(
    config: SslConfig,
    server_version: &'static SupportedProtocolVersion,
) -> Result<(), Disconnect> {
    let server = server("server", server_version, ClientAuth::None);
    Pair::new(&mut SslFactory::new(config).unwrap(), server, "localhost").connect()
}

// Java: SslTransportLayerTest.testUnsupportedTLSVersion, SslVersionsTransportLayerTest.
#[test]
fn only_enabled_versions_are_spoken() {
    let only = |protocol| SslConfig {
        protocols: vec![protocol],
        ..trusting("ca")
    };
    version_of(only(TlsVersion::Tls12), &version::TLS12).unwrap();
    version_of(only(TlsVersion::Tls13), &version::TLS13).unwrap();
    for (protocol, server) in [
        (TlsVersion::Tls12, &version::TLS13),
        (TlsVersion::Tls13, &version::TLS12),
    ] {
        let error = version_of(only(protocol), server).unwrap_err().to_string();
        assert!(error.contains("ssl.enabled.protocols"), "{error}");
    }
}

// Java: SslTransportLayerTest.testUnsupportedCiphers, testUnsupportedCipher; SslFactoryTest.testSslFactoryConfiguration.
#[test]
fn cipher_suites_have_ianas_names() {
    let with = |suites: &[&str]| SslConfig {
        cipher_suites: suites.iter().map(|suite| (*suite).to_owned()).collect(),
        ..trusting("ca")
    };
    let suite = "TLS_AES_256_GCM_SHA384";
    let mut pair = Pair::of(with(&[suite]), "server");
    pair.connect().unwrap();
    let used = pair.server.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(used, rustls::CipherSuite::TLS13_AES_256_GCM_SHA384);

    let error = refused(with(&[suite, "TLS_RSA_WITH_RC4_128_MD5"]));
    assert!(
        error.contains("'TLS_RSA_WITH_RC4_128_MD5' is not a cipher suite") && error.contains(suite),
        "{error}"
    );

    let suites_of_other_version = SslConfig {
        protocols: vec![TlsVersion::Tls12],
        ..with(&[suite])
    };
    let error = refused(suites_of_other_version);
    assert!(
        error.contains("no suite for ssl.enabled.protocols"),
        "{error}"
    );
    let error = version_of(with(&[suite]), &version::TLS12)
        .unwrap_err()
        .to_string();
    assert!(error.contains("authentication failed"), "{error}");
}

// Java: DefaultSslEngineFactoryTest.
#[test]
fn stores_that_cannot_be_used_are_named() {
    let truststore = |truststore| SslConfig {
        truststore,
        ..trusting("ca")
    };
    let error = refused(truststore(Truststore::PemFile("/no/such/ca.pem".into())));
    assert!(
        error.starts_with("ssl.truststore.location /no/such/ca.pem cannot be read: No such file"),
        "{error}"
    );
    let error = refused(truststore(Truststore::Pem(Secret::new("hunter2"))));
    assert!(
        error.starts_with("ssl.truststore.certificates: this is not PEM"),
        "{error}"
    );
    let error = refused(truststore(Truststore::Pem(Secret::new(file("client.key")))));
    assert!(
        error.contains("ssl.truststore.certificates: the PEM holds no certificate"),
        "{error}"
    );

    let keystore = |key: &str, chain: &str| SslConfig {
        keystore: Some(Keystore::Pem {
            key: Secret::new(key),
            certificate_chain: Secret::new(chain),
            key_password: None,
        }),
        ..trusting("ca")
    };
    let error = refused(keystore(&file("server.key"), &file("client")));
    assert!(
        error.contains("ssl.keystore.key: the private key is not that of the first certificate"),
        "{error}"
    );
    let error = refused(keystore(&file("client.encrypted"), &file("client")));
    assert!(
        error.contains("ssl.keystore.key: the private key is encrypted"),
        "{error}"
    );
    let error = refused(keystore(&file("client.key"), "hunter2"));
    assert!(
        error.contains("ssl.keystore.certificate.chain: this is not PEM"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_name_that_no_certificate_can_have_is_refused() {
    let mut factory = SslFactory::new(trusting("ca")).unwrap();
    for host in ["", "a b", "brök.example", "-", "a..b"] {
        let error = factory
            .session(host, SystemTime.now())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("is neither a DNS name nor an address"),
            "{error}"
        );
    }
}

#[test]
fn secrets_are_not_printed() {
    let factory = SslFactory::new(with_identity("client")).unwrap();
    let printed = format!("{factory:?} {:?}", with_identity("client"));
    let key = file("client.key");
    let line = key.lines().nth(1).unwrap();
    assert!(!printed.contains(line) && printed.contains("[hidden]"));
}

/// A directory that is removed when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("kafka-producer-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn connects(factory: &mut SslFactory, identity: &str) -> bool {
    let server = server(identity, &version::TLS13, ClientAuth::None);
    Pair::new(factory, server, "localhost").connect().is_ok()
}

fn shorten(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, &text[..text.len() / 2]).unwrap();
}

// Java: SslFactoryTest.testReconfiguration, DynamicBrokerReconfigurationTest.
#[test]
fn a_truststore_that_was_replaced_holds_for_new_connections() {
    let directory = Directory::new("truststore");
    let path = directory.write("ca.pem", &file("ca"));
    let config = SslConfig {
        truststore: Truststore::PemFile(path.clone()),
        ..trusting("ca")
    };
    let mut factory = SslFactory::new(config).unwrap();
    assert!(connects(&mut factory, "server") && !connects(&mut factory, "unknown-issuer"));

    directory.write("ca.pem", &file("other-ca"));
    assert!(!connects(&mut factory, "server") && connects(&mut factory, "unknown-issuer"));

    // Half written, without a certificate, and removed: the last good one stays in use.
    shorten(&path);
    assert!(connects(&mut factory, "unknown-issuer"));
    assert!(
        factory.failure().contains("damaged PEM"),
        "{}",
        factory.failure()
    );
    directory.write("ca.pem", "");
    assert!(connects(&mut factory, "unknown-issuer"));
    assert!(
        factory.failure().contains("this is not PEM"),
        "{}",
        factory.failure()
    );
    std::fs::remove_file(&path).unwrap();
    assert!(connects(&mut factory, "unknown-issuer"));
    assert!(
        factory.failure().contains("cannot be read"),
        "{}",
        factory.failure()
    );

    directory.write("ca.pem", &file("ca"));
    assert!(connects(&mut factory, "server") && factory.failure().is_empty());
}

#[test]
fn a_keystore_that_was_replaced_holds_for_new_connections() {
    let directory = Directory::new("keystore");
    let keystore = |identity: &str| file(&format!("{identity}.key")) + &file(identity);
    let path = directory.write("keystore.pem", &keystore("client"));
    let config = SslConfig {
        keystore: Some(Keystore::PemFile {
            path,
            key_password: None,
        }),
        ..trusting("ca")
    };
    let mut factory = SslFactory::new(config).unwrap();
    let sent = |factory: &mut SslFactory| {
        let server = server("server", &version::TLS13, ClientAuth::Required);
        let mut pair = Pair::new(factory, server, "localhost");
        pair.connect().unwrap();
        pair.server.peer_certificates().unwrap()[0].clone()
    };
    let certificate = |identity| CertificateDer::from_pem_slice(file(identity).as_bytes()).unwrap();
    assert_eq!(sent(&mut factory), certificate("client"));

    directory.write("keystore.pem", &keystore("client-rsa"));
    assert_eq!(sent(&mut factory), certificate("client-rsa"));

    // A new certificate next to the old key.
    directory.write("keystore.pem", &(file("client-rsa.key") + &file("client")));
    assert_eq!(sent(&mut factory), certificate("client-rsa"));
    assert!(
        factory
            .failure()
            .contains("is not that of the first certificate"),
        "{}",
        factory.failure()
    );
}

/// Returns whether a connection resumes a session, and takes the tickets for the next one.
fn resumes(now: Instant, factory: &mut SslFactory, server: &Arc<ServerConfig>) -> bool {
    let mut pair = Pair::new_at(now, factory, Arc::clone(server), "localhost");
    pair.connect().unwrap();
    pair.server_writes(b"with the ticket");
    pair.read().unwrap();
    pair.server.handshake_kind() == Some(HandshakeKind::Resumed)
}

// Java: `SSLSessionImpl`, whose sessions keep the time of the first one.
#[test]
fn sessions_are_resumed_for_a_day() {
    for version in [&version::TLS12, &version::TLS13] {
        let server = server("server", version, ClientAuth::None);
        let mut factory = SslFactory::new(trusting("ca")).unwrap();
        let start = SystemTime.now();
        for (hour, expected) in [(0, false), (1, true), (23, true), (24, false), (25, true)] {
            let now = start + Duration::from_secs(hour * 60 * 60);
            let resumed = resumes(now, &mut factory, &server);
            assert_eq!(resumed, expected, "{version:?} after {hour} hours");
        }
    }
}

/// A resumed session verifies no certificate.
#[test]
fn sessions_of_a_truststore_that_was_replaced_are_not_resumed() {
    let directory = Directory::new("sessions");
    let config = SslConfig {
        truststore: Truststore::PemFile(directory.write("ca.pem", &file("ca"))),
        ..trusting("ca")
    };
    let mut factory = SslFactory::new(config).unwrap();
    let server = server("server", &version::TLS13, ClientAuth::None);
    let now = SystemTime.now();
    assert!(!resumes(now, &mut factory, &server) && resumes(now, &mut factory, &server));
    directory.write("ca.pem", &file("other-ca"));
    let mut pair = Pair::new_at(now, &mut factory, Arc::clone(&server), "localhost");
    pair.refusal();
    directory.write("ca.pem", &(file("ca") + &file("other-ca")));
    assert!(!resumes(now, &mut factory, &server));
}

/// Returns a factory that trusts `ca.pem` of the directory, and reads it with `read`.
fn reading_with(
    directory: &Directory,
    read: impl Fn(&Truststore, Option<&Keystore>) -> Result<StoreContents, String>
    + Send
    + Sync
    + 'static,
) -> SslFactory {
    let config = SslConfig {
        truststore: Truststore::PemFile(directory.write("ca.pem", &file("ca"))),
        ..trusting("ca")
    };
    SslFactory::with_reader(config, &crypto_provider().unwrap(), read).unwrap()
}

/// As on a network file system whose server is gone.
#[test]
fn a_reading_that_hangs_holds_up_nothing_and_ends_in_the_new_certificates() {
    let directory = Directory::new("hanging");
    let (hang, is_hanging) = (Arc::new(Mutex::new(())), Arc::new(AtomicUsize::new(0)));
    let (gate, readings) = (Arc::clone(&hang), Arc::clone(&is_hanging));
    let read = move |truststore: &Truststore, keystore: Option<&Keystore>| {
        readings.fetch_add(1, Ordering::Relaxed);
        drop(gate.lock());
        StoreContents::read(truststore, keystore)
    };
    let mut factory = reading_with(&directory, read);
    let lines = log::test_lines();
    let hanging = hang.lock();
    directory.write("ca.pem", &file("other-ca"));
    // The last good ones stay, and it is said once. No second reading waits behind the first.
    for _ in 0..3 {
        assert!(connects(&mut factory, "server"));
        assert!(
            factory
                .failure()
                .contains("could not be read within 500 ms")
        );
    }
    assert_eq!(is_hanging.load(Ordering::Relaxed), 2);
    let lines = lines.take();
    let told = lines
        .iter()
        .filter(|(_, text)| text.contains("stay in use"));
    assert_eq!(told.count(), 1);
    drop(hanging);
    while !connects(&mut factory, "unknown-issuer") {
        std::thread::yield_now();
    }
    assert!(factory.failure().is_empty());
}

/// A reading that takes longer than a connection waits for it, each time.
#[test]
fn slow_stores_rotate_with_the_next_connection() {
    let directory = Directory::new("slow");
    let (gate, done) = (Arc::new(Mutex::new(())), Arc::new(AtomicUsize::new(0)));
    let (slow, readings) = (Arc::clone(&gate), Arc::clone(&done));
    let read = move |truststore: &Truststore, keystore: Option<&Keystore>| {
        drop(slow.lock());
        let contents = StoreContents::read(truststore, keystore);
        readings.fetch_add(1, Ordering::Relaxed);
        contents
    };
    let mut factory = reading_with(&directory, read);
    let is_slow = gate.lock();
    directory.write("ca.pem", &file("other-ca"));
    assert!(connects(&mut factory, "server"));
    drop(is_slow);
    while done.load(Ordering::Relaxed) < 2 {
        std::thread::yield_now();
    }
    // The reading is done, or is about to be. No later one will be.
    let _is_slow = gate.lock();
    let mut attempts = (0..1_000).map(|_| connects(&mut factory, "unknown-issuer"));
    assert!(attempts.any(|connects| connects));
    assert!(factory.failure().is_empty());
}

#[test]
fn a_reading_that_panics_is_a_failure() {
    let config = SslConfig {
        truststore: Truststore::PemFile("ca.pem".into()),
        ..trusting("ca")
    };
    let ca = format!("{}/tests/data/tls/ca.pem", env!("CARGO_MANIFEST_DIR"));
    let readings = AtomicUsize::new(0);
    let read = move |_: &Truststore, keystore: Option<&Keystore>| {
        assert_eq!(readings.fetch_add(1, Ordering::Relaxed), 0, "on purpose");
        StoreContents::read(&Truststore::PemFile(ca.clone().into()), keystore)
    };
    let provider = crypto_provider().unwrap();
    let mut factory = SslFactory::with_reader(config, &provider, read).unwrap();
    assert!(connects(&mut factory, "server"));
    assert_eq!(factory.failure(), "reading the stores panicked");
}

/// The thread that builds the producer reads them, and must come back.
#[test]
fn files_without_an_end_are_refused() {
    let mut paths = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
    if cfg!(unix) {
        paths.push(PathBuf::from("/dev/zero"));
    }
    for path in paths {
        let error = refused(SslConfig {
            truststore: Truststore::PemFile(path),
            ..trusting("ca")
        });
        let says = "cannot be read: it is not a regular file";
        assert!(error.contains(says), "{error}");
    }
}
