//! The end of a connection and of its requests. Java: `NetworkClient.handleDisconnections`,
//! `processDisconnection`, `cancelInFlightRequests`.

use std::time::Instant;

use super::NetworkClient;
use crate::client::RequestFailure;
use crate::client::in_flight_requests::Requester;
use crate::client::telemetry::TelemetryFailure;
use crate::common::NodeId;
use crate::error::{Error, ErrorKind};
use crate::network::{Disconnect, EarlyEnd, Selectable};
use crate::utils::log;

/// After this many consecutive handshakes without a response, the cause is permanent.
const UNANSWERED_HANDSHAKES: u32 = 5;

/// The reason why a connection ends.
pub(super) struct ConnectionEnd {
    kind: ErrorKind,
    cause: String,
}

impl ConnectionEnd {
    pub(super) fn network(cause: impl Into<String>) -> Self {
        Self::new(ErrorKind::Network, cause)
    }

    pub(super) fn timed_out(cause: impl Into<String>) -> Self {
        Self::new(ErrorKind::Timeout, cause)
    }

    /// Creates the reason for a node that violates the protocol.
    pub(super) fn protocol(cause: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, cause)
    }

    pub(super) fn too_old(cause: impl Into<String>) -> Self {
        Self::new(ErrorKind::UnsupportedVersion, cause)
    }

    fn new(kind: ErrorKind, cause: impl Into<String>) -> Self {
        let cause = cause.into();
        Self { kind, cause }
    }

    fn has_timed_out(&self) -> bool {
        self.kind == ErrorKind::Timeout
    }
}

impl<S: Selectable> NetworkClient<S> {
    /// Returns whether the selector lost a connection.
    pub(super) fn handle_disconnections(&mut self, now: Instant) -> bool {
        let disconnected = self.connections.selector.disconnected();
        let any = !disconnected.is_empty();
        for (node, why) in disconnected {
            if !self.connections.states.has_connection(node) {
                continue;
            }
            let ending = self.explain(node, &why);
            if why == Disconnect::Expired {
                let name = self.describe(node);
                log::info!("{name} disconnected: {why}");
            } else if self.is_at_rest(node, &why) {
                // Brokers close idle connections too. If there is another cause, the next attempt
                // to connect shows it.
                let name = self.describe(node);
                log::info!("{name} disconnected: {why}");
                self.remember_failure(node, &ending);
            } else {
                self.note_failure(node, &ending, now);
            }
            let is_for_a_person = self.is_for_a_person(node, &why);
            self.process_disconnection(node, &ending, now);
            if is_for_a_person {
                self.handle_authentication_failure(node, &why, now);
            }
        }
        any
    }

    /// Returns whether further attempts are unlikely to succeed.
    ///
    /// A listener without TLS closes the connection when a handshake begins. A load balancer does
    /// the same while it has no broker. So the first attempts prove nothing, and neither does any
    /// once a broker has responded.
    fn is_for_a_person(&mut self, node: NodeId, why: &Disconnect) -> bool {
        let is_unanswered = matches!(why, Disconnect::HandshakeUnanswered { .. });
        let states = &mut self.connections.states;
        let unanswered = states.count_unanswered_handshakes(node, is_unanswered);
        let is_first_answer_due = self.updater.metadata().snapshot().is_bootstrap();
        matches!(why, Disconnect::AuthenticationFailed { .. })
            || unanswered >= UNANSWERED_HANDSHAKES && is_first_answer_due
    }

    /// Reports the failure to a waiting caller immediately: only a person can fix the cause, so
    /// waiting for the next attempt is useless. The node is tried again after the backoff, because
    /// credentials may change while the producer runs.
    fn handle_authentication_failure(&mut self, node: NodeId, why: &Disconnect, now: Instant) {
        self.connections.states.authentication_failed(node, now);
        let text = format!("{}: {why}", self.describe(node));
        let error = Error::new(ErrorKind::Authentication, text);
        self.updater.metadata().fatal_error(error);
    }

    /// Returns why the selector lost a connection, with the likely cause if the node closed it
    /// before a response.
    fn explain(&self, node: NodeId, why: &Disconnect) -> ConnectionEnd {
        match why {
            Disconnect::InvalidReceive(_) => return ConnectionEnd::protocol(why.to_string()),
            Disconnect::AuthenticationFailed { .. } => {
                return ConnectionEnd::new(ErrorKind::Authentication, why.to_string());
            }
            _ => {}
        }
        let states = &self.connections.states;
        let hung_up = matches!(why, Disconnect::PeerClosed | Disconnect::Failed { .. });
        // All brokers of a cluster expect the same of a client. So once one has responded, none
        // expects SASL.
        let is_first_answer_due = self.updater.metadata().snapshot().is_bootstrap();
        let (when, end) = if hung_up && states.is_preparing(node) {
            ("before it sent its API versions", EarlyEnd::BeforeVersions)
        } else if hung_up && states.has_not_answered(node) && is_first_answer_due {
            let when = "after it sent its API versions and no other response";
            (when, EarlyEnd::AfterVersions)
        } else {
            return ConnectionEnd::network(why.to_string());
        };
        ConnectionEnd::network(match self.connections.selector.likely_mistake(end) {
            Some(mistake) => format!("{why} {when}: {mistake}"),
            None => format!("{why} {when}"),
        })
    }

    /// Returns whether the peer closed an idle connection that had worked.
    fn is_at_rest(&self, node: NodeId, why: &Disconnect) -> bool {
        let states = &self.connections.states;
        matches!(why, Disconnect::PeerClosed | Disconnect::Failed { .. })
            && states.is_connected(node)
            && !states.is_preparing(node)
            && !states.has_not_answered(node)
            && self.connections.in_flight.node_count(node) == 0
    }

    /// Keeps the failure for callers that wait for the node in vain.
    fn remember_failure(&self, node: NodeId, ending: &ConnectionEnd) {
        let metadata = self.updater.metadata();
        if let Some(node) = metadata.snapshot().node(node) {
            metadata.connection_failed(node, ending.kind, &ending.cause);
        }
    }

    /// Keeps the failure, and logs it.
    fn note_failure(&mut self, node: NodeId, ending: &ConnectionEnd, now: Instant) {
        self.remember_failure(node, ending);
        if let Some(node) = self.updater.metadata().snapshot().node(node) {
            self.outages.failed(node, ending.kind, &ending.cause, now);
        }
    }

    /// Closes a connection from this side.
    pub(super) fn close_connection(&mut self, node: NodeId, ending: &ConnectionEnd, now: Instant) {
        self.note_failure(node, ending, now);
        self.end_connection(node, ending, now);
    }

    pub(super) fn end_connection(&mut self, node: NodeId, ending: &ConnectionEnd, now: Instant) {
        let name = self.describe(node);
        log::debug!("disconnecting from {name}: {}", ending.cause);
        self.process_disconnection(node, ending, now);
        self.connections.selector.close(node);
    }

    /// Handles the end of a connection. Called before the selector closes it, because only then it
    /// is known what was written.
    fn process_disconnection(&mut self, node: NodeId, ending: &ConnectionEnd, now: Instant) {
        self.connections.states.disconnected(node, now);
        self.forget_connection(node);
        self.cancel_in_flight_requests(node, ending, now);
        self.updater.connection_lost(node);
        self.updater.handle_server_disconnect(now);
    }

    /// Fails the requests in flight to a node, oldest first.
    pub(super) fn cancel_in_flight_requests(
        &mut self,
        node: NodeId,
        ending: &ConnectionEnd,
        now: Instant,
    ) {
        let has_written_newest = self.connections.has_written_newest(node);
        let cause = format!("{}: {}", self.describe(node), ending.cause);
        for request in self.connections.in_flight.clear_all(node) {
            match request.requester {
                Requester::Caller => {
                    let failure = RequestFailure::Disconnected {
                        timed_out: ending.has_timed_out(),
                        was_written: request.is_send_complete || has_written_newest,
                        cause: cause.clone(),
                    };
                    self.completed.push(request.into_response(Err(failure)));
                }
                Requester::MetadataUpdater(_) => self.updater.handle_failed_request(None, now),
                Requester::ApiVersions => {}
                Requester::Telemetry { is_terminating } => {
                    let failure = TelemetryFailure::Disconnected;
                    self.fail_telemetry(failure, is_terminating, now);
                }
            }
        }
    }

    /// Drops the data of a connection, except its state.
    pub(super) fn forget_connection(&mut self, node: NodeId) {
        self.versions.remove(node);
        self.to_ask_for_versions.retain(|(id, _)| *id != node);
        self.resolving.retain(|resolving| resolving.id() != node);
    }
}
