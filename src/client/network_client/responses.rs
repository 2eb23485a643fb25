//! Handles what the selector reports as written and as received. Java:
//! `NetworkClient.handleCompletedSends`, `handleCompletedReceives`, `maybeThrottle`; KIP-219.

use std::time::{Duration, Instant};

use super::NetworkClient;
use super::disconnections::ConnectionEnd;
use crate::client::in_flight_requests::{InFlightRequest, Requester};
use crate::client::telemetry::TelemetryFailure;
use crate::client::{MetadataRequestVersion, RequestFailure};
use crate::common::NodeId;
use crate::network::{NetworkReceive, Selectable};
use crate::protocol::messages::MetadataView;
use crate::protocol::{ApiKey, ResponseBody, decode_metadata_response, decode_response};
use crate::utils::log;

/// The longest time for which a response can keep the client from a node.
///
/// The field can hold 24 days, and a single damaged bit could silence the node until its records
/// expire. By default brokers measure a quota over 11 s (`quota.window.num`,
/// `quota.window.size.seconds`), so plausible times are of that order. A shorter wait breaks no
/// quota, because the broker enforces it by muting the connection. Half of the default of
/// `delivery.timeout.ms` leaves the records time for another attempt.
const MAX_THROTTLE: Duration = Duration::from_secs(60);

/// A valid response.
enum Decoded<'a> {
    /// For the client itself. It stays in its frame, because it may be large.
    Metadata(MetadataRequestVersion, MetadataView<'a>),
    Body(ResponseBody),
}

impl Decoded<'_> {
    fn throttle_time_ms(&self) -> i32 {
        match self {
            Self::Metadata(_, response) => response.throttle_time_ms,
            Self::Body(body) => body.throttle_time_ms(),
        }
    }
}

impl<S: Selectable> NetworkClient<S> {
    /// Returns whether a send was completed.
    pub(super) fn handle_completed_sends(&mut self) -> bool {
        let completed_sends = self.connections.selector.completed_sends();
        for node in &completed_sends {
            let completed = self.connections.in_flight.complete_send(*node);
            self.completed
                .extend(completed.map(|request| request.into_response(Ok(None))));
        }
        !completed_sends.is_empty()
    }

    /// Returns whether a frame was received.
    pub(super) fn handle_completed_receives(&mut self, now: Instant) -> bool {
        let completed_receives = self.connections.selector.completed_receives();
        for receive in &completed_receives {
            self.handle_receive(receive, now);
        }
        !completed_receives.is_empty()
    }

    /// Finds the request for a frame. Responses arrive in the order of the requests, so it is the
    /// oldest one. If the frame says otherwise, the connection is unreliable and ends. A broker
    /// that responds twice, or without a request, thus completes nothing.
    fn handle_receive(&mut self, receive: &NetworkReceive, now: Instant) {
        let node = receive.source;
        if !self.connections.states.has_connection(node) {
            // An earlier frame of the same poll ended the connection.
            return;
        }
        let oldest = self.connections.in_flight.oldest(node);
        let expected = oldest.filter(|request| request.is_send_complete);
        let expected = expected.map(|request| request.correlation_id.0);
        let received = correlation_id_of(&receive.payload);
        if expected.is_none() || received != expected {
            let cause = match (received, expected) {
                (None, _) => "it sent a frame without a correlation id".to_owned(),
                (Some(received), None) => {
                    format!("it sent a response with correlation id {received} to no request")
                }
                (Some(received), Some(expected)) => format!(
                    "it sent a response with correlation id {received} instead of {expected}"
                ),
            };
            return self.close_connection(node, &ConnectionEnd::protocol(cause), now);
        }
        let Some(request) = self.connections.in_flight.complete_next(node) else {
            return;
        };
        let (key, version) = (request.api_key, request.api_version);
        let decoded = match request.requester {
            Requester::MetadataUpdater(about) => {
                decode_metadata_response(version, &receive.payload)
                    .map(|response| Decoded::Metadata(about, response))
            }
            Requester::Caller | Requester::ApiVersions | Requester::Telemetry { .. } => {
                decode_response(key, version, &receive.payload).map(|(_, body)| Decoded::Body(body))
            }
        };
        match decoded {
            Ok(response) => {
                self.note_answer(&request, now);
                self.handle_response(request, response, now);
            }
            Err(error) => {
                let message = format!(
                    "the {key} v{version} response of {} cannot be understood: {error}",
                    self.describe(node)
                );
                self.fail_unparsable(request, &message, now);
                let cause = format!("its {key} v{version} response cannot be understood: {error}");
                self.close_connection(node, &ConnectionEnd::protocol(cause), now);
            }
        }
    }

    fn note_answer(&mut self, request: &InFlightRequest, now: Instant) {
        let node = request.destination;
        let is_first = !matches!(request.requester, Requester::ApiVersions)
            && self.connections.states.answered(node);
        if is_first {
            let metadata = self.updater.metadata();
            if let Some(node) = metadata.snapshot().node(node) {
                metadata.connection_succeeded(node);
                self.outages.recovered(node, now);
            }
        }
    }

    fn fail_unparsable(&mut self, request: InFlightRequest, message: &str, now: Instant) {
        match request.requester {
            Requester::Caller => {
                let message = message.to_owned();
                let failure = RequestFailure::InvalidResponse { message };
                self.completed.push(request.into_response(Err(failure)));
            }
            Requester::MetadataUpdater(_) => self.updater.handle_failed_request(None, now),
            Requester::ApiVersions => {}
            Requester::Telemetry { is_terminating } => {
                let failure = TelemetryFailure::InvalidResponse;
                self.fail_telemetry(failure, is_terminating, now);
            }
        }
    }

    fn handle_response(&mut self, request: InFlightRequest, response: Decoded<'_>, now: Instant) {
        let throttle_time_ms = response.throttle_time_ms();
        self.metrics.responded(throttle_time_ms, now);
        self.maybe_throttle(&request, throttle_time_ms, now);
        let body = match response {
            Decoded::Metadata(about, response) => {
                return self.handle_metadata_response(&request, about, &response, now);
            }
            Decoded::Body(body) => body,
        };
        if let ResponseBody::FindCoordinator(response) = &body {
            self.compare_with_coordinators(response);
        }
        match (request.requester, body) {
            (Requester::ApiVersions, ResponseBody::ApiVersions(response)) => {
                self.handle_api_versions_response(&request, response, now);
            }
            (Requester::Telemetry { is_terminating }, body) => {
                self.handle_telemetry_response(body, is_terminating, now);
            }
            (_, body) => self.completed.push(request.into_response(Ok(Some(body)))),
        }
    }

    fn handle_metadata_response(
        &mut self,
        request: &InFlightRequest,
        version: MetadataRequestVersion,
        response: &MetadataView<'_>,
        now: Instant,
    ) {
        let before = self.updater.metadata().load();
        self.updater.handle_response(version, response, now);
        let after = self.updater.metadata().load();
        let is_known = before.cluster_id().is_some() && after.cluster_id().is_some();
        if is_known && before.cluster_id() != after.cluster_id() {
            self.versions.take_features_of(request.destination);
        }
    }

    /// Sends a node nothing for its throttle time, and extends the timeouts of its requests in
    /// flight by that time.
    fn maybe_throttle(&mut self, request: &InFlightRequest, throttle_time_ms: i32, now: Instant) {
        if request.api_version < first_version_that_throttles(request.api_key) {
            return;
        }
        let node = request.destination;
        let requested = Duration::from_millis(u64::try_from(throttle_time_ms).unwrap_or(0));
        let throttle_time = requested.min(MAX_THROTTLE);
        if throttle_time_ms < 0 || throttle_time < requested {
            self.implausible_throttle_times += 1;
            log::warn!(
                "{} requested a throttle time of {throttle_time_ms} ms in a {} response; the client waits {} ms. \
                 Implausible throttle times so far: {}",
                self.describe(node),
                request.api_key,
                throttle_time.as_millis(),
                self.implausible_throttle_times
            );
        }
        if throttle_time.is_zero() {
            return;
        }
        log::trace!("node {node} is throttled for {throttle_time:?}");
        self.connections.states.throttle(node, now + throttle_time);
        self.connections
            .in_flight
            .increment_throttle_time(node, throttle_time);
    }

    /// Returns whether a connection was made.
    pub(super) fn handle_connections(&mut self) -> bool {
        let connected = self.connections.selector.connected();
        for node in &connected {
            if self.connections.states.is_connecting(*node) {
                log::debug!("connected to node {node}");
                self.updater.connection_made(*node);
                self.ask_for_versions(*node, super::send::latest_api_versions_version());
            }
        }
        !connected.is_empty()
    }

    pub(super) fn ask_for_versions(&mut self, node: NodeId, version: i16) {
        self.to_ask_for_versions.push((node, version));
    }
}

/// Returns the version from which the broker responds immediately and expects the client to wait.
/// In earlier versions the broker waits.
const fn first_version_that_throttles(key: ApiKey) -> i16 {
    match key {
        ApiKey::Produce | ApiKey::Metadata => 6,
        ApiKey::FindCoordinator | ApiKey::ApiVersions => 2,
        ApiKey::InitProducerId
        | ApiKey::AddPartitionsToTxn
        | ApiKey::AddOffsetsToTxn
        | ApiKey::EndTxn
        | ApiKey::TxnOffsetCommit => 1,
        ApiKey::GetTelemetrySubscriptions | ApiKey::PushTelemetry => 0,
        // These have no throttle time.
        ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => i16::MAX,
    }
}

fn correlation_id_of(payload: &[u8]) -> Option<i32> {
    let bytes = payload.first_chunk::<4>()?;
    Some(i32::from_be_bytes(*bytes))
}
