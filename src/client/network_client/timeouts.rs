//! What is given up because it takes too long: connecting, requests, and the brokers that are known. Java:
//! `NetworkClient.handleTimedOutConnections`, `handleTimedOutRequests`, `handleRebootstrap`; KIP-601, KIP-1102.
//!
//! Differs from Java: something is given up when its time is over, not after that, because the wait ends just then.

use std::time::{Duration, Instant};

use super::NetworkClient;
use super::disconnections::Ending;
use crate::client::ClientResponse;
use crate::network::Selectable;

impl<S: Selectable> NetworkClient<S> {
    /// How long the selector may wait, so that nothing is given up late.
    pub(super) fn poll_timeout(&self, timeout: Duration, now: Instant) -> Duration {
        let deadlines = [
            self.connections.in_flight.next_timeout(),
            self.connections.states.next_setup_timeout(),
            self.updater.rebootstrap_due(),
            self.resolver.next_poll(),
        ];
        let waits = deadlines
            .into_iter()
            .flatten()
            .map(|deadline| deadline.saturating_duration_since(now));
        waits.fold(timeout.min(self.config.request_timeout), Duration::min)
    }

    pub(super) fn handle_timed_out_connections(
        &mut self,
        responses: &mut Vec<ClientResponse>,
        now: Instant,
    ) {
        let states = &self.connections.states;
        for node in states.nodes_with_connection_setup_timeout(now) {
            let timeout = self.connections.states.connection_setup_timeout(node);
            let cause = format!(
                "no connection within {} ms (socket.connection.setup.timeout.ms)",
                timeout.unwrap_or_default().as_millis()
            );
            self.close_connection(node, &Ending::timed_out(cause), responses, now);
        }
    }

    pub(super) fn handle_timed_out_requests(
        &mut self,
        responses: &mut Vec<ClientResponse>,
        now: Instant,
    ) {
        let in_flight = &self.connections.in_flight;
        for node in in_flight.nodes_with_timed_out_requests(now) {
            let ending = Ending::timed_out("a request was not answered within request.timeout.ms");
            self.close_connection(node, &ending, responses, now);
        }
    }

    pub(super) fn maybe_rebootstrap(&mut self, responses: &mut Vec<ClientResponse>, now: Instant) {
        if !self.updater.needs_rebootstrap(now) {
            return;
        }
        for node in self.connections.states.nodes_with_connections() {
            // The node is not to blame, and what is known against it stays known.
            let ending = Ending::network("the client rebootstraps");
            self.end_connection(node, &ending, responses, now);
        }
        self.rebootstrap(now);
    }

    /// Starts again from the bootstrap nodes. Connections to nodes of no use are closed.
    pub(super) fn rebootstrap(&mut self, now: Instant) {
        self.versions.forget_features_of_lost_nodes();
        self.updater.rebootstrap(now);
    }
}
