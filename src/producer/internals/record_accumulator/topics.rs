//! The queues of each topic, by its name and by its views in the metadata. Java: `TopicInfo`.
//!
//! A view of a topic holds the queues that belong to it, so that a send finds them without a lock.
//! All views of a topic share its queues, and also its sticky choices as long as the partitions are
//! the same. A view with other partitions has its own choices. No choice thus outlives its
//! partition, even if a caller still has an old view.
//!
//! Threads: the first caller that uses a view; the I/O thread.
//! Locks: the topic table's, for look-ups and while idle topics are dropped. A partition's lock is
//! taken under it.

use hashbrown::HashMap;

use super::RecordAccumulator;
use super::partition_queue::PartitionQueue;
use crate::common::{Cluster, TopicInfo, TopicPartition};
use crate::producer::internals::built_in_partitioner::BuiltInPartitioner;
use crate::sync::{Arc, AtomicUsize};

/// The partitions of one view of a topic.
#[derive(Debug)]
pub(super) struct TopicQueues {
    /// The topic's number while the accumulator has it.
    topic_number: usize,
    /// By partition number. Includes the partitions of earlier views, because batches may wait
    /// there.
    pub(super) partitions: Vec<Arc<PartitionQueue>>,
    /// The number of partitions in the view, or `None` if numbers are missing.
    partition_count: Option<usize>,
    /// The view's partition, if it has only one. Found here without the list, which is one cache line
    /// less per topic: the benchmark `1000-topics` has 1.05 times the rate.
    pub(super) only_partition: Option<Arc<PartitionQueue>>,
    /// Chooses among the view's partitions.
    pub(super) partitioner: Arc<BuiltInPartitioner>,
    /// The limit for new batches: half of the size that a broker rejected as too large.
    pub(super) batch_ceiling: Arc<AtomicUsize>,
}

/// The queues of each topic, by its latest view.
#[derive(Debug, Default)]
pub(super) struct TopicTable {
    topics: HashMap<Arc<str>, Arc<TopicQueues>>,
    /// The number of the next topic.
    next_number: usize,
}

impl TopicTable {
    /// Returns every partition that was appended to and not dropped since.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &Arc<PartitionQueue>> {
        let topics = self.topics.values();
        topics.flat_map(|queues| queues.partitions.iter())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<TopicQueues>)> {
        self.topics.iter()
    }
}

/// Returns the number of partitions if none are missing.
fn count_without_gaps(topic: &TopicInfo) -> Option<usize> {
    Some(topic.partition_count()).filter(|count| *count == end(topic))
}

/// Returns the view's largest partition number plus one.
fn end(topic: &TopicInfo) -> usize {
    let last = topic.partitions().last();
    last.map_or(0, |last| {
        usize::try_from(last.partition()).map_or(0, |last| last + 1)
    })
}

impl RecordAccumulator {
    /// Returns the queues for a view of a topic, and creates the missing ones. Called when a view
    /// is first used.
    ///
    /// Sticky choices leave the partitions without a leader in this view. Records that join an open
    /// batch there would wait for the leader, and expire with the batch.
    #[cold]
    pub(super) fn topic_queues(&self, topic: &TopicInfo, cluster: &Cluster) -> Arc<TopicQueues> {
        let mut table = self.topics.lock();
        let known = table.topics.get(topic.name());
        let count = count_without_gaps(topic);
        let has_same_partitions =
            |known: &&Arc<TopicQueues>| count.is_some() && known.partition_count == count;
        if let Some(known) = known.filter(has_same_partitions) {
            let known = Arc::clone(known);
            drop(table);
            known.partitioner.leave_leaderless(topic, cluster);
            return known;
        }
        let new = match known {
            Some(known) => self.queues_for_view(topic, Some(known), known.topic_number),
            None => self.queues_for_view(topic, None, table.next_number),
        };
        if known.is_none() {
            table.next_number += 1;
        }
        let new = Arc::new(new);
        // A copy of the name. Each callback changes the reference count of the view's own name,
        // which is next to its text. Senders that compare that text with theirs would wait for the
        // cache line.
        let name = Arc::from(topic.name());
        table.topics.insert(name, Arc::clone(&new));
        new
    }

    fn queues_for_view(
        &self,
        topic: &TopicInfo,
        known: Option<&Arc<TopicQueues>>,
        topic_number: usize,
    ) -> TopicQueues {
        let mut partitions = known.map_or_else(Vec::new, |known| known.partitions.clone());
        if partitions.len() < end(topic) {
            let name: Arc<str> = match partitions.first() {
                Some(first) => Arc::clone(first.topic_partition().shared_topic()),
                None => Arc::from(topic.name()),
            };
            let new = |index| {
                let number = i32::try_from(index).unwrap_or(i32::MAX);
                let topic_partition = TopicPartition::new(Arc::clone(&name), number);
                PartitionQueue::new(topic_partition, topic_number, Arc::clone(&self.signal))
            };
            let missing = partitions.len()..end(topic);
            partitions.reserve_exact(missing.len());
            partitions.extend(missing.map(new));
        }
        let only_partition = match topic.partitions() {
            [only] => usize::try_from(only.partition()).ok(),
            _ => None,
        };
        let only_partition = only_partition.and_then(|number| partitions.get(number).cloned());
        let partitioner = known.map_or_else(
            || BuiltInPartitioner::new(self.config.batch_size, self.config.rack.clone()),
            |known| known.partitioner.for_other_partitions(),
        );
        let batch_ceiling = known.map_or_else(
            || Arc::new(AtomicUsize::new(usize::MAX)),
            |known| Arc::clone(&known.batch_ceiling),
        );
        TopicQueues {
            topic_number,
            partitions,
            partition_count: count_without_gaps(topic),
            only_partition,
            partitioner: Arc::new(partitioner),
            batch_ceiling,
        }
    }

    pub(super) fn queues_of(&self, topic: &str) -> Option<Arc<TopicQueues>> {
        self.topics.lock().topics.get(topic).cloned()
    }

    pub(super) fn queue(&self, topic_partition: &TopicPartition) -> Option<Arc<PartitionQueue>> {
        let queues = self.queues_of(topic_partition.topic())?;
        let index = usize::try_from(topic_partition.partition()).ok()?;
        queues.partitions.get(index).cloned()
    }

    /// Returns every partition that was appended to and not dropped since. For rare events.
    pub(super) fn all_queues(&self) -> Vec<Arc<PartitionQueue>> {
        self.topics.lock().partitions().cloned().collect()
    }

    /// Drops the queues of topics that the metadata no longer contain, if no batch waits there or
    /// is in flight. Called on the I/O thread with each change of the metadata.
    ///
    /// A caller may still have a view of the topic and be about to open a batch. It finds the
    /// partition retired under the partition's lock, and then looks the topic up again. Returns the
    /// retired partitions.
    pub(super) fn forget_topics(&self, cluster: &Cluster) -> Vec<Arc<PartitionQueue>> {
        let mut retired = Vec::new();
        // The metadata contain nothing until a broker responds.
        if cluster.is_bootstrap() {
            return retired;
        }
        let mut table = self.topics.lock();
        table.topics.retain(|name, queues| {
            let is_kept = cluster.topic(name).is_some() || !queues.retire();
            if !is_kept {
                retired.extend(queues.partitions.iter().cloned());
            }
            is_kept
        });
        if table.topics.capacity() / 4 > table.topics.len() {
            table.topics.shrink_to_fit();
        }
        retired
    }
}

impl TopicQueues {
    /// Retires every partition, or none if one has a batch. Returns whether they are retired.
    fn retire(&self) -> bool {
        let retired = |partition: &&Arc<PartitionQueue>| partition.retire();
        let count = self.partitions.iter().take_while(retired).count();
        let all = count == self.partitions.len();
        if !all {
            // A caller that has seen one of them retired waits for the table's lock, and then finds
            // it in use again.
            for partition in self.partitions.iter().take(count) {
                partition.state.lock().is_retired = false;
            }
        }
        all
    }
}
