//! Telemetry among the other requests. Java: NetworkClientTest.testTelemetryRequest.

use super::*;
use crate::client::telemetry::{ClientInstanceId, ClientTelemetrySender, KafkaMetricsCollector};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    GetTelemetrySubscriptionsResponse, PushTelemetryRequest, PushTelemetryResponse,
};

const OTHER: NodeId = NodeId(1);
const FIVE_MINUTES: Duration = Duration::from_secs(300);

fn fixture() -> Fixture {
    fixture_with_id().0
}

fn fixture_with_id() -> (Fixture, ClientInstanceId) {
    let mut f = Fixture::bootstrapped(config());
    let clock: Arc<dyn Time> = Arc::new(f.time.clone());
    let collector = KafkaMetricsCollector::new(Arc::clone(&f.metrics), clock, None, None);
    let sender = ClientTelemetrySender::new(collector);
    let id = sender.client_instance_id();
    f.client = f.client.with_telemetry(Some(sender));
    f.update_metadata();
    assert!(f.poll().is_empty());
    (f, id)
}

fn subscription() -> GetTelemetrySubscriptionsResponse {
    GetTelemetrySubscriptionsResponse {
        client_instance_id: Uuid::from_bytes([1; 16]),
        push_interval_ms: 1000,
        requested_metrics: vec!["*".to_owned()],
        ..GetTelemetrySubscriptionsResponse::default()
    }
}

fn without_telemetry() -> ApiVersionsResponse {
    let mut versions = all_versions();
    versions.api_keys.retain(|api| api.api_key < 71);
    versions
}

impl Fixture {
    /// Connects to a node, which receives the first request.
    fn ask(&mut self) -> RequestHeader {
        self.make_ready(0);
        assert!(self.poll().is_empty());
        assert!(self.poll().is_empty());
        let (header, body) = self.sent();
        assert!(
            matches!(body, RequestBody::GetTelemetrySubscriptions(_)),
            "{body:?}"
        );
        header
    }

    fn subscribe(&mut self) {
        let header = self.ask();
        self.answer(NODE, &header, subscription());
        assert!(self.poll().is_empty());
        assert!(
            self.selector.take_sent().is_empty(),
            "the push is not due yet"
        );
    }

    fn pushed(&mut self) -> (RequestHeader, PushTelemetryRequest) {
        assert!(self.poll().is_empty());
        assert!(self.poll().is_empty());
        match self.sent() {
            (header, RequestBody::PushTelemetry(request)) => (header, request),
            (_, other) => panic!("{other:?}"),
        }
    }

    fn telemetry_wait(&mut self) -> Duration {
        self.client.maybe_send_telemetry(self.now())
    }
}

// Java: NetworkClientTest.testTelemetryRequest.
#[test]
fn one_node_is_asked_and_gets_the_pushes() {
    let mut f = fixture();
    f.subscribe();
    f.make_ready(1);
    for _ in 0..5 {
        f.time.advance_ms(1500);
        let (header, _) = f.pushed();
        f.answer(NODE, &header, PushTelemetryResponse::default());
        assert!(f.poll().is_empty());
    }
}

#[test]
fn a_broker_without_telemetry_gets_no_request_and_no_connection_is_made_for_one() {
    let mut f = fixture();
    for _ in 0..10 {
        assert!(f.poll().is_empty());
        f.time.advance_ms(60_000);
    }
    assert!(f.selector.take_sent().is_empty());
    assert!(!f.client.connections.states.is_connecting(NODE));

    f.make_ready_with(0, &without_telemetry());
    assert_eq!(f.telemetry_wait(), FIVE_MINUTES);
    for _ in 0..10 {
        assert!(f.poll().is_empty());
        f.time.advance(FIVE_MINUTES);
    }
    assert!(f.selector.take_sent().is_empty());
    assert!(f.client.is_ready(NODE, f.now()));
}

#[test]
fn a_wait_for_the_id_connects_to_a_node() {
    let (mut f, id) = fixture_with_id();
    assert!(f.poll().is_empty());
    let has_no_connection = |f: &Fixture| {
        let snapshot = f.client.updater.metadata().snapshot();
        let states = &f.client.connections.states;
        let mut nodes = snapshot.nodes().iter();
        nodes.all(|node| states.can_connect(node.id(), f.now()))
    };
    assert!(has_no_connection(&f));
    id.want();
    assert!(f.poll().is_empty());
    assert!(!has_no_connection(&f));
}

/// Java loses telemetry for good if a broker lacks it; see the manual.
#[test]
fn another_broker_is_asked_when_the_first_has_no_telemetry() {
    let mut f = fixture();
    f.make_ready_with(0, &without_telemetry());
    assert_eq!(f.telemetry_wait(), FIVE_MINUTES);
    f.selector.server_disconnect(NODE);
    assert!(f.poll().is_empty());
    f.update_metadata();
    f.time.advance(FIVE_MINUTES);
    f.make_ready(1);
    assert!(f.poll().is_empty());
    assert!(f.poll().is_empty());
    let (_, body) = f.sent();
    assert!(matches!(body, RequestBody::GetTelemetrySubscriptions(_)));
}

#[test]
fn a_lost_connection_is_no_failure_of_a_caller() {
    let mut f = fixture();
    f.ask();
    f.selector.server_disconnect(NODE);
    assert!(f.poll().is_empty(), "nothing for the sender");
    assert_eq!(f.telemetry_wait(), FIVE_MINUTES);
}

#[test]
fn an_unreadable_response_ends_telemetry_and_not_the_producer() {
    let mut f = fixture();
    let header = f.ask();
    let mut payload = header.correlation_id.to_be_bytes().to_vec();
    payload.extend([0xff; 40]);
    f.selector.receive(NODE, payload);
    assert!(f.poll().is_empty());
    assert_eq!(f.telemetry_wait(), Duration::MAX);
    f.time.advance(FIVE_MINUTES * 2);
    assert_eq!(f.telemetry_wait(), Duration::MAX);
}

/// A connection with `max.in.flight.requests.per.connection` requests takes no telemetry, and a
/// telemetry request does not count as one of them.
#[test]
fn telemetry_takes_no_place_of_a_produce_request() {
    let mut f = fixture();
    f.make_ready(0);
    for _ in 0..MAX_IN_FLIGHT {
        let request = f.request(NODE);
        let now = f.now();
        f.client.send(request, now).unwrap();
        f.client.poll_selector(Duration::ZERO);
    }
    f.selector.take_sent();
    assert!(f.poll().is_empty());
    assert!(f.selector.take_sent().is_empty(), "there is no room");

    let mut f = fixture();
    f.ask();
    for _ in 0..MAX_IN_FLIGHT {
        f.send_and_write(NODE);
    }
    assert!(!f.client.is_ready(NODE, f.now()));
    assert_eq!(f.client.in_flight_request_count(), MAX_IN_FLIGHT + 1);
}

// Kafka 4.4: the node is dropped if the metadata have it at another address.
#[test]
fn a_node_that_moved_is_not_kept() {
    let mut f = fixture();
    f.subscribe();
    let (_, version) = f.metadata.new_request(f.now());
    let mut response = metadata_response();
    response.brokers.remove(0);
    assert!(f.metadata.update_with(version, &response, 13, f.now()));
    f.time.advance_ms(1500);
    // A push is requested, so a connection is made for it.
    assert!(f.poll().is_empty());
    assert!(f.poll().is_empty());
    let nodes = [OTHER, NodeId(2)];
    let mut connecting = nodes.iter();
    assert!(connecting.any(|node| !f.client.connections.states.can_connect(*node, f.now())));
}

#[test]
fn a_close_sends_the_last_push_at_once_and_ends_with_its_response() {
    let mut f = fixture();
    f.subscribe();
    let now = f.now();
    f.client.initiate_telemetry_close(now);
    let (header, request) = f.pushed();
    assert!(request.terminating);
    assert!(f.client.telemetry_close_wait(now).is_some());
    let refused = PushTelemetryResponse {
        error_code: ErrorCode::UNKNOWN_SUBSCRIPTION_ID,
        ..PushTelemetryResponse::default()
    };
    f.answer(NODE, &header, refused);
    assert!(f.poll().is_empty());
    assert_eq!(f.client.telemetry_close_wait(now), None);
}

#[test]
fn a_close_without_a_connection_waits_for_nothing() {
    let mut f = fixture();
    f.subscribe();
    f.selector.server_disconnect(NODE);
    assert!(f.poll().is_empty());
    let now = f.now();
    f.client.initiate_telemetry_close(now);
    assert!(f.poll().is_empty());
    assert_eq!(f.client.telemetry_close_wait(now), None);

    // Without a subscription there is none either.
    let mut f = fixture();
    f.ask();
    let now = f.now();
    f.client.initiate_telemetry_close(now);
    assert_eq!(f.client.telemetry_close_wait(now), None);
}

// KIP-219, Kafka 4.4.
#[test]
fn a_throttled_push_mutes_the_node_for_its_time() {
    let mut f = fixture();
    f.subscribe();
    f.time.advance_ms(1500);
    let (header, _) = f.pushed();
    let throttled = PushTelemetryResponse {
        throttle_time_ms: 100,
        ..PushTelemetryResponse::default()
    };
    f.answer(NODE, &header, throttled);
    assert!(f.poll().is_empty());
    assert_eq!(f.client.poll_delay(NODE, f.now()), ms(100));
}
