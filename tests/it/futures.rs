//! The result of a record: it can be awaited in several ways and by many. Asking for it sends the
//! batch at once but leaves the batch open.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kafka_producer::testing::{Action, Api, FakeBroker, TopicConfig};
use kafka_producer::{Delivery, ErrorCode, ErrorKind, ProducerRecord};

use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);
/// Longer than any test, so that no batch is sent because of its linger time.
const FOR_EVER: Duration = Duration::from_secs(50);

fn broker() -> FakeBroker {
    FakeBroker::builder().topic("orders", 1).start().unwrap()
}

#[test]
fn looking_is_not_asking() {
    let broker = broker();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    let future = send(&producer, ORDERS, "a");
    assert!(!future.is_done());
    assert!(future.try_get().is_none());
    assert!(!broker.await_requests(Api::Produce, 1, A_MOMENT));

    // A waiting caller does not wait for the linger time.
    assert_eq!(future.get_timeout(LONG).unwrap().offset(), 0);
    assert!(future.is_done());
    assert_eq!(future.get().unwrap().offset(), 0);
    // The result can be read again.
    assert_eq!(future.try_get().unwrap().unwrap().offset(), 0);
    assert_eq!(future.get_timeout(Duration::ZERO).unwrap().offset(), 0);
}

// Java: FutureRecordMetadataTest.testFutureGetWithSeconds, testFutureGetWithMilliSeconds.
#[test]
fn a_wait_that_ends_early_says_nothing_about_the_record() {
    let broker = broker();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    let future = send(&producer, ORDERS, "a");
    for timeout in [Duration::ZERO, millis(20)] {
        let error = future.get_timeout(timeout).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Pending);
        assert!(!error.is_retriable() && !error.is_timeout(), "{error:?}");
        assert_eq!(error.delivery(), Delivery::MaybeWritten);
        let reason = error.timeout().unwrap();
        assert_eq!((reason.waited, reason.config), (timeout, None));
        assert!(!future.is_done());
    }
    hold.release();
    assert_eq!(future.get_timeout(LONG).unwrap().offset(), 0);
    assert_eq!(broker.request_count(Api::Produce), 1);
}

#[test]
fn many_may_wait_for_one_delivery() {
    const WAITERS: usize = 16;
    let broker = broker();
    let producer = quick(&broker).build().unwrap();
    for is_delivered in [true, false] {
        let hold = broker.new_hold();
        let action = match is_delivered {
            true => Action::apply(),
            false => Action::fail(ErrorCode::INVALID_RECORD),
        };
        broker.on(Api::Produce).then(action.hold(&hold));
        let future = Arc::new(send(&producer, ORDERS, "a"));
        let waiters: Vec<_> = (0..WAITERS)
            .map(|number| {
                let future = Arc::clone(&future);
                thread::spawn(move || match number % 2 {
                    0 => future.get(),
                    _ => future.get_timeout(LONG),
                })
            })
            .collect();
        hold.release();
        for waiter in waiters {
            match waiter.join().unwrap() {
                Ok(metadata) => assert_eq!((is_delivered, metadata.offset()), (true, 0)),
                Err(error) => {
                    assert!(!is_delivered);
                    assert_eq!(error.code(), Some(ErrorCode::INVALID_RECORD));
                }
            }
        }
    }
}

/// A batch that somebody waits for stays open until it is drained. Here it waits for the one
/// request in flight.
#[test]
fn a_batch_that_is_asked_for_takes_the_records_of_others() {
    let broker = broker();
    let producer = quick(&broker)
        .linger(FOR_EVER)
        .max_in_flight_requests_per_connection(1)
        .build()
        .unwrap();
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    thread::scope(|scope| {
        let first = scope.spawn(|| send(&producer, ORDERS, "first").get().unwrap());
        assert!(broker.await_requests(Api::Produce, 1, LONG));
        let asked = send(&producer, ORDERS, "asked");
        let asked = scope.spawn(move || asked.get_timeout(LONG).unwrap());
        let others: Vec<_> = (0..50).map(|_| send(&producer, ORDERS, "other")).collect();
        hold.release();
        assert_eq!(first.join().unwrap().offset(), 0);
        assert_eq!(asked.join().unwrap().offset(), 1);
        assert_eq!(others[49].try_get().unwrap().unwrap().offset(), 51);
    });
    let sizes: Vec<_> = attempts(&broker, ORDERS)
        .iter()
        .map(|batch| batch.record_count)
        .collect();
    assert_eq!(sizes, [1, 51]);
}

/// Callers that wait for each of their records share batches behind the requests in flight.
#[test]
fn many_blocking_callers_share_batches() {
    const CALLERS: usize = 32;
    const RECORDS: usize = 20;
    let broker = broker();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    broker
        .on(Api::Produce)
        .always()
        .then(Action::apply().delay(millis(20)));
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let mut last = -1;
                for _ in 0..RECORDS {
                    let offset = send(&producer, ORDERS, "v").get().unwrap().offset();
                    assert!(offset > last);
                    last = offset;
                }
            });
        }
    });
    let records = CALLERS * RECORDS;
    assert_eq!(broker.log_end_offset("orders", 0), records as i64);
    let requests = broker.request_count(Api::Produce);
    assert!(requests < records / 2, "{requests} for {records} records");
}

// Java: ProducerBatchTest.testSplitPreservesHeaders for the bytes, FutureRecordMetadata.chain for
// the futures.
#[test]
fn futures_follow_their_records_through_splits() {
    let topic = TopicConfig::new(1).max_message_bytes(400);
    let broker = FakeBroker::builder()
        .topic_with("orders", topic)
        .start()
        .unwrap();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    let mut futures: Vec<_> = (0..9)
        .map(|number| send(&producer, ORDERS, &number.to_string().repeat(100)))
        .collect();
    // Larger than the broker accepts even if it is alone.
    futures.insert(4, send(&producer, ORDERS, &"x".repeat(500)));
    thread::scope(|scope| {
        for (place, future) in futures.iter().enumerate() {
            scope.spawn(move || {
                let result = future.get_timeout(LONG);
                if place == 4 {
                    let error = result.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
                    assert_eq!(error.code(), Some(ErrorCode::MESSAGE_TOO_LARGE));
                } else {
                    let offset = place as i64 - i64::from(place > 4);
                    assert_eq!(result.unwrap().offset(), offset);
                }
            });
        }
    });
    assert!(futures.iter().all(|future| future.is_done()));
}

/// Dropping a future changes nothing.
#[test]
fn a_future_may_be_dropped() {
    let broker = broker();
    let producer = quick(&broker).build().unwrap();
    for _ in 0..100 {
        drop(send(&producer, ORDERS, "v"));
    }
    producer.flush().unwrap();
    assert_eq!(broker.log_end_offset("orders", 0), 100);
}

/// A future outlives the producer.
#[test]
fn a_future_may_be_kept() {
    let broker = broker();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    let record = ProducerRecord::new("orders", "abc").key("k").timestamp(7);
    let future = producer.send(record).unwrap();
    drop(producer);
    drop(broker);
    let metadata = future.get().unwrap();
    assert_eq!(
        (metadata.topic_partition().topic(), metadata.offset()),
        ("orders", 0)
    );
    assert_eq!(metadata.timestamp(), Some(7));
    let sizes = (
        metadata.serialized_key_size(),
        metadata.serialized_value_size(),
    );
    assert_eq!(sizes, (Some(1), Some(3)));
}
