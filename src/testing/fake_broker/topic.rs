//! A topic: its configuration, its id, and who leads its partitions.

use super::log::PartitionLog;
use crate::common::{NodeId, Uuid};

/// How a topic of a test broker is set up: the number of partitions, and the topic configs that producers notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    pub(super) partitions: i32,
    pub(super) max_message_bytes: usize,
    pub(super) min_insync_replicas: usize,
    pub(super) log_append_time: bool,
    pub(super) compacted: bool,
    pub(super) timestamp_before_max_ms: i64,
    pub(super) timestamp_after_max_ms: i64,
}

impl TopicConfig {
    /// Kafka's defaults: batches up to 1,048,588 bytes, one replica in sync is enough, records keep the producer's
    /// timestamps, which may lie an hour ahead.
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

    /// `max.message.bytes`: larger batches are refused with `MESSAGE_TOO_LARGE`.
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// `min.insync.replicas`: with fewer replicas on running nodes, `acks=all` is refused with `NOT_ENOUGH_REPLICAS`.
    pub fn min_insync_replicas(mut self, replicas: usize) -> Self {
        self.min_insync_replicas = replicas;
        self
    }

    /// `message.timestamp.type=LogAppendTime`: records get the broker's time.
    pub fn log_append_time(mut self) -> Self {
        self.log_append_time = true;
        self
    }

    /// `message.timestamp.before.max.ms`: how far a record's timestamp may lie before the broker's time, in milliseconds.
    /// Older records are refused with `INVALID_TIMESTAMP`, naming each of them (KIP-467, KIP-937). Default: `i64::MAX`, any
    /// time ago. A topic with [`log_append_time`](Self::log_append_time) takes every timestamp.
    pub fn message_timestamp_before_max_ms(mut self, before_max_ms: i64) -> Self {
        self.timestamp_before_max_ms = before_max_ms;
        self
    }

    /// `message.timestamp.after.max.ms`: how far a record's timestamp may lie after the broker's time, in milliseconds.
    /// Records from further in the future are refused with `INVALID_TIMESTAMP`, naming each of them (KIP-467, KIP-937).
    /// Default: one hour. A topic with [`log_append_time`](Self::log_append_time) takes every timestamp.
    pub fn message_timestamp_after_max_ms(mut self, after_max_ms: i64) -> Self {
        self.timestamp_after_max_ms = after_max_ms;
        self
    }

    /// `cleanup.policy=compact`: batches with a record without a key are refused, naming the record (KIP-467).
    pub fn compacted(mut self) -> Self {
        self.compacted = true;
        self
    }

    /// What is wrong with a record's timestamp. Java (broker): `LogValidator.recordHasInvalidTimestamp`.
    pub(super) fn timestamp_error(&self, timestamp: i64, now_ms: i64) -> Option<String> {
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

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: Uuid,
    pub(super) config: TopicConfig,
    pub(super) partitions: Vec<Partition>,
}

impl Topic {
    pub(super) fn partition(&self, number: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(number).ok()?)
    }

    pub(super) fn partition_mut(&mut self, number: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(number).ok()?)
    }
}

/// One partition. All replicas are the same log: a test broker loses nothing when a node stops.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) leader: Option<NodeId>,
    pub(super) leader_epoch: i32,
    /// The preferred leader first.
    pub(super) replicas: Vec<NodeId>,
    pub(super) hosting: Hosting,
    pub(super) log: PartitionLog,
}

/// Whether the node that leads a partition serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hosting {
    /// The partition was created on demand and its leader has not opened the log: the next Produce finds no leader there.
    Opening,
    Open,
}

impl Partition {
    pub(super) fn lead_by(&mut self, leader: Option<NodeId>) {
        self.leader = leader;
        self.leader_epoch += 1;
    }
}

/// The topics in which brokers keep their own state. Java: `Topic.INTERNAL_TOPICS`.
const INTERNAL_TOPICS: [&str; 3] = [
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
];

/// Returns whether clients may not write to this topic. Java: `Topic.isInternal`.
pub(super) fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// Returns whether the names of metrics would be the same for two different topics: `a.b` and `a_b`. Java:
/// `Topic.hasCollision`.
pub(super) fn collide(one: &str, other: &str) -> bool {
    one != other && one.replace('.', "_") == other.replace('.', "_")
}

/// Whether Kafka allows a topic of this name. Java: `Topic.validate`.
pub(super) fn is_legal_name(name: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=249).contains(&name.len()) && name != "." && name != ".." && name.chars().all(is_legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Java (broker): LogValidatorTest. No producer of this library sends a negative timestamp.
    #[test]
    fn a_timestamp_is_compared_with_the_limits_in_wrapping_arithmetic() {
        const NOW_MS: i64 = 1_700_000_000_000;
        let default = TopicConfig::new(1);
        let key = |config: &TopicConfig, timestamp| {
            let text = config.timestamp_error(timestamp, NOW_MS)?;
            Some(if text.contains("before") {
                "before"
            } else {
                "after"
            })
        };
        for timestamp in [NOW_MS, NOW_MS + 3_600_000, 0, -2, -NOW_MS, i64::MIN / 2] {
            assert_eq!(key(&default, timestamp), None, "{timestamp}");
        }
        for timestamp in [NOW_MS + 3_600_001, i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(key(&default, timestamp), Some("after"), "{timestamp}");
        }
        let ranged = default
            .message_timestamp_before_max_ms(10)
            .message_timestamp_after_max_ms(20);
        for (delta_ms, expected) in [
            (-11, Some("before")),
            (-10, None),
            (20, None),
            (21, Some("after")),
        ] {
            assert_eq!(key(&ranged, NOW_MS + delta_ms), expected, "{delta_ms}");
        }
        assert_eq!(key(&ranged, -2), Some("before"));
    }

    // Java: TopicTest.testTopicHasCollision.
    #[test]
    fn topics_whose_metrics_have_the_same_name_collide() {
        assert!(collide("coll.a", "coll_a"));
        assert!(collide("a.b_c.d", "a_b.c_d"));
        for other in ["coll.a", "coll-a", "coll.b", "coll.a."] {
            assert!(!collide("coll.a", other), "{other}");
        }
    }

    // Java: TopicTest.shouldRecognizeValidTopicNames, shouldRecognizeInvalidTopicNames.
    #[test]
    fn knows_legal_topic_names() {
        for name in [
            "valid",
            "TOPIC",
            "nAmEs",
            "ar6",
            "VaL1d",
            "_0-9_.",
            "...",
            &"a".repeat(249),
        ] {
            assert!(is_legal_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "foo:bar",
            "a/b",
            "b\0",
            "\u{fc}",
            " ",
            &"a".repeat(250),
        ] {
            assert!(!is_legal_name(name), "{name:?}");
        }
    }
}
