//! Transactions over sockets, on both versions of the protocol: what a read-committed consumer sees is all of a committed
//! transaction and nothing of an aborted one, whatever became of the requests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what goes wrong here is to fail the test"
)]

#[allow(dead_code, reason = "each test file uses some of it")]
#[path = "support/producing.rs"]
mod producing;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use kafka_producer::common::{NodeId, TopicPartition};
use kafka_producer::testing::{Action, Api, Failure, FakeBroker};
use kafka_producer::{
    ConsumerGroupMetadata, Delivery, Error, ErrorCode, ErrorKind, KafkaProducer,
    KafkaProducerBuilder, OffsetAndMetadata, ProducerRecord, Result,
};
use producing::*;

const VERSIONS: [i16; 2] = [1, 2];

fn cluster(version: i16) -> FakeBroker {
    FakeBroker::builder()
        .nodes(3)
        .topic("orders", 3)
        .topic("in", 1)
        .transaction_version(version)
        .start()
        .unwrap()
}

fn transactional(broker: &FakeBroker) -> KafkaProducerBuilder {
    quick(broker).transactional_id("copier").max_block(LONG)
}

fn initialized(broker: &FakeBroker) -> KafkaProducer {
    let producer = transactional(broker).build().unwrap();
    producer.init_transactions().unwrap();
    producer
}

fn record(value: &str, partition: i32) -> ProducerRecord<'_> {
    ProducerRecord::new("orders", value).partition(partition)
}

fn offsets(offset: i64) -> HashMap<TopicPartition, OffsetAndMetadata> {
    HashMap::from([(TopicPartition::new("in", 0), offset.into())])
}

fn group() -> ConsumerGroupMetadata {
    ConsumerGroupMetadata::new("billing")
}

/// The values that a read-committed consumer sees, sorted.
fn committed(broker: &FakeBroker) -> Vec<String> {
    let records = broker.committed_records("orders");
    let value = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap_or_default()).unwrap();
    let mut values: Vec<_> = records
        .into_iter()
        .map(|record| value(record.value.map(|bytes| bytes.to_vec())))
        .collect();
    values.sort_unstable();
    values
}

/// No transaction is open, and nobody broke the protocol.
fn assert_settled(broker: &FakeBroker) {
    for partition in 0..3 {
        let is_stable = |broker: &FakeBroker| {
            broker.last_stable_offset("orders", partition)
                == broker.log_end_offset("orders", partition)
        };
        assert!(broker.wait_for(LONG, is_stable), "orders-{partition} hangs");
    }
    assert_eq!(broker.protocol_violations(), Vec::<String>::new());
}

/// A transaction with a record in each partition and an offset.
fn copy(producer: &KafkaProducer, name: &str, offset: i64) -> Result<()> {
    producer.transaction(|transaction| {
        for partition in 0..3 {
            let value = format!("{name}{partition}");
            drop(transaction.send(record(&value, partition))?);
        }
        transaction.send_offsets(&offsets(offset), &group())
    })
}

#[test]
fn committed_transactions_are_seen_and_aborted_ones_are_not() {
    for version in VERSIONS {
        let broker = cluster(version);
        let producer = initialized(&broker);
        copy(&producer, "a", 1).unwrap();
        producer.begin_transaction().unwrap();
        producer.send(record("lost", 0)).unwrap().get().unwrap();
        producer.abort_transaction().unwrap();
        copy(&producer, "b", 2).unwrap();
        producer.begin_transaction().unwrap();
        producer.commit_transaction().unwrap();
        assert_eq!(committed(&broker), ["a0", "a1", "a2", "b0", "b1", "b2"]);
        let group_offsets = broker.committed_offsets("billing");
        assert_eq!(group_offsets.len(), 1);
        assert_eq!(group_offsets.first().map(|offset| offset.offset), Some(2));
        producer.close(LONG).unwrap();
        assert_settled(&broker);
        let adds = broker.request_count(Api::AddPartitionsToTxn);
        assert_eq!(adds == 0, version == 2, "version 2 adds no partitions");
    }
}

#[test]
fn a_closure_that_fails_or_panics_aborts() {
    for version in VERSIONS {
        let broker = cluster(version);
        let producer = initialized(&broker);
        let error = producer.transaction(|transaction| -> Result<(), Box<dyn std::error::Error>> {
            transaction.send(record("lost", 0))?.get()?;
            Err("the program changed its mind".into())
        });
        assert!(error.unwrap_err().to_string().contains("changed its mind"));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            producer.transaction(|transaction| -> Result<()> {
                transaction.send(record("lost", 1))?.get()?;
                panic!("a bug of the program")
            })
        }));
        assert!(panicked.is_err());
        let value = producer.transaction(|transaction| {
            drop(transaction.send(record("kept", 0))?);
            Ok::<_, Error>(17)
        });
        assert_eq!(value.unwrap(), 17);
        assert_eq!(committed(&broker), ["kept"]);
        producer.close(LONG).unwrap();
        assert_settled(&broker);
    }
}

#[test]
fn a_record_that_fails_makes_the_commit_fail() {
    for version in VERSIONS {
        let broker = cluster(version);
        let producer = initialized(&broker);
        broker
            .on(Api::Produce)
            .then(Action::fail(ErrorCode::INVALID_RECORD));
        let error = producer
            .transaction(|transaction| transaction.send(record("bad", 0)).map(drop))
            .unwrap_err();
        assert!(error.is_abortable(), "{error:?}");
        copy(&producer, "a", 1).unwrap();
        assert_eq!(committed(&broker), ["a0", "a1", "a2"]);
        producer.close(LONG).unwrap();
        assert_settled(&broker);
    }
}

#[test]
fn a_record_that_is_too_large_for_the_producer_makes_the_commit_fail() {
    let broker = cluster(2);
    let producer = transactional(&broker)
        .max_request_size(1000)
        .build()
        .unwrap();
    producer.init_transactions().unwrap();
    producer.begin_transaction().unwrap();
    let large = "x".repeat(2000);
    let error = producer.send(record(&large, 0)).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
    assert!(error.is_abortable());
    let error = producer.send(record("small", 0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction);
    assert!(producer.commit_transaction().unwrap_err().is_abortable());
    producer.abort_transaction().unwrap();
    copy(&producer, "a", 1).unwrap();
    producer.close(LONG).unwrap();
    assert_settled(&broker);
}

// Of two producers with one id, exactly one is fenced, with an error that says so.
#[test]
fn the_older_of_two_producers_is_fenced() {
    for version in VERSIONS {
        let broker = cluster(version);
        let older = initialized(&broker);
        older.begin_transaction().unwrap();
        older.send(record("lost", 0)).unwrap().get().unwrap();
        let newer = initialized(&broker);
        copy(&newer, "a", 1).unwrap();
        let error = older.commit_transaction().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced, "{error:?}");
        assert!(error.is_fatal() && error.to_string().contains("copier"));
        assert_eq!(
            older.begin_transaction().unwrap_err().kind(),
            ErrorKind::Fenced
        );
        copy(&newer, "b", 2).unwrap();
        assert_eq!(committed(&broker), ["a0", "a1", "a2", "b0", "b1", "b2"]);
        newer.close(LONG).unwrap();
        assert_settled(&broker);
    }
}

#[test]
fn closing_aborts_an_open_transaction() {
    for version in VERSIONS {
        let broker = cluster(version);
        let producer = initialized(&broker);
        producer.begin_transaction().unwrap();
        producer.send(record("lost", 0)).unwrap().get().unwrap();
        producer.close(LONG).unwrap();
        assert_eq!(committed(&broker), Vec::<String>::new());
        assert_settled(&broker);
        let error = producer.begin_transaction().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

#[test]
fn calls_without_a_coordinator_time_out_and_can_be_made_again() {
    let broker = cluster(1);
    broker
        .on(Api::FindCoordinator)
        .always()
        .then(Action::fail(ErrorCode::COORDINATOR_NOT_AVAILABLE));
    let producer = transactional(&broker)
        .max_block(millis(50))
        .build()
        .unwrap();
    let error = producer.init_transactions().unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));
    let refused = producer.begin_transaction().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::IllegalState);
    broker.clear_script();
    until_done(|| producer.init_transactions());
    producer.begin_transaction().unwrap();
    drop(producer.send(record("a", 0)).unwrap());
    until_done(|| producer.commit_transaction());
    assert_eq!(committed(&broker), ["a"]);
}

/// Makes a call again for as long as it times out.
fn until_done(call: impl Fn() -> Result<()>) {
    loop {
        match call() {
            Err(error) if error.is_timeout() => {}
            other => return other.unwrap(),
        }
    }
}

// A time-out says what the brokers answered all the while.
#[test]
fn offsets_of_a_topic_that_is_not_there_time_out_with_the_reason() {
    let broker = cluster(2);
    let producer = transactional(&broker)
        .max_block(millis(100))
        .build()
        .unwrap();
    until_done(|| producer.init_transactions());
    producer.begin_transaction().unwrap();
    let offsets = HashMap::from([(TopicPartition::new("gone", 0), 1.into())]);
    let error = producer
        .send_offsets_to_transaction(&offsets, &group())
        .unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("UNKNOWN_TOPIC_OR_PARTITION"), "{cause}");
    until_done(|| producer.abort_transaction());
}

#[test]
fn misuse_is_said_clearly() {
    let broker = cluster(2);
    let plain = quick(&broker).build().unwrap();
    let error = plain.init_transactions().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalState);
    assert!(error.to_string().contains("transactional.id"), "{error}");
    let producer = transactional(&broker).build().unwrap();
    let error = producer.send(record("a", 0)).unwrap_err();
    assert!(error.to_string().contains("init_transactions"), "{error}");
    producer.init_transactions().unwrap();
    let error = producer.send(record("a", 0)).unwrap_err();
    assert!(error.to_string().contains("begin_transaction"), "{error}");
    let group = ConsumerGroupMetadata::new("billing").generation(3, "");
    let error = producer.send_offsets_to_transaction(&offsets(1), &group);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::IllegalArgument);
}

#[test]
fn an_upgrade_of_the_cluster_takes_effect_between_two_transactions() {
    let broker = cluster(1);
    let producer = initialized(&broker);
    copy(&producer, "a", 1).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(record("b0", 0)).unwrap().get().unwrap();
    broker.set_transaction_version(2);
    // The cluster's features are told to new connections.
    for node in broker.nodes() {
        broker.disconnect(node).unwrap();
    }
    producer.send(record("b1", 1)).unwrap().get().unwrap();
    producer.commit_transaction().unwrap();
    let adds = broker.request_count(Api::AddPartitionsToTxn);
    copy(&producer, "c", 2).unwrap();
    copy(&producer, "d", 3).unwrap();
    assert_eq!(broker.request_count(Api::AddPartitionsToTxn), adds);
    assert_eq!(committed(&broker).len(), 3 + 2 + 3 + 3);
    producer.close(LONG).unwrap();
    assert_settled(&broker);
}

/// What happens to one request of a transaction.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Retriable,
    LostBefore,
    LostAfter,
    NoAnswer,
    CoordinatorMoved,
}

impl Fault {
    fn action(self, api: Api) -> Action {
        match self {
            Self::Retriable if api == Api::Produce => {
                Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER)
            }
            Self::Retriable => Action::fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
            Self::LostBefore => Action::skip().disconnect(),
            Self::LostAfter => Action::apply().disconnect(),
            Self::NoAnswer => Action::apply().never_reply(),
            Self::CoordinatorMoved if api == Api::Produce => {
                Action::fail(Failure::new(ErrorCode::REQUEST_TIMED_OUT).after_append())
            }
            Self::CoordinatorMoved => Action::fail(ErrorCode::NOT_COORDINATOR),
        }
    }
}

/// Each API x what becomes of its request x both versions: the transaction is committed whole, those around it too, and
/// nothing of the one that is aborted between them is seen.
#[test]
fn one_lost_request_tears_no_transaction() {
    let apis = [
        Api::FindCoordinator,
        Api::InitProducerId,
        Api::AddPartitionsToTxn,
        Api::Produce,
        Api::AddOffsetsToTxn,
        Api::TxnOffsetCommit,
        Api::EndTxn,
    ];
    let faults = [
        Fault::Retriable,
        Fault::LostBefore,
        Fault::LostAfter,
        Fault::NoAnswer,
        Fault::CoordinatorMoved,
    ];
    for version in VERSIONS {
        for api in apis {
            for fault in faults {
                survive(version, api, fault);
            }
        }
    }
}

fn survive(version: i16, api: Api, fault: Fault) {
    let context = format!("version {version}, {api:?}, {fault:?}");
    let broker = cluster(version);
    let producer = transactional(&broker)
        .request_timeout(millis(300))
        .delivery_timeout(LONG)
        .build()
        .unwrap();
    let before_init = matches!(api, Api::InitProducerId | Api::FindCoordinator);
    if before_init {
        broker.on(api).then(fault.action(api));
    }
    producer.init_transactions().unwrap();
    copy(&producer, "a", 1).unwrap();
    if !before_init {
        broker.on(api).then(fault.action(api));
    }
    copy(&producer, "b", 2).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    if !before_init {
        broker.on(api).then(fault.action(api));
    }
    producer.begin_transaction().unwrap();
    producer.send(record("lost", 0)).unwrap().get().unwrap();
    producer
        .send_offsets_to_transaction(&offsets(99), &group())
        .unwrap();
    producer.abort_transaction().unwrap();
    copy(&producer, "c", 3).unwrap();
    let expected = ["a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2"];
    assert_eq!(committed(&broker), expected, "{context}");
    let group_offsets = broker.committed_offsets("billing");
    assert_eq!(
        group_offsets.first().map(|offset| offset.offset),
        Some(3),
        "{context}"
    );
    producer.close(LONG).unwrap();
    assert_settled(&broker);
}

// The coordinator aborts what takes too long; the producer hears of it, and is of no more use.
#[test]
fn an_expired_transaction_is_aborted_and_the_producer_told() {
    for version in VERSIONS {
        let broker = cluster(version);
        let producer = initialized(&broker);
        producer.begin_transaction().unwrap();
        producer.send(record("lost", 0)).unwrap().get().unwrap();
        assert_eq!(broker.expire_transactions(), 1);
        let error = producer.commit_transaction().unwrap_err();
        assert!(error.is_fatal() || error.is_abortable(), "{error:?}");
        assert_eq!(error.delivery(), Delivery::NotWritten);
        let next = initialized(&broker);
        copy(&next, "a", 1).unwrap();
        assert_eq!(committed(&broker), ["a0", "a1", "a2"]);
        next.close(LONG).unwrap();
        assert_settled(&broker);
    }
}

#[test]
fn a_coordinator_that_moves_is_followed() {
    for version in VERSIONS {
        let broker = cluster(version);
        let producer = initialized(&broker);
        for (node, name) in [(1, "a"), (2, "b"), (3, "c")] {
            broker
                .move_transaction_coordinator("copier", NodeId(node))
                .unwrap();
            broker
                .move_group_coordinator("billing", NodeId(node))
                .unwrap();
            copy(&producer, name, 1).unwrap();
        }
        assert_eq!(committed(&broker).len(), 9);
        producer.close(LONG).unwrap();
        assert_settled(&broker);
    }
}
