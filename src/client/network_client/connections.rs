//! The connections, their states and their requests in flight, all of which decide whether a
//! request can be sent.

use std::time::Instant;

use crate::client::cluster_connection_states::ClusterConnectionStates;
use crate::client::in_flight_requests::InFlightRequests;
use crate::client::metadata_updater::{LeastLoadedNode, LoadedNode};
use crate::common::{Node, NodeId};
use crate::network::Selectable;
use crate::utils::ExponentialBackoff;

#[derive(Debug)]
pub(super) struct Connections<S> {
    pub(super) selector: S,
    pub(super) states: ClusterConnectionStates,
    pub(super) in_flight: InFlightRequests,
}

impl<S: Selectable> Connections<S> {
    pub(super) fn new(
        selector: S,
        reconnect_backoff: ExponentialBackoff,
        connection_setup_timeout: ExponentialBackoff,
        in_flight: InFlightRequests,
    ) -> Self {
        Self {
            selector,
            states: ClusterConnectionStates::new(reconnect_backoff, connection_setup_timeout),
            in_flight,
        }
    }

    /// Returns whether a request can be sent to the node now. Constant time.
    pub(super) fn can_send_request(&self, node: NodeId, now: Instant) -> bool {
        self.states.is_ready(node, now)
            && self.selector.is_channel_ready(node)
            && self.in_flight.can_send_more(node)
    }

    /// Returns whether a byte of the newest request was passed to the socket. Call this before the
    /// connection is closed.
    pub(super) fn has_written_newest(&self, node: NodeId) -> bool {
        self.selector.bytes_written(node) > 0
    }

    /// Returns a node for a request that any node can handle: a ready one with the fewest requests
    /// in flight, or else one that is getting ready, or else the one whose last attempt is the
    /// oldest. Nodes in their backoff are excluded.
    pub(super) fn least_loaded_node(&self, nodes: &[Node], now: Instant) -> LeastLoadedNode {
        let mut found_ready: Option<(usize, &Node)> = None;
        let mut found_preparing = None;
        let mut found_can_connect: Option<&Node> = None;
        let mut has_ready_connection = false;
        let mut is_any_connecting = false;
        // A random start spreads the requests of many clients over the nodes.
        let start = match nodes.len() {
            0 => 0,
            count => fastrand::usize(..count),
        };
        let (before, after) = nodes.split_at(start);
        for node in after.iter().chain(before) {
            let id = node.id();
            is_any_connecting |= self.states.is_connecting(id);
            // A throttled or full node is ready too: it is there.
            has_ready_connection |=
                self.states.is_connected(id) && self.selector.is_channel_ready(id);
            if self.can_send_request(id, now) {
                let in_flight = self.in_flight.node_count(id);
                if found_ready.is_none_or(|(fewest, _)| in_flight < fewest) {
                    found_ready = Some((in_flight, node));
                }
            } else if self.states.is_preparing(id) {
                found_preparing = Some(node);
            } else if self.states.can_connect(id, now) {
                let last_attempt = |node: &Node| self.states.last_attempt(node.id());
                if found_can_connect.is_none_or(|best| last_attempt(node) < last_attempt(best)) {
                    found_can_connect = Some(node);
                }
            }
        }
        let node = found_ready
            .map(|(_, node)| node)
            .or(found_preparing)
            .or(found_can_connect);
        LeastLoadedNode {
            node: node.map(|node| LoadedNode {
                node: node.clone(),
                can_send: found_ready.is_some(),
                can_connect: self.states.can_connect(node.id(), now),
            }),
            has_ready_connection,
            is_any_connecting,
        }
    }
}
