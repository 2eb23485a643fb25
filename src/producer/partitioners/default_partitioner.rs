//! Partitions by the hash of the key; without a key, uses one partition until its batch is full.
//! Java: `DefaultPartitioner` (2.4 to 3.2).

use std::error::Error as StdError;

use super::known_topic;
use super::sticky_partition_cache::StickyPartitionCache;
use crate::common::Cluster;
use crate::producer::Partitioner;
use crate::utils::{murmur2, to_positive};

/// Sends records with the same key to the same partition, and records without a key to one
/// partition until its batch is full.
#[derive(Debug, Default)]
pub struct DefaultPartitioner {
    cache: StickyPartitionCache,
}

impl DefaultPartitioner {
    /// Creates a partitioner. For records without a key, it starts with a random partition of each
    /// topic.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Partitioner for DefaultPartitioner {
    fn partition(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        _: Option<&[u8]>,
        cluster: &Cluster,
    ) -> Result<i32, Box<dyn StdError + Send + Sync>> {
        let info = known_topic(cluster, topic)?;
        match key {
            None => Ok(self.cache.partition(info)),
            // Includes partitions without a leader. Otherwise a key would move when a broker fails.
            Some(key) => {
                let count = i32::try_from(info.partition_count())?;
                Ok(to_positive(murmur2(key)) % count)
            }
        }
    }

    fn on_new_batch(&self, topic: &str, cluster: &Cluster, previous: i32) -> bool {
        known_topic(cluster, topic).is_ok_and(|info| self.cache.next_partition(info, previous))
    }
}
