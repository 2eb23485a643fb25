//! Leader epochs and topic ids.

use super::*;

// Java: MetadataTest.testEpochUpdateAfterTopicDeletion, testStaleMetadata, testRejectOldMetadata.
#[test]
fn metadata_of_an_older_epoch_is_ignored() {
    let f = Fixture::new();
    f.add(&["t"]);
    f.update_all(&response(vec![topic("t", vec![partition(0, 0, 10)])]));
    assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(0), Some(10)));

    f.update_all(&response(vec![topic("t", vec![partition(0, 1, 9)])]));
    assert_eq!(
        (f.leader("t", 0), f.epoch("t", 0)),
        (Some(0), Some(10)),
        "stale"
    );

    f.update_all(&response(vec![topic("t", vec![partition(0, 1, 10)])]));
    assert_eq!(f.leader("t", 0), Some(1), "the same epoch counts");

    f.update_all(&response(vec![topic("t", vec![partition(0, 2, 12)])]));
    assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(2), Some(12)));
}

// Java: MetadataTest.testIgnoreLeaderEpochInOlderMetadataResponse.
#[test]
fn epochs_of_old_responses_are_not_trusted() {
    let f = Fixture::new();
    f.add(&["t"]);
    f.update_all(&response(vec![topic("t", vec![partition(0, 0, 10)])]));
    let (_, version) = f.request();
    let old = response(vec![topic("t", vec![partition(0, 1, 3)])]);
    f.metadata.update_with(version, &old, 8, f.time.now());
    assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(1), None));
    // The epoch was forgotten, so any epoch is new.
    f.update_all(&response(vec![topic("t", vec![partition(0, 2, 4)])]));
    assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(2), Some(4)));
}

// Java: MetadataTest.testEpochUpdateOnChangedTopicIds; KIP-516: a topic that is created again.
#[test]
fn a_new_topic_id_resets_the_epoch() {
    let id = |byte| Uuid::from_bytes([byte; 16]);
    let with_id = |topic_id, leader, epoch| {
        let topic = topic(
            "t",
            vec![partition(0, leader, epoch), partition(1, leader, epoch)],
        );
        response(vec![MetadataTopic { topic_id, ..topic }])
    };
    let f = Fixture::new();
    f.add(&["t"]);
    f.update_all(&with_id(Uuid::ZERO, 0, 100));
    f.update_all(&with_id(Uuid::ZERO, 1, 10));
    assert_eq!(f.epoch("t", 0), Some(100), "no ids, so it is stale");
    f.update_all(&with_id(id(1), 1, 10));
    assert_eq!(
        (f.leader("t", 0), f.epoch("t", 0)),
        (Some(1), Some(10)),
        "the first id"
    );
    f.update_all(&with_id(id(1), 0, 5));
    assert_eq!(f.epoch("t", 0), Some(10), "the same id, so it is stale");
    f.update_all(&with_id(id(2), 2, 0));
    assert_eq!(
        (f.leader("t", 0), f.epoch("t", 0)),
        (Some(2), Some(0)),
        "created anew"
    );
    assert_eq!(f.metadata.load().topic("t").unwrap().id(), id(2));

    // Java: testEpochUpdateAfterTopicDeletion. The id was missing in between.
    f.update_all(&with_id(id(2), 2, 7));
    f.update_all(&response(vec![error_topic(
        "t",
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    )]));
    assert!(f.metadata.load().topic("t").is_none());
    f.update_all(&with_id(id(3), 0, 0));
    assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(0), Some(0)));

    // Java: testTopicIdDowngrade... The epoch decides for a broker without ids.
    f.update_all(&with_id(Uuid::ZERO, 1, 3));
    assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(1), Some(3)));
    assert!(f.metadata.load().topic("t").unwrap().id().is_zero());
}

// The topic has fewer partitions after it was created again.
#[test]
fn the_number_of_partitions_may_shrink() {
    let f = Fixture::new();
    f.add(&["t"]);
    let with_count = |count| {
        let partitions = (0..count).map(|index| partition(index, 0, 1)).collect();
        response(vec![topic("t", partitions)])
    };
    f.update_all(&with_count(9));
    f.update_all(&with_count(2));
    assert_eq!(f.metadata.load().partition_count("t"), Some(2));
}

#[test]
fn a_stale_partition_keeps_its_leader_at_the_latest_address() {
    let f = Fixture::new();
    f.add(&["t"]);
    f.update_all(&response(vec![topic("t", vec![partition(0, 0, 10)])]));
    let mut moved = response(vec![topic("t", vec![partition(0, 1, 9)])]);
    moved.brokers[0].port = 1234;
    f.update_all(&moved);
    let cluster = f.metadata.load();
    assert_eq!(cluster.leader_for("t", 0).map(Node::port), Some(1234));
}

#[test]
fn partition_numbers_that_change_each_time_are_not_remembered_for_ever() {
    let f = Fixture::new();
    f.add(&["t"]);
    for round in 0..1000 {
        f.update_all(&response(vec![topic("t", vec![partition(round, 0, 1)])]));
    }
    let state = f.metadata.state.lock();
    let known = (0..1000).filter(|index| state.epochs.epoch("t", *index).is_some());
    assert!(known.count() <= 33);
}

/// Partitions may be listed in any order, and numbers may be missing.
#[test]
fn an_old_epoch_is_refused_whatever_the_order_of_the_partitions() {
    let f = Fixture::new();
    f.add(&["t"]);
    let numbers = [40, 3, 0, 1_000, 2];
    let with_epoch = |numbers: &[i32], leader, epoch| {
        let told = |number: &i32| partition(*number, leader, epoch);
        response(vec![topic("t", numbers.iter().map(told).collect())])
    };
    f.update_all(&with_epoch(&numbers, 0, 7));
    f.update_all(&with_epoch(&numbers, 1, 6));
    // A longer list, so that this number is an index now.
    let more: Vec<_> = (0..50).rev().chain([1_000]).collect();
    f.update_all(&with_epoch(&more, 2, 6));
    for number in numbers {
        assert_eq!(
            (f.leader("t", number), f.epoch("t", number)),
            (Some(0), Some(7)),
            "{number}"
        );
    }
    assert_eq!(f.epoch("t", 49), Some(6));
    f.update_all(&with_epoch(&more, 2, 8));
    let new = more
        .iter()
        .filter(|number| f.epoch("t", **number) == Some(8));
    assert_eq!(new.count(), more.len());
}

// Brokers before 2.8 have no topic ids. Java keeps the old leaders forever.
#[test]
fn a_topic_without_an_id_that_was_deleted_starts_with_new_epochs() {
    let f = Fixture::new();
    f.add(&["t"]);
    f.update_all(&response(vec![topic("t", vec![partition(0, 0, 10)])]));
    f.update_all(&response(vec![error_topic(
        "t",
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    )]));
    f.update_all(&response(vec![topic("t", vec![partition(0, 1, 0)])]));
    assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(1), Some(0)));
}

#[test]
fn a_stale_partition_is_taken_if_nothing_is_cached() {
    let f = Fixture::new();
    f.add(&["t"]);
    f.update_all(&response(vec![topic("t", vec![partition(0, 0, 10)])]));
    f.update_all(&response(vec![error_topic(
        "t",
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
    )]));
    f.update_all(&response(vec![topic("t", vec![partition(0, 1, 3)])]));
    assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(1), Some(3)));
    f.update_all(&response(vec![topic("t", vec![partition(0, 2, 4)])]));
    assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(2), Some(4)));
}

/// No response was lost in between: the topic was deleted and created again before the next update.
#[test]
fn a_refusing_leader_of_a_topic_without_an_id_resets_the_epoch() {
    let id = Uuid::from_bytes([1; 16]);
    for (topic_id, expected) in [(Uuid::ZERO, (Some(1), Some(0))), (id, (Some(0), Some(10)))] {
        let f = Fixture::new();
        f.add(&["t"]);
        let told = |leader, epoch| {
            let topic = topic("t", vec![partition(0, leader, epoch)]);
            response(vec![MetadataTopic { topic_id, ..topic }])
        };
        f.update_all(&told(0, 10));
        f.update_all(&told(1, 0));
        assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(0), Some(10)));
        f.metadata.leader_refused(&TopicPartition::new("t", 0));
        f.update_all(&told(1, 0));
        assert_eq!((f.leader("t", 0), f.epoch("t", 0)), expected);
    }
}
