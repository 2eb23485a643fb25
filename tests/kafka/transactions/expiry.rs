//! What brokers abort or forget after a timeout.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_producer::{ErrorCode, KafkaProducer};

use super::{
    PARTITIONS, assert_fenced, commit, read_committed, ready, send, send_all, transactional, values,
};
use crate::chain::chain;
use crate::harness::{KafkaCluster, RawProducer, dump_log, upgrade_feature, wait_until};
use crate::kafka_or_skip;

const SOON: Duration = Duration::from_secs(60);
/// The timeout of a transaction: enough for one record, even on a busy machine.
const A_MOMENT: Duration = Duration::from_secs(2);

/// The coordinator aborts it, and its producer learns of that when it continues.
// Java: TransactionsTest.testFencingOnTransactionExpiration.
pub(super) fn a_transaction_that_takes_too_long(cluster: &KafkaCluster, version: i16) {
    let (admin, servers) = (cluster.admin(), cluster.bootstrap_servers());
    admin.create_topic("late", PARTITIONS);
    let [commits, aborts, sends] = ["commits", "aborts", "sends"].map(|id| {
        let producer = transactional(&servers, id).transaction_timeout(A_MOMENT);
        let producer = producer.build().unwrap();
        producer.init_transactions().unwrap();
        producer
    });
    for producer in [&commits, &aborts, &sends] {
        producer.begin_transaction().unwrap();
        send(producer, ("late", 0), "too slow").unwrap();
    }
    admin.await_stable("late");
    assert_eq!(admin.end_offsets("late"), [6, 0, 0], "a marker for each");

    let refused = commits.commit_transaction().unwrap_err();
    send(&sends, ("late", 0), "later").unwrap_err();
    if version == 1 {
        assert_fenced(&refused);
        assert_fenced(&aborts.abort_transaction().unwrap_err());
        let error = sends.commit_transaction().unwrap_err();
        assert!(error.is_abortable() || error.is_fatal(), "{error:?}");
        if error.is_abortable() {
            assert_fenced(&sends.abort_transaction().unwrap_err());
        }
    } else {
        assert_eq!(
            refused.code(),
            Some(ErrorCode::INVALID_TXN_STATE),
            "{refused:?}"
        );
        assert!(refused.is_fatal(), "{refused:?}");
        aborts.abort_transaction().unwrap();
        assert!(sends.commit_transaction().unwrap_err().is_abortable());
        sends.abort_transaction().unwrap();
        commit(&aborts, "late", "aborts");
        commit(&sends, "late", "sends");
    }
    commit(&ready(&servers, "commits"), "late", "again");
    let names: &[&str] = match version {
        1 => &["again"],
        _ => &["aborts", "sends", "again"],
    };
    assert_eq!(read_committed(admin, "late", names.len()), values(names));
    admin.delete_topic("late");
}

/// Brokers that soon forget an inactive producer.
fn forgetful() -> KafkaCluster {
    let properties = [
        ("transactional.id.expiration.ms", "4000"),
        (
            "transaction.remove.expired.transaction.cleanup.interval.ms",
            "200",
        ),
        ("producer.id.expiration.ms", "1000"),
        ("producer.id.expiration.check.interval.ms", "200"),
    ];
    KafkaCluster::start_with(1, &properties)
}

#[test]
fn what_brokers_forget_is_made_anew() {
    let _turn = kafka_or_skip!();
    let cluster = forgetful();
    crate::harness::downgrade_feature(&cluster.bootstrap_servers(), "transaction.version=1");
    after_its_producer_id_expires(&cluster, "forgotten-1");
    after_its_transactional_id_expires(&cluster, "expired-1");
    upgrade_feature(&cluster.bootstrap_servers(), "transaction.version=2");
    after_its_producer_id_expires(&cluster, "forgotten-2");
    after_its_transactional_id_expires(&cluster, "expired-2");
}

/// Leaders forget the producer's sequences, but the coordinator still knows it.
// Java: TransactionsExpirationTest.testTransactionAfterProducerIdExpires.
fn after_its_producer_id_expires(cluster: &KafkaCluster, topic: &str) {
    let (admin, servers) = (cluster.admin(), cluster.bootstrap_servers());
    let await_forgotten = || {
        wait_until("end of the producers", SOON, || {
            (admin.active_producers(topic, 0) == 0).then_some(())
        });
    };
    admin.create_topic(topic, PARTITIONS);
    let producer = ready(&servers, topic);
    commit(&producer, topic, "first");
    producer.begin_transaction().unwrap();
    send_all(&producer, topic, "aborted").unwrap();
    producer.flush().unwrap();
    assert_eq!(admin.active_producers(topic, 0), 1);
    producer.abort_transaction().unwrap();
    await_forgotten();
    // The same producer continues, and so does another one with its id.
    commit(&producer, topic, "second");
    await_forgotten();
    commit(&ready(&servers, topic), topic, "third");
    assert_eq!(
        read_committed(admin, topic, 3),
        values(&["first", "second", "third"])
    );
    let batches = dump_log(&cluster.segments(1, topic)).batches.into_iter();
    let producer_ids: BTreeSet<_> = batches.map(|batch| batch.producer_id).collect();
    assert_eq!(producer_ids.len(), 1, "{producer_ids:?}");
}

/// The coordinator forgets the transactional id. Its producer fails, and another one starts anew.
// Java: TransactionsExpirationTest.testFatalErrorAfterInvalidProducerIdMapping.
fn after_its_transactional_id_expires(cluster: &KafkaCluster, topic: &str) {
    let (admin, servers) = (cluster.admin(), cluster.bootstrap_servers());
    admin.create_topic(topic, PARTITIONS);
    let producer = ready(&servers, topic);
    commit(&producer, topic, "first");
    RawProducer::new(servers.parse().unwrap(), topic).await_forgotten();

    producer.begin_transaction().unwrap();
    let error = send(&producer, (topic, 0), "refused").unwrap_err();
    assert!(error.is_fatal(), "{error:?}");
    let text = chain(&error).join(": ");
    assert!(text.contains("INVALID_PRODUCER_ID_MAPPING"), "{text}");
    assert!(producer.abort_transaction().unwrap_err().is_fatal());
    drop(producer);
    let next: KafkaProducer = ready(&servers, topic);
    commit(&next, topic, "second");
    assert_eq!(
        read_committed(admin, topic, 2),
        values(&["first", "second"])
    );
}
