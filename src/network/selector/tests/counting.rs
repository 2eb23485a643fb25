//! The selector's metrics. Java: `SelectorTest.testConnectionsByClientMetric`,
//! `testPartialSendAndReceiveReflectedInMetrics`.

use super::*;

/// The size of a frame with 100 bytes of payload.
const FRAME: f64 = 104.0;

#[test]
fn a_connection_counts_its_requests_responses_and_bytes() {
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    for size in [100, 300] {
        harness.send(NODE, &vec![7; size]);
        harness.poll_until(|harness| !harness.sent.is_empty());
        harness.sent.clear();
        read_frame(&mut peer).unwrap();
    }
    peer.write_all(&frame(&[7; 100])).unwrap();
    harness.poll_until(|harness| harness.received.len() == 1);
    let snapshot = harness.metrics.snapshot();
    for group in ["producer-metrics", "producer-node-metrics"] {
        let number = |name| snapshot.number(group, name).unwrap();
        assert_eq!(number("request-total"), 2.0, "{group}");
        assert_eq!(number("request-size-avg"), FRAME + 100.0, "{group}");
        assert_eq!(number("request-size-max"), FRAME + 200.0, "{group}");
        assert_eq!(
            number("outgoing-byte-total"),
            2.0 * FRAME + 200.0,
            "{group}"
        );
        assert_eq!(number("response-total"), 1.0, "{group}");
        assert_eq!(number("incoming-byte-total"), FRAME, "{group}");
        // The clock does not move, so one full window is assumed.
        assert_eq!(number("request-rate"), 2.0 / 30.0, "{group}");
        assert_eq!(number("incoming-byte-rate"), FRAME / 30.0, "{group}");
    }
    let number = |name| snapshot.number("producer-metrics", name).unwrap();
    assert!(number("network-io-total") >= 3.0);
    assert_eq!(number("connection-count"), 1.0);
    assert_eq!(number("connection-creation-total"), 1.0);
    assert_eq!(number("connection-close-total"), 0.0);
    assert_eq!(number("successful-authentication-total"), 0.0, "plaintext");
    assert!(number("select-total") >= 3.0);
    assert_eq!(number("io-wait-time-ns-total"), 0.0);
    let tag = snapshot
        .all("producer-node-metrics", "request-total")
        .next();
    assert_eq!(tag.unwrap().name().tag("node-id"), Some("node-0"));

    drop(peer);
    harness.poll_until(|harness| !harness.disconnected.is_empty());
    let snapshot = harness.metrics.snapshot();
    let number = |name| snapshot.number("producer-metrics", name).unwrap();
    assert_eq!(number("connection-count"), 0.0);
    assert_eq!(number("connection-close-total"), 1.0);
}
