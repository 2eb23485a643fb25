//! Without idempotence: sending, retrying, expiring, per-record errors, hostile answers, closing.

use std::panic::AssertUnwindSafe;

use super::*;
use crate::client::RequestFailure;
use crate::protocol::messages::{BatchIndexAndErrorMessage, NodeEndpoint};
use crate::sync::Mutex;

// Java: SenderTest.testSimple.
#[test]
fn simple() {
    let mut fixture = Fixture::plain();
    let sent = fixture.send(0);
    assert_eq!(fixture.in_flight(), 1);
    assert!(fixture.sender.has_batches_in_flight());
    fixture.answer(ErrorCode::NONE, 7);
    assert_eq!(sent.offset(), 7);
    assert_eq!(fixture.in_flight(), 0);
    assert!(!fixture.sender.has_batches_in_flight());
    fixture.assert_all_memory_is_back();
}

#[test]
fn a_request_says_what_the_configuration_says() {
    let mut fixture = Fixture::plain();
    fixture.send(0);
    let request = fixture.client().produce_request();
    assert_eq!((request.acks, request.timeout_ms), (-1, 1000));
    assert_eq!(request.transactional_id, None);
    assert_eq!(
        (&*request.topics[0].name, request.topics[0].topic_id),
        (TOPIC, TOPIC_ID)
    );
    let sent = &fixture.client().requests()[0];
    assert_eq!(
        (sent.api_version, sent.request.request_timeout),
        (13, REQUEST_TIMEOUT)
    );
}

// Java: SenderTest.testRetries.
#[test]
fn retries() {
    let mut fixture = Fixture::new(&Setup {
        retries: 1,
        ..Setup::default()
    });
    let sent = fixture.send(0);
    fixture.client().lose(NodeId(0));
    fixture.run();
    assert_eq!(fixture.in_flight(), 0, "backs off");
    fixture.back_off();
    assert_eq!(fixture.in_flight(), 1);
    fixture.answer(ErrorCode::NONE, 3);
    assert_eq!(sent.offset(), 3);

    let sent = fixture.send(0);
    for _ in 0..2 {
        assert!(!sent.is_done());
        fixture.client().lose(NodeId(0));
        fixture.run();
        fixture.back_off();
    }
    assert_eq!(sent.error().kind(), ErrorKind::Network);
    assert_eq!(sent.error().delivery(), Delivery::MaybeWritten);
    assert_eq!(sent.error().topic_partition(), Some(&tp(0)));
    fixture.assert_all_memory_is_back();
}

#[test]
fn a_request_that_never_left_is_not_written() {
    let mut fixture = Fixture::new(&Setup {
        retries: 0,
        ..Setup::default()
    });
    fixture.client().set_written(false);
    let sent = fixture.send(0);
    fixture.client().lose(NodeId(0));
    fixture.run();
    assert_eq!(sent.error().delivery(), Delivery::NotWritten);
}

// B11: a later refusal says nothing of the first attempt.
#[test]
fn an_open_fate_survives_a_later_refusal() {
    let mut fixture = Fixture::plain();
    let sent = fixture.send(0);
    fixture.client().lose(NodeId(0));
    fixture.run();
    fixture.back_off();
    fixture.answer(ErrorCode::TOPIC_AUTHORIZATION_FAILED, -1);
    assert_eq!(sent.error().kind(), ErrorKind::Authorization);
    assert_eq!(sent.error().delivery(), Delivery::MaybeWritten);

    let sent = fixture.send(0);
    fixture.answer(ErrorCode::TOPIC_AUTHORIZATION_FAILED, -1);
    assert_eq!(sent.error().delivery(), Delivery::NotWritten);
}

#[test]
fn unknown_codes_are_open_and_not_retried() {
    let mut fixture = Fixture::plain();
    let sent = fixture.send(0);
    fixture.answer(ErrorCode::from_i16(9999), -1);
    assert_eq!(sent.error().code(), Some(ErrorCode::from_i16(9999)));
    assert_eq!(sent.error().delivery(), Delivery::MaybeWritten);
}

// Java: SenderTest.testAcksZero... the completed send is the success.
#[test]
fn acks_zero_completes_with_the_send() {
    let mut fixture = Fixture::new(&Setup {
        acks: 0,
        retries: 0,
        ..Setup::default()
    });
    let sent = fixture.send(0);
    assert!(!fixture.client().requests()[0].request.expect_response);
    fixture.client().complete_send(CorrelationId(0));
    fixture.run();
    assert_eq!(sent.poll().unwrap().unwrap(), None, "no offset");

    let sent = fixture.send(0);
    fixture.client().lose(NodeId(0));
    fixture.run();
    assert_eq!(sent.error().delivery(), Delivery::MaybeWritten);
}

// Java: SenderTest.testSendInOrder. B7.
#[test]
fn send_in_order() {
    let mut fixture = Fixture::new(&Setup {
        max_in_flight: 1,
        ..Setup::default()
    });
    let first = fixture.send(0);
    let second = fixture.send(0);
    assert_eq!(fixture.in_flight(), 1, "muted while the first is in flight");
    // The leader moves to another node, which is free; the partition is still muted.
    let moved = metadata_response([1, 1], 1, TOPIC_ID);
    fixture.client().update_metadata(&moved);
    fixture.run();
    assert_eq!(fixture.in_flight(), 1);
    fixture
        .client()
        .respond(produce_response(0, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1));
    fixture.run();
    fixture.back_off();
    assert_eq!(
        fixture.client().requests()[0].request.destination,
        NodeId(1)
    );
    fixture.answer(ErrorCode::NONE, 0);
    assert_eq!(first.offset(), 0);
    assert!(!second.is_done());
    fixture.run();
    fixture.answer(ErrorCode::NONE, 1);
    assert_eq!(second.offset(), 1);
}

// Java: SenderTest.testExpiredBatchesInMultiplePartitions, and muting through expiry.
#[test]
fn an_expired_batch_keeps_its_partition_muted_until_the_answer() {
    let setup = Setup {
        max_in_flight: 1,
        delivery_timeout: Duration::from_millis(300),
        ..Setup::default()
    };
    let mut fixture = Fixture::new(&setup);
    let [a, b] = [fixture.append(0), fixture.append(1)];
    fixture.run();
    assert_eq!(fixture.in_flight(), 2);
    fixture.advance(300);
    fixture.run();
    for sent in [&a, &b] {
        assert_eq!(
            sent.error().timeout().unwrap().config,
            Some("delivery.timeout.ms")
        );
        assert_eq!(sent.error().delivery(), Delivery::MaybeWritten);
    }
    let next = fixture.append(0);
    fixture.run();
    assert_eq!(
        fixture.in_flight(),
        2,
        "no second batch before the answer to the first"
    );
    fixture.client().respond_from(NodeId(0), ok(0, 0));
    fixture.run();
    fixture.client().respond_from(NodeId(0), ok(0, 1));
    fixture.run();
    assert_eq!(next.offset(), 1);
}

// Java: SenderTest.testAppendInExpiryCallback.
#[test]
fn append_in_expiry_callback() {
    let mut fixture = Fixture::plain();
    fixture.client().backoff(NodeId(0), Duration::from_secs(60));
    let later = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..10 {
        let (accumulator, metadata) = (
            Arc::clone(&fixture.accumulator),
            Arc::clone(&fixture.metadata),
        );
        let later = Arc::clone(&later);
        let callback = Callback::new(move |result| {
            assert!(result.unwrap_err().is_timeout());
            later
                .lock()
                .push(append(&accumulator, &metadata, 1, b"again", None).unwrap());
        });
        fixture.append_with(0, b"value", Some(callback));
    }
    fixture.run();
    fixture.advance(1500);
    fixture.run();
    assert_eq!(later.lock().len(), 10);
    fixture.client().respond(ok(1, 0));
    fixture.run();
    assert!(later.lock().iter().all(Sent::is_done));
}

// Java: SenderTest.testNodeNotReady.
#[test]
fn node_not_ready() {
    let mut fixture = Fixture::plain();
    fixture
        .client()
        .delay_ready(NodeId(0), Duration::from_millis(300));
    fixture.send(0);
    assert_eq!(fixture.in_flight(), 0);
    let waited = *fixture.client().polled_timeouts().last().unwrap();
    assert_eq!(
        waited,
        Duration::from_millis(300),
        "until the connection can be there"
    );
    fixture.advance(300);
    fixture.run();
    assert_eq!(fixture.in_flight(), 1);
}

#[test]
fn an_idle_sender_waits_without_end() {
    let mut fixture = Fixture::plain();
    fixture.send(0);
    fixture.answer(ErrorCode::NONE, 0);
    fixture.advance(1500);
    fixture.run();
    assert_eq!(
        fixture.client().polled_timeouts().last(),
        Some(&Duration::MAX)
    );
}

// Java: SenderTest.testMetadataTopicExpiry and unknown leaders.
#[test]
fn a_partition_without_a_leader_asks_for_metadata() {
    let mut fixture = Fixture::plain();
    let leaderless = metadata_response([-1, 1], 1, TOPIC_ID);
    fixture.client().update_metadata(&leaderless);
    let sent = fixture.send(0);
    assert_eq!(fixture.in_flight(), 0);
    assert!(fixture.metadata.is_update_requested());
    fixture
        .client()
        .prepare_metadata_update(metadata_response([0, 1], 2, TOPIC_ID));
    fixture.run();
    fixture.answer(ErrorCode::NONE, 0);
    assert_eq!(sent.offset(), 0);
}

// Java: SenderTest.testInflightBatchesExpireOnDeliveryTimeout, testExpiredBatchDoesNotRetry. B2.
#[test]
fn expired_batch_does_not_retry() {
    let setup = Setup {
        delivery_timeout: Duration::from_millis(500),
        ..Setup::default()
    };
    for late in [
        ErrorCode::NONE,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::MESSAGE_TOO_LARGE,
    ] {
        let mut fixture = Fixture::new(&setup);
        let calls = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&calls);
        let callback = Callback::new(move |_| *counter.lock() += 1);
        let sent = fixture.append_with(0, b"a", Some(callback));
        let other = fixture.append(0);
        fixture.run();
        fixture.advance(500);
        fixture.run();
        assert_eq!(sent.error().kind(), ErrorKind::Timeout);
        assert_eq!(
            sent.error().timeout().unwrap().waited,
            Duration::from_millis(500)
        );
        assert!(
            sent.error()
                .to_string()
                .contains("2 record(s) for test-topic-0")
        );
        assert!(other.is_done());

        fixture.client().respond(produce_response(0, late, 9));
        fixture.run();
        fixture.back_off();
        assert_eq!(fixture.in_flight(), 0, "neither retried nor split");
        assert_eq!(*calls.lock(), 1);
        fixture.assert_all_memory_is_back();
    }
}

// B1: KAFKA-19012. The memory of an expired batch stays with the request that may still be written.
#[test]
fn the_memory_of_an_expired_batch_stays_with_its_request() {
    let setup = Setup {
        delivery_timeout: Duration::from_millis(500),
        ..Setup::default()
    };
    let mut fixture = Fixture::new(&setup);
    let sent = fixture.send(0);
    let before = batches_of(&fixture.client().requests()[0].request.body);
    fixture.advance(500);
    fixture.run();
    assert!(sent.is_done());
    assert!(fixture.pool.available_memory() < MEMORY);
    fixture.client().backoff(NodeId(1), Duration::from_secs(9));
    fixture.append_value(1, &[0xee; 100]);
    assert_eq!(
        batches_of(&fixture.client().requests()[0].request.body),
        before
    );
}

// Java: SenderTest.testWhenFirstBatchExpireNoSendSecondBatchIfGuaranteeOrder, testBatchExpiryAtTheResponse.
#[test]
fn a_late_refusal_fails_with_the_brokers_error() {
    let mut fixture = Fixture::plain();
    let sent = fixture.send(0);
    fixture
        .client()
        .respond(produce_response(0, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1));
    // The deadline passes while the answer is on its way through poll.
    let now = fixture.time.now();
    let responses = fixture.client().poll(Duration::ZERO, now);
    fixture.advance(1500);
    let now = fixture.time.now();
    for response in responses {
        fixture.sender.handle_response(response, now);
    }
    assert_eq!(sent.error().code(), Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert_eq!(sent.error().delivery(), Delivery::NotWritten);
}

// Java: SenderTest.testResetNextBatchExpiry.
#[test]
fn reset_next_batch_expiry() {
    let mut fixture = Fixture::plain();
    fixture.send(0);
    fixture.run();
    let waited = |fixture: &mut Fixture| *fixture.client().polled_timeouts().last().unwrap();
    assert_eq!(waited(&mut fixture), DELIVERY_TIMEOUT);
    fixture.advance(400);
    fixture.send(1);
    fixture.run();
    assert_eq!(
        waited(&mut fixture),
        DELIVERY_TIMEOUT - Duration::from_millis(400)
    );
}

#[test]
fn an_unsent_batch_that_expires_is_not_written() {
    let mut fixture = Fixture::plain();
    fixture.client().backoff(NodeId(0), Duration::from_secs(60));
    let sent = fixture.send(0);
    fixture.advance(1500);
    fixture.run();
    assert_eq!(sent.error().kind(), ErrorKind::Timeout);
    assert_eq!(sent.error().delivery(), Delivery::NotWritten);
    assert!(sent.error().is_retriable());
}

#[test]
fn a_request_that_times_out_is_retried() {
    let setup = Setup {
        delivery_timeout: Duration::from_secs(60),
        retries: 1,
        ..Setup::default()
    };
    let mut fixture = Fixture::new(&setup);
    let sent = fixture.send(0);
    for _ in 0..2 {
        fixture.advance(1001);
        fixture.run();
        fixture.back_off();
    }
    assert_eq!(
        sent.error().timeout().unwrap().config,
        Some("request.timeout.ms")
    );
    assert_eq!(sent.error().delivery(), Delivery::MaybeWritten);
}

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
    // Indices that are not in the batch do no harm.
    response.record_errors = vec![
        named(0, "no key"),
        named(2, "bad key"),
        named(-5, ""),
        named(9, ""),
    ];
    fixture.client().respond(response_of(vec![response]));
    fixture.run();
    assert_eq!(sent[0].error().to_string(), "no key");
    assert_eq!(sent[0].error().code(), Some(ErrorCode::INVALID_RECORD));
    assert_eq!(
        sent[1].error().code(),
        None,
        "an innocent record of a refused batch"
    );
    assert_eq!(sent[2].error().to_string(), "bad key");
    assert!(
        sent.iter()
            .all(|sent| sent.error().delivery() == Delivery::NotWritten)
    );
}

// B4, B28: KAFKA-19397.
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

// B28: franz-go's duplicate entries.
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

// B5, B6: KAFKA-9312. Java: SenderTest.testSplitBatchAndSend.
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

/// What the thread does, on this thread: rounds while it should run, then its end.
fn run_to_end(fixture: &mut Fixture, mut between: impl FnMut(&mut Fixture)) {
    for _ in 0..100 {
        if !fixture.sender.should_run() {
            let reason = Error::new(ErrorKind::Closed, "closed");
            fixture.sender.shut_down(&reason);
            return;
        }
        fixture.run_once();
        between(fixture);
    }
    panic!("the sender does not end");
}

#[test]
fn a_graceful_close_delivers_everything_first() {
    let mut fixture = Fixture::plain();
    let sent = [fixture.append(0), fixture.append(1)];
    fixture.accumulator.close();
    fixture.sender.control().initiate_close();
    run_to_end(&mut fixture, |fixture| {
        if fixture.in_flight() == 2 {
            fixture.client().respond_from(NodeId(0), ok(0, 0));
            fixture.client().respond_from(NodeId(1), ok(1, 0));
        }
    });
    assert!(sent.iter().all(|sent| sent.offset() == 0));
    assert!(fixture.client().is_closed() && fixture.metadata.is_closed());
}

// B19. Java: SenderTest.testForceClose...
#[test]
fn a_forced_close_fails_what_is_left() {
    let mut fixture = Fixture::plain();
    let in_flight = fixture.send(0);
    fixture.client().backoff(NodeId(1), Duration::from_secs(60));
    let waiting = fixture.send(1);
    fixture.accumulator.close();
    fixture.sender.control().force_close();
    run_to_end(&mut fixture, |_| {
        panic!("a forced close does no further round")
    });
    assert_eq!(in_flight.error().kind(), ErrorKind::Closed);
    assert_eq!(in_flight.error().delivery(), Delivery::MaybeWritten);
    assert_eq!(waiting.error().kind(), ErrorKind::Closed);
    assert_eq!(waiting.error().delivery(), Delivery::NotWritten);
    assert!(!fixture.accumulator.has_incomplete());
}

#[test]
fn a_forced_close_knows_what_never_left() {
    let mut fixture = Fixture::plain();
    fixture.client().set_written(false);
    let sent = fixture.send(0);
    fixture.sender.control().force_close();
    run_to_end(&mut fixture, |_| ());
    assert_eq!(sent.error().delivery(), Delivery::NotWritten);
}

// reliability.md 6.13: a broken invariant fails the producer and completes every future.
#[test]
fn a_panic_ends_the_producer_with_an_outcome_for_everything() {
    let mut fixture = Fixture::idempotent();
    let in_flight = fixture.send(0);
    fixture
        .client()
        .prepare_response_matching(|_| panic!("a bug"), ok(1, 0));
    let (waiting, manager) = (fixture.append(1), fixture.manager.clone().unwrap());
    let (accumulator, metadata) = (
        Arc::clone(&fixture.accumulator),
        Arc::clone(&fixture.metadata),
    );
    let sender = fixture.sender;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        std::thread::spawn(move || sender.run()).join().unwrap();
    }));
    assert!(ended.is_ok());
    for sent in [&in_flight, &waiting] {
        assert_eq!(sent.error().kind(), ErrorKind::Internal);
    }
    assert!(manager.fatal_error().is_some());
    assert!(accumulator.is_closed() && metadata.is_closed() && !accumulator.has_incomplete());
}

#[test]
fn a_callback_that_panics_is_contained() {
    let mut fixture = Fixture::plain();
    let sent = fixture.append_with(0, b"x", Some(Callback::new(|_| panic!("user's bug"))));
    fixture.run_once();
    fixture.answer(ErrorCode::NONE, 0);
    assert_eq!(sent.offset(), 0);
    let next = fixture.send(0);
    fixture.answer(ErrorCode::NONE, 1);
    assert_eq!(next.offset(), 1);
}
