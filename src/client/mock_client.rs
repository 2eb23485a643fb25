//! A client without a network, for tests of the sender. Java: `MockClient`.
//!
//! A test prepares responses before the request is sent, or gives them afterwards. A matcher that
//! refuses its request panics, and the message contains the request.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::node_api_versions::NodeApiVersions;
use super::{
    ClientRequest, ClientResponse, CorrelationId, KafkaClient, Metadata, MetadataRequestVersion,
    RequestFailure,
};
use crate::common::{Node, NodeId};
use crate::protocol::messages::{ApiVersion, MetadataResponse, ProduceRequest};
use crate::protocol::{ApiKey, RequestBody, ResponseBody};
use crate::sync::Arc;
use crate::utils::{MockTime, Time};

/// The version in which the mock reads metadata responses.
const METADATA_VERSION: i16 = 13;

/// A request that was sent and is not finished.
#[derive(Debug)]
pub(crate) struct SentRequest {
    pub(crate) correlation_id: CorrelationId,
    pub(crate) api_version: i16,
    pub(crate) request: ClientRequest,
    sent: Instant,
}

type Matcher = Box<dyn FnMut(&RequestBody) -> bool + Send>;

struct Prepared {
    matcher: Option<Matcher>,
    outcome: PreparedOutcome,
}

#[derive(Debug)]
enum PreparedOutcome {
    Respond(Option<ResponseBody>),
    UnsupportedVersion,
}

#[derive(Debug, Default)]
struct MockConnection {
    is_connected: bool,
    ready_delayed_until: Option<Instant>,
    backing_off_until: Option<Instant>,
}

impl MockConnection {
    fn is_backing_off(&self, now: Instant) -> bool {
        !self.is_connected && !is_past(self.backing_off_until, now)
    }

    fn disconnect(&mut self) {
        self.is_connected = false;
    }
}

fn is_past(time: Option<Instant>, now: Instant) -> bool {
    time.is_none_or(|time| time <= now)
}

/// See the module.
pub(crate) struct MockClient {
    time: MockTime,
    metadata: Arc<Metadata>,
    next_correlation_id: i32,
    connections: BTreeMap<NodeId, MockConnection>,
    versions: BTreeMap<NodeId, NodeApiVersions>,
    default_versions: Option<NodeApiVersions>,
    features: BTreeMap<String, i16>,
    /// Whether a lost connection reports its requests as written.
    is_written: bool,
    requests: VecDeque<SentRequest>,
    responses: Vec<ClientResponse>,
    prepared: VecDeque<Prepared>,
    metadata_updates: VecDeque<MetadataResponse>,
    polled_timeouts: Vec<Duration>,
}

impl fmt::Debug for MockClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockClient")
            .field("requests", &self.requests)
            .field("responses", &self.responses)
            .field("prepared", &self.prepared.len())
            .finish_non_exhaustive()
    }
}

/// Set-up by a test, before the tested call.
impl MockClient {
    pub(crate) fn new(time: MockTime, metadata: Arc<Metadata>) -> Self {
        Self {
            time,
            metadata,
            next_correlation_id: 0,
            connections: BTreeMap::new(),
            versions: BTreeMap::new(),
            default_versions: None,
            features: BTreeMap::new(),
            is_written: true,
            requests: VecDeque::new(),
            responses: Vec::new(),
            prepared: VecDeque::new(),
            metadata_updates: VecDeque::new(),
            polled_timeouts: Vec::new(),
        }
    }

    /// Prepares this response for the next request.
    pub(crate) fn prepare_response(&mut self, body: impl Into<ResponseBody>) {
        self.prepare(None, PreparedOutcome::Respond(Some(body.into())));
    }

    /// Prepares this response for the next request, which must match.
    pub(crate) fn prepare_response_matching(
        &mut self,
        matcher: impl FnMut(&RequestBody) -> bool + Send + 'static,
        body: impl Into<ResponseBody>,
    ) {
        let outcome = PreparedOutcome::Respond(Some(body.into()));
        self.prepare(Some(Box::new(matcher)), outcome);
    }

    /// Prepares an unsupported version for the next request, which must match.
    pub(crate) fn prepare_unsupported_version(
        &mut self,
        matcher: impl FnMut(&RequestBody) -> bool + Send + 'static,
    ) {
        let outcome = PreparedOutcome::UnsupportedVersion;
        self.prepare(Some(Box::new(matcher)), outcome);
    }

    fn prepare(&mut self, matcher: Option<Matcher>, outcome: PreparedOutcome) {
        self.prepared.push_back(Prepared { matcher, outcome });
    }

    /// Prepares a response for the next poll in which a metadata update is due.
    pub(crate) fn prepare_metadata_update(&mut self, response: MetadataResponse) {
        self.metadata_updates.push_back(response);
    }

    /// Applies a metadata response immediately, as if everything had been requested.
    pub(crate) fn update_metadata(&self, response: &MetadataResponse) {
        let now = self.time.now();
        let (_, version) = self.metadata.new_request(now);
        self.apply_metadata(version, response, now);
    }

    fn apply_metadata(
        &self,
        version: MetadataRequestVersion,
        response: &MetadataResponse,
        now: Instant,
    ) {
        let version = MetadataRequestVersion {
            is_partial: false,
            ..version
        };
        let taken = self
            .metadata
            .update_with(version, response, METADATA_VERSION, now);
        assert!(taken, "the metadata response has no usable broker");
    }

    /// Limits the versions of every node, except those of
    /// [`set_node_api_versions`](Self::set_node_api_versions).
    pub(crate) fn set_api_versions(&mut self, versions: &[(ApiKey, i16, i16)]) {
        self.default_versions = Some(node_api_versions(versions));
    }

    /// Limits a node to these APIs and versions.
    pub(crate) fn set_node_api_versions(&mut self, node: NodeId, versions: &[(ApiKey, i16, i16)]) {
        self.versions.insert(node, node_api_versions(versions));
    }

    /// Sets the cluster's finalized level of a feature.
    pub(crate) fn set_finalized_feature(&mut self, name: &str, level: i16) {
        self.features.insert(name.to_owned(), level);
    }

    /// Sets whether lost connections report their requests as possibly written.
    pub(crate) fn set_written(&mut self, is_written: bool) {
        self.is_written = is_written;
    }

    /// Disconnects the node, and prevents a reconnect for a while.
    pub(crate) fn backoff(&mut self, node: NodeId, duration: Duration) {
        let until = self.time.now() + duration;
        let connection = self.connection(node);
        connection.disconnect();
        connection.backing_off_until = Some(until);
    }

    /// Makes the node take this long to connect.
    pub(crate) fn delay_ready(&mut self, node: NodeId, duration: Duration) {
        let until = self.time.now() + duration;
        self.connection(node).ready_delayed_until = Some(until);
    }
}

/// Responses to requests that were sent.
impl MockClient {
    /// Returns the unfinished requests, oldest first.
    pub(crate) fn requests(&self) -> &VecDeque<SentRequest> {
        &self.requests
    }

    /// Returns the oldest unfinished request, which must be a Produce request.
    pub(crate) fn produce_request(&self) -> &ProduceRequest {
        let sent = self.requests.front().expect("no request was sent");
        match &sent.request.body {
            RequestBody::Produce(request) => request,
            other => panic!("the oldest request is {other:?}"),
        }
    }

    /// Responds to the oldest request.
    pub(crate) fn respond(&mut self, body: impl Into<ResponseBody>) {
        self.respond_at(0, Ok(Some(body.into())));
    }

    /// Responds to a request out of order.
    pub(crate) fn respond_to(
        &mut self,
        correlation_id: CorrelationId,
        body: impl Into<ResponseBody>,
    ) {
        let index = self.index_of(correlation_id);
        self.respond_at(index, Ok(Some(body.into())));
    }

    /// Responds to the oldest request of a node.
    pub(crate) fn respond_from(&mut self, node: NodeId, body: impl Into<ResponseBody>) {
        let mut requests = self.requests.iter();
        let index = requests.position(|sent| sent.request.destination == node);
        let index = index.unwrap_or_else(|| panic!("node {node} has no request"));
        self.respond_at(index, Ok(Some(body.into())));
    }

    /// Ends a request without a response, and keeps the connection.
    pub(crate) fn fail(&mut self, correlation_id: CorrelationId, failure: RequestFailure) {
        let index = self.index_of(correlation_id);
        self.respond_at(index, Err(failure));
    }

    /// Completes an `acks=0` request as written.
    pub(crate) fn complete_send(&mut self, correlation_id: CorrelationId) {
        let index = self.index_of(correlation_id);
        self.respond_at(index, Ok(None));
    }

    /// Loses the connection of a node. Its requests fail at the next poll, oldest first.
    pub(crate) fn lose(&mut self, node: NodeId) {
        self.disconnect_now(node, false);
    }

    /// Returns the timeouts of the polls, oldest first.
    pub(crate) fn polled_timeouts(&self) -> &[Duration] {
        &self.polled_timeouts
    }

    fn index_of(&self, correlation_id: CorrelationId) -> usize {
        let mut requests = self.requests.iter();
        requests
            .position(|sent| sent.correlation_id == correlation_id)
            .unwrap_or_else(|| panic!("no request {correlation_id} is in flight"))
    }

    fn respond_at(&mut self, index: usize, outcome: Result<Option<ResponseBody>, RequestFailure>) {
        let sent = self.requests.remove(index).expect("no request was sent");
        let response = self.end_of(&sent, outcome);
        self.responses.push(response);
    }

    fn end_of(
        &self,
        sent: &SentRequest,
        outcome: Result<Option<ResponseBody>, RequestFailure>,
    ) -> ClientResponse {
        ClientResponse {
            correlation_id: sent.correlation_id,
            api_version: sent.api_version,
            outcome,
        }
    }

    fn disconnect_now(&mut self, node: NodeId, timed_out: bool) {
        self.connection(node).disconnect();
        let requests = std::mem::take(&mut self.requests);
        for sent in requests {
            if sent.request.destination == node {
                let failure = self.disconnected(timed_out);
                let response = self.end_of(&sent, Err(failure));
                self.responses.push(response);
            } else {
                self.requests.push_back(sent);
            }
        }
    }

    fn disconnected(&self, timed_out: bool) -> RequestFailure {
        RequestFailure::Disconnected {
            timed_out,
            was_written: self.is_written,
            cause: "the mock lost the connection".to_owned(),
        }
    }

    fn connection(&mut self, node: NodeId) -> &mut MockConnection {
        self.connections.entry(node).or_default()
    }

    fn usable_version(
        &self,
        node: NodeId,
        key: ApiKey,
        wanted: RangeInclusive<i16>,
    ) -> Result<i16, String> {
        let versions = self.versions.get(&node).or(self.default_versions.as_ref());
        match versions {
            Some(versions) => versions
                .latest_usable_version_in(key, wanted)
                .map_err(|error| error.to_string()),
            None => Ok(*wanted.end()),
        }
    }

    fn expire_requests(&mut self, now: Instant) {
        while let Some(sent) = self.requests.front() {
            let waited = now.saturating_duration_since(sent.sent);
            if waited <= sent.request.request_timeout {
                return;
            }
            let node = sent.request.destination;
            self.disconnect_now(node, true);
        }
    }

    fn maybe_update_metadata(&mut self, now: Instant) {
        if self.metadata.time_to_next_update(now) > Duration::ZERO {
            return;
        }
        if let Some(response) = self.metadata_updates.pop_front() {
            let (_, version) = self.metadata.new_request(now);
            self.apply_metadata(version, &response, now);
        }
    }
}

fn node_api_versions(versions: &[(ApiKey, i16, i16)]) -> NodeApiVersions {
    let api_versions = versions.iter().map(|(key, min, max)| ApiVersion {
        api_key: key.id(),
        min_version: *min,
        max_version: *max,
    });
    NodeApiVersions::new(&api_versions.collect::<Vec<_>>())
}

impl KafkaClient for MockClient {
    fn is_ready(&self, node: NodeId, _now: Instant) -> bool {
        let connection = self.connections.get(&node);
        connection.is_some_and(|connection| connection.is_connected)
    }

    fn ready(&mut self, node: &Node, now: Instant) -> bool {
        let connection = self.connection(node.id());
        if connection.is_connected {
            return true;
        }
        if connection.is_backing_off(now) || !is_past(connection.ready_delayed_until, now) {
            return false;
        }
        connection.is_connected = true;
        true
    }

    fn poll_delay(&self, node: NodeId, now: Instant) -> Duration {
        match self.connections.get(&node) {
            None => Duration::ZERO,
            Some(connection) if connection.is_connected => Duration::MAX,
            Some(connection) => [connection.backing_off_until, connection.ready_delayed_until]
                .into_iter()
                .flatten()
                .max()
                .map_or(Duration::ZERO, |until| until.saturating_duration_since(now)),
        }
    }

    fn send(
        &mut self,
        request: ClientRequest,
        now: Instant,
    ) -> Result<CorrelationId, ClientRequest> {
        if !self.is_ready(request.destination, now) {
            return Err(request);
        }
        let correlation_id = CorrelationId(self.next_correlation_id);
        self.next_correlation_id += 1;
        let (node, key) = (request.destination, request.body.api_key());
        let version = self.usable_version(node, key, request.versions.clone());
        let sent = SentRequest {
            correlation_id,
            api_version: version.clone().unwrap_or_default(),
            request,
            sent: now,
        };
        let unsupported = |message: String| RequestFailure::UnsupportedVersion {
            message,
            node: node.to_string(),
        };
        if let Err(message) = version {
            let response = self.end_of(&sent, Err(unsupported(message)));
            self.responses.push(response);
            return Ok(correlation_id);
        }
        let Some(mut prepared) = self.prepared.pop_front() else {
            self.requests.push_back(sent);
            return Ok(correlation_id);
        };
        if let Some(matcher) = &mut prepared.matcher {
            let body = &sent.request.body;
            assert!(matcher(body), "the request does not match: {body:?}");
        }
        let outcome = match prepared.outcome {
            PreparedOutcome::Respond(body) => Ok(body),
            PreparedOutcome::UnsupportedVersion => Err(unsupported("as prepared".to_owned())),
        };
        let response = self.end_of(&sent, outcome);
        self.responses.push(response);
        Ok(correlation_id)
    }

    fn poll(&mut self, timeout: Duration, now: Instant) -> Vec<ClientResponse> {
        self.polled_timeouts.push(timeout);
        self.expire_requests(now);
        self.maybe_update_metadata(now);
        std::mem::take(&mut self.responses)
    }

    fn least_loaded_node(&mut self, now: Instant) -> Option<Node> {
        let cluster = self.metadata.load();
        let mut nodes = cluster.nodes().iter();
        let usable = nodes.find(|node| {
            let connection = self.connections.get(&node.id());
            !connection.is_some_and(|connection| connection.is_backing_off(now))
        });
        usable.cloned()
    }

    fn was_written(&self, correlation_id: CorrelationId, destination: NodeId) -> bool {
        let mut requests = self.requests.iter();
        let is_in_flight = requests.any(|sent| {
            sent.correlation_id == correlation_id && sent.request.destination == destination
        });
        !is_in_flight || self.is_written
    }

    fn api_version(&self, node: NodeId, key: ApiKey) -> Option<i16> {
        self.usable_version(node, key, key.versions()).ok()
    }

    fn connection_failed(&self, node: NodeId) -> bool {
        let now = self.time.now();
        let connection = self.connections.get(&node);
        connection.is_some_and(|connection| connection.is_backing_off(now))
    }

    fn finalized_feature_level(&self, feature: &str) -> i16 {
        self.features.get(feature).copied().unwrap_or(0)
    }

    fn close(&mut self) {
        self.connections.clear();
        self.requests.clear();
    }
}
