//! Transactions while nodes and their client are killed: none is partial, lost or duplicated.
//!
//! The client is a process of its own, which `kill -9` ends at any point. The next client takes
//! over with the same transactional id. Only the client's output says what is known of its
//! transactions.
//!
//! `KAFKA_PRODUCER_LONG=1` runs the full length: a node is killed every 10 s, the client every 30 s.

#![allow(
    clippy::print_stdout,
    reason = "the client's process tells the test what it does"
)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::{KafkaProducer, ProducerRecord};

use crate::harness::{
    ConsoleConsumer, KafkaCluster, SetOnDrop, TestProcess, is_long_run, wait_until,
};
use crate::kafka_or_skip;

const PARTITIONS: i32 = 6;
/// The number of records in a transaction.
const RECORDS: u64 = 500;
/// After this many transactions the client closes its producer without waiting, during a
/// transaction.
const LIFE: u64 = 20;
/// The limit for a few transactions while a node is down.
const PROGRESS_LIMIT: Duration = Duration::from_secs(120);
/// Tells the client's process what to do, as [`Orders`].
const ORDERS: &str = "KAFKA_PRODUCER_TEST_CLIENT";

#[test]
fn transactions_are_whole_while_nodes_and_the_client_are_killed() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    Run::new("whole-2").under_faults(&cluster);
    cluster.admin().delete_topic("whole-2");
}

#[test]
fn transactions_of_version_1_are_whole_while_nodes_and_the_client_are_killed() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease_of_version_1();
    Run::new("whole-1").under_faults(&cluster);
    cluster.admin().delete_topic("whole-1");
}

/// The client of these tests, which start it as a process and kill it.
#[test]
#[ignore = "run by the tests beside it"]
fn client_process() {
    if let Ok(orders) = std::env::var(ORDERS) {
        Orders::parse(&orders).unwrap().follow();
    }
}

/// What is known of a transaction after its client has ended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum End {
    Committed,
    Aborted,
    /// The client was killed during the commit.
    Unknown,
}

/// A line of the client's output: `ends 17`. The first line of a transaction says that it begins.
#[derive(Copy, Clone, Debug)]
enum Said {
    Begins(u64),
    /// It is about to commit or abort.
    Ends(u64),
    Ended(u64, End),
}

impl Said {
    /// Returns `None` for output of the test framework.
    fn parse(line: &str) -> Option<Self> {
        let (word, number) = line.split_once(' ')?;
        let number = number.parse().ok()?;
        match word {
            "begins" => Some(Self::Begins(number)),
            "ends" => Some(Self::Ends(number)),
            "committed" => Some(Self::Ended(number, End::Committed)),
            "aborted" => Some(Self::Ended(number, End::Aborted)),
            "unknown" => Some(Self::Ended(number, End::Unknown)),
            _ => None,
        }
    }

    fn transaction(self) -> u64 {
        match self {
            Self::Begins(number) | Self::Ends(number) | Self::Ended(number, _) => number,
        }
    }
}

/// Returns whether the transaction is to be aborted: every third.
fn is_to_abort(transaction: u64) -> bool {
    transaction % 3 == 0
}

/// How many faults happen, and how often.
#[derive(Debug)]
struct Run<'a> {
    topic: &'a str,
    transactions: u64,
    node_kills: usize,
    node_period: Duration,
    client_kills: usize,
    client_period: Duration,
    /// The time from the begin of a transaction to the next one, if nothing delays it.
    pace: Duration,
    ended: AtomicU64,
    is_over: AtomicBool,
}

impl<'a> Run<'a> {
    fn new(topic: &'a str) -> Self {
        let (transactions, kills, periods, pace) = if is_long_run() {
            (200, (12, 4), (10_000, 30_000), 300)
        } else {
            (30, (2, 3), (1000, 2000), 100)
        };
        Self {
            topic,
            transactions,
            node_kills: kills.0,
            node_period: Duration::from_millis(periods.0),
            client_kills: kills.1,
            client_period: Duration::from_millis(periods.1),
            pace: Duration::from_millis(pace),
            ended: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    fn under_faults(&self, cluster: &KafkaCluster) {
        let started = Instant::now();
        let admin = cluster.admin();
        admin.create_topic(self.topic, PARTITIONS);
        let servers = cluster.bootstrap_servers();
        let (ends, client_kills) = thread::scope(|scope| {
            let clients = scope.spawn(|| self.clients(&servers));
            // Also if it panics, because the scope waits for the clients.
            let over = SetOnDrop(&self.is_over);
            self.kill_nodes(cluster);
            drop(over);
            clients.join().unwrap()
        });
        let elapsed = started.elapsed();
        // No transaction stays open: the last stable offset is the end of each partition.
        admin.await_stable(self.topic);
        self.check(&servers, &ends, &admin.end_offsets(self.topic));
        let count = |wanted| ends.iter().filter(|end| **end == wanted).count();
        eprintln!(
            "{}: {} transactions in {elapsed:.0?}, {} committed, {} aborted, {} unknown; \
             {} nodes and {client_kills} clients killed",
            self.topic,
            ends.len(),
            count(End::Committed),
            count(End::Aborted),
            count(End::Unknown),
            self.node_kills,
        );
    }

    fn kill_nodes(&self, cluster: &KafkaCluster) {
        let nodes = cluster.node_ids().into_iter().cycle();
        for node in nodes.take(self.node_kills) {
            let started = Instant::now();
            self.await_ended(2);
            cluster.kill(node);
            self.await_ended(3);
            cluster.restart(node);
            for topic in [self.topic, "__transaction_state"] {
                cluster.admin().await_in_sync(topic);
            }
            thread::sleep(self.node_period.saturating_sub(started.elapsed()));
        }
    }

    fn await_ended(&self, more: u64) {
        let goal = self.ended.load(Ordering::Relaxed) + more;
        wait_until("end of transactions", PROGRESS_LIMIT, || {
            (self.ended.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    /// Runs one client after another until all faults are over, and commits the last transaction.
    /// Returns what is known of each transaction, and the number of killed clients.
    fn clients(&self, servers: &str) -> (Vec<End>, usize) {
        let mut ends = Vec::new();
        let mut kills = 0;
        while kills < self.client_kills
            || (ends.len() as u64) < self.transactions
            || !self.is_over.load(Ordering::Relaxed)
        {
            self.live_and_die(servers, &mut ends, kills % 2 == 0);
            kills += 1;
        }
        let orders = Orders {
            servers: servers.to_owned(),
            topic: self.topic.to_owned(),
            first: ends.len() as u64,
            pace: self.pace,
        };
        let producer = orders.producer();
        producer.begin_transaction().unwrap();
        orders.send_all(&producer, orders.first);
        producer.commit_transaction().unwrap();
        ends.push(End::Committed);
        (ends, kills)
    }

    /// Runs a client for some time, or until its next commit if `while_committing`, and kills it.
    fn live_and_die(&self, servers: &str, ends: &mut Vec<End>, while_committing: bool) {
        let first = ends.len();
        let orders = format!("{servers} {} {first} {}", self.topic, self.pace.as_millis());
        let client = "transactions_under_faults::client_process";
        let process = TestProcess::start(client, &[(ORDERS, &orders)]);
        let mut last = None;
        let mut hear = |line: &str| {
            if let Some(said) = Said::parse(line) {
                assert_eq!(said.transaction(), ends.len() as u64, "one after the other");
                if let Said::Ended(_, end) = said {
                    ends.push(end);
                    self.ended.fetch_add(1, Ordering::Relaxed);
                }
                last = Some(said);
            }
            last
        };

        let started = Instant::now();
        while let Some(left) = self.client_period.checked_sub(started.elapsed()) {
            process.line(left).map(|line| hear(&line));
        }
        let is_committing = |said| matches!(said, Some(Said::Ends(number)) if !is_to_abort(number));
        if while_committing {
            while !is_committing(hear(&process.line(PROGRESS_LIMIT).unwrap())) {}
        }
        thread::sleep(Duration::from_millis(fastrand::u64(0..8)));
        let rest = process.kill();
        for line in &rest {
            hear(line);
        }
        match last {
            said if is_committing(said) => ends.push(End::Unknown),
            // It had not announced the commit, so it has not committed.
            Some(Said::Begins(_) | Said::Ends(_)) => ends.push(End::Aborted),
            Some(Said::Ended(..)) | None => {}
        }
    }

    fn check(&self, servers: &str, ends: &[End], end_offsets: &[i64]) {
        let possible = ends.iter().filter(|end| **end != End::Aborted).count() as u64;
        let mut seen = BTreeMap::<u64, u64>::new();
        let mut last = BTreeMap::<i32, (u64, u64)>::new();
        let mut next_offsets = vec![0; PARTITIONS as usize];
        let consumer = ConsoleConsumer::new(servers.to_owned(), self.topic).read_committed();
        consumer.read_until(possible * RECORDS, |record| {
            let value = String::from_utf8(record.value.unwrap()).unwrap();
            let (transaction, number) = value.split_once(' ').unwrap();
            let place: (u64, u64) = (transaction.parse().unwrap(), number.parse().unwrap());
            // Neither a duplicate nor out of order.
            let before = last.insert(record.partition, place);
            assert!(before < Some(place), "{before:?} before {place:?}");
            next_offsets[record.partition as usize] = record.offset + 1;
            let records = seen.entry(place.0).or_default();
            *records += 1;
            match place.0 as usize == ends.len() - 1 && *records == RECORDS {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        // After the last transaction there is only its marker.
        let with_marker: Vec<_> = next_offsets.iter().map(|offset| offset + 1).collect();
        assert_eq!(with_marker, end_offsets);
        for (number, end) in ends.iter().enumerate() {
            let records = seen.get(&(number as u64)).copied().unwrap_or_default();
            let is_right = match end {
                End::Committed => records == RECORDS,
                End::Aborted => records == 0,
                End::Unknown => records == RECORDS || records == 0,
            };
            assert!(is_right, "transaction {number}: {end:?}, {records} records");
        }
    }
}

/// What a client has to do.
#[derive(Debug)]
struct Orders {
    servers: String,
    topic: String,
    /// The number of its first transaction.
    first: u64,
    pace: Duration,
}

impl Orders {
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let [servers, topic, first, pace] = words[..] else {
            return None;
        };
        Some(Self {
            servers: servers.to_owned(),
            topic: topic.to_owned(),
            first: first.parse().ok()?,
            pace: Duration::from_millis(pace.parse().ok()?),
        })
    }

    /// Runs transactions until it is killed.
    fn follow(&self) {
        // The test framework has left a line open.
        println!();
        let mut producer = self.producer();
        for number in self.first.. {
            let started = Instant::now();
            println!("begins {number}");
            producer.begin_transaction().unwrap();
            self.send_all(&producer, number);
            if number % LIFE == LIFE - 1 {
                println!("{} {number}", die(&producer, number));
                producer = self.producer();
            } else {
                println!("ends {number}");
                println!("{} {number}", end(&producer, number));
            }
            thread::sleep(self.pace.saturating_sub(started.elapsed()));
        }
    }

    fn producer(&self) -> KafkaProducer {
        let producer = KafkaProducer::builder()
            .bootstrap_servers(&self.servers)
            .transactional_id(&self.topic)
            .build()
            .unwrap();
        producer.init_transactions().unwrap();
        producer
    }

    fn send_all(&self, producer: &KafkaProducer, transaction: u64) {
        for number in 0..RECORDS {
            let partition = (number % PARTITIONS as u64) as i32;
            let value = format!("{transaction} {number}");
            let record = ProducerRecord::new(&*self.topic, value).partition(partition);
            // The commit reports a failed record.
            drop(producer.send(record).unwrap());
        }
    }
}

fn end(producer: &KafkaProducer, number: u64) -> &'static str {
    if !is_to_abort(number) {
        producer.commit_transaction().unwrap();
        return "committed";
    }
    if number % 2 == 0 {
        producer.flush().unwrap();
    }
    producer.abort_transaction().unwrap();
    "aborted"
}

/// Closes the producer without waiting, as when its program ends: before the commit, or during it.
fn die(producer: &KafkaProducer, number: u64) -> &'static str {
    let close = || producer.close(Duration::ZERO);
    if is_to_abort(number) {
        // Records of the open transaction are lost, and the error says so.
        let _ = close();
        return "aborted";
    }
    producer.flush().unwrap();
    println!("ends {number}");
    let committed = thread::scope(|scope| {
        let commit = scope.spawn(|| producer.commit_transaction());
        thread::sleep(Duration::from_millis(fastrand::u64(0..8)));
        let _ = close();
        commit.join().unwrap()
    });
    committed.map_or("unknown", |()| "committed")
}
