//! Decides which telemetry request is due. Java:
//! `ClientTelemetryReporter.DefaultClientTelemetrySender`.
//!
//! Threads: owned by the I/O thread, which also ends it, so the state needs no lock.

use std::time::{Duration, Instant};

use super::ClientInstanceId;
use super::client_telemetry_state::ClientTelemetryState;
use super::client_telemetry_subscription::{ClientTelemetrySubscription, DEFAULT_PUSH_INTERVAL};
use super::kafka_metrics_collector::{Collected, KafkaMetricsCollector};
use crate::common::Uuid;
use crate::protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequest,
    PushTelemetryResponse,
};
use crate::protocol::{ApiKey, ErrorCode, RequestBody};
use crate::record::{CompressionType, compress};
use crate::sync::Arc;
use crate::utils::{later, log};

/// How long the close of a producer without other work waits for the last push. Its own timeout may end it earlier.
const TERMINATING_PUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The initial guess of how much larger a payload may be before its compression.
const EXPECTED_COMPRESSION: usize = 8;

/// The reason why a telemetry request has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TelemetryFailure {
    /// The node does not support telemetry. Nothing was sent.
    UnsupportedVersion,
    /// The connection did not take the request.
    NotSent,
    /// The connection ended.
    Disconnected,
    /// The response is malformed.
    InvalidResponse,
}

/// The reaction to a broker's error. Java: `ClientTelemetryUtils.maybeFetchErrorIntervalMs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    SubscribeNow,
    SubscribeAfterInterval,
    GiveUp,
}

impl Remedy {
    fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::UNKNOWN_SUBSCRIPTION_ID | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE => {
                Self::SubscribeNow
            }
            ErrorCode::TELEMETRY_TOO_LARGE | ErrorCode::THROTTLING_QUOTA_EXCEEDED => {
                Self::SubscribeAfterInterval
            }
            // Java stops here.
            code if code.is_retriable() => Self::SubscribeAfterInterval,
            _ => Self::GiveUp,
        }
    }
}

/// A payload in flight.
#[derive(Debug)]
struct Push {
    collected: Collected,
    compression_type: CompressionType,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ClientTelemetrySender {
    state: ClientTelemetryState,
    /// The earliest time of the next request, except for the terminating push. `None` before the
    /// first response.
    next_request: Option<Instant>,
    subscription: Option<ClientTelemetrySubscription>,
    client_instance_id: ClientInstanceId,
    collector: KafkaMetricsCollector,
    /// Codecs that are not compiled in, that failed, or that a broker refused although it had
    /// offered them.
    refused_compression_types: Vec<CompressionType>,
    in_flight: Option<Push>,
    /// When the close stops waiting for the last push.
    close_deadline: Option<Instant>,
}

impl ClientTelemetrySender {
    /// Creates a sender that requests a subscription once there is a connection.
    pub(crate) fn new(collector: KafkaMetricsCollector) -> Self {
        Self {
            state: ClientTelemetryState::SubscriptionNeeded,
            next_request: None,
            subscription: None,
            client_instance_id: ClientInstanceId::default(),
            collector,
            refused_compression_types: Vec::new(),
            in_flight: None,
            close_deadline: None,
        }
    }

    /// Returns the id, for callers to wait for.
    pub(crate) fn client_instance_id(&self) -> ClientInstanceId {
        Arc::clone(&self.client_instance_id)
    }

    /// Returns how long until a request may be due: zero if one is, or `Duration::MAX` if only a
    /// response can change that.
    pub(crate) fn time_to_next_update(&self, now: Instant) -> Duration {
        use ClientTelemetryState::*;
        match self.state {
            SubscriptionNeeded | PushNeeded => self
                .next_request
                .map_or(Duration::ZERO, |next| next.saturating_duration_since(now)),
            TerminatingPushNeeded => Duration::ZERO,
            SubscriptionInProgress | PushInProgress | TerminatingPushInProgress | Terminated => {
                Duration::MAX
            }
        }
    }

    /// Returns the API of the request that is due next.
    pub(crate) fn next_api(&self) -> ApiKey {
        use ClientTelemetryState::*;
        match self.state {
            PushNeeded | TerminatingPushNeeded => ApiKey::PushTelemetry,
            _ => ApiKey::GetTelemetrySubscriptions,
        }
    }

    /// Returns whether a connection may be made for the next request: a broker requested metrics,
    /// or a caller waits for the id.
    pub(crate) fn may_connect(&self) -> bool {
        match self.state {
            ClientTelemetryState::PushNeeded => true,
            ClientTelemetryState::SubscriptionNeeded => {
                self.assigned_id().is_none() && self.client_instance_id.is_wanted()
            }
            _ => false,
        }
    }

    /// Returns whether the request in progress is the last one.
    pub(crate) fn is_terminating(&self) -> bool {
        self.state.is_terminating()
    }

    /// Returns the request that is due. It counts as in progress from now on.
    pub(crate) fn create_request(&mut self) -> Option<RequestBody> {
        use ClientTelemetryState::*;
        match self.state {
            SubscriptionNeeded => {
                self.set_state(SubscriptionInProgress);
                let assigned = self.assigned_id();
                let request = GetTelemetrySubscriptionsRequest {
                    client_instance_id: assigned.unwrap_or(Uuid::ZERO),
                };
                Some(request.into())
            }
            PushNeeded | TerminatingPushNeeded => {
                let is_terminating = self.state == TerminatingPushNeeded;
                let Some(request) = self.create_push_request(is_terminating) else {
                    self.set_state(if is_terminating {
                        Terminated
                    } else {
                        SubscriptionNeeded
                    });
                    return None;
                };
                self.set_state(match is_terminating {
                    true => TerminatingPushInProgress,
                    false => PushInProgress,
                });
                Some(request.into())
            }
            SubscriptionInProgress | PushInProgress | TerminatingPushInProgress | Terminated => {
                None
            }
        }
    }

    /// Returns a push. Returns `None` without a subscription, which no state allows.
    fn create_push_request(&mut self, is_terminating: bool) -> Option<PushTelemetryRequest> {
        let subscription = self.subscription.clone()?;
        let (push, metrics) = self.payload(&subscription);
        let request = PushTelemetryRequest {
            client_instance_id: subscription.client_instance_id,
            subscription_id: subscription.subscription_id,
            terminating: is_terminating,
            compression_type: i8::try_from(push.compression_type.id()).unwrap_or(0),
            metrics,
        };
        self.in_flight = Some(push);
        Some(request)
    }

    /// Collects the metrics, and compresses them with the first codec that both sides support.
    /// Omits what exceeds the broker's limit.
    fn payload(&mut self, subscription: &ClientTelemetrySubscription) -> (Push, Vec<u8>) {
        let max_bytes = subscription.max_bytes;
        let mut limit = max_bytes.saturating_mul(EXPECTED_COMPRESSION);
        loop {
            let preferred = subscription.compression_type(&self.refused_compression_types);
            if preferred == CompressionType::None {
                limit = limit.min(max_bytes);
            }
            let requested = &subscription.requested_metrics;
            let is_delta = subscription.delta_temporality;
            let mut collected = self.collector.collect(requested, is_delta, limit);
            let bytes = std::mem::take(&mut collected.bytes);
            let uncompressed = bytes.len();
            let (compression_type, metrics) = match preferred {
                CompressionType::None => (preferred, bytes),
                // There is nothing to compress, and a codec may then write nothing, which cannot be
                // decompressed.
                _ if bytes.is_empty() => (CompressionType::None, bytes),
                _ => match compress(preferred, &bytes) {
                    Ok(compressed) => (preferred, compressed),
                    Err(error) => {
                        log::debug!("telemetry is not compressed with {preferred}: {error}");
                        self.refused_compression_types.push(preferred);
                        continue;
                    }
                },
            };
            if metrics.len() <= max_bytes || uncompressed == 0 {
                if collected.count < collected.wanted {
                    log::debug!(
                        "{} of {} metrics fit into a telemetry payload of {max_bytes} bytes",
                        collected.count,
                        collected.wanted
                    );
                }
                let push = Push {
                    collected,
                    compression_type,
                };
                return (push, metrics);
            }
            limit = uncompressed / 2;
        }
    }

    pub(crate) fn handle_subscription(
        &mut self,
        response: GetTelemetrySubscriptionsResponse,
        now: Instant,
    ) {
        if !self.takes_response(false) {
            return;
        }
        if !response.error_code.is_none() {
            let remedy = match Remedy::of(response.error_code) {
                // The client has just sent the request. Java sends it again as fast as the broker
                // responds.
                Remedy::SubscribeNow => Remedy::SubscribeAfterInterval,
                remedy => remedy,
            };
            return self.recover(remedy, response.error_code, now);
        }
        let assigned = self.assigned_id();
        let Some(subscription) = ClientTelemetrySubscription::new(response, assigned) else {
            log::debug!("ignored a telemetry subscription without a client instance id");
            return self.subscribe_after(self.interval(), now);
        };
        let before = self.subscription.as_ref();
        if before.is_some_and(|old| old.delta_temporality != subscription.delta_temporality) {
            self.collector.reset();
        }
        if self
            .client_instance_id
            .set(Some(subscription.client_instance_id))
        {
            let id = subscription.client_instance_id;
            log::info!("client telemetry has the client instance id {id}");
        }
        let interval = subscription.push_interval;
        let wants_nothing = subscription.requested_metrics.is_none();
        self.subscription = Some(subscription);
        if wants_nothing {
            return self.subscribe_after(interval, now);
        }
        // Between 50 % and 150 %, so that clients that started together do not push together.
        let first = interval.mul_f64(0.5 + fastrand::f64());
        self.next_request = Some(later(now, first));
        self.set_state(ClientTelemetryState::PushNeeded);
    }

    /// Handles the response to a push. `was_terminating` means that it was the last one.
    pub(crate) fn handle_push(
        &mut self,
        response: &PushTelemetryResponse,
        was_terminating: bool,
        now: Instant,
    ) {
        if !self.takes_response(was_terminating) {
            return;
        }
        if response.error_code.is_none() {
            self.note_pushed();
            self.next_request = Some(later(now, self.interval()));
            return self.set_state(ClientTelemetryState::PushNeeded);
        }
        if response.error_code == ErrorCode::UNSUPPORTED_COMPRESSION_TYPE {
            let push = self.in_flight.take();
            let refused = push.map(|push| push.compression_type);
            self.refused_compression_types.extend(refused);
        }
        self.recover(Remedy::of(response.error_code), response.error_code, now);
    }

    pub(crate) fn handle_failed_request(
        &mut self,
        failure: TelemetryFailure,
        was_terminating: bool,
        now: Instant,
    ) {
        if !self.takes_response(was_terminating) {
            return;
        }
        match failure {
            TelemetryFailure::UnsupportedVersion => {}
            // The next attempt will see the state of the connection.
            TelemetryFailure::NotSent => return self.subscribe_after(self.interval(), now),
            TelemetryFailure::Disconnected => {
                // The broker may have counted it.
                self.note_pushed();
            }
            TelemetryFailure::InvalidResponse => {
                log::warn!(
                    "a broker's telemetry response is malformed; metrics are no longer pushed"
                );
                return self.terminate();
            }
        }
        // Another broker may support telemetry, and this one may after an upgrade.
        self.subscribe_after(DEFAULT_PUSH_INTERVAL, now);
    }

    /// Returns whether the end of a request still matters. It ends telemetry if the request was the
    /// last push, and is too late if the client has begun to close since.
    fn takes_response(&mut self, was_terminating: bool) -> bool {
        if was_terminating {
            self.terminate();
        }
        !self.state.is_terminating()
    }

    /// Makes the next request the last push, if a broker requested metrics. Java: `initiateClose`.
    pub(crate) fn initiate_close(&mut self, now: Instant) {
        if self.state.is_terminating() {
            return;
        }
        let is_idle = self.state == ClientTelemetryState::SubscriptionNeeded;
        let subscription = self.subscription.as_ref();
        if is_idle || subscription.is_none_or(|wanted| wanted.requested_metrics.is_none()) {
            return self.terminate();
        }
        // Its response would come too late.
        self.note_pushed();
        self.close_deadline = Some(later(now, TERMINATING_PUSH_TIMEOUT));
        self.set_state(ClientTelemetryState::TerminatingPushNeeded);
    }

    /// Returns how long the close should wait for the last push, or `None` if there is nothing to
    /// wait for.
    pub(crate) fn close_wait(&mut self, now: Instant) -> Option<Duration> {
        if self.state == ClientTelemetryState::Terminated {
            return None;
        }
        let wait = self.close_deadline?.saturating_duration_since(now);
        if wait.is_zero() {
            self.terminate();
            return None;
        }
        Some(wait)
    }

    /// Ends telemetry, except for the id.
    pub(crate) fn terminate(&mut self) {
        self.in_flight = None;
        if self.state != ClientTelemetryState::Terminated {
            self.set_state(ClientTelemetryState::Terminated);
        }
    }

    /// Ends telemetry and the waits for the id.
    pub(crate) fn close(&mut self) {
        self.terminate();
        self.client_instance_id.set(None);
    }

    /// Counts the sums in flight as pushed.
    fn note_pushed(&mut self) {
        if let Some(push) = self.in_flight.take() {
            self.collector.pushed(push.collected);
        }
    }

    fn recover(&mut self, remedy: Remedy, code: ErrorCode, now: Instant) {
        log::debug!("a broker refused a telemetry request with {code}: {remedy:?}");
        match remedy {
            Remedy::SubscribeNow => self.subscribe_after(Duration::ZERO, now),
            Remedy::SubscribeAfterInterval => self.subscribe_after(self.interval(), now),
            Remedy::GiveUp => {
                log::warn!("a broker refused telemetry with {code}; metrics are no longer pushed");
                self.terminate();
            }
        }
    }

    fn subscribe_after(&mut self, wait: Duration, now: Instant) {
        self.in_flight = None;
        self.next_request = Some(later(now, wait));
        if self.state != ClientTelemetryState::SubscriptionNeeded {
            self.set_state(ClientTelemetryState::SubscriptionNeeded);
        }
    }

    fn interval(&self) -> Duration {
        let subscription = self.subscription.as_ref();
        subscription.map_or(DEFAULT_PUSH_INTERVAL, |subscription| {
            subscription.push_interval
        })
    }

    fn assigned_id(&self) -> Option<Uuid> {
        self.client_instance_id.get()?
    }

    /// Sets the state. No other function does. An invalid transition would be a bug here; it ends
    /// telemetry, and not the producer.
    fn set_state(&mut self, next: ClientTelemetryState) {
        if !self.state.may_become(next) {
            log::warn!(
                "telemetry cannot go from {:?} to {next:?} and ends",
                self.state
            );
            self.state = ClientTelemetryState::Terminated;
            return;
        }
        log::trace!("telemetry goes from {:?} to {next:?}", self.state);
        self.state = next;
    }
}

#[cfg(test)]
mod tests;
