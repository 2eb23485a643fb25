//! What an update leaves as it was.

use super::*;

// Java: MetadataTest.testMetadataMerge, testMetadataMergeOnIdDowngrade, the part of a producer.
#[test]
fn a_partial_response_replaces_nodes_and_its_own_topics() {
    let f = Fixture::new();
    f.add(&["kept", "broken"]);
    f.update_all(&response_with(&["kept", "broken"]));
    f.add(&["new"]);
    let (names, version) = f.request();
    assert!(version.is_partial && names == ["new"]);
    let mut partial = response(vec![
        topic("new", vec![partition(0, 2, 1)]),
        error_topic("broken", ErrorCode::TOPIC_AUTHORIZATION_FAILED),
    ]);
    partial.brokers = vec![broker(0), broker(2)];
    partial.brokers[0].port = 1111;
    f.answer(version, &partial);

    let cluster = f.metadata.load();
    assert_eq!(cluster.nodes().len(), 2);
    let leader = cluster.leader_for("kept", 0).unwrap();
    assert_eq!((leader.id(), leader.port()), (NodeId(0), 1111));
    assert_eq!(f.leader("new", 0), Some(2));
    assert!(cluster.topic("broken").is_none());
    assert_eq!(cluster.cluster_id(), Some("cluster"));
    assert_eq!(cluster.controller().map(Node::id), Some(NodeId(0)));
}

// Java: MetadataTest.testNodeIfOffline, testNodeIfOnlineWhenNotInReplicaSet: a leader that is not there is none.
#[test]
fn a_leader_that_is_unknown_or_gone_is_none() {
    let f = Fixture::new();
    f.add(&["t"]);
    f.update_all(&response(vec![topic(
        "t",
        vec![partition(0, 7, 1), partition(1, -1, 1), partition(2, 2, 1)],
    )]));
    let cluster = f.metadata.load();
    let info = cluster.topic("t").unwrap();
    assert_eq!(info.partition_count(), 3);
    assert_eq!(info.available_partitions(), [2]);
    assert_eq!((f.leader("t", 0), f.leader("t", 1)), (None, None));
}

#[test]
fn a_partition_with_an_error_asks_for_an_update() {
    let f = Fixture::new();
    f.add(&["t"]);
    let mut bad = partition(0, -1, 1);
    bad.error_code = ErrorCode::LEADER_NOT_AVAILABLE;
    f.update_all(&response(vec![topic("t", vec![bad])]));
    assert!(f.metadata.is_update_requested());
    assert_eq!(f.metadata.load().partition_count("t"), Some(1));
}
