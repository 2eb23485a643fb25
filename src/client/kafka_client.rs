//! What the sender asks of a client, and the requests and responses that pass between them.
//!
//! Java: `KafkaClient`, `ClientRequest`, `ClientResponse`.
//!
//! Differs from Java: a request carries no completion callback. [`KafkaClient::poll`] returns the responses, and the
//! caller finds what belongs to each by its correlation id.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::common::{Node, NodeId};
use crate::protocol::{ApiKey, RequestBody, ResponseBody};

/// Ties a response to its request. Unique among the requests that a client has in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CorrelationId(pub(crate) i32);

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A request that is not yet sent. The client chooses its version and its correlation id.
#[derive(Debug)]
pub(crate) struct ClientRequest {
    pub(crate) destination: NodeId,
    pub(crate) body: RequestBody,
    /// The versions that it may go out in; the client takes the highest that the node speaks.
    pub(crate) versions: RangeInclusive<i16>,
    /// `false` for a Produce request with `acks=0`: it is complete when its last byte is handed to the socket.
    pub(crate) expect_response: bool,
    /// How long to wait for the response before the connection is given up.
    pub(crate) request_timeout: Duration,
}

impl ClientRequest {
    /// A request that is answered, and that every version can carry which this library speaks.
    pub(crate) fn new(destination: NodeId, body: RequestBody, request_timeout: Duration) -> Self {
        Self {
            destination,
            versions: body.api_key().versions(),
            body,
            expect_response: true,
            request_timeout,
        }
    }

    /// This request, in these versions alone.
    pub(crate) fn in_versions(self, versions: RangeInclusive<i16>) -> Self {
        Self { versions, ..self }
    }
}

/// How a request ended. There is exactly one for each request that [`KafkaClient::send`] took, unless
/// [`KafkaClient::close`] dropped it.
#[derive(Debug)]
pub(crate) struct ClientResponse {
    pub(crate) correlation_id: CorrelationId,
    pub(crate) api_version: i16,
    /// `Ok(None)`: no response was expected, and the send is complete.
    pub(crate) outcome: Result<Option<ResponseBody>, RequestFailure>,
}

/// Why a request has no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestFailure {
    /// The connection ended first.
    Disconnected {
        /// Whether the client ended it, because this request or another of the connection took too long.
        timed_out: bool,
        /// Whether a byte of the request may have been handed to the socket, so that the broker may have acted on it.
        was_written: bool,
        cause: String,
    },
    /// The node speaks no version that the request can be written in. Nothing was sent.
    UnsupportedVersion { message: String, node: String },
    /// The response could not be understood. The request was written, and its connection is closed.
    InvalidResponse { message: String },
}

/// Sends requests to nodes and collects the responses. Driven by one thread.
pub(crate) trait KafkaClient {
    /// Returns whether a request can be sent to `node` now. No node is ready while a metadata
    /// update is due, so that the metadata request goes first.
    fn is_ready(&self, node: NodeId, now: Instant) -> bool;

    /// As [`is_ready`](Self::is_ready), and starts to connect where there is no connection and the backoff allows one.
    fn ready(&mut self, node: &Node, now: Instant) -> bool;

    /// Returns how long until it makes sense to try to send; `Duration::MAX` where only an event of
    /// the network can help.
    fn poll_delay(&self, node: NodeId, now: Instant) -> Duration;

    /// Returns whether the last connection to the node ended and none is being made.
    fn connection_failed(&self, node: NodeId) -> bool;

    /// Takes a request, and writes as much of it as the socket takes; [`poll`](Self::poll) writes the rest.
    ///
    /// # Errors
    ///
    /// Gives the request back where the node is not ready to take it.
    #[expect(
        clippy::result_large_err,
        reason = "the request comes back whole, to be sent again"
    )]
    fn send(
        &mut self,
        request: ClientRequest,
        now: Instant,
    ) -> Result<CorrelationId, ClientRequest>;

    /// Does the network's work and returns what ended.
    ///
    /// # Blocking
    ///
    /// Up to `timeout`, or until the network or the selector's waker ends the wait.
    fn poll(&mut self, timeout: Duration, now: Instant) -> Vec<ClientResponse>;

    /// Lets the client push its metrics for the last time, if a broker wants them (KIP-714). Nothing else is sent after that.
    fn initiate_telemetry_close(&mut self, _now: Instant) {}

    /// Returns how long the close has to wait for that push; `None` if there is none.
    fn telemetry_close_wait(&mut self, _now: Instant) -> Option<Duration> {
        None
    }

    /// Returns the node with the fewest requests in flight, or else one to which a connection is or
    /// can be made.
    fn least_loaded_node(&mut self, now: Instant) -> Option<Node>;

    /// Returns whether a byte of a request that has not ended was handed to the socket. Errs
    /// towards `true`.
    fn was_written(&self, correlation_id: CorrelationId, destination: NodeId) -> bool;

    /// Returns the highest version of an API that both sides speak, once the node has told its
    /// versions.
    fn api_version(&self, node: NodeId, key: ApiKey) -> Option<i16>;

    /// Returns the level of a feature that the cluster has finalized, as far as its nodes have
    /// told; 0 for none (KIP-584).
    fn finalized_feature_level(&self, feature: &str) -> i16;

    /// Ends every connection. Requests in flight are dropped, with no response.
    fn close(&mut self);
}
