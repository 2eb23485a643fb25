//! `try_send` never waits: it returns a record that it cannot accept now, unchanged.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kafka_producer::common::{Header, Headers};
use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord, Serialized, Serializer,
};

const SOON: Duration = Duration::from_secs(20);
const TOPIC: &str = "orders";

/// A producer whose `send` would wait for ever.
fn producer(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .max_block(Duration::MAX)
        .linger(Duration::ZERO)
}

fn record(value: &str) -> ProducerRecord<'_> {
    ProducerRecord::new(TOPIC, value)
        .key("key")
        .partition(0)
        .timestamp(17)
        .header("header", "is kept")
}

/// The topic is unknown, and the broker does not answer yet. The record is returned. A later call
/// accepts it, because the first one requested the metadata.
#[test]
fn without_metadata_the_record_comes_back_and_the_topic_is_asked_for() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let hold = broker.new_hold();
    broker.on(Api::Metadata).then(Action::apply().hold(&hold));
    let producer = producer(&broker).build().unwrap();

    let unsent = producer.try_send(record("first")).unwrap_err();
    assert!(unsent.is_would_block());
    assert_eq!(unsent.record, record("first"));
    assert!(broker.await_requests(Api::Metadata, 1, SOON));
    let mut unsent = producer.try_send(unsent.record).unwrap_err();
    assert_eq!(unsent.error.kind(), ErrorKind::WouldBlock);
    assert!(unsent.error.is_retriable());

    hold.release();
    let sent = loop {
        match producer.try_send(unsent.record) {
            Ok(sent) => break sent,
            Err(again) => {
                assert!(again.is_would_block(), "{again:?}");
                unsent = again;
                std::thread::yield_now();
            }
        }
    };
    assert_eq!(sent.get().unwrap().offset(), 0);
    let stored = &broker.records(TOPIC, 0)[0];
    assert_eq!(stored.timestamp, 17);
    assert_eq!(stored.key.as_deref(), Some(&b"key"[..]));
    assert_eq!(stored.value.as_deref(), Some(&b"first"[..]));
    let header = stored.headers.last_header("header").unwrap();
    assert_eq!(header.value(), Some(&b"is kept"[..]));
}

/// `send` would wait for a partition that does not exist, because the topic may be growing.
#[test]
fn a_partition_that_is_not_known_is_not_waited_for() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker).build().unwrap();
    producer.send(record("warm")).unwrap().get().unwrap();
    let far = ProducerRecord::new(TOPIC, "far").partition(3);
    assert!(producer.try_send(far).unwrap_err().is_would_block());
}

/// The broker answers nothing, and the buffer is full.
#[test]
fn without_memory_the_record_comes_back() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker)
        .buffer_memory(64 << 10)
        .batch_size(16 << 10)
        .build()
        .unwrap();
    producer.send(record("warm")).unwrap().get().unwrap();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .always()
        .then(Action::apply().hold(&hold));

    let value = "v".repeat(1000);
    let mut sent = Vec::new();
    let unsent = loop {
        match producer.try_send(record(&value)) {
            Ok(future) => sent.push(future),
            Err(unsent) => break unsent,
        }
    };
    assert!(unsent.is_would_block());
    assert_eq!(unsent.record, record(&value));
    assert!(
        unsent.error.to_string().contains("buffer memory"),
        "{}",
        unsent.error
    );
    assert!(
        (30..=64).contains(&sent.len()),
        "{} records fit",
        sent.len()
    );

    hold.release();
    producer.flush().unwrap();
    assert!(sent.iter().all(|future| future.get().is_ok()));
    let last = producer.try_send(unsent.record).unwrap();
    assert_eq!(last.get().unwrap().offset(), sent.len() as i64 + 1);
}

/// Adds a header to each record that it serializes.
struct Marking;

impl Serializer for Marking {
    type Input = [u8];

    fn serialize<'a>(
        &self,
        _topic: &str,
        headers: &mut Headers,
        data: &'a [u8],
    ) -> Result<Serialized<'a>, Box<dyn Error + Send + Sync>> {
        headers.remove("header").add("format", "marked");
        Ok(data.into())
    }
}

/// Each call serializes the record, but only the one that accepts it keeps the added headers.
#[test]
fn the_headers_of_a_serializer_do_not_come_back_with_the_record() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker)
        .buffer_memory(64 << 10)
        .value_serializer(Marking)
        .build()
        .unwrap();
    producer.send(record("warm")).unwrap().get().unwrap();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .always()
        .then(Action::apply().hold(&hold));

    let value = "v".repeat(1000);
    let unsent = loop {
        if let Err(unsent) = producer.try_send(record(&value)) {
            break unsent;
        }
    };
    assert_eq!(unsent.record, record(&value));
    let unsent = producer.try_send(unsent.record).unwrap_err();
    assert_eq!(unsent.record, record(&value));

    hold.release();
    producer.flush().unwrap();
    let sent = producer.try_send(unsent.record).unwrap().get().unwrap();
    let stored = &broker.records(TOPIC, 0)[usize::try_from(sent.offset()).unwrap()];
    let headers: Vec<_> = stored.headers.iter().map(Header::key).collect();
    assert_eq!(headers, ["format"]);
}

/// A callback that was not accepted is dropped without a call: the caller has the record back and
/// must not get a second result.
#[test]
fn the_callback_of_a_record_that_comes_back_is_not_called() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker).build().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let callback = || {
        let calls = Arc::clone(&calls);
        move |_| {
            calls.fetch_add(1, Ordering::SeqCst);
        }
    };
    let hold = broker.new_hold();
    broker.on(Api::Metadata).then(Action::apply().hold(&hold));
    let unsent = producer.try_send_with_callback(record("value"), callback());
    assert!(unsent.unwrap_err().is_would_block());
    assert_eq!(Arc::strong_count(&calls), 1, "the callback is gone");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    hold.release();
    producer.partitions_for(TOPIC).unwrap();
    producer
        .try_send_with_callback(record("value"), callback())
        .unwrap();
    producer.flush().unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

/// A record that can never be sent is returned too, with its error.
#[test]
fn what_is_wrong_with_the_record_or_the_producer_is_said_at_once() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker).build().unwrap();
    producer.send(record("warm")).unwrap().get().unwrap();

    let large = "v".repeat(2 << 20);
    let unsent = producer.try_send(record(&large)).unwrap_err();
    assert_eq!(unsent.error.kind(), ErrorKind::RecordTooLarge);
    assert!(!unsent.is_would_block());
    assert_eq!(unsent.record, record(&large));

    let negative = ProducerRecord::new(TOPIC, "value").partition(-1);
    let unsent = producer.try_send(negative).unwrap_err();
    assert_eq!(unsent.error.kind(), ErrorKind::IllegalArgument);

    producer.close(SOON).unwrap();
    let unsent = producer.try_send(record("late")).unwrap_err();
    assert_eq!(unsent.error.kind(), ErrorKind::Closed);
    assert_eq!(unsent.record, record("late"));
}

/// An illegal topic is not requested again: the second call returns the broker's error.
#[test]
fn an_illegal_topic_is_an_error_once_the_broker_said_so() {
    let broker = FakeBroker::builder().start().unwrap();
    let producer = producer(&broker).build().unwrap();
    let illegal = || ProducerRecord::new("no/topic", "value");
    let error = loop {
        let unsent = producer.try_send(illegal()).unwrap_err();
        if !unsent.is_would_block() {
            break unsent.error;
        }
        std::thread::yield_now();
    };
    assert_eq!(error.kind(), ErrorKind::InvalidTopic);
}
