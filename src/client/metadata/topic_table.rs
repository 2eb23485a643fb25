//! The topics that the producer sends to, and when each was last used. Java: `ProducerMetadata.topics`.
//!
//! Threads: callers look topics up and touch them without a lock; a table with other topics replaces this one whole.

use std::time::Duration;

use hashbrown::HashMap;

use crate::sync::{Arc, AtomicU64, Ordering};

/// Topic names with the time of their last use, in milliseconds since the metadata was made.
#[derive(Debug)]
pub(super) struct TopicTable {
    /// The uses are shared by successive tables, so that a touch of an old table counts in the next one.
    topics: HashMap<Arc<str>, Arc<AtomicU64>>,
    idle_millis: u64,
}

impl TopicTable {
    pub(super) fn new(topic_idle: Duration) -> Self {
        Self {
            topics: HashMap::new(),
            idle_millis: u64::try_from(topic_idle.as_millis()).unwrap_or(u64::MAX),
        }
    }

    pub(super) fn contains(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// The topics in order, so that a run with the same seed sends the same bytes.
    pub(super) fn sorted(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.topics.keys().cloned().collect();
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

    /// The table without the topics that were not used for too long, unless nothing is known of them yet, and those
    /// topics. `None` if there are none.
    pub(super) fn without_idle(
        &self,
        now_millis: u64,
        is_new: impl Fn(&str) -> bool,
    ) -> (Option<Self>, Vec<Arc<str>>) {
        let is_idle = |topic: &str, last_used: &AtomicU64| {
            let expires = last_used
                .load(Ordering::Relaxed)
                .saturating_add(self.idle_millis);
            expires <= now_millis && !is_new(topic)
        };
        let idle: Vec<_> = self
            .topics
            .iter()
            .filter(|(topic, last_used)| is_idle(topic, last_used))
            .map(|(topic, _)| Arc::clone(topic))
            .collect();
        if idle.is_empty() {
            return (None, idle);
        }
        let mut topics = self.topics.clone();
        for topic in &idle {
            topics.remove(topic);
        }
        (Some(Self { topics, ..*self }), idle)
    }
}
