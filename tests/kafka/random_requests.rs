//! Random sequences of requests, sent to real Kafka and to the test broker. Error codes, offsets,
//! identities, and at the end the logs and the group's offsets must be equal.
//!
//! Each sequence has a seed, which a failure prints. `KAFKA_PRODUCER_SEED` is the seed of the first
//! sequence; the others have the next numbers. Without it, a short run uses the same seeds each
//! time, and a long run (`KAFKA_PRODUCER_LONG=1`) uses new ones.

mod sides;
mod steps;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use kafka_producer::ErrorCode;
use kafka_producer::testing::FakeBroker;

use self::sides::{Broker, Id, NO_NAME, Name, Outcome, Reply, Side};
use self::steps::{Call, PARTITIONS, PRODUCERS, Sequence, Step, Who, random_steps};
use crate::harness::{KafkaCluster, is_long_run, upgrade_feature};
use crate::kafka_or_skip;

const TOPIC: &str = "random";
const SEED: &str = "KAFKA_PRODUCER_SEED";
/// A producer id that no broker assigns.
const FOREIGN_ID: i64 = 1 << 40;
const MAX_DIFFERENCES: usize = 10;

/// What a run sends, and which codes must occur in it.
struct Plan {
    is_transactional: bool,
    transaction_version: i16,
    expected: &'static [ErrorCode],
}

#[test]
fn random_idempotent_requests_get_the_same_responses() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::start(1);
    cluster.admin().create_topic(TOPIC, PARTITIONS);
    run(
        &cluster,
        &Plan {
            is_transactional: false,
            transaction_version: 2,
            expected: &[
                ErrorCode::NONE,
                ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
                ErrorCode::INVALID_PRODUCER_EPOCH,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ],
        },
    );
}

#[test]
fn random_transactional_requests_get_the_same_responses() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::start_with_feature(1, "transaction.version=1");
    cluster.admin().create_topic(TOPIC, PARTITIONS);
    let plan = |transaction_version| Plan {
        is_transactional: true,
        transaction_version,
        expected: &[
            ErrorCode::NONE,
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
            ErrorCode::INVALID_PRODUCER_EPOCH,
            ErrorCode::INVALID_PRODUCER_ID_MAPPING,
            ErrorCode::INVALID_TXN_STATE,
            ErrorCode::PRODUCER_FENCED,
        ],
    };
    run(&cluster, &plan(1));
    upgrade_feature(&cluster.bootstrap_servers(), "transaction.version=2");
    run(&cluster, &plan(2));
}

fn run(cluster: &KafkaCluster, plan: &Plan) {
    let fake = FakeBroker::builder()
        .topic(TOPIC, PARTITIONS)
        .transaction_version(plan.transaction_version)
        .start()
        .unwrap();
    let (count, length) = if is_long_run() { (100, 60) } else { (8, 40) };
    let first_seed = first_seed();
    let mut differences = Vec::new();
    let mut tally = BTreeMap::new();
    let mut batch_count = 0;
    for seed in (first_seed..).take(count) {
        let name = format!("random-{}-{seed}", plan.transaction_version);
        let side = |broker| Side::new(broker, &name, plan.is_transactional);
        let (kafka, fake) = (side(Broker::Kafka(cluster)), side(Broker::Fake(&fake)));
        let mut comparison = Comparison::new(kafka, fake, seed);
        let steps = random_steps(seed, plan.is_transactional, length);
        match comparison.follow(&steps, &mut tally) {
            Ok(outcome) => batch_count += outcome.batch_count(),
            Err(difference) => differences.push(format!(
                "{SEED}={seed}, transaction.version {}: {difference}",
                plan.transaction_version
            )),
        }
        if differences.len() == MAX_DIFFERENCES {
            break;
        }
    }
    eprintln!(
        "{SEED}={first_seed}, {count} sequences, {batch_count} batches and markers: {tally:?}"
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(batch_count > count, "the logs are all but empty");
    for code in plan.expected {
        assert!(tally.contains_key(&code.code()), "never returned: {code}");
    }
}

fn first_seed() -> u64 {
    const ALWAYS: u64 = 1;
    match std::env::var(SEED) {
        Ok(seed) => seed
            .parse()
            .unwrap_or_else(|_| panic!("{SEED}={seed} is no number")),
        Err(_) if is_long_run() => u64::from(fastrand::u32(..)),
        Err(_) => ALWAYS,
    }
}

/// A batch of a Produce request.
#[derive(Clone, Copy, Debug)]
struct Written {
    sequence: i32,
    count: usize,
    /// The number of the step that wrote it.
    step: usize,
}

impl Written {
    /// After `i32::MAX` sequences continue at 0.
    fn next_sequence(self) -> i32 {
        wrapping_add(self.sequence, self.count as i32)
    }
}

fn wrapping_add(sequence: i32, count: i32) -> i32 {
    sequence.wrapping_add(count) & i32::MAX
}

/// The current and the previous identity of a producer.
#[derive(Clone, Copy)]
struct Producer {
    current: Name,
    before: Name,
}

/// Both brokers during a sequence, and their common state so far.
struct Comparison<'a> {
    kafka: Side<'a>,
    fake: Side<'a>,
    producers: [Producer; PRODUCERS],
    /// A producer id that is unknown when the sequence begins.
    foreign_id: i64,
    /// The batches that were appended to each partition, in order.
    written: HashMap<(Name, i32), Vec<Written>>,
    history: String,
}

impl<'a> Comparison<'a> {
    fn new(kafka: Side<'a>, fake: Side<'a>, seed: u64) -> Self {
        let producer = Producer {
            current: NO_NAME,
            before: NO_NAME,
        };
        Self {
            kafka,
            fake,
            producers: [producer; PRODUCERS],
            foreign_id: FOREIGN_ID + seed as i64,
            written: HashMap::new(),
            history: String::new(),
        }
    }

    /// Sends all steps to both, and compares the responses.
    fn follow(
        &mut self,
        steps: &[Step],
        tally: &mut BTreeMap<i16, usize>,
    ) -> Result<Outcome, String> {
        for (number, step) in steps.iter().enumerate() {
            if let Err(difference) = self.take(number, step, tally) {
                // Ends open transactions for the next sequence.
                self.kafka.finish(false);
                self.fake.finish(false);
                return Err(format!("{difference}\nafter\n{}", self.history));
            }
        }
        let (kafka, fake) = (self.kafka.finish(true), self.fake.finish(true));
        match kafka.difference(&fake) {
            Some(difference) => Err(format!("{difference}\nafter\n{}", self.history)),
            None => Ok(kafka),
        }
    }

    fn take(
        &mut self,
        number: usize,
        step: &Step,
        tally: &mut BTreeMap<i16, usize>,
    ) -> Result<(), String> {
        let name = self.name(step);
        let batch = self.batch(number, step, name);
        let kafka = self.kafka.take(step, name, batch);
        let fake = self.fake.take(step, name, batch);
        if kafka != fake {
            return Err(format!(
                "Kafka returns {kafka:?}, the test broker {fake:?} to {step:?} as {name:?} with {batch:?}"
            ));
        }
        writeln!(
            self.history,
            "  {step:?} as {name:?} with {batch:?}: {kafka:?}"
        )
        .unwrap();
        *tally.entry(kafka.code.code()).or_default() += 1;
        self.note(step, name, batch, &kafka);
        Ok(())
    }

    fn name(&self, step: &Step) -> Name {
        let Producer { current, before } = self.producers[step.producer];
        match step.who {
            Who::Current => current,
            Who::Before if before == NO_NAME => current,
            Who::Before => before,
            Who::After => Name {
                epoch: current.epoch + 1,
                ..current
            },
            Who::Peer => self.producers[(step.producer + 1) % PRODUCERS].current,
            Who::Foreign => Name {
                id: Id::Foreign(self.foreign_id),
                ..current
            },
        }
    }

    /// Returns the batch of a Produce request.
    fn batch(&self, number: usize, step: &Step, name: Name) -> Option<Written> {
        let Call::Produce {
            partition,
            sequence,
            count,
            ..
        } = step.call
        else {
            return None;
        };
        let known = self.written.get(&(name, partition));
        let known = known.map_or(&[][..], Vec::as_slice);
        let last = known.last();
        let next = last.map_or(0, |last| last.next_sequence());
        let batch = |sequence, count| Written {
            sequence,
            count,
            step: number,
        };
        let again = |age| known.iter().rev().nth(age).copied();
        Some(match sequence {
            Sequence::Next => batch(next, count),
            Sequence::Again(age) => again(age).unwrap_or_else(|| batch(next, count)),
            Sequence::Gap => batch(wrapping_add(next, count as i32), count),
            Sequence::Overlap => match last {
                Some(last) => batch(last.sequence, last.count + 1),
                None => batch(next, count),
            },
            Sequence::Zero => batch(0, count),
            Sequence::High => batch(i32::MAX - 1, count),
        })
    }

    /// Records what both brokers returned.
    fn note(&mut self, step: &Step, name: Name, batch: Option<Written>, reply: &Reply) {
        if !reply.code.is_none() {
            return;
        }
        if let (Call::Produce { partition, .. }, Some(batch)) = (step.call, batch) {
            let known = self.written.entry((name, partition)).or_default();
            let is_same =
                |old: &Written| (old.sequence, old.count) == (batch.sequence, batch.count);
            if !known.iter().any(is_same) {
                known.push(batch);
            }
        }
        let producer = &mut self.producers[step.producer];
        if let Some(next) = reply
            .name
            .filter(|next| *next != producer.current && !step.is_stranger)
        {
            producer.before = std::mem::replace(&mut producer.current, next);
        }
    }
}
