//! The load, as the sticky partitioners know it. Java:
//! `RecordAccumulator.updatePartitionLoadStats`, `NodeLatencyStats`.
//!
//! Differs from Java: the load is published from time to time, and not for every topic in every
//! round.

use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::Scheduler;
use crate::common::{Cluster, NodeId};
use crate::producer::internals::built_in_partitioner::PartitionLoad;

/// The interval between two publications, for each thousand partitions. The work thus takes the
/// same small share of time however many there are.
const LOAD_INTERVAL: Duration = Duration::from_millis(5);

/// When the load was last published, and how long nodes took nothing.
#[derive(Debug, Default)]
pub(super) struct LoadReports {
    latency: HashMap<NodeId, NodeLatencyStats>,
    published: Option<Instant>,
    /// The time until the next publication.
    interval: Duration,
}

/// When a node was last found with something to send, and when it last took it. Java:
/// `NodeLatencyStats`.
#[derive(Clone, Copy, Debug)]
struct NodeLatencyStats {
    ready: Instant,
    drained: Instant,
}

impl LoadReports {
    fn is_due(&self, now: Instant) -> bool {
        let elapsed = self
            .published
            .map(|last| now.saturating_duration_since(last));
        elapsed.is_none_or(|elapsed| elapsed >= self.interval)
    }

    fn is_unavailable(&self, node: NodeId, timeout: Duration) -> bool {
        self.latency
            .get(&node)
            .is_some_and(|stats| stats.ready.saturating_duration_since(stats.drained) > timeout)
    }
}

impl Scheduler {
    /// Notes whether a node with something to send could take it
    /// (`partitioner.availability.timeout.ms`).
    pub(crate) fn update_node_latency_stats(
        &mut self,
        node: NodeId,
        now: Instant,
        can_drain: bool,
    ) {
        if self.accumulator.config.availability_timeout.is_zero() {
            return;
        }
        let stats = self.load.latency.entry(node).or_insert(NodeLatencyStats {
            ready: now,
            drained: now,
        });
        stats.ready = now;
        if can_drain {
            stats.drained = now;
        }
    }

    /// Publishes the lengths of the queues to the sticky partitioners, if that is due.
    pub(super) fn publish_load(&mut self, cluster: &Cluster, now: Instant) {
        let accumulator = &self.accumulator;
        let config = &accumulator.config;
        if !config.adaptive_partitioning || !self.load.is_due(now) {
            return;
        }
        self.load.published = Some(now);
        let mut partitions = 0;
        for (name, queues) in accumulator.topics.lock().iter() {
            partitions += queues.partitions.len();
            if queues.partitions.len() < 2 || !queues.partitioner.is_in_use() {
                continue;
            }
            let Some(topic) = cluster.topic(name) else {
                continue;
            };
            let with_leader = topic.partitions().iter().filter_map(|info| {
                let index = usize::try_from(info.partition()).ok()?;
                let queue_len = queues.partitions.get(index)?.load(config.batch_size);
                let leader = info.leader()?.id();
                let timeout = config.availability_timeout;
                Some(PartitionLoad {
                    partition: info.partition(),
                    queue_len,
                    // If nothing waits for the node, nothing would show that it is back.
                    excluded: queue_len > 0 && self.load.is_unavailable(leader, timeout),
                })
            });
            let loads: Vec<_> = with_leader.collect();
            queues
                .partitioner
                .update_partition_load_stats(&loads, topic, cluster);
        }
        let thousands = u32::try_from(partitions / 1000).unwrap_or(u32::MAX);
        self.load.interval = LOAD_INTERVAL.saturating_mul(thousands.max(1));
    }
}
