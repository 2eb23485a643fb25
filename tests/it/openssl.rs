//! OpenSSL as the TLS peer: one `openssl s_server` per connection, with the test broker behind it.
//! It verifies the client's certificate, decrypts its requests, encrypts the responses, and gets
//! the close.

#![allow(
    clippy::disallowed_methods,
    reason = "another program takes its own time to start and to end"
)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kafka_producer::testing::FakeBroker;
use kafka_producer::{
    ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord, SecurityProtocol,
};

use crate::support::chain::chain;

const LONG: Duration = Duration::from_secs(60);
const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

fn path(name: &str) -> String {
    format!("{}/tests/data/tls/{name}.pem", env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

/// Prints that the test is ignored if OpenSSL is missing. Fails where CI requires all tests.
fn has_openssl() -> bool {
    let version = Command::new("openssl").arg("version").output();
    if version.is_ok_and(|version| version.status.success()) {
        return true;
    }
    let demands = std::env::var_os("KAFKA_PRODUCER_REQUIRE_KAFKA").is_some_and(|on| on == "1");
    assert!(!demands, "there is no openssl");
    // Not `eprintln!`, because the test framework captures that in a passing test.
    let mut stderr = io::stderr().lock();
    stderr
        .write_all(b"ignored: needs the openssl command\n")
        .unwrap();
    false
}

/// A port that speaks TLS with OpenSSL and passes the decrypted bytes to a broker.
struct Front {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    acceptor: JoinHandle<Vec<Served>>,
}

/// How the server of one connection ended.
struct Served {
    status: ExitStatus,
    log: String,
}

impl Front {
    /// Accepts only this version of TLS. Each client must have a certificate of
    /// tests/data/tls/ca.pem.
    fn start(broker: SocketAddr, version: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let is_over_too = Arc::clone(&is_over);
        let acceptor = thread::spawn(move || {
            let mut servers = Vec::new();
            for client in listener.incoming() {
                if is_over_too.load(Ordering::SeqCst) {
                    break;
                }
                let client = client.unwrap();
                let port = address.port();
                let name = format!("s_server-{}-{port}-{}", std::process::id(), servers.len());
                let socket = std::env::temp_dir().join(name);
                servers.push(thread::spawn(move || {
                    serve(&client, broker, version, &socket)
                }));
            }
            servers
                .into_iter()
                .map(|server| server.join().unwrap())
                .collect()
        });
        Self {
            address,
            is_over,
            acceptor,
        }
    }

    /// Waits for the servers to end. Their clients must have disconnected.
    fn stop(self) -> Vec<Served> {
        self.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        self.acceptor.join().unwrap()
    }
}

/// Runs a server between a client and the broker until the client disconnects.
fn serve(client: &TcpStream, broker: SocketAddr, version: &str, socket: &PathBuf) -> Served {
    let mut server = Command::new("openssl")
        .args(["s_server", "-quiet", "-naccept", "1", version])
        .args(["-cert", &path("server"), "-key", &path("server.key")])
        .args([
            "-CAfile",
            &path("ca"),
            "-Verify",
            "1",
            "-verify_return_error",
        ])
        .arg("-unix")
        .arg(socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let tls = connect(socket, &mut server);
    let broker = &TcpStream::connect(broker).unwrap();
    let mut plain_input = server.stdin.take().unwrap();
    let mut plain_output = server.stdout.take().unwrap();
    let mut errors = server.stderr.take().unwrap();
    let mut log = String::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = io::copy(&mut &*client, &mut &tls);
            let _ = tls.shutdown(Shutdown::Write);
        });
        scope.spawn(|| {
            let _ = io::copy(&mut &tls, &mut &*client);
            let _ = client.shutdown(Shutdown::Write);
        });
        scope.spawn(|| {
            let _ = io::copy(&mut plain_output, &mut &*broker);
            let _ = broker.shutdown(Shutdown::Both);
        });
        scope.spawn(move || {
            // `copy` would wait for more bytes, but the client waits for this response.
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = (&*broker).read(&mut buffer) {
                let written = plain_input.write_all(&buffer[..count]);
                if written.and_then(|()| plain_input.flush()).is_err() {
                    break;
                }
            }
        });
        let _ = errors.read_to_string(&mut log);
    });
    let status = server.wait().unwrap();
    let _ = std::fs::remove_file(socket);
    Served { status, log }
}

/// Connects to the server's socket, which exists when the server is ready.
fn connect(socket: &PathBuf, server: &mut Child) -> UnixStream {
    let started = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Ok(connection) => return connection,
            Err(error) => {
                let ended = server.try_wait().unwrap();
                assert!(ended.is_none(), "openssl ended: {ended:?}");
                assert!(started.elapsed() < LONG, "openssl does not listen: {error}");
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A broker that advertises the address of the front.
fn behind_openssl(version: &'static str) -> (FakeBroker, Front) {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let node = broker.nodes()[0];
    let address = SocketAddr::from(([127, 0, 0, 1], broker.port(node).unwrap()));
    let front = Front::start(address, version);
    broker
        .advertise(node, "127.0.0.1", front.address.port())
        .unwrap();
    (broker, front)
}

fn client(front: &Front) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(front.address.to_string())
        .security_protocol(SecurityProtocol::Ssl)
        .ssl_truststore_type("PEM")
        .ssl_truststore_location(&path("ca"))
}

#[test]
fn records_pass_openssl_in_both_versions_with_a_client_certificate() {
    if !has_openssl() {
        return;
    }
    for version in VERSIONS {
        let (broker, front) = behind_openssl(version);
        let producer = client(&front)
            .ssl_keystore_type("PEM")
            .ssl_keystore_key(&file("client.key"))
            .ssl_keystore_certificate_chain(&file("client"))
            .build()
            .unwrap();
        let sizes = [0, 1, 100, 16_384, 20_000, 300_000];
        for size in sizes {
            let sent = producer.send(ProducerRecord::new("orders", vec![b'x'; size]));
            sent.unwrap().get_timeout(LONG).unwrap();
        }
        producer.close(LONG).unwrap();
        let arrived: Vec<_> = broker
            .all_records("orders")
            .iter()
            .map(|record| record.value.as_ref().unwrap().len())
            .collect();
        assert_eq!(arrived, sizes, "{version}");
        assert_eq!(broker.protocol_violations(), [""; 0]);
        for served in front.stop() {
            // OpenSSL 3 complains about a connection that ends without close_notify.
            let log = served.log;
            assert!(served.status.success(), "{version}: {log}");
            assert!(!log.to_lowercase().contains("error"), "{version}: {log}");
        }
    }
}

#[test]
fn openssl_refuses_a_client_without_a_certificate_and_that_is_told() {
    if !has_openssl() {
        return;
    }
    for version in VERSIONS {
        let (broker, front) = behind_openssl(version);
        let producer = client(&front).build().unwrap();
        let sent = producer.send(ProducerRecord::new("orders", "value"));
        let error = sent.and_then(|sent| sent.get_timeout(LONG)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
        let texts = chain(&error).join("; ");
        let says = "the broker demands a client certificate";
        assert!(texts.contains(says), "{version}: {texts}");
        drop(producer);
        front.stop();
        assert!(broker.requests().is_empty());
    }
}
