//! Calls that time out and are repeated, outcomes that stay unknown, and calls at the wrong time.

use std::error::Error as _;
use std::sync::{Arc, mpsc};

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    Delivery, ErrorCode, ErrorKind, KafkaProducer, ProducerRecord, Result, TopicPartition,
};

use crate::support::producing::*;
use crate::support::transactions::*;

/// A producer with short timeouts that knows the topics.
fn impatient(broker: &FakeBroker) -> KafkaProducer {
    let producer = transactional(broker).max_block(millis(200));
    let producer = producer.build().unwrap();
    for topic in ["t", "input"] {
        until_done(|| producer.partitions_for(topic)).unwrap();
    }
    producer
}

/// Makes a call that the broker delays until it has timed out, and repeats it until it succeeds.
fn time_out_then_succeed(
    broker: &FakeBroker,
    api: Api,
    producer: &KafkaProducer,
    call: impl Fn(&KafkaProducer) -> Result<()>,
) {
    let hold = broker.new_hold();
    broker.on(api).then(Action::apply().hold(&hold));
    let error = call(producer).unwrap_err();
    assert!(error.is_timeout() && !error.is_fatal(), "{error:?}");
    assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));
    assert!(error.to_string().contains("call it again"), "{error}");
    // No other call is allowed meanwhile.
    let other = producer.begin_transaction().unwrap_err();
    assert_eq!(other.kind(), ErrorKind::IllegalState, "{other:?}");
    hold.release();
    until_done(|| call(producer)).unwrap();
    assert_eq!(broker.unspent_rules(), 0);
}

// Java: KafkaProducerTest.testInitTransactionTimeout, testCommitTransactionTimeout's retries.
#[test]
fn calls_that_time_out_may_be_made_again() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = impatient(&broker);
        let init = KafkaProducer::init_transactions;
        time_out_then_succeed(&broker, Api::InitProducerId, &producer, init);
        producer.begin_transaction().unwrap();
        send_everywhere(&producer, "a");
        let commit = KafkaProducer::commit_transaction;
        time_out_then_succeed(&broker, Api::EndTxn, &producer, commit);
        assert_eq!(committed(&broker), everywhere(&["a"]));
        producer.begin_transaction().unwrap();
        send_everywhere(&producer, "b");
        producer.flush().unwrap();
        let abort = KafkaProducer::abort_transaction;
        time_out_then_succeed(&broker, Api::EndTxn, &producer, abort);
        assert_eq!(committed(&broker), everywhere(&["a"]));
        assert_eq!(broker.request_count(Api::EndTxn), 2, "asked once each");
        assert_nothing_open(&broker);
    }
}

/// The requests that carry offsets, by version.
const CARRY_OFFSETS: [(i16, Api); 3] = [
    (1, Api::AddOffsetsToTxn),
    (1, Api::TxnOffsetCommit),
    (2, Api::TxnOffsetCommit),
];

#[test]
fn offsets_that_time_out_may_be_sent_again() {
    for (version, api) in CARRY_OFFSETS {
        let broker = broker(version);
        let producer = impatient(&broker);
        until_done(|| producer.init_transactions()).unwrap();
        producer.begin_transaction().unwrap();
        let send =
            |producer: &KafkaProducer| producer.send_offsets_to_transaction(&input(7), &group());
        time_out_then_succeed(&broker, api, &producer, send);
        until_done(|| producer.commit_transaction()).unwrap();
        assert_eq!(group_offsets(&broker), [7, 7]);
        assert_nothing_open(&broker);
    }
}

/// Ending the transaction also ends the call for its offsets, which need not be repeated.
#[test]
fn after_offsets_that_time_out_the_transaction_may_be_ended() {
    for (version, api) in CARRY_OFFSETS {
        for is_commit in [true, false] {
            let broker = broker(version);
            let producer = impatient(&broker);
            until_done(|| producer.init_transactions()).unwrap();
            producer.begin_transaction().unwrap();
            let hold = broker.new_hold();
            broker.on(api).then(Action::apply().hold(&hold));
            let late = producer.send_offsets_to_transaction(&input(7), &group());
            assert!(late.unwrap_err().is_timeout());
            let end = || match is_commit {
                true => producer.commit_transaction(),
                false => producer.abort_transaction(),
            };
            assert!(end().unwrap_err().is_timeout(), "it waits for the offsets");
            assert_eq!(broker.request_count(Api::EndTxn), 0);
            hold.release();
            until_done(end).unwrap();
            let expected = if is_commit { vec![7, 7] } else { Vec::new() };
            assert_eq!(group_offsets(&broker), expected);
            assert_nothing_open(&broker);
        }
    }
}

/// Each call would wait for its own thread. None of them changes anything.
#[test]
fn calls_that_wait_fail_at_once_inside_a_callback() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = transactional(&broker).max_block(LONG * 10);
        let producer = Arc::new(producer.build().unwrap());
        producer.init_transactions().unwrap();
        producer.begin_transaction().unwrap();
        let (sender, called) = mpsc::channel();
        let inner = Arc::clone(&producer);
        let callback = move |_| {
            let results = [
                inner.init_transactions(),
                inner.send_offsets_to_transaction(&input(1), &group()),
                inner.commit_transaction(),
                inner.abort_transaction(),
                inner.transaction(|_| -> Result<()> { panic!("it runs") }),
            ];
            // The test has the last handle, so it waits for the end of the producer.
            drop(inner);
            sender.send(results).unwrap();
        };
        let outer = ProducerRecord::new("t", "outer").partition(0);
        producer.send_with_callback(outer, callback).unwrap();
        for result in called.recv_timeout(LONG).unwrap() {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldDeadlock, "{error:?}");
            assert!(!error.is_fatal() && !error.is_abortable());
        }
        producer.commit_transaction().unwrap();
        assert_eq!(committed(&broker), ["outer"]);
        assert_works(&broker, &producer);
    }
}

#[test]
fn calls_without_a_coordinator_time_out_and_may_be_made_again() {
    for version in VERSIONS {
        let broker = broker(version);
        let refusal = Action::fail(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        broker.on(Api::FindCoordinator).always().then(refusal);
        let producer = impatient(&broker);
        let error = producer.init_transactions().unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        broker.clear_script();
        until_done(|| producer.init_transactions()).unwrap();
        producer.begin_transaction().unwrap();
        send_everywhere(&producer, "a");
        until_done(|| producer.commit_transaction()).unwrap();
        assert_eq!(committed(&broker), everywhere(&["a"]));
    }
}

/// The timeout error has the reason that the brokers gave.
#[test]
fn offsets_of_a_topic_that_is_not_there_time_out_with_the_reason() {
    for version in VERSIONS {
        let broker = cluster(version).auto_create_topics(false);
        let broker = broker.start().unwrap();
        let producer = impatient(&broker);
        until_done(|| producer.init_transactions()).unwrap();
        producer.begin_transaction().unwrap();
        let gone = [(TopicPartition::new("gone", 0), 1.into())].into();
        // On a busy machine the coordinator may not even have answered in time.
        let cause = loop {
            let timed_out = producer.send_offsets_to_transaction(&gone, &group());
            let error = timed_out.unwrap_err();
            assert!(error.is_timeout(), "{error:?}");
            if let Some(cause) = error.source() {
                break cause.to_string();
            }
        };
        assert!(cause.contains("UNKNOWN_TOPIC_OR_PARTITION"), "{cause}");
        until_done(|| producer.abort_transaction()).unwrap();
        assert_nothing_open(&broker);
    }
}

/// A producer ends before the response to its commit: all or none of the transaction is visible.
#[test]
fn a_commit_without_an_answer_is_all_or_nothing() {
    for version in VERSIONS {
        for is_done in [true, false] {
            let broker = broker(version);
            let producer = impatient(&broker);
            until_done(|| producer.init_transactions()).unwrap();
            producer.begin_transaction().unwrap();
            send_everywhere(&producer, "unknown");
            producer.flush().unwrap();
            let action = if is_done {
                Action::apply()
            } else {
                Action::skip()
            };
            broker.on(Api::EndTxn).always().then(action.never_reply());
            let error = producer.commit_transaction().unwrap_err();
            assert!(error.is_timeout(), "{error:?}");
            assert_eq!(error.delivery(), Delivery::MaybeWritten);
            assert!(broker.await_requests(Api::EndTxn, 1, LONG));
            producer.close(millis(0)).ok();
            broker.clear_script();
            let next = ready(&broker);
            let seen = if is_done {
                everywhere(&["unknown"])
            } else {
                Vec::new()
            };
            assert_eq!(committed(&broker), seen);
            assert_works(&broker, &next);
        }
    }
}

/// Before EndTxn is sent, nothing is uncertain.
#[test]
fn a_commit_that_waits_for_records_is_not_written() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = impatient(&broker);
        until_done(|| producer.init_transactions()).unwrap();
        producer.begin_transaction().unwrap();
        let hold = broker.new_hold();
        broker
            .on(Api::Produce)
            .partition("t", 0)
            .then(Action::apply().hold(&hold));
        send_everywhere(&producer, "a");
        let error = producer.commit_transaction().unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(error.delivery(), Delivery::NotWritten);
        assert_eq!(broker.request_count(Api::EndTxn), 0);
        hold.release();
        until_done(|| producer.commit_transaction()).unwrap();
        assert_eq!(committed(&broker), everywhere(&["a"]));
    }
}

fn assert_misuse(result: Result<()>, advice: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalState, "{error:?}");
    assert!(!error.is_fatal() && !error.is_abortable(), "{error:?}");
    assert!(error.to_string().contains(advice), "{error}");
}

fn send_one(producer: &KafkaProducer) -> Result<()> {
    let record = ProducerRecord::new("t", "misplaced").partition(0);
    producer.send(record).map(drop)
}

#[test]
fn calls_at_the_wrong_time_change_nothing() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = transactional(&broker).build().unwrap();
        let offsets = || producer.send_offsets_to_transaction(&input(1), &group());
        for call in [
            producer.begin_transaction(),
            producer.commit_transaction(),
            producer.abort_transaction(),
            offsets(),
            send_one(&producer),
        ] {
            assert_misuse(call, "call init_transactions first");
        }
        producer.init_transactions().unwrap();
        assert_misuse(producer.init_transactions(), "init_transactions");
        for call in [
            producer.commit_transaction(),
            producer.abort_transaction(),
            offsets(),
            send_one(&producer),
        ] {
            assert_misuse(call, "call begin_transaction first");
        }
        producer.begin_transaction().unwrap();
        assert_misuse(producer.begin_transaction(), "begin_transaction");
        assert_misuse(producer.init_transactions(), "init_transactions");
        producer.commit_transaction().unwrap();
        assert_misuse(
            producer.commit_transaction(),
            "call begin_transaction first",
        );
        assert_works(&broker, &producer);
        assert_eq!(committed(&broker), everywhere(&["works"]));
    }
}

#[test]
fn without_an_id_there_are_no_transactions() {
    let broker = broker(2);
    let producer = quick(&broker).build().unwrap();
    let advice = "transactional.id";
    assert_misuse(producer.init_transactions(), advice);
    assert_misuse(producer.begin_transaction(), advice);
    assert_misuse(producer.commit_transaction(), advice);
    assert_misuse(producer.abort_transaction(), advice);
    let offsets = producer.send_offsets_to_transaction(&input(1), &group());
    assert_misuse(offsets, advice);
    assert_eq!(offsets_of_a_plain_send(&producer), 0);
}

fn offsets_of_a_plain_send(producer: &KafkaProducer) -> i64 {
    offsets(&[send(producer, ("t", 0), "plain")])[0]
}

#[test]
fn a_generation_without_a_member_is_refused() {
    let broker = broker(2);
    let producer = ready(&broker);
    producer.begin_transaction().unwrap();
    let nobody = group().generation(1, "");
    let error = producer.send_offsets_to_transaction(&input(1), &nobody);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::IllegalArgument);
    producer.commit_transaction().unwrap();
    assert_works(&broker, &producer);
}
