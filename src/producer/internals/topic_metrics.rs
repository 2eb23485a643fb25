//! What the sender counts of each topic. Java: `SenderMetricsRegistry`, for the part with topics.
//!
//! Threads: the I/O thread.
//! Differs from Java: the metrics of a topic go when the topic leaves the metadata; Java keeps them for ever.

use std::time::Instant;

use hashbrown::HashMap;

use super::ProducerBatch;
use super::batch_sum::BatchSum;
use crate::common::Cluster;
use crate::metrics::{Metrics, Registered, metric_table};
use crate::sync::Arc;

metric_table! {
    /// What is counted of one topic.
    pub(crate) enum TopicSensor, TOPIC_TABLE of "producer-topic-metrics" {
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
pub(crate) struct TopicMetrics {
    registry: Arc<Metrics>,
    /// By the number of the topic in the accumulator, which costs less to look up than the name.
    ///
    /// A topic gets another number when it comes back. The accumulator gives the old one up in the same round in which
    /// [`retain`](Self::retain) does, and only once no batch has it. So no name is in here twice.
    topics: HashMap<usize, Topic>,
}

#[derive(Debug)]
struct Topic {
    name: Arc<str>,
    metrics: Registered,
}

impl TopicMetrics {
    /// Has no topics yet.
    pub(crate) fn new(registry: &Arc<Metrics>) -> Self {
        Self {
            registry: Arc::clone(registry),
            topics: HashMap::new(),
        }
    }

    /// Batches of the topic leave in a request. The topic has metrics from its first request on.
    pub(crate) fn sent(
        &mut self,
        (number, name): (usize, &Arc<str>),
        sum: &BatchSum,
        now: Instant,
    ) {
        let topic = self.topics.entry(number).or_insert_with(|| Topic {
            name: Arc::clone(name),
            metrics: self.registry.add_sensors(&TOPIC_TABLE, &[("topic", name)]),
        });
        topic.metrics.record(now, |topic| {
            topic.record_many(TopicSensor::Records, sum.batches, sum.records as f64, 0.0);
            topic.record_many(TopicSensor::Bytes, sum.batches, sum.bytes as f64, 0.0);
            topic.record_many(TopicSensor::CompressionRate, sum.batches, sum.ratios, 0.0);
        });
    }

    /// Counts the records of a batch, if the topic has metrics.
    pub(super) fn count(&self, batch: &ProducerBatch, sensor: TopicSensor, now: Instant) {
        if let Some(topic) = self.topics.get(&batch.partition().topic_number()) {
            topic.metrics.record(now, |topic| {
                topic.record(sensor, f64::from(batch.record_count()));
            });
        }
    }

    /// Removes the metrics of topics that the metadata no longer have.
    pub(crate) fn retain(&mut self, cluster: &Cluster) {
        if cluster.is_bootstrap() {
            return;
        }
        let registry = &self.registry;
        self.topics.retain(|_, topic| {
            let is_kept = cluster.topic(&topic.name).is_some();
            if !is_kept {
                registry.remove(&topic.metrics);
            }
            is_kept
        });
        if self.topics.capacity() / 4 > self.topics.len() {
            self.topics.shrink_to_fit();
        }
    }
}
