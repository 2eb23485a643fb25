//! What is known of each node, and whether a state changed since it was last shown to other threads.
//!
//! A node's state is private to this file, so that every change of it goes through [`NodeStates`], which takes note.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::{ConnectionState, NodeStatus};
use crate::common::{Node, NodeId};

/// The connection to a node, made or not.
#[derive(Debug)]
pub(super) struct NodeConnectionState {
    /// The node as it was when the connection was begun, and the state.
    status: NodeStatus,
    /// Of the last attempt to connect, or of the loss of the connection.
    pub(super) last_attempt: Instant,
    pub(super) failed_attempts: u32,
    /// Attempts that failed before the connection was made.
    pub(super) failed_connect_attempts: u32,
    /// TLS handshakes in turn that the node did not answer.
    pub(super) unanswered_handshakes: u32,
    pub(super) reconnect_backoff: Duration,
    pub(super) connection_setup_timeout: Duration,
    /// A request was answered since the node told its versions.
    pub(super) has_answered: bool,
    pub(super) throttled_until: Option<Instant>,
    /// Empty: they are to be resolved (again). Without the port.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) address_index: usize,
    pub(super) last_attempted_address: Option<SocketAddr>,
}

impl NodeConnectionState {
    pub(super) fn state(&self) -> ConnectionState {
        self.status.state
    }

    /// Returns the node as it was when the connection was begun.
    pub(super) fn node(&self) -> &Node {
        &self.status.node
    }

    /// Goes on to the next address; after the last one the name is to be resolved again.
    pub(super) fn move_to_next_address(&mut self) {
        self.address_index += 1;
        if self.address_index >= self.addresses.len() {
            self.clear_addresses();
        }
    }

    pub(super) fn clear_addresses(&mut self) {
        self.addresses.clear();
        self.address_index = 0;
    }

    pub(super) fn backoff_left(&self, now: Instant) -> Duration {
        let waited = now.saturating_duration_since(self.last_attempt);
        self.reconnect_backoff.saturating_sub(waited)
    }

    pub(super) fn setup_expires(&self) -> Option<Instant> {
        self.last_attempt.checked_add(self.connection_setup_timeout)
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct NodeStates {
    nodes: HashMap<NodeId, NodeConnectionState>,
    /// Whether a state changed since [`Self::take_changed`].
    has_changed: bool,
}

impl NodeStates {
    pub(super) fn get(&self, id: NodeId) -> Option<&NodeConnectionState> {
        self.nodes.get(&id)
    }

    /// For everything but the state.
    pub(super) fn get_mut(&mut self, id: NodeId) -> Option<&mut NodeConnectionState> {
        self.nodes.get_mut(&id)
    }

    /// Returns the state of a node that is known.
    pub(super) fn state(&self, id: NodeId) -> Option<ConnectionState> {
        self.nodes.get(&id).map(NodeConnectionState::state)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &NodeConnectionState)> {
        self.nodes.iter()
    }

    /// Changes the state of a node that is known.
    pub(super) fn set_state(&mut self, id: NodeId, state: ConnectionState) {
        if let Some(known) = self.nodes.get_mut(&id) {
            self.has_changed |= known.status.state != state;
            known.status.state = state;
        }
    }

    /// Begins another attempt to connect to a node that is known. It may have another port.
    pub(super) fn begin_again(&mut self, node: &Node) -> Option<&mut NodeConnectionState> {
        let known = self.nodes.get_mut(&node.id())?;
        known.status = NodeStatus {
            node: node.clone(),
            state: ConnectionState::Connecting,
        };
        self.has_changed = true;
        Some(known)
    }

    /// Begins the first attempt to connect to a node, or to one with this id and host.
    pub(super) fn begin(
        &mut self,
        node: &Node,
        reconnect_backoff: Duration,
        connection_setup_timeout: Duration,
        now: Instant,
    ) {
        let status = NodeStatus {
            node: node.clone(),
            state: ConnectionState::Connecting,
        };
        let state = NodeConnectionState {
            status,
            last_attempt: now,
            failed_attempts: 0,
            failed_connect_attempts: 0,
            unanswered_handshakes: 0,
            reconnect_backoff,
            connection_setup_timeout,
            has_answered: false,
            throttled_until: None,
            addresses: Vec::new(),
            address_index: 0,
            last_attempted_address: None,
        };
        self.nodes.insert(node.id(), state);
        self.has_changed = true;
    }

    pub(super) fn remove(&mut self, id: NodeId) {
        self.has_changed |= self.nodes.remove(&id).is_some();
    }

    /// Returns the state of every connection, if one changed since the last call.
    pub(super) fn take_changed(&mut self) -> Option<impl Iterator<Item = NodeStatus>> {
        let has_changed = std::mem::take(&mut self.has_changed);
        has_changed.then(|| self.nodes.values().map(|known| known.status.clone()))
    }
}
