//! Records of a partition keep the order of their sends, whatever happens to batches in flight
//! (KAFKA-3197, KAFKA-5494).

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, Failure, FakeBroker, Hold};
use kafka_producer::{ErrorCode, KafkaProducer};

use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);
const FIVE: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Sends a record: after the first acknowledgement of a producer id, five batches may be in flight.
fn warm_up(producer: &KafkaProducer, to: (&str, i32)) {
    send(producer, to, "first").get_timeout(LONG).unwrap();
}

// Java: SenderTest.testIdempotenceWithMultipleInflights, testIdempotenceWithMultipleInflightsRetriedInOrder.
#[test]
fn any_of_five_batches_in_flight_may_fail() {
    let failures = [
        Failure::new(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        Failure::new(ErrorCode::NOT_ENOUGH_REPLICAS),
        Failure::new(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND).after_append(),
        Failure::new(ErrorCode::REQUEST_TIMED_OUT).after_append(),
    ];
    for failure in failures {
        let broker = FakeBroker::builder()
            .nodes(2)
            .topic("orders", 1)
            .topic("other", 2)
            .start()
            .unwrap();
        let producer = record_by_record(&broker).build().unwrap();
        warm_up(&producer, ORDERS);
        // Metadata requests go to the second node from here on. On the first one they would count
        // as in flight.
        warm_up(&producer, ("other", 1));
        for failing in 0..1 << FIVE.len() {
            let base = broker.log_end_offset("orders", 0);
            let hold = broker.new_hold();
            for place in 0..FIVE.len() {
                let action = match failing >> place & 1 {
                    0 => Action::apply(),
                    _ => Action::fail(failure.clone()),
                };
                broker.on(Api::Produce).then(action.hold(&hold));
            }
            let futures = send_one_by_one(&broker, &producer, ORDERS, FIVE);
            hold.release();

            let expected: Vec<i64> = (base..base + 5).collect();
            assert_eq!(offsets(&futures), expected, "{failure:?}, {failing:05b}");
            let log = values(&broker, ORDERS);
            assert_eq!(
                log[log.len() - FIVE.len()..],
                FIVE,
                "{failure:?}, {failing:05b}"
            );
            assert_eq!(broker.unspent_rules(), 0);
        }
        assert_eq!(broker.log_end_offset("orders", 0), 1 + 32 * 5);
        // None of this is a gap, so the epoch did not change.
        let attempts = attempts(&broker, ORDERS);
        assert!(attempts.iter().all(|batch| batch.producer_epoch == 0));
    }
}

#[test]
fn the_connection_may_be_lost_behind_any_of_five_batches_in_flight() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let producer = record_by_record(&broker).build().unwrap();
    warm_up(&producer, ORDERS);
    for appended in 0..=FIVE.len() {
        let base = broker.log_end_offset("orders", 0);
        for place in 0..FIVE.len() {
            let action = match place < appended {
                true => Action::apply().never_reply(),
                false => Action::skip(),
            };
            broker.on(Api::Produce).then(action);
        }
        let futures = send_one_by_one(&broker, &producer, ORDERS, FIVE);
        broker.disconnect(NodeId(1)).unwrap();

        let expected: Vec<i64> = (base..base + 5).collect();
        assert_eq!(offsets(&futures), expected, "{appended} were appended");
        let log = values(&broker, ORDERS);
        assert_eq!(
            log[log.len() - FIVE.len()..],
            FIVE,
            "{appended} were appended"
        );
    }
}

/// Three nodes. Node n + 1 leads partition n of each topic.
///
/// Produce responses have no leader hints. So a record that an old leader refused is delivered only
/// after the producer has new metadata of all partitions.
fn three_nodes() -> FakeBroker {
    FakeBroker::builder()
        .nodes(3)
        .topic("orders", 3)
        .topic("other", 3)
        .versions(Api::Produce, 3..=9)
        .start()
        .unwrap()
}

/// Moves the partition from the first node to the second, and waits until the producer knows.
fn move_to_second_node(broker: &FakeBroker, producer: &KafkaProducer) {
    broker.move_leader("orders", 0, NodeId(2)).unwrap();
    broker.move_leader("orders", 1, NodeId(3)).unwrap();
    send(producer, ("orders", 1), "elsewhere")
        .get_timeout(LONG)
        .unwrap();
}

/// Releases the responses of a node, and waits until the producer has handled them: they come
/// before the response to this request.
fn release(producer: &KafkaProducer, hold: &Hold, other: (&str, i32)) {
    hold.release();
    send(producer, other, "behind").get_timeout(LONG).unwrap();
}

/// The log of the new leader may differ, so that it accepts any sequence.
#[test]
fn a_new_leader_gets_no_batch_before_the_old_one_has_answered() {
    for old_leader_appends in [true, false] {
        let broker = three_nodes();
        let producer = record_by_record(&broker).build().unwrap();
        warm_up(&producer, ORDERS);
        let old = broker.new_hold();
        let action = match old_leader_appends {
            true => Action::apply(),
            false => Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        };
        let on_old = broker.on(Api::Produce).node(NodeId(1)).times(3);
        on_old.then(action.hold(&old));
        let mut futures = send_one_by_one(&broker, &producer, ORDERS, ["a", "b", "c"]);
        move_to_second_node(&broker, &producer);
        futures.extend(["d", "e"].map(|value| send(&producer, ORDERS, value)));
        // When the new leader has answered this, it would have received the others too.
        send(&producer, ("other", 1), "marker")
            .get_timeout(LONG)
            .unwrap();
        assert!(futures.iter().all(|future| !future.is_done()));
        assert!(!values(&broker, ORDERS).contains(&"d".to_owned()));

        release(&producer, &old, ("other", 0));
        assert_eq!(
            offsets(&futures),
            [1, 2, 3, 4, 5],
            "appends: {old_leader_appends}"
        );
        assert_eq!(
            values(&broker, ORDERS),
            ["first", "a", "b", "c", "d", "e"],
            "appends: {old_leader_appends}"
        );
    }
}

/// A producer that keeps the order without idempotence.
fn one_in_flight(broker: &FakeBroker) -> KafkaProducer {
    record_by_record(broker)
        .enable_idempotence(false)
        .max_in_flight_requests_per_connection(1)
        .build()
        .unwrap()
}

#[test]
fn one_in_flight_keeps_order_without_idempotence() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let producer = one_in_flight(&broker);
    warm_up(&producer, ORDERS);
    let hold = broker.new_hold();
    let failures = [
        Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER).hold(&hold),
        Action::fail(ErrorCode::NOT_ENOUGH_REPLICAS),
        Action::apply(),
        Action::skip().disconnect(),
        Action::fail(ErrorCode::LEADER_NOT_AVAILABLE),
        Action::apply(),
        Action::fail(ErrorCode::CORRUPT_MESSAGE),
    ];
    for action in failures {
        broker.on(Api::Produce).then(action);
    }
    // So long that no batch takes two.
    let long = FIVE.map(|value| value.repeat(100));
    let futures = long.each_ref().map(|value| send(&producer, ORDERS, value));
    assert!(broker.await_requests(Api::Produce, 2, LONG));
    // The one in flight makes all others wait.
    assert!(!broker.await_requests(Api::Produce, 3, A_MOMENT));
    hold.release();
    assert_eq!(offsets(&futures), [1, 2, 3, 4, 5]);
    assert_eq!(values(&broker, ORDERS)[1..], long);
    assert_eq!(broker.unspent_rules(), 0);
}

// Java: SenderTest.testSendInOrder.
#[test]
fn one_in_flight_waits_for_the_old_leader_when_the_partition_moves() {
    let broker = three_nodes();
    let producer = one_in_flight(&broker);
    warm_up(&producer, ORDERS);
    let old = broker.new_hold();
    let refused = Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER).hold(&old);
    broker.on(Api::Produce).node(NodeId(1)).then(refused);
    let mut futures = send_one_by_one(&broker, &producer, ORDERS, ["a"]);
    move_to_second_node(&broker, &producer);

    // The new leader is free, but "a" may have to be sent there first.
    futures.push(send(&producer, ORDERS, "b"));
    for _ in 0..3 {
        send(&producer, ("other", 1), "free")
            .get_timeout(LONG)
            .unwrap();
    }
    assert_eq!(attempts(&broker, ORDERS).len(), 2);
    assert!(!futures[1].is_done());
    old.release();
    assert_eq!(offsets(&futures), [1, 2]);
    assert_eq!(values(&broker, ORDERS), ["first", "a", "b"]);
}
