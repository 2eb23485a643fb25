//! What a producer with a transactional id knows besides its sequences: the open transaction, the requests for it, the
//! coordinators.

use std::time::Instant;

use hashbrown::HashSet;

use super::requests::{CoordinatorKey, RequestKind, RequestQueue, TxnRequest};
use super::result::TransactionalRequestResult;
use super::states::State;
use crate::common::{Node, TopicPartition};
use crate::error::{Error, TransactionMark};
use crate::sync::Arc;
use crate::utils::ExponentialBackoff;

/// The settings of a transactional producer, from the configuration keys that they are named after.
#[derive(Clone, Debug)]
pub(crate) struct TransactionConfig {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) transaction_timeout_ms: i32,
}

/// Which protocol the open transaction follows. It does not change before the transaction has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransactionVersion {
    /// Partitions and groups are added by requests of their own, and the epoch stays from one transaction to the next.
    V1,
    /// KIP-890, part 2: brokers add what they see, and each end of a transaction bumps the epoch.
    V2,
}

impl TransactionVersion {
    /// From the level that the cluster has finalized of the feature `transaction.version`; 0 where it has none.
    pub(super) fn from_feature_level(level: i16) -> Self {
        if level >= 2 { Self::V2 } else { Self::V1 }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) config: TransactionConfig,
    pub(super) version: TransactionVersion,
    pub(super) queue: RequestQueue,
    pub(super) has_request_in_flight: bool,
    /// The last call that changes the state. Until its caller has seen the end of it nothing but the same call may follow.
    /// Java: `PendingStateTransition`.
    pub(super) pending: Option<Arc<TransactionalRequestResult>>,
    /// Partitions that have records, and that no request adds yet.
    new_partitions: HashSet<TopicPartition>,
    /// Partitions that a request is to add.
    pending_partitions: HashSet<TopicPartition>,
    /// Partitions that the coordinator has, or will have by the first batch that a broker sees.
    pub(super) partitions: HashSet<TopicPartition>,
    /// Whether the coordinator has a transaction that must be ended.
    pub(super) is_started: bool,
    /// The coordinator is being asked to end the transaction, or was and may have done so.
    pub(super) is_end_sent: bool,
    /// Shared by the errors of this transaction.
    pub(super) mark: TransactionMark,
    /// The program aborts the transaction.
    pub(super) is_aborting: bool,
    /// No transaction may follow this one before the epoch is bumped.
    pub(super) bump_required: bool,
    /// Something of this transaction may still be under way to the brokers, and would count for the next transaction of the
    /// same epoch.
    pub(super) is_epoch_unsafe: bool,
    /// Whether the coordinator bumps the epoch of a producer that asks for it (KIP-360, Kafka 2.5).
    pub(super) can_bump: bool,
    transaction_coordinator: Option<Node>,
    group_coordinator: Option<(Arc<str>, Node)>,
    /// How often a coordinator was looked for since one did its work.
    lookups: u32,
}

impl Transaction {
    pub(super) fn new(config: TransactionConfig) -> Self {
        Self {
            config,
            version: TransactionVersion::V1,
            queue: RequestQueue::default(),
            has_request_in_flight: false,
            pending: None,
            new_partitions: HashSet::new(),
            pending_partitions: HashSet::new(),
            partitions: HashSet::new(),
            is_started: false,
            is_end_sent: false,
            mark: TransactionMark::default(),
            is_aborting: false,
            bump_required: false,
            is_epoch_unsafe: false,
            can_bump: false,
            transaction_coordinator: None,
            group_coordinator: None,
            lookups: 0,
        }
    }

    /// Whether an aborted transaction leaves the producer with an epoch that brokers take new records of. Java:
    /// `canHandleAbortableError`.
    pub(super) fn can_handle_abortable_error(&self) -> bool {
        self.can_bump || self.version == TransactionVersion::V2
    }

    /// After an error the sequences are not to be relied on. Transactions of version 2 bump the epoch in any case.
    pub(super) fn require_bump_if_possible(&mut self) {
        self.bump_required |= self.can_bump && self.version == TransactionVersion::V1;
    }

    /// A request of this transaction has no certain end (reliability.md 1.3). Version 2 is safe: each transaction has an
    /// epoch of its own.
    pub(super) fn note_indefinite(&mut self) {
        self.is_epoch_unsafe |= self.version == TransactionVersion::V1;
    }

    /// Puts a request back that was taken from the queue and could not be sent.
    pub(super) fn put_back(&mut self, request: TxnRequest) {
        let is_end = matches!(request.kind, RequestKind::EndTxn { .. });
        if is_end && request.attempts == 0 {
            self.is_end_sent = false;
        }
        self.queue.put_back(request);
    }

    /// Takes note of a partition that gets a record.
    pub(super) fn add_partition(&mut self, topic_partition: &TopicPartition) {
        if self.partitions.contains(topic_partition) {
            return;
        }
        match self.version {
            TransactionVersion::V2 => {
                self.partitions.insert(topic_partition.clone());
                self.is_started = true;
            }
            TransactionVersion::V1 => {
                if !self.pending_partitions.contains(topic_partition) {
                    self.new_partitions.insert(topic_partition.clone());
                }
            }
        }
    }

    pub(super) fn has_new_partitions(&self) -> bool {
        !self.new_partitions.is_empty()
    }

    /// Makes the request that adds the new partitions.
    pub(super) fn enqueue_new_partitions(&mut self) {
        let mut partitions: Vec<_> = self.new_partitions.drain().collect();
        partitions.sort_unstable();
        self.pending_partitions.extend(partitions.iter().cloned());
        let result = TransactionalRequestResult::new("AddPartitionsToTxn");
        let request = TxnRequest::new(RequestKind::AddPartitionsToTxn(partitions), result);
        self.queue.push(request);
    }

    /// The request for these partitions has ended, and they are in the transaction or not.
    pub(super) fn partitions_answered(&mut self, partitions: &[TopicPartition], are_added: bool) {
        for partition in partitions {
            self.pending_partitions.remove(partition);
            if are_added {
                self.partitions.insert(partition.clone());
            }
        }
        self.is_started |= are_added;
    }

    /// Forgets what was not asked of the coordinator yet: the transaction is aborted without it.
    ///
    /// What the coordinator may have begun the transaction for is asked again, so that it is known whether there is something
    /// to abort. A bump of the epoch does not do for that: before version 2 the coordinator fences off who asks for one while
    /// it has the transaction open.
    pub(super) fn drop_unsent(&mut self, error: &Error) {
        self.new_partitions.clear();
        let bumps = self.can_handle_abortable_error();
        let unsent = self.queue.take(|request| match &request.kind {
            // Of a group only what is dropped here needs it, and the end of the transaction would wait behind it.
            RequestKind::FindCoordinator(CoordinatorKey::Group(_)) => true,
            RequestKind::AddPartitionsToTxn(_)
            | RequestKind::AddOffsetsToTxn(_)
            | RequestKind::TxnOffsetCommit(_) => {
                !request.may_have_begun() && (bumps || request.attempts == 0)
            }
            _ => false,
        });
        for request in unsent {
            self.fail(&request, error);
        }
    }

    /// Ends the requests that are not sent in a state of error. In one that can be aborted, who the coordinator is can be
    /// found out still, and whether it has begun the transaction.
    pub(super) fn refuse_waiting(&mut self, state: State, error: &Error) {
        let refused = self.queue.take(|request| {
            let is_lookup = matches!(request.kind, RequestKind::FindCoordinator(_));
            state == State::FatalError || !(is_lookup || request.may_have_begun())
        });
        for request in refused {
            self.fail(&request, error);
        }
    }

    /// Ends a request without success.
    pub(super) fn fail(&mut self, request: &TxnRequest, error: &Error) {
        if let RequestKind::AddPartitionsToTxn(partitions) = &request.kind {
            self.partitions_answered(partitions, false);
        }
        request.result.fail(error.clone());
    }

    /// Ends every request that waits, and the call that is pending.
    pub(super) fn fail_all(&mut self, error: &Error) {
        while let Some(request) = self.queue.pop() {
            self.fail(&request, error);
        }
        if let Some(pending) = &self.pending {
            pending.fail(error.clone());
        }
    }

    /// The transaction is over, and the next one will be of this version.
    pub(super) fn end(&mut self, next: TransactionVersion) {
        self.new_partitions.clear();
        self.pending_partitions.clear();
        self.partitions.clear();
        self.is_started = false;
        self.is_end_sent = false;
        self.version = next;
    }

    /// The next transaction can begin. Errors of the last one say that it was aborted, if it was.
    pub(super) fn renew_mark(&mut self) {
        let ended = std::mem::take(&mut self.mark);
        if std::mem::take(&mut self.is_aborting) {
            ended.set_aborted();
        }
    }

    /// Forgets the coordinator and asks who it is. The first time at once; again only after waits that grow until a
    /// coordinator does some work.
    pub(super) fn find_coordinator(
        &mut self,
        key: CoordinatorKey,
        backoff: &ExponentialBackoff,
        now: Instant,
    ) {
        match &key {
            CoordinatorKey::Transaction => self.transaction_coordinator = None,
            CoordinatorKey::Group(_) => self.group_coordinator = None,
        }
        let is_looking = self
            .queue
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
        self.queue.push(request);
    }

    pub(super) fn coordinator(&self, key: &CoordinatorKey) -> Option<&Node> {
        match (key, &self.group_coordinator) {
            (CoordinatorKey::Transaction, _) => self.transaction_coordinator.as_ref(),
            (CoordinatorKey::Group(id), Some((of, node))) if id == of => Some(node),
            (CoordinatorKey::Group(_), _) => None,
        }
    }

    pub(super) fn set_coordinator(&mut self, key: CoordinatorKey, node: Node) {
        match key {
            CoordinatorKey::Transaction => self.transaction_coordinator = Some(node),
            CoordinatorKey::Group(id) => self.group_coordinator = Some((id, node)),
        }
    }

    /// A coordinator did what it was asked for.
    pub(super) fn coordinator_answered(&mut self) {
        self.lookups = 0;
    }
}
