//! When a batch becomes sendable, and to which node.

use super::*;

// Java: testLinger
#[test]
fn a_batch_is_ready_after_its_linger() {
    let fixture = Fixture::new(config());
    fixture.append(0, VALUE);
    let result = fixture.ready();
    assert!(result.ready_nodes.is_empty());
    assert_eq!(result.next_ready_check_delay, Duration::from_millis(10));
    fixture.time.advance_ms(4);
    assert_eq!(
        fixture.ready().next_ready_check_delay,
        Duration::from_millis(6)
    );
    fixture.time.advance_ms(6);
    assert_eq!(fixture.ready_ids(), [1]);
    let batches = fixture.drain(1);
    assert_eq!(records(&batches[0]).len(), 1);
    complete(batches);
    assert_eq!(fixture.ready().next_ready_check_delay, Duration::MAX);
}

// Java: testNextReadyCheckDelay
#[test]
fn next_ready_check_delay_is_that_of_the_earliest() {
    let fixture = Fixture::new(config());
    fixture.append(0, VALUE);
    fixture.time.advance_ms(5);
    fixture.append(1, VALUE);
    fixture.append(2, VALUE);
    let result = fixture.ready();
    assert!(result.ready_nodes.is_empty());
    assert_eq!(result.next_ready_check_delay, Duration::from_millis(5));
    fixture.fill_batch(2);
    let result = fixture.ready();
    assert_eq!(result.ready_nodes, [node(2)]);
    assert_eq!(
        result.next_ready_check_delay,
        Duration::from_millis(5),
        "node 1 still lingers"
    );
    fixture.io().abort_batches(&refused());
}

#[test]
fn a_get_expedites_the_batch_and_leaves_it_open() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    let first = fixture.append(0, VALUE);
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    first.result.expedite();
    assert_eq!(fixture.ready_ids(), [1]);
    let second = fixture.append(0, VALUE);
    assert!(
        Arc::ptr_eq(&first.result, &second.result),
        "until it is drained others join it"
    );
    let batches = fixture.drain(1);
    assert_eq!(records(&batches[0]).len(), 2);
    complete(batches);
}

#[test]
fn memory_pressure_makes_every_batch_sendable() {
    let fixture = Fixture::with_memory(
        AccumulatorConfig {
            linger: Duration::MAX,
            ..config()
        },
        1024,
    );
    fixture.append(0, VALUE);
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    thread::scope(|scope| {
        let blocked = scope.spawn(|| fixture.try_append(Some(1), VALUE));
        while fixture.accumulator.pool().queued() == 0 && !blocked.is_finished() {
            thread::yield_now();
        }
        let sendable = fixture.ready_ids();
        let outcome = blocked.join().unwrap();
        assert!(sendable == [1] || outcome.is_err());
    });
    fixture.io().abort_batches(&refused());
}

// Java: testMutedPartitions
#[test]
fn muted_partitions_are_neither_ready_nor_drained() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.append(2, VALUE);
    assert_eq!(fixture.ready_ids(), [2]);
    let queue = fixture
        .accumulator
        .queue(&TopicPartition::new(TOPIC, 2))
        .unwrap();
    fixture.io().mute_partition(queue.handle());
    assert!(fixture.drain(2).is_empty());
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    fixture.io().unmute_partition(queue.handle());
    assert_eq!(fixture.ready_ids(), [2]);
    complete(fixture.drain(2));
}

#[test]
fn partitions_without_a_leader_wait_for_one() {
    let mut fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.cluster = cluster_of(&[None, Some(1), Some(2)], 0);
    fixture.append(0, VALUE);
    let result = fixture.ready();
    assert!(result.ready_nodes.is_empty());
    assert_eq!(result.unknown_leader_topics, [Arc::from(TOPIC)]);
    assert_eq!(
        fixture.ready().unknown_leader_topics.len(),
        1,
        "each time, until there is one"
    );
    fixture.cluster = cluster_of(&[Some(2), Some(1), Some(2)], 0);
    let result = fixture.ready();
    assert_eq!(
        (result.ready_nodes, result.unknown_leader_topics.len()),
        (vec![node(2)], 0)
    );
    complete(fixture.drain(2));
}

#[test]
fn a_leader_that_moves_takes_the_ready_partitions_along() {
    let mut fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.append(0, VALUE);
    assert_eq!(fixture.ready_ids(), [1]);
    fixture.cluster = cluster_of(&[Some(2), Some(1), Some(2)], 1);
    assert_eq!(fixture.ready_ids(), [2]);
    assert!(fixture.drain(1).is_empty());
    complete(fixture.drain(2));
}

/// The node took nothing for too long, and then its batches went elsewhere. Only a record can show
/// that it is back.
#[test]
fn a_node_that_nothing_waits_for_is_not_left_out() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        availability_timeout: Duration::from_millis(100),
        ..config()
    });
    fixture.try_append(None, VALUE).unwrap();
    fixture.ready();
    complete(fixture.drain_max(&[1, 2], usize::MAX));
    let late = NodeId(2);
    for can_drain in [true, false] {
        fixture.time.advance_ms(200);
        let now = fixture.time.now();
        fixture.io().update_node_latency_stats(late, now, can_drain);
    }
    fixture.ready();
    let append = |_| fixture.try_append(None, &[1; 90]).unwrap().partition;
    let chosen: Vec<_> = (0..1000).map(append).collect();
    // The first record's partition was chosen before.
    let mut drawn = chosen
        .iter()
        .skip_while(|partition| **partition == chosen[0]);
    assert!(drawn.any(|partition| *partition == 2));
    fixture.io().abort_batches(&refused());
}
