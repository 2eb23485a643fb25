//! Failures inside of a transaction that leave the producer usable: the commit fails, the abort
//! succeeds, and so does the next transaction.

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{ErrorCode, ErrorKind, KafkaProducer, ProducerRecord, TopicPartition};

use crate::support::producing::*;
use crate::support::transactions::*;

/// Checks that the transaction has failed: it takes no more records and cannot be committed, and an
/// abort makes the producer usable again.
fn assert_must_be_aborted(broker: &FakeBroker, producer: &KafkaProducer) {
    let ended = broker.request_count(Api::EndTxn);
    assert_abortable(&producer.commit_transaction().unwrap_err());
    assert_abortable(&producer.begin_transaction().unwrap_err());
    let offsets = producer.send_offsets_to_transaction(&input(1), &group());
    assert_abortable(&offsets.unwrap_err());
    assert_eq!(broker.request_count(Api::EndTxn), ended, "it was committed");
    producer.abort_transaction().unwrap();
    assert_nothing_open(broker);
    assert_works(broker, producer);
}

#[test]
fn a_refused_record_keeps_the_transaction_from_being_committed() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        let rule = broker.on(Api::Produce).partition("t", 2);
        rule.then(Action::fail(ErrorCode::INVALID_RECORD));
        producer.begin_transaction().unwrap();
        let sent = send_everywhere(&producer, "refused");
        let error = sent[2].get_timeout(LONG).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::INVALID_RECORD));
        assert_abortable(&error);
        assert_must_be_aborted(&broker, &producer);
        assert_eq!(committed(&broker), everywhere(&["works"]));
    }
}

/// The commit reports failed records even if nobody looked at their futures.
#[test]
fn a_commit_tells_of_records_that_nobody_asked_after() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        let rule = broker.on(Api::Produce).partition("t", 2);
        rule.then(Action::fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
        producer.begin_transaction().unwrap();
        drop(send_everywhere(&producer, "refused"));
        let error = producer.commit_transaction().unwrap_err();
        assert_abortable(&error);
        assert_must_be_aborted(&broker, &producer);
        assert_eq!(committed(&broker), everywhere(&["works"]));
    }
}

/// librdkafka 1.8.2: a gap in the sequences is a lost record, which a new producer id must not
/// hide.
#[test]
fn a_gap_in_the_sequences_makes_the_commit_refuse() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        producer.begin_transaction().unwrap();
        send_everywhere(&producer, "first");
        producer.flush().unwrap();
        let inits = broker.request_count(Api::InitProducerId);
        let code = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;
        broker.on(Api::Produce).then(Action::fail(code));
        let lost = send(&producer, ("t", 0), "lost");
        let error = lost.get_timeout(LONG).unwrap_err();
        assert_eq!(error.code(), Some(code));
        assert_abortable(&producer.commit_transaction().unwrap_err());
        assert_eq!(broker.request_count(Api::InitProducerId), inits);
        assert_eq!(committed(&broker), [""; 0]);
        assert_must_be_aborted(&broker, &producer);
        assert_eq!(committed(&broker), everywhere(&["works"]));
    }
}

/// librdkafka 1.9.0: a topic is missing for a moment. Its sequences continue, so no record is taken
/// for a duplicate.
#[test]
fn sequences_survive_a_topic_that_is_away_for_a_moment() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        producer.begin_transaction().unwrap();
        send_everywhere(&producer, "a");
        producer.flush().unwrap();
        let gone = Action::fail(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        broker
            .on(Api::Metadata)
            .topic("t")
            .times(2)
            .then(gone.clone());
        broker.on(Api::Produce).partition("t", 0).then(gone);
        let sent = send_everywhere(&producer, "b");
        producer.commit_transaction().unwrap();
        assert!(sent.iter().all(|future| future.try_get().unwrap().is_ok()));
        assert_eq!(committed(&broker), everywhere(&["a", "b"]));
        let headers = attempts(&broker, ("t", 0));
        let sequences: Vec<_> = headers.iter().map(|header| header.base_sequence).collect();
        assert_eq!(sequences, [0, 1, 1]);
        assert!(
            headers
                .iter()
                .all(|h| h.producer_id == headers[0].producer_id)
        );
        assert_nothing_open(&broker);
    }
}

/// Partitions that were added before must be aborted too.
#[test]
fn a_partition_that_cannot_join_does_not_drop_the_others() {
    let broker = broker(1);
    let producer = ready(&broker);
    producer.begin_transaction().unwrap();
    send(&producer, ("t", 0), "joined")
        .get_timeout(LONG)
        .unwrap();
    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    let rule = broker.on(Api::AddPartitionsToTxn).partition("t", 2);
    rule.then(Action::fail(code));
    let sent = send_everywhere(&producer, "refused");
    let error = producer.commit_transaction().unwrap_err();
    assert_abortable(&error);
    let cause = sent[2].get_timeout(LONG).unwrap_err();
    assert_eq!(cause.kind(), ErrorKind::Transaction, "{cause:?}");
    assert_must_be_aborted(&broker, &producer);
    assert_eq!(committed(&broker), everywhere(&["works"]));
}

/// The error of a partition that cannot be added names it.
#[test]
fn the_refused_partition_is_named() {
    let broker = broker(1);
    let producer = ready(&broker);
    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    let rule = broker.on(Api::AddPartitionsToTxn).partition("t", 2);
    rule.then(Action::fail(code));
    producer.begin_transaction().unwrap();
    send_everywhere(&producer, "refused");
    let error = producer.commit_transaction().unwrap_err();
    assert_eq!(
        error.code().or_else(|| cause_of(&error).code()),
        Some(code),
        "{error:?}"
    );
    let cause = cause_of(&error);
    let named = error.topic_partition().or_else(|| cause.topic_partition());
    assert_eq!(named, Some(&TopicPartition::new("t", 2)));
    producer.abort_transaction().unwrap();
}

fn cause_of(error: &kafka_producer::Error) -> kafka_producer::Error {
    use std::error::Error as _;
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    cause.unwrap_or(error).clone()
}

// Java: TransactionsTest.testFencingOnSendOffsets;
// TransactionManagerTest.testUnknownMemberIdInTxnOffsetCommit,
// testIllegalGenerationInTxnOffsetCommit, testFencedInstanceIdInTxnOffsetCommitByGroupInstanceId.
#[test]
fn offsets_of_a_member_that_has_lost_its_place_are_refused() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        let generation = broker.join_group(GROUP, "m", Some("i"));
        let members = [
            (group().generation(generation, "gone"), "unknown"),
            (group().generation(generation + 5, "m"), "generation"),
            (
                group().generation(generation, "old").group_instance_id("i"),
                "instance",
            ),
        ];
        for (member, what) in members {
            producer.begin_transaction().unwrap();
            send_everywhere(&producer, "refused");
            let sent = producer.send_offsets_to_transaction(&input(3), &member);
            let error = sent.expect_err(what);
            assert_abortable(&error);
            assert_abortable(&producer.commit_transaction().unwrap_err());
            producer.abort_transaction().unwrap();
            assert_nothing_open(&broker);
        }
        producer.begin_transaction().unwrap();
        let member = group().generation(generation, "m").group_instance_id("i");
        producer
            .send_offsets_to_transaction(&input(4), &member)
            .unwrap();
        producer.commit_transaction().unwrap();
        assert_eq!(group_offsets(&broker), [4, 4]);
        assert_works(&broker, &producer);
    }
}

/// A record that expires fails the transaction. It may be in the log, and the abort hides it.
#[test]
fn a_record_that_expires_fails_the_transaction() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = transactional(&broker)
            .request_timeout(millis(300))
            .delivery_timeout(millis(300))
            .build()
            .unwrap();
        producer.init_transactions().unwrap();
        let hold = broker.new_hold();
        let stuck = Action::apply().hold(&hold);
        let rule = broker.on(Api::Produce).partition("t", 0);
        rule.always().then(stuck);
        producer.begin_transaction().unwrap();
        let expired = send(&producer, ("t", 0), "expired");
        let error = expired.get_timeout(LONG).unwrap_err();
        assert!(error.is_timeout() && error.is_abortable(), "{error:?}");
        assert_abortable(&producer.commit_transaction().unwrap_err());
        broker.clear_script();
        hold.release();
        producer.abort_transaction().unwrap();
        assert_nothing_open(&broker);
        assert_eq!(committed(&broker), [""; 0]);
    }
}

/// A commit fails if EndTxn is refused, and the producer stays usable.
#[test]
fn a_refused_commit_is_no_success() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        producer.begin_transaction().unwrap();
        send_everywhere(&producer, "refused");
        let refusal = Action::fail(ErrorCode::TRANSACTION_ABORTABLE);
        broker.on(Api::EndTxn).then(refusal);
        assert_abortable(&producer.commit_transaction().unwrap_err());
        producer.abort_transaction().unwrap();
        assert_nothing_open(&broker);
        assert_works(&broker, &producer);
        assert_eq!(committed(&broker), everywhere(&["works"]));
    }
}

/// The producer refuses the record itself, and the program need not look at its future.
#[test]
fn a_record_that_is_too_large_fails_the_transaction() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = transactional(&broker).max_request_size(1000);
        let producer = producer.build().unwrap();
        producer.init_transactions().unwrap();
        producer.begin_transaction().unwrap();
        let too_large = send(&producer, ("t", 0), &"x".repeat(2000));
        let error = too_large.get_timeout(LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
        assert_abortable(&error);
        let small = ProducerRecord::new("t", "small").partition(0);
        let refused = producer.send(small).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Transaction);
        assert_must_be_aborted(&broker, &producer);
        assert_eq!(committed(&broker), everywhere(&["works"]));
    }
}

/// The coordinator has begun the transaction, but its response was lost. A producer that ignored
/// this would fence itself: before version 2 the coordinator refuses a new epoch during a
/// transaction, and invalidates the old one.
#[test]
fn a_transaction_that_was_begun_without_an_answer_is_aborted() {
    for fails_before in [false, true] {
        let broker = broker(1);
        let producer = ready(&broker);
        let rule = |action| broker.on(Api::AddPartitionsToTxn).then(action);
        rule(Action::apply().disconnect());
        let code = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
        let later = broker.on(Api::AddPartitionsToTxn).always();
        later.then(Action::fail(code));
        producer.begin_transaction().unwrap();
        let sent = send(&producer, ("t", 0), "one");
        assert!(broker.await_requests(Api::AddPartitionsToTxn, 2, LONG));
        if fails_before {
            let large = "v".repeat(2 << 20);
            let refused = send(&producer, ("t", 0), &large).get_timeout(LONG);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::RecordTooLarge);
        }
        std::thread::scope(|scope| {
            let aborted = scope.spawn(|| producer.abort_transaction());
            let asked = broker.request_count(Api::AddPartitionsToTxn);
            assert!(broker.await_requests(Api::AddPartitionsToTxn, asked + 2, LONG));
            broker.clear_script();
            aborted.join().unwrap().unwrap();
        });
        assert!(sent.get_timeout(LONG).is_err());
        assert_nothing_open(&broker);
        assert_works(&broker, &producer);
    }
}

/// An abort does not include offsets, so it needs no group coordinator.
#[test]
fn an_abort_does_not_wait_for_the_coordinator_of_a_group() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = transactional(&broker).max_block(millis(500));
        let producer = producer.build().unwrap();
        until_done(|| producer.init_transactions()).unwrap();
        producer.begin_transaction().unwrap();
        send(&producer, ("t", 0), "one").get_timeout(LONG).unwrap();
        let lookups = broker.on(Api::FindCoordinator).always();
        lookups.then(Action::fail(ErrorCode::COORDINATOR_NOT_AVAILABLE));
        let offsets = producer.send_offsets_to_transaction(&input(1), &group());
        assert_eq!(offsets.unwrap_err().kind(), ErrorKind::Timeout);
        until_done(|| producer.abort_transaction()).unwrap();
        assert_nothing_open(&broker);
        broker.clear_script();
        until_done(|| producer.begin_transaction()).unwrap();
        until_done(|| producer.abort_transaction()).unwrap();
    }
}
