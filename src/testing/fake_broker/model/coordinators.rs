//! Which node coordinates what. Java (broker): `KafkaApis.getCoordinator`.
//!
//! Differs from Java: there are no `__transaction_state` and `__consumer_offsets` whose leaders coordinate. A key belongs to
//! a node by its hash, and to the next one that runs while that node is stopped.

use std::collections::BTreeMap;

use crate::common::NodeId;
use crate::protocol::messages::FindCoordinatorRequest;
use crate::utils::murmur2;

/// What is coordinated.
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

/// The keys that a test moved away from where their hash puts them.
#[derive(Debug, Default)]
pub(crate) struct Coordinators(BTreeMap<(CoordinatorType, String), NodeId>);

impl Coordinators {
    /// The nodes in the order in which they may coordinate a key: the first of them that runs does.
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
