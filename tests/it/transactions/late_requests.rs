//! A broker handles requests of one transaction during the next one (KAFKA-17754). The epoch
//! rejects them: in version 2 the brokers bump it, in version 1 the producer does.

use kafka_producer::testing::{Action, Api, FakeBroker, Hold};
use kafka_producer::{ErrorKind, KafkaProducer};

use crate::support::producing::*;
use crate::support::transactions::*;

/// A producer with a short request timeout.
fn producer(broker: &FakeBroker) -> KafkaProducer {
    let producer = transactional(broker).request_timeout(millis(300));
    let producer = producer.build().unwrap();
    producer.init_transactions().unwrap();
    producer
}

/// Delays the next request of this kind until `hold` is released. By then it has timed out.
fn hold_next(broker: &FakeBroker, api: Api) -> Hold {
    let hold = broker.new_hold();
    broker.on(api).then(Action::apply().hold_request(&hold));
    hold
}

/// Lets the late request be handled. Its connection is closed after that, because the producer no
/// longer uses it.
fn let_it_come(broker: &FakeBroker, hold: &Hold) {
    let before = broker.connection_count();
    hold.release();
    assert!(broker.wait_for(LONG, |broker| broker.connection_count() < before));
}

fn end(producer: &KafkaProducer, is_commit: bool) {
    match is_commit {
        true => producer.commit_transaction().unwrap(),
        false => producer.abort_transaction().unwrap(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    WhileTheNextIsOpen,
    AfterTheNext,
}

/// The request of this kind in the first transaction is handled while the second one, which ends
/// the other way, is open or after it has ended.
fn run(version: i16, api: Api, is_commit: bool, comes: Comes) {
    let broker = broker(version);
    let producer = producer(&broker);
    producer.begin_transaction().unwrap();
    let hold = hold_next(&broker, api);
    send_everywhere(&producer, "one");
    producer
        .send_offsets_to_transaction(&input(1), &group())
        .unwrap();
    producer.flush().unwrap();
    end(&producer, is_commit);
    producer.begin_transaction().unwrap();
    send_everywhere(&producer, "two");
    producer
        .send_offsets_to_transaction(&input(2), &group())
        .unwrap();
    producer.flush().unwrap();
    if comes == Comes::WhileTheNextIsOpen {
        let_it_come(&broker, &hold);
    }
    end(&producer, !is_commit);
    if comes == Comes::AfterTheNext {
        let_it_come(&broker, &hold);
    }
    let (name, offset) = if is_commit { ("one", 1) } else { ("two", 2) };
    assert_eq!(
        committed(&broker),
        everywhere(&[name]),
        "{api:?}, version {version}"
    );
    assert_eq!(group_offsets(&broker), [offset; 2]);
    assert_nothing_open(&broker);
    assert_eq!(broker.record_count("t"), 6, "{api:?}: written twice");
    assert_works(&broker, &producer);
}

fn run_all(api: Api, versions: &[i16]) {
    for &version in versions {
        for is_commit in [true, false] {
            run(version, api, is_commit, Comes::WhileTheNextIsOpen);
            run(version, api, is_commit, Comes::AfterTheNext);
        }
    }
}

#[test]
fn a_late_end_does_not_end_the_next_transaction() {
    run_all(Api::EndTxn, &VERSIONS);
}

#[test]
fn a_late_record_does_not_join_the_next_transaction() {
    run_all(Api::Produce, &VERSIONS);
}

#[test]
fn late_offsets_do_not_join_the_next_transaction() {
    run_all(Api::TxnOffsetCommit, &VERSIONS);
}

#[test]
fn a_late_partition_opens_no_transaction() {
    run_all(Api::AddPartitionsToTxn, &[1]);
}

#[test]
fn a_late_group_opens_no_transaction() {
    run_all(Api::AddOffsetsToTxn, &[1]);
}

/// Brokers before 2.5 bump no epochs, so nothing can reject a late request: the commit is as it
/// was, and the producer begins no other transaction.
#[test]
fn where_no_epoch_can_be_bumped_no_transaction_follows() {
    let broker = cluster(1)
        .versions(Api::InitProducerId, 0..=2)
        .start()
        .unwrap();
    let producer = ready(&broker);
    assert_works(&broker, &producer);
    producer.begin_transaction().unwrap();
    send_everywhere(&producer, "last");
    let lost = Action::apply().disconnect();
    broker.on(Api::EndTxn).then(lost);
    producer.commit_transaction().unwrap();
    assert_eq!(committed(&broker), everywhere(&["works", "last"]));
    let error = producer.begin_transaction().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction);
    assert!(error.is_fatal(), "{error:?}");
    assert_nothing_open(&broker);
}
