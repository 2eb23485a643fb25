//! ApiVersions, InitProducerId, old brokers, and bytes that no client should send.

use super::*;
use crate::protocol::messages::{ApiVersion, ApiVersionsRequest, InitProducerIdRequest};
use crate::testing::{Action, Api};

fn software() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1".into(),
        ..ApiVersionsRequest::default()
    }
}

fn range(api: ApiKey, min_version: i16, max_version: i16) -> ApiVersion {
    ApiVersion {
        api_key: api.id(),
        min_version,
        max_version,
    }
}

/// Returns the ranges in the response to ApiVersions, and its error.
fn versions(client: &mut Client, version: i16) -> (ErrorCode, Vec<ApiVersion>) {
    match client.call(version, software()) {
        ResponseBody::ApiVersions(response) => (response.error_code, response.api_keys),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_version_of_api_versions_tells_the_ranges() {
    let broker = FakeBroker::builder().start().unwrap();
    let mut client = Client::connect(&broker, 1);
    let all = vec![
        range(ApiKey::Produce, 3, 13),
        range(ApiKey::Metadata, 4, 13),
        range(ApiKey::FindCoordinator, 1, 6),
        range(ApiKey::ApiVersions, 0, 5),
        range(ApiKey::InitProducerId, 0, 5),
        range(ApiKey::AddPartitionsToTxn, 0, 3),
        range(ApiKey::AddOffsetsToTxn, 0, 4),
        range(ApiKey::EndTxn, 0, 5),
        range(ApiKey::TxnOffsetCommit, 0, 6),
        range(ApiKey::SaslHandshake, 0, 1),
        range(ApiKey::SaslAuthenticate, 0, 2),
    ];
    for version in 0..=5 {
        assert_eq!(
            versions(&mut client, version),
            (ErrorCode::NONE, all.clone())
        );
    }
}

#[test]
fn a_node_can_be_older_than_the_others() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .versions(Api::Produce, 3..=9)
        .node_versions(NodeId(2), Api::Produce, 3..=7)
        .without_api(Api::InitProducerId)
        .start()
        .unwrap();
    let produce = |node| versions(&mut Client::connect(&broker, node), 3).1[0];
    assert_eq!(produce(1), range(ApiKey::Produce, 3, 9));
    assert_eq!(produce(2), range(ApiKey::Produce, 3, 7));
    broker.set_versions(NodeId(2), Api::Produce, 3..=8).unwrap();
    broker.remove_api(NodeId(2), Api::Metadata).unwrap();
    let ranges = versions(&mut Client::connect(&broker, 2), 3).1;
    assert_eq!(ranges[0], range(ApiKey::Produce, 3, 8));
    let has = |key: ApiKey| ranges.iter().any(|range| range.api_key == key.id());
    assert!(has(ApiKey::ApiVersions));
    assert!(!has(ApiKey::Metadata) && !has(ApiKey::InitProducerId));
}

// Java: ApiVersionsRequestTest; KIP-511.
#[test]
fn an_unsupported_version_of_api_versions_is_answered_in_version_0() {
    let broker = FakeBroker::builder()
        .versions(Api::ApiVersions, 0..=3)
        .start()
        .unwrap();
    let code = ErrorCode::UNSUPPORTED_VERSION;
    let mut client = Client::connect(&broker, 1);
    let own = vec![range(ApiKey::ApiVersions, 0, 3)];
    assert_eq!(versions(&mut client, 4), (code, own));
    assert_eq!(
        versions(&mut client, 3).0,
        ErrorCode::NONE,
        "the connection is still good"
    );

    let broker = FakeBroker::builder()
        .versions(Api::ApiVersions, 0..=2)
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    assert_eq!(
        versions(&mut client, 3),
        (code, Vec::new()),
        "before Kafka 2.4"
    );
    assert_eq!(versions(&mut client, 0).0, ErrorCode::NONE);
}

#[test]
fn other_unsupported_versions_end_the_connection() {
    let broker = FakeBroker::builder()
        .versions(Api::Produce, 3..=8)
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    client.send(9, request("t", 0, plain(&["a"])));
    assert!(client.is_at_end());
    let violations = broker.protocol_violations();
    assert_eq!(violations, ["node 1: Produce v9 is not supported"]);
}

#[test]
fn producer_ids_are_new_each_time() {
    let broker = FakeBroker::builder().nodes(2).start().unwrap();
    let mut clients = [Client::connect(&broker, 1), Client::connect(&broker, 2)];
    let mut ids = Vec::new();
    for version in ApiKey::InitProducerId.versions() {
        for client in &mut clients {
            let ResponseBody::InitProducerId(response) = client.call(version, anybody()) else {
                panic!();
            };
            assert_eq!(
                (response.error_code, response.producer_epoch),
                (ErrorCode::NONE, 0)
            );
            ids.push(response.producer_id);
        }
    }
    let count = ids.len();
    ids.dedup();
    assert_eq!((ids.len(), ids.is_sorted()), (count, true));
}

fn anybody() -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id: -1,
        producer_epoch: -1,
    }
}

#[test]
fn init_producer_id_refuses_bad_transactional_ids_and_half_a_producer_id() {
    let broker = FakeBroker::builder().start().unwrap();
    let mut client = Client::connect(&broker, 1);
    let mut code = |change: fn(&mut InitProducerIdRequest)| {
        let mut request = anybody();
        change(&mut request);
        match client.call(4, request) {
            ResponseBody::InitProducerId(response) => response.error_code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        code(|r| r.transactional_id = Some(Arc::from(""))),
        ErrorCode::INVALID_REQUEST
    );
    assert_eq!(
        code(|r| r.transactional_id = Some(Arc::from("x"))),
        ErrorCode::INVALID_TRANSACTION_TIMEOUT,
        "Kafka allows 15 minutes"
    );
    assert_eq!(code(|r| r.producer_id = 5), ErrorCode::INVALID_REQUEST);
    assert_eq!(code(|r| r.producer_epoch = 5), ErrorCode::INVALID_REQUEST);
    broker
        .on(Api::InitProducerId)
        .then(Action::fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
    assert_eq!(code(|_| {}), ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
}

#[test]
fn api_versions_can_fail() {
    let broker = FakeBroker::builder().start().unwrap();
    broker
        .on(Api::ApiVersions)
        .then(Action::fail(ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
    let answer = versions(&mut Client::connect(&broker, 1), 3);
    assert_eq!(
        answer,
        (ErrorCode::CLUSTER_AUTHORIZATION_FAILED, Vec::new())
    );
}

#[test]
fn hostile_bytes_end_their_connection_and_nothing_else() {
    let broker = FakeBroker::builder().topic("t", 1).start().unwrap();
    let frame = |payload: &[u8]| {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&size[..], payload].concat()
    };
    let produce = [&[0, 0, 0, 9, 0, 0, 0, 1, 0xff, 0xff][..], &[0xff; 40]].concat();
    let hostile = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01],
        (-1i32).to_be_bytes().to_vec(),
        i32::MIN.to_be_bytes().to_vec(),
        frame(&[]),
        frame(&[0]),
        frame(&[0, 77, 0, 0, 0, 0, 0, 1, 0xff, 0xff]),
        frame(&[0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff]),
        frame(&[0, 3, 0xff, 0xff, 0, 0, 0, 1, 0xff, 0xff]),
        frame(&[0, 18, 0, 3, 0, 0, 0, 1, 0x7f, 0xff]),
        frame(&[0, 3, 0, 4, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]),
        frame(&produce),
    ];
    for (index, bytes) in hostile.iter().enumerate() {
        let mut client = Client::connect(&broker, 1);
        client.stream.write_all(bytes).unwrap();
        assert!(client.is_at_end(), "{bytes:?}");
        assert_eq!(broker.protocol_violations().len(), index + 1, "{bytes:?}");
    }
    assert_eq!(broker.requests(), []);
    let mut client = Client::connect(&broker, 1);
    assert_eq!(client.produce_code("t", 0, plain(&["a"])), ErrorCode::NONE);
}

#[test]
fn a_request_that_breaks_off_is_not_handled() {
    let broker = FakeBroker::builder().topic("t", 1).start().unwrap();
    let body = request("t", 0, plain(&["a"])).into();
    let header = RequestHeader {
        api_key: 0,
        api_version: 9,
        correlation_id: 1,
        client_id: None,
    };
    let payload = encode_request(&header, &body).unwrap().to_vec();
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let bytes = [&size[..], &payload].concat();
    for length in (0..bytes.len()).step_by(5) {
        let mut client = Client::connect(&broker, 1);
        client.stream.write_all(&bytes[..length]).unwrap();
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(client.is_at_end(), "{length}");
    }
    assert!(broker.await_connections(0, TIMEOUT));
    assert_eq!(broker.requests(), []);
    assert_eq!(broker.protocol_violations(), Vec::<String>::new());
}

// Java: KafkaApisTest; KIP-1242.
#[test]
fn a_client_that_means_another_broker_is_told_to_rebootstrap() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .cluster_id("here")
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 2);
    let mut call = |version, cluster_id: Option<&str>, node_id| {
        let request = ApiVersionsRequest {
            cluster_id: cluster_id.map(str::to_owned),
            node_id,
            ..software()
        };
        match client.call(version, request) {
            ResponseBody::ApiVersions(response) => response.error_code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(call(5, None, -1), ErrorCode::NONE);
    assert_eq!(call(5, Some("here"), 2), ErrorCode::NONE);
    assert_eq!(call(5, Some("here"), 1), ErrorCode::REBOOTSTRAP_REQUIRED);
    assert_eq!(call(5, Some("there"), 2), ErrorCode::REBOOTSTRAP_REQUIRED);
    assert_eq!(call(5, Some(""), 2), ErrorCode::REBOOTSTRAP_REQUIRED);
    assert_eq!(call(5, Some("here"), -1), ErrorCode::INVALID_REQUEST);
    assert_eq!(call(5, None, 2), ErrorCode::INVALID_REQUEST);
    // The connection stays open. Older versions do not contain the compared fields.
    assert_eq!(call(4, Some("there"), 2), ErrorCode::NONE);
}
