//! One call sends many records. Each has its own result, whatever the results of the others, and
//! one future returns all of them.

use std::sync::Arc;
use std::time::Duration;

use kafka_producer::producer::serializer_fn;
use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    Error, ErrorCode, ErrorKind, MockProducer, Producer, ProducerExt, ProducerRecord, RecordFuture,
    RecordFutures,
};

use crate::support::executor::*;
use crate::support::producing::*;

const FOR_EVER: Duration = Duration::from_secs(50);

fn broker() -> FakeBroker {
    FakeBroker::builder().topic("orders", 3).start().unwrap()
}

fn records(count: usize) -> impl Iterator<Item = ProducerRecord<'static>> {
    (0..count).map(|number| {
        ProducerRecord::new("orders", number.to_string()).partition(number as i32 % 3)
    })
}

#[test]
fn all_records_are_sent_and_waited_for_together() {
    let broker = broker();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    let sent = producer.send_all(records(30));
    assert_eq!(
        (sent.len(), sent.is_empty(), sent.is_done()),
        (30, false, false)
    );
    let delivered = sent.get().unwrap();
    let places: Vec<_> = delivered
        .iter()
        .map(|metadata| (metadata.partition(), metadata.offset()))
        .collect();
    let expected: Vec<_> = (0..30)
        .map(|number| (number % 3, i64::from(number / 3)))
        .collect();
    assert_eq!(places, expected);
    // The batches of all partitions were sent together, and did not linger one after another.
    let awaited = block_on(producer.send_all(records(30))).unwrap();
    assert_eq!(awaited.len(), 30);
    assert!(producer.send_all([]).get().unwrap().is_empty());
}

/// The fifth record fails in `send`, and the others are delivered.
#[test]
fn a_record_that_is_not_taken_loses_none_of_the_others() {
    let broker = broker();
    let no_five = serializer_fn(|value: &String| match value.as_str() {
        "5" => Err("not five"),
        value => Ok(value.as_bytes().to_vec()),
    });
    let producer = quick(&broker).value_serializer(no_five).build().unwrap();
    let record = |number: i32| ProducerRecord::new("orders", number.to_string()).partition(0);
    for is_awaited in [false, true] {
        let sent = producer.send_all((1..=8).map(record));
        let error = match is_awaited {
            true => block_on(sent).unwrap_err(),
            false => sent.get().unwrap_err(),
        };
        assert_eq!(
            (error.succeeded(), error.failed(), error.pending()),
            (7, 1, 0)
        );
        assert_eq!(error.first_error().kind(), ErrorKind::Serialization);
        assert!(
            error
                .to_string()
                .starts_with("1 of 8 records failed; the first: "),
            "{error}"
        );
        let failed: Vec<_> = error.results().iter().map(Result::is_err).collect();
        let expected: Vec<_> = (1..=8).map(|number| number == 5).collect();
        assert_eq!(failed, expected);
        assert_eq!(error.clone().into_results().len(), 8);
        assert_eq!(Error::from(error).kind(), ErrorKind::Serialization);
    }
    assert_eq!(broker.log_end_offset("orders", 0), 14);
}

#[test]
fn what_is_pending_is_no_failure_and_its_time_is_one_for_all() {
    let broker = broker();
    let producer = quick(&broker).build().unwrap();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .partition("orders", 1)
        .then(Action::apply().hold(&hold));
    let refused = producer.send(ProducerRecord::new("orders", "a").partition(-5));
    assert!(refused.is_err());
    let held = send(&producer, ("orders", 1), "held");
    assert!(broker.await_requests(Api::Produce, 1, LONG));
    let mut joined = RecordFuture::join([held]);
    let error = joined.get_timeout(Duration::ZERO).unwrap_err();
    assert_eq!((error.failed(), error.pending()), (0, 1));
    assert_eq!(error.first_error().kind(), ErrorKind::Pending);

    // A failure outranks a pending record, even if it comes later.
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::INVALID_RECORD));
    hold.release();
    let failed = send(&producer, ("orders", 2), "failed");
    assert!(failed.get_timeout(LONG).is_err());
    joined.extend([failed]);
    let error = joined.get_timeout(LONG).unwrap_err();
    assert_eq!((error.succeeded(), error.failed()), (1, 1));
    assert_eq!(error.first_error().code(), Some(ErrorCode::INVALID_RECORD));
    let apart: Vec<RecordFuture> = joined.into_iter().collect();
    assert_eq!(apart.len(), 2);
}

/// Each of the other records would wait for `max.block.ms` too.
#[test]
fn in_an_outage_one_record_waits_and_the_others_fail_at_once() {
    let broker = broker();
    broker.on(Api::Metadata).always().then(Action::skip());
    let producer = Arc::new(quick(&broker).max_block(millis(80)).build().unwrap());
    let shared = Arc::clone(&producer) as Arc<dyn Producer>;
    for sent in [
        producer.send_all(records(1000)),
        shared.send_all(records(1000)),
    ] {
        let error = sent.get().unwrap_err();
        assert_eq!((error.succeeded(), error.failed()), (0, 1000));
        let waited: Duration = error
            .results()
            .iter()
            .map(|result| result.as_ref().unwrap_err().timeout().unwrap().waited)
            .sum();
        assert_eq!(waited, millis(80));
    }
}

#[test]
fn records_that_are_taken_do_not_make_the_others_wait_again() {
    let broker = broker();
    let producer = quick(&broker).max_block(millis(80)).build().unwrap();
    // On a busy machine the first metadata may take longer than the timeout.
    while producer.partitions_for("orders").is_err() {}
    broker.on(Api::Metadata).always().then(Action::skip());
    let topics = ["missing", "orders"].into_iter().cycle();
    let mixed = topics.map(|topic| ProducerRecord::new(topic, "value"));
    let sent: Vec<_> = producer.send_all(mixed.take(20)).into_iter().collect();
    let refused: Vec<_> = sent
        .iter()
        .filter_map(|future| future.try_get()?.err())
        .collect();
    assert_eq!(refused.len(), 10);
    let waited = refused.iter().map(|error| error.timeout().unwrap().waited);
    assert_eq!(waited.sum::<Duration>(), millis(80));
    drop(producer.close(Duration::ZERO));
}

#[test]
fn every_producer_sends_all() {
    fn send_all(producer: &impl Producer) -> RecordFutures {
        ProducerExt::send_all(producer, records(3))
    }
    let mock = Arc::new(MockProducer::new(false).with_topic("orders", 3));
    let sent = send_all(&mock);
    for _ in 0..2 {
        mock.complete_next();
    }
    mock.error_next(ErrorCode::INVALID_RECORD);
    let error = sent.get().unwrap_err();
    assert_eq!((error.succeeded(), error.failed()), (2, 1));
    assert!(error.results()[2].is_err());
    let boxed: Box<dyn Producer> = Box::new(MockProducer::new(true));
    assert_eq!(boxed.send_all(records(1)).get().unwrap().len(), 1);
}

/// A wait inside a callback fails, but the records are still sent.
#[test]
fn records_whose_wait_fails_in_a_callback_are_pending_and_not_failed() {
    let broker = broker();
    let producer = Arc::new(quick(&broker).build().unwrap());
    producer.partitions_for("orders").unwrap();
    let (sender, counts) = std::sync::mpsc::channel();
    let inside = Arc::clone(&producer);
    let callback = move |_| {
        let error = inside.send_all(records(3)).get().unwrap_err();
        sender.send((error.failed(), error.pending())).unwrap();
    };
    let first = ProducerRecord::new("orders", "first");
    producer.send_with_callback(first, callback).unwrap();
    assert_eq!(counts.recv_timeout(LONG).unwrap(), (0, 3));
    producer.flush().unwrap();
    assert_eq!(broker.record_count("orders"), 4);
}
