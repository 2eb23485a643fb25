//! Scenarios of Java's NetworkClientTest, on a mock clock and a mock selector.

mod bootstrap;
mod counting;
mod failures;
mod hostile;
mod metadata;
mod misrouted;
mod moved_nodes;
mod nodes;
mod outages;
mod requests;
mod resolving;
#[cfg(all(feature = "sasl", feature = "tls"))]
mod stalled_setup;
mod telemetry;
mod throttling;
mod timeouts;
mod versions;

use std::net::SocketAddr;

use super::*;
use crate::client::host_resolver::ResolvedHost;
use crate::client::metadata::MetadataConfig;
use crate::client::metadata::MetadataRequestVersion;
use crate::common::Uuid;
use crate::metrics::Metrics;
use crate::network::MockSelector;
use crate::protocol::messages::{
    ApiVersion, ApiVersionsResponse, MetadataBroker, MetadataResponse, PartitionProduceResponse,
    ProducePartition, ProduceRequest, ProduceResponse, ProduceTopic, TopicProduceResponse,
};
use crate::protocol::{
    RecordSet, RequestBody, RequestHeader, ResponseBody, decode_request, encode_response,
};
use crate::sync::Mutex;
use crate::utils::MockTime;

const NODE: NodeId = NodeId(0);
const REQUEST_TIMEOUT_MS: u64 = 1000;
const RECONNECT_MS: u64 = 50;
const SETUP_MS: u64 = 10_000;
const MAX_IN_FLIGHT: usize = 5;
const TRIGGER_MS: u64 = 300_000;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Names that a test resolves when it chooses to.
#[derive(Clone, Debug, Default)]
struct FakeResolver {
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Vec<ResolvedHost>>>,
}

impl FakeResolver {
    fn answer(&self, host: &str, addresses: Result<&[&str], &str>) {
        let addresses = addresses
            .map(|texts| texts.iter().map(|text| address(text)).collect())
            .map_err(str::to_owned);
        let host = Arc::from(host);
        self.answers.lock().push(ResolvedHost { host, addresses });
    }

    fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock())
    }
}

impl HostResolver for FakeResolver {
    fn resolve(&mut self, host: &str, _now: Instant) {
        self.asked.lock().push(host.to_owned());
    }

    fn poll_resolved(&mut self, _now: Instant) -> Option<ResolvedHost> {
        self.answers.lock().pop()
    }

    fn next_poll(&self) -> Option<Instant> {
        None
    }
}

fn address(host: &str) -> SocketAddr {
    literal_address(host).unwrap()
}

struct Fixture {
    client: NetworkClient<MockSelector>,
    selector: MockSelector,
    metadata: Arc<Metadata>,
    resolver: FakeResolver,
    time: MockTime,
    metrics: Arc<Metrics>,
}

fn config() -> NetworkClientConfig {
    NetworkClientConfig {
        client_id: Some(Arc::from("mock")),
        max_in_flight_requests_per_connection: MAX_IN_FLIGHT,
        reconnect_backoff: ms(RECONNECT_MS),
        reconnect_backoff_max: ms(RECONNECT_MS),
        connection_setup_timeout: ms(SETUP_MS),
        connection_setup_timeout_max: ms(SETUP_MS),
        request_timeout: ms(REQUEST_TIMEOUT_MS),
        receive_max_bytes: 1_000_000,
        metadata_recovery_strategy: MetadataRecoveryStrategy::Rebootstrap,
        metadata_recovery_rebootstrap_trigger: ms(TRIGGER_MS),
        metadata_cluster_check: true,
        bootstrap: None,
        required_apis: vec![ApiKey::Produce, ApiKey::Metadata],
    }
}

impl<S: Selectable> NetworkClient<S> {
    fn connection_delay(&self, node: NodeId, now: Instant) -> Duration {
        self.connections.states.connection_delay(node, now)
    }

    fn connection_failed(&self, node: NodeId) -> bool {
        self.connections.states.is_disconnected(node)
    }

    fn in_flight_request_count(&self) -> usize {
        self.connections.in_flight.count()
    }

    fn has_in_flight_requests(&self) -> bool {
        self.in_flight_request_count() > 0
    }
}

/// Returns metadata without contents, which do not age.
fn metadata(time: &MockTime) -> Arc<Metadata> {
    let config = MetadataConfig {
        refresh_backoff: ms(50),
        refresh_backoff_max: ms(50),
        max_age: ms(10_000_000),
        topic_idle: ms(10_000_000),
    };
    Arc::new(Metadata::new(config, time.now()))
}

impl Fixture {
    /// Creates a client that knows nodes 0 to 2 and needs no metadata update.
    fn new() -> Self {
        let mut f = Self::bootstrapped(config());
        f.update_metadata();
        assert!(f.poll().is_empty());
        f
    }

    /// Creates a client that knows the bootstrap node -1.
    fn bootstrapped(config: NetworkClientConfig) -> Self {
        let time = MockTime::new();
        let selector = MockSelector::new(time.clone());
        let metadata = metadata(&time);
        metadata.bootstrap(vec![Node::new(NodeId(-1), "10.9.9.9", 9092, None)]);
        let resolver = FakeResolver::default();
        let clock: Arc<dyn Time> = Arc::new(time.clone());
        let metrics = Metrics::unread(&clock);
        let client = NetworkClient::new(
            config,
            selector.clone(),
            Arc::clone(&metadata),
            clock,
            Box::new(resolver.clone()),
            ClientMetrics::new(&metrics, &metadata),
        );
        Self {
            client,
            selector,
            metadata,
            resolver,
            time,
            metrics,
        }
    }

    fn update_metadata(&self) {
        let (_, version) = self.metadata.new_request(self.time.now());
        let version = MetadataRequestVersion {
            is_partial: false,
            ..version
        };
        let response = metadata_response();
        assert!(
            self.metadata
                .update_with(version, &response, 13, self.time.now())
        );
    }

    fn now(&self) -> Instant {
        self.time.now()
    }

    fn node(&self, id: i32) -> Node {
        let cluster = self.metadata.load();
        cluster.node(NodeId(id)).unwrap().clone()
    }

    fn poll(&mut self) -> Vec<ClientResponse> {
        self.client.poll(Duration::ZERO, self.time.now())
    }

    /// Connects as far as the request for versions, which is written.
    fn connect(&mut self, id: i32) -> RequestHeader {
        let node = self.node(id);
        assert!(!self.client.ready(&node, self.now()));
        assert!(self.poll().is_empty());
        self.sent_api_versions_request()
    }

    fn sent_api_versions_request(&mut self) -> RequestHeader {
        assert!(self.poll().is_empty());
        let (header, body) = self.sent();
        assert!(matches!(body, RequestBody::ApiVersions(_)), "{body:?}");
        header
    }

    /// Connects to a node of the newest version.
    fn make_ready(&mut self, id: i32) {
        self.make_ready_with(id, &all_versions());
    }

    fn make_ready_with(&mut self, id: i32, versions: &ApiVersionsResponse) {
        let header = self.connect(id);
        self.answer(NodeId(id), &header, versions.clone());
        assert!(self.poll().is_empty());
        assert!(self.client.is_ready(NodeId(id), self.now()));
    }

    /// Returns the only request that was written since the last call.
    fn sent(&self) -> (RequestHeader, RequestBody) {
        let sent = self.selector.take_sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        decode_request(&sent[0].message().to_vec()).unwrap()
    }

    /// Gives this response to the next poll.
    fn answer(&self, node: NodeId, header: &RequestHeader, body: impl Into<ResponseBody>) {
        let key = ApiKey::from_id(header.api_key).unwrap();
        let id = header.correlation_id;
        let payload = encode_response(key, header.api_version, id, &body.into()).unwrap();
        self.selector.receive(node, payload);
    }

    fn request(&self, node: NodeId) -> ClientRequest {
        let body = produce_request(Uuid::ZERO).into();
        ClientRequest::new(node, body, ms(REQUEST_TIMEOUT_MS))
    }

    fn send(&mut self, node: NodeId) -> CorrelationId {
        let request = self.request(node);
        self.client.send(request, self.now()).unwrap()
    }

    /// Sends a request and completes its write.
    fn send_and_write(&mut self, node: NodeId) -> RequestHeader {
        self.send(node);
        assert!(self.poll().is_empty());
        self.sent().0
    }
}

fn metadata_response() -> MetadataResponse {
    MetadataResponse {
        brokers: (0..3)
            .map(|id| MetadataBroker {
                node_id: id,
                host: format!("10.0.0.{id}"),
                port: 9092,
                rack: None,
            })
            .collect(),
        ..MetadataResponse::default()
    }
}

fn versions(ranges: &[(ApiKey, i16, i16)]) -> ApiVersionsResponse {
    let api_versions = ranges.iter().map(|(key, min, max)| ApiVersion {
        api_key: key.id(),
        min_version: *min,
        max_version: *max,
    });
    ApiVersionsResponse {
        api_keys: api_versions.collect(),
        ..ApiVersionsResponse::default()
    }
}

fn all_versions() -> ApiVersionsResponse {
    let ranges = ApiKey::ALL.map(|key| (key, *key.versions().start(), *key.versions().end()));
    versions(&ranges)
}

fn produce_request(topic_id: Uuid) -> ProduceRequest {
    ProduceRequest {
        transactional_id: None,
        acks: 1,
        timeout_ms: 1000,
        topics: vec![ProduceTopic {
            name: Arc::from("t"),
            topic_id,
            partitions: vec![ProducePartition {
                index: 0,
                records: Some(RecordSet::from(vec![1, 2, 3])),
            }],
        }],
    }
}

fn produce_response(throttle_time_ms: i32) -> ProduceResponse {
    ProduceResponse {
        topics: vec![TopicProduceResponse {
            name: Arc::from("t"),
            partitions: vec![PartitionProduceResponse {
                base_offset: 7,
                ..PartitionProduceResponse::default()
            }],
            topic_id: Uuid::ZERO,
        }],
        throttle_time_ms,
        ..ProduceResponse::default()
    }
}

/// Returns the failure of each response: whether it timed out, and whether it may have been
/// written.
fn failures(responses: &[ClientResponse]) -> Vec<(i32, bool, bool)> {
    let failure = |response: &ClientResponse| match &response.outcome {
        Err(RequestFailure::Disconnected {
            timed_out,
            was_written,
            ..
        }) => (response.correlation_id.0, *timed_out, *was_written),
        other => panic!("{other:?}"),
    };
    responses.iter().map(failure).collect()
}
