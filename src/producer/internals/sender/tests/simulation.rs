//! Runs the sender against a model of two brokers with random faults. Afterwards compares the log
//! with the outcomes that the callers received.
//!
//! The model keeps what the guarantees of an idempotent producer depend on: one log per partition,
//! the producers' state with their last five batches (Kafka: `ProducerStateManager`), and the order
//! of requests on one connection.
//!
//! It removes everything else:
//! - A partition may forget its producers at any time, and then accepts any sequence. A broker
//!   compares its clock with the timestamps of the last batch (`producer.id.expiration.ms`), so it
//!   also forgets a busy producer with old records. It does not forget in two cases, which no
//!   client can detect:
//!   - while its log has a record that the producer may send again, which would duplicate it,
//!   - while a record is in doubt that later ones have overtaken. Finding out means sending it
//!     again, and a broker that has forgotten responds by appending it. This would take two losses
//!     within the life of one batch. A broker looks for expired producers every ten minutes
//!     (`producer.id.expiration.check.interval.ms`), and a batch lives for two.
//! - The requests of a lost connection are handled late, after the retries, unless the partition
//!   has forgotten its producers since.
//! - Another cluster responds at the same addresses, with other logs, in which another producer has
//!   the same id.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::*;

const PARTITIONS: usize = 2;
const REMEMBERED_BATCHES: usize = 5;

/// A partition's state of a producer.
#[derive(Debug, Default)]
struct ProducerState {
    epoch: i16,
    /// The base sequence, last sequence and base offset of the last batches.
    batches: VecDeque<(i32, i32, i64)>,
}

impl ProducerState {
    /// Checks a sequence as Kafka's `UnifiedLog.analyzeAndValidateProducerState` and
    /// `ProducerAppendInfo.checkSequence` do. Returns the offset of a duplicate.
    fn check(&mut self, sequence: &BatchSequence) -> Result<Option<i64>, ErrorCode> {
        let span = (sequence.base_sequence, sequence.last_sequence());
        if sequence.producer.epoch < self.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if sequence.producer.epoch > self.epoch {
            if sequence.base_sequence != 0 {
                return Err(OUT_OF_ORDER);
            }
            self.epoch = sequence.producer.epoch;
            self.batches.clear();
            return Ok(None);
        }
        if let Some(batch) = self.batches.iter().find(|b| (b.0, b.1) == span) {
            return Ok(Some(batch.2));
        }
        let last = self.batches.back().map_or(-1, |batch| batch.1);
        if last.wrapping_add(1) & i32::MAX != sequence.base_sequence {
            return Err(OUT_OF_ORDER);
        }
        Ok(None)
    }
}

/// The log of a partition: the numbers in the records.
#[derive(Debug, Default)]
struct Log {
    leader: i32,
    records: Vec<u64>,
    producers: HashMap<i64, ProducerState>,
}

impl Log {
    fn append(&mut self, sequence: &BatchSequence, records: &[u64]) -> (ErrorCode, i64) {
        let producer = sequence.producer;
        if let Some(state) = self.producers.get_mut(&producer.producer_id) {
            match state.check(sequence) {
                Ok(None) => {}
                Ok(Some(offset)) => return (ErrorCode::NONE, offset),
                Err(code) => return (code, -1),
            }
        }
        let offset = i64::try_from(self.records.len()).unwrap();
        self.records.extend(records);
        let fresh = || ProducerState {
            epoch: producer.epoch,
            ..ProducerState::default()
        };
        let state = self
            .producers
            .entry(producer.producer_id)
            .or_insert_with(fresh);
        let (first, last) = (sequence.base_sequence, sequence.last_sequence());
        state.batches.push_back((first, last, offset));
        if state.batches.len() > REMEMBERED_BATCHES {
            state.batches.pop_front();
        }
        (ErrorCode::NONE, offset)
    }

    /// Returns the log of another cluster, in which another producer with this id has written
    /// batches of one record each.
    fn of_another_producer(leader: i32, producer: ProducerIdAndEpoch, batches: i32) -> Self {
        let mut log = Self {
            leader,
            ..Self::default()
        };
        for base_sequence in 0..batches {
            let sequence = BatchSequence {
                producer,
                base_sequence,
                record_count: 1,
            };
            log.append(&sequence, &[]);
        }
        log
    }
}

/// Returns the numbers in the records of a batch.
fn numbers_of(bytes: &[u8]) -> Vec<u64> {
    let (batch, _) = RecordBatch::parse(bytes).unwrap();
    assert!(batch.is_crc_valid());
    let records = batch.records(MEMORY).unwrap();
    let number = |value: &[u8]| u64::from_be_bytes(value[..8].try_into().unwrap());
    records
        .iter()
        .map(|record| number(record.value.as_deref().unwrap()))
        .collect()
}

/// A batch of a request whose connection is lost, but which the broker has read.
struct LateWrite {
    node: i32,
    partition: i32,
    sequence: BatchSequence,
    bytes: Vec<u8>,
}

struct Simulation {
    fixture: Fixture,
    random: fastrand::Rng,
    logs: [Log; PARTITIONS],
    leader_epoch: i32,
    sent: [Vec<Sent>; PARTITIONS],
    has_faults: bool,
    late: VecDeque<LateWrite>,
    /// The number of the cluster, and the logs of earlier ones.
    cluster: i64,
    old_logs: Vec<[Log; PARTITIONS]>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let setup = Setup {
            max_in_flight: random.choice([1, 2, 5, 5, 5]).unwrap(),
            ..Setup::default()
        };
        let mut simulation = Self {
            fixture: Fixture::idempotent_with(setup),
            random,
            logs: [
                Log::default(),
                Log {
                    leader: 1,
                    ..Log::default()
                },
            ],
            leader_epoch: 0,
            sent: [const { Vec::new() }; PARTITIONS],
            has_faults: true,
            late: VecDeque::new(),
            cluster: 0,
            old_logs: Vec::new(),
        };
        simulation.tell_leaders();
        simulation
    }

    fn step(&mut self) {
        for _ in 0..self.random.usize(..4) {
            let partition = self.random.usize(..PARTITIONS);
            let number = u64::try_from(self.sent[partition].len()).unwrap();
            let mut value = number.to_be_bytes().to_vec();
            value.resize(self.random.usize(8..200), 0);
            let index = i32::try_from(partition).unwrap();
            self.sent[partition].push(self.fixture.append_value(index, &value));
        }
        self.fixture.run_once();
        match self.random.u32(..100) {
            0..4 => self.move_leader(),
            4..8 => self.lose_connection(),
            8..11 => self.forget_producers(),
            11..17 => self.handle_late_writes(),
            17 => self.change_cluster(),
            18..30 => {}
            _ => self.answer_one(),
        }
        self.fixture.run_once();
        let pause = self.random.choice([0, 0, 1, 5, 20, 60, 400]).unwrap();
        self.fixture.advance(pause);
    }

    /// Moves a leader. The client learns of it now or later.
    fn move_leader(&mut self) {
        let partition = self.random.usize(..PARTITIONS);
        self.logs[partition].leader ^= 1;
        self.leader_epoch += 1;
        if self.random.bool() {
            self.tell_leaders();
        }
    }

    fn tell_leaders(&mut self) {
        let leaders = [self.logs[0].leader, self.logs[1].leader];
        let response = MetadataResponse {
            cluster_id: Some(self.cluster.to_string()),
            ..metadata_response(leaders, self.leader_epoch, TOPIC_ID)
        };
        self.fixture.client().update_metadata(&response);
    }

    /// Breaks the connection to a node after the broker has handled some of the requests in flight.
    /// It may handle the rest later.
    fn lose_connection(&mut self) {
        let node = self.random.i32(0..2);
        let is_late = self.random.bool();
        let mut is_read = true;
        for body in self.requests_of(node) {
            is_read &= self.random.bool();
            for (partition, sequence, bytes) in batches_of(&body) {
                if is_read {
                    self.write(node, partition, &sequence, &bytes);
                } else if is_late {
                    self.late.push_back(LateWrite {
                        node,
                        partition,
                        sequence,
                        bytes,
                    });
                }
            }
        }
        self.fixture.client().lose(NodeId(node));
    }

    /// Handles late requests in the order in which they were sent.
    fn handle_late_writes(&mut self) {
        while let Some(late) = self.late.pop_front() {
            self.write(late.node, late.partition, &late.sequence, &late.bytes);
            if self.random.u32(..4) == 0 {
                break;
            }
        }
    }

    /// Simulates retention, or an expiration that the producer cannot know of.
    fn forget_producers(&mut self) {
        let partition = self.random.usize(..PARTITIONS);
        let index = i32::try_from(partition).unwrap();
        let requests = [0, 1].map(|node| self.requests_of(node)).concat();
        let mut in_flight = requests.iter().flat_map(batches_of);
        let (log, sent) = (&mut self.logs[partition], &self.sent[partition]);
        let is_settled = |number: &u64| sent[usize::try_from(*number).unwrap()].is_done();
        let is_in_log = |bytes: &[u8]| numbers_of(bytes).iter().any(|n| log.records.contains(n));
        // A repeated batch would then be in the log twice, whatever the client does.
        let is_repeated = in_flight.any(|batch| batch.0 == index && is_in_log(&batch.2));
        let is_overtaken = |number: &u64| log.records.iter().any(|other| other > number);
        let is_in_doubt = |number: &u64, sent: &Sent| {
            sent.result.is_in_doubt(sent.index) && !sent.is_done() && !log.records.contains(number)
        };
        // A batch that is sent again to learn its outcome would then be in the log behind later
        // records.
        let is_asked_for = (0..)
            .zip(sent)
            .any(|(number, sent)| is_overtaken(&number) && is_in_doubt(&number, sent));
        if !is_repeated && !is_asked_for && log.records.iter().all(is_settled) {
            log.producers.clear();
            self.late.retain(|late| late.partition != index);
        }
    }

    /// Makes the addresses lead to another cluster. The client requests metadata before it sends
    /// anything there.
    fn change_cluster(&mut self) {
        if self.random.u32(..4) != 0 {
            return;
        }
        let known = self.producer();
        self.cluster += 1;
        let batches = self.random.i32(1..6);
        let logs = [0, 1].map(|leader| Log::of_another_producer(leader, known, batches));
        let old = std::mem::replace(&mut self.logs, logs);
        self.old_logs.push(old);
        self.late.clear();
        for node in [NodeId(0), NodeId(1)] {
            self.fixture.client().lose(node);
        }
        self.tell_leaders();
    }

    /// Returns the id that the cluster assigns. The first id of a cluster is in use in the next
    /// one.
    fn producer(&self) -> ProducerIdAndEpoch {
        ProducerIdAndEpoch {
            producer_id: PRODUCER.producer_id + self.cluster,
            ..PRODUCER
        }
    }

    fn requests_of(&self, node: i32) -> Vec<RequestBody> {
        let requests = self.fixture.sender.client.requests().iter();
        let of_node = requests.filter(|sent| sent.request.destination == NodeId(node));
        of_node.map(|sent| sent.request.body.clone()).collect()
    }

    /// Lets a node respond to its oldest request.
    fn answer_one(&mut self) {
        let node = self.random.i32(0..2);
        let Some(body) = self.requests_of(node).into_iter().next() else {
            return;
        };
        if let RequestBody::InitProducerId(_) = body {
            let answer = init_response(ErrorCode::NONE, self.producer());
            return self.fixture.client().respond_from(NodeId(node), answer);
        }
        let mut answers = Vec::new();
        for (partition, sequence, bytes) in batches_of(&body) {
            let (code, offset) = self.handle(node, partition, &sequence, &bytes);
            if !(self.has_faults && self.random.u32(..200) == 0) {
                answers.push(partition_response(partition, code, offset));
            }
        }
        self.fixture
            .client()
            .respond_from(NodeId(node), response_of(answers));
    }

    fn handle(
        &mut self,
        node: i32,
        partition: i32,
        sequence: &BatchSequence,
        bytes: &[u8],
    ) -> (ErrorCode, i64) {
        let dice = if self.has_faults {
            self.random.u32(..100)
        } else {
            99
        };
        let refusal = match dice {
            0..3 => ErrorCode::NOT_ENOUGH_REPLICAS,
            3..5 => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            5..7 => ErrorCode::INVALID_RECORD,
            7..10 => ErrorCode::MESSAGE_TOO_LARGE,
            _ => ErrorCode::NONE,
        };
        if !refusal.is_none() {
            return (refusal, -1);
        }
        let written = self.write(node, partition, sequence, bytes);
        match dice {
            10..13 if written.0.is_none() => (ErrorCode::REQUEST_TIMED_OUT, -1),
            13..15 if written.0.is_none() => (ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, -1),
            15..16 if written.0.is_none() => (ErrorCode::UNKNOWN_SERVER_ERROR, -1),
            // The leader is replaced while it waits for its followers, which have the batch.
            16..20 if written.0.is_none() => {
                self.logs[usize::try_from(partition).unwrap()].leader ^= 1;
                self.leader_epoch += 1;
                (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1)
            }
            _ => written,
        }
    }

    fn write(
        &mut self,
        node: i32,
        partition: i32,
        sequence: &BatchSequence,
        bytes: &[u8],
    ) -> (ErrorCode, i64) {
        let log = &mut self.logs[usize::try_from(partition).unwrap()];
        if log.leader != node {
            return (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
        }
        log.append(sequence, &numbers_of(bytes))
    }

    /// Removes all faults and lets the producer finish.
    fn finish(&mut self) {
        self.has_faults = false;
        self.tell_leaders();
        for _ in 0..2000 {
            if self.sent.iter().flatten().all(Sent::is_done) && self.fixture.in_flight() == 0 {
                while !self.late.is_empty() {
                    self.handle_late_writes();
                }
                return;
            }
            self.fixture.run_once();
            self.answer_one();
            if self.random.u32(..10) == 0 {
                self.handle_late_writes();
            }
            self.fixture.run_once();
            self.fixture.advance(10);
        }
        panic!("no progress after the faults: {:?}", self.fixture.ledger);
    }

    /// Counts acknowledged, not written, and possibly written records.
    fn check(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for (partition, sent) in self.sent.iter().enumerate() {
            let clusters = self.old_logs.iter().chain([&self.logs]);
            let logs: Vec<_> = clusters.map(|logs| &logs[partition].records).collect();
            for log in &logs {
                assert!(
                    log.windows(2).all(|pair| pair[0] < pair[1]),
                    "doubled or out of order: {log:?}"
                );
            }
            for (number, sent) in (0_u64..).zip(sent) {
                let places: Vec<_> = logs
                    .iter()
                    .filter_map(|log| log.binary_search(&number).ok())
                    .collect();
                match sent.poll().unwrap() {
                    Ok(offset) => {
                        assert_eq!(places.len(), 1, "acknowledged {number}: {places:?}");
                        let at = i64::try_from(places[0]).unwrap();
                        assert!(
                            offset.is_none_or(|offset| offset == at),
                            "{number}: {offset:?}"
                        );
                        counts[0] += 1;
                    }
                    Err(error) if error.delivery() == Delivery::NotWritten => {
                        assert!(places.is_empty(), "{number} is written: {error}");
                        counts[1] += 1;
                    }
                    Err(_) => counts[2] += 1,
                }
            }
        }
        counts
    }
}

/// Seeds below 4000 that once wrote records out of order.
const FORMER_FAILURES: [u64; 13] = [
    321, 381, 1093, 1161, 1174, 1220, 1372, 1935, 2075, 3123, 3414, 3666, 3945,
];

/// Runs every mixture of faults that the seeds produce, and checks order, sequences, epoch bumps,
/// doubtful batches and the bytes of retries.
#[test]
fn the_log_agrees_with_what_callers_were_told() {
    let mut counts = [0; 3];
    for seed in (0..300).chain(FORMER_FAILURES) {
        let outcome = catch_unwind(|| {
            let mut simulation = Simulation::new(seed);
            for _ in 0..150 {
                simulation.step();
            }
            simulation.finish();
            simulation.fixture.assert_all_memory_is_back();
            assert!(!simulation.fixture.accumulator.has_incomplete());
            simulation.check()
        });
        let outcome = outcome.unwrap_or_else(|_| panic!("seed {seed}"));
        counts = [0, 1, 2].map(|kind| counts[kind] + outcome[kind]);
    }
    // Without any occurrence of an outcome the run would prove nothing about it.
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}
