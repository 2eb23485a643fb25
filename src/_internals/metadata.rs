//! Metadata from the bytes of a response to the view of the cluster, for measurements of memory.

use std::time::Duration;

use crate::client::{self, MetadataConfig, MetadataRequestVersion};
use crate::common::Uuid;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::messages::{
    MetadataBroker, MetadataPartition, MetadataResponse, MetadataTopic,
};
use crate::protocol::{ApiKey, decode_metadata_response, encode_response};
use crate::sync::Arc;
use crate::utils::{SystemTime, Time};

const VERSION: i16 = 13;
const BROKERS: i32 = 100;

/// The contents of a response: `topic-0` and so on, on 100 brokers.
#[derive(Clone, Copy, Debug)]
pub struct MetadataShape {
    pub topics: i32,
    /// The number of partitions of each topic.
    pub partitions: i32,
    /// The number of replicas of each partition, at most 3.
    pub replicas: i32,
    /// The leader epoch of each partition. A leader moves with each epoch.
    pub leader_epoch: i32,
}

impl MetadataShape {
    /// Returns the response as a broker sends it, without the frame's size.
    pub fn response(self) -> Result<Vec<u8>> {
        let broker = |node_id| MetadataBroker {
            node_id,
            host: format!("broker-{node_id}.example"),
            port: 9092,
            rack: None,
        };
        let topic = |topic| MetadataTopic {
            name: Some(name(topic)),
            topic_id: Uuid::from_bytes([1; 16]),
            partitions: (0..self.partitions)
                .map(|partition| self.partition(topic, partition))
                .collect(),
            ..MetadataTopic::default()
        };
        let response = MetadataResponse {
            brokers: (0..BROKERS).map(broker).collect(),
            cluster_id: Some("cluster".to_owned()),
            topics: (0..self.topics).map(topic).collect(),
            ..MetadataResponse::default()
        };
        encode_response(ApiKey::Metadata, VERSION, 0, &response.into()).map_err(failed)
    }

    /// Returns a partition. As with Kafka's own assignment, few partitions have the same replicas.
    /// The in-sync replicas have another order.
    fn partition(self, topic: i32, partition_index: i32) -> MetadataPartition {
        let first = partition_index + topic;
        let stride = 1 + (partition_index / BROKERS + topic) % 30;
        let replicas = (0..self.replicas).map(|number| (first + number * stride) % BROKERS);
        let replica_nodes: Vec<_> = replicas.collect();
        let leader = self.leader_epoch.rem_euclid(self.replicas);
        let leader = usize::try_from(leader).unwrap_or_default();
        MetadataPartition {
            partition_index,
            leader_id: replica_nodes.get(leader).copied().unwrap_or(-1),
            leader_epoch: self.leader_epoch,
            isr_nodes: replica_nodes.iter().rev().copied().collect(),
            replica_nodes,
            ..MetadataPartition::default()
        }
    }
}

/// The metadata of a producer that sends to some topics.
#[derive(Debug)]
pub struct Metadata(client::Metadata);

impl Metadata {
    /// Creates metadata for the topics of `shape`, before a response.
    pub fn new(shape: MetadataShape) -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        let config = MetadataConfig {
            refresh_backoff: Duration::ZERO,
            refresh_backoff_max: Duration::ZERO,
            max_age: HOUR,
            topic_idle: HOUR,
        };
        let now = SystemTime.now();
        let metadata = client::Metadata::new(config, now);
        for topic in 0..shape.topics {
            metadata.add(&name(topic), now);
        }
        Self(metadata)
    }

    /// Decodes and applies a response about all topics. Returns whether it was usable.
    pub fn update(&self, response: &[u8]) -> Result<bool> {
        let response = decode_metadata_response(VERSION, response).map_err(failed)?;
        let request = MetadataRequestVersion {
            request_version: u64::MAX,
            is_partial: false,
        };
        let now = SystemTime.now();
        Ok(self.0.update(request, &response, now))
    }

    /// Returns the number of partitions that have a leader and all of these replicas.
    pub fn partition_count(&self, shape: MetadataShape) -> usize {
        let cluster = self.0.load();
        let partitions = cluster.topics().flat_map(|topic| topic.partitions());
        let has_all = |ids: &[_]| i32::try_from(ids.len()) == Ok(shape.replicas);
        partitions
            .filter(|partition| {
                partition.leader().is_some()
                    && partition.leader_epoch() == Some(shape.leader_epoch)
                    && has_all(partition.replicas())
                    && has_all(partition.in_sync_replicas())
            })
            .count()
    }
}

fn failed(error: impl std::error::Error) -> Error {
    Error::new(ErrorKind::Protocol, error.to_string())
}

fn name(topic: i32) -> Arc<str> {
    format!("topic-{topic}").into()
}
