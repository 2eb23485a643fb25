//! The closure form: committed on `Ok`, aborted on `Err`, on a panic, and when the commit is refused.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kafka_producer::testing::{Action, Api};
use kafka_producer::{Error, ErrorCode, ErrorKind, ProducerRecord, Result};

use crate::support::*;

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

/// An error of the program's own.
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
        assert_abortable(&result.unwrap_err());
        assert_eq!(committed(&broker), [""; 0]);
        assert_nothing_open(&broker);
        assert_works(&broker, &producer);
    }
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
    // The transaction around it is still open.
    send_everywhere(&producer, "a");
    producer.commit_transaction().unwrap();
    assert_eq!(committed(&broker), everywhere(&["a"]));
}
