//! Subscriptions and pushes of telemetry.

use super::Client;
use crate::common::Uuid;
use crate::protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequest,
};
use crate::protocol::{ErrorCode, ResponseBody};
use crate::testing::{Action, Api, FakeBroker, TelemetrySubscription};

const ID: Uuid = Uuid::from_bytes([7; 16]);

fn subscription(client: &mut Client, id: Uuid) -> GetTelemetrySubscriptionsResponse {
    let request = GetTelemetrySubscriptionsRequest {
        client_instance_id: id,
    };
    match client.call(0, request) {
        ResponseBody::GetTelemetrySubscriptions(response) => response,
        other => panic!("{other:?}"),
    }
}

fn push(client: &mut Client, request: PushTelemetryRequest) -> ErrorCode {
    match client.call(0, request) {
        ResponseBody::PushTelemetry(response) => response.error_code,
        other => panic!("{other:?}"),
    }
}

// Java: ClientMetricsManagerTest.testGetTelemetry, testPushTelemetry.
#[test]
fn a_client_without_an_id_gets_one_and_pushes_under_it() {
    let broker = FakeBroker::builder()
        .telemetry(TelemetrySubscription::new(["org."]))
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    let first = subscription(&mut client, Uuid::ZERO);
    assert!(!first.client_instance_id.is_zero());
    assert_eq!(first.requested_metrics, ["org."]);
    assert_eq!(
        (first.push_interval_ms, first.error_code),
        (300_000, ErrorCode::NONE)
    );
    assert_eq!(subscription(&mut client, ID).client_instance_id, ID);

    let pushed = PushTelemetryRequest {
        client_instance_id: ID,
        subscription_id: first.subscription_id,
        terminating: true,
        compression_type: 0,
        metrics: vec![1, 2, 3],
    };
    assert_eq!(push(&mut client, pushed), ErrorCode::NONE);
    let [taken] = &broker.telemetry_pushes()[..] else {
        panic!("one push");
    };
    assert_eq!((taken.client_instance_id, taken.is_terminating), (ID, true));
    assert_eq!(
        (taken.compression, &taken.metrics[..]),
        ("none", &[1, 2, 3][..])
    );
}

// Java: ClientMetricsManagerTest.testPushTelemetryUnknownSubscriptionId, testPushTelemetryUnsupportedCompressionType,
// testPushTelemetryTooLarge.
#[test]
fn a_push_that_does_not_fit_the_subscription_is_refused() {
    let wanted = TelemetrySubscription::new(["*"])
        .accepted_compression_types([1])
        .telemetry_max_bytes(100);
    let broker = FakeBroker::builder()
        .telemetry(wanted.clone())
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    let id = subscription(&mut client, ID).subscription_id;
    let of = |kind, metrics: &[u8]| PushTelemetryRequest {
        client_instance_id: ID,
        subscription_id: id,
        terminating: false,
        compression_type: kind,
        metrics: metrics.to_vec(),
    };
    for (request, code) in [
        (of(0, &[0; 101]), ErrorCode::TELEMETRY_TOO_LARGE),
        (of(2, &[0; 10]), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE),
        (of(9, &[0; 10]), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE),
        (of(1, b"no gzip"), ErrorCode::INVALID_RECORD),
    ] {
        assert_eq!(push(&mut client, request), code);
    }
    broker.set_telemetry(Some(wanted));
    let code = push(&mut client, of(0, &[1]));
    assert_eq!(code, ErrorCode::UNKNOWN_SUBSCRIPTION_ID);
    broker
        .on(Api::PushTelemetry)
        .then(Action::fail(ErrorCode::THROTTLING_QUOTA_EXCEEDED));
    let code = push(&mut client, of(0, &[1]));
    assert_eq!(code, ErrorCode::THROTTLING_QUOTA_EXCEEDED);
}
