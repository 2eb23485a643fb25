//! Offsets by topic id (KIP-1319).

use super::version_two::version_of;
use super::*;
use crate::protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitTopic};

const OTHER_ID: Uuid = Uuid::from_bytes([9; 16]);
const UNKNOWN_ID: ErrorCode = ErrorCode::UNKNOWN_TOPIC_ID;

/// Returns a fixture with an open transaction of version 2 and a known group coordinator.
fn in_transaction_v2(topic_id: Uuid) -> Fixture {
    let mut fixture = transactional(Setup {
        topic_id,
        ..Setup::default()
    });
    fixture.set_transaction_version(2);
    fixture.init_transactions();
    fixture.begin();
    fixture
}

/// Returns the response of a coordinator of Kafka 4.4 for one topic.
fn committed_by_id(topic_id: Uuid, partitions: &[(i32, ErrorCode)]) -> TxnOffsetCommitResponse {
    TxnOffsetCommitResponse {
        throttle_time_ms: 0,
        topics: vec![TxnOffsetCommitTopicResult {
            name: "".into(),
            topic_id,
            partitions: results(partitions),
        }],
    }
}

impl Fixture {
    /// Returns the offset commit in flight, and its version.
    fn offset_commit(&mut self) -> (i16, TxnOffsetCommitRequest) {
        let RequestBody::TxnOffsetCommit(request) = self.request(ApiKey::TxnOffsetCommit) else {
            unreachable!()
        };
        (version_of(self, ApiKey::TxnOffsetCommit), request)
    }

    #[track_caller]
    fn assert_commits(&mut self, version: i16, topic_id: Uuid, partitions: &[i32]) {
        let (sent, request) = self.offset_commit();
        assert_eq!(sent, version);
        let [
            TxnOffsetCommitTopic {
                name,
                topic_id: id,
                partitions: indexes,
            },
        ] = request.topics.as_slice()
        else {
            panic!("{request:?}")
        };
        assert_eq!((&**name, *id), (TOPIC, topic_id));
        let indexes: Vec<_> = indexes.iter().map(|one| one.partition_index).collect();
        assert_eq!(indexes, partitions);
    }

    fn respond_to_commit(&mut self, topic_id: Uuid, partitions: &[(i32, ErrorCode)]) {
        let body = committed_by_id(topic_id, partitions);
        self.serve(ApiKey::TxnOffsetCommit, body);
    }

    fn update_topic_id(&mut self, topic_id: Uuid) {
        let response = metadata_response([0, 1], 1, topic_id);
        self.client().update_metadata(&response);
    }
}

// Java: TransactionManagerTest.testTxnOffsetCommitUsesTopicIdsAtV6 (4.4).
#[test]
fn offsets_go_by_topic_id_in_version_two() {
    let mut fixture = in_transaction_v2(TOPIC_ID);
    let offsets = fixture.send_offsets(&[(0, 1), (1, 2)]);
    fixture.serve_coordinator();
    fixture.assert_commits(6, TOPIC_ID, &[0, 1]);
    fixture.respond_to_commit(TOPIC_ID, &[(0, NONE), (1, NONE)]);
    outcome(&offsets).unwrap().unwrap();
}

// Java: TransactionManagerTest (4.4): version 5 if a topic id is unknown.
#[test]
fn an_unknown_topic_id_sends_all_offsets_by_name() {
    let mut fixture = in_transaction_v2(Uuid::ZERO);
    let offsets = fixture.send_offsets(&[(0, 1)]);
    fixture.serve_coordinator();
    fixture.assert_commits(5, Uuid::ZERO, &[0]);
    fixture.serve(ApiKey::TxnOffsetCommit, offsets_committed(&[(0, NONE)]));
    outcome(&offsets).unwrap().unwrap();

    let mut fixture = in_transaction_v2(TOPIC_ID);
    let offsets = vec![
        (tp(0), OffsetAndMetadata::new(1)),
        (TopicPartition::new("no id", 0), OffsetAndMetadata::new(2)),
    ];
    let group = ConsumerGroupMetadata::new(GROUP);
    let cluster = fixture.metadata.load();
    let manager = fixture.manager();
    manager
        .send_offsets_to_transaction(offsets, &group, &cluster)
        .unwrap();
    fixture.serve_coordinator();
    let (version, request) = fixture.offset_commit();
    assert_eq!((version, request.topics.len()), (5, 2));
}

#[test]
fn offsets_go_by_name_to_a_coordinator_before_kafka_4_4() {
    let mut fixture = in_transaction_v2(TOPIC_ID);
    fixture.client().set_api_versions(&[
        (ApiKey::FindCoordinator, 0, 6),
        (ApiKey::TxnOffsetCommit, 0, 5),
    ]);
    fixture.send_offsets(&[(0, 1)]);
    fixture.serve_coordinator();
    // The body has both forms. The version determines which one is written.
    fixture.assert_commits(5, TOPIC_ID, &[0]);
}

#[test]
fn transactions_of_version_one_have_no_topic_ids() {
    let mut fixture = in_transaction();
    fixture.send_offsets(&[(0, 1)]);
    fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
    fixture.serve_coordinator();
    fixture.assert_commits(4, Uuid::ZERO, &[0]);
}

/// The ids are those at the time of the call.
#[test]
fn topic_ids_are_frozen_when_the_commit_is_enqueued() {
    let mut fixture = in_transaction_v2(TOPIC_ID);
    let offsets = fixture.send_offsets(&[(0, 1)]);
    fixture.update_topic_id(OTHER_ID);
    fixture.serve_coordinator();
    fixture.assert_commits(6, TOPIC_ID, &[0]);
    let loading = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    fixture.respond_to_commit(TOPIC_ID, &[(0, loading)]);
    fixture.back_off();
    fixture.assert_commits(6, TOPIC_ID, &[0]);
    fixture.respond_to_commit(TOPIC_ID, &[(0, NONE)]);
    outcome(&offsets).unwrap().unwrap();
}

// Java: TransactionManagerTest (4.4): an unknown id in a response is skipped, and the request sent again.
#[test]
fn an_unknown_topic_id_in_a_response_is_skipped_and_retried() {
    let mut fixture = in_transaction_v2(TOPIC_ID);
    let offsets = fixture.send_offsets(&[(0, 1)]);
    fixture.serve_coordinator();
    for unknown in [OTHER_ID, Uuid::ZERO] {
        fixture.respond_to_commit(unknown, &[(0, NONE)]);
        assert!(outcome(&offsets).is_none(), "{unknown}");
        fixture.back_off();
        fixture.assert_commits(6, TOPIC_ID, &[0]);
    }
    // An error for such a topic is skipped too.
    fixture.respond_to_commit(OTHER_ID, &[(0, ErrorCode::ILLEGAL_GENERATION)]);
    fixture.back_off();
    fixture.respond_to_commit(TOPIC_ID, &[(0, NONE)]);
    outcome(&offsets).unwrap().unwrap();
}

// Java: TransactionManagerTest.testTxnOffsetCommitRetriesOnUnknownTopicIdAtV6. Java repeats the stale id.
#[test]
fn txn_offset_commit_retries_on_unknown_topic_id_at_v6() {
    let mut fixture = in_transaction_v2(TOPIC_ID);
    let offsets = fixture.send_offsets(&[(0, 1)]);
    fixture.serve_coordinator();
    fixture.assert_commits(6, TOPIC_ID, &[0]);
    fixture.request(ApiKey::TxnOffsetCommit);
    let version = fixture.metadata.update_version();
    assert!(!fixture.metadata.is_update_requested());
    fixture.respond_to_commit(TOPIC_ID, &[(0, UNKNOWN_ID)]);
    assert!(fixture.metadata.is_update_requested(), "the id is stale");
    assert!(outcome(&offsets).is_none());
    fixture.update_topic_id(OTHER_ID);
    assert!(fixture.metadata.update_version() > version);
    fixture.back_off();
    fixture.assert_commits(6, OTHER_ID, &[0]);
    fixture.respond_to_commit(OTHER_ID, &[(0, NONE)]);
    outcome(&offsets).unwrap().unwrap();
}

/// Both the metadata and the coordinator may be behind.
#[test]
fn a_refused_topic_id_is_never_sent_again() {
    let mut fixture = in_transaction_v2(TOPIC_ID);
    let offsets = fixture.send_offsets(&[(0, 1), (1, 2)]);
    fixture.serve_coordinator();
    fixture.respond_to_commit(TOPIC_ID, &[(0, UNKNOWN_ID), (1, UNKNOWN_ID)]);
    // The update has the same id, or none arrived in time.
    fixture.back_off();
    fixture.assert_commits(5, Uuid::ZERO, &[0, 1]);
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let body = offsets_committed(&[(0, unknown), (1, unknown)]);
    fixture.serve(ApiKey::TxnOffsetCommit, body);
    fixture.update_topic_id(OTHER_ID);
    fixture.back_off();
    fixture.assert_commits(6, OTHER_ID, &[0, 1]);
    fixture.respond_to_commit(OTHER_ID, &[(0, NONE), (1, NONE)]);
    outcome(&offsets).unwrap().unwrap();
}

// Java: TransactionManagerTest (4.4): GROUP_ID_NOT_FOUND and STALE_MEMBER_EPOCH in TxnOffsetCommit.
#[test]
fn a_group_that_does_not_match_makes_the_transaction_abortable() {
    for code in [
        ErrorCode::GROUP_ID_NOT_FOUND,
        ErrorCode::STALE_MEMBER_EPOCH,
        ErrorCode::ILLEGAL_GENERATION,
        ErrorCode::UNKNOWN_MEMBER_ID,
    ] {
        let mut fixture = in_transaction_v2(TOPIC_ID);
        let group = ConsumerGroupMetadata::new(GROUP).generation(4, "m");
        let offsets = fixture.send_offsets_of(&[(0, 1)], &group);
        fixture.serve_coordinator();
        fixture.respond_to_commit(TOPIC_ID, &[(0, code)]);
        let error = outcome(&offsets).unwrap().unwrap_err();
        assert_eq!(error.code(), Some(code));
        assert!(error.is_abortable() && !error.is_fatal(), "{error:?}");
        let text = error.to_string();
        let expected =
            "consumer group metadata (generation 4, member 'm') does not match the group";
        assert!(text.contains(expected), "{text}");
        fixture.assert_abortable();
    }
}
