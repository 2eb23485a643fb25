//! What a program that consumes and produces commits with its transaction. Java: `ConsumerGroupMetadata`,
//! `OffsetAndMetadata`; KIP-447.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::sync::Arc;

/// Who consumed the records that a transaction's output was made from: the consumer's group, and its place in it.
///
/// With more than the group's id, a broker refuses the offsets of a consumer that has lost its partitions to another one.
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
    /// The group alone: no generation, no member. Nothing is checked but that the group's offsets may be written.
    pub fn new(group_id: impl Into<Arc<str>>) -> Self {
        Self {
            group_id: group_id.into(),
            generation_id: -1,
            member_id: Arc::from(""),
            group_instance_id: None,
        }
    }

    /// With the generation of the group, or the epoch of the member in it, and the member's id, as the consumer has them.
    #[must_use]
    pub fn generation(self, generation_id: i32, member_id: impl Into<Arc<str>>) -> Self {
        Self {
            generation_id,
            member_id: member_id.into(),
            ..self
        }
    }

    /// With the name of a static member (`group.instance.id`).
    #[must_use]
    pub fn group_instance_id(self, id: impl Into<Arc<str>>) -> Self {
        Self {
            group_instance_id: Some(id.into()),
            ..self
        }
    }

    /// The group's id.
    pub fn group_id(&self) -> &str {
        &self.group_id
    }

    /// The generation; -1 for none.
    pub fn generation_id(&self) -> i32 {
        self.generation_id
    }

    /// The member's id; empty for none.
    pub fn member_id(&self) -> &str {
        &self.member_id
    }

    /// The name of a static member.
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
            // A coordinator would answer INVALID_GROUP_ID, which ends the producer.
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

/// How far a group has consumed a partition: the offset of the next record to consume, and what the program wants to
/// remember with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetAndMetadata {
    offset: i64,
    leader_epoch: Option<i32>,
    metadata: Arc<str>,
}

impl OffsetAndMetadata {
    /// The offset of the next record to consume, which is that of the last one consumed plus 1.
    pub fn new(offset: i64) -> Self {
        Self {
            offset,
            leader_epoch: None,
            metadata: Arc::from(""),
        }
    }

    /// With the leader epoch of the last record consumed, by which a consumer notices that the log was cut off.
    #[must_use]
    pub fn leader_epoch(self, leader_epoch: i32) -> Self {
        Self {
            leader_epoch: Some(leader_epoch),
            ..self
        }
    }

    /// With a text of the program's own.
    #[must_use]
    pub fn metadata(self, metadata: impl Into<Arc<str>>) -> Self {
        Self {
            metadata: metadata.into(),
            ..self
        }
    }

    /// The offset of the next record to consume.
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
