//! One partition after the other. Java: `RoundRobinPartitioner`.

use std::error::Error as StdError;

use hashbrown::HashMap;

use super::known_topic;
use crate::common::{Cluster, TopicInfo};
use crate::producer::Partitioner;
use crate::sync::{AtomicUsize, Ordering, RwLock};

/// Sends each record of a topic to the next partition with a leader, whatever its key. If none has
/// a leader, uses all partitions.
///
/// Spreads records more evenly than the built-in choice and makes smaller batches.
#[derive(Debug, Default)]
pub struct RoundRobinPartitioner {
    /// The number of records of each topic. Locked for writing once per topic.
    counters: RwLock<HashMap<String, AtomicUsize>>,
}

impl RoundRobinPartitioner {
    /// Creates a partitioner that starts with each topic's first partition.
    pub fn new() -> Self {
        Self::default()
    }

    fn next_value(&self, topic: &str) -> usize {
        if let Some(counter) = self.counters.read().get(topic) {
            return counter.fetch_add(1, Ordering::Relaxed);
        }
        let mut counters = self.counters.write();
        let counter = counters.entry_ref(topic).or_default();
        counter.fetch_add(1, Ordering::Relaxed)
    }
}

impl Partitioner for RoundRobinPartitioner {
    fn partition(
        &self,
        topic: &str,
        _: Option<&[u8]>,
        _: Option<&[u8]>,
        cluster: &Cluster,
    ) -> Result<i32, Box<dyn StdError + Send + Sync>> {
        let info = known_topic(cluster, topic)?;
        let partition = nth_partition(info, self.next_value(topic));
        partition.ok_or_else(|| format!("topic {topic} has no partitions").into())
    }
}

/// Returns the `n`-th partition, counting repeatedly through those with a leader, or through all if
/// none has one.
fn nth_partition(topic: &TopicInfo, n: usize) -> Option<i32> {
    let available = topic.available_partitions();
    match n.checked_rem(available.len()) {
        Some(index) => available.get(index).copied(),
        None => {
            let index = n.checked_rem(topic.partition_count())?;
            topic.partitions().get(index).map(|info| info.partition())
        }
    }
}
