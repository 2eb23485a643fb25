//! Names and addresses of nodes.

use super::*;

fn named() -> (Fixture, Node) {
    let f = Fixture::new();
    (f, Node::new(NODE, "broker.example", 9092, None))
}

fn connects(f: &Fixture) -> Vec<String> {
    let connects = f.selector.take_connects();
    connects
        .iter()
        .map(|(_, address)| address.to_string())
        .collect()
}

#[test]
fn a_name_is_resolved_while_the_client_goes_on() {
    let (mut f, node) = named();
    assert!(!f.client.ready(&node, f.now()));
    assert_eq!(f.resolver.take_asked(), ["broker.example"]);
    assert!(f.client.connections.states.is_connecting(NODE));
    f.make_ready(1);
    assert_eq!(connects(&f), ["10.0.0.1:9092"]);

    f.resolver
        .answer("broker.example", Ok(&["10.1.1.1", "::1", "10.1.1.2"]));
    f.poll();
    assert_eq!(connects(&f), ["10.1.1.1:9092"]);
    f.poll();
    f.poll();
    assert!(f.resolver.take_asked().is_empty());
}

#[test]
fn an_answer_that_is_there_is_used_at_once() {
    let (mut f, node) = named();
    f.resolver.answer("broker.example", Ok(&["10.1.1.1"]));
    f.client.ready(&node, f.now());
    assert_eq!(connects(&f), ["10.1.1.1:9092"]);
}

// Java: NetworkClientTest.testDnsResolutionFailure.
#[test]
fn a_name_that_does_not_resolve_fails_the_connection() {
    let (mut f, node) = named();
    f.client.ready(&node, f.now());
    f.resolver.answer("broker.example", Err("no such host"));
    f.poll();
    assert!(f.client.connection_failed(NODE));
    assert!(f.metadata.is_update_requested());
    assert_eq!(f.client.connection_delay(NODE, f.now()), ms(RECONNECT_MS));
    f.resolver.take_asked();
    f.time.advance_ms(RECONNECT_MS);
    f.client.ready(&node, f.now());
    assert_eq!(
        f.resolver.take_asked(),
        ["broker.example"],
        "it is asked for again"
    );
}

#[test]
fn a_name_that_is_not_resolved_in_time() {
    let (mut f, node) = named();
    f.client.ready(&node, f.now());
    f.time.advance_ms(SETUP_MS);
    f.poll();
    assert!(f.client.connection_failed(NODE));
    // The result comes too late for that attempt.
    f.update_metadata();
    f.resolver.answer("broker.example", Ok(&["10.1.1.1"]));
    f.poll();
    assert!(connects(&f).is_empty() && f.client.connection_failed(NODE));
}

#[test]
fn several_nodes_may_wait_for_one_name() {
    let (mut f, node) = named();
    let other = Node::new(NodeId(1), "broker.example", 9093, None);
    f.client.ready(&node, f.now());
    f.client.ready(&other, f.now());
    f.resolver.answer("broker.example", Ok(&["10.1.1.1"]));
    f.poll();
    let mut connects = connects(&f);
    connects.sort();
    assert_eq!(connects, ["10.1.1.1:9092", "10.1.1.1:9093"]);
}

// Java: NetworkClientTest.testFailedConnectionToFirstAddress.
#[test]
fn a_connection_that_failed_goes_to_the_next_address() {
    let (mut f, node) = named();
    f.resolver
        .answer("broker.example", Ok(&["10.1.1.1", "10.1.1.2"]));
    f.selector.hold_connects(true);
    f.client.ready(&node, f.now());
    f.time.advance_ms(SETUP_MS);
    f.poll();
    f.time.advance_ms(RECONNECT_MS);
    f.client.ready(&node, f.now());
    assert_eq!(connects(&f), ["10.1.1.1:9092", "10.1.1.2:9092"]);
    assert_eq!(
        f.resolver.take_asked().len(),
        1,
        "the name was resolved once"
    );
}

// Java: NetworkClientTest.testFailedConnectionToFirstAddressAfterReconnect, testReconnectAfterAddressChange.
#[test]
fn a_reconnect_resolves_the_name_again() {
    let mut f = Fixture::bootstrapped(config());
    let mut response = metadata_response();
    response.brokers[0].host = "broker.example".to_owned();
    let (_, version) = f.metadata.new_request(f.now());
    f.metadata.update_with(version, &response, 13, f.now());
    f.resolver
        .answer("broker.example", Ok(&["10.1.1.1", "10.1.1.2"]));
    f.make_ready(0);

    // The connection is lost, and the name now has other addresses. The old one would come first.
    f.selector.server_disconnect(NODE);
    f.poll();
    f.time.advance_ms(RECONNECT_MS);
    let (_, version) = f.metadata.new_request(f.now());
    f.metadata.update_with(version, &response, 13, f.now());
    f.resolver
        .answer("broker.example", Ok(&["10.1.1.1", "10.2.2.2", "10.3.3.3"]));
    let node = Node::new(NODE, "broker.example", 9092, None);
    f.client.ready(&node, f.now());
    assert_eq!(connects(&f), ["10.1.1.1:9092", "10.2.2.2:9092"]);
    assert_eq!(f.resolver.take_asked().len(), 2);

    let refused = std::io::ErrorKind::ConnectionRefused;
    f.selector.lose(
        NODE,
        crate::network::Disconnect::NotConnected {
            kind: refused,
            message: "refused".to_owned(),
        },
    );
    f.poll();
    f.time.advance_ms(RECONNECT_MS);
    f.client.ready(&node, f.now());
    assert_eq!(connects(&f), ["10.3.3.3:9092"]);
}

#[test]
fn a_literal_needs_no_resolver() {
    let mut f = Fixture::new();
    for (id, host, expected) in [
        (5, "10.7.7.7", "10.7.7.7:1"),
        (6, "::1", "[::1]:1"),
        (7, "fe80::1%4", "[fe80::1%4]:1"),
    ] {
        let node = Node::new(NodeId(id), host, 1, None);
        f.client.ready(&node, f.now());
        assert_eq!(connects(&f), [expected]);
        // It happens again after each failure.
        f.selector.server_disconnect(NodeId(id));
        f.poll();
        f.update_metadata();
        f.time.advance_ms(RECONNECT_MS);
        f.client.ready(&node, f.now());
        assert_eq!(connects(&f), [expected]);
    }
    assert!(f.resolver.take_asked().is_empty());
}

#[test]
fn a_scope_goes_from_the_resolver_to_the_connection() {
    let mut f = Fixture::new();
    let node = Node::new(NODE, "fe80::1%eth0", 9092, None);
    f.client.ready(&node, f.now());
    assert_eq!(f.resolver.take_asked(), ["fe80::1%eth0"]);
    f.resolver.answer("fe80::1%eth0", Ok(&["fe80::1%3"]));
    f.poll();
    assert_eq!(connects(&f), ["[fe80::1%3]:9092"]);
}
