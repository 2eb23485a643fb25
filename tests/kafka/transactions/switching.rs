//! The cluster's version of transactions changes while producers run.
//!
//! As in Java, a producer learns the version when a connection begins. Until its next connection it
//! uses the old version. Brokers accept that, because they decide by the version of each request.

use kafka_producer::KafkaProducer;

use super::{PARTITIONS, commit, read_committed, ready, send_all, values};
use crate::harness::{KafkaCluster, downgrade_feature, dump_log, upgrade_feature};
use crate::kafka_or_skip;

// Java: kafkatest transactions_upgrade, transactions_mixed_versions.
#[test]
fn a_producer_goes_on_when_the_version_is_raised_and_lowered() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::start_with_feature(1, "transaction.version=1");
    let servers = cluster.bootstrap_servers();
    cluster.admin().create_topic("switched", PARTITIONS);
    let producer = ready(&servers, "switched");
    let mut run = Run {
        cluster: &cluster,
        producer: &producer,
        names: Vec::new(),
    };
    run.commit("version 1");
    run.commit("version 1 again");
    run.commit_around("raised meanwhile", || {
        upgrade_feature(&servers, "transaction.version=2");
    });
    run.commit("raised");
    run.commit_around("reconnected meanwhile", || reconnect(&cluster));
    run.commit("version 2");
    run.commit("version 2 again");
    run.commit_around("lowered meanwhile", || {
        downgrade_feature(&servers, "transaction.version=1");
    });
    run.commit("lowered");
    run.commit_around("reconnected to version 1", || reconnect(&cluster));
    run.commit("back");
    run.commit("back again");

    let names = run.names;
    assert_eq!(
        read_committed(cluster.admin(), "switched", names.len()),
        values(&names)
    );
    let epochs = epochs_in_order(&cluster, "switched");
    // One epoch for all of version 1, and one for each transaction of version 2.
    assert_eq!(epochs, [0, 1, 2, 3, 4, 5, 6]);
}

struct Run<'a> {
    cluster: &'a KafkaCluster,
    producer: &'a KafkaProducer,
    names: Vec<&'static str>,
}

impl Run<'_> {
    fn commit(&mut self, name: &'static str) {
        commit(self.producer, "switched", name);
        self.names.push(name);
        self.cluster.admin().await_stable("switched");
    }

    /// Commits a transaction during which `event` happens.
    fn commit_around(&mut self, name: &'static str, event: impl FnOnce()) {
        self.producer.begin_transaction().unwrap();
        send_all(self.producer, "switched", name).unwrap();
        self.producer.flush().unwrap();
        event();
        self.producer.commit_transaction().unwrap();
        self.names.push(name);
        self.cluster.admin().await_stable("switched");
    }
}

/// Makes the producer open its connections again.
fn reconnect(cluster: &KafkaCluster) {
    cluster.stop(1);
    cluster.restart(1);
    cluster.admin().await_in_sync("switched");
}

/// Returns the epochs of the batches in the first partition, each once.
fn epochs_in_order(cluster: &KafkaCluster, topic: &str) -> Vec<i16> {
    let segments = cluster.segments(1, topic);
    let dump = dump_log(&segments[..1]);
    let batches = dump
        .batches
        .into_iter()
        .filter(|batch| batch.base_sequence >= 0);
    let mut epochs: Vec<_> = batches.map(|batch| batch.producer_epoch).collect();
    epochs.dedup();
    epochs
}
