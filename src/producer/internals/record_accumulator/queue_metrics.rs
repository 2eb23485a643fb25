//! The size and age of each partition's queue. Java: no counterpart.
//!
//! Threads: the thread that reads the metrics. It takes the lock of each partition with a batch,
//! one after the other. The senders have no other cost.

use std::time::Instant;

use super::RecordAccumulator;
use crate::metrics::{Metric, Metrics};
use crate::sync::Arc;
use crate::utils::millis;

const GROUP: &str = "producer-partition-metrics";
const AGE: &str = "queue-age";
const BATCHES: &str = "queue-batches";
const BYTES: &str = "queue-bytes";

const NAMES: &[(&str, &str)] = &[(GROUP, AGE), (GROUP, BATCHES), (GROUP, BYTES)];

impl RecordAccumulator {
    /// Lets `registry` look up the metrics of every partition that has a batch.
    pub(crate) fn register_metrics(self: &Arc<Self>, registry: &Metrics) {
        let queues = Arc::clone(self);
        registry.add_view(NAMES, move |registry, now, into| {
            queues.read_queues(registry, now, into);
        });
    }

    fn read_queues(&self, registry: &Metrics, now: Instant, into: &mut Vec<Metric>) {
        for queue in self.all_queues() {
            if queue.is_empty() {
                continue;
            }
            let (batches, bytes, oldest) = {
                let state = queue.state.lock();
                let batches = state.batches.iter();
                let bytes: usize = batches
                    .clone()
                    .map(|batch| batch.estimated_size_in_bytes())
                    .sum();
                let oldest = batches.map(|batch| batch.created()).min();
                (state.batches.len(), bytes, oldest)
            };
            let Some(oldest) = oldest else {
                continue;
            };
            let topic_partition = queue.topic_partition();
            let partition = topic_partition.partition().to_string();
            let tags = [
                ("topic", topic_partition.topic()),
                ("partition", &*partition),
            ];
            let tags = registry.tags(&tags);
            let age = millis(now.saturating_duration_since(oldest));
            let values = [
                (
                    AGE,
                    "The time in ms for which the oldest batch of the partition has waited.",
                    age,
                ),
                (
                    BATCHES,
                    "The batches of the partition that wait for a request.",
                    batches as f64,
                ),
                (
                    BYTES,
                    "The bytes of the partition that wait for a request.",
                    bytes as f64,
                ),
            ];
            into.extend(values.map(|(name, description, value)| {
                Metric::viewed(name, GROUP, description, &tags, value)
            }));
        }
    }
}
