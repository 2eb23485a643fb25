//! What this repository's own benches measure of the private parts. Not part of the API, and without a promise: behind the
//! feature `_internals`.

#![allow(
    missing_docs,
    missing_debug_implementations,
    reason = "thin coats for benches, which nobody else is to use"
)]

mod loopback;
mod metadata;
mod metrics;

use std::mem::ManuallyDrop;
use std::time::Duration;

use self::loopback::{Loopback, Topics};
pub use self::metadata::{Metadata, MetadataShape};
pub use self::metrics::Metrics;
use crate::client::NetworkClient;
use crate::common::{Headers, Node, NodeId, PartitionInfo, TopicInfo, Uuid};
use crate::error::Result;
use crate::producer::{KafkaProducer, ProducerConfig, internals};
use crate::protocol::messages::{
    LeaderIdAndEpoch, PartitionProduceResponse, ProducePartition, ProduceResponse, ProduceTopic,
    TopicProduceResponse,
};
use crate::protocol::{
    ApiKey, ErrorCode, Message, Reader, RecordSet, RequestBody, RequestHeader, Writer,
    encode_request,
};
use crate::record::{self, CompressionType, DefaultRecord, MemoryRecordsBuilder, ProducerState};
use crate::sync::Arc;
use crate::utils::{self, SystemTime};

pub fn murmur2(data: &[u8]) -> i32 {
    utils::murmur2(data)
}

pub fn write_varlong(buffer: &mut Vec<u8>, value: i64) {
    _ = record::write_varlong(buffer, value);
}

/// A codec, with the states that it keeps.
pub struct Compression(record::Compression);

impl Compression {
    /// `None` for a codec that is not built in.
    pub fn new(kind: CompressionType) -> Option<Self> {
        record::Compression::new(kind, None).ok().map(Self)
    }
}

/// A producer whose I/O thread is whoever calls [`run_once`](Self::run_once), on a cluster that answers in the same thread:
/// what it does is the same in every run. Nothing in it may wait for the I/O thread: use `try_send`.
pub struct ThreadlessProducer {
    /// Not dropped: that would wait for a thread.
    producer: ManuallyDrop<KafkaProducer>,
    sender: internals::Sender<NetworkClient<Loopback>>,
}

impl ThreadlessProducer {
    /// On topics `topic-0` and so on, each with as many partitions.
    pub fn new(mut config: ProducerConfig, topics: u32, partitions: i32) -> Result<Self> {
        config.set("bootstrap.servers", "127.0.0.1:9092")?;
        let topics = Topics {
            count: topics,
            partitions,
        };
        let builder = KafkaProducer::builder().config(config);
        let (producer, sender) = builder.assemble(|_, _, _| Ok(Loopback::new(topics)))?;
        Ok(Self {
            producer: ManuallyDrop::new(producer),
            sender,
        })
    }

    pub fn producer(&self) -> &KafkaProducer {
        &self.producer
    }

    /// One round of the I/O thread's loop.
    pub fn run_once(&mut self) {
        self.sender.run_once();
    }
}

/// A batch that is being filled.
pub struct Batch(MemoryRecordsBuilder);

impl Batch {
    /// Begins in `buffer`, which is reused.
    pub fn new(mut buffer: Vec<u8>, compression: &Compression) -> Self {
        buffer.clear();
        let limit = buffer.capacity();
        Self(MemoryRecordsBuilder::new(
            buffer,
            &compression.0,
            limit,
            1.0,
        ))
    }

    /// Returns whether there was room.
    pub fn try_append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: &[u8],
        headers: &Headers,
    ) -> bool {
        let Ok(record) = DefaultRecord::new(key, Some(value), headers) else {
            return false;
        };
        matches!(self.0.try_append(timestamp, &record), Ok(Some(_)))
    }

    /// Returns the memory, which begins with the finished bytes, their header and checksum; empty
    /// if nothing was appended.
    pub fn close(self) -> Vec<u8> {
        let closed = self.0.close(ProducerState::NONE);
        let memory = closed
            .ok()
            .and_then(|closed| closed.bytes.into_memory().next());
        memory.unwrap_or_default()
    }
}

/// `buffer.memory`.
pub struct BufferPool(Arc<internals::BufferPool>);

impl BufferPool {
    pub fn new(total: usize, poolable_size: usize) -> Self {
        let time = Arc::new(SystemTime);
        Self(internals::BufferPool::new(total, poolable_size, time))
    }

    /// Waits for memory, and gives it back at once.
    pub fn allocate(&self, size: usize) -> Result<()> {
        self.0
            .allocate(
                internals::Wanted::exactly(size),
                internals::WaitLimit::max_block(Duration::from_secs(60)),
                || {},
            )
            .map(drop)
    }
}

/// A cluster of one node with topics of one partition, `topic-0` and so on.
pub struct Cluster(crate::common::Cluster);

impl Cluster {
    pub fn new(topics: usize) -> Self {
        let node = Node::new(NodeId(1), "localhost", 9092, None);
        let mut builder = crate::common::Cluster::default()
            .to_builder()
            .nodes(vec![node.clone()]);
        for topic in 0..topics {
            let partition = PartitionInfo::new(0, Some(node.clone())).with_leader_epoch(Some(0));
            let name = format!("topic-{topic}").into();
            let topic = TopicInfo::new(name, Uuid::ZERO, false, vec![partition]);
            builder = builder.topic(Arc::new(topic));
        }
        Self(builder.build())
    }

    pub fn partition_count(&self, topic: &str) -> Option<usize> {
        self.0.partition_count(topic)
    }
}

/// A Produce request with a batch for each partition of a topic, of version 12.
pub struct ProduceRequest(RequestHeader, RequestBody);

impl ProduceRequest {
    pub fn new(partitions: i32, batch: Vec<u8>) -> Self {
        let records = RecordSet::from(batch);
        let partition = |index| ProducePartition {
            index,
            records: Some(records.clone()),
        };
        let topic = ProduceTopic {
            name: "orders".into(),
            topic_id: Uuid::ZERO,
            partitions: (0..partitions).map(partition).collect(),
        };
        let header = RequestHeader {
            api_key: ApiKey::Produce.id(),
            api_version: PRODUCE_VERSION,
            correlation_id: 1,
            client_id: Some("producer-1".into()),
        };
        let request = crate::protocol::messages::ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: 30_000,
            topics: vec![topic],
        };
        Self(header, request.into())
    }

    /// Encodes it, and gives the number of bytes; 0 if it cannot be encoded.
    pub fn encode(&self) -> usize {
        encode_request(&self.0, &self.1).map_or(0, |message| message.len())
    }
}

/// Returns the answer to a Produce of version 12 that wrote a batch to each partition of a topic;
/// empty if it cannot be encoded.
pub fn produce_response(partitions: i32) -> Vec<u8> {
    let partition = |index| PartitionProduceResponse {
        index,
        error_code: ErrorCode::NONE,
        base_offset: 1_000_000,
        log_append_time_ms: -1,
        log_start_offset: 0,
        record_errors: Vec::new(),
        error_message: None,
        current_leader: LeaderIdAndEpoch::default(),
    };
    let response = ProduceResponse {
        topics: vec![TopicProduceResponse {
            name: "orders".into(),
            topic_id: Uuid::ZERO,
            partitions: (0..partitions).map(partition).collect(),
        }],
        ..ProduceResponse::default()
    };
    let mut writer = Writer::new();
    let encoded = response.encode(&mut writer, PRODUCE_VERSION);
    let bytes = encoded.and_then(|()| writer.finish());
    bytes.map(|bytes| bytes.to_vec()).unwrap_or_default()
}

/// Decodes it, and gives the number of partitions.
pub fn decode_produce_response(bytes: &[u8]) -> usize {
    let response = ProduceResponse::decode(&mut Reader::new(bytes), PRODUCE_VERSION);
    response.map_or(0, |response| {
        response
            .topics
            .iter()
            .map(|topic| topic.partitions.len())
            .sum()
    })
}

const PRODUCE_VERSION: i16 = 12;
