//! The coordinators of transactional ids and groups. Java (broker): `KafkaApis.getCoordinator`.
//!
//! Differs from Java: there are no `__transaction_state` and `__consumer_offsets` whose leaders
//! coordinate. A hash assigns each key to a node, or to the next running one while that node is
//! stopped.

use std::collections::BTreeMap;

use crate::common::NodeId;
use crate::protocol::messages::FindCoordinatorRequest;
use crate::utils::murmur2;

/// The kind of a key that has a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CoordinatorType {
    Group,
    Transaction,
}

impl CoordinatorType {
    pub(crate) fn from_key_type(key_type: i8) -> Option<Self> {
        match key_type {
            FindCoordinatorRequest::GROUP => Some(Self::Group),
            FindCoordinatorRequest::TRANSACTION => Some(Self::Transaction),
            _ => None,
        }
    }
}

/// The keys that a test moved to another node.
#[derive(Debug, Default)]
pub(crate) struct Coordinators(BTreeMap<(CoordinatorType, String), NodeId>);

impl Coordinators {
    /// Returns the nodes that may coordinate a key, in order. The first one that runs does.
    pub(crate) fn candidates(
        &self,
        kind: CoordinatorType,
        key: &str,
        nodes: &[NodeId],
    ) -> Vec<NodeId> {
        let moved = self.0.get(&(kind, key.to_owned()));
        let hash = murmur2(key.as_bytes()).unsigned_abs() as usize;
        let first = match moved {
            Some(moved) => nodes.iter().position(|node| node == moved),
            None => Some(hash % nodes.len().max(1)),
        };
        let Some(first) = first else {
            return Vec::new();
        };
        let from_first = nodes.iter().copied().cycle().skip(first);
        from_first.take(nodes.len()).collect()
    }

    pub(crate) fn assign(&mut self, kind: CoordinatorType, key: &str, node: NodeId) {
        self.0.insert((kind, key.to_owned()), node);
    }
}
