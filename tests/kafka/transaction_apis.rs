//! The responses of Kafka to transactional requests of each version, in and out of order. The test
//! broker must respond the same, because most tests of transactions rely on it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use kafka_producer::testing::FakeBroker;

use crate::harness::{
    Answer, Identity, KafkaCluster, NOBODY, RawOffset, RawProducer, settled, upgrade_feature,
};
use crate::kafka_or_skip;

const TOPIC: &str = "t";
const GROUP: &str = "readers";
const OFFSET: RawOffset<'_> = RawOffset {
    group: GROUP,
    topic: TOPIC,
    partition: 0,
    offset: 7,
    metadata: None,
};
/// A transaction that the test ends.
const LONG: Duration = Duration::from_secs(60);
/// Transactions that Kafka aborts, but not before the test has filled them. The second is for a
/// machine that was too slow for the first.
const BRIEF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
/// More than `transaction.max.timeout.ms`.
const TOO_LONG: Duration = Duration::from_secs(3600);
/// An epoch without a producer id.
const HALF: Identity = Identity {
    producer_id: -1,
    epoch: 0,
};

/// `add 3` is AddPartitionsToTxn v3. The word before a colon says with which identity it is sent,
/// or which batch it has.
const SCENARIOS: &[&str] = &[
    // As each version of transactions does it.
    "init 5, add 3, produce 11, commit 4, add 3, produce 11, abort 4, add 3, produce 11, commit 4",
    "init 5, produce 12, commit 5, produce 12, abort 5, produce 12, commit 5",
    "init 5, offsets 4, offset 4, commit 4, offset 5, commit 5, offset 5, abort 5",
    // Oldest versions.
    "init 0, add 0, produce 3, offsets 0, offset 0, commit 0",
    "init 1, add 1, produce 7, offsets 1, offset 2, abort 1",
    "init 2, add 2, produce 8, offsets 2, offset 3, commit 2",
    "init 4, add 3, produce 10, offsets 3, offset 3, commit 3",
    // Without the partition or the group in the transaction.
    "init 5, produce 8",
    "init 5, produce 10",
    "init 5, produce 11, abort 4",
    "init 5, offset 3",
    "init 5, offset 4",
    "init 5, offset 5, abort 4",
    // Nothing to end.
    "init 5, commit 4",
    "init 5, abort 4",
    "init 5, commit 5",
    "init 5, abort 5, abort 5, produce 12, commit 5",
    // Ended again, or the other way.
    "init 5, add 3, commit 4, commit 4, abort 4, commit 3, abort 3",
    "init 5, add 3, abort 4, abort 4, commit 4",
    "init 5, produce 12, commit 5, before: commit 5, before: abort 5, commit 5",
    "init 5, produce 12, abort 5, before: abort 5, before: commit 5, abort 5",
    "init 5, produce 12, commit 5, before: commit 4, before: produce 12, before: offset 5",
    "init 5, produce 12, commit 5, produce 12, before: commit 5, before: abort 5, commit 5",
    // Ended as in the other version.
    "init 5, produce 12, commit 4, produce 12, abort 4, produce 12, commit 5",
    "init 5, add 3, produce 11, commit 5, add 3, produce 11, abort 5, produce 11",
    "init 5, add 3, produce 11, commit 4, produce 11",
    "init 5, add 3, produce 10, commit 4, produce 10",
    "init 5, add 3, produce 12, commit 5, produce 11",
    // The epoch before.
    "init 5, init 5, before: add 0, before: add 1, before: add 2, before: add 3",
    "init 5, init 5, before: offsets 0, before: offsets 1, before: offsets 2, before: offsets 3, before: offsets 4",
    "init 5, init 5, before: commit 0, before: commit 1, before: commit 2, before: commit 4, before: commit 5, before: abort 5",
    "init 5, init 5, before: produce 8, before: produce 10, before: produce 11, before: produce 12",
    "init 5, init 5, before: offset 2, before: offset 3, before: offset 4, before: offset 5",
    "init 5, add 3, produce 11, init 5, before: produce 11, before: commit 4",
    "init 5, produce 12, init 5, before: produce 12, before: commit 5",
    // An epoch that was never assigned.
    "init 5, after: add 3, after: offsets 4, after: commit 4, after: commit 5, after: abort 5",
    "init 5, after: produce 10, after: produce 11, after: produce 12",
    // Another producer's id.
    "init 5, other: add 3, other: offsets 4, other: commit 4, other: commit 5, other: abort 5",
    "init 5, other: produce 10, other: produce 11, other: produce 12",
    "init 5, other: offset 3, other: offset 4, other: offset 5",
    // A transactional id that does not exist.
    "init 5, unknown: add 3, unknown: offsets 4, unknown: commit 4, unknown: commit 5",
    "init 5, unknown: produce 10, unknown: produce 11, unknown: produce 12",
    "init 5, unknown: offset 3, unknown: offset 4, unknown: offset 5",
    // A bump (KIP-360).
    "init 5, bump 3, bump 4, bump 5, before: bump 5, before: bump 3",
    "init 5, init 5, before: bump 3, before: bump 4, before: bump 5",
    "init 5, after: bump 3, after: bump 4, other: bump 3, other: bump 4",
    "init 5, add 3, produce 11, bump 4, add 3, produce 11, commit 4, bump 5",
    "init 5, produce 12, bump 5, produce 12, commit 5, bump 5",
    "init 5, produce 12, commit 5, before: bump 5",
    // Batches that are repeated, or out of order.
    "init 5, add 3, produce 11, again: produce 11, produce 11, commit 4, add 3, produce 11, again: produce 11, commit 4",
    "init 5, produce 12, again: produce 12, produce 12, commit 5, before: produce 12, produce 12, again: produce 12, abort 5",
    "init 5, gap: produce 12, produce 12, gap: produce 12, commit 5, gap: produce 12, abort 5",
    "init 5, add 3, gap: produce 11, commit 4, add 3, gap: produce 11, produce 11, commit 4",
    // What does not exist, or is not allowed.
    "half 5, too-long 5, init 5, too-long 5, half 5",
    "init 5, add-unknown 3, add-both 3, commit 4",
];

/// Transactions that are aborted by their timeout. They wait for it together.
const EXPIRING: &[&str] = &[
    "brief 5, add 3, produce 11, expire, commit 4, abort 4, produce 11, add 3",
    "brief 5, add 3, produce 11, expire, bump 4, add 3, produce 11, commit 4",
    "brief 5, produce 12, expire, commit 5, produce 12, abort 5, produce 12, commit 5",
    "brief 5, produce 12, expire, produce 12, offset 5, bump 5, produce 12, commit 5",
];

#[test]
fn the_test_broker_answers_as_kafka_does() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::start_with_feature(1, "transaction.version=1");
    cluster.admin().create_topic(TOPIC, 1);
    let servers = cluster.bootstrap_servers();
    let mut differences = differences(&servers, 1);
    upgrade_feature(&servers, "transaction.version=2");
    differences.extend(self::differences(&servers, 2));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn differences(kafka: &str, version: i16) -> Vec<String> {
    let [brief, less_brief] = BRIEF;
    // One after the other: a broker that asks the coordinator about writes of several versions at
    // once takes them all to be of one.
    let alone = SCENARIOS.iter().map(std::slice::from_ref);
    let mut all: Vec<_> = alone
        .flat_map(|scenario| differences_in(kafka, version, scenario, brief))
        .collect();
    let mut expiring = differences_in(kafka, version, EXPIRING, brief);
    if !expiring.is_empty() {
        expiring = differences_in(kafka, version, EXPIRING, less_brief);
    }
    all.append(&mut expiring);
    all
}

/// Follows the scenarios side by side.
fn differences_in(kafka: &str, version: i16, scenarios: &[&str], brief: Duration) -> Vec<String> {
    let start_fake = || {
        FakeBroker::builder()
            .topic(TOPIC, 1)
            .transaction_version(version)
            .start()
    };
    let fakes: Vec<_> = scenarios.iter().map(|_| start_fake().unwrap()).collect();
    let asking = |server: &str, fake| Asking::new(server, fake, brief);
    let at_fake = fakes
        .iter()
        .map(|fake| asking(&fake.bootstrap_servers(), Some(fake)));
    let at_fake = follow(at_fake, scenarios);
    let at_kafka = follow(scenarios.iter().map(|_| asking(kafka, None)), scenarios);
    let compared = scenarios.iter().zip(at_kafka.into_iter().zip(at_fake));
    let different = compared.filter_map(|(scenario, (at_kafka, at_fake))| {
        let mut answers = scenario.split(", ").zip(at_kafka.into_iter().zip(at_fake));
        let (step, (kafka, fake)) = answers.find(|(_, (kafka, fake))| kafka != fake)?;
        Some(format!(
            "version {version}, '{scenario}': to {step} Kafka answers {kafka}, the test broker {fake}"
        ))
    });
    different.collect()
}

/// What is answered to each step of each scenario; all take their first steps, then their second.
fn follow<'a>(askings: impl Iterator<Item = Asking<'a>>, scenarios: &[&str]) -> Vec<Vec<String>> {
    let mut askings: Vec<_> = askings.collect();
    let mut answers = vec![Vec::new(); askings.len()];
    let longest = scenarios
        .iter()
        .map(|scenario| scenario.split(", ").count());
    for number in 0..longest.max().unwrap_or_default() {
        let all = askings.iter_mut().zip(&mut answers);
        for (scenario, (asking, answers)) in scenarios.iter().zip(all) {
            let step = scenario.split(", ").nth(number);
            answers.extend(step.map(|step| asking.step(step)));
        }
    }
    answers
}

/// A producer in the course of a scenario.
struct Asking<'a> {
    producer: RawProducer,
    /// `None` for Kafka.
    fake: Option<&'a FakeBroker>,
    current: Identity,
    /// What it was before.
    before: Identity,
    sequence: i32,
    /// The timeout of a brief transaction.
    brief: Duration,
}

impl<'a> Asking<'a> {
    fn new(server: &str, fake: Option<&'a FakeBroker>, brief: Duration) -> Self {
        let address: SocketAddr = server.parse().unwrap();
        let id = format!("id-{:x}", fastrand::u64(..));
        Self {
            producer: RawProducer::new(address, &id),
            fake,
            current: NOBODY,
            before: NOBODY,
            sequence: 0,
            brief,
        }
    }

    fn step(&mut self, step: &str) -> String {
        let (who, request) = step.split_once(": ").unwrap_or(("", step));
        let (what, version) = request.split_once(' ').unwrap_or((request, "0"));
        if what == "expire" {
            self.expire();
            return String::new();
        }
        let version: i16 = version.parse().unwrap();
        let (code, next) = settled(|| self.ask(who, what, version));
        let mut text = code.to_string();
        if let Some(next) = next {
            self.describe(&mut text, next);
        }
        if code.is_none() {
            if what == "produce" && who.is_empty() {
                self.sequence += 1;
            }
            if let Some(next) = next.filter(|next| *next != self.current) {
                self.before = std::mem::replace(&mut self.current, next);
                self.sequence = 0;
            }
            if matches!(what, "commit" | "abort") {
                self.await_complete();
            }
        }
        text
    }

    fn ask(&self, who: &str, what: &str, version: i16) -> Answer {
        let unknown = self.producer.named("nobody");
        let (producer, sequence) = match who {
            "" => (&self.producer, self.sequence),
            "again" => (&self.producer, self.sequence - 1),
            "gap" => (&self.producer, self.sequence + 3),
            "unknown" => (&unknown, 0),
            _ => (&self.producer, 0),
        };
        let identity = self.identity(who);
        match what {
            "init" => producer.init(version, NOBODY, LONG),
            "brief" => producer.init(version, NOBODY, self.brief),
            "too-long" => producer.init(version, NOBODY, TOO_LONG),
            "half" => producer.init(version, HALF, LONG),
            "bump" => producer.init(version, identity, LONG),
            "add" => producer.add_partitions(version, identity, (TOPIC, &[0])),
            "add-unknown" => producer.add_partitions(version, identity, (TOPIC, &[9])),
            "add-both" => producer.add_partitions(version, identity, (TOPIC, &[0, 9])),
            "offsets" => producer.add_offsets(version, identity, GROUP),
            "offset" => producer.commit_offset(version, identity, OFFSET),
            "produce" => producer.produce(version, identity, (TOPIC, sequence)),
            "commit" => producer.end(version, identity, true),
            "abort" => producer.end(version, identity, false),
            _ => panic!("no such request: {what}"),
        }
    }

    /// The markers of the test broker are written when it answers, those of Kafka later.
    fn await_complete(&self) {
        if self.fake.is_none() {
            self.producer.await_complete();
        }
    }

    fn expire(&self) {
        match self.fake {
            Some(fake) => drop(fake.expire_transactions()),
            None => self.producer.await_complete(),
        }
    }

    fn identity(&self, who: &str) -> Identity {
        let (current, mut identity) = (self.current, self.current);
        match who {
            "before" => identity = self.before,
            "after" => identity.epoch = current.epoch + 1,
            "other" => identity.producer_id = current.producer_id + 1_000_000,
            _ => {}
        }
        identity
    }

    /// Ids differ from run to run.
    fn describe(&self, text: &mut String, next: Identity) {
        let id = match next.producer_id {
            -1 => "no",
            id if id == self.current.producer_id => "the same",
            _ => "a new",
        };
        write!(text, ", {id} id, epoch {}", next.epoch).unwrap();
    }
}
