//! Transactions on real brokers: of the two versions of Kafka 4.3, and of 2.8.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use kafka_producer::common::TopicPartition;
use kafka_producer::{ConsumerGroupMetadata, Error, ErrorKind, KafkaProducer, ProducerRecord};

use crate::harness::{
    Admin, ConsoleConsumer, KafkaCluster, LegacyKafka, dump_log, group_offsets, upgrade_feature,
};
use crate::kafka_or_skip;

const PARTITIONS: i32 = 3;
/// Records of a transaction in each partition.
const EACH: i64 = 20;
const GROUP: &str = "readers";

#[test]
fn a_transaction_is_seen_whole_or_not_at_all() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    commit_abort_commit(cluster.admin(), "version-2");
    let epochs = epochs(&cluster.segments(1, "version-2"));
    assert!(epochs.len() >= 3, "an epoch for each: {epochs:?}");
    cluster.admin().delete_topic("version-2");
}

/// `transaction.version` 1, and then 2, while the producer lives.
#[test]
fn a_producer_goes_on_when_the_version_of_transactions_is_raised() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::start_with_feature(1, "transaction.version=1");
    let servers = cluster.bootstrap_servers();
    let producer = commit_abort_commit(cluster.admin(), "version-1");
    assert_eq!(epochs(&cluster.segments(1, "version-1")).len(), 1);

    upgrade_feature(&servers, "transaction.version=2");
    cluster.admin().create_topic("raised", PARTITIONS);
    commit(&producer, "raised", "before");
    // What a producer knows of a node is from the beginning of their connection.
    cluster.stop(1);
    cluster.restart(1);
    cluster.admin().await_in_sync("raised");
    for name in ["at the switch", "after it"] {
        commit(&producer, "raised", name);
    }
    let names = ["before", "at the switch", "after it"];
    assert_eq!(read_committed(&servers, "raised", 3), values(&names));
    let epochs = epochs(&cluster.segments(1, "raised"));
    assert!(epochs.len() >= 2, "the second version came: {epochs:?}");
}

#[test]
fn kafka_2_8_has_transactions() {
    let _turn = kafka_or_skip!();
    let kafka = LegacyKafka::start();
    commit_abort_commit(kafka.admin(), "old");
    assert_eq!(epochs(&kafka.segments("old")).len(), 1);
    fenced_is_the_earlier_of_two(kafka.admin(), "old-fenced");
}

#[test]
fn the_earlier_of_two_producers_with_one_id_is_fenced() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    fenced_is_the_earlier_of_two(cluster.admin(), "fenced");
    cluster.admin().delete_topic("fenced");
}

#[test]
fn one_of_two_producers_with_one_id_is_fenced_when_both_begin_at_once() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    let servers = cluster.bootstrap_servers();
    cluster.admin().create_topic("race", PARTITIONS);
    let both_have_begun = Barrier::new(2);
    let attempt = |name: &'static str| {
        let (servers, both_have_begun) = (&servers, &both_have_begun);
        move || {
            let producer = transactional(servers, "race");
            let initialized = producer.init_transactions();
            both_have_begun.wait();
            let committed = initialized
                .and_then(|()| producer.transaction(|_| send_all(&producer, "race", name)));
            (name, committed)
        }
    };
    let outcomes = thread::scope(|scope| {
        let threads = ["one", "other"].map(|name| scope.spawn(attempt(name)));
        threads.map(|thread| thread.join().unwrap())
    });
    let (winners, losers): (Vec<_>, Vec<_>) =
        outcomes.into_iter().partition(|(_, result)| result.is_ok());
    let ([(winner, _)], [(_, Err(error))]) = (&winners[..], &losers[..]) else {
        panic!("not one of each: {winners:?} {losers:?}");
    };
    assert_says_fenced(error);
    cluster.admin().await_stable("race");
    assert_eq!(read_committed(&servers, "race", 1), values(&[winner]));
    cluster.admin().delete_topic("race");
}

/// Transactions that end in each way, seen by Kafka's own tools; gives the producer, which is
/// ready for the next one.
fn commit_abort_commit(admin: &Admin, topic: &str) -> KafkaProducer {
    let servers = admin.bootstrap_servers();
    admin.create_topic(topic, PARTITIONS);
    let group = ConsumerGroupMetadata::new(GROUP);
    let producer = transactional(&servers, topic);
    producer.init_transactions().unwrap();

    producer.begin_transaction().unwrap();
    send_all(&producer, topic, "first").unwrap();
    producer
        .send_offsets_to_transaction(&offsets(topic, 7), &group)
        .unwrap();
    producer.commit_transaction().unwrap();
    assert_eq!(group_offset(&servers, topic), [7, 7, 7]);

    let changed_mind = producer.transaction(|transaction| {
        send_all(&producer, topic, "aborted").map_err(|_| "not sent")?;
        transaction
            .send_offsets(&offsets(topic, 99), &group)
            .map_err(|_| "no offsets")?;
        // For the records to be in the log.
        producer.flush().map_err(|_| "not flushed")?;
        Err::<(), _>(Oops("changed my mind"))
    });
    assert_eq!(changed_mind.unwrap_err().0, "changed my mind");

    commit(&producer, topic, "last");
    admin.await_stable(topic);
    assert_eq!(
        read_committed(&servers, topic, 2),
        values(&["first", "last"])
    );
    let all = ConsoleConsumer::new(servers.clone(), topic);
    assert_eq!(read(&all, 3), values(&["first", "aborted", "last"]));
    assert_eq!(group_offset(&servers, topic), [7, 7, 7]);
    producer
}

fn fenced_is_the_earlier_of_two(admin: &Admin, topic: &str) {
    let servers = admin.bootstrap_servers();
    admin.create_topic(topic, PARTITIONS);
    let earlier = transactional(&servers, topic);
    earlier.init_transactions().unwrap();
    earlier.begin_transaction().unwrap();
    send_all(&earlier, topic, "earlier").unwrap();
    earlier.flush().unwrap();

    let later = transactional(&servers, topic);
    later.init_transactions().unwrap();
    assert_says_fenced(&earlier.commit_transaction().unwrap_err());
    assert_says_fenced(&earlier.begin_transaction().unwrap_err());
    commit(&later, topic, "later");
    admin.await_stable(topic);
    assert_eq!(read_committed(&servers, topic, 1), values(&["later"]));
    let error = earlier.send(ProducerRecord::new(topic, "too late"));
    assert!(error.and_then(|sent| sent.get()).is_err());
    earlier.close(Duration::from_secs(10)).unwrap();
}

fn assert_says_fenced(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert!(error.is_fatal(), "{error}");
    let text = error.to_string();
    let is_clear = text.contains("fenced off") && text.contains("with transactional id");
    assert!(is_clear, "{text}");
}

fn transactional(servers: &str, id: &str) -> KafkaProducer {
    let producer = KafkaProducer::builder()
        .bootstrap_servers(servers)
        .transactional_id(id)
        .build();
    producer.unwrap()
}

fn commit(producer: &KafkaProducer, topic: &str, name: &str) {
    let committed = producer.transaction(|_| send_all(producer, topic, name));
    committed.unwrap();
}

/// [`EACH`] records to each partition.
fn send_all(producer: &KafkaProducer, topic: &str, name: &str) -> kafka_producer::Result<()> {
    for number in 0..EACH {
        for partition in 0..PARTITIONS {
            let value = format!("{name} {number}");
            // What fails shows in the commit.
            drop(producer.send(ProducerRecord::new(topic, value).partition(partition))?);
        }
    }
    Ok(())
}

/// What is in each partition after transactions of these names, in their order.
fn values(names: &[&str]) -> Vec<Vec<String>> {
    let of_partition = || {
        let numbers = |name| (0..EACH).map(move |number| format!("{name} {number}"));
        names.iter().flat_map(numbers).collect()
    };
    (0..PARTITIONS).map(|_| of_partition()).collect()
}

fn read_committed(servers: &str, topic: &str, transactions: u64) -> Vec<Vec<String>> {
    let consumer = ConsoleConsumer::new(servers.to_owned(), topic).read_committed();
    read(&consumer, transactions)
}

/// As many records as so many transactions have. The last one is in every partition, so one record
/// too many before it pushes one of it out.
fn read(consumer: &ConsoleConsumer<'_>, transactions: u64) -> Vec<Vec<String>> {
    let mut values = vec![Vec::new(); PARTITIONS as usize];
    for record in consumer.read(transactions * (EACH as u64) * PARTITIONS as u64) {
        let value = String::from_utf8(record.value.unwrap()).unwrap();
        values[record.partition as usize].push(value);
    }
    values
}

fn offsets(topic: &str, offset: i64) -> HashMap<TopicPartition, kafka_producer::OffsetAndMetadata> {
    let of = |partition| (TopicPartition::new(topic, partition), offset.into());
    (0..PARTITIONS).map(of).collect()
}

fn group_offset(servers: &str, topic: &str) -> Vec<i64> {
    let offsets = group_offsets(servers, GROUP, topic);
    offsets.into_values().collect()
}

/// Of the producer's batches. With version 2 every transaction has an epoch of its own.
fn epochs(segments: &[PathBuf]) -> BTreeSet<i16> {
    let dump = dump_log(segments);
    assert_eq!(dump.anomalies, Vec::<String>::new());
    let batches = dump.batches.into_iter();
    batches.map(|batch| batch.producer_epoch).collect()
}

/// The caller's own error in a transaction.
#[derive(Debug)]
struct Oops(&'static str);

impl From<&'static str> for Oops {
    fn from(reason: &'static str) -> Self {
        Self(reason)
    }
}

impl From<Error> for Oops {
    fn from(_: Error) -> Self {
        Self("the producer failed")
    }
}
