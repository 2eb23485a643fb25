//! Connection states and their backoff. Java: `ClusterConnectionStatesTest`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::utils::{MockTime, Time};

const NODE: NodeId = NodeId(1001);
const OTHER: NodeId = NodeId(2002);
const PORT: u16 = 9092;
const HOST: &str = "localhost";
const BACKOFF_MS: u64 = 10_000;
const BACKOFF_MAX_MS: u64 = 60_000;
const SETUP_MS: u64 = 10_000;
const SETUP_MAX_MS: u64 = 127_000;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn states() -> (ClusterConnectionStates, MockTime) {
    let states = ClusterConnectionStates::new(
        ExponentialBackoff::new(ms(BACKOFF_MS), ms(BACKOFF_MAX_MS)),
        ExponentialBackoff::new(ms(SETUP_MS), ms(SETUP_MAX_MS)),
    );
    (states, MockTime::new())
}

fn assert_about(actual: Duration, center_ms: u64, max_ms: u64) {
    let (low, high) = (
        ms(center_ms * 8 / 10),
        ms((center_ms * 12 / 10).min(max_ms)),
    );
    assert!(
        (low..=high).contains(&actual),
        "{actual:?}, not {center_ms} ms"
    );
}

fn ip(last: u8) -> SocketAddr {
    (Ipv4Addr::new(127, 0, 0, last), PORT).into()
}

fn node(id: NodeId, host: &str) -> Node {
    Node::new(id, host, PORT, None)
}

/// Other threads are shown each state that changes, and nothing for what changes none.
#[test]
fn every_change_of_a_state_is_shown_once() {
    use ConnectionState::*;

    fn shown(states: &mut ClusterConnectionStates) -> Option<Vec<ConnectionState>> {
        let changed = states.take_changed();
        changed.map(|nodes| nodes.map(|status| status.state).collect())
    }

    let (mut states, time) = states();
    let now = time.now();
    assert_eq!(shown(&mut states), None);
    type Change = fn(&mut ClusterConnectionStates, Instant);
    let changes: [(Change, ConnectionState); 8] = [
        (
            |states, now| states.connecting(&node(NODE, HOST), now),
            Connecting,
        ),
        (
            |states, _| states.checking_api_versions(NODE),
            CheckingApiVersions,
        ),
        (|states, _| states.ready(NODE), Ready),
        (|states, _| states.drain(NODE), Draining),
        (|states, now| states.disconnected(NODE, now), Disconnected),
        (
            |states, now| states.connecting(&node(NODE, HOST), now),
            Connecting,
        ),
        (
            |states, now| states.connecting(&node(NODE, "other"), now),
            Connecting,
        ),
        (
            |states, now| states.authentication_failed(NODE, now),
            AuthenticationFailed,
        ),
    ];
    for (change, state) in changes {
        change(&mut states, now);
        assert_eq!(shown(&mut states), Some(vec![state]));
        assert_eq!(shown(&mut states), None, "{state:?}");
    }
    states.throttle(NODE, now);
    states.answered(NODE);
    states.drain(NODE);
    states.ready(OTHER);
    states.remove(OTHER);
    assert_eq!(shown(&mut states), None);
    states.remove(NODE);
    assert_eq!(shown(&mut states), Some(Vec::new()));
}

// Java: ClusterConnectionStatesTest.testClusterConnectionStateChanges.
#[test]
fn a_connection_goes_through_its_states() {
    let (mut states, time) = states();
    assert!(states.can_connect(NODE, time.now()));
    assert_eq!(states.connection_delay(NODE, time.now()), ms(0));

    states.connecting(&node(NODE, HOST), time.now());
    assert!(states.is_connecting(NODE) && states.is_preparing(NODE) && states.has_connection(NODE));
    assert!(!states.is_ready(NODE, time.now()) && !states.is_connected(NODE));
    assert!(!states.can_connect(NODE, time.now()));
    assert_about(
        states.connection_delay(NODE, time.now()),
        SETUP_MS,
        SETUP_MAX_MS,
    );
    time.advance_ms(100);

    states.checking_api_versions(NODE);
    assert!(!states.is_connecting(NODE) && states.is_preparing(NODE));
    assert!(states.is_connected(NODE) && !states.is_ready(NODE, time.now()));
    assert_eq!(states.connection_delay(NODE, time.now()), Duration::MAX);

    states.ready(NODE);
    assert!(states.is_ready(NODE, time.now()) && states.is_connected(NODE));
    assert!(!states.is_preparing(NODE) && !states.can_connect(NODE, time.now()));
    assert_eq!(states.connection_delay(NODE, time.now()), Duration::MAX);
    time.advance_ms(15_000);

    states.disconnected(NODE, time.now());
    assert!(states.is_disconnected(NODE) && !states.is_connected(NODE));
    assert!(!states.can_connect(NODE, time.now()) && !states.has_connection(NODE));
    assert_eq!(states.last_attempt(NODE), Some(time.now()));
    let delay = states.connection_delay(NODE, time.now());
    assert_about(delay, BACKOFF_MS, BACKOFF_MAX_MS);
    time.advance(delay);
    assert!(states.can_connect(NODE, time.now()));
}

// Java: ClusterConnectionStatesTest.testMultipleNodeConnectionStates.
#[test]
fn states_of_several_nodes_are_independent() {
    let (mut states, time) = states();
    states.connecting(&node(NODE, HOST), time.now());
    time.advance_ms(1000);
    states.connecting(&node(OTHER, HOST), time.now());
    states.checking_api_versions(NODE);
    states.ready(NODE);
    assert!(states.is_ready(NODE, time.now()) && states.is_connecting(OTHER));
    states.disconnected(OTHER, time.now());
    assert!(states.is_ready(NODE, time.now()) && states.is_disconnected(OTHER));
    assert_eq!(states.nodes_with_connections(), [NODE]);
}

// Java: ClusterConnectionStatesTest.testMaxReconnectBackoff, testExponentialReconnectBackoff.
#[test]
fn reconnect_backoff_grows_up_to_its_maximum_and_ready_resets_it() {
    let (mut states, time) = states();
    for center in [10_000, 20_000, 40_000, 60_000, 60_000, 60_000] {
        states.connecting(&node(NODE, HOST), time.now());
        time.advance_ms(10);
        states.disconnected(NODE, time.now());
        let delay = states.connection_delay(NODE, time.now());
        assert_about(delay, center, BACKOFF_MAX_MS);
        time.advance(delay - ms(1));
        assert!(!states.can_connect(NODE, time.now()));
        time.advance_ms(1);
        assert!(states.can_connect(NODE, time.now()));
    }
    // A connection that does not become ready does not reset the backoff, so an old broker is not
    // asked again and again.
    states.connecting(&node(NODE, HOST), time.now());
    states.checking_api_versions(NODE);
    states.disconnected(NODE, time.now());
    assert_about(
        states.connection_delay(NODE, time.now()),
        60_000,
        BACKOFF_MAX_MS,
    );

    states.connecting(&node(NODE, HOST), time.now());
    states.ready(NODE);
    states.disconnected(NODE, time.now());
    assert_about(
        states.connection_delay(NODE, time.now()),
        10_000,
        BACKOFF_MAX_MS,
    );
}

// Java: ClusterConnectionStatesTest.testThrottled.
#[test]
fn a_throttled_node_is_ready_after_its_delay() {
    let (mut states, time) = states();
    states.connecting(&node(NODE, HOST), time.now());
    time.advance_ms(1000);
    states.ready(NODE);
    states.throttle(NODE, time.now() + ms(500));
    assert!(!states.is_ready(NODE, time.now()) && states.is_connected(NODE));
    assert_eq!(states.throttle_delay(NODE, time.now()), ms(500));
    assert_eq!(states.poll_delay(NODE, time.now()), ms(500));

    // An earlier time changes nothing.
    states.throttle(NODE, time.now() + ms(100));
    assert_eq!(states.throttle_delay(NODE, time.now()), ms(500));

    time.advance_ms(500);
    assert!(states.is_ready(NODE, time.now()));
    assert_eq!(states.throttle_delay(NODE, time.now()), ms(0));
    assert_eq!(states.poll_delay(NODE, time.now()), Duration::MAX);

    // Throttling a node without a connection has no effect.
    states.throttle(NODE, time.now() + ms(1_000_000));
    states.disconnected(NODE, time.now());
    assert!(states.poll_delay(NODE, time.now()) < ms(20_000));
}

// Java: ClusterConnectionStatesTest.testSingleIP.
#[test]
fn a_single_address_is_used_again_and_again() {
    let (mut states, time) = states();
    for _ in 0..3 {
        states.connecting(&node(NODE, HOST), time.now());
        assert!(states.needs_resolution(NODE));
        assert_eq!(states.current_address(NODE), None);
        states.resolved(NODE, &[ip(1)]);
        assert_eq!(states.current_address(NODE), Some(ip(1)));
        states.disconnected(NODE, time.now());
    }
}

// Java: ClusterConnectionStatesTest.testMultipleIPs.
#[test]
fn addresses_are_tried_in_turn_and_resolved_anew_after_the_last() {
    let (mut states, time) = states();
    states.connecting(&node(NODE, HOST), time.now());
    states.resolved(NODE, &[ip(1), ip(2), ip(3)]);
    assert_eq!(states.current_address(NODE), Some(ip(1)));
    for expected in [ip(2), ip(3)] {
        states.disconnected(NODE, time.now());
        states.connecting(&node(NODE, HOST), time.now());
        assert_eq!(states.current_address(NODE), Some(expected));
    }
    states.disconnected(NODE, time.now());
    states.connecting(&node(NODE, HOST), time.now());
    assert!(states.needs_resolution(NODE));
}

// Java: ClusterConnectionStatesTest.testSkipLastAttemptedIp.
#[test]
fn a_new_resolution_skips_the_last_address() {
    let (mut states, time) = states();
    states.connecting(&node(NODE, HOST), time.now());
    states.resolved(NODE, &[ip(1), ip(2)]);
    states.current_address(NODE);
    states.checking_api_versions(NODE);
    states.ready(NODE);

    // An established connection was lost. The name is resolved again, and another address is used.
    states.disconnected(NODE, time.now());
    states.connecting(&node(NODE, HOST), time.now());
    assert!(states.needs_resolution(NODE));
    states.resolved(NODE, &[ip(1), ip(2)]);
    assert_eq!(states.current_address(NODE), Some(ip(2)));

    // The other address now comes first on its own.
    states.ready(NODE);
    states.disconnected(NODE, time.now());
    states.connecting(&node(NODE, HOST), time.now());
    states.resolved(NODE, &[ip(3), ip(2)]);
    assert_eq!(states.current_address(NODE), Some(ip(3)));

    // There is no other address.
    states.ready(NODE);
    states.disconnected(NODE, time.now());
    states.connecting(&node(NODE, HOST), time.now());
    states.resolved(NODE, &[ip(3)]);
    assert_eq!(states.current_address(NODE), Some(ip(3)));
}

// Java: ClusterConnectionStatesTest.testHostResolveChange, testNodeWithNewHostname.
#[test]
fn a_new_host_starts_afresh() {
    let (mut states, time) = states();
    states.connecting(&node(NODE, HOST), time.now());
    states.resolved(NODE, &[ip(1), ip(2)]);
    states.current_address(NODE);
    for _ in 0..5 {
        states.disconnected(NODE, time.now());
    }
    states.connecting(&node(NODE, "elsewhere"), time.now());
    assert!(states.needs_resolution(NODE));
    states.resolved(NODE, &[ip(9), ip(8)]);
    assert_eq!(states.current_address(NODE), Some(ip(9)));
    states.disconnected(NODE, time.now());
    assert_about(
        states.connection_delay(NODE, time.now()),
        BACKOFF_MS,
        BACKOFF_MAX_MS,
    );
}

// Java: ClientUtilsTest.testFilterPreferredAddresses.
#[test]
fn addresses_of_the_other_family_are_tried_last() {
    let v6 = |last| SocketAddr::from((Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, last), PORT));
    let (mut states, time) = states();
    let mut next = |addresses: &[SocketAddr]| {
        states.connecting(&node(NODE, HOST), time.now());
        if states.needs_resolution(NODE) {
            states.resolved(NODE, addresses);
        }
        let address = states.current_address(NODE);
        states.disconnected(NODE, time.now());
        address.unwrap()
    };
    let all = [v6(2), ip(2), v6(1), ip(1)];
    assert_eq!([(); 4].map(|()| next(&all)), [ip(2), ip(1), v6(2), v6(1)]);
    assert_eq!(next(&all), ip(2), "they were resolved anew");
}

/// After a lost connection the name is resolved again. Addresses of the other family may not work
/// here at all, so the client keeps the address that worked.
#[test]
fn an_address_that_worked_is_not_left_for_the_other_family() {
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, PORT));
    let (mut states, time) = states();
    for _ in 0..2 {
        states.connecting(&node(NODE, HOST), time.now());
        states.resolved(NODE, &[v6, ip(1)]);
        assert_eq!(states.current_address(NODE), Some(ip(1)));
        states.checking_api_versions(NODE);
        states.ready(NODE);
        states.disconnected(NODE, time.now());
    }
}

// Java: ClusterConnectionStatesTest.testIsPreparingConnection.
#[test]
fn a_connection_is_prepared_until_it_is_ready() {
    let (mut states, time) = states();
    assert!(!states.is_preparing(NODE));
    states.connecting(&node(NODE, HOST), time.now());
    assert!(states.is_preparing(NODE));
    states.checking_api_versions(NODE);
    assert!(states.is_preparing(NODE));
    states.disconnected(NODE, time.now());
    assert!(!states.is_preparing(NODE));
}

// Java: ClusterConnectionStatesTest.testExponentialConnectionSetupTimeout.
#[test]
fn connection_setup_timeout_grows_and_a_connection_resets_it() {
    let (mut states, time) = states();
    let timeout = |states: &ClusterConnectionStates| states.connection_setup_timeout(NODE).unwrap();
    states.connecting(&node(NODE, HOST), time.now());
    assert_about(timeout(&states), SETUP_MS, SETUP_MAX_MS);
    for center in [20_000, 40_000, 80_000, 127_000, 127_000] {
        states.disconnected(NODE, time.now());
        assert_about(timeout(&states), center, SETUP_MAX_MS);
        states.connecting(&node(NODE, HOST), time.now());
    }
    states.checking_api_versions(NODE);
    assert_about(timeout(&states), SETUP_MS, SETUP_MAX_MS);
    // The loss of an established connection does not affect the setup timeout.
    states.disconnected(NODE, time.now());
    assert_about(timeout(&states), SETUP_MS, SETUP_MAX_MS);
}

// Java: ClusterConnectionStatesTest.testTimedOutConnections.
#[test]
fn connections_time_out_after_their_setup_timeout() {
    let (mut states, time) = states();
    states.connecting(&node(NODE, HOST), time.now());
    time.advance_ms(SETUP_MS * 3 / 10);
    states.connecting(&node(OTHER, HOST), time.now());
    let first = states.next_setup_timeout(time.now()).unwrap();
    assert!(
        states
            .nodes_with_connection_setup_timeout(first - ms(1))
            .is_empty()
    );
    assert!(!states.nodes_with_connection_setup_timeout(first).is_empty());

    let late = time.now() + ms(SETUP_MS * 12 / 10);
    assert_eq!(
        states.nodes_with_connection_setup_timeout(late),
        [NODE, OTHER]
    );
    states.checking_api_versions(NODE);
    assert_eq!(states.nodes_with_connection_setup_timeout(late), [OTHER]);
    states.disconnected(OTHER, late);
    assert!(states.nodes_with_connection_setup_timeout(late).is_empty());
    assert_eq!(states.next_setup_timeout(late), None);
}

#[test]
fn an_address_keeps_its_scope_and_gets_the_port_of_the_node() {
    let (mut states, time) = states();
    let scoped: SocketAddr = "[fe80::1%4]:0".parse().unwrap();
    states.connecting(&node(NODE, HOST), time.now());
    states.resolved(NODE, &[scoped]);
    let connected: SocketAddr = "[fe80::1%4]:9092".parse().unwrap();
    assert_eq!(states.current_address(NODE), Some(connected));

    // The next attempt uses the node's current port.
    states.disconnected(NODE, time.now());
    let moved = Node::new(NODE, HOST, 9093, None);
    states.connecting(&moved, time.now());
    states.resolved(NODE, &[scoped]);
    let port = states.current_address(NODE).map(|address| address.port());
    assert_eq!(port, Some(9093));
}

#[test]
fn a_node_that_moved_is_drained() {
    let (mut states, time) = states();
    let (old, new) = (node(NODE, HOST), Node::new(NODE, HOST, 9093, None));
    assert_eq!(states.moved_from(&new), None);
    states.connecting(&old, time.now());
    assert_eq!(states.moved_from(&old), None);
    assert_eq!(states.moved_from(&new), Some(old.clone()));
    states.drain(NODE);
    assert!(!states.is_draining(NODE), "there is nothing to wait for");
    states.ready(NODE);
    states.drain(NODE);
    assert!(states.is_draining(NODE) && states.is_connected(NODE));
    assert!(!states.is_ready(NODE, time.now()) && !states.can_connect(NODE, time.now()));
    assert!(!states.is_preparing(NODE) && states.has_connection(NODE));
    assert_eq!(states.connection_delay(NODE, time.now()), Duration::MAX);

    states.remove(NODE);
    assert!(states.can_connect(NODE, time.now()), "without a backoff");
    states.connecting(&new, time.now());
    states.disconnected(NODE, time.now());
    assert_eq!(states.moved_from(&old), None, "it has no connection");
}
