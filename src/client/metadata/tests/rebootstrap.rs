//! Starting again from the bootstrap nodes.

use super::*;

// KIP-899.
#[test]
fn rebootstrap_returns_to_the_bootstrap_nodes() {
    let f = Fixture::new();
    f.metadata
        .bootstrap(vec![Node::new(NodeId(-1), "boot", 1, None)]);
    f.add(&["t"]);
    f.update_all(&response_with(&["t"]));
    f.time.advance_ms(BACKOFF_MS);
    let version = f.metadata.update_version();

    f.metadata.rebootstrap();
    let cluster = f.metadata.load();
    assert_eq!(cluster.nodes()[0].host(), "boot");
    assert_eq!((cluster.cluster_id(), cluster.controller()), (None, None));
    assert_eq!((f.metadata.update_version(), f.due_ms()), (version + 1, 0));
    assert_eq!(f.request().0, ["t"], "what is sent to is not forgotten");

    f.metadata.rebootstrap();
    assert_eq!(
        f.metadata.update_version(),
        version + 1,
        "there is nothing to forget"
    );
}

/// Java forgets the topics, and a send to one in use blocks for `max.block.ms`.
#[test]
fn topics_stay_without_leaders_until_a_cluster_responds() {
    let f = Fixture::new();
    f.metadata
        .bootstrap(vec![Node::new(NodeId(-1), "boot", 1, None)]);
    f.add(&["t", "gone"]);
    f.update_all(&response_with(&["t", "gone"]));

    f.metadata.rebootstrap();
    let cluster = f.metadata.load();
    let info = cluster.topic("t").unwrap();
    assert_eq!(info.partition_count(), 1);
    assert!(info.available_partitions().is_empty());
    assert_eq!(f.leader("t", 0), None);

    f.update(&response_with(&["t"]));
    assert_eq!(f.leader("t", 0), Some(0));
    assert!(f.metadata.load().topic("gone").is_none());
}

/// The cluster was restored from a backup: the ids of its topics are the same, and the epochs are
/// lower.
#[test]
fn the_epochs_start_again_after_a_rebootstrap() {
    let topic_id = Uuid::from_bytes([1; 16]);
    let told = |leader, epoch| {
        let topic = topic("t", vec![partition(0, leader, epoch)]);
        response(vec![MetadataTopic { topic_id, ..topic }])
    };
    let f = Fixture::new();
    f.metadata
        .bootstrap(vec![Node::new(NodeId(-1), "boot", 1, None)]);
    f.add(&["t"]);
    f.update_all(&told(0, 10));
    f.metadata.rebootstrap();
    f.update_all(&told(1, 2));
    assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(1), Some(2)));
}
