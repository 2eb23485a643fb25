//! The coordinators of the transactions and of the consumer groups. Java: `transactionCoordinator`,
//! `consumerGroupCoordinator`, `lookupCoordinator`.

use std::time::Instant;

use super::queue::{CoordinatorKey, RequestKind, RequestQueue, TxnRequest};
use super::result::TransactionalRequestResult;
use crate::common::Node;
use crate::sync::Arc;
use crate::utils::ExponentialBackoff;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Coordinators {
    transaction: Option<Node>,
    group: Option<(Arc<str>, Node)>,
    /// Whether the transaction coordinator can bump the epoch of a producer (KIP-360, Kafka 2.5).
    pub(super) can_bump: bool,
    /// The number of look-ups since a coordinator last completed a request.
    lookups: u32,
}

impl Coordinators {
    pub(super) fn get(&self, key: &CoordinatorKey) -> Option<&Node> {
        match (key, &self.group) {
            (CoordinatorKey::Transaction, _) => self.transaction.as_ref(),
            (CoordinatorKey::Group(id), Some((of, node))) if id == of => Some(node),
            (CoordinatorKey::Group(_), _) => None,
        }
    }

    pub(super) fn set(&mut self, key: CoordinatorKey, node: Node) {
        match key {
            CoordinatorKey::Transaction => self.transaction = Some(node),
            CoordinatorKey::Group(id) => self.group = Some((id, node)),
        }
    }

    /// Notes that a coordinator completed a request.
    pub(super) fn did_work(&mut self) {
        self.lookups = 0;
    }

    /// Discards the coordinator and looks it up. The first time this happens immediately, and later
    /// after growing waits, until a coordinator completes a request.
    pub(super) fn look_up(
        &mut self,
        key: CoordinatorKey,
        queue: &mut RequestQueue,
        backoff: &ExponentialBackoff,
        now: Instant,
    ) {
        match &key {
            CoordinatorKey::Transaction => self.transaction = None,
            CoordinatorKey::Group(_) => self.group = None,
        }
        let is_looking = queue
            .contains(|kind| matches!(kind, RequestKind::FindCoordinator(other) if *other == key));
        if is_looking {
            return;
        }
        let result = TransactionalRequestResult::new("FindCoordinator");
        let mut request = TxnRequest::new(RequestKind::FindCoordinator(key), result);
        if let Some(earlier) = self.lookups.checked_sub(1) {
            request.wait_until(now + backoff.backoff(earlier));
        }
        self.lookups = self.lookups.saturating_add(1);
        queue.push(request);
    }
}
