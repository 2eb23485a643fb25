//! Broker addresses from the wire.

use std::time::Instant;

use crate::client::broker_address::parse_host;
use crate::common::{Cluster, Node, NodeId};
use crate::protocol::messages::MetadataView;
use crate::utils::{Count, LogLimiter, printable};

/// Creates a node from a broker's response.
///
/// # Errors
///
/// The id is negative (as those of bootstrap addresses are), or the host or the port is invalid.
/// The text says which.
pub(crate) fn node_from_wire(
    id: i32,
    host: &str,
    port: i32,
    rack: Option<&str>,
) -> Result<Node, String> {
    if id < 0 {
        return Err(format!("node id {id} is negative"));
    }
    let host = parse_host(host).map_err(|reason| {
        format!(
            "node {id} advertises the host '{}': {reason}",
            printable(host)
        )
    })?;
    match u16::try_from(port) {
        Ok(port) if port > 0 => Ok(Node::new(NodeId(id), host, port, rack)),
        _ => Err(format!(
            "node {id} advertises the port {port}, which is not between 1 and 65535"
        )),
    }
}

/// Returns the usable brokers of a response, by id, and the problems of the others. Nodes that
/// `current` has are shared with it.
pub(super) fn nodes_of(
    response: &MetadataView<'_>,
    current: &Cluster,
    warnings: &mut LogLimiter<String>,
    now: Instant,
) -> (Vec<Node>, Option<String>) {
    let mut nodes = Vec::new();
    let mut unusable = Vec::new();
    for broker in response.brokers() {
        match node_from_wire(broker.node_id, broker.host, broker.port, broker.rack) {
            Ok(node) => {
                let known = current.node(node.id()).filter(|known| **known == node);
                nodes.push(known.cloned().unwrap_or(node));
            }
            Err(reason) => unusable.push(reason),
        }
    }
    let count = Count(unusable.len(), "broker");
    let unusable = describe_unusable(&unusable);
    if let Some(unusable) = &unusable {
        warnings.warn(format!("ignored {count} in the metadata: {unusable}"), now);
    }
    nodes.sort_by_key(Node::id);
    nodes.dedup_by_key(|node| node.id());
    (nodes, unusable)
}

fn describe_unusable(reasons: &[String]) -> Option<String> {
    const SHOWN: usize = 3;
    let (shown, more) = reasons.split_at(reasons.len().min(SHOWN));
    let shown = shown.join("; ");
    match (reasons.len(), more.len()) {
        (0, _) => None,
        (_, 0) => Some(shown),
        (_, more) => Some(format!("{shown}; and {more} more")),
    }
}
