//! Sending: the version, the correlation id, the bytes. Java: `NetworkClient.doSend`, `nextCorrelationId`.

use std::ops::RangeInclusive;
use std::time::Instant;

use super::NetworkClient;
use crate::client::in_flight_requests::{InFlightRequest, Requester};
use crate::client::telemetry::TelemetryFailure;
use crate::client::{
    ClientRequest, ClientResponse, CorrelationId, MetadataRequestVersion, RequestFailure,
};
use crate::common::NodeId;
use crate::error::{Error, ErrorKind};
use crate::network::{NetworkSend, Selectable};
use crate::protocol::messages::{ApiVersionsRequest, MetadataRequest, ProduceRequest};
use crate::protocol::{ApiKey, RequestBody, RequestHeader, encode_request};
use crate::utils::log;

/// SASL requests use the top of the range. Java: `SaslClientAuthenticator`.
const FIRST_RESERVED_CORRELATION_ID: i32 = i32::MAX - 7;
/// Brokers accept letters, digits, '-' and '.' here.
const SOFTWARE_NAME: &str = "kafka-producer";
/// The first version of Produce that identifies topics by id.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;

/// The reason why a request was not sent.
pub(super) enum SendFailure {
    /// The connection cannot take it.
    NotReady,
    /// No version that the node supports can carry it.
    UnsupportedVersion(String),
}

impl<S: Selectable> NetworkClient<S> {
    #[expect(
        clippy::result_large_err,
        reason = "the request comes back whole, to be sent again"
    )]
    pub(super) fn send_for_caller(
        &mut self,
        request: ClientRequest,
        now: Instant,
    ) -> Result<CorrelationId, ClientRequest> {
        let node = request.destination;
        if !self.connections.can_send_request(node, now) {
            return Err(request);
        }
        match self.send_in_usable_version(&request, Requester::Caller, now) {
            Ok(correlation_id) => Ok(correlation_id),
            Err(SendFailure::NotReady) => Err(request),
            Err(SendFailure::UnsupportedVersion(message)) => {
                let correlation_id = self.take_correlation_id();
                let outcome = Err(RequestFailure::UnsupportedVersion {
                    message,
                    node: self.describe(node),
                });
                self.completed.push(ClientResponse {
                    correlation_id,
                    api_version: -1,
                    outcome,
                });
                Ok(correlation_id)
            }
        }
    }

    pub(super) fn send_metadata_request(
        &mut self,
        node: NodeId,
        request: MetadataRequest,
        version: MetadataRequestVersion,
        now: Instant,
    ) {
        let request = self.own_request(node, request.into());
        let requester = Requester::MetadataUpdater(version);
        log::debug!("requesting metadata from {}", self.describe(node));
        let fatal = match self.send_in_usable_version(&request, requester, now) {
            Ok(_) => return,
            Err(SendFailure::NotReady) => None,
            Err(SendFailure::UnsupportedVersion(message)) => {
                let name = self.describe(node);
                let text = format!("{name} cannot be asked for metadata: {message}");
                Some(Error::new(ErrorKind::UnsupportedVersion, text))
            }
        };
        self.updater.handle_failed_request(fatal, now);
    }

    /// Sends metrics, or a request for the subscription, to a node that takes requests.
    pub(super) fn send_telemetry_request(
        &mut self,
        node: NodeId,
        body: RequestBody,
        is_terminating: bool,
        now: Instant,
    ) {
        let request = self.own_request(node, body);
        let requester = Requester::Telemetry { is_terminating };
        let failure = match self.send_in_usable_version(&request, requester, now) {
            Ok(_) => return,
            Err(SendFailure::NotReady) => TelemetryFailure::NotSent,
            Err(SendFailure::UnsupportedVersion(_)) => TelemetryFailure::UnsupportedVersion,
        };
        self.fail_telemetry(failure, is_terminating, now);
    }

    pub(super) fn send_api_versions_request(
        &mut self,
        node: NodeId,
        version: i16,
        now: Instant,
    ) -> Result<CorrelationId, SendFailure> {
        let (cluster_id, node_id) = match self.cluster_to_check(node) {
            Some(cluster_id) => (Some(cluster_id), node.0),
            None => (None, -1),
        };
        let request = ApiVersionsRequest {
            client_software_name: SOFTWARE_NAME.to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster_id,
            node_id,
        };
        let request = self.own_request(node, request.into());
        self.do_send(&request, version, Requester::ApiVersions, now)
    }

    /// Returns the cluster for which a connection to the node is intended, if the broker should
    /// check it (KIP-1242). A bootstrap server has no node id. Before the first metadata, and after
    /// a rebootstrap until the next one, no cluster is known.
    fn cluster_to_check(&self, node: NodeId) -> Option<String> {
        let is_checked = self.config.metadata_cluster_check && self.updater.can_rebootstrap();
        if !is_checked || node.0 < 0 {
            return None;
        }
        let snapshot = self.updater.metadata().snapshot();
        snapshot.cluster_id().map(str::to_owned)
    }

    fn own_request(&self, destination: NodeId, body: RequestBody) -> ClientRequest {
        ClientRequest::new(destination, body, self.config.request_timeout)
    }

    fn send_in_usable_version(
        &mut self,
        request: &ClientRequest,
        requester: Requester,
        now: Instant,
    ) -> Result<CorrelationId, SendFailure> {
        let key = request.body.api_key();
        // A node is ready only after it has sent its versions.
        let versions = self.versions.get(request.destination);
        let versions = versions.ok_or(SendFailure::NotReady)?;
        let version = versions
            .latest_usable_version_in(key, usable_versions(request))
            .map_err(|error| SendFailure::UnsupportedVersion(error.to_string()))?;
        self.do_send(request, version, requester, now)
    }

    fn do_send(
        &mut self,
        request: &ClientRequest,
        api_version: i16,
        requester: Requester,
        now: Instant,
    ) -> Result<CorrelationId, SendFailure> {
        let api_key = request.body.api_key();
        let correlation_id = self.take_correlation_id();
        let header = RequestHeader {
            api_key: api_key.id(),
            api_version,
            correlation_id: correlation_id.0,
            client_id: self.config.client_id.clone(),
        };
        let message = encode_request(&header, &request.body)
            .map_err(|error| SendFailure::UnsupportedVersion(error.to_string()))?;
        let send = NetworkSend::new(request.destination, message);
        let connections = &mut self.connections;
        if connections.selector.send(send).is_err() {
            return Err(SendFailure::NotReady);
        }
        log::trace!(
            "{api_key} v{api_version} to node {}, correlation id {correlation_id}",
            request.destination
        );
        connections.in_flight.add(InFlightRequest {
            correlation_id,
            api_key,
            api_version,
            destination: request.destination,
            requester,
            sent: now,
            request_timeout: request.request_timeout,
            expect_response: request.expect_response,
            is_send_complete: false,
            throttle_time: std::time::Duration::ZERO,
        });
        Ok(correlation_id)
    }

    pub(super) fn take_correlation_id(&mut self) -> CorrelationId {
        if self.next_correlation_id >= FIRST_RESERVED_CORRELATION_ID {
            self.next_correlation_id = i32::MIN;
        }
        let correlation_id = CorrelationId(self.next_correlation_id);
        self.next_correlation_id += 1;
        correlation_id
    }

    /// Sets the id, so that a test can reach the end of the range.
    #[cfg(test)]
    pub(super) fn set_next_correlation_id(&mut self, id: i32) {
        self.next_correlation_id = id;
    }
}

/// Returns the versions that can carry this request. Java: `AbstractRequest.Builder`.
fn usable_versions(request: &ClientRequest) -> RangeInclusive<i16> {
    let (first, last) = (*request.versions.start(), *request.versions.end());
    match &request.body {
        RequestBody::Produce(request) => match topic_names_of(request) {
            (true, false) => first..=last.min(FIRST_VERSION_WITH_TOPIC_IDS - 1),
            (false, true) => first.max(FIRST_VERSION_WITH_TOPIC_IDS)..=last,
            _ => first..=last,
        },
        _ => first..=last,
    }
}

/// Returns whether a topic of the request has no id, and whether one has no name.
fn topic_names_of(request: &ProduceRequest) -> (bool, bool) {
    let topics = &request.topics;
    let lacks_id = topics.iter().any(|topic| topic.topic_id.is_zero());
    let lacks_name = topics.iter().any(|topic| topic.name.is_empty());
    (lacks_id, lacks_name)
}

/// Returns the version of the first request on a new connection.
pub(super) fn latest_api_versions_version() -> i16 {
    *ApiKey::ApiVersions.versions().end()
}
