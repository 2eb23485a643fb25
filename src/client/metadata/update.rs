//! Merges a metadata response, or leaders that a Produce response told, into the view of the cluster.
//!
//! Java: `Metadata.handleMetadataResponse`, `updateLatestMetadata`, `updatePartitionLeadership`, `MetadataSnapshot.mergeWith`.
//!
//! Nothing in a response is trusted: topics that were not asked for, partitions with impossible or repeated numbers and
//! brokers without an address are left out, and what is kept is in proportion to the bytes that carried it.

use super::leader_epochs::{LeaderEpochs, Verdict};
use super::state::MetadataState;
use super::topic_table::TopicTable;
use super::{MetadataRequestVersion, printable};
use crate::common::{Cluster, ClusterBuilder, Node, NodeId, PartitionInfo, TopicInfo};
use crate::common::{TopicPartition, Uuid};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{MetadataPartition, MetadataResponse, MetadataTopic};
use crate::sync::Arc;
use crate::utils::log;

/// Brokers before 2.4 may tell the epoch of another broker's view. KAFKA-9184.
pub(super) const FIRST_VERSION_WITH_RELIABLE_EPOCHS: i16 = 9;

/// Whether one of `listed` partitions may have this number. They are numbered from 0, and the accumulator makes a queue for
/// each up to the largest. Some may be missing: brokers before KRaft do not list partitions that never had a leader.
fn is_possible(number: i32, listed: usize) -> bool {
    /// However few are listed.
    const MISSING_AT_MOST: usize = 1024;
    /// For each that is listed.
    const MISSING_FOR_EACH: usize = 16;
    let limit = listed
        .saturating_mul(MISSING_FOR_EACH)
        .saturating_add(MISSING_AT_MOST);
    usize::try_from(number).is_ok_and(|number| number < limit)
}

/// A response on its way into the view.
#[derive(Debug)]
pub(super) struct Update<'a> {
    pub(super) request: MetadataRequestVersion,
    pub(super) response: &'a MetadataResponse,
    /// The response's brokers that can be connected to, by id.
    pub(super) nodes: Vec<Node>,
    pub(super) has_reliable_epochs: bool,
    /// The topics that the producer still sends to.
    pub(super) topics: &'a TopicTable,
}

impl Update<'_> {
    pub(super) fn merge(&self, current: &Cluster, state: &mut MetadataState) -> Cluster {
        let cluster_id = self.response.cluster_id.as_deref();
        if cluster_id != current.cluster_id() {
            log::info!("cluster id: {}", printable(cluster_id.unwrap_or("none")));
        }
        let mut next = ClusterBuilder::default()
            .nodes(self.nodes.clone())
            .cluster_id(cluster_id)
            .controller(Some(NodeId(self.response.controller_id)));
        if self.request.is_partial {
            next = self.keep_known_topics(next, current);
        } else {
            state.errors.clear();
        }
        for topic in &self.response.topics {
            let Some(name) = topic
                .name
                .as_ref()
                .filter(|name| self.topics.contains(name))
            else {
                continue;
            };
            state.errors.set(name, topic.error_code);
            if topic.error_code.is_none() {
                next = next.topic(Arc::new(self.topic_info(name, topic, current, state)));
            } else {
                next = next.without_topic(name);
                if topic.error_code.refreshes_metadata() {
                    state.refresh.request_full();
                }
            }
        }
        next.build()
    }

    /// What a response about a few topics leaves as it was, with the leaders at their latest addresses.
    fn keep_known_topics(&self, mut next: ClusterBuilder, current: &Cluster) -> ClusterBuilder {
        let has_same_nodes = current.nodes() == self.nodes;
        for topic in current.topics() {
            let Some(shared) = current.shared_topic(topic.name()) else {
                continue;
            };
            if self.topics.contains(topic.name()) {
                next = next.topic(if has_same_nodes {
                    Arc::clone(shared)
                } else {
                    Arc::new(with_leaders_among(topic, &self.nodes))
                });
            }
        }
        next
    }

    fn topic_info(
        &self,
        name: &Arc<str>,
        topic: &MetadataTopic,
        current: &Cluster,
        state: &mut MetadataState,
    ) -> TopicInfo {
        let known = current.topic(name);
        let known_id = known.map_or(Uuid::ZERO, TopicInfo::id);
        let is_new_id = !topic.topic_id.is_zero() && topic.topic_id != known_id;
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        let mut impossible = 0;
        let mut refresh_reason = None;
        for partition in &topic.partitions {
            let number = partition.partition_index;
            if !is_possible(number, topic.partitions.len()) {
                impossible += 1;
                continue;
            }
            let epoch = (self.has_reliable_epochs && partition.leader_epoch >= 0)
                .then_some(partition.leader_epoch);
            let verdict = state.epochs.judge(name, number, epoch, is_new_id);
            if verdict == Verdict::News {
                state.refresh.reset_equivalent_responses();
            }
            if verdict == Verdict::Stale {
                let kept = known.and_then(|known| known.partition(number));
                partitions.extend(kept.map(|kept| with_leader_among(kept, &self.nodes)));
            } else {
                partitions.push(self.partition_info(partition, epoch));
            }
            if partition.error_code.refreshes_metadata() {
                refresh_reason = refresh_reason.or(Some(partition.error_code));
            }
        }
        if let Some(code) = refresh_reason {
            log::debug!("asking again about topic '{}': {code}", printable(name));
            state.refresh.request_full();
        }
        if impossible > 0 {
            log::warn!(
                "{impossible} partitions of topic '{}' with impossible numbers are ignored",
                printable(name)
            );
        }
        let info = TopicInfo::new(
            Arc::clone(name),
            topic.topic_id,
            topic.is_internal,
            partitions,
        );
        let count = info.partition_count();
        let is_present = |partition| info.partition(partition).is_some();
        state.epochs.limit(name, count, is_present);
        info
    }

    fn partition_info(&self, partition: &MetadataPartition, epoch: Option<i32>) -> PartitionInfo {
        let ids = |ids: &[i32]| ids.iter().copied().map(NodeId).collect();
        PartitionInfo {
            partition: partition.partition_index,
            leader: find(&self.nodes, NodeId(partition.leader_id)).cloned(),
            leader_epoch: epoch,
            replicas: ids(&partition.replica_nodes),
            in_sync_replicas: ids(&partition.isr_nodes),
            offline_replicas: ids(&partition.offline_replicas),
        }
    }
}

/// The view with the leaders of a Produce response, and the partitions that it tells something new about; `None` if
/// there are none. KIP-951.
pub(super) fn with_new_leaders(
    current: &Cluster,
    epochs: &mut LeaderEpochs,
    leaders: &[(TopicPartition, i32, i32)],
    leader_nodes: &[Node],
) -> Option<(Cluster, Vec<TopicPartition>)> {
    let nodes = merged_nodes(current.nodes(), leader_nodes);
    let mut changed = Vec::new();
    let mut builder: Option<ClusterBuilder> = None;
    let mut topics: Vec<TopicInfo> = Vec::new();
    for (topic_partition, leader_id, epoch) in leaders {
        let name = topic_partition.shared_topic();
        let partition = topic_partition.partition();
        if *leader_id < 0 || *epoch < 0 {
            continue;
        }
        let (Some(leader), Some(topic)) = (find(&nodes, NodeId(*leader_id)), current.topic(name))
        else {
            continue;
        };
        let Some(known) = topic.partition(partition) else {
            continue;
        };
        let known_epoch = known.leader_epoch.max(epochs.epoch(name, partition));
        if known_epoch.is_some_and(|known| *epoch <= known) {
            continue;
        }
        let index = topics.iter().position(|topic| topic.name == *name);
        let index = index.unwrap_or_else(|| {
            topics.push(topic.clone());
            topics.len() - 1
        });
        let info = topics.get_mut(index).and_then(|topic| {
            let mut partitions = topic.partitions.iter_mut();
            partitions.find(|info| info.partition == partition)
        });
        if let Some(info) = info {
            info.leader = Some(leader.clone());
            info.leader_epoch = Some(*epoch);
            epochs.set(&topic.name, partition, *epoch);
            changed.push(topic_partition.clone());
        }
    }
    for topic in topics {
        let topic = TopicInfo::new(topic.name, topic.id, topic.is_internal, topic.partitions);
        let next = builder.unwrap_or_else(|| current.to_builder().nodes(nodes.clone()));
        builder = Some(next.topic(Arc::new(topic)));
    }
    builder.map(|builder| (builder.build(), changed))
}

/// `known` with `told` put in, by id; the address of `told` wins.
fn merged_nodes(known: &[Node], told: &[Node]) -> Vec<Node> {
    let told = told.iter().filter(|node| node.id().0 >= 0);
    let mut nodes: Vec<_> = told.chain(known).cloned().collect();
    // Stable, so that of two nodes with one id the first stays.
    nodes.sort_by_key(Node::id);
    nodes.dedup_by_key(|node| node.id());
    nodes
}

fn find(nodes: &[Node], id: NodeId) -> Option<&Node> {
    let index = nodes.binary_search_by_key(&id, Node::id).ok()?;
    nodes.get(index)
}

fn with_leader_among(partition: &PartitionInfo, nodes: &[Node]) -> PartitionInfo {
    let leader = partition.leader.as_ref();
    PartitionInfo {
        leader: leader.and_then(|leader| find(nodes, leader.id())).cloned(),
        ..partition.clone()
    }
}

fn with_leaders_among(topic: &TopicInfo, nodes: &[Node]) -> TopicInfo {
    let partitions = topic.partitions.iter();
    TopicInfo::new(
        Arc::clone(&topic.name),
        topic.id,
        topic.is_internal,
        partitions.map(|p| with_leader_among(p, nodes)).collect(),
    )
}

/// Describes the topics and partitions with errors, for a log line; `None` if all is well.
pub(crate) fn describe_errors(response: &MetadataResponse) -> Option<String> {
    const SHOWN: usize = 5;
    let mut shown = Vec::new();
    let mut count = 0;
    let mut add = |name: &MetadataTopic, partition: Option<i32>, code: ErrorCode| {
        if code.is_none() {
            return;
        }
        count += 1;
        if shown.len() < SHOWN {
            let name = printable(name.name.as_deref().unwrap_or("?"));
            shown.push(match partition {
                Some(partition) => format!("{name}-{partition}: {code}"),
                None => format!("{name}: {code}"),
            });
        }
    };
    for topic in &response.topics {
        add(topic, None, topic.error_code);
        for partition in &topic.partitions {
            add(topic, Some(partition.partition_index), partition.error_code);
        }
    }
    let more = match count - shown.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    (count > 0).then(|| format!("{}{more}", shown.join(", ")))
}
