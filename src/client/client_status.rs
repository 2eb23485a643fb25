//! The status of the connections for other threads: their states, and when a broker last responded.
//! Java: no counterpart.
//!
//! Threads: the I/O thread writes, after a poll that changed a state and for each response; any thread reads.
//! Locks: one mutex around the list of nodes, and one around the time of the last response.

use std::time::{Duration, Instant};

use super::cluster_connection_states::NodeStatus;
use crate::sync::Mutex;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct ClientStatus {
    /// By id.
    nodes: Mutex<Vec<NodeStatus>>,
    /// `None` if no broker has responded yet.
    last_response: Mutex<Option<Instant>>,
}

impl ClientStatus {
    /// Replaces the states of the connections.
    pub(super) fn set_nodes(&self, nodes: impl Iterator<Item = NodeStatus>) {
        let mut nodes: Vec<_> = nodes.collect();
        nodes.sort_unstable_by_key(|status| status.node.id());
        *self.nodes.lock() = nodes;
    }

    /// Notes that a broker responded, with something that was understood.
    pub(super) fn responded(&self, now: Instant) {
        *self.last_response.lock() = Some(now);
    }

    /// Returns the state of each connection, by node id.
    pub(crate) fn nodes(&self) -> Vec<NodeStatus> {
        self.nodes.lock().clone()
    }

    /// Returns how long ago a broker last responded; `None` if none has.
    pub(crate) fn since_last_response(&self, now: Instant) -> Option<Duration> {
        let last = *self.last_response.lock();
        last.map(|last| now.saturating_duration_since(last))
    }
}
