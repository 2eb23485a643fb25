//! What other threads may know of the connections at any time: their states, and when a broker last responded. Java: no
//! counterpart.
//!
//! Threads: the I/O thread writes, after a poll that changed a state and for each response; any thread reads.
//! Locks: one mutex around the list of nodes.

use std::time::Duration;

use super::cluster_connection_states::NodeStatus;
use crate::metrics::MetricTime;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// No broker has responded yet.
const NEVER: u64 = u64::MAX;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct ClientStatus {
    /// By id.
    nodes: Mutex<Vec<NodeStatus>>,
    /// The [`MetricTime`] of the last response in milliseconds, or [`NEVER`].
    last_response: AtomicU64,
}

impl Default for ClientStatus {
    fn default() -> Self {
        Self {
            nodes: Mutex::default(),
            last_response: AtomicU64::new(NEVER),
        }
    }
}

impl ClientStatus {
    /// Replaces the states of the connections.
    pub(super) fn set_nodes(&self, nodes: impl Iterator<Item = NodeStatus>) {
        let mut nodes: Vec<_> = nodes.collect();
        nodes.sort_unstable_by_key(|status| status.node.id());
        *self.nodes.lock() = nodes;
    }

    /// Notes that a broker responded, with something that was understood.
    pub(super) fn responded(&self, now: MetricTime) {
        self.last_response.store(now.millis(), Ordering::Relaxed);
    }

    /// Returns the state of each connection, by the id of its node.
    pub(crate) fn nodes(&self) -> Vec<NodeStatus> {
        self.nodes.lock().clone()
    }

    /// Returns how long ago a broker last responded; `None` if none has.
    pub(crate) fn since_last_response(&self, now: MetricTime) -> Option<Duration> {
        let last = self.last_response.load(Ordering::Relaxed);
        (last != NEVER).then(|| Duration::from_millis(now.millis().saturating_sub(last)))
    }
}
