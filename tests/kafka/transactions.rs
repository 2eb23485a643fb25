//! Transactions on real brokers: in both versions, and on Kafka 2.8.

mod copying;
mod expiry;
mod fencing;
mod offsets;
mod switching;
mod timeouts;
mod visibility;

pub(crate) use visibility::commit_abort_commit;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use kafka_producer::common::TopicPartition;
use kafka_producer::{
    ConsumerGroupMetadata, Error, ErrorKind, KafkaProducer, KafkaProducerBuilder,
    OffsetAndMetadata, ProducerRecord, Result,
};

use crate::chain::chain;
use crate::harness::{Admin, ConsoleConsumer, LegacyKafka, dump_log};
use crate::kafka_or_skip;

const PARTITIONS: i32 = 3;
/// The number of records of a transaction in each partition.
const EACH: i64 = 20;
const GROUP: &str = "readers";

/// Makes each scenario a test on a cluster of each version; the clusters are shared.
macro_rules! in_both_versions {
    ($($file:ident::$scenario:ident,)*) => {
        mod version_1 {
            $(
                #[test]
                fn $scenario() {
                    let _turn = $crate::kafka_or_skip!();
                    let cluster = $crate::harness::KafkaCluster::lease_of_version_1();
                    super::$file::$scenario(&cluster, 1);
                }
            )*
        }

        mod version_2 {
            $(
                #[test]
                fn $scenario() {
                    let _turn = $crate::kafka_or_skip!();
                    let cluster = $crate::harness::KafkaCluster::lease();
                    super::$file::$scenario(&cluster, 2);
                }
            )*
        }
    };
}

in_both_versions! {
    copying::records_are_copied_exactly_once,
    copying::records_are_copied_exactly_once_while_nodes_restart,
    expiry::a_transaction_that_takes_too_long,
    fencing::a_takeover_that_fails_does_no_harm,
    fencing::one_of_two_producers_is_fenced_when_both_begin_at_once,
    fencing::the_earlier_producer_is_fenced_whatever_it_does,
    offsets::offsets_keep_their_metadata,
    offsets::offsets_of_a_member_that_has_lost_its_place_are_refused,
    timeouts::a_record_that_expires_costs_its_transaction_alone,
    timeouts::calls_time_out_while_no_node_answers,
    visibility::a_transaction_is_seen_whole_or_not_at_all,
    visibility::many_partitions_of_one_leader_get_their_markers,
    visibility::one_request_in_flight_is_enough,
    visibility::what_is_undecided_holds_back_what_comes_after_it,
}

#[test]
fn kafka_2_8_has_transactions() {
    let _turn = kafka_or_skip!();
    let kafka = LegacyKafka::start();
    commit_abort_commit(kafka.admin(), "old");
    assert_eq!(epochs(&kafka.segments("old")).len(), 1);
    fencing::each_way_to_find_out(kafka.admin(), "old-fenced");
}

fn transactional(servers: &str, id: &str) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(servers)
        .transactional_id(id)
}

/// A producer that is ready to begin a transaction.
fn ready(servers: &str, id: &str) -> KafkaProducer {
    let producer = transactional(servers, id).build().unwrap();
    producer.init_transactions().unwrap();
    producer
}

/// Repeats a call while it times out.
fn until_done<T>(call: impl Fn() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(error) if error.is_timeout() => {}
            done => return done,
        }
    }
}

fn commit(producer: &KafkaProducer, topic: &str, name: &str) {
    let committed = producer.transaction(|_| send_all(producer, topic, name));
    committed.unwrap();
}

/// Sends [`EACH`] records to each partition.
fn send_all(producer: &KafkaProducer, topic: &str, name: &str) -> Result<()> {
    for number in 0..EACH {
        for partition in 0..PARTITIONS {
            let value = format!("{name} {number}");
            // The commit reports a failed record.
            drop(producer.send(ProducerRecord::new(topic, value).partition(partition))?);
        }
    }
    Ok(())
}

/// Sends a record and waits for its offset.
fn send(producer: &KafkaProducer, (topic, partition): (&str, i32), value: &str) -> Result<i64> {
    let record = ProducerRecord::new(topic, value).partition(partition);
    Ok(producer.send(record)?.get()?.offset())
}

/// Returns the values in each partition after transactions with these names, in order.
fn values(names: &[&str]) -> Vec<Vec<String>> {
    let of_partition = || {
        let numbers = |name| (0..EACH).map(move |number| format!("{name} {number}"));
        names.iter().flat_map(numbers).collect()
    };
    (0..PARTITIONS).map(|_| of_partition()).collect()
}

/// Returns what a `read_committed` consumer reads after all transactions have ended.
fn read_committed(admin: &Admin, topic: &str, transactions: usize) -> Vec<Vec<String>> {
    admin.await_stable(topic);
    let consumer = ConsoleConsumer::new(admin.bootstrap_servers(), topic).read_committed();
    read(&consumer, transactions)
}

/// Reads as many records as `transactions` have. The last transaction is in every partition, so an
/// extra record before it would push out one of its records.
fn read(consumer: &ConsoleConsumer<'_>, transactions: usize) -> Vec<Vec<String>> {
    let mut values = vec![Vec::new(); PARTITIONS as usize];
    for record in consumer.read(transactions as u64 * EACH as u64 * PARTITIONS as u64) {
        let value = String::from_utf8(record.value.unwrap()).unwrap();
        values[record.partition as usize].push(value);
    }
    values
}

fn group() -> ConsumerGroupMetadata {
    ConsumerGroupMetadata::new(GROUP)
}

/// Returns the same offset for each partition.
fn offsets(topic: &str, offset: i64) -> HashMap<TopicPartition, OffsetAndMetadata> {
    let of = |partition| (TopicPartition::new(topic, partition), offset.into());
    (0..PARTITIONS).map(of).collect()
}

/// Returns the epochs of the producer's batches. In version 2 every transaction has its own.
fn epochs(segments: &[PathBuf]) -> BTreeSet<i16> {
    let dump = dump_log(segments);
    assert_eq!(dump.anomalies, Vec::<String>::new());
    let batches = dump.batches.into_iter();
    batches.map(|batch| batch.producer_epoch).collect()
}

#[track_caller]
fn assert_fenced(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert!(error.is_fatal(), "{error}");
    let text = chain(error).join(": ");
    let is_clear = text.contains("fenced off") && text.contains("with transactional id");
    assert!(is_clear, "{text}");
}
