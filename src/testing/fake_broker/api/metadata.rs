//! Responds to Metadata, and creates topics on demand. Java (broker):
//! `KafkaApis.handleTopicMetadataRequest`.
//!
//! Differs from Java: a topic that is created on demand exists from the next request on. A broker
//! takes some hundred milliseconds.

use crate::common::{NodeId, Uuid};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse,
    MetadataTopic,
};
use crate::sync::Arc;
use crate::testing::fake_broker::model::cluster::Cluster;
use crate::testing::fake_broker::model::topic::{Partition, Topic, is_internal, is_legal_name};
use crate::testing::fake_broker::script::plan::Plan;

pub(crate) fn handle(
    cluster: &mut Cluster,
    plan: &Plan,
    version: i16,
    request: &MetadataRequest,
) -> MetadataResponse {
    let topics = match &request.topics {
        None => all_topics(cluster, plan),
        Some(topics) => topics
            .iter()
            .map(|asked| {
                requested_topic(
                    cluster,
                    plan,
                    version,
                    asked,
                    request.allow_auto_topic_creation,
                )
            })
            .collect(),
    };
    MetadataResponse {
        brokers: cluster
            .live_brokers()
            .map(|broker| MetadataBroker {
                node_id: broker.id.0,
                host: broker.host.clone(),
                port: i32::from(broker.port),
                rack: broker.rack.clone(),
            })
            .collect(),
        cluster_id: Some(cluster.settings.cluster_id.clone()),
        controller_id: cluster.controller().map_or(-1, |node| node.0),
        topics,
        error_code: plan
            .whole_failure()
            .map_or(ErrorCode::NONE, |failure| failure.code),
        ..MetadataResponse::default()
    }
}

fn all_topics(cluster: &Cluster, plan: &Plan) -> Vec<MetadataTopic> {
    let topics = cluster.topics.iter();
    topics
        .map(|(name, topic)| match plan.failure(name, -1) {
            Some(failure) => failed_topic(failure.code, Some(Arc::clone(name)), topic.id),
            None => describe(cluster, plan, name, topic),
        })
        .collect()
}

fn requested_topic(
    cluster: &mut Cluster,
    plan: &Plan,
    version: i16,
    asked: &MetadataRequestTopic,
    may_create: bool,
) -> MetadataTopic {
    let name = match &asked.name {
        Some(name) if asked.topic_id.is_zero() => Arc::clone(name),
        _ => match cluster.topic_with_id(asked.topic_id) {
            Some((name, _)) => Arc::clone(name),
            None => {
                // Names can be null from version 12 on.
                let no_name = (version < 12).then(|| Arc::from(""));
                return failed_topic(ErrorCode::UNKNOWN_TOPIC_ID, no_name, asked.topic_id);
            }
        },
    };
    if let Some(failure) = plan.failure(&name, -1) {
        return failed_topic(failure.code, Some(name), asked.topic_id);
    }
    if !cluster.topics.contains_key(&name) {
        if !is_legal_name(&name) {
            return failed_topic(ErrorCode::INVALID_TOPIC_EXCEPTION, Some(name), Uuid::ZERO);
        }
        if may_create && cluster.settings.auto_create_topics {
            // A broker only starts the creation here. If the controller refuses it, for example
            // because the name collides, the client never learns why.
            if let Err(code) = cluster.auto_create_topic(&name) {
                log::warn!("topic '{name}' is not created on demand: {code}");
            }
        }
        if !cluster.settings.instant_auto_creation {
            let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            return failed_topic(code, Some(name), Uuid::ZERO);
        }
    }
    match cluster.topics.get(&name) {
        Some(topic) => describe(cluster, plan, &name, topic),
        None => failed_topic(
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Some(name),
            Uuid::ZERO,
        ),
    }
}

fn failed_topic(error_code: ErrorCode, name: Option<Arc<str>>, topic_id: Uuid) -> MetadataTopic {
    MetadataTopic {
        error_code,
        is_internal: name.as_deref().is_some_and(is_internal),
        name,
        topic_id,
        ..MetadataTopic::default()
    }
}

fn describe(cluster: &Cluster, plan: &Plan, name: &Arc<str>, topic: &Topic) -> MetadataTopic {
    let partitions = (0..).zip(&topic.partitions).map(|(index, partition)| {
        let described = describe_partition(cluster, index, partition);
        match plan.failure(name, index) {
            Some(failure) => MetadataPartition {
                error_code: failure.code,
                leader_id: -1,
                ..described
            },
            None => described,
        }
    });
    MetadataTopic {
        error_code: ErrorCode::NONE,
        name: Some(Arc::clone(name)),
        is_internal: is_internal(name),
        topic_id: topic.id,
        partitions: partitions.collect(),
        ..MetadataTopic::default()
    }
}

fn describe_partition(cluster: &Cluster, index: i32, partition: &Partition) -> MetadataPartition {
    let numbers = |nodes: Vec<NodeId>| nodes.iter().map(|node| node.0).collect::<Vec<_>>();
    let replicas = partition.replicas.iter().copied();
    let (isr, offline) = replicas.partition(|node| cluster.is_up(*node));
    MetadataPartition {
        error_code: match partition.leader {
            Some(_) => ErrorCode::NONE,
            None => ErrorCode::LEADER_NOT_AVAILABLE,
        },
        partition_index: index,
        leader_id: partition.leader.map_or(-1, |node| node.0),
        leader_epoch: partition.leader_epoch,
        replica_nodes: numbers(partition.replicas.clone()),
        isr_nodes: numbers(isr),
        offline_replicas: numbers(offline),
    }
}
