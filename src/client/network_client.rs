//! Sends requests to nodes over a [`Selectable`] and handles the responses. Java: `NetworkClient`.
//!
//! Threads: owned by the I/O thread. Other threads use only the selector's waker.
//!
//! Differs from Java: a wait ends when the next request or connection attempt times out, and not at
//! the next multiple of `request.timeout.ms`. Names are resolved on another thread. The metadata
//! updater is a separate type. A frame that matches no request ends the connection.

mod api_versions_check;
mod connections;
mod disconnections;
mod moved_nodes;
mod outages;
mod responses;
mod send;
mod telemetry_sender;
#[cfg(test)]
mod tests;
mod timeouts;

use std::time::{Duration, Instant};

use connections::Connections;
use outages::Outages;
use telemetry_sender::TelemetrySender;

use super::api_versions::ApiVersions;
use super::bootstrap::{BootstrapConfig, BootstrapResolution};
use super::broker_address::literal_address;
use super::host_resolver::HostResolver;
use super::in_flight_requests::InFlightRequests;
use super::metadata_updater::{MetadataStep, MetadataUpdater, MetadataUpdaterConfig};
use super::{
    ClientMetrics, ClientRequest, ClientResponse, CorrelationId, KafkaClient, Metadata,
    MetadataRecoveryStrategy, RequestFailure,
};
use crate::common::{Cluster, Node, NodeId};
use crate::error::ErrorKind;
use crate::network::Selectable;
use crate::protocol::ApiKey;
use crate::sync::Arc;
use crate::utils::{ExponentialBackoff, Time, log};

/// The client's settings, and how it is used.
#[derive(Clone, Debug)]
pub(crate) struct NetworkClientConfig {
    /// `client.id`, sent with each request.
    pub(crate) client_id: Option<Arc<str>>,
    /// `max.in.flight.requests.per.connection`
    pub(crate) max_in_flight_requests_per_connection: usize,
    /// `reconnect.backoff.ms`
    pub(crate) reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`
    pub(crate) reconnect_backoff_max: Duration,
    /// `socket.connection.setup.timeout.ms`
    pub(crate) connection_setup_timeout: Duration,
    /// `socket.connection.setup.timeout.max.ms`
    pub(crate) connection_setup_timeout_max: Duration,
    /// `request.timeout.ms`, for the client's own requests.
    pub(crate) request_timeout: Duration,
    /// The largest response, in bytes, from a broker that has sent its versions.
    pub(crate) receive_max_bytes: usize,
    /// `metadata.recovery.strategy`
    pub(crate) metadata_recovery_strategy: MetadataRecoveryStrategy,
    /// `metadata.recovery.rebootstrap.trigger.ms`
    pub(crate) metadata_recovery_rebootstrap_trigger: Duration,
    /// `metadata.cluster.check.enable`
    pub(crate) metadata_cluster_check: bool,
    /// The bootstrap servers, if their names are resolved in the background.
    pub(crate) bootstrap: Option<BootstrapConfig>,
    /// A node must support all of these.
    pub(crate) required_apis: Vec<ApiKey>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct NetworkClient<S> {
    config: NetworkClientConfig,
    time: Arc<dyn Time>,
    connections: Connections<S>,
    versions: ApiVersions,
    updater: MetadataUpdater,
    resolver: Box<dyn HostResolver>,
    /// Set from the first poll until the bootstrap servers are resolved, or their time runs out.
    bootstrap: Option<BootstrapResolution>,
    /// The view whose nodes were last compared with the connections.
    compared: Arc<Cluster>,
    /// Nodes whose connections are replaced after the response to their last request.
    draining: Vec<NodeId>,
    /// Nodes to connect to once their names are resolved.
    resolving: Vec<Node>,
    /// New connections that must be asked for their versions, with the version of the request.
    to_ask_for_versions: Vec<(NodeId, i16)>,
    /// What [`poll`](KafkaClient::poll) returns: responses, and the results of requests without
    /// one.
    completed: Vec<ClientResponse>,
    outages: Outages,
    /// Set if metrics may be pushed.
    telemetry: Option<TelemetrySender>,
    metrics: ClientMetrics,
    next_correlation_id: i32,
    /// The number of responses with a throttle time that no quota explains.
    implausible_throttle_times: u64,
}

impl<S: Selectable> NetworkClient<S> {
    /// Creates a client without connections. `resolver` must wake `selector` after each result.
    pub(crate) fn new(
        config: NetworkClientConfig,
        selector: S,
        metadata: Arc<Metadata>,
        time: Arc<dyn Time>,
        resolver: Box<dyn HostResolver>,
        metrics: ClientMetrics,
    ) -> Self {
        let updater_config = MetadataUpdaterConfig {
            reconnect_backoff: config.reconnect_backoff,
            request_timeout: config.request_timeout,
            recovery_strategy: config.metadata_recovery_strategy,
            rebootstrap_trigger: config.metadata_recovery_rebootstrap_trigger,
        };
        let connections = Connections::new(
            selector,
            ExponentialBackoff::new(config.reconnect_backoff, config.reconnect_backoff_max),
            ExponentialBackoff::new(
                config.connection_setup_timeout,
                config.connection_setup_timeout_max,
            ),
            InFlightRequests::new(
                config.max_in_flight_requests_per_connection,
                Arc::clone(&metrics.in_flight),
            ),
        );
        Self {
            config,
            time,
            connections,
            versions: ApiVersions::default(),
            updater: MetadataUpdater::new(metadata, updater_config),
            resolver,
            bootstrap: None,
            compared: Arc::default(),
            draining: Vec::new(),
            resolving: Vec::new(),
            to_ask_for_versions: Vec::new(),
            completed: Vec::new(),
            outages: Outages::default(),
            telemetry: None,
            metrics,
            next_correlation_id: 0,
            implausible_throttle_times: 0,
        }
    }

    /// Publishes the states of the connections for other threads, if one may have changed.
    fn publish_states(&mut self) {
        if let Some(states) = self.connections.states.take_changed() {
            self.metrics.status().set_nodes(states);
        }
    }

    /// Describes a node for a log line or an error, with its address if that is known.
    fn describe(&self, id: NodeId) -> String {
        match self.updater.metadata().snapshot().node(id) {
            Some(node) => format!("node {node}"),
            None => format!("node {id}"),
        }
    }

    /// Takes the next step of a metadata update. Returns how long until another may be due.
    fn maybe_update_metadata(&mut self, now: Instant) -> Duration {
        loop {
            let metadata = Arc::clone(self.updater.metadata());
            let connections = &self.connections;
            let least_loaded = || connections.least_loaded_node(metadata.snapshot().nodes(), now);
            match self.updater.maybe_update(now, least_loaded) {
                MetadataStep::Wait(wait) => return wait,
                MetadataStep::Connect(node, wait) => {
                    self.initiate_connect(&node, now);
                    return wait;
                }
                MetadataStep::Send(node, request, version) => {
                    self.send_metadata_request(node.id(), request, version, now);
                    return self.config.request_timeout;
                }
                // Happens once, because the metadata then have the bootstrap nodes.
                MetadataStep::Rebootstrap => self.rebootstrap(now),
            }
        }
    }

    /// Takes the next step towards the first nodes, if they are not known yet. Its time begins with
    /// the first poll.
    fn maybe_bootstrap(&mut self, now: Instant) {
        if let Some(config) = self.config.bootstrap.take() {
            self.bootstrap = Some(BootstrapResolution::new(config, now));
        }
        let Some(bootstrap) = &mut self.bootstrap else {
            return;
        };
        match bootstrap.poll(&mut *self.resolver, now) {
            None => return,
            Some(Ok(nodes)) => self.updater.metadata().bootstrap(nodes),
            Some(Err(error)) => {
                log::error!("{error}");
                self.updater.metadata().fail_bootstrap(error);
            }
        }
        self.bootstrap = None;
    }

    /// Requests metadata from each node that must confirm its cluster before it may receive
    /// anything else.
    fn confirm_clusters(&mut self, now: Instant) {
        loop {
            let connections = &self.connections;
            let can_send = |node| connections.can_send_request(node, now);
            let Some((node, request, version)) = self.updater.next_to_confirm(can_send, now) else {
                return;
            };
            self.send_metadata_request(node, request, version, now);
        }
    }

    /// Begins to connect: to the next known address, or by resolving the name.
    fn initiate_connect(&mut self, node: &Node, now: Instant) {
        let states = &mut self.connections.states;
        states.connecting(node, now);
        if let Some(address) = literal_address(node.host()) {
            states.resolved(node.id(), &[address]);
        }
        if states.needs_resolution(node.id()) {
            self.resolving.push(node.clone());
            self.resolver.resolve(node.host(), now);
            self.handle_resolved_hosts(now);
        } else {
            self.connect_to_current_address(node, now);
        }
    }

    /// Continues with the nodes whose names were resolved.
    fn handle_resolved_hosts(&mut self, now: Instant) {
        while let Some(resolved) = self.resolver.poll_resolved(now) {
            if let Some(bootstrap) = &mut self.bootstrap {
                bootstrap.handle_resolved(&resolved);
            }
            let is_waiting = |node: &Node| node.host() == &*resolved.host;
            let resolving = std::mem::take(&mut self.resolving);
            let (nodes, others): (Vec<_>, Vec<_>) = resolving.into_iter().partition(is_waiting);
            self.resolving = others;
            for node in nodes {
                match &resolved.addresses {
                    Ok(addresses) => {
                        self.connections.states.resolved(node.id(), addresses);
                        self.connect_to_current_address(&node, now);
                    }
                    Err(reason) => {
                        let what = format!("its name cannot be resolved: {reason}");
                        self.handle_failed_connect(&node, &what, now);
                    }
                }
            }
        }
    }

    fn connect_to_current_address(&mut self, node: &Node, now: Instant) {
        let Connections {
            states, selector, ..
        } = &mut self.connections;
        let Some(address) = states.current_address(node.id()) else {
            return self.handle_failed_connect(node, "it has no address", now);
        };
        log::debug!("connecting to node {node} at {address}");
        if let Err(error) = selector.connect(node.id(), node.host(), address, now) {
            self.handle_failed_connect(node, &error.to_string(), now);
        }
    }

    /// Handles an attempt to connect that failed before the selector had a connection to report as
    /// lost.
    fn handle_failed_connect(&mut self, node: &Node, reason: &str, now: Instant) {
        self.connections.states.disconnected(node.id(), now);
        let metadata = self.updater.metadata();
        metadata.connection_failed(node, ErrorKind::Network, reason);
        self.outages.failed(node, ErrorKind::Network, reason, now);
        self.updater.handle_server_disconnect(now);
    }
}

impl<S: Selectable> KafkaClient for NetworkClient<S> {
    fn is_ready(&self, node: NodeId, now: Instant) -> bool {
        !self.updater.is_update_due(now)
            && self.updater.is_confirmed(node)
            && self.connections.can_send_request(node, now)
    }

    fn ready(&mut self, node: &Node, now: Instant) -> bool {
        if self.is_ready(node.id(), now) {
            return true;
        }
        if self.connections.states.can_connect(node.id(), now) {
            self.initiate_connect(node, now);
        }
        false
    }

    fn poll_delay(&self, node: NodeId, now: Instant) -> Duration {
        self.connections.states.poll_delay(node, now)
    }

    fn connection_failed(&self, node: NodeId) -> bool {
        self.connections.states.is_disconnected(node)
    }

    fn send(
        &mut self,
        request: ClientRequest,
        now: Instant,
    ) -> Result<CorrelationId, ClientRequest> {
        self.send_for_caller(request, now)
    }

    fn poll(&mut self, timeout: Duration, now: Instant) -> Vec<ClientResponse> {
        if !self.completed.is_empty() {
            // Requests that could not be sent.
            return std::mem::take(&mut self.completed);
        }
        self.maybe_bootstrap(now);
        let metadata_timeout = self.maybe_update_metadata(now);
        self.confirm_clusters(now);
        let telemetry_timeout = self.maybe_send_telemetry(now);
        let timeout = timeout.min(metadata_timeout).min(telemetry_timeout);
        let timeout = self.poll_timeout(timeout, now);
        // The wait may be long.
        self.publish_states();
        self.poll_selector(timeout);
        let now = self.time.now();
        self.read_before_timeouts(now);
        self.handle_resolved_hosts(now);
        self.initiate_api_versions_requests(now);
        self.handle_timed_out_connections(now);
        self.handle_timed_out_requests(now);
        self.maybe_rebootstrap(now);
        self.publish_states();
        std::mem::take(&mut self.completed)
    }

    fn initiate_telemetry_close(&mut self, now: Instant) {
        self.close_telemetry(now);
    }

    fn telemetry_close_wait(&mut self, now: Instant) -> Option<Duration> {
        self.telemetry_wait(now)
    }

    fn least_loaded_node(&mut self, now: Instant) -> Option<Node> {
        let snapshot = self.updater.metadata().snapshot();
        let least_loaded = self.connections.least_loaded_node(snapshot.nodes(), now);
        least_loaded.node.map(|loaded| loaded.node)
    }

    fn was_written(&self, correlation_id: CorrelationId, destination: NodeId) -> bool {
        let in_flight = &self.connections.in_flight;
        if let Some(request) = in_flight.find(destination, correlation_id) {
            return request.is_send_complete || self.connections.has_written_newest(destination);
        }
        let mut completed = self.completed.iter();
        let completed = completed.find(|response| response.correlation_id == correlation_id);
        !matches!(
            completed.map(|response| &response.outcome),
            Some(Err(RequestFailure::UnsupportedVersion { .. }
                | RequestFailure::Disconnected {
                    was_written: false,
                    ..
                }))
        )
    }

    fn api_version(&self, node: NodeId, key: ApiKey) -> Option<i16> {
        self.versions.get(node)?.latest_usable_version(key).ok()
    }

    fn finalized_feature_level(&self, feature: &str) -> i16 {
        self.versions.finalized_feature_level(feature)
    }

    fn close(&mut self) {
        self.connections.selector.close_all();
        self.metrics.status().set_nodes(std::iter::empty());
        self.connections.in_flight.clear();
        self.versions.clear();
        self.resolving.clear();
        self.draining.clear();
        self.to_ask_for_versions.clear();
        self.completed.clear();
        self.bootstrap = None;
        if let Some(telemetry) = &mut self.telemetry {
            telemetry.close();
        }
    }
}
