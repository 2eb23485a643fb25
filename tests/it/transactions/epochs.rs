//! The epoch is not bumped while a batch is in flight, and a producer id without epochs left is
//! replaced by another one.

use std::thread;

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{ErrorCode, KafkaProducer};

use crate::support::producing::*;
use crate::support::transactions::*;

/// The last epoch that a producer gets. The one after it is only for markers.
const LAST: i16 = i16::MAX - 1;

/// A producer with this epoch.
fn of_epoch(broker: &FakeBroker, epoch: i16) -> KafkaProducer {
    ready(broker).close(LONG).unwrap();
    broker.set_producer_epoch(ID, epoch - 1).unwrap();
    let producer = ready(broker);
    assert_eq!(known(broker).1, epoch);
    producer
}

/// Returns the producer id and the epoch that the coordinator has.
fn known(broker: &FakeBroker) -> (i64, i16) {
    let known = broker.transaction(ID).unwrap();
    (known.producer_id, known.producer_epoch)
}

/// Makes a transaction that can only be aborted, after which both versions bump the epoch.
fn spoil(broker: &FakeBroker, producer: &KafkaProducer) {
    producer.begin_transaction().unwrap();
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::INVALID_RECORD));
    drop(send(producer, ("t", 0), "spoilt"));
    assert_abortable(&producer.commit_transaction().unwrap_err());
}

// KIP-360, KIP-890. The response with the new id may be lost, and is then repeated.
#[test]
fn a_producer_id_without_epochs_is_replaced() {
    for version in VERSIONS {
        for is_lost in [false, true] {
            let broker = broker(version);
            let producer = of_epoch(&broker, LAST - 1);
            let (first_id, _) = known(&broker);
            spoil(&broker, &producer);
            producer.abort_transaction().unwrap();
            assert_eq!(known(&broker), (first_id, LAST));

            spoil(&broker, &producer);
            if is_lost {
                let bumps = match version {
                    1 => Api::InitProducerId,
                    _ => Api::EndTxn,
                };
                broker.on(bumps).then(Action::apply().disconnect());
            }
            producer.abort_transaction().unwrap();
            let (second_id, epoch) = known(&broker);
            assert_ne!(second_id, first_id);
            assert_eq!(epoch, 0, "version {version}, lost: {is_lost}");
            assert_eq!(broker.unspent_rules(), 0);

            assert_works(&broker, &producer);
            assert_eq!(committed(&broker), everywhere(&["works"]));
            let records = broker.all_records("t").into_iter();
            let mut works = records.filter(|r| r.value.as_deref() == Some(b"works0"));
            assert!(works.all(|record| record.producer_id == second_id));
        }
    }
}

/// The earlier producer then has not an older epoch but another producer id.
#[test]
fn a_takeover_after_the_last_epoch_ends_the_earlier_producer() {
    for version in VERSIONS {
        let broker = broker(version);
        let earlier = of_epoch(&broker, LAST);
        let (first_id, _) = known(&broker);
        earlier.begin_transaction().unwrap();
        send_everywhere(&earlier, "earlier");
        earlier.flush().unwrap();
        let later = ready(&broker);
        assert_ne!(known(&broker).0, first_id);
        let error = earlier.commit_transaction().unwrap_err();
        assert!(error.is_fatal(), "{error:?}");
        assert_works(&broker, &later);
        assert_eq!(committed(&broker), everywhere(&["works"]));
    }
}

/// In version 2 every commit bumps the epoch, and replaces the id after the last epoch. Offsets are
/// committed too.
#[test]
fn commits_go_on_over_the_last_epoch() {
    let broker = broker(2);
    let producer = of_epoch(&broker, LAST - 2);
    let mut ids = Vec::new();
    for number in 0..5 {
        producer.begin_transaction().unwrap();
        send_everywhere(&producer, &format!("{number}-"));
        let offsets = input(number + 1);
        producer
            .send_offsets_to_transaction(&offsets, &group())
            .unwrap();
        ids.push(known(&broker).0);
        producer.commit_transaction().unwrap();
    }
    let [first, last] = [ids[0], ids[4]];
    assert_ne!(first, last);
    assert_eq!(ids, [first, first, first, last, last]);
    let names = ["0-", "1-", "2-", "3-", "4-"];
    assert_eq!(committed(&broker), everywhere(&names));
    assert_eq!(group_offsets(&broker), [5, 5]);
    assert_nothing_open(&broker);
}

/// Batches in flight belong to the aborted transaction: its end and the next epoch wait for them.
#[test]
fn the_epoch_is_not_bumped_while_batches_are_under_way() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = record_by_record(&broker).transactional_id(ID);
        let producer = producer.build().unwrap();
        producer.init_transactions().unwrap();
        producer.begin_transaction().unwrap();
        send_everywhere(&producer, "first");
        producer.flush().unwrap();
        let inits = broker.request_count(Api::InitProducerId);
        let hold = broker.new_hold();
        let rule = broker.on(Api::Produce).partition("t", 1).times(3);
        rule.then(Action::apply().hold(&hold));
        let under_way = send_one_by_one(&broker, &producer, ("t", 1), ["a", "b", "c"]);
        let rule = broker.on(Api::Produce).partition("t", 0);
        rule.then(Action::fail(ErrorCode::INVALID_RECORD));
        let refused = send(&producer, ("t", 0), "refused").get_timeout(LONG);
        assert_abortable(&refused.unwrap_err());
        thread::scope(|scope| {
            let abort = scope.spawn(|| producer.abort_transaction());
            assert!(!broker.wait_for(A_MOMENT, |broker| {
                broker.request_count(Api::EndTxn) > 0
                    || broker.request_count(Api::InitProducerId) > inits
            }));
            hold.release();
            abort.join().unwrap().unwrap();
        });
        assert!(under_way.iter().all(|sent| sent.is_done()));
        let sequences: Vec<_> = attempts(&broker, ("t", 1))
            .iter()
            .map(|header| header.base_sequence)
            .collect();
        assert_eq!(sequences, [0, 1, 2, 3]);
        assert_nothing_open(&broker);
        assert_works(&broker, &producer);
        assert_eq!(committed(&broker), everywhere(&["works"]));
    }
}
