//! One broker as the client knows it. Java: `Node`.

use std::fmt;

use crate::sync::Arc;

/// The id of a [`Node`]. Bootstrap addresses, whose real ids are not known yet, have the ids -1, -2, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub i32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A broker: its id and the address that it advertises. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    id: NodeId,
    host: Arc<str>,
    port: u16,
    rack: Option<Arc<str>>,
}

impl Node {
    pub(crate) fn new(id: NodeId, host: &str, port: u16, rack: Option<&str>) -> Self {
        Self {
            id,
            host: Arc::from(host),
            port,
            rack: rack.map(Arc::from),
        }
    }

    /// The broker's id; negative for a bootstrap address.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The host name or address that the broker advertises. An IPv6 address has no brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port that the broker advertises.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether connections to both go to the same host and port.
    pub(crate) fn has_address_of(&self, other: &Self) -> bool {
        self.port == other.port && self.host == other.host
    }

    /// The rack that the broker is configured with (`broker.rack`), if any.
    pub fn rack(&self) -> Option<&str> {
        self.rack.as_deref()
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{} (id: {}", self.host, self.port, self.id)?,
            false => write!(f, "{}:{} (id: {}", self.host, self.port, self.id)?,
        }
        match &self.rack {
            Some(rack) => write!(f, " rack: {rack})"),
            None => f.write_str(")"),
        }
    }
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
