//! An immutable view of the cluster. Java: `Cluster`, `MetadataSnapshot`.
//!
//! Threads: the I/O thread builds a view, and then every thread reads it. A view never changes; a
//! newer one replaces it.

use std::any::Any;
use std::fmt;

use super::node::find_node;
use super::{Node, NodeId, PartitionInfo, TopicPartition, Uuid};
use crate::sync::{Arc, OnceLock};
use crate::utils::CopyOnWriteMap;

/// A topic, as far as the client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) is_internal: bool,
    /// Sorted by partition number. The number is not always the index, because a broker can leave a
    /// partition out.
    pub(crate) partitions: Vec<PartitionInfo>,
    /// The numbers of the partitions that have a leader.
    pub(crate) available: Arc<[i32]>,
    attachment: Attachment,
}

/// A value that a higher layer caches with one view of a topic. It is not part of the topic: two
/// attachments are always equal, and a clone starts empty.
#[derive(Default)]
struct Attachment(OnceLock<Arc<dyn Any + Send + Sync>>);

impl Clone for Attachment {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Attachment {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Attachment {}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attachment")
    }
}

impl TopicInfo {
    pub(crate) fn new(
        name: Arc<str>,
        id: Uuid,
        is_internal: bool,
        mut partitions: Vec<PartitionInfo>,
    ) -> Self {
        if !partitions.is_sorted_by_key(PartitionInfo::partition) {
            partitions.sort_by_key(PartitionInfo::partition);
        }
        partitions.dedup_by_key(|partition| partition.partition());
        Self {
            name,
            id,
            is_internal,
            available: available(&partitions),
            partitions,
            attachment: Attachment::default(),
        }
    }

    /// Replaces the parts that equal those of an earlier view with that view's, which are shared.
    /// Returns the earlier view itself if all parts are equal.
    pub(crate) fn shared_with(mut self, known: &Arc<Self>) -> Arc<Self> {
        if **known == self {
            return Arc::clone(known);
        }
        if known.available == self.available {
            self.available = Arc::clone(&known.available);
        }
        Arc::new(self)
    }

    /// Gives the partition at `index` another leader. The change takes effect with the next call of
    /// [`resolve_leaders`](Self::resolve_leaders), so that one pass can move many leaders.
    pub(crate) fn move_leader(&mut self, index: usize, leader: NodeId, epoch: i32) {
        if let Some(partition) = self.partitions.get_mut(index) {
            partition.move_leader(leader, epoch);
        }
    }

    /// Looks the leaders up in another list of nodes, sorted by id. Returns whether a partition
    /// lost its leader.
    pub(crate) fn resolve_leaders(&mut self, nodes: &[Node]) -> bool {
        let mut has_lost_leader = false;
        for partition in &mut self.partitions {
            has_lost_leader |= partition.resolve_leader(nodes);
        }
        self.available = available(&self.partitions);
        has_lost_leader
    }

    /// Returns whether [`resolve_leaders`](Self::resolve_leaders) would change nothing.
    fn is_resolved(&self, nodes: &[Node]) -> bool {
        self.partitions.iter().all(|p| p.is_resolved(nodes))
    }

    /// Returns the index of a partition in [`partitions`](Self::partitions).
    pub(crate) fn partition_index(&self, partition: i32) -> Option<usize> {
        // The number is the index unless the broker left a partition out.
        let guess = usize::try_from(partition).ok()?;
        match self.partitions.get(guess) {
            Some(info) if info.partition() == partition => Some(guess),
            _ => self
                .partitions
                .binary_search_by_key(&partition, PartitionInfo::partition)
                .ok(),
        }
    }

    /// Returns what the producer caches with this view of the topic, which saves a send a second
    /// look-up. The first call makes the value with `init`. Returns `None` if the value has another
    /// type.
    #[inline]
    pub(crate) fn attachment<T: Any + Send + Sync>(
        &self,
        init: impl FnOnce() -> Arc<T>,
    ) -> Option<&T> {
        self.attachment.0.get_or_init(|| init()).downcast_ref()
    }

    /// Returns the topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the topic's id, or [`Uuid::ZERO`] if the brokers have no topic ids (before Kafka
    /// 2.8).
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Returns whether Kafka itself uses the topic, such as `__consumer_offsets`.
    pub fn is_internal(&self) -> bool {
        self.is_internal
    }

    /// Returns every partition, by number.
    pub fn partitions(&self) -> &[PartitionInfo] {
        &self.partitions
    }

    /// Returns the number of partitions, including those without a leader.
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }

    /// Returns the numbers of the partitions that have a leader.
    pub fn available_partitions(&self) -> &[i32] {
        &self.available
    }

    /// Returns one partition by its number.
    pub fn partition(&self, partition: i32) -> Option<&PartitionInfo> {
        self.partitions.get(self.partition_index(partition)?)
    }
}

fn available(partitions: &[PartitionInfo]) -> Arc<[i32]> {
    let has_leader = |partition: &&PartitionInfo| partition.leader().is_some();
    let mut available = Vec::with_capacity(partitions.iter().filter(has_leader).count());
    available.extend(
        partitions
            .iter()
            .filter(has_leader)
            .map(PartitionInfo::partition),
    );
    available.into()
}

/// A view of the cluster at one moment: its nodes and the topics that the client asked for.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    cluster_id: Option<Arc<str>>,
    nodes: Vec<Node>,
    controller: Option<NodeId>,
    topics: CopyOnWriteMap<Arc<TopicInfo>>,
    is_bootstrap: bool,
}

impl Cluster {
    /// Returns the cluster's id, or `None` before a broker has sent it.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// Returns the live nodes, by id. Before the first response, and while no known broker is
    /// reachable, these are the bootstrap addresses.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns one node by its id.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        match self.is_bootstrap {
            true => self.nodes.iter().find(|node| node.id() == id),
            false => find_node(&self.nodes, id),
        }
    }

    /// Returns the controller, if a broker named it.
    pub fn controller(&self) -> Option<&Node> {
        self.controller.and_then(|id| self.node(id))
    }

    /// Returns what is known of a topic.
    pub fn topic(&self, topic: &str) -> Option<&TopicInfo> {
        self.topics.get(topic).map(AsRef::as_ref)
    }

    /// Returns a shared pointer to what is known of a topic.
    pub(crate) fn shared_topic(&self, topic: &str) -> Option<&Arc<TopicInfo>> {
        self.topics.get(topic)
    }

    /// Returns every known topic.
    pub fn topics(&self) -> impl Iterator<Item = &TopicInfo> {
        self.topics.values().map(AsRef::as_ref)
    }

    /// Returns the leader of a partition, if it has one.
    pub fn leader_for(&self, topic: &str, partition: i32) -> Option<&Node> {
        self.topic(topic)?.partition(partition)?.leader()
    }

    /// Returns the number of partitions of a topic, or `None` if the topic is unknown.
    pub fn partition_count(&self, topic: &str) -> Option<usize> {
        self.topic(topic).map(TopicInfo::partition_count)
    }

    /// Returns the partitions of a topic, by number, or an empty slice if the topic is unknown.
    /// Java: `partitionsForTopic`.
    pub fn partitions_for_topic(&self, topic: &str) -> &[PartitionInfo] {
        self.topic(topic).map_or(&[], TopicInfo::partitions)
    }

    /// Returns the numbers of a topic's partitions that have a leader, or an empty slice if the
    /// topic is unknown. Java: `availablePartitionsForTopic`.
    pub fn available_partitions_for_topic(&self, topic: &str) -> &[i32] {
        self.topic(topic)
            .map_or(&[], TopicInfo::available_partitions)
    }

    /// Returns the number of partitions of a topic, or `None` if the topic is unknown. Java: `partitionCountForTopic`.
    pub fn partition_count_for_topic(&self, topic: &str) -> Option<usize> {
        self.partition_count(topic)
    }

    /// Returns one partition, if it is known. Java: `partition`.
    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionInfo> {
        self.topic(partition.topic())?
            .partition(partition.partition())
    }

    /// Returns the partitions that a node leads, topic by topic. Java: `partitionsForNode`.
    pub fn partitions_for_node(&self, node: NodeId) -> Vec<TopicPartition> {
        let led = self.topics().flat_map(|topic| {
            let led = topic.partitions.iter().filter(move |partition| {
                partition.leader().is_some_and(|leader| leader.id() == node)
            });
            led.map(|partition| TopicPartition::new(Arc::clone(&topic.name), partition.partition()))
        });
        led.collect()
    }

    /// Returns the names of the topics that Kafka itself uses. Java: `internalTopics`.
    pub fn internal_topics(&self) -> impl Iterator<Item = &str> {
        self.topics()
            .filter(|topic| topic.is_internal)
            .map(TopicInfo::name)
    }

    /// Returns whether the nodes are bootstrap addresses that no broker has confirmed yet.
    pub(crate) fn is_bootstrap(&self) -> bool {
        self.is_bootstrap
    }

    /// Returns a builder that starts from this view, for partial updates.
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

    /// Returns the view for a new bootstrap (KIP-899): the bootstrap addresses, and the topics of
    /// `last` without their leaders, because those nodes are gone.
    pub(crate) fn rebootstrap(nodes: Vec<Node>, last: &Cluster) -> Cluster {
        let mut topics = last.to_builder();
        topics.resolve_leaders(&[]);
        Cluster {
            topics: topics.cluster.topics,
            ..Self::bootstrap(nodes)
        }
    }

    pub(crate) fn cluster_id(mut self, id: Option<&str>) -> Self {
        self.cluster.cluster_id = id.map(Arc::from);
        self
    }

    /// Sets the nodes. The caller has already resolved the leaders of the topics among them.
    pub(crate) fn nodes(mut self, mut nodes: Vec<Node>) -> Self {
        nodes.sort_by_key(Node::id);
        self.cluster.nodes = nodes;
        self.cluster.is_bootstrap = false;
        self
    }

    pub(crate) fn controller(mut self, controller: Option<NodeId>) -> Self {
        self.cluster.controller = controller;
        self
    }

    /// Adds a topic, or replaces the topic of that name.
    pub(crate) fn topic(mut self, topic: Arc<TopicInfo>) -> Self {
        self.cluster.topics.insert(Arc::clone(&topic.name), topic);
        self
    }

    pub(crate) fn without_topic(mut self, topic: &str) -> Self {
        self.cluster.topics.remove(topic);
        self
    }

    /// Looks the leaders of all topics up in another list of nodes, sorted by id. Returns whether a
    /// partition lost its leader.
    pub(crate) fn resolve_leaders(&mut self, nodes: &[Node]) -> bool {
        let mut has_lost_leader = false;
        self.cluster.topics.change_values(
            |topic| !topic.is_resolved(nodes),
            |topic| {
                let mut resolved = TopicInfo::clone(topic);
                has_lost_leader |= resolved.resolve_leaders(nodes);
                *topic = Arc::new(resolved);
            },
        );
        has_lost_leader
    }

    pub(crate) fn build(self) -> Cluster {
        self.cluster
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32, leader: Option<&Node>) -> PartitionInfo {
        PartitionInfo::new(number, leader.cloned())
    }

    #[test]
    fn partitions_are_found_by_number_despite_gaps_and_duplicates() {
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

    // Java: ClusterTest.
    #[test]
    fn a_cluster_is_asked_by_topic_partition_and_node() {
        let nodes = [1, 2].map(|id| Node::new(NodeId(id), "a", 9092, None));
        let topic = |name: &str, is_internal, partitions| {
            Arc::new(TopicInfo::new(
                name.into(),
                Uuid::ZERO,
                is_internal,
                partitions,
            ))
        };
        let led = |number, node: usize| partition(number, Some(&nodes[node]));
        let cluster = ClusterBuilder::default()
            .nodes(nodes.to_vec())
            .topic(topic(
                "t",
                false,
                vec![led(0, 0), partition(1, None), led(2, 1)],
            ))
            .topic(topic("__offsets", true, vec![led(0, 0)]))
            .build();
        let numbers = cluster
            .partitions_for_topic("t")
            .iter()
            .map(PartitionInfo::partition);
        assert_eq!(numbers.collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(cluster.available_partitions_for_topic("t"), [0, 2]);
        assert_eq!(cluster.partition_count_for_topic("t"), Some(3));
        assert_eq!(cluster.internal_topics().collect::<Vec<_>>(), ["__offsets"]);
        let mut led = cluster.partitions_for_node(NodeId(1));
        led.sort();
        assert_eq!(
            led,
            [
                TopicPartition::new("__offsets", 0),
                TopicPartition::new("t", 0)
            ]
        );
        let info = cluster.partition(&TopicPartition::new("t", 2)).unwrap();
        assert_eq!(info.leader(), Some(&nodes[1]));
        assert!(cluster.partitions_for_topic("?").is_empty());
        assert!(cluster.available_partitions_for_topic("?").is_empty());
        assert_eq!(cluster.partition_count_for_topic("?"), None);
        assert!(cluster.partition(&TopicPartition::new("t", 3)).is_none());
    }
}
