//! The highest leader epoch seen of each partition, so that a broker that lags behind cannot bring an old leader back.
//! Java: `Metadata.lastSeenLeaderEpochs`; KIP-320, KIP-516.

use hashbrown::HashMap;

use crate::sync::Arc;

/// Partitions that vanished are remembered up to this multiple of those that exist.
const KEPT_PER_PARTITION: usize = 2;
const KEPT_AT_LEAST: usize = 32;

#[derive(Debug, Default)]
pub(super) struct LeaderEpochs {
    topics: HashMap<Arc<str>, HashMap<i32, i32>>,
}

/// What to do with what a response says of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Take it; it is new.
    News,
    /// Take it; the epoch is the one that is known.
    Same,
    /// Keep what is known: it is newer.
    Stale,
}

impl LeaderEpochs {
    pub(super) fn epoch(&self, topic: &str, partition: i32) -> Option<i32> {
        self.topics.get(topic)?.get(&partition).copied()
    }

    /// Judges the epoch of a response and remembers it unless it is stale. `is_new_topic_id`: the response has an id for
    /// the topic that was not known, so the topic was created anew and its epochs start again. `is_cached`: the partition
    /// is known, so it can be kept as it is. If it is not, an old leader is better than none; Java leaves it out.
    pub(super) fn judge(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        epoch: Option<i32>,
        is_new_topic_id: bool,
        is_cached: bool,
    ) -> Verdict {
        let Some(epoch) = epoch else {
            self.forget(topic, partition);
            return Verdict::News;
        };
        match self.epoch(topic, partition) {
            Some(known) if !is_new_topic_id && is_cached && epoch < known => Verdict::Stale,
            Some(known) if !is_new_topic_id && epoch == known => Verdict::Same,
            _ => {
                self.set(topic, partition, epoch);
                Verdict::News
            }
        }
    }

    pub(super) fn set(&mut self, topic: &Arc<str>, partition: i32, epoch: i32) {
        self.topics
            .entry(Arc::clone(topic))
            .or_default()
            .insert(partition, epoch);
    }

    pub(super) fn forget(&mut self, topic: &str, partition: i32) {
        if let Some(epochs) = self.topics.get_mut(topic) {
            epochs.remove(&partition);
        }
    }

    pub(super) fn clear(&mut self) {
        self.topics.clear();
    }

    pub(super) fn forget_topic(&mut self, topic: &str) {
        self.topics.remove(topic);
    }

    /// Drops partitions that a topic no longer has once they outnumber the others: a broker that invents new numbers in
    /// each response must not make this grow.
    pub(super) fn limit(&mut self, topic: &str, present: usize, is_present: impl Fn(i32) -> bool) {
        if let Some(epochs) = self.topics.get_mut(topic) {
            if epochs.len() > (KEPT_PER_PARTITION * present).max(KEPT_AT_LEAST) {
                epochs.retain(|partition, _| is_present(*partition));
            }
        }
    }
}
