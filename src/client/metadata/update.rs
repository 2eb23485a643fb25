//! Merges a metadata response, or leaders in a Produce response, into the view of the cluster.
//!
//! Java: `Metadata.handleMetadataResponse`, `updateLatestMetadata`, `updatePartitionLeadership`,
//! `MetadataSnapshot.mergeWith`.
//!
//! A response is not trusted. Topics that were not requested, partitions with invalid or repeated
//! numbers and brokers without an address are skipped. The kept data is proportional to the bytes
//! of the response.

use std::time::Instant;

use hashbrown::HashMap;

use super::leader_epochs::{Freshness, LeaderEpochs, TopicEpochs};
use super::state::MetadataState;
use super::topics_in_use::TopicsInUse;
use super::{MetadataRequestVersion, printable};
use crate::common::{
    Cluster, ClusterBuilder, Node, NodeId, PartitionInfo, PartitionInfos, Replicas, TopicInfo,
    TopicPartition, Uuid,
};
use crate::protocol::messages::{MetadataView, PartitionView, TopicView};
use crate::protocol::{ErrorCode, I32s};
use crate::sync::Arc;
use crate::utils::{Count, log};

/// Brokers before 2.4 may send the epoch of another broker's view. KAFKA-9184.
pub(super) const FIRST_VERSION_WITH_RELIABLE_EPOCHS: i16 = 9;

/// Returns whether one of `listed` partitions may have this number. They are numbered from 0, and
/// the accumulator creates a queue for each up to the largest. Some may be missing: brokers before
/// KRaft do not list partitions that never had a leader.
fn is_possible(number: i32, listed: usize) -> bool {
    /// The allowed number of missing partitions, however few are listed.
    const MISSING_AT_MOST: usize = 1024;
    /// The allowed number of missing partitions for each listed one.
    const MISSING_FOR_EACH: usize = 16;
    let limit = listed
        .saturating_mul(MISSING_FOR_EACH)
        .saturating_add(MISSING_AT_MOST);
    usize::try_from(number).is_ok_and(|number| number < limit)
}

/// A response that is being merged into the view.
#[derive(Debug)]
pub(super) struct Update<'a> {
    pub(super) request: MetadataRequestVersion,
    pub(super) response: &'a MetadataView<'a>,
    /// The usable brokers of the response, by id.
    pub(super) nodes: Vec<Node>,
    pub(super) now: Instant,
    /// The current topics of the producer.
    pub(super) topics: &'a TopicsInUse,
    /// The topics that the producer no longer uses.
    pub(super) expired: &'a [Arc<str>],
}

impl Update<'_> {
    /// Applies the response. Returns the view that replaces `current`.
    pub(super) fn apply(&self, current: &Cluster, state: &mut MetadataState) -> Cluster {
        let MetadataRequestVersion {
            request_version,
            is_partial,
        } = self.request;
        state.succeeded(request_version, is_partial, self.now);
        for topic in self.expired {
            log::debug!("topic '{}' was not used and is forgotten", printable(topic));
            state.epochs.forget_topic(topic);
            state.errors.remove(topic);
        }
        let cluster = self.merge(current, state);
        state.new_topics_answered(request_version);
        cluster
    }

    fn merge(&self, current: &Cluster, state: &mut MetadataState) -> Cluster {
        let cluster_id = self.response.cluster_id;
        let is_news = cluster_id != state.cluster_id.as_deref();
        if is_news && cluster_id != current.cluster_id() {
            state.cluster_id = cluster_id.map(str::to_owned);
            log::info!("cluster id: {}", printable(cluster_id.unwrap_or("none")));
        }
        let mut next = if self.request.is_partial {
            self.keep_known_topics(current, state)
        } else {
            state.errors.clear();
            ClusterBuilder::default()
        };
        next = next
            .nodes(self.nodes.clone())
            .cluster_id(cluster_id)
            .controller(Some(NodeId(self.response.controller_id)));
        for topic in self.response.topics() {
            let Some(name) = topic.name.and_then(|name| self.topics.shared_name(name)) else {
                continue;
            };
            state.errors.set(name, topic.error_code);
            if topic.error_code.is_none() {
                next = next.topic(self.topic_info(name, &topic, current, state));
            } else {
                next = next.without_topic(name);
                if topic.error_code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
                    // If the topic is created again, its epochs start again. Brokers before 2.8
                    // have no topic ids that would show this.
                    state.epochs.forget_topic(name);
                }
                if topic.error_code.refreshes_metadata() {
                    state.refresh.request_full();
                }
            }
        }
        next.build()
    }

    /// Keeps what a response about a few topics does not contain, with the latest addresses of the
    /// leaders.
    ///
    /// A leader that this broker does not list may be down, or unknown to the broker. The partition
    /// keeps the leader's id, so that a later list restores the leader. An update of everything
    /// decides.
    fn keep_known_topics(&self, current: &Cluster, state: &mut MetadataState) -> ClusterBuilder {
        let mut next = current.to_builder();
        for topic in self.expired {
            next = next.without_topic(topic);
        }
        if current.nodes() != self.nodes && next.resolve_leaders(&self.nodes) {
            log::debug!("the response about new topics leaves out a leader of other topics");
            state.refresh.request_full();
        }
        next
    }

    /// Returns the topic. Returns the known one if nothing in it has changed.
    fn topic_info(
        &self,
        name: &Arc<str>,
        topic: &TopicView<'_>,
        current: &Cluster,
        state: &mut MetadataState,
    ) -> Arc<TopicInfo> {
        let known = current.shared_topic(name);
        let mut merge = TopicMerge {
            known: known.map(AsRef::as_ref),
            nodes: &self.nodes,
            has_reliable_epochs: self.response.version() >= FIRST_VERSION_WITH_RELIABLE_EPOCHS,
            epochs: state.epochs.topic(name),
            has_news: false,
            has_lost_leader: false,
            impossible: 0,
            refresh_reason: None,
        };
        let info = TopicInfo::new(
            Arc::clone(name),
            topic.topic_id,
            topic.is_internal,
            merge.partitions(topic),
        );
        let is_present = |partition| info.partition(partition).is_some();
        merge.epochs.limit(info.partition_count(), is_present);
        let TopicMerge {
            has_news,
            has_lost_leader,
            impossible,
            refresh_reason,
            ..
        } = merge;
        if has_news {
            state.refresh.reset_equivalent_responses();
        }
        if let Some(code) = refresh_reason {
            log::debug!(
                "requesting metadata of topic '{}' again: {code}",
                printable(name)
            );
            state.refresh.request_full();
        } else if has_lost_leader {
            log::debug!("a leader of topic '{}' is not listed", printable(name));
            state.refresh.request_full();
        }
        if impossible > 0 {
            let text = format!(
                "ignored {} of topic '{}' with an impossible number",
                Count(impossible, "partition"),
                printable(name)
            );
            state.warnings.warn(text, self.now);
        }
        match known {
            Some(known) => info.shared_with(known),
            None => Arc::new(info),
        }
    }
}

/// A topic of a response that is being merged into the view.
struct TopicMerge<'a> {
    /// The known topic.
    known: Option<&'a TopicInfo>,
    nodes: &'a [Node],
    has_reliable_epochs: bool,
    epochs: &'a mut TopicEpochs,
    has_news: bool,
    has_lost_leader: bool,
    /// The number of partitions with an invalid number.
    impossible: usize,
    /// The first error of a partition that requires another update.
    refresh_reason: Option<ErrorCode>,
}

impl TopicMerge<'_> {
    fn partitions(&mut self, topic: &TopicView<'_>) -> Vec<PartitionInfo> {
        let known_id = self.known.map_or(Uuid::ZERO, TopicInfo::id);
        let is_new_id = !topic.topic_id.is_zero() && topic.topic_id != known_id;
        let listed = topic.partition_count();
        if self.has_reliable_epochs {
            self.epochs.reserve(listed);
        }
        let replica_words = topic
            .partitions()
            .map(|partition| replicas_of(&partition).words());
        let mut infos = PartitionInfos::with_capacity(listed, replica_words.sum());
        for partition in topic.partitions() {
            if !is_possible(partition.partition_index, listed) {
                self.impossible += 1;
                continue;
            }
            self.add_partition(&partition, is_new_id, &mut infos);
            if partition.error_code.refreshes_metadata() {
                self.refresh_reason = self.refresh_reason.or(Some(partition.error_code));
            }
        }
        let known = self.known.and_then(|known| known.partitions().first());
        infos.into_sorted_vec(known)
    }

    fn add_partition(
        &mut self,
        partition: &PartitionView<'_>,
        is_new_id: bool,
        infos: &mut PartitionInfos,
    ) {
        let number = partition.partition_index;
        let epoch = (self.has_reliable_epochs && partition.leader_epoch >= 0)
            .then_some(partition.leader_epoch);
        let cached = self.known.and_then(|known| known.partition(number));
        let freshness = self
            .epochs
            .judge(number, epoch, is_new_id, cached.is_some());
        self.has_news |= freshness == Freshness::News;
        let has_lost_leader = |info: &PartitionInfo| {
            info.has_unknown_leader() && cached.is_some_and(|cached| cached.leader().is_some())
        };
        if let Some(cached) = cached.filter(|_| freshness == Freshness::Stale) {
            let mut info = cached.clone();
            info.resolve_leader(self.nodes);
            self.has_lost_leader |= has_lost_leader(&info);
            // Copies its replicas, so that the list of the old view can be freed.
            infos.push(info, &cached.replica_ids().map(|ids| ids.iter().copied()));
            return;
        }
        let mut info = PartitionInfo::new(number, None).with_leader_epoch(epoch);
        info.set_leader(NodeId(partition.leader_id), self.nodes);
        self.has_lost_leader |= has_lost_leader(&info);
        infos.push(info, &replicas_of(partition));
    }
}

fn replicas_of(partition: &PartitionView<'_>) -> Replicas<impl Iterator<Item = NodeId> + Clone> {
    let replicas = Replicas {
        all: partition.replica_nodes,
        in_sync: partition.isr_nodes,
        offline: partition.offline_replicas,
    };
    replicas.map(|ids: I32s<'_>| ids.iter().map(NodeId))
}

/// Returns the view with the leaders of a Produce response, or `None` if nothing changed. KIP-951.
pub(super) fn with_new_leaders(
    current: &Cluster,
    epochs: &mut LeaderEpochs,
    leaders: &[(TopicPartition, i32, i32)],
    leader_nodes: &[Node],
) -> Option<Cluster> {
    let nodes = merged_nodes(current.nodes(), leader_nodes);
    // The topics with a new leader, cloned once each.
    let mut topics: HashMap<Arc<str>, TopicInfo> = HashMap::new();
    for (topic_partition, leader_id, epoch) in leaders {
        let name = topic_partition.shared_topic();
        let partition = topic_partition.partition();
        let is_complete = *leader_id >= 0 && *epoch >= 0;
        let leader = NodeId(*leader_id);
        if !is_complete || nodes.binary_search_by_key(&leader, Node::id).is_err() {
            continue;
        }
        let Some(topic) = current.topic(name) else {
            continue;
        };
        let Some((index, known)) = topic.partition_index(partition).and_then(|index| {
            let topic = topics.get(name).unwrap_or(topic);
            Some((index, topic.partitions().get(index)?))
        }) else {
            continue;
        };
        let known_epoch = known.leader_epoch().max(epochs.epoch(name, partition));
        if known_epoch.is_some_and(|known| *epoch <= known) {
            continue;
        }
        let topic = topics
            .entry(Arc::clone(name))
            .or_insert_with(|| topic.clone());
        topic.move_leader(index, leader, *epoch);
        epochs.topic(name).set(partition, *epoch);
    }
    if topics.is_empty() {
        return None;
    }
    let mut next = current.to_builder();
    for (_, mut topic) in topics {
        topic.resolve_leaders(&nodes);
        next = next.topic(Arc::new(topic));
    }
    // The other partitions of these leaders get the new addresses too.
    if current.nodes() != nodes {
        next.resolve_leaders(&nodes);
    }
    Some(next.nodes(nodes).build())
}

/// Merges `told` into `known`, by id. The address in `told` wins.
fn merged_nodes(known: &[Node], told: &[Node]) -> Vec<Node> {
    let told = told.iter().filter(|node| node.id().0 >= 0);
    let mut nodes: Vec<_> = told.chain(known).cloned().collect();
    // The sort is stable, so the first of two nodes with the same id stays.
    nodes.sort_by_key(Node::id);
    nodes.dedup_by_key(|node| node.id());
    nodes
}

/// Describes the topics and partitions with errors for a log line, or returns `None` if there are
/// no errors.
pub(crate) fn describe_errors(response: &MetadataView<'_>) -> Option<String> {
    const SHOWN: usize = 5;
    let mut shown = Vec::new();
    let mut count = 0;
    let mut add = |topic: &TopicView<'_>, partition: Option<i32>, code: ErrorCode| {
        if code.is_none() {
            return;
        }
        count += 1;
        if shown.len() < SHOWN {
            let name = printable(topic.name.unwrap_or("?"));
            shown.push(match partition {
                Some(partition) => format!("{name}-{partition}: {code}"),
                None => format!("{name}: {code}"),
            });
        }
    };
    for topic in response.topics() {
        add(&topic, None, topic.error_code);
        for partition in topic.partitions() {
            add(
                &topic,
                Some(partition.partition_index),
                partition.error_code,
            );
        }
    }
    let more = match count - shown.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    (count > 0).then(|| format!("{}{more}", shown.join(", ")))
}
