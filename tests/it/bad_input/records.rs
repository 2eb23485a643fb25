//! Records that are too large, empty, or with an invalid timestamp, and a full buffer.

use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_producer::common::{Header, Headers};
use kafka_producer::testing::{Action, Api, FakeBroker, TopicConfig};
use kafka_producer::{Delivery, Error, ErrorCode, ErrorKind, KafkaProducer, ProducerRecord};

use super::{PATIENCE, assert_works, cause, chain, deliver, impatient, producer_for};

fn broker() -> FakeBroker {
    FakeBroker::builder().topic("orders", 1).start().unwrap()
}

fn too_large(producer: &KafkaProducer, size: usize) -> Error {
    let value = vec![0; size];
    let error = deliver(producer, ProducerRecord::new("orders", &value)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
    assert!(!error.is_retriable() && !error.is_fatal());
    assert_eq!(error.delivery(), Delivery::NotWritten);
    error
}

// Java: KafkaProducerTest... RecordTooLargeException; ApiExceptions are in the future and go to the callback.
#[test]
fn a_record_over_max_request_size_is_refused() {
    let broker = broker();
    let producer = impatient(&broker.bootstrap_servers())
        .max_request_size(1000)
        .build()
        .unwrap();
    let error = too_large(&producer, 1000);
    assert_eq!(
        chain(&error),
        [
            "the record takes 1086 bytes with its batch, which is more than the 1000 bytes of max.request.size"
        ]
    );
    let unsent = producer
        .try_send(ProducerRecord::new("orders", vec![0; 1000]))
        .unwrap_err();
    assert_eq!(unsent.error.kind(), ErrorKind::RecordTooLarge);
    assert!(!unsent.is_would_block());

    let (tell, told) = mpsc::channel();
    producer
        .send_with_callback(
            ProducerRecord::new("orders", vec![0; 1000]),
            move |result| {
                tell.send(result.unwrap_err().kind()).unwrap();
            },
        )
        .unwrap();
    assert_eq!(told.try_recv(), Ok(ErrorKind::RecordTooLarge));
    assert_works(&producer, &broker, "orders");
}

#[test]
fn a_record_over_buffer_memory_is_refused() {
    let broker = broker();
    let producer = impatient(&broker.bootstrap_servers())
        .buffer_memory(20_000)
        .build()
        .unwrap();
    let error = too_large(&producer, 20_000);
    assert_eq!(
        chain(&error),
        [
            "the record takes 20087 bytes with its batch, which is more than the 20000 bytes of buffer.memory"
        ]
    );
    assert_works(&producer, &broker, "orders");
}

#[test]
fn a_record_over_the_limit_of_the_broker() {
    let config = TopicConfig::new(1).max_message_bytes(500);
    let broker = FakeBroker::builder()
        .topic_with("orders", config)
        .start()
        .unwrap();
    let producer = producer_for(&broker);
    let error = too_large(&producer, 600);
    assert_eq!(error.code(), Some(ErrorCode::MESSAGE_TOO_LARGE));
    assert_eq!(error.topic_partition().unwrap().partition(), 0);
    // After the code come the broker's own text and the limit.
    let expected = "orders-0: the broker returned MESSAGE_TOO_LARGE (10): a batch of 670 bytes; max.message.bytes is 500; \
                    the limit is max.message.bytes of the topic, or message.max.bytes of the broker";
    assert_eq!(chain(&error), [expected]);
    assert_works(&producer, &broker, "orders");
}

#[test]
fn nothing_in_a_record_is_legal() {
    let broker = broker();
    let producer = producer_for(&broker);
    let mut headers = Headers::new();
    headers.add_null("nothing").add("empty", "");
    let record: ProducerRecord<'_> = ProducerRecord::tombstone("orders");
    deliver(&producer, record.headers(headers)).unwrap();
    deliver(&producer, ProducerRecord::new("orders", "").key("")).unwrap();
    let records = broker.records("orders", 0);
    assert_eq!((&records[0].key, &records[0].value), (&None, &None));
    let values: Vec<_> = records[0].headers.iter().map(Header::value).collect();
    assert_eq!(values, [None, Some(&b""[..])]);
    assert_eq!(records[1].key.as_deref(), Some(&b""[..]));
    assert_eq!(records[1].value.as_deref(), Some(&b""[..]));
}

// Java: ProducerRecordTest.testInvalidRecords.
#[test]
fn a_negative_timestamp_is_refused() {
    let broker = broker();
    let producer = producer_for(&broker);
    for timestamp in [-1, i64::MIN] {
        let record = || ProducerRecord::new("orders", "v").timestamp(timestamp);
        let unsent = producer.try_send(record()).unwrap_err();
        for error in [producer.send(record()).unwrap_err(), unsent.error] {
            assert_eq!(error.kind(), ErrorKind::IllegalArgument);
            let expected = format!("the record's timestamp is {timestamp}, and cannot be negative");
            assert_eq!(chain(&error), [expected]);
        }
    }
    let record = ProducerRecord::new("orders", "v").timestamp(0);
    deliver(&producer, record).unwrap();
    assert_eq!(broker.records("orders", 0)[0].timestamp, 0);
}

// KIP-937.
#[test]
fn a_timestamp_from_the_future_is_refused_by_the_broker() {
    let any_time = TopicConfig::new(1).message_timestamp_after_max_ms(i64::MAX);
    let builder = FakeBroker::builder().topic("orders", 1);
    let broker = builder.topic_with("any-time", any_time).start().unwrap();
    let producer = producer_for(&broker);
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_ms = i64::try_from(now_ms.as_millis()).unwrap();
    let two_hours_ahead = now_ms + 2 * 3_600_000;
    let microseconds = now_ms * 1000;
    for timestamp in [two_hours_ahead, microseconds, i64::MAX] {
        let record = |topic| ProducerRecord::new(topic, "v").timestamp(timestamp);
        let error = deliver(&producer, record("orders")).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::INVALID_TIMESTAMP));
        assert_eq!(error.delivery(), Delivery::NotWritten);
        let text = error.to_string();
        assert!(
            text.contains("message.timestamp.after.max.ms=3600000"),
            "{text}"
        );
        deliver(&producer, record("any-time")).unwrap();
    }
    assert_eq!(broker.record_count("orders"), 0);
    assert_eq!(broker.records("any-time", 0)[2].timestamp, i64::MAX);
}

/// A compacted topic needs keys. The broker names the record without one, and the error of the
/// other records says that they are valid.
#[test]
fn a_record_without_a_key_is_refused_by_a_compacted_topic() {
    let broker = FakeBroker::builder()
        .topic_with("orders", TopicConfig::new(1).compacted())
        .start()
        .unwrap();
    let producer = producer_for(&broker);
    let error = deliver(&producer, ProducerRecord::new("orders", "v")).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_RECORD));
    assert_eq!(error.delivery(), Delivery::NotWritten);
    let texts = chain(&error);
    assert!(
        texts[0].starts_with("orders-0: the broker returned INVALID_RECORD (87): "),
        "{texts:?}"
    );
    deliver(&producer, ProducerRecord::new("orders", "v").key("k")).unwrap();
}

/// A broker that does not answer Produce requests, and a buffer for little more than one batch.
#[test]
fn a_full_buffer_times_out() {
    let broker = broker();
    let hold = broker.new_hold();
    let producer = impatient(&broker.bootstrap_servers())
        .buffer_memory(40_000)
        .batch_size(10_000)
        .build()
        .unwrap();
    assert_works(&producer, &broker, "orders");
    broker
        .on(Api::Produce)
        .always()
        .then(Action::apply().hold_request(&hold));

    let value = vec![7; 9_000];
    let mut taken = Vec::new();
    let unsent = loop {
        match producer.try_send(ProducerRecord::new("orders", &value)) {
            Ok(future) => taken.push(future),
            Err(unsent) => break unsent,
        }
    };
    assert!(taken.len() >= 3, "{}", taken.len());
    assert!(unsent.is_would_block());
    assert_eq!(unsent.error.delivery(), Delivery::NotWritten);
    assert_eq!(unsent.record.value.as_ref().unwrap(), value, "handed back");
    let text = unsent.error.to_string();
    assert!(text.contains("buffer"), "{text}");

    let error = deliver(&producer, ProducerRecord::new("orders", &value)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BufferExhausted);
    assert!(error.is_timeout() && error.is_retriable());
    assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));
    assert_eq!(error.timeout().unwrap().waiting_for, "buffer memory");
    assert_eq!(error.delivery(), Delivery::NotWritten);
    let texts = chain(&error);
    assert_eq!(texts.len(), 1);
    for part in [
        "timed out after 2000 ms (max.block.ms)",
        "of 40000 bytes",
        "buffer.memory",
        "max.block.ms",
    ] {
        assert!(texts[0].contains(part), "{part} in {texts:?}");
    }

    hold.release();
    for future in taken {
        future.get_timeout(PATIENCE).unwrap();
    }
    assert_works(&producer, &broker, "orders");
    producer.close(PATIENCE).unwrap();
}

/// A record larger than the buffer fails at once, however much is free.
#[test]
fn a_record_that_never_fits_does_not_wait() {
    let broker = broker();
    let producer = impatient(&broker.bootstrap_servers())
        .buffer_memory(20_000)
        .max_block(Duration::from_secs(3600))
        .build()
        .unwrap();
    assert_works(&producer, &broker, "orders");
    too_large(&producer, 20_000);
}

/// The error of a refused batch has the broker's message, the code and the partition.
#[test]
fn a_batch_that_the_broker_refuses() {
    let broker = broker();
    let producer = producer_for(&broker);
    let text = "the clock of the producer is wrong";
    let failure = kafka_producer::testing::Failure::new(ErrorCode::INVALID_TIMESTAMP).message(text);
    broker.on(Api::Produce).then(Action::fail(failure));
    let error = deliver(&producer, ProducerRecord::new("orders", "v")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Broker);
    assert_eq!(error.code(), Some(ErrorCode::INVALID_TIMESTAMP));
    assert_eq!(error.delivery(), Delivery::NotWritten);
    let expected = format!(
        "orders-0: the broker returned INVALID_TIMESTAMP (32): {text}; the limits are \
         message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic"
    );
    assert_eq!(chain(&error), [expected]);
    assert_works(&producer, &broker, "orders");
}

#[test]
fn a_record_that_is_never_acknowledged_times_out() {
    let broker = broker();
    let hold = broker.new_hold();
    let producer = impatient(&broker.bootstrap_servers())
        .linger(Duration::ZERO)
        // More than half of the delivery timeout. One request times out before the record does, but
        // no second one, and no connection setup after it.
        .request_timeout(Duration::from_millis(1200))
        .delivery_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    assert_works(&producer, &broker, "orders");
    broker
        .on(Api::Produce)
        .always()
        .then(Action::skip().hold_request(&hold));
    let error = deliver(&producer, ProducerRecord::new("orders", "v")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    assert_eq!(error.timeout().unwrap().config, Some("delivery.timeout.ms"));
    let text = error.to_string();
    assert!(
        text.starts_with("expired 1 record for orders-0: ") && text.contains("delivery.timeout.ms"),
        "{text}"
    );
    let expected = format!(
        "a produce request timed out: node {} (id: 1): a request had no response within request.timeout.ms",
        broker.bootstrap_servers()
    );
    assert_eq!(cause(&error), expected);
}
