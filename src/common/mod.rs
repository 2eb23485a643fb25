//! The nouns of a Kafka cluster: [`Node`], [`TopicPartition`], [`Uuid`], [`Header`]s and the [`Cluster`] snapshot.

mod cluster;
mod header;
mod node;
mod topic_partition;
mod uuid;

pub use cluster::{Cluster, PartitionInfo, TopicInfo};
pub use header::{Header, Headers};
pub use node::{Node, NodeId};
pub use topic_partition::TopicPartition;
pub use uuid::Uuid;

pub(crate) use cluster::ClusterBuilder;
