//! The sender against a model of two brokers, under seeded faults. After the faults the log is compared with what the
//! callers were told.
//!
//! The model keeps what the guarantees of an idempotent producer rest on: one log for each partition, the producer's state
//! in it with its last five batches (Kafka: `ProducerStateManager`), and requests of one connection handled in order.

use std::collections::VecDeque;

use super::*;

const PARTITIONS: usize = 2;
const REMEMBERED_BATCHES: usize = 5;

/// The log of a partition, by the numbers that the records carry.
#[derive(Debug, Default)]
struct Log {
    leader: i32,
    records: Vec<u64>,
    producer: Option<ProducerIdAndEpoch>,
    /// Base sequence, last sequence and base offset of the last batches.
    batches: VecDeque<(i32, i32, i64)>,
}

impl Log {
    /// Kafka: `UnifiedLog.analyzeAndValidateProducerState` and `ProducerAppendInfo.checkSequence`.
    fn append(&mut self, sequence: &BatchSequence, records: &[u64]) -> (ErrorCode, i64) {
        let span = (sequence.base_sequence, sequence.last_sequence());
        if let Some(known) = self.producer {
            assert_eq!(known.producer_id, sequence.producer.producer_id);
            if sequence.producer.epoch < known.epoch {
                return (ErrorCode::INVALID_PRODUCER_EPOCH, -1);
            }
            if sequence.producer.epoch > known.epoch {
                if sequence.base_sequence != 0 {
                    return (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
                }
                self.batches.clear();
            } else {
                if let Some(batch) = self.batches.iter().find(|b| (b.0, b.1) == span) {
                    return (ErrorCode::NONE, batch.2);
                }
                let last = self.batches.back().map_or(-1, |batch| batch.1);
                if last.wrapping_add(1) & i32::MAX != sequence.base_sequence {
                    return (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
                }
            }
        }
        let offset = i64::try_from(self.records.len()).unwrap();
        self.records.extend(records);
        self.producer = Some(sequence.producer);
        self.batches.push_back((span.0, span.1, offset));
        if self.batches.len() > REMEMBERED_BATCHES {
            self.batches.pop_front();
        }
        (ErrorCode::NONE, offset)
    }
}

struct Simulation {
    fixture: Fixture,
    random: fastrand::Rng,
    logs: [Log; PARTITIONS],
    leader_epoch: i32,
    sent: [Vec<Sent>; PARTITIONS],
    has_faults: bool,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let setup = Setup {
            max_in_flight: random.choice([1, 2, 5, 5, 5]).unwrap(),
            ..Setup::default()
        };
        Self {
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
        }
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
            8..30 => {}
            _ => self.answer_one(),
        }
        self.fixture.run_once();
        let pause = self.random.choice([0, 0, 1, 5, 20, 60, 400]).unwrap();
        self.fixture.advance(pause);
    }

    /// The brokers agree on another leader; the client hears of it now or later.
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
        let response = metadata_response(leaders, self.leader_epoch, TOPIC_ID);
        self.fixture.client().update_metadata(&response);
    }

    /// The connection to a node breaks after the broker has handled some of what is in flight on it.
    fn lose_connection(&mut self) {
        let node = self.random.i32(0..2);
        for body in self.requests_of(node) {
            if self.random.bool() {
                break;
            }
            for (partition, sequence, bytes) in batches_of(&body) {
                self.write(node, partition, &sequence, &bytes);
            }
        }
        self.fixture.client().lose(NodeId(node));
    }

    fn requests_of(&self, node: i32) -> Vec<RequestBody> {
        let requests = self.fixture.sender.client.requests().iter();
        let of_node = requests.filter(|sent| sent.request.destination == NodeId(node));
        of_node.map(|sent| sent.request.body.clone()).collect()
    }

    /// A node answers its oldest request.
    fn answer_one(&mut self) {
        let node = self.random.i32(0..2);
        let Some(body) = self.requests_of(node).into_iter().next() else {
            return;
        };
        if let RequestBody::InitProducerId(_) = body {
            let answer = init_response(ErrorCode::NONE, PRODUCER);
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
            // The leader loses its place while it waits for its followers, which have the batch.
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
        let (batch, _) = RecordBatch::parse(bytes).unwrap();
        assert!(batch.is_crc_valid());
        let records = batch.records(MEMORY).unwrap();
        let number = |value: &[u8]| u64::from_be_bytes(value[..8].try_into().unwrap());
        let numbers: Vec<_> = records
            .iter()
            .map(|r| number(r.value.as_deref().unwrap()))
            .collect();
        log.append(sequence, &numbers)
    }

    /// Heals everything and lets the producer finish.
    fn finish(&mut self) {
        self.has_faults = false;
        self.tell_leaders();
        for _ in 0..2000 {
            if self.sent.iter().flatten().all(Sent::is_done) && self.fixture.in_flight() == 0 {
                return;
            }
            self.fixture.run_once();
            self.answer_one();
            self.fixture.run_once();
            self.fixture.advance(10);
        }
        panic!("no progress after the faults: {:?}", self.fixture.manager());
    }

    /// Counts acknowledged, surely not written, and perhaps written records.
    fn check(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for (log, sent) in self.logs.iter().zip(&self.sent) {
            assert!(
                log.records.windows(2).all(|pair| pair[0] < pair[1]),
                "doubled or out of order: {:?}",
                log.records
            );
            for (number, sent) in (0_u64..).zip(sent) {
                let found = log.records.binary_search(&number);
                match sent.poll().unwrap() {
                    Ok(offset) => {
                        let at = found.unwrap_or_else(|_| panic!("acknowledged {number} is lost"));
                        let at = i64::try_from(at).unwrap();
                        assert!(
                            offset.is_none_or(|offset| offset == at),
                            "{number}: {offset:?}"
                        );
                        counts[0] += 1;
                    }
                    Err(error) if error.delivery() == Delivery::NotWritten => {
                        assert!(found.is_err(), "{number} is written: {error}");
                        counts[1] += 1;
                    }
                    Err(_) => counts[2] += 1,
                }
            }
        }
        counts
    }
}

/// B7, B9, B10, B11, B12 under every mixture that the seeds come to.
#[test]
fn the_log_agrees_with_what_callers_were_told() {
    let mut counts = [0; 3];
    for seed in 0..300 {
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
    // A run in which a kind never occurs shows nothing of it.
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}
