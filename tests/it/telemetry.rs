//! Metrics are pushed to the brokers that subscribe to them (KIP-714), in OpenTelemetry's format,
//! and to no others. Telemetry never delays or fails a record or a close.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::common::Uuid;
use kafka_producer::testing::{Action, Api, FakeBroker, TelemetryPush, TelemetrySubscription};
use kafka_producer::{
    ErrorCode, ErrorKind, KafkaProducer, KafkaProducerBuilder, MockProducer, Producer,
    ProducerRecord,
};

use crate::support::otlp::{self, Labels, Pushed, name_in_snapshot, resource_labels};

const SOON: Duration = Duration::from_secs(20);
/// The shortest interval that a producer accepts.
const OFTEN: Duration = Duration::from_millis(100);

fn wanted(prefixes: &[&str]) -> TelemetrySubscription {
    TelemetrySubscription::new(prefixes.iter().copied()).push_interval(OFTEN)
}

fn subscribed(prefixes: &[&str]) -> FakeBroker {
    let broker = FakeBroker::builder().topic("a", 1).topic("b", 1);
    broker.telemetry(wanted(prefixes)).start().unwrap()
}

fn builder(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .client_id("pushing")
        .retry_backoff(Duration::from_millis(5))
        .max_block(SOON)
}

fn producer(broker: &FakeBroker) -> KafkaProducer {
    builder(broker).build().unwrap()
}

fn send(producer: &KafkaProducer, topic: &str) {
    let record = ProducerRecord::new(topic, "value");
    producer.send(record).unwrap().get().unwrap();
}

fn await_pushes(broker: &FakeBroker, count: usize) -> Vec<TelemetryPush> {
    assert!(broker.wait_for(SOON, |broker| broker.telemetry_pushes().len() >= count));
    broker.telemetry_pushes()
}

fn numbers(push: &TelemetryPush) -> BTreeMap<(String, Labels), Pushed> {
    otlp::numbers(&push.metrics)
}

/// The last push has the names, labels and values of the producer's own snapshot, and every name
/// with Kafka's prefix is one of Kafka's.
#[test]
fn the_last_push_says_what_the_snapshot_says() {
    let broker = subscribed(&["*"]);
    let producer = builder(&broker)
        .transactional_id("tx-1")
        .client_rack("rack-1")
        .build()
        .unwrap();
    producer.init_transactions().unwrap();
    producer.begin_transaction().unwrap();
    for topic in ["a", "a", "b"] {
        send(&producer, topic);
    }
    producer.commit_transaction().unwrap();
    producer.client_instance_id(SOON).unwrap();
    producer.close(SOON).unwrap();

    let pushes = broker.telemetry_pushes();
    let last = pushes.last().unwrap();
    assert!(last.is_terminating, "{last:?}");
    assert_eq!(pushes.iter().filter(|push| push.is_terminating).count(), 1);
    let expected = [("client_rack", "rack-1"), ("transactional_id", "tx-1")];
    let expected = expected.map(|(label, value)| (label.to_owned(), value.to_owned()));
    assert_eq!(resource_labels(&last.metrics), BTreeMap::from(expected));

    let kafkas: Vec<String> = include_str!("../data/metrics.tsv")
        .lines()
        .map(|line| {
            let mut columns = line.split('\t');
            let (group, name) = (columns.next().unwrap(), columns.next().unwrap());
            format!("org.apache.kafka.{}.{name}", group.replace("-metrics", "")).replace('-', ".")
        })
        .collect();
    let numbers = numbers(last);
    let mut compared = 0;
    for ((name, labels), pushed) in &numbers {
        let is_kafkas = kafkas.contains(name);
        assert_eq!(is_kafkas, name.starts_with("org.apache.kafka."), "{name}");
        assert!(!labels.contains_key("client_id"));
        assert_eq!(pushed.is_sum, name.ends_with(".total"), "{name}");
        // Metrics that the last push itself changes are left out.
        let is_settled = name.contains(".record.") || name.contains(".txn.");
        if !(pushed.is_sum && is_settled) {
            continue;
        }
        let (group, own) = name_in_snapshot(name, labels);
        let tags: Vec<_> = labels
            .iter()
            .map(|(tag, value)| (&**tag, &**value))
            .collect();
        let snapshot = producer.metrics();
        let metric = snapshot.find(group, &own, &tags).unwrap();
        let expected = metric.value().as_number();
        assert_eq!(Some(pushed.value), expected, "{name} {labels:?}");
        compared += 1;
    }
    assert!(compared >= 14, "{compared}");
    let of_topic = |topic: &str| {
        let name = "org.apache.kafka.producer.topic.record.send.total".to_owned();
        numbers[&(
            name,
            BTreeMap::from([("topic".to_owned(), topic.to_owned())]),
        )]
            .value
    };
    assert_eq!((of_topic("a"), of_topic("b")), (2.0, 1.0));
    // Every numeric metric of the snapshot was pushed.
    let wanted = producer.metrics();
    let wanted = wanted
        .iter()
        .filter(|metric| metric.value().as_number().is_some());
    let wanted = wanted.filter(|metric| metric.name().group() != "producer-partition-metrics");
    assert_eq!(wanted.count(), numbers.len());
}

#[test]
fn only_what_is_requested_is_pushed_under_one_id() {
    let broker = subscribed(&[
        "org.apache.kafka.producer.record.send",
        "org.apache.kafka.app",
    ]);
    let producer = producer(&broker);
    let id = producer.client_instance_id(SOON).unwrap();
    let pushes = await_pushes(&broker, 3);
    for push in &pushes {
        assert_eq!(push.client_instance_id, id);
        let numbers = numbers(push);
        let names: Vec<_> = numbers.keys().map(|(name, _)| &**name).collect();
        let expected = [
            "org.apache.kafka.app.info.start.time.ms",
            "org.apache.kafka.producer.record.send.rate",
            "org.apache.kafka.producer.record.send.total",
        ];
        assert_eq!(names, expected);
    }
    assert_eq!(producer.client_instance_id(Duration::ZERO).unwrap(), id);
    producer.close(SOON).unwrap();
    assert_eq!(producer.client_instance_id(Duration::ZERO).unwrap(), id);
}

#[test]
fn a_changed_subscription_is_fetched_when_a_push_meets_it() {
    let broker = subscribed(&["org.apache.kafka.producer.record.send.total"]);
    let producer = producer(&broker);
    let id = producer.client_instance_id(SOON).unwrap();
    await_pushes(&broker, 1);
    let other = wanted(&["org.apache.kafka.producer.topic."]).delta_temporality(true);
    broker.set_telemetry(Some(other));
    send(&producer, "a");
    let is_new = |push: &TelemetryPush| {
        let numbers = numbers(push);
        let mut names = numbers.keys().map(|(name, _)| name);
        names.any(|name| name == "org.apache.kafka.producer.topic.record.send.total")
    };
    assert!(broker.wait_for(SOON, |broker| {
        broker
            .telemetry_pushes()
            .iter()
            .any(|push| push.compressed_bytes > 0 && is_new(push))
    }));
    assert_eq!(producer.client_instance_id(Duration::ZERO).unwrap(), id);
    let pushes = broker.telemetry_pushes();
    let deltas = pushes
        .iter()
        .filter(|push| push.compressed_bytes > 0 && is_new(push));
    let sent = deltas.map(|push| {
        let sent = numbers(push);
        let mut sent = sent.iter();
        sent.find(|((name, _), _)| name.ends_with("topic.record.send.total"))
            .unwrap()
            .1
            .value
    });
    assert_eq!(sent.sum::<f64>(), 1.0, "deltas add up");
}

#[test]
fn a_subscription_to_nothing_gives_an_id_and_gets_no_push() {
    let broker = subscribed(&[]);
    let producer = producer(&broker);
    producer.client_instance_id(SOON).unwrap();
    // Opens a connection for the next telemetry requests: none is opened for them.
    send(&producer, "a");
    assert!(broker.await_requests(Api::GetTelemetrySubscriptions, 3, SOON));
    producer.close(SOON).unwrap();
    assert_eq!(broker.request_count(Api::PushTelemetry), 0);
}

// Java: KafkaProducerTest.testClientInstanceIdNoTelemetryReporterRegistered, testClientInstanceIdInvalidTimeout.
#[test]
fn nothing_is_asked_when_push_is_disabled() {
    let broker = subscribed(&["*"]);
    let producer = builder(&broker).enable_metrics_push(false).build().unwrap();
    send(&producer, "a");
    let error = producer.client_instance_id(SOON).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalState);
    assert!(error.to_string().contains("enable.metrics.push"), "{error}");
    producer.close(SOON).unwrap();
    assert_eq!(broker.request_count(Api::GetTelemetrySubscriptions), 0);
}

#[test]
fn brokers_without_telemetry_are_left_alone() {
    let broker = FakeBroker::builder().topic("a", 1).start().unwrap();
    let producer = producer(&broker);
    send(&producer, "a");
    let short = Duration::from_millis(20);
    for timeout in [Duration::ZERO, short] {
        let error = producer.client_instance_id(timeout).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.timeout().unwrap().waited, timeout);
    }
    producer.close(SOON).unwrap();
    assert_eq!(broker.protocol_violations(), Vec::<String>::new());
    assert_eq!(broker.request_count(Api::GetTelemetrySubscriptions), 0);
}

#[test]
fn a_close_ends_the_wait_for_an_id() {
    let broker = FakeBroker::builder().topic("a", 1).start().unwrap();
    let producer = Arc::new(producer(&broker));
    let waiting = Arc::clone(&producer);
    let waiter = thread::spawn(move || waiting.client_instance_id(Duration::MAX));
    send(&producer, "a");
    producer.close(SOON).unwrap();
    let error = waiter.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn an_id_cannot_be_waited_for_inside_a_callback() {
    let broker = FakeBroker::builder().topic("a", 1).start().unwrap();
    let producer = Arc::new(producer(&broker));
    let (result, results) = std::sync::mpsc::channel();
    let inside = Arc::clone(&producer);
    let record = ProducerRecord::new("a", "value");
    let call = move |_| result.send(inside.client_instance_id(SOON)).unwrap();
    producer.send_with_callback(record, call).unwrap();
    let error = results.recv_timeout(SOON).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldDeadlock);
}

/// The last push takes no longer than the close may take, and less if nothing else is left to do.
#[allow(clippy::disallowed_methods, reason = "the time that passes at most")]
#[test]
fn a_close_waits_little_for_a_broker_that_does_not_answer_the_last_push() {
    for timeout in [Duration::ZERO, Duration::from_millis(50), Duration::MAX] {
        let broker = subscribed(&["*"]);
        broker
            .on(Api::PushTelemetry)
            .always()
            .then(Action::apply().never_reply());
        let producer = producer(&broker);
        send(&producer, "a");
        producer.client_instance_id(SOON).unwrap();
        let start = Instant::now();
        producer.close(timeout).unwrap();
        let spent = start.elapsed();
        assert!(spent < Duration::from_secs(15), "{timeout:?}: {spent:?}");
    }
}

/// Each record is acknowledged once whatever brokers answer to telemetry requests. The errors that
/// Java retries are retried.
#[test]
fn no_answer_to_telemetry_fails_a_record() {
    for code in [
        ErrorCode::UNKNOWN_SUBSCRIPTION_ID,
        ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        ErrorCode::TELEMETRY_TOO_LARGE,
        ErrorCode::THROTTLING_QUOTA_EXCEEDED,
        ErrorCode::INVALID_RECORD,
    ] {
        let broker = subscribed(&["*"]);
        broker.on(Api::PushTelemetry).then(Action::fail(code));
        let producer = producer(&broker);
        send(&producer, "a");
        assert!(broker.await_requests(Api::PushTelemetry, 1, SOON));
        if code == ErrorCode::INVALID_RECORD {
            let asked = broker.request_count(Api::GetTelemetrySubscriptions);
            assert_eq!(asked, 1);
        } else {
            assert!(broker.await_requests(Api::GetTelemetrySubscriptions, 2, SOON));
            await_pushes(&broker, 1);
        }
        send(&producer, "a");
        producer.close(SOON).unwrap();
        assert_eq!(broker.record_count("a"), 2, "{code}");
    }
}

// Java: MockProducerTest (client instance id), KafkaProducerTest.testClientInstanceId.
#[test]
fn a_mock_has_the_id_that_the_test_gives_it() {
    let mock = MockProducer::new(true);
    let as_producer: &dyn Producer = &mock;
    let ask = || as_producer.client_instance_id(SOON);
    assert_eq!(ask().unwrap_err().kind(), ErrorKind::IllegalState);
    let id = Uuid::from_bytes([3; 16]);
    mock.set_client_instance_id(id);
    assert_eq!(ask().unwrap(), id);
    mock.set_client_instance_id_error(Some(ErrorKind::Timeout.into()));
    assert_eq!(ask().unwrap_err().kind(), ErrorKind::Timeout);
    mock.set_client_instance_id_error(None);
    assert_eq!(ask().unwrap(), id);
    mock.disable_telemetry();
    assert_eq!(ask().unwrap_err().kind(), ErrorKind::IllegalState);
}
