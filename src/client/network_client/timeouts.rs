//! Timeouts of connecting, of requests, and of the known brokers. Java:
//! `NetworkClient.handleTimedOutConnections`, `handleTimedOutRequests`, `handleRebootstrap`;
//! KIP-601, KIP-1102.
//!
//! Differs from Java: a timeout takes effect when its time has come and not later, because the wait
//! ends then. Whatever has arrived by then is read first, even if the wait returns late.

use std::time::{Duration, Instant};

use super::NetworkClient;
use super::disconnections::ConnectionEnd;
use crate::client::bootstrap::BootstrapResolution;
use crate::network::Selectable;
use crate::utils::log;

impl<S: Selectable> NetworkClient<S> {
    /// Returns how long the selector may wait, so that no timeout is late.
    pub(super) fn poll_timeout(&mut self, timeout: Duration, now: Instant) -> Duration {
        let timeout = timeout.min(self.config.request_timeout);
        match self.next_deadline(now) {
            Some(deadline) => timeout.min(deadline.saturating_duration_since(now)),
            None => timeout,
        }
    }

    /// Returns when the next request, connection attempt or set of brokers times out.
    fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        let deadlines = [
            self.connections.in_flight.next_timeout(now),
            self.connections.states.next_setup_timeout(now),
            self.updater.rebootstrap_due(),
            self.resolver.next_poll(),
            self.bootstrap.as_ref().map(BootstrapResolution::next_poll),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Reads everything that has arrived, if something is about to time out.
    ///
    /// The wait may return late: the process was stopped, the machine was suspended, or a signal
    /// ended the wait without a look at the sockets. Whatever is due at `now` times out only after
    /// a later look that found nothing. Each other look completes a request, a connection or the
    /// end of one, so there are few of them.
    pub(super) fn read_before_timeouts(&mut self, now: Instant) {
        while self
            .next_deadline(now)
            .is_some_and(|deadline| deadline <= now)
        {
            if !self.poll_selector(Duration::ZERO) {
                return;
            }
        }
    }

    /// Waits for the network and handles its events. Returns whether there were any.
    pub(super) fn poll_selector(&mut self, timeout: Duration) -> bool {
        if let Err(error) = self.connections.selector.poll(timeout) {
            log::error!("the wait for the network failed: {error}");
        }
        let now = self.time.now();
        let sent = self.handle_completed_sends();
        let received = self.handle_completed_receives(now);
        self.replace_connections_of_moved_nodes(now);
        let disconnected = self.handle_disconnections(now);
        let connected = self.handle_connections();
        sent || received || disconnected || connected
    }

    pub(super) fn handle_timed_out_connections(&mut self, now: Instant) {
        let states = &mut self.connections.states;
        for node in states.nodes_with_connection_setup_timeout(now) {
            let timeout = self.connections.states.connection_setup_timeout(node);
            let cause = format!(
                "no connection within {} ms (socket.connection.setup.timeout.ms)",
                timeout.unwrap_or_default().as_millis()
            );
            self.close_connection(node, &ConnectionEnd::timed_out(cause), now);
        }
    }

    pub(super) fn handle_timed_out_requests(&mut self, now: Instant) {
        let in_flight = &mut self.connections.in_flight;
        for node in in_flight.nodes_with_timed_out_requests(now) {
            let ending =
                ConnectionEnd::timed_out("a request had no response within request.timeout.ms");
            self.close_connection(node, &ending, now);
        }
    }

    pub(super) fn maybe_rebootstrap(&mut self, now: Instant) {
        if !self.updater.needs_rebootstrap(now) {
            return;
        }
        for node in self.connections.states.nodes_with_connections() {
            // The node did not cause this, and its known failures remain.
            let ending = ConnectionEnd::network("the client rebootstraps");
            self.end_connection(node, &ending, now);
        }
        self.rebootstrap(now);
    }

    /// Starts again from the bootstrap nodes. Closes connections to unusable nodes.
    pub(super) fn rebootstrap(&mut self, now: Instant) {
        self.versions.forget_features_of_lost_nodes();
        self.updater.rebootstrap(now);
    }
}
