//! The facts about a record that are known at its append, for its future and its callback.

use crate::common::TopicPartition;
use crate::producer::RecordMetadata;

/// The part of a record's metadata that is known at its append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordFacts {
    /// Milliseconds since 1970.
    pub(crate) timestamp: i64,
    /// -1 for a null key.
    pub(crate) serialized_key_size: i32,
    /// -1 for a null value.
    pub(crate) serialized_value_size: i32,
}

impl RecordFacts {
    /// Returns the timestamp, and both sizes in one number.
    #[inline(always)]
    pub(crate) fn to_words(self) -> (i64, u64) {
        let key_size = u64::from(self.serialized_key_size as u32);
        let value_size = u64::from(self.serialized_value_size as u32);
        (self.timestamp, key_size << 32 | value_size)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the word"
    )]
    pub(crate) fn from_words((timestamp, sizes): (i64, u64)) -> Self {
        Self {
            timestamp,
            serialized_key_size: (sizes >> 32) as i32,
            serialized_value_size: sizes as i32,
        }
    }

    /// Returns the metadata of a record with these facts in an acknowledged batch.
    pub(crate) fn metadata(
        &self,
        topic_partition: &TopicPartition,
        index: u32,
        (base_offset, log_append_time): (i64, i64),
    ) -> RecordMetadata {
        let offset = (base_offset >= 0).then(|| base_offset.saturating_add(i64::from(index)));
        let timestamp = if log_append_time == -1 {
            self.timestamp
        } else {
            log_append_time
        };
        RecordMetadata::new(
            topic_partition.clone(),
            offset,
            Some(timestamp),
            self.serialized_key_size,
            self.serialized_value_size,
        )
    }
}
