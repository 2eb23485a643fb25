//! Why brokers could not be reached, so that a call that waits for one in vain can say it. Java: no counterpart; there
//! the reason is in the log alone.

use crate::common::Node;
use crate::error::{Error, ErrorKind};

/// What an error tells at most. With more addresses than that, what is wrong with the last ones is enough.
const MAX_ADDRESSES: usize = 8;

/// The last failure of each address that has not answered since, the newest last.
#[derive(Debug, Default)]
pub(super) struct ConnectionFailures(Vec<ConnectionFailure>);

#[derive(Debug)]
struct ConnectionFailure {
    /// As `host:port`.
    address: String,
    kind: ErrorKind,
    cause: String,
    /// The version of the metadata at that time.
    update_version: u64,
}

impl ConnectionFailures {
    pub(super) fn add(&mut self, node: &Node, kind: ErrorKind, cause: &str, update_version: u64) {
        self.remove(node);
        if self.0.len() == MAX_ADDRESSES {
            self.0.remove(0);
        }
        self.0.push(ConnectionFailure {
            address: node_address(node),
            kind,
            cause: cause.to_owned(),
            update_version,
        });
    }

    /// The node has answered a request.
    pub(super) fn remove(&mut self, node: &Node) {
        let address = node_address(node);
        self.0.retain(|failure| failure.address != address);
    }

    /// What was wrong with this node when it was last tried.
    pub(super) fn of(&self, node: &Node) -> Option<Error> {
        let address = node_address(node);
        let mut failures = self.0.iter();
        failures
            .find(|failure| failure.address == address)
            .map(|failure| Error::new(failure.kind, failure.to_string()))
    }

    /// What went wrong since the metadata had this version; of a kind of its own where all of it is of that kind.
    pub(super) fn since(&self, update_version: u64) -> Option<Error> {
        let mut failures = self
            .0
            .iter()
            .filter(|failure| failure.update_version == update_version);
        let first = failures.next()?;
        let (mut kind, mut text) = (first.kind, first.to_string());
        for failure in failures {
            if failure.kind != kind {
                kind = ErrorKind::Network;
            }
            text = format!("{text}; {failure}");
        }
        Some(Error::new(kind, text))
    }
}

impl std::fmt::Display for ConnectionFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.address, self.cause)
    }
}

/// The address as `host:port`, fit for a log line: a broker may have sent the host.
pub(crate) fn node_address(node: &Node) -> String {
    let host = super::printable(node.host());
    match node.host().contains(':') {
        true => format!("[{host}]:{}", node.port()),
        false => format!("{host}:{}", node.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::NodeId;

    fn node(port: u16) -> Node {
        Node::new(NodeId(-1), "host", port, None)
    }

    #[test]
    fn the_last_failure_of_each_address_counts() {
        let mut failures = ConnectionFailures::default();
        assert!(failures.since(0).is_none());
        failures.add(&node(1), ErrorKind::Network, "refused", 0);
        failures.add(&node(2), ErrorKind::Network, "refused", 0);
        failures.add(&node(1), ErrorKind::Protocol, "odd", 0);
        let error = failures.since(0).unwrap();
        assert_eq!(error.to_string(), "host:2: refused; host:1: odd");
        assert_eq!(error.kind(), ErrorKind::Network, "of both kinds");
        let error = failures.of(&node(1)).unwrap();
        assert_eq!(error.to_string(), "host:1: odd");
        assert_eq!(error.kind(), ErrorKind::Protocol);

        failures.remove(&node(2));
        assert_eq!(failures.since(0).unwrap().kind(), ErrorKind::Protocol);
        assert!(failures.of(&node(2)).is_none());
    }

    #[test]
    fn failures_before_an_update_do_not_explain_a_wait_after_it() {
        let mut failures = ConnectionFailures::default();
        failures.add(&node(1), ErrorKind::Network, "refused", 0);
        assert!(failures.since(1).is_none());
        assert!(failures.of(&node(1)).is_some(), "nor was it heard of since");
    }

    #[test]
    fn many_addresses_do_not_add_up() {
        let mut failures = ConnectionFailures::default();
        for port in 1..1000 {
            failures.add(&node(port), ErrorKind::Network, "refused", 0);
        }
        let text = failures.since(0).unwrap().to_string();
        assert_eq!(text.matches("refused").count(), MAX_ADDRESSES);
        assert!(text.ends_with("host:999: refused"), "{text}");
    }

    #[test]
    fn an_ipv6_address_is_told_from_its_port() {
        let mut failures = ConnectionFailures::default();
        let node = Node::new(NodeId(-1), "::1", 9092, None);
        failures.add(&node, ErrorKind::Network, "refused", 0);
        let text = failures.since(0).unwrap().to_string();
        assert_eq!(text, "[::1]:9092: refused");
    }
}
