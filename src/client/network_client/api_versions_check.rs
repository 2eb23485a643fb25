//! The first exchange on a connection: the versions that the node supports, and whether they
//! suffice. Java: `NetworkClient.handleInitiateApiVersionRequests`, `handleApiVersionsResponse`;
//! KIP-35, KIP-511, KIP-1242.

use std::time::Instant;

use super::NetworkClient;
use super::disconnections::ConnectionEnd;
use crate::client::in_flight_requests::InFlightRequest;
use crate::client::node_api_versions::NodeApiVersions;
use crate::client::printable;
use crate::common::NodeId;
use crate::error::{Error, ErrorKind};
use crate::network::Selectable;
use crate::protocol::messages::ApiVersionsResponse;
use crate::protocol::{ApiKey, ErrorCode};
use crate::utils::log;

impl<S: Selectable> NetworkClient<S> {
    /// Sends the request on new connections that can be written to. The state changes with the
    /// request and not before: if a node's channel never gets this far, the connection setup
    /// timeout applies.
    pub(super) fn initiate_api_versions_requests(&mut self, now: Instant) {
        if self.to_ask_for_versions.is_empty() {
            return;
        }
        for (node, version) in std::mem::take(&mut self.to_ask_for_versions) {
            let is_channel_ready = self.connections.selector.is_channel_ready(node);
            if !is_channel_ready || !self.connections.in_flight.can_send_more(node) {
                self.ask_for_versions(node, version);
                continue;
            }
            self.connections.states.checking_api_versions(node);
            if self.send_api_versions_request(node, version, now).is_err() {
                let ending = ConnectionEnd::network("it cannot be asked for its versions");
                self.close_connection(node, &ending, now);
            }
        }
    }

    pub(super) fn handle_api_versions_response(
        &mut self,
        request: &InFlightRequest,
        response: ApiVersionsResponse,
        now: Instant,
    ) {
        let node = request.destination;
        let is_misrouted = response.error_code == ErrorCode::REBOOTSTRAP_REQUIRED;
        if is_misrouted && self.updater.can_rebootstrap() {
            return self.give_up_misrouted_connection(node, now);
        }
        if !response.error_code.is_none() {
            return match fallback_version(request.api_version, &response) {
                Some(version) => self.ask_for_versions(node, version),
                None => {
                    let cause = format!(
                        "it returned {} for its API versions (v{})",
                        response.error_code, request.api_version
                    );
                    self.close_connection(node, &ConnectionEnd::protocol(cause), now);
                }
            };
        }
        let versions = NodeApiVersions::new(&response.api_keys);
        log::debug!("node {node} supports {versions}");
        let missing = self.config.required_apis.iter();
        let missing: Vec<_> = missing
            .filter_map(|key| versions.latest_usable_version(*key).err())
            .map(|error| error.to_string())
            .collect();
        if !missing.is_empty() {
            return self.give_up_old_node(node, &missing.join("; "), now);
        }
        let receive_max_bytes = self.config.receive_max_bytes;
        self.connections
            .selector
            .set_receive_limit(node, receive_max_bytes);
        self.versions.update(node, versions, response);
        self.connections.states.ready(node);
    }

    /// Handles another broker than the intended one at the address. The metadata with this address
    /// is useless, so the client starts again from the bootstrap nodes.
    ///
    /// Differs from Java, which only logs this at INFO. Here it is a warning, once a minute, and
    /// the cause of the error of a caller that waits for the node in vain.
    fn give_up_misrouted_connection(&mut self, node: NodeId, now: Instant) {
        let snapshot = self.updater.metadata().snapshot();
        let cluster_id = printable(snapshot.cluster_id().unwrap_or_default()).to_string();
        drop(snapshot);
        let cause = format!(
            "the broker at this address says that it is not node {node} of cluster {cluster_id}: the metadata is out of \
             date, or advertised.listeners is wrong (metadata.cluster.check.enable)"
        );
        self.updater.misrouted(node, &cause, now);
        self.end_connection(node, &ConnectionEnd::network(cause), now);
    }

    /// Handles a node that lacks required APIs. It may be upgraded, so it is tried again after the
    /// backoff, which grows because the connection never becomes ready. Meanwhile a waiting caller
    /// receives the error.
    fn give_up_old_node(&mut self, node: NodeId, missing: &str, now: Instant) {
        let why = format!("{missing} (brokers of Kafka 2.1 to 4.x are supported)");
        let text = format!("{} cannot be produced to: {why}", self.describe(node));
        self.close_connection(node, &ConnectionEnd::too_old(why), now);
        let error = Error::new(ErrorKind::UnsupportedVersion, text);
        self.updater.metadata().fatal_error(error);
    }
}

/// Returns the version for another request after one was refused. Brokers from 2.4 on return their
/// highest one. For others, and for a broker that returns the refused version again, it is 0.
/// `None`: another request is useless.
fn fallback_version(refused: i16, response: &ApiVersionsResponse) -> Option<i16> {
    if refused == 0 || response.error_code != ErrorCode::UNSUPPORTED_VERSION {
        return None;
    }
    let mut keys = response.api_keys.iter();
    let told = keys.find(|api| api.api_key == ApiKey::ApiVersions.id());
    let highest = told.map_or(0, |api| api.max_version);
    Some(if (0..refused).contains(&highest) {
        highest
    } else {
        0
    })
}
