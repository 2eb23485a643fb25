//! What a test reads back: the requests that came, the batches that were sent, what stands in the logs, and how far
//! transactions are.

use std::fmt;

use super::api::Api;
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
    pub(crate) fn of(batch: &RecordBatch<'_>) -> Result<Self, RecordError> {
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

/// The end of a transaction in a partition's log. Kafka calls it a control batch; it takes an offset as a record does, but
/// no consumer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredMarker {
    /// Its offset.
    pub offset: i64,
    /// Whose transaction ended.
    pub producer_id: i64,
    /// The epoch that the transaction ended under. It is newer than that of the records where the coordinator bumped it.
    pub producer_epoch: i16,
    /// Whether it was committed. Else it was aborted.
    pub is_commit: bool,
}

/// An offset of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommittedOffset {
    /// The partition that the group has read.
    pub topic_partition: TopicPartition,
    /// The offset that it goes on from.
    pub offset: i64,
    /// The leader epoch of the record before; -1 if it was not told.
    pub leader_epoch: i32,
    /// What the consumer noted with it.
    pub metadata: Option<String>,
}

/// How far the transaction of a transactional id is. Java (broker): `TransactionState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionState {
    /// Nothing happened since InitProducerId.
    Empty,
    /// There is an open transaction.
    Ongoing,
    /// It will be committed; the markers are not all written.
    PrepareCommit,
    /// It will be aborted; the markers are not all written.
    PrepareAbort,
    /// The last transaction was committed.
    CompleteCommit,
    /// The last transaction was aborted.
    CompleteAbort,
}

/// What the coordinator knows of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transaction {
    /// How far it is.
    pub state: TransactionState,
    /// The producer id.
    pub producer_id: i64,
    /// The epoch; older ones are fenced.
    pub producer_epoch: i16,
    /// The producer's `transaction.timeout.ms`.
    pub timeout_ms: i32,
    /// The partitions that were added and that no marker was written to.
    pub partitions: Vec<TopicPartition>,
    /// The groups that were added and whose offsets wait.
    pub groups: Vec<String>,
}

/// What a request says of a producer, its transaction and a group. A field is `None` where the API has none of the kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestedTransaction {
    /// The transactional id; of FindCoordinator the key, if it is one.
    pub transactional_id: Option<String>,
    /// The group; of FindCoordinator the key, if it is one.
    pub group_id: Option<String>,
    /// The producer id outside the batches; -1 where InitProducerId asks for a new one.
    pub producer_id: Option<i64>,
    /// The producer's epoch outside the batches; -1 where InitProducerId asks for a new id.
    pub producer_epoch: Option<i16>,
    /// Whether EndTxn is to commit.
    pub is_commit: Option<bool>,
    /// The consumer's generation in a TxnOffsetCommit; -1 if it was not told.
    pub generation_id: Option<i32>,
    /// The consumer's member id in a TxnOffsetCommit; empty if it was not told.
    pub member_id: Option<String>,
    /// The consumer's `group.instance.id` in a TxnOffsetCommit.
    pub group_instance_id: Option<String>,
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
    /// The partitions of a Produce, AddPartitionsToTxn or TxnOffsetCommit request, in its order.
    pub partitions: Vec<TopicPartition>,
    /// The batches of a Produce request whose headers could be read, in its order.
    pub batches: Vec<SentBatch>,
    /// What it says of a transaction.
    pub transaction: RequestedTransaction,
}

impl Request {
    pub(crate) fn names(&self, topic: &str, partition: Option<i32>) -> bool {
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
