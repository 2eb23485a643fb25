//! Java: RecordAccumulatorTest. Batches are read back with the record layer's own reader.

use std::thread;

use super::ready::ReadyCheckResult;
use super::*;
use crate::common::{ClusterBuilder, Headers, Node, NodeId, PartitionInfo, Uuid};
use crate::error::Delivery;
use crate::producer::internals::transaction_manager::{ProducerIdAndEpoch, TransactionManager};
use crate::protocol::ErrorCode;
use crate::record::{CompressionType, DecodedRecord, RecordBatch};
use crate::utils::MockTime;

const TOPIC: &str = "test";
const VALUE: &[u8] = b"value";
const MB: usize = 1024 * 1024;

/// An accumulator on a mock clock, and a cluster of two nodes: node 1 leads partitions 0 and 1, node 2 partition 2.
struct Fixture {
    accumulator: Arc<RecordAccumulator>,
    time: MockTime,
    cluster: Arc<Cluster>,
}

fn node(id: i32) -> Node {
    Node::new(NodeId(id), "localhost", 1969, None)
}

fn cluster_of(leaders: &[Option<i32>], epoch: i32) -> Arc<Cluster> {
    let partitions = (0..)
        .zip(leaders)
        .map(|(partition, leader)| PartitionInfo {
            partition,
            leader: leader.map(node),
            leader_epoch: Some(epoch),
            replicas: Vec::new(),
            in_sync_replicas: Vec::new(),
            offline_replicas: Vec::new(),
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
        let pool = BufferPool::new(total, config.batch_size, Arc::new(time.clone()));
        let accumulator = Arc::new(RecordAccumulator::new(config, pool, Arc::new(time.clone())));
        let cluster = cluster_of(&[Some(1), Some(1), Some(2)], 0);
        Self {
            accumulator,
            time,
            cluster,
        }
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
        let record = AppendRecord {
            timestamp: 0,
            key,
            value: Some(value),
            headers,
        };
        let context = AppendContext {
            topic: self.cluster.topic(TOPIC).unwrap(),
            cluster: &self.cluster,
            max_block: Some(Duration::from_millis(20)),
            abort_for_new_batch: false,
            with_future: true,
        };
        match self
            .accumulator
            .append(partition, &record, &mut { callback }, &context)?
        {
            AppendOutcome::Appended { result, index, .. } => {
                let result = result.unwrap();
                Ok(RecordAppend {
                    partition: result.topic_partition().partition(),
                    result,
                    index,
                })
            }
            AppendOutcome::NewBatchNeeded { .. } => unreachable!("not asked for"),
        }
    }

    fn append(&self, partition: i32, value: &[u8]) -> RecordAppend {
        self.try_append(Some(partition), value).unwrap()
    }

    fn ready(&self) -> ReadyCheckResult {
        self.accumulator.ready(&self.cluster, self.time.now())
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
        let drained =
            self.accumulator
                .drain(&self.cluster, &nodes, max_size, self.time.now(), None);
        assert!(drained.failed.is_empty());
        drained
            .batches
            .into_iter()
            .flat_map(|(_, batches)| batches)
            .collect()
    }

    fn drain(&self, node: i32) -> Vec<ProducerBatch> {
        self.drain_max(&[node], usize::MAX)
    }

    fn queue_len(&self, partition: i32) -> usize {
        self.accumulator
            .queue_len(&TopicPartition::new(TOPIC, partition))
    }

    /// Fills a batch of the partition to its end: the next append opens another one.
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
    let (batch, rest) = RecordBatch::parse(set.as_bytes()).unwrap();
    assert!(rest.is_empty() && batch.is_crc_valid());
    batch.records(MB).unwrap()
}

fn complete(batches: Vec<ProducerBatch>) {
    for batch in batches {
        batch.complete(0, -1);
    }
}

fn refused() -> Error {
    Error::from_code(ErrorCode::INVALID_RECORD, "refused")
}

// Java: testFull
#[test]
fn full() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    let mut count = 0;
    while fixture.queue_len(0) < 2 {
        assert_eq!(
            fixture.ready_ids(),
            [0_i32; 0],
            "not ready before a batch is full"
        );
        fixture.append(0, VALUE);
        count += 1;
    }
    assert_eq!(fixture.ready_ids(), [1]);
    let batches = fixture.drain(1);
    assert_eq!(batches.len(), 1, "one batch of a partition at a time");
    let records = records(&batches[0]);
    assert_eq!(records.len(), count - 1);
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.offset_delta as usize, index);
        assert_eq!(
            (record.key.as_deref(), record.value.as_deref()),
            (Some(&b"key"[..]), Some(VALUE))
        );
    }
    assert!(batches[0].record_set().len() <= 1024);
    complete(batches);
    fixture.accumulator.abort_batches(&refused());
}

// Java: testAppendLargeCompressed, testAppendLargeNonCompressed
#[test]
fn append_large() {
    let mut kinds = vec![CompressionType::None];
    if cfg!(feature = "gzip") {
        kinds.push(CompressionType::Gzip);
    }
    for kind in kinds {
        let compression = Compression::new(kind, None).unwrap();
        let fixture = Fixture::new(AccumulatorConfig {
            compression,
            linger: Duration::ZERO,
            ..config()
        });
        let value = vec![1; 2 * 1024];
        fixture.append(0, &value);
        assert_eq!(fixture.ready_ids(), [1], "{kind:?}");
        let batches = fixture.drain(1);
        assert_eq!(records(&batches[0])[0].value.as_deref(), Some(&value[..]));
        complete(batches);
        assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
    }
}

// Java: testLinger
#[test]
fn linger() {
    let fixture = Fixture::new(config());
    fixture.append(0, VALUE);
    let result = fixture.ready();
    assert!(result.ready_nodes.is_empty());
    assert_eq!(result.next_ready_check_delay, Duration::from_millis(10));
    fixture.time.advance_ms(4);
    assert_eq!(
        fixture.ready().next_ready_check_delay,
        Duration::from_millis(6)
    );
    fixture.time.advance_ms(6);
    assert_eq!(fixture.ready_ids(), [1]);
    let batches = fixture.drain(1);
    assert_eq!(records(&batches[0]).len(), 1);
    complete(batches);
    assert_eq!(fixture.ready().next_ready_check_delay, Duration::MAX);
}

// Java: testNextReadyCheckDelay
#[test]
fn next_ready_check_delay_is_that_of_the_earliest() {
    let fixture = Fixture::new(config());
    fixture.append(0, VALUE);
    fixture.time.advance_ms(5);
    fixture.append(1, VALUE);
    fixture.append(2, VALUE);
    let result = fixture.ready();
    assert!(result.ready_nodes.is_empty());
    assert_eq!(result.next_ready_check_delay, Duration::from_millis(5));
    fixture.fill_batch(2);
    let result = fixture.ready();
    assert_eq!(result.ready_nodes, [node(2)]);
    assert_eq!(
        result.next_ready_check_delay,
        Duration::from_millis(5),
        "node 1 still lingers"
    );
    fixture.accumulator.abort_batches(&refused());
}

// Java: testPartialDrain
#[test]
fn partial_drain() {
    let fixture = Fixture::new(config());
    fixture.fill_batch(0);
    fixture.fill_batch(1);
    assert_eq!(fixture.ready_ids(), [1]);
    let batches = fixture.drain_max(&[1], 1024);
    assert_eq!(
        batches.len(),
        1,
        "the other one does not fit into the request"
    );
    assert_eq!(batches[0].topic_partition().partition(), 0);
    let rest = fixture.drain_max(&[1], 1024);
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].topic_partition().partition(), 1);
    complete(batches);
    complete(rest);
    fixture.accumulator.abort_batches(&refused());
}

// Java: testDrainBatches; KAFKA-13834
#[test]
fn drain_goes_around_the_partitions() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    for partition in [0, 1] {
        for _ in 0..3 {
            fixture.fill_batch(partition);
        }
    }
    fixture.ready();
    let mut order = Vec::new();
    for _ in 0..6 {
        let batches = fixture.drain_max(&[1], 1);
        assert_eq!(batches.len(), 1, "a batch above the limit goes alone");
        order.push(batches[0].topic_partition().partition());
        complete(batches);
    }
    assert_eq!(order, [0, 1, 0, 1, 0, 1]);
    assert!(
        fixture.drain(2).is_empty(),
        "a node that leads nothing with batches"
    );
    fixture.accumulator.abort_batches(&refused());
}

// Java: testStressfulSituation
#[test]
fn stressful_situation() {
    const THREADS: usize = 5;
    const RECORDS: usize = 10_000;
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    let mut read = 0;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let fixture = &fixture;
            scope.spawn(move || {
                for record in 0..RECORDS {
                    let partition = i32::try_from(record % 3).unwrap();
                    let value = format!("{thread}-{record}");
                    while fixture
                        .try_append(Some(partition), value.as_bytes())
                        .is_err()
                    {}
                }
            });
        }
        while read < THREADS * RECORDS {
            let nodes: Vec<_> = fixture.ready_ids();
            for batch in fixture.drain_max(&nodes, 5 * 1024) {
                read += records(&batch).len();
                batch.complete(0, -1);
            }
        }
    });
    assert_eq!(read, THREADS * RECORDS);
    assert!(!fixture.accumulator.has_undrained() && !fixture.accumulator.has_incomplete());
    assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
}

// Java: testRetryBackoff, testExponentialRetryBackoff
#[test]
fn retry_backoff() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.append(0, VALUE);
    fixture.ready();
    let mut batch = fixture.drain(1).pop().unwrap();
    for (attempt, backoff) in [(1, 100.0), (2, 200.0), (3, 400.0), (4, 800.0), (5, 1000.0)] {
        fixture.accumulator.reenqueue(batch, fixture.time.now());
        fixture.append(1, VALUE);
        let result = fixture.ready();
        let delay = result.next_ready_check_delay.as_secs_f64() * 1000.0;
        assert!(
            delay >= backoff * 0.8 - 1.0 && delay <= (backoff * 1.2_f64).min(1000.0),
            "{delay}"
        );
        assert_eq!(
            result.ready_nodes,
            [node(1)],
            "the other partition is not held up"
        );
        let others = fixture.drain(1);
        assert_eq!(others.len(), 1);
        assert_eq!(others[0].topic_partition().partition(), 1);
        complete(others);
        fixture.time.advance(result.next_ready_check_delay);
        assert_eq!(fixture.ready_ids(), [1]);
        batch = fixture.drain(1).pop().unwrap();
        assert_eq!(batch.attempts(), attempt);
    }
    batch.complete(0, -1);
}

// Java: testExponentialRetryBackoffLeaderChange; KIP-951
#[test]
fn a_new_leader_ends_the_backoff() {
    let mut fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.append(0, VALUE);
    fixture.ready();
    let batch = fixture.drain(1).pop().unwrap();
    fixture.accumulator.reenqueue(batch, fixture.time.now());
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    fixture.cluster = cluster_of(&[Some(2), Some(1), Some(2)], 1);
    assert_eq!(fixture.ready_ids(), [2], "the epoch rose during this retry");
    let batch = fixture.drain(2).pop().unwrap();
    fixture.accumulator.reenqueue(batch, fixture.time.now());
    fixture.cluster = cluster_of(&[Some(2), Some(1), Some(2)], 1);
    assert_eq!(
        fixture.ready_ids(),
        [0_i32; 0],
        "and not during the next one"
    );
    fixture.accumulator.abort_batches(&refused());
}

// Java: testFlush
#[test]
fn flush() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    for partition in 0..3 {
        fixture.append(partition, VALUE);
    }
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    fixture.accumulator.begin_flush();
    assert_eq!(fixture.ready_ids(), [1, 2]);
    fixture.append(1, VALUE);
    let batches = fixture.drain_max(&[1, 2], usize::MAX);
    thread::scope(|scope| {
        let flush = scope.spawn(|| fixture.accumulator.await_flush_completion());
        complete(batches);
        flush.join().unwrap();
    });
    fixture.accumulator.end_flush();
    assert!(!fixture.accumulator.is_flush_in_progress() && !fixture.accumulator.has_incomplete());
    fixture.append(0, VALUE);
    assert_eq!(fixture.ready_ids(), [0_i32; 0], "linger counts again");
    fixture.accumulator.abort_batches(&refused());
}

// B5: KAFKA-9312, KAFKA-19479
#[test]
fn flush_waits_for_the_parts_of_a_split_batch() {
    let fixture = Fixture::new(config());
    for _ in 0..8 {
        fixture.append(0, &[1; 50]);
    }
    fixture.time.advance_ms(10);
    fixture.ready();
    let original = fixture.drain(1).pop().unwrap();
    let result = Arc::clone(original.result());
    assert_eq!(
        fixture
            .accumulator
            .split_and_reenqueue(original, |_, _| Vec::new())
            .unwrap(),
        2
    );
    assert!(!result.is_done(), "the parts are not done");
    fixture.ready();
    let first = fixture.drain(1);
    complete(first);
    assert!(!result.is_done(), "one part is not done");
    complete(fixture.drain(1));
    assert!(result.is_done());
    fixture.accumulator.await_flush_completion();
}

#[test]
fn a_get_expedites_the_batch_and_leaves_it_open() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    let first = fixture.append(0, VALUE);
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    first.result.expedite();
    assert_eq!(fixture.ready_ids(), [1]);
    let second = fixture.append(0, VALUE);
    assert!(
        Arc::ptr_eq(&first.result, &second.result),
        "until it is drained others join it"
    );
    let batches = fixture.drain(1);
    assert_eq!(records(&batches[0]).len(), 2);
    complete(batches);
}

#[test]
fn memory_pressure_makes_every_batch_sendable() {
    let fixture = Fixture::with_memory(
        AccumulatorConfig {
            linger: Duration::MAX,
            ..config()
        },
        1024,
    );
    fixture.append(0, VALUE);
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    thread::scope(|scope| {
        let blocked = scope.spawn(|| fixture.try_append(Some(1), VALUE));
        while fixture.accumulator.pool().queued() == 0 && !blocked.is_finished() {
            thread::yield_now();
        }
        let sendable = fixture.ready_ids();
        let outcome = blocked.join().unwrap();
        assert!(sendable == [1] || outcome.is_err());
    });
    fixture.accumulator.abort_batches(&refused());
}

// Java: testAbortIncompleteBatches
#[test]
fn abort_incomplete_batches() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    let failed = Arc::new(AtomicUsize::new(0));
    for index in 0..100 {
        let failed = Arc::clone(&failed);
        let callback = Callback::new(move |result| {
            let error = result.unwrap_err();
            assert_eq!(
                (error.kind(), error.delivery()),
                (ErrorKind::Broker, Delivery::NotWritten)
            );
            assert_eq!(error.topic_partition().unwrap().topic(), TOPIC);
            failed.fetch_add(1, Ordering::Relaxed);
        });
        fixture
            .append_with(
                Some(index % 3),
                None,
                &[1; 100],
                &Headers::new(),
                Some(callback),
            )
            .unwrap();
    }
    fixture.accumulator.abort_batches(&refused());
    assert_eq!(failed.load(Ordering::Relaxed), 100);
    assert!(!fixture.accumulator.has_undrained() && !fixture.accumulator.has_incomplete());
    assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
}

// Java: testExpiredBatches, testExpiredBatchesSize, testExpiredBatchesRetry, testMutedPartitions
#[test]
fn expired_batches() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.append(0, VALUE);
    fixture.ready();
    let queue = fixture
        .accumulator
        .partition_queue(&TopicPartition::new(TOPIC, 0))
        .unwrap();
    fixture.accumulator.mute_partition(&queue);
    fixture.time.advance_ms(1000);
    fixture.append(1, VALUE);
    fixture.ready();
    assert!(
        fixture
            .accumulator
            .expired_batches(fixture.time.now())
            .is_empty()
    );
    fixture.time.advance_ms(2200);
    let expired = fixture.accumulator.expired_batches(fixture.time.now());
    assert_eq!(expired.len(), 1, "muted or not");
    assert_eq!(expired[0].topic_partition().partition(), 0);
    assert_eq!(
        fixture.accumulator.next_expiry(),
        Some(fixture.time.now() + Duration::from_millis(1000)),
        "the other partition's turn"
    );
    fixture.time.advance_ms(1000);
    let rest = fixture.accumulator.expired_batches(fixture.time.now());
    assert_eq!(rest.len(), 1);
    for batch in expired.into_iter().chain(rest) {
        batch.complete_exceptionally(refused(), Vec::new());
    }
    assert_eq!(fixture.accumulator.next_expiry(), None);
}

// Java: testExpiredBatchesRetry
#[test]
fn a_retried_batch_expires_by_its_creation() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.append(0, VALUE);
    fixture.ready();
    let batch = fixture.drain(1).pop().unwrap();
    fixture.time.advance_ms(3100);
    fixture.accumulator.reenqueue(batch, fixture.time.now());
    fixture.ready();
    fixture.time.advance_ms(100);
    let expired = fixture.accumulator.expired_batches(fixture.time.now());
    assert_eq!(expired.len(), 1);
    for batch in expired {
        batch.complete_exceptionally(refused(), Vec::new());
    }
}

// Java: testMutedPartitions
#[test]
fn muted_partitions_are_neither_ready_nor_drained() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.append(2, VALUE);
    assert_eq!(fixture.ready_ids(), [2]);
    let queue = fixture
        .accumulator
        .partition_queue(&TopicPartition::new(TOPIC, 2))
        .unwrap();
    fixture.accumulator.mute_partition(&queue);
    assert!(fixture.drain(2).is_empty());
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    fixture.accumulator.unmute_partition(&queue);
    assert_eq!(fixture.ready_ids(), [2]);
    complete(fixture.drain(2));
}

#[test]
fn partitions_without_a_leader_wait_for_one() {
    let mut fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.cluster = cluster_of(&[None, Some(1), Some(2)], 0);
    fixture.append(0, VALUE);
    let result = fixture.ready();
    assert!(result.ready_nodes.is_empty());
    assert_eq!(result.unknown_leader_topics, [Arc::from(TOPIC)]);
    assert_eq!(
        fixture.ready().unknown_leader_topics.len(),
        1,
        "each time, until there is one"
    );
    fixture.cluster = cluster_of(&[Some(2), Some(1), Some(2)], 0);
    let result = fixture.ready();
    assert_eq!(
        (result.ready_nodes, result.unknown_leader_topics.len()),
        (vec![node(2)], 0)
    );
    complete(fixture.drain(2));
}

#[test]
fn a_leader_that_moves_takes_the_ready_partitions_along() {
    let mut fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.append(0, VALUE);
    assert_eq!(fixture.ready_ids(), [1]);
    fixture.cluster = cluster_of(&[Some(2), Some(1), Some(2)], 1);
    assert_eq!(fixture.ready_ids(), [2]);
    assert!(fixture.drain(1).is_empty());
    complete(fixture.drain(2));
}

// Java: testSplitAndReenqueue; B6
#[test]
fn split_and_reenqueue() {
    let fixture = Fixture::new(AccumulatorConfig {
        batch_size: 4096,
        ..config()
    });
    let mut headers = Headers::new();
    headers.add("h", "x").add_null("n");
    let delivered = Arc::new(Mutex::new(Vec::new()));
    let mut appends = Vec::new();
    for index in 0..10_u8 {
        let delivered = Arc::clone(&delivered);
        let callback = Callback::new(move |result| delivered.lock().push((index, result.unwrap())));
        let append = fixture
            .append_with(
                Some(0),
                Some(&[index]),
                &[index; 100],
                &headers,
                Some(callback),
            )
            .unwrap();
        appends.push(append);
    }
    fixture.time.advance_ms(10);
    fixture.ready();
    let original = fixture.drain(1).pop().unwrap();
    let parts = fixture
        .accumulator
        .split_and_reenqueue(original, |_, _| Vec::new())
        .unwrap();
    assert!(parts >= 2);
    assert!(
        delivered.lock().is_empty(),
        "the split itself completes nothing"
    );
    let mut base_offset = 0;
    let mut read = Vec::new();
    while fixture.ready_ids() == [1] {
        for batch in fixture.drain(1) {
            let records = records(&batch);
            assert!(records.iter().all(|record| record.headers == headers));
            let count = records.len();
            read.extend(records.into_iter().map(|record| record.value.unwrap()[0]));
            batch.complete(base_offset, -1);
            base_offset += i64::try_from(count).unwrap();
        }
    }
    assert_eq!(read, (0..10).collect::<Vec<_>>(), "all, in order");
    let offsets: Vec<_> = delivered
        .lock()
        .iter()
        .map(|(index, metadata)| (*index, metadata.offset()))
        .collect();
    assert_eq!(
        offsets,
        (0..10).map(|n: u8| (n, i64::from(n))).collect::<Vec<_>>()
    );
    for append in appends {
        let (outcome, index) = append.result.wait_record(append.index, None).unwrap();
        let (base_offset, _) = crate::producer::internals::record_result(&outcome, index).unwrap();
        assert_eq!(
            base_offset + i64::from(index),
            i64::from(append.index),
            "futures follow the split"
        );
    }
    assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
}

#[test]
fn a_batch_is_halved_until_one_record_is_left() {
    let fixture = Fixture::new(AccumulatorConfig {
        batch_size: 4096,
        ..config()
    });
    for _ in 0..8 {
        fixture.append(0, &[1; 300]);
    }
    fixture.time.advance_ms(10);
    fixture.ready();
    let mut single = 0;
    let mut splits = 0;
    while let Some(batch) = {
        fixture.ready();
        fixture.drain(1).pop()
    } {
        if batch.record_count() == 1 {
            single += 1;
            batch.complete(0, -1);
        } else {
            splits += 1;
            assert!(
                fixture
                    .accumulator
                    .split_and_reenqueue(batch, |_, _| Vec::new())
                    .unwrap()
                    >= 2
            );
        }
    }
    assert_eq!(single, 8);
    assert!(splits <= 7, "{splits}");
}

fn ready_manager(fixture: &Fixture) -> TransactionManager {
    let manager = TransactionManager::new(
        5,
        ExponentialBackoff::new(Duration::from_millis(100), Duration::from_millis(100)),
    );
    manager.init_producer_id_sent();
    let producer = ProducerIdAndEpoch {
        producer_id: 7,
        epoch: 0,
    };
    manager.handle_init_producer_id_response(ErrorCode::NONE, producer, fixture.time.now());
    manager
}

fn drain_idempotent(fixture: &Fixture, manager: &TransactionManager) -> Vec<ProducerBatch> {
    fixture.ready();
    let drained = fixture.accumulator.drain(
        &fixture.cluster,
        &[node(1)],
        usize::MAX,
        fixture.time.now(),
        Some(manager),
    );
    drained
        .batches
        .into_iter()
        .flat_map(|(_, batches)| batches)
        .collect()
}

#[test]
fn one_batch_is_in_flight_until_the_first_ack_and_then_more() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    let manager = ready_manager(&fixture);
    for _ in 0..8 {
        fixture.fill_batch(0);
    }
    let first = drain_idempotent(&fixture, &manager).pop().unwrap();
    assert!(
        drain_idempotent(&fixture, &manager).is_empty(),
        "nothing before the first ack"
    );
    let partition = Arc::clone(first.partition());
    manager.handle_completed_batch(first.topic_partition(), &first.sequence().unwrap());
    first.complete(0, -1);
    fixture.accumulator.recheck(&partition);
    let mut in_flight = Vec::new();
    loop {
        let batches = drain_idempotent(&fixture, &manager);
        if batches.is_empty() {
            break;
        }
        in_flight.extend(batches);
    }
    assert_eq!(in_flight.len(), 5);
    let bases: Vec<_> = in_flight
        .iter()
        .map(|b| b.sequence().unwrap().base_sequence)
        .collect();
    assert!(bases.windows(2).all(|pair| pair[0] < pair[1]), "{bases:?}");
    complete(in_flight);
    fixture.accumulator.abort_batches(&refused());
}

// Java: testReenqueue in sequence order; B7
#[test]
fn retried_batches_come_back_in_sequence_order() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        retry_backoff: Duration::ZERO,
        retry_backoff_max: Duration::ZERO,
        ..config()
    });
    let manager = ready_manager(&fixture);
    for _ in 0..6 {
        fixture.fill_batch(0);
    }
    let first = drain_idempotent(&fixture, &manager).pop().unwrap();
    let partition = Arc::clone(first.partition());
    manager.handle_completed_batch(first.topic_partition(), &first.sequence().unwrap());
    first.complete(0, -1);
    fixture.accumulator.recheck(&partition);
    let mut batches: Vec<_> = (0..3)
        .flat_map(|_| drain_idempotent(&fixture, &manager))
        .collect();
    let sent: Vec<_> = batches
        .iter()
        .map(|batch| batch.record_set().as_bytes().to_vec())
        .collect();
    batches.swap(0, 2);
    for batch in batches {
        let sequence = batch.sequence().unwrap();
        let attempt = crate::producer::internals::transaction_manager::Attempt::Refused;
        manager.handle_retry(batch.topic_partition(), &sequence, attempt);
        fixture.accumulator.reenqueue(batch, fixture.time.now());
    }
    let mut again = Vec::new();
    while again.len() < 3 {
        let batch = drain_idempotent(&fixture, &manager)
            .pop()
            .expect("one at a time, in order");
        again.push(batch.record_set().as_bytes().to_vec());
        manager.handle_completed_batch(batch.topic_partition(), &batch.sequence().unwrap());
        fixture.accumulator.recheck(&partition);
        batch.complete(0, -1);
    }
    assert_eq!(
        again, sent,
        "B12: in order, and byte for byte what was sent before"
    );
    fixture.accumulator.abort_batches(&refused());
}

// Java: testStickyBatches, testUniformBuiltInPartitioner
#[test]
fn sticky_records_fill_a_batch_before_the_partition_switches() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    let mut runs = Vec::new();
    for _ in 0..1000 {
        let partition = fixture.try_append(None, &[1; 90]).unwrap().partition;
        match runs.last_mut() {
            Some((last, count)) if *last == partition => *count += 1,
            _ => runs.push((partition, 1)),
        }
    }
    runs.pop();
    assert!(runs.len() > 10);
    assert!(
        runs.iter().all(|(_, count)| *count >= 9),
        "no tiny batches: {runs:?}"
    );
    fixture.accumulator.abort_batches(&refused());
}

#[test]
fn a_closed_accumulator_takes_no_records_and_sends_what_it_has() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    fixture.append(0, VALUE);
    fixture.ready();
    fixture.accumulator.close();
    assert_eq!(
        fixture.try_append(Some(0), VALUE).unwrap_err().kind(),
        ErrorKind::Closed
    );
    assert_eq!(fixture.ready_ids(), [1]);
    complete(fixture.drain(1));
}

// B2, B20: a callback that panics, and a batch that nobody completes.
#[test]
fn every_callback_runs_once_whatever_happens_to_its_batch() {
    let fixture = Fixture::new(config());
    let calls = Arc::new(AtomicUsize::new(0));
    for index in 0..3 {
        let calls = Arc::clone(&calls);
        let callback = Callback::new(move |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            assert_ne!(index, 1, "a callback that panics");
        });
        fixture
            .append_with(Some(0), None, VALUE, &Headers::new(), Some(callback))
            .unwrap();
    }
    fixture.time.advance_ms(10);
    fixture.ready();
    let batches = fixture.drain(1);
    let result = Arc::clone(batches[0].result());
    drop(batches);
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    let (outcome, index) = result.wait_record(0, None).unwrap();
    let error = crate::producer::internals::record_result(&outcome, index).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
}

// B1: KAFKA-19012
#[test]
fn memory_returns_only_when_the_last_owner_of_the_bytes_is_gone() {
    let fixture = Fixture::new(config());
    fixture.append(0, VALUE);
    fixture.time.advance_ms(10);
    fixture.ready();
    let batch = fixture.drain(1).pop().unwrap();
    let being_written = batch.record_set();
    let bytes = being_written.as_bytes().to_vec();
    batch.complete_exceptionally(refused(), Vec::new());
    assert_eq!(
        fixture.accumulator.pool().available_memory(),
        10 * MB - 1024
    );
    fixture.append(1, b"another record, which must not land in those bytes");
    assert_eq!(being_written.as_bytes(), bytes);
    drop(being_written);
    assert_eq!(
        fixture.accumulator.pool().available_memory(),
        10 * MB - 1024
    );
    fixture.accumulator.abort_batches(&refused());
    assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
}

#[test]
fn backlogged_partitions_open_larger_batches() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    for _ in 0..200 {
        fixture.append(0, &[1; 100]);
        fixture.ready();
    }
    let mut sizes = Vec::new();
    while fixture.ready_ids() == [1] {
        for batch in fixture.drain(1) {
            sizes.push(batch.record_set().len());
            batch.complete(0, -1);
        }
    }
    assert!(sizes[0] <= 1024 && sizes[1] <= 1024);
    assert!(sizes.iter().any(|size| *size > 2048), "{sizes:?}");
    fixture.append(0, VALUE);
    fixture.time.advance_ms(1);
    fixture.ready();
    complete(fixture.drain(1));
    assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
}
