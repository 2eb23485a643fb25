//! Nodes that do not answer in time.

use std::thread;
use std::time::Duration;

use kafka_producer::{KafkaProducer, ProducerRecord, Result};

use super::{
    PARTITIONS, commit, epochs, group, offsets, read_committed, ready, send, send_all,
    transactional, until_done, values,
};
use crate::harness::{KafkaCluster, NewTopic};

/// The timeout of a call that nobody answers.
const A_SECOND: Duration = Duration::from_secs(1);
/// The topics of producers that are closed during their call, and of those that continue.
const TOPICS: [&str; 2] = ["closed", "going-on"];

/// A call that waits for a coordinator.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Call {
    Init,
    SendOffsets,
    Commit,
    Abort,
}

impl Call {
    const ALL: [Self; 4] = [Self::Init, Self::SendOffsets, Self::Commit, Self::Abort];

    /// A producer that can make the call.
    fn prepare(self, servers: &str, topic: &str) -> KafkaProducer {
        let id = format!("{topic}-{self:?}");
        let producer = transactional(servers, &id).max_block(A_SECOND);
        let producer = producer.build().unwrap();
        until_done(|| producer.partitions_for(topic)).unwrap();
        if self != Self::Init {
            until_done(|| producer.init_transactions()).unwrap();
            producer.begin_transaction().unwrap();
            send_all(&producer, topic, &format!("{self:?}")).unwrap();
            producer.flush().unwrap();
        }
        producer
    }

    fn make(self, producer: &KafkaProducer) -> Result<()> {
        match self {
            Self::Init => producer.init_transactions(),
            Self::SendOffsets => {
                producer.send_offsets_to_transaction(&offsets("input", 3), &group())
            }
            Self::Commit => producer.commit_transaction(),
            Self::Abort => producer.abort_transaction(),
        }
    }

    fn assert_times_out(self, producer: &KafkaProducer) {
        let error = self.make(producer).unwrap_err();
        assert!(
            error.is_timeout() && !error.is_fatal(),
            "{self:?}: {error:?}"
        );
    }
}

/// They are repeated when the nodes answer, or the producer is closed at once.
// Java: TransactionsTest.testInitTransactionsTimeout, testSendOffsetsToTransactionTimeout,
// testCommitTransactionTimeout, testAbortTransactionTimeout.
pub(super) fn calls_time_out_while_no_node_answers(cluster: &KafkaCluster, _: i16) {
    let (admin, servers) = (cluster.admin(), cluster.bootstrap_servers());
    admin.create_topic("input", PARTITIONS);
    let [closing, going_on] = TOPICS.map(|topic| {
        admin.create_topic(topic, PARTITIONS);
        Call::ALL.map(|call| (call, call.prepare(&servers, topic)))
    });
    let all = || cluster.node_ids().into_iter();
    all().for_each(|node| cluster.pause(node));
    thread::scope(|scope| {
        for (call, producer) in closing.iter().chain(&going_on) {
            scope.spawn(|| call.assert_times_out(producer));
        }
    });
    for (_, producer) in &closing {
        // Its error says what was not done.
        let _ = producer.close(Duration::ZERO);
    }
    all().for_each(|node| cluster.resume(node));
    for (call, producer) in &going_on {
        until_done(|| call.make(producer)).unwrap();
        if *call == Call::SendOffsets {
            until_done(|| producer.commit_transaction()).unwrap();
        }
    }
    // Other producers with the same ids abort what the closed ones left open.
    for call in Call::ALL {
        let next = ready(&servers, &format!("closed-{call:?}"));
        commit(&next, "closed", &format!("after {call:?}"));
    }

    for topic in ["__transaction_state", "__consumer_offsets"] {
        admin.await_in_sync(topic);
    }
    let committed = read_committed(admin, "going-on", 2);
    assert_eq!(committed, values(&["SendOffsets", "Commit"]));
    let after = Call::ALL.map(|call| format!("after {call:?}"));
    let mut names: Vec<_> = after.iter().map(String::as_str).collect();
    let committed = read_committed(admin, "closed", 4);
    // The commit that nobody waits for may have succeeded.
    if committed != values(&names) {
        names.insert(0, "Commit");
        assert_eq!(read_committed(admin, "closed", 5), values(&names));
    }
    for topic in TOPICS.into_iter().chain(["input"]) {
        admin.delete_topic(topic);
    }
}

/// The leader of a partition is down for longer than the delivery timeout.
// Java: TransactionsTest.testBumpTransactionalEpochWithTV2Disabled,
// testBumpTransactionalEpochWithTV2Enabled.
pub(super) fn a_record_that_expires_costs_its_transaction_alone(cluster: &KafkaCluster, _: i16) {
    let (admin, servers) = (cluster.admin(), cluster.bootstrap_servers());
    admin.create_topics(&[
        NewTopic::new("expired", PARTITIONS),
        NewTopic::new("lonely", PARTITIONS).replication_factor(1),
    ]);
    let producer = transactional(&servers, "expired")
        .delivery_timeout(Duration::from_secs(2))
        .request_timeout(A_SECOND)
        .linger(Duration::ZERO);
    let producer = producer.build().unwrap();
    producer.init_transactions().unwrap();
    until_done(|| producer.transaction(|_| send_all(&producer, "lonely", "first"))).unwrap();

    let coordinator = admin.transaction_coordinator("expired");
    let leaders = admin.partitions("lonely").into_iter();
    let lonely = leaders.map(|state| (state.partition, state.leader));
    let (partition, leader) = lonely
        .clone()
        .find(|(_, leader)| *leader != coordinator)
        .unwrap();
    producer.begin_transaction().unwrap();
    send(&producer, ("expired", 0), "gone").unwrap();
    cluster.pause(leader);
    let record = ProducerRecord::new("lonely", "gone too").partition(partition);
    let error = producer.send(record).unwrap().get().unwrap_err();
    cluster.resume(leader);
    assert!(error.is_timeout(), "{error:?}");
    for topic in ["expired", "lonely", "__transaction_state"] {
        admin.await_in_sync(topic);
    }
    until_done(|| producer.abort_transaction()).unwrap();

    for topic in ["lonely", "expired"] {
        // On a slow machine these may expire too.
        let sent = until_done(|| producer.transaction(|_| send_all(&producer, topic, "last")));
        sent.unwrap();
    }
    assert_eq!(read_committed(admin, "expired", 1), values(&["last"]));
    let both = read_committed(admin, "lonely", 2);
    assert_eq!(both, values(&["first", "last"]));
    let of_all_nodes = cluster.node_ids().into_iter();
    let segments: Vec<_> = of_all_nodes
        .flat_map(|node| cluster.segments(node, "lonely"))
        .collect();
    assert!(epochs(&segments).len() > 1, "the epoch was bumped");
    send(&producer, ("lonely", 0), "outside of a transaction").unwrap_err();
    for topic in ["expired", "lonely"] {
        admin.delete_topic(topic);
    }
}
