//! Which node coordinates what, and the answer to FindCoordinator. Java (broker): `KafkaApis.getCoordinator`.
//!
//! Differs from Java: there are no `__transaction_state` and `__consumer_offsets` whose leaders coordinate. A key belongs to
//! a node by its hash, and to the next one that runs while that node is stopped.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::script::Failure;
use crate::common::NodeId;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use crate::sync::Arc;
use crate::utils::murmur2;

/// What is coordinated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CoordinatorType {
    Group,
    Transaction,
}

impl CoordinatorType {
    pub(super) fn from_key_type(key_type: i8) -> Option<Self> {
        match key_type {
            FindCoordinatorRequest::GROUP => Some(Self::Group),
            FindCoordinatorRequest::TRANSACTION => Some(Self::Transaction),
            _ => None,
        }
    }
}

/// The keys that a test moved away from where their hash puts them.
#[derive(Debug, Default)]
pub(super) struct Coordinators(BTreeMap<(CoordinatorType, String), NodeId>);

impl Cluster {
    /// The node that coordinates a key; `None` while no node runs.
    pub(super) fn coordinator(&self, kind: CoordinatorType, key: &str) -> Option<NodeId> {
        let nodes = || self.brokers.iter().map(|broker| broker.id);
        let moved = self.coordinators.0.get(&(kind, key.to_owned()));
        let hash = murmur2(key.as_bytes()).unsigned_abs() as usize;
        let first = match moved {
            Some(moved) => nodes().position(|node| node == *moved)?,
            None => hash % self.brokers.len().max(1),
        };
        let mut from_first = nodes().cycle().skip(first).take(self.brokers.len());
        from_first.find(|node| self.is_up(*node))
    }

    pub(super) fn move_coordinator(&mut self, kind: CoordinatorType, key: &str, node: NodeId) {
        self.coordinators.0.insert((kind, key.to_owned()), node);
    }

    /// What a node that is asked for something it does not coordinate answers.
    pub(super) fn check_coordinator(
        &self,
        kind: CoordinatorType,
        key: &str,
        node: NodeId,
    ) -> Result<(), ErrorCode> {
        match self.coordinator(kind, key) {
            Some(coordinator) if coordinator == node => Ok(()),
            _ => Err(ErrorCode::NOT_COORDINATOR),
        }
    }
}

pub(super) fn find(
    cluster: &Cluster,
    request: &FindCoordinatorRequest,
    failure: Option<&Failure>,
) -> FindCoordinatorResponse {
    let coordinators = request.coordinator_keys.iter();
    FindCoordinatorResponse {
        throttle_time_ms: 0,
        coordinators: coordinators
            .map(|key| find_one(cluster, request.key_type, key, failure))
            .collect(),
    }
}

fn find_one(
    cluster: &Cluster,
    key_type: i8,
    key: &Arc<str>,
    failure: Option<&Failure>,
) -> Coordinator {
    let refused = |error_code, error_message| Coordinator {
        key: Arc::clone(key),
        node_id: -1,
        port: -1,
        error_code,
        error_message,
        ..Coordinator::default()
    };
    if let Some(failure) = failure {
        return refused(failure.code, failure.message.clone());
    }
    let Some(kind) = CoordinatorType::from_key_type(key_type) else {
        return refused(ErrorCode::INVALID_REQUEST, None);
    };
    let node = cluster.coordinator(kind, key);
    match node.and_then(|node| cluster.broker(node)) {
        Some(broker) => Coordinator {
            key: Arc::clone(key),
            node_id: broker.id.0,
            host: broker.host.clone(),
            port: i32::from(broker.port),
            error_code: ErrorCode::NONE,
            error_message: None,
        },
        None => refused(ErrorCode::COORDINATOR_NOT_AVAILABLE, None),
    }
}
