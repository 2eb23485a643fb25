//! The metrics of a producer that has sent to many topics, so that their memory and a push of them can be counted.

use super::Cluster;
use crate::client::KafkaMetricsCollector;
use crate::metrics::{self, MetricConfig, Registered, metric_table};
use crate::producer::internals::{BatchSum, TopicMetrics};
use crate::sync::Arc;
use crate::utils::{SystemTime, Time};

metric_table! {
    /// A time without quantiles, and one with them.
    enum Latency, LATENCIES of "latencies" {
        Plain Info { Avg "plain-avg" "A mean.", Max "plain-max" "A maximum." }
        Quantiles Info {
            Avg "quantiles-avg" "A mean.",
            Max "quantiles-max" "A maximum.",
            P99 "quantiles-p99" "A quantile.",
        }
    }
}

pub struct Metrics {
    topics: TopicMetrics,
    latencies: Registered,
    collector: KafkaMetricsCollector,
}

impl Metrics {
    #[allow(clippy::new_without_default, reason = "nobody else is to use it")]
    pub fn new() -> Self {
        let time: Arc<dyn Time> = Arc::new(SystemTime);
        let config = MetricConfig::default();
        let registry = metrics::Metrics::new("producer-1".into(), config, vec![], time);
        let time = Arc::new(SystemTime);
        Self {
            topics: TopicMetrics::new(&registry),
            latencies: registry.add_sensors(&LATENCIES, &[]),
            collector: KafkaMetricsCollector::new(Arc::clone(&registry), time, None, None),
        }
    }

    /// Counts a batch for each of so many topics: `topic-0` and so on.
    pub fn send_to(&mut self, topics: usize) {
        let now = SystemTime.now();
        let sum = BatchSum {
            batches: 1,
            records: 10,
            bytes: 1_000,
            most_bytes: 1_000,
            ratios: 1.0,
            ..BatchSum::default()
        };
        for number in 0..topics {
            let name = format!("topic-{number}").into();
            self.topics.sent((number, &name), &sum, now);
        }
    }

    /// The metadata have these topics now.
    pub fn retain(&mut self, cluster: &Cluster) {
        self.topics.retain(&cluster.0);
    }

    /// Records a number of times, each under a lock of its own.
    pub fn record(&self, has_quantiles: bool, times: u32) {
        let now = SystemTime.now();
        let sensor = match has_quantiles {
            true => Latency::Quantiles,
            false => Latency::Plain,
        };
        for time in 0..times {
            self.latencies
                .record(now, |latencies| latencies.record(sensor, f64::from(time)));
        }
    }

    /// Collects what is pushed to a subscription with this prefix, and gives the number of bytes.
    pub fn push(&self, prefix: &str) -> usize {
        self.collector.payload(prefix).len()
    }
}
