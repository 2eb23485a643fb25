//! The first exchange on a connection.

use super::*;
use crate::error::ErrorKind;
use crate::protocol::ErrorCode;

/// The version of ApiVersions that a new connection begins with.
const LATEST: i16 = 5;

fn refusal(api_keys: &[(ApiKey, i16, i16)]) -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        ..versions(api_keys)
    }
}

// Java: NetworkClientTest.testApiVersionsRequest.
#[test]
fn a_node_is_ready_after_its_api_versions() {
    let mut f = Fixture::new();
    let node = f.node(0);
    f.client.ready(&node, f.now());
    assert!(f.client.connections.states.is_connecting(NODE));
    f.poll();
    assert!(f.client.connections.states.is_connected(NODE));
    assert!(
        !f.client.is_ready(NODE, f.now()),
        "its versions are not known"
    );
    f.poll();
    let (header, body) = f.sent();
    assert_eq!(header.api_version, LATEST);
    let RequestBody::ApiVersions(body) = body else {
        panic!("{body:?}");
    };
    assert_eq!(body.client_software_name, "kafka-producer");
    assert_eq!(body.client_software_version, env!("CARGO_PKG_VERSION"));

    assert_eq!(
        f.selector.receive_limit(NODE),
        None,
        "the small limit of a new connection"
    );
    f.answer(NODE, &header, all_versions());
    f.poll();
    assert!(f.client.is_ready(NODE, f.now()));
    assert_eq!(f.selector.receive_limit(NODE), Some(1_000_000));
}

// Java: NetworkClientTest.testUnsupportedApiVersionsRequestWithVersionProvidedByTheBroker.
#[test]
fn a_refused_api_versions_request_is_sent_again_in_the_version_of_the_broker() {
    let mut f = Fixture::new();
    let header = f.connect(0);
    assert_eq!(header.api_version, LATEST);
    f.answer(NODE, &header, refusal(&[(ApiKey::ApiVersions, 0, 2)]));
    f.poll();
    let header = f.sent_api_versions_request();
    assert_eq!(header.api_version, 2);
    assert!(!f.client.is_ready(NODE, f.now()));
    f.answer(NODE, &header, all_versions());
    f.poll();
    assert!(f.client.is_ready(NODE, f.now()));
}

// Java: NetworkClientTest.testUnsupportedApiVersionsRequestWithoutVersionProvidedByTheBroker.
#[test]
fn a_refused_api_versions_request_is_sent_again_in_version_0() {
    let mut f = Fixture::new();
    let header = f.connect(0);
    f.answer(NODE, &header, refusal(&[]));
    f.poll();
    let header = f.sent_api_versions_request();
    assert_eq!(header.api_version, 0);
    f.answer(NODE, &header, all_versions());
    f.poll();
    assert!(f.client.is_ready(NODE, f.now()));
}

// A broker that returns the refused version again, or an invalid one, gets a request in version 0
// and is then dropped.
#[test]
fn falling_back_comes_to_an_end() {
    for highest in [LATEST, i16::MAX, -1, i16::MIN] {
        let mut f = Fixture::new();
        let header = f.connect(0);
        f.answer(NODE, &header, refusal(&[(ApiKey::ApiVersions, 0, highest)]));
        f.poll();
        let header = f.sent_api_versions_request();
        assert_eq!(header.api_version, 0, "{highest}");
        f.answer(NODE, &header, refusal(&[]));
        f.poll();
        assert!(f.client.connection_failed(NODE));
        assert_eq!(f.selector.take_closed(), [NODE]);
    }
}

// Java: NetworkClientTest.testInvalidApiVersionsRequest.
#[test]
fn an_invalid_api_versions_request_closes_the_connection() {
    let mut f = Fixture::new();
    let header = f.connect(0);
    let response = ApiVersionsResponse {
        error_code: ErrorCode::INVALID_REQUEST,
        ..ApiVersionsResponse::default()
    };
    f.answer(NODE, &header, response);
    assert!(f.poll().is_empty());
    assert!(f.client.connection_failed(NODE));
    assert_eq!(f.selector.take_closed(), [NODE]);
    assert!(f.client.connection_delay(NODE, f.now()) > ms(0));
}

// Java: NetworkClientTest.testServerDisconnectAfterInternalApiVersionRequest.
#[test]
fn a_disconnect_before_the_api_versions_fails_the_connection() {
    let mut f = Fixture::new();
    for _ in 0..3 {
        f.connect(0);
        f.selector.server_disconnect(NODE);
        assert!(f.poll().is_empty(), "nobody asked for the versions");
        assert!(!f.client.has_in_flight_requests());
        assert!(f.client.connection_failed(NODE));
        f.time.advance_ms(RECONNECT_MS);
        f.update_metadata();
    }
    f.make_ready(0);
}

#[test]
fn a_connection_lost_before_its_versions_were_asked_for() {
    let mut f = Fixture::new();
    let node = f.node(0);
    f.client.ready(&node, f.now());
    f.selector.hold_connects(true);
    f.poll();
    f.selector.server_disconnect(NODE);
    f.poll();
    f.selector.hold_connects(false);
    f.poll();
    assert!(f.selector.take_sent().is_empty());
    assert!(f.client.connection_failed(NODE));
}

// Java: NetworkClientTest.testDefaultRequestTimeout..., for the versions. The broker is frozen but
// accepts connections.
#[test]
fn a_broker_that_does_not_tell_its_versions_is_given_up() {
    let mut f = Fixture::new();
    f.connect(0);
    f.time.advance_ms(REQUEST_TIMEOUT_MS - 1);
    f.poll();
    assert!(!f.client.connection_failed(NODE));
    f.time.advance_ms(1);
    f.poll();
    assert!(f.client.connection_failed(NODE));
    assert_eq!(f.selector.take_closed(), [NODE]);
}

// Java: NetworkClientTest.testUnsupportedVersionDuringInternalMetadataRequest; brokers before 2.1.
#[test]
fn a_broker_that_is_too_old_is_named_to_the_waiting_caller() {
    let mut f = Fixture::new();
    let header = f.connect(0);
    let old = versions(&[(ApiKey::Produce, 0, 2), (ApiKey::InitProducerId, 0, 0)]);
    f.answer(NODE, &header, old);
    f.poll();
    assert!(f.client.connection_failed(NODE));
    let wait = |f: &Fixture| {
        f.metadata
            .await_update(u64::MAX, ms(0), &f.time)
            .unwrap_err()
    };
    let error = wait(&f);
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    let text = error.to_string();
    for part in [
        "10.0.0.0:9092",
        "Produce versions 3 to 13 are needed, 0 to 2 are supported",
        "Metadata versions 4 to 13 are needed, none are supported",
        "2.1",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(wait(&f).kind(), ErrorKind::Timeout);
}

#[test]
fn a_broker_that_is_too_old_is_not_tried_again_at_once() {
    let mut f = Fixture::bootstrapped(NetworkClientConfig {
        reconnect_backoff_max: ms(100 * RECONNECT_MS),
        ..config()
    });
    f.update_metadata();
    let mut last = ms(0);
    for _ in 0..4 {
        let header = f.connect(0);
        f.answer(NODE, &header, versions(&[(ApiKey::Produce, 0, 2)]));
        f.poll();
        let delay = f.client.connection_delay(NODE, f.now());
        assert!(delay > last, "the backoff grows");
        last = delay;
        f.time.advance(delay);
        f.update_metadata();
    }
}
