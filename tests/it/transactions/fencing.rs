//! Two producers with the same `transactional.id`: the later one continues, the earlier one learns
//! that it was fenced, and nothing of its open transaction is visible.

use std::sync::Barrier;
use std::thread;

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{Error, ErrorCode, ErrorKind, KafkaProducer};

use crate::support::producing::*;
use crate::support::transactions::*;

#[track_caller]
fn assert_fenced(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error:?}");
    assert!(error.is_fatal() && !error.is_abortable(), "{error:?}");
}

/// Returns the error of ending a transaction with a fenced producer. A partition leader only knows
/// that the epoch is old, so the fencing may be reported only by the abort.
fn fenced_at_end(producer: &KafkaProducer) -> Error {
    let refused = producer.commit_transaction().unwrap_err();
    match refused.is_abortable() {
        true => producer.abort_transaction().unwrap_err(),
        false => refused,
    }
}

/// Checks that every later call returns the same error.
fn assert_stays_fenced(producer: &KafkaProducer) {
    assert_fenced(&producer.begin_transaction().unwrap_err());
    assert_fenced(&producer.commit_transaction().unwrap_err());
    assert_fenced(&producer.abort_transaction().unwrap_err());
    assert_fenced(&producer.init_transactions().unwrap_err());
    let offsets = producer.send_offsets_to_transaction(&input(1), &group());
    assert_fenced(&offsets.unwrap_err());
    let record = kafka_producer::ProducerRecord::new("t", "late").partition(0);
    let sent = producer.send(record);
    assert_fenced(&sent.and_then(|future| future.get()).unwrap_err());
}

/// What the earlier producer does after the takeover.
#[derive(Clone, Copy, Debug)]
enum Next {
    Commits,
    Aborts,
    SendsToTheSamePartition,
    SendsToAnotherPartition,
    SendsOffsets,
}

/// Lets the earlier producer find out. Returns the error that says so.
fn find_out(producer: &KafkaProducer, next: Next) -> Error {
    match next {
        Next::Commits => producer.commit_transaction().unwrap_err(),
        Next::Aborts => producer.abort_transaction().unwrap_err(),
        Next::SendsToTheSamePartition => {
            let more = send(producer, ("t", 0), "more");
            more.get_timeout(LONG).unwrap_err();
            fenced_at_end(producer)
        }
        Next::SendsToAnotherPartition => {
            let more = send(producer, ("t", 1), "more");
            more.get_timeout(LONG).unwrap_err();
            fenced_at_end(producer)
        }
        Next::SendsOffsets => {
            let sent = producer.send_offsets_to_transaction(&input(1), &group());
            let refused = sent.unwrap_err();
            match refused.is_abortable() {
                true => fenced_at_end(producer),
                false => refused,
            }
        }
    }
}

// Java: TransactionsTest.testFencingOnCommit, testFencingOnSend, testFencingOnSendOffsets, testFencingOnAddPartitions.
#[test]
fn the_earlier_producer_is_fenced_whatever_it_does() {
    for version in VERSIONS {
        for next in [
            Next::Commits,
            Next::Aborts,
            Next::SendsToTheSamePartition,
            Next::SendsToAnotherPartition,
            Next::SendsOffsets,
        ] {
            let broker = broker(version);
            let earlier = ready(&broker);
            earlier.begin_transaction().unwrap();
            let sent = send(&earlier, ("t", 0), "earlier");
            sent.get_timeout(LONG).unwrap();
            let later = ready(&broker);
            assert_nothing_open(&broker);
            let error = find_out(&earlier, next);
            assert_fenced(&error);
            assert_says_so(&error);
            assert_stays_fenced(&earlier);
            assert_works(&broker, &later);
            assert_eq!(committed(&broker), everywhere(&["works"]), "{next:?}");
        }
    }
}

fn assert_says_so(error: &Error) {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| {
        error.source()
    });
    let text = causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ");
    assert!(text.contains("fenced off") && text.contains(ID), "{text}");
}

/// A producer whose transaction was aborted by the coordinator because it took too long.
fn expired(version: i16) -> (FakeBroker, KafkaProducer) {
    let broker = broker(version);
    let producer = ready(&broker);
    producer.begin_transaction().unwrap();
    send_everywhere(&producer, "expired");
    producer.flush().unwrap();
    assert_eq!(broker.expire_transactions(), 1);
    assert_nothing_open(&broker);
    (broker, producer)
}

// Java: TransactionsTest.testFencingOnTransactionExpiration.
#[test]
fn a_transaction_that_takes_too_long_is_fenced() {
    let (broker, producer) = expired(1);
    assert_fenced(&producer.commit_transaction().unwrap_err());
    assert_eq!(committed(&broker), [""; 0]);
    assert_works(&broker, &ready(&broker));
}

/// The coordinator has no transaction to commit, but does not fence a producer that aborts.
#[test]
fn in_version_2_a_transaction_that_takes_too_long_can_only_be_aborted() {
    let (broker, producer) = expired(2);
    let error = producer.commit_transaction().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_TXN_STATE));
    assert!(error.is_fatal(), "{error:?}");
    assert!(
        error.to_string().contains("transaction.timeout.ms"),
        "{error}"
    );
    assert_eq!(committed(&broker), [""; 0]);
    assert_works(&broker, &ready(&broker));

    let (broker, producer) = expired(2);
    producer.abort_transaction().unwrap();
    assert_works(&broker, &producer);

    // A producer that continues its transaction learns of it too.
    let (broker, producer) = expired(2);
    let late = send(&producer, ("t", 0), "late");
    late.get_timeout(LONG).unwrap_err();
    assert!(producer.commit_transaction().unwrap_err().is_abortable());
    producer.abort_transaction().unwrap();
    assert_works(&broker, &producer);
}

/// Commits transactions until the producer is fenced or has committed `count`. Returns the number
/// of commits.
fn commit_many(producer: &KafkaProducer, name: &str, count: usize) -> (usize, Option<Error>) {
    for number in 0..count {
        let run = || {
            producer.begin_transaction()?;
            for partition in 0..PARTITIONS {
                let value = format!("{name}{number}");
                let record = kafka_producer::ProducerRecord::new("t", &*value);
                drop(producer.send(record.partition(partition))?);
            }
            producer.commit_transaction()
        };
        if let Err(error) = run() {
            if error.is_abortable() {
                return (number, Some(producer.abort_transaction().unwrap_err()));
            }
            return (number, Some(error));
        }
    }
    (count, None)
}

#[test]
fn of_two_at_work_exactly_one_is_fenced() {
    const COUNT: usize = 20;
    for version in VERSIONS {
        let broker = broker(version);
        let both_are_ready = Barrier::new(2);
        let work = |name| {
            let producer = transactional(&broker).build().unwrap();
            producer.init_transactions().unwrap();
            both_are_ready.wait();
            commit_many(&producer, name, COUNT)
        };
        let outcomes = thread::scope(|scope| {
            let threads = ["a", "b"].map(|name| scope.spawn(move || work(name)));
            threads.map(|thread| thread.join().unwrap())
        });
        let fenced: Vec<_> = outcomes.iter().filter_map(|(_, e)| e.as_ref()).collect();
        assert_eq!(fenced.len(), 1, "{outcomes:?}");
        assert_fenced(fenced[0]);
        assert_says_so(fenced[0]);
        assert_eq!(outcomes.iter().map(|(count, _)| count).max(), Some(&COUNT));
        assert_whole(&broker, outcomes.iter().map(|(count, _)| count).sum());
    }
}

/// Checks that there are `count` transactions, each in all partitions.
fn assert_whole(broker: &FakeBroker, count: usize) {
    let seen = committed(broker);
    assert_eq!(seen.len(), count * 3);
    let by_partition: Vec<_> = seen.chunks(count.max(1)).collect();
    assert!(by_partition.windows(2).all(|pair| pair[0] == pair[1]));
    assert_nothing_open(broker);
}

/// franz-go: the earlier transaction is still being ended when the new one begins.
#[test]
fn a_takeover_waits_for_the_end_of_the_open_transaction() {
    for version in VERSIONS {
        let broker = broker(version);
        let earlier = ready(&broker);
        earlier.begin_transaction().unwrap();
        send_everywhere(&earlier, "earlier");
        earlier.flush().unwrap();
        broker.pause_markers();
        let asked = broker.request_count(Api::InitProducerId);
        thread::scope(|scope| {
            let later = scope.spawn(|| ready(&broker));
            assert!(broker.await_requests(Api::InitProducerId, asked + 3, LONG));
            assert!(!later.is_finished());
            broker.resume_markers();
            let later = later.join().unwrap();
            assert_works(&broker, &later);
        });
        assert_fenced(&earlier.commit_transaction().unwrap_err());
    }
}

/// The takeover comes while the commit is in flight.
#[test]
fn a_commit_that_comes_too_late_is_no_success() {
    for version in VERSIONS {
        let broker = broker(version);
        let earlier = ready(&broker);
        earlier.begin_transaction().unwrap();
        send_everywhere(&earlier, "earlier");
        let hold = broker.new_hold();
        let action = Action::apply().hold_request(&hold);
        broker.on(Api::EndTxn).then(action);
        thread::scope(|scope| {
            let commit = scope.spawn(|| earlier.commit_transaction());
            assert!(broker.await_requests(Api::EndTxn, 1, LONG));
            let later = ready(&broker);
            hold.release();
            assert_fenced(&commit.join().unwrap().unwrap_err());
            assert_works(&broker, &later);
        });
        assert_eq!(committed(&broker), everywhere(&["works"]));
    }
}
