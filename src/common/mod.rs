//! The nouns of a Kafka cluster: [`Node`], [`TopicPartition`], [`Uuid`], [`Header`]s and the [`Cluster`] snapshot.

mod cluster;
mod header;
mod node;
mod partition_info;
mod replicas;
mod topic_partition;
mod uuid;

pub use cluster::{Cluster, TopicInfo};
pub use header::{Header, Headers};
pub use node::{Node, NodeId};
pub use partition_info::PartitionInfo;
pub use topic_partition::TopicPartition;
pub use uuid::Uuid;

pub(crate) use cluster::ClusterBuilder;
pub(crate) use partition_info::PartitionInfos;
pub(crate) use replicas::Replicas;
