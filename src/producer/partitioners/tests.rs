//! Java: `RoundRobinPartitionerTest`, `UniformStickyPartitionerTest`, `StickyPartitionCacheTest`, `DefaultPartitionerTest`.

use std::collections::{BTreeMap, BTreeSet};

use super::sticky_partition_cache::StickyPartitionCache;
use super::*;
use crate::common::{ClusterBuilder, Node, NodeId, PartitionInfo, Uuid};
use crate::sync::Arc;

/// Returns topics whose partitions have a leader or not.
fn cluster(topics: &[(&str, &[bool])]) -> Cluster {
    let node = Node::new(NodeId(0), "localhost", 99, None);
    let mut builder = ClusterBuilder::default().nodes(vec![node.clone()]);
    for (topic, leaders) in topics {
        let partitions = (0..).zip(*leaders).map(|(partition, has_leader)| {
            PartitionInfo::new(partition, has_leader.then(|| node.clone()))
        });
        let info = TopicInfo::new((*topic).into(), Uuid::ZERO, false, partitions.collect());
        builder = builder.topic(Arc::new(info));
    }
    builder.build()
}

fn choices(
    partitioner: &dyn Partitioner,
    cluster: &Cluster,
    topic: &str,
    key: Option<&[u8]>,
    records: usize,
) -> Vec<i32> {
    let choose = |_| partitioner.partition(topic, key, None, cluster).unwrap();
    (0..records).map(choose).collect()
}

// Java: RoundRobinPartitionerTest.testRoundRobinWithUnavailablePartitions.
#[test]
fn round_robin_avoids_unavailable_partitions() {
    let cluster = cluster(&[("test", &[true, false, true]), ("dead", &[false, false])]);
    let partitioner = RoundRobinPartitioner::new();
    assert_eq!(
        choices(&partitioner, &cluster, "test", None, 6),
        [0, 2, 0, 2, 0, 2]
    );
    assert_eq!(
        choices(&partitioner, &cluster, "dead", None, 4),
        [0, 1, 0, 1]
    );
}

// Java: RoundRobinPartitionerTest.testRoundRobinWithNullKeyBytes, testRoundRobinWithKeyBytes.
#[test]
fn round_robin_is_even_for_each_topic_with_and_without_keys() {
    let cluster = cluster(&[("a", &[true; 3]), ("b", &[true; 2])]);
    for key in [None, Some(&b"key"[..])] {
        let partitioner = RoundRobinPartitioner::new();
        let mut counts = BTreeMap::new();
        for n in 0..30 {
            *counts
                .entry(choices(&partitioner, &cluster, "a", key, 1)[0])
                .or_insert(0) += 1;
            if n % 5 == 0 {
                choices(&partitioner, &cluster, "b", key, 1);
            }
        }
        assert_eq!(counts, BTreeMap::from([(0, 10), (1, 10), (2, 10)]));
    }
}

#[test]
fn round_robin_stays_where_it_is_for_a_new_batch() {
    let cluster = cluster(&[("test", &[true; 3])]);
    let partitioner = RoundRobinPartitioner::new();
    let first = choices(&partitioner, &cluster, "test", None, 1)[0];
    assert!(
        !partitioner.on_new_batch("test", &cluster, first),
        "it would skip a partition"
    );
}

// Java: DefaultPartitionerTest.testKeyPartitionIsStable.
#[test]
fn key_partition_is_stable() {
    let available = cluster(&[("test", &[true; 3])]);
    let partitioner = DefaultPartitioner::new();
    let first = choices(&partitioner, &available, "test", Some(b"key"), 1)[0];
    assert_eq!(
        choices(&partitioner, &available, "test", Some(b"key"), 2),
        [first, first]
    );
    let mut leaders = [true; 3];
    leaders[usize::try_from(first).unwrap()] = false;
    let without_its_leader = cluster(&[("test", &leaders)]);
    assert_eq!(
        choices(&partitioner, &without_its_leader, "test", Some(b"key"), 1),
        [first]
    );
}

// Java: UniformStickyPartitionerTest.testRoundRobinWithUnavailablePartitions, and the test of rotation.
#[test]
fn sticky_partitioners_stay_until_a_new_batch() {
    let cluster = cluster(&[("test", &[true, false, true])]);
    for (partitioner, key) in [
        (PartitionerClass::UniformSticky.instance(), None),
        (
            PartitionerClass::UniformSticky.instance(),
            Some(&b"key"[..]),
        ),
        (PartitionerClass::Default.instance(), None),
    ] {
        let first = choices(&*partitioner, &cluster, "test", key, 50);
        assert!(first.iter().all(|partition| [0, 2].contains(partition)));
        assert!(first.iter().all(|partition| *partition == first[0]));
        assert!(partitioner.on_new_batch("test", &cluster, first[0]));
        let second = choices(&*partitioner, &cluster, "test", key, 50);
        assert!(second.iter().all(|partition| *partition == 2 - first[0]));
        assert!(
            partitioner.on_new_batch("test", &cluster, first[0]),
            "the topic has moved on already; the record is to follow it"
        );
        assert_eq!(
            choices(&*partitioner, &cluster, "test", key, 1)[0],
            second[0]
        );
    }
}

// Java: StickyPartitionCacheTest.testStickyPartitionCache.
#[test]
fn the_cache_changes_its_partition_after_a_batch() {
    let cluster = cluster(&[("a", &[true; 3]), ("b", &[true])]);
    let (a, b) = (cluster.topic("a").unwrap(), cluster.topic("b").unwrap());
    let cache = StickyPartitionCache::default();
    for _ in 0..100 {
        let first = cache.partition(a);
        assert_eq!(cache.partition(a), first);
        // A batch of another partition changes nothing.
        assert!(cache.next_partition(a, (first + 1) % 3));
        assert_eq!(cache.partition(a), first);
        assert!(cache.next_partition(a, first));
        assert_ne!(cache.partition(a), first);
    }
    assert_eq!(cache.partition(b), 0);
    assert!(!cache.next_partition(b, 0), "there is no other");
    assert_eq!(cache.partition(b), 0);
}

// Java: StickyPartitionCacheTest.unavailablePartitionsTest.
#[test]
fn the_cache_avoids_unavailable_partitions() {
    let cluster = cluster(&[
        ("a", &[false, true, true]),
        ("b", &[false, true]),
        ("c", &[false; 3]),
    ]);
    let [a, b, c] = ["a", "b", "c"].map(|topic| cluster.topic(topic).unwrap());
    let cache = StickyPartitionCache::default();
    for _ in 0..100 {
        let first = cache.partition(a);
        assert!([1, 2].contains(&first));
        assert!(cache.next_partition(a, first));
        assert_eq!(cache.partition(a), 3 - first);
    }
    assert_eq!(cache.partition(b), 1);
    assert!(!cache.next_partition(b, 1), "no other is available");
    let of_c: BTreeSet<_> = (0..300)
        .map(|_| {
            let partition = cache.partition(c);
            cache.next_partition(c, partition);
            partition
        })
        .collect();
    assert_eq!(of_c, BTreeSet::from([0, 1, 2]));
}

#[test]
fn a_sticky_partition_is_left_when_it_is_gone_or_has_no_leader() {
    let cluster = cluster(&[("test", &[true; 2])]);
    let few = cluster.topic("test").unwrap();
    let known = |leaders: &[bool]| self::cluster(&[("test", leaders)]);
    for _ in 0..20 {
        let cache = StickyPartitionCache::default();
        let without_two = known(&[false, false, true, true]);
        let before = cache.partition(without_two.topic("test").unwrap());
        assert!([2, 3].contains(&before));
        let after = cache.partition(few);
        assert!([0, 1].contains(&after), "it is gone");
        let one = usize::from(after == 0);
        let leaders = [0, 1].map(|partition| partition == one);
        let leaderless = known(&leaders);
        let left = cache.partition(leaderless.topic("test").unwrap());
        assert_ne!(left, after, "it has no leader");
        let none = known(&[false; 2]);
        assert_eq!(
            cache.partition(none.topic("test").unwrap()),
            left,
            "no other has a leader"
        );
    }
}

#[test]
fn an_unknown_topic_is_an_error() {
    let cluster = cluster(&[("empty", &[])]);
    for class in [
        PartitionerClass::RoundRobin,
        PartitionerClass::UniformSticky,
        PartitionerClass::Default,
    ] {
        let partitioner = class.instance();
        for topic in ["empty", "unknown"] {
            let error = partitioner
                .partition(topic, Some(b"k"), None, &cluster)
                .unwrap_err();
            assert!(error.to_string().contains(topic), "{error}");
            assert!(!partitioner.on_new_batch(topic, &cluster, 0));
        }
    }
}
