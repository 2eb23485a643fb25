//! User code that handles a record: its changes take effect, and its failures affect only that
//! record.

use std::error::Error as StdError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_producer::common::{Headers, Uuid};
use kafka_producer::producer::{
    DoubleSerializer, IntegerSerializer, LongSerializer, StringSerializer, UuidSerializer,
};
use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    Error, ErrorCode, ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerInterceptor,
    ProducerRecord, RecordMetadata, Serialized, Serializer,
};

const SOON: Duration = Duration::from_secs(20);
const TOPIC: &str = "orders";

type BoxError = Box<dyn StdError + Send + Sync>;
type Log = Arc<Mutex<Vec<String>>>;

fn producer(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .linger(Duration::ZERO)
}

fn broker() -> FakeBroker {
    FakeBroker::builder().topic(TOPIC, 3).start().unwrap()
}

fn value_of(broker: &FakeBroker, topic: &str) -> Vec<Option<String>> {
    let records = broker.all_records(topic).into_iter();
    records
        .map(|record| record.value.map(|value| String::from_utf8(value).unwrap()))
        .collect()
}

/// Appends its name to each value, and records its calls.
struct Appending {
    name: &'static str,
    log: Log,
}

impl Appending {
    fn note(&self, text: &str) {
        self.log
            .lock()
            .unwrap()
            .push(format!("{}: {text}", self.name));
    }
}

impl ProducerInterceptor for Appending {
    fn on_send(&self, record: &mut ProducerRecord<'_>) -> Result<(), BoxError> {
        let mut value = record.value.as_ref().unwrap_or_default().to_vec();
        self.note(&format!("send {}", String::from_utf8_lossy(&value)));
        if value.starts_with(b"fail") && self.name == "first" {
            record.headers.add("half", "done");
            return Err("it was asked to".into());
        }
        assert!(
            !value.starts_with(b"panic") || self.name != "first",
            "it was asked to"
        );
        value.extend_from_slice(self.name.as_bytes());
        record.value = kafka_producer::producer::IntoData::into_data(value);
        Ok(())
    }

    fn on_acknowledgement(
        &self,
        metadata: &RecordMetadata,
        error: Option<&Error>,
        headers: &Headers,
    ) {
        let outcome = error.map_or_else(|| "ok".to_owned(), |error| format!("{:?}", error.kind()));
        let place = format!("{}-{}", metadata.topic(), metadata.partition());
        self.note(&format!("ack {place} {outcome} {}", headers.len()));
        assert_eq!(self.name, "second", "the first one panics");
    }

    fn close(&self) {
        self.note("close");
    }
}

fn intercepted(broker: &FakeBroker) -> (KafkaProducer, Log) {
    let log = Log::default();
    let interceptor = |name| Appending {
        name,
        log: Arc::clone(&log),
    };
    let producer = producer(broker)
        .interceptor(interceptor("first"))
        .interceptor(interceptor("second"))
        .build()
        .unwrap();
    (producer, log)
}

fn take(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

// Java: ProducerInterceptorsTest.testOnSendChain, testOnAcknowledgementChain.
#[test]
fn interceptors_see_what_the_one_before_left_and_then_the_outcome() {
    let broker = broker();
    let (producer, log) = intercepted(&broker);
    let record = ProducerRecord::new(TOPIC, "value ")
        .partition(1)
        .header("h", "1");
    let callback_log = Arc::clone(&log);
    producer
        .send_with_callback(record, move |result| {
            callback_log
                .lock()
                .unwrap()
                .push(format!("callback {}", result.is_ok()));
        })
        .unwrap();
    producer.flush().unwrap();
    assert_eq!(
        value_of(&broker, TOPIC),
        [Some("value firstsecond".to_owned())]
    );
    // The first interceptor panics when it is called. The others are called anyway.
    assert_eq!(
        take(&log),
        [
            "first: send value ",
            "second: send value first",
            "first: ack orders-1 ok 1",
            "second: ack orders-1 ok 1",
            "callback true",
        ]
    );
    producer.close(SOON).unwrap();
    producer.close(SOON).unwrap();
    assert_eq!(take(&log), ["first: close", "second: close"]);
}

// Java: ProducerInterceptorsTest.testOnSendChain with a failing interceptor: it is skipped, but its
// changes so far stay.
#[test]
fn an_interceptor_that_fails_is_passed_over() {
    let broker = broker();
    let (producer, _) = intercepted(&broker);
    for value in ["fail ", "panic "] {
        producer
            .send(ProducerRecord::new(TOPIC, value).partition(0))
            .unwrap()
            .get()
            .unwrap();
    }
    let records = broker.records(TOPIC, 0);
    assert_eq!(
        value_of(&broker, TOPIC),
        [
            Some("fail second".to_owned()),
            Some("panic second".to_owned())
        ]
    );
    assert!(
        records.iter().all(|record| record.headers.is_empty()),
        "{records:?}"
    );
}

// Java: ProducerInterceptorsTest.testOnAcknowledgementWithErrorChain, KafkaProducerTest.testInterceptorPartitionSetOnTooLargeRecord.
#[test]
fn interceptors_hear_of_failures_wherever_they_happen() {
    let broker = broker();
    let (producer, log) = intercepted(&broker);
    let send = |value: &str| producer.send(ProducerRecord::new(TOPIC, value).partition(2));
    send("warm").unwrap().get().unwrap();
    take(&log);
    let heard = |kind: &str| {
        let log = take(&log);
        let acks: Vec<_> = log
            .iter()
            .filter(|line| line.contains(" ack "))
            .cloned()
            .collect();
        assert_eq!(
            acks,
            [
                format!("first: ack orders-2 {kind} 0"),
                format!("second: ack orders-2 {kind} 0")
            ]
        );
    };
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::INVALID_RECORD));
    send("refused").unwrap().get().unwrap_err();
    heard("Broker");
    send(&"v".repeat(2 << 20)).unwrap().get().unwrap_err();
    heard("RecordTooLarge");
    producer.close(SOON).unwrap();
    take(&log);
    send("late").unwrap_err();
    heard("Closed");
}

/// Sends records to another topic.
struct Rerouting;

impl ProducerInterceptor for Rerouting {
    fn on_send(&self, record: &mut ProducerRecord<'_>) -> Result<(), BoxError> {
        record.topic = "audit".into();
        record.partition = Some(0);
        record.timestamp = Some(42);
        record.headers.add("from", "orders");
        Ok(())
    }
}

#[test]
fn an_interceptor_may_change_all_of_a_record() {
    let broker = broker();
    let producer = producer(&broker).interceptor(Rerouting).build().unwrap();
    let sent = producer
        .send(ProducerRecord::new(TOPIC, "value").partition(1).key("k"))
        .unwrap();
    let metadata = sent.get().unwrap();
    assert_eq!(
        (metadata.topic(), metadata.partition(), metadata.timestamp()),
        ("audit", 0, Some(42))
    );
    assert_eq!(broker.record_count(TOPIC), 0);
    let stored = &broker.records("audit", 0)[0];
    assert_eq!(stored.key.as_deref(), Some(&b"k"[..]));
    assert_eq!(
        stored.headers.last_header("from").unwrap().value(),
        Some(&b"orders"[..])
    );
}

// Java's formats: big-endian numbers, and text for a UUID and a string.
#[test]
fn built_in_serializers_write_javas_bytes() {
    let broker = broker();
    let numbers = producer(&broker)
        .key_serializer(IntegerSerializer)
        .value_serializer(LongSerializer)
        .build()
        .unwrap();
    numbers
        .send(ProducerRecord::new(TOPIC, -2_i64).key(258_i32).partition(0))
        .unwrap()
        .get()
        .unwrap();
    let stored = &broker.records(TOPIC, 0)[0];
    assert_eq!(stored.key.as_deref(), Some(&[0, 0, 1, 2][..]));
    assert_eq!(
        stored.value.as_deref(),
        Some(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe][..])
    );

    let texts = producer(&broker)
        .key_serializer(StringSerializer)
        .value_serializer(DoubleSerializer)
        .build()
        .unwrap();
    let metadata = texts
        .send(
            ProducerRecord::new(TOPIC, 1.5_f64)
                .key("schl\u{fc}ssel")
                .partition(1),
        )
        .unwrap()
        .get()
        .unwrap();
    assert_eq!(
        (
            metadata.serialized_key_size(),
            metadata.serialized_value_size()
        ),
        (Some(10), Some(8))
    );
    let stored = &broker.records(TOPIC, 1)[0];
    assert_eq!(stored.key.as_deref(), Some("schl\u{fc}ssel".as_bytes()));
    assert_eq!(stored.value.as_deref(), Some(&1.5_f64.to_be_bytes()[..]));
}

/// Null is not empty, in the log and in the metadata, and no serializer is called for it.
#[test]
fn null_and_empty_differ() {
    let broker = broker();
    let producer = producer(&broker).build().unwrap();
    let send =
        |record: ProducerRecord<'_>| producer.send(record.partition(0)).unwrap().get().unwrap();
    let tombstone = send(ProducerRecord::tombstone(TOPIC).key(""));
    assert_eq!(
        (
            tombstone.serialized_key_size(),
            tombstone.serialized_value_size()
        ),
        (Some(0), None)
    );
    let empty = send(ProducerRecord::new(TOPIC, ""));
    assert_eq!(
        (empty.serialized_key_size(), empty.serialized_value_size()),
        (None, Some(0))
    );
    let stored = broker.records(TOPIC, 0);
    assert_eq!(
        (stored[0].key.as_deref(), stored[0].value.as_deref()),
        (Some(&b""[..]), None)
    );
    assert_eq!(
        (stored[1].key.as_deref(), stored[1].value.as_deref()),
        (None, Some(&b""[..]))
    );
}

/// A serializer that marks its records with a header and refuses some of them.
struct Orders {
    closed: Arc<AtomicUsize>,
}

struct Order {
    number: i32,
}

impl Serializer for Orders {
    type Input = Order;

    fn serialize<'a>(
        &self,
        topic: &str,
        headers: &mut Headers,
        order: &'a Order,
    ) -> Result<Serialized<'a>, BoxError> {
        headers.add("format", format!("order of {topic}"));
        match order.number {
            -1 => Err("orders are numbered from 0".into()),
            -2 => panic!("an order that nobody expects"),
            0 => Ok(Serialized::NULL),
            number => Ok(format!("order {number}").into_bytes().into()),
        }
    }

    fn close(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

// Java: KafkaProducerTest.testSerializerClose.
#[test]
fn a_serializer_of_ones_own_may_add_headers_fail_and_panic() {
    let broker = broker();
    let closed = Arc::new(AtomicUsize::new(0));
    let serializer = Orders {
        closed: Arc::clone(&closed),
    };
    let producer = producer(&broker)
        .value_serializer(serializer)
        .build()
        .unwrap();
    let order = |number| ProducerRecord::new(TOPIC, Order { number }).partition(0);
    producer.send(order(7)).unwrap().get().unwrap();
    for (number, cause) in [(-1, "numbered from 0"), (-2, "nobody expects")] {
        let error = producer.send(order(number)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Serialization);
        assert!(
            error
                .to_string()
                .contains("value of a record for topic orders"),
            "{error}"
        );
        assert!(
            error.source().unwrap().to_string().contains(cause),
            "{error:?}"
        );
    }
    producer.send(order(0)).unwrap().get().unwrap();
    let stored = broker.records(TOPIC, 0);
    assert_eq!(stored[0].value.as_deref(), Some(&b"order 7"[..]));
    assert_eq!(
        stored[0].headers.last_header("format").unwrap().value(),
        Some(&b"order of orders"[..])
    );
    assert_eq!(stored[1].value, None, "a serializer may say null");
    assert_eq!(stored.len(), 2);
    producer.close(SOON).unwrap();
    drop(producer);
    assert_eq!(closed.load(Ordering::SeqCst), 1);
}

/// The key serializer decides the partition, because its bytes are hashed.
#[test]
fn keys_are_hashed_as_they_are_serialized() {
    let broker = broker();
    let uuid = Uuid::from_bytes([
        0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde,
        0xf0,
    ]);
    let typed = producer(&broker)
        .key_serializer(UuidSerializer)
        .build()
        .unwrap();
    let by_uuid = typed
        .send(ProducerRecord::new(TOPIC, "value").key(uuid))
        .unwrap()
        .get()
        .unwrap();
    let text = String::from_utf8(
        broker.records(TOPIC, by_uuid.partition())[0]
            .key
            .clone()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(text, "12345678-9abc-def0-1234-56789abcdef0");
    let plain = producer(&broker).build().unwrap();
    let by_text = plain
        .send(ProducerRecord::new(TOPIC, "value").key(&*text))
        .unwrap()
        .get()
        .unwrap();
    assert_eq!(by_text.partition(), by_uuid.partition());
}
