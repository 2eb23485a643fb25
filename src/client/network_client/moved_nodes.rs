//! Connections to addresses that are no longer those of their nodes. Java: no counterpart; there a connection stays as long
//! as it works.
//!
//! A broker that gets another host may leave its old process behind, which still answers: with NOT_LEADER_OR_FOLLOWER, or,
//! cut off from the cluster, with acknowledgements that do not count. So a connection follows the metadata: it takes no
//! more requests when its node has another host or port, and is replaced when those in flight have their responses.

use std::time::Instant;

use super::NetworkClient;
use super::disconnections::Ending;
use crate::client::{ClientResponse, node_from_wire};
use crate::common::{Node, NodeId};
use crate::network::Selectable;
use crate::protocol::messages::FindCoordinatorResponse;
use crate::sync::Arc;
use crate::utils::log;

impl<S: Selectable> NetworkClient<S> {
    /// Constant time while the metadata are unchanged and no connection is draining.
    pub(super) fn replace_connections_of_moved_nodes(
        &mut self,
        responses: &mut Vec<ClientResponse>,
        now: Instant,
    ) {
        self.compare_with_metadata(responses, now);
        for node in std::mem::take(&mut self.draining) {
            // Otherwise it was lost meanwhile.
            if self.connections.states.is_draining(node) {
                self.replace_or_drain(node, responses, now);
            }
        }
    }

    fn compare_with_metadata(&mut self, responses: &mut Vec<ClientResponse>, now: Instant) {
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
        // The coordinator's address comes with another response, and may be newer than an unchanged one here.
        let nodes = self.compared.nodes().iter();
        let moved: Vec<(Node, Node)> = nodes
            .filter_map(|node| Some((states.moved_from(node)?, node.clone())))
            .filter(|(_, node)| has_changed(node))
            .collect();
        for (from, to) in moved {
            if !self.connections.states.is_draining(to.id()) {
                log::info!("node {from} is now node {to}: its connection is replaced");
                self.replace_or_drain(to.id(), responses, now);
            }
        }
    }

    /// Requests metadata if a coordinator has another address there. The connection stays that of the metadata, and a
    /// coordinator that moved would be asked at its old address until they are due by age.
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

    /// Ends a connection that nothing waits for; stops to send on any other.
    fn replace_or_drain(
        &mut self,
        node: NodeId,
        responses: &mut Vec<ClientResponse>,
        now: Instant,
    ) {
        // What is in flight on a connection that is being prepared is the client's own question for versions.
        let is_preparing = self.connections.states.is_preparing(node);
        if !is_preparing && self.connections.in_flight.node_count(node) > 0 {
            self.connections.states.drain(node);
            self.draining.push(node);
            return;
        }
        let ending = Ending::network("the node has another address");
        self.cancel_in_flight_requests(node, &ending, responses, now);
        self.connections.selector.close(node);
        self.forget_connection(node);
        // No failure that the next attempt has to wait after.
        self.connections.states.remove(node);
    }
}
