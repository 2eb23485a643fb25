//! Java: `SenderTest`. The sender with a mock clock and a mock client, one round of its loop at a
//! time.

mod answers;
mod closing;
mod delivery;
mod expiry;
mod gaps;
mod idempotence;
mod lost_state;
mod metrics;
mod other_cluster;
mod simulation;
mod transactions;
mod warnings;

use super::*;
use crate::client::{MetadataConfig, MockClient};
use crate::common::{Headers, TopicPartition, Uuid};
use crate::error::Delivery;
use crate::metrics::Metrics;
use crate::network::SelectorMetrics;
use crate::producer::internals::sequences::{
    BatchSequence, IdempotentProducer, ProducerIdAndEpoch,
};
use crate::producer::internals::transactions::{TransactionConfig, TransactionManager};
use crate::producer::internals::{
    AccumulatorConfig, AppendContext, AppendOutcome, AppendRecord, BufferPool, Joined, Patience,
    PoolMetrics, ProduceRequestResult, record_result,
};
use crate::producer::{BufferMemoryAllocationStrategy, Callback};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    InitProducerIdResponse, LeaderIdAndEpoch, MetadataBroker, MetadataPartition, MetadataResponse,
    MetadataTopic, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use crate::record::{Compression, RecordBatch};
use crate::utils::{ExponentialBackoff, MockTime};

const TOPIC: &str = "test-topic";
const TOPIC_ID: Uuid = Uuid::from_bytes([7; 16]);
const MEMORY: usize = 1024 * 1024;
const BATCH_SIZE: usize = 16 * 1024;
const REQUEST_TIMEOUT: Duration = Duration::from_millis(1000);
const DELIVERY_TIMEOUT: Duration = Duration::from_millis(1500);
const RETRY_BACKOFF: Duration = Duration::from_millis(50);
const PRODUCER: ProducerIdAndEpoch = ProducerIdAndEpoch {
    producer_id: 343_434,
    epoch: 0,
};

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, partition)
}

#[derive(Clone)]
struct Setup {
    acks: i16,
    retries: u32,
    max_in_flight: usize,
    idempotent: bool,
    transactional: bool,
    topic_id: Uuid,
    compression: CompressionType,
    delivery_timeout: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            acks: -1,
            retries: u32::MAX,
            max_in_flight: 5,
            idempotent: false,
            transactional: false,
            topic_id: TOPIC_ID,
            compression: CompressionType::None,
            delivery_timeout: DELIVERY_TIMEOUT,
        }
    }
}

/// A sender and its parts. Node 0 leads partition 0, and node 1 leads partition 1.
struct Fixture {
    time: MockTime,
    metadata: Arc<Metadata>,
    pool: Arc<BufferPool>,
    accumulator: Arc<RecordAccumulator>,
    ledger: Ledger,
    sender: Sender<MockClient>,
    metrics: Arc<Metrics>,
}

/// One appended record.
struct Sent {
    result: Arc<ProduceRequestResult>,
    index: u32,
}

impl Sent {
    fn poll(&self) -> Option<Result<Option<i64>, Error>> {
        let (outcome, index) = self.result.poll_record(self.index)?;
        let result = record_result(&outcome, index);
        Some(result.map(|(base, _)| (base >= 0).then(|| base + i64::from(index))))
    }

    fn is_done(&self) -> bool {
        self.poll().is_some()
    }

    fn offset(&self) -> i64 {
        self.poll().expect("not done").unwrap().expect("no offset")
    }

    fn error(&self) -> Error {
        self.poll().expect("not done").unwrap_err()
    }
}

impl Fixture {
    fn new(setup: &Setup) -> Self {
        let time = MockTime::new();
        let clock: Arc<dyn Time> = Arc::new(time.clone());
        let metadata = Arc::new(Metadata::new(
            MetadataConfig {
                refresh_backoff: Duration::ZERO,
                refresh_backoff_max: Duration::ZERO,
                max_age: Duration::from_secs(3600),
                topic_idle: Duration::from_secs(3600),
            },
            time.now(),
        ));
        metadata.add(TOPIC, time.now());
        let client = MockClient::new(time.clone(), Arc::clone(&metadata));
        client.update_metadata(&metadata_response([0, 1], 0, setup.topic_id));
        let pool = BufferPool::new(MEMORY, BATCH_SIZE, Arc::clone(&clock));
        let (accumulator, scheduler) = RecordAccumulator::new(
            accumulator_config(setup),
            Arc::clone(&pool),
            Arc::clone(&clock),
        );
        let ledger = ledger(setup);
        let metrics = Metrics::unread(&clock);
        PoolMetrics::register(&metrics, &pool);
        let nodes = SelectorMetrics::new(&metrics);
        let sender = Sender::new(SenderParts {
            config: SenderConfig {
                acks: setup.acks,
                retries: setup.retries,
                max_request_size: MEMORY,
                request_timeout: REQUEST_TIMEOUT,
                delivery_timeout: setup.delivery_timeout,
                retry_backoff: RETRY_BACKOFF,
                max_in_flight_requests_per_connection: setup.max_in_flight,
                compression: setup.compression,
            },
            client,
            metadata: Arc::clone(&metadata),
            scheduler,
            ledger: ledger.clone(),
            time: clock,
            metrics: SenderMetrics::new(&metrics, nodes),
        });
        Self {
            time,
            metadata,
            pool,
            accumulator,
            ledger,
            sender,
            metrics,
        }
    }

    fn plain() -> Self {
        Self::new(&Setup::default())
    }

    /// Creates an idempotent sender with a producer id.
    fn idempotent() -> Self {
        Self::idempotent_with(Setup::default())
    }

    fn idempotent_with(setup: Setup) -> Self {
        let mut fixture = Self::new(&Setup {
            idempotent: true,
            ..setup
        });
        fixture.receive_producer_id(PRODUCER);
        fixture
    }

    fn receive_producer_id(&mut self, producer: ProducerIdAndEpoch) {
        self.client()
            .prepare_response(init_response(ErrorCode::NONE, producer));
        self.run_once();
        assert_eq!(self.ledger.producer_id_and_epoch(), producer);
    }

    fn client(&mut self) -> &mut MockClient {
        &mut self.sender.client
    }

    fn manager(&self) -> &TransactionManager {
        self.ledger.transactions().unwrap()
    }

    fn append(&self, partition: i32) -> Sent {
        self.append_value(partition, b"value")
    }

    fn append_value(&self, partition: i32, value: &[u8]) -> Sent {
        self.append_with(partition, value, None)
    }

    fn append_with(&self, partition: i32, value: &[u8], callback: Option<Callback>) -> Sent {
        self.try_append(partition, value, callback).unwrap()
    }

    fn try_append(
        &self,
        partition: i32,
        value: &[u8],
        callback: Option<Callback>,
    ) -> Result<Sent, Error> {
        append(
            &self.accumulator,
            &self.metadata,
            self.ledger.transactions().map(|manager| &**manager),
            partition,
            value,
            callback,
        )
    }

    /// Appends one record and sends it as a batch of its own.
    fn send(&mut self, partition: i32) -> Sent {
        let sent = self.append(partition);
        self.run_once();
        sent
    }

    fn run_once(&mut self) {
        self.sender.run_once();
    }

    /// Runs enough rounds for everything that can happen without the clock.
    fn run(&mut self) {
        for _ in 0..4 {
            self.run_once();
        }
    }

    fn advance(&self, millis: u64) {
        self.time.advance_ms(millis);
    }

    /// Advances the clock past the backoff of a retry.
    fn back_off(&mut self) {
        self.advance(200);
        self.run();
    }

    /// Responds to the oldest request for partition 0.
    fn answer(&mut self, code: ErrorCode, offset: i64) {
        self.client().respond(produce_response(0, code, offset));
        self.run_once();
    }

    fn in_flight(&self) -> usize {
        self.sender.client.requests().len()
    }

    /// Returns the sequences of the requests without a response, oldest first.
    fn sent_sequences(&self) -> Vec<BatchSequence> {
        let requests = self.sender.client.requests().iter();
        requests
            .flat_map(|sent| batches_of(&sent.request.body))
            .map(|(_, s, _)| s)
            .collect()
    }

    fn assert_all_memory_is_back(&self) {
        assert_eq!(self.pool.available_memory(), MEMORY);
    }
}

fn append(
    accumulator: &RecordAccumulator,
    metadata: &Metadata,
    transactions: Option<&TransactionManager>,
    partition: i32,
    value: &[u8],
    callback: Option<Callback>,
) -> Result<Sent, Error> {
    let cluster = metadata.load();
    let headers = Headers::new();
    let record = AppendRecord::new(0, None, Some(value), &headers).unwrap();
    let context = AppendContext {
        topic: cluster.topic(TOPIC).unwrap(),
        cluster: &cluster,
        patience: Patience::Never,
        abort_for_new_batch: false,
        transactions,
    };
    let mut callback = callback;
    match accumulator.append(Some(partition), &record, &mut callback, &context)? {
        AppendOutcome::Appended(Joined {
            share: result,
            index,
        }) => Ok(Sent { result, index }),
        AppendOutcome::NewBatchNeeded { .. } => unreachable!("not asked for"),
    }
}

fn ledger(setup: &Setup) -> Ledger {
    let backoff = ExponentialBackoff::new(RETRY_BACKOFF, RETRY_BACKOFF);
    let max_in_flight = setup.max_in_flight;
    match (setup.idempotent, setup.transactional) {
        (false, _) => Ledger::Plain,
        (true, false) => {
            Ledger::Idempotent(Arc::new(IdempotentProducer::new(max_in_flight, backoff)))
        }
        (true, true) => {
            let config = TransactionConfig {
                transactional_id: "transactional-id".into(),
                transaction_timeout_ms: 60_000,
            };
            let manager = TransactionManager::new(max_in_flight, backoff, config);
            Ledger::Transactional(Arc::new(manager))
        }
    }
}

fn accumulator_config(setup: &Setup) -> AccumulatorConfig {
    AccumulatorConfig {
        allocation: BufferMemoryAllocationStrategy::Full,
        batch_size: BATCH_SIZE,
        compression: Compression::new(CompressionType::None, None).unwrap(),
        linger: Duration::ZERO,
        retry_backoff: RETRY_BACKOFF,
        retry_backoff_max: RETRY_BACKOFF,
        delivery_timeout: setup.delivery_timeout,
        max_request_size: MEMORY,
        adaptive_partitioning: false,
        availability_timeout: Duration::ZERO,
        rack: None,
    }
}

/// Returns metadata of two nodes, with a topic whose partitions have these `leaders`, in order.
fn metadata_response<const N: usize>(
    leaders: [i32; N],
    leader_epoch: i32,
    topic_id: Uuid,
) -> MetadataResponse {
    let broker = |node_id| MetadataBroker {
        node_id,
        host: "localhost".to_owned(),
        port: 1969 + node_id,
        rack: None,
    };
    let partitions = (0..)
        .zip(leaders)
        .map(|(partition_index, leader_id)| MetadataPartition {
            error_code: match leader_id {
                -1 => ErrorCode::LEADER_NOT_AVAILABLE,
                _ => ErrorCode::NONE,
            },
            partition_index,
            leader_id,
            leader_epoch,
            replica_nodes: vec![0, 1],
            isr_nodes: vec![0, 1],
            offline_replicas: Vec::new(),
        });
    MetadataResponse {
        brokers: vec![broker(0), broker(1)],
        topics: vec![MetadataTopic {
            name: Some(TOPIC.into()),
            topic_id,
            partitions: partitions.collect(),
            ..MetadataTopic::default()
        }],
        ..MetadataResponse::default()
    }
}

fn init_response(code: ErrorCode, producer: ProducerIdAndEpoch) -> InitProducerIdResponse {
    InitProducerIdResponse {
        throttle_time_ms: 0,
        error_code: code,
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
    }
}

fn partition_response(index: i32, code: ErrorCode, offset: i64) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: code,
        base_offset: offset,
        log_append_time_ms: -1,
        log_start_offset: -1,
        current_leader: LeaderIdAndEpoch {
            leader_id: -1,
            leader_epoch: -1,
        },
        ..PartitionProduceResponse::default()
    }
}

fn response_of(partitions: Vec<PartitionProduceResponse>) -> ProduceResponse {
    let topic = TopicProduceResponse {
        name: TOPIC.into(),
        topic_id: TOPIC_ID,
        partitions,
    };
    ProduceResponse {
        topics: vec![topic],
        ..ProduceResponse::default()
    }
}

fn produce_response(partition: i32, code: ErrorCode, offset: i64) -> ProduceResponse {
    response_of(vec![partition_response(partition, code, offset)])
}

fn ok(partition: i32, offset: i64) -> ProduceResponse {
    produce_response(partition, ErrorCode::NONE, offset)
}

/// Returns the batches of a request: partition, sequences, and the bytes.
fn batches_of(body: &RequestBody) -> Vec<(i32, BatchSequence, Vec<u8>)> {
    let RequestBody::Produce(request) = body else {
        return Vec::new();
    };
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    partitions
        .map(|partition| {
            let bytes = partition.records.as_ref().unwrap().to_vec();
            let (batch, _) = RecordBatch::parse(&bytes).unwrap();
            let producer = ProducerIdAndEpoch {
                producer_id: batch.producer_id(),
                epoch: batch.producer_epoch(),
            };
            let sequence = BatchSequence {
                producer,
                base_sequence: batch.base_sequence(),
                record_count: u32::try_from(batch.record_count()).unwrap(),
            };
            (partition.index, sequence, bytes)
        })
        .collect()
}

fn sequence(epoch: i16, base_sequence: i32, record_count: u32) -> BatchSequence {
    let producer = ProducerIdAndEpoch { epoch, ..PRODUCER };
    BatchSequence {
        producer,
        base_sequence,
        record_count,
    }
}

const OUT_OF_ORDER: ErrorCode = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;

/// Returns a fixture with an acknowledged first batch in partition 0, so that five may be in
/// flight.
fn warm() -> Fixture {
    warm_with(Setup::default())
}

fn warm_with(setup: Setup) -> Fixture {
    let mut fixture = Fixture::idempotent_with(setup);
    let first = fixture.send(0);
    fixture.answer(ErrorCode::NONE, 0);
    assert_eq!(first.offset(), 0);
    fixture
}

fn expiring() -> Setup {
    Setup {
        delivery_timeout: Duration::from_millis(900),
        ..Setup::default()
    }
}

impl Fixture {
    /// Responds to the request of partition 0 with this base sequence.
    fn answer_sequence(&mut self, base_sequence: i32, code: ErrorCode, offset: i64) {
        let requests = self.sender.client.requests().iter();
        let mut carrying = requests.filter(|sent| {
            let batches = batches_of(&sent.request.body);
            batches
                .iter()
                .any(|(_, s, _)| s.base_sequence == base_sequence)
        });
        let id = carrying.next().expect("not in flight").correlation_id;
        self.client()
            .respond_to(id, produce_response(0, code, offset));
        self.run_once();
    }

    fn base_sequences(&self) -> Vec<i32> {
        self.sent_sequences()
            .iter()
            .map(|s| s.base_sequence)
            .collect()
    }

    /// Returns the bytes of the oldest batch in flight.
    fn bytes(&self) -> Vec<u8> {
        batches_of(&self.sender.client.requests()[0].request.body)
            .remove(0)
            .2
    }
}
