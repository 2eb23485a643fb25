//! What callers that wait for metadata learn of failed connections.

use std::io;

use super::*;
use crate::network::Disconnect;

const BOOT: NodeId = NodeId(-1);
const ADDRESS: &str = "10.9.9.9:9092";

/// Connects as far as the request for versions to the bootstrap node.
fn asked_for_versions() -> (Fixture, RequestHeader) {
    let mut f = Fixture::bootstrapped(config());
    f.poll();
    let header = f.sent_api_versions_request();
    (f, header)
}

fn failure(f: &Fixture) -> (ErrorKind, String) {
    let error = f.metadata.connection_failure().unwrap();
    (error.kind(), error.to_string())
}

#[test]
fn nothing_is_wrong_before_anything_was_tried() {
    let (f, _) = asked_for_versions();
    assert!(f.metadata.connection_failure().is_none());
}

#[test]
fn a_connection_that_cannot_be_made() {
    let mut f = Fixture::bootstrapped(config());
    f.selector.hold_connects(true);
    f.poll();
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    let why = Disconnect::NotConnected {
        kind: refused.kind(),
        message: refused.to_string(),
    };
    f.selector.lose(BOOT, why);
    f.poll();
    let (kind, text) = failure(&f);
    assert_eq!(kind, ErrorKind::Network);
    assert_eq!(
        text,
        format!("{ADDRESS}: the connection could not be made: connection refused")
    );
}

#[test]
fn a_connection_that_takes_too_long() {
    let mut f = Fixture::bootstrapped(config());
    f.selector.hold_connects(true);
    f.poll();
    f.time.advance_ms(SETUP_MS);
    f.poll();
    let (kind, text) = failure(&f);
    assert_eq!(kind, ErrorKind::Timeout);
    let why = "no connection within 10000 ms (socket.connection.setup.timeout.ms)";
    assert_eq!(text, format!("{ADDRESS}: {why}"));
}

#[test]
fn a_name_that_cannot_be_resolved() {
    let mut f = Fixture::bootstrapped(config());
    f.metadata
        .bootstrap(vec![Node::new(BOOT, "broker.example", 9092, None)]);
    f.resolver.answer("broker.example", Err("no such host"));
    f.poll();
    let expected = "broker.example:9092: its name cannot be resolved: no such host";
    assert_eq!(failure(&f), (ErrorKind::Network, expected.to_owned()));
}

#[test]
fn a_node_that_hangs_up_before_it_told_its_versions() {
    let (mut f, _) = asked_for_versions();
    f.selector.server_disconnect(BOOT);
    f.poll();
    let (_, text) = failure(&f);
    let says = "before it sent its API versions: it may expect BeforeVersions";
    assert!(text.ends_with(says), "{text}");
}

#[test]
fn a_node_that_hangs_up_after_it_told_its_versions() {
    let (mut f, header) = asked_for_versions();
    f.answer(BOOT, &header, all_versions());
    f.poll();
    f.selector.server_disconnect(BOOT);
    f.poll();
    let (_, text) = failure(&f);
    let says = "no other response: it may expect AfterVersions";
    assert!(text.ends_with(says), "{text}");
}

// A broker that closes the connection after a Produce request, for example because it is stopped,
// does not lack SASL: the cluster has responded before.
#[test]
fn a_node_that_hangs_up_after_a_request_in_a_known_cluster_gets_no_sasl_hint() {
    let mut f = Fixture::new();
    f.make_ready(0);
    f.send_and_write(NODE);
    f.selector.server_disconnect(NODE);
    let responses = f.poll();
    let text = f.metadata.connection_failure_of(&f.node(0)).unwrap();
    assert_eq!(
        text.to_string(),
        "10.0.0.0:9092: the peer closed the connection"
    );
    let outcome = format!("{:?}", responses[0].outcome);
    assert!(!outcome.contains("SASL"), "{outcome}");
}

#[test]
fn an_answer_that_cannot_be_understood() {
    let (mut f, header) = asked_for_versions();
    let mut garbage = header.correlation_id.to_be_bytes().to_vec();
    garbage.extend([0xff; 40]);
    f.selector.receive(BOOT, garbage);
    f.poll();
    let (kind, text) = failure(&f);
    assert_eq!(kind, ErrorKind::Protocol);
    let expected = format!("{ADDRESS}: its ApiVersions v5 response cannot be understood");
    assert!(text.starts_with(&expected), "{text}");
}

#[test]
fn a_node_that_is_too_old() {
    let (mut f, header) = asked_for_versions();
    f.answer(BOOT, &header, versions(&[(ApiKey::Produce, 0, 2)]));
    f.poll();
    let (kind, text) = failure(&f);
    assert_eq!(kind, ErrorKind::UnsupportedVersion);
    assert!(text.contains("0 to 2 are supported"), "{text}");
    assert!(text.contains("Kafka 2.1 to 4.x"), "{text}");
}

#[test]
fn an_update_ends_what_went_wrong_before_it() {
    let (mut f, _) = asked_for_versions();
    f.selector.server_disconnect(BOOT);
    f.poll();
    assert!(f.metadata.connection_failure().is_some());
    f.update_metadata();
    assert!(f.metadata.connection_failure().is_none());
}

#[test]
fn a_node_that_answers_is_well_again() {
    let mut f = Fixture::new();
    f.connect(0);
    f.selector.server_disconnect(NODE);
    f.poll();
    let node = f.node(0);
    let is_known = |f: &Fixture| f.metadata.connection_failure_of(&node).is_some();
    assert!(is_known(&f));
    f.time.advance_ms(RECONNECT_MS);
    f.update_metadata();
    f.make_ready(0);
    assert!(is_known(&f), "it has told its versions, and may go again");
    let header = f.send_and_write(NODE);
    f.answer(NODE, &header, produce_response(0));
    f.poll();
    assert!(!is_known(&f));
}

#[test]
fn to_start_again_is_no_failure() {
    let mut f = Fixture::bootstrapped(config());
    f.poll();
    f.time.advance_ms(TRIGGER_MS);
    f.selector.hold_connects(true);
    f.metadata.connection_failed(
        &Node::new(BOOT, "10.9.9.9", 9092, None),
        ErrorKind::Network,
        "refused",
    );
    f.poll();
    let (_, text) = failure(&f);
    assert!(!text.contains("rebootstrap"), "{text}");
}

/// Another cluster may respond at the address of a lost node. Only the metadata show that.
#[test]
fn nothing_is_sent_to_a_lost_node_before_new_metadata() {
    let mut f = Fixture::new();
    f.make_ready(0);
    f.selector.server_disconnect(NODE);
    f.poll();
    f.time.advance_ms(RECONNECT_MS);
    let header = f.connect(0);
    f.answer(NODE, &header, all_versions());
    f.poll();
    // A metadata request is in flight, so none is due, but its response is missing.
    assert!(!f.client.is_ready(NODE, f.now()));
    f.update_metadata();
    assert!(f.client.is_ready(NODE, f.now()));
}

// Otherwise the records of a node that is back could wait up to request.timeout.ms for another
// node.
#[test]
fn a_node_that_is_back_does_not_wait_for_another_that_is_asked_for_metadata() {
    let mut f = Fixture::new();
    f.make_ready(0);
    f.make_ready(1);
    f.selector.server_disconnect(NODE);
    f.poll();
    f.time.advance_ms(RECONNECT_MS);
    f.poll();
    let asked = f.selector.take_sent();
    assert_eq!(asked[0].destination(), NodeId(1), "and never answers");
    let header = f.connect(0);
    f.answer(NODE, &header, all_versions());
    f.poll();
    assert!(!f.client.is_ready(NODE, f.now()));
    f.poll();
    let (header, body) = f.sent();
    assert!(matches!(body, RequestBody::Metadata(_)), "{body:?}");
    f.answer(NODE, &header, metadata_response());
    f.poll();
    assert!(f.client.is_ready(NODE, f.now()));
    assert!(f.selector.take_sent().is_empty(), "it is asked once");
}

// The first connection to the other cluster may be one to a node without an earlier connection.
#[test]
fn nothing_is_sent_to_a_node_that_is_connected_to_after_a_loss_before_new_metadata() {
    let mut f = Fixture::new();
    f.make_ready(0);
    f.selector.server_disconnect(NODE);
    f.poll();
    let header = f.connect(1);
    f.answer(NodeId(1), &header, all_versions());
    f.poll();
    f.time.advance_ms(RECONNECT_MS);
    f.poll();
    let (header, body) = f.sent();
    assert!(matches!(body, RequestBody::Metadata(_)), "{body:?}");
    assert!(!f.client.is_ready(NodeId(1), f.now()));
    f.answer(NodeId(1), &header, metadata_response());
    f.poll();
    assert!(f.client.is_ready(NodeId(1), f.now()));
}

// A coordinator is known without the metadata.
#[test]
fn a_rebootstrap_is_no_new_metadata() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let coordinator = f.node(0);
    f.selector.server_disconnect(NODE);
    f.poll();
    f.client.rebootstrap(f.now());
    f.time.advance_ms(RECONNECT_MS);
    f.client.ready(&coordinator, f.now());
    f.selector.take_sent();
    for _ in 0..4 {
        f.poll();
        for sent in f.selector.take_sent() {
            let (header, body) = decode_request(&sent.message().to_vec()).unwrap();
            if matches!(body, RequestBody::ApiVersions(_)) {
                f.answer(sent.destination(), &header, all_versions());
            }
        }
    }
    assert!(f.client.connections.can_send_request(NODE, f.now()));
    assert!(!f.client.is_ready(NODE, f.now()));
}

/// A listener without TLS closes the connection at each handshake. A load balancer does so for a
/// moment.
#[test]
fn handshakes_without_an_answer_are_told_when_there_are_five_in_turn() {
    let unanswered = || Disconnect::HandshakeUnanswered {
        message: "no answer".to_owned(),
    };
    let refused = || Disconnect::NotConnected {
        kind: io::ErrorKind::ConnectionRefused,
        message: "refused".to_owned(),
    };
    let mut f = Fixture::bootstrapped(config());
    let mut fails = |why: Disconnect| {
        f.poll();
        f.selector.lose(BOOT, why);
        f.poll();
        f.time.advance_ms(2 * RECONNECT_MS);
        f.metadata.maybe_throw_exception_for_topic("t")
    };
    for _ in 0..4 {
        fails(unanswered()).unwrap();
    }
    fails(refused()).unwrap();
    for _ in 0..4 {
        fails(unanswered()).unwrap();
    }
    let error = fails(unanswered()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(error.to_string().contains("no answer"), "{error}");
}

// Java: SaslClientAuthenticator takes some errors of Kerberos for lost connections.
#[test]
fn an_authentication_that_is_not_possible_now_is_retried_and_told_to_nobody() {
    let mut f = Fixture::bootstrapped(config());
    let mut fails = |why: Disconnect| {
        f.poll();
        f.selector.lose(BOOT, why);
        f.poll();
        let (kind, text) = failure(&f);
        f.time.advance_ms(2 * RECONNECT_MS);
        (f.metadata.maybe_throw_exception_for_topic("t"), kind, text)
    };
    let message = "SASL GSSAPI: Request is a replay".to_owned();
    for _ in 0..10 {
        let why = Disconnect::NotAuthenticated {
            message: message.clone(),
        };
        let (told, kind, text) = fails(why);
        told.unwrap();
        assert_eq!(kind, ErrorKind::Network);
        let why = format!("{ADDRESS}: authentication is not possible now: {message}");
        assert_eq!(text, why);
    }
    let (told, _, _) = fails(Disconnect::AuthenticationFailed { message });
    assert_eq!(told.unwrap_err().kind(), ErrorKind::Authentication);
}
