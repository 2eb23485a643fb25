//! Updates of the metadata, and starting again (KIP-899, KIP-1102).

use super::*;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{FinalizedFeature, MetadataRequest};

const BOOT: NodeId = NodeId(-1);

impl Fixture {
    /// Polls until the metadata request is written.
    fn metadata_request(&mut self) -> (NodeId, RequestHeader, MetadataRequest) {
        for _ in 0..10 {
            self.poll();
            for sent in self.selector.take_sent() {
                let (header, body) = decode_request(&sent.message().to_vec()).unwrap();
                match body {
                    RequestBody::Metadata(body) => return (sent.destination(), header, body),
                    _ => self.answer(sent.destination(), &header, all_versions()),
                }
            }
        }
        panic!("no metadata was asked for");
    }

    fn is_bootstrap(&self) -> bool {
        self.metadata.snapshot().is_bootstrap()
    }
}

#[test]
fn the_first_poll_connects_and_asks_for_metadata() {
    let mut f = Fixture::bootstrapped(config());
    let (node, header, request) = f.metadata_request();
    assert_eq!((node, header.api_version), (BOOT, 13));
    assert_eq!(request.topics, Some(Vec::new()));
    assert!(request.allow_auto_topic_creation);
    f.answer(BOOT, &header, metadata_response());
    assert!(f.poll().is_empty(), "the caller did not ask");
    assert!(!f.is_bootstrap());
    assert_eq!(f.metadata.load().nodes().len(), 3);
}

// Java: NetworkClient.isReady; the metadata request goes first.
#[test]
fn no_node_is_ready_while_an_update_is_due() {
    let mut f = Fixture::new();
    f.make_ready(0);
    f.metadata.request_update();
    assert!(f.client.is_ready(NODE, f.now()), "the backoff is not over");
    f.time.advance_ms(50);
    assert!(!f.client.is_ready(NODE, f.now()));
    let node = f.node(0);
    assert!(!f.client.ready(&node, f.now()));
    let (_, header, _) = f.metadata_request();
    assert!(f.client.is_ready(NODE, f.now()), "it was asked for");
    f.answer(NODE, &header, metadata_response());
    f.poll();
    assert!(f.client.is_ready(NODE, f.now()));
}

// Java: NetworkClientTest.testDisconnectDuringUserMetadataRequest, testServerDisconnectAfterInternalMetadata...
#[test]
fn a_metadata_request_goes_to_another_node_after_a_disconnect() {
    let mut f = Fixture::new();
    f.make_ready(0);
    f.make_ready(1);
    f.metadata.request_update();
    f.time.advance_ms(50);
    let (node, _, _) = f.metadata_request();
    let produce = f.send_and_write(node).correlation_id;
    f.selector.server_disconnect(node);
    let responses = f.poll();
    assert_eq!(
        failures(&responses),
        [(produce, false, true)],
        "the caller's alone"
    );
    assert!(
        !f.client.updater.is_update_due(f.now()),
        "after the backoff"
    );
    f.time.advance_ms(50);
    let (other, header, _) = f.metadata_request();
    assert_ne!(other, node);
    f.answer(other, &header, metadata_response());
    f.poll();
    assert!(!f.metadata.is_update_requested());
}

#[test]
fn a_metadata_request_without_an_answer_is_given_up() {
    let mut f = Fixture::bootstrapped(config());
    f.metadata_request();
    f.time.advance_ms(REQUEST_TIMEOUT_MS);
    assert!(f.poll().is_empty());
    assert!(f.client.connection_failed(BOOT));
    f.time.advance_ms(RECONNECT_MS);
    f.metadata_request();
}

#[test]
fn metadata_that_cannot_be_understood_is_a_failed_update() {
    let mut f = Fixture::bootstrapped(config());
    let (_, header, _) = f.metadata_request();
    let mut garbage = header.correlation_id.to_be_bytes().to_vec();
    garbage.extend([0xff; 20]);
    f.selector.receive(BOOT, garbage);
    assert!(f.poll().is_empty());
    assert!(f.client.connection_failed(BOOT) && f.is_bootstrap());
    f.time.advance_ms(RECONNECT_MS);
    f.metadata_request();
}

// Unreachable nodes cause no busy loop.
#[test]
fn a_cluster_that_is_down_is_asked_for_with_backoff() {
    let mut f = Fixture::bootstrapped(NetworkClientConfig {
        reconnect_backoff_max: ms(1000),
        ..config()
    });
    let refused = std::io::ErrorKind::ConnectionRefused;
    f.selector.refuse_connects(BOOT, Some(refused));
    let end = f.now() + Duration::from_secs(60);
    let mut polls = 0;
    while f.now() < end {
        // The mock's wait advances the clock.
        f.client.poll(Duration::MAX, f.now());
        polls += 1;
    }
    let attempts = f.selector.take_connects().len();
    assert!(
        (50..=100).contains(&attempts),
        "{attempts} attempts in a minute"
    );
    assert!(
        polls <= 60_000 / RECONNECT_MS + 100,
        "{polls} polls in a minute"
    );
}

// Java: NetworkClientTest.testRebootstrap. KIP-899: no known node is reachable.
#[test]
fn rebootstrap_when_no_node_is_available() {
    let mut f = Fixture::new();
    let refused = std::io::ErrorKind::ConnectionRefused;
    for id in 0..3 {
        f.selector.refuse_connects(NodeId(id), Some(refused));
        let node = f.node(id);
        f.client.ready(&node, f.now());
    }
    assert!(!f.is_bootstrap());
    f.time.advance_ms(RECONNECT_MS - 1);
    f.metadata.add("t", f.now());
    let (node, _, request) = f.metadata_request();
    assert_eq!(node, BOOT);
    assert_eq!(request.topics.map(|topics| topics.len()), Some(1));
}

// Java: NetworkClientTest.testRebootstrapTrigger... KIP-1102.
#[test]
fn rebootstrap_after_a_time_without_metadata() {
    let mut f = Fixture::bootstrapped(NetworkClientConfig {
        metadata_recovery_rebootstrap_trigger: ms(3000),
        ..config()
    });
    f.update_metadata();
    f.make_ready(0);
    f.metadata.request_update();
    f.time.advance_ms(50);
    // Node 0 sends an empty response each time.
    for _ in 0..2 {
        let (node, header, _) = f.metadata_request();
        f.answer(node, &header, MetadataResponse::default());
        assert!(f.poll().is_empty());
        f.time.advance_ms(100);
    }
    let produce = f.send(NODE);
    f.time.advance_ms(900);
    f.poll();
    f.time.advance_ms(1900);
    let mut responses = f.poll();
    while !f.is_bootstrap() {
        f.time.advance_ms(10);
        responses.extend(f.poll());
    }
    assert_eq!(responses.len(), 1);
    assert_eq!(responses[0].correlation_id, produce);
    assert!(!f.client.connections.states.has_connection(NODE));
}

// Java: NetworkClientTest.testRebootstrapRequired... KIP-1102.
#[test]
fn rebootstrap_when_a_broker_asks_for_it() {
    let mut f = Fixture::new();
    f.make_ready(0);
    f.make_ready(1);
    let produce = f.send_and_write(NodeId(1)).correlation_id;
    f.metadata.request_update();
    f.time.advance_ms(50);
    let (node, header, _) = f.metadata_request();
    assert_eq!(node, NODE, "the other has a request");
    let response = MetadataResponse {
        error_code: ErrorCode::REBOOTSTRAP_REQUIRED,
        ..metadata_response()
    };
    f.answer(node, &header, response);
    let responses = f.poll();
    assert_eq!(failures(&responses), [(produce, false, true)]);
    assert!(f.is_bootstrap());
    let mut closed = f.selector.take_closed();
    closed.sort();
    assert_eq!(closed, [NodeId(0), NodeId(1)], "every connection");
    f.time.advance_ms(100);
    assert_eq!(f.metadata_request().0, BOOT);
}

fn versions_with_feature(epoch: i64, level: i16) -> ApiVersionsResponse {
    ApiVersionsResponse {
        finalized_features_epoch: epoch,
        finalized_features: vec![FinalizedFeature {
            name: "transaction.version".to_owned(),
            max_version_level: level,
            min_version_level: level,
        }],
        ..all_versions()
    }
}

// The cluster is restored from a backup at the same address, with a lower epoch of its features.
#[test]
fn a_rebootstrap_forgets_the_finalized_features() {
    let mut f = Fixture::new();
    f.make_ready_with(0, &versions_with_feature(10, 2));
    assert_eq!(f.client.finalized_feature_level("transaction.version"), 2);
    f.metadata.request_update();
    f.time.advance_ms(100);
    let (node, header, _) = f.metadata_request();
    let response = MetadataResponse {
        error_code: ErrorCode::REBOOTSTRAP_REQUIRED,
        ..metadata_response()
    };
    f.answer(node, &header, response);
    f.poll();
    assert!(f.is_bootstrap());
    assert_eq!(f.client.finalized_feature_level("transaction.version"), 0);

    f.time.advance_ms(100);
    let (node, header, _) = f.metadata_request();
    f.answer(node, &header, metadata_response());
    f.poll();
    f.make_ready_with(0, &versions_with_feature(3, 1));
    assert_eq!(f.client.finalized_feature_level("transaction.version"), 1);
}

#[test]
fn another_cluster_id_replaces_the_finalized_features() {
    let mut f = Fixture::new();
    let response = |id: &str| MetadataResponse {
        cluster_id: Some(id.to_owned()),
        ..metadata_response()
    };
    f.make_ready_with(0, &versions_with_feature(10, 2));
    for (id, level) in [("old", 2), ("old", 2)] {
        f.metadata.request_update();
        f.time.advance_ms(100);
        let (node, header, _) = f.metadata_request();
        f.answer(node, &header, response(id));
        f.poll();
        assert_eq!(
            f.client.finalized_feature_level("transaction.version"),
            level
        );
    }
    f.selector.server_disconnect(NODE);
    f.poll();
    let header = f.connect(1);
    f.answer(NodeId(1), &header, versions_with_feature(3, 1));
    assert!(f.poll().is_empty());
    assert_eq!(f.client.finalized_feature_level("transaction.version"), 2);
    f.time.advance_ms(100);
    let (node, header, _) = f.metadata_request();
    f.answer(node, &header, response("new"));
    f.poll();
    assert_eq!(f.client.finalized_feature_level("transaction.version"), 1);
}

// Contradictory metadata arrive at a high rate.
#[test]
fn flapping_metadata_is_asked_for_with_backoff() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let start = f.now();
    let mut asked = 0;
    while f.now() - start < Duration::from_secs(10) {
        f.metadata.request_update();
        f.time.advance_ms(1);
        f.poll();
        for sent in f.selector.take_sent() {
            let (header, body) = decode_request(&sent.message().to_vec()).unwrap();
            match body {
                RequestBody::Metadata(_) => {
                    asked += 1;
                    f.answer(sent.destination(), &header, metadata_response());
                }
                _ => f.answer(sent.destination(), &header, all_versions()),
            }
        }
    }
    assert!(
        (100..=200).contains(&asked),
        "{asked} requests, at least 50 ms apart"
    );
}
