//! Java: `MockProducerTest`.

mod transactions;

use std::error::Error as StdError;

use super::*;
use crate::common::Headers;
use crate::producer::{
    IntegerSerializer, Producer, RoundRobinPartitioner, Serialized, StringSerializer,
};

fn record_1() -> ProducerRecord<'static> {
    ProducerRecord::new("topic", "value1").key("key1")
}

fn record_2() -> ProducerRecord<'static> {
    ProducerRecord::new("topic", "value2").key("key2")
}

type Seen = Arc<Mutex<Vec<String>>>;

/// Returns a callback, and the place where it stores its argument.
fn observed() -> (impl FnOnce(Result<RecordMetadata>) + Send + 'static, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let callback = move |result: Result<RecordMetadata>| {
        log.lock()
            .push(result.map_or_else(|e| e.to_string(), |metadata| metadata.to_string()));
    };
    (callback, seen)
}

// Java: MockProducerTest.testAutoCompleteMock.
#[test]
fn a_mock_with_auto_complete_completes_at_once() {
    let producer = MockProducer::new(true);
    let (callback, seen) = observed();
    let metadata = producer.send(record_1().timestamp(7)).unwrap();
    assert!(metadata.is_done(), "send should complete at once");
    let metadata = metadata.get().unwrap();
    assert_eq!((metadata.offset(), metadata.partition()), (0, 0));
    assert_eq!(metadata.timestamp(), Some(7));
    assert_eq!(metadata.serialized_key_size(), Some(4));
    assert_eq!(metadata.serialized_value_size(), Some(6));
    producer.send_with_callback(record_2(), callback).unwrap();
    assert_eq!(*seen.lock(), ["topic-0@1"]);
    assert_eq!(producer.history(), [record_1().timestamp(7), record_2()]);
    producer.clear();
    assert!(
        producer.history().is_empty(),
        "clear should erase the history"
    );
    assert_eq!(
        producer.send(record_1()).unwrap().get().unwrap().offset(),
        0
    );
}

// Java: MockProducerTest.testPartitioner.
#[test]
fn a_mock_asks_its_partitioner() {
    let producer = MockProducer::new(true)
        .with_topic("topic", 2)
        .with_partitioner(RoundRobinPartitioner::new());
    let partitions: Vec<_> = (0..4)
        .map(|_| producer.send(record_1()).unwrap().get().unwrap())
        .map(|metadata| (metadata.partition(), metadata.offset()))
        .collect();
    assert_eq!(partitions, [(0, 0), (1, 0), (0, 1), (1, 1)]);
    let explicit = producer
        .send(record_1().partition(1))
        .unwrap()
        .get()
        .unwrap();
    assert_eq!((explicit.partition(), explicit.offset()), (1, 2));
}

#[test]
fn keys_go_where_a_real_producer_puts_them() {
    let producer = MockProducer::new(true).with_topic("topic", 3);
    for key in ["a", "b", "c", "d"] {
        let sent = producer.send(ProducerRecord::new("topic", "value").key(key));
        let expected = partition_of_key(key.as_bytes(), 3);
        assert_eq!(sent.unwrap().get().unwrap().partition(), expected);
    }
}

// Java: MockProducerTest.shouldThrowIllegalArgument... for a partition that a known topic does not
// have. A real producer waits for it.
#[test]
fn a_partition_that_does_not_exist_fails_in_the_future() {
    let producer = MockProducer::new(true).with_topic("topic", 2);
    let error = producer.send(record_1().partition(-1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalArgument);
    assert!(error.to_string().contains("-1"), "{error}");
    let unknown = ProducerRecord::new("unknown", "v").partition(1);
    for record in [record_1().partition(2), unknown] {
        let error = producer.send(record).unwrap().get().unwrap_err();
        assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));
    }
    assert!(producer.history().is_empty());
}

#[test]
fn records_that_no_producer_sends_fail_in_the_future() {
    let producer = MockProducer::new(true).with_max_request_size(100);
    let (callback, seen) = observed();
    producer
        .send_with_callback(ProducerRecord::new("a topic", "value"), callback)
        .unwrap();
    assert_eq!(seen.lock().len(), 1);
    for (record, kind) in [
        (ProducerRecord::new("", "value"), ErrorKind::InvalidTopic),
        (ProducerRecord::new("a/b", "value"), ErrorKind::InvalidTopic),
        (
            ProducerRecord::new("topic", [0; 100]),
            ErrorKind::RecordTooLarge,
        ),
    ] {
        let error = producer.send(record).unwrap().get().unwrap_err();
        assert_eq!(error.kind(), kind);
    }
    assert!(producer.history().is_empty());
    producer.send(record_1()).unwrap().get().unwrap();
}

// Java: MockProducerTest.testManualCompletion.
#[test]
fn a_mock_completes_sends_when_told() {
    let producer = MockProducer::new(false);
    let (callback, seen) = observed();
    let first = producer.send(record_1()).unwrap();
    assert!(!first.is_done(), "send should not complete by itself");
    let second = producer.send(record_2()).unwrap();
    producer.send_with_callback(record_2(), callback).unwrap();
    assert!(producer.complete_next(), "complete the first request");
    assert_eq!(first.get().unwrap().offset(), 0);
    assert!(!second.is_done(), "the second request is still open");
    assert!(
        producer.error_next(ErrorCode::CORRUPT_MESSAGE),
        "fail the second request"
    );
    let error = second.get().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::CORRUPT_MESSAGE));
    assert_eq!(
        error.topic_partition(),
        Some(&TopicPartition::new("topic", 0))
    );
    assert!(seen.lock().is_empty());
    assert!(
        producer.error_next(ErrorKind::Timeout),
        "fail the third request"
    );
    assert_eq!(*seen.lock(), ["the mock producer fails with Timeout"]);
    assert!(!producer.complete_next(), "no more requests");
    assert!(!producer.error_next(ErrorKind::Timeout));

    let fourth = producer.send(record_1()).unwrap();
    let fifth = producer.send(record_2()).unwrap();
    assert!(!fourth.is_done() && !fifth.is_done());
    producer.flush().unwrap();
    assert!(
        fourth.is_done() && fifth.is_done(),
        "flush completes what is open"
    );
}

#[test]
fn errors_say_whether_the_record_may_be_in_the_log() {
    let producer = MockProducer::new(false);
    let futures = [record_1(), record_2()].map(|record| producer.send(record).unwrap());
    producer.error_next((ErrorCode::REQUEST_TIMED_OUT, Delivery::MaybeWritten));
    producer.error_next((ErrorKind::Timeout, Delivery::NotWritten));
    let [first, second] = futures.map(|future| future.get().unwrap_err());
    assert_eq!(first.delivery(), Delivery::MaybeWritten);
    assert_eq!(
        (second.delivery(), second.kind()),
        (Delivery::NotWritten, ErrorKind::Timeout)
    );
}

// Java: MockProducerTest.shouldThrowOnSendIfProducerIsClosed, shouldThrowOnFlushIfProducerIsClosed,
// shouldThrowOnPartitionsForIfProducerIsClosed.
#[test]
fn everything_but_close_and_flush_fails_when_closed() {
    let producer = MockProducer::new(true);
    assert!(!producer.closed());
    producer.close(Duration::ZERO).unwrap();
    assert!(producer.closed());
    assert_eq!(
        producer.send(record_1()).unwrap_err().kind(),
        ErrorKind::Closed
    );
    // As with a real producer, which has nothing left to flush.
    producer.flush().unwrap();
    assert_eq!(
        producer.partitions_for("topic").unwrap_err().kind(),
        ErrorKind::Closed
    );
    producer.close(Duration::ZERO).unwrap();
}

// Java: MockProducerTest.shouldBeFlushedIfNoBufferedRecords, shouldBeFlushedWithAutoCompleteIfBufferedRecords,
// shouldNotBeFlushedWithNoAutoCompleteIfBufferedRecords, shouldNotBeFlushedAfterFlush.
#[test]
fn flushed_when_nothing_is_open() {
    let manual = MockProducer::new(false);
    assert!(manual.flushed());
    let future = manual.send(record_1()).unwrap();
    assert!(!manual.flushed());
    manual.flush().unwrap();
    assert!(manual.flushed() && future.is_done());
    let automatic = MockProducer::new(true);
    automatic.send(record_1()).unwrap().get().unwrap();
    assert!(automatic.flushed());
}

// Java: MockProducerTest.shouldThrowSendException and its like: sendException, flushException, partitionsForException,
// closeException.
#[test]
fn each_method_returns_its_injected_error() {
    let producer = MockProducer::new(true).with_topic("topic", 1);
    let injected = || Some(Error::from(ErrorKind::Authorization));
    producer.set_send_error(injected());
    assert_eq!(
        producer.send(record_1()).unwrap().get().unwrap_err().kind(),
        ErrorKind::Authorization,
        "where a real producer has it"
    );
    producer.set_send_error(Some(ErrorKind::Serialization.into()));
    producer.set_flush_error(injected());
    producer.set_partitions_for_error(injected());
    producer.set_close_error(injected());
    assert_eq!(
        producer.send(record_1()).unwrap_err().kind(),
        ErrorKind::Serialization
    );
    assert_eq!(
        producer.flush().unwrap_err().kind(),
        ErrorKind::Authorization
    );
    assert_eq!(
        producer.partitions_for("topic").unwrap_err().kind(),
        ErrorKind::Authorization
    );
    assert_eq!(
        producer.close(Duration::ZERO).unwrap_err().kind(),
        ErrorKind::Authorization
    );
    assert!(!producer.closed());
    assert!(producer.history().is_empty());
    producer.set_send_error(None);
    producer.set_flush_error(None);
    producer.set_partitions_for_error(None);
    producer.set_close_error(None);
    producer.send(record_1()).unwrap().get().unwrap();
    producer.flush().unwrap();
    assert_eq!(producer.partitions_for("topic").unwrap().len(), 1);
    producer.close(Duration::ZERO).unwrap();
}

#[test]
fn a_close_fails_what_is_open_and_says_so() {
    let producer = MockProducer::new(false);
    let (callback, seen) = observed();
    let open = producer.send(record_1()).unwrap();
    producer.send_with_callback(record_2(), callback).unwrap();
    let error = producer.close(Duration::from_secs(1)).unwrap_err();
    assert!(
        error.is_timeout() && error.to_string().contains('2'),
        "{error}"
    );
    let failed = open.get().unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Closed);
    assert_eq!(failed.delivery(), Delivery::MaybeWritten);
    assert_eq!(seen.lock().len(), 1);
    producer.close(Duration::ZERO).unwrap();
}

#[test]
fn nobody_waits_for_ever() {
    let producer = MockProducer::new(false);
    let cleared = producer.send(record_1()).unwrap();
    producer.clear();
    assert_eq!(cleared.get().unwrap_err().kind(), ErrorKind::IllegalState);
    let dropped = producer.send(record_1()).unwrap();
    drop(producer);
    assert_eq!(dropped.get().unwrap_err().kind(), ErrorKind::IllegalState);
}

#[test]
fn callbacks_may_use_the_mock() {
    let producer = Arc::new(MockProducer::new(false));
    let from_callback = Arc::clone(&producer);
    let callback = move |_| drop(from_callback.send(record_2()).unwrap());
    producer.send_with_callback(record_1(), callback).unwrap();
    assert!(producer.complete_next());
    assert_eq!(producer.history(), [record_1(), record_2()]);
    assert!(!producer.flushed());
}

/// Adds a header to each record.
struct Marking;

impl Serializer for Marking {
    type Input = f64;

    fn serialize<'a>(
        &self,
        _: &str,
        headers: &mut Headers,
        data: &'a f64,
    ) -> Result<Serialized<'a>, Box<dyn StdError + Send + Sync>> {
        headers.add("format", "text");
        if data.is_nan() {
            Err("not a number".into())
        } else {
            Ok(data.to_string().into())
        }
    }
}

#[test]
fn typed_records_are_remembered_as_bytes() {
    let producer = MockProducer::with_serializers(true, IntegerSerializer, Marking);
    producer
        .send(ProducerRecord::new("topic", 1.5).key(7))
        .unwrap()
        .get()
        .unwrap();
    let expected = ProducerRecord::new("topic", "1.5")
        .key([0, 0, 0, 7])
        .header("format", "text");
    assert_eq!(producer.history(), [expected]);
    let error = producer
        .send(ProducerRecord::new("topic", f64::NAN))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Serialization);
    assert_eq!(producer.history().len(), 1);
}

/// The types that one method accepts. The test is that this compiles.
#[test]
fn one_send_method_takes_all_that_bytes_can_be_made_of() {
    let producer = MockProducer::new(true);
    let (string, vec, text) = (String::from("v"), b"v".to_vec(), Some("v"));
    let (key, slice): (Option<Vec<u8>>, &[u8]) = (Some(b"k".to_vec()), b"v");
    let sent = [
        producer.send(ProducerRecord::new("t", "v").key("k")),
        producer.send(ProducerRecord::new("t", b"v").key(b"k")),
        producer.send(ProducerRecord::new("t", [118_u8]).key([107_u8])),
        producer.send(ProducerRecord::new("t", &string).key(&vec)),
        producer.send(ProducerRecord::new(String::from("t"), vec).key(string)),
        producer.send(ProducerRecord::new("t", slice).key(key)),
        producer.send(ProducerRecord::new("t", text).key(None::<String>)),
        producer.send(ProducerRecord::tombstone("t").key("k")),
    ];
    assert!(sent.into_iter().all(|future| future.unwrap().get().is_ok()));
    let values: Vec<_> = producer
        .history()
        .iter()
        .map(|record| record.value.as_ref().map(<[u8]>::to_vec))
        .collect();
    assert!(
        values[..7]
            .iter()
            .all(|value| value.as_deref() == Some(b"v"))
    );
    assert_eq!(values[7], None);

    let typed = MockProducer::with_serializers(true, StringSerializer, IntegerSerializer);
    let (key, value) = (String::from("k"), 5);
    typed
        .send(ProducerRecord::new("t", 5).key("k"))
        .unwrap()
        .get()
        .unwrap();
    typed
        .send(ProducerRecord::new("t", value).key(&key))
        .unwrap()
        .get()
        .unwrap();
    typed
        .send(ProducerRecord::new("t", Some(5)).key(key))
        .unwrap()
        .get()
        .unwrap();

    let shared: Arc<dyn Producer> = Arc::new(producer);
    shared
        .send(ProducerRecord::new("t", "v").key(vec![1]))
        .unwrap()
        .get()
        .unwrap();
    shared
        .send_with_callback(ProducerRecord::new("t", "v"), drop)
        .unwrap();
    shared.flush().unwrap();
    assert_eq!(shared.partitions_for("t").unwrap().len(), 1);
    shared.close(Duration::ZERO).unwrap();
}
