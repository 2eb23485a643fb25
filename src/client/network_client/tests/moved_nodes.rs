//! Nodes that get another address while there is a connection to the old one.

use super::*;
use crate::protocol::messages::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};

const NEW_HOST: &str = "10.9.0.0";

/// Gives node 0 another address in the metadata.
fn move_node(f: &Fixture, host: &str, port: i32) {
    let mut response = metadata_response();
    response.brokers[0].host = host.to_owned();
    response.brokers[0].port = port;
    let (_, version) = f.metadata.new_request(f.now());
    let version = MetadataRequestVersion {
        is_partial: false,
        ..version
    };
    assert!(f.metadata.update_with(version, &response, 13, f.now()));
}

fn connects(f: &Fixture) -> Vec<String> {
    let connects = f.selector.take_connects();
    connects
        .iter()
        .map(|(_, address)| address.to_string())
        .collect()
}

/// Checks the node as the sender does, with the address in the metadata.
fn ready(f: &mut Fixture) -> bool {
    let node = f.node(0);
    f.client.ready(&node, f.time.now())
}

#[test]
fn an_idle_connection_is_replaced_at_once() {
    for (host, port, address) in [
        (NEW_HOST, 9092, "10.9.0.0:9092"),
        ("10.0.0.0", 9093, "10.0.0.0:9093"),
    ] {
        let mut f = Fixture::new();
        f.make_ready(0);
        connects(&f);
        move_node(&f, host, port);
        assert!(f.poll().is_empty());
        assert!(!f.selector.is_channel_ready(NODE), "it is closed");
        assert_eq!(f.client.connection_delay(NODE, f.now()), ms(0));
        assert!(!ready(&mut f));
        assert_eq!(connects(&f), [address], "without a backoff");
    }
}

#[test]
fn requests_in_flight_have_their_responses_before_a_connection_is_replaced() {
    let mut f = Fixture::new();
    f.make_ready(0);
    connects(&f);
    let header = f.send_and_write(NODE);
    let second = f.send_and_write(NODE);
    move_node(&f, NEW_HOST, 9092);
    assert!(f.poll().is_empty());
    assert!(!f.client.is_ready(NODE, f.now()) && !ready(&mut f));
    let request = f.request(NODE);
    assert!(f.client.send(request, f.time.now()).is_err());
    assert!(connects(&f).is_empty());

    f.answer(NODE, &header, produce_response(0));
    assert_eq!(f.poll().len(), 1);
    assert!(!ready(&mut f) && connects(&f).is_empty());
    f.answer(NODE, &second, produce_response(0));
    let responses = f.poll();
    assert_eq!(responses.len(), 1);
    assert!(responses[0].outcome.is_ok());
    assert!(!ready(&mut f));
    assert_eq!(connects(&f), ["10.9.0.0:9092"]);
    // The new connection works as usual.
    assert!(f.poll().is_empty());
    let header = f.sent_api_versions_request();
    f.answer(NODE, &header, all_versions());
    f.poll();
    assert!(f.client.is_ready(NODE, f.now()));
}

#[test]
fn a_connection_that_is_being_made_is_replaced_at_once() {
    let mut f = Fixture::new();
    f.selector.hold_connects(true);
    assert!(!ready(&mut f));
    assert_eq!(connects(&f), ["10.0.0.0:9092"]);
    move_node(&f, NEW_HOST, 9092);
    f.poll();
    assert!(!ready(&mut f));
    assert_eq!(connects(&f), ["10.9.0.0:9092"]);

    // A connection that waits for the versions of the old node is replaced too.
    let mut f = Fixture::new();
    f.connect(0);
    connects(&f);
    move_node(&f, NEW_HOST, 9092);
    assert!(f.poll().is_empty());
    assert!(!f.client.has_in_flight_requests());
    assert!(!ready(&mut f));
    assert_eq!(connects(&f), ["10.9.0.0:9092"]);

    // So is one that waits for the old name to be resolved.
    let mut f = Fixture::new();
    move_node(&f, "old.example", 9092);
    assert!(!ready(&mut f));
    move_node(&f, NEW_HOST, 9092);
    f.poll();
    assert!(!ready(&mut f));
    f.resolver.answer("old.example", Ok(&["10.1.1.1"]));
    f.poll();
    assert_eq!(connects(&f), ["10.9.0.0:9092"]);
}

#[test]
fn a_draining_connection_that_is_lost_fails_its_requests() {
    let mut f = Fixture::new();
    f.make_ready(0);
    connects(&f);
    f.send_and_write(NODE);
    move_node(&f, NEW_HOST, 9092);
    f.poll();
    f.selector.server_disconnect(NODE);
    assert_eq!(failures(&f.poll()), [(1, false, true)]);
    assert!(f.client.connection_failed(NODE));
    move_node(&f, NEW_HOST, 9092);
    f.time.advance_ms(RECONNECT_MS);
    assert!(!ready(&mut f));
    assert_eq!(connects(&f), ["10.9.0.0:9092"]);
}

/// The response that named the coordinator may be newer than the metadata.
#[test]
fn a_connection_to_an_address_of_the_coordinator_is_left_alone() {
    let mut f = Fixture::new();
    let coordinator = Node::new(NODE, NEW_HOST, 9092, None);
    assert!(!f.client.ready(&coordinator, f.now()));
    for _ in 0..3 {
        f.update_metadata();
        f.poll();
    }
    move_node(&f, NEW_HOST, 9092);
    f.poll();
    assert_eq!(connects(&f), ["10.9.0.0:9092"]);
    assert!(f.client.connections.states.has_connection(NODE));
    // It was down, and is back at another address.
    let mut response = metadata_response();
    response.brokers.remove(0);
    let (_, version) = f.metadata.new_request(f.now());
    f.metadata.update_with(version, &response, 13, f.now());
    f.poll();
    move_node(&f, "10.9.0.1", 9092);
    f.poll();
    assert!(!f.client.connections.states.has_connection(NODE));
}

#[test]
fn a_coordinator_at_another_address_asks_for_metadata() {
    let mut f = Fixture::new();
    f.make_ready(1);
    for (host, port, is_requested) in [
        ("10.0.0.0", 9092, false),
        ("", 9092, false),
        (NEW_HOST, 9092, true),
        ("10.0.0.0", 9093, true),
    ] {
        f.update_metadata();
        let body = FindCoordinatorRequest {
            key_type: FindCoordinatorRequest::TRANSACTION,
            coordinator_keys: vec![Arc::from("orders")],
        };
        let request = ClientRequest::new(NodeId(1), body.into(), ms(REQUEST_TIMEOUT_MS));
        f.client.send(request, f.time.now()).unwrap();
        assert!(f.poll().is_empty());
        let (header, _) = f.sent();
        let coordinator = Coordinator {
            key: Arc::from("orders"),
            node_id: 0,
            host: host.to_owned(),
            port,
            ..Coordinator::default()
        };
        let response = FindCoordinatorResponse {
            coordinators: vec![coordinator],
            ..FindCoordinatorResponse::default()
        };
        f.answer(NodeId(1), &header, response);
        assert_eq!(f.poll().len(), 1);
        assert_eq!(f.metadata.is_update_requested(), is_requested, "{host}");
    }
}

#[test]
fn other_connections_are_left_alone() {
    let mut f = Fixture::new();
    f.make_ready(0);
    f.make_ready(1);
    connects(&f);
    move_node(&f, NEW_HOST, 9092);
    f.poll();
    assert!(f.client.is_ready(NodeId(1), f.now()));
    // A node that is missing from the metadata keeps its connection.
    let mut response = metadata_response();
    response.brokers.remove(1);
    let (_, version) = f.metadata.new_request(f.now());
    f.metadata.update_with(version, &response, 13, f.now());
    f.poll();
    assert!(f.client.is_ready(NodeId(1), f.now()));
    assert!(connects(&f).is_empty());
}
