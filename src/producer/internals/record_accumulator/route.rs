//! The destination of a partition's batches, by the metadata.

use crate::common::{Cluster, NodeId, PartitionInfo, TopicInfo, TopicPartition, Uuid};
use crate::producer::internals::sequences::LogView;
use crate::sync::Arc;

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// `None` if no leader is known.
    pub(super) leader: Option<Leader>,
    /// Zero if the brokers have no topic ids.
    pub(super) topic_id: Uuid,
}

/// The leader of a partition, which is a node of the cluster.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leader {
    pub(super) id: NodeId,
    pub(super) epoch: Option<i32>,
}

impl Route {
    /// Returns the identity of the log that receives the partition's batches.
    pub(super) fn log_view(&self) -> LogView {
        LogView {
            topic_id: self.topic_id,
            leader: self.leader.map(|leader| (leader.id, leader.epoch)),
        }
    }
}

/// The metadata that the routes follow from.
#[derive(Debug, Default)]
pub(super) struct Routes {
    cluster: Option<Arc<Cluster>>,
}

impl Routes {
    /// Takes new metadata. Returns whether they differ from the previous ones.
    pub(super) fn change_to(&mut self, cluster: &Arc<Cluster>) -> bool {
        let known = self.cluster.as_ref();
        let is_change = !known.is_some_and(|known| Arc::ptr_eq(known, cluster));
        if is_change {
            self.cluster = Some(Arc::clone(cluster));
        }
        is_change
    }

    /// Looks up a partition's route.
    pub(super) fn of(&self, topic_partition: &TopicPartition) -> Route {
        let cluster = self.cluster.as_ref();
        let topic = cluster.and_then(|cluster| cluster.topic(topic_partition.topic()));
        let info = topic.and_then(|topic| topic.partition(topic_partition.partition()));
        let node = info
            .and_then(PartitionInfo::leader)
            .and_then(|leader| cluster?.node(leader.id()));
        Route {
            leader: node.map(|node| Leader {
                id: node.id(),
                epoch: info.and_then(PartitionInfo::leader_epoch),
            }),
            topic_id: topic.map_or(Uuid::ZERO, TopicInfo::id),
        }
    }
}
