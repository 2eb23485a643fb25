//! TLS: records arrive, and a broker whose certificate is not trusted gets no request.

#![allow(clippy::disallowed_methods, reason = "tests may read the clock")]

use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use kafka_producer::testing::{Action, Api, FakeBroker, FakeBrokerBuilder};
use kafka_producer::{
    Error, ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord, SecurityProtocol,
};

use crate::support::chain::chain;

const LONG: Duration = Duration::from_secs(60);

fn path(name: &str) -> String {
    format!("{}/tests/data/tls/{name}.pem", env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

fn broker(identity: &str) -> FakeBrokerBuilder {
    let key = file(&format!("{identity}.key"));
    FakeBroker::builder()
        .topic("orders", 1)
        .tls(file(identity), key)
}

fn client(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .security_protocol(SecurityProtocol::Ssl)
        .ssl_truststore_type("PEM")
        .ssl_truststore_location(&path("ca"))
}

fn refusal(producer: &KafkaProducer) -> Error {
    let sent = producer.send(ProducerRecord::new("orders", "value"));
    sent.and_then(|sent| sent.get_timeout(LONG)).unwrap_err()
}

#[test]
fn records_of_every_size_arrive() {
    for identity in ["server", "server-rsa", "full-chain"] {
        let broker = broker(identity).start().unwrap();
        let producer = client(&broker).build().unwrap();
        let sizes = [0, 1, 100, 20_000, 900_000, 7, 16_384];
        let sent: Vec<_> = sizes
            .iter()
            .cycle()
            .take(70)
            .map(|size| {
                producer
                    .send(ProducerRecord::new("orders", vec![b'x'; *size]))
                    .unwrap()
            })
            .collect();
        for sent in sent {
            sent.get_timeout(LONG).unwrap();
        }
        producer.close(LONG).unwrap();
        let arrived: Vec<_> = broker
            .all_records("orders")
            .iter()
            .map(|record| record.value.as_ref().unwrap().len())
            .collect();
        assert_eq!(
            arrived,
            sizes.iter().copied().cycle().take(70).collect::<Vec<_>>()
        );
        assert_eq!(broker.protocol_violations(), [""; 0]);
    }
}

// Java: SslTransportLayerTest.testInvalidEndpointIdentification; ClientAuthenticationFailureTest.
#[test]
fn a_broker_that_cannot_prove_who_it_is_gets_no_request() {
    for (identity, text) in [
        ("expired", "the certificate of 127.0.0.1 expired"),
        ("not-yet-valid", "is not valid yet"),
        (
            "self-signed",
            "is not signed by an authority of the truststore",
        ),
        (
            "unknown-issuer",
            "is not signed by an authority of the truststore",
        ),
        (
            "wrong-host",
            "is not for 127.0.0.1, but for elsewhere.example, other.example",
        ),
        ("common-name-only", "a common name is not enough"),
        ("for-clients", "is not meant for servers"),
    ] {
        let broker = broker(identity).start().unwrap();
        let producer = client(&broker).build().unwrap();
        let error = refusal(&producer);
        assert_eq!(
            error.kind(),
            ErrorKind::Authentication,
            "{identity}: {error}"
        );
        let texts = chain(&error).join("; ");
        assert!(texts.contains(text), "{identity}: {texts}");
        assert!(broker.requests().is_empty() && broker.all_records("orders").is_empty());
    }
}

// Java: SslTransportLayerTest.testClientAuthenticationRequiredValidProvided, testClientAuthenticationRequiredNotProvided.
#[test]
fn a_client_certificate_is_sent_where_the_broker_demands_one() {
    let broker = broker("server")
        .tls_client_authorities(file("ca"))
        .start()
        .unwrap();
    let producer = client(&broker)
        .ssl_keystore_type("PEM")
        .ssl_keystore_key(&file("client.key"))
        .ssl_keystore_certificate_chain(&file("client"))
        .build()
        .unwrap();
    let sent = producer
        .send(ProducerRecord::new("orders", "value"))
        .unwrap();
    sent.get_timeout(LONG).unwrap();

    let producer = client(&broker).build().unwrap();
    let error = refusal(&producer);
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    let texts = chain(&error).join("; ");
    assert!(texts.contains("demands a client certificate"), "{texts}");
    assert_eq!(broker.all_records("orders").len(), 1);
}

/// The listener closes the connection at each handshake. At first that counts as a lost connection,
/// later as a wrong protocol.
#[test]
fn a_plaintext_listener_is_named_long_before_max_block_ms() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let producer = client(&broker).build().unwrap();
    let started = Instant::now();
    let error = refusal(&producer);
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("may be a plaintext listener (security.protocol)"),
        "{text}"
    );
    assert!(started.elapsed() < LONG / 2, "{:?}", started.elapsed());
}

/// A load balancer without a healthy broker does this.
#[test]
fn a_few_handshakes_without_an_answer_are_retried() {
    let broker = broker("server").start().unwrap();
    let peer = broker.bootstrap_servers();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap().to_string();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..3 {
                drop(proxy.accept().unwrap());
            }
            let (client, _) = proxy.accept().unwrap();
            let server = TcpStream::connect(peer).unwrap();
            let (mut to, mut from) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let upstream = std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
            let _ = std::io::copy(&mut &server, &mut &client);
            let _ = client.shutdown(Shutdown::Both);
            upstream.join().unwrap();
        });
        let producer = client(&broker).bootstrap_servers(address).build().unwrap();
        let sent = producer
            .send(ProducerRecord::new("orders", "value"))
            .unwrap();
        sent.get_timeout(LONG).unwrap();
    });
}

/// With TLS configured, the error must not suggest TLS.
#[test]
fn a_broker_that_hangs_up_under_tls_is_not_told_to_expect_tls() {
    let broker = broker("server").start().unwrap();
    let hang_up = Action::skip().disconnect();
    broker.on(Api::ApiVersions).always().then(hang_up);
    let producer = client(&broker)
        .max_block(Duration::from_secs(2))
        .build()
        .unwrap();
    let texts = chain(&refusal(&producer)).join("; ");
    let says =
        "before it sent its API versions: it may refuse this client's certificate (ssl.keystore.*)";
    assert!(texts.contains(says), "{texts}");
}

// Java: SaslAuthenticatorTest.testValidSaslScramSha256 over SASL_SSL.
#[cfg(feature = "sasl")]
#[test]
fn sasl_runs_under_tls_and_sends_nothing_to_an_unverified_broker() {
    let secured = |identity| {
        broker(identity)
            .sasl_scram_sha_512("alice", "secret")
            .sasl_plain("alice", "secret")
            .start()
            .unwrap()
    };
    let right = secured("server");
    let builder = |broker: &FakeBroker| client(broker).security_protocol(SecurityProtocol::SaslSsl);
    for builder in [
        builder(&right).sasl_scram_sha_512("alice", "secret"),
        builder(&right).sasl_plain("alice", "secret"),
    ] {
        let producer = builder.build().unwrap();
        let sent = producer
            .send(ProducerRecord::new("orders", "value"))
            .unwrap();
        sent.get_timeout(LONG).unwrap();
    }

    let wrong = secured("unknown-issuer");
    let producer = builder(&wrong)
        .sasl_plain("alice", "secret")
        .build()
        .unwrap();
    let error = refusal(&producer);
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert!(wrong.requests().is_empty());
}
