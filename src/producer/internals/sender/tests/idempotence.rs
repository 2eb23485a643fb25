//! With idempotence: producer ids, order, fatal errors, splits.

use super::*;

// Java: SenderTest.testInitProducerIdRequest.
#[test]
fn the_first_request_asks_for_a_producer_id() {
    let mut fixture = Fixture::new(&Setup {
        idempotent: true,
        ..Setup::default()
    });
    fixture.run_once();
    let sent = &fixture.client().requests()[0].request;
    let RequestBody::InitProducerId(request) = &sent.body else {
        panic!("sent {sent:?}");
    };
    assert_eq!(request.transactional_id, None);
    assert_eq!(request.transaction_timeout_ms, i32::MAX);
    fixture.append(0);
    fixture.run();
    assert_eq!(
        fixture.in_flight(),
        1,
        "nothing is drained, and it is asked for once"
    );
    fixture
        .client()
        .respond(init_response(ErrorCode::NONE, PRODUCER));
    fixture.run();
    assert_eq!(fixture.sent_sequences(), [sequence(0, 0, 1)]);
}

// Java: SenderTest.testInitProducerIdWithMaxInFlightOne, testIdempotentInitProducerIdWithMaxInFlightOne.
#[test]
fn init_producer_id_is_asked_for_again_after_errors() {
    let mut fixture = Fixture::new(&Setup {
        idempotent: true,
        max_in_flight: 1,
        ..Setup::default()
    });
    fixture.run_once();
    fixture.client().lose(NodeId(0));
    fixture.run();
    assert_eq!(fixture.in_flight(), 0, "backs off");
    fixture.back_off();
    let loading = init_response(
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ProducerIdAndEpoch::NONE,
    );
    fixture.client().respond(loading);
    fixture.run();
    let waited = *fixture.client().polled_timeouts().last().unwrap();
    assert!(
        !waited.is_zero() && waited <= RETRY_BACKOFF,
        "waits in poll: {waited:?}"
    );
    fixture.back_off();
    fixture
        .client()
        .respond(init_response(ErrorCode::NONE, PRODUCER));
    fixture.run();
    assert_eq!(fixture.ledger.producer_id_and_epoch(), PRODUCER);
}

// Batches expire while there is no producer id: nothing blocks the thread.
#[test]
fn batches_expire_while_the_producer_id_is_missing() {
    let mut fixture = Fixture::new(&Setup {
        idempotent: true,
        ..Setup::default()
    });
    for node in [NodeId(0), NodeId(1)] {
        fixture.client().backoff(node, Duration::from_secs(60));
    }
    let sent = fixture.append(0);
    fixture.run();
    fixture.advance(1500);
    fixture.run();
    assert_eq!(sent.error().kind(), ErrorKind::Timeout);
    assert_eq!(sent.error().delivery(), Delivery::NotWritten);
}

// Java: SenderTest.testClusterAuthorizationExceptionInInitProducerIdRequest, and its recovery.
#[test]
fn missing_rights_for_a_producer_id_fail_the_batches_and_not_the_producer() {
    let mut fixture = Fixture::new(&Setup {
        idempotent: true,
        ..Setup::default()
    });
    let refused = fixture.append(0);
    fixture.run_once();
    let answer = init_response(
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        ProducerIdAndEpoch::NONE,
    );
    fixture.client().respond(answer);
    fixture.run();
    assert_eq!(refused.error().kind(), ErrorKind::Authorization);
    assert_eq!(refused.error().delivery(), Delivery::NotWritten);

    fixture.back_off();
    fixture
        .client()
        .respond(init_response(ErrorCode::NONE, PRODUCER));
    fixture.run();
    let sent = fixture.send(0);
    fixture.answer(ErrorCode::NONE, 0);
    assert_eq!(sent.offset(), 0);
}

#[test]
fn a_broker_without_producer_ids_is_fatal() {
    let mut fixture = Fixture::new(&Setup {
        idempotent: true,
        ..Setup::default()
    });
    fixture.client().prepare_unsupported_version(|_| true);
    let sent = fixture.append(0);
    fixture.run();
    assert_eq!(sent.error().kind(), ErrorKind::UnsupportedVersion);
    let later = fixture.append(0);
    fixture.run();
    assert_eq!(later.error().kind(), ErrorKind::UnsupportedVersion);
}

// Java: SenderTest.testSequenceNumberIncrement.
#[test]
fn sequences_grow_by_the_records_of_a_batch() {
    let mut fixture = warm();
    let sent = [fixture.append(0), fixture.append(0)];
    fixture.run_once();
    assert_eq!(fixture.sent_sequences(), [sequence(0, 1, 2)]);
    fixture.answer(ErrorCode::NONE, 1);
    assert_eq!(sent.map(|sent| sent.offset()), [1, 2]);
    fixture.send(0);
    assert_eq!(fixture.sent_sequences(), [sequence(0, 3, 1)]);
}

#[test]
fn one_batch_is_in_flight_until_the_first_ack_then_five() {
    let mut fixture = Fixture::idempotent();
    fixture.send(0);
    fixture.send(0);
    assert_eq!(fixture.base_sequences(), [0]);
    fixture.answer(ErrorCode::NONE, 0);
    for _ in 0..6 {
        fixture.send(0);
    }
    assert_eq!(fixture.in_flight(), 5);
    fixture.answer(ErrorCode::NONE, 1);
    fixture.run();
    assert_eq!(fixture.in_flight(), 5, "an answer makes room");
}

// Java: SenderTest.testIdempotenceWithMultipleInflightsRetriedInOrder. Reordering by a retry.
#[test]
fn several_batches_in_flight_are_retried_in_order() {
    let mut fixture = warm();
    let sent = [fixture.send(0), fixture.send(0), fixture.send(0)];
    assert_eq!(fixture.base_sequences(), [1, 2, 3]);
    fixture.answer_sequence(1, ErrorCode::LEADER_NOT_AVAILABLE, -1);
    fixture.answer_sequence(2, OUT_OF_ORDER, -1);
    fixture.answer_sequence(3, OUT_OF_ORDER, -1);
    for (offset, sent) in (1..).zip(&sent) {
        fixture.back_off();
        let base = i32::try_from(offset).unwrap();
        assert_eq!(fixture.base_sequences(), [base], "one at a time, in order");
        fixture.answer(ErrorCode::NONE, offset);
        assert_eq!(sent.offset(), offset);
    }
    fixture.send(0);
    assert_eq!(fixture.base_sequences(), [4]);
    assert_eq!(fixture.ledger.producer_id_and_epoch(), PRODUCER, "no bump");
}

// A retry sends the same bytes (librdkafka #4736), with the same epoch and sequence.
#[test]
fn a_retry_is_identical_to_the_last_byte() {
    let mut fixture = warm();
    let sent = fixture.send(0);
    let bytes = fixture.bytes();
    for code in [ErrorCode::REQUEST_TIMED_OUT, OUT_OF_ORDER_BEHIND_NOTHING] {
        fixture.answer(code, -1);
        fixture.back_off();
        assert_eq!(fixture.bytes(), bytes);
    }
    fixture.client().lose(NodeId(0));
    fixture.run();
    fixture.back_off();
    assert_eq!(fixture.bytes(), bytes);
    fixture.answer(ErrorCode::NONE, 1);
    assert_eq!(sent.offset(), 1);
}

/// A retriable refusal. Another test covers an error about the sequence.
const OUT_OF_ORDER_BEHIND_NOTHING: ErrorCode = ErrorCode::NOT_ENOUGH_REPLICAS;

// Java: SenderTest.testIdempotentSenderWithDuplicateSequence: success without an offset. A batch that may be written must not count as unwritten.
#[test]
fn duplicate_sequence_is_success_without_an_offset() {
    let mut fixture = warm();
    let sent = fixture.send(0);
    fixture.client().lose(NodeId(0));
    fixture.run();
    fixture.back_off();
    fixture.answer(ErrorCode::DUPLICATE_SEQUENCE_NUMBER, -1);
    assert_eq!(sent.poll().unwrap().unwrap(), None);
    fixture.send(0);
    assert_eq!(fixture.sent_sequences(), [sequence(0, 2, 1)]);
}

// Java: SenderTest.testCorrectHandlingOfOutOfOrderResponses.
#[test]
fn out_of_order_responses_keep_the_order_of_batches() {
    let mut fixture = warm();
    let (first, second) = (fixture.send(0), fixture.send(0));
    fixture.answer_sequence(2, OUT_OF_ORDER, -1);
    fixture.answer_sequence(1, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    fixture.back_off();
    assert_eq!(fixture.base_sequences(), [1]);
    fixture.answer(ErrorCode::NONE, 1);
    fixture.back_off();
    assert_eq!(fixture.base_sequences(), [2]);
    fixture.answer(ErrorCode::NONE, 2);
    assert_eq!((first.offset(), second.offset()), (1, 2));
    assert_eq!(fixture.ledger.producer_id_and_epoch(), PRODUCER);
}

// Java: SenderTest.testCorrectHandlingOfOutOfOrderResponsesWhenSecondSucceeds.
#[test]
fn a_batch_behind_a_success_is_retried_as_a_duplicate() {
    let mut fixture = warm();
    let (first, second) = (fixture.send(0), fixture.send(0));
    fixture.answer_sequence(2, ErrorCode::NONE, 2);
    assert_eq!(second.offset(), 2);
    fixture.answer_sequence(1, ErrorCode::REQUEST_TIMED_OUT, -1);
    fixture.back_off();
    fixture.answer(ErrorCode::DUPLICATE_SEQUENCE_NUMBER, 1);
    assert_eq!(first.offset(), 1);
    fixture.send(0);
    assert_eq!(fixture.sent_sequences(), [sequence(0, 3, 1)]);
}

// Java: SenderTest.testForceCloseWithProducerIdReset.
#[test]
fn force_close_while_the_producer_id_is_missing() {
    let mut fixture = Fixture::new(&Setup {
        idempotent: true,
        ..Setup::default()
    });
    let sent = fixture.append(0);
    fixture.run();
    fixture.sender.control().force_close();
    assert!(!fixture.sender.should_run());
    let reason = Error::new(ErrorKind::Closed, "closed");
    fixture.sender.shut_down(&reason, |_, _, _| false);
    assert_eq!(sent.error().kind(), ErrorKind::Closed);
}

// Java: SenderTest.testCloseWithProducerIdReset.
#[test]
fn close_waits_for_the_producer_id_and_delivers() {
    let mut fixture = Fixture::new(&Setup {
        idempotent: true,
        ..Setup::default()
    });
    let sent = fixture.append(0);
    fixture.accumulator.close();
    fixture.sender.control().initiate_close();
    fixture
        .client()
        .prepare_response(init_response(ErrorCode::NONE, PRODUCER));
    fixture.client().prepare_response(ok(0, 0));
    for _ in 0..5 {
        assert!(fixture.sender.should_run() || sent.is_done());
        fixture.run_once();
    }
    assert!(!fixture.sender.should_run());
    assert_eq!(sent.offset(), 0);
}

// Java: SenderTest.testClusterAuthorizationExceptionInProduceRequest, testCancelInFlightRequestAfterFatalError.
#[test]
fn a_fatal_error_fails_what_is_in_flight_too() {
    let mut fixture = warm();
    let (refused, in_flight) = (fixture.send(0), fixture.send(1));
    let waiting = fixture.append(1);
    // Even if nothing is written yet and a close has begun: a queued request leaves later.
    fixture.client().set_written(false);
    fixture.sender.control().initiate_close();
    let answer = produce_response(0, ErrorCode::CLUSTER_AUTHORIZATION_FAILED, -1);
    fixture.client().respond_from(NodeId(0), answer);
    fixture.run();
    for sent in [&refused, &in_flight, &waiting] {
        assert_eq!(sent.error().kind(), ErrorKind::Authorization);
        assert!(sent.error().is_fatal());
    }
    assert_eq!(refused.error().delivery(), Delivery::NotWritten);
    assert_eq!(in_flight.error().delivery(), Delivery::MaybeWritten);
    assert!(fixture.ledger.fatal_error().is_some());
    fixture.client().respond(ok(1, 0));
    fixture.run();
    assert!(refused.error().code().is_some());
    assert!(
        in_flight.error().code().is_none(),
        "completed once, and not by this response"
    );
}

// Java: SenderTest.testUnsupportedForMessageFormatInProduceRequest.
#[test]
fn unsupported_for_message_format_is_not_fatal() {
    let mut fixture = warm();
    let sent = fixture.send(0);
    fixture.answer(ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT, -1);
    assert_eq!(
        sent.error().code(),
        Some(ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT)
    );
    assert!(fixture.ledger.fatal_error().is_none());
    fixture.run();
    fixture.send(0);
    assert_eq!(
        fixture.sent_sequences(),
        [sequence(1, 0, 1)],
        "its sequence is a gap"
    );
}

// Java: SenderTest.testIdempotentSplitBatchAndSend. A flush waits for all parts of a split batch, and the split keeps every record and its order.
#[test]
fn a_split_batch_is_sent_in_order_without_gaps() {
    let mut fixture = warm();
    let sent: Vec<_> = (0..4_u8)
        .map(|n| fixture.append_value(0, &[n; 500]))
        .collect();
    fixture.run_once();
    let later = fixture.send(0);
    assert_eq!(
        fixture.sent_sequences(),
        [sequence(0, 1, 4), sequence(0, 5, 1)]
    );
    fixture.answer_sequence(1, ErrorCode::MESSAGE_TOO_LARGE, -1);
    fixture.answer_sequence(5, OUT_OF_ORDER, -1);
    let mut next = 1;
    while !later.is_done() {
        fixture.back_off();
        let batch = fixture.sent_sequences()[0];
        assert_eq!(batch.base_sequence, next, "in order and without gaps");
        assert_eq!(batch.producer, PRODUCER);
        fixture.answer(ErrorCode::NONE, i64::from(next));
        next = batch.next_sequence();
    }
    assert_eq!(next, 6);
    assert!(
        sent.iter()
            .zip(1..)
            .all(|(sent, offset)| sent.offset() == offset)
    );
}

// Sequences wrap at 2^31 on the wire too.
#[test]
fn parts_and_batches_wrap_at_the_last_sequence() {
    let mut fixture = warm();
    fixture.ledger.set_next_sequence(&tp(0), i32::MAX);
    let sent = [fixture.append(0), fixture.append(0)];
    fixture.run_once();
    fixture.send(0);
    assert_eq!(
        fixture.sent_sequences(),
        [sequence(0, i32::MAX, 2), sequence(0, 1, 1)]
    );
    fixture.answer_sequence(i32::MAX, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    fixture.answer_sequence(1, OUT_OF_ORDER, -1);
    for (base, offset) in [(i32::MAX, 10), (1, 12)] {
        fixture.back_off();
        assert_eq!(fixture.base_sequences(), [base]);
        fixture.answer(ErrorCode::NONE, offset);
    }
    assert_eq!(sent.map(|sent| sent.offset()), [10, 11]);
    assert_eq!(fixture.ledger.producer_id_and_epoch(), PRODUCER);
}

// A partition that may not send does not keep the thread busy.
#[test]
fn a_blocked_partition_does_not_spin() {
    let mut fixture = warm_with(expiring());
    fixture.send(0);
    fixture.advance(900);
    fixture.run();
    fixture.append(0);
    fixture.run();
    let waited = *fixture.client().polled_timeouts().last().unwrap();
    assert!(!waited.is_zero(), "{waited:?}");
}
