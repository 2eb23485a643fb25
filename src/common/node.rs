//! One broker as the client knows it. Java: `Node`.

use std::fmt;

use crate::sync::Arc;

/// The id of a [`Node`]. Bootstrap addresses have the ids -1, -2, ..., because their real ids are
/// not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub i32);

impl From<i32> for NodeId {
    fn from(id: i32) -> Self {
        Self(id)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A broker: its id and the address that it advertises. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Node(Arc<Fields>);

#[derive(PartialEq, Eq, Hash)]
struct Fields {
    id: NodeId,
    host: Box<str>,
    port: u16,
    rack: Option<Box<str>>,
}

impl Node {
    pub(crate) fn new(id: NodeId, host: &str, port: u16, rack: Option<&str>) -> Self {
        Self(Arc::new(Fields {
            id,
            host: Box::from(host),
            port,
            rack: rack.map(Box::from),
        }))
    }

    /// Returns the broker's id, which is negative for a bootstrap address.
    pub fn id(&self) -> NodeId {
        self.0.id
    }

    /// Returns the host name or address that the broker advertises. An IPv6 address has no
    /// brackets.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// Returns the TCP port that the broker advertises.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Returns whether both have the same host and port.
    pub(crate) fn has_address_of(&self, other: &Self) -> bool {
        self.port() == other.port() && self.host() == other.host()
    }

    /// Returns the rack that the broker is configured with (`broker.rack`), if any.
    pub fn rack(&self) -> Option<&str> {
        self.0.rack.as_deref()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id())
            .field("host", &self.host())
            .field("port", &self.port())
            .field("rack", &self.rack())
            .finish()
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port, id) = (self.host(), self.port(), self.id());
        match host.contains(':') {
            true => write!(f, "[{host}]:{port} (id: {id}")?,
            false => write!(f, "{host}:{port} (id: {id}")?,
        }
        match self.rack() {
            Some(rack) => write!(f, " rack: {rack})"),
            None => f.write_str(")"),
        }
    }
}

/// Returns the node with this id among `nodes`, which are sorted by id.
pub(super) fn find_node(nodes: &[Node], id: NodeId) -> Option<&Node> {
    if id.0 < 0 {
        // A bootstrap address leads no partition.
        return None;
    }
    let index = nodes.binary_search_by_key(&id, Node::id).ok()?;
    nodes.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_printed_apart_from_the_port() {
        let node = |host| Node::new(NodeId(1), host, 9092, None).to_string();
        assert_eq!(node("host"), "host:9092 (id: 1)");
        assert_eq!(node("fe80::1%eth0"), "[fe80::1%eth0]:9092 (id: 1)");
    }
}
