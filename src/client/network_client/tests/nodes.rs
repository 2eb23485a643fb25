//! The choice of a node, and of the time.

use super::*;

fn least_loaded(f: &mut Fixture) -> Option<i32> {
    f.client
        .least_loaded_node(f.time.now())
        .map(|node| node.id().0)
}

/// Makes the connections of these nodes fail, so that they are in their backoff.
fn fail(f: &mut Fixture, ids: &[i32]) {
    for id in ids {
        let refused = std::io::ErrorKind::ConnectionRefused;
        f.selector.refuse_connects(NodeId(*id), Some(refused));
        let node = f.node(*id);
        f.client.ready(&node, f.now());
        assert!(f.client.connection_failed(NodeId(*id)));
    }
}

// Java: NetworkClientTest.testLeastLoadedNode.
#[test]
fn least_loaded_node_prefers_idle_then_few_requests() {
    let mut f = Fixture::new();
    for id in 0..3 {
        f.make_ready(id);
    }
    f.send_and_write(NodeId(0));
    f.send_and_write(NodeId(1));
    for _ in 0..20 {
        assert_eq!(least_loaded(&mut f), Some(2));
    }
    for _ in 0..2 {
        f.send_and_write(NodeId(2));
    }
    f.send_and_write(NodeId(0));
    for _ in 0..20 {
        assert_eq!(least_loaded(&mut f), Some(1));
    }
}

// Java: NetworkClientTest.testLeastLoadedNodeConsidersThrottledConnections.
#[test]
fn the_least_loaded_node_is_never_a_throttled_one() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let header = f.send_and_write(NODE);
    f.answer(NODE, &header, produce_response(100));
    f.poll();
    fail(&mut f, &[1, 2]);
    assert_eq!(least_loaded(&mut f), None);
    let nodes = f.metadata.load().nodes().to_vec();
    let seen = f.client.connections.least_loaded_node(&nodes, f.now());
    assert!(
        seen.has_ready_connection,
        "throttled, and there all the same"
    );
    f.time.advance_ms(100);
    assert!(least_loaded(&mut f).is_some());
}

// Java:
// NetworkClientTest.testLeastLoadedNodeProvideDisconnectedNodesPrioritizedByLastConnectionTimestamp.
#[test]
fn least_loaded_node_provides_disconnected_nodes_by_last_attempt() {
    let mut f = Fixture::new();
    fail(&mut f, &[2]);
    f.time.advance_ms(1);
    fail(&mut f, &[0]);
    f.time.advance_ms(1);
    assert_eq!(least_loaded(&mut f), Some(1), "never tried");
    fail(&mut f, &[1]);
    assert_eq!(least_loaded(&mut f), None, "all are in their backoff");
    f.time.advance_ms(RECONNECT_MS);
    for _ in 0..20 {
        assert_eq!(least_loaded(&mut f), Some(2), "left alone for longest");
    }
}

#[test]
fn least_loaded_node_waits_for_a_connection_that_is_being_made() {
    let mut f = Fixture::new();
    f.selector.hold_connects(true);
    let node = f.node(1);
    f.client.ready(&node, f.now());
    for _ in 0..20 {
        assert_eq!(least_loaded(&mut f), Some(1));
    }
}

#[test]
fn least_loaded_node_returns_none_without_nodes() {
    let mut f = Fixture::new();
    f.metadata.bootstrap(Vec::new());
    assert_eq!(least_loaded(&mut f), None);
}

// Java: NetworkClientTest.testConnectionDelay*, testConnectionDelayDisconnected*.
#[test]
fn connection_delay_follows_the_state_of_the_connection() {
    let mut f = Fixture::new();
    assert_eq!(f.client.connection_delay(NODE, f.now()), ms(0));
    f.make_ready(0);
    assert_eq!(f.client.connection_delay(NODE, f.now()), Duration::MAX);
    assert_eq!(f.client.poll_delay(NODE, f.now()), Duration::MAX);

    f.selector.server_disconnect(NODE);
    f.poll();
    assert_eq!(f.client.connection_delay(NODE, f.now()), ms(RECONNECT_MS));
    let node = f.node(0);
    assert!(!f.client.ready(&node, f.now()));
    f.selector.take_connects();
    f.time.advance_ms(RECONNECT_MS);
    assert_eq!(f.client.connection_delay(NODE, f.now()), ms(0));
    f.client.ready(&node, f.now());
    assert_eq!(f.selector.take_connects().len(), 1);
}

// Java: NetworkClientTest.testConnectionDelayWithExponentialBackoff.
#[test]
fn a_dead_node_is_tried_less_and_less_often() {
    let mut f = Fixture::bootstrapped(NetworkClientConfig {
        reconnect_backoff_max: ms(1000),
        ..config()
    });
    f.update_metadata();
    let refused = std::io::ErrorKind::ConnectionRefused;
    f.selector.refuse_connects(NODE, Some(refused));
    let node = f.node(0);
    let end = f.now() + Duration::from_secs(60);
    while f.now() < end {
        f.client.ready(&node, f.now());
        f.time.advance_ms(5);
    }
    let attempts = f.selector.take_connects().len();
    assert!(
        (60..=100).contains(&attempts),
        "{attempts} attempts in a minute"
    );
}
