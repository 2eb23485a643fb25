//! What a test reads back: the requests that came, the batches that were sent, and what stands in the logs.

use std::fmt;

use super::Api;
use crate::common::{Headers, NodeId, TopicPartition};
use crate::record::{RecordBatch, RecordError};

/// The header of a record batch, as the producer wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchHeader {
    /// The whole batch in bytes, with the 61 of its header.
    pub size_bytes: usize,
    /// The codec, as `compression.type` names it.
    pub compression: &'static str,
    /// The CRC-32C over everything from the attributes on. Equal CRCs of two attempts mean that a retry was the same bytes.
    pub crc: u32,
    /// The number of records.
    pub record_count: i32,
    /// The producer id; -1 without idempotence.
    pub producer_id: i64,
    /// The producer's epoch; -1 without idempotence.
    pub producer_epoch: i16,
    /// The sequence of the first record; -1 without idempotence.
    pub base_sequence: i32,
    /// The timestamp that the records' own are counted from.
    pub base_timestamp: i64,
    /// The largest timestamp of a record.
    pub max_timestamp: i64,
    /// Whether the batch belongs to a transaction.
    pub is_transactional: bool,
}

impl BatchHeader {
    pub(super) fn of(batch: &RecordBatch<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            size_bytes: batch.as_bytes().len(),
            compression: batch.compression_type()?.as_str(),
            crc: batch.crc(),
            record_count: batch.record_count(),
            producer_id: batch.producer_id(),
            producer_epoch: batch.producer_epoch(),
            base_sequence: batch.base_sequence(),
            base_timestamp: batch.base_timestamp(),
            max_timestamp: batch.max_timestamp(),
            is_transactional: batch.is_transactional(),
        })
    }
}

/// A batch in a Produce request, whether it was appended or not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentBatch {
    /// Where it was to go. A topic id that the broker does not know stands in place of the name.
    pub topic_partition: TopicPartition,
    /// Its header.
    pub header: BatchHeader,
}

/// A batch in a partition's log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredBatch {
    /// The offset of its first record.
    pub base_offset: i64,
    /// The leader epoch under which it was appended.
    pub leader_epoch: i32,
    /// When the broker appended it, in milliseconds since 1970, if the topic is configured to keep that.
    pub log_append_time: Option<i64>,
    /// Its header.
    pub header: BatchHeader,
}

impl StoredBatch {
    /// The offset of its last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.header.record_count) - 1
    }
}

/// A record in a partition's log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRecord {
    /// The partition's number.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
    /// The producer's timestamp, or the broker's where the topic is configured so; milliseconds since 1970.
    pub timestamp: i64,
    /// The key; `None` is null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is null.
    pub value: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: Headers,
    /// The producer id of its batch; -1 without idempotence.
    pub producer_id: i64,
    /// The epoch of its batch; -1 without idempotence.
    pub producer_epoch: i16,
    /// The record's own sequence; -1 without idempotence.
    pub sequence: i32,
}

/// A request that reached a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The broker that it came to.
    pub node: NodeId,
    /// The connection that it came on; each connection of a test broker has a number of its own.
    pub connection: u64,
    /// What was asked.
    pub api: Api,
    /// The version of the request.
    pub version: i16,
    /// The correlation id.
    pub correlation_id: i32,
    /// The client's `client.id`.
    pub client_id: Option<String>,
    /// The acks of a Produce request.
    pub acks: Option<i16>,
    /// The topics that a Metadata request names; those known by id alone stand here by the name that the broker knows.
    pub topics: Vec<String>,
    /// Whether a Metadata request is for all topics.
    pub is_for_all_topics: bool,
    /// The partitions of a Produce request, in its order.
    pub partitions: Vec<TopicPartition>,
    /// The batches of a Produce request whose headers could be read, in its order.
    pub batches: Vec<SentBatch>,
}

impl Request {
    pub(super) fn names(&self, topic: &str, partition: Option<i32>) -> bool {
        self.topics.iter().any(|name| name == topic)
            || self.partitions.iter().any(|named| {
                named.topic() == topic
                    && partition.is_none_or(|partition| partition == named.partition())
            })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} v{} to node {} (connection {}, correlation id {})",
            self.api, self.version, self.node, self.connection, self.correlation_id
        )
    }
}
