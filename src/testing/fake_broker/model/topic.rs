//! A topic: its configuration, its id, and the leaders of its partitions.

use super::log::PartitionLog;
use super::topic_config::TopicConfig;
use crate::common::{NodeId, Uuid};

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) config: TopicConfig,
    pub(crate) partitions: Vec<Partition>,
}

impl Topic {
    pub(crate) fn partition(&self, number: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn partition_mut(&mut self, number: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(number).ok()?)
    }
}

/// One partition. All replicas are the same log, so a test broker loses no data when a node stops.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) leader: Option<NodeId>,
    pub(crate) leader_epoch: i32,
    /// The replicas, with the preferred leader first.
    pub(crate) replicas: Vec<NodeId>,
    pub(crate) hosting: Hosting,
    pub(crate) log: PartitionLog,
}

/// Whether the node that leads a partition serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hosting {
    /// The partition was created on demand, and its leader has not opened the log. The next Produce
    /// request finds no leader there.
    Opening,
    Open,
}

impl Partition {
    pub(crate) fn lead_by(&mut self, leader: Option<NodeId>) {
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
pub(crate) fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// Returns whether the metrics of two different topics would have the same names, as for `a.b` and
/// `a_b`. Java: `Topic.hasCollision`.
pub(crate) fn collide(one: &str, other: &str) -> bool {
    one != other && one.replace('.', "_") == other.replace('.', "_")
}

/// Returns whether Kafka allows this name for a topic. Java: `Topic.validate`.
pub(crate) fn is_legal_name(name: &str) -> bool {
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
