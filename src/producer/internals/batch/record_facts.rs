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
