//! TxnOffsetCommit (28): writes offsets of a consumer group, which take effect when the transaction commits. Java:
//! `TxnOffsetCommitRequestData`, `TxnOffsetCommitResponseData`.
//!
//! Schemas: `TxnOffsetCommitRequest.json`, `TxnOffsetCommitResponse.json`, versions 0-6. KIP-98,
//! KIP-219 (1: throttling by the client), KIP-320 (2: leader epochs), KIP-447 (3: the consumer's
//! membership in its group), KIP-890 (4: TRANSACTION_ABORTABLE, 5: a write adds the group to the
//! transaction), KIP-1319 (6: topic ids instead of names).

use super::txn_results::{self, TxnPartitionResult};
use crate::common::Uuid;
use crate::protocol::{ApiKey, ApiRequest, DecodeError, EncodeError, Message, Reader, Writer};
use crate::sync::Arc;

/// The first version that identifies topics by id (KIP-1319).
const FIRST_VERSION_WITH_IDS: i16 = 6;

/// Offsets to commit with the open transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TxnOffsetCommitRequest {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) group_id: Arc<str>,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    /// Version 3+; -1 if unknown. For a consumer of the newer group protocol (KIP-848), this is its
    /// member epoch.
    pub(crate) generation_id_or_member_epoch: i32,
    /// Version 3+; empty if unknown.
    pub(crate) member_id: Arc<str>,
    /// Version 3+; null for a consumer without `group.instance.id`.
    pub(crate) group_instance_id: Option<Arc<str>>,
    pub(crate) topics: Vec<TxnOffsetCommitTopic>,
}

/// The offsets of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TxnOffsetCommitTopic {
    /// Versions 0-5; empty if unknown.
    pub(crate) name: Arc<str>,
    /// Version 6+; zero if unknown.
    pub(crate) topic_id: Uuid,
    pub(crate) partitions: Vec<TxnOffsetCommitPartition>,
}

/// The offset of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TxnOffsetCommitPartition {
    pub(crate) partition_index: i32,
    pub(crate) committed_offset: i64,
    /// Version 2+, ignorable; -1 if unknown.
    pub(crate) committed_leader_epoch: i32,
    pub(crate) committed_metadata: Option<Arc<str>>,
}

impl Default for TxnOffsetCommitRequest {
    fn default() -> Self {
        Self {
            transactional_id: Arc::from(""),
            group_id: Arc::from(""),
            producer_id: 0,
            producer_epoch: 0,
            generation_id_or_member_epoch: -1,
            member_id: Arc::from(""),
            group_instance_id: None,
            topics: Vec::new(),
        }
    }
}

impl ApiRequest for TxnOffsetCommitRequest {
    const KEY: ApiKey = ApiKey::TxnOffsetCommit;
    type Response = TxnOffsetCommitResponse;
}

impl Message for TxnOffsetCommitRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = Self::KEY.is_flexible(version);
        w.string(&self.transactional_id, flexible)?;
        w.string(&self.group_id, flexible)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        if version >= 3 {
            w.i32(self.generation_id_or_member_epoch);
            w.string(&self.member_id, flexible)?;
            w.nullable_string(self.group_instance_id.as_deref(), flexible)?;
        } else if let Some(field) = self.member_field() {
            return Err(EncodeError::UnsupportedField { field, version });
        }
        w.array(&self.topics, flexible, |w, topic| {
            topic.check(version)?;
            encode_topic(w, &topic.name, topic.topic_id, version)?;
            w.array(&topic.partitions, flexible, |w, partition| {
                partition.encode(w, version)
            })?;
            w.no_tagged_fields(flexible);
            Ok(())
        })?;
        w.no_tagged_fields(flexible);
        Ok(())
    }

    #[inline]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = Self::KEY.is_flexible(version);
        let mut request = Self {
            transactional_id: Arc::from(r.string(flexible)?),
            group_id: Arc::from(r.string(flexible)?),
            producer_id: r.i64()?,
            producer_epoch: r.i16()?,
            ..Self::default()
        };
        if version >= 3 {
            request.generation_id_or_member_epoch = r.i32()?;
            request.member_id = Arc::from(r.string(flexible)?);
            request.group_instance_id = r.nullable_string(flexible)?.map(Arc::from);
        }
        request.topics = r.array(flexible, 3, |r| {
            let (name, topic_id) = decode_topic(r, version)?;
            let topic = TxnOffsetCommitTopic {
                name,
                topic_id,
                partitions: r.array(flexible, 14, |r| {
                    TxnOffsetCommitPartition::decode(r, version)
                })?,
            };
            r.skip_tagged_fields(flexible)?;
            Ok(topic)
        })?;
        r.skip_tagged_fields(flexible)?;
        Ok(request)
    }
}

impl TxnOffsetCommitRequest {
    /// Returns whether the id of every topic is known, as version 6 requires.
    pub(crate) fn has_topic_ids(&self) -> bool {
        self.topics.iter().all(|topic| !topic.topic_id.is_zero())
    }

    /// Returns the first field that is set and requires version 3.
    fn member_field(&self) -> Option<&'static str> {
        if self.generation_id_or_member_epoch != -1 {
            Some("generation_id_or_member_epoch")
        } else if !self.member_id.is_empty() {
            Some("member_id")
        } else if self.group_instance_id.is_some() {
            Some("group_instance_id")
        } else {
            None
        }
    }
}

impl TxnOffsetCommitTopic {
    /// Checks that every topic has what the version carries: the id since version 6, and the name
    /// before.
    fn check(&self, version: i16) -> Result<(), EncodeError> {
        let (field, is_missing) = if version >= FIRST_VERSION_WITH_IDS {
            ("topic_id", self.topic_id.is_zero())
        } else {
            ("name", self.name.is_empty())
        };
        match is_missing {
            true => Err(EncodeError::MissingField { field, version }),
            false => Ok(()),
        }
    }
}

impl TxnOffsetCommitPartition {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = ApiKey::TxnOffsetCommit.is_flexible(version);
        w.i32(self.partition_index);
        w.i64(self.committed_offset);
        if version >= 2 {
            w.i32(self.committed_leader_epoch);
        }
        w.nullable_string(self.committed_metadata.as_deref(), flexible)?;
        w.no_tagged_fields(flexible);
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = ApiKey::TxnOffsetCommit.is_flexible(version);
        let partition = Self {
            partition_index: r.i32()?,
            committed_offset: r.i64()?,
            committed_leader_epoch: if version >= 2 { r.i32()? } else { -1 },
            committed_metadata: r.nullable_string(flexible)?.map(Arc::from),
        };
        r.skip_tagged_fields(flexible)?;
        Ok(partition)
    }
}

/// The result for each offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TxnOffsetCommitResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) topics: Vec<TxnOffsetCommitTopicResult>,
}

/// The results of one topic. Java: `TxnOffsetCommitResponseTopic`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TxnOffsetCommitTopicResult {
    /// Versions 0-5; empty in newer ones.
    pub(crate) name: Arc<str>,
    /// Version 6+; zero in older ones.
    pub(crate) topic_id: Uuid,
    pub(crate) partitions: Vec<TxnPartitionResult>,
}

impl Message for TxnOffsetCommitResponse {
    #[inline]
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = ApiKey::TxnOffsetCommit.is_flexible(version);
        w.i32(self.throttle_time_ms);
        w.array(&self.topics, flexible, |w, topic| {
            encode_topic(w, &topic.name, topic.topic_id, version)?;
            txn_results::encode_partitions(w, &topic.partitions, flexible)?;
            w.no_tagged_fields(flexible);
            Ok(())
        })?;
        w.no_tagged_fields(flexible);
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = ApiKey::TxnOffsetCommit.is_flexible(version);
        let response = Self {
            throttle_time_ms: r.i32()?,
            topics: r.array(flexible, 3, |r| {
                let (name, topic_id) = decode_topic(r, version)?;
                let topic = TxnOffsetCommitTopicResult {
                    name,
                    topic_id,
                    partitions: txn_results::decode_partitions(r, flexible)?,
                };
                r.skip_tagged_fields(flexible)?;
                Ok(topic)
            })?,
        };
        r.skip_tagged_fields(flexible)?;
        Ok(response)
    }
}

/// Writes the identity of a topic: its id since version 6, and its name before.
fn encode_topic(
    w: &mut Writer,
    name: &str,
    topic_id: Uuid,
    version: i16,
) -> Result<(), EncodeError> {
    if version >= FIRST_VERSION_WITH_IDS {
        w.uuid(topic_id);
        return Ok(());
    }
    w.string(name, ApiKey::TxnOffsetCommit.is_flexible(version))
}

fn decode_topic(r: &mut Reader<'_>, version: i16) -> Result<(Arc<str>, Uuid), DecodeError> {
    if version >= FIRST_VERSION_WITH_IDS {
        return Ok((Arc::from(""), r.uuid()?));
    }
    let name = r.string(ApiKey::TxnOffsetCommit.is_flexible(version))?;
    Ok((Arc::from(name), Uuid::ZERO))
}
