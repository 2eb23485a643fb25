//! Hands the metrics to the recorder of the `metrics` crate that the program has installed. Java: no counterpart.
//!
//! Threads: any. Locks: one mutex around what was published, held while the values are handed over.

use std::fmt;

use hashbrown::HashMap;
use metrics_crate::{Counter, Gauge, Label, counter, describe_counter, describe_gauge, gauge};

use super::prometheus::{rename, sanitize};
use super::{Metric, MetricName, MetricValue, MetricsSnapshot};
use crate::sync::{Arc, Mutex};

/// Publishes the metrics of one producer to the recorder of the [`metrics`](https://docs.rs/metrics) crate (feature
/// `metrics`).
///
/// A recorder never requests values, so the program calls [`publish`](Self::publish): before each scrape, or every few
/// seconds. Install the recorder before the first call.
///
/// | metric | becomes |
/// |---|---|
/// | a name, such as `record-send-total` of `producer-topic-metrics` | the name in [`to_prometheus`](MetricsSnapshot::to_prometheus): `kafka_producer_topic_record_send_total` |
/// | a tag, such as `client-id`, `topic` or `node-id` | a label: `client_id`, `topic`, `node_id` |
/// | a total | a counter |
/// | a total in ns | a gauge in seconds, because the counters of that crate are whole numbers |
/// | another number | a gauge; NaN where there is nothing to measure |
/// | a text, such as a version or a state | a label of a gauge that is 1, and 0 once the text is another |
///
/// A recorder cannot forget a metric. A gauge that the producer no longer has, such as one of a deleted topic or of an empty
/// queue, becomes 0. A counter keeps its value.
///
/// ```
/// use kafka_producer::{KafkaProducer, MetricsFacade};
///
/// # fn main() -> kafka_producer::Result<()> {
/// # let broker = kafka_producer::testing::FakeBroker::builder().start()?;
/// # let servers = broker.bootstrap_servers();
/// let producer = KafkaProducer::builder().bootstrap_servers(&servers).build()?;
/// let facade = MetricsFacade::new();
/// // Every few seconds:
/// facade.publish(&producer.metrics());
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct MetricsFacade(Mutex<State>);

#[derive(Default)]
struct State {
    published: HashMap<MetricName, Published>,
    /// Counts the calls.
    round: u64,
}

/// A metric that the recorder has.
struct Published {
    sink: Sink,
    /// The value, if that is a text.
    text: Option<Arc<str>>,
    /// The last call that published it.
    round: u64,
}

enum Sink {
    Counter(Counter),
    /// The value is divided by this.
    Gauge(Gauge, f64),
}

impl MetricsFacade {
    /// Returns a facade that has published nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands every value to the recorder, on the calling thread. Give it the metrics of the same producer each time.
    pub fn publish(&self, metrics: &MetricsSnapshot) {
        let State { published, round } = &mut *self.0.lock();
        *round += 1;
        for metric in metrics {
            let text = text_of(metric);
            match published.get_mut(metric.name()) {
                Some(known) if known.text == text => known.set(metric, *round),
                other => {
                    if let Some(before) = other {
                        before.end();
                    }
                    let mut new = Published::new(metric, text);
                    new.set(metric, *round);
                    published.insert(metric.name().clone(), new);
                }
            }
        }
        published.retain(|_, known| {
            let is_there = known.round == *round;
            if !is_there {
                known.end();
            }
            is_there
        });
    }
}

fn text_of(metric: &Metric) -> Option<Arc<str>> {
    match metric.value() {
        MetricValue::Text(text) => Some(Arc::clone(text)),
        MetricValue::Number(_) => None,
    }
}

impl Published {
    /// Registers the metric with the recorder.
    fn new(metric: &Metric, text: Option<Arc<str>>) -> Self {
        let renamed = rename(metric);
        let tags = metric.name().tags();
        let mut labels: Vec<_> = tags
            .map(|(tag, value)| Label::new(sanitize(tag), value.to_owned()))
            .collect();
        if let Some(text) = &text {
            labels.push(Label::new(sanitize(metric.name().name()), text.to_string()));
        }
        let (name, help) = (renamed.name, renamed.help.into_owned());
        let is_whole = renamed.divisor == 1.0;
        let sink = if metric.is_cumulative() && is_whole {
            describe_counter!(name.clone(), help);
            Sink::Counter(counter!(name, labels))
        } else {
            describe_gauge!(name.clone(), help);
            Sink::Gauge(gauge!(name, labels), renamed.divisor)
        };
        Self {
            sink,
            text,
            round: 0,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from a float saturates, and totals are not negative"
    )]
    fn set(&mut self, metric: &Metric, round: u64) {
        self.round = round;
        // A text is a label of the value 1.
        let value = metric.value().as_number();
        match &self.sink {
            Sink::Counter(counter) => counter.absolute(value.unwrap_or(0.0) as u64),
            Sink::Gauge(gauge, divisor) => gauge.set(value.map_or(1.0, |value| value / divisor)),
        }
    }

    /// The producer no longer has the metric, or not with this text.
    fn end(&self) {
        if let Sink::Gauge(gauge, _) = &self.sink {
            gauge.set(0.0);
        }
    }
}

impl fmt::Debug for MetricsFacade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsFacade")
            .field("published", &self.0.lock().published.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use metrics_crate::{
        Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, with_local_recorder,
    };

    use super::*;
    use crate::sync::{AtomicU64, Ordering};

    /// The values by kind, name and labels, and the descriptions by name.
    #[derive(Default)]
    struct Recording {
        values: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
        descriptions: Mutex<BTreeMap<String, String>>,
    }

    impl Recording {
        fn cell(&self, kind: &str, key: &Key) -> Arc<AtomicU64> {
            let labels = key
                .labels()
                .map(|label| format!(" {}={}", label.key(), label.value()));
            let name = format!("{kind} {}{}", key.name(), labels.collect::<String>());
            Arc::clone(self.values.lock().entry(name).or_default())
        }

        fn describe(&self, key: &KeyName, description: &SharedString) {
            let mut descriptions = self.descriptions.lock();
            descriptions.insert(key.as_str().to_owned(), description.to_string());
        }

        fn counter(&self, name: &str) -> u64 {
            self.read(&format!("counter {name}"))
        }

        fn gauge(&self, name: &str) -> f64 {
            f64::from_bits(self.read(&format!("gauge {name}")))
        }

        fn read(&self, name: &str) -> u64 {
            let values = self.values.lock();
            let value = values.get(name);
            let value = value.unwrap_or_else(|| panic!("{name}: {:?}", values.keys()));
            value.load(Ordering::SeqCst)
        }
    }

    impl Recorder for Recording {
        fn describe_counter(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
            self.describe(&key, &description);
        }

        fn describe_gauge(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
            self.describe(&key, &description);
        }

        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
            panic!("there are no histograms")
        }

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.cell("counter", key))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.cell("gauge", key))
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            panic!("there are no histograms")
        }
    }

    fn metric(group: &str, name: &str, tags: &[(&str, &str)], value: MetricValue) -> Metric {
        Metric::mocked(MetricName::new(name, group, "The time in ns.", tags), value)
    }

    fn snapshot(sent: f64, waited_ns: f64, state: &str, queue: Option<f64>) -> MetricsSnapshot {
        let topic = [("client-id", "c"), ("topic", "t")];
        let mut metrics = vec![
            metric(
                "producer-topic-metrics",
                "record-send-total",
                &topic,
                sent.into(),
            ),
            metric("producer-topic-metrics", "byte-rate", &topic, 0.5.into()),
            metric(
                "producer-metrics",
                "flush-time-ns-total",
                &[],
                waited_ns.into(),
            ),
            metric(
                "producer-node-metrics",
                "connection-state",
                &[],
                state.into(),
            ),
        ];
        let queue =
            queue.map(|age| metric("producer-partition-metrics", "queue-age", &[], age.into()));
        metrics.extend(queue);
        MetricsSnapshot::new(metrics)
    }

    #[test]
    fn every_metric_is_a_counter_or_a_gauge_of_the_recorder() {
        let recorder = Recording::default();
        let facade = MetricsFacade::new();
        let publish = |metrics: &MetricsSnapshot| {
            with_local_recorder(&recorder, || facade.publish(metrics));
        };
        publish(&snapshot(7.0, 2.5e9, "connecting", Some(12.0)));
        let sent = "kafka_producer_topic_record_send_total client_id=c topic=t";
        assert_eq!(recorder.counter(sent), 7);
        assert_eq!(
            recorder.gauge("kafka_producer_topic_byte_rate client_id=c topic=t"),
            0.5
        );
        assert_eq!(
            recorder.gauge("kafka_producer_flush_time_seconds_total"),
            2.5
        );
        let state = "kafka_producer_node_connection_state_info connection_state=";
        assert_eq!(recorder.gauge(&format!("{state}connecting")), 1.0);
        assert_eq!(recorder.gauge("kafka_producer_partition_queue_age"), 12.0);
        let described = recorder.descriptions.lock().clone();
        assert_eq!(
            described["kafka_producer_flush_time_seconds_total"],
            "The time in seconds."
        );
        assert_eq!(described.len(), 5);

        // Another state, and an empty queue.
        publish(&snapshot(8.0, 3e9, "ready", None));
        assert_eq!(recorder.counter(sent), 8);
        assert_eq!(
            recorder.gauge("kafka_producer_flush_time_seconds_total"),
            3.0
        );
        assert_eq!(recorder.gauge(&format!("{state}connecting")), 0.0);
        assert_eq!(recorder.gauge(&format!("{state}ready")), 1.0);
        assert_eq!(recorder.gauge("kafka_producer_partition_queue_age"), 0.0);

        // A counter that is gone keeps its value.
        publish(&MetricsSnapshot::default());
        assert_eq!(recorder.counter(sent), 8);
        assert_eq!(recorder.gauge(&format!("{state}ready")), 0.0);
        publish(&snapshot(9.0, 3e9, "ready", Some(1.0)));
        assert_eq!(recorder.counter(sent), 9);
        assert_eq!(recorder.gauge("kafka_producer_partition_queue_age"), 1.0);
        assert_eq!(recorder.values.lock().len(), 6);
    }
}
