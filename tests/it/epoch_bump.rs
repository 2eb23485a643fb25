//! A new epoch closes gaps in the sequences of a partition and does not affect other partitions
//! (KAFKA-12152, KAFKA-13843, librdkafka #4953).

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, Failure, FakeBroker};
use kafka_producer::{Delivery, ErrorCode, ErrorKind, KafkaProducer};

use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);
/// Led by the second node.
const INNOCENT: (&str, i32) = ("orders", 1);
const FIVE: [&str; 5] = ["a", "b", "c", "d", "e"];

fn two_nodes() -> FakeBroker {
    FakeBroker::builder()
        .nodes(2)
        .topic("orders", 2)
        .start()
        .unwrap()
}

/// A producer with an acknowledged record in both partitions, so that five batches of each may be
/// in flight.
fn warm_producer(broker: &FakeBroker) -> KafkaProducer {
    let producer = record_by_record(broker).build().unwrap();
    for partition in [ORDERS, INNOCENT] {
        send(&producer, partition, "first")
            .get_timeout(LONG)
            .unwrap();
    }
    producer
}

/// Returns the epoch and base sequence of each batch that was sent to a partition, in order.
fn sequences(broker: &FakeBroker, partition: (&str, i32)) -> Vec<(i16, i32)> {
    let attempts = attempts(broker, partition).into_iter();
    attempts
        .map(|batch| (batch.producer_epoch, batch.base_sequence))
        .collect()
}

// Java: SenderTest.testEpochBumpOnOutOfOrderSequenceForNextBatch, testIdempotentProducerIdReset...
#[test]
fn a_batch_that_is_refused_for_good_leaves_a_gap_that_a_new_epoch_closes() {
    for refused in 0..FIVE.len() {
        let broker = two_nodes();
        let producer = warm_producer(&broker);
        let hold = broker.new_hold();
        for place in 0..FIVE.len() {
            let action = match place == refused {
                true => Action::fail(ErrorCode::INVALID_RECORD),
                false => Action::apply(),
            };
            let on_first_node = broker.on(Api::Produce).node(NodeId(1));
            on_first_node.then(action.hold(&hold));
        }
        let mut futures = send_one_by_one(&broker, &producer, ORDERS, FIVE);
        hold.release();

        let error = futures.remove(refused).get_timeout(LONG).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::INVALID_RECORD));
        assert_eq!(error.delivery(), Delivery::NotWritten);
        assert_eq!(offsets(&futures), [1, 2, 3, 4], "refused: {refused}");
        let mut expected = vec!["first"];
        expected.extend(FIVE);
        expected.remove(1 + refused);
        assert_eq!(values(&broker, ORDERS), expected);

        // The batches after the gap are sent again only after all five have responses, and begin at
        // 0.
        let expected_sequences = [0, 1, 2, 3, 4, 5].map(|sequence| (0, sequence));
        let sequences = sequences(&broker, ORDERS);
        let (before, after) = sequences.split_at(expected_sequences.len());
        assert_eq!(before, expected_sequences, "refused: {refused}");
        let behind = (0..).zip(refused + 1..FIVE.len());
        let renumbered: Vec<_> = behind.map(|(sequence, _)| (1, sequence)).collect();
        assert_eq!(after, renumbered, "refused: {refused}");

        // So are the batches after them.
        send(&producer, ORDERS, "last").get_timeout(LONG).unwrap();
        assert_eq!(attempts(&broker, ORDERS).pop().unwrap().producer_epoch, 1);
        // The broker still sees the same producer id.
        assert_eq!(broker.request_count(Api::InitProducerId), 1);
    }
}

/// A batch of another partition is in the log, and its response was lost. With a new epoch it would
/// be written a second time.
#[test]
fn another_partition_keeps_its_epoch_while_it_has_batches_of_unknown_fate() {
    let broker = two_nodes();
    let producer = warm_producer(&broker);
    let (first_node, second_node) = (NodeId(1), NodeId(2));
    let unanswered = broker.new_hold();
    let on_innocent = broker.on(Api::Produce).node(second_node).times(3);
    on_innocent.then(Action::apply().hold(&unanswered));
    let innocent = send_one_by_one(&broker, &producer, INNOCENT, ["x", "y", "z"]);

    let refuse = || {
        let on_guilty = broker.on(Api::Produce).node(first_node);
        on_guilty.then(Action::fail(ErrorCode::INVALID_RECORD));
        send(&producer, ORDERS, "refused")
            .get_timeout(LONG)
            .unwrap_err();
        send(&producer, ORDERS, "taken").get_timeout(LONG).unwrap();
    };
    // The epoch is bumped twice, and meanwhile the other partition's responses are lost.
    refuse();
    let long = "w".repeat(100);
    let waiting = send(&producer, INNOCENT, &long);
    broker.disconnect(second_node).unwrap();
    refuse();
    assert_eq!(offsets(&innocent), [1, 2, 3]);
    assert_eq!(offsets(&[waiting]), [4]);
    assert_eq!(sequences(&broker, ORDERS).last(), Some(&(2, 0)));

    for (value, offset) in [("u", 5), ("v", 6)] {
        assert_eq!(offsets(&[send(&producer, INNOCENT, value)]), [offset]);
    }
    assert_eq!(
        values(&broker, INNOCENT),
        ["first", "x", "y", "z", &long, "u", "v"]
    );
    let sequences = sequences(&broker, INNOCENT);
    let old_epoch = sequences.iter().take_while(|sequence| sequence.0 == 0);
    // One attempt each, and one more for each lost response.
    assert_eq!(old_epoch.count(), 1 + 3 + 3, "{sequences:?}");
    // With no unresolved batches, the partition takes each newer epoch and begins at 0.
    for pair in sequences[6..].windows(2) {
        let [(epoch, sequence), next] = [pair[0], pair[1]];
        let may_follow = next == (epoch, sequence + 1) || (next.0 > epoch && next.1 == 0);
        assert!(may_follow, "{sequences:?}");
    }
    assert_eq!(sequences.last().unwrap().0, 2);
}

// Java: SenderTest.testUnknownProducerErrorShouldBeRetriedWhenLogStartOffsetIsUnknown, testIdempotentUnknownProducerHandling...
#[test]
fn a_broker_that_has_forgotten_the_producer_gets_a_new_epoch() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic("orders", 2)
        .unknown_producer_id(true)
        .start()
        .unwrap();
    let producer = warm_producer(&broker);
    // Retention has removed everything of this producer.
    broker.delete_records("orders", 0, 1).unwrap();
    let futures = FIVE.map(|value| send(&producer, ORDERS, value));
    assert_eq!(offsets(&futures), [1, 2, 3, 4, 5]);
    assert_eq!(values(&broker, ORDERS), FIVE);
    let sequences_there = sequences(&broker, ORDERS);
    // How many were in flight when the first was refused varies.
    let bumped = sequences_there.iter().position(|(epoch, _)| *epoch == 1);
    let (old, new) = sequences_there.split_at(bumped.unwrap());
    assert_eq!(old[..2], [(0, 0), (0, 1)]);
    assert_eq!(new[0], (1, 0));
    assert!(new.iter().all(|(epoch, _)| *epoch == 1));

    assert_eq!(offsets(&[send(&producer, INNOCENT, "x")]), [1]);
    assert_eq!(sequences(&broker, INNOCENT), [(0, 0), (1, 0)]);
}

// Java: SenderTest.testEpochBumpOnOutOfOrderSequenceForNextBatchWhenThereIsNoBatchInFlight and ...WhenBatchInFlight.
#[test]
fn a_log_that_lost_its_end_gets_a_new_epoch() {
    for in_flight_before in [0, 2] {
        let broker = two_nodes();
        let producer = warm_producer(&broker);
        let hold = broker.new_hold();
        let on_first_node = || broker.on(Api::Produce).node(NodeId(1));
        for place in 0..FIVE.len() {
            let action = match place < in_flight_before {
                true => Action::apply(),
                false => Action::fail(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
            };
            on_first_node().then(action.hold(&hold));
        }
        let futures = send_one_by_one(&broker, &producer, ORDERS, FIVE);
        hold.release();
        assert_eq!(offsets(&futures), [1, 2, 3, 4, 5]);
        assert_eq!(values(&broker, ORDERS)[1..], FIVE);
        let renumbered = (0..).zip(in_flight_before..FIVE.len());
        let renumbered = renumbered.map(|(sequence, _)| (1, sequence));
        let expected: Vec<_> = (0..6).map(|n| (0, n)).chain(renumbered).collect();
        assert_eq!(sequences(&broker, ORDERS), expected);
    }
}

/// After a batch without a response, an out-of-order error is expected and no reason to bump the
/// epoch.
#[test]
fn out_of_order_behind_an_open_batch_is_no_gap() {
    let broker = two_nodes();
    let producer = warm_producer(&broker);
    let hold = broker.new_hold();
    let on_first_node = broker.on(Api::Produce).node(NodeId(1));
    on_first_node.then(Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER).hold(&hold));
    let futures = send_one_by_one(&broker, &producer, ORDERS, FIVE);
    hold.release();
    assert_eq!(offsets(&futures), [1, 2, 3, 4, 5]);
    assert!(
        sequences(&broker, ORDERS)
            .iter()
            .all(|(epoch, _)| *epoch == 0)
    );
}

/// Lets a batch expire in flight, and releases its response after that. Returns `false` if the
/// machine was so slow that the batch expired before its second attempt.
fn expire_in_flight(is_written: bool) -> bool {
    let broker = two_nodes();
    let producer = record_by_record(&broker)
        .request_timeout(millis(2000))
        .delivery_timeout(millis(2000))
        .build()
        .unwrap();
    send(&producer, ORDERS, "first").get_timeout(LONG).unwrap();
    let hold = broker.new_hold();
    let on_first_node = || broker.on(Api::Produce).node(NodeId(1));
    // The first attempt takes half of the delivery timeout, so the second one's request timeout
    // comes a second after it.
    let late = Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER).delay(millis(1000));
    on_first_node().then(late);
    let action = match is_written {
        true => Action::apply(),
        false => Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER),
    };
    on_first_node().then(action.hold(&hold));
    let expired = send(&producer, ORDERS, "expired");
    let error = expired.get_timeout(LONG).unwrap_err();
    if attempts(&broker, ORDERS).len() < 3 {
        return false;
    }
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let connections = broker.accepted_connections();

    // A new record waits until the previous batch is resolved.
    let next = send(&producer, ORDERS, "next");
    hold.release();
    next.get_timeout(LONG).unwrap();
    let (expected_log, next_sequence): (&[_], _) = match is_written {
        true => (&["first", "expired", "next"], (0, 2)),
        false => (&["first", "next"], (1, 0)),
    };
    assert_eq!(values(&broker, ORDERS), expected_log);
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    // If the request timed out before the response, the producer never saw the response.
    if broker.accepted_connections() != connections {
        return false;
    }
    assert_eq!(sequences(&broker, ORDERS)[3..], [next_sequence]);
    true
}

// Java: SenderTest.testExpiryOfFirstBatchShouldNotCauseUnresolvedSequencesIfFutureBatchesSucceed, and ...CauseEpochBumpIfFutureBatchesFail.
#[test]
fn a_batch_that_expired_in_flight_is_a_gap_only_if_it_is_not_in_the_log() {
    for is_written in [true, false] {
        let is_seen = (0..5).any(|_| expire_in_flight(is_written));
        assert!(is_seen, "the machine is too slow");
    }
}

/// librdkafka 1.9: a topic that was missing from one metadata response keeps its sequences. If they
/// began at 0 again, the broker would take new records for duplicates, and acknowledge them without
/// writing them.
#[test]
fn a_topic_that_is_unknown_for_a_moment_keeps_its_sequences() {
    let broker = two_nodes();
    let producer = warm_producer(&broker);
    for round in 0..3 {
        let unknown = Action::fail(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        broker
            .on(Api::Metadata)
            .topic("orders")
            .times(2)
            .then(unknown.clone());
        let on_first_node = broker.on(Api::Produce).node(NodeId(1));
        on_first_node.then(unknown);
        send(&producer, ORDERS, "again").get_timeout(LONG).unwrap();
        assert!(broker.wait_for(LONG, |broker| broker.unspent_rules() == 0));
        send(&producer, ORDERS, "more").get_timeout(LONG).unwrap();
        assert_eq!(broker.log_end_offset("orders", 0), 1 + 2 * (round + 1));
    }
    assert_eq!(broker.log_end_offset("orders", 0), 7);
    assert!(
        sequences(&broker, ORDERS)
            .iter()
            .all(|(epoch, _)| *epoch == 0)
    );
}

// Java: SenderTest.testInitProducerIdRequest, testIdempotentInitProducerIdWithMaxInFlightOne...
#[test]
fn a_producer_id_is_asked_for_until_it_comes() {
    let broker = two_nodes();
    let failures = [
        Action::fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
        Action::skip().disconnect(),
        Action::fail(ErrorCode::NOT_COORDINATOR),
        Action::apply().disconnect(),
    ];
    for failure in failures {
        broker.on(Api::InitProducerId).then(failure);
    }
    let producer = warm_producer(&broker);
    assert_eq!(broker.unspent_rules(), 0);
    assert_eq!(broker.request_count(Api::InitProducerId), 5);
    assert_eq!(producer.partitions_for("orders").unwrap().len(), 2);
}

// Java: SenderTest.testClusterAuthorizationExceptionInInitProducerIdRequest.
#[test]
fn the_right_to_a_producer_id_may_come_later() {
    let broker = two_nodes();
    let forbidden = Failure::new(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    let always = broker.on(Api::InitProducerId).always();
    always.then(Action::fail(forbidden));
    let producer = record_by_record(&broker).build().unwrap();
    let error = send(&producer, ORDERS, "a").get_timeout(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authorization);
    assert_eq!(error.delivery(), Delivery::NotWritten);
    broker.clear_script();
    // A request from before may still be refused and fail the record that waits for it.
    let acked = (0..100).find_map(|_| send(&producer, ORDERS, "b").get_timeout(LONG).ok());
    assert_eq!(acked.map(|acked| acked.offset()), Some(0));
    assert_eq!(values(&broker, ORDERS), ["b"]);
}

// Java: SenderTest.testClusterAuthorizationExceptionInProduceRequest, testCancelInFlightRequestAfterFatalError.
#[test]
fn a_producer_that_is_fenced_says_so_to_every_record() {
    let broker = two_nodes();
    let producer = warm_producer(&broker);
    let hold = broker.new_hold();
    let on_first_node = broker.on(Api::Produce).node(NodeId(1));
    on_first_node.then(Action::fail(ErrorCode::PRODUCER_FENCED));
    let on_second_node = broker.on(Api::Produce).node(NodeId(2));
    on_second_node.then(Action::apply().hold(&hold));
    let in_flight = send_one_by_one(&broker, &producer, INNOCENT, ["x"]).remove(0);
    let fenced = send(&producer, ORDERS, "a").get_timeout(LONG).unwrap_err();
    assert_eq!(fenced.kind(), ErrorKind::Fenced);
    assert_eq!(fenced.delivery(), Delivery::NotWritten);
    assert!(fenced.is_fatal());
    let error = in_flight.get_timeout(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    let later = send(&producer, ORDERS, "b").get_timeout(LONG).unwrap_err();
    assert_eq!(
        (later.kind(), later.delivery()),
        (ErrorKind::Fenced, Delivery::NotWritten)
    );
    hold.release();
    producer.close(LONG).unwrap();
}
