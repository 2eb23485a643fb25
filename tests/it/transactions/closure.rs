//! The closure form: a commit after `Ok`, an abort after `Err`, after a panic, and after a failed
//! commit.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kafka_producer::testing::{Action, Api};
use kafka_producer::{Error, ErrorCode, ErrorKind, ProducerRecord, Result};

use crate::support::producing::*;
use crate::support::transactions::*;

#[test]
fn ok_commits_records_and_offsets() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        let value = producer.transaction(|transaction| -> Result<_> {
            for (partition, value) in [(0, "a0"), (1, "a1"), (2, "a2")] {
                transaction.send(ProducerRecord::new("t", value).partition(partition))?;
            }
            transaction.send_offsets(&input(7), &group())?;
            Ok(42)
        });
        assert_eq!(value.unwrap(), 42);
        assert_eq!(committed(&broker), everywhere(&["a"]));
        assert_eq!(group_offsets(&broker), [7, 7]);
        assert_works(&broker, &producer);
    }
}

/// An error type of the program.
#[derive(Debug, PartialEq)]
enum Failed {
    Kafka(ErrorKind),
    OutOfMoney,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Kafka(error.kind())
    }
}

#[test]
fn err_aborts_and_is_handed_on() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        let result = producer.transaction(|transaction| -> Result<(), Failed> {
            let sent =
                transaction.send_with_future(ProducerRecord::new("t", "debit").partition(0))?;
            sent.get()?;
            transaction.send_offsets(&input(7), &group())?;
            Err(Failed::OutOfMoney)
        });
        assert_eq!(result, Err(Failed::OutOfMoney));
        assert_eq!(broker.record_count("t"), 1);
        assert_eq!(committed(&broker), [""; 0]);
        assert_eq!(group_offsets(&broker), [0; 0]);
        assert_nothing_open(&broker);
        assert_works(&broker, &producer);
    }
}

#[test]
fn a_panic_aborts_and_goes_on() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            producer.transaction(|transaction| -> Result<()> {
                let sent =
                    transaction.send_with_future(ProducerRecord::new("t", "debit").partition(0))?;
                sent.get()?;
                panic!("out of money");
            })
        }));
        let payload = panicked.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"out of money"));
        assert_eq!(broker.record_count("t"), 1);
        assert_eq!(committed(&broker), [""; 0]);
        assert_nothing_open(&broker);
        assert_works(&broker, &producer);
    }
}

#[test]
fn a_refused_commit_aborts() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        let rule = broker.on(Api::Produce).partition("t", 1);
        rule.then(Action::fail(ErrorCode::INVALID_RECORD));
        let result = producer.transaction(|transaction| {
            for partition in 0..PARTITIONS {
                let record = ProducerRecord::new("t", "refused").partition(partition);
                transaction.send(record)?;
            }
            Ok::<_, Error>(())
        });
        assert_aborted(&result.unwrap_err());
        assert_eq!(committed(&broker), [""; 0]);
        assert_nothing_open(&broker);
        assert_works(&broker, &producer);
    }
}

/// A program may continue after this error: it need not abort, and can begin the next transaction.
#[track_caller]
fn assert_aborted(error: &Error) {
    assert!(error.is_aborted(), "{error:?}");
    assert!(!error.is_abortable() && !error.is_fatal(), "{error:?}");
}

#[test]
fn an_error_of_the_closure_asks_for_no_second_abort() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        broker
            .on(Api::Produce)
            .then(Action::fail(ErrorCode::INVALID_RECORD));
        let result = producer.transaction(|transaction| {
            let refused = ProducerRecord::new("t", "refused").partition(0);
            let error = transaction
                .send_with_future(refused)?
                .get()
                .map(drop)
                .unwrap_err();
            assert_abortable(&error);
            Err::<(), _>(error)
        });
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Broker);
        assert_aborted(&error);
        assert_works(&broker, &producer);
        assert_aborted(&error);
    }
}

#[test]
fn errors_of_an_aborted_transaction_say_that_it_was_aborted() {
    let broker = broker(2);
    let producer = ready(&broker);
    producer.begin_transaction().unwrap();
    let rule = broker.on(Api::Produce).partition("t", 0);
    rule.then(Action::fail(ErrorCode::INVALID_RECORD));
    let of_record = send(&producer, ("t", 0), "refused").get().unwrap_err();
    let of_commit = producer.commit_transaction().unwrap_err();
    for error in [&of_record, &of_commit] {
        assert_abortable(error);
        assert!(!error.is_aborted());
    }
    producer.abort_transaction().unwrap();
    assert_aborted(&of_record);
    assert_aborted(&of_commit);
}

#[test]
fn offsets_that_time_out_in_a_closure_are_aborted() {
    let broker = broker(2);
    let producer = transactional(&broker).max_block(millis(200));
    let producer = producer.build().unwrap();
    until_done(|| producer.init_transactions()).unwrap();
    broker
        .on(Api::TxnOffsetCommit)
        .always()
        .then(Action::fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
    let mut timed_out = None;
    let result = producer.transaction(|transaction| {
        let sent = transaction.send_offsets(&input(7), &group());
        timed_out = sent.as_ref().err().cloned();
        sent
    });
    let error = result.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    if !error.is_aborted() {
        // On a busy machine the abort may have timed out too.
        until_done(|| producer.abort_transaction()).unwrap();
    }
    assert_aborted(&error);
    assert_aborted(&timed_out.unwrap());
}

#[test]
fn a_second_initialization_says_that_it_is_one() {
    let broker = broker(2);
    let producer = ready(&broker);
    let assert_refused = || {
        let error = producer.init_transactions().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IllegalState);
        assert!(error.to_string().contains("already called"), "{error}");
    };
    assert_refused();
    producer.begin_transaction().unwrap();
    assert_refused();
    producer.abort_transaction().unwrap();
    assert_refused();
}

#[test]
fn what_cannot_begin_does_not_run() {
    let broker = broker(2);
    let producer = transactional(&broker).build().unwrap();
    let result = producer.transaction(|_| -> Result<()> { panic!("it runs") });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::IllegalState);
    producer.init_transactions().unwrap();
    producer.begin_transaction().unwrap();
    let result = producer.transaction(|_| -> Result<()> { panic!("it runs") });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::IllegalState);
    // The outer transaction is still open.
    send_everywhere(&producer, "a");
    producer.commit_transaction().unwrap();
    assert_eq!(committed(&broker), everywhere(&["a"]));
}
