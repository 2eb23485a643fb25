//! What is known of one partition. Java: `PartitionInfo`, `MetadataResponse.PartitionMetadata`.

use std::fmt;

use super::node::find_node;
use super::replicas::{ReplicaLists, Replicas};
use super::{Node, NodeId};
use crate::sync::Arc;

/// The id of the leader of a partition that has none. Java: `MetadataResponse.NO_LEADER_ID`.
const NO_LEADER: NodeId = NodeId(-1);
/// The epoch of a leader whose epoch is unknown. Java: `RecordBatch.NO_PARTITION_LEADER_EPOCH`.
const NO_EPOCH: i32 = -1;
/// Where no replicas are.
const NO_REPLICAS: u32 = u32::MAX;

/// What is known of one partition.
//
// The metadata of a large cluster have ten thousand of these, and twice as many while they are refreshed: the size is asserted below.
#[derive(Clone)]
pub struct PartitionInfo {
    partition: i32,
    /// The leader's id; negative if there is no leader. Kept while the node is unknown, so that a later list of nodes
    /// brings the leader back.
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
    /// A partition without an epoch and replicas.
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

    /// Sets the leader epoch, which is not negative.
    pub(crate) fn with_leader_epoch(mut self, epoch: Option<i32>) -> Self {
        self.leader_epoch = epoch.unwrap_or(NO_EPOCH);
        self
    }

    /// Sets the leader to the node with this id among `nodes`, which are sorted by id. The id is kept if it is not there.
    pub(crate) fn set_leader(&mut self, id: NodeId, nodes: &[Node]) {
        self.leader_id = id;
        self.leader = find_node(nodes, id).cloned();
    }

    /// Gives the partition another leader, which counts after [`resolve_leader`](Self::resolve_leader).
    pub(super) fn move_leader(&mut self, id: NodeId, epoch: i32) {
        self.leader_id = id;
        self.leader_epoch = epoch;
    }

    /// Looks the leader up in another list of nodes. Returns whether the partition lost its leader by that.
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
        (self.leader_epoch != NO_EPOCH).then_some(self.leader_epoch)
    }

    /// The nodes that hold a replica, the preferred leader first.
    pub fn replicas(&self) -> &[NodeId] {
        self.replica_ids().all
    }

    /// The replicas that are in sync with the leader.
    pub fn in_sync_replicas(&self) -> &[NodeId] {
        self.replica_ids().in_sync
    }

    /// The replicas on dead brokers.
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

    /// Adds a partition with these replicas. Those that it had before are not kept.
    pub(crate) fn push<T>(&mut self, mut partition: PartitionInfo, replicas: &Replicas<T>)
    where
        T: IntoIterator<Item = NodeId> + Clone,
    {
        partition.replicas_start = self.replica_lists.add(replicas);
        partition.replica_lists = None;
        self.partitions.push(partition);
    }

    /// Returns the partitions by number; of those with the same number, the one that was pushed first comes first.
    ///
    /// If the lists of replicas are those of `known`, a partition of an earlier view of the topic, they are shared with it.
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
