//! The log lines: each names its producer, and none contains a secret.
//!
//! A program of its own, because the logger belongs to the whole process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test broker or producer that fails is to fail the test"
)]

#[cfg(feature = "classic")]
#[path = "log_lines/classic.rs"]
mod classic;
#[cfg(all(feature = "sasl", feature = "tls"))]
#[path = "log_lines/secrets.rs"]
mod secrets;

#[path = "log_lines/budgets.rs"]
mod budgets;

use std::error::Error as StdError;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    ErrorCode, KafkaProducer, KafkaProducerBuilder, ProducerInterceptor, ProducerRecord,
};
use log::{Level, LevelFilter, Log, Metadata, Record};

const TOPIC: &str = "orders";
const SOON: Duration = Duration::from_secs(20);

/// A line of a producer. Lines of the test broker are left out.
#[derive(Clone, Debug)]
struct Line {
    level: Level,
    text: String,
}

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

fn lines() -> MutexGuard<'static, Vec<Line>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let target = record.target();
        if target.starts_with("kafka_producer::") && !target.contains("::testing") {
            lines().push(Line {
                level: record.level(),
                text: record.args().to_string(),
            });
        }
    }

    fn flush(&self) {}
}

fn capture() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        log::set_logger(&Capture).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
}

/// Returns the lines so far that begin with `prefix`.
fn lines_of(prefix: &str) -> Vec<Line> {
    let all = lines();
    let of_producer = all.iter().filter(|line| line.text.starts_with(prefix));
    of_producer.cloned().collect()
}

fn producer(broker: &FakeBroker, client_id: &str) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .client_id(client_id)
        .linger(Duration::ZERO)
        .retry_backoff(Duration::from_millis(5))
        .retry_backoff_max(Duration::from_millis(20))
        .reconnect_backoff(Duration::from_millis(5))
        .max_block(SOON)
}

/// An interceptor that fails every record.
struct Refuser;

impl ProducerInterceptor for Refuser {
    fn on_send(&self, _: &mut ProducerRecord<'_>) -> Result<(), Box<dyn StdError + Send + Sync>> {
        Err("refused".into())
    }
}

/// Callers, the I/O thread and the resolver's thread write log lines. So do the configuration,
/// callbacks, interceptors and transactions.
#[test]
fn every_line_names_the_client_and_its_transactions() {
    capture();
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 2)
        .start()
        .unwrap();
    let port = broker.port(NodeId(1)).unwrap();
    broker.advertise(NodeId(1), "localhost", port).unwrap();
    let producer = producer(&broker, "every")
        .transactional_id("t-1")
        .set("linger.mss", "5")
        .unwrap()
        .interceptor(Refuser)
        .build()
        .unwrap();
    producer.init_transactions().unwrap();
    producer.begin_transaction().unwrap();
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::NOT_ENOUGH_REPLICAS));
    broker.on(Api::Produce).then(Action::apply().disconnect());
    for partition in 0..2 {
        let record = ProducerRecord::new(TOPIC, "value").partition(partition);
        producer
            .send_with_callback(record, |_| panic!("on purpose"))
            .unwrap();
    }
    producer.commit_transaction().unwrap();
    let refused: Result<(), kafka_producer::Error> =
        producer.transaction(|_| Err(producer.partitions_for("no such name").unwrap_err()));
    refused.unwrap_err();
    drop(producer);

    let seen = lines_of("");
    let nameless: Vec<_> = seen
        .iter()
        .filter(|line| !line.text.starts_with("[Producer clientId="))
        .collect();
    assert!(nameless.is_empty(), "{nameless:#?}");
    let own = lines_of("[Producer clientId=every, transactionalId=t-1] ");
    for part in [
        "unknown configuration key linger.mss",
        "an interceptor failed",
        "a callback panicked: on purpose",
        "producer id set to",
        "returned NOT_ENOUGH_REPLICAS",
        "the producer's I/O thread has ended",
    ] {
        assert!(
            own.iter().any(|line| line.text.contains(part)),
            "{part}: {own:#?}"
        );
    }
    assert!(own.iter().any(|line| line.level == Level::Warn));
}

#[test]
fn a_warning_that_every_update_repeats_is_logged_once() {
    capture();
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 1)
        .start()
        .unwrap();
    broker.advertise(NodeId(2), "", 9092).unwrap();
    let producer = producer(&broker, "repeated")
        .metadata_max_age(Duration::from_millis(5))
        .build()
        .unwrap();
    assert!(broker.await_requests(Api::Metadata, 6, SOON));
    producer.close(SOON).unwrap();
    let warnings: Vec<_> = lines_of("[Producer clientId=repeated] ")
        .into_iter()
        .filter(|line| line.level <= Level::Warn)
        .filter(|line| line.text.contains("in the metadata"))
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    let text = &warnings.first().unwrap().text;
    assert!(
        text.contains("ignored 1 broker in the metadata: node 2"),
        "{text}"
    );
}

/// Every value that the line is to have is there: a name that no metric has would be left out without a word.
#[test]
fn the_line_of_metrics_has_a_value_for_each_of_its_names() {
    capture();
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker, "logging")
        .log_metrics_every(Duration::from_millis(1))
        .build()
        .unwrap();
    let is_of_metrics = |line: &Line| line.text.contains("record-send-total=");
    let logged = (0..10_000).find_map(|_| {
        producer
            .send(ProducerRecord::new(TOPIC, "value"))
            .unwrap()
            .get()
            .unwrap();
        lines_of("[Producer clientId=logging] ")
            .into_iter()
            .find(is_of_metrics)
    });
    let logged = logged.unwrap();
    assert_eq!(logged.level, Level::Info);
    let (_, values) = logged.text.split_once("] ").unwrap();
    assert_eq!(values.matches('=').count(), 13, "{values}");
    producer.close(SOON).unwrap();
}

/// At WARN and above, so that it is seen in production.
#[test]
fn an_expiry_is_one_warning_for_its_partition_that_names_the_cause() {
    capture();
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let failure = Action::fail(ErrorCode::NOT_ENOUGH_REPLICAS);
    broker.on(Api::Produce).always().then(failure);
    // The backoff outlasts the delivery timeout, so no later answer can fail the batch first.
    let producer = producer(&broker, "expiry")
        .retry_backoff(Duration::from_secs(60))
        .retry_backoff_max(Duration::from_secs(60))
        .request_timeout(Duration::from_secs(1))
        .delivery_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    for _ in 0..2 {
        let record = ProducerRecord::new(TOPIC, "value").partition(0);
        producer.send(record).unwrap().get().unwrap_err();
    }
    let seen = lines_of("[Producer clientId=expiry] ");
    let warnings: Vec<_> = seen
        .iter()
        .filter(|line| line.level <= Level::Warn)
        .collect();
    let of = |part: &str| {
        let found = warnings.iter().filter(|line| line.text.contains(part));
        found.count()
    };
    assert_eq!(of("expired 1 record for orders-0"), 1, "{warnings:#?}");
    assert_eq!(of("will be retried"), 1, "{warnings:#?}");
    for warning in warnings
        .iter()
        .filter(|line| line.text.contains("orders-0"))
    {
        let text = &warning.text;
        assert!(text.contains("NOT_ENOUGH_REPLICAS (19)"), "{text}");
        assert!(text.contains("min.insync.replicas"), "{text}");
    }
}
