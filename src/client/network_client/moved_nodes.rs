//! Replaces connections to addresses that are no longer those of their nodes. Java: no counterpart;
//! there a connection stays as long as it works.
//!
//! A broker that moves to another host may leave its old process behind. That process still
//! responds: with NOT_LEADER_OR_FOLLOWER or, if it is cut off from the cluster, with
//! acknowledgements that do not count. So connections follow the metadata. If a node has another
//! host or port, its connection takes no more requests, and is replaced once those in flight have
//! responses.

use std::time::Instant;

use super::NetworkClient;
use super::disconnections::ConnectionEnd;
use crate::client::node_from_wire;
use crate::common::{Node, NodeId};
use crate::network::Selectable;
use crate::protocol::messages::FindCoordinatorResponse;
use crate::sync::Arc;
use crate::utils::log;

impl<S: Selectable> NetworkClient<S> {
    /// Takes constant time while the metadata are unchanged and no connection is draining.
    pub(super) fn replace_connections_of_moved_nodes(&mut self, now: Instant) {
        self.compare_with_metadata(now);
        for node in std::mem::take(&mut self.draining) {
            // Otherwise the connection was lost meanwhile.
            if self.connections.states.is_draining(node) {
                self.replace_or_drain(node, now);
            }
        }
    }

    fn compare_with_metadata(&mut self, now: Instant) {
        let metadata = self.updater.metadata();
        if Arc::ptr_eq(&self.compared, &metadata.snapshot()) {
            return;
        }
        let before = std::mem::replace(&mut self.compared, metadata.load());
        let states = &self.connections.states;
        let has_changed = |node: &Node| {
            let before = before.node(node.id());
            before.is_none_or(|before| !before.has_address_of(node))
        };
        // A coordinator's address comes from another response, and may be newer than the metadata.
        let nodes = self.compared.nodes().iter();
        let moved: Vec<(Node, Node)> = nodes
            .filter_map(|node| Some((states.moved_from(node)?, node.clone())))
            .filter(|(_, node)| has_changed(node))
            .collect();
        for (from, to) in moved {
            if !self.connections.states.is_draining(to.id()) {
                log::info!("node {from} is now node {to}: its connection is replaced");
                self.replace_or_drain(to.id(), now);
            }
        }
    }

    /// Requests metadata if a coordinator has another address there. The connection follows the
    /// metadata, so a moved coordinator would otherwise be asked at its old address until the
    /// metadata are due by age.
    pub(super) fn compare_with_coordinators(&self, response: &FindCoordinatorResponse) {
        let metadata = self.updater.metadata();
        let snapshot = metadata.snapshot();
        for coordinator in &response.coordinators {
            let (id, port) = (coordinator.node_id, coordinator.port);
            let Ok(node) = node_from_wire(id, &coordinator.host, port, None) else {
                continue;
            };
            let known = snapshot.node(node.id());
            if known.is_some_and(|known| !known.has_address_of(&node)) {
                log::debug!("coordinator {node} has another address in the metadata");
                metadata.request_update();
            }
        }
    }

    /// Closes a connection without requests in flight. Stops sending on any other.
    fn replace_or_drain(&mut self, node: NodeId, now: Instant) {
        // The request in flight on a connection that is being prepared is the client's own request
        // for versions.
        let is_preparing = self.connections.states.is_preparing(node);
        if !is_preparing && self.connections.in_flight.node_count(node) > 0 {
            self.connections.states.drain(node);
            self.draining.push(node);
            return;
        }
        let ending = ConnectionEnd::network("the node has another address");
        self.cancel_in_flight_requests(node, &ending, now);
        self.connections.selector.close(node);
        self.forget_connection(node);
        // This is not a failure, so the next attempt need not wait.
        self.connections.states.remove(node);
    }
}
