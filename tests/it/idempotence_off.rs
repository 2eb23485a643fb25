//! Without idempotence a record is written at least once, and every error says what is known of the
//! delivery.

use kafka_producer::testing::{Action, Api, Failure, FakeBroker};
use kafka_producer::{Acks, Delivery, ErrorCode, ErrorKind, KafkaProducerBuilder};

use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);

fn broker() -> FakeBroker {
    FakeBroker::builder().topic("orders", 1).start().unwrap()
}

fn plain(broker: &FakeBroker) -> KafkaProducerBuilder {
    record_by_record(broker).enable_idempotence(false)
}

#[test]
fn nothing_of_idempotence_is_on_the_wire() {
    // An old cluster, or one with restricted access, may assign no producer ids.
    let broker = FakeBroker::builder()
        .topic("orders", 1)
        .without_api(Api::InitProducerId)
        .start()
        .unwrap();
    let producer = plain(&broker).build().unwrap();
    assert_eq!(offsets(&[send(&producer, ORDERS, "a")]), [0]);
    let batch = attempts(&broker, ORDERS).remove(0);
    let ids = (batch.producer_id, batch.producer_epoch, batch.base_sequence);
    assert_eq!(ids, (-1, -1, -1));
}

// Java: SenderTest.testRetries, testCanRetryWithoutIdempotence.
#[test]
fn what_may_pass_is_tried_again() {
    let broker = broker();
    let producer = plain(&broker).build().unwrap();
    let codes = [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::LEADER_NOT_AVAILABLE,
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::CORRUPT_MESSAGE,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::FENCED_LEADER_EPOCH,
    ];
    for code in codes {
        broker.on(Api::Produce).then(Action::fail(code));
    }
    broker.on(Api::Produce).then(Action::skip().disconnect());
    assert_eq!(offsets(&[send(&producer, ORDERS, "a")]), [0]);
    assert_eq!(attempts(&broker, ORDERS).len(), codes.len() + 2);
    // Every attempt has the same bytes.
    let attempts = attempts(&broker, ORDERS);
    assert!(attempts.iter().all(|attempt| *attempt == attempts[0]));
}

#[test]
fn a_lost_reply_makes_a_duplicate() {
    let broker = broker();
    let producer = plain(&broker).build().unwrap();
    broker.on(Api::Produce).then(Action::apply().disconnect());
    assert_eq!(offsets(&[send(&producer, ORDERS, "a")]), [1]);
    assert_eq!(values(&broker, ORDERS), ["a", "a"]);
}

/// With five requests in flight and no sequences, a retried batch goes behind those that were
/// accepted. Idempotence, or one request in flight, prevents that.
#[test]
fn retries_change_the_order_of_records_in_flight() {
    let broker = broker();
    let producer = plain(&broker).build().unwrap();
    let hold = broker.new_hold();
    let refused = Action::fail(ErrorCode::NOT_ENOUGH_REPLICAS);
    broker.on(Api::Produce).then(refused.hold(&hold));
    let futures = send_one_by_one(&broker, &producer, ORDERS, ["a", "b", "c"]);
    assert!(broker.await_records("orders", 2, LONG));
    hold.release();
    assert_eq!(offsets(&futures), [2, 0, 1]);
    assert_eq!(values(&broker, ORDERS), ["b", "c", "a"]);
}

#[test]
fn what_cannot_pass_fails_at_once() {
    let broker = broker();
    let producer = plain(&broker).build().unwrap();
    let failures = [
        (
            ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            ErrorKind::Authorization,
        ),
        (
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
            ErrorKind::Authorization,
        ),
        (ErrorCode::MESSAGE_TOO_LARGE, ErrorKind::RecordTooLarge),
        (ErrorCode::INVALID_RECORD, ErrorKind::Broker),
        (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorKind::Broker),
        (ErrorCode::PRODUCER_FENCED, ErrorKind::Fenced),
    ];
    for (code, kind) in failures {
        let failure = Failure::new(code).message("said the broker");
        broker.on(Api::Produce).then(Action::fail(failure));
        let error = send(&producer, ORDERS, "a").get_timeout(LONG).unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, Some(code)));
        assert_eq!(error.delivery(), Delivery::NotWritten, "{code}");
        let text = error.to_string();
        assert!(text.contains("said the broker"), "{text}");
        let partition = error.topic_partition().unwrap();
        assert_eq!((partition.topic(), partition.partition()), ORDERS);
    }
    // None of these errors is fatal for a producer without sequences.
    assert_eq!(offsets(&[send(&producer, ORDERS, "b")]), [0]);
    assert_eq!(broker.request_count(Api::Produce), failures.len() + 1);
}

// Java: SenderTest.testRetries, the part where the retries are used up.
#[test]
fn retries_are_counted() {
    for (acks, failure, delivery) in [
        (
            Acks::All,
            ErrorCode::NOT_ENOUGH_REPLICAS,
            Delivery::NotWritten,
        ),
        (
            Acks::Leader,
            ErrorCode::REQUEST_TIMED_OUT,
            Delivery::MaybeWritten,
        ),
    ] {
        let broker = broker();
        let producer = plain(&broker).acks(acks).retries(3).build().unwrap();
        let always = broker.on(Api::Produce).always();
        always.then(Action::fail(failure));
        let error = send(&producer, ORDERS, "a").get_timeout(LONG).unwrap_err();
        assert_eq!(error.code(), Some(failure));
        assert_eq!(error.delivery(), delivery);
        assert_eq!(broker.request_count(Api::Produce), 4);
    }
}

/// Without retries the first lost connection fails the record, and its delivery is unknown.
#[test]
fn no_retries_is_at_most_once() {
    let broker = broker();
    let producer = plain(&broker).retries(0).build().unwrap();
    for action in [Action::apply(), Action::skip()] {
        broker.on(Api::Produce).then(action.disconnect());
        let error = send(&producer, ORDERS, "a").get_timeout(LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert_eq!(error.delivery(), Delivery::MaybeWritten);
    }
    assert_eq!(values(&broker, ORDERS), ["a"]);
    assert_eq!(broker.request_count(Api::Produce), 2);
}

/// A response about sequences, although none was sent.
#[test]
fn a_duplicate_sequence_is_a_success_here_too() {
    let broker = broker();
    let producer = plain(&broker).build().unwrap();
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::DUPLICATE_SEQUENCE_NUMBER));
    let metadata = send(&producer, ORDERS, "a").get_timeout(LONG).unwrap();
    assert!(!metadata.has_offset());
}
