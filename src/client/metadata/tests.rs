//! Scenarios of Java's MetadataTest and ProducerMetadataTest.

mod epochs;
mod errors;
mod hostile;
mod leadership;
mod merging;
mod rebootstrap;
mod refresh;
mod topics;
mod unknown_leaders;
mod waiting;

use super::*;
use crate::common::{NodeId, Uuid};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{MetadataBroker, MetadataPartition, MetadataTopic};
use crate::utils::{MockTime, SystemTime};

const BACKOFF_MS: u64 = 100;
const MAX_AGE_MS: u64 = 5000;
const IDLE_MS: u64 = 60_000;
const VERSION: i16 = 13;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn config(backoff_max_ms: u64) -> MetadataConfig {
    MetadataConfig {
        refresh_backoff: ms(BACKOFF_MS),
        refresh_backoff_max: ms(backoff_max_ms),
        max_age: ms(MAX_AGE_MS),
        topic_idle: ms(IDLE_MS),
    }
}

/// Metadata with a constant backoff, and its clock.
struct Fixture {
    metadata: Metadata,
    time: MockTime,
}

impl Fixture {
    fn new() -> Self {
        Self::with(config(BACKOFF_MS))
    }

    fn with(config: MetadataConfig) -> Self {
        let time = MockTime::new();
        let metadata = Metadata::new(config, time.now());
        Self { metadata, time }
    }

    fn add(&self, topics: &[&str]) {
        for topic in topics {
            self.metadata.add(topic, self.time.now());
        }
    }

    fn request(&self) -> (Vec<String>, MetadataRequestVersion) {
        let (request, version) = self.metadata.new_request(self.time.now());
        assert!(request.allow_auto_topic_creation);
        let topics = request.topics.expect("all topics are never asked for");
        let names = topics
            .into_iter()
            .map(|topic| topic.name.unwrap().to_string());
        (names.collect(), version)
    }

    /// Responds to the request that is due now.
    fn update(&self, response: &MetadataResponse) {
        let (_, version) = self.request();
        self.answer(version, response);
    }

    /// Updates as if everything had been requested.
    fn update_all(&self, response: &MetadataResponse) {
        let (_, version) = self.request();
        let is_partial = false;
        self.answer(
            MetadataRequestVersion {
                is_partial,
                ..version
            },
            response,
        );
    }

    fn answer(&self, version: MetadataRequestVersion, response: &MetadataResponse) {
        let taken = self
            .metadata
            .update_with(version, response, VERSION, self.time.now());
        assert!(taken);
    }

    fn due_ms(&self) -> u64 {
        let due = self.metadata.time_to_next_update(self.time.now());
        u64::try_from(due.as_millis()).unwrap()
    }

    fn epoch(&self, topic: &str, partition: i32) -> Option<i32> {
        let cluster = self.metadata.load();
        cluster.topic(topic)?.partition(partition)?.leader_epoch()
    }

    fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let cluster = self.metadata.load();
        cluster.leader_for(topic, partition).map(|node| node.id().0)
    }
}

fn broker(id: i32) -> MetadataBroker {
    MetadataBroker {
        node_id: id,
        host: format!("host{id}"),
        port: 9092,
        rack: None,
    }
}

fn partition(index: i32, leader_id: i32, leader_epoch: i32) -> MetadataPartition {
    MetadataPartition {
        partition_index: index,
        leader_id,
        leader_epoch,
        replica_nodes: vec![leader_id],
        isr_nodes: vec![leader_id],
        ..MetadataPartition::default()
    }
}

fn topic(name: &str, partitions: Vec<MetadataPartition>) -> MetadataTopic {
    MetadataTopic {
        name: Some(Arc::from(name)),
        partitions,
        ..MetadataTopic::default()
    }
}

fn error_topic(name: &str, error_code: ErrorCode) -> MetadataTopic {
    MetadataTopic {
        error_code,
        ..topic(name, Vec::new())
    }
}

/// Returns a response with brokers 0 to 2 and these topics.
fn response(topics: Vec<MetadataTopic>) -> MetadataResponse {
    MetadataResponse {
        brokers: (0..3).map(broker).collect(),
        cluster_id: Some("cluster".to_owned()),
        controller_id: 0,
        topics,
        ..MetadataResponse::default()
    }
}

/// Returns a response with brokers 0 to 2, and topics with one partition each, led by broker 0 in
/// epoch 1.
fn response_with(topics: &[&str]) -> MetadataResponse {
    let topics = topics
        .iter()
        .map(|name| topic(name, vec![partition(0, 0, 1)]));
    response(topics.collect())
}
