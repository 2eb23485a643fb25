//! Sends telemetry to one node as long as that works. Java: `NetworkClient.TelemetrySender`;
//! KIP-714.
//!
//! Differs from Java: if the brokers request no metrics, the client makes no connection for
//! telemetry, unless a caller waits for the client instance id. A node's versions are checked
//! before a request is created for it.

use std::time::{Duration, Instant};

use super::NetworkClient;
use crate::client::telemetry::{ClientTelemetrySender, TelemetryFailure};
use crate::common::Node;
use crate::network::Selectable;
use crate::protocol::{ApiKey, ResponseBody};
use crate::utils::log;

/// How long to wait for a usable node. Network events end the wait too.
const NODE_WAIT: Duration = Duration::from_secs(1);

/// The telemetry, and its destination.
#[derive(Debug)]
pub(super) struct TelemetrySender {
    sender: ClientTelemetrySender,
    /// The node that took the last request.
    sticky: Option<Node>,
}

impl TelemetrySender {
    pub(super) fn close(&mut self) {
        self.sender.close();
    }
}

impl<S: Selectable> NetworkClient<S> {
    /// Makes the client push metrics if brokers request them.
    pub(crate) fn with_telemetry(self, sender: Option<ClientTelemetrySender>) -> Self {
        let telemetry = sender.map(|sender| TelemetrySender {
            sender,
            sticky: None,
        });
        Self { telemetry, ..self }
    }

    /// Sends the telemetry request that is due, if any. Returns how long until another may be due.
    pub(super) fn maybe_send_telemetry(&mut self, now: Instant) -> Duration {
        let Some(telemetry) = &self.telemetry else {
            return Duration::MAX;
        };
        let wait = telemetry.sender.time_to_next_update(now);
        if !wait.is_zero() {
            return wait;
        }
        let Some((node, is_any_connecting)) = self.telemetry_node(now) else {
            return self.wait_for_telemetry_node();
        };
        let id = node.id();
        if self.connections.can_send_request(id, now) && self.updater.is_confirmed(id) {
            return self.send_telemetry_to(node, now);
        }
        let Some(telemetry) = &mut self.telemetry else {
            return Duration::MAX;
        };
        // Another node may support it.
        telemetry.sticky = None;
        let may_connect = telemetry.sender.may_connect();
        if may_connect && !is_any_connecting && self.connections.states.can_connect(id, now) {
            log::debug!("connecting to node {node} for telemetry");
            self.initiate_connect(&node, now);
        }
        self.wait_for_telemetry_node()
    }

    /// Returns the destination, and whether any connection is being made.
    fn telemetry_node(&self, now: Instant) -> Option<(Node, bool)> {
        let snapshot = self.updater.metadata().snapshot();
        let sticky = self.telemetry.as_ref()?.sticky.as_ref();
        // Drops a node that the cluster no longer has, or has at another address.
        let sticky = sticky.filter(|node| snapshot.node(node.id()) == Some(node));
        if let Some(node) = sticky {
            return Some((node.clone(), false));
        }
        let least_loaded = self.connections.least_loaded_node(snapshot.nodes(), now);
        Some((least_loaded.node?.node, least_loaded.is_any_connecting))
    }

    fn send_telemetry_to(&mut self, node: Node, now: Instant) -> Duration {
        let Some(telemetry) = &mut self.telemetry else {
            return Duration::MAX;
        };
        let api = telemetry.sender.next_api();
        let versions = self.versions.get(node.id());
        if versions.is_some_and(|versions| versions.latest_usable_version(api).is_err()) {
            let is_terminating = telemetry.sender.is_terminating();
            let failure = TelemetryFailure::UnsupportedVersion;
            telemetry
                .sender
                .handle_failed_request(failure, is_terminating, now);
            return telemetry.sender.time_to_next_update(now);
        }
        let is_terminating = telemetry.sender.is_terminating();
        let Some(body) = telemetry.sender.create_request() else {
            return telemetry.sender.time_to_next_update(now);
        };
        log::debug!("sending {api} to node {node}");
        let id = node.id();
        telemetry.sticky = Some(node);
        self.send_telemetry_request(id, body, is_terminating, now);
        Duration::MAX
    }

    /// Returns how long to wait for a node. A close without a connection does not wait. Without a
    /// subscription, a connection that is made for another purpose is early enough.
    fn wait_for_telemetry_node(&mut self) -> Duration {
        let has_connection = self.has_connection_for_telemetry();
        let Some(telemetry) = &mut self.telemetry else {
            return Duration::MAX;
        };
        if telemetry.sender.is_terminating() && !has_connection {
            telemetry.sender.terminate();
            // The close need not wait any more.
            return Duration::ZERO;
        }
        match telemetry.sender.next_api() {
            ApiKey::PushTelemetry => NODE_WAIT,
            _ if telemetry.sender.may_connect() => NODE_WAIT,
            _ => Duration::MAX,
        }
    }

    fn has_connection_for_telemetry(&self) -> bool {
        let snapshot = self.updater.metadata().snapshot();
        let mut nodes = snapshot.nodes().iter();
        nodes.any(|node| self.connections.states.is_connected(node.id()))
    }

    pub(super) fn handle_telemetry_response(
        &mut self,
        body: ResponseBody,
        was_terminating: bool,
        now: Instant,
    ) {
        let Some(telemetry) = &mut self.telemetry else {
            return;
        };
        match body {
            ResponseBody::GetTelemetrySubscriptions(response) => {
                telemetry.sender.handle_subscription(response, now);
            }
            ResponseBody::PushTelemetry(response) => {
                telemetry
                    .sender
                    .handle_push(&response, was_terminating, now);
            }
            _ => {}
        }
    }

    pub(super) fn fail_telemetry(
        &mut self,
        failure: TelemetryFailure,
        was_terminating: bool,
        now: Instant,
    ) {
        if let Some(telemetry) = &mut self.telemetry {
            telemetry
                .sender
                .handle_failed_request(failure, was_terminating, now);
        }
    }

    pub(super) fn close_telemetry(&mut self, now: Instant) {
        if let Some(telemetry) = &mut self.telemetry {
            telemetry.sender.initiate_close(now);
        }
    }

    pub(super) fn telemetry_wait(&mut self, now: Instant) -> Option<Duration> {
        self.telemetry.as_mut()?.sender.close_wait(now)
    }
}
