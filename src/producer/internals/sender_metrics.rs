//! The sender's metrics, of all records and of each topic's. Java: `SenderMetricsRegistry`,
//! `Sender.SenderMetrics`.
//!
//! The values come from the batches, which already know them. So the sizes, times and ratios are
//! those of batches. The latency counts each record, with the time of the oldest one in its batch.
//!
//! Threads: the I/O thread records; a caller does when its record fails before it is in a batch.
//! Differs from Java: records that fail because the producer is closed count as errors too.

use std::time::{Duration, Instant};

use super::batch_sum::BatchSum;
use super::topic_metrics::{TopicMetrics, TopicSensor};
use super::{DrainedBatch, ProducerBatch};
use crate::common::{Cluster, NodeId};
use crate::metrics::{Metrics, MetricsSnapshot, Registered, metric_table};
use crate::network::SelectorMetrics;
use crate::sync::Arc;
use crate::utils::{later, log, millis};

metric_table! {
    /// Recorded over all topics.
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

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct SenderMetrics {
    registry: Arc<Metrics>,
    client: ErrorCounter,
    topics: TopicMetrics,
    /// Where the metrics of nodes are.
    nodes: Arc<SelectorMetrics>,
    log: Option<MetricsLog>,
}

/// The periodic logging of the metrics.
#[derive(Debug)]
struct MetricsLog {
    interval: Duration,
    next: Instant,
}

/// The metrics of `producer-metrics` to log, in this order.
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

/// Counts failed records. Callers use it too.
#[derive(Clone, Debug)]
pub(crate) struct ErrorCounter(Registered);

impl ErrorCounter {
    /// Counts a record that failed before it was in a batch.
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
            client: ErrorCounter(registry.add_sensors(&SENDER_TABLE, &[])),
            topics: TopicMetrics::new(registry),
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

    /// Logs the metrics if that is due. Returns the time until it is due next, or `Duration::MAX`
    /// if never.
    pub(super) fn maybe_log(&mut self, now: Instant) -> Duration {
        let Some(log) = &mut self.log else {
            return Duration::MAX;
        };
        if log.next <= now {
            // Not a whole snapshot: this is the I/O thread, and there may be many topics.
            let selected = self
                .registry
                .select(|group, name| group == SENDER_TABLE.group && LOGGED.contains(&name));
            let metrics = selected.into_iter().map(|selected| selected.metric);
            let metrics = MetricsSnapshot::new(metrics.collect());
            let values = LOGGED.iter().filter_map(|name| {
                let value = metrics.number(SENDER_TABLE.group, name)?;
                Some(format!("{name}={value:.1}"))
            });
            let line = values.collect::<Vec<_>>().join(" ");
            log::info!("{line}");
            // One line, even if several intervals were missed, for example while the machine was suspended.
            log.next = later(now, log.interval);
        }
        log.next.saturating_duration_since(now)
    }

    pub(crate) fn errors(&self) -> ErrorCounter {
        self.client.clone()
    }

    /// Records frozen batches that leave in one request. Java: `updateProduceRequestMetrics`.
    ///
    /// This adds the batches' values up and records the sums once. The result is the same as one
    /// recording per batch, because they all leave at the same time.
    pub(super) fn request_sent(&mut self, batches: &mut [DrainedBatch], now: Instant) {
        let mut sum = BatchSum::default();
        // Batches of one topic are side by side.
        for of_topic in batches.chunk_by_mut(are_of_one_topic) {
            let mut topic_sum = BatchSum::default();
            for batch in &mut *of_topic {
                batch.leave_queue(now);
                topic_sum.add(batch);
            }
            if let Some(batch) = of_topic.first() {
                let name = batch.topic_partition().shared_topic();
                let number = batch.partition().topic_number();
                self.topics.sent((number, name), &topic_sum, now);
            }
            sum.add_all(&topic_sum);
        }
        let count = sum.batches;
        self.client.0.record(now, |client| {
            let (bytes, most_bytes) = (sum.bytes as f64, sum.most_bytes as f64);
            client.record_many(SenderSensor::BatchSize, count, bytes, most_bytes);
            client.record_many(SenderSensor::CompressionRate, count, sum.ratios, 0.0);
            let queue_times = batches.iter().map(|batch| (1, batch.queue_time_ms()));
            client.record_each(SenderSensor::QueueTime, queue_times);
            let (sizes, largest) = (sum.record_sizes as f64, sum.largest_record as f64);
            client.record_many(SenderSensor::RecordSize, count, sizes, largest);
            client.record(SenderSensor::RecordsPerRequest, sum.records as f64);
        });
    }

    /// Records a Produce response that acknowledges these batches.
    pub(super) fn answered<'a>(
        &self,
        node: NodeId,
        latency: Duration,
        acknowledged: impl Iterator<Item = &'a ProducerBatch>,
        now: Instant,
    ) {
        let latency = millis(latency);
        self.client.0.record(now, |client| {
            client.record(SenderSensor::RequestLatency, latency);
            let latencies =
                acknowledged.map(|batch| (batch.record_count(), batch.queue_time_ms() + latency));
            client.record_each(SenderSensor::AckLatency, latencies);
        });
        self.nodes.produce_latency(node, latency, now);
    }

    /// Records a written request without a response, this long after it was created.
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

    /// Records that the batch is put back for another attempt.
    pub(super) fn retried(&self, batch: &ProducerBatch, now: Instant) {
        let records = f64::from(batch.record_count());
        self.client.0.record(now, |client| {
            client.record(SenderSensor::Retries, records);
        });
        self.topics.count(batch, TopicSensor::Retries, now);
    }

    /// Records that the batch fails.
    pub(super) fn failed(&self, batch: &ProducerBatch, now: Instant) {
        self.client.failed(batch.record_count(), now);
        self.topics.count(batch, TopicSensor::Errors, now);
    }

    /// Records that a batch is split.
    pub(super) fn split(&self, now: Instant) {
        self.client.0.record(now, |client| {
            client.record(SenderSensor::BatchSplit, 1.0);
        });
    }

    /// Removes the metrics of topics that the metadata no longer have.
    pub(super) fn retain_topics(&mut self, cluster: &Cluster) {
        self.topics.retain(cluster);
    }
}

fn are_of_one_topic(one: &DrainedBatch, next: &DrainedBatch) -> bool {
    one.partition().topic_number() == next.partition().topic_number()
}
