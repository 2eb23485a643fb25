//! A broker that has lost the state of a producer accepts any sequence. Even then nothing is
//! duplicated or reordered, and everything acknowledged is in the log.

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{Delivery, ErrorCode};

use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);

fn broker() -> FakeBroker {
    FakeBroker::builder().topic("orders", 1).start().unwrap()
}

/// The first of two batches is refused. The broker does not know the producer and appends the
/// second one.
fn refuse_first_of_two(is_answered: bool) {
    let broker = broker();
    // The end of the connection is seen before the first batch is sent again.
    let backoff = millis(500);
    let producer = record_by_record(&broker)
        .retry_backoff(backoff)
        .retry_backoff_max(backoff)
        .build()
        .unwrap();
    send(&producer, ORDERS, "first").get_timeout(LONG).unwrap();
    broker.forget_producers("orders", 0).unwrap();

    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::NOT_ENOUGH_REPLICAS).hold(&hold));
    let second = match is_answered {
        true => Action::apply(),
        false => Action::apply().disconnect(),
    };
    broker.on(Api::Produce).then(second.hold(&hold));
    let futures = send_one_by_one(&broker, &producer, ORDERS, ["a", "b"]);
    hold.release();
    let error = futures[0].get_timeout(LONG).unwrap_err();
    assert_eq!(error.delivery(), Delivery::NotWritten, "{error}");
    assert_eq!(futures[1].get_timeout(LONG).unwrap().offset(), 1);
    assert_eq!(values(&broker, ORDERS), ["first", "b"]);
    // The program decides what to do with the failed record, and the producer continues.
    send(&producer, ORDERS, "a").get_timeout(LONG).unwrap();
    assert_eq!(values(&broker, ORDERS), ["first", "b", "a"]);
}

// Before the fix the log was `[first, b, a]`, and both records were acknowledged.
#[test]
fn a_broker_that_forgot_the_producer_reorders_nothing() {
    refuse_first_of_two(true);
}

// Before the fix the log was `[first, b, a, b]`, and both records were acknowledged.
#[test]
fn a_broker_that_forgot_the_producer_doubles_nothing() {
    refuse_first_of_two(false);
}

#[test]
fn a_producer_id_that_no_broker_knows_is_replaced() {
    let broker = broker();
    let producer = record_by_record(&broker).build().unwrap();
    send(&producer, ORDERS, "first").get_timeout(LONG).unwrap();
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    send(&producer, ORDERS, "second").get_timeout(LONG).unwrap();
    assert_eq!(values(&broker, ORDERS), ["first", "second"]);
    assert_eq!(broker.request_count(Api::InitProducerId), 2);
}

/// Another producer has the same id on the other cluster. Before the fix, three of six records were
/// acknowledged that are not in the log.
#[test]
fn another_cluster_behind_the_same_address_takes_nothing_for_a_duplicate() {
    let broker = broker();
    let producer = record_by_record(&broker).build().unwrap();
    for value in ["a", "b", "c"] {
        send(&producer, ORDERS, value).get_timeout(LONG).unwrap();
    }
    broker.replace_cluster("rebuilt").unwrap();
    let other = record_by_record(&broker).build().unwrap();
    let theirs = ["1", "2", "3", "4", "5", "6"];
    for value in theirs {
        send(&other, ORDERS, value).get_timeout(LONG).unwrap();
    }
    let ours = ["d", "e", "f"];
    for value in ours {
        send(&producer, ORDERS, value).get_timeout(LONG).unwrap();
    }
    let mut expected = theirs.to_vec();
    expected.extend(ours);
    assert_eq!(values(&broker, ORDERS), expected);
}

/// Records are sent all the time, so some are sent when the connection is back but the metadata is
/// not.
#[test]
fn no_batch_reaches_another_cluster_with_the_old_producer_id() {
    let broker = broker();
    let producer = record_by_record(&broker).build().unwrap();
    for value in ["a", "b", "c"] {
        send(&producer, ORDERS, value).get_timeout(LONG).unwrap();
    }
    broker.replace_cluster("rebuilt").unwrap();
    let futures: Vec<_> = (0..50)
        .map(|number| send(&producer, ORDERS, &number.to_string()))
        .collect();
    let mut acknowledged = Vec::new();
    for (number, future) in futures.iter().enumerate() {
        match future.get_timeout(LONG) {
            Ok(_) => acknowledged.push(number.to_string()),
            Err(error) => assert!(!error.is_fatal(), "{error:?}"),
        }
    }
    assert!(!acknowledged.is_empty());
    // Sequences of the old cluster would have come first.
    let stored = broker.batches("orders", 0);
    assert_eq!(stored[0].header.base_sequence, 0, "{stored:?}");
    assert_eq!(values(&broker, ORDERS), acknowledged);
}
