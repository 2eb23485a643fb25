//! A producer's ability to work, as far as it knows. Java: no counterpart.

use std::time::Duration;

use crate::client::{ConnectionState, NodeStatus, node_address};
use crate::common::NodeId;
use crate::error::Error;

/// What a producer knows of itself without asking a broker. This is enough for a readiness probe.
/// See [`KafkaProducer::health`](crate::KafkaProducer::health).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether the producer accepts records, which means that it is not closed.
    pub is_open: bool,
    /// Why the producer can send nothing any more: for example, another producer fenced it, or its
    /// bootstrap servers cannot be resolved. Only a new producer can send then.
    pub fatal_error: Option<Error>,
    /// How long ago a broker last responded to a request of any kind, in whole milliseconds; `None` if none ever did.
    pub since_last_response: Option<Duration>,
    /// The brokers to which the producer has or had a connection, by id. The ids of bootstrap
    /// servers are negative.
    pub nodes: Vec<NodeHealth>,
    /// The buffer memory (`buffer.memory`), in bytes.
    pub buffer_total_bytes: usize,
    /// The free buffer memory, in bytes. Sends wait if there is too little.
    pub buffer_available_bytes: usize,
    /// The number of threads that wait for buffer memory.
    pub waiting_threads: usize,
}

/// The connection to a broker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeHealth {
    /// The broker's id.
    pub id: NodeId,
    /// The broker's `host:port`.
    pub address: String,
    /// The state of the connection.
    pub state: ConnectionState,
    /// Why the last connection failed; `None` if none did, or if the broker has responded since.
    pub last_error: Option<Error>,
}

impl Health {
    /// Returns `true` if the producer can be expected to deliver what is sent now. All of this must
    /// hold:
    ///
    /// - It is open, and no fatal error has ended it.
    /// - A broker has responded since it was built.
    /// - It is connected to a broker, or no connection has failed since that broker last responded.
    ///   An idle producer closes its connections after `connections.max.idle.ms`, which is not a
    ///   fault.
    ///
    /// Bootstrap servers count only until the producer connects to a broker by its id, because no record goes to them.
    /// After a total outage, a producer that sends nothing becomes healthy again with its next metadata refresh.
    ///
    /// One connected broker suffices, even if other brokers lead some partitions;
    /// [`nodes`](Self::nodes) shows the missing ones. A new producer is not healthy before the
    /// first response, which takes a few milliseconds. Full buffer memory is not unhealthy: the
    /// program sends faster than the brokers accept.
    pub fn is_healthy(&self) -> bool {
        let has_failed = self.brokers().any(|node| node.last_error.is_some());
        self.is_open
            && self.fatal_error.is_none()
            && self.since_last_response.is_some()
            && (self.connected_nodes() > 0 || !has_failed)
    }

    /// Returns the number of brokers that requests can be sent to.
    pub fn connected_nodes(&self) -> usize {
        let states = self.brokers().map(|node| node.state);
        states
            .filter(|state| matches!(state, ConnectionState::Ready | ConnectionState::Draining))
            .count()
    }

    /// Returns the brokers that can receive records. Bootstrap servers count until there is a
    /// connection by id.
    fn brokers(&self) -> impl Iterator<Item = &NodeHealth> {
        let has_ids = self.nodes.iter().any(|node| node.id.0 >= 0);
        let nodes = self.nodes.iter();
        nodes.filter(move |node| !has_ids || node.id.0 >= 0)
    }

    /// Returns the health of a producer in a forked child, where nothing is sent.
    pub(super) fn of_fork(forked: Error, buffer_memory: usize) -> Self {
        Self {
            is_open: false,
            fatal_error: Some(forked),
            since_last_response: None,
            nodes: Vec::new(),
            buffer_total_bytes: buffer_memory,
            buffer_available_bytes: 0,
            waiting_threads: 0,
        }
    }
}

impl NodeHealth {
    pub(super) fn new(status: &NodeStatus, last_error: Option<Error>) -> Self {
        let node = &status.node;
        Self {
            id: node.id(),
            address: node_address(node),
            state: status.state,
            last_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn node(state: ConnectionState, has_failed: bool) -> NodeHealth {
        NodeHealth {
            id: NodeId(1),
            address: "broker:9092".to_owned(),
            state,
            last_error: has_failed.then(|| Error::new(ErrorKind::Network, "refused")),
        }
    }

    fn health(nodes: Vec<NodeHealth>) -> Health {
        Health {
            is_open: true,
            fatal_error: None,
            since_last_response: Some(Duration::ZERO),
            nodes,
            buffer_total_bytes: 1,
            buffer_available_bytes: 0,
            waiting_threads: 1,
        }
    }

    #[test]
    fn bootstrap_servers_count_only_until_there_is_a_broker_by_id() {
        use ConnectionState::{Disconnected, Ready};
        let bootstrap = NodeHealth {
            id: NodeId(-1),
            ..node(Ready, false)
        };
        let only = health(vec![bootstrap.clone()]);
        assert_eq!((only.connected_nodes(), only.is_healthy()), (1, true));
        let cut_off = health(vec![bootstrap.clone(), node(Disconnected, true)]);
        assert_eq!(
            (cut_off.connected_nodes(), cut_off.is_healthy()),
            (0, false)
        );
        let both = health(vec![bootstrap, node(Ready, false)]);
        assert_eq!((both.connected_nodes(), both.is_healthy()), (1, true));
    }

    #[test]
    fn a_producer_is_healthy_while_one_broker_is_connected_or_none_has_failed() {
        use ConnectionState::{Connecting, Disconnected, Ready};
        for (nodes, expected) in [
            (vec![], true),
            (vec![node(Ready, false)], true),
            (vec![node(Disconnected, false)], true),
            (vec![node(Disconnected, true)], false),
            (
                vec![node(Connecting, true), node(Disconnected, true)],
                false,
            ),
            (vec![node(Disconnected, true), node(Ready, false)], true),
        ] {
            let health = health(nodes);
            assert_eq!(health.is_healthy(), expected, "{health:?}");
        }
    }

    #[test]
    fn a_producer_that_is_closed_or_failed_or_new_is_not_healthy() {
        let closed = Health {
            is_open: false,
            ..health(Vec::new())
        };
        let failed = Health {
            fatal_error: Some(Error::new(ErrorKind::Fenced, "fenced")),
            ..health(Vec::new())
        };
        let new = Health {
            since_last_response: None,
            ..health(Vec::new())
        };
        for health in [closed, failed, new] {
            assert!(!health.is_healthy(), "{health:?}");
        }
    }
}
