//! Offsets in transactions, and the checks of the group's members.

use super::transactional_client::{TransactionalClient, transactional_broker};
use super::*;

/// Returns the partitions and offsets that a group has committed.
fn committed_offsets(broker: &FakeBroker, group: &str) -> Vec<(i32, i64)> {
    let offsets = broker.committed_offsets(group).into_iter();
    offsets
        .map(|committed| (committed.topic_partition.partition(), committed.offset))
        .collect()
}

#[test]
fn offsets_wait_for_the_end_of_the_transaction() {
    for version in [1, 2] {
        let broker = transactional_broker(version);
        let mut producer = TransactionalClient::start(&broker, "x", version == 2);
        let mut write = |offsets: &[(i32, i64)], is_commit| {
            if version == 1 {
                assert_eq!(producer.add_offsets(3, "g"), ErrorCode::NONE);
            }
            let version = if version == 1 { 4 } else { 5 };
            let request = producer.offsets("g", offsets);
            let codes = producer.commit_offsets(version, request);
            assert_eq!(codes, vec![ErrorCode::NONE; offsets.len()]);
            assert_eq!(broker.pending_offsets("g").len(), offsets.len());
            assert_eq!(producer.end(is_commit), ErrorCode::NONE);
            assert_eq!(broker.pending_offsets("g"), []);
        };
        assert_eq!(broker.committed_offsets("g"), []);
        write(&[(0, 5), (1, 6)], true);
        assert_eq!(committed_offsets(&broker, "g"), [(0, 5), (1, 6)]);
        write(&[(0, 7)], false);
        assert_eq!(committed_offsets(&broker, "g"), [(0, 5), (1, 6)]);
        write(&[(0, 8)], true);
        assert_eq!(committed_offsets(&broker, "g"), [(0, 8), (1, 6)]);
    }
}

#[test]
fn what_the_consumer_noted_is_kept() {
    let broker = transactional_broker(2);
    let mut producer = TransactionalClient::start(&broker, "x", true);
    let mut request = producer.offsets("g", &[(0, 5)]);
    let partition = &mut request.topics[0].partitions[0];
    partition.committed_leader_epoch = 3;
    partition.committed_metadata = Some(Arc::from("note"));
    assert_eq!(producer.commit_offsets(5, request), [ErrorCode::NONE]);
    assert_eq!(producer.end(true), ErrorCode::NONE);
    let committed = &broker.committed_offsets("g")[0];
    assert_eq!(committed.topic_partition.to_string(), "t-0");
    assert_eq!(committed.leader_epoch, 3);
    assert_eq!(committed.metadata.as_deref(), Some("note"));
}

#[test]
fn a_group_must_have_been_added() {
    let broker = transactional_broker(1);
    let mut producer = TransactionalClient::start(&broker, "x", false);
    for (version, code) in [
        (3, ErrorCode::INVALID_TXN_STATE),
        (4, ErrorCode::TRANSACTION_ABORTABLE),
    ] {
        let request = producer.offsets("g", &[(0, 5)]);
        assert_eq!(producer.commit_offsets(version, request), [code]);
    }
    assert_eq!(producer.add_offsets(3, "other"), ErrorCode::NONE);
    let request = producer.offsets("g", &[(0, 5)]);
    assert_eq!(
        producer.commit_offsets(3, request),
        [ErrorCode::INVALID_TXN_STATE]
    );
    let request = producer.offsets("", &[(0, 5)]);
    assert_eq!(
        producer.commit_offsets(3, request),
        [ErrorCode::INVALID_GROUP_ID]
    );
    // From this version on the broker adds it, even in a cluster of transaction version 1.
    let request = producer.offsets("g", &[(0, 5)]);
    assert_eq!(producer.commit_offsets(5, request), [ErrorCode::NONE]);
}

#[test]
fn one_unknown_partition_fails_alone() {
    let broker = transactional_broker(2);
    let mut producer = TransactionalClient::start(&broker, "x", true);
    let request = producer.offsets("g", &[(9, 4), (0, 5)]);
    let codes = producer.commit_offsets(5, request);
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(codes, [unknown, ErrorCode::NONE]);
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(committed_offsets(&broker, "g"), [(0, 5)]);
}

#[test]
fn metadata_above_the_limit_is_refused_for_its_partition_alone() {
    let broker = FakeBroker::builder()
        .topic("t", 2)
        .offset_metadata_max_bytes(5)
        .start()
        .unwrap();
    let mut producer = TransactionalClient::start(&broker, "x", true);
    // The limit counts UTF-16 units: both have more than five bytes.
    for (metadata, code) in [
        ("\u{20ac}\u{1f600}\u{1f600}", ErrorCode::NONE),
        (
            "\u{1f600}\u{1f600}\u{1f600}",
            ErrorCode::OFFSET_METADATA_TOO_LARGE,
        ),
    ] {
        let mut request = producer.offsets("g", &[(0, 5), (1, 6)]);
        request.topics[0].partitions[0].committed_metadata = Some(Arc::from(metadata));
        let codes = producer.commit_offsets(5, request);
        assert_eq!(codes, [code, ErrorCode::NONE], "{metadata}");
    }
    let broker = transactional_broker(2);
    let mut producer = TransactionalClient::start(&broker, "x", true);
    for (length, code) in [
        (4096, ErrorCode::NONE),
        (4097, ErrorCode::OFFSET_METADATA_TOO_LARGE),
    ] {
        let mut request = producer.offsets("g", &[(0, 5)]);
        let metadata = "m".repeat(length);
        request.topics[0].partitions[0].committed_metadata = Some(Arc::from(metadata));
        assert_eq!(producer.commit_offsets(5, request), [code], "{length}");
    }
}

#[test]
fn unknown_partitions_are_refused_before_the_coordinator_hears_of_them() {
    let broker = transactional_broker(2);
    let mut stranger = TransactionalClient::start(&broker, "x", true);
    stranger.id = Arc::from("nobody");
    let mut codes = |offsets: &[_]| {
        let request = stranger.offsets("g", offsets);
        stranger.commit_offsets(5, request)
    };
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let no_producer = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
    assert_eq!(codes(&[(9, 5)]), [unknown]);
    assert_eq!(codes(&[(9, 5), (0, 5)]), [unknown, no_producer]);
    // They add nothing to a transaction.
    let mut producer = TransactionalClient::start(&broker, "y", true);
    let request = producer.offsets("g", &[(9, 5)]);
    assert_eq!(producer.commit_offsets(5, request), [unknown]);
    let transaction = broker.transaction("y").unwrap();
    assert_eq!(transaction.groups, Vec::<String>::new());
}

#[test]
fn the_transaction_is_checked_before_the_members_of_the_group() {
    let broker = transactional_broker(2);
    let mut producer = TransactionalClient::start(&broker, "x", true);
    broker.join_group("g", "m", None);
    let mut request = producer.offsets("g", &[(0, 5)]);
    request.generation_id_or_member_epoch = 7;
    request.member_id = Arc::from("m");
    let codes = producer.commit_offsets(4, request.clone());
    assert_eq!(codes, [ErrorCode::TRANSACTION_ABORTABLE]);
    let codes = producer.commit_offsets(5, request);
    assert_eq!(codes, [ErrorCode::ILLEGAL_GENERATION]);
    assert_eq!(broker.transaction("x").unwrap().groups, ["g"]);
}

// KIP-447.
#[test]
fn a_consumer_that_lost_its_place_commits_nothing() {
    let broker = transactional_broker(2);
    let mut producer = TransactionalClient::start(&broker, "x", true);
    let mut commit = |generation_id, member_id: &str, instance_id: Option<&str>| {
        let mut request = producer.offsets("g", &[(0, 5)]);
        request.generation_id_or_member_epoch = generation_id;
        request.member_id = Arc::from(member_id);
        request.group_instance_id = instance_id.map(Arc::from);
        producer.commit_offsets(5, request)[0]
    };
    assert_eq!(
        commit(77, "anybody", None),
        ErrorCode::NONE,
        "nobody has joined"
    );

    assert_eq!(broker.join_group("g", "m1", None), 1);
    assert_eq!(broker.join_group("g", "m2", Some("i")), 2);
    assert_eq!(commit(2, "m1", None), ErrorCode::NONE);
    assert_eq!(commit(2, "m2", Some("i")), ErrorCode::NONE);
    assert_eq!(commit(1, "m1", None), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(commit(-1, "m1", None), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(commit(2, "m3", None), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(commit(2, "", None), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(commit(2, "m3", Some("i")), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(
        commit(-1, "", None),
        ErrorCode::NONE,
        "it is too old to say"
    );

    assert_eq!(broker.join_group("g", "m4", Some("i")), 3);
    assert_eq!(commit(3, "m2", Some("i")), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(commit(3, "m4", Some("i")), ErrorCode::NONE);
    broker.leave_group("g", "m1").unwrap();
    assert_eq!(commit(4, "m1", None), ErrorCode::UNKNOWN_MEMBER_ID);
    assert!(broker.leave_group("g", "m1").is_err());
    assert!(broker.leave_group("other", "m4").is_err());
}

// Java: TxnOffsetCommitRequestTest; KIP-1319.
#[test]
fn an_id_that_no_topic_has_is_refused() {
    let broker = transactional_broker(2);
    let mut producer = TransactionalClient::start(&broker, "x", true);
    let request = producer.offsets("g", &[(0, 5)]);
    assert_eq!(producer.commit_offsets(6, request), [ErrorCode::NONE]);
    assert_eq!(broker.pending_offsets("g").len(), 1);
    let mut request = producer.offsets("g", &[(0, 6), (1, 7)]);
    request.topics[0].topic_id = Uuid::from_bytes([7; 16]);
    assert_eq!(
        producer.commit_offsets(6, request),
        [ErrorCode::UNKNOWN_TOPIC_ID; 2]
    );
    assert_eq!(broker.pending_offsets("g")[0].offset, 5);
}

// Java (broker): `UnifiedLog.maybeStartTransactionVerification`, for a partition of __consumer_offsets.
#[test]
fn a_group_knows_the_producer_of_an_open_transaction() {
    let broker = transactional_broker(2);
    let mut producer = TransactionalClient::start(&broker, "x", true);
    let own = producer.offsets("g", &[(0, 5)]);
    let mut others = own.clone();
    others.transactional_id = Arc::from("nobody");
    let unknown = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
    assert_eq!(producer.commit_offsets(5, others.clone()), [unknown]);
    assert_eq!(producer.commit_offsets(5, own), [ErrorCode::NONE]);
    // The coordinator is not asked again.
    let codes = producer.commit_offsets(5, others.clone());
    assert_eq!(codes, [ErrorCode::NONE]);
    assert_eq!(producer.end(true), ErrorCode::NONE);
    // The marker has a newer epoch.
    let old = ErrorCode::INVALID_PRODUCER_EPOCH;
    assert_eq!(producer.commit_offsets(5, others), [old]);
}

#[test]
fn a_group_without_offsets_knows_the_epoch_of_the_marker() {
    let broker = transactional_broker(2);
    let mut producer = TransactionalClient::start(&broker, "x", true);
    let mut old = producer.offsets("g", &[(0, 5)]);
    old.transactional_id = Arc::from("nobody");
    assert_eq!(producer.add_offsets(4, "g"), ErrorCode::NONE);
    assert_eq!(producer.end(false), ErrorCode::NONE);
    let code = ErrorCode::INVALID_PRODUCER_EPOCH;
    assert_eq!(producer.commit_offsets(5, old), [code]);
}
