//! The topic ids of an offset commit (KIP-1319). Java: `TxnOffsetCommitHandler.topicIds`, `topicNames`.
//!
//! The ids are those in the metadata when the commit is enqueued. A response that identifies topics
//! by id is read with the same ids.
//!
//! Differs from Java: an id that the coordinator does not know is never sent again. Before the next
//! attempt the topic gets the id in newer metadata, or the commit identifies its topics by name.
//! Java repeats the stale id until `max.block.ms` ends the call.

use crate::common::{Cluster, TopicPartition, Uuid};
use crate::protocol::ErrorCode;
use crate::protocol::messages::TxnOffsetCommitResponse;
use crate::sync::Arc;

/// The ids of the topics of one offset commit.
#[derive(Clone, Debug, Default)]
pub(super) struct TopicIds(Vec<TopicId>);

#[derive(Clone, Debug)]
struct TopicId {
    name: Arc<str>,
    /// Zero if it is unknown.
    id: Uuid,
    /// The topic's ids that a coordinator did not know.
    refused: Vec<Uuid>,
}

impl TopicId {
    /// Uses the id in the metadata, unless a coordinator refused it.
    fn look_up(&mut self, cluster: &Cluster) {
        let id = cluster.topic(&self.name).map(|topic| topic.id());
        self.id = id
            .filter(|id| !self.refused.contains(id))
            .unwrap_or(Uuid::ZERO);
    }
}

impl TopicIds {
    /// Creates the ids of the topics of `partitions`, which are sorted.
    pub(super) fn new<'a>(
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
        cluster: &Cluster,
    ) -> Self {
        let mut ids: Vec<TopicId> = Vec::new();
        for partition in partitions {
            if ids
                .last()
                .is_none_or(|last| *last.name != *partition.topic())
            {
                let mut id = TopicId {
                    name: Arc::clone(partition.shared_topic()),
                    id: Uuid::ZERO,
                    refused: Vec::new(),
                };
                id.look_up(cluster);
                ids.push(id);
            }
        }
        Self(ids)
    }

    /// Returns the topic's id, or zero if it is unknown.
    pub(super) fn id(&self, topic: &str) -> Uuid {
        let known = self.0.iter().find(|known| *known.name == *topic);
        known.map_or(Uuid::ZERO, |known| known.id)
    }

    /// Returns the name of a topic that a response identifies by `id`, or `None` if the commit has no such topic.
    pub(super) fn name(&self, id: Uuid) -> Option<&Arc<str>> {
        if id.is_zero() {
            return None;
        }
        let known = self.0.iter().find(|known| known.id == id);
        known.map(|known| &known.name)
    }

    /// Forgets the ids that the coordinator does not know. Returns the names of their topics.
    pub(super) fn refuse_unknown(&mut self, response: &TxnOffsetCommitResponse) -> Vec<Arc<str>> {
        let mut refused = Vec::new();
        for topic in &response.topics {
            let mut results = topic.partitions.iter();
            let is_unknown = results.any(|result| result.error_code == ErrorCode::UNKNOWN_TOPIC_ID);
            let mut known = self.0.iter_mut();
            let known = known.find(|known| !known.id.is_zero() && known.id == topic.topic_id);
            if let Some(known) = known.filter(|_| is_unknown) {
                known.refused.push(known.id);
                known.id = Uuid::ZERO;
                refused.push(Arc::clone(&known.name));
            }
        }
        refused
    }

    /// Looks up the topics whose ids were refused.
    pub(super) fn renew(&mut self, cluster: &Cluster) {
        for topic in self.0.iter_mut().filter(|topic| !topic.refused.is_empty()) {
            topic.look_up(cluster);
        }
    }
}
