//! The producer's topics, and when each was last used. Java: `ProducerMetadata.topics`.
//!
//! Threads: callers look topics up and update their times without a lock. A table with other topics
//! replaces this one.

use std::time::Duration;

use crate::sync::{Arc, AtomicU64, Ordering};
use crate::utils::CopyOnWriteMap;

/// Topic names with the time of their last use, in milliseconds since the metadata was created.
#[derive(Debug)]
pub(super) struct TopicsInUse {
    /// Successive tables share the times, so that a use of an old table counts in the next one.
    topics: CopyOnWriteMap<Arc<AtomicU64>>,
    idle_millis: u64,
}

impl TopicsInUse {
    pub(super) fn new(topic_idle: Duration) -> Self {
        Self {
            topics: CopyOnWriteMap::default(),
            idle_millis: u64::try_from(topic_idle.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Returns the table's own copy of a topic's name.
    pub(super) fn shared_name(&self, topic: &str) -> Option<&Arc<str>> {
        self.topics.get_key(topic)
    }

    /// Returns the topics in order, so that runs with the same seed send the same bytes.
    pub(super) fn sorted(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self
            .topics
            .iter()
            .map(|(name, _)| Arc::clone(name))
            .collect();
        names.sort_unstable();
        names
    }

    /// Notes a use at `now_millis`. Returns whether the table has the topic.
    pub(super) fn touch(&self, topic: &str, now_millis: u64) -> bool {
        let Some(last_used) = self.topics.get(topic) else {
            return false;
        };
        // Loading first keeps the cache line shared: it is written once a millisecond instead of
        // once a send. Relaxed is enough, because this publishes nothing else.
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

    /// Finds the topics that were unused for too long, except those without metadata.
    ///
    /// This looks at every topic. The result says until when the next call can be skipped.
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

    /// Returns the table without these topics.
    pub(super) fn without(&self, names: &[Arc<str>]) -> Self {
        let mut topics = self.topics.clone();
        for name in names {
            topics.remove(name);
        }
        Self { topics, ..*self }
    }
}

/// The result of [`TopicsInUse::idle`].
#[derive(Debug)]
pub(super) struct IdleTopics {
    pub(super) topics: Vec<Arc<str>>,
    /// No topic becomes idle before this time.
    pub(super) next_check_millis: u64,
}
