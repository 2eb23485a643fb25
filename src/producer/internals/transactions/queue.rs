//! The requests of a transactional producer, one at a time and by priority. Java:
//! `TxnRequestHandler`, `Priority`, `pendingRequests`.
//!
//! Differs from Java: requests of one priority are sent in the order of their creation, and a
//! retried one keeps its place. A backoff is a time in the request, and not a sleep of the I/O
//! thread.

use std::time::{Duration, Instant};

use super::result::TransactionalRequestResult;
use super::state::End;
use super::topic_ids::TopicIds;
use crate::common::{Cluster, TopicPartition};
use crate::error::Error;
use crate::producer::{ConsumerGroupMetadata, OffsetAndMetadata};
use crate::protocol::ResponseBody;
use crate::sync::Arc;

/// The task of a coordinator. Java: `CoordinatorType`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CoordinatorKey {
    /// The transactions of the producer's transactional id.
    Transaction,
    /// The consumer group of this id.
    Group(Arc<str>),
}

/// Offsets of a consumer group to commit with the transaction.
#[derive(Clone, Debug)]
pub(crate) struct GroupOffsets {
    pub(super) group_id: Arc<str>,
    pub(super) group: ConsumerGroupMetadata,
    /// The offsets that are not committed yet, sorted.
    pub(super) offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    /// The ids at the time of the call. Empty in transactions of version 1, which identify topics
    /// by name.
    pub(super) topic_ids: TopicIds,
}

#[derive(Clone, Debug)]
pub(crate) enum RequestKind {
    FindCoordinator(CoordinatorKey),
    /// Requests a producer id, or the next epoch of the current one.
    InitProducerId,
    AddPartitionsToTxn(Vec<TopicPartition>),
    AddOffsetsToTxn(GroupOffsets),
    TxnOffsetCommit(GroupOffsets),
    EndTxn(End),
}

impl RequestKind {
    /// Returns the priority. Lower ones come first. Java: `Priority`.
    const fn priority(&self) -> u8 {
        match self {
            Self::FindCoordinator(_) => 0,
            Self::InitProducerId => 1,
            Self::AddPartitionsToTxn(_) | Self::AddOffsetsToTxn(_) | Self::TxnOffsetCommit(_) => 2,
            Self::EndTxn(_) => 3,
        }
    }

    /// Returns the coordinator that must handle the request, or `None` for any node.
    pub(crate) fn coordinator(&self) -> Option<CoordinatorKey> {
        match self {
            Self::FindCoordinator(_) => None,
            Self::TxnOffsetCommit(commit) => {
                Some(CoordinatorKey::Group(Arc::clone(&commit.group_id)))
            }
            Self::InitProducerId
            | Self::AddPartitionsToTxn(_)
            | Self::AddOffsetsToTxn(_)
            | Self::EndTxn(_) => Some(CoordinatorKey::Transaction),
        }
    }

    /// Returns whether the request changes the transaction. It would do harm if it arrived in a
    /// later transaction of the same epoch.
    pub(super) const fn changes_transaction(&self) -> bool {
        match self {
            Self::FindCoordinator(_) | Self::InitProducerId => false,
            Self::AddPartitionsToTxn(_)
            | Self::AddOffsetsToTxn(_)
            | Self::TxnOffsetCommit(_)
            | Self::EndTxn(_) => true,
        }
    }
}

/// A request, and the call that waits for its result.
#[derive(Debug)]
pub(crate) struct TxnRequest {
    pub(crate) kind: RequestKind,
    pub(super) result: Arc<TransactionalRequestResult>,
    /// How often it was sent without a final response.
    pub(super) attempts: u32,
    /// An attempt may have succeeded without a response.
    pub(super) may_be_done: bool,
    not_before: Option<Instant>,
    /// The position among requests of the same priority.
    order: u64,
}

impl TxnRequest {
    pub(super) fn new(kind: RequestKind, result: Arc<TransactionalRequestResult>) -> Self {
        Self {
            kind,
            result,
            attempts: 0,
            may_be_done: false,
            not_before: None,
            order: 0,
        }
    }

    /// Returns whether the coordinator may have begun the transaction in an attempt without a
    /// response.
    pub(super) fn may_have_begun(&self) -> bool {
        let begins = matches!(
            self.kind,
            RequestKind::AddPartitionsToTxn(_) | RequestKind::AddOffsetsToTxn(_)
        );
        begins && self.may_be_done
    }

    /// Tells the caller of a commit whether it may have happened, after a response that says it did
    /// not, or after none.
    pub(super) fn note_delivery(&self) {
        if matches!(self.kind, RequestKind::EndTxn(End::Commit)) {
            self.result.set_may_be_done(self.may_be_done);
        }
    }

    /// Fails the call.
    pub(crate) fn fail(&self, error: &Error) {
        self.result.fail(error.clone());
    }

    /// Returns how long until it may be sent.
    pub(super) fn delay(&self, now: Instant) -> Duration {
        self.not_before
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    pub(super) fn wait_until(&mut self, at: Instant) {
        self.not_before = Some(at);
    }

    /// Forgets the topic ids that the response refuses as unknown. Returns the names of their
    /// topics, whose metadata is out of date.
    pub(crate) fn refuse_unknown_topic_ids(&mut self, response: &ResponseBody) -> Vec<Arc<str>> {
        match (&mut self.kind, response) {
            (RequestKind::TxnOffsetCommit(commit), ResponseBody::TxnOffsetCommit(response)) => {
                commit.topic_ids.refuse_unknown(response)
            }
            _ => Vec::new(),
        }
    }

    /// Replaces the refused topic ids by those that the metadata contains now.
    pub(crate) fn renew_topic_ids(&mut self, cluster: &Cluster) {
        if let RequestKind::TxnOffsetCommit(commit) = &mut self.kind {
            commit.topic_ids.renew(cluster);
        }
    }
}

/// The waiting requests.
#[derive(Debug, Default)]
pub(super) struct RequestQueue {
    /// Sorted by priority, then by order.
    requests: Vec<TxnRequest>,
    next_order: u64,
}

impl RequestQueue {
    pub(super) fn push(&mut self, mut request: TxnRequest) {
        self.next_order += 1;
        request.order = self.next_order;
        self.put_back(request);
    }

    /// Puts a request back in its place.
    pub(super) fn put_back(&mut self, request: TxnRequest) {
        let place = |request: &TxnRequest| (request.kind.priority(), request.order);
        let at = place(&request);
        let index = self.requests.partition_point(|other| place(other) < at);
        self.requests.insert(index, request);
    }

    pub(super) fn peek(&self) -> Option<&TxnRequest> {
        self.requests.first()
    }

    pub(super) fn pop(&mut self) -> Option<TxnRequest> {
        (!self.requests.is_empty()).then(|| self.requests.remove(0))
    }

    pub(super) fn contains(&self, matches: impl Fn(&RequestKind) -> bool) -> bool {
        self.requests.iter().any(|request| matches(&request.kind))
    }

    /// Takes the matching requests, in order.
    pub(super) fn take(&mut self, matches: impl Fn(&TxnRequest) -> bool) -> Vec<TxnRequest> {
        let all = std::mem::take(&mut self.requests);
        let (taken, kept) = all.into_iter().partition(matches);
        self.requests = kept;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: RequestKind) -> TxnRequest {
        TxnRequest::new(kind, TransactionalRequestResult::new("test"))
    }

    fn add_partition(number: i32) -> TxnRequest {
        let partitions = vec![TopicPartition::new("t", number)];
        request(RequestKind::AddPartitionsToTxn(partitions))
    }

    fn partition(request: &TxnRequest) -> Option<i32> {
        match &request.kind {
            RequestKind::AddPartitionsToTxn(partitions) => Some(partitions[0].partition()),
            _ => None,
        }
    }

    #[test]
    fn priorities_first_and_then_the_order_of_the_calls() {
        let mut queue = RequestQueue::default();
        queue.push(request(RequestKind::EndTxn(End::Commit)));
        for number in 0..3 {
            queue.push(add_partition(number));
        }
        queue.push(request(RequestKind::FindCoordinator(
            CoordinatorKey::Transaction,
        )));
        queue.push(request(RequestKind::InitProducerId));
        let mut kinds = Vec::new();
        while let Some(request) = queue.pop() {
            kinds.push((request.kind.priority(), partition(&request)));
        }
        assert_eq!(
            kinds,
            [
                (0, None),
                (1, None),
                (2, Some(0)),
                (2, Some(1)),
                (2, Some(2)),
                (3, None)
            ]
        );
    }

    #[test]
    fn a_request_that_is_tried_again_keeps_its_place() {
        let mut queue = RequestQueue::default();
        for number in 0..3 {
            queue.push(add_partition(number));
        }
        let first = queue.pop().unwrap();
        queue.push(add_partition(3));
        queue.put_back(first);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop())
            .filter_map(|request| partition(&request))
            .collect();
        assert_eq!(order, [0, 1, 2, 3]);
    }

    #[test]
    fn the_first_request_holds_up_the_others() {
        let now = crate::utils::Time::now(&crate::utils::MockTime::new());
        let mut queue = RequestQueue::default();
        let mut first = add_partition(0);
        first.wait_until(now + Duration::from_millis(20));
        queue.push(first);
        queue.push(add_partition(1));
        let delay = |now| queue.peek().map(|first| first.delay(now));
        assert_eq!(delay(now), Some(Duration::from_millis(20)));
        assert_eq!(delay(now + Duration::from_secs(1)), Some(Duration::ZERO));
    }
}
