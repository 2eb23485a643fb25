//! Several producers with the same transactional id: the latest continues, and the others learn
//! that they are fenced.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use kafka_producer::{Error, ErrorKind, KafkaProducer, ProducerRecord};

use super::{
    PARTITIONS, assert_fenced, commit, group, offsets, read_committed, ready, send, send_all,
    transactional, until_done, values,
};
use crate::harness::{Admin, KafkaCluster};

const AT_CLOSE: Duration = Duration::from_secs(10);

// Java: TransactionsTest.testFencingOnCommit, testFencingOnSend, testFencingOnSendOffsets,
// testFencingOnAddPartitions.
pub(super) fn the_earlier_producer_is_fenced_whatever_it_does(cluster: &KafkaCluster, _: i16) {
    each_way_to_find_out(cluster.admin(), "fenced");
    cluster.admin().delete_topic("fenced");
}

/// What the earlier producer does after the takeover.
#[derive(Clone, Copy, Debug)]
enum Next {
    Commits,
    Aborts,
    SendsToTheSamePartition,
    SendsToAnotherPartition,
    SendsOffsets,
    /// It has ended its transaction before the takeover.
    BeginsAnother,
}

pub(super) fn each_way_to_find_out(admin: &Admin, topic: &str) {
    let servers = admin.bootstrap_servers();
    admin.create_topic(topic, PARTITIONS);
    let all = [
        Next::Commits,
        Next::Aborts,
        Next::SendsToTheSamePartition,
        Next::SendsToAnotherPartition,
        Next::SendsOffsets,
        Next::BeginsAnother,
    ];
    for next in all {
        let id = format!("{topic}-{next:?}");
        let earlier = ready(&servers, &id);
        earlier.begin_transaction().unwrap();
        send(&earlier, (topic, 0), "earlier").unwrap();
        if let Next::BeginsAnother = next {
            earlier.abort_transaction().unwrap();
        }
        let later = ready(&servers, &id);
        assert_fenced(&find_out(&earlier, topic, next));
        assert_fenced(&earlier.begin_transaction().unwrap_err());
        let late = earlier.send(ProducerRecord::new(topic, "too late"));
        late.and_then(|sent| sent.get()).unwrap_err();
        commit(&later, topic, &format!("{next:?}"));
        earlier.close(AT_CLOSE).unwrap();
    }
    let names = all.map(|next| format!("{next:?}"));
    let names = names.each_ref().map(String::as_str);
    assert_eq!(read_committed(admin, topic, names.len()), values(&names));
}

/// Lets the earlier producer find out. Returns the error that says so.
fn find_out(producer: &KafkaProducer, topic: &str, next: Next) -> Error {
    let partition = match next {
        Next::Commits => return producer.commit_transaction().unwrap_err(),
        Next::Aborts => return producer.abort_transaction().unwrap_err(),
        Next::SendsOffsets => {
            let sent = producer.send_offsets_to_transaction(&offsets(topic, 1), &group());
            let refused = sent.unwrap_err();
            return match refused.is_abortable() {
                true => fenced_at_end(producer),
                false => refused,
            };
        }
        Next::SendsToTheSamePartition => 0,
        Next::SendsToAnotherPartition => 1,
        Next::BeginsAnother => {
            producer.begin_transaction().unwrap();
            0
        }
    };
    send(producer, (topic, partition), "more").unwrap_err();
    fenced_at_end(producer)
}

/// Returns the error of ending a transaction with a fenced producer. A leader only knows that the
/// epoch is old, so the fencing may be reported only by the abort.
fn fenced_at_end(producer: &KafkaProducer) -> Error {
    let refused = producer.commit_transaction().unwrap_err();
    match refused.is_abortable() {
        true => producer.abort_transaction().unwrap_err(),
        false => refused,
    }
}

pub(super) fn one_of_two_producers_is_fenced_when_both_begin_at_once(
    cluster: &KafkaCluster,
    _: i16,
) {
    let (admin, servers) = (cluster.admin(), cluster.bootstrap_servers());
    admin.create_topic("race", PARTITIONS);
    let both_have_begun = Barrier::new(2);
    let attempt = |name: &'static str| {
        let (servers, both_have_begun) = (&servers, &both_have_begun);
        move || {
            let producer = transactional(servers, "race").build().unwrap();
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
    assert_fenced(error);
    assert_eq!(read_committed(admin, "race", 1), values(&[winner]));
    admin.delete_topic("race");
}

/// The coordinator cannot store the new epoch, because too few nodes are up.
// Java: TransactionsTest.testFailureToFenceEpoch.
pub(super) fn a_takeover_that_fails_does_no_harm(cluster: &KafkaCluster, _: i16) {
    let (admin, servers) = (cluster.admin(), cluster.bootstrap_servers());
    admin.create_topic("failed", PARTITIONS);
    let first = ready(&servers, "failed");
    commit(&first, "failed", "first");

    let coordinator = admin.transaction_coordinator("failed");
    let others = || {
        cluster
            .node_ids()
            .into_iter()
            .filter(|node| *node != coordinator)
    };
    let second = transactional(&servers, "failed").max_block(Duration::from_secs(2));
    let second = second.build().unwrap();
    // Learns the coordinator's address before the other nodes stop.
    until_done(|| second.partitions_for("failed")).unwrap();
    others().for_each(|node| cluster.pause(node));
    let error = second.init_transactions().unwrap_err();
    second.close(Duration::ZERO).unwrap();
    others().for_each(|node| cluster.resume(node));
    assert!(error.is_timeout(), "{error:?}");
    for topic in ["failed", "__transaction_state"] {
        admin.await_in_sync(topic);
    }

    // The epoch that no producer received may have been stored after all.
    let mut names = vec!["first"];
    match first.transaction(|_| send_all(&first, "failed", "again")) {
        Ok(()) => names.push("again"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Fenced, "{error:?}"),
    }
    commit(&ready(&servers, "failed"), "failed", "third");
    names.push("third");
    assert_eq!(read_committed(admin, "failed", names.len()), values(&names));
    admin.delete_topic("failed");
}
