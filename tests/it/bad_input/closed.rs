//! Calls on a closed producer, and calls that are waiting when the producer is closed.

use std::sync::mpsc;
use std::time::Duration;

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{Delivery, ErrorKind, ProducerRecord};

use super::{PATIENCE, chain, deliver, impatient, producer_for};

// Java: KafkaProducerTest.testSendAfterClose..., closeShouldBeIdempotent.
#[test]
fn a_closed_producer_takes_nothing() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let producer = producer_for(&broker);
    deliver(&producer, ProducerRecord::new("orders", "v")).unwrap();
    producer.close(PATIENCE).unwrap();
    producer.close(PATIENCE).unwrap();
    producer.flush().unwrap();

    let record = || ProducerRecord::new("orders", "late");
    let errors = [
        producer.send(record()).unwrap_err(),
        producer.try_send(record()).unwrap_err().error,
        producer
            .send_with_callback(record(), |_| panic!("it is dropped"))
            .unwrap_err(),
        producer
            .try_send_with_callback(record(), |_| panic!("it is dropped"))
            .unwrap_err()
            .error,
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(chain(&error), ["the producer is closed"]);
        assert!(error.is_fatal() && !error.is_retriable());
        assert_eq!(error.delivery(), Delivery::NotWritten);
    }
    let error = producer.partitions_for("unknown").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{:?}", chain(&error));
    assert_eq!(broker.record_count("orders"), 1);
}

#[test]
fn a_close_that_ends_a_wait_for_metadata() {
    let broker = FakeBroker::builder().start().unwrap();
    let hold = broker.new_hold();
    broker
        .on(Api::Metadata)
        .always()
        .then(Action::apply().hold_request(&hold));
    let producer = impatient(&broker.bootstrap_servers())
        .max_block(PATIENCE)
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| deliver(&producer, ProducerRecord::new("orders", "v")));
        assert!(broker.await_requests(Api::Metadata, 1, PATIENCE));
        producer.close(Duration::ZERO).unwrap();
        let error = sent.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(error.delivery(), Delivery::NotWritten);
        let expected = "the producer was closed while the call waited for cluster metadata";
        // If the thread had not begun to wait, it has the same result.
        let texts = chain(&error);
        assert!(
            texts == [expected] || texts == ["the producer is closed"],
            "{texts:?}"
        );
    });
}

#[test]
fn a_close_that_comes_before_the_deliveries() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let producer = producer_for(&broker);
    deliver(&producer, ProducerRecord::new("orders", "first")).unwrap();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .always()
        .then(Action::apply().hold_request(&hold));
    let in_flight = producer.send(ProducerRecord::new("orders", "v")).unwrap();
    assert!(broker.await_requests(Api::Produce, 2, PATIENCE));

    let closed = producer.close(Duration::from_millis(1)).unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Timeout);
    assert_eq!(
        chain(&closed),
        ["the producer was closed, and 1 record had not been delivered after 1 ms"]
    );
    let error = in_flight.get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    assert_eq!(
        chain(&error),
        ["the producer was closed before the record was delivered"]
    );
}

/// A call that would wait for its own thread fails with an error that says so.
#[test]
fn calls_that_would_wait_inside_a_callback() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let producer = std::sync::Arc::new(producer_for(&broker));
    let (tell, told) = mpsc::channel();
    let inside = std::sync::Arc::clone(&producer);
    producer
        .send_with_callback(ProducerRecord::new("orders", "v"), move |_| {
            let future = inside.send(ProducerRecord::new("orders", "w")).unwrap();
            tell.send([
                inside.flush().unwrap_err(),
                inside.partitions_for("unknown").unwrap_err(),
                inside
                    .send(ProducerRecord::new("unknown", "v"))
                    .unwrap_err(),
                future.get().unwrap_err(),
            ])
            .unwrap();
        })
        .unwrap();
    let errors = told.recv_timeout(PATIENCE).unwrap();
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::WouldDeadlock);
        let text = error.to_string();
        assert!(text.contains("inside a callback"), "{text}");
        assert!(!error.is_fatal());
    }
    producer.close(PATIENCE).unwrap();
    assert_eq!(
        broker.record_count("orders"),
        2,
        "that send had not to wait"
    );
}
