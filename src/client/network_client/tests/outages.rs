//! The log while a node is down. The lines are those of this thread.

use super::*;
use crate::network::Disconnect;
use crate::utils::log::Level;
use crate::utils::log::test_lines;

fn refused() -> Disconnect {
    Disconnect::NotConnected {
        kind: std::io::ErrorKind::ConnectionRefused,
        message: "connection refused".to_owned(),
    }
}

/// Tries to connect again and again for this long, each time after the backoff.
fn fail_for(f: &mut Fixture, seconds: u64) {
    let end = f.now() + Duration::from_secs(seconds);
    while f.now() < end {
        // Another node responds, so the metadata stay valid.
        f.update_metadata();
        let node = f.node(0);
        f.client.ready(&node, f.now());
        f.poll();
        f.selector.lose(NODE, refused());
        f.poll();
        f.time.advance_ms(RECONNECT_MS);
    }
    f.update_metadata();
}

fn at_least(level: Level, lines: &[(Level, String)]) -> Vec<String> {
    let shown = lines.iter().filter(|(of, _)| *of <= level);
    shown.map(|(of, text)| format!("{of} {text}")).collect()
}

#[test]
fn an_outage_is_a_line_at_its_begin_one_a_minute_and_one_at_its_end() {
    let lines = test_lines();
    let mut f = Fixture::new();
    f.selector.hold_connects(true);
    fail_for(&mut f, 1);
    let begin = at_least(Level::Info, &lines.take());
    assert_eq!(
        begin,
        [
            "WARN node 10.0.0.0:9092 (id: 0) failed: the connection could not be made: connection refused; \
          further failures are logged once a minute"
        ]
    );
    fail_for(&mut f, 179);
    let later = at_least(Level::Info, &lines.take());
    assert_eq!(later.len(), 2, "{later:#?}");
    assert!(
        later[0].ends_with("connection refused; failure 1201 in 60 s"),
        "{later:#?}"
    );

    f.selector.hold_connects(false);
    f.make_ready(0);
    let header = f.send_and_write(NODE);
    f.answer(NODE, &header, produce_response(0));
    f.poll();
    let back = at_least(Level::Info, &lines.take());
    assert_eq!(
        back,
        ["INFO node 10.0.0.0:9092 (id: 0) is back after 180 s and 3600 failures"]
    );
    fail_for(&mut f, 1);
    assert_eq!(at_least(Level::Warn, &lines.take()).len(), 1);
}

#[test]
fn another_kind_of_failure_is_logged_at_once() {
    let lines = test_lines();
    let mut f = Fixture::new();
    f.make_ready(0);
    f.send_and_write(NODE);
    f.selector.server_disconnect(NODE);
    f.poll();
    f.time.advance_ms(RECONNECT_MS);
    f.update_metadata();
    f.selector.hold_connects(true);
    let node = f.node(0);
    f.client.ready(&node, f.now());
    f.time.advance_ms(SETUP_MS);
    f.poll();
    let warnings = at_least(Level::Warn, &lines.take());
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(
        warnings[0].contains("closed the connection"),
        "{warnings:#?}"
    );
    assert!(
        warnings[1].contains("no connection within"),
        "{warnings:#?}"
    );
}

#[test]
fn a_connection_that_is_closed_at_rest_is_no_outage() {
    let lines = test_lines();
    let mut f = Fixture::new();
    f.make_ready(0);
    let header = f.send_and_write(NODE);
    f.answer(NODE, &header, produce_response(0));
    f.poll();
    f.selector.server_disconnect(NODE);
    f.poll();
    let shown = at_least(Level::Info, &lines.take());
    assert_eq!(
        shown,
        ["INFO node 10.0.0.0:9092 (id: 0) disconnected: the peer closed the connection"]
    );
}

#[test]
fn an_address_is_one_node_whatever_its_id() {
    let lines = test_lines();
    let mut outages = Outages::default();
    let start = MockTime::new().now();
    let node = |id| Node::new(NodeId(id), "host", 9092, None);
    outages.failed(&node(-1), ErrorKind::Network, "refused", start);
    outages.failed(&node(7), ErrorKind::Network, "refused", start);
    assert_eq!(at_least(Level::Warn, &lines.take()).len(), 1);
    outages.recovered(&node(7), start);
    assert_eq!(at_least(Level::Info, &lines.take()).len(), 1);
}

/// Each connection is lost after a response.
#[test]
fn a_node_that_comes_and_goes_gives_two_lines_a_minute() {
    let lines = test_lines();
    let mut outages = Outages::default();
    let time = MockTime::new();
    let node = Node::new(NodeId(1), "host", 9092, None);
    let mut shown = Vec::new();
    for _ in 0..130 {
        outages.failed(&node, ErrorKind::Network, "lost", time.now());
        outages.recovered(&node, time.now());
        // Further responses of the same connection.
        outages.recovered(&node, time.now());
        time.advance_ms(1_000);
        shown.push(at_least(Level::Info, &lines.take()).len());
    }
    let seconds: Vec<_> = (0..130).filter(|second| shown[*second] > 0).collect();
    assert_eq!(seconds, [0, 60, 120]);
    assert_eq!(shown[0], 2);
    // An outage that begins unseen is logged when its minute has passed, and so is its end.
    for _ in 0..60 {
        outages.failed(&node, ErrorKind::Network, "lost", time.now());
        time.advance_ms(1_000);
    }
    outages.recovered(&node, time.now());
    let shown = at_least(Level::Info, &lines.take());
    assert_eq!(
        shown,
        [
            "WARN node host:9092 (id: 1) failed: lost; failure 51 in 50 s",
            "INFO node host:9092 (id: 1) is back after 60 s and 60 failures"
        ]
    );
}
