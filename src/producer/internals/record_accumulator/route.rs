//! Where a partition's batches go, by the metadata.
//!
//! Each batch is asked for it several times, and to find a topic by its name means to compute a
//! hash and to compare texts that no thread touched for a while. So each partition keeps the result
//! while the metadata stays the same.

use crate::common::{Cluster, NodeId, PartitionInfo, TopicInfo, TopicPartition, Uuid};
use crate::producer::internals::sequences::LogView;
use crate::sync::Arc;

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// Which of the metadata that the I/O thread has seen say so; 0 is none of them.
    generation: u64,
    /// `None` where the partition has none that is known.
    pub(super) leader: Option<Leader>,
    /// Zero where the brokers have told none.
    pub(super) topic_id: Uuid,
}

/// The leader of a partition, which is one of the cluster's nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leader {
    pub(super) id: NodeId,
    pub(super) epoch: Option<i32>,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            generation: 0,
            leader: None,
            topic_id: Uuid::ZERO,
        }
    }
}

impl Route {
    /// The log that the partition's batches go to.
    pub(super) fn log_view(&self) -> LogView {
        LogView {
            topic_id: self.topic_id,
            leader: self.leader.map(|leader| (leader.id, leader.epoch)),
        }
    }
}

/// The metadata that routes follow from.
#[derive(Debug, Default)]
pub(super) struct Routes {
    cluster: Option<Arc<Cluster>>,
    /// How many different metadata these are the latest of.
    generation: u64,
}

impl Routes {
    /// Returns whether these are other metadata than before.
    pub(super) fn change_to(&mut self, cluster: &Arc<Cluster>) -> bool {
        let known = self.cluster.as_ref();
        let is_change = !known.is_some_and(|known| Arc::ptr_eq(known, cluster));
        if is_change {
            self.cluster = Some(Arc::clone(cluster));
            self.generation += 1;
        }
        is_change
    }

    /// Brings what a partition keeps up to date.
    pub(super) fn update(&self, route: &mut Route, topic_partition: &TopicPartition) {
        let Some(cluster) = &self.cluster else {
            return;
        };
        if route.generation != self.generation {
            *route = Route {
                generation: self.generation,
                ..look_up(cluster, topic_partition)
            };
        }
    }
}

fn look_up(cluster: &Cluster, topic_partition: &TopicPartition) -> Route {
    let topic = cluster.topic(topic_partition.topic());
    let info = topic.and_then(|topic| topic.partition(topic_partition.partition()));
    let node = info
        .and_then(PartitionInfo::leader)
        .and_then(|leader| cluster.node(leader.id()));
    Route {
        leader: node.map(|node| Leader {
            id: node.id(),
            epoch: info.and_then(PartitionInfo::leader_epoch),
        }),
        topic_id: topic.map_or(Uuid::ZERO, TopicInfo::id),
        ..Route::default()
    }
}
