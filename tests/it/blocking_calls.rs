//! Calls that wait are limited by `max.block.ms`, end when the producer is closed, and name the
//! config that ended them.

use std::error::Error as _;
use std::thread;
use std::time::Duration;

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    Delivery, Error, ErrorCode, ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord,
};

const SOON: Duration = Duration::from_secs(20);
const MAX_BLOCK: Duration = Duration::from_millis(150);
const TOPIC: &str = "orders";

fn producer(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .linger(Duration::ZERO)
        .retry_backoff(Duration::from_millis(5))
}

/// Waits for the topic first: on a busy machine, [`MAX_BLOCK`] may be too short for that.
fn await_topic(producer: &KafkaProducer) {
    while producer.partitions_for(TOPIC).is_err() {}
}

fn record(value: &str) -> ProducerRecord<'_> {
    ProducerRecord::new(TOPIC, value)
}

/// A broker that knows the topic and answers no Metadata request.
fn silent_broker() -> FakeBroker {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    broker.on(Api::Metadata).always().then(Action::skip());
    broker
}

#[track_caller]
fn assert_max_block(error: &Error, waiting_for: &str) {
    assert!(error.is_timeout(), "{error:?}");
    let reason = error.timeout().unwrap();
    assert_eq!(reason.config, Some("max.block.ms"));
    assert_eq!(reason.waited, MAX_BLOCK);
    assert!(reason.waiting_for.contains(waiting_for), "{reason:?}");
    assert_eq!(error.delivery(), Delivery::NotWritten);
}

// Java: KafkaProducerTest.testMetadataTimeoutWithMissingTopic; ApiExceptions are in the future.
#[test]
fn a_send_waits_for_metadata_no_longer_than_max_block() {
    let broker = silent_broker();
    let producer = producer(&broker).max_block(MAX_BLOCK).build().unwrap();
    let error = producer.send(record("value")).unwrap().get().unwrap_err();
    assert_max_block(&error, "metadata");
    assert!(error.to_string().contains(TOPIC), "{error}");
    assert!(error.to_string().contains("150 ms"), "{error}");
    let error = producer.partitions_for(TOPIC).unwrap_err();
    assert_max_block(&error, "metadata");
}

// Java: KafkaProducerTest.testMetadataTimeoutWithPartitionOutOfRange.
#[test]
fn a_partition_out_of_range_is_waited_for_and_named() {
    let broker = FakeBroker::builder().topic(TOPIC, 2).start().unwrap();
    let producer = producer(&broker).max_block(MAX_BLOCK).build().unwrap();
    await_topic(&producer);
    let error = producer
        .send(record("value").partition(2))
        .unwrap()
        .get()
        .unwrap_err();
    assert_max_block(&error, "metadata");
    let text = error.to_string();
    assert!(
        text.contains("has 2 partitions, and partition 2 did not appear"),
        "{text}"
    );
    assert_eq!(error.topic_partition().unwrap().partition(), 2);
}

/// A send waits for a topic that the broker says does not exist, and its error has the broker's
/// reason.
#[test]
fn the_cause_of_a_timeout_is_what_the_broker_said() {
    let broker = FakeBroker::builder()
        .auto_create_topics(false)
        .start()
        .unwrap();
    let producer = producer(&broker).max_block(MAX_BLOCK).build().unwrap();
    // On a busy machine, the broker may not have said it within the first of these times.
    let code = (0..100).find_map(|_| {
        let error = producer.send(record("value")).unwrap().get().unwrap_err();
        assert_max_block(&error, "metadata");
        error.source()?.downcast_ref::<Error>()?.code()
    });
    assert_eq!(code, Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}

#[test]
fn a_full_buffer_is_waited_for_no_longer_than_max_block() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker)
        .max_block(MAX_BLOCK)
        .buffer_memory(16 << 10)
        .build()
        .unwrap();
    await_topic(&producer);
    producer.send(record("warm")).unwrap().get().unwrap();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .always()
        .then(Action::apply().hold(&hold));
    let value = "v".repeat(10_000);
    let first = producer.send(record(&value)).unwrap();
    let error = producer.send(record(&value)).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BufferExhausted);
    assert_max_block(&error, "memory");
    hold.release();
    assert_eq!(first.get().unwrap().offset(), 1);
    producer.send(record(&value)).unwrap().get().unwrap();
}

/// The waits for metadata and for memory share one limit.
#[test]
fn max_block_is_for_metadata_and_memory_together() {
    // The second node answers Metadata requests while the first one holds a Produce request.
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 2)
        .topic("late", 1)
        .start()
        .unwrap();
    let producer = producer(&broker)
        .max_block(Duration::from_secs(4))
        .buffer_memory(16 << 10)
        .build()
        .unwrap();
    for partition in [0, 1] {
        let warm = record("warm").partition(partition);
        producer.send(warm).unwrap().get().unwrap();
    }
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .always()
        .then(Action::apply().hold(&hold));
    let value = "v".repeat(10_000);
    let first = producer.send(record(&value).partition(0)).unwrap();
    broker
        .on(Api::Metadata)
        .always()
        .then(Action::apply().delay(Duration::from_millis(1000)));
    let late = ProducerRecord::new("late", &*value);
    let error = producer.send(late).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BufferExhausted);
    // The wait for memory had what was left, not the full limit again.
    assert!(
        error.timeout().unwrap().waited <= Duration::from_secs(3),
        "{error:?}"
    );
    hold.release();
    first.get().unwrap();
}

// Java: PlaintextProducerSendTest.testNonBlockingProducer: with max.block.ms=0 a send asks for the
// metadata, and a later send succeeds.
#[test]
fn without_any_time_a_send_asks_for_the_metadata_and_fails() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker).max_block(Duration::ZERO).build().unwrap();
    let error = producer.send(record("first")).unwrap().get().unwrap_err();
    assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));
    let offset = loop {
        match producer.send(record("next")).unwrap().get() {
            Ok(metadata) => break metadata.offset(),
            Err(error) => assert!(error.is_timeout(), "{error:?}"),
        }
    };
    assert_eq!(offset, 0);
}

#[test]
fn partitions_are_listed_with_their_leaders() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 3)
        .start()
        .unwrap();
    let producer = producer(&broker).build().unwrap();
    let partitions = producer.partitions_for(TOPIC).unwrap();
    let leaders: Vec<_> = partitions
        .iter()
        .map(|info| (info.partition(), info.leader().unwrap().id().0))
        .collect();
    assert_eq!(leaders, [(0, 1), (1, 2), (2, 1)]);
    let error = producer.partitions_for("not/legal").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidTopic);
}

// KAFKA-6897; Java: KafkaProducerTest.testCloseWhileWaitingForMetadata and the like.
#[test]
fn a_send_that_waits_for_metadata_ends_when_the_producer_is_closed() {
    let broker = silent_broker();
    let producer = producer(&broker).max_block(Duration::MAX).build().unwrap();
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| producer.send(record("value"))))
            .collect();
        let listing = scope.spawn(|| producer.partitions_for(TOPIC));
        assert!(broker.await_requests(Api::Metadata, 1, SOON));
        producer.close(SOON).unwrap();
        for waiting in waiting {
            assert_eq!(
                waiting.join().unwrap().unwrap_err().kind(),
                ErrorKind::Closed
            );
        }
        assert_eq!(
            listing.join().unwrap().unwrap_err().kind(),
            ErrorKind::Closed
        );
    });
}

#[test]
fn a_send_that_waits_for_memory_ends_when_the_producer_is_closed() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker)
        .max_block(Duration::MAX)
        .buffer_memory(16 << 10)
        .build()
        .unwrap();
    producer.send(record("warm")).unwrap().get().unwrap();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .always()
        .then(Action::apply().hold(&hold));
    let value = "v".repeat(10_000);
    let first = producer.send(record(&value)).unwrap();
    assert!(broker.await_requests(Api::Produce, 2, SOON));
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| producer.send(record(&value))))
            .collect();
        // The buffer stays full until the producer is closed, so every sender finds it full.
        assert!(
            producer
                .try_send(record(&value))
                .unwrap_err()
                .is_would_block()
        );
        scope.spawn(|| producer.close(SOON).unwrap());
        for waiting in waiting {
            assert_eq!(
                waiting.join().unwrap().unwrap_err().kind(),
                ErrorKind::Closed
            );
        }
        hold.release();
    });
    assert_eq!(first.get().unwrap().offset(), 1);
    assert_eq!(broker.record_count(TOPIC), 2);
}

#[test]
fn a_closed_producer_says_so() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker).build().unwrap();
    producer.close(SOON).unwrap();
    assert_eq!(
        producer.send(record("late")).unwrap_err().kind(),
        ErrorKind::Closed
    );
    assert_eq!(
        producer.partitions_for("other").unwrap_err().kind(),
        ErrorKind::Closed
    );
    producer.flush().unwrap();
    producer.close(Duration::ZERO).unwrap();
}
