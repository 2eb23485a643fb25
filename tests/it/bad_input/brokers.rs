//! Addresses that cannot be reached, where something else listens, or where a broker is too old.

use std::error::Error as _;
use std::io::Read;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    Delivery, Error, ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord,
};

use super::peer::Peer;
use super::{PATIENCE, assert_works, cause, chain, deliver, impatient, producer_for};

const NODE: NodeId = NodeId(1);
const NOBODY_TOLD: &str =
    "no bootstrap server returned metadata for topic orders within 300 ms (max.block.ms)";

/// A producer that gives up so soon that the reason may not be known yet. See [`unreachable`].
fn hasty(servers: &str) -> KafkaProducerBuilder {
    impatient(servers).max_block(Duration::from_millis(300))
}

/// Sends records until one fails for the reason that nobody answered, which takes a moment on a
/// busy machine. Returns that error, a timeout of the wait for metadata.
fn unreachable(producer: &KafkaProducer) -> Error {
    let deadline = Instant::now() + PATIENCE;
    let error = loop {
        let error = deliver(producer, ProducerRecord::new("orders", "v")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{:?}", chain(&error));
        assert_eq!(error.to_string(), NOBODY_TOLD);
        if error.source().is_some() {
            break error;
        }
        assert!(Instant::now() < deadline, "there is no cause");
    };
    let reason = error.timeout().unwrap();
    assert_eq!(reason.config, Some("max.block.ms"));
    assert_eq!(reason.waiting_for, "the metadata of a topic");
    assert!(error.is_retriable() && !error.is_fatal());
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert_eq!(error.topic_partition().unwrap().topic(), "orders");

    // A send that does not wait gives the same reason, as far as it is known.
    let record = ProducerRecord::new("orders", "v").key("k");
    let unsent = producer.try_send(record).unwrap_err();
    assert!(unsent.is_would_block());
    let key = unsent.record.key.as_ref();
    assert_eq!(key, Some(&b"k"[..]), "the record is handed back");
    let texts = chain(&unsent.error);
    assert_eq!(texts[0], "the metadata of topic orders is not known yet");
    assert_eq!(texts.len(), 2, "{texts:?}");
    error
}

/// Returns why nobody answered at `servers`.
fn why_unreachable(servers: &str) -> String {
    let producer = hasty(servers).build().unwrap();
    let error = unreachable(&producer);
    let listed = producer.partitions_for("orders").unwrap_err();
    assert_eq!(listed.to_string(), NOBODY_TOLD);
    producer.close(PATIENCE).unwrap();
    cause(&error)
}

#[test]
fn a_refused_connection_is_named_as_the_cause() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    broker.stop_node(NODE).unwrap();
    let servers = broker.bootstrap_servers();
    let producer = hasty(&servers).build().unwrap();
    let error = unreachable(&producer);
    let cause = cause(&error);
    let expected = format!("{servers}: the connection could not be made: Connection refused");
    assert!(cause.starts_with(&expected), "{cause}");

    broker.start_node(NODE).unwrap();
    let producer_that_waits = impatient(&servers).max_block(PATIENCE).build().unwrap();
    assert_works(&producer_that_waits, &broker, "orders");
    // The first producer finds it too, after its backoff.
    let deadline = Instant::now() + PATIENCE;
    while deliver(&producer, ProducerRecord::new("orders", "v")).is_err() {
        assert!(Instant::now() < deadline);
    }
}

/// A listener whose backlog is full. Linux then drops new connections, as a firewall does.
#[cfg(target_os = "linux")]
#[test]
fn an_address_that_does_not_answer() {
    use std::net::{TcpListener, TcpStream};

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queued.push(stream);
        assert!(queued.len() < 10_000, "the queue is never full");
    }
    let producer = hasty(&address.to_string())
        .socket_connection_setup_timeout(Duration::from_millis(50))
        .socket_connection_setup_timeout_max(Duration::from_millis(50))
        .build()
        .unwrap();
    let cause = cause(&unreachable(&producer));
    let expected = "no connection within 50 ms (socket.connection.setup.timeout.ms)";
    assert_eq!(cause, format!("{address}: {expected}"));
}

// Java: KafkaProducerTest.testConstructorFailureCloseResource is about the same configuration.
#[test]
fn a_name_that_cannot_be_resolved() {
    let error = KafkaProducer::builder()
        .bootstrap_servers("no-such-host.invalid:9092")
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    let expected =
        "bootstrap.servers: no entry can be resolved; no-such-host.invalid: failed to lookup";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn a_name_that_cannot_be_resolved_beside_one_that_can() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let servers = format!("no-such-host.invalid:9092,{}", broker.bootstrap_servers());
    let producer = impatient(&servers).max_block(PATIENCE).build().unwrap();
    assert_works(&producer, &broker, "orders");
}

/// The bootstrap address works, but the advertised one does not: the usual mistake with containers.
#[test]
fn an_advertised_name_that_cannot_be_resolved() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    broker
        .advertise(NODE, "no-such-host.invalid", 9092)
        .unwrap();
    let producer = impatient(&broker.bootstrap_servers())
        .max_block(PATIENCE)
        .linger(Duration::ZERO)
        .request_timeout(Duration::from_secs(2))
        .delivery_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let error = deliver(&producer, ProducerRecord::new("orders", "v")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.timeout().unwrap().config, Some("delivery.timeout.ms"));
    assert_eq!(error.delivery(), Delivery::NotWritten);
    let texts = chain(&error);
    assert!(
        texts[0].starts_with("expired 1 record for orders-0: "),
        "{texts:?}"
    );
    let expected = "no-such-host.invalid:9092: its name cannot be resolved: failed to lookup";
    assert!(texts[1].starts_with(expected), "{texts:?}");
}

/// The leader's address is unusable, so the record expires without an attempt to connect.
#[test]
fn an_advertised_address_that_is_none() {
    for (host, port, reason) in [
        ("", 9092, "advertises the host '': the host is missing"),
        (
            "127.0.0.1",
            0,
            "advertises the port 0, which is not between 1 and 65535",
        ),
        (
            "a b",
            9092,
            "advertises the host 'a b': the host has a character that none can have",
        ),
    ] {
        // With one node there is no metadata at all, and its caller waits until the timeout.
        let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
        broker.advertise(NODE, host, port).unwrap();
        let expected = format!("node 1 {reason}");
        assert_eq!(why_unreachable(&broker.bootstrap_servers()), expected);

        // Only the leader is affected, so the record expires.
        let nodes = FakeBroker::builder().nodes(2).topic("orders", 1);
        let broker = nodes.start().unwrap();
        let leader = broker.leader("orders", 0).unwrap();
        broker.advertise(leader, host, port).unwrap();
        let producer = impatient(&broker.bootstrap_servers())
            .max_block(PATIENCE)
            .linger(Duration::ZERO)
            .request_timeout(Duration::from_millis(1000))
            .delivery_timeout(Duration::from_millis(1500))
            .build()
            .unwrap();
        let record = ProducerRecord::new("orders", "v").partition(0);
        let error = deliver(&producer, record).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(cause(&error), format!("node {leader} {reason}"));
    }
}

#[test]
fn an_http_server_is_named_as_the_cause() {
    let peer = Peer::that_answers(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    let expected = "the peer sent a frame size of 1213486160, which is not between 0 and 65536: \
                    an HTTP server responded, not a Kafka broker";
    assert_eq!(
        why_unreachable(&peer.servers()),
        format!("{}: {expected}", peer.address)
    );
}

#[test]
fn an_ssh_server_is_named_as_the_cause() {
    let peer = Peer::that_answers(b"SSH-2.0-OpenSSH_9.6\r\n");
    let cause = why_unreachable(&peer.servers());
    let expected = "an SSH server responded, not a Kafka broker";
    assert!(cause.ends_with(expected), "{cause}");
}

/// What TLS servers send in response to plain text: a fatal alert, in any version of TLS.
#[test]
fn a_tls_listener_is_named_as_the_cause() {
    for alert in [
        &[0x15, 3, 1, 0, 2, 2, 70],
        &[0x15, 3, 3, 0, 2, 2, 40],
        &[0x15, 3, 3, 0, 2, 2, 10],
    ] {
        let peer = Peer::that_answers(alert);
        let cause = why_unreachable(&peer.servers());
        let expected = "the port is a TLS listener, and this connection is not encrypted (check security.protocol)";
        assert!(cause.ends_with(expected), "{cause}");
        assert!(cause.starts_with(&peer.servers()), "{cause}");
    }
}

#[test]
fn a_server_that_is_no_broker_is_named_as_the_cause() {
    let peer = Peer::that_answers(b"220 mail.example ESMTP ready\r\n");
    let cause = why_unreachable(&peer.servers());
    assert!(
        cause.ends_with("this is probably not a Kafka broker"),
        "{cause}"
    );
}

/// An echo server sends the request back: a small size, and then nonsense.
#[test]
fn a_server_that_sends_back_what_it_gets() {
    let peer = Peer::start(|mut stream| {
        if let Ok(mut output) = stream.try_clone() {
            let _ = std::io::copy(&mut stream, &mut output);
        }
    });
    let cause = why_unreachable(&peer.servers());
    // The request has its API key and version where a response has its correlation id.
    let expected = format!("{}: it sent a response with correlation id", peer.address);
    assert!(cause.starts_with(&expected), "{cause}");
}

#[test]
fn a_server_that_hangs_up_at_once() {
    let peer = Peer::start(drop);
    let cause = why_unreachable(&peer.servers());
    assert!(
        cause.ends_with(
            " before it sent its API versions: it may expect TLS (security.protocol), or be no Kafka broker"
        ),
        "{cause}"
    );
}

#[test]
fn a_server_that_hangs_up_when_it_is_spoken_to() {
    let peer = Peer::start(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.shutdown(Shutdown::Both);
    });
    let cause = why_unreachable(&peer.servers());
    let expected = "the peer closed the connection before it sent its API versions: \
                    it may expect TLS (security.protocol), or be no Kafka broker";
    assert_eq!(cause, format!("{}: {expected}", peer.address));
}

#[test]
fn a_server_that_says_nothing() {
    let peer = Peer::that_is_silent();
    let producer = hasty(&peer.servers())
        .linger(Duration::ZERO)
        .request_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let cause = cause(&unreachable(&producer));
    let expected = "a request had no response within request.timeout.ms";
    assert_eq!(cause, format!("{}: {expected}", peer.address));
}

/// A broker that requires SASL sends its API versions, and closes the connection at the first
/// request that is not a handshake.
#[test]
fn a_broker_that_hangs_up_after_it_told_its_versions() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let hang_up = Action::skip().disconnect();
    broker.on(Api::Metadata).always().then(hang_up);
    let cause = why_unreachable(&broker.bootstrap_servers());
    let expected = "the peer closed the connection after it sent its API versions and no other response: \
                    it may expect SASL (security.protocol)";
    assert_eq!(cause, format!("{}: {expected}", broker.bootstrap_servers()));
    assert!(broker.request_count(Api::Metadata) > 0);
}

#[test]
fn every_address_is_told_of() {
    let http = Peer::that_answers(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let hangs_up = Peer::start(drop);
    let broker = FakeBroker::builder().start().unwrap();
    broker.stop_node(NODE).unwrap();
    let servers = format!(
        "{},{},{}",
        http.servers(),
        broker.bootstrap_servers(),
        hangs_up.servers()
    );
    let producer = hasty(&servers).build().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let cause = loop {
        let cause = cause(&unreachable(&producer));
        if cause.split("; ").count() == 3 {
            break cause;
        }
        assert!(Instant::now() < deadline, "{cause}");
    };
    for part in [
        format!("{}: the peer sent a frame size", http.servers()),
        format!(
            "{}: the connection could not be made",
            broker.bootstrap_servers()
        ),
        format!("{}: the ", hangs_up.servers()),
    ] {
        assert!(cause.contains(&part), "{part} in {cause}");
    }
}

/// Checks that the first send fails at once with what the broker lacks.
fn too_old(broker: &FakeBroker, missing: &str) {
    let producer = producer_for(broker);
    let error = deliver(&producer, ProducerRecord::new("orders", "v")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    assert!(!error.is_retriable());
    assert_eq!(error.delivery(), Delivery::NotWritten);
    let servers = broker.bootstrap_servers();
    let why = format!("{missing} (brokers of Kafka 2.1 to 4.x are supported)");
    let expected = format!("node {servers} (id: -1) cannot be produced to: {why}");
    assert_eq!(chain(&error), [expected]);

    // Later sends wait, because the broker may be under upgrade. They learn the reason at the next
    // attempt, or at their timeout.
    let error = deliver(&producer, ProducerRecord::new("orders", "v")).unwrap_err();
    let texts = chain(&error);
    match error.kind() {
        ErrorKind::Timeout => assert_eq!(texts[1], format!("{servers}: {why}")),
        kind => assert_eq!((kind, texts.len()), (ErrorKind::UnsupportedVersion, 1)),
    }
}

#[test]
fn a_broker_of_kafka_0_10_is_refused() {
    let broker = FakeBroker::builder()
        .topic("orders", 1)
        .versions(Api::Produce, 0..=2)
        .versions(Api::Metadata, 0..=2)
        .versions(Api::ApiVersions, 0..=0)
        .without_api(Api::InitProducerId)
        .start()
        .unwrap();
    too_old(
        &broker,
        "Produce versions 3 to 13 are needed, 0 to 2 are supported; \
         Metadata versions 4 to 13 are needed, 0 to 2 are supported; \
         InitProducerId versions 0 to 5 are needed, none are supported",
    );
}

#[test]
fn a_broker_without_producer_ids_serves_only_without_idempotence() {
    let broker = FakeBroker::builder()
        .topic("orders", 1)
        .without_api(Api::InitProducerId)
        .start()
        .unwrap();
    too_old(
        &broker,
        "InitProducerId versions 0 to 5 are needed, none are supported",
    );
    // Without idempotence the broker is sufficient.
    let producer = impatient(&broker.bootstrap_servers())
        .enable_idempotence(false)
        .max_block(PATIENCE)
        .build()
        .unwrap();
    assert_works(&producer, &broker, "orders");
}

#[test]
fn a_broker_with_only_newer_versions_is_refused() {
    let broker = FakeBroker::builder()
        .topic("orders", 1)
        .versions(Api::Produce, 90..=99)
        .start()
        .unwrap();
    too_old(
        &broker,
        "Produce versions 3 to 13 are needed, 90 to 99 are supported",
    );
}
