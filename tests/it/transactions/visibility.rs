//! In both versions, what is committed is visible in whole, with its offsets, and what is aborted
//! is not.

use std::sync::atomic::{AtomicBool, Ordering};

use kafka_producer::ErrorKind;
use kafka_producer::testing::{Action, Api, Request, TopicConfig};

use crate::support::producing::*;
use crate::support::transactions::*;

#[test]
fn commits_are_seen_and_aborts_are_not() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        for number in 0..6_i64 {
            let name = format!("n{number}-");
            producer.begin_transaction().unwrap();
            let sent = send_everywhere(&producer, &name);
            producer.flush().unwrap();
            producer
                .send_offsets_to_transaction(&input(number), &group())
                .unwrap();
            let before = committed(&broker);
            assert!(!before.contains(&format!("{name}0")), "seen before its end");
            if number % 3 == 2 {
                producer.abort_transaction().unwrap();
                assert_eq!(committed(&broker), before);
            } else {
                producer.commit_transaction().unwrap();
                assert_eq!(committed(&broker).len(), before.len() + 3);
                assert_eq!(group_offsets(&broker), [number; 2]);
            }
            assert!(sent.iter().all(|future| future.try_get().unwrap().is_ok()));
            assert_nothing_open(&broker);
        }
        let names = ["n0-", "n1-", "n3-", "n4-"];
        assert_eq!(committed(&broker), everywhere(&names), "version {version}");
    }
}

/// KAFKA-5251: a record that was not sent yet fails with the abort, and is not sent after it.
#[test]
fn an_abort_takes_what_was_not_sent() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = transactional(&broker).linger(LONG).build().unwrap();
        producer.init_transactions().unwrap();
        producer.begin_transaction().unwrap();
        let unsent = send_everywhere(&producer, "unsent");
        producer.abort_transaction().unwrap();
        for future in unsent {
            let error = future.get_timeout(LONG).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transaction);
        }
        assert_eq!(broker.request_count(Api::Produce), 0);
        assert_works(&broker, &producer);
        assert_eq!(broker.record_count("t"), 3);
    }
}

/// Without records the commit needs no request.
#[test]
fn empty_transactions_end_well() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        for _ in 0..3 {
            producer.begin_transaction().unwrap();
            producer.commit_transaction().unwrap();
            producer.begin_transaction().unwrap();
            producer.abort_transaction().unwrap();
        }
        producer.begin_transaction().unwrap();
        producer
            .send_offsets_to_transaction(&[].into(), &group())
            .unwrap();
        producer.commit_transaction().unwrap();
        assert_eq!(broker.request_count(Api::EndTxn), 0);
        assert_eq!(broker.request_count(Api::AddPartitionsToTxn), 0);
        assert_works(&broker, &producer);
    }
}

#[test]
fn offsets_alone_make_a_transaction() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        for (offset, is_commit) in [(5, true), (9, false)] {
            producer.begin_transaction().unwrap();
            producer
                .send_offsets_to_transaction(&input(offset), &group())
                .unwrap();
            match is_commit {
                true => producer.commit_transaction().unwrap(),
                false => producer.abort_transaction().unwrap(),
            }
            assert_nothing_open(&broker);
        }
        assert_eq!(group_offsets(&broker), [5, 5]);
    }
}

/// The commit waits until all records have a result, so it needs no flush.
#[test]
fn a_commit_sends_what_lingers() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = transactional(&broker).linger(LONG).build().unwrap();
        producer.init_transactions().unwrap();
        producer.begin_transaction().unwrap();
        let sent = send_everywhere(&producer, "a");
        producer.commit_transaction().unwrap();
        assert!(sent.iter().all(|future| future.try_get().unwrap().is_ok()));
        assert_eq!(committed(&broker), everywhere(&["a"]));
        assert_nothing_open(&broker);
    }
}

// Java: SenderTest.testTransactionalSplitBatchAndSend, end to end. The response to one part is lost
// too, so that it is sent again.
#[test]
fn parts_of_a_batch_that_was_too_large_are_in_the_transaction_once() {
    for version in VERSIONS {
        let small = TopicConfig::new(1).max_message_bytes(5_000);
        let cluster = cluster(version).topic_with("small", small);
        let broker = cluster.start().unwrap();
        let producer = transactional(&broker).linger(LONG).batch_size(60_000);
        let producer = producer.build().unwrap();
        producer.init_transactions().unwrap();
        producer.begin_transaction().unwrap();
        let values: Vec<_> = (0..60).map(|n| format!("{n:0900}")).collect();
        let sent: Vec<_> = values
            .iter()
            .map(|value| send(&producer, ("small", 0), value))
            .collect();
        let is_part = |request: &Request| {
            request.api == Api::Produce
                && request.batches.iter().all(|b| b.header.size_bytes < 5_000)
        };
        let lost = AtomicBool::new(false);
        broker.on_request(move |_, request| {
            let is_first = is_part(request) && !lost.swap(true, Ordering::Relaxed);
            is_first.then(|| Action::apply().disconnect())
        });
        producer.commit_transaction().unwrap();
        assert_eq!(offsets(&sent), (0..60).collect::<Vec<_>>());
        let seen = broker.committed_records("small").into_iter();
        let seen: Vec<_> = seen
            .map(|record| String::from_utf8(record.value.unwrap()).unwrap())
            .collect();
        assert!(seen == values, "each once, in order");
        let batches = broker.batches("small", 0);
        assert!(batches.len() > 10 && batches.iter().all(|b| b.header.is_transactional));
        assert_nothing_open(&broker);
    }
}

/// Each version sends only its own requests: what the brokers do themselves is not requested.
#[test]
fn each_version_asks_for_what_is_its_own() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        producer.begin_transaction().unwrap();
        send_everywhere(&producer, "a");
        producer
            .send_offsets_to_transaction(&input(1), &group())
            .unwrap();
        producer.commit_transaction().unwrap();
        assert_works(&broker, &producer);
        let newest = |api| {
            let requests = broker.requests().into_iter();
            let versions = requests.filter(|request| request.api == api);
            versions.map(|request| request.version).max()
        };
        let asked = [
            newest(Api::AddPartitionsToTxn),
            newest(Api::AddOffsetsToTxn),
            newest(Api::EndTxn),
            newest(Api::TxnOffsetCommit),
        ];
        match version {
            1 => assert_eq!(asked, [Some(3), Some(4), Some(4), Some(4)]),
            _ => assert_eq!(asked, [None, None, Some(5), Some(6)]),
        }
        assert!(newest(Api::Produce).is_some_and(|produce| (produce >= 12) == (version == 2)));
        let (first, second) = (epoch_of(&broker, "a0"), epoch_of(&broker, "works0"));
        assert_eq!(second - first, if version == 2 { 1 } else { 0 });
    }
}
