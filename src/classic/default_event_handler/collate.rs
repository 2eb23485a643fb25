//! Finds the broker and the partition of each message. Java: `partitionAndCollate`, `getPartition`.

use std::collections::BTreeMap;

use super::DefaultEventHandler;
use crate::classic::broker_partition_info::PartitionAndLeader;
use crate::classic::error::{Error, ErrorKind, Result, contain};
use crate::common::{NodeId, TopicPartition};
use crate::utils::log;

/// Stands for the leader of partitions without one. The send to it fails, while the others succeed.
const NO_LEADER: NodeId = NodeId(-1);

/// An encoded message that is not delivered yet. Java: `KeyedMessage[K, Message]`.
#[derive(Debug)]
pub(super) struct Outstanding<'a, K> {
    pub(super) topic: &'a str,
    pub(super) partition_key: Option<&'a K>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) timestamp: i64,
}

/// The messages of one broker.
pub(super) type Partitions<'a, K> = BTreeMap<TopicPartition, Vec<Outstanding<'a, K>>>;
/// The messages of all brokers.
pub(super) type Collated<'a, K> = BTreeMap<NodeId, Partitions<'a, K>>;

impl<K, V> DefaultEventHandler<K, V> {
    /// Groups messages by broker and partition. Returns them if one of them has no partition.
    pub(super) fn partition_and_collate<'a>(
        &mut self,
        messages: Vec<Outstanding<'a, K>>,
    ) -> Result<Collated<'a, K>, Vec<Outstanding<'a, K>>> {
        let places: Result<Vec<_>> = messages.iter().map(|message| self.place(message)).collect();
        let places = match places {
            Ok(places) => places,
            Err(error) => {
                let text = "Failed to collate messages by topic,partition due to";
                match error.kind() {
                    ErrorKind::UnknownTopicOrPartition | ErrorKind::LeaderNotAvailable => {
                        log::warn!("{text}: {error}");
                    }
                    _ => log::error!("{text}: {}", error.chain()),
                }
                return Err(messages);
            }
        };
        let mut collated = Collated::new();
        for (message, (broker, partition)) in messages.into_iter().zip(places) {
            let partitions = collated.entry(broker).or_default();
            partitions.entry(partition).or_default().push(message);
        }
        Ok(collated)
    }

    fn place(&mut self, message: &Outstanding<'_, K>) -> Result<(NodeId, TopicPartition)> {
        let topic = message.topic;
        // Each message takes an id, even if no request is sent.
        let correlation_id = self.next_correlation_id();
        let pool = &mut self.producer_pool;
        let partitions =
            self.broker_partition_info
                .get_broker_partition_info(topic, correlation_id, pool)?;
        let count = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
        let chosen = match message.partition_key {
            Some(key) => {
                let partitioner = &mut self.partitioner;
                contain(ErrorKind::Panic, "the partitioner", || {
                    partitioner.partition(key, count)
                })?
            }
            None => match self.send_partition_per_topic_cache.get(topic) {
                // Does not check for a leader, because the send fails without one.
                Some(partition) => *partition,
                None => {
                    let partition = random_partition(topic, partitions)?;
                    let cache = &mut self.send_partition_per_topic_cache;
                    cache.insert(topic.to_owned(), partition);
                    partition
                }
            },
        };
        // The partitioner returns an index into the partitions, which are sorted by number.
        let index = usize::try_from(chosen).ok();
        let Some(place) = index.and_then(|index| partitions.get(index)) else {
            let text = format!(
                "Invalid partition id: {chosen} for topic {topic}; Valid values are in the inclusive range of [0, {}]",
                count - 1
            );
            return Err(Error::new(ErrorKind::UnknownTopicOrPartition, text));
        };
        let partition = TopicPartition::new(topic, place.partition);
        log::trace!("Assigning message of topic {topic} to a selected partition {chosen}");
        Ok((place.leader.unwrap_or(NO_LEADER), partition))
    }
}

/// Returns a random partition among those with a leader.
fn random_partition(topic: &str, partitions: &[PartitionAndLeader]) -> Result<i32> {
    let available = partitions
        .iter()
        .filter(|partition| partition.leader.is_some());
    let available: Vec<_> = available.collect();
    match fastrand::choice(available) {
        Some(partition) => Ok(partition.partition),
        None => {
            let text = format!("No leader for any partition in topic {topic}");
            Err(Error::new(ErrorKind::LeaderNotAvailable, text))
        }
    }
}
