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
}

impl TopicConfig {
    /// Kafka's defaults: batches up to 1,048,588 bytes, one replica in sync is enough, records keep the producer's timestamps.
    pub fn new(partitions: i32) -> Self {
        Self {
            partitions,
            max_message_bytes: 1_048_588,
            min_insync_replicas: 1,
            log_append_time: false,
            compacted: false,
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

    /// `cleanup.policy=compact`: batches with a record without a key are refused, naming the record (KIP-467).
    pub fn compacted(mut self) -> Self {
        self.compacted = true;
        self
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
    pub(super) log: PartitionLog,
}

impl Partition {
    pub(super) fn lead_by(&mut self, leader: Option<NodeId>) {
        self.leader = leader;
        self.leader_epoch += 1;
    }
}

/// Whether Kafka allows a topic of this name. Java: `Topic.validate`.
pub(super) fn is_legal_name(name: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=249).contains(&name.len()) && name != "." && name != ".." && name.chars().all(is_legal)
}

#[cfg(test)]
mod tests {
    use super::*;

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
