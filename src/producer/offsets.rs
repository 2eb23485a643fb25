//! Consumed offsets to commit with a transaction. Java: `ConsumerGroupMetadata`,
//! `OffsetAndMetadata`; KIP-447.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::sync::Arc;

/// The consumer whose records a transaction processes: its group, and its membership in the group.
///
/// With generation and member, a broker refuses the offsets of a consumer that has lost its
/// partitions to another one.
///
/// ```
/// use kafka_producer::ConsumerGroupMetadata;
///
/// let group = ConsumerGroupMetadata::new("billing").generation(17, "consumer-1-4e0f");
/// assert_eq!(group.group_id(), "billing");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerGroupMetadata {
    group_id: Arc<str>,
    generation_id: i32,
    member_id: Arc<str>,
    group_instance_id: Option<Arc<str>>,
}

impl ConsumerGroupMetadata {
    /// Creates the metadata of a group without generation and member. The broker then only checks
    /// the right to write the group's offsets.
    pub fn new(group_id: impl Into<Arc<str>>) -> Self {
        Self {
            group_id: group_id.into(),
            generation_id: -1,
            member_id: Arc::from(""),
            group_instance_id: None,
        }
    }

    /// Sets the generation of the group, or the epoch of the member in it, and the member's id, as
    /// the consumer has them.
    #[must_use]
    pub fn generation(self, generation_id: i32, member_id: impl Into<Arc<str>>) -> Self {
        Self {
            generation_id,
            member_id: member_id.into(),
            ..self
        }
    }

    /// Sets the name of a static member (`group.instance.id`).
    #[must_use]
    pub fn group_instance_id(self, id: impl Into<Arc<str>>) -> Self {
        Self {
            group_instance_id: Some(id.into()),
            ..self
        }
    }

    /// Returns the group's id.
    pub fn group_id(&self) -> &str {
        &self.group_id
    }

    /// Returns the generation, or -1 for none.
    pub fn generation_id(&self) -> i32 {
        self.generation_id
    }

    /// Returns the member's id, or an empty text for none.
    pub fn member_id(&self) -> &str {
        &self.member_id
    }

    /// Returns the name of a static member.
    pub fn instance_id(&self) -> Option<&str> {
        self.group_instance_id.as_deref()
    }

    pub(crate) fn shared_group_id(&self) -> &Arc<str> {
        &self.group_id
    }

    pub(crate) fn shared_member_id(&self) -> &Arc<str> {
        &self.member_id
    }

    pub(crate) fn shared_instance_id(&self) -> Option<&Arc<str>> {
        self.group_instance_id.as_ref()
    }

    /// # Errors
    ///
    /// `IllegalArgument` for an empty group id and for a generation without a member. Java: `throwIfInvalidGroupMetadata`.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.group_id.is_empty() {
            // A coordinator would return INVALID_GROUP_ID, which ends the producer.
            let text = "the group id is empty: a consumer group needs a name (group.id)";
            return Err(Error::new(ErrorKind::IllegalArgument, text));
        }
        if self.generation_id > 0 && self.member_id.is_empty() {
            let text = format!(
                "the metadata of group {} has generation {} and no member id",
                self.group_id, self.generation_id
            );
            return Err(Error::new(ErrorKind::IllegalArgument, text));
        }
        Ok(())
    }
}

/// A group's position in a partition: the offset of the next record to consume, and a text of the
/// program's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetAndMetadata {
    offset: i64,
    leader_epoch: Option<i32>,
    metadata: Arc<str>,
}

impl OffsetAndMetadata {
    /// Creates a position from the offset of the next record to consume, which is the last consumed
    /// offset plus 1.
    pub fn new(offset: i64) -> Self {
        Self {
            offset,
            leader_epoch: None,
            metadata: Arc::from(""),
        }
    }

    /// Sets the leader epoch of the last consumed record, with which a consumer detects that the
    /// log was truncated.
    #[must_use]
    pub fn leader_epoch(self, leader_epoch: i32) -> Self {
        Self {
            leader_epoch: Some(leader_epoch),
            ..self
        }
    }

    /// Sets a text of the program's own.
    #[must_use]
    pub fn metadata(self, metadata: impl Into<Arc<str>>) -> Self {
        Self {
            metadata: metadata.into(),
            ..self
        }
    }

    /// Returns the offset of the next record to consume.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    pub(crate) fn known_leader_epoch(&self) -> Option<i32> {
        self.leader_epoch
    }

    pub(crate) fn text(&self) -> &Arc<str> {
        &self.metadata
    }
}

impl From<i64> for OffsetAndMetadata {
    fn from(offset: i64) -> Self {
        Self::new(offset)
    }
}

impl fmt::Display for OffsetAndMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.offset.fmt(f)
    }
}
