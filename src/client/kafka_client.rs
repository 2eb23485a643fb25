//! The sender's interface to a client, with the requests and responses.
//!
//! Java: `KafkaClient`, `ClientRequest`, `ClientResponse`.
//!
//! Differs from Java: a request has no completion callback. [`KafkaClient::poll`] returns the
//! responses, and the caller matches them by correlation id.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::common::{Node, NodeId};
use crate::protocol::{ApiKey, RequestBody, ResponseBody};

/// Links a response to its request. Unique among the client's requests in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CorrelationId(pub(crate) i32);

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A request that is not sent yet. The client chooses its version and its correlation id.
#[derive(Debug)]
pub(crate) struct ClientRequest {
    pub(crate) destination: NodeId,
    pub(crate) body: RequestBody,
    /// The allowed versions. The client uses the highest one that the node supports.
    pub(crate) versions: RangeInclusive<i16>,
    /// `false` for a Produce request with `acks=0`: it is complete when its last byte is passed to
    /// the socket.
    pub(crate) expect_response: bool,
    /// How long to wait for the response before the connection is closed.
    pub(crate) request_timeout: Duration,
}

impl ClientRequest {
    /// Creates a request with a response, which every version that this library supports can carry.
    pub(crate) fn new(destination: NodeId, body: RequestBody, request_timeout: Duration) -> Self {
        Self {
            destination,
            versions: body.api_key().versions(),
            body,
            expect_response: true,
            request_timeout,
        }
    }

    /// Restricts the request to these versions.
    pub(crate) fn in_versions(self, versions: RangeInclusive<i16>) -> Self {
        Self { versions, ..self }
    }
}

/// The result of a request. There is exactly one for each request that [`KafkaClient::send`]
/// accepted, unless [`KafkaClient::close`] dropped it.
#[derive(Debug)]
pub(crate) struct ClientResponse {
    pub(crate) correlation_id: CorrelationId,
    pub(crate) api_version: i16,
    /// `Ok(None)`: no response was expected, and the send is complete.
    pub(crate) outcome: Result<Option<ResponseBody>, RequestFailure>,
}

/// The reason why a request has no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestFailure {
    /// The connection ended first.
    Disconnected {
        /// Whether the client closed it, because this request or another one on the connection
        /// timed out.
        timed_out: bool,
        /// Whether a byte of the request may have been passed to the socket, so that the broker may
        /// have handled it.
        was_written: bool,
        cause: String,
    },
    /// The node supports no version that can carry the request. Nothing was sent.
    UnsupportedVersion { message: String, node: String },
    /// The response is malformed. The request was written, and its connection is closed.
    InvalidResponse { message: String },
}

/// Sends requests to nodes and collects the responses. Used by one thread.
pub(crate) trait KafkaClient {
    /// Returns whether a request can be sent to `node` now. No node is ready while a metadata
    /// update is due, so that the metadata request goes first.
    fn is_ready(&self, node: NodeId, now: Instant) -> bool;

    /// Returns the same as [`is_ready`](Self::is_ready). Also starts to connect if there is no
    /// connection and the backoff allows one.
    fn ready(&mut self, node: &Node, now: Instant) -> bool;

    /// Returns how long until an attempt to send makes sense, or `Duration::MAX` if only a network
    /// event can help.
    fn poll_delay(&self, node: NodeId, now: Instant) -> Duration;

    /// Returns whether the last connection to the node has ended and none is being made.
    fn connection_failed(&self, node: NodeId) -> bool;

    /// Takes a request, and writes what the socket takes. [`poll`](Self::poll) writes the rest.
    ///
    /// # Errors
    ///
    /// Returns the request if the node cannot take it.
    #[expect(
        clippy::result_large_err,
        reason = "the request comes back whole, to be sent again"
    )]
    fn send(
        &mut self,
        request: ClientRequest,
        now: Instant,
    ) -> Result<CorrelationId, ClientRequest>;

    /// Does the network I/O, and returns the finished requests.
    ///
    /// # Blocking
    ///
    /// Up to `timeout`, or until the network or the selector's waker ends the wait.
    fn poll(&mut self, timeout: Duration, now: Instant) -> Vec<ClientResponse>;

    /// Lets the client push its metrics one last time, if a broker requests them (KIP-714). Nothing
    /// else is sent after that.
    fn initiate_telemetry_close(&mut self, _now: Instant) {}

    /// Returns how long the close must wait for that push, or `None` if there is none.
    fn telemetry_close_wait(&mut self, _now: Instant) -> Option<Duration> {
        None
    }

    /// Returns the node with the fewest requests in flight. If none is ready, returns one whose
    /// connection is or can be made.
    fn least_loaded_node(&mut self, now: Instant) -> Option<Node>;

    /// Returns whether a byte of an unfinished request was passed to the socket. In doubt returns
    /// `true`.
    fn was_written(&self, correlation_id: CorrelationId, destination: NodeId) -> bool;

    /// Returns the highest version of an API that both sides support, if the node has sent its
    /// versions.
    fn api_version(&self, node: NodeId, key: ApiKey) -> Option<i16>;

    /// Returns the cluster's finalized level of a feature, as far as its nodes have sent it; 0 if
    /// it has none (KIP-584).
    fn finalized_feature_level(&self, feature: &str) -> i16;

    /// Ends every connection. Requests in flight are dropped, with no response.
    fn close(&mut self);
}
