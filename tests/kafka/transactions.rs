//! Transactions on real Kafka: what is committed is read whole by a read-committed consumer, what is aborted is not, on both
//! versions of the protocol.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kafka_producer::common::TopicPartition;
use kafka_producer::{
    ConsumerGroupMetadata, Error, ErrorKind, KafkaProducer, OffsetAndMetadata, ProducerRecord,
};

use crate::harness::{Admin, ConsoleConsumer, KafkaCluster, LegacyKafka};
use crate::kafka_or_skip;

const SOON: Duration = Duration::from_secs(60);
const TRANSACTIONS: usize = 30;
const RECORDS: usize = 100;
const PARTITIONS: i32 = 3;

fn producer(bootstrap_servers: &str) -> KafkaProducer {
    KafkaProducer::builder()
        .bootstrap_servers(bootstrap_servers)
        .transactional_id("copier")
        .build()
        .unwrap()
}

/// Transactions of which every third is aborted, then a producer that fences the first one off.
fn commit_and_abort(bootstrap_servers: String, admin: &Admin) {
    admin.create_topic("out", PARTITIONS);
    admin.create_topic("in", 1);
    let producer = producer(&bootstrap_servers);
    producer.init_transactions().unwrap();
    let started = Instant::now();
    for transaction in 0..TRANSACTIONS {
        let result = producer.transaction(|open| {
            for number in 0..RECORDS {
                let value = format!("{transaction}-{number}");
                let partition = i32::try_from(number).unwrap() % PARTITIONS;
                drop(open.send(ProducerRecord::new("out", value).partition(partition))?);
            }
            let offset = OffsetAndMetadata::new(i64::try_from(transaction).unwrap());
            let offsets = HashMap::from([(TopicPartition::new("in", 0), offset)]);
            open.send_offsets(&offsets, &ConsumerGroupMetadata::new("billing"))?;
            match transaction % 3 {
                2 => Err(Box::<dyn std::error::Error>::from("every third")),
                _ => Ok(()),
            }
        });
        match result {
            Err(error) if error.to_string() != "every third" => panic!("{transaction}: {error}"),
            _ => {}
        }
    }
    eprintln!(
        "{TRANSACTIONS} transactions of {RECORDS} records: {} ms",
        started.elapsed().as_millis()
    );
    fence_off(&producer, &bootstrap_servers);
    read_back(bootstrap_servers);
}

fn fence_off(older: &KafkaProducer, bootstrap_servers: &str) {
    older.begin_transaction().unwrap();
    let lost = ProducerRecord::new("out", "lost").partition(0);
    older.send(lost).unwrap().get().unwrap();
    let newer = producer(bootstrap_servers);
    newer.init_transactions().unwrap();
    let error = older.commit_transaction().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error:?}");
    newer
        .transaction(|open| {
            drop(open.send(ProducerRecord::new("out", "last").partition(0))?);
            Ok::<_, Error>(())
        })
        .unwrap();
    newer.close(SOON).unwrap();
}

fn read_back(bootstrap_servers: String) {
    let expected = TRANSACTIONS / 3 * 2 * RECORDS + 1;
    let consumer = ConsoleConsumer::new(bootstrap_servers, "out").read_committed();
    // One more than there are: the tool waits for it in vain, and shows so that nothing follows.
    let read = consumer.read(u64::try_from(expected).unwrap() + 1);
    assert_eq!(read.len(), expected);
    let mut seen: HashMap<String, usize> = HashMap::new();
    for record in read {
        let value = String::from_utf8(record.value.unwrap()).unwrap();
        let transaction = value.split('-').next().unwrap();
        *seen.entry(transaction.to_owned()).or_default() += 1;
    }
    for transaction in 0..TRANSACTIONS {
        let count = seen.get(&transaction.to_string()).copied();
        let expected = (transaction % 3 != 2).then_some(RECORDS);
        assert_eq!(count, expected, "transaction {transaction}");
    }
    assert_eq!(seen.get("last"), Some(&1));
    assert_eq!(seen.get("lost"), None);
}

#[test]
fn transactions_of_version_two() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::start(1);
    commit_and_abort(cluster.bootstrap_servers(), cluster.admin());
}

/// Kafka 2.8 has the first version alone.
#[test]
fn transactions_of_version_one() {
    let _turn = kafka_or_skip!();
    let kafka = LegacyKafka::start();
    commit_and_abort(kafka.bootstrap_servers(), kafka.admin());
}
