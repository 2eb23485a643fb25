//! An immutable view of the cluster. Java: `Cluster`, `MetadataSnapshot`.
//!
//! Threads: built on the I/O thread, then shared and never changed; a newer view replaces it whole.

use std::fmt;

use hashbrown::HashMap;

use super::{Node, NodeId, Uuid};
use crate::sync::{Arc, OnceLock};

/// What is known of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    pub(crate) partition: i32,
    pub(crate) leader: Option<Node>,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) replicas: Vec<NodeId>,
    pub(crate) in_sync_replicas: Vec<NodeId>,
    pub(crate) offline_replicas: Vec<NodeId>,
}

impl PartitionInfo {
    /// The partition's number.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The leader, or `None` while the partition has none that is alive.
    pub fn leader(&self) -> Option<&Node> {
        self.leader.as_ref()
    }

    /// The leader epoch, where the brokers tell it (Metadata v9 and later).
    pub fn leader_epoch(&self) -> Option<i32> {
        self.leader_epoch
    }

    /// The nodes that hold a replica, the preferred leader first.
    pub fn replicas(&self) -> &[NodeId] {
        &self.replicas
    }

    /// The replicas that are in sync with the leader.
    pub fn in_sync_replicas(&self) -> &[NodeId] {
        &self.in_sync_replicas
    }

    /// The replicas on dead brokers.
    pub fn offline_replicas(&self) -> &[NodeId] {
        &self.offline_replicas
    }
}

/// What is known of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) is_internal: bool,
    /// Sorted by partition number. A partition that the broker left out is not here, so a number is not an index.
    pub(crate) partitions: Vec<PartitionInfo>,
    /// The numbers of the partitions that have a leader.
    pub(crate) available: Vec<i32>,
    ordinal: Ordinal,
}

/// Where a layer above keeps what belongs to one view of a topic. Not part of what the topic is: it is equal to any other,
/// and a clone starts without.
#[derive(Default)]
struct Ordinal(OnceLock<usize>);

impl Clone for Ordinal {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Ordinal {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Ordinal {}

impl fmt::Debug for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ordinal")
    }
}

impl TopicInfo {
    pub(crate) fn new(
        name: Arc<str>,
        id: Uuid,
        is_internal: bool,
        mut partitions: Vec<PartitionInfo>,
    ) -> Self {
        partitions.sort_by_key(|partition| partition.partition);
        partitions.dedup_by_key(|partition| partition.partition);
        let available = partitions
            .iter()
            .filter(|p| p.leader.is_some())
            .map(|p| p.partition)
            .collect();
        Self {
            name,
            id,
            is_internal,
            partitions,
            available,
            ordinal: Ordinal::default(),
        }
    }

    /// The number under which the producer keeps what belongs to this view of the topic, so that a send that has looked the
    /// topic up need not look that up too. `init` chooses it at the first call.
    #[inline]
    pub(crate) fn ordinal(&self, init: impl FnOnce() -> usize) -> usize {
        *self.ordinal.0.get_or_init(init)
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The topic's id; [`Uuid::ZERO`] where the brokers have none (before 2.8).
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Whether the topic is one of Kafka's own.
    pub fn is_internal(&self) -> bool {
        self.is_internal
    }

    /// Every partition, by number.
    pub fn partitions(&self) -> &[PartitionInfo] {
        &self.partitions
    }

    /// The number of partitions, those without a leader included.
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }

    /// The numbers of the partitions that have a leader.
    pub fn available_partitions(&self) -> &[i32] {
        &self.available
    }

    /// One partition by its number.
    pub fn partition(&self, partition: i32) -> Option<&PartitionInfo> {
        // The number is the index unless the broker left a partition out.
        let guess = usize::try_from(partition)
            .ok()
            .and_then(|index| self.partitions.get(index));
        match guess {
            Some(info) if info.partition == partition => Some(info),
            _ => self
                .partitions
                .binary_search_by_key(&partition, |info| info.partition)
                .ok()
                .and_then(|index| self.partitions.get(index)),
        }
    }
}

/// A view of the cluster at one moment: its nodes and the topics that the client asked for.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    cluster_id: Option<Arc<str>>,
    nodes: Vec<Node>,
    controller: Option<NodeId>,
    topics: HashMap<Arc<str>, Arc<TopicInfo>>,
    is_bootstrap: bool,
}

impl Cluster {
    /// The cluster's id, once a broker has told it.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// The nodes that are alive, or the bootstrap addresses before the first answer.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node by its id.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id() == id)
    }

    /// The controller, where a broker told it.
    pub fn controller(&self) -> Option<&Node> {
        self.controller.and_then(|id| self.node(id))
    }

    /// What is known of a topic.
    pub fn topic(&self, topic: &str) -> Option<&TopicInfo> {
        self.topics.get(topic).map(AsRef::as_ref)
    }

    /// Every topic that is known.
    pub fn topics(&self) -> impl Iterator<Item = &TopicInfo> {
        self.topics.values().map(AsRef::as_ref)
    }

    /// The leader of a partition, where there is one.
    pub fn leader_for(&self, topic: &str, partition: i32) -> Option<&Node> {
        self.topic(topic)?.partition(partition)?.leader()
    }

    /// The number of partitions of a topic, or `None` where it is not known.
    pub fn partition_count(&self, topic: &str) -> Option<usize> {
        self.topic(topic).map(TopicInfo::partition_count)
    }

    pub(crate) fn shared_topic(&self, topic: &str) -> Option<&Arc<TopicInfo>> {
        self.topics.get(topic)
    }

    /// Whether the nodes are bootstrap addresses, not yet confirmed by any broker.
    pub(crate) fn is_bootstrap(&self) -> bool {
        self.is_bootstrap
    }

    /// A builder that starts from this view, for partial updates.
    pub(crate) fn to_builder(&self) -> ClusterBuilder {
        ClusterBuilder {
            cluster: self.clone(),
        }
    }
}

/// Builds the next [`Cluster`].
#[derive(Debug, Default)]
pub(crate) struct ClusterBuilder {
    cluster: Cluster,
}

impl ClusterBuilder {
    pub(crate) fn bootstrap(nodes: Vec<Node>) -> Cluster {
        Cluster {
            nodes,
            is_bootstrap: true,
            ..Cluster::default()
        }
    }

    pub(crate) fn cluster_id(mut self, id: Option<&str>) -> Self {
        self.cluster.cluster_id = id.map(Arc::from);
        self
    }

    pub(crate) fn nodes(mut self, nodes: Vec<Node>) -> Self {
        self.cluster.nodes = nodes;
        self.cluster.is_bootstrap = false;
        self
    }

    pub(crate) fn controller(mut self, controller: Option<NodeId>) -> Self {
        self.cluster.controller = controller;
        self
    }

    /// Adds a topic, or takes the place of the topic of that name.
    pub(crate) fn topic(mut self, topic: Arc<TopicInfo>) -> Self {
        self.cluster.topics.insert(Arc::clone(&topic.name), topic);
        self
    }

    pub(crate) fn without_topic(mut self, topic: &str) -> Self {
        self.cluster.topics.remove(topic);
        self
    }

    pub(crate) fn build(self) -> Cluster {
        self.cluster
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32, leader: Option<&Node>) -> PartitionInfo {
        PartitionInfo {
            partition: number,
            leader: leader.cloned(),
            leader_epoch: None,
            replicas: Vec::new(),
            in_sync_replicas: Vec::new(),
            offline_replicas: Vec::new(),
        }
    }

    #[test]
    fn finds_partitions_by_number_even_with_gaps_and_duplicates() {
        let node = Node::new(NodeId(1), "a", 9092, None);
        let partitions = vec![
            partition(4, Some(&node)),
            partition(0, None),
            partition(2, Some(&node)),
            partition(2, None),
        ];
        let topic = TopicInfo::new("t".into(), Uuid::ZERO, false, partitions);
        assert_eq!(topic.partition_count(), 3);
        assert_eq!(topic.available_partitions(), [2, 4]);
        assert_eq!(topic.partition(2).map(PartitionInfo::partition), Some(2));
        assert_eq!(topic.partition(4).map(PartitionInfo::partition), Some(4));
        assert!(topic.partition(1).is_none() && topic.partition(-1).is_none());
    }
}
