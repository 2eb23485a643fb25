//! The contents of responses: errors of records, leaders, too large batches, and invalid responses.

use super::*;
use crate::client::RequestFailure;
use crate::protocol::messages::{BatchIndexAndErrorMessage, NodeEndpoint};

// Java: SenderTest.testRecordErrorPropagatedToApplication. KIP-467.
#[test]
fn record_errors_reach_their_records() {
    let mut fixture = Fixture::plain();
    let sent: Vec<_> = (0..3).map(|_| fixture.append(0)).collect();
    fixture.run_once();
    let named = |batch_index, text: &str| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: Some(text.to_owned()),
    };
    let mut response = partition_response(0, ErrorCode::INVALID_RECORD, -1);
    // Indexes outside of the batch are ignored.
    response.record_errors = vec![
        named(0, "no key"),
        named(2, "bad key"),
        named(-5, ""),
        named(9, ""),
    ];
    fixture.client().respond(response_of(vec![response]));
    fixture.run();
    assert_eq!(
        sent[0].error().to_string(),
        "test-topic-0: the broker returned INVALID_RECORD (87): no key"
    );
    assert_eq!(sent[0].error().code(), Some(ErrorCode::INVALID_RECORD));
    assert_eq!(
        sent[1].error().code(),
        None,
        "an innocent record of a refused batch"
    );
    assert_eq!(
        sent[2].error().to_string(),
        "test-topic-0: the broker returned INVALID_RECORD (87): bad key"
    );
    assert!(
        sent.iter()
            .all(|sent| sent.error().delivery() == Delivery::NotWritten)
    );
}

// KAFKA-19397: no flush hangs, and no late response completes a batch twice.
#[test]
fn a_partition_that_the_answer_leaves_out_is_tried_again() {
    let mut fixture = Fixture::plain();
    let moved = metadata_response([0, 0], 1, TOPIC_ID);
    fixture.client().update_metadata(&moved);
    let [a, b] = [fixture.append(0), fixture.append(1)];
    fixture.run_once();
    fixture.client().respond(ok(1, 4));
    fixture.run();
    assert_eq!(b.offset(), 4);
    assert!(!a.is_done());
    fixture.back_off();
    fixture.answer(ErrorCode::NONE, 5);
    assert_eq!(a.offset(), 5);
}

// As with franz-go's duplicate entries.
#[test]
fn entries_that_are_doubled_unknown_or_out_of_order_do_no_harm() {
    let mut fixture = Fixture::plain();
    let moved = metadata_response([0, 0, 0], 1, TOPIC_ID);
    fixture.client().update_metadata(&moved);
    let sent = [0, 1, 2].map(|partition| fixture.append(partition));
    fixture.run_once();
    let answer = |index, offset| partition_response(index, ErrorCode::NONE, offset);
    let mut response = response_of(vec![
        answer(2, 20),
        answer(77, 1),
        answer(0, 0),
        partition_response(0, ErrorCode::INVALID_RECORD, -1),
        answer(1, 10),
        answer(2, 99),
    ]);
    let stranger = TopicProduceResponse {
        name: "stranger".into(),
        topic_id: Uuid::from_bytes([9; 16]),
        partitions: vec![partition_response(1, ErrorCode::INVALID_RECORD, -1)],
    };
    response.topics.insert(0, stranger);
    fixture.client().respond(response);
    fixture.run();
    assert_eq!(sent.map(|sent| sent.offset()), [0, 10, 20]);
    fixture.assert_all_memory_is_back();
}

#[test]
fn an_answer_of_another_kind_or_none_that_can_be_read_is_open() {
    let mut fixture = Fixture::new(&Setup {
        retries: 0,
        ..Setup::default()
    });
    let sent = fixture.send(0);
    fixture
        .client()
        .respond(init_response(ErrorCode::NONE, PRODUCER));
    fixture.run();
    assert_eq!(sent.error().kind(), ErrorKind::Protocol);
    assert_eq!(sent.error().delivery(), Delivery::MaybeWritten);

    let sent = fixture.send(0);
    let failure = RequestFailure::InvalidResponse {
        message: "garbage".to_owned(),
    };
    let id = fixture.client().requests()[0].correlation_id;
    fixture.client().fail(id, failure);
    fixture.run();
    assert_eq!(sent.error().delivery(), Delivery::MaybeWritten);
}

// KAFKA-19397: the topic got another id while the request was in flight.
#[test]
fn answers_are_matched_by_the_id_that_the_request_used() {
    let mut fixture = Fixture::plain();
    let sent = fixture.send(0);
    let recreated = metadata_response([0, 1], 0, Uuid::from_bytes([8; 16]));
    fixture.client().update_metadata(&recreated);
    fixture.answer(ErrorCode::NONE, 3);
    assert_eq!(sent.offset(), 3);
}

#[test]
fn a_topic_without_an_id_is_named() {
    let mut fixture = Fixture::new(&Setup {
        topic_id: Uuid::ZERO,
        ..Setup::default()
    });
    fixture
        .client()
        .set_api_versions(&[(ApiKey::Produce, 3, 12)]);
    let sent = fixture.send(0);
    let topic = &fixture.client().produce_request().topics[0];
    assert_eq!((&*topic.name, topic.topic_id), (TOPIC, Uuid::ZERO));
    fixture.answer(ErrorCode::NONE, 3);
    assert_eq!(sent.offset(), 3);
}

// Java: SenderTest.testWhenProduceResponseReturnsWithALeaderShipChangeErrorAndNewLeaderInformation. KIP-951.
#[test]
fn a_leader_hint_is_followed_without_backoff() {
    let mut fixture = Fixture::plain();
    let sent = fixture.send(0);
    let mut response = partition_response(0, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    response.current_leader = LeaderIdAndEpoch {
        leader_id: 1,
        leader_epoch: 5,
    };
    let mut response = response_of(vec![response]);
    response.node_endpoints = vec![
        NodeEndpoint {
            node_id: 1,
            host: "localhost".to_owned(),
            port: 1970,
            rack: None,
        },
        NodeEndpoint {
            node_id: 2,
            host: "bad port".to_owned(),
            port: 99_999,
            rack: None,
        },
    ];
    fixture.client().respond(response);
    fixture.run();
    assert_eq!(
        fixture.client().requests()[0].request.destination,
        NodeId(1),
        "no backoff"
    );
    assert!(fixture.metadata.is_update_requested());
    fixture.answer(ErrorCode::NONE, 0);
    assert_eq!(sent.offset(), 0);
}

// Java: SenderTest.testWhenProduceResponseReturnsWithALeaderShipChangeErrorButNoNewLeaderInformation.
#[test]
fn a_moved_leader_without_a_hint_refreshes_metadata_and_backs_off() {
    let mut fixture = Fixture::plain();
    let sent = fixture.send(0);
    fixture.answer(ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    assert!(fixture.metadata.is_update_requested());
    fixture.run();
    assert_eq!(fixture.in_flight(), 0);
    fixture.back_off();
    fixture.answer(ErrorCode::NONE, 0);
    assert_eq!(sent.offset(), 0);
}

// KAFKA-9312: a flush waits for all parts of a split batch, and the split keeps every record and
// its order.
// Java: SenderTest.testSplitBatchAndSend.
#[test]
fn a_batch_that_is_too_large_is_split_and_every_part_awaited() {
    let mut fixture = Fixture::plain();
    let sent: Vec<_> = (0..4_u8)
        .map(|n| fixture.append_value(0, &[n; 500]))
        .collect();
    fixture.run_once();
    fixture.answer(ErrorCode::MESSAGE_TOO_LARGE, -1);
    assert!(sent.iter().all(|sent| !sent.is_done()));
    let mut offset = 0;
    while sent.iter().any(|sent| !sent.is_done()) {
        fixture.run();
        assert!(
            fixture.accumulator.has_incomplete(),
            "flush must not return yet"
        );
        let requests = &fixture.client().requests()[0].request.body;
        let count = batches_of(requests)[0].1.record_count;
        assert!(count < 4);
        fixture.answer(ErrorCode::NONE, offset);
        offset += i64::from(count);
    }
    let offsets: Vec<_> = sent.iter().map(Sent::offset).collect();
    let mut sorted = offsets.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1, 2, 3]);
    assert!(!fixture.accumulator.has_incomplete());
    fixture.assert_all_memory_is_back();
}

// Java: SenderTest.testTooLargeBatchesAreSafelyRemoved.
#[test]
fn one_record_that_is_too_large_fails() {
    let mut fixture = Fixture::plain();
    let sent = fixture.send(0);
    fixture.answer(ErrorCode::MESSAGE_TOO_LARGE, -1);
    assert_eq!(sent.error().kind(), ErrorKind::RecordTooLarge);
    assert_eq!(sent.error().delivery(), Delivery::NotWritten);
    fixture.assert_all_memory_is_back();
}

#[test]
fn zstd_needs_produce_seven() {
    let mut fixture = Fixture::new(&Setup {
        compression: CompressionType::Zstd,
        ..Setup::default()
    });
    fixture
        .client()
        .set_node_api_versions(NodeId(0), &[(ApiKey::Produce, 0, 6)]);
    let sent = fixture.send(0);
    assert_eq!(sent.error().kind(), ErrorKind::UnsupportedVersion);
    assert_eq!(sent.error().delivery(), Delivery::NotWritten);
    assert_eq!(fixture.in_flight(), 0);
}

#[test]
fn a_node_that_is_too_old_fails_the_batch() {
    let mut fixture = Fixture::plain();
    fixture.client().prepare_unsupported_version(|_| true);
    let sent = fixture.send(0);
    fixture.run();
    assert_eq!(sent.error().kind(), ErrorKind::UnsupportedVersion);
    assert_eq!(sent.error().delivery(), Delivery::NotWritten);
}
