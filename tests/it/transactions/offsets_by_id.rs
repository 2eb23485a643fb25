//! Offsets by topic id (KIP-1319): the wait for the metadata of their topics, and the ids in the
//! request.

use std::collections::HashMap;

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{ErrorCode, ErrorKind, KafkaProducer, TopicPartition};

use crate::support::producing::*;
use crate::support::transactions::*;

/// Returns the versions of the offset commits that the brokers received, in order.
fn commit_versions(broker: &FakeBroker) -> Vec<i16> {
    let requests = broker.requests().into_iter();
    let commits = requests.filter(|request| request.api == Api::TxnOffsetCommit);
    commits.map(|request| request.version).collect()
}

fn names_input(broker: &FakeBroker) -> usize {
    broker.count_requests(|request| {
        request.api == Api::Metadata && request.topics.iter().any(|topic| topic == "input")
    })
}

fn send_offsets(producer: &KafkaProducer, offset: i64) -> kafka_producer::Result<()> {
    producer.send_offsets_to_transaction(&input(offset), &group())
}

// Java: KafkaProducerTest (4.4): sendOffsetsToTransaction waits for the metadata of new topics, and not for known ones.
#[test]
fn new_topics_wait_for_metadata_and_known_ones_do_not() {
    for (version, expected) in [(1, 4), (2, 6)] {
        let broker = broker(version);
        let producer = ready(&broker);
        producer.begin_transaction().unwrap();
        assert_eq!(names_input(&broker), 0);
        send_offsets(&producer, 1).unwrap();
        assert_eq!(names_input(&broker), 1);
        send_offsets(&producer, 2).unwrap();
        producer.commit_transaction().unwrap();
        assert_eq!(names_input(&broker), 1, "the topic is known");
        assert_eq!(commit_versions(&broker), [expected; 2]);
        assert_eq!(group_offsets(&broker), [2, 2]);
        assert_works(&broker, &producer);
    }
}

#[test]
fn an_older_coordinator_gets_the_offsets_by_name() {
    let broker = cluster(2).versions(Api::TxnOffsetCommit, 0..=5);
    let broker = broker.start().unwrap();
    let producer = ready(&broker);
    producer.begin_transaction().unwrap();
    send_offsets(&producer, 1).unwrap();
    producer.commit_transaction().unwrap();
    assert_eq!(commit_versions(&broker), [5]);
    assert_eq!(group_offsets(&broker), [1, 1]);
    assert_nothing_open(&broker);
}

// Java: KafkaProducerTest (4.4): a timeout of the metadata leaves the transaction as it is.
#[test]
fn a_timeout_of_the_metadata_changes_nothing_and_the_next_call_goes_by_name() {
    for (version, expected) in [(1, 4), (2, 5)] {
        for is_again in [false, true] {
            let broker = broker(version);
            let producer = transactional(&broker).max_block(millis(500));
            let producer = producer.build().unwrap();
            until_done(|| producer.init_transactions()).unwrap();
            until_done(|| producer.partitions_for("t")).unwrap();
            producer.begin_transaction().unwrap();
            // The metadata never has an id: the topic is still refused after the hold.
            let hold = broker.new_hold();
            let refused = Action::fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
            let metadata = broker.on(Api::Metadata).topic("input").always();
            metadata.then(refused.hold(&hold));
            let error = send_offsets(&producer, 1).unwrap_err();
            assert!(error.is_timeout() && !error.is_abortable(), "{error:?}");
            assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));
            assert!(error.to_string().contains("metadata of input"), "{error}");
            assert_eq!(broker.request_count(Api::AddOffsetsToTxn), 0);
            assert_eq!(broker.request_count(Api::TxnOffsetCommit), 0);
            // Other requests need the connection of the held response.
            hold.release();
            if is_again {
                until_done(|| send_offsets(&producer, 2)).unwrap();
                assert_eq!(commit_versions(&broker), [expected]);
            }
            send_everywhere(&producer, "a");
            until_done(|| producer.commit_transaction()).unwrap();
            assert_eq!(committed(&broker), everywhere(&["a"]));
            let expected = if is_again { vec![2, 2] } else { Vec::new() };
            assert_eq!(group_offsets(&broker), expected);
            assert_nothing_open(&broker);
        }
    }
}

/// The error of the last call belongs to its transaction, so a program can tell that the abort has
/// undone it.
#[test]
fn a_timeout_of_the_metadata_belongs_to_the_transaction_if_one_is_open() {
    let broker = broker(2);
    let producer = transactional(&broker).max_block(millis(200));
    let producer = producer.build().unwrap();
    until_done(|| producer.init_transactions()).unwrap();
    let hold = broker.new_hold();
    let metadata = broker.on(Api::Metadata).topic("input").always();
    metadata.then(Action::apply().hold(&hold));
    let outside = send_offsets(&producer, 1).unwrap_err();
    producer.begin_transaction().unwrap();
    // The first topic is known by now, and the request for the second one waits behind the held
    // response.
    let second = [(TopicPartition::new("input2", 0), 1.into())].into();
    let inside = producer.send_offsets_to_transaction(&second, &group());
    let inside = inside.unwrap_err();
    assert!(inside.is_timeout() && outside.is_timeout());
    hold.release();
    until_done(|| producer.abort_transaction()).unwrap();
    assert!(inside.is_aborted());
    assert!(!outside.is_aborted(), "no transaction was open");
    producer.begin_transaction().unwrap();
    until_done(|| send_offsets(&producer, 3)).unwrap();
    until_done(|| producer.commit_transaction()).unwrap();
    assert_eq!(group_offsets(&broker), [3, 3]);
    assert_nothing_open(&broker);
}

// Java: sendOffsetsToTransaction checks the state after the metadata, as observed with a 4.4
// client.
#[test]
fn without_a_transaction_the_metadata_comes_first_and_then_the_illegal_state() {
    let broker = broker(2);
    let producer = ready(&broker);
    let missing = [(TopicPartition::new("missing", 0), 1.into())].into();
    let error = producer.send_offsets_to_transaction(&missing, &group());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::IllegalState);
    assert!(broker.topic_id("missing").is_some(), "it was created");
    assert_works(&broker, &producer);
}

/// The first response about a topic that it creates has no id, and the coordinator may not know the
/// topic yet.
#[test]
fn offsets_of_a_topic_that_is_just_created_are_committed() {
    let new: HashMap<_, _> = [(TopicPartition::new("new", 0), 7.into())].into();
    let broker = broker(2);
    // The second response comes after the call's timeout.
    let producer = transactional(&broker)
        .retry_backoff(LONG * 10)
        .retry_backoff_max(LONG * 10);
    let producer = producer.build().unwrap();
    producer.init_transactions().unwrap();
    producer.begin_transaction().unwrap();
    let sent = producer.send_offsets_to_transaction(&new, &group());
    sent.unwrap();
    producer.commit_transaction().unwrap();
    assert_eq!(commit_versions(&broker), [5]);
    assert_eq!(group_offsets(&broker), [7]);
    assert_nothing_open(&broker);

    let broker = self::broker(2);
    let producer = ready(&broker);
    producer.begin_transaction().unwrap();
    let early = Action::fail(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    broker.on(Api::TxnOffsetCommit).times(3).then(early);
    let sent = producer.send_offsets_to_transaction(&new, &group());
    sent.unwrap();
    producer.commit_transaction().unwrap();
    let versions = commit_versions(&broker);
    assert_eq!(versions, [versions[0]; 4], "the same request is repeated");
    assert_eq!(group_offsets(&broker), [7]);
    assert_works(&broker, &producer);
}

/// Errors of topics are left for the coordinator to report.
#[test]
fn errors_of_topics_do_not_end_the_wait_with_an_error() {
    for code in [
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ] {
        let broker = broker(2);
        let producer = ready(&broker);
        producer.begin_transaction().unwrap();
        let refused = broker.on(Api::Metadata).topic("input").always();
        refused.then(Action::fail(code));
        send_offsets(&producer, 1).unwrap();
        producer.commit_transaction().unwrap();
        assert_eq!(commit_versions(&broker), [5], "{code}");
        assert_eq!(group_offsets(&broker), [1, 1]);
    }
}

// Java: TransactionManagerTest.testTxnOffsetCommitRetriesOnUnknownTopicIdAtV6. Java would send the
// stale id until the call times out.
#[test]
fn offsets_of_a_topic_that_was_created_again_succeed_within_the_call() {
    let broker = broker(2);
    let producer = ready(&broker);
    producer.begin_transaction().unwrap();
    send_offsets(&producer, 1).unwrap();
    producer.commit_transaction().unwrap();
    let old = broker.topic_id("input");
    broker.recreate_topic("input").unwrap();
    assert_ne!(broker.topic_id("input"), old);
    producer.begin_transaction().unwrap();
    // The coordinator refuses the stale id, and then stays busy until the metadata has the new id.
    broker.on(Api::TxnOffsetCommit).then(Action::apply());
    let busy = Action::fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    broker.on(Api::TxnOffsetCommit).always().then(busy);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| send_offsets(&producer, 2));
        let by_id = |broker: &FakeBroker| {
            let versions = commit_versions(broker).into_iter();
            versions.filter(|version| *version == 6).count()
        };
        // One of the earlier transaction, one with the stale id, one with the new id.
        assert!(broker.wait_for(LONG, |broker| by_id(broker) >= 3));
        broker.clear_script();
        call.join().unwrap().unwrap();
    });
    producer.commit_transaction().unwrap();
    assert_eq!(commit_versions(&broker).last(), Some(&6));
    assert_eq!(group_offsets(&broker), [2, 2]);
    assert_works(&broker, &producer);
}

// Java: TransactionManagerTest (4.4), TxnOffsetCommitRequestTest: GROUP_ID_NOT_FOUND, STALE_MEMBER_EPOCH.
#[test]
fn a_group_that_does_not_match_is_abortable() {
    for version in VERSIONS {
        for code in [
            ErrorCode::GROUP_ID_NOT_FOUND,
            ErrorCode::STALE_MEMBER_EPOCH,
            ErrorCode::ILLEGAL_GENERATION,
        ] {
            let broker = broker(version);
            let producer = ready(&broker);
            producer.begin_transaction().unwrap();
            send_everywhere(&producer, "refused");
            broker.on(Api::TxnOffsetCommit).then(Action::fail(code));
            let error = send_offsets(&producer, 1).unwrap_err();
            assert_eq!(error.code(), Some(code));
            assert_abortable(&error);
            let text = error.to_string();
            assert!(text.contains("does not match the group"), "{text}");
            producer.abort_transaction().unwrap();
            assert!(error.is_aborted());
            assert_eq!(committed(&broker), [""; 0]);
            assert_works(&broker, &producer);
        }
    }
}

#[test]
fn a_close_ends_the_wait_for_metadata() {
    let broker = broker(2);
    let producer = transactional(&broker).max_block(LONG * 10).build().unwrap();
    producer.init_transactions().unwrap();
    producer.begin_transaction().unwrap();
    let hold = broker.new_hold();
    let metadata = broker.on(Api::Metadata).topic("input").always();
    metadata.then(Action::apply().hold(&hold));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| send_offsets(&producer, 1));
        assert!(broker.wait_for(LONG, |broker| names_input(broker) > 0));
        let closed = producer.close(millis(0));
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error:?}");
        assert!(error.to_string().contains("metadata"), "{error}");
        drop(closed);
    });
    hold.release();
}
