//! The data that a test reads: received requests, sent batches, the contents of the logs, and the
//! states of transactions.

use std::fmt;

use super::api::Api;
use crate::common::{Headers, NodeId, TopicPartition};
use crate::record::{RecordBatch, RecordError};

/// The header of a record batch, as the producer wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchHeader {
    /// The size of the whole batch in bytes, including its header of 61 bytes.
    pub size_bytes: usize,
    /// The codec, as `compression.type` names it.
    pub compression: &'static str,
    /// The CRC-32C of everything from the attributes on. Two attempts with the same CRC sent the
    /// same bytes.
    pub crc: u32,
    /// The number of records.
    pub record_count: i32,
    /// The producer id; -1 without idempotence.
    pub producer_id: i64,
    /// The producer's epoch; -1 without idempotence.
    pub producer_epoch: i16,
    /// The sequence of the first record; -1 without idempotence.
    pub base_sequence: i32,
    /// The timestamp to which the records' deltas are relative.
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

/// A batch in a Produce request, even if it was not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentBatch {
    /// The partition. If the broker does not know the topic id, the id replaces the name.
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
    /// When the broker appended it, in milliseconds since 1970, if the topic is configured with log
    /// append time.
    pub log_append_time: Option<i64>,
    /// Its header.
    pub header: BatchHeader,
}

impl StoredBatch {
    /// Returns the offset of its last record.
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
    /// The producer's timestamp, or the broker's if the topic is configured so, in milliseconds
    /// since 1970.
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

/// The end of a transaction in a partition's log. Kafka calls it a control batch. It takes an
/// offset like a record, but consumers do not see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredMarker {
    /// Its offset.
    pub offset: i64,
    /// The producer whose transaction ended.
    pub producer_id: i64,
    /// The epoch under which the transaction ended. It is newer than that of the records if the
    /// coordinator bumped it.
    pub producer_epoch: i16,
    /// Whether the transaction was committed. Otherwise it was aborted.
    pub is_commit: bool,
}

/// An offset of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommittedOffset {
    /// The partition that the group has read.
    pub topic_partition: TopicPartition,
    /// The offset from which it continues.
    pub offset: i64,
    /// The leader epoch of the previous record; -1 if the commit did not have one.
    pub leader_epoch: i32,
    /// The metadata that the consumer added.
    pub metadata: Option<String>,
}

/// The state of a transactional id's transaction. Java (broker): `TransactionState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionState {
    /// No transaction since InitProducerId.
    Empty,
    /// There is an open transaction.
    Ongoing,
    /// It will be committed; some markers are not written yet.
    PrepareCommit,
    /// It will be aborted; some markers are not written yet.
    PrepareAbort,
    /// The last transaction was committed.
    CompleteCommit,
    /// The last transaction was aborted.
    CompleteAbort,
}

/// The coordinator's state of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transaction {
    /// The state of its transaction.
    pub state: TransactionState,
    /// The producer id.
    pub producer_id: i64,
    /// The epoch; older ones are fenced.
    pub producer_epoch: i16,
    /// The producer's `transaction.timeout.ms`.
    pub timeout_ms: i32,
    /// The partitions that were added and that have no marker yet.
    pub partitions: Vec<TopicPartition>,
    /// The groups that were added and whose offsets are pending.
    pub groups: Vec<String>,
}

/// The producer, transaction and group in a request. A field is `None` if the API does not have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestedTransaction {
    /// The transactional id. In FindCoordinator: the key, if it is one.
    pub transactional_id: Option<String>,
    /// The group. In FindCoordinator: the key, if it is one.
    pub group_id: Option<String>,
    /// The producer id outside of the batches; -1 if InitProducerId requests a new one.
    pub producer_id: Option<i64>,
    /// The producer's epoch outside of the batches; -1 if InitProducerId requests a new id.
    pub producer_epoch: Option<i16>,
    /// Whether EndTxn commits.
    pub is_commit: Option<bool>,
    /// The consumer's generation in a TxnOffsetCommit; -1 if unknown.
    pub generation_id: Option<i32>,
    /// The consumer's member id in a TxnOffsetCommit; empty if unknown.
    pub member_id: Option<String>,
    /// The consumer's `group.instance.id` in a TxnOffsetCommit.
    pub group_instance_id: Option<String>,
}

/// A request that reached a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The broker that received it.
    pub node: NodeId,
    /// The connection. Each connection of a test broker has its own number.
    pub connection: u64,
    /// The kind of the request.
    pub api: Api,
    /// The version of the request.
    pub version: i16,
    /// The correlation id.
    pub correlation_id: i32,
    /// The client's `client.id`.
    pub client_id: Option<String>,
    /// The acks of a Produce request.
    pub acks: Option<i16>,
    /// The topics in a Metadata request. Those identified only by id appear with the name that the
    /// broker knows.
    pub topics: Vec<String>,
    /// Whether a Metadata request asks for all topics.
    pub is_for_all_topics: bool,
    /// The partitions in a Produce, AddPartitionsToTxn or TxnOffsetCommit request, in its order.
    pub partitions: Vec<TopicPartition>,
    /// The batches in a Produce request whose headers could be read, in its order.
    pub batches: Vec<SentBatch>,
    /// The transaction in the request.
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
