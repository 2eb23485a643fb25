//! The data that an update keeps.

use super::*;

/// Returns a topic of three partitions, whose replicas differ from their leaders.
fn with_replicas(replicas: [[i32; 2]; 3], leader_epoch: i32) -> MetadataTopic {
    let told = |(index, replicas): (i32, [i32; 2])| MetadataPartition {
        replica_nodes: replicas.to_vec(),
        isr_nodes: vec![replicas[1], replicas[0]],
        offline_replicas: vec![index + 10],
        ..partition(index, replicas[0], leader_epoch)
    };
    topic("t", (0..).zip(replicas).map(told).collect())
}

fn assert_replicas(f: &Fixture, expected: [[i32; 2]; 3]) {
    let cluster = f.metadata.load();
    for (info, [first, second]) in cluster
        .topic("t")
        .unwrap()
        .partitions()
        .iter()
        .zip(expected)
    {
        assert_eq!(info.replicas(), [NodeId(first), NodeId(second)]);
        assert_eq!(info.in_sync_replicas(), [NodeId(second), NodeId(first)]);
        assert_eq!(info.offline_replicas(), [NodeId(info.partition() + 10)]);
    }
}

#[test]
fn a_full_response_that_changes_nothing_keeps_the_topic() {
    let f = Fixture::new();
    f.add(&["t", "u"]);
    let replicas = [[0, 1], [1, 2], [2, 0]];
    let told = |leader_epoch| {
        let other = topic("u", vec![partition(0, 0, leader_epoch)]);
        response(vec![with_replicas(replicas, 1), other])
    };
    f.update_all(&told(1));
    let before = f.metadata.load();
    f.update_all(&told(2));
    let after = f.metadata.load();
    let is_same = |name| {
        let [before, after] = [&before, &after].map(|cluster| cluster.topic(name).unwrap());
        std::ptr::eq(before, after)
    };
    assert!(is_same("t") && !is_same("u"));
    assert_replicas(&f, replicas);
}

#[test]
fn replicas_follow_the_responses() {
    let f = Fixture::new();
    f.add(&["t"]);
    for (epoch, replicas) in [
        (1, [[0, 1], [1, 2], [2, 0]]),
        (2, [[0, 1], [1, 2], [2, 0]]),
        (2, [[0, 1], [1, 2], [2, 1]]),
        (3, [[1, 0], [2, 1], [0, 2]]),
    ] {
        f.update_all(&response(vec![with_replicas(replicas, epoch)]));
        assert_replicas(&f, replicas);
    }
    // A stale partition keeps its replicas, even next to one with news.
    let mut mixed = with_replicas([[2, 0], [2, 0], [2, 0]], 2);
    mixed.partitions[1].leader_epoch = 9;
    f.update_all(&response(vec![mixed]));
    assert_replicas(&f, [[1, 0], [2, 0], [0, 2]]);
}

// Of two partitions with the same number, the first one counts.
#[test]
fn partitions_come_in_any_order_and_twice() {
    let f = Fixture::new();
    f.add(&["t"]);
    let mut told = with_replicas([[0, 1], [1, 2], [2, 0]], 1);
    let again = MetadataPartition {
        replica_nodes: vec![9],
        ..told.partitions[0].clone()
    };
    told.partitions.reverse();
    told.partitions.push(again);
    f.update_all(&response(vec![told]));
    assert_eq!(f.metadata.load().partition_count("t"), Some(3));
    assert_replicas(&f, [[0, 1], [1, 2], [2, 0]]);
}

// Java: MetadataTest.testMetadataMerge, testMetadataMergeOnIdDowngrade, the parts about a producer.
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

// Java: MetadataTest.testNodeIfOffline, testNodeIfOnlineWhenNotInReplicaSet. A missing leader
// counts as none.
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
