//! Without idempotence: sending, retrying, muting, expiring.

use super::*;
use crate::sync::Mutex;

// Java: SenderTest.testSimple.
#[test]
fn a_record_is_sent_and_acknowledged() {
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
fn a_batch_is_retried_until_its_retries_are_used_up() {
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

// A batch that may be written must not count as unwritten: a later refusal says nothing about the
// first attempt.
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

// "b" is in its node's ready queue when "a" comes back before it. The round that finds this takes
// nothing and has nothing to wait for, so it must not wait.
#[test]
fn a_batch_that_comes_back_before_a_ready_one_is_not_forgotten() {
    let mut fixture = Fixture::new(&Setup {
        max_in_flight: 1,
        ..Setup::default()
    });
    let full = vec![b'v'; BATCH_SIZE];
    let a = fixture.append_value(0, &full);
    fixture.append_value(0, &full);
    let refused = produce_response(0, ErrorCode::NOT_ENOUGH_REPLICAS, -1);
    fixture.client().prepare_response(refused);
    fixture.run();
    assert!(!a.is_done());
    let timeouts = fixture.client().polled_timeouts();
    let longest_backoff = RETRY_BACKOFF.mul_f64(1.2);
    assert!(
        timeouts.iter().all(|timeout| *timeout <= longest_backoff),
        "{timeouts:?}"
    );
    fixture.back_off();
    fixture.answer(ErrorCode::NONE, 0);
    assert_eq!(a.offset(), 0);
}

// Java: SenderTest.testSendInOrder. Reordering by a retry.
#[test]
fn a_retry_does_not_reorder_batches() {
    let mut fixture = Fixture::new(&Setup {
        max_in_flight: 1,
        ..Setup::default()
    });
    let first = fixture.send(0);
    let second = fixture.send(0);
    assert_eq!(fixture.in_flight(), 1, "muted while the first is in flight");
    // The leader moves to another node, which is idle. The partition is still muted.
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
fn a_callback_of_an_expired_record_may_append() {
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
                .push(append(&accumulator, &metadata, None, 1, b"again", None).unwrap());
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
fn a_batch_waits_until_its_node_is_ready() {
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

/// A batch that opens during the wait expires no earlier than the wait ends.
#[test]
fn an_idle_sender_waits_for_a_delivery_timeout() {
    let mut fixture = Fixture::plain();
    fixture.send(0);
    fixture.answer(ErrorCode::NONE, 0);
    fixture.advance(1500);
    fixture.run();
    assert_eq!(
        fixture.client().polled_timeouts().last(),
        Some(&DELIVERY_TIMEOUT)
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

// Java: SenderTest.testInflightBatchesExpireOnDeliveryTimeout, testExpiredBatchDoesNotRetry. Memory is given back exactly once.
#[test]
fn an_expired_batch_is_not_retried() {
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
                .contains("2 records for test-topic-0")
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

// KAFKA-19012: the memory of an expired batch stays with the request, which may still be written.
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
        .respond(produce_response(0, ErrorCode::NOT_ENOUGH_REPLICAS, -1));
    // The deadline passes while poll handles the response.
    let now = fixture.time.now();
    let responses = fixture.client().poll(Duration::ZERO, now);
    fixture.advance(1500);
    let now = fixture.time.now();
    for response in responses {
        fixture.sender.handle_response(response, now);
    }
    assert_eq!(sent.error().code(), Some(ErrorCode::NOT_ENOUGH_REPLICAS));
    assert_eq!(sent.error().delivery(), Delivery::NotWritten);
}

/// One is in flight and the other one is not, and both have expired.
#[test]
fn batches_that_expire_together_are_told_in_the_order_of_their_records() {
    let mut fixture = Fixture::plain();
    let told = Arc::new(Mutex::new(Vec::new()));
    for number in 0..2 {
        let told = Arc::clone(&told);
        let callback = Callback::new(move |_| told.lock().push(number));
        fixture.append_with(0, b"value", Some(callback));
        fixture.run();
        fixture.client().backoff(NodeId(0), Duration::from_secs(60));
        fixture.advance(1);
    }
    fixture.advance(1500);
    fixture.run();
    assert_eq!(*told.lock(), [0, 1]);
}

#[test]
fn a_connection_that_is_lost_after_the_delivery_timeout_is_not_the_reason() {
    let mut fixture = Fixture::plain();
    let sent = fixture.send(0);
    fixture.client().lose(NodeId(0));
    let now = fixture.time.now();
    let responses = fixture.client().poll(Duration::ZERO, now);
    fixture.advance(1500);
    let now = fixture.time.now();
    for response in responses {
        fixture.sender.handle_response(response, now);
    }
    let error = sent.error();
    assert_eq!(error.timeout().unwrap().config, Some("delivery.timeout.ms"));
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    assert!(std::error::Error::source(&error).is_some());
}

// Java: SenderTest.testResetNextBatchExpiry.
#[test]
fn the_poll_timeout_ends_at_the_next_expiry() {
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
