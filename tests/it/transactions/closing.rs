//! A producer is closed or dropped with an open transaction: what was not committed is not visible.

use kafka_producer::testing::Api;
use kafka_producer::{ErrorKind, ProducerRecord, Result};

use crate::support::producing::*;
use crate::support::transactions::*;

#[test]
fn close_aborts_the_open_transaction() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        producer.begin_transaction().unwrap();
        send_everywhere(&producer, "open");
        producer.flush().unwrap();
        producer.close(LONG).unwrap();
        assert_eq!(broker.request_count(Api::EndTxn), 1);
        assert_eq!(committed(&broker), [""; 0]);
        assert_nothing_open(&broker);
        for call in [
            producer.begin_transaction(),
            producer.commit_transaction(),
            producer.abort_transaction(),
            producer.init_transactions(),
            producer.send_offsets_to_transaction(&input(1), &group()),
            producer.transaction(|_| -> Result<()> { panic!("it runs") }),
            producer.send(ProducerRecord::new("t", "late")).map(drop),
        ] {
            assert_eq!(call.unwrap_err().kind(), ErrorKind::Closed);
        }
        assert_works(&broker, &ready(&broker));
    }
}

/// The end of a transaction without records needs no response that would end the I/O thread's wait.
#[test]
#[allow(clippy::disallowed_methods, reason = "the time that passes at most")]
fn close_with_an_empty_transaction_does_not_wait() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        producer.begin_transaction().unwrap();
        let begun = std::time::Instant::now();
        producer.close(LONG).unwrap();
        assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
        assert_nothing_open(&broker);
    }
}

#[test]
fn drop_aborts_the_open_transaction() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        producer.begin_transaction().unwrap();
        send_everywhere(&producer, "open");
        producer.flush().unwrap();
        drop(producer);
        assert_eq!(committed(&broker), [""; 0]);
        assert_nothing_open(&broker);
    }
}

/// As after a crash, the transaction stays open until the next producer with this id aborts it.
#[test]
fn what_a_crash_leaves_open_the_next_producer_aborts() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        producer.begin_transaction().unwrap();
        send_everywhere(&producer, "open");
        producer.flush().unwrap();
        producer.close(millis(0)).unwrap();
        assert_eq!(broker.request_count(Api::EndTxn), 0);
        assert_eq!(broker.last_stable_offset("t", 0), 0);
        let next = ready(&broker);
        assert_nothing_open(&broker);
        assert_works(&broker, &next);
        assert_eq!(committed(&broker), everywhere(&["works"]));
    }
}

#[test]
fn close_between_transactions_asks_for_nothing() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        assert_works(&broker, &producer);
        let ended = broker.request_count(Api::EndTxn);
        producer.close(LONG).unwrap();
        assert_eq!(broker.request_count(Api::EndTxn), ended);
        assert_eq!(committed(&broker), everywhere(&["works"]));
    }
}
