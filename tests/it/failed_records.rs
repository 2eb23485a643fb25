//! The error of a failed record returns the record, which is read from its batch's memory, whatever
//! the error and the state of the batch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use kafka_producer::producer::serializer_fn;
use kafka_producer::testing::{Action, Api, FakeBroker, TopicConfig};
use kafka_producer::{
    BufferMemoryAllocationStrategy, CompressionType, Delivery, Error, ErrorCode, ErrorKind,
    KafkaProducer, KafkaProducerBuilder, MockProducer, ProducerRecord,
};

use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);
const FOR_EVER: Duration = Duration::from_secs(50);

fn broker() -> FakeBroker {
    let builder = FakeBroker::builder().topic("orders", 1);
    builder.topic("dead-letters", 3).start().unwrap()
}

/// A record with every field set.
fn record(number: usize) -> ProducerRecord<'static> {
    let record = ProducerRecord::new("orders", format!("value {number}").repeat(20))
        .partition(0)
        .timestamp(1_700_000_000_000 - number as i64)
        .header("number", number.to_string());
    match number % 3 {
        0 => record,
        1 => record.key(format!("key {number}")),
        _ => {
            let tombstone = ProducerRecord::tombstone("orders").key(format!("gone {number}"));
            tombstone.partition(0).timestamp(7)
        }
    }
}

/// Sends records, half of them with callbacks, and checks that each error returns its record.
fn assert_all_come_back(
    producer: &KafkaProducer,
    count: usize,
    fail: impl FnOnce(&KafkaProducer),
    delivery: Delivery,
) {
    let (sender, from_callbacks) = mpsc::channel();
    let mut futures = Vec::new();
    for number in 0..count {
        if number % 2 == 0 {
            let sender = sender.clone();
            let callback = move |result: kafka_producer::Result<_>| {
                sender.send((number, result.map(drop))).unwrap();
            };
            producer
                .send_with_callback(record(number), callback)
                .unwrap();
        } else {
            futures.push((number, producer.send(record(number)).unwrap()));
        }
    }
    drop(sender);
    fail(producer);
    let mut results: BTreeMap<usize, Error> = futures
        .into_iter()
        .map(|(number, future)| (number, future.get_timeout(LONG).unwrap_err()))
        .collect();
    for _ in 0..count.div_ceil(2) {
        let (number, result) = from_callbacks.recv_timeout(LONG).unwrap();
        results.insert(number, result.unwrap_err());
    }
    assert_eq!(results.len(), count);
    for (number, error) in results {
        assert_eq!(error.delivery(), delivery, "{error:?}");
        assert_eq!(error.record(), Some(record(number)), "{error:?}");
    }
}

fn refuse(broker: &FakeBroker) {
    let refusal = Action::fail(ErrorCode::INVALID_RECORD);
    broker.on(Api::Produce).always().then(refusal);
}

fn builders(broker: &FakeBroker) -> Vec<KafkaProducerBuilder> {
    let codecs = [
        (CompressionType::None, true),
        (CompressionType::Gzip, cfg!(feature = "gzip")),
        (CompressionType::Snappy, cfg!(feature = "snappy")),
        (CompressionType::Lz4, cfg!(feature = "lz4")),
        (CompressionType::Zstd, cfg!(feature = "zstd")),
    ];
    let mut builders = Vec::new();
    for (codec, _) in codecs.into_iter().filter(|(_, is_there)| *is_there) {
        for strategy in [
            BufferMemoryAllocationStrategy::Full,
            BufferMemoryAllocationStrategy::Incremental,
        ] {
            builders.push(
                quick(broker)
                    .compression_type(codec)
                    .buffer_memory_allocation_strategy(strategy)
                    .linger(FOR_EVER),
            );
        }
    }
    builders
}

#[test]
fn records_that_a_broker_refuses_come_back_from_every_form_of_batch() {
    let broker = broker();
    refuse(&broker);
    for builder in builders(&broker) {
        let producer = builder.build().unwrap();
        let flush = |producer: &KafkaProducer| producer.flush().unwrap();
        assert_all_come_back(&producer, 200, flush, Delivery::NotWritten);
    }
}

/// The records are in open batches.
#[test]
fn records_that_were_never_sent_come_back() {
    let broker = broker();
    for builder in builders(&broker) {
        let producer = builder.build().unwrap();
        producer.partitions_for("orders").unwrap();
        let close = |producer: &KafkaProducer| drop(producer.close(Duration::ZERO));
        assert_all_come_back(&producer, 20, close, Delivery::NotWritten);
    }
}

#[test]
fn records_that_expire_in_flight_come_back() {
    let broker = broker();
    broker.on(Api::Produce).always().then(Action::skip());
    let producer = quick(&broker)
        .delivery_timeout(millis(1500))
        .request_timeout(millis(1500))
        .build()
        .unwrap();
    let nothing = |_: &KafkaProducer| {};
    assert_all_come_back(&producer, 1, nothing, Delivery::MaybeWritten);
}

/// The part that contains the refused record returns it. The other records are delivered.
#[test]
fn records_of_split_batches_come_back() {
    let topic = TopicConfig::new(1).max_message_bytes(500);
    let builder = FakeBroker::builder().topic_with("orders", topic);
    let broker = builder.start().unwrap();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    let large = "l".repeat(600);
    let values = ["a", "b", &large, "c"];
    let futures = values.map(|value| send(&producer, ORDERS, value));
    for (future, value) in futures.into_iter().zip(values) {
        match future.get_timeout(LONG) {
            Ok(_) => assert_ne!(value, large),
            Err(error) => {
                assert_eq!(value, large);
                let record = error.record().unwrap();
                assert_eq!(record.value.as_ref(), Some(large.as_bytes()));
            }
        }
    }
}

#[test]
fn records_that_send_refuses_come_back() {
    let broker = broker();
    let large = "l".repeat(5000);
    let builder = quick(&broker).max_request_size(4000).max_block(millis(100));
    let upper = serializer_fn(|text: &String| match text.as_str() {
        "bad" => Err("refused"),
        text => Ok(text.to_uppercase()),
    });
    let producer = builder.value_serializer(upper).build().unwrap();
    let of = |topic: &'static str, value: &str| ProducerRecord::new(topic, value.to_owned());
    let error = |record| match producer.send(record) {
        Ok(future) => future.get().unwrap_err(),
        Err(error) => error,
    };
    while producer.partitions_for("orders").is_err() {}

    // The first record is too large and was serialized. The second one has no such partition and
    // was not. Both errors return the bytes, and the serializer runs once.
    let too_large = error(of("orders", &large).key("k").header("h", "v"));
    assert_eq!(too_large.kind(), ErrorKind::RecordTooLarge);
    let record = too_large.record().unwrap();
    assert_eq!(record.value.as_ref(), Some(large.to_uppercase().as_bytes()));
    assert_eq!(
        (record.key.as_ref(), record.headers.len()),
        (Some(&b"k"[..]), 1)
    );
    let no_partition = error(of("orders", "v").partition(9));
    assert_eq!(no_partition.kind(), ErrorKind::Timeout);
    let expected = ProducerRecord::new("orders", "V").partition(9);
    assert_eq!(no_partition.record(), Some(expected));
    // This record was never serialized.
    assert_eq!(error(of("orders", "bad")).record(), None);
    producer.close(LONG).unwrap();
    assert_eq!(error(of("orders", "v")).record(), None);
}

/// The pool's memory is free before the callbacks run. What errors keep in addition is limited.
#[test]
fn what_errors_keep_takes_nothing_from_later_sends_and_has_a_limit() {
    const MEMORY: usize = 64 << 10;
    let broker = broker();
    refuse(&broker);
    let producer = Arc::new(
        quick(&broker)
            .batch_size(MEMORY)
            .buffer_memory(MEMORY)
            .build()
            .unwrap(),
    );
    producer.partitions_for("orders").unwrap();
    // Each record takes more than half of the memory.
    let value = "v".repeat(40 << 10);
    let (sender, resent) = mpsc::channel();
    let inside = Arc::clone(&producer);
    let again = value.clone();
    producer
        .send_with_callback(ProducerRecord::new("orders", &value), move |result| {
            let sent = inside.try_send(ProducerRecord::new("orders", &again));
            sender
                .send((result.unwrap_err(), sent.map_err(Error::from)))
                .unwrap();
        })
        .unwrap();
    let (first, resent) = resent.recv_timeout(LONG).unwrap();
    assert!(
        resent
            .unwrap()
            .get_timeout(LONG)
            .unwrap_err()
            .record()
            .is_none()
    );
    assert!(first.record().is_some());
    drop(first);
    let next = producer
        .send(ProducerRecord::new("orders", &value))
        .unwrap();
    assert!(next.get_timeout(LONG).unwrap_err().record().is_some());
}

/// A program that resends failed records without keeping copies: each record is in exactly one of
/// the two topics.
#[test]
fn every_record_of_an_outage_is_resent_once() {
    const RECORDS: usize = 3000;
    let broker = broker();
    let refusal = Action::apply().fail_partition("orders", 0, ErrorCode::NOT_ENOUGH_REPLICAS);
    broker.on(Api::Produce).always().then(refusal);
    let producer = Arc::new(
        quick(&broker)
            .delivery_timeout(millis(2000))
            .request_timeout(millis(2000))
            .compression_type(CompressionType::None)
            .buffer_memory(1 << 20)
            .build()
            .unwrap(),
    );
    producer.partitions_for("dead-letters").unwrap();
    let left = Arc::new(Mutex::new(Vec::new()));
    for number in 0..RECORDS {
        let (inside, left) = (Arc::clone(&producer), Arc::clone(&left));
        let record = ProducerRecord::new("orders", number.to_string()).key("k");
        let callback = move |result: kafka_producer::Result<_>| {
            let Err(error) = result else { return };
            let mut record = error.record().unwrap();
            record.topic = "dead-letters".into();
            record.partition = None;
            if let Err(unsent) = inside.try_send_with_callback(record, |sent| drop(sent.unwrap())) {
                left.lock().unwrap().push(unsent.record);
            }
        };
        producer.send_with_callback(record, callback).unwrap();
    }
    producer.flush().unwrap();
    // The records that a callback could not send without waiting.
    let left = std::mem::take(&mut *left.lock().unwrap());
    producer.send_all(left).get().unwrap();
    producer.close(LONG).unwrap();
    let mut values: Vec<usize> = broker
        .all_records("dead-letters")
        .into_iter()
        .map(|record| {
            String::from_utf8(record.value.unwrap())
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    values.sort_unstable();
    assert_eq!(values, (0..RECORDS).collect::<Vec<_>>());
    assert_eq!(broker.record_count("orders"), 0);
}

#[test]
fn records_of_a_mock_come_back() {
    let mock = MockProducer::new(false).with_max_request_size(1000);
    let future = mock.send(record(1)).unwrap();
    mock.error_next(ErrorCode::INVALID_RECORD);
    assert_eq!(future.get().unwrap_err().record(), Some(record(1)));
    let too_large = ProducerRecord::new("orders", vec![0_u8; 2000]);
    let error = mock.send(too_large.clone()).unwrap().get().unwrap_err();
    assert_eq!(error.record(), Some(too_large));
}
