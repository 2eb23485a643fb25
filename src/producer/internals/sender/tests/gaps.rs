//! With idempotence: sequences that are, or may be, missing in the log.

use super::*;

// Java: SenderTest.testEpochBumpOnOutOfOrderSequenceForNextBatch.
#[test]
fn an_out_of_order_sequence_of_the_next_batch_bumps_the_epoch() {
    let mut fixture = warm();
    let sent = fixture.send(0);
    fixture.answer(OUT_OF_ORDER, -1);
    fixture.back_off();
    assert_eq!(fixture.sent_sequences(), [sequence(1, 0, 1)]);
    assert_eq!(
        fixture.ledger.producer_id_and_epoch(),
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

// An epoch bump must not affect other partitions: KAFKA-12152, librdkafka #4953.
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
    assert_eq!(fixture.ledger.producer_id_and_epoch().epoch, 1);
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
fn an_unsent_batch_that_expires_leaves_no_unresolved_sequence() {
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

// Java: SenderTest.testExpiryOfFirstBatchShouldNotCauseUnresolvedSequencesIfFutureBatchesSucceed. Gaps in the sequences after an expiry.
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

// Java: SenderTest.testExpiryOfFirstBatchShouldCauseEpochBumpIfFutureBatchesFail. Gaps in the sequences after an expiry.
#[test]
fn an_expired_first_batch_bumps_the_epoch_if_later_ones_fail() {
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

// Gaps in the sequences after an expiry: KAFKA-13843.
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
    assert_eq!(fixture.ledger.producer_id_and_epoch(), PRODUCER);
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
        failed.is_done() && !fixture.ledger.has_producer_id(),
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
