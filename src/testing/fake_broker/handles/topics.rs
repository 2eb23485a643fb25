//! Topics, partitions and their leaders.

use super::illegal;
use crate::common::{NodeId, Uuid};
use crate::error::Result;
use crate::protocol::ErrorCode;
use crate::testing::fake_broker::FakeBroker;
use crate::testing::fake_broker::model::cluster::Cluster;
use crate::testing::fake_broker::model::topic::Partition;
use crate::testing::fake_broker::model::topic_config::TopicConfig;

/// Topics, partitions and their leaders.
impl FakeBroker {
    /// Creates a topic.
    ///
    /// # Errors
    ///
    /// A topic with this name exists, or one whose name differs only in `.` and `_`. Or the name or
    /// the number of partitions is invalid.
    pub fn create_topic(&self, topic: &str, config: TopicConfig) -> Result<()> {
        self.change(topic, |cluster| {
            cluster.create_topic(topic, config).map(drop)
        })
    }

    /// Deletes a topic with all its records.
    ///
    /// # Errors
    ///
    /// There is no such topic.
    pub fn delete_topic(&self, topic: &str) -> Result<()> {
        self.change(topic, |cluster| {
            let removed = cluster.topics.remove(topic);
            removed
                .map(drop)
                .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        })
    }

    /// Deletes and recreates a topic in one step. It is then empty, with a new id and leader epochs
    /// from 0.
    ///
    /// # Errors
    ///
    /// There is no such topic.
    pub fn recreate_topic(&self, topic: &str) -> Result<()> {
        self.change(topic, |cluster| {
            let removed = cluster.topics.remove(topic);
            let removed = removed.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            cluster.create_topic(topic, removed.config).map(drop)
        })
    }

    /// Increases a topic's number of partitions to `count`.
    ///
    /// # Errors
    ///
    /// There is no such topic, or it already has this many partitions.
    pub fn add_partitions(&self, topic: &str, count: i32) -> Result<()> {
        self.change(topic, |cluster| cluster.add_partitions(topic, count))
    }

    /// Returns the id of a topic.
    pub fn topic_id(&self, topic: &str) -> Option<Uuid> {
        self.core
            .cluster
            .lock()
            .topics
            .get(topic)
            .map(|topic| topic.id)
    }

    /// Forgets the idempotent producers of a partition, as a broker forgets producers whose records
    /// are all deleted.
    ///
    /// # Errors
    ///
    /// There is no such partition.
    pub fn forget_producers(&self, topic: &str, partition: i32) -> Result<()> {
        self.change_partition(topic, partition, |partition| {
            partition.log.forget_producers()
        })
    }

    /// Replaces the cluster behind the addresses by another one with this id, and ends all
    /// connections. Its topics have the same names, new ids and no records. It knows no producer,
    /// and assigns the same producer ids again.
    ///
    /// # Errors
    ///
    /// The connections of a node cannot be ended.
    pub fn replace_cluster(&self, cluster_id: &str) -> Result<()> {
        self.core.cluster.lock().replace(cluster_id);
        for node in self.nodes() {
            self.disconnect(node)?;
        }
        Ok(())
    }

    /// Deletes the records before `offset`, and forgets producers without any others.
    ///
    /// # Errors
    ///
    /// There is no such partition.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        self.change_partition(topic, partition, |partition| {
            partition.log.delete_records_before(offset);
        })
    }

    // Leaders.

    /// Returns the node that leads a partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<NodeId> {
        self.core.cluster.lock().partition(topic, partition)?.leader
    }

    /// Returns the leader epoch of a partition, which increases whenever the leader changes.
    pub fn leader_epoch(&self, topic: &str, partition: i32) -> Option<i32> {
        let cluster = self.core.cluster.lock();
        Some(cluster.partition(topic, partition)?.leader_epoch)
    }

    /// Makes a node the leader of a partition.
    ///
    /// # Errors
    ///
    /// There is no such partition, or no such running node.
    pub fn move_leader(&self, topic: &str, partition: i32, node: impl Into<NodeId>) -> Result<()> {
        let node = node.into();
        self.change(topic, |cluster| {
            if !cluster.is_up(node) {
                return Err(ErrorCode::BROKER_NOT_AVAILABLE);
            }
            let partition = cluster.partition_mut(topic, partition);
            let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            if !partition.replicas.contains(&node) {
                partition.replicas.push(node);
            }
            partition.lead_by(Some(node));
            cluster.write_markers();
            Ok(())
        })
    }

    /// Leaves a partition without a leader, until [`move_leader`](Self::move_leader) is called.
    ///
    /// # Errors
    ///
    /// There is no such partition.
    pub fn remove_leader(&self, topic: &str, partition: i32) -> Result<()> {
        self.change_partition(topic, partition, |partition| partition.lead_by(None))
    }

    fn change(
        &self,
        topic: &str,
        change: impl FnOnce(&mut Cluster) -> Result<(), ErrorCode>,
    ) -> Result<()> {
        let changed = change(&mut self.core.cluster.lock());
        self.core.activity.announce();
        changed.map_err(|code| illegal(format!("topic '{topic}': {code}")))
    }

    fn change_partition(
        &self,
        topic: &str,
        partition: i32,
        change: impl FnOnce(&mut Partition),
    ) -> Result<()> {
        self.change(topic, |cluster| {
            let partition = cluster.partition_mut(topic, partition);
            change(partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?);
            Ok(())
        })
    }
}
