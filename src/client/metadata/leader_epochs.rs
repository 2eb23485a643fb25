//! The highest known leader epoch of each partition, so that a broker that lags behind cannot bring
//! back an old leader. Java: `Metadata.lastSeenLeaderEpochs`; KIP-320, KIP-516.

use hashbrown::HashMap;

use crate::sync::Arc;

/// Vanished partitions are remembered up to this multiple of the existing ones.
const KEPT_PER_PARTITION: usize = 2;
const KEPT_AT_LEAST: usize = 32;

/// The entry of a partition without an epoch.
const NO_EPOCH: i32 = -1;

#[derive(Debug, Default)]
pub(super) struct LeaderEpochs {
    topics: HashMap<Arc<str>, TopicEpochs>,
}

/// The epochs of the partitions of one topic.
#[derive(Debug, Default)]
pub(super) struct TopicEpochs {
    /// The epochs by partition number, or [`NO_EPOCH`]. As long as the longest response about the
    /// topic.
    by_number: Vec<i32>,
    /// The epochs of partitions with larger numbers, which few topics have.
    others: HashMap<i32, i32>,
}

/// What to do with a partition in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Accept it: it is new.
    News,
    /// Accept it: the epoch is the known one.
    Same,
    /// Keep the known data, which is newer.
    Stale,
}

impl LeaderEpochs {
    pub(super) fn epoch(&self, topic: &str, partition: i32) -> Option<i32> {
        self.topics.get(topic)?.epoch(partition)
    }

    pub(super) fn topic(&mut self, topic: &Arc<str>) -> &mut TopicEpochs {
        self.topics.entry(Arc::clone(topic)).or_default()
    }

    pub(super) fn forget(&mut self, topic: &str, partition: i32) {
        if let Some(epochs) = self.topics.get_mut(topic) {
            epochs.forget(partition);
        }
    }

    pub(super) fn clear(&mut self) {
        self.topics.clear();
    }

    pub(super) fn forget_topic(&mut self, topic: &str) {
        self.topics.remove(topic);
    }
}

impl TopicEpochs {
    fn epoch(&self, partition: i32) -> Option<i32> {
        let index = usize::try_from(partition).ok()?;
        match self.by_number.get(index) {
            Some(epoch) => Some(*epoch).filter(|epoch| *epoch != NO_EPOCH),
            None => self.others.get(&partition).copied(),
        }
    }

    /// Prepares for a response that lists this many partitions.
    pub(super) fn reserve(&mut self, listed: usize) {
        if listed <= self.by_number.len() {
            return;
        }
        self.by_number.reserve_exact(listed - self.by_number.len());
        self.by_number.resize(listed, NO_EPOCH);
        let end = i32::try_from(listed).unwrap_or(i32::MAX);
        let listed = self.others.extract_if(|partition, _| *partition < end);
        for (partition, epoch) in listed.collect::<Vec<_>>() {
            self.set(partition, epoch);
        }
    }

    /// Judges the epoch in a response, and remembers it unless it is stale. `is_new_topic_id`: the
    /// topic's id in the response was unknown, so the topic was created again and its epochs start
    /// again. `is_cached`: the partition is known, so its data can be kept. If it is not known, an
    /// old leader is better than none; Java omits it.
    pub(super) fn judge(
        &mut self,
        partition: i32,
        epoch: Option<i32>,
        is_new_topic_id: bool,
        is_cached: bool,
    ) -> Freshness {
        let Some(epoch) = epoch else {
            self.forget(partition);
            return Freshness::News;
        };
        match self.epoch(partition) {
            Some(known) if !is_new_topic_id && is_cached && epoch < known => Freshness::Stale,
            Some(known) if !is_new_topic_id && epoch == known => Freshness::Same,
            _ => {
                self.set(partition, epoch);
                Freshness::News
            }
        }
    }

    /// Sets an epoch. Neither number is negative.
    pub(super) fn set(&mut self, partition: i32, epoch: i32) {
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        match self.by_number.get_mut(index) {
            Some(known) => *known = epoch,
            None => {
                self.others.insert(partition, epoch);
            }
        }
    }

    fn forget(&mut self, partition: i32) {
        if self.epoch(partition).is_some() {
            self.set(partition, NO_EPOCH);
            self.others.remove(&partition);
        }
    }

    /// Drops the epochs of partitions that the topic no longer has, once they outnumber the others.
    /// Otherwise a broker that sends new numbers in each response could make this grow.
    pub(super) fn limit(&mut self, present: usize, is_present: impl Fn(i32) -> bool) {
        let known = self.by_number.iter().filter(|epoch| **epoch != NO_EPOCH);
        if known.count() + self.others.len() <= (KEPT_PER_PARTITION * present).max(KEPT_AT_LEAST) {
            return;
        }
        for (partition, epoch) in (0..).zip(&mut self.by_number) {
            if !is_present(partition) {
                *epoch = NO_EPOCH;
            }
        }
        self.others.retain(|partition, _| is_present(*partition));
        let last = self.by_number.iter().rposition(|epoch| *epoch != NO_EPOCH);
        self.by_number.truncate(last.map_or(0, |last| last + 1));
        self.by_number.shrink_to_fit();
    }
}
