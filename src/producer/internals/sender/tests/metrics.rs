//! The sender's metrics, with exact values on the mock clock. Java:
//! `SenderTest.testSenderMetricsTemplates`, `testQuotaMetrics`, `testSplitBatchAndSend` and others,
//! for their metrics.

use super::*;
use crate::metrics::MetricsSnapshot;

impl Fixture {
    fn read(&self) -> MetricsSnapshot {
        self.metrics.snapshot()
    }

    fn client_metric(&self, name: &str) -> f64 {
        let value = self.read().number("producer-metrics", name);
        value.unwrap_or_else(|| panic!("no {name}"))
    }

    fn topic_metric(&self, name: &str) -> Option<f64> {
        self.read().number("producer-topic-metrics", name)
    }
}

/// Asserts a quantile of times in milliseconds, which is at most 1/32 above the value.
fn assert_quantile(found: f64, value: f64) {
    assert!(value <= found && found <= value * 1.032, "{found} {value}");
}

#[test]
fn a_request_counts_its_batches_and_its_records() {
    let mut f = Fixture::plain();
    assert_eq!(f.topic_metric("record-send-total"), None);
    f.append(0);
    f.append_value(0, &[7; 100]);
    f.append_value(1, &[7; 10]);
    f.advance(40);
    f.run();
    assert_eq!(f.client_metric("record-send-total"), 3.0);
    // One full window is assumed, and no time has passed since the first value.
    let rate = f.client_metric("record-send-rate");
    assert!((3.0 / 30.1..=3.0 / 30.0).contains(&rate), "{rate}");
    // A request to each of two nodes.
    assert_eq!(f.client_metric("records-per-request-avg"), 1.5);
    assert_eq!(f.client_metric("record-queue-time-avg"), 40.0);
    assert_eq!(f.client_metric("record-queue-time-max"), 40.0);
    assert_quantile(f.client_metric("record-queue-time-p99"), 40.0);
    assert_eq!(f.client_metric("compression-rate-avg"), 1.0);
    let requests = f.sender.client.requests().iter();
    let sizes: Vec<f64> = requests
        .flat_map(|sent| match &sent.request.body {
            RequestBody::Produce(request) => request.topics.clone(),
            other => panic!("{other:?}"),
        })
        .flat_map(|topic| topic.partitions)
        .map(|partition| partition.records.unwrap().as_bytes().len() as f64)
        .collect();
    let [first, second] = sizes[..] else {
        panic!("{sizes:?}")
    };
    assert_eq!(f.client_metric("batch-size-avg"), (first + second) / 2.0);
    assert_eq!(f.client_metric("batch-size-max"), first.max(second));
    assert!(f.client_metric("record-size-max") > f.client_metric("record-size-avg"));

    assert_eq!(f.topic_metric("record-send-total"), Some(3.0));
    assert_eq!(f.topic_metric("byte-total"), Some(first + second));
    let rate = f.topic_metric("byte-rate").unwrap() / (first + second);
    assert!((1.0 / 30.1..=1.0 / 30.0).contains(&rate), "{rate}");
    assert_eq!(f.topic_metric("compression-rate"), Some(1.0));
    assert_eq!(f.topic_metric("record-error-total"), Some(0.0));
}

#[test]
fn an_acknowledgement_counts_the_latency_of_each_record() {
    let mut f = Fixture::plain();
    f.append(0);
    f.append(0);
    f.advance(10);
    f.run();
    f.advance(20);
    f.answer(ErrorCode::NONE, 0);
    assert_eq!(f.client_metric("request-latency-avg"), 20.0);
    assert_eq!(f.client_metric("request-latency-max"), 20.0);
    assert_eq!(f.client_metric("record-ack-latency-avg"), 30.0);
    assert_quantile(f.client_metric("record-ack-latency-p50"), 30.0);
    let snapshot = f.read();
    let node = [("node-id", "node-0")];
    let latency = snapshot.find("producer-node-metrics", "request-latency-avg", &node);
    assert_eq!(latency.unwrap().value().as_number(), Some(20.0));

    f.send(0);
    f.advance(270);
    f.answer(ErrorCode::NONE, 2);
    assert_eq!(
        f.client_metric("record-ack-latency-avg"),
        (2.0 * 30.0 + 270.0) / 3.0
    );
    assert_eq!(f.client_metric("record-ack-latency-max"), 270.0);
    assert_quantile(f.client_metric("record-ack-latency-p50"), 30.0);
    assert_quantile(f.client_metric("record-ack-latency-p999"), 270.0);
    // Old values do not count.
    f.advance(60_000);
    assert!(f.client_metric("request-latency-avg").is_nan());
    assert!(f.client_metric("record-ack-latency-p999").is_nan());
}

// Java: SenderTest.testRetries and testAppendInExpiryCallback, for record-retry and record-error.
#[test]
fn retries_and_errors_count_records() {
    let mut f = Fixture::plain();
    f.append(0);
    f.append(0);
    f.run();
    f.answer(ErrorCode::NOT_ENOUGH_REPLICAS, -1);
    assert_eq!(f.client_metric("record-retry-total"), 2.0);
    assert_eq!(f.topic_metric("record-retry-total"), Some(2.0));
    f.back_off();
    // The second attempt counts as sent too.
    assert_eq!(f.client_metric("record-send-total"), 4.0);
    f.answer(ErrorCode::INVALID_RECORD, -1);
    assert_eq!(f.client_metric("record-error-total"), 2.0);
    assert_eq!(f.topic_metric("record-error-total"), Some(2.0));
    assert!(f.client_metric("record-ack-latency-avg").is_nan());
}

/// Expired in the queue, expired in flight, and failed with the end of the producer: each counts
/// once.
#[test]
fn every_way_to_fail_counts_the_records_once() {
    let mut f = Fixture::plain();
    f.send(0);
    f.advance(DELIVERY_TIMEOUT.as_millis().try_into().unwrap());
    f.run();
    assert_eq!(f.client_metric("record-error-total"), 1.0, "in flight");

    let mut f = Fixture::plain();
    f.append(0);
    f.advance(DELIVERY_TIMEOUT.as_millis().try_into().unwrap());
    f.run();
    assert_eq!(f.client_metric("record-error-total"), 1.0, "in the queue");
    assert_eq!(
        f.topic_metric("record-error-total"),
        None,
        "nothing was sent"
    );

    let mut f = Fixture::plain();
    f.send(0);
    f.append(0);
    f.append(1);
    let metrics = Arc::clone(&f.metrics);
    f.sender.control().force_close();
    f.sender.run();
    let total = metrics
        .snapshot()
        .number("producer-metrics", "record-error-total");
    assert_eq!(total, Some(3.0), "closed");
}

// Java: SenderTest.testSplitBatchAndSend, for batch-split.
#[test]
fn a_split_is_counted() {
    let mut f = Fixture::plain();
    f.append_value(0, &[7; 500]);
    f.append_value(0, &[7; 500]);
    f.run();
    f.answer(ErrorCode::MESSAGE_TOO_LARGE, -1);
    assert_eq!(f.client_metric("batch-split-total"), 1.0);
    let rate = f.client_metric("batch-split-rate");
    assert!((1.0 / 30.1..=1.0 / 30.0).contains(&rate), "{rate}");
    assert_eq!(f.client_metric("record-error-total"), 0.0);
}

// Java: KafkaProducerTest.testTopicExpiryInMetadata, but Java keeps these metrics.
#[test]
fn the_metrics_of_a_topic_leave_with_it() {
    let mut f = Fixture::plain();
    f.send(0);
    f.answer(ErrorCode::NONE, 0);
    let with_topic = f.read().len();
    assert_eq!(f.topic_metric("record-send-total"), Some(1.0));
    let count = f.read().number("kafka-metrics-count", "count").unwrap();
    assert_eq!(count, with_topic as f64);

    let mut without = metadata_response([0, 1], 0, TOPIC_ID);
    without.topics.clear();
    f.client().update_metadata(&without);
    f.run();
    assert_eq!(f.topic_metric("record-send-total"), None);
    assert_eq!(f.read().len(), with_topic - 9);
    let count = f.read().number("kafka-metrics-count", "count").unwrap();
    assert_eq!(count, (with_topic - 9) as f64);
}

#[test]
fn the_metrics_are_logged_once_an_interval_if_that_is_wanted() {
    const INTERVAL: Duration = Duration::from_secs(10);
    let mut f = Fixture::plain();
    let lines = log::test_lines();
    let rounds = |f: &mut Fixture, millis: &[u64]| {
        for passed in millis {
            f.advance(*passed);
            f.run();
        }
        let lines = lines.take().into_iter();
        let of_metrics = lines.filter(|(_, text)| text.contains("record-send-total="));
        of_metrics.collect::<Vec<_>>()
    };
    assert!(rounds(&mut f, &[60_000]).is_empty(), "it is off by default");
    f.sender.metrics.log_every(Duration::ZERO, f.time.now());
    assert!(rounds(&mut f, &[60_000]).is_empty());

    f.sender.metrics.log_every(INTERVAL, f.time.now());
    assert!(rounds(&mut f, &[9_999]).is_empty());
    let logged = rounds(&mut f, &[1, 5_000, 4_999]);
    let [(level, text)] = &logged[..] else {
        panic!("{logged:?}")
    };
    assert_eq!(*level, log::Level::Info);
    assert!(
        text.starts_with("record-send-rate=0.0 record-send-total=0.0 "),
        "{text}"
    );
    assert_eq!(rounds(&mut f, &[1]).len(), 1);
    assert_eq!(
        rounds(&mut f, &[50_000]).len(),
        1,
        "missed lines are not made up for"
    );
    assert!(f.sender.metrics.maybe_log(f.time.now()) <= INTERVAL);
}
