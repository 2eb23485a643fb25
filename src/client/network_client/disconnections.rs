//! The end of a connection, for whatever reason, and of the requests on it. Java: `NetworkClient.handleDisconnections`,
//! `processDisconnection`, `cancelInFlightRequests`.

use std::time::Instant;

use super::NetworkClient;
use crate::client::in_flight_requests::Requester;
use crate::client::{ClientResponse, RequestFailure};
use crate::common::NodeId;
use crate::network::{Disconnect, Selectable};

impl<S: Selectable> NetworkClient<S> {
    pub(super) fn handle_disconnections(
        &mut self,
        responses: &mut Vec<ClientResponse>,
        now: Instant,
    ) {
        for (node, why) in self.connections.selector.disconnected() {
            if !self.connections.states.has_connection(node) {
                continue;
            }
            let name = self.describe(node);
            match why {
                Disconnect::NotConnected { .. } => log::warn!("{name} may be down: {why}"),
                Disconnect::InvalidReceive(_) => log::warn!("{name}: {why}"),
                _ => log::info!("{name} disconnected: {why}"),
            }
            self.process_disconnection(node, &why.to_string(), false, responses, now);
        }
    }

    /// Ends a connection from this side.
    pub(super) fn close_connection(
        &mut self,
        node: NodeId,
        cause: &str,
        timed_out: bool,
        responses: &mut Vec<ClientResponse>,
        now: Instant,
    ) {
        log::warn!("disconnecting from {}: {cause}", self.describe(node));
        self.process_disconnection(node, cause, timed_out, responses, now);
        self.connections.selector.close(node);
    }

    /// To be called before the selector closes the connection, since only then it is known what was written.
    fn process_disconnection(
        &mut self,
        node: NodeId,
        cause: &str,
        timed_out: bool,
        responses: &mut Vec<ClientResponse>,
        now: Instant,
    ) {
        self.connections.states.disconnected(node, now);
        self.forget_connection(node);
        self.cancel_in_flight_requests(node, cause, timed_out, responses, now);
        let snapshot = self.updater.metadata().snapshot();
        if let Some(node) = snapshot.node(node).filter(|_| snapshot.is_bootstrap()) {
            log::warn!("bootstrap broker {node} disconnected: {cause}");
        }
        drop(snapshot);
        self.updater.handle_server_disconnect(now);
    }

    /// Fails the requests in flight to a node, oldest first.
    pub(super) fn cancel_in_flight_requests(
        &mut self,
        node: NodeId,
        cause: &str,
        timed_out: bool,
        responses: &mut Vec<ClientResponse>,
        now: Instant,
    ) {
        let has_written_newest = self.connections.has_written_newest(node);
        for request in self.connections.in_flight.clear_all(node) {
            match request.requester {
                Requester::Caller => {
                    let failure = RequestFailure::Disconnected {
                        timed_out,
                        was_written: request.is_send_complete || has_written_newest,
                        cause: cause.to_owned(),
                    };
                    responses.push(request.into_response(Err(failure)));
                }
                Requester::MetadataUpdater(_) => self.updater.handle_failed_request(None, now),
                Requester::ApiVersions => {}
            }
        }
    }

    /// Drops what is known of a connection, but for its state.
    pub(super) fn forget_connection(&mut self, node: NodeId) {
        self.versions.remove(node);
        self.to_ask_for_versions.retain(|(id, _)| *id != node);
        self.resolving.retain(|resolving| resolving.id() != node);
    }
}
