//! The configuration of a topic.

/// The configuration of a test broker's topic: the number of partitions, and the topic configs that
/// affect producers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    pub(crate) partitions: i32,
    pub(crate) max_message_bytes: usize,
    pub(crate) min_insync_replicas: usize,
    pub(crate) log_append_time: bool,
    pub(crate) compacted: bool,
    pub(crate) timestamp_before_max_ms: i64,
    pub(crate) timestamp_after_max_ms: i64,
}

impl TopicConfig {
    /// Creates a configuration with Kafka's defaults: batches up to 1,048,588 bytes, one in-sync
    /// replica is enough, and records keep the producer's timestamps, which may be up to one hour
    /// ahead.
    pub fn new(partitions: i32) -> Self {
        Self {
            partitions,
            max_message_bytes: 1_048_588,
            min_insync_replicas: 1,
            log_append_time: false,
            compacted: false,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 60 * 60 * 1000,
        }
    }

    /// `max.message.bytes`: refuses larger batches with `MESSAGE_TOO_LARGE`.
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// `min.insync.replicas`: with fewer replicas on running nodes, refuses `acks=all` with
    /// `NOT_ENOUGH_REPLICAS`.
    pub fn min_insync_replicas(mut self, replicas: usize) -> Self {
        self.min_insync_replicas = replicas;
        self
    }

    /// `message.timestamp.type=LogAppendTime`: records get the broker's time.
    pub fn log_append_time(mut self) -> Self {
        self.log_append_time = true;
        self
    }

    /// `message.timestamp.before.max.ms`: how far a record's timestamp may lie before the broker's
    /// time, in milliseconds. Older records are refused with `INVALID_TIMESTAMP`, and the response
    /// names each of them (KIP-467, KIP-937). Default: `i64::MAX`, no limit. A topic with
    /// [`log_append_time`](Self::log_append_time) accepts every timestamp.
    pub fn message_timestamp_before_max_ms(mut self, before_max_ms: i64) -> Self {
        self.timestamp_before_max_ms = before_max_ms;
        self
    }

    /// `message.timestamp.after.max.ms`: how far a record's timestamp may lie after the broker's
    /// time, in milliseconds. Records from further in the future are refused with
    /// `INVALID_TIMESTAMP`, and the response names each of them (KIP-467, KIP-937). Default: one
    /// hour. A topic with [`log_append_time`](Self::log_append_time) accepts every timestamp.
    pub fn message_timestamp_after_max_ms(mut self, after_max_ms: i64) -> Self {
        self.timestamp_after_max_ms = after_max_ms;
        self
    }

    /// `cleanup.policy=compact`: refuses batches that contain a record without a key, and names the
    /// record (KIP-467).
    pub fn compacted(mut self) -> Self {
        self.compacted = true;
        self
    }

    /// Returns the problem with a record's timestamp, if any. Java (broker):
    /// `LogValidator.recordHasInvalidTimestamp`.
    pub(crate) fn timestamp_error(&self, timestamp: i64, now_ms: i64) -> Option<String> {
        // The arithmetic wraps as a broker's does: timestamps near `i64::MIN` count as future ones.
        let age_ms = now_ms.wrapping_sub(timestamp);
        let (key, limit_ms) = if age_ms > self.timestamp_before_max_ms {
            ("before", self.timestamp_before_max_ms)
        } else if age_ms.wrapping_neg() > self.timestamp_after_max_ms {
            ("after", self.timestamp_after_max_ms)
        } else {
            return None;
        };
        Some(format!(
            "timestamp {timestamp} at {now_ms} is out of range (message.timestamp.{key}.max.ms={limit_ms})"
        ))
    }
}
