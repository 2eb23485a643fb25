//! Transactions while nodes are killed and the client begins anew: none torn, lost or repeated.
//!
//! `KAFKA_PRODUCER_LONG=1` runs the full length: 200 transactions and more.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::{KafkaProducer, ProducerRecord};

use crate::harness::{ConsoleConsumer, KafkaCluster, wait_until};
use crate::kafka_or_skip;

const PARTITIONS: i32 = 6;
/// Of one transaction.
const RECORDS: u64 = 500;
/// The transactions that the client lives through.
const LIFE: u64 = 10;
/// Slow enough for a node to be gone and back within some dozens of transactions.
const PACE: Duration = Duration::from_millis(200);
/// For a few transactions while a node is down.
const PROGRESS_LIMIT: Duration = Duration::from_secs(120);

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
    let cluster = KafkaCluster::start_with_feature(3, "transaction.version=1");
    Run::new("whole-1").under_faults(&cluster);
}

/// What is known of a transaction when its client is done with it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum End {
    Committed,
    Aborted,
    /// The client ended while it committed.
    Unknown,
}

#[derive(Debug)]
struct Run<'a> {
    topic: &'a str,
    transactions: u64,
    /// Nodes to be killed, one after the other.
    kills: usize,
    ended: AtomicU64,
    is_over: AtomicBool,
}

impl<'a> Run<'a> {
    fn new(topic: &'a str) -> Self {
        let is_long = std::env::var_os("KAFKA_PRODUCER_LONG").is_some_and(|on| on == "1");
        let (transactions, kills) = if is_long { (200, 10) } else { (40, 2) };
        Self {
            topic,
            transactions,
            kills,
            ended: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    fn under_faults(&self, cluster: &KafkaCluster) {
        let admin = cluster.admin();
        admin.create_topic(self.topic, PARTITIONS);
        let servers = cluster.bootstrap_servers();
        let ends = thread::scope(|scope| {
            let client = scope.spawn(|| self.clients(&servers));
            // Also when it panics: the scope waits for the clients.
            let over = SetOnDrop(&self.is_over);
            self.kill_nodes(cluster);
            drop(over);
            client.join().unwrap()
        });
        admin.await_stable(self.topic);
        self.check(&servers, &ends);
    }

    fn kill_nodes(&self, cluster: &KafkaCluster) {
        let nodes = cluster.node_ids().into_iter().cycle();
        for node in nodes.take(self.kills) {
            self.await_ended(2);
            cluster.kill(node);
            self.await_ended(3);
            cluster.restart(node);
            for topic in [self.topic, "__transaction_state"] {
                cluster.admin().await_in_sync(topic);
            }
        }
    }

    fn await_ended(&self, more: u64) {
        let goal = self.ended.load(Ordering::Relaxed) + more;
        wait_until("end of transactions", PROGRESS_LIMIT, || {
            (self.ended.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    /// One client after the other, until everything has happened; the last transaction is
    /// committed.
    fn clients(&self, servers: &str) -> Vec<End> {
        let mut ends = Vec::new();
        let is_done = |ends: &Vec<End>| {
            ends.len() as u64 >= self.transactions && self.is_over.load(Ordering::Relaxed)
        };
        while !is_done(&ends) {
            let producer = client(servers, self.topic);
            for _ in 0..LIFE {
                let started = Instant::now();
                let number = ends.len() as u64;
                ends.push(self.transaction(&producer, number));
                self.ended.fetch_add(1, Ordering::Relaxed);
                thread::sleep(PACE.saturating_sub(started.elapsed()));
            }
            ends.push(self.die(&producer, ends.len() as u64));
        }
        let producer = client(servers, self.topic);
        let last = ends.len() as u64;
        self.commit(&producer, last);
        ends.push(End::Committed);
        ends
    }

    /// Every third is aborted.
    fn transaction(&self, producer: &KafkaProducer, number: u64) -> End {
        if number % 3 != 0 {
            self.commit(producer, number);
            return End::Committed;
        }
        producer.begin_transaction().unwrap();
        self.send_all(producer, number);
        if number % 2 == 0 {
            producer.flush().unwrap();
        }
        producer.abort_transaction().unwrap();
        End::Aborted
    }

    fn commit(&self, producer: &KafkaProducer, number: u64) {
        producer.begin_transaction().unwrap();
        self.send_all(producer, number);
        producer.commit_transaction().unwrap();
    }

    /// The client ends as when its process is killed: before it commits, or meanwhile.
    fn die(&self, producer: &KafkaProducer, number: u64) -> End {
        producer.begin_transaction().unwrap();
        self.send_all(producer, number);
        let close = || producer.close(Duration::ZERO);
        if number % 2 == 0 {
            // Records of the open transaction are lost, and it says so.
            let _ = close();
            return End::Aborted;
        }
        producer.flush().unwrap();
        let committed = thread::scope(|scope| {
            let commit = scope.spawn(|| producer.commit_transaction());
            thread::sleep(Duration::from_millis(fastrand::u64(0..8)));
            let _ = close();
            commit.join().unwrap()
        });
        committed.map_or(End::Unknown, |()| End::Committed)
    }

    fn send_all(&self, producer: &KafkaProducer, transaction: u64) {
        for number in 0..RECORDS {
            let partition = (number % PARTITIONS as u64) as i32;
            let value = format!("{transaction} {number}");
            let record = ProducerRecord::new(self.topic, value).partition(partition);
            // What fails shows in the commit.
            drop(producer.send(record).unwrap());
        }
    }

    fn check(&self, servers: &str, ends: &[End]) {
        let possible = ends.iter().filter(|end| **end != End::Aborted).count() as u64;
        let mut seen = BTreeMap::<u64, u64>::new();
        let mut last = BTreeMap::<i32, (u64, u64)>::new();
        let consumer = ConsoleConsumer::new(servers.to_owned(), self.topic).read_committed();
        consumer.read_each(possible * RECORDS, |record| {
            let value = String::from_utf8(record.value.unwrap()).unwrap();
            let (transaction, number) = value.split_once(' ').unwrap();
            let place: (u64, u64) = (transaction.parse().unwrap(), number.parse().unwrap());
            // Neither twice nor out of order.
            let before = last.insert(record.partition, place);
            assert!(before < Some(place), "{before:?} before {place:?}");
            *seen.entry(place.0).or_default() += 1;
        });
        for (number, end) in ends.iter().enumerate() {
            let records = seen.get(&(number as u64)).copied().unwrap_or_default();
            let is_right = match end {
                End::Committed => records == RECORDS,
                End::Aborted => records == 0,
                End::Unknown => records == RECORDS || records == 0,
            };
            assert!(is_right, "transaction {number}: {end:?}, {records} records");
        }
        let count = |wanted| ends.iter().filter(|end| **end == wanted).count();
        eprintln!(
            "{}: {} transactions, {} committed, {} aborted, {} unknown, {} nodes killed",
            self.topic,
            ends.len(),
            count(End::Committed),
            count(End::Aborted),
            count(End::Unknown),
            self.kills,
        );
    }
}

fn client(servers: &str, id: &str) -> KafkaProducer {
    let producer = KafkaProducer::builder()
        .bootstrap_servers(servers)
        .transactional_id(id)
        .build()
        .unwrap();
    producer.init_transactions().unwrap();
    producer
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
