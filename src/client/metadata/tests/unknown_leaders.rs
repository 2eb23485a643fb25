//! Leaders whose nodes are temporarily not listed.
//!
//! Java: MetadataTest.testLeaderMetadataInconsistentWithBrokerMetadata; `MetadataSnapshot` keeps the id of a leader too.

use super::*;

/// Returns a response of a broker that lists only these brokers.
fn listing(brokers: &[i32], topics: Vec<MetadataTopic>) -> MetadataResponse {
    MetadataResponse {
        brokers: brokers.iter().copied().map(broker).collect(),
        ..response(topics)
    }
}

/// Returns a topic with one partition on each of the brokers 0 and 1.
fn fixture() -> Fixture {
    let f = Fixture::new();
    f.add(&["t"]);
    f.update_all(&response(vec![two_partitions(5)]));
    assert_eq!((f.leader("t", 0), f.leader("t", 1)), (Some(0), Some(1)));
    f
}

fn two_partitions(epoch: i32) -> MetadataTopic {
    topic("t", vec![partition(0, 0, epoch), partition(1, 1, epoch)])
}

/// Applies a partial response of a broker that lists only these brokers.
fn add_topic(f: &Fixture, name: &str, brokers: &[i32]) {
    f.add(&[name]);
    let (_, version) = f.request();
    assert!(version.is_partial);
    let topic = topic(name, vec![partition(0, 0, 1)]);
    f.answer(version, &listing(brokers, vec![topic]));
}

#[test]
fn a_partial_response_that_takes_a_leader_away_requests_a_full_update() {
    let f = fixture();
    assert!(!f.metadata.is_update_requested());
    add_topic(&f, "new", &[0, 2]);
    assert_eq!((f.leader("t", 0), f.leader("t", 1)), (Some(0), None));
    let cluster = f.metadata.load();
    assert_eq!(cluster.topic("t").unwrap().available_partitions(), [0]);
    assert!(f.metadata.is_update_requested());
    assert!(!f.request().1.is_partial);
}

#[test]
fn a_partial_response_that_lists_a_node_again_brings_its_leaders_back() {
    let f = fixture();
    add_topic(&f, "new", &[0, 2]);
    f.update_all(&listing(&[0, 2], vec![two_partitions(5)]));
    assert_eq!(f.leader("t", 1), None);
    add_topic(&f, "newer", &[0, 1, 2]);
    assert_eq!(f.leader("t", 1), Some(1));
    let cluster = f.metadata.load();
    assert_eq!(cluster.topic("t").unwrap().available_partitions(), [0, 1]);
}

#[test]
fn a_full_response_that_takes_a_leader_away_requests_one_more_update() {
    for epoch in [5, 4] {
        // The second time the partitions are stale, and do not change.
        let f = fixture();
        f.update_all(&listing(&[0, 2], vec![two_partitions(epoch)]));
        assert_eq!(f.leader("t", 1), None);
        assert!(f.metadata.is_update_requested());
        f.update_all(&listing(&[0, 2], vec![two_partitions(epoch)]));
        assert!(!f.metadata.is_update_requested(), "nothing changed");
    }
}

#[test]
fn a_stale_partition_gets_its_leader_back_when_the_node_is_listed() {
    let f = fixture();
    f.update_all(&listing(&[0, 2], vec![two_partitions(4)]));
    assert_eq!(f.leader("t", 1), None);
    f.update_all(&listing(&[0, 1], vec![two_partitions(4)]));
    assert_eq!((f.leader("t", 1), f.epoch("t", 1)), (Some(1), Some(5)));
}

#[test]
fn a_node_that_a_produce_response_introduces_brings_its_leaders_back() {
    let f = fixture();
    f.update_all(&listing(&[0, 2], vec![two_partitions(5)]));
    assert_eq!(f.leader("t", 1), None);
    let moved = (TopicPartition::new("t", 0), 1, 6);
    let node = Node::new(NodeId(1), "new", 7, None);
    f.metadata.update_partition_leadership(&[moved], &[node]);
    let cluster = f.metadata.load();
    for partition in [0, 1] {
        let leader = cluster.leader_for("t", partition).unwrap();
        assert_eq!((leader.id(), leader.port()), (NodeId(1), 7));
    }
    assert_eq!(cluster.topic("t").unwrap().available_partitions(), [0, 1]);
}

#[test]
fn a_leader_that_a_produce_response_told_comes_back_with_its_node() {
    let f = fixture();
    let node = Node::new(NodeId(9), "host9", 9092, None);
    let moved = (TopicPartition::new("t", 0), 9, 6);
    f.metadata.update_partition_leadership(&[moved], &[node]);
    add_topic(&f, "new", &[0, 1]);
    assert_eq!(f.leader("t", 0), None);
    f.update_all(&listing(&[0, 1], vec![two_partitions(5)]));
    add_topic(&f, "newer", &[0, 1, 9]);
    assert_eq!(f.leader("t", 0), Some(9));
}

#[test]
fn topics_whose_leaders_stay_are_shared_with_the_view_before() {
    let f = fixture();
    let topic = |f: &Fixture| std::ptr::from_ref(f.metadata.load().topic("t").unwrap());
    let before = topic(&f);
    add_topic(&f, "new", &[0, 1]);
    assert_eq!(topic(&f), before);
}
