//! Scenarios of Java's ClientTelemetryReporterTest, on a mock clock.

use proptest::prelude::*;

use super::ClientTelemetryState::*;
use super::*;
use crate::metrics::{Metrics, metric_table};
use crate::utils::{MockTime, Time};

metric_table! {
    /// A sensor to push.
    enum Sensor, TABLE of "producer-metrics" {
        Sends Info {
            Rate "record-send-rate" "",
            Total "record-send-total" "",
        }
    }
}

const ID: Uuid = Uuid::from_bytes([1; 16]);
const INTERVAL: Duration = Duration::from_secs(60);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn response() -> GetTelemetrySubscriptionsResponse {
    GetTelemetrySubscriptionsResponse {
        client_instance_id: ID,
        subscription_id: 7,
        push_interval_ms: 60_000,
        requested_metrics: vec!["*".to_owned()],
        ..GetTelemetrySubscriptionsResponse::default()
    }
}

fn refusal(error_code: ErrorCode) -> PushTelemetryResponse {
    PushTelemetryResponse {
        error_code,
        ..PushTelemetryResponse::default()
    }
}

struct Fixture {
    sender: ClientTelemetrySender,
    time: MockTime,
    metrics: Arc<Metrics>,
}

impl Fixture {
    fn new() -> Self {
        let time = MockTime::new();
        let clock: Arc<dyn Time> = Arc::new(time.clone());
        let metrics = Metrics::unread(&clock);
        metrics.add_sensors(&TABLE, &[]);
        let collector = KafkaMetricsCollector::new(Arc::clone(&metrics), clock, None, None);
        Self {
            sender: ClientTelemetrySender::new(collector),
            time,
            metrics,
        }
    }

    fn subscribed() -> Self {
        Self::subscribed_with(response())
    }

    fn subscribed_with(response: GetTelemetrySubscriptionsResponse) -> Self {
        let mut f = Self::new();
        f.subscribe(response);
        f
    }

    fn subscribe(&mut self, response: GetTelemetrySubscriptionsResponse) {
        assert!(matches!(
            self.sender.create_request(),
            Some(RequestBody::GetTelemetrySubscriptions(_))
        ));
        assert_eq!(self.sender.state, SubscriptionInProgress);
        let now = self.time.now();
        self.sender.handle_subscription(response, now);
    }

    fn wait(&self) -> Duration {
        self.sender.time_to_next_update(self.time.now())
    }

    fn push(&mut self) -> PushTelemetryRequest {
        match self.sender.create_request() {
            Some(RequestBody::PushTelemetry(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn answer_push(&mut self, code: ErrorCode) {
        let now = self.time.now();
        self.sender.handle_push(&refusal(code), false, now);
    }

    fn fail(&mut self, failure: TelemetryFailure) {
        let now = self.time.now();
        self.sender.handle_failed_request(failure, false, now);
    }
}

// Java: ClientTelemetryReporterTest.testCreateRequestSubscriptionNeeded, testTelemetrySenderTimeToNextUpdate.
#[test]
fn the_first_request_is_due_at_once_and_has_no_id() {
    let mut f = Fixture::new();
    assert_eq!(
        (f.wait(), f.sender.state),
        (Duration::ZERO, SubscriptionNeeded)
    );
    let Some(RequestBody::GetTelemetrySubscriptions(request)) = f.sender.create_request() else {
        panic!("a subscription is needed");
    };
    assert!(request.client_instance_id.is_zero());
    assert_eq!(
        (f.wait(), f.sender.state),
        (Duration::MAX, SubscriptionInProgress)
    );
    // Java: testCreateRequestInvalidState.
    assert_eq!(f.sender.create_request(), None);
    assert_eq!(f.sender.state, SubscriptionInProgress);
}

// Java: testHandleResponseGetSubscriptions, testComputeStaggeredIntervalMs.
#[test]
fn the_first_push_comes_after_half_to_one_and_a_half_intervals() {
    let mut waits = Vec::new();
    for _ in 0..200 {
        let f = Fixture::subscribed();
        assert_eq!(f.sender.state, PushNeeded);
        assert_eq!(f.sender.client_instance_id().get(), Some(Some(ID)));
        waits.push(f.wait());
    }
    waits.sort();
    assert!(waits[0] >= ms(30_000) && waits[0] < ms(40_000), "{waits:?}");
    assert!(
        waits[199] < ms(90_000) && waits[199] > ms(80_000),
        "{waits:?}"
    );
}

// Java: testCreateRequestPushNeeded, testHandleResponsePushTelemetry.
#[test]
fn later_pushes_come_an_interval_after_the_response() {
    let mut f = Fixture::subscribed();
    f.time.advance(INTERVAL * 2);
    assert_eq!(f.wait(), Duration::ZERO);
    let request = f.push();
    assert_eq!(
        (request.client_instance_id, request.subscription_id),
        (ID, 7)
    );
    assert!(!request.terminating && !request.metrics.is_empty());
    assert_eq!((f.wait(), f.sender.state), (Duration::MAX, PushInProgress));
    f.answer_push(ErrorCode::NONE);
    assert_eq!((f.wait(), f.sender.state), (INTERVAL, PushNeeded));
}

// Java: testHandleResponseGetSubscriptionsWithoutMetrics.
#[test]
fn a_subscription_to_nothing_is_asked_for_again_after_its_interval() {
    let mut nothing = response();
    nothing.requested_metrics.clear();
    let mut f = Fixture::subscribed_with(nothing);
    assert_eq!((f.wait(), f.sender.state), (INTERVAL, SubscriptionNeeded));
    assert_eq!(f.sender.client_instance_id().get(), Some(Some(ID)));
    f.time.advance(INTERVAL);
    let Some(RequestBody::GetTelemetrySubscriptions(request)) = f.sender.create_request() else {
        panic!("a subscription is needed");
    };
    assert_eq!(request.client_instance_id, ID, "kept for life");
}

// Java: testHandleResponseGetTelemetryErrorResponse, testHandleResponsePushTelemetryErrorResponse,
// ClientTelemetryUtilsTest.testMaybeFetchErrorIntervalMs.
#[test]
fn each_error_of_a_push_has_its_remedy() {
    for (code, wait, state) in [
        (
            ErrorCode::UNKNOWN_SUBSCRIPTION_ID,
            Duration::ZERO,
            SubscriptionNeeded,
        ),
        (
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            Duration::ZERO,
            SubscriptionNeeded,
        ),
        (ErrorCode::TELEMETRY_TOO_LARGE, INTERVAL, SubscriptionNeeded),
        (
            ErrorCode::THROTTLING_QUOTA_EXCEEDED,
            INTERVAL,
            SubscriptionNeeded,
        ),
        // Java stops here.
        (ErrorCode::REQUEST_TIMED_OUT, INTERVAL, SubscriptionNeeded),
        (ErrorCode::INVALID_REQUEST, Duration::MAX, Terminated),
        (ErrorCode::INVALID_RECORD, Duration::MAX, Terminated),
        (ErrorCode::UNSUPPORTED_VERSION, Duration::MAX, Terminated),
        (ErrorCode::UNKNOWN_SERVER_ERROR, Duration::MAX, Terminated),
        (ErrorCode::from_i16(12345), Duration::MAX, Terminated),
    ] {
        let mut f = Fixture::subscribed();
        f.push();
        f.answer_push(code);
        assert_eq!((f.wait(), f.sender.state), (wait, state), "{code}");
        assert_eq!(f.sender.client_instance_id().get(), Some(Some(ID)));
    }
}

#[test]
fn an_error_of_a_subscription_is_never_retried_at_once() {
    for (code, state) in [
        (ErrorCode::UNKNOWN_SUBSCRIPTION_ID, SubscriptionNeeded),
        (ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, SubscriptionNeeded),
        (ErrorCode::THROTTLING_QUOTA_EXCEEDED, SubscriptionNeeded),
        (ErrorCode::INVALID_REQUEST, Terminated),
    ] {
        let mut refused = response();
        refused.error_code = code;
        let f = Fixture::subscribed_with(refused);
        let expected = match state {
            SubscriptionNeeded => DEFAULT_PUSH_INTERVAL,
            _ => Duration::MAX,
        };
        assert_eq!((f.wait(), f.sender.state), (expected, state), "{code}");
        assert_eq!(f.sender.client_instance_id().get(), None);
    }
}

#[test]
fn a_response_without_an_id_is_ignored_and_asked_again_later() {
    let mut nil = response();
    nil.client_instance_id = Uuid::ZERO;
    let f = Fixture::subscribed_with(nil);
    assert_eq!(f.sender.state, SubscriptionNeeded);
    assert_eq!(f.wait(), DEFAULT_PUSH_INTERVAL);
    assert_eq!(f.sender.client_instance_id().get(), None);
}

// Java: handleFailedRequest, by the rule of 4.4 that a lost connection is retried.
#[test]
fn a_failed_request_is_repeated_after_five_minutes_and_an_unreadable_one_never() {
    for is_push in [false, true] {
        for (failure, wait, state) in [
            (
                TelemetryFailure::Disconnected,
                DEFAULT_PUSH_INTERVAL,
                SubscriptionNeeded,
            ),
            (
                TelemetryFailure::UnsupportedVersion,
                DEFAULT_PUSH_INTERVAL,
                SubscriptionNeeded,
            ),
            (TelemetryFailure::InvalidResponse, Duration::MAX, Terminated),
        ] {
            let mut f = Fixture::new();
            if is_push {
                f.subscribe(response());
                f.push();
            } else {
                f.sender.create_request();
            }
            f.fail(failure);
            assert_eq!((f.wait(), f.sender.state), (wait, state), "{failure:?}");
        }
    }
}

// Java: testCreateRequestPushCompression, testCreateRequestPushCompressionException.
#[test]
fn the_brokers_favourite_codec_that_is_compiled_in_is_used() {
    for id in 0..=4_i8 {
        let mut one = response();
        one.accepted_compression_types = vec![99, id];
        let mut f = Fixture::subscribed_with(one);
        let request = f.push();
        let kind = CompressionType::from_id(id.into()).unwrap();
        let is_there = id == 0 || compress(kind, b"x").is_ok();
        assert_eq!(
            request.compression_type,
            if is_there { id } else { 0 },
            "{kind}"
        );
    }
}

#[test]
fn a_codec_that_the_broker_refuses_is_not_used_again() {
    let mut gzip = response();
    gzip.accepted_compression_types = vec![1];
    let mut f = Fixture::subscribed_with(gzip.clone());
    f.push();
    f.answer_push(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    f.subscribe(gzip);
    assert_eq!(f.push().compression_type, 0);
}

#[test]
fn a_payload_respects_the_limit_in_every_codec() {
    for id in 0..=4_i8 {
        for limit in [1, 50, 100, 200, 300, 1000, i32::MAX] {
            let mut small = response();
            small.accepted_compression_types = vec![id];
            small.telemetry_max_bytes = limit;
            let mut f = Fixture::subscribed_with(small);
            let request = f.push();
            let len = i32::try_from(request.metrics.len()).unwrap();
            assert!(len <= limit, "{id} {limit} {len}");
            assert!(len > 0 || limit < 200, "{id} {limit} {len}");
            assert!(len == 0 || limit > 50, "{id} {limit} {len}");
        }
    }
}

// Java: testTelemetryReporterInitiateClose, testTelemetryReporterInitiateCloseNoSubscription,
// testHandleResponsePushTelemetryTerminating.
#[test]
fn a_close_pushes_once_more_and_only_with_a_subscription() {
    let mut f = Fixture::new();
    f.sender.initiate_close(f.time.now());
    assert_eq!((f.sender.state, f.wait()), (Terminated, Duration::MAX));
    assert_eq!(f.sender.close_wait(f.time.now()), None);

    let mut nothing = response();
    nothing.requested_metrics.clear();
    for asks_again in [false, true] {
        let mut f = Fixture::subscribed_with(nothing.clone());
        if asks_again {
            f.sender.create_request();
        }
        f.sender.initiate_close(f.time.now());
        assert_eq!(f.sender.state, Terminated);
    }

    for has_push_in_flight in [false, true] {
        let mut f = Fixture::subscribed();
        if has_push_in_flight {
            f.push();
        }
        f.sender.initiate_close(f.time.now());
        assert_eq!(
            (f.sender.state, f.wait()),
            (TerminatingPushNeeded, Duration::ZERO)
        );
        assert!(f.push().terminating);
        // The response to the earlier push is not the last one.
        f.answer_push(ErrorCode::NONE);
        f.answer_push(ErrorCode::UNKNOWN_SUBSCRIPTION_ID);
        f.fail(TelemetryFailure::Disconnected);
        assert_eq!(f.sender.state, TerminatingPushInProgress);
        assert_eq!(
            f.sender.close_wait(f.time.now()),
            Some(TERMINATING_PUSH_TIMEOUT)
        );
        let now = f.time.now();
        f.sender.handle_push(&refusal(ErrorCode::NONE), true, now);
        assert_eq!(
            (f.sender.state, f.sender.close_wait(now)),
            (Terminated, None)
        );
    }
}

#[test]
fn a_close_does_not_wait_for_a_broker_that_does_not_respond() {
    let mut f = Fixture::subscribed();
    f.sender.initiate_close(f.time.now());
    f.push();
    f.time.advance(TERMINATING_PUSH_TIMEOUT);
    assert_eq!(f.sender.close_wait(f.time.now()), None);
    assert_eq!(f.sender.state, Terminated);
}

// Java: testClientInstanceId, testTelemetryReporterCloseMultipleTimesNoException.
#[test]
fn the_id_outlives_telemetry_and_a_close_ends_the_wait_for_it() {
    let mut f = Fixture::new();
    f.sender.close();
    assert_eq!(f.sender.client_instance_id().get(), Some(None));
    let mut f = Fixture::subscribed();
    f.sender.close();
    f.sender.close();
    assert_eq!(f.sender.client_instance_id().get(), Some(Some(ID)));
}

#[test]
fn a_sum_that_a_broker_refused_is_in_the_next_delta() {
    let mut delta = response();
    delta.delta_temporality = true;
    delta.requested_metrics = vec!["org.apache.kafka.producer.record.send.total".to_owned()];
    let mut f = Fixture::subscribed_with(delta.clone());
    let sends = f.metrics.add_sensors(&TABLE, &[("topic", "t")]);
    let now = f.time.now();
    sends.record(now, |sends| sends.record(Sensor::Sends, 5.0));
    let first = f.push().metrics;
    f.answer_push(ErrorCode::THROTTLING_QUOTA_EXCEEDED);
    f.subscribe(delta.clone());
    // The same sums, counted since the same time.
    assert_eq!(f.push().metrics, first);
    f.answer_push(ErrorCode::NONE);
    assert_ne!(f.push().metrics, first, "nothing was added since");
}

proptest! {
    /// Whatever brokers and networks do, requests never follow each other in a loop, and none is
    /// lost.
    #[test]
    fn telemetry_asks_in_no_loop(
        answers in prop::collection::vec((0..12_usize, any::<i32>(), any::<bool>()), 1..60),
    ) {
        let mut f = Fixture::new();
        let mut in_a_row = 0;
        for (answer, number, flag) in answers {
            if f.sender.state == Terminated {
                prop_assert_eq!(f.sender.create_request(), None);
                break;
            }
            let wait = f.wait();
            prop_assert!(wait < Duration::from_secs(40 * 24 * 3600));
            in_a_row = if wait.is_zero() { in_a_row + 1 } else { 0 };
            prop_assert!(in_a_row <= 2, "{in_a_row} requests without a wait");
            f.time.advance(wait);
            let now = f.time.now();
            let Some(request) = f.sender.create_request() else {
                prop_assert!(false, "{:?}", f.sender.state);
                break;
            };
            let code = [
                ErrorCode::NONE,
                ErrorCode::NONE,
                ErrorCode::NONE,
                ErrorCode::UNKNOWN_SUBSCRIPTION_ID,
                ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
                ErrorCode::TELEMETRY_TOO_LARGE,
                ErrorCode::THROTTLING_QUOTA_EXCEEDED,
                ErrorCode::INVALID_RECORD,
            ].get(answer).copied();
            match (code, request) {
                (None, _) => {
                    let failure = if flag {
                        TelemetryFailure::Disconnected
                    } else {
                        TelemetryFailure::UnsupportedVersion
                    };
                    f.sender.handle_failed_request(failure, false, now);
                }
                (Some(error_code), RequestBody::PushTelemetry(_)) => {
                    f.sender.handle_push(&refusal(error_code), false, now);
                }
                (Some(error_code), _) => {
                    let response = GetTelemetrySubscriptionsResponse {
                        error_code,
                        client_instance_id: if number % 3 == 0 { Uuid::ZERO } else { ID },
                        push_interval_ms: number,
                        telemetry_max_bytes: number,
                        delta_temporality: flag,
                        accepted_compression_types: number.to_be_bytes().map(|byte| i8::from_be_bytes([byte])).to_vec(),
                        requested_metrics: vec!["*".to_owned(); usize::from(flag)],
                        ..response()
                    };
                    f.sender.handle_subscription(response, now);
                }
            }
        }
    }
}
