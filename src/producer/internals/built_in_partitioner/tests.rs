//! Sticky partitions, and the choice by load. Java: `BuiltInPartitionerTest`.

use super::*;
use crate::common::{ClusterBuilder, Node, PartitionInfo, Uuid};

/// Returns a topic whose partition `i` is led by the node with this index, or by none.
fn cluster(leaders: &[Option<usize>], racks: &[&str]) -> (Cluster, Arc<TopicInfo>) {
    let nodes: Vec<_> = racks
        .iter()
        .zip(0..)
        .map(|(rack, id)| Node::new(NodeId(id), "host", 9092, Some(rack)))
        .collect();
    let partitions = leaders
        .iter()
        .zip(0..)
        .map(|(leader, partition)| {
            PartitionInfo::new(partition, leader.map(|index| nodes[index].clone()))
        })
        .collect();
    let topic = Arc::new(TopicInfo::new("t".into(), Uuid::ZERO, false, partitions));
    let cluster = ClusterBuilder::default()
        .nodes(nodes)
        .topic(Arc::clone(&topic))
        .build();
    (cluster, topic)
}

fn loads(queues: &[u32]) -> Vec<PartitionLoad> {
    (0..)
        .zip(queues)
        .map(|(partition, &queue_len)| PartitionLoad {
            partition,
            queue_len,
            excluded: false,
        })
        .collect()
}

// Java: BuiltInPartitionerTest.testStickyPartitioning
#[test]
fn the_partition_switches_after_the_sticky_batch_size() {
    let (cluster, topic) = cluster(&[Some(0), Some(0), Some(0)], &["a"]);
    let partitioner = BuiltInPartitioner::new(100, None);
    let first = partitioner.peek_current_partition(&topic, &cluster);
    assert_eq!(partitioner.peek_current_partition(&topic, &cluster), first);
    assert!(!partitioner.is_partition_changed(first));
    assert!(!partitioner.should_switch(99, true));
    assert!(partitioner.should_switch(100, true));
    assert!(
        !partitioner.should_switch(199, false),
        "not in the middle of a batch"
    );
    assert!(
        partitioner.should_switch(200, false),
        "but not for ever either"
    );

    partitioner.switch_partition(first, &topic, &cluster);
    assert!(
        partitioner.is_partition_changed(first),
        "even if the same partition was drawn again"
    );
    let second = partitioner.peek_current_partition(&topic, &cluster);
    partitioner.switch_partition(first, &topic, &cluster);
    assert!(
        !partitioner.is_partition_changed(second),
        "a late switch away from the first does nothing"
    );
}

// Java: BuiltInPartitionerTest.unavailablePartitionsTest
#[test]
fn unavailable_partitions_are_not_drawn_while_others_are_there() {
    let (available, topic) = cluster(&[Some(0), None, Some(0)], &["a"]);
    let partitioner = BuiltInPartitioner::new(1, None);
    for _ in 0..100 {
        assert_ne!(partitioner.next_partition(&topic, &available), 1);
    }
    let (none, topic) = cluster(&[None, None, None], &["a"]);
    let drawn: Vec<_> = (0..200)
        .map(|_| partitioner.next_partition(&topic, &none))
        .collect();
    assert!((0..3).all(|partition| drawn.contains(&partition)));
}

// Java: BuiltInPartitionerTest.adaptivePartitionsTest
#[test]
fn adaptive_partitions_are_drawn_by_weight() {
    let (cluster, topic) = cluster(&[Some(0); 5], &["a"]);
    let partitioner = BuiltInPartitioner::new(1, None);
    let stats = partitioner
        .load_stats(&loads(&[5, 0, 3, 0, 1]), &topic, &cluster)
        .unwrap();
    let mut frequencies = [0; 5];
    for random in 0..21 {
        frequencies[stats.draw(random) as usize] += 1;
    }
    assert_eq!(frequencies, [1, 6, 3, 6, 5]);

    partitioner.update_partition_load_stats(&loads(&[9, 0, 9, 9, 9]), &topic, &cluster);
    let ones = (0..1400)
        .filter(|_| partitioner.next_partition(&topic, &cluster) == 1)
        .count();
    assert!((800..1200).contains(&ones), "10 of 14, not {ones} of 1400");
}

#[test]
fn equal_queues_need_no_table() {
    let (cluster, topic) = cluster(&[Some(0); 3], &["a"]);
    let partitioner = BuiltInPartitioner::new(1, None);
    assert_eq!(
        partitioner.load_stats(&loads(&[2, 2, 2]), &topic, &cluster),
        None
    );
    assert_eq!(partitioner.load_stats(&[], &topic, &cluster), None);
    let mut slow = loads(&[0, 0, 0]);
    slow[1].excluded = true;
    let stats = partitioner.load_stats(&slow, &topic, &cluster).unwrap();
    assert_eq!(
        stats.partitions,
        [0, 2],
        "an excluded partition makes a table even if queues are alike"
    );
}

#[test]
fn rack_aware_partitioning_prefers_the_own_rack() {
    let (cluster, topic) = cluster(&[Some(0), Some(1), None, Some(1)], &["here", "there"]);
    let draws = |rack: &str| -> Vec<i32> {
        let partitioner = BuiltInPartitioner::new(1, Some(Arc::from(rack)));
        (0..100)
            .map(|_| partitioner.next_partition(&topic, &cluster))
            .collect()
    };
    assert!(draws("here").iter().all(|partition| *partition == 0));
    assert!(
        draws("elsewhere")
            .iter()
            .all(|partition| [0, 1, 3].contains(partition))
    );

    let partitioner = BuiltInPartitioner::new(1, Some(Arc::from("there")));
    let stats = partitioner
        .load_stats(&loads(&[0, 4, 0, 1]), &topic, &cluster)
        .unwrap();
    assert_eq!(
        stats.partitions,
        [1, 3],
        "the load decides among the own rack's partitions"
    );
}

// Java: BuiltInPartitionerTest (4.4), on the example of KIP-1123.
#[test]
fn the_load_decides_among_the_partitions_of_the_own_rack() {
    let leaders = [Some(0), Some(1), Some(0), Some(1), Some(0)];
    let (cluster, topic) = cluster(&leaders, &["a", "b"]);
    let stats = |rack: &str, loads: &[PartitionLoad]| {
        let partitioner = BuiltInPartitioner::new(1, Some(Arc::from(rack)));
        let stats = partitioner.load_stats(loads, &topic, &cluster)?;
        Some((stats.partitions, stats.cumulative_weights))
    };
    let queues = loads(&[5, 0, 3, 0, 1]);
    let expected = |partitions: &[i32], sums: &[u64]| Some((partitions.to_vec(), sums.to_vec()));
    assert_eq!(stats("a", &queues), expected(&[0, 2, 4], &[1, 4, 9]));
    assert_eq!(stats("b", &queues), expected(&[1, 3], &[1, 2]));
    assert_eq!(
        stats("c", &queues),
        expected(&[0, 1, 2, 3, 4], &[1, 7, 10, 16, 21])
    );
    // All equal: the load does not matter, and the current leaders decide which partitions are
    // local.
    assert_eq!(stats("a", &loads(&[2; 5])), None);
    // Only the other rack is busy, so the local partitions have equal weights.
    let other_is_busy = loads(&[0, 9, 0, 9, 0]);
    assert_eq!(stats("a", &other_is_busy), expected(&[0, 2, 4], &[1, 2, 3]));
    // No partition in the client's rack is usable.
    let mut own_is_away = loads(&[0; 5]);
    for index in [1, 3] {
        own_is_away[index].excluded = true;
    }
    assert_eq!(stats("b", &own_is_away), expected(&[0, 2, 4], &[1, 2, 3]));
}

/// Runs the second thread of these tests. Every thread begins with the first choice.
fn in_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().unwrap())
}

#[test]
fn threads_that_meet_part_and_the_others_stay_together() {
    let (cluster, topic) = cluster(&[Some(0); 40], &["a"]);
    let partitioner = BuiltInPartitioner::new(100, None);
    let peek = || partitioner.peek_current_partition(&topic, &cluster);
    let first = in_a_thread(peek);
    assert_eq!(in_a_thread(peek), first);
    let parted = in_a_thread(|| {
        partitioner.part(&topic);
        peek()
    });
    if thread::available_parallelism().map_or(1, NonZero::get) == 1 {
        assert_eq!(parted, first);
        return;
    }
    assert_ne!(parted.partition, first.partition);
    assert_eq!(in_a_thread(peek), first, "nobody else has met anybody");
    partitioner.switch_partition(parted, &topic, &cluster);
    assert!(partitioner.is_partition_changed(parted));
    assert!(!partitioner.is_partition_changed(first));
    partitioner.switch_partition(first, &topic, &cluster);
    assert!(in_a_thread(peek).generation > first.generation);
}

#[test]
fn threads_stay_together_where_there_are_few_partitions() {
    let (cluster, topic) = cluster(&[Some(0); 3], &["a"]);
    let partitioner = BuiltInPartitioner::new(100, None);
    let peek = || partitioner.peek_current_partition(&topic, &cluster);
    let first = in_a_thread(peek);
    let parted = in_a_thread(|| {
        partitioner.part(&topic);
        peek()
    });
    assert_eq!(parted, first);
}

/// The separated thread has ended, so no thread uses its choice.
#[test]
fn a_choice_that_nobody_uses_keeps_nobody_away() {
    let (cluster, topic) = cluster(&[Some(0); 4], &["a"]);
    let partitioner = BuiltInPartitioner::new(100, None);
    let peek = || partitioner.peek_current_partition(&topic, &cluster);
    in_a_thread(|| {
        peek();
        partitioner.part(&topic);
        peek();
    });
    let mut drawn = [0; 4];
    for _ in 0..1000 {
        let current = in_a_thread(peek);
        partitioner.switch_partition(current, &topic, &cluster);
        drawn[usize::try_from(current.partition).unwrap()] += 1;
    }
    assert!(drawn.iter().all(|count| *count > 100), "{drawn:?}");
}

/// The table is older than the topic's metadata.
#[test]
fn the_load_table_gives_no_partition_without_a_leader() {
    let (all, topic) = cluster(&[Some(0); 4], &["a"]);
    let partitioner = BuiltInPartitioner::new(100, None);
    partitioner.update_partition_load_stats(&loads(&[9, 9, 9, 0]), &topic, &all);
    let (now, topic) = cluster(&[Some(0), Some(0), None, None], &["a"]);
    for _ in 0..200 {
        let partition = partitioner.next_partition(&topic, &now);
        assert!(partition < 2, "{partition}");
    }
    let (gone, topic) = cluster(&[None], &["a"]);
    assert_eq!(partitioner.next_partition(&topic, &gone), 0);
}

#[test]
fn choices_for_other_partitions_count_their_generations_on() {
    let (cluster, topic) = cluster(&[Some(0); 4], &["a"]);
    let partitioner = BuiltInPartitioner::new(100, None);
    let first = partitioner.peek_current_partition(&topic, &cluster);
    let other = partitioner.for_other_partitions();
    assert!(!other.is_in_use());
    let second = other.peek_current_partition(&topic, &cluster);
    assert!(second.generation > first.generation);
}
