//! The state of all nodes: which of them run, the topics, and the leaders. It does not know of
//! sockets.
//!
//! Locks: one lock of `Core` guards all of it, so that a request sees the cluster before or after a
//! change, and never in between.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::api::Api;
use super::coordinators::{CoordinatorType, Coordinators};
use super::groups::Group;
use super::log::PartitionLog;
use super::producer_state::SequenceRules;
use super::sasl::SaslServer;
use super::telemetry::Telemetry;
use super::topic::{Hosting, Partition, Topic, collide, is_legal_name};
use super::topic_config::TopicConfig;
use super::transaction_metadata::{ProducerIds, TransactionMetadata};
use crate::common::{NodeId, Uuid};
use crate::protocol::ErrorCode;
use crate::sync::Arc;

/// The settings of the whole cluster.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) cluster_id: String,
    pub(crate) replication_factor: usize,
    pub(crate) auto_create_topics: bool,
    /// A topic that is created on demand is ready immediately.
    pub(crate) instant_auto_creation: bool,
    pub(crate) default_topic: TopicConfig,
    /// `offset.metadata.max.bytes`.
    pub(crate) offset_metadata_max_bytes: usize,
    pub(crate) sequence_rules: SequenceRules,
    /// The finalized level of the feature `transaction.version`.
    pub(crate) transaction_version: i16,
    pub(crate) sasl: SaslServer,
}

/// The features on which the nodes have agreed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FinalizedFeatures {
    pub(crate) epoch: i64,
    /// 0 means that the cluster does not know the feature.
    pub(crate) transaction_version: i16,
}

/// A broker.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    pub(crate) id: NodeId,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) rack: Option<String>,
    pub(crate) is_up: bool,
    /// The versions that differ from those that this library supports. `None` means that the broker
    /// does not have the API.
    versions: BTreeMap<Api, Option<RangeInclusive<i16>>>,
}

impl Broker {
    pub(crate) fn new(id: NodeId, host: String, port: u16, rack: Option<String>) -> Self {
        Self {
            id,
            host,
            port,
            rack,
            is_up: true,
            versions: BTreeMap::new(),
        }
    }

    pub(crate) fn set_versions(&mut self, api: Api, versions: Option<RangeInclusive<i16>>) {
        self.versions.insert(api, versions);
    }

    /// Returns the versions of an API that the broker supports.
    pub(crate) fn versions(&self, api: Api) -> Option<RangeInclusive<i16>> {
        match self.versions.get(&api) {
            Some(versions) => versions.clone(),
            None => Some(api.key().versions()),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) settings: Settings,
    pub(crate) brokers: Vec<Broker>,
    pub(crate) topics: BTreeMap<Arc<str>, Topic>,
    /// Increases whenever a finalized feature changes.
    pub(crate) features_epoch: i64,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) coordinators: Coordinators,
    /// By transactional id.
    pub(crate) transactions: BTreeMap<Arc<str>, TransactionMetadata>,
    pub(crate) are_markers_paused: bool,
    /// By group id.
    pub(crate) groups: BTreeMap<Arc<str>, Group>,
    /// The metrics that the nodes request from clients, and those that clients pushed.
    pub(crate) telemetry: Telemetry,
}

impl Cluster {
    pub(crate) fn new(settings: Settings, brokers: Vec<Broker>) -> Self {
        Self {
            settings,
            brokers,
            topics: BTreeMap::new(),
            features_epoch: 0,
            producer_ids: ProducerIds::default(),
            coordinators: Coordinators::default(),
            transactions: BTreeMap::new(),
            are_markers_paused: false,
            groups: BTreeMap::new(),
            telemetry: Telemetry::default(),
        }
    }

    /// Replaces everything except the brokers, the topic configurations and the telemetry.
    pub(crate) fn replace(&mut self, cluster_id: &str) {
        let settings = Settings {
            cluster_id: cluster_id.to_owned(),
            ..self.settings.clone()
        };
        let mut fresh = Self::new(settings, self.brokers.clone());
        fresh.telemetry = std::mem::take(&mut self.telemetry);
        let topics = std::mem::replace(self, fresh).topics;
        for (name, topic) in topics {
            // The configuration was valid before.
            let _ = self.create_topic(&name, topic.config);
        }
    }

    pub(crate) fn broker(&self, id: NodeId) -> Option<&Broker> {
        self.brokers.iter().find(|broker| broker.id == id)
    }

    /// Returns the versions of an API that a node supports. As in Kafka, a node without a receiver
    /// of telemetry does not have its APIs.
    pub(crate) fn versions(&self, broker: &Broker, api: Api) -> Option<RangeInclusive<i16>> {
        match api {
            Api::GetTelemetrySubscriptions | Api::PushTelemetry if !self.telemetry.is_on() => None,
            _ => broker.versions(api),
        }
    }

    pub(crate) fn broker_mut(&mut self, id: NodeId) -> Option<&mut Broker> {
        self.brokers.iter_mut().find(|broker| broker.id == id)
    }

    pub(crate) fn is_up(&self, id: NodeId) -> bool {
        self.broker(id).is_some_and(|broker| broker.is_up)
    }

    pub(crate) fn live_brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.iter().filter(|broker| broker.is_up)
    }

    /// Returns the first running node. A test broker's controller has no work.
    pub(crate) fn controller(&self) -> Option<NodeId> {
        self.live_brokers().next().map(|broker| broker.id)
    }

    pub(crate) fn new_producer_id(&mut self) -> i64 {
        self.producer_ids.next()
    }

    pub(crate) fn finalized_features(&self) -> FinalizedFeatures {
        FinalizedFeatures {
            epoch: self.features_epoch,
            transaction_version: self.settings.transaction_version,
        }
    }

    pub(crate) fn set_transaction_version(&mut self, level: i16) {
        self.settings.transaction_version = level;
        self.features_epoch += 1;
    }

    /// Returns the node that coordinates a key; `None` while no node runs.
    pub(crate) fn coordinator(&self, kind: CoordinatorType, key: &str) -> Option<NodeId> {
        let nodes: Vec<_> = self.brokers.iter().map(|broker| broker.id).collect();
        let candidates = self.coordinators.candidates(kind, key, &nodes);
        candidates.into_iter().find(|node| self.is_up(*node))
    }

    /// Checks that a node coordinates a key.
    pub(crate) fn check_coordinator(
        &self,
        kind: CoordinatorType,
        key: &str,
        node: NodeId,
    ) -> Result<(), ErrorCode> {
        match self.coordinator(kind, key) {
            Some(coordinator) if coordinator == node => Ok(()),
            _ => Err(ErrorCode::NOT_COORDINATOR),
        }
    }

    pub(crate) fn topic_with_id(&self, id: Uuid) -> Option<(&Arc<str>, &Topic)> {
        self.topics.iter().find(|(_, topic)| topic.id == id)
    }

    /// Returns the replicas of a partition that are on running nodes, which makes them in sync.
    pub(crate) fn in_sync_replicas(&self, partition: &Partition) -> Vec<NodeId> {
        let replicas = partition.replicas.iter().copied();
        replicas.filter(|node| self.is_up(*node)).collect()
    }

    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        config: TopicConfig,
    ) -> Result<Uuid, ErrorCode> {
        if !is_legal_name(name) {
            return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
        }
        if self.topics.contains_key(name) {
            return Err(ErrorCode::TOPIC_ALREADY_EXISTS);
        }
        if self.topics.keys().any(|other| collide(name, other)) {
            return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
        }
        if config.partitions < 1 {
            return Err(ErrorCode::INVALID_PARTITIONS);
        }
        let partitions = (0..config.partitions).map(|number| self.new_partition(number));
        let topic = Topic {
            id: Uuid::random(),
            partitions: partitions.collect(),
            config,
        };
        let id = topic.id;
        self.topics.insert(Arc::from(name), topic);
        Ok(id)
    }

    /// Creates a topic because a Metadata request named it. Its leaders do not serve it yet, unless
    /// the settings say otherwise.
    pub(crate) fn auto_create_topic(&mut self, name: &str) -> Result<(), ErrorCode> {
        self.create_topic(name, self.settings.default_topic.clone())?;
        if self.settings.instant_auto_creation {
            return Ok(());
        }
        let created = self.topics.get_mut(name);
        for partition in created.into_iter().flat_map(|topic| &mut topic.partitions) {
            partition.hosting = Hosting::Opening;
        }
        Ok(())
    }

    /// Grows a topic to `count` partitions.
    pub(crate) fn add_partitions(&mut self, name: &str, count: i32) -> Result<(), ErrorCode> {
        let topic = self.topics.get(name);
        let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        if count <= topic.config.partitions {
            return Err(ErrorCode::INVALID_PARTITIONS);
        }
        let added: Vec<_> = (topic.config.partitions..count)
            .map(|number| self.new_partition(number))
            .collect();
        if let Some(topic) = self.topics.get_mut(name) {
            topic.partitions.extend(added);
            topic.config.partitions = count;
        }
        Ok(())
    }

    /// Creates a partition. Leaders are assigned to the nodes in turn, and replicas to the next
    /// nodes.
    fn new_partition(&self, number: i32) -> Partition {
        let skip = usize::try_from(number).unwrap_or(0) % self.brokers.len().max(1);
        let replicas: Vec<_> = self
            .brokers
            .iter()
            .cycle()
            .skip(skip)
            .take(self.settings.replication_factor.min(self.brokers.len()))
            .map(|broker| broker.id)
            .collect();
        let leader = replicas.iter().copied().find(|node| self.is_up(*node));
        Partition {
            leader,
            leader_epoch: 0,
            replicas,
            hosting: Hosting::Open,
            log: PartitionLog::default(),
        }
    }

    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partition(partition)
    }

    pub(crate) fn partition_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Partition> {
        self.topics.get_mut(topic)?.partition_mut(partition)
    }

    /// Removes a node. For each partition that it led, another replica on a running node becomes
    /// the leader, if there is one.
    pub(crate) fn broker_stopped(&mut self, id: NodeId) {
        self.set_up(id, false);
        let live: Vec<_> = self.live_brokers().map(|broker| broker.id).collect();
        for partition in self.topics.values_mut().flat_map(|t| &mut t.partitions) {
            if partition.leader == Some(id) {
                let mut replicas = partition.replicas.iter().copied();
                let successor = replicas.find(|node| live.contains(node));
                partition.lead_by(successor);
            }
        }
    }

    /// Adds a node again. It leads the partitions that have no leader; the others keep theirs.
    pub(crate) fn broker_started(&mut self, id: NodeId) {
        self.set_up(id, true);
        for partition in self.topics.values_mut().flat_map(|t| &mut t.partitions) {
            if partition.leader.is_none() && partition.replicas.contains(&id) {
                partition.lead_by(Some(id));
            }
        }
        self.write_markers();
    }

    fn set_up(&mut self, id: NodeId, is_up: bool) {
        if let Some(broker) = self.broker_mut(id) {
            broker.is_up = is_up;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(nodes: i32, replication_factor: usize) -> Cluster {
        let settings = Settings {
            cluster_id: "c".into(),
            replication_factor,
            auto_create_topics: true,
            instant_auto_creation: false,
            default_topic: TopicConfig::new(1),
            offset_metadata_max_bytes: 4096,
            sequence_rules: SequenceRules::default(),
            transaction_version: 2,
            sasl: SaslServer::default(),
        };
        let brokers = (1..=nodes)
            .map(|id| Broker::new(NodeId(id), "h".into(), 9092, None))
            .collect();
        Cluster::new(settings, brokers)
    }

    fn leader(cluster: &Cluster, partition: i32) -> (Option<i32>, i32) {
        let partition = cluster.partition("t", partition).unwrap();
        (partition.leader.map(|node| node.0), partition.leader_epoch)
    }

    #[test]
    fn leaders_go_round_the_nodes_and_replicas_follow() {
        let mut cluster = cluster(3, 2);
        cluster.create_topic("t", TopicConfig::new(3)).unwrap();
        cluster.add_partitions("t", 4).unwrap();
        let replicas: Vec<_> = (0..4)
            .map(|number| cluster.partition("t", number).unwrap().replicas.clone())
            .map(|nodes| nodes.iter().map(|node| node.0).collect::<Vec<_>>())
            .collect();
        assert_eq!(replicas, [[1, 2], [2, 3], [3, 1], [1, 2]]);
    }

    #[test]
    fn a_replica_takes_over_from_a_stopped_node() {
        let mut cluster = cluster(3, 2);
        cluster.create_topic("t", TopicConfig::new(2)).unwrap();
        cluster.broker_stopped(NodeId(1));
        assert_eq!(leader(&cluster, 0), (Some(2), 1));
        assert_eq!(leader(&cluster, 1), (Some(2), 0));
        let isr = cluster.in_sync_replicas(cluster.partition("t", 0).unwrap());
        assert_eq!(isr, [NodeId(2)]);
        cluster.broker_stopped(NodeId(2));
        assert_eq!(leader(&cluster, 0), (None, 2));
        assert_eq!(leader(&cluster, 1), (Some(3), 1));
        assert_eq!(cluster.controller(), Some(NodeId(3)));
        cluster.broker_started(NodeId(2));
        assert_eq!(leader(&cluster, 0), (Some(2), 3));
        assert_eq!(leader(&cluster, 1), (Some(3), 1), "it stays where it is");
    }

    #[test]
    fn create_topic_refuses_bad_topics() {
        let mut cluster = cluster(1, 1);
        cluster.create_topic("t", TopicConfig::new(2)).unwrap();
        let mut create =
            |name, partitions| cluster.create_topic(name, TopicConfig::new(partitions));
        assert_eq!(create("t", 1), Err(ErrorCode::TOPIC_ALREADY_EXISTS));
        assert_eq!(create("a/b", 1), Err(ErrorCode::INVALID_TOPIC_EXCEPTION));
        assert_eq!(create("u", 0), Err(ErrorCode::INVALID_PARTITIONS));
        create("coll.a", 1).unwrap();
        assert_eq!(create("coll_a", 1), Err(ErrorCode::INVALID_TOPIC_EXCEPTION));
        assert_eq!(
            cluster.add_partitions("t", 2),
            Err(ErrorCode::INVALID_PARTITIONS)
        );
    }
}
