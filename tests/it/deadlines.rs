//! A caller's deadline covers everything that a send or a flush waits for, and the error says what
//! it was waiting for.

use std::sync::Arc;
use std::time::Duration;

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    Delivery, Error, ErrorCode, ErrorKind, KafkaProducer, MockProducer, Producer, ProducerRecord,
    SendStep, SendTimeoutError,
};

use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(50);

fn broker() -> FakeBroker {
    FakeBroker::builder().topic("orders", 1).start().unwrap()
}

fn record(value: &str) -> ProducerRecord<'_> {
    ProducerRecord::new("orders", value)
}

/// Waits for the topic first, so that a short deadline is not spent on that.
fn await_topic(producer: &KafkaProducer) {
    while producer.partitions_for("orders").is_err() {}
}

#[track_caller]
fn assert_step(unfinished: &SendTimeoutError, step: SendStep, timeout: Duration) {
    let error = &unfinished.error;
    assert_eq!(unfinished.step, Some(step), "{error:?}");
    let reason = error.timeout().unwrap();
    assert_eq!((reason.waited, reason.config), (timeout, None));
    let is_sent = step == SendStep::Response;
    assert_eq!(unfinished.future.is_some(), is_sent);
    assert_eq!(error.delivery() == Delivery::MaybeWritten, is_sent);
    let text = error.to_string();
    assert!(!text.contains("max.block.ms"), "{text}");
    assert!(
        text.contains(&format!("{} ms", timeout.as_millis())),
        "{text}"
    );
}

/// A topic that is not in the metadata. `max.block.ms` is a minute.
#[test]
fn a_deadline_ends_the_wait_for_metadata() {
    let broker = broker();
    broker.on(Api::Metadata).always().then(Action::skip());
    let producer = quick(&broker).build().unwrap();
    for timeout in [Duration::ZERO, millis(60)] {
        let unfinished = producer.send_timeout(record("a"), timeout).unwrap_err();
        assert_step(&unfinished, SendStep::Metadata, timeout);
        assert_eq!(unfinished.error.kind(), ErrorKind::Timeout);
    }
}

#[test]
fn a_deadline_ends_the_wait_for_a_partition() {
    let broker = broker();
    let producer = quick(&broker).build().unwrap();
    let no_such = record("a").partition(9);
    let unfinished = producer.send_timeout(no_such, millis(60)).unwrap_err();
    assert_step(&unfinished, SendStep::Metadata, millis(60));
}

#[test]
fn a_deadline_ends_the_wait_for_memory() {
    let broker = broker();
    let producer = quick(&broker)
        .batch_size(1024)
        .buffer_memory(1024)
        .build()
        .unwrap();
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    let first = send(&producer, ORDERS, "first");
    assert!(broker.await_requests(Api::Produce, 1, LONG));
    for timeout in [Duration::ZERO, millis(60)] {
        let unfinished = producer.send_timeout(record("a"), timeout).unwrap_err();
        assert_step(&unfinished, SendStep::Memory, timeout);
        assert_eq!(unfinished.error.kind(), ErrorKind::BufferExhausted);
    }
    hold.release();
    assert_eq!(first.get_timeout(LONG).unwrap().offset(), 0);
    assert_eq!(
        broker.log_end_offset("orders", 0),
        1,
        "the others were not sent"
    );
}

/// The record may be written. The error says so, and the future has its result later.
#[test]
fn a_deadline_ends_the_wait_for_the_response_and_leaves_the_future() {
    let broker = broker();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    await_topic(&producer);
    for (number, timeout) in [Duration::ZERO, millis(60)].into_iter().enumerate() {
        let hold = broker.new_hold();
        broker.on(Api::Produce).then(Action::apply().hold(&hold));
        let unfinished = producer.send_timeout(record("a"), timeout).unwrap_err();
        assert_step(&unfinished, SendStep::Response, timeout);
        assert_eq!(unfinished.error.kind(), ErrorKind::Pending);
        hold.release();
        let future = unfinished.future.unwrap();
        assert_eq!(future.get_timeout(LONG).unwrap().offset(), number as i64);
    }
}

#[test]
fn a_deadline_that_is_not_reached_changes_nothing() {
    let broker = broker();
    // The shorter limit counts.
    let producer = quick(&broker)
        .linger(FOR_EVER)
        .max_block(millis(50))
        .build()
        .unwrap();
    await_topic(&producer);
    for (offset, timeout) in [LONG, Duration::MAX].into_iter().enumerate() {
        let metadata = producer.send_timeout(record("a"), timeout).unwrap();
        assert_eq!(metadata.offset(), offset as i64);
        broker
            .on(Api::Produce)
            .then(Action::fail(ErrorCode::INVALID_RECORD));
        let failed = producer.send_timeout(record("a"), timeout).unwrap_err();
        assert_eq!(failed.error.code(), Some(ErrorCode::INVALID_RECORD));
        assert!(failed.step.is_none() && failed.future.is_none());
        let unknown = ProducerRecord::new("orders", "a").partition(9);
        let failed = producer.send_timeout(unknown, timeout).unwrap_err();
        assert_eq!(failed.step, Some(SendStep::Metadata));
        let reason = failed.error.timeout().unwrap();
        assert_eq!(reason.config, Some("max.block.ms"));
    }
    producer.close(LONG).unwrap();
    let closed = producer.send_timeout(record("a"), LONG).unwrap_err();
    assert!(closed.step.is_none());
    assert_eq!(Error::from(closed).kind(), ErrorKind::Closed);
}

/// Otherwise the record would be sent although the call reports that it was not.
#[test]
fn a_send_with_a_deadline_inside_a_callback_sends_nothing() {
    let broker = broker();
    let producer = Arc::new(quick(&broker).build().unwrap());
    let (sender, errors) = std::sync::mpsc::channel();
    let inside: Arc<KafkaProducer> = Arc::clone(&producer);
    producer
        .send_with_callback(record("a"), move |_| {
            let unsent = inside.send_timeout(record("b"), LONG).unwrap_err();
            let flushed = inside.flush_timeout(LONG).unwrap_err();
            sender.send([unsent.error, flushed]).unwrap();
        })
        .unwrap();
    for error in errors.recv_timeout(LONG).unwrap() {
        assert_eq!(error.kind(), ErrorKind::WouldDeadlock);
        assert_eq!(error.delivery(), Delivery::NotWritten);
    }
    producer.close(LONG).unwrap();
    assert_eq!(broker.record_count("orders"), 1);
}

#[test]
fn a_flush_ends_with_its_deadline_and_its_records_do_not_linger() {
    let broker = broker();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    await_topic(&producer);
    for (number, timeout) in [Duration::ZERO, millis(60)].into_iter().enumerate() {
        let hold = broker.new_hold();
        broker.on(Api::Produce).then(Action::apply().hold(&hold));
        let future = send(&producer, ORDERS, "a");
        let error = producer.flush_timeout(timeout).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Pending);
        assert_eq!(error.delivery(), Delivery::MaybeWritten);
        assert_eq!(error.timeout().unwrap().waited, timeout);
        assert!(
            error.to_string().starts_with("1 batch of records"),
            "{error}"
        );
        // Nothing waits for the record.
        assert!(broker.await_requests(Api::Produce, number + 1, LONG));
        hold.release();
        producer.flush_timeout(LONG).unwrap();
        assert!(future.is_done());
    }
    producer.flush_timeout(Duration::MAX).unwrap();
}

#[test]
fn a_mock_has_the_same_deadlines() {
    let producer: Arc<dyn Producer> = Arc::new(MockProducer::new(true));
    assert_eq!(
        producer.send_timeout(record("a"), LONG).unwrap().offset(),
        0
    );
    producer.flush_timeout(LONG).unwrap();

    let mock = Arc::new(MockProducer::new(false));
    let shared: &dyn Producer = &&mock;
    let unfinished = shared.send_timeout(record("a"), millis(5)).unwrap_err();
    assert_step(&unfinished, SendStep::Response, millis(5));
    mock.complete_next();
    assert_eq!(unfinished.future.unwrap().get().unwrap().offset(), 0);
    for (kind, step) in [
        (ErrorKind::Timeout, SendStep::Metadata),
        (ErrorKind::BufferExhausted, SendStep::Memory),
    ] {
        mock.set_send_error(Some(kind.into()));
        let unfinished = mock.send_timeout(record("a"), LONG).unwrap_err();
        assert_eq!(unfinished.step, Some(step));
    }
}
