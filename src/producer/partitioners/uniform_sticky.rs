//! Uses one partition until its batch is full, whatever the keys. Java: `UniformStickyPartitioner`
//! (2.4 to 3.x).

use std::error::Error as StdError;

use super::known_topic;
use super::sticky_partition_cache::StickyPartitionCache;
use crate::common::Cluster;
use crate::producer::Partitioner;

/// Sends the records of a topic, with or without keys, to one partition until its batch is full,
/// and then to another.
#[derive(Debug, Default)]
pub struct UniformStickyPartitioner {
    cache: StickyPartitionCache,
}

impl UniformStickyPartitioner {
    /// Creates a partitioner that starts with a random partition of each topic.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Partitioner for UniformStickyPartitioner {
    fn partition(
        &self,
        topic: &str,
        _: Option<&[u8]>,
        _: Option<&[u8]>,
        cluster: &Cluster,
    ) -> Result<i32, Box<dyn StdError + Send + Sync>> {
        Ok(self.cache.partition(known_topic(cluster, topic)?))
    }

    fn on_new_batch(&self, topic: &str, cluster: &Cluster, previous: i32) -> bool {
        known_topic(cluster, topic).is_ok_and(|info| self.cache.next_partition(info, previous))
    }
}
