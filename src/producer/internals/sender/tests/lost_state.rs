//! With idempotence: a broker that forgot the producer accepts any sequence, and old requests are
//! handled late.

use super::*;

const REFUSED: ErrorCode = ErrorCode::NOT_ENOUGH_REPLICAS;

impl Fixture {
    /// Sends two records in two batches of partition 0, with sequences 1 and 2.
    fn send_two(&mut self) -> [Sent; 2] {
        let sent = [self.send(0), self.send(0)];
        assert_eq!(self.base_sequences(), [1, 2]);
        sent
    }

    /// Asserts that the next batch has a new epoch, and that every earlier batch has an outcome.
    fn assert_restarts_with(&mut self, epoch: i16) {
        self.send(0);
        assert_eq!(self.sent_sequences(), [sequence(epoch, 0, 1)]);
    }
}

/// Asserts that the second batch waits for the acknowledgement of the first, whatever may have made
/// the broker forget, and that then five are in flight again.
fn assert_goes_one_by_one(mut fixture: Fixture) {
    let (a, b) = (fixture.send(0), fixture.send(0));
    assert_eq!(fixture.base_sequences(), [1], "the broker may take any");
    fixture.answer(REFUSED, -1);
    fixture.back_off();
    assert_eq!(fixture.base_sequences(), [1]);
    fixture.answer(ErrorCode::NONE, 1);
    fixture.run();
    assert_eq!(fixture.base_sequences(), [2]);
    fixture.answer(ErrorCode::NONE, 2);
    assert_eq!((a.offset(), b.offset()), (1, 2));
    for _ in 0..6 {
        fixture.send(0);
    }
    assert_eq!(fixture.in_flight(), 5);
}

#[test]
fn an_idle_partition_has_one_batch_in_flight_until_the_next_ack() {
    let fixture = warm();
    fixture.advance(60_000);
    assert_goes_one_by_one(fixture);
}

#[test]
fn a_new_topic_id_has_one_batch_in_flight_until_the_next_ack() {
    let mut fixture = warm();
    let anew = metadata_response([0, 1], 0, Uuid::from_bytes([8; 16]));
    fixture.client().update_metadata(&anew);
    fixture.send(0);
    fixture.send(0);
    assert_eq!(fixture.base_sequences(), [1]);
}

// An unclean leader election truncates the log and with it the producer's state.
#[test]
fn a_new_leader_epoch_has_one_batch_in_flight_until_the_next_ack() {
    let mut fixture = warm();
    fixture
        .client()
        .update_metadata(&metadata_response([0, 1], 1, TOPIC_ID));
    assert_goes_one_by_one(fixture);
}

#[test]
fn a_late_ack_of_the_old_leader_does_not_vouch_for_the_new_one() {
    let mut fixture = warm();
    fixture.send(0);
    fixture
        .client()
        .update_metadata(&metadata_response([1, 1], 1, TOPIC_ID));
    fixture.run();
    fixture.answer(ErrorCode::NONE, 1);
    fixture.send(0);
    fixture.send(0);
    assert_eq!(fixture.base_sequences(), [2]);
}

#[test]
fn a_lost_request_leaves_one_batch_in_flight_until_the_next_ack() {
    let mut fixture = warm();
    let sent = fixture.send(0);
    fixture.client().lose(NodeId(0));
    fixture.run();
    fixture.back_off();
    fixture.send(0);
    assert_eq!(fixture.base_sequences(), [1]);
    fixture.answer(ErrorCode::NONE, 1);
    assert_eq!(sent.offset(), 1);
}

// A simulation once produced the log `[first, b, a, b]`, and both were acknowledged.
#[test]
fn a_batch_that_may_be_written_is_settled_under_its_old_sequence() {
    let mut fixture = warm();
    let [a, b] = fixture.send_two();
    fixture.answer_sequence(1, REFUSED, -1);
    // The broker has forgotten the producer and appends b. The response is lost.
    fixture.client().lose(NodeId(0));
    fixture.run();
    fixture.back_off();
    assert_eq!(fixture.base_sequences(), [1]);
    fixture.answer(OUT_OF_ORDER, -1);
    fixture.back_off();
    assert_eq!(fixture.sent_sequences(), [sequence(0, 2, 1)]);
    fixture.answer(ErrorCode::NONE, 1);
    assert_eq!(b.offset(), 1);
    fixture.run();
    // It can no longer be written in order.
    assert_eq!(a.error().code(), Some(OUT_OF_ORDER));
    assert_eq!(a.error().delivery(), Delivery::NotWritten);
    fixture.assert_restarts_with(1);
}

// As above, but with a response for the second: the log was `[first, b, a]`.
#[test]
fn a_refused_batch_is_not_written_behind_a_later_one() {
    let mut fixture = warm();
    let [a, b] = fixture.send_two();
    fixture.answer_sequence(1, REFUSED, -1);
    fixture.answer_sequence(2, ErrorCode::NONE, 1);
    assert_eq!(b.offset(), 1);
    fixture.back_off();
    assert_eq!(a.error().delivery(), Delivery::NotWritten);
    fixture.assert_restarts_with(1);
}

// A simulation once produced the log `[first, b, a]`.
#[test]
fn a_refused_batch_is_not_sent_again_while_a_later_one_is_on_the_wire() {
    let mut fixture = warm();
    let [a, b] = fixture.send_two();
    fixture.answer_sequence(1, REFUSED, -1);
    fixture.back_off();
    assert_eq!(fixture.base_sequences(), [2]);
    // The broker has forgotten the producer, appends b, and forgets it again. It would accept a
    // now.
    fixture.answer_sequence(2, ErrorCode::NONE, 1);
    assert_eq!(b.offset(), 1);
    fixture.back_off();
    assert_eq!(a.error().delivery(), Delivery::NotWritten);
    fixture.assert_restarts_with(1);
}

// A simulation once produced the log `[first, b, a]`.
#[test]
fn a_refused_batch_is_not_written_behind_a_later_one_that_was_given_up() {
    let mut fixture = warm();
    let [a, b] = fixture.send_two();
    fixture.answer_sequence(1, REFUSED, -1);
    // The broker has forgotten the producer, and fails after it has appended b.
    fixture.answer_sequence(2, ErrorCode::UNKNOWN_SERVER_ERROR, -1);
    assert_eq!(b.error().delivery(), Delivery::MaybeWritten);
    fixture.back_off();
    assert_eq!(fixture.in_flight(), 0);
    assert_eq!(a.error().code(), Some(OUT_OF_ORDER));
    assert_eq!(a.error().delivery(), Delivery::NotWritten);
    fixture.assert_restarts_with(1);
}

#[test]
fn a_batch_in_doubt_fails_and_the_refused_one_before_it_is_renumbered() {
    let mut fixture = warm();
    let [a, b] = fixture.send_two();
    fixture.answer_sequence(1, REFUSED, -1);
    fixture.client().lose(NodeId(0));
    fixture.run();
    fixture.back_off();
    fixture.answer(OUT_OF_ORDER, -1);
    fixture.back_off();
    assert_eq!(fixture.sent_sequences(), [sequence(0, 2, 1)]);
    fixture.answer(OUT_OF_ORDER, -1);
    assert_eq!(b.error().delivery(), Delivery::MaybeWritten);
    fixture.back_off();
    assert_eq!(fixture.sent_sequences(), [sequence(1, 0, 1)]);
    fixture.answer(ErrorCode::NONE, 1);
    assert_eq!(a.offset(), 1);
    fixture.run();
    fixture.send(0);
    assert_eq!(fixture.sent_sequences(), [sequence(1, 1, 1)]);
}

/// Two batches are on a connection that is closed, and the first expires. The second is retried and
/// refused, because the first is not in the log. Then the broker handles the old requests.
#[test]
fn a_late_write_does_not_double_a_batch_that_was_retried() {
    let mut fixture = warm_with(expiring());
    let a = fixture.send(0);
    fixture.advance(400);
    let b = fixture.send(0);
    fixture.client().lose(NodeId(0));
    fixture
        .client()
        .backoff(NodeId(0), Duration::from_millis(600));
    fixture.run();
    fixture.advance(500);
    fixture.run();
    assert_eq!(a.error().delivery(), Delivery::MaybeWritten);
    fixture.advance(200);
    fixture.run();
    assert_eq!(fixture.sent_sequences(), [sequence(0, 2, 1)]);
    fixture.answer(OUT_OF_ORDER, -1);
    assert_eq!(b.error().delivery(), Delivery::MaybeWritten);
    fixture.run();
    assert_eq!(fixture.in_flight(), 0, "never under another sequence");
    // Fences the requests that are still on their way.
    fixture.assert_restarts_with(1);
}

#[test]
fn a_producer_id_that_no_broker_knows_is_replaced() {
    let mut fixture = warm();
    let [a, b] = fixture.send_two();
    fixture.answer_sequence(1, ErrorCode::INVALID_PRODUCER_ID_MAPPING, -1);
    assert!(fixture.ledger.has_producer_id(), "b is open");
    fixture.answer_sequence(2, ErrorCode::INVALID_PRODUCER_ID_MAPPING, -1);
    let fresh = assert_asks_for_producer_id(&mut fixture);
    for (sent, base_sequence) in [(a, 0), (b, 1)] {
        fixture.back_off();
        let expected = BatchSequence {
            producer: fresh,
            base_sequence,
            record_count: 1,
        };
        assert_eq!(fixture.sent_sequences(), [expected]);
        fixture.answer(ErrorCode::NONE, 7);
        assert_eq!(sent.offset(), 7);
    }
}

#[test]
fn a_batch_in_doubt_is_not_sent_under_another_producer_id() {
    let mut fixture = warm();
    let sent = fixture.send(0);
    fixture.client().lose(NodeId(0));
    fixture.run();
    fixture.back_off();
    fixture.answer(ErrorCode::INVALID_PRODUCER_ID_MAPPING, -1);
    assert_eq!(sent.error().delivery(), Delivery::MaybeWritten);
    assert!(!sent.error().is_fatal());
    let fresh = assert_asks_for_producer_id(&mut fixture);
    fixture.send(0);
    assert_eq!(fixture.sent_sequences()[0].producer, fresh);
}

#[test]
fn an_unknown_producer_id_that_stays_is_replaced() {
    let mut fixture = warm();
    let sent = fixture.send(0);
    fixture.answer(ErrorCode::UNKNOWN_PRODUCER_ID, -1);
    fixture.back_off();
    assert_eq!(fixture.sent_sequences(), [sequence(1, 0, 1)]);
    fixture.answer(ErrorCode::UNKNOWN_PRODUCER_ID, -1);
    let fresh = assert_asks_for_producer_id(&mut fixture);
    fixture.back_off();
    assert_eq!(fixture.sent_sequences()[0].producer, fresh);
    fixture.answer(ErrorCode::NONE, 1);
    assert_eq!(sent.offset(), 1);
}

/// Responds to the request for a producer id, which the next round sends. It must be the only
/// request in flight: nothing else may wake the thread for another round.
fn assert_asks_for_producer_id(fixture: &mut Fixture) -> ProducerIdAndEpoch {
    fixture.run_once();
    let requests: Vec<_> = fixture.sender.client.requests().iter().collect();
    assert!(
        matches!(
            requests.as_slice(),
            [only] if matches!(only.request.body, RequestBody::InitProducerId(_))
        ),
        "{requests:?}"
    );
    let fresh = ProducerIdAndEpoch {
        producer_id: 99,
        epoch: 0,
    };
    fixture
        .client()
        .respond(init_response(ErrorCode::NONE, fresh));
    fixture.run();
    fresh
}
