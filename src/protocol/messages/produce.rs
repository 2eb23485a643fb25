//! Produce (0): record batches for partitions. Java: `ProduceRequestData`, `ProduceResponseData`.
//!
//! Schemas: `ProduceRequest.json`, `ProduceResponse.json`, versions 3-13. KIP-98 (3: transactional
//! id), KIP-112 (4: KAFKA_STORAGE_ERROR), KIP-219 (6: throttling by the client), KIP-110 (7: zstd),
//! KIP-467 (8: errors of single records), KIP-951 (10: leader hints), KIP-890 (11:
//! TRANSACTION_ABORTABLE, 12: a write adds the partition to the transaction), KIP-516 (13: topic
//! ids instead of names).

use crate::common::Uuid;
use crate::protocol::{
    ApiKey, ApiRequest, DecodeError, EncodeError, ErrorCode, Message, Reader, RecordSet, Writer,
};
use crate::sync::Arc;

/// Batches to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProduceRequest {
    pub(crate) transactional_id: Option<Arc<str>>,
    /// 0: no response. 1: only the leader acknowledges. -1: every in-sync replica has the batch.
    pub(crate) acks: i16,
    pub(crate) timeout_ms: i32,
    /// Kafka's name on the wire is `topicData`.
    pub(crate) topics: Vec<ProduceTopic>,
}

/// The batches of one topic. Versions up to 12 carry the name, and later ones the id. Each is
/// ignorable in the other versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProduceTopic {
    pub(crate) name: Arc<str>,
    pub(crate) topic_id: Uuid,
    /// Kafka's name on the wire is `partitionData`.
    pub(crate) partitions: Vec<ProducePartition>,
}

/// The batch of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProducePartition {
    pub(crate) index: i32,
    pub(crate) records: Option<RecordSet>,
}

impl ApiRequest for ProduceRequest {
    const KEY: ApiKey = ApiKey::Produce;
    type Response = ProduceResponse;
}

impl Message for ProduceRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = Self::KEY.is_flexible(version);
        self.reserve(w);
        w.nullable_string(self.transactional_id.as_deref(), flexible)?;
        w.i16(self.acks);
        w.i32(self.timeout_ms);
        w.array(&self.topics, flexible, |w, topic| {
            encode_topic(w, &topic.name, topic.topic_id, version)?;
            w.array(&topic.partitions, flexible, |w, partition| {
                w.i32(partition.index);
                w.nullable_records(partition.records.as_ref(), flexible)?;
                w.no_tagged_fields(flexible);
                Ok(())
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
        let request = Self {
            transactional_id: r.nullable_string(flexible)?.map(Arc::from),
            acks: r.i16()?,
            timeout_ms: r.i32()?,
            topics: r.array(flexible, 3, |r| {
                let (name, topic_id) = decode_topic(r, version)?;
                let partitions = r.array(flexible, 5, |r| {
                    let partition = ProducePartition {
                        index: r.i32()?,
                        records: r
                            .nullable_bytes(flexible)?
                            .map(|bytes| RecordSet::from(bytes.to_vec())),
                    };
                    r.skip_tagged_fields(flexible)?;
                    Ok(partition)
                })?;
                r.skip_tagged_fields(flexible)?;
                Ok(ProduceTopic {
                    name,
                    topic_id,
                    partitions,
                })
            })?,
        };
        r.skip_tagged_fields(flexible)?;
        Ok(request)
    }
}

impl ProduceRequest {
    /// Reserves the memory for everything around the records, so that a request of many partitions
    /// does not grow its buffer repeatedly.
    fn reserve(&self, w: &mut Writer) {
        const REQUEST: usize = 16;
        const TOPIC: usize = 22;
        const PARTITION: usize = 10;
        let id = self.transactional_id.as_deref().map_or(0, str::len);
        let (mut bytes, mut partitions) = (REQUEST + id, 0);
        for topic in &self.topics {
            bytes += TOPIC + topic.name.len();
            partitions += topic.partitions.len();
        }
        w.reserve(bytes + partitions * PARTITION, partitions);
    }
}

/// The results of the batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProduceResponse {
    /// Kafka's name on the wire is `responses`.
    pub(crate) topics: Vec<TopicProduceResponse>,
    pub(crate) throttle_time_ms: i32,
    /// Version 10+ (tag 0), ignorable: the addresses of the leaders in `current_leader`.
    pub(crate) node_endpoints: Vec<NodeEndpoint>,
}

/// The results of one topic's batches. Identified by name up to version 12, and later by id with an
/// empty name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicProduceResponse {
    pub(crate) name: Arc<str>,
    pub(crate) topic_id: Uuid,
    /// Kafka's name on the wire is `partitionResponses`.
    pub(crate) partitions: Vec<PartitionProduceResponse>,
}

/// The result of one partition's batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionProduceResponse {
    pub(crate) index: i32,
    pub(crate) error_code: ErrorCode,
    pub(crate) base_offset: i64,
    /// -1 if the topic keeps the producer's timestamps.
    pub(crate) log_append_time_ms: i64,
    /// Version 5+, ignorable; -1 if unknown.
    pub(crate) log_start_offset: i64,
    /// Version 8+, ignorable: the records because of which the broker refused the whole batch.
    pub(crate) record_errors: Vec<BatchIndexAndErrorMessage>,
    /// Version 8+, ignorable.
    pub(crate) error_message: Option<String>,
    /// Version 10+ (tag 0), ignorable.
    pub(crate) current_leader: LeaderIdAndEpoch,
}

/// A record because of which a broker refused its batch, by its index in the batch (KIP-467).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchIndexAndErrorMessage {
    pub(crate) batch_index: i32,
    pub(crate) batch_index_error_message: Option<String>,
}

/// The leader that the broker knows, if it refused because it is not the leader; otherwise -1 and
/// -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaderIdAndEpoch {
    pub(crate) leader_id: i32,
    pub(crate) leader_epoch: i32,
}

/// The address of a broker in `current_leader`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeEndpoint {
    pub(crate) node_id: i32,
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) rack: Option<String>,
}

impl Default for PartitionProduceResponse {
    fn default() -> Self {
        Self {
            index: 0,
            error_code: ErrorCode::NONE,
            base_offset: 0,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: LeaderIdAndEpoch::default(),
        }
    }
}

impl Default for LeaderIdAndEpoch {
    fn default() -> Self {
        Self {
            leader_id: -1,
            leader_epoch: -1,
        }
    }
}

impl Message for ProduceResponse {
    #[inline]
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = ApiKey::Produce.is_flexible(version);
        w.array(&self.topics, flexible, |w, topic| {
            encode_topic(w, &topic.name, topic.topic_id, version)?;
            w.array(&topic.partitions, flexible, |w, partition| {
                partition.encode(w, version)
            })?;
            w.no_tagged_fields(flexible);
            Ok(())
        })?;
        w.i32(self.throttle_time_ms);
        w.tagged_fields(flexible, |tags| {
            if version < 10 || self.node_endpoints.is_empty() {
                return Ok(());
            }
            tags.field(0, |w| {
                w.array(&self.node_endpoints, true, |w, endpoint| endpoint.encode(w))
            })
        })
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = ApiKey::Produce.is_flexible(version);
        let mut response = Self {
            topics: r.array(flexible, 3, |r| {
                let (name, topic_id) = decode_topic(r, version)?;
                let partitions = r.array(flexible, 22, |r| {
                    PartitionProduceResponse::decode(r, version)
                })?;
                r.skip_tagged_fields(flexible)?;
                Ok(TopicProduceResponse {
                    name,
                    topic_id,
                    partitions,
                })
            })?,
            throttle_time_ms: r.i32()?,
            node_endpoints: Vec::new(),
        };
        r.tagged_fields(flexible, |tag, r| {
            if tag != 0 || version < 10 {
                return Ok(false);
            }
            response.node_endpoints = r.array(true, 11, NodeEndpoint::decode)?;
            Ok(true)
        })?;
        Ok(response)
    }
}

impl PartitionProduceResponse {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = ApiKey::Produce.is_flexible(version);
        w.i32(self.index);
        w.error_code(self.error_code);
        w.i64(self.base_offset);
        w.i64(self.log_append_time_ms);
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        if version >= 8 {
            w.array(&self.record_errors, flexible, |w, error| {
                w.i32(error.batch_index);
                w.nullable_string(error.batch_index_error_message.as_deref(), flexible)?;
                w.no_tagged_fields(flexible);
                Ok(())
            })?;
            w.nullable_string(self.error_message.as_deref(), flexible)?;
        }
        w.tagged_fields(flexible, |tags| {
            if version < 10 || self.current_leader == LeaderIdAndEpoch::default() {
                return Ok(());
            }
            tags.field(0, |w| {
                w.i32(self.current_leader.leader_id);
                w.i32(self.current_leader.leader_epoch);
                w.no_tagged_fields(true);
                Ok(())
            })
        })
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = ApiKey::Produce.is_flexible(version);
        let mut response = Self {
            index: r.i32()?,
            error_code: r.error_code()?,
            base_offset: r.i64()?,
            log_append_time_ms: r.i64()?,
            ..Self::default()
        };
        if version >= 5 {
            response.log_start_offset = r.i64()?;
        }
        if version >= 8 {
            response.record_errors = r.array(flexible, 6, |r| {
                let error = BatchIndexAndErrorMessage {
                    batch_index: r.i32()?,
                    batch_index_error_message: r.nullable_string(flexible)?.map(str::to_owned),
                };
                r.skip_tagged_fields(flexible)?;
                Ok(error)
            })?;
            response.error_message = r.nullable_string(flexible)?.map(str::to_owned);
        }
        r.tagged_fields(flexible, |tag, r| {
            if tag != 0 || version < 10 {
                return Ok(false);
            }
            response.current_leader = LeaderIdAndEpoch {
                leader_id: r.i32()?,
                leader_epoch: r.i32()?,
            };
            r.skip_tagged_fields(true)?;
            Ok(true)
        })?;
        Ok(response)
    }
}

impl NodeEndpoint {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.i32(self.node_id);
        w.string(&self.host, true)?;
        w.i32(self.port);
        w.nullable_string(self.rack.as_deref(), true)?;
        w.no_tagged_fields(true);
        Ok(())
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let endpoint = Self {
            node_id: r.i32()?,
            host: r.string(true)?.to_owned(),
            port: r.i32()?,
            rack: r.nullable_string(true)?.map(str::to_owned),
        };
        r.skip_tagged_fields(true)?;
        Ok(endpoint)
    }
}

fn encode_topic(
    w: &mut Writer,
    name: &str,
    topic_id: Uuid,
    version: i16,
) -> Result<(), EncodeError> {
    if version >= 13 {
        w.uuid(topic_id);
        return Ok(());
    }
    w.string(name, ApiKey::Produce.is_flexible(version))
}

fn decode_topic(r: &mut Reader<'_>, version: i16) -> Result<(Arc<str>, Uuid), DecodeError> {
    if version >= 13 {
        return Ok((Arc::from(""), r.uuid()?));
    }
    let name = r.string(ApiKey::Produce.is_flexible(version))?;
    Ok((Arc::from(name), Uuid::ZERO))
}
