//! With idempotence: producer ids, order, gaps, expiry, splits.

use super::*;

const OUT_OF_ORDER: ErrorCode = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;

/// A fixture whose partition 0 has an acknowledged first batch, so that five may be in flight.
fn warm() -> Fixture {
    warm_with(Setup::default())
}

fn warm_with(setup: Setup) -> Fixture {
    let mut fixture = Fixture::idempotent_with(setup);
    let first = fixture.send(0);
    fixture.answer(ErrorCode::NONE, 0);
    assert_eq!(first.offset(), 0);
    fixture
}

fn expiring() -> Setup {
    Setup {
        delivery_timeout: Duration::from_millis(900),
        ..Setup::default()
    }
}

impl Fixture {
    /// Answers the request of partition 0 that carries this base sequence.
    fn answer_sequence(&mut self, base_sequence: i32, code: ErrorCode, offset: i64) {
        let requests = self.sender.client.requests().iter();
        let mut carrying = requests.filter(|sent| {
            let batches = batches_of(&sent.request.body);
            batches
                .iter()
                .any(|(_, s, _)| s.base_sequence == base_sequence)
        });
        let id = carrying.next().expect("not in flight").correlation_id;
        self.client()
            .respond_to(id, produce_response(0, code, offset));
        self.run_once();
    }

    fn base_sequences(&self) -> Vec<i32> {
        self.sent_sequences()
            .iter()
            .map(|s| s.base_sequence)
            .collect()
    }

    /// The bytes of the oldest batch in flight.
    fn bytes(&self) -> Vec<u8> {
        batches_of(&self.sender.client.requests()[0].request.body)
            .remove(0)
            .2
    }
}

// Java: SenderTest.testInitProducerIdRequest.
#[test]
fn init_producer_id_request() {
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
    assert_eq!(fixture.manager().producer_id_and_epoch(), PRODUCER);
}

// Batches expire while no producer id is to be had: nothing blocks the thread.
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
fn sequence_number_increment() {
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
fn one_in_flight_until_the_first_ack_then_five() {
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

// Java: SenderTest.testIdempotenceWithMultipleInflightsRetriedInOrder. B7.
#[test]
fn idempotence_with_multiple_inflights_retried_in_order() {
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
    assert_eq!(
        fixture.manager().producer_id_and_epoch(),
        PRODUCER,
        "no bump"
    );
}

// B12: librdkafka #4736. B11: the same epoch and sequence.
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

/// A retriable refusal; what is out of order behind nothing is another test.
const OUT_OF_ORDER_BEHIND_NOTHING: ErrorCode = ErrorCode::NOT_ENOUGH_REPLICAS;

// Java: SenderTest.testIdempotentSenderWithDuplicateSequence: success without an offset. B11.
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
fn correct_handling_of_out_of_order_responses() {
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
    assert_eq!(fixture.manager().producer_id_and_epoch(), PRODUCER);
}

// Java: SenderTest.testCorrectHandlingOfOutOfOrderResponsesWhenSecondSucceeds.
#[test]
fn correct_handling_of_out_of_order_responses_when_second_succeeds() {
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

// Java: SenderTest.testEpochBumpOnOutOfOrderSequenceForNextBatch.
#[test]
fn epoch_bump_on_out_of_order_sequence_for_next_batch() {
    let mut fixture = warm();
    let sent = fixture.send(0);
    fixture.answer(OUT_OF_ORDER, -1);
    fixture.back_off();
    assert_eq!(fixture.sent_sequences(), [sequence(1, 0, 1)]);
    assert_eq!(
        fixture.manager().producer_id_and_epoch(),
        sequence(1, 0, 1).producer
    );
    let (batch, rest) = (fixture.bytes(), 0);
    let (parsed, tail) = RecordBatch::parse(&batch).unwrap();
    assert!(parsed.is_crc_valid());
    assert_eq!(tail.len(), rest);
    fixture.answer(ErrorCode::NONE, 1);
    assert_eq!(sent.offset(), 1);
}

// Java: SenderTest.testEpochBumpOnOutOfOrderSequenceForNextBatchWhenThereIsNoBatchInFlight and
// ...WhenBatchInFlightFails; UNKNOWN_PRODUCER_ID is treated alike.
#[test]
fn everything_that_was_refused_restarts_in_order() {
    for code in [OUT_OF_ORDER, ErrorCode::UNKNOWN_PRODUCER_ID] {
        let mut fixture = warm();
        let sent = [fixture.send(0), fixture.send(0)];
        let later = {
            fixture.answer_sequence(1, code, -1);
            fixture.append(0)
        };
        fixture.back_off();
        assert_eq!(
            fixture.base_sequences(),
            [2],
            "waits for the answer to the other one"
        );
        fixture.answer_sequence(2, code, -1);
        for (offset, base) in [(1, 0), (2, 1), (3, 2)] {
            fixture.back_off();
            assert_eq!(fixture.sent_sequences()[0], sequence(1, base, 1));
            fixture.answer(ErrorCode::NONE, offset);
        }
        assert_eq!(sent.map(|sent| sent.offset()), [1, 2]);
        assert_eq!(later.offset(), 3);
    }
}

// Java: SenderTest.testIdempotenceWithMultipleInflightsWhereFirstFailsFatallyAndSequenceOfFutureBatchesIsAdjusted.
#[test]
fn a_batch_that_fails_for_good_restarts_the_later_ones() {
    let mut fixture = warm();
    let (failed, later) = (fixture.send(0), fixture.send(0));
    fixture.answer_sequence(1, ErrorCode::INVALID_RECORD, -1);
    assert_eq!(failed.error().delivery(), Delivery::NotWritten);
    fixture.answer_sequence(2, OUT_OF_ORDER, -1);
    fixture.back_off();
    assert_eq!(fixture.sent_sequences(), [sequence(1, 0, 1)]);
    fixture.answer(ErrorCode::NONE, 1);
    assert_eq!(later.offset(), 1);
}

// B10: KAFKA-12152, librdkafka #4953.
#[test]
fn an_epoch_bump_does_not_touch_an_unanswered_batch_of_another_partition() {
    let mut fixture = warm();
    let unanswered = fixture.send(1);
    assert_eq!(fixture.sent_sequences(), [sequence(0, 0, 1)]);
    let bytes = fixture.bytes();
    fixture.send(0);
    fixture
        .client()
        .respond_from(NodeId(0), produce_response(0, OUT_OF_ORDER, -1));
    fixture.run();
    fixture.back_off();
    assert_eq!(fixture.manager().producer_id_and_epoch().epoch, 1);
    fixture.client().lose(NodeId(1));
    fixture.run();
    fixture.back_off();
    let resent = fixture.sender.client.requests().iter();
    let resent: Vec<_> = resent
        .flat_map(|sent| batches_of(&sent.request.body))
        .collect();
    assert!(
        resent
            .iter()
            .any(|(partition, _, again)| *partition == 1 && *again == bytes)
    );
    fixture.client().respond_from(NodeId(1), ok(1, 0));
    fixture.run();
    assert_eq!(unanswered.offset(), 0);
    fixture.send(1);
    let last = *fixture.sent_sequences().last().unwrap();
    assert_eq!(
        last,
        sequence(1, 0, 1),
        "empty now, so it moves to the new epoch"
    );
}

// Java: SenderTest.testExpiryOfUnsentBatchesShouldNotCauseUnresolvedSequences.
#[test]
fn expiry_of_unsent_batches_should_not_cause_unresolved_sequences() {
    let mut fixture = warm();
    fixture
        .client()
        .backoff(NodeId(0), Duration::from_millis(2000));
    let expired = fixture.send(0);
    fixture.advance(1500);
    fixture.run();
    assert_eq!(expired.error().delivery(), Delivery::NotWritten);
    fixture.advance(500);
    fixture.send(0);
    assert_eq!(fixture.sent_sequences(), [sequence(0, 1, 1)]);
}

// Java: SenderTest.testExpiryOfFirstBatchShouldNotCauseUnresolvedSequencesIfFutureBatchesSucceed. B9.
#[test]
fn expiry_of_a_sent_batch_is_resolved_by_the_success_of_a_later_one() {
    let mut fixture = warm_with(expiring());
    let expired = fixture.send(0);
    fixture.advance(400);
    let later = fixture.send(0);
    fixture.advance(500);
    fixture.run();
    assert_eq!(expired.error().delivery(), Delivery::MaybeWritten);
    let waiting = fixture.append(0);
    fixture.run();
    assert_eq!(
        fixture.in_flight(),
        2,
        "no new sequences while one is in doubt"
    );
    fixture.answer_sequence(2, ErrorCode::NONE, 2);
    assert_eq!(later.offset(), 2);
    fixture.client().lose(NodeId(0));
    fixture.run();
    assert_eq!(
        fixture.sent_sequences(),
        [sequence(0, 3, 1)],
        "no gap, no bump"
    );
    fixture.answer(ErrorCode::NONE, 3);
    assert_eq!(waiting.offset(), 3);
}

// Java: SenderTest.testExpiryOfFirstBatchShouldCauseEpochBumpIfFutureBatchesFail. B9.
#[test]
fn expiry_of_first_batch_should_cause_epoch_bump_if_future_batches_fail() {
    let mut fixture = warm_with(expiring());
    let expired = fixture.send(0);
    fixture.advance(400);
    let later = fixture.send(0);
    fixture.advance(500);
    fixture.run();
    assert!(expired.is_done());
    fixture.answer_sequence(1, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    fixture.answer_sequence(2, OUT_OF_ORDER, -1);
    fixture.back_off();
    assert_eq!(fixture.sent_sequences(), [sequence(1, 0, 1)]);
    fixture.answer(ErrorCode::NONE, 1);
    assert_eq!(later.offset(), 1);
}

// B9: KAFKA-13843.
#[test]
fn a_late_success_of_an_expired_batch_moves_last_acked() {
    let mut fixture = warm_with(expiring());
    let expired = fixture.send(0);
    fixture.advance(400);
    let later = fixture.send(0);
    fixture.advance(500);
    fixture.run();
    assert!(expired.error().is_timeout());
    fixture.answer_sequence(1, ErrorCode::NONE, 1);
    assert!(expired.error().is_timeout(), "completed once");
    fixture.answer_sequence(2, ErrorCode::NONE, 2);
    assert_eq!(later.offset(), 2);
    fixture.send(0);
    assert_eq!(fixture.sent_sequences(), [sequence(0, 3, 1)], "no bump");
    assert_eq!(fixture.manager().producer_id_and_epoch(), PRODUCER);
}

// Java: SenderTest.testExpiryOfAllSentBatchesShouldCauseUnresolvedSequences.
#[test]
fn expiry_of_all_sent_batches_bumps_the_epoch() {
    let mut fixture = warm_with(expiring());
    let expired = fixture.send(0);
    fixture.answer(ErrorCode::REQUEST_TIMED_OUT, -1);
    fixture
        .client()
        .backoff(NodeId(0), Duration::from_millis(2000));
    fixture.advance(900);
    fixture.run();
    assert_eq!(expired.error().delivery(), Delivery::MaybeWritten);
    fixture.advance(1100);
    fixture.send(0);
    assert_eq!(fixture.sent_sequences(), [sequence(1, 0, 1)]);
}

// Java: SenderTest.testBatchesDrainedWithOldProducerIdShouldSucceedOnSubsequentRetry, testResetOfProducerStateShould...
#[test]
fn a_new_producer_id_does_not_change_what_may_be_written() {
    let producer = ProducerIdAndEpoch {
        epoch: i16::MAX,
        ..PRODUCER
    };
    let mut fixture = Fixture::new(&Setup {
        idempotent: true,
        ..Setup::default()
    });
    fixture.receive_producer_id(producer);
    let unanswered = fixture.send(1);
    let failed = fixture.send(0);
    fixture.client().respond_from(
        NodeId(0),
        produce_response(0, ErrorCode::INVALID_RECORD, -1),
    );
    fixture.run();
    assert!(
        failed.is_done() && !fixture.manager().has_producer_id(),
        "epochs are used up"
    );
    fixture.client().lose(NodeId(1));
    fixture.run();

    let fresh = ProducerIdAndEpoch {
        producer_id: 99,
        epoch: 0,
    };
    fixture
        .client()
        .respond(init_response(ErrorCode::NONE, fresh));
    fixture.run();
    fixture.back_off();
    let old = BatchSequence {
        producer,
        base_sequence: 0,
        record_count: 1,
    };
    assert_eq!(
        fixture.sent_sequences(),
        [old],
        "same id, epoch and sequence as before"
    );
    fixture.client().respond(ok(1, 0));
    fixture.run();
    assert_eq!(unanswered.offset(), 0);
    fixture.send(0);
    assert_eq!(fixture.sent_sequences()[0].producer, fresh);
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
    fixture
        .sender
        .shut_down(&Error::new(ErrorKind::Closed, "closed"));
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
    let answer = produce_response(0, ErrorCode::CLUSTER_AUTHORIZATION_FAILED, -1);
    fixture.client().respond_from(NodeId(0), answer);
    fixture.run();
    for sent in [&refused, &in_flight, &waiting] {
        assert_eq!(sent.error().kind(), ErrorKind::Authorization);
    }
    assert_eq!(refused.error().delivery(), Delivery::NotWritten);
    assert_eq!(in_flight.error().delivery(), Delivery::MaybeWritten);
    assert!(fixture.manager().fatal_error().is_some());
    fixture.client().respond(ok(1, 0));
    fixture.run();
    assert!(in_flight.error().code().is_some(), "completed once");
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
    assert!(fixture.manager().fatal_error().is_none());
    fixture.run();
    fixture.send(0);
    assert_eq!(
        fixture.sent_sequences(),
        [sequence(1, 0, 1)],
        "its sequence is a gap"
    );
}

// Java: SenderTest.testIdempotentSplitBatchAndSend. B5, B6.
#[test]
fn idempotent_split_batch_and_send() {
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

// B15, over the wire.
#[test]
fn parts_and_batches_wrap_at_the_last_sequence() {
    let mut fixture = warm();
    fixture.manager().set_next_sequence(&tp(0), i32::MAX);
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
    assert_eq!(fixture.manager().producer_id_and_epoch(), PRODUCER);
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
