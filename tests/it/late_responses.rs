//! Unexpected responses: duplicates, without a request, for other partitions, truncated, or none at
//! all. Nothing completes twice, and nothing waits forever (KAFKA-4966).

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{Delivery, ErrorKind, KafkaProducer, ProducerRecord};

use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);

fn broker() -> FakeBroker {
    FakeBroker::builder().topic("orders", 2).start().unwrap()
}

/// Sends records to both partitions in one request, which is answered with `action`, and then
/// another one to each. All of them must be delivered exactly once.
fn deliver_in_spite_of(broker: &FakeBroker, producer: &KafkaProducer, action: Action) {
    let before = broker.log_end_offset("orders", 0);
    broker.on(Api::Produce).then(action.clone());
    let outcomes = Outcomes::default();
    for value in ["a", "b"] {
        for partition in [0, 1] {
            let record = ProducerRecord::new("orders", value).partition(partition);
            let callback = outcomes.callback(format!("{value}{partition}"));
            producer.send_with_callback(record, callback).unwrap();
        }
    }
    producer.flush().unwrap();
    for partition in [0, 1] {
        let last = send(producer, ("orders", partition), "c");
        assert_eq!(offsets(&[last]), [before + 2], "{action:?}");
        let log = values(broker, ("orders", partition));
        assert_eq!(log[log.len() - 3..], ["a", "b", "c"], "{action:?}");
    }
    for (label, result) in outcomes.wait_for(4) {
        assert!(result.is_ok(), "{action:?}: {label} {result:?}");
    }
    assert_eq!(broker.unspent_rules(), 0);
}

#[test]
fn answers_that_are_no_answers_cost_a_connection_and_nothing_else() {
    let broker = broker();
    let producer = quick(&broker).linger(millis(20)).build().unwrap();
    let unexpected = [
        Action::apply().reply_twice(),
        Action::apply().wrong_correlation_id(),
        Action::apply().cut_reply(0),
        Action::apply().cut_reply(3),
        Action::apply().cut_reply(9),
        Action::apply().cut_reply(20),
        Action::apply().reply_with_bytes(*b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        Action::apply().reply_with_bytes([0xff; 4]),
        Action::apply().reply_with_bytes([0; 4]),
        Action::skip().reply_with_body([]),
        Action::apply().reply_with_body([0xff; 40]),
        Action::apply().disconnect(),
    ];
    for action in unexpected {
        let connections = broker.accepted_connections();
        deliver_in_spite_of(&broker, &producer, action.clone());
        assert!(
            broker.accepted_connections() > connections,
            "a connection that is out of step was used on: {action:?}"
        );
    }
    producer.close(LONG).unwrap();
}

/// The error is within one response, so the connection can still be used.
#[test]
fn a_partition_that_is_left_out_is_asked_about_again() {
    let broker = broker();
    let producer = quick(&broker).linger(millis(20)).build().unwrap();
    for partition in [0, 1] {
        let omitted = Action::apply().omit_partition("orders", partition);
        deliver_in_spite_of(&broker, &producer, omitted);
    }
    let omitted = Action::apply()
        .omit_partition("orders", 0)
        .omit_partition("orders", 1);
    deliver_in_spite_of(&broker, &producer, omitted);
}

/// A second response to one request must not count as that to the next one.
#[test]
fn a_second_answer_does_not_count_for_the_next_request() {
    let broker = broker();
    let producer = record_by_record(&broker).build().unwrap();
    send(&producer, ORDERS, "first").get_timeout(LONG).unwrap();
    let hold = broker.new_hold();
    let twice = Action::apply().hold(&hold).reply_twice();
    broker.on(Api::Produce).then(twice);
    // This record is never written unless it is sent again.
    broker.on(Api::Produce).then(Action::skip());
    let futures = send_one_by_one(&broker, &producer, ORDERS, ["a", "b"]);
    hold.release();
    assert_eq!(offsets(&futures), [1, 2]);
    assert_eq!(values(&broker, ORDERS), ["first", "a", "b"]);
}

/// The response comes after the request timed out and its connection was closed.
#[test]
fn an_answer_after_the_request_timeout_goes_nowhere() {
    let broker = broker();
    let producer = record_by_record(&broker)
        .request_timeout(millis(100))
        .delivery_timeout(LONG)
        .build()
        .unwrap();
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    let outcomes = Outcomes::default();
    let record = ProducerRecord::new("orders", "a").partition(0);
    let added = producer.send_with_callback(record, outcomes.callback("a"));
    added.unwrap();
    assert!(broker.await_requests(Api::Produce, 2, LONG));
    hold.release();
    let (_, result) = outcomes.wait_for(1).remove(0);
    assert_eq!(result.unwrap().offset(), 0);
    send(&producer, ORDERS, "b").get_timeout(LONG).unwrap();
    assert_eq!(values(&broker, ORDERS), ["a", "b"]);
    assert_eq!(outcomes.len(), 1);
}

/// The broker writes a request whose connection is closed, much later.
#[test]
fn a_write_after_the_delivery_timeout_makes_no_duplicate() {
    let broker = broker();
    let producer = record_by_record(&broker)
        .request_timeout(millis(1000))
        .delivery_timeout(millis(1500))
        .build()
        .unwrap();
    send(&producer, ORDERS, "first").get_timeout(LONG).unwrap();
    let hold = broker.new_hold();
    let late = Action::apply().hold_request(&hold);
    broker.on(Api::Produce).then(late);
    broker.on(Api::Produce).always().then(Action::skip());
    let error = send(&producer, ORDERS, "late")
        .get_timeout(LONG)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    broker.clear_script();
    hold.release();
    assert!(broker.await_records("orders", 2, LONG));
    // Its sequence is in use, so these records have other sequences.
    for value in ["a", "b"] {
        send(&producer, ORDERS, value).get_timeout(LONG).unwrap();
    }
    assert_eq!(values(&broker, ORDERS), ["first", "late", "a", "b"]);
}
