//! Requests and their responses.

use super::*;
use crate::network::Disconnect;

// Java: NetworkClientTest.testSendToUnreadyNode.
#[test]
fn a_send_to_a_node_that_is_not_ready_is_refused() {
    let mut f = Fixture::new();
    let request = f.request(NODE);
    let refused = f.client.send(request, f.now()).unwrap_err();
    assert_eq!(refused.destination, NODE);
    assert_eq!(f.client.in_flight_request_count(), 0);
}

// Java: NetworkClientTest.testSimpleRequestResponse.
#[test]
fn a_request_gets_its_response() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let id = f.send(NODE);
    assert!(f.client.has_in_flight_requests());
    assert!(f.poll().is_empty());
    let (header, body) = f.sent();
    assert_eq!(header.correlation_id, id.0);
    assert_eq!((header.api_key, header.api_version), (0, 12));
    assert_eq!(header.client_id.as_deref(), Some("mock"));
    assert!(matches!(body, RequestBody::Produce(_)));

    f.time.advance_ms(5);
    f.answer(NODE, &header, produce_response(0));
    let responses = f.poll();
    assert_eq!(responses.len(), 1);
    let response = &responses[0];
    assert_eq!((response.correlation_id, response.api_version), (id, 12));
    assert!(matches!(
        response.outcome,
        Ok(Some(ResponseBody::Produce(_)))
    ));
    assert!(!f.client.has_in_flight_requests());
}

// Java: NetworkClientTest.testUnsupportedVersionDuringInternalMetadataRequest has the other half.
#[test]
fn the_version_is_the_highest_that_can_carry_the_request() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let send = |f: &mut Fixture, topic_id, name: &str| {
        let mut request = f.request(NODE);
        let mut body = produce_request(topic_id);
        body.topics[0].name = Arc::from(name);
        request.body = body.into();
        request.versions = request.body.api_key().versions();
        f.client.send(request, f.now()).unwrap();
        assert!(f.poll().is_empty());
        f.sent().0.api_version
    };
    let id = Uuid::from_bytes([1; 16]);
    assert_eq!(send(&mut f, Uuid::ZERO, "t"), 12, "names the topic");
    assert_eq!(send(&mut f, id, ""), 13, "has the id of the topic");
    assert_eq!(send(&mut f, id, "t"), 13);
    assert_eq!(f.client.api_version(NODE, ApiKey::Produce), Some(13));
    assert_eq!(f.client.api_version(NodeId(1), ApiKey::Produce), None);
}

#[test]
fn a_request_that_the_node_cannot_read_is_not_sent() {
    let mut f = Fixture::new();
    f.make_ready_with(
        0,
        &versions(&[(ApiKey::Produce, 13, 13), (ApiKey::Metadata, 4, 13)]),
    );
    let id = f.send(NODE);
    assert!(!f.client.was_written(id, NODE));
    let responses = f.poll();
    assert_eq!(responses[0].correlation_id, id);
    let Err(RequestFailure::UnsupportedVersion { message, node }) = &responses[0].outcome else {
        panic!("{responses:?}");
    };
    assert_eq!(
        message,
        "Produce versions 3 to 12 are needed, 13 to 13 are supported"
    );
    assert!(node.contains("10.0.0.0:9092"), "{node}");
    f.poll();
    assert!(f.selector.take_sent().is_empty());
    assert!(
        f.client.is_ready(NODE, f.now()),
        "the connection is not to blame"
    );
}

#[test]
fn an_acks_0_request_is_complete_when_it_is_written() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let mut request = f.request(NODE);
    request.expect_response = false;
    f.selector.hold_sends(NODE, Some(10));
    let id = f.client.send(request, f.now()).unwrap();
    assert!(f.poll().is_empty());
    assert!(f.client.has_in_flight_requests());

    f.selector.hold_sends(NODE, None);
    let responses = f.poll();
    assert_eq!(responses[0].correlation_id, id);
    assert!(matches!(responses[0].outcome, Ok(None)));
    assert!(!f.client.has_in_flight_requests());
}

#[test]
fn a_node_takes_a_request_when_the_last_is_written_and_there_is_room() {
    let mut f = Fixture::new();
    f.make_ready(0);
    for _ in 0..MAX_IN_FLIGHT {
        f.send(NODE);
        assert!(!f.client.is_ready(NODE, f.now()), "it is not written yet");
        f.poll();
    }
    assert!(!f.client.is_ready(NODE, f.now()), "there is no room");
    let headers: Vec<_> = f.selector.take_sent();
    let (first, _) = decode_request(&headers[0].message().to_vec()).unwrap();
    f.answer(NODE, &first, produce_response(0));
    assert_eq!(f.poll().len(), 1);
    assert!(f.client.is_ready(NODE, f.now()));
}

// Java: NetworkClientTest.testDisconnectWithMultipleInFlights, testServerDisconnect...
#[test]
fn a_disconnect_fails_every_request_in_flight() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let first = f.send_and_write(NODE).correlation_id;
    let second = f.send_and_write(NODE).correlation_id;
    f.selector.server_disconnect(NODE);
    let responses = f.poll();
    assert_eq!(
        failures(&responses),
        [(first, false, true), (second, false, true)]
    );
    assert!(f.client.connection_failed(NODE));
    assert_eq!(f.client.in_flight_request_count(), 0);
    assert!(f.poll().is_empty(), "each ends once");
}

// This distinguishes "may be in the log" from "is not".
#[test]
fn what_was_not_handed_to_the_socket_was_not_written() {
    for (bytes, was_written) in [(0, false), (1, true)] {
        let mut f = Fixture::new();
        f.make_ready(0);
        let first = f.send_and_write(NODE).correlation_id;
        f.selector.hold_sends(NODE, Some(bytes));
        let second = f.send(NODE);
        f.poll();
        assert!(f.client.was_written(CorrelationId(first), NODE));
        assert_eq!(f.client.was_written(second, NODE), was_written);
        f.selector.server_disconnect(NODE);
        let responses = f.poll();
        let expected = [(first, false, true), (second.0, false, was_written)];
        assert_eq!(failures(&responses), expected);
        assert!(
            f.client.was_written(second, NODE),
            "it has ended: nobody knows any more"
        );
    }
}

#[test]
fn close_ends_every_request_and_connection() {
    let mut f = Fixture::new();
    f.make_ready(0);
    f.make_ready(1);
    f.send(NODE);
    f.client.close();
    assert!(!f.client.has_in_flight_requests());
    assert!(!f.client.is_ready(NODE, f.now()) && !f.client.is_ready(NodeId(1), f.now()));
    assert!(f.poll().is_empty());
}

// Java: NetworkClientTest.testCorrelationId.
#[test]
fn correlation_ids_skip_those_of_sasl() {
    let mut f = Fixture::new();
    f.client.set_next_correlation_id(i32::MAX - 10);
    let ids: Vec<_> = (0..5).map(|_| f.client.take_correlation_id().0).collect();
    let expected = [
        i32::MAX - 10,
        i32::MAX - 9,
        i32::MAX - 8,
        i32::MIN,
        i32::MIN + 1,
    ];
    assert_eq!(ids, expected);
}

// Java: NetworkClientTest.testConnectionThrottling, testThrottlingNotEnabledForConnectionToOlderBroker.
#[test]
fn a_throttled_connection_is_not_ready() {
    for (max_version, is_throttled) in [(12, true), (6, true), (5, false)] {
        let mut f = Fixture::new();
        f.make_ready_with(
            0,
            &versions(&[(ApiKey::Produce, 3, max_version), (ApiKey::Metadata, 4, 12)]),
        );
        let header = f.send_and_write(NODE);
        f.answer(NODE, &header, produce_response(100));
        assert_eq!(f.poll().len(), 1);
        assert_eq!(
            f.client.is_ready(NODE, f.now()),
            !is_throttled,
            "v{max_version}"
        );
        if is_throttled {
            assert_eq!(f.client.poll_delay(NODE, f.now()), ms(100));
            assert_eq!(f.client.connection_delay(NODE, f.now()), Duration::MAX);
        }
        f.time.advance_ms(100);
        assert!(f.client.is_ready(NODE, f.now()));
    }
}

#[test]
fn a_lost_connection_reports_why() {
    let mut f = Fixture::new();
    f.make_ready(0);
    f.send_and_write(NODE);
    let reason = Disconnect::InvalidReceive("an HTTP server answered".to_owned());
    f.selector.lose(NODE, reason);
    let responses = f.poll();
    let Err(RequestFailure::Disconnected { cause, .. }) = &responses[0].outcome else {
        panic!("{responses:?}");
    };
    assert_eq!(cause, "node 10.0.0.0:9092 (id: 0): an HTTP server answered");
}
