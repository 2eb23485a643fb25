//! Leaders in Produce responses.
//!
//! Java: MetadataTest.testUpdatePartitionLeadership, testUpdatePartially, testLeaderMetadataInconsistentWithBrokerMetadata;
//! KIP-951.

use super::*;

fn tp(index: i32) -> TopicPartition {
    TopicPartition::new("t", index)
}

fn fixture() -> Fixture {
    let f = Fixture::new();
    f.add(&["t"]);
    let partitions = (0..4).map(|index| partition(index, 0, 10)).collect();
    f.update_all(&response(vec![topic("t", partitions)]));
    f
}

fn node(id: i32, port: u16) -> Node {
    Node::new(NodeId(id), "new", port, None)
}

#[test]
fn newer_leaders_are_taken_over() {
    let f = fixture();
    let version = f.metadata.update_version();
    f.metadata
        .update_partition_leadership(&[(tp(0), 1, 11), (tp(1), 9, 12)], &[node(9, 1)]);
    assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(1), Some(11)));
    assert_eq!((f.leader("t", 1), f.epoch("t", 1)), (Some(9), Some(12)));
    assert_eq!(f.leader("t", 2), Some(0));
    assert_eq!(f.metadata.load().nodes().len(), 4);
    assert_eq!(f.metadata.update_version(), version, "it is no update");
    assert_eq!(f.metadata.load().cluster_id(), Some("cluster"));

    // An update is compared with the new epoch.
    f.update_all(&response(vec![topic("t", vec![partition(0, 2, 10)])]));
    assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(1), Some(11)));
}

#[test]
fn incomplete_stale_or_unknown_leaders_are_ignored() {
    let f = fixture();
    let before = f.metadata.load();
    f.metadata.update_partition_leadership(
        &[
            (tp(0), -1, 11),
            (tp(0), 1, -1),
            (tp(0), 1, 10),
            (tp(0), 1, 9),
            (tp(0), 7, 11),
            (tp(0), -5, 11),
            (tp(4), 1, 11),
            (tp(-1), 1, 11),
            (TopicPartition::new("other", 0), 1, 11),
        ],
        &[node(-5, 1)],
    );
    assert!(
        Arc::ptr_eq(&before, &f.metadata.load()),
        "nothing was swapped"
    );
}

#[test]
fn the_address_that_the_response_tells_wins() {
    let f = fixture();
    f.metadata
        .update_partition_leadership(&[(tp(3), 1, 11)], &[node(1, 77)]);
    let cluster = f.metadata.load();
    assert_eq!(cluster.leader_for("t", 3).map(Node::port), Some(77));
    assert_eq!(cluster.node(NodeId(1)).map(Node::port), Some(77));
}

#[test]
fn of_two_answers_about_one_partition_the_newer_counts() {
    let f = fixture();
    let leaders = [(tp(0), 1, 12), (tp(0), 2, 11), (tp(0), 2, 13)];
    f.metadata.update_partition_leadership(&leaders, &[]);
    assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(2), Some(13)));
}

/// Searching the hints for each hint would take 800 million comparisons, half a minute in a test.
/// The bound is generous.
#[test]
fn forty_thousand_leaders_are_taken_over_in_one_pass() {
    const PARTITIONS: i32 = 40_000;
    let f = Fixture::new();
    f.add(&["t"]);
    let partitions = (0..PARTITIONS).map(|index| partition(index, 0, 10));
    f.update_all(&response(vec![topic("t", partitions.collect())]));
    let leaders: Vec<_> = (0..PARTITIONS).map(|index| (tp(index), 1, 11)).collect();
    let start = SystemTime.now();
    f.metadata.update_partition_leadership(&leaders, &[]);
    let elapsed = SystemTime.now() - start;
    assert!(elapsed.as_secs() < 5, "{elapsed:?}");
    let is_moved = |index| f.leader("t", index) == Some(1) && f.epoch("t", index) == Some(11);
    assert!((0..PARTITIONS).all(is_moved));
}
