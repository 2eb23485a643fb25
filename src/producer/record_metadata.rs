//! The place of a record in the log. Java: `RecordMetadata`.

use std::fmt;

use crate::common::TopicPartition;

/// The place of a delivered record in the log.
///
/// Its `Display` is `topic-partition@offset`, or only the topic if no partition was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    topic_partition: TopicPartition,
    offset: Option<i64>,
    timestamp: Option<i64>,
    serialized_key_size: i32,
    serialized_value_size: i32,
}

impl RecordMetadata {
    /// Creates the metadata. The sizes are -1 for null.
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

    /// Creates the metadata of a record that was not delivered: the topic, and the partition if one
    /// was chosen.
    pub(crate) fn undelivered(topic: &str, partition: Option<i32>) -> Self {
        let topic_partition = TopicPartition::new(topic, partition.unwrap_or(-1));
        Self::new(topic_partition, None, None, -1, -1)
    }

    /// Returns the topic.
    pub fn topic(&self) -> &str {
        self.topic_partition.topic()
    }

    /// Returns the partition, or -1 if the record failed before one was chosen.
    pub fn partition(&self) -> i32 {
        self.topic_partition.partition()
    }

    /// Returns the topic and partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// Returns the record's offset in the partition. It is -1 if it is unknown: after `acks=0`, and
    /// if the broker already had the record.
    pub fn offset(&self) -> i64 {
        self.offset.unwrap_or(-1)
    }

    /// Returns `true` if the offset is known.
    pub fn has_offset(&self) -> bool {
        self.offset.is_some()
    }

    /// Returns the timestamp in milliseconds since 1970: the record's own, or the time of the
    /// append if the topic has `message.timestamp.type=LogAppendTime`. Returns `None` for a record
    /// that was not delivered.
    pub fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    /// Returns the uncompressed size of the key in bytes, or `None` if the key is null.
    pub fn serialized_key_size(&self) -> Option<usize> {
        usize::try_from(self.serialized_key_size).ok()
    }

    /// Returns the uncompressed size of the value in bytes, or `None` if the value is null.
    pub fn serialized_value_size(&self) -> Option<usize> {
        usize::try_from(self.serialized_value_size).ok()
    }
}

impl fmt::Display for RecordMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.partition() < 0 {
            // No partition was chosen, so there is no offset either.
            return f.write_str(self.topic());
        }
        write!(f, "{}@{}", self.topic_partition, self.offset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Java: RecordMetadataTest.testConstructionWithRelativeOffset.
    #[test]
    fn tells_what_it_was_made_of() {
        let partition = TopicPartition::new("foo", 0);
        let metadata = RecordMetadata::new(partition.clone(), Some(18), Some(2340), 4, 9);
        assert_eq!((metadata.offset(), metadata.has_offset()), (18, true));
        assert_eq!(metadata.timestamp(), Some(2340));
        assert_eq!(metadata.topic_partition(), &partition);
        assert_eq!(metadata.serialized_key_size(), Some(4));
        assert_eq!(metadata.serialized_value_size(), Some(9));
        assert_eq!(metadata.to_string(), "foo-0@18");
    }

    // Java: KafkaProducerTest.testCallbackAndInterceptorHandleError.
    #[test]
    fn an_undelivered_record_has_a_topic_and_nothing_else() {
        let metadata = RecordMetadata::undelivered("foo", None);
        assert_eq!((metadata.topic(), metadata.partition()), ("foo", -1));
        assert_eq!((metadata.offset(), metadata.has_offset()), (-1, false));
        assert_eq!(metadata.timestamp(), None);
        assert_eq!(metadata.serialized_key_size(), None);
        assert_eq!(metadata.serialized_value_size(), None);
        assert_eq!(metadata.to_string(), "foo");
    }
}
