//! A cluster of three nodes with topic "t" of three partitions and topic "input" of two, producers
//! for it, and what a `read_committed` consumer sees.

use std::collections::HashMap;

use kafka_producer::testing::{FakeBroker, FakeBrokerBuilder, TransactionState};
use kafka_producer::{
    ConsumerGroupMetadata, Error, KafkaProducer, KafkaProducerBuilder, OffsetAndMetadata,
    RecordFuture, Result, TopicPartition,
};

use super::producing::*;

pub(crate) const ID: &str = "payments";
pub(crate) const GROUP: &str = "readers";
pub(crate) const PARTITIONS: i32 = 3;
/// Both versions of the protocol: before and after KIP-890.
pub(crate) const VERSIONS: [i16; 2] = [1, 2];

pub(crate) fn cluster(version: i16) -> FakeBrokerBuilder {
    FakeBroker::builder()
        .nodes(3)
        .topic("t", PARTITIONS)
        .topic("input", 2)
        .transaction_version(version)
}

pub(crate) fn broker(version: i16) -> FakeBroker {
    cluster(version).start().unwrap()
}

pub(crate) fn transactional(broker: &FakeBroker) -> KafkaProducerBuilder {
    quick(broker).transactional_id(ID)
}

/// A producer that is ready to begin a transaction.
pub(crate) fn ready(broker: &FakeBroker) -> KafkaProducer {
    let producer = transactional(broker).build().unwrap();
    producer.init_transactions().unwrap();
    producer
}

/// Repeats a call while it times out: a busy machine must not fail a producer with a short
/// `max.block.ms`.
pub(crate) fn until_done<T>(call: impl Fn() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(error) if error.is_timeout() => {}
            done => return done,
        }
    }
}

/// Sends `<name>0`, `<name>1`, ... to the partitions with these numbers.
pub(crate) fn send_everywhere(producer: &KafkaProducer, name: &str) -> Vec<RecordFuture> {
    (0..PARTITIONS)
        .map(|partition| send(producer, ("t", partition), &format!("{name}{partition}")))
        .collect()
}

/// Returns the values that [`send_everywhere`] sends for these names, in the form of [`committed`].
pub(crate) fn everywhere(names: &[&str]) -> Vec<String> {
    (0..PARTITIONS)
        .flat_map(|partition| names.iter().map(move |name| format!("{name}{partition}")))
        .collect()
}

pub(crate) fn group() -> ConsumerGroupMetadata {
    ConsumerGroupMetadata::new(GROUP)
}

/// Returns the same offset for both partitions of topic "input".
pub(crate) fn input(offset: i64) -> HashMap<TopicPartition, OffsetAndMetadata> {
    (0..2)
        .map(|partition| {
            (
                TopicPartition::new("input", partition),
                OffsetAndMetadata::new(offset),
            )
        })
        .collect()
}

/// Returns what a `read_committed` consumer sees of topic "t", partition by partition.
pub(crate) fn committed(broker: &FakeBroker) -> Vec<String> {
    let records = broker.committed_records("t").into_iter();
    records
        .map(|record| String::from_utf8(record.value.unwrap_or_default()).unwrap())
        .collect()
}

/// Returns the committed offsets of the group, partition by partition.
pub(crate) fn group_offsets(broker: &FakeBroker) -> Vec<i64> {
    let offsets = broker.committed_offsets(GROUP).into_iter();
    offsets.map(|committed| committed.offset).collect()
}

/// Checks that no transaction is open, so that no consumer waits for one.
pub(crate) fn assert_nothing_open(broker: &FakeBroker) {
    for partition in 0..PARTITIONS {
        let end = broker.log_end_offset("t", partition);
        assert_eq!(
            broker.last_stable_offset("t", partition),
            end,
            "partition {partition}"
        );
    }
    let known = broker.transaction(ID);
    let is_ongoing = known.is_some_and(|known| known.state == TransactionState::Ongoing);
    assert!(!is_ongoing, "the coordinator waits for an end");
    assert_eq!(broker.pending_offsets(GROUP), []);
    assert_eq!(broker.protocol_violations(), [""; 0]);
}

/// Returns the epoch of the first batch with this value.
pub(crate) fn epoch_of(broker: &FakeBroker, value: &str) -> i16 {
    let records = broker.all_records("t");
    let found = records
        .iter()
        .find(|record| record.value.as_deref() == Some(value.as_bytes()));
    found.unwrap().producer_epoch
}

/// Runs a transaction that must succeed and be visible.
pub(crate) fn assert_works(broker: &FakeBroker, producer: &KafkaProducer) {
    producer.begin_transaction().unwrap();
    let sent = send_everywhere(producer, "works");
    producer.commit_transaction().unwrap();
    assert!(sent.iter().all(|future| future.try_get().unwrap().is_ok()));
    let seen = committed(broker);
    let count = seen.iter().filter(|value| value.starts_with("works"));
    assert_eq!(count.count(), 3, "{seen:?}");
    assert_nothing_open(broker);
}

#[track_caller]
pub(crate) fn assert_abortable(error: &Error) {
    assert!(error.is_abortable() && !error.is_fatal(), "{error:?}");
}
