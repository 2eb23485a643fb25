//! Transactions of both versions, as clients and read_committed consumers see them.

use super::transactional_client::{TransactionalClient, committed, transactional_broker};
use super::*;
use crate::protocol::messages::ApiVersionsRequest;
use crate::testing::TransactionState;

const FENCED: ErrorCode = ErrorCode::PRODUCER_FENCED;
const OLD_EPOCH: ErrorCode = ErrorCode::INVALID_PRODUCER_EPOCH;
const INVALID: ErrorCode = ErrorCode::INVALID_TXN_STATE;

/// Returns the last stable offset and the end of partition 0.
fn offsets(broker: &FakeBroker) -> (i64, i64) {
    (
        broker.last_stable_offset("t", 0),
        broker.log_end_offset("t", 0),
    )
}

#[test]
fn committed_records_are_seen_and_aborted_ones_are_not() {
    for is_v2 in [false, true] {
        let broker = transactional_broker(if is_v2 { 2 } else { 1 });
        let mut producer = TransactionalClient::start(&broker, "x", is_v2);
        producer.produce("a");
        producer.produce("b");
        assert_eq!(committed(&broker), Vec::<String>::new());
        assert_eq!(offsets(&broker), (0, 2));
        assert_eq!(producer.end(true), ErrorCode::NONE);
        assert_eq!(committed(&broker), ["a", "b"]);
        assert_eq!(offsets(&broker), (3, 3), "the marker has an offset");

        producer.produce("c");
        assert_eq!(producer.end(false), ErrorCode::NONE);
        producer.produce("d");
        assert_eq!(producer.end(true), ErrorCode::NONE);
        assert_eq!(committed(&broker), ["a", "b", "d"]);
        assert_eq!(values(&broker, "t", 0), ["a", "b", "c", "d"]);
        assert_eq!(offsets(&broker), (7, 7));
        assert_eq!(
            (broker.record_count("t"), broker.batches("t", 0).len()),
            (4, 4)
        );

        let markers = broker.markers("t", 0);
        let ends: Vec<_> = markers.iter().map(|m| (m.offset, m.is_commit)).collect();
        assert_eq!(ends, [(2, true), (4, false), (6, true)]);
        let epochs: Vec<_> = markers.iter().map(|m| m.producer_epoch).collect();
        assert_eq!(epochs, if is_v2 { [1, 2, 3] } else { [0, 0, 0] });
        assert_eq!(broker.markers("t", 1), [], "it was not in a transaction");
        assert_eq!(producer.epoch, if is_v2 { 3 } else { 0 });
    }
}

#[test]
fn the_first_open_transaction_holds_back_what_comes_after_it() {
    let broker = transactional_broker(2);
    let mut slow = TransactionalClient::start(&broker, "slow", true);
    let mut fast = TransactionalClient::start(&broker, "fast", true);
    slow.produce("s1");
    fast.produce("f1");
    assert_eq!(fast.end(true), ErrorCode::NONE);
    assert_eq!(
        slow.client.produce_code("t", 0, plain(&["p"])),
        ErrorCode::NONE
    );
    fast.produce("f2");
    assert_eq!(fast.end(false), ErrorCode::NONE);
    assert_eq!((committed(&broker), offsets(&broker)), (Vec::new(), (0, 6)));
    slow.produce("s2");
    assert_eq!(slow.end(true), ErrorCode::NONE);
    assert_eq!(committed(&broker), ["s1", "f1", "p", "s2"]);
    assert_eq!(offsets(&broker), (8, 8));
}

#[test]
fn records_must_be_in_a_transaction_that_has_their_partition() {
    let broker = transactional_broker(1);
    let mut producer = TransactionalClient::start(&broker, "x", false);
    for (version, code) in [
        (9, INVALID),
        (10, INVALID),
        (11, ErrorCode::TRANSACTION_ABORTABLE),
    ] {
        assert_eq!(producer.produce_at(version, 0, "a"), code, "v{version}");
    }
    assert_eq!(producer.add_partitions(3, "t", &[1]), [ErrorCode::NONE]);
    assert_eq!(producer.produce_at(9, 0, "a"), INVALID);
    assert_eq!(producer.produce_at(9, 1, "a"), ErrorCode::NONE);
    assert_eq!(producer.end(true), ErrorCode::NONE);
    producer.sequence += 1;
    assert_eq!(producer.produce_at(9, 1, "b"), INVALID, "it is over");

    let mut stranger = TransactionalClient::start(&broker, "y", false);
    stranger.id = Arc::from("nobody");
    let unknown = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
    assert_eq!(stranger.produce_at(9, 0, "a"), unknown);
    assert_eq!(stranger.add_partitions(3, "t", &[0]), [unknown]);
    assert_eq!(stranger.add_offsets(3, "g"), unknown);
    assert_eq!(stranger.end(true), unknown);
    stranger.id = Arc::from("x");
    assert_eq!(stranger.produce_at(9, 0, "a"), unknown, "it is not its own");
    assert_eq!(broker.record_count("t"), 1);

    // From this version on the broker adds it, even in a cluster of transaction version 1.
    let mut newer = TransactionalClient::start(&broker, "z", false);
    assert_eq!(newer.produce_at(12, 0, "c"), ErrorCode::NONE);
    assert_eq!(newer.end(true), ErrorCode::NONE);
    assert_eq!(committed(&broker), ["c", "a"]);
}

#[test]
fn a_producer_writes_nothing_beside_its_transaction() {
    let broker = transactional_broker(2);
    let mut producer = TransactionalClient::start(&broker, "x", true);
    producer.produce("a");
    let state = ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
        base_sequence: producer.sequence,
        is_transactional: false,
    };
    let beside = batch(state, &["b"]);
    assert_eq!(producer.client.produce_code("t", 0, beside), INVALID);
}

#[test]
fn a_batch_that_comes_again_is_there_once() {
    for is_v2 in [false, true] {
        let broker = transactional_broker(if is_v2 { 2 } else { 1 });
        let mut producer = TransactionalClient::start(&broker, "x", is_v2);
        producer.produce("a");
        producer.sequence = 0;
        producer.produce("a");
        producer.produce("b");
        let late = producer.produce_request(0, "late");
        assert_eq!(producer.end(true), ErrorCode::NONE);
        assert_eq!(committed(&broker), ["a", "b"]);

        // A late write from the ended transaction is not written outside of one.
        producer.client.send(11, late);
        let answer = only_partition(producer.client.receive_produce(11).1);
        let refused = if is_v2 {
            OLD_EPOCH
        } else {
            ErrorCode::TRANSACTION_ABORTABLE
        };
        assert_eq!(answer.error_code, refused);
        assert_eq!(offsets(&broker), (3, 3));
    }
}

#[test]
fn a_new_epoch_begins_with_sequence_0_where_only_a_marker_has_been() {
    let broker = transactional_broker(2);
    let mut producer = TransactionalClient::start(&broker, "x", true);
    producer.produce("a");
    assert_eq!(producer.end(true), ErrorCode::NONE);
    producer.sequence = 1;
    let answer = producer.produce_at(12, 0, "b");
    assert_eq!(answer, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    producer.sequence = 0;
    assert_eq!(producer.produce_at(12, 0, "b"), ErrorCode::NONE);
}

#[test]
fn a_second_producer_fences_the_first() {
    for is_v2 in [false, true] {
        let broker = transactional_broker(if is_v2 { 2 } else { 1 });
        let mut first = TransactionalClient::start(&broker, "x", is_v2);
        first.produce("a");
        // The coordinator asks it to retry once the first one's transaction is aborted.
        let mut second = TransactionalClient::start(&broker, "x", is_v2);
        assert_eq!(second.producer_id, first.producer_id);
        assert_eq!(second.epoch, first.epoch + 2);
        assert_eq!(committed(&broker), Vec::<String>::new());
        assert_eq!(offsets(&broker), (2, 2));

        assert_eq!(first.produce_at(11, 0, "b"), OLD_EPOCH);
        assert_eq!(first.produce_at(12, 1, "b"), OLD_EPOCH);
        assert_eq!(first.add_partitions(2, "t", &[0]), [FENCED]);
        assert_eq!(first.add_partitions(1, "t", &[0]), [OLD_EPOCH]);
        assert_eq!(first.add_offsets(2, "g"), FENCED);
        assert_eq!(first.add_offsets(1, "g"), OLD_EPOCH);
        let offsets = first.offsets("g", &[(0, 5)]);
        assert_eq!(first.commit_offsets(3, offsets), [OLD_EPOCH]);
        assert_eq!(first.end_at(2, true).error_code, FENCED);
        assert_eq!(first.end_at(1, true).error_code, OLD_EPOCH);
        assert_eq!(first.init_at(4), FENCED);
        assert_eq!(first.init_at(3), OLD_EPOCH);

        second.produce("c");
        assert_eq!(second.end(true), ErrorCode::NONE);
        assert_eq!(committed(&broker), ["c"]);
    }
}

#[test]
fn a_test_can_fence_a_producer_itself() {
    let broker = transactional_broker(1);
    assert!(broker.fence_producer("x").is_err());
    let mut producer = TransactionalClient::start(&broker, "x", false);
    broker.fence_producer("x").unwrap();
    assert_eq!(producer.end(true), FENCED);
    let mut producer = TransactionalClient::start(&broker, "x", false);
    producer.produce("a");
    broker.fence_producer("x").unwrap();
    assert_eq!(producer.end(true), FENCED);
    assert_eq!(offsets(&broker), (2, 2));
}

#[test]
fn a_transaction_that_expires_is_aborted_under_the_next_epoch() {
    for version in [1, 2] {
        let broker = transactional_broker(version);
        assert_eq!(broker.expire_transactions(), 0);
        let mut idle = TransactionalClient::start(&broker, "idle", version == 2);
        let mut late = TransactionalClient::start(&broker, "late", version == 2);
        late.produce("a");
        assert_eq!(broker.expire_transactions(), 1);
        assert_eq!(offsets(&broker), (2, 2));
        assert!(!broker.markers("t", 0)[0].is_commit);
        assert_eq!(late.produce_at(11, 0, "b"), OLD_EPOCH);
        // From version 2 on its producer may request the next epoch.
        let (ended, initialized) = match version {
            1 => (FENCED, FENCED),
            _ => (INVALID, ErrorCode::NONE),
        };
        assert_eq!(late.end(true), ended);
        assert_eq!(late.init(), initialized);
        idle.produce("c");
        assert_eq!(idle.end(true), ErrorCode::NONE);
        assert_eq!(committed(&broker), ["c"]);
    }
}

// KIP-360.
#[test]
fn a_producer_bumps_its_own_epoch() {
    let broker = transactional_broker(1);
    let mut producer = TransactionalClient::start(&broker, "x", false);
    producer.produce("a");
    assert_eq!(producer.end(false), ErrorCode::NONE);
    let before = (producer.producer_id, producer.epoch);
    assert_eq!(producer.init(), ErrorCode::NONE);
    assert_eq!(
        (producer.producer_id, producer.epoch),
        (before.0, before.1 + 1)
    );
    // The response was lost.
    (producer.producer_id, producer.epoch) = before;
    assert_eq!(producer.init(), ErrorCode::NONE);
    assert_eq!(producer.epoch, before.1 + 1);
    producer.produce("b");
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(committed(&broker), ["b"]);
}

#[test]
fn epochs_that_run_out_make_a_new_producer_id() {
    let broker = transactional_broker(2);
    assert!(broker.set_producer_epoch("x", 5).is_err());
    let mut producer = TransactionalClient::start(&broker, "x", true);
    let id = producer.producer_id;
    broker.set_producer_epoch("x", i16::MAX - 1).unwrap();
    producer.epoch = i16::MAX - 1;
    producer.produce("a");
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!((producer.producer_id > id, producer.epoch), (true, 0));
    assert_eq!(broker.markers("t", 0)[0].producer_epoch, i16::MAX);
    producer.produce("b");
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(committed(&broker), ["a", "b"]);
}

#[test]
fn an_expired_transactional_id_is_unknown() {
    let broker = transactional_broker(2);
    assert!(broker.forget_transactional_id("x").is_err());
    let mut producer = TransactionalClient::start(&broker, "x", true);
    broker.forget_transactional_id("x").unwrap();
    assert_eq!(broker.transaction("x"), None);
    let unknown = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
    assert_eq!(producer.produce_at(12, 0, "a"), unknown);
    assert_eq!(producer.end(true), unknown);
}

#[test]
fn one_unknown_partition_keeps_the_others_from_being_added() {
    let broker = transactional_broker(1);
    let mut producer = TransactionalClient::start(&broker, "x", false);
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let not_attempted = ErrorCode::OPERATION_NOT_ATTEMPTED;
    let codes = producer.add_partitions(3, "t", &[0, 9, 1]);
    assert_eq!(codes, [not_attempted, unknown, not_attempted]);
    let transaction = broker.transaction("x").unwrap();
    assert_eq!(transaction.state, TransactionState::Empty);
    assert_eq!(producer.end(true), INVALID, "nothing began");
}

#[test]
fn every_version_of_each_api_is_answered() {
    let broker = transactional_broker(2);
    let mut producer = TransactionalClient::start(&broker, "x", false);
    for version in ApiKey::AddPartitionsToTxn.versions() {
        assert_eq!(
            producer.add_partitions(version, "t", &[0]),
            [ErrorCode::NONE]
        );
    }
    for version in ApiKey::AddOffsetsToTxn.versions() {
        assert_eq!(producer.add_offsets(version, "g"), ErrorCode::NONE);
    }
    for version in ApiKey::TxnOffsetCommit.versions() {
        let offsets = producer.offsets("g", &[(0, 5)]);
        assert_eq!(producer.commit_offsets(version, offsets), [ErrorCode::NONE]);
    }
    for version in 0..=4 {
        let response = producer.end_at(version, true);
        assert_eq!(response.error_code, ErrorCode::NONE, "v{version}");
        assert_eq!((response.producer_id, response.producer_epoch), (-1, -1));
    }
    assert_eq!(producer.add_partitions(3, "t", &[0]), [ErrorCode::NONE]);
    let response = producer.end_at(5, true);
    assert_eq!(response.error_code, ErrorCode::NONE);
    assert_eq!(response.producer_id, producer.producer_id);
    assert_eq!(response.producer_epoch, producer.epoch + 1);
}

#[test]
fn a_transaction_can_be_looked_at() {
    let broker = transactional_broker(1);
    assert_eq!(broker.transaction("x"), None);
    let mut producer = TransactionalClient::start(&broker, "x", false);
    let state = || broker.transaction("x").unwrap().state;
    assert_eq!(state(), TransactionState::Empty);
    producer.produce("a");
    assert_eq!(producer.add_offsets(3, "g"), ErrorCode::NONE);
    let transaction = broker.transaction("x").unwrap();
    assert_eq!(transaction.state, TransactionState::Ongoing);
    assert_eq!(transaction.producer_id, producer.producer_id);
    assert_eq!(transaction.producer_epoch, producer.epoch);
    assert_eq!(transaction.timeout_ms, 60_000);
    let partitions: Vec<_> = transaction
        .partitions
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(partitions, ["t-0"]);
    assert_eq!(transaction.groups, ["g"]);
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(state(), TransactionState::CompleteCommit);
    producer.produce("b");
    assert_eq!(producer.end(false), ErrorCode::NONE);
    assert_eq!(state(), TransactionState::CompleteAbort);
}

#[test]
fn api_versions_tells_the_transaction_version() {
    let features = |broker: &FakeBroker, version| {
        let request = ApiVersionsRequest {
            client_software_name: "test".into(),
            client_software_version: "1".into(),
            ..ApiVersionsRequest::default()
        };
        match Client::connect(broker, 1).call(version, request) {
            ResponseBody::ApiVersions(response) => {
                let levels = response.finalized_features.iter();
                let levels = levels.map(|feature| feature.max_version_level);
                (
                    response.finalized_features_epoch,
                    levels.collect::<Vec<_>>(),
                )
            }
            other => panic!("{other:?}"),
        }
    };
    let broker = transactional_broker(1);
    assert_eq!(features(&broker, 3), (0, vec![1]));
    assert_eq!(
        features(&broker, 2),
        (-1, vec![]),
        "it has no place for them"
    );
    broker.set_transaction_version(2);
    assert_eq!(features(&broker, 3), (1, vec![2]));
    assert_eq!(features(&transactional_broker(0), 3), (0, vec![]));
}

/// A broker's behaviour depends on the versions of the requests, so a producer need not learn of a
/// change at once.
#[test]
fn a_cluster_changes_its_transaction_version_under_a_producer() {
    let broker = transactional_broker(1);
    let mut producer = TransactionalClient::start(&broker, "x", false);
    producer.produce("a");
    assert_eq!(producer.end(true), ErrorCode::NONE);
    broker.set_transaction_version(2);
    producer.produce("b");
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(producer.epoch, 0);
    producer.is_v2 = true;
    producer.produce("c");
    assert_eq!(producer.end(true), ErrorCode::NONE);
    broker.set_transaction_version(1);
    producer.produce("d");
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(producer.epoch, 2);
    producer.is_v2 = false;
    producer.produce("e");
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(committed(&broker), ["a", "b", "c", "d", "e"]);
}

#[test]
fn an_empty_transactional_id_is_an_invalid_request() {
    let broker = transactional_broker(2);
    let mut producer = TransactionalClient::start(&broker, "x", true);
    producer.id = Arc::from("");
    let invalid = ErrorCode::INVALID_REQUEST;
    assert_eq!(producer.init(), invalid);
    assert_eq!(producer.add_partitions(3, "t", &[0]), [invalid]);
    assert_eq!(producer.add_offsets(3, "g"), invalid);
    let request = producer.offsets("g", &[(0, 5)]);
    assert_eq!(producer.commit_offsets(5, request), [invalid]);
    assert_eq!(producer.produce_at(11, 0, "a"), invalid);
    assert_eq!(producer.produce_at(12, 0, "a"), invalid);
    assert_eq!(producer.end(true), invalid);
}

#[test]
fn no_internal_topic_can_be_added() {
    let broker = FakeBroker::builder()
        .topic("__consumer_offsets", 1)
        .start()
        .unwrap();
    let mut producer = TransactionalClient::start(&broker, "x", false);
    let codes = producer.add_partitions(3, "__consumer_offsets", &[0]);
    assert_eq!(codes, [ErrorCode::TOPIC_AUTHORIZATION_FAILED]);
}

/// The next batch is checked against what the partition noted of the refused one.
#[test]
fn a_batch_behind_a_refused_one_is_out_of_order() {
    let broker = transactional_broker(1);
    let mut producer = TransactionalClient::start(&broker, "x", false);
    let refused = ErrorCode::TRANSACTION_ABORTABLE;
    assert_eq!(
        producer.produce_at(11, 0, "not in the transaction"),
        refused
    );
    assert_eq!(producer.add_partitions(3, "t", &[0]), [ErrorCode::NONE]);
    producer.sequence = 1;
    let out_of_order = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;
    assert_eq!(producer.produce_at(11, 0, "too early"), out_of_order);
    producer.sequence = 0;
    assert_eq!(producer.produce_at(11, 0, "first"), ErrorCode::NONE);
    assert_eq!(committed(&broker), Vec::<String>::new());
    assert_eq!(broker.record_count("t"), 1);
}
