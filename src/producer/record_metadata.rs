//! Where a record went. Java: `RecordMetadata`.

use std::fmt;

use crate::common::TopicPartition;

/// The place of a delivered record in the log, and what was sent of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    topic_partition: TopicPartition,
    offset: Option<i64>,
    timestamp: Option<i64>,
    serialized_key_size: i32,
    serialized_value_size: i32,
}

impl RecordMetadata {
    pub(crate) fn new(
        topic_partition: TopicPartition,
        offset: Option<i64>,
        timestamp: Option<i64>,
        serialized_key_size: i32,
        serialized_value_size: i32,
    ) -> Self {
        Self {
            topic_partition,
            offset,
            timestamp,
            serialized_key_size,
            serialized_value_size,
        }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.topic_partition.topic()
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.topic_partition.partition()
    }
}

impl fmt::Display for RecordMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.topic_partition)
    }
}
