//! The topics that the producer sends to, and when each was last used. Java: `ProducerMetadata.topics`.
//!
//! Threads: callers look topics up and touch them without a lock; a table with other topics replaces this one whole.

use std::time::Duration;

use crate::sync::{Arc, AtomicU64, Ordering};
use crate::utils::CopyOnWriteMap;

/// Topic names with the time of their last use, in milliseconds since the metadata was made.
#[derive(Debug)]
pub(super) struct TopicTable {
    /// The uses are shared by successive tables, so that a touch of an old table counts in the next one.
    topics: CopyOnWriteMap<Arc<AtomicU64>>,
    idle_millis: u64,
}

impl TopicTable {
    pub(super) fn new(topic_idle: Duration) -> Self {
        Self {
            topics: CopyOnWriteMap::default(),
            idle_millis: u64::try_from(topic_idle.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Returns the table's own copy of the name of a topic that is here.
    pub(super) fn shared_name(&self, topic: &str) -> Option<&Arc<str>> {
        self.topics.get_key(topic)
    }

    /// Returns the topics in order, so that a run with the same seed sends the same bytes.
    pub(super) fn sorted(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self
            .topics
            .iter()
            .map(|(name, _)| Arc::clone(name))
            .collect();
        names.sort_unstable();
        names
    }

    /// Notes a use at `now_millis`. Returns whether the topic is here.
    pub(super) fn touch(&self, topic: &str, now_millis: u64) -> bool {
        let Some(last_used) = self.topics.get(topic) else {
            return false;
        };
        // The load keeps the cache line shared: it is written once a millisecond, not once a send. Relaxed, because
        // nothing else is published by it.
        if last_used.load(Ordering::Relaxed) < now_millis {
            last_used.fetch_max(now_millis, Ordering::Relaxed);
        }
        true
    }

    pub(super) fn with_topic(&self, topic: Arc<str>, now_millis: u64) -> Self {
        let mut topics = self.topics.clone();
        topics.insert(topic, Arc::new(AtomicU64::new(now_millis)));
        Self { topics, ..*self }
    }

    /// Finds the topics that were not used for too long, unless nothing is known of them yet.
    ///
    /// It looks at every topic, so the result says before when there is no other.
    pub(super) fn idle(&self, now_millis: u64, is_new: impl Fn(&str) -> bool) -> IdleTopics {
        // A topic that is added later expires later than this.
        let mut next_check_millis = now_millis.saturating_add(self.idle_millis);
        let mut topics = Vec::new();
        for (topic, last_used) in self.topics.iter() {
            let last_used = last_used.load(Ordering::Relaxed);
            let expires = last_used.saturating_add(self.idle_millis);
            if expires <= now_millis && !is_new(topic) {
                topics.push(Arc::clone(topic));
            } else {
                next_check_millis = next_check_millis.min(expires);
            }
        }
        IdleTopics {
            topics,
            next_check_millis,
        }
    }

    /// The table without these topics.
    pub(super) fn without(&self, names: &[Arc<str>]) -> Self {
        let mut topics = self.topics.clone();
        for name in names {
            topics.remove(name);
        }
        Self { topics, ..*self }
    }
}

/// What [`TopicTable::idle`] found.
#[derive(Debug)]
pub(super) struct IdleTopics {
    pub(super) topics: Vec<Arc<str>>,
    /// No topic becomes idle before this time.
    pub(super) next_check_millis: u64,
}
