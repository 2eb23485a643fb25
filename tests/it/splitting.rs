//! A batch that the broker refuses as too large is split until its parts fit. Its records do not
//! change.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_producer::testing::{
    Action, Api, Failure, FakeBroker, SentBatch, StoredRecord, TopicConfig,
};
use kafka_producer::{
    Delivery, ErrorCode, ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord, Result,
};

const SOON: Duration = Duration::from_secs(20);
const TOPIC: &str = "orders";
/// The largest batch that the broker accepts.
const LIMIT: usize = 5_000;

fn broker() -> FakeBroker {
    let topic = TopicConfig::new(1).max_message_bytes(LIMIT);
    FakeBroker::builder()
        .topic_with(TOPIC, topic)
        .start()
        .unwrap()
}

/// Batches are much larger than the broker accepts, and are sent by a flush.
fn producer(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .batch_size(64 << 10)
        .linger(Duration::from_secs(60))
}

/// The results that callbacks got, in the order of their calls.
type Calls = Arc<Mutex<Vec<(usize, Result<i64>)>>>;

/// About 400 bytes that do not compress well.
fn value(number: usize) -> String {
    let mut state = number as u64 + 1;
    let noise = (0..24).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    });
    format!("{number:05} {}", noise.collect::<String>())
}

fn record(number: usize, value: &str) -> ProducerRecord<'_> {
    let record = ProducerRecord::new(TOPIC, value)
        .timestamp(1_700_000_000_000 + number as i64)
        .header("number", number.to_string())
        .header("empty", "");
    if number % 3 == 0 {
        record
    } else {
        record.key(format!("key-{number}"))
    }
}

/// Sends these records with callbacks that add their results to `calls`.
fn send(producer: &KafkaProducer, numbers: std::ops::Range<usize>, calls: &Calls) {
    for number in numbers {
        let calls = Arc::clone(calls);
        let callback = move |result: Result<kafka_producer::RecordMetadata>| {
            let offset = result.map(|metadata| metadata.offset());
            calls.lock().unwrap().push((number, offset));
        };
        producer
            .send_with_callback(record(number, &value(number)), callback)
            .unwrap();
    }
}

#[track_caller]
fn assert_untouched(stored: &StoredRecord, number: usize) {
    let value = value(number);
    let sent = record(number, &value);
    assert_eq!(
        stored.value.as_deref(),
        Some(value.as_bytes()),
        "record {number}"
    );
    assert_eq!(stored.timestamp, 1_700_000_000_000 + number as i64);
    assert_eq!(stored.headers, sent.headers);
    let key = (number % 3 != 0).then(|| format!("key-{number}").into_bytes());
    assert_eq!(stored.key, key);
}

/// Checks that each record has the offset of its number, and that its callback said so, once and in
/// order.
fn assert_all_in_order(broker: &FakeBroker, calls: &Calls, count: usize) {
    let stored = broker.records(TOPIC, 0);
    assert_eq!(stored.len(), count);
    for (number, stored) in stored.iter().enumerate() {
        assert_untouched(stored, number);
    }
    let calls = calls.lock().unwrap();
    let called: Vec<_> = calls
        .iter()
        .map(|(number, result)| (*number, *result.as_ref().unwrap()))
        .collect();
    let expected: Vec<_> = (0..count).map(|number| (number, number as i64)).collect();
    assert_eq!(called, expected);
}

fn produce_requests(broker: &FakeBroker) -> usize {
    broker.request_count(Api::Produce)
}

#[test]
fn a_batch_is_halved_until_it_fits() {
    for idempotent in [true, false] {
        let broker = broker();
        let producer = producer(&broker)
            .enable_idempotence(idempotent)
            .max_in_flight_requests_per_connection(if idempotent { 5 } else { 1 })
            .build()
            .unwrap();
        let calls = Calls::default();
        send(&producer, 0..40, &calls);
        producer.flush().unwrap();
        assert_all_in_order(&broker, &calls, 40);
        // 40 records are 18 KB, 20 are 9 KB, 10 are 4.5 KB.
        let sizes: Vec<_> = broker
            .batches(TOPIC, 0)
            .iter()
            .map(|batch| (batch.header.record_count, batch.header.size_bytes <= LIMIT))
            .collect();
        assert_eq!(sizes, [(10, true); 4]);
        assert_eq!(refused(&broker), [40, 20, 20]);
        producer.close(SOON).unwrap();
    }
}

/// Returns the record counts of the batches that were too large, in the order of their first
/// attempts.
fn refused(broker: &FakeBroker) -> Vec<i32> {
    let requests = broker.requests();
    let batches = requests.iter().flat_map(|request| &request.batches);
    let refused = batches.filter(|batch| batch.header.size_bytes > LIMIT);
    refused.map(|batch| batch.header.record_count).collect()
}

/// The futures of a split batch wait for its parts and return the offsets there.
#[test]
fn futures_follow_their_records_into_the_parts() {
    let broker = broker();
    let producer = producer(&broker).build().unwrap();
    let sent: Vec<_> = (0..40)
        .map(|number| producer.send(record(number, &value(number))).unwrap())
        .collect();
    producer.flush().unwrap();
    for (number, sent) in sent.iter().enumerate() {
        let metadata = sent.get().unwrap();
        assert_eq!(metadata.offset(), number as i64);
        assert_eq!(
            metadata.timestamp(),
            Some(1_700_000_000_000 + number as i64)
        );
        assert_eq!(metadata.serialized_value_size(), Some(value(number).len()));
    }
}

/// Later batches are in flight when an earlier one is refused as too large. The broker refuses them
/// as out of order, and they follow its parts.
#[test]
fn batches_in_flight_behind_a_split_one_keep_their_place() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker)
        .batch_size(4_000)
        .linger(Duration::from_millis(5))
        .build()
        .unwrap();
    // After the first acknowledgement of a producer id, more than one batch may be in flight.
    let calls = Calls::default();
    send(&producer, 0..1, &calls);
    producer.flush().unwrap();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .topic(TOPIC)
        .then(Action::fail(ErrorCode::MESSAGE_TOO_LARGE).hold(&hold));
    send(&producer, 1..60, &calls);
    assert!(broker.await_requests(Api::Produce, 4, SOON));
    hold.release();
    producer.flush().unwrap();
    assert_all_in_order(&broker, &calls, 60);
}

/// A batch with only one record fails once, with the broker's message.
#[test]
fn a_single_record_that_is_too_large_fails_once() {
    let broker = broker();
    let producer = producer(&broker).build().unwrap();
    let large = "v".repeat(6_000);
    let sent = producer.send(ProducerRecord::new(TOPIC, &*large)).unwrap();
    let error = sent.get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
    assert_eq!(error.code(), Some(ErrorCode::MESSAGE_TOO_LARGE));
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert_eq!(produce_requests(&broker), 1);
    let next = producer.send(ProducerRecord::new(TOPIC, "small")).unwrap();
    assert_eq!(next.get().unwrap().offset(), 0);
    producer.close(SOON).unwrap();
}

/// The record that is too large fails alone.
#[test]
fn a_record_that_is_too_large_leaves_its_batch_alone() {
    let broker = broker();
    let producer = producer(&broker).build().unwrap();
    let calls = Calls::default();
    let large = "v".repeat(6_000);
    send(&producer, 0..10, &calls);
    let too_large = producer.send(ProducerRecord::new(TOPIC, &*large)).unwrap();
    send(&producer, 10..20, &calls);
    producer.flush().unwrap();
    assert_eq!(
        too_large.get().unwrap_err().kind(),
        ErrorKind::RecordTooLarge
    );
    assert_all_in_order(&broker, &calls, 20);
    send(&producer, 20..30, &calls);
    producer.flush().unwrap();
    assert_all_in_order(&broker, &calls, 30);
}

/// A part may fail like any other batch. The other parts are delivered.
#[test]
fn a_part_may_fail_alone() {
    let broker = broker();
    let producer = producer(&broker).build().unwrap();
    let calls = Calls::default();
    send(&producer, 0..20, &calls);
    // The batch is too large. The first of its halves is refused for another reason.
    broker.on_request(|_, request| {
        let is_first_half = |batch: &SentBatch| {
            batch.header.record_count == 10
                && batch.header.base_sequence == 0
                && batch.header.producer_epoch == 0
        };
        let failure = Failure::new(ErrorCode::INVALID_RECORD).message("not you");
        request
            .batches
            .iter()
            .any(is_first_half)
            .then(|| Action::fail(failure))
    });
    producer.flush().unwrap();
    let calls = calls.lock().unwrap();
    assert_eq!(calls.len(), 20);
    for (number, result) in calls.iter() {
        assert_eq!(result.is_err(), *number < 10, "record {number}: {result:?}");
    }
    let stored = broker.records(TOPIC, 0);
    assert_eq!(stored.len(), 10);
    for (stored, number) in stored.iter().zip(10..) {
        assert_untouched(stored, number);
    }
}

#[cfg(any(
    feature = "gzip",
    feature = "snappy",
    feature = "lz4",
    feature = "zstd"
))]
fn split_compressed(codec: &str) {
    let broker = broker();
    let producer = producer(&broker)
        .set("compression.type", codec)
        .unwrap()
        .build()
        .unwrap();
    let calls = Calls::default();
    send(&producer, 0..60, &calls);
    producer.flush().unwrap();
    assert_all_in_order(&broker, &calls, 60);
    let batches = broker.batches(TOPIC, 0);
    assert!(batches.len() >= 2, "it was split: {batches:?}");
    assert!(
        batches
            .iter()
            .all(|batch| batch.header.compression == codec)
    );
}

#[cfg(feature = "gzip")]
#[test]
fn gzip_batches_are_split() {
    split_compressed("gzip");
}

#[cfg(feature = "snappy")]
#[test]
fn snappy_batches_are_split() {
    split_compressed("snappy");
}

#[cfg(feature = "lz4")]
#[test]
fn lz4_batches_are_split() {
    split_compressed("lz4");
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_batches_are_split() {
    split_compressed("zstd");
}
