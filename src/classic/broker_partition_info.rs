//! Caches the partitions and leaders of topics. Java: `kafka.producer.BrokerPartitionInfo`,
//! `ClientUtils.fetchTopicMetadata`.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Error, ErrorKind, Result};
use super::producer_config::ProducerConfig;
use super::producer_pool::ProducerPool;
use super::sync_producer::{Context, SyncProducer, address};
use crate::common::{Node, NodeId, Uuid};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    MetadataBroker, MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataTopic,
};
use crate::sync::Arc;
use crate::utils::{log, printable};

/// A partition and its leader, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionAndLeader {
    pub(crate) partition: i32,
    pub(crate) leader: Option<NodeId>,
}

/// The cached metadata of topics.
#[derive(Debug)]
pub(crate) struct BrokerPartitionInfo {
    config: ProducerConfig,
    context: Context,
    topics: BTreeMap<String, TopicMetadata>,
}

/// A topic that exists, according to the brokers.
#[derive(Clone, Debug, Default)]
struct TopicMetadata {
    /// Sorted by partition.
    partitions: Vec<PartitionAndLeader>,
}

impl BrokerPartitionInfo {
    pub(crate) fn new(config: &ProducerConfig, context: &Context) -> Self {
        Self {
            config: config.clone(),
            context: context.clone(),
            topics: BTreeMap::new(),
        }
    }

    /// Returns the partitions of a topic, sorted by number. Fetches them if the topic is not
    /// cached.
    ///
    /// # Errors
    ///
    /// The topic has no metadata, or no partitions.
    pub(crate) fn get_broker_partition_info(
        &mut self,
        topic: &str,
        correlation_id: i32,
        pool: &mut ProducerPool,
    ) -> Result<&[PartitionAndLeader]> {
        if !self.topics.contains_key(topic) {
            self.update_info(&BTreeSet::from([topic.to_owned()]), correlation_id, pool)?;
        }
        match self.topics.get(topic) {
            None => Err(Error::kafka(format!(
                "Failed to fetch topic metadata for topic: {topic}"
            ))),
            Some(metadata) if metadata.partitions.is_empty() => Err(Error::kafka(format!(
                "Topic metadata of {topic} has empty partition metadata and no error code"
            ))),
            Some(metadata) => Ok(&metadata.partitions),
        }
    }

    /// Fetches the metadata of topics, and adds a connection for each of their leaders to the pool.
    ///
    /// # Errors
    ///
    /// No broker of `metadata.broker.list` returned metadata.
    pub(crate) fn update_info(
        &mut self,
        topics: &BTreeSet<String>,
        correlation_id: i32,
        pool: &mut ProducerPool,
    ) -> Result<()> {
        let response = fetch_topic_metadata(topics, &self.config, correlation_id, &self.context)?;
        let brokers = brokers_of(response.brokers);
        let mut leaders = BTreeMap::new();
        for topic in response.topics {
            let Some(name) = topic.name.clone() else {
                continue;
            };
            log::trace!("metadata for topic {}: {topic:?}", printable(&name));
            let metadata = read_topic(&topic, &name, &brokers);
            let known = metadata
                .partitions
                .iter()
                .filter_map(|partition| partition.leader);
            leaders.extend(known.filter_map(|id| Some((id, brokers.get(&id)?.clone()))));
            if topic.error_code.is_none() {
                self.topics.insert(name.to_string(), metadata);
            } else {
                log::warn!(
                    "Error while fetching metadata for topic [{}]: {}",
                    printable(&name),
                    topic.error_code
                );
            }
        }
        pool.update_producer(leaders.into_values());
        Ok(())
    }
}

fn brokers_of(brokers: Vec<MetadataBroker>) -> BTreeMap<NodeId, Node> {
    let node = |broker: MetadataBroker| {
        let port = u16::try_from(broker.port).ok().filter(|port| *port > 0)?;
        let id = NodeId(broker.node_id);
        Some((id, Node::new(id, &broker.host, port, None)))
    };
    brokers.into_iter().filter_map(node).collect()
}

/// Reads the partitions. A leader whose address is not in the response counts as none.
fn read_topic(
    topic: &MetadataTopic,
    name: &str,
    brokers: &BTreeMap<NodeId, Node>,
) -> TopicMetadata {
    let mut partitions = BTreeMap::new();
    for partition in &topic.partitions {
        let index = partition.partition_index;
        let leader = Some(NodeId(partition.leader_id)).filter(|id| brokers.contains_key(id));
        match leader {
            Some(leader) => log::debug!(
                "Partition [{},{index}] has leader {leader}",
                printable(name)
            ),
            None => log::debug!(
                "Partition [{},{index}] does not have a leader yet",
                printable(name)
            ),
        }
        // Any other error is about replicas, which do not matter to a producer.
        if partition.error_code == ErrorCode::LEADER_NOT_AVAILABLE {
            log::warn!(
                "Error while fetching metadata for topic partition [{},{index}]: {}",
                printable(name),
                partition.error_code
            );
        }
        partitions.insert(index, leader);
    }
    let partitions = partitions.into_iter();
    TopicMetadata {
        partitions: partitions
            .map(|(partition, leader)| PartitionAndLeader { partition, leader })
            .collect(),
    }
}

/// Sends the request to the brokers of `metadata.broker.list` in random order, until one returns
/// metadata. Uses a separate connection for each, and closes it afterwards.
fn fetch_topic_metadata(
    topics: &BTreeSet<String>,
    config: &ProducerConfig,
    correlation_id: i32,
    context: &Context,
) -> Result<MetadataResponse> {
    let mut brokers = config.brokers.clone();
    fastrand::shuffle(&mut brokers);
    let mut failure = None;
    for broker in &brokers {
        log::info!(
            "Fetching metadata from broker {} with correlation id {correlation_id} for {} topic(s) {topics:?}",
            address(broker),
            topics.len()
        );
        let mut producer = SyncProducer::new(config, broker.clone(), context);
        let outcome = producer.send_metadata_request(correlation_id, request_for(topics));
        producer.close();
        match outcome {
            Ok(response) => {
                log::debug!(
                    "Successfully fetched metadata for {} topic(s) {topics:?}",
                    topics.len()
                );
                return Ok(response);
            }
            Err(error) => {
                log::warn!(
                    "Fetching topic metadata with correlation id {correlation_id} for topics {topics:?} from broker [{}] \
                     failed: {}",
                    address(broker),
                    error.chain()
                );
                failure = Some(error);
            }
        }
    }
    let tried: Vec<_> = brokers.iter().map(address).collect();
    let text =
        format!("fetching topic metadata for topics {topics:?} from broker {tried:?} failed");
    Err(match failure {
        Some(cause) => Error::caused_by(ErrorKind::Kafka, text, cause),
        None => Error::kafka(text),
    })
}

fn request_for(topics: &BTreeSet<String>) -> MetadataRequest {
    let topics = topics.iter().map(|topic| MetadataRequestTopic {
        topic_id: Uuid::ZERO,
        name: Some(Arc::from(topic.as_str())),
    });
    MetadataRequest {
        topics: Some(topics.collect()),
        // Brokers of Kafka 0.8 created topics on demand.
        allow_auto_topic_creation: true,
        ..MetadataRequest::default()
    }
}
