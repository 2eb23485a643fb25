//! The producer waits for coordinators that throttle (KIP-219), and nothing else changes.

use std::time::{Duration, Instant};

use kafka_producer::KafkaProducer;
use kafka_producer::testing::{Action, Api, FakeBroker};

use crate::support::producing::*;
use crate::support::transactions::*;

const THROTTLE: Duration = Duration::from_millis(300);

fn commit(producer: &KafkaProducer, name: &str, offset: i64) {
    producer.begin_transaction().unwrap();
    send_everywhere(producer, name);
    let offsets = input(offset);
    producer
        .send_offsets_to_transaction(&offsets, &group())
        .unwrap();
    producer.commit_transaction().unwrap();
}

/// Runs two transactions, of which the first gets a throttled response to `api`. With one node, the
/// next request has to wait.
#[allow(clippy::disallowed_methods, reason = "the time that passes at least")]
fn run(version: i16, api: Api) {
    let broker = FakeBroker::builder()
        .topic("t", PARTITIONS)
        .topic("input", 2)
        .transaction_version(version)
        .start()
        .unwrap();
    // Shorter than the throttle time, which must not count towards it.
    let producer = transactional(&broker).request_timeout(millis(250));
    let producer = producer.build().unwrap();
    // A request to a bootstrap address does not make a node wait.
    producer.partitions_for("t").unwrap();
    let start = Instant::now();
    let throttled = Action::apply().throttle(THROTTLE);
    broker.on(api).then(throttled);
    producer.init_transactions().unwrap();
    commit(&producer, "a", 1);
    commit(&producer, "b", 2);
    assert!(start.elapsed() >= THROTTLE, "{api:?}");
    assert_eq!(broker.unspent_rules(), 0);
    assert_eq!(committed(&broker), everywhere(&["a", "b"]));
    assert_eq!(group_offsets(&broker), [2, 2]);
    assert_nothing_open(&broker);
}

#[test]
fn each_answer_may_throttle() {
    for version in VERSIONS {
        for api in [
            Api::FindCoordinator,
            Api::InitProducerId,
            Api::Produce,
            Api::TxnOffsetCommit,
            Api::EndTxn,
        ] {
            run(version, api);
        }
    }
    run(1, Api::AddPartitionsToTxn);
    run(1, Api::AddOffsetsToTxn);
}
