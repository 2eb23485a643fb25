//! The reasons why brokers are unreachable, for the errors of calls that wait in vain. Java: no
//! counterpart; only the log has the reason.

use crate::common::{Node, NodeId};
use crate::error::{Error, ErrorKind};

/// The number of addresses that an error lists. With more, the last ones suffice.
const MAX_ADDRESSES: usize = 8;

/// The failures of the brokers' connections.
#[derive(Debug, Default)]
pub(super) struct ConnectionFailures {
    /// The last failure of each address that has not responded since, the newest last.
    failures: Vec<ConnectionFailure>,
    /// The nodes at whose address another broker responded (KIP-1242), the newest last. That broker
    /// may work well, so an update of the metadata does not clear this; only a response of the node
    /// itself does.
    misrouted: Vec<(NodeId, String)>,
}

#[derive(Debug)]
struct ConnectionFailure {
    /// As `host:port`.
    address: String,
    kind: ErrorKind,
    cause: String,
    /// The version of the metadata at the time of the failure.
    update_version: u64,
}

impl ConnectionFailures {
    pub(super) fn add(&mut self, node: &Node, kind: ErrorKind, cause: &str, update_version: u64) {
        self.remove(node);
        if self.failures.len() == MAX_ADDRESSES {
            self.failures.remove(0);
        }
        self.failures.push(ConnectionFailure {
            address: node_address(node),
            kind,
            cause: cause.to_owned(),
            update_version,
        });
    }

    /// Notes that another broker than `node` responds at its address.
    pub(super) fn add_misrouted(&mut self, node: &Node, cause: &str) {
        self.misrouted.retain(|(id, _)| *id != node.id());
        if self.misrouted.len() == MAX_ADDRESSES {
            self.misrouted.remove(0);
        }
        let text = format!("{}: {cause}", node_address(node));
        self.misrouted.push((node.id(), text));
    }

    /// Notes that the node responded to a request.
    pub(super) fn remove(&mut self, node: &Node) {
        let address = node_address(node);
        self.failures.retain(|failure| failure.address != address);
        self.misrouted.retain(|(id, _)| *id != node.id());
    }

    /// Returns the last failure of this node.
    pub(super) fn of(&self, node: &Node) -> Option<Error> {
        if let Some((_, text)) = self.misrouted.iter().find(|(id, _)| *id == node.id()) {
            return Some(Error::new(ErrorKind::Network, text));
        }
        let address = node_address(node);
        let mut failures = self.failures.iter();
        failures
            .find(|failure| failure.address == address)
            .map(|failure| Error::new(failure.kind, failure.to_string()))
    }

    /// Returns the failures since the metadata had this version, and the misrouted nodes. If all
    /// have the same kind, the error has it too; otherwise it is `Network`.
    pub(super) fn since(&self, update_version: u64) -> Option<Error> {
        let failures = self.failures.iter();
        let failures = failures
            .filter(|failure| failure.update_version == update_version)
            .map(|failure| (failure.kind, failure.to_string()));
        let misrouted = self.misrouted.iter();
        let misrouted = misrouted.map(|(_, text)| (ErrorKind::Network, text.clone()));
        let (kinds, texts): (Vec<_>, Vec<_>) = failures.chain(misrouted).unzip();
        let first = *kinds.first()?;
        let kind = match kinds.iter().all(|kind| *kind == first) {
            true => first,
            false => ErrorKind::Network,
        };
        Some(Error::new(kind, texts.join("; ")))
    }
}

impl std::fmt::Display for ConnectionFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.address, self.cause)
    }
}

/// Returns the address as `host:port`, escaped for a log line because a broker may have sent the
/// host.
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

    #[test]
    fn only_the_node_itself_ends_what_is_said_of_a_misrouted_one() {
        let mut failures = ConnectionFailures::default();
        let (meant, met) = (Node::new(NodeId(2), "host", 1, None), node(1));
        failures.add_misrouted(&meant, "not node 2");
        failures.add_misrouted(&meant, "still not node 2");
        failures.remove(&met);
        assert_eq!(
            failures.of(&meant).unwrap().to_string(),
            "host:1: still not node 2"
        );
        assert!(failures.of(&met).is_none());
        assert_eq!(
            failures.since(7).unwrap().to_string(),
            "host:1: still not node 2"
        );
        failures.remove(&Node::new(NodeId(2), "host", 2, None));
        assert!(failures.of(&meant).is_none() && failures.since(7).is_none());
    }
}
