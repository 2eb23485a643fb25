//! What the client knows of one partition. Java: `PartitionInfo`,
//! `MetadataResponse.PartitionMetadata`.

use std::fmt;

use super::node::find_node;
use super::replicas::{ReplicaLists, Replicas};
use super::{Node, NodeId};
use crate::sync::Arc;

/// The id of the leader of a partition that has none. Java: `MetadataResponse.NO_LEADER_ID`.
const NO_LEADER: NodeId = NodeId(-1);
/// The epoch of a leader whose epoch is unknown. Java: `RecordBatch.NO_PARTITION_LEADER_EPOCH`.
const NO_EPOCH: i32 = -1;
/// The place of a partition's replicas if it has none.
const NO_REPLICAS: u32 = u32::MAX;

/// A partition, as far as the client knows it.
//
// A large cluster has ten thousand of these, and twice as many during a refresh. Hence the
// assertion about the size below.
#[derive(Clone)]
pub struct PartitionInfo {
    partition: i32,
    /// The leader's id; negative if there is no leader. The id stays while its node is unknown, so
    /// that a later list of nodes restores the leader.
    leader_id: NodeId,
    /// The node with that id, if it is known.
    leader: Option<Node>,
    /// [`NO_EPOCH`] if it is unknown.
    leader_epoch: i32,
    /// Where the replicas begin in `replica_lists`.
    replicas_start: u32,
    /// Shared with the other partitions of the topic.
    replica_lists: Option<Arc<ReplicaLists>>,
}

/// What benches/side-by-side/tests/memory.rs counts depends on it most.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<PartitionInfo>() == 32);

impl PartitionInfo {
    /// Creates a partition without an epoch and replicas.
    pub(crate) fn new(partition: i32, leader: Option<Node>) -> Self {
        Self {
            partition,
            leader_id: leader.as_ref().map_or(NO_LEADER, Node::id),
            leader,
            leader_epoch: NO_EPOCH,
            replicas_start: NO_REPLICAS,
            replica_lists: None,
        }
    }

    /// Sets the leader epoch, which must not be negative.
    pub(crate) fn with_leader_epoch(mut self, epoch: Option<i32>) -> Self {
        self.leader_epoch = epoch.unwrap_or(NO_EPOCH);
        self
    }

    /// Sets the leader to the node with this id among `nodes`, which are sorted by id. Keeps the id
    /// if no node has it.
    pub(crate) fn set_leader(&mut self, id: NodeId, nodes: &[Node]) {
        self.leader_id = id;
        self.leader = find_node(nodes, id).cloned();
    }

    /// Gives the partition another leader. It takes effect with the next
    /// [`resolve_leader`](Self::resolve_leader).
    pub(super) fn move_leader(&mut self, id: NodeId, epoch: i32) {
        self.leader_id = id;
        self.leader_epoch = epoch;
    }

    /// Looks the leader up in another list of nodes. Returns whether the partition lost its leader.
    pub(crate) fn resolve_leader(&mut self, nodes: &[Node]) -> bool {
        let had_leader = self.leader.is_some();
        self.set_leader(self.leader_id, nodes);
        had_leader && self.leader.is_none()
    }

    /// Returns whether the leader has an id that is not among the nodes.
    pub(crate) fn has_unknown_leader(&self) -> bool {
        self.leader.is_none() && self.leader_id.0 >= 0
    }

    /// Returns whether [`resolve_leader`](Self::resolve_leader) would change nothing.
    pub(super) fn is_resolved(&self, nodes: &[Node]) -> bool {
        self.leader.as_ref() == find_node(nodes, self.leader_id)
    }

    /// Returns the partition's number.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Returns the leader, or `None` if the partition has no live leader.
    pub fn leader(&self) -> Option<&Node> {
        self.leader.as_ref()
    }

    /// Returns the leader epoch, if the brokers send it (Metadata v9 and later).
    pub fn leader_epoch(&self) -> Option<i32> {
        (self.leader_epoch != NO_EPOCH).then_some(self.leader_epoch)
    }

    /// Returns the nodes that hold a replica, the preferred leader first.
    pub fn replicas(&self) -> &[NodeId] {
        self.replica_ids().all
    }

    /// Returns the replicas that are in sync with the leader.
    pub fn in_sync_replicas(&self) -> &[NodeId] {
        self.replica_ids().in_sync
    }

    /// Returns the replicas on brokers that are down.
    pub fn offline_replicas(&self) -> &[NodeId] {
        self.replica_ids().offline
    }

    pub(crate) fn replica_ids(&self) -> Replicas<&[NodeId]> {
        let lists = self.replica_lists.as_deref();
        lists
            .and_then(|lists| lists.get(self.replicas_start))
            .unwrap_or_default()
    }
}

impl PartialEq for PartitionInfo {
    fn eq(&self, other: &Self) -> bool {
        self.partition == other.partition
            && self.leader_id == other.leader_id
            && self.leader_epoch == other.leader_epoch
            && self.leader == other.leader
            && self.replica_ids() == other.replica_ids()
    }
}

impl Eq for PartitionInfo {}

impl fmt::Debug for PartitionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionInfo")
            .field("partition", &self.partition)
            .field("leader_id", &self.leader_id)
            .field("leader", &self.leader)
            .field("leader_epoch", &self.leader_epoch())
            .field("replicas", &self.replicas())
            .field("in_sync_replicas", &self.in_sync_replicas())
            .field("offline_replicas", &self.offline_replicas())
            .finish()
    }
}

/// Gathers the partitions of a topic, which share their lists of replicas.
#[derive(Debug, Default)]
pub(crate) struct PartitionInfos {
    partitions: Vec<PartitionInfo>,
    replica_lists: ReplicaLists,
}

impl PartitionInfos {
    /// Reserves memory for this many partitions, and [words](Replicas::words) of replicas.
    pub(crate) fn with_capacity(partitions: usize, replica_words: usize) -> Self {
        Self {
            partitions: Vec::with_capacity(partitions),
            replica_lists: ReplicaLists::with_capacity(replica_words),
        }
    }

    /// Adds a partition with these replicas, which replace any that it had.
    pub(crate) fn push<T>(&mut self, mut partition: PartitionInfo, replicas: &Replicas<T>)
    where
        T: IntoIterator<Item = NodeId> + Clone,
    {
        partition.replicas_start = self.replica_lists.add(replicas);
        partition.replica_lists = None;
        self.partitions.push(partition);
    }

    /// Returns the partitions by number. Among partitions with the same number, the order of the
    /// pushes holds.
    ///
    /// `known` is a partition of an earlier view of the topic. If its lists of replicas are equal,
    /// the new partitions share them.
    pub(crate) fn into_sorted_vec(mut self, known: Option<&PartitionInfo>) -> Vec<PartitionInfo> {
        let known = known.and_then(|known| known.replica_lists.as_ref());
        let lists = match known {
            Some(known) if **known == self.replica_lists => Arc::clone(known),
            _ => Arc::new(self.replica_lists),
        };
        for partition in &mut self.partitions {
            partition.replica_lists = Some(Arc::clone(&lists));
        }
        // A stable sort would need memory for as many partitions again.
        let in_order = |info: &PartitionInfo| (info.partition, info.replicas_start);
        if !self.partitions.is_sorted_by_key(in_order) {
            self.partitions.sort_unstable_by_key(in_order);
        }
        self.partitions
    }
}
