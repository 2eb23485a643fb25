//! The reasons why batches fail, for their records' errors and for the log.
//!
//! Differs from Java: the error of an expired record says how its last attempt failed, and the log
//! has a warning for each partition. Java only says that the time has passed.

use std::time::Instant;

use super::Sender;
use super::decision::FailedAttempt;
use crate::client::KafkaClient;
use crate::common::TopicPartition;
use crate::error::{Error, TimeoutReason};
use crate::producer::internals::ProducerBatch;
use crate::protocol::ErrorCode;
use crate::utils::{Count, log};

/// The subject of a partition's warning. Each is logged once a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Trouble {
    Retried,
    Failed,
    /// A response does not contain the partition.
    LeftOut,
    Split,
}

/// The number of partitions that are logged per minute. An outage of a large cluster must not flood
/// the log.
pub(super) const MAX_LOGGED_PARTITIONS: usize = 200;

impl<C: KafkaClient> Sender<C> {
    /// Returns the error of a batch whose `delivery.timeout.ms` has passed. `last` is the error of
    /// its last attempt, if that has just ended.
    pub(super) fn expiry_error(
        &self,
        batch: &ProducerBatch,
        last: Option<Error>,
        now: Instant,
    ) -> Error {
        let waited = now.saturating_duration_since(batch.created());
        let text = format!(
            "expired {} for {}: {} ms (delivery.timeout.ms) have passed since their batch was created, without an acknowledgement",
            Count(batch.record_count(), "record"),
            batch.topic_partition(),
            waited.as_millis()
        );
        let reason = TimeoutReason {
            waiting_for: "the delivery of a record",
            waited,
            config: Some("delivery.timeout.ms"),
        };
        let error = Error::timed_out(text, reason);
        match last.or_else(|| self.obstacle(batch)) {
            Some(cause) => error.caused_by_answer(cause),
            None => error,
        }
    }

    /// Returns what prevents the acknowledgement of a batch that is not in flight: its leader is
    /// unreachable, the last attempt failed, or there is no leader.
    fn obstacle(&self, batch: &ProducerBatch) -> Option<Error> {
        let topic_partition = batch.topic_partition();
        let snapshot = self.metadata.snapshot();
        let leader = snapshot.leader_for(topic_partition.topic(), topic_partition.partition());
        // A response from the leader would have cleared its failure, so the failure is newer.
        let unreachable = match leader {
            Some(leader) => self.metadata.connection_failure_of(leader),
            None => self.metadata.unusable_nodes(),
        };
        unreachable
            .or_else(|| batch.last_failure().cloned())
            .or_else(|| match leader {
                Some(_) => None,
                None => Some(self.no_leader(topic_partition)),
            })
    }

    fn no_leader(&self, topic_partition: &TopicPartition) -> Error {
        let reason = self
            .metadata
            .topic_error(topic_partition.topic())
            .or_else(|| self.metadata.connection_failure());
        reason.unwrap_or_else(|| {
            let text = format!("the cluster's metadata has no leader for {topic_partition}");
            Error::from_code(ErrorCode::LEADER_NOT_AVAILABLE, text)
        })
    }

    /// Logs that a batch is retried. Problems with connections are logged for each node instead.
    pub(super) fn log_retry(&self, batch: &ProducerBatch, failed: &FailedAttempt, now: Instant) {
        let topic_partition = batch.topic_partition();
        let attempt = batch.attempts().saturating_add(1);
        let error = failed.error();
        let is_news = match failed {
            FailedAttempt::Refused { code, .. } => *code != ErrorCode::CONCURRENT_TRANSACTIONS,
            FailedAttempt::Lost { .. } => false,
        };
        let level = match is_news {
            true => self.level_of(topic_partition, Trouble::Retried, now),
            false => log::Level::Debug,
        };
        log::log!(
            level,
            "{topic_partition}: {error}; attempt {attempt} of the batch will be retried"
        );
    }

    /// Logs that records were not delivered, and why.
    pub(super) fn log_failure(&self, batch: &ProducerBatch, error: &Error, now: Instant) {
        let topic_partition = batch.topic_partition();
        let level = self.level_of(topic_partition, Trouble::Failed, now);
        let records = Count(batch.record_count(), "record");
        match std::error::Error::source(error) {
            Some(cause) => {
                log::log!(
                    level,
                    "{records} for {topic_partition} failed: {error}: {cause}"
                );
            }
            None => log::log!(level, "{records} for {topic_partition} failed: {error}"),
        }
    }

    /// Logs a warning about a partition, once a minute.
    pub(super) fn warn_of_partition(
        &self,
        topic_partition: &TopicPartition,
        trouble: Trouble,
        text: &str,
        now: Instant,
    ) {
        let level = self.level_of(topic_partition, trouble, now);
        log::log!(level, "{topic_partition}: {text}");
    }

    /// Logs a warning that the next response may repeat, once a minute.
    pub(super) fn warn_once(&self, text: String, now: Instant) {
        self.warnings.borrow_mut().warn(text, now);
    }

    /// Returns the level of a line about a partition's problem: a warning once a minute, otherwise
    /// debug.
    fn level_of(
        &self,
        topic_partition: &TopicPartition,
        trouble: Trouble,
        now: Instant,
    ) -> log::Level {
        let key = (topic_partition.clone(), trouble);
        match self.log_limiter.borrow_mut().admit(&key, now) {
            Some(_) => log::Level::Warn,
            None => log::Level::Debug,
        }
    }
}

/// Returns the error of a record that was not sent because the producer failed before: what the
/// broker answered is the source, and no response to this record.
pub(super) fn failed_before(cause: &Error) -> Error {
    let text = "the producer failed before this record was delivered, and sends nothing more";
    Error::new(cause.kind(), text)
        .caused_by(cause.clone())
        .into_fatal()
}
