//! The partitioners of the library besides the built-in choice. The two sticky ones are those of
//! Kafka 2.4 to 3.2. New programs should use the built-in choice, which is the default.

mod default_partitioner;
mod round_robin;
mod sticky_partition_cache;
#[cfg(test)]
mod tests;
mod uniform_sticky;

pub use default_partitioner::DefaultPartitioner;
pub use round_robin::RoundRobinPartitioner;
pub use uniform_sticky::UniformStickyPartitioner;

use super::partitioner::Partitioner;
use super::producer_config::PartitionerClass;
use crate::common::{Cluster, TopicInfo};

impl PartitionerClass {
    /// Returns the partitioner of this name.
    pub(crate) fn instance(self) -> Box<dyn Partitioner> {
        match self {
            Self::RoundRobin => Box::new(RoundRobinPartitioner::new()),
            Self::UniformSticky => Box::new(UniformStickyPartitioner::new()),
            Self::Default => Box::new(DefaultPartitioner::new()),
        }
    }
}

/// Returns a topic that has a partition.
fn known_topic<'c>(cluster: &'c Cluster, topic: &str) -> Result<&'c TopicInfo, String> {
    cluster
        .topic(topic)
        .filter(|info| info.partition_count() > 0)
        .ok_or_else(|| format!("no partition of topic {topic} is known"))
}
