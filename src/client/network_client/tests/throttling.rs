//! Throttle times that no quota explains.

use super::*;
use crate::protocol::messages::*;
use crate::protocol::tests::default_request;

const MAX_THROTTLE: Duration = Duration::from_secs(60);

/// By default, a produce request has `acks=0`, which has no response.
fn request_of(key: ApiKey) -> RequestBody {
    match key {
        ApiKey::Produce => produce_request(Uuid::ZERO).into(),
        key => default_request(key),
    }
}

fn response_of(key: ApiKey, throttle_time_ms: i32) -> ResponseBody {
    macro_rules! throttled {
        ($message:ident) => {
            $message {
                throttle_time_ms,
                ..$message::default()
            }
            .into()
        };
    }
    match key {
        ApiKey::Produce => produce_response(throttle_time_ms).into(),
        ApiKey::Metadata => throttled!(MetadataResponse),
        ApiKey::FindCoordinator => FindCoordinatorResponse {
            coordinators: vec![Coordinator::default()],
            throttle_time_ms,
        }
        .into(),
        ApiKey::ApiVersions => throttled!(ApiVersionsResponse),
        ApiKey::InitProducerId => throttled!(InitProducerIdResponse),
        ApiKey::AddPartitionsToTxn => throttled!(AddPartitionsToTxnResponse),
        ApiKey::AddOffsetsToTxn => throttled!(AddOffsetsToTxnResponse),
        ApiKey::EndTxn => throttled!(EndTxnResponse),
        ApiKey::TxnOffsetCommit => throttled!(TxnOffsetCommitResponse),
        ApiKey::GetTelemetrySubscriptions => throttled!(GetTelemetrySubscriptionsResponse),
        ApiKey::PushTelemetry => throttled!(PushTelemetryResponse),
        ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => panic!("{key} is never throttled"),
    }
}

/// Sends a request of the API, and responds with this throttle time.
fn exchange(f: &mut Fixture, key: ApiKey, throttle_time_ms: i32) {
    let request = ClientRequest::new(NODE, request_of(key), ms(REQUEST_TIMEOUT_MS));
    f.client.send(request, f.now()).unwrap();
    assert!(f.poll().is_empty());
    let (header, _) = f.sent();
    f.answer(NODE, &header, response_of(key, throttle_time_ms));
    assert_eq!(f.poll().len(), 1, "{key}");
}

/// A damaged bit in a response of any kind does not silence a node.
#[test]
fn an_implausible_throttle_time_is_cut_and_counted_in_every_response() {
    let is_sasl = |key: &ApiKey| matches!(key, ApiKey::SaslHandshake | ApiKey::SaslAuthenticate);
    for key in ApiKey::ALL.into_iter().filter(|key| !is_sasl(key)) {
        let mut f = Fixture::new();
        f.make_ready(0);
        for (throttle_time_ms, expected, count) in [
            (100, ms(100), 0),
            (60_000, MAX_THROTTLE, 0),
            (60_001, MAX_THROTTLE, 1),
            (1 << 30, MAX_THROTTLE, 2),
            (i32::MAX, MAX_THROTTLE, 3),
        ] {
            exchange(&mut f, key, throttle_time_ms);
            assert!(!f.client.is_ready(NODE, f.now()), "{key}");
            assert_eq!(f.client.poll_delay(NODE, f.now()), expected, "{key}");
            assert_eq!(f.client.implausible_throttle_times, count, "{key}");
            f.time.advance(expected);
            assert!(f.client.is_ready(NODE, f.now()), "{key}");
        }
        exchange(&mut f, key, i32::MIN);
        assert!(f.client.is_ready(NODE, f.now()), "{key}");
        assert_eq!(f.client.implausible_throttle_times, 4, "{key}");
    }
}

/// A request in flight times out no later than the reduced time allows.
#[test]
fn an_implausible_throttle_time_extends_no_request_beyond_the_cut() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let first = f.send_and_write(NODE);
    let second = f.send_and_write(NODE);
    f.answer(NODE, &first, produce_response(i32::MAX));
    assert_eq!(f.poll().len(), 1);
    f.time
        .advance(MAX_THROTTLE + ms(REQUEST_TIMEOUT_MS) - ms(1));
    assert!(f.poll().is_empty());
    f.time.advance_ms(1);
    assert_eq!(failures(&f.poll()), [(second.correlation_id, true, true)]);
}
