//! Broker addresses that came from the wire, and how text from there is printed.

use std::fmt;

use crate::common::{Node, NodeId};
use crate::protocol::messages::MetadataResponse;
use crate::utils::log;

/// A DNS name has at most 253 characters.
const MAX_HOST_LENGTH: usize = 255;
/// What is printed of a text that a broker sent.
const MAX_PRINTED_CHARS: usize = 255;

/// Makes a node of what a broker said of another.
///
/// # Errors
///
/// Names what is wrong: a negative id (those are bootstrap addresses), a host that no resolver takes, or a bad port.
pub(crate) fn node_from_wire(
    id: i32,
    host: &str,
    port: i32,
    rack: Option<&str>,
) -> Result<Node, String> {
    if id < 0 {
        return Err(format!("node id {id} is negative"));
    }
    let is_odd = |character: char| character.is_control() || character.is_whitespace();
    if host.is_empty() || host.len() > MAX_HOST_LENGTH || host.contains(is_odd) {
        return Err(format!(
            "node {id} has the host '{}' ({} bytes)",
            printable(host),
            host.len()
        ));
    }
    match u16::try_from(port) {
        Ok(port) if port > 0 => Ok(Node::new(NodeId(id), host, port, rack)),
        _ => Err(format!("node {id} has the port {port}")),
    }
}

/// The brokers of a response that can be connected to, by id. The others are left out, with a warning.
pub(super) fn nodes_of(response: &MetadataResponse) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut ignored: Option<String> = None;
    for broker in &response.brokers {
        match node_from_wire(
            broker.node_id,
            &broker.host,
            broker.port,
            broker.rack.as_deref(),
        ) {
            Ok(node) => nodes.push(node),
            Err(reason) => ignored = ignored.or(Some(reason)),
        }
    }
    if let Some(reason) = ignored {
        log::warn!(
            "{} of {} brokers in the metadata are ignored; the first: {reason}",
            response.brokers.len() - nodes.len(),
            response.brokers.len()
        );
    }
    nodes.sort_by_key(Node::id);
    nodes.dedup_by_key(|node| node.id());
    nodes
}

/// Text from the wire as it may stand in a log or an error: control characters escaped, and not too long.
pub(crate) fn printable(text: &str) -> impl fmt::Display + '_ {
    Printable(text)
}

struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(MAX_PRINTED_CHARS) {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        if characters.next().is_some() {
            f.write_str("...")?;
        }
        Ok(())
    }
}
