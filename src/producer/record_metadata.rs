//! Where a record ended up. Java: `RecordMetadata`.

use std::fmt;

use crate::common::TopicPartition;

/// Where a record that was sent is in the log.
///
/// After `acks=0`, and for a record that the broker had already, the offset is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    topic_partition: TopicPartition,
    offset: Option<i64>,
    timestamp: Option<i64>,
    serialized_key_size: Option<usize>,
    serialized_value_size: Option<usize>,
}

impl RecordMetadata {
    /// `base_offset` and `timestamp` are -1 where the broker did not tell them.
    pub(crate) fn new(
        topic_partition: TopicPartition,
        base_offset: i64,
        batch_index: u32,
        timestamp: i64,
        serialized_key_size: Option<usize>,
        serialized_value_size: Option<usize>,
    ) -> Self {
        Self {
            topic_partition,
            offset: (base_offset >= 0).then(|| base_offset.saturating_add(batch_index.into())),
            timestamp: (timestamp >= 0).then_some(timestamp),
            serialized_key_size,
            serialized_value_size,
        }
    }

    /// What is known of a record that was not delivered: the topic, and the partition if one was chosen.
    pub(crate) fn undelivered(topic: &str, partition: Option<i32>) -> Self {
        let topic_partition = TopicPartition::new(topic, partition.unwrap_or(-1));
        Self::new(topic_partition, -1, 0, -1, None, None)
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.topic_partition.topic()
    }

    /// The partition; -1 for a record that failed before one was chosen.
    pub fn partition(&self) -> i32 {
        self.topic_partition.partition()
    }

    /// The topic and partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The record's offset in the partition, or -1 where it is not known.
    pub fn offset(&self) -> i64 {
        self.offset.unwrap_or(-1)
    }

    /// Whether the offset is known.
    pub fn has_offset(&self) -> bool {
        self.offset.is_some()
    }

    /// Milliseconds since 1970: the record's own time, or that of the append where the topic has
    /// `message.timestamp.type=LogAppendTime`. `None` for a record that failed before it had one.
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    /// The size of the key in bytes, not compressed; `None` where the key is null.
    pub fn serialized_key_size(&self) -> Option<usize> {
        self.serialized_key_size
    }

    /// The size of the value in bytes, not compressed; `None` where the value is null.
    pub fn serialized_value_size(&self) -> Option<usize> {
        self.serialized_value_size
    }
}

/// Prints as `topic-partition@offset`.
impl fmt::Display for RecordMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.topic_partition, self.offset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Java: RecordMetadataTest.testConstructionWithRelativeOffset.
    #[test]
    fn offset_counts_from_the_batch() {
        let partition = TopicPartition::new("foo", 0);
        let metadata = RecordMetadata::new(partition.clone(), 15, 3, 2340, Some(4), Some(9));
        assert_eq!((metadata.offset(), metadata.has_offset()), (18, true));
        assert_eq!(metadata.timestamp(), Some(2340));
        assert_eq!(metadata.topic_partition(), &partition);
        assert_eq!(metadata.serialized_key_size(), Some(4));
        assert_eq!(metadata.serialized_value_size(), Some(9));
        assert_eq!(metadata.to_string(), "foo-0@18");
    }

    // Java: RecordMetadataTest.testConstructionWithMissingBatchIndex, and acks=0.
    #[test]
    fn an_unknown_base_offset_makes_no_offset() {
        let metadata = RecordMetadata::new(TopicPartition::new("foo", 0), -1, 3, -1, None, None);
        assert_eq!((metadata.offset(), metadata.has_offset()), (-1, false));
        assert_eq!(metadata.timestamp(), None);
        assert_eq!(
            RecordMetadata::undelivered("foo", None).to_string(),
            "foo--1@-1"
        );
    }
}
