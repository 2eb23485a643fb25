//! Offsets of consumer groups in transactions.

use std::collections::HashMap;

use kafka_producer::common::TopicPartition;
use kafka_producer::{ErrorCode, OffsetAndMetadata};

use super::{GROUP, PARTITIONS, commit, group, offsets, read_committed, ready, send_all, values};
use crate::harness::{GroupOffset, KafkaCluster};

// Java: TransactionsTest.testOffsetMetadataInSendOffsetsToTransaction.
pub(super) fn offsets_keep_their_metadata(cluster: &KafkaCluster, _: i16) {
    let admin = cluster.admin();
    admin.create_topic("noted", 1);
    let producer = ready(&cluster.bootstrap_servers(), "noted");
    let offset = OffsetAndMetadata::new(110).leader_epoch(15);
    let offset = offset.metadata("some metadata");
    let offsets = HashMap::from([(TopicPartition::new("noted", 0), offset)]);
    producer.begin_transaction().unwrap();
    producer
        .send_offsets_to_transaction(&offsets, &group())
        .unwrap();
    producer.commit_transaction().unwrap();
    let expected = GroupOffset {
        offset: 110,
        leader_epoch: 15,
        metadata: "some metadata".to_owned(),
    };
    assert_eq!(admin.group_offset(GROUP, "noted", 0), expected);
    admin.delete_topic("noted");
}

/// KIP-447: the group checks its members, which a transactional id alone cannot.
pub(super) fn offsets_of_a_member_that_has_lost_its_place_are_refused(
    cluster: &KafkaCluster,
    _: i16,
) {
    let admin = cluster.admin();
    admin.create_topic("members", PARTITIONS);
    let producer = ready(&cluster.bootstrap_servers(), "members");
    let group_id = "members";
    let (before, member) = admin.join_group(group_id, "");
    let (now, _) = admin.join_group(group_id, &member);
    assert!(before < now);
    let group = || kafka_producer::ConsumerGroupMetadata::new(group_id);
    for (group, code) in [
        (
            group().generation(before, &*member),
            ErrorCode::ILLEGAL_GENERATION,
        ),
        (
            group().generation(now, "stranger"),
            ErrorCode::UNKNOWN_MEMBER_ID,
        ),
    ] {
        producer.begin_transaction().unwrap();
        send_all(&producer, "members", "refused").unwrap();
        let sent = producer.send_offsets_to_transaction(&offsets("members", 5), &group);
        let error = sent.unwrap_err();
        assert_eq!(error.code(), Some(code), "{error:?}");
        assert!(error.is_abortable(), "{error:?}");
        producer.abort_transaction().unwrap();
    }
    producer.begin_transaction().unwrap();
    producer
        .send_offsets_to_transaction(&offsets("members", 7), &group().generation(now, &*member))
        .unwrap();
    producer.commit_transaction().unwrap();
    commit(&producer, "members", "accepted");
    assert_eq!(admin.group_offset(group_id, "members", 0).offset, 7);
    assert_eq!(read_committed(admin, "members", 1), values(&["accepted"]));
    admin.delete_topic("members");
}
