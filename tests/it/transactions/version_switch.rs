//! The cluster is upgraded to transactions of version 2 while the producer runs.

use kafka_producer::testing::{Api, FakeBroker};

use crate::support::producing::*;
use crate::support::transactions::*;

/// Closes every connection, so that the producer learns of the cluster's new features.
fn disconnect_all(broker: &FakeBroker) {
    for node in broker.nodes() {
        broker.disconnect(node).unwrap();
    }
}

#[test]
fn the_producer_goes_over_between_two_transactions() {
    let broker = broker(1);
    let producer = ready(&broker);
    let mut names = Vec::new();
    let mut run = |name: &'static str, is_upgraded: bool| {
        producer.begin_transaction().unwrap();
        let first = send(&producer, ("t", 0), &format!("{name}0"));
        first.get_timeout(LONG).unwrap();
        if is_upgraded {
            // During a transaction, which ends with the version it began with.
            broker.set_transaction_version(2);
            disconnect_all(&broker);
        }
        for partition in 1..PARTITIONS {
            let value = format!("{name}{partition}");
            drop(send(&producer, ("t", partition), &value));
        }
        producer.commit_transaction().unwrap();
        names.push(name);
        assert_eq!(committed(&broker), everywhere(&names));
        assert_nothing_open(&broker);
    };
    run("a", false);
    run("b", true);
    let added = broker.request_count(Api::AddPartitionsToTxn);
    run("c", false);
    run("d", false);
    assert_eq!(broker.request_count(Api::AddPartitionsToTxn), added);
    let ends = broker.requests().into_iter();
    let ends = ends.filter(|request| request.api == Api::EndTxn);
    let versions: Vec<_> = ends.map(|request| request.version).collect();
    assert_eq!(versions.first(), Some(&4));
    assert_eq!(versions[versions.len() - 2..], [5, 5]);
    let epochs = ["a0", "b0", "c0", "d0"].map(|value| epoch_of(&broker, value));
    assert_eq!(epochs[0], epochs[1]);
    assert!(epochs[1] < epochs[2] && epochs[2] < epochs[3], "{epochs:?}");
}

/// The producer was idle during the upgrade.
#[test]
fn an_idle_producer_goes_over() {
    let broker = broker(1);
    let producer = ready(&broker);
    assert_works(&broker, &producer);
    broker.set_transaction_version(2);
    disconnect_all(&broker);
    let mut names = vec!["works"];
    for name in ["a", "b", "c"] {
        producer.begin_transaction().unwrap();
        send_everywhere(&producer, name);
        producer.commit_transaction().unwrap();
        names.push(name);
        assert_eq!(committed(&broker), everywhere(&names));
        assert_nothing_open(&broker);
    }
    let last = broker.requests().into_iter();
    let last = last.rev().find(|request| request.api == Api::EndTxn);
    assert_eq!(last.unwrap().version, 5);
    assert!(epoch_of(&broker, "b0") < epoch_of(&broker, "c0"));
}
