//! The metrics that a broker requests from a client. Java:
//! `ClientTelemetryReporter.ClientTelemetrySubscription`, `ClientTelemetryUtils`.

use std::time::Duration;

use super::requested_metrics::RequestedMetrics;
use crate::common::Uuid;
use crate::protocol::messages::GetTelemetrySubscriptionsResponse;
use crate::record::CompressionType;
use crate::utils::log;

/// The interval if the broker's is invalid. Java: `DEFAULT_PUSH_INTERVAL_MS`.
pub(super) const DEFAULT_PUSH_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The shortest interval that Kafka's brokers let an operator set (`ClientMetricsConfigs`). Without
/// a limit a broker could make the client push without a pause.
const MIN_PUSH_INTERVAL: Duration = Duration::from_millis(100);

/// `telemetry.max.bytes` of Kafka's brokers.
const DEFAULT_MAX_BYTES: usize = 1024 * 1024;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct ClientTelemetrySubscription {
    pub(super) client_instance_id: Uuid,
    pub(super) subscription_id: i32,
    pub(super) push_interval: Duration,
    /// The codecs that this library knows by name, even if not compiled in. The broker's favourite
    /// is first.
    pub(super) accepted_compression_types: Vec<CompressionType>,
    /// The largest payload.
    pub(super) max_bytes: usize,
    pub(super) delta_temporality: bool,
    pub(super) requested_metrics: RequestedMetrics,
}

impl ClientTelemetrySubscription {
    /// Reads a response without an error. Values out of range become defaults. Returns `None` if
    /// neither the client nor the response has an id. An id never changes once it is assigned.
    pub(super) fn new(
        response: GetTelemetrySubscriptionsResponse,
        assigned: Option<Uuid>,
    ) -> Option<Self> {
        let offered = response.client_instance_id;
        let client_instance_id = assigned.or_else(|| (!offered.is_zero()).then_some(offered))?;
        let max_bytes = usize::try_from(response.telemetry_max_bytes).unwrap_or(0);
        Some(Self {
            client_instance_id,
            subscription_id: response.subscription_id,
            push_interval: push_interval(response.push_interval_ms),
            accepted_compression_types: response
                .accepted_compression_types
                .iter()
                .filter_map(|id| CompressionType::from_id(i16::from(*id)))
                .collect(),
            max_bytes: match max_bytes {
                0 => DEFAULT_MAX_BYTES,
                bytes => bytes,
            },
            delta_temporality: response.delta_temporality,
            requested_metrics: RequestedMetrics::new(response.requested_metrics),
        })
    }

    /// Returns the broker's favourite codec that is not `refused`. Java:
    /// `preferredCompressionType`.
    pub(super) fn compression_type(&self, refused: &[CompressionType]) -> CompressionType {
        let mut accepted = self.accepted_compression_types.iter().copied();
        let usable = accepted.find(|kind| !refused.contains(kind));
        usable.unwrap_or(CompressionType::None)
    }
}

/// Returns the interval, or a default if it is invalid. Java: `validateIntervalMs`.
fn push_interval(millis: i32) -> Duration {
    match u64::try_from(millis) {
        Ok(millis) if millis > 0 => Duration::from_millis(millis).max(MIN_PUSH_INTERVAL),
        _ => {
            log::debug!(
                "a broker sent a telemetry push interval of {millis} ms; 5 minutes are used"
            );
            DEFAULT_PUSH_INTERVAL
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_bytes([1; 16]);

    fn response() -> GetTelemetrySubscriptionsResponse {
        GetTelemetrySubscriptionsResponse {
            client_instance_id: ID,
            ..GetTelemetrySubscriptionsResponse::default()
        }
    }

    fn subscription(response: GetTelemetrySubscriptionsResponse) -> ClientTelemetrySubscription {
        ClientTelemetrySubscription::new(response, None).unwrap()
    }

    // Java: ClientTelemetryUtilsTest.testValidateClientInstanceId. There it is an exception on the I/O thread.
    #[test]
    fn a_nil_id_is_no_id_and_the_first_one_is_kept() {
        let mut nil = response();
        nil.client_instance_id = Uuid::ZERO;
        assert!(ClientTelemetrySubscription::new(nil.clone(), None).is_none());
        let other = Uuid::from_bytes([2; 16]);
        for response in [nil, response()] {
            let kept = ClientTelemetrySubscription::new(response, Some(other)).unwrap();
            assert_eq!(kept.client_instance_id, other);
        }
    }

    // Java: ClientTelemetryUtilsTest.testValidateIntervalMsValid, testValidateIntervalMsInvalid.
    #[test]
    fn an_interval_that_is_not_positive_or_too_short_is_replaced() {
        for (millis, expected) in [
            (i32::MIN, 300_000),
            (-1, 300_000),
            (0, 300_000),
            (1, 100),
            (100, 100),
            (30_000, 30_000),
            (i32::MAX, 2_147_483_647),
        ] {
            let mut response = response();
            response.push_interval_ms = millis;
            let interval = subscription(response).push_interval;
            assert_eq!(interval, Duration::from_millis(expected), "{millis}");
        }
    }

    // Java: ClientTelemetryUtilsTest.testGetCompressionTypesFromAcceptedList, testPreferredCompressionType.
    #[test]
    fn unknown_codecs_are_ignored_and_the_first_that_is_not_refused_is_taken() {
        let mut response = response();
        response.accepted_compression_types = vec![-1, 9, 127, -128, 3, 1];
        let subscription = subscription(response);
        use CompressionType::*;
        assert_eq!(subscription.accepted_compression_types, [Lz4, Gzip]);
        assert_eq!(subscription.compression_type(&[]), Lz4);
        assert_eq!(subscription.compression_type(&[Lz4]), Gzip);
        assert_eq!(subscription.compression_type(&[Gzip, Lz4]), None);
    }

    #[test]
    fn a_limit_that_is_not_positive_is_kafkas_default() {
        for (bytes, expected) in [(i32::MIN, 1 << 20), (-1, 1 << 20), (0, 1 << 20), (1, 1)] {
            let mut response = response();
            response.telemetry_max_bytes = bytes;
            assert_eq!(subscription(response).max_bytes, expected);
        }
    }
}
