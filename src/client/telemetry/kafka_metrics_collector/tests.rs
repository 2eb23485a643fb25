//! Scenarios of Java's KafkaMetricsCollectorTest and LastValueTrackerTest, on a mock clock.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{MetricsData, NumberDataPoint};
use prost::Message;

use super::*;
use crate::metrics::{Metric, MetricValue, metric_table};
use crate::sync::{AtomicUsize, Ordering};
use crate::utils::MockTime;

metric_table! {
    /// Counted and windowed.
    enum Sensor, TABLE of "producer-topic-metrics" {
        Sends Info {
            Rate "record-send-rate" "",
            Total "record-send-total" "",
            CountTotal "request-total" "",
        }
    }
}

metric_table! {
    /// Looked up.
    enum Gauge, GAUGES of "producer-metrics" {
        Version Info { Gauge "version" "" }
        Spent Info { Gauge "flush-time-ns-total" "" }
        Count Info { Gauge "connection-count" "" }
    }
}

/// The name, topic and value, and for a sum the start time and whether it is a delta.
type Read = (String, String, f64, Option<(u64, bool)>);

struct Fixture {
    collector: KafkaMetricsCollector,
    metrics: Arc<Metrics>,
    time: MockTime,
    start_ms: u64,
}

impl Fixture {
    fn new() -> Self {
        let time = MockTime::new();
        let clock: Arc<dyn Time> = Arc::new(time.clone());
        let metrics = Metrics::unread(&clock);
        metrics.add_gauges(&GAUGES, &[], |index, _| match Gauge::ALL.get(index) {
            Some(Gauge::Version) => MetricValue::from("1.2"),
            Some(Gauge::Spent) => MetricValue::Number(7.0),
            _ => MetricValue::Number(3.0),
        });
        let start_ms = u64::try_from(time.unix_millis()).unwrap();
        let labels = (Some(Arc::from("tx")), Some(Arc::from("rack")));
        Self {
            collector: KafkaMetricsCollector::new(Arc::clone(&metrics), clock, labels.0, labels.1),
            metrics,
            time,
            start_ms,
        }
    }

    fn push(&mut self, is_delta: bool) -> Vec<Read> {
        let (read, collected) = self.collect(is_delta, usize::MAX);
        self.collector.pushed(collected);
        read
    }

    fn collect(&self, is_delta: bool, limit: usize) -> (Vec<Read>, Collected) {
        let collected = self
            .collector
            .collect(&RequestedMetrics::All, is_delta, limit);
        (read(&collected.bytes), collected)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.time.unix_millis()).unwrap()
    }
}

fn read(bytes: &[u8]) -> Vec<Read> {
    let data = MetricsData::decode(bytes).unwrap();
    let mut read = Vec::new();
    let metrics = data
        .resource_metrics
        .iter()
        .flat_map(|all| &all.scope_metrics[0].metrics);
    for metric in metrics {
        let of = |point: &NumberDataPoint, sum: Option<bool>| {
            let Some(Value::AsDouble(value)) = point.value else {
                panic!("{point:?}");
            };
            let topic = point.attributes.iter().find(|tag| tag.key == "topic");
            let topic = topic.map_or(String::new(), |tag| format!("{:?}", tag.value));
            let topic = topic.split('"').nth(1).unwrap_or("").to_owned();
            let sum = sum.map(|is_delta| (point.start_time_unix_nano / 1_000_000, is_delta));
            (metric.name.clone(), topic, value, sum)
        };
        match metric.data.as_ref().unwrap() {
            Data::Gauge(gauge) => {
                read.extend(gauge.data_points.iter().map(|point| of(point, None)))
            }
            Data::Sum(sum) => {
                let is_delta = sum.aggregation_temporality == 1;
                read.extend(
                    sum.data_points
                        .iter()
                        .map(|point| of(point, Some(is_delta))),
                );
            }
            other => panic!("{other:?}"),
        }
    }
    read
}

fn sends(read: &[Read], topic: &str) -> Option<(f64, (u64, bool))> {
    let mut read = read.iter();
    let found =
        read.find(|(name, of, ..)| name.ends_with("topic.record.send.total") && of == topic);
    found.map(|(_, _, value, sum)| (*value, sum.unwrap()))
}

// Java: testMeasurableCounter, testMeasurableTotal, testMeasurableGauge, testNonMeasurable.
#[test]
fn totals_are_sums_other_numbers_gauges_and_texts_nothing() {
    let mut f = Fixture::new();
    f.metrics.add_sensors(&TABLE, &[("topic", "t")]);
    let read = f.push(false);
    let kinds: Vec<_> = read
        .iter()
        .map(|(name, .., sum)| (&**name, sum.is_some()))
        .collect();
    let expected = [
        ("org.apache.kafka.kafka.count.count", false),
        ("org.apache.kafka.producer.connection.count", false),
        ("org.apache.kafka.producer.flush.time.ns.total", true),
        ("org.apache.kafka.producer.topic.record.send.rate", false),
        ("org.apache.kafka.producer.topic.record.send.total", true),
        ("org.apache.kafka.producer.topic.request.total", true),
    ];
    assert_eq!(kinds, expected);
}

// Java: testMeasurableTotalDeltaMetrics, testMeasurableCounterDeltaMetrics, LastValueTrackerTest.
#[test]
fn a_delta_is_what_was_added_since_the_last_push() {
    let mut f = Fixture::new();
    let sensors = f.metrics.add_sensors(&TABLE, &[("topic", "t")]);
    let add = |f: &Fixture, value| {
        sensors.record(f.time.now(), |sensors| sensors.record(Sensor::Sends, value));
    };
    add(&f, 5.0);
    f.time.advance_ms(1000);
    let start = f.start_ms;
    assert_eq!(sends(&f.push(true), "t"), Some((5.0, (start, true))));
    f.time.advance_ms(1000);
    add(&f, 2.0);
    assert_eq!(sends(&f.push(true), "t"), Some((2.0, (start + 1000, true))));
    assert_eq!(sends(&f.push(true), "t"), Some((0.0, (start + 2000, true))));
    // Java: testCollectMetricsWithTemporalityChange.
    assert_eq!(sends(&f.push(false), "t"), Some((7.0, (start, false))));
    f.collector.reset();
    assert_eq!(sends(&f.push(true), "t"), Some((7.0, (start, true))));
}

// Java: testSecondCollectCumulative, testSecondDeltaCollectDouble.
#[test]
fn a_metric_that_comes_later_counts_since_it_was_added() {
    let mut f = Fixture::new();
    f.time.advance_ms(1000);
    f.push(false);
    f.time.advance_ms(1000);
    let sensors = f.metrics.add_sensors(&TABLE, &[("topic", "t")]);
    sensors.record(f.time.now(), |sensors| sensors.record(Sensor::Sends, 5.0));
    f.time.advance_ms(1000);
    let added = f.start_ms + 2000;
    assert_eq!(sends(&f.push(false), "t"), Some((5.0, (added, false))));
    assert_eq!(sends(&f.push(false), "t"), Some((5.0, (added, false))));

    // Java: testMetricRemoval. It comes back with a smaller sum, which is not a negative delta.
    f.metrics.remove(&sensors);
    f.time.advance_ms(1000);
    let again = f.now_ms();
    let sensors = f.metrics.add_sensors(&TABLE, &[("topic", "t")]);
    sensors.record(f.time.now(), |sensors| sensors.record(Sensor::Sends, 1.0));
    f.time.advance_ms(1000);
    assert_eq!(sends(&f.push(true), "t"), Some((1.0, (again, true))));
    assert_eq!(f.collector.pushed.len(), 3);
    f.metrics.remove(&sensors);
    assert_eq!(sends(&f.push(true), "t"), None);
    assert_eq!(f.collector.pushed.len(), 1, "what is gone is forgotten");
}

#[test]
fn a_sum_that_is_not_wanted_for_a_while_is_not_pushed_twice() {
    let mut f = Fixture::new();
    let sensors = f.metrics.add_sensors(&TABLE, &[("topic", "t")]);
    let add = |f: &Fixture, value| {
        sensors.record(f.time.now(), |sensors| sensors.record(Sensor::Sends, value));
    };
    add(&f, 5.0);
    assert_eq!(sends(&f.push(true), "t"), Some((5.0, (f.start_ms, true))));
    f.time.advance_ms(1000);
    add(&f, 2.0);
    let others = RequestedMetrics::new(vec!["org.apache.kafka.producer.flush".to_owned()]);
    let collected = f.collector.collect(&others, true, usize::MAX);
    f.collector.pushed(collected);
    f.time.advance_ms(1000);
    assert_eq!(sends(&f.push(true), "t"), Some((2.0, (f.start_ms, true))));
}

/// Reading all of 10,000 topics would hold up the I/O thread.
#[test]
fn only_metrics_that_are_wanted_are_read() {
    const QUEUES: &[(&str, &str)] = &[("queues", "age"), ("queues", "bytes")];
    let f = Fixture::new();
    let (topics, views) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    for number in 0..10 {
        let reads = Arc::clone(&topics);
        let topic = format!("topic-{number}");
        f.metrics
            .add_gauges(&GAUGES, &[("topic", &topic)], move |_, _| {
                reads.fetch_add(1, Ordering::Relaxed);
                MetricValue::Number(1.0)
            });
    }
    let looked_up = Arc::clone(&views);
    f.metrics.add_view(QUEUES, move |registry, _, into| {
        looked_up.fetch_add(1, Ordering::Relaxed);
        let tags = registry.tags(&[]);
        into.extend(
            QUEUES
                .iter()
                .map(|(group, name)| Metric::viewed(name, group, "", &tags, 2.0)),
        );
    });
    let collect = |prefix: &str| {
        let requested = RequestedMetrics::new(vec![prefix.to_owned()]);
        let collected = f.collector.collect(&requested, false, usize::MAX);
        let names = read(&collected.bytes).into_iter().map(|(name, ..)| name);
        (
            names.collect::<Vec<_>>(),
            topics.swap(0, Ordering::Relaxed),
            views.swap(0, Ordering::Relaxed),
        )
    };
    let connections = "org.apache.kafka.producer.connection.count";
    // One gauge of each topic, and that of the fixture.
    assert_eq!(
        collect(connections),
        (vec![connections.to_owned(); 11], 10, 0)
    );
    let age = "org.apache.kafka.queues.age";
    assert_eq!(collect(age), (vec![age.to_owned()], 0, 1));
    assert_eq!(collect("nothing."), (Vec::new(), 0, 0));
}

#[test]
fn a_limit_leaves_out_the_topics_first_and_their_sums_wait() {
    let mut f = Fixture::new();
    let topics: Vec<String> = (0..100).map(|number| format!("topic-{number}")).collect();
    for topic in &topics {
        let sensors = f.metrics.add_sensors(&TABLE, &[("topic", topic)]);
        sensors.record(f.time.now(), |sensors| sensors.record(Sensor::Sends, 5.0));
    }
    let (whole, collected) = f.collect(true, usize::MAX);
    assert_eq!((collected.count, collected.wanted), (303, 303));
    let (part, collected) = f.collect(true, 600);
    assert!(
        collected.count < 303 && collected.count >= 3,
        "{}",
        collected.count
    );
    assert_eq!(part[..], whole[..part.len()]);
    f.collector.pushed(collected);
    let rest = f.push(true);
    let start = f.start_ms;
    assert_eq!(sends(&rest, "topic-99"), Some((5.0, (start, true))));
    // The producer's sum was pushed before.
    assert_eq!(rest[2].2, 0.0);
}

// Java: ClientTelemetryReporterTest.testProducerLabels.
#[test]
fn labels_of_the_configuration_are_those_of_the_resource() {
    let f = Fixture::new();
    let (_, collected) = f.collect(false, usize::MAX);
    let data = MetricsData::decode(&collected.bytes[..]).unwrap();
    let resource = data.resource_metrics[0].resource.as_ref().unwrap();
    let labels: Vec<_> = resource
        .attributes
        .iter()
        .map(|label| &*label.key)
        .collect();
    assert_eq!(labels, ["transactional_id", "client_rack"]);
    let text = format!("{:?}", resource.attributes[0].value);
    assert!(text.contains("\"tx\""), "{text}");
}
