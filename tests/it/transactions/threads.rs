//! Threads send while another one ends the transaction: each record is either in the transaction or
//! refused.

use std::sync::mpsc::{self, Sender};
use std::thread;

use kafka_producer::testing::FakeBroker;
use kafka_producer::{ErrorKind, KafkaProducer, ProducerRecord, RecordFuture, Result};

use crate::support::producing::LONG;
use crate::support::transactions::*;

const THREADS: usize = 4;
/// The number of transactions of each version.
const ROUNDS: usize = 20;
/// How many records one of the threads sends before the end, so that there is something to end.
const AT_LEAST: usize = 10;

/// Sends until a send is refused because the transaction ends.
fn send_until_refused(
    producer: &KafkaProducer,
    name: &str,
    is_under_way: &Sender<()>,
) -> Vec<(String, RecordFuture)> {
    let mut taken = Vec::new();
    for partition in (0..PARTITIONS).cycle() {
        let value = format!("{name}-{}", taken.len());
        let sent = producer.send(ProducerRecord::new("t", &value).partition(partition));
        match sent {
            Ok(sent) => taken.push((value, sent)),
            Err(error) => {
                // The end is in progress, or done, or the next transaction has not begun.
                assert_eq!(error.kind(), ErrorKind::IllegalState, "{error:?}");
                break;
            }
        }
        if taken.len() == AT_LEAST {
            is_under_way.send(()).unwrap();
        }
    }
    taken
}

/// Runs one transaction of all threads, which this thread ends. Returns what was accepted.
fn run(
    producer: &KafkaProducer,
    round: usize,
    end: impl Fn() -> Result<()>,
) -> Vec<(String, RecordFuture)> {
    producer.begin_transaction().unwrap();
    let (is_under_way, under_way) = mpsc::channel();
    let taken = thread::scope(|scope| {
        let senders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let name = format!("{round}-{thread}");
                let is_under_way = is_under_way.clone();
                scope.spawn(move || send_until_refused(producer, &name, &is_under_way))
            })
            .collect();
        for _ in 0..THREADS {
            under_way.recv_timeout(LONG).unwrap();
        }
        end().unwrap();
        let taken = senders.into_iter().map(|sender| sender.join().unwrap());
        taken.flatten().collect::<Vec<_>>()
    });
    assert!(taken.len() >= THREADS * AT_LEAST);
    taken
}

fn producer(broker: &FakeBroker) -> KafkaProducer {
    // Small batches, so that the end finds them in every state.
    let producer = transactional(broker).batch_size(200).build().unwrap();
    producer.init_transactions().unwrap();
    producer
}

#[test]
fn what_was_taken_before_the_commit_is_committed() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = producer(&broker);
        let mut expected = Vec::new();
        for round in 0..ROUNDS {
            let taken = run(&producer, round, || producer.commit_transaction());
            for (value, sent) in taken {
                sent.try_get().expect("before the commit is").unwrap();
                expected.push(value);
            }
        }
        let mut seen = committed(&broker);
        seen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(seen, expected);
        assert_nothing_open(&broker);
    }
}

#[test]
fn what_was_taken_before_the_abort_is_not_seen() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = producer(&broker);
        for round in 0..ROUNDS {
            let taken = run(&producer, round, || producer.abort_transaction());
            for (_, sent) in taken {
                match sent.try_get().expect("before the abort is") {
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Transaction, "{error:?}"),
                }
            }
            assert_nothing_open(&broker);
        }
        assert_eq!(committed(&broker), [""; 0]);
        assert_works(&broker, &producer);
    }
}
