//! The requests that were or are being sent and have no response yet. Java: `InFlightRequests`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::{ClientResponse, CorrelationId, MetadataRequestVersion, RequestFailure};
use crate::common::NodeId;
use crate::protocol::{ApiKey, ResponseBody};
use crate::sync::{Arc, AtomicUsize, Ordering};
use crate::utils::NextDue;

/// The receiver of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requester {
    Caller,
    MetadataUpdater(MetadataRequestVersion),
    ApiVersions,
    /// Metrics, or a request for the subscription.
    Telemetry {
        /// Whether this is the last push.
        is_terminating: bool,
    },
}

/// The data of a request in flight, without its body. The bytes belong to the selector until they
/// are written.
#[derive(Clone, Debug)]
pub(crate) struct InFlightRequest {
    pub(crate) correlation_id: CorrelationId,
    pub(crate) api_key: ApiKey,
    pub(crate) api_version: i16,
    pub(crate) destination: NodeId,
    pub(crate) requester: Requester,
    pub(crate) sent: Instant,
    pub(crate) request_timeout: Duration,
    pub(crate) expect_response: bool,
    /// Every byte was handed to the socket.
    pub(crate) is_send_complete: bool,
    /// The throttle time of the node since then, which does not count as waiting.
    pub(crate) throttle_time: Duration,
}

impl InFlightRequest {
    /// Returns when the connection is closed if there is no response.
    fn expires(&self) -> Option<Instant> {
        let wait = self.request_timeout.checked_add(self.throttle_time)?;
        self.sent.checked_add(wait)
    }

    pub(crate) fn into_response(
        self,
        outcome: Result<Option<ResponseBody>, RequestFailure>,
    ) -> ClientResponse {
        ClientResponse {
            correlation_id: self.correlation_id,
            api_version: self.api_version,
            outcome,
        }
    }
}

/// Requests in flight by node, in the order in which the node responds.
#[derive(Debug)]
pub(crate) struct InFlightRequests {
    max_per_connection: usize,
    /// The oldest request of a node is at the front. Empty queues stay, so that sending allocates
    /// nothing.
    nodes: HashMap<NodeId, VecDeque<InFlightRequest>>,
    count: usize,
    /// A copy of `count` for the metrics.
    published_count: Arc<AtomicUsize>,
    next_timeout: NextDue,
}

impl InFlightRequests {
    /// Creates an empty collection. Keeps the number of requests in `published_count`.
    pub(crate) fn new(max_per_connection: usize, published_count: Arc<AtomicUsize>) -> Self {
        Self {
            max_per_connection,
            nodes: HashMap::new(),
            count: 0,
            published_count,
            next_timeout: NextDue::default(),
        }
    }

    pub(crate) fn add(&mut self, request: InFlightRequest) {
        self.next_timeout.note(request.expires());
        let queue = self.nodes.entry(request.destination).or_default();
        queue.push_back(request);
        self.set_count(self.count + 1);
    }

    /// Returns the request to which the node responds next.
    pub(crate) fn oldest(&self, node: NodeId) -> Option<&InFlightRequest> {
        self.nodes.get(&node)?.front()
    }

    /// Takes the request to which the node has responded.
    pub(crate) fn complete_next(&mut self, node: NodeId) -> Option<InFlightRequest> {
        let request = self.nodes.get_mut(&node)?.pop_front()?;
        self.removed(1);
        Some(request)
    }

    /// Notes that the newest request was written. Takes it if no response will come.
    pub(crate) fn complete_send(&mut self, node: NodeId) -> Option<InFlightRequest> {
        let queue = self.nodes.get_mut(&node)?;
        let newest = queue.back_mut()?;
        newest.is_send_complete = true;
        if newest.expect_response {
            return None;
        }
        let completed = queue.pop_back();
        self.removed(1);
        completed
    }

    /// Returns whether the node takes another request: the last one is written, and there are not
    /// too many.
    pub(crate) fn can_send_more(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_none_or(|queue| {
            let is_written = queue.back().is_none_or(|newest| newest.is_send_complete);
            is_written && self.has_room(queue)
        })
    }

    /// Telemetry does not use the limit for Produce requests. There is one request of it at a time.
    fn has_room(&self, queue: &VecDeque<InFlightRequest>) -> bool {
        let is_telemetry =
            |request: &InFlightRequest| matches!(request.requester, Requester::Telemetry { .. });
        queue.len() < self.max_per_connection
            || queue.len() == self.max_per_connection && queue.iter().any(is_telemetry)
    }

    pub(crate) fn find(
        &self,
        node: NodeId,
        correlation_id: CorrelationId,
    ) -> Option<&InFlightRequest> {
        let mut queue = self.nodes.get(&node)?.iter();
        queue.find(|request| request.correlation_id == correlation_id)
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn node_count(&self, node: NodeId) -> usize {
        self.nodes.get(&node).map_or(0, VecDeque::len)
    }

    /// Takes every request of a node, oldest first.
    pub(crate) fn clear_all(&mut self, node: NodeId) -> VecDeque<InFlightRequest> {
        let requests = self.nodes.remove(&node).unwrap_or_default();
        self.removed(requests.len());
        requests
    }

    fn set_count(&mut self, count: usize) {
        self.count = count;
        self.published_count.store(count, Ordering::Relaxed);
    }

    fn removed(&mut self, count: usize) {
        self.set_count(self.count - count);
        if self.count == 0 {
            self.next_timeout.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.removed(self.count);
    }

    /// Extends the timeouts of a throttled node's requests by its throttle time.
    pub(crate) fn increment_throttle_time(&mut self, node: NodeId, by: Duration) {
        for request in self.nodes.get_mut(&node).into_iter().flatten() {
            request.throttle_time = request.throttle_time.saturating_add(by);
        }
    }

    /// Returns the nodes with a timed-out request, in order.
    pub(crate) fn nodes_with_timed_out_requests(&mut self, now: Instant) -> Vec<NodeId> {
        if self.next_timeout(now).is_none_or(|timeout| timeout > now) {
            return Vec::new();
        }
        let has_timed_out =
            |request: &InFlightRequest| request.expires().is_some_and(|expires| expires <= now);
        let timed_out = self
            .nodes
            .iter()
            .filter(|(_, queue)| queue.iter().any(has_timed_out));
        let mut nodes: Vec<_> = timed_out.map(|(node, _)| *node).collect();
        nodes.sort_unstable();
        nodes
    }

    /// Returns a time before which no request times out. If it is due, a request does time out.
    ///
    /// Looks at the requests only if the time is due, because each poll calls this, even with a
    /// thousand nodes.
    pub(crate) fn next_timeout(&mut self, now: Instant) -> Option<Instant> {
        self.next_timeout.get(now, || {
            let requests = self.nodes.values().flatten();
            requests.filter_map(InFlightRequest::expires).min()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::utils::{MockTime, Time};

    const NODE: NodeId = NodeId(0);
    const MAX: usize = 5;

    fn request(id: i32, node: NodeId, time: &MockTime, timeout_ms: u64) -> InFlightRequest {
        InFlightRequest {
            correlation_id: CorrelationId(id),
            api_key: ApiKey::Produce,
            api_version: 9,
            destination: node,
            requester: Requester::Caller,
            sent: time.now(),
            request_timeout: Duration::from_millis(timeout_ms),
            expect_response: true,
            is_send_complete: false,
            throttle_time: Duration::ZERO,
        }
    }

    fn with_requests(ids: std::ops::Range<i32>) -> InFlightRequests {
        let mut in_flight = InFlightRequests::new(MAX, Arc::default());
        for id in ids {
            in_flight.add(request(id, NODE, &MockTime::new(), 50));
            in_flight.complete_send(NODE);
        }
        in_flight
    }

    // Java: InFlightRequestsTest.testCompleteNext.
    #[test]
    fn complete_next_takes_the_oldest_request() {
        let mut in_flight = with_requests(0..2);
        assert_eq!((in_flight.count(), in_flight.node_count(NODE)), (2, 2));
        let next = |in_flight: &mut InFlightRequests| {
            in_flight.complete_next(NODE).map(|r| r.correlation_id.0)
        };
        assert_eq!(next(&mut in_flight), Some(0));
        assert_eq!(next(&mut in_flight), Some(1));
        // Java: testCompleteNextThrowsIfNoInflights.
        assert_eq!(next(&mut in_flight), None);
        assert_eq!(in_flight.count(), 0);
    }

    // Java: InFlightRequestsTest.testCompleteLastSent, testCompleteLastSentThrowsIfNoInFlights.
    #[test]
    fn complete_send_takes_only_a_request_without_a_response() {
        let mut in_flight = with_requests(0..1);
        let mut without_response = request(1, NODE, &MockTime::new(), 50);
        without_response.expect_response = false;
        in_flight.add(without_response);
        let completed = in_flight.complete_send(NODE).unwrap();
        assert_eq!(completed.correlation_id, CorrelationId(1));
        assert_eq!(in_flight.count(), 1);
        assert!(
            in_flight.complete_send(NODE).is_none(),
            "it waits for a response"
        );
        assert!(in_flight.complete_send(NodeId(9)).is_none());
    }

    // Java: InFlightRequestsTest.testClearAll.
    #[test]
    fn clear_all_takes_every_request_of_a_node() {
        let mut in_flight = with_requests(0..3);
        let cleared = in_flight.clear_all(NODE);
        let ids: Vec<_> = cleared.iter().map(|r| r.correlation_id.0).collect();
        assert_eq!(ids, [0, 1, 2]);
        assert_eq!(in_flight.count(), 0);
        assert!(in_flight.clear_all(NODE).is_empty());
    }

    // Java: InFlightRequestsTest.testTimedOutNodes.
    #[test]
    fn nodes_with_an_expired_request_time_out() {
        let time = MockTime::new();
        let (a, b) = (NodeId(1), NodeId(2));
        let mut in_flight = InFlightRequests::new(MAX, Arc::default());
        in_flight.add(request(0, a, &time, 50));
        in_flight.add(request(1, b, &time, 200));
        in_flight.add(request(2, b, &time, 100));
        assert_eq!(
            in_flight.next_timeout(time.now()),
            Some(time.now() + Duration::from_millis(50))
        );

        time.advance_ms(49);
        assert!(
            in_flight
                .nodes_with_timed_out_requests(time.now())
                .is_empty()
        );
        time.advance_ms(1);
        assert_eq!(in_flight.nodes_with_timed_out_requests(time.now()), [a]);
        time.advance_ms(50);
        assert_eq!(in_flight.nodes_with_timed_out_requests(time.now()), [a, b]);
    }

    #[test]
    fn the_next_timeout_is_exact_once_it_is_due() {
        let time = MockTime::new();
        let start = time.now();
        let at = |millis| Some(start + Duration::from_millis(millis));
        let (a, b) = (NodeId(1), NodeId(2));
        let mut in_flight = InFlightRequests::new(MAX, Arc::default());
        in_flight.add(request(0, a, &time, 50));
        in_flight.add(request(1, b, &time, 200));
        in_flight.complete_next(a);
        assert_eq!(in_flight.next_timeout(time.now()), at(50), "early");
        time.advance_ms(50);
        assert_eq!(in_flight.next_timeout(time.now()), at(200));
        assert_eq!(in_flight.nodes_with_timed_out_requests(time.now()), []);
        time.advance_ms(150);
        assert_eq!(in_flight.nodes_with_timed_out_requests(time.now()), [b]);
        assert_eq!(in_flight.next_timeout(time.now()), at(200), "still open");
        in_flight.complete_next(b);
        assert_eq!(in_flight.next_timeout(time.now()), None);
    }

    #[test]
    fn a_poll_looks_at_the_requests_of_a_thousand_nodes_only_when_one_is_due() {
        let time = MockTime::new();
        let mut in_flight = InFlightRequests::new(MAX, Arc::default());
        for node in 0..1000 {
            in_flight.add(request(node, NodeId(node), &time, 50));
        }
        time.advance_ms(49);
        // Without a look at the requests, the result is the same.
        let nodes = std::mem::take(&mut in_flight.nodes);
        assert!(in_flight.next_timeout(time.now()).is_some());
        assert_eq!(in_flight.nodes_with_timed_out_requests(time.now()), []);
        in_flight.nodes = nodes;
        time.advance_ms(1);
        let timed_out = in_flight.nodes_with_timed_out_requests(time.now());
        assert_eq!(timed_out.len(), 1000);
    }

    // Java: NetworkClientTest.testThrottledRequest..., the part about time-outs.
    #[test]
    fn throttle_time_does_not_count_as_waiting() {
        let time = MockTime::new();
        let mut in_flight = InFlightRequests::new(MAX, Arc::default());
        in_flight.add(request(0, NODE, &time, 50));
        in_flight.increment_throttle_time(NODE, Duration::from_millis(100));
        time.advance_ms(149);
        assert!(
            in_flight
                .nodes_with_timed_out_requests(time.now())
                .is_empty()
        );
        time.advance_ms(1);
        assert_eq!(in_flight.nodes_with_timed_out_requests(time.now()), [NODE]);

        in_flight.increment_throttle_time(NODE, Duration::MAX);
        assert!(
            in_flight
                .nodes_with_timed_out_requests(time.now())
                .is_empty()
        );
    }

    #[test]
    fn takes_more_when_the_last_is_written_and_there_is_room() {
        let mut in_flight = with_requests(0..4);
        assert!(in_flight.can_send_more(NODE) && in_flight.can_send_more(NodeId(1)));
        in_flight.add(request(4, NODE, &MockTime::new(), 50));
        assert!(!in_flight.can_send_more(NODE), "neither written nor room");
        in_flight.complete_next(NODE);
        assert!(!in_flight.can_send_more(NODE), "not written");
        in_flight.complete_send(NODE);
        assert!(in_flight.can_send_more(NODE));
        in_flight.add(request(5, NODE, &MockTime::new(), 50));
        in_flight.complete_send(NODE);
        assert!(!in_flight.can_send_more(NODE), "no room");
    }
}
