//! Which consumers see what of a transaction, and when.

use std::time::Duration;

use kafka_producer::{Error, KafkaProducer, ProducerRecord};

use super::{
    GROUP, PARTITIONS, commit, epochs, group, offsets, read, read_committed, ready, send, send_all,
    transactional, values,
};
use crate::harness::{Admin, ConsoleConsumer, KafkaCluster, NewTopic, wait_until};

const SOON: Duration = Duration::from_secs(60);

// Java: TransactionsTest.testBasicTransactions.
pub(super) fn a_transaction_is_seen_whole_or_not_at_all(cluster: &KafkaCluster, version: i16) {
    commit_abort_commit(cluster.admin(), "whole");
    let epochs = epochs(&cluster.segments(1, "whole"));
    match version {
        1 => assert_eq!(epochs.len(), 1, "{epochs:?}"),
        _ => assert!(epochs.len() >= 3, "an epoch for each: {epochs:?}"),
    }
    cluster.admin().delete_topic("whole");
}

/// Runs transactions that end in each way and checks them with Kafka's own tools. Returns the
/// producer, which is ready for the next one.
pub(crate) fn commit_abort_commit(admin: &Admin, topic: &str) -> KafkaProducer {
    let servers = admin.bootstrap_servers();
    admin.create_topic(topic, PARTITIONS);
    let producer = ready(&servers, topic);
    let position =
        || (0..PARTITIONS).map(|partition| admin.group_offset(GROUP, topic, partition).offset);

    producer.begin_transaction().unwrap();
    send_all(&producer, topic, "first").unwrap();
    producer
        .send_offsets_to_transaction(&offsets(topic, 7), &group())
        .unwrap();
    producer.commit_transaction().unwrap();
    assert!(position().all(|offset| offset == 7));

    let changed_mind = producer.transaction(|transaction| {
        send_all(&producer, topic, "aborted").map_err(|_| "not sent")?;
        transaction
            .send_offsets(&offsets(topic, 99), &group())
            .map_err(|_| "no offsets")?;
        // So that the records are in the log.
        producer.flush().map_err(|_| "not flushed")?;
        Err::<(), _>(Oops("changed my mind"))
    });
    assert_eq!(changed_mind.unwrap_err().0, "changed my mind");

    commit(&producer, topic, "last");
    assert_eq!(read_committed(admin, topic, 2), values(&["first", "last"]));
    let all = ConsoleConsumer::new(servers, topic);
    assert_eq!(read(&all, 3), values(&["first", "aborted", "last"]));
    assert!(position().all(|offset| offset == 7));
    producer
}

// Java: TransactionsTest.testReadCommittedConsumerShouldNotSeeUndecidedData,
// testDelayedFetchIncludesAbortedTransaction.
pub(super) fn what_is_undecided_holds_back_what_comes_after_it(cluster: &KafkaCluster, _: i16) {
    let (admin, servers) = (cluster.admin(), cluster.bootstrap_servers());
    admin.create_topic("undecided", 1);
    let to = ("undecided", 0);
    let [slow, quick] = ["slow", "quick"].map(|id| ready(&servers, id));
    quick.begin_transaction().unwrap();
    slow.begin_transaction().unwrap();
    assert_eq!(send(&quick, to, "quick 1").unwrap(), 0);
    assert_eq!(send(&slow, to, "slow 1").unwrap(), 1);
    assert_eq!(send(&slow, to, "slow 2").unwrap(), 2);
    assert_eq!(send(&quick, to, "quick 2").unwrap(), 3);
    assert_eq!(admin.stable_offsets("undecided"), [0]);

    quick.commit_transaction().unwrap();
    wait_until("marker", SOON, || {
        (admin.stable_offsets("undecided") == [1]).then_some(())
    });
    let consumer = ConsoleConsumer::new(servers, "undecided").read_committed();
    let read = |count| {
        let records = consumer.read(count).into_iter();
        let records = records.map(|record| (record.offset, record.value.unwrap()));
        records.collect::<Vec<_>>()
    };
    assert_eq!(read(1), [(0, b"quick 1".to_vec())]);

    slow.abort_transaction().unwrap();
    admin.await_stable("undecided");
    let both = [(0, b"quick 1".to_vec()), (3, b"quick 2".to_vec())];
    assert_eq!(read(2), both);
    admin.delete_topic("undecided");
}

// Java: TransactionsTest.testMultipleMarkersOneLeader.
pub(super) fn many_partitions_of_one_leader_get_their_markers(cluster: &KafkaCluster, _: i16) {
    let (admin, servers) = (cluster.admin(), cluster.bootstrap_servers());
    admin.create_topics(&[
        NewTopic::new("large", 10),
        NewTopic::new("large-single", 10).replication_factor(1),
    ]);
    let producer = ready(&servers, "large");
    let send_many = |topic: &str, name: &str, count: i32| {
        for number in 0..count {
            let value = format!("{name} {number}");
            let record = ProducerRecord::new(topic, value).partition(number % 10);
            drop(producer.send(record).unwrap());
        }
    };
    producer.begin_transaction().unwrap();
    send_many("large", "aborted", 5000);
    send_many("large-single", "aborted", 5000);
    producer.flush().unwrap();
    producer.abort_transaction().unwrap();
    producer.begin_transaction().unwrap();
    send_many("large", "committed", 1000);
    producer.commit_transaction().unwrap();

    admin.await_stable("large");
    admin.await_stable("large-single");
    let consumer = ConsoleConsumer::new(servers.clone(), "large").read_committed();
    let mut committed = 0;
    consumer.read_each(1000, |record| {
        assert!(record.value.unwrap().starts_with(b"committed"));
        committed += 1;
    });
    assert_eq!(committed, 1000);
    for (topic, markers) in [("large", 20), ("large-single", 10)] {
        let records = if topic == "large" { 6000 } else { 5000 };
        let ends = admin.end_offsets(topic);
        assert_eq!(ends.iter().sum::<i64>(), records + markers, "{topic}");
        admin.delete_topic(topic);
    }
}

// Java: TransactionsWithMaxInFlightOneTest.testTransactionalProducerSingleBrokerMaxInFlightOne,
// TransactionsTest.testConsecutivelyRunInitTransactions.
pub(super) fn one_request_in_flight_is_enough(cluster: &KafkaCluster, _: i16) {
    let (admin, servers) = (cluster.admin(), cluster.bootstrap_servers());
    admin.create_topic("one", PARTITIONS);
    let producer = transactional(&servers, "one").max_in_flight_requests_per_connection(1);
    let producer = producer.build().unwrap();
    producer.init_transactions().unwrap();
    let again = producer.init_transactions().unwrap_err();
    assert_eq!(again.kind(), kafka_producer::ErrorKind::IllegalState);

    producer.begin_transaction().unwrap();
    send_all(&producer, "one", "aborted").unwrap();
    producer.flush().unwrap();
    producer.abort_transaction().unwrap();
    commit(&producer, "one", "committed");
    assert_eq!(read_committed(admin, "one", 1), values(&["committed"]));
    admin.delete_topic("one");
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
