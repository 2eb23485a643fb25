//! `producer.metrics()`: Java's metrics with Java's names, values that agree with what the producer
//! did, and the export of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    ErrorCode, KafkaMetric, KafkaProducer, KafkaProducerBuilder, Metric, MetricName, MetricValue,
    MetricsReporter, MetricsSnapshot, MockProducer, Producer, ProducerRecord, RecordingLevel,
};

const SOON: Duration = Duration::from_secs(20);
const TOPIC: &str = "orders";

/// Metrics of Java's producer that do not exist here, with the reason.
const ABSENT: &[(&str, &str)] = &[
    (
        "commit-id",
        "a crate from the registry does not know its commit",
    ),
    (
        "txn-prepare-time-ns-total",
        "there is no prepareTransaction (KIP-939)",
    ),
];

fn producer(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .client_id("measured")
        .linger(Duration::ZERO)
        .retry_backoff(Duration::from_millis(5))
        .max_block(SOON)
}

fn record(value: &str) -> ProducerRecord<'_> {
    ProducerRecord::new(TOPIC, value).partition(0)
}

fn client(metrics: &MetricsSnapshot, name: &str) -> f64 {
    let value = metrics.number("producer-metrics", name);
    value.unwrap_or_else(|| panic!("no {name}"))
}

/// Returns the number of registered metrics, which reporters know.
fn registered(producer: &KafkaProducer) -> usize {
    let count = producer.metrics().number("kafka-metrics-count", "count");
    count.unwrap() as usize
}

/// A producer that has used everything that has metrics.
fn busy_producer(broker: &FakeBroker) -> KafkaProducer {
    let producer = producer(broker).transactional_id("t").build().unwrap();
    producer.init_transactions().unwrap();
    producer
        .transaction(|transaction| transaction.send(record("value")))
        .unwrap();
    producer.begin_transaction().unwrap();
    producer.send(record("value")).unwrap().get().unwrap();
    producer.abort_transaction().unwrap();
    producer.flush().unwrap();
    producer
}

// Java: SenderMetricsRegistryTest, KafkaProducerMetricsTest; the table was read from a running producer of Kafka 4.4.
#[test]
fn every_metric_of_java_is_there_with_its_group_tags_and_description() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = busy_producer(&broker);
    let metrics = producer.metrics();
    let mut rows = 0;
    for row in include_str!("../data/metrics.tsv").lines() {
        rows += 1;
        let [group, name, tags] = row.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let found = metrics.all(group, name).next();
        if ABSENT.iter().any(|(absent, _)| *absent == name) {
            assert_eq!(found, None, "{name} is there after all");
            continue;
        }
        let found = found.unwrap_or_else(|| panic!("{group}: {name} is missing"));
        let names: Vec<_> = found.name().tags().map(|(tag, _)| tag).collect();
        assert_eq!(format!("[{}]", names.join(", ")), tags, "{name}");
        assert!(found.name().description().ends_with('.'), "{name}");
        assert_eq!(found.name().tag("client-id"), Some("measured"));
        let again = metrics.get(found.name()).map(Metric::name);
        assert_eq!(again, Some(found.name()));
    }
    assert_eq!(rows, 98);
    let unique: BTreeSet<_> = metrics.iter().map(Metric::name).collect();
    assert_eq!(unique.len(), metrics.len(), "a name is there twice");
}

#[test]
fn values_agree_with_what_the_producer_did() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 2)
        .start()
        .unwrap();
    let producer = busy_producer(&broker);
    let metrics = producer.metrics();
    assert_eq!(client(&metrics, "record-send-total"), 2.0);
    assert_eq!(client(&metrics, "record-error-total"), 0.0);
    assert_eq!(client(&metrics, "requests-in-flight"), 0.0);
    assert_eq!(client(&metrics, "buffer-available-bytes"), 33_554_432.0);
    assert_eq!(client(&metrics, "buffer-total-bytes"), 33_554_432.0);
    assert_eq!(client(&metrics, "failed-authentication-total"), 0.0);
    for time in ["init", "begin", "commit", "abort"] {
        let name = format!("txn-{time}-time-ns-total");
        assert!(client(&metrics, &name) > 0.0, "{name}");
    }
    for some in [
        "flush-time-ns-total",
        "metadata-wait-time-ns-total",
        "io-wait-time-ns-total",
    ] {
        assert!(client(&metrics, some) > 0.0, "{some}");
    }
    assert!(client(&metrics, "metadata-age") < 60.0);
    assert!(
        client(&metrics, "record-ack-latency-p99") >= client(&metrics, "record-ack-latency-p50")
    );

    // The total is the sum over the nodes, and equals what the broker received.
    let requests = client(&metrics, "request-total");
    assert_eq!(requests, broker.requests().len() as f64);
    assert_eq!(client(&metrics, "response-total"), requests);
    for name in [
        "request-total",
        "response-total",
        "outgoing-byte-total",
        "incoming-byte-total",
    ] {
        let nodes = metrics.all("producer-node-metrics", name);
        let sum: f64 = nodes.filter_map(|metric| metric.value().as_number()).sum();
        assert_eq!(sum, client(&metrics, name), "{name}");
        assert!(sum > 0.0, "{name}");
    }
    let connections = client(&metrics, "connection-count");
    assert_eq!(
        client(&metrics, "connection-creation-total") - client(&metrics, "connection-close-total"),
        connections
    );
    let count = metrics.number("kafka-metrics-count", "count").unwrap();
    let looked_up = metrics
        .all("producer-node-metrics", "connection-state")
        .count();
    assert!(looked_up > 0);
    assert_eq!(count, (metrics.len() - looked_up) as f64);
}

// Java: KafkaProducerTest.testMetricsReporterAutoGeneratedClientId. The id is in the tags of every
// metric.
#[test]
fn metrics_are_readable_in_a_callback_and_after_the_close() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer: Arc<dyn Producer> = Arc::new(producer(&broker).build().unwrap());
    let (sender, receiver) = mpsc::channel();
    let inside = Arc::downgrade(&producer);
    let callback = move |_| {
        let metrics = inside.upgrade().unwrap().metrics();
        sender.send(client(&metrics, "record-send-total")).unwrap();
    };
    producer
        .send_with_callback(record("value"), Box::new(callback))
        .unwrap();
    assert_eq!(receiver.recv_timeout(SOON).unwrap(), 1.0);
    producer.close(SOON).unwrap();
    let metrics = producer.metrics();
    assert_eq!(client(&metrics, "record-send-total"), 1.0);
    assert_eq!(client(&metrics, "connection-count"), 0.0);
}

/// Each failed record is counted, before or after it is in a batch. So are retries, timeouts for
/// memory, throttling and queues.
#[test]
fn trouble_shows_in_the_metrics() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker)
        .buffer_memory(64 << 10)
        .max_block(Duration::from_millis(50))
        .build()
        .unwrap();
    // On a busy machine the first metadata may take longer than the timeout.
    assert!((0..1_000).any(|_| producer.partitions_for(TOPIC).is_ok()));
    let throttled = Action::fail(ErrorCode::NOT_ENOUGH_REPLICAS).throttle(Duration::from_millis(7));
    broker.on(Api::Produce).then(throttled);
    producer.send(record("value")).unwrap().get().unwrap();
    let metrics = producer.metrics();
    assert_eq!(client(&metrics, "record-retry-total"), 1.0);
    assert_eq!(client(&metrics, "record-send-total"), 2.0);
    assert_eq!(client(&metrics, "produce-throttle-time-max"), 7.0);

    // While a request is held, a record that does not fit into the buffer fails before it is in a
    // batch.
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    let large = "x".repeat(40 << 10);
    let first = producer.send(record(&large)).unwrap();
    assert!(broker.await_requests(Api::Produce, 3, SOON));
    let waiting = producer.send(record("waits")).unwrap();
    producer.send(record(&large)).unwrap().get().unwrap_err();
    let metrics = producer.metrics();
    assert_eq!(client(&metrics, "record-error-total"), 1.0);
    assert_eq!(client(&metrics, "buffer-exhausted-total"), 1.0);
    assert!(client(&metrics, "bufferpool-wait-time-ns-total") >= 50e6);
    assert!(client(&metrics, "bufferpool-wait-ratio") > 0.0);
    assert_eq!(client(&metrics, "waiting-threads"), 0.0);
    assert!(client(&metrics, "buffer-available-bytes") < f64::from(64 << 10));
    assert_eq!(
        metrics.number("producer-topic-metrics", "record-error-total"),
        Some(0.0)
    );
    hold.release();
    first.get().unwrap();
    waiting.get().unwrap();
}

/// Returns a producer that keeps a batch until a caller waits for it.
fn lingering(broker: &FakeBroker) -> KafkaProducer {
    producer(broker)
        .linger(Duration::from_secs(3600))
        .request_timeout(Duration::from_secs(10))
        .delivery_timeout(Duration::from_secs(7200))
        .build()
        .unwrap()
}

#[test]
fn a_queue_shows_its_depth_and_its_age() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = lingering(&broker);
    let sent = producer.send(record("value")).unwrap();
    let metrics = producer.metrics();
    let tags = [("topic", TOPIC), ("partition", "0")];
    let value = |name| {
        let metric = metrics.find("producer-partition-metrics", name, &tags);
        metric
            .and_then(|metric| metric.value().as_number())
            .unwrap()
    };
    assert_eq!(value("queue-batches"), 1.0);
    assert!(value("queue-bytes") > 60.0);
    assert!(value("queue-age") < 20_000.0);
    producer.flush().unwrap();
    sent.get().unwrap();
    let left = producer
        .metrics()
        .all("producer-partition-metrics", "queue-batches")
        .count();
    assert_eq!(left, 0, "nothing waits");
}

#[test]
fn the_recording_level_adds_the_quantiles_of_each_node() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let p99 = |level| {
        let producer = producer(&broker)
            .metrics_recording_level(level)
            .build()
            .unwrap();
        producer.send(record("value")).unwrap().get().unwrap();
        let metrics = producer.metrics();
        metrics
            .all("producer-node-metrics", "request-latency-p99")
            .count()
    };
    assert_eq!(p99(RecordingLevel::Info), 0);
    assert!(p99(RecordingLevel::Debug) > 0);
}

/// Records its calls.
#[derive(Clone, Default)]
struct Remembering {
    metrics: Arc<Mutex<BTreeMap<MetricName, KafkaMetric>>>,
    removed: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

impl MetricsReporter for Remembering {
    fn init(&self, metrics: &[KafkaMetric]) {
        for metric in metrics {
            self.metric_change(metric);
        }
    }

    fn metric_change(&self, metric: &KafkaMetric) {
        let name = metric.metric_name().clone();
        self.metrics.lock().unwrap().insert(name, metric.clone());
    }

    fn metric_removal(&self, metric: &KafkaMetric) {
        let known = self.metrics.lock().unwrap().remove(metric.metric_name());
        assert!(known.is_some(), "{metric:?}");
        self.removed.fetch_add(1, Ordering::SeqCst);
    }

    fn close(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

// Java: KafkaProducerTest.testMetricConfigRecordingLevel, testInterceptorConstructClose, MetricsTest.testRemoveMetric.
#[test]
fn a_reporter_is_told_of_every_metric_and_of_the_end() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let reporter = Remembering::default();
    let producer = producer(&broker)
        .metrics_reporter(reporter.clone())
        .build()
        .unwrap();
    producer.send(record("value")).unwrap().get().unwrap();
    let sends = MetricName::new(
        "record-send-total",
        "producer-topic-metrics",
        "",
        &[("client-id", "measured"), ("topic", TOPIC)],
    );
    let live = reporter
        .metrics
        .lock()
        .unwrap()
        .get(&sends)
        .cloned()
        .unwrap();
    assert_eq!(live.metric_value(), MetricValue::Number(1.0));
    producer.send(record("value")).unwrap().get().unwrap();
    assert_eq!(live.metric_value(), MetricValue::Number(2.0));
    let count = registered(&producer);
    assert_eq!(reporter.metrics.lock().unwrap().len(), count);
    producer.close(SOON).unwrap();
    assert_eq!(reporter.removed.load(Ordering::SeqCst), count);
    assert!(reporter.metrics.lock().unwrap().is_empty());
    drop(producer);
    assert_eq!(reporter.closed.load(Ordering::SeqCst), 1);
    assert_eq!(
        live.metric_value(),
        MetricValue::Number(2.0),
        "still readable"
    );
}

/// Panics in every method.
struct Explosive;

impl MetricsReporter for Explosive {
    fn init(&self, _: &[KafkaMetric]) {
        panic!("on purpose");
    }

    fn metric_change(&self, _: &KafkaMetric) {
        panic!("on purpose");
    }

    fn metric_removal(&self, _: &KafkaMetric) {
        panic!("on purpose");
    }

    fn close(&self) {
        panic!("on purpose");
    }
}

#[test]
fn a_reporter_that_panics_harms_nothing() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let reporter = Remembering::default();
    let producer = producer(&broker)
        .metrics_reporter(Explosive)
        .metrics_reporter(reporter.clone())
        .build()
        .unwrap();
    producer.send(record("value")).unwrap().get().unwrap();
    let count = registered(&producer);
    producer.close(SOON).unwrap();
    assert_eq!(reporter.removed.load(Ordering::SeqCst), count);
    assert_eq!(reporter.closed.load(Ordering::SeqCst), 1);
}

#[test]
fn the_prometheus_text_keeps_to_the_format() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = busy_producer(&broker);
    let metrics = producer.metrics();
    let text = metrics.to_prometheus();
    let values = check_prometheus(&text);
    assert_eq!(values, metrics.len());
    for line in [
        "# TYPE kafka_producer_record_send_total counter",
        "kafka_producer_record_send_total{client_id=\"measured\"} 2",
        "kafka_producer_topic_record_send_total{client_id=\"measured\",topic=\"orders\"} 2",
        "# TYPE kafka_producer_connections gauge",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is missing in\n{text}"
        );
    }
}

/// Checks what `promtool check metrics` checks, and that the metrics of a family are adjacent.
/// Returns the number of values.
fn check_prometheus(text: &str) -> usize {
    let is_name = |name: &str| {
        let mut chars = name.chars();
        chars.next().is_some_and(|c| c.is_ascii_lowercase())
            && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let mut seen = BTreeSet::new();
    let mut series = BTreeSet::new();
    let mut lines = text.lines().peekable();
    while let Some(help) = lines.next() {
        let (name, help) = help
            .strip_prefix("# HELP ")
            .unwrap()
            .split_once(' ')
            .unwrap();
        assert!(is_name(name) && !help.is_empty(), "{name} {help}");
        assert!(seen.insert(name), "{name} is there twice");
        let kind = lines
            .next()
            .unwrap()
            .strip_prefix(&format!("# TYPE {name} "))
            .unwrap();
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        for reserved in ["_count", "_sum", "_bucket", "_ns", "_ms"] {
            assert!(!name.ends_with(reserved), "{name}");
        }
        assert!(!name.contains("_ns_") && !name.contains("_ms_"), "{name}");
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (labels, value) = line.strip_prefix(name).unwrap().rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            assert!(kind != "counter" || value >= 0.0, "{line}");
            let labels = labels
                .strip_prefix('{')
                .unwrap()
                .strip_suffix("\"}")
                .unwrap();
            for label in labels.split("\",") {
                let (label, value) = label.split_once("=\"").unwrap();
                assert!(is_name(label) && !value.contains('"'), "{line}");
            }
            assert!(series.insert(line.rsplit_once(' ').unwrap().0), "{line}");
        }
    }
    assert!(text.ends_with('\n'));
    series.len()
}

/// The metric shows the state without a request to the broker.
#[test]
fn the_state_of_each_connection_is_a_metric() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker).build().unwrap();
    producer.send(record("value")).unwrap().get().unwrap();
    let metrics = producer.metrics();
    let leader = [("node-id", "node-1")];
    let state = metrics.find("producer-node-metrics", "connection-state", &leader);
    assert_eq!(state.unwrap().value(), &MetricValue::from("ready"));
    let line = "kafka_producer_node_connection_state_info{client_id=\"measured\",node_id=\"node-1\",connection_state=\"ready\"} 1";
    let text = metrics.to_prometheus();
    assert!(text.lines().any(|found| found == line), "{text}");
}

/// The page that operators read.
#[test]
fn the_readme_tells_operators_to_watch_metrics_that_are_there() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = lingering(&broker);
    producer.send(record("value")).unwrap().get().unwrap();
    // The metrics of a queue are there while something waits.
    let waiting = producer.send(record("value")).unwrap();
    let metrics = producer.metrics();
    let known: BTreeSet<_> = metrics.iter().map(|metric| metric.name().name()).collect();
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("## Operating it").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut watched = 0;
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let column = row.split('|').nth(1).unwrap();
        // Every other part is code; keys of the configuration have dots.
        let named = column.split('`').skip(1).step_by(2);
        for name in named.filter(|name| !name.contains('.')) {
            watched += 1;
            assert!(known.contains(name), "{name}");
        }
    }
    assert!(watched > 15, "{watched}");
    producer.flush().unwrap();
    waiting.get().unwrap();
}

// Java: MockProducer.setMockMetrics.
#[test]
fn a_mock_has_the_metrics_that_the_test_sets() {
    let mock = MockProducer::new(true);
    assert!(mock.metrics().is_empty());
    let name = MetricName::new("record-send-total", "producer-metrics", "", &[]);
    mock.set_mock_metrics(name.clone(), 7.0);
    let producer: &dyn Producer = &mock;
    assert_eq!(
        producer.metrics().get(&name).unwrap().value(),
        &MetricValue::Number(7.0)
    );
    mock.set_mock_metrics(name, 8.0);
    assert_eq!(
        mock.metrics()
            .number("producer-metrics", "record-send-total"),
        Some(8.0)
    );
}

/// Prints that the test is ignored if promtool is missing. Fails where CI requires all tests.
fn has_promtool() -> bool {
    let version = Command::new("promtool").arg("--version").output();
    if version.is_ok_and(|version| version.status.success()) {
        return true;
    }
    let demands = std::env::var_os("KAFKA_PRODUCER_REQUIRE_KAFKA").is_some_and(|on| on == "1");
    assert!(!demands, "there is no promtool");
    // Not `eprintln!`, because the test framework captures that in a passing test.
    let mut stderr = std::io::stderr().lock();
    stderr
        .write_all(b"ignored: needs the promtool command\n")
        .unwrap();
    false
}

#[test]
fn promtool_accepts_the_prometheus_text() {
    if !has_promtool() {
        return;
    }
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker)
        .client_id("a \"quoted\\name\"")
        .metrics_recording_level(RecordingLevel::Debug)
        .build()
        .unwrap();
    producer.send(record("value")).unwrap().get().unwrap();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = producer.metrics().to_prometheus();
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
