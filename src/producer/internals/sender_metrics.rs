//! What the sender counts, of all records and of those of each topic. Java: `SenderMetricsRegistry`,
//! `Sender.SenderMetrics`.
//!
//! Everything is counted by batch, from what the batch knows anyway. So the sizes, times and ratios are those of batches; the
//! latency counts each record, with the time of the oldest one in its batch.
//!
//! Threads: the I/O thread records; a caller does when its record fails before it is in a batch.
//! Differs from Java: records that fail because the producer is closed count as errors too. The metrics of a topic go when the
//! topic leaves the metadata; Java keeps them for ever.

use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::{DrainedBatch, ProducerBatch};
use crate::common::{Cluster, NodeId};
use crate::metrics::{MetricTime, Metrics, Registered, metric_table};
use crate::network::SelectorMetrics;
use crate::sync::Arc;
use crate::utils::{later, log, millis};

metric_table! {
    /// What is counted over all topics.
    enum SenderSensor, SENDER_TABLE of "producer-metrics" {
        BatchSize Info {
            Avg "batch-size-avg" "The mean size in bytes of a batch that was sent.",
            Max "batch-size-max" "The size in bytes of the largest batch that was sent.",
        }
        CompressionRate Info {
            Avg "compression-rate-avg" "The mean size of a batch after compression as a part of that before.",
        }
        QueueTime Info {
            Avg "record-queue-time-avg" "The mean time in ms from a batch's first record to its request.",
            Max "record-queue-time-max" "The longest time in ms from a batch's first record to its request.",
            P50 "record-queue-time-p50" "The time in ms that half of the batches waited at most for their request.",
            P99 "record-queue-time-p99" "The time in ms that 99 % of the batches waited at most for their request.",
            P999 "record-queue-time-p999" "The time in ms that 99.9 % of the batches waited at most for their request.",
        }
        RequestLatency Info {
            Avg "request-latency-avg" "The mean time in ms from a Produce request to its response.",
            Max "request-latency-max" "The longest time in ms from a Produce request to its response.",
        }
        AckLatency Info {
            Avg "record-ack-latency-avg" "The mean time in ms from a record's send to its acknowledgement.",
            Max "record-ack-latency-max" "The longest time in ms from a record's send to its acknowledgement.",
            P50 "record-ack-latency-p50" "The time in ms in which half of the records were acknowledged.",
            P99 "record-ack-latency-p99" "The time in ms in which 99 % of the records were acknowledged.",
            P999 "record-ack-latency-p999" "The time in ms in which 99.9 % of the records were acknowledged.",
        }
        RecordsPerRequest Info {
            Rate "record-send-rate" "Records sent per second, each attempt counted.",
            Total "record-send-total" "Records sent, each attempt counted.",
            Avg "records-per-request-avg" "The mean number of records in a request.",
        }
        Retries Info {
            Rate "record-retry-rate" "Records per second whose batch was put back for another attempt.",
            Total "record-retry-total" "Records whose batch was put back for another attempt.",
        }
        Errors Info {
            Rate "record-error-rate" "Records per second that failed.",
            Total "record-error-total" "Records that failed.",
        }
        RecordSize Info {
            Avg "record-size-avg" "The mean over the batches of the size in bytes of the largest record.",
            Max "record-size-max" "The size in bytes of the largest record.",
        }
        BatchSplit Info {
            Rate "batch-split-rate" "Batches per second that were split because a broker found them too large.",
            Total "batch-split-total" "Batches that were split because a broker found them too large.",
        }
    }
}

metric_table! {
    /// What is counted of one topic.
    enum TopicSensor, TOPIC_TABLE of "producer-topic-metrics" {
        Records Info {
            Rate "record-send-rate" "Records sent to the topic per second, each attempt counted.",
            Total "record-send-total" "Records sent to the topic, each attempt counted.",
        }
        Bytes Info {
            Rate "byte-rate" "Bytes of batches sent to the topic per second.",
            Total "byte-total" "Bytes of batches sent to the topic.",
        }
        CompressionRate Info {
            Avg "compression-rate" "The mean size of a batch after compression as a part of that before.",
        }
        Retries Info {
            Rate "record-retry-rate" "Records of the topic per second whose batch was put back for another attempt.",
            Total "record-retry-total" "Records of the topic whose batch was put back for another attempt.",
        }
        Errors Info {
            Rate "record-error-rate" "Records of the topic per second that failed.",
            Total "record-error-total" "Records of the topic that failed.",
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct SenderMetrics {
    registry: Arc<Metrics>,
    client: RecordErrors,
    topics: HashMap<Arc<str>, Registered>,
    /// Where the metrics of nodes are.
    nodes: Arc<SelectorMetrics>,
    log: Option<MetricsLog>,
}

/// When the metrics are logged next.
#[derive(Debug)]
struct MetricsLog {
    interval: Duration,
    next: Instant,
}

/// The metrics of `producer-metrics` that are logged, in this order.
const LOGGED: &[&str] = &[
    "record-send-rate",
    "record-send-total",
    "record-retry-total",
    "record-error-total",
    "record-ack-latency-p50",
    "record-ack-latency-p99",
    "record-queue-time-avg",
    "request-latency-avg",
    "batch-size-avg",
    "requests-in-flight",
    "connection-count",
    "buffer-available-bytes",
    "waiting-threads",
];

/// Counts failed records; for callers too.
#[derive(Clone, Debug)]
pub(crate) struct RecordErrors(Registered);

impl RecordErrors {
    /// A record failed before it was in a batch.
    pub(crate) fn record_failed(&self, now: Instant) {
        self.failed(1, now);
    }

    fn failed(&self, records: u32, now: Instant) {
        self.0.record(now, |client| {
            client.record(SenderSensor::Errors, f64::from(records));
        });
    }
}

impl SenderMetrics {
    pub(crate) fn new(registry: &Arc<Metrics>, nodes: Arc<SelectorMetrics>) -> Self {
        Self {
            registry: Arc::clone(registry),
            client: RecordErrors(registry.add_sensors(&SENDER_TABLE, &[])),
            topics: HashMap::new(),
            nodes,
            log: None,
        }
    }

    /// Logs the metrics each time that `interval` has passed.
    pub(crate) fn log_every(&mut self, interval: Duration, now: Instant) {
        self.log = (!interval.is_zero()).then(|| MetricsLog {
            interval,
            next: later(now, interval),
        });
    }

    /// Logs the metrics if that is due. Returns the time until it is due next; `Duration::MAX` if it never is.
    pub(super) fn maybe_log(&mut self, now: Instant) -> Duration {
        let Some(log) = &mut self.log else {
            return Duration::MAX;
        };
        if log.next <= now {
            let metrics = self.registry.snapshot();
            let values = LOGGED.iter().filter_map(|name| {
                let value = metrics.number("producer-metrics", name)?;
                Some(format!("{name}={value:.1}"))
            });
            let line = values.collect::<Vec<_>>().join(" ");
            log::info!("{line}");
            // One line, even if several intervals were missed, for example while the machine was suspended.
            log.next = later(now, log.interval);
        }
        log.next.saturating_duration_since(now)
    }

    pub(crate) fn errors(&self) -> RecordErrors {
        self.client.clone()
    }

    /// The batches, which are frozen, leave in one request. Java: `updateProduceRequestMetrics`.
    ///
    /// What they are is added up first and recorded once, with the results that one record a batch would have: they all leave
    /// at the same time.
    pub(super) fn request_sent(&mut self, batches: &mut [DrainedBatch], now: Instant) {
        let at = self.registry.time_at(now);
        let mut sum = BatchSum::default();
        // Batches of one topic are mostly side by side.
        for of_topic in batches.chunk_by_mut(are_of_one_topic) {
            let mut topic_sum = BatchSum::default();
            for batch in &mut *of_topic {
                batch.leave_queue(now);
                topic_sum.add(batch);
            }
            if let Some(batch) = of_topic.first() {
                self.topic_sent(topic_of(batch), &topic_sum, at);
            }
            sum.add_all(&topic_sum);
        }
        self.client.0.record_at(at, |client| {
            client.record_many(
                SenderSensor::BatchSize,
                sum.batches,
                sum.bytes,
                sum.most_bytes,
            );
            client.record_many(
                SenderSensor::CompressionRate,
                sum.batches,
                sum.ratios,
                sum.largest_ratio,
            );
            let queue_times = batches.iter().map(|batch| (1, batch.queue_time_ms()));
            client.record_each(SenderSensor::QueueTime, queue_times);
            client.record_many(
                SenderSensor::RecordSize,
                sum.batches,
                sum.record_sizes,
                sum.largest_record,
            );
            client.record(SenderSensor::RecordsPerRequest, sum.records);
        });
    }

    /// The batches of one topic leave.
    fn topic_sent(&mut self, name: &Arc<str>, sum: &BatchSum, at: MetricTime) {
        let registry = &self.registry;
        // Most topics are known, and a look costs less than an entry, which may have to own the name.
        if !self.topics.contains_key(name) {
            let topic = registry.add_sensors(&TOPIC_TABLE, &[("topic", name)]);
            self.topics.insert(Arc::clone(name), topic);
        }
        let Some(topic) = self.topics.get(name) else {
            return;
        };
        topic.record_at(at, |topic| {
            topic.record_many(TopicSensor::Records, sum.batches, sum.records, 0.0);
            topic.record_many(TopicSensor::Bytes, sum.batches, sum.bytes, sum.most_bytes);
            topic.record_many(
                TopicSensor::CompressionRate,
                sum.batches,
                sum.ratios,
                sum.largest_ratio,
            );
        });
    }

    /// A Produce request was answered, and these batches of it acknowledged.
    pub(super) fn answered<'a>(
        &self,
        node: NodeId,
        latency: Duration,
        acknowledged: impl Iterator<Item = &'a ProducerBatch>,
        now: Instant,
    ) {
        let (latency, at) = (millis(latency), self.registry.time_at(now));
        self.client.0.record_at(at, |client| {
            client.record(SenderSensor::RequestLatency, latency);
            let latencies =
                acknowledged.map(|batch| (batch.record_count(), batch.queue_time_ms() + latency));
            client.record_each(SenderSensor::AckLatency, latencies);
        });
        self.nodes.produce_latency(node, latency, at);
    }

    /// A request that asked for no response is written, this long after it was made.
    pub(super) fn unconfirmed<'a>(
        &self,
        latency: Duration,
        batches: impl Iterator<Item = &'a ProducerBatch>,
        now: Instant,
    ) {
        let latency = millis(latency);
        self.client.0.record(now, |client| {
            let latencies =
                batches.map(|batch| (batch.record_count(), batch.queue_time_ms() + latency));
            client.record_each(SenderSensor::AckLatency, latencies);
        });
    }

    /// The batch is put back for another attempt.
    pub(super) fn retried(&self, batch: &ProducerBatch, now: Instant) {
        let records = f64::from(batch.record_count());
        self.client.0.record(now, |client| {
            client.record(SenderSensor::Retries, records);
        });
        self.record_of_topic(batch, TopicSensor::Retries, now);
    }

    /// The batch fails.
    pub(super) fn failed(&self, batch: &ProducerBatch, now: Instant) {
        self.client.failed(batch.record_count(), now);
        self.record_of_topic(batch, TopicSensor::Errors, now);
    }

    /// A batch is split.
    pub(super) fn split(&self, now: Instant) {
        self.client.0.record(now, |client| {
            client.record(SenderSensor::BatchSplit, 1.0);
        });
    }

    /// A topic has metrics from its first request on, and until it leaves the metadata.
    fn record_of_topic(&self, batch: &ProducerBatch, sensor: TopicSensor, now: Instant) {
        if let Some(topic) = self.topics.get(batch.topic_partition().topic()) {
            topic.record(now, |topic| {
                topic.record(sensor, f64::from(batch.record_count()));
            });
        }
    }

    /// Removes the metrics of topics that the metadata no longer have.
    pub(super) fn retain_topics(&mut self, cluster: &Cluster) {
        if cluster.is_bootstrap() {
            return;
        }
        let registry = &self.registry;
        self.topics.retain(|name, topic| {
            let is_kept = cluster.topic(name).is_some();
            if !is_kept {
                registry.remove(topic);
            }
            is_kept
        });
        if self.topics.capacity() / 4 > self.topics.len() {
            self.topics.shrink_to_fit();
        }
    }
}

/// What the batches of a request are together.
#[derive(Debug, Default)]
struct BatchSum {
    batches: u64,
    records: f64,
    bytes: f64,
    most_bytes: f64,
    ratios: f64,
    largest_ratio: f64,
    /// Of the largest record of each batch.
    record_sizes: f64,
    largest_record: f64,
}

impl BatchSum {
    fn add(&mut self, batch: &ProducerBatch) {
        let bytes = batch.estimated_size_in_bytes() as f64;
        let ratio = f64::from(batch.compression_ratio());
        let record_size = batch.max_record_size() as f64;
        self.add_all(&Self {
            batches: 1,
            records: f64::from(batch.record_count()),
            bytes,
            most_bytes: bytes,
            ratios: ratio,
            largest_ratio: ratio,
            record_sizes: record_size,
            largest_record: record_size,
        });
    }

    fn add_all(&mut self, other: &Self) {
        self.batches += other.batches;
        self.records += other.records;
        self.bytes += other.bytes;
        self.most_bytes = self.most_bytes.max(other.most_bytes);
        self.ratios += other.ratios;
        self.largest_ratio = self.largest_ratio.max(other.largest_ratio);
        self.record_sizes += other.record_sizes;
        self.largest_record = self.largest_record.max(other.largest_record);
    }
}

fn topic_of(batch: &ProducerBatch) -> &Arc<str> {
    batch.topic_partition().shared_topic()
}

fn are_of_one_topic(one: &DrainedBatch, next: &DrainedBatch) -> bool {
    let (one, next) = (topic_of(one), topic_of(next));
    Arc::ptr_eq(one, next) || one == next
}
