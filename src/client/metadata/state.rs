//! The data under the metadata lock. Java: the fields of `Metadata` and `ProducerMetadata`.

use std::time::Instant;

use hashbrown::HashMap;

use super::connection_failures::ConnectionFailures;
use super::errors::TopicErrors;
use super::leader_epochs::LeaderEpochs;
use super::refresh_schedule::RefreshSchedule;
use super::topics_in_use::TopicsInUse;
use super::{MetadataConfig, MetadataRequestVersion};
use crate::common::{Node, Uuid};
use crate::error::Error;
use crate::protocol::messages::{MetadataRequest, MetadataRequestTopic};
use crate::sync::Arc;
use crate::utils::LogLimiter;

#[derive(Debug)]
pub(super) struct MetadataState {
    pub(super) refresh: RefreshSchedule,
    /// Counts updates. Waiting callers wait for it.
    pub(super) update_version: u64,
    /// Counts changes of what to request, so that a response does not count for a later request.
    request_version: u64,
    /// Topics that no response has included yet, with the version of the first request that
    /// includes each.
    new_topics: HashMap<Arc<str>, u64>,
    pub(super) epochs: LeaderEpochs,
    pub(super) errors: TopicErrors,
    pub(super) fatal_error: Option<Error>,
    /// Set if the bootstrap servers were never resolved. Unlike the fatal error, every caller
    /// receives it, now and later.
    pub(super) bootstrap_error: Option<Error>,
    pub(super) connection_failures: ConnectionFailures,
    /// Describes the brokers in the last response to which no connection is possible.
    pub(super) unusable_nodes: Option<String>,
    /// The warnings that every update may repeat.
    pub(super) warnings: LogLimiter<String>,
    pub(super) closed: bool,
    /// The id of the cluster that was logged last. A rebootstrap may return to the same one.
    pub(super) cluster_id: Option<String>,
    pub(super) bootstrap_nodes: Vec<Node>,
    /// No topic becomes idle before this time.
    pub(super) next_idle_check_millis: u64,
}

impl MetadataState {
    pub(super) fn new(config: &MetadataConfig) -> Self {
        Self {
            refresh: RefreshSchedule::new(config),
            update_version: 0,
            request_version: 0,
            new_topics: HashMap::new(),
            epochs: LeaderEpochs::default(),
            errors: TopicErrors::default(),
            fatal_error: None,
            bootstrap_error: None,
            connection_failures: ConnectionFailures::default(),
            unusable_nodes: None,
            warnings: LogLimiter::new(16),
            closed: false,
            cluster_id: None,
            bootstrap_nodes: Vec::new(),
            next_idle_check_millis: 0,
        }
    }

    pub(super) fn is_new_topic(&self, topic: &str) -> bool {
        self.new_topics.contains_key(topic)
    }

    pub(super) fn add_new_topic(&mut self, topic: Arc<str>) {
        self.request_version += 1;
        self.refresh.request_partial_for_added_topic();
        self.new_topics.insert(topic, self.request_version);
    }

    pub(super) fn new_request(
        &mut self,
        topics: &TopicsInUse,
        now: Instant,
    ) -> (MetadataRequest, MetadataRequestVersion) {
        let is_partial = self.refresh.begin(now);
        let names = if is_partial {
            let mut names: Vec<_> = self.new_topics.keys().cloned().collect();
            names.sort_unstable();
            names
        } else {
            topics.sorted()
        };
        let topics = names.into_iter().map(|name| MetadataRequestTopic {
            topic_id: Uuid::ZERO,
            name: Some(name),
        });
        let request = MetadataRequest {
            topics: Some(topics.collect()),
            // The broker decides whether to create an unknown topic (auto.create.topics.enable).
            allow_auto_topic_creation: true,
            ..MetadataRequest::default()
        };
        let version = MetadataRequestVersion {
            request_version: self.request_version,
            is_partial,
        };
        (request, version)
    }

    /// Notes a response to a request of this version.
    pub(super) fn succeeded(&mut self, request_version: u64, is_partial: bool, now: Instant) {
        let has_newer_topics = request_version < self.request_version;
        self.refresh.succeeded(is_partial, has_newer_topics, now);
        self.update_version += 1;
        // The cluster is reachable after all. An earlier error must not fail a later wait.
        self.fatal_error = None;
    }

    /// Forgets the new topics that a request of this version included.
    ///
    /// Unlike in Java, a requested topic that the response omits is no longer new either.
    /// Requesting it again is then subject to the backoff, and a broker that always omits it is not
    /// asked in a fast loop.
    pub(super) fn new_topics_answered(&mut self, request_version: u64) {
        self.new_topics
            .retain(|_, asked_by| *asked_by > request_version);
    }
}
