//! Java: RecordAccumulatorTest. The record layer's own reader reads the batches back.

mod append;
mod completion;
mod drain;
mod expiry;
mod incremental;
mod pacing;
mod ready;
mod retry;
mod split;
mod topics;

use std::thread;

use super::ready::ReadyCheckResult;
use super::*;
use crate::common::{
    Cluster, ClusterBuilder, Headers, Node, NodeId, PartitionInfo, TopicInfo, TopicPartition, Uuid,
};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::producer::Callback;
use crate::producer::internals::batch::ProduceRequestResult;
use crate::producer::internals::batch::{AppendRecord, ProducerBatch};
use crate::producer::internals::patience::{Patience, WaitLimit};
use crate::producer::internals::sequences::{IdempotentProducer, ProducerIdAndEpoch};
use crate::protocol::ErrorCode;
use crate::record::{CompressionType, DecodedRecord, RecordBatch};
use crate::sync::MutexGuard;
use crate::utils::MockTime;

const TOPIC: &str = "test";
const VALUE: &[u8] = b"value";
const MB: usize = 1024 * 1024;

/// An accumulator with a mock clock, and a cluster of two nodes: node 1 leads partitions 0 and 1,
/// node 2 leads partition 2.
struct Fixture {
    accumulator: Arc<RecordAccumulator>,
    /// Locked, because some tests have callers on other threads.
    scheduler: Mutex<Scheduler>,
    time: MockTime,
    cluster: Arc<Cluster>,
}

fn node(id: i32) -> Node {
    Node::new(NodeId(id), "localhost", 1969, None)
}

fn cluster_of(leaders: &[Option<i32>], epoch: i32) -> Arc<Cluster> {
    let partitions = (0..)
        .zip(leaders)
        .map(|(partition, leader)| {
            PartitionInfo::new(partition, leader.map(node)).with_leader_epoch(Some(epoch))
        })
        .collect();
    let topic = TopicInfo::new(TOPIC.into(), Uuid::ZERO, false, partitions);
    Arc::new(
        ClusterBuilder::default()
            .nodes(vec![node(1), node(2)])
            .topic(Arc::new(topic))
            .build(),
    )
}

fn config() -> AccumulatorConfig {
    AccumulatorConfig {
        batch_size: 1024,
        allocation: BufferMemoryAllocationStrategy::Full,
        compression: Compression::new(CompressionType::None, None).unwrap(),
        linger: Duration::from_millis(10),
        retry_backoff: Duration::from_millis(100),
        retry_backoff_max: Duration::from_millis(1000),
        delivery_timeout: Duration::from_millis(3200),
        max_request_size: MB,
        adaptive_partitioning: true,
        availability_timeout: Duration::ZERO,
        rack: None,
    }
}

impl Fixture {
    fn new(config: AccumulatorConfig) -> Self {
        Self::with_memory(config, 10 * MB)
    }

    fn with_memory(config: AccumulatorConfig, total: usize) -> Self {
        let time = MockTime::new();
        let buffer_size = config.allocation.first_buffer_size(config.batch_size);
        let pool = BufferPool::new(total, buffer_size, Arc::new(time.clone()));
        let clock = Arc::new(time.clone());
        let (accumulator, scheduler) = RecordAccumulator::new(config, pool, clock);
        let cluster = cluster_of(&[Some(1), Some(1), Some(2)], 0);
        Self {
            accumulator,
            scheduler: Mutex::new(scheduler),
            time,
            cluster,
        }
    }

    /// Returns the I/O thread's half.
    fn io(&self) -> MutexGuard<'_, Scheduler> {
        self.scheduler.lock()
    }

    fn try_append(&self, partition: Option<i32>, value: &[u8]) -> Result<RecordAppend> {
        self.append_with(partition, Some(b"key"), value, &Headers::new(), None)
    }

    fn append_with(
        &self,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: &[u8],
        headers: &Headers,
        callback: Option<Callback>,
    ) -> Result<RecordAppend> {
        let record = AppendRecord::new(0, key, Some(value), headers).unwrap();
        self.append_record(
            partition,
            &record,
            callback,
            Patience::UpTo(WaitLimit::max_block(Duration::from_millis(20))),
        )
    }

    fn append_record(
        &self,
        partition: Option<i32>,
        record: &AppendRecord<'_>,
        callback: Option<Callback>,
        patience: Patience,
    ) -> Result<RecordAppend> {
        let context = AppendContext {
            topic: self.cluster.topic(TOPIC).unwrap(),
            cluster: &self.cluster,
            patience,
            abort_for_new_batch: false,
            transactions: None,
        };
        match self.accumulator.append::<Arc<ProduceRequestResult>>(
            partition,
            record,
            &mut { callback },
            &context,
        )? {
            AppendOutcome::Appended(Joined {
                share: result,
                index,
            }) => Ok(RecordAppend {
                partition: result.topic_partition().partition(),
                result,
                index,
            }),
            AppendOutcome::NewBatchNeeded { .. } => unreachable!("not asked for"),
        }
    }

    fn append(&self, partition: i32, value: &[u8]) -> RecordAppend {
        self.try_append(Some(partition), value).unwrap()
    }

    fn ready(&self) -> ReadyCheckResult {
        self.io().ready(&self.cluster, self.time.now())
    }

    fn ready_ids(&self) -> Vec<i32> {
        let mut ids: Vec<_> = self
            .ready()
            .ready_nodes
            .iter()
            .map(|node| node.id().0)
            .collect();
        ids.sort_unstable();
        ids
    }

    fn drain_max(&self, nodes: &[i32], max_size: usize) -> Vec<ProducerBatch> {
        let nodes: Vec<_> = nodes.iter().map(|id| node(*id)).collect();
        let drained = self.io().drain(&nodes, max_size, self.time.now(), None);
        assert!(drained.failed.is_empty());
        drained
            .batches
            .into_iter()
            .flat_map(|(_, batches)| batches)
            .map(|batch| *batch)
            .collect()
    }

    fn drain(&self, node: i32) -> Vec<ProducerBatch> {
        self.drain_max(&[node], usize::MAX)
    }

    fn queue_len(&self, partition: i32) -> usize {
        let queue = self
            .accumulator
            .queue(&TopicPartition::new(TOPIC, partition));
        queue.map_or(0, |queue| queue.state.lock().batches.len())
    }

    /// Fills a batch of the partition, so that the next append opens another one.
    fn fill_batch(&self, partition: i32) {
        let first = self.append(partition, &[7; 100]).result;
        while Arc::ptr_eq(&first, &self.append(partition, &[7; 100]).result) {}
    }
}

#[derive(Debug)]
struct RecordAppend {
    result: Arc<ProduceRequestResult>,
    index: u32,
    partition: i32,
}

fn records(batch: &ProducerBatch) -> Vec<DecodedRecord> {
    let set = batch.record_set();
    let bytes = set.to_vec();
    let (batch, rest) = RecordBatch::parse(&bytes).unwrap();
    assert!(rest.is_empty() && batch.is_crc_valid());
    batch.records(MB).unwrap()
}

/// Completes drained batches.
fn complete(batches: Vec<ProducerBatch>) {
    for batch in batches {
        batch.partition().end_flight();
        Box::new(batch).complete(0, -1);
    }
}

/// Returns incompressible bytes.
#[cfg(feature = "snappy")]
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[7]
    };
    (0..length).map(|_| next()).collect()
}

fn refused() -> Error {
    Error::from_code(ErrorCode::INVALID_RECORD, "refused")
}
