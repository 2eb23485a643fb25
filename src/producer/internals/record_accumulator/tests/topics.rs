//! The data of a topic, and how long it is kept.

use super::*;

/// Returns a cluster with the nodes and without topics.
fn without_topics() -> Arc<Cluster> {
    let builder = ClusterBuilder::default().nodes(vec![node(1), node(2)]);
    Arc::new(builder.build())
}

/// Gives the I/O thread metadata without the topic.
fn expire_topic(fixture: &Fixture) {
    let cluster = without_topics();
    fixture.io().ready(&cluster, fixture.time.now());
}

fn topic_count(fixture: &Fixture) -> usize {
    fixture.accumulator.topics.lock().iter().count()
}

#[test]
fn an_idle_topic_that_expires_gives_its_queues_back() {
    let mut fixture = Fixture::new(config());
    let result = fixture.append(0, VALUE).result;
    fixture.time.advance_ms(10);
    assert_eq!(fixture.ready_ids(), [1]);
    complete(fixture.drain(1));
    drop(result);
    let queue = fixture.accumulator.queue(&TopicPartition::new(TOPIC, 0));
    let queue = Arc::downgrade(&queue.unwrap());
    // The metadata change, but still contain the topic.
    fixture.cluster = cluster_of(&[Some(1), Some(1), Some(2)], 1);
    fixture.ready();
    assert_eq!(topic_count(&fixture), 1);
    expire_topic(&fixture);
    assert_eq!(topic_count(&fixture), 0);
    // The expiry of the acknowledged batch stays registered until it is due.
    fixture
        .time
        .advance(fixture.accumulator.config.delivery_timeout);
    let expired = fixture.io().expired_batches(fixture.time.now());
    assert!(expired.is_empty());
    assert!(queue.upgrade().is_none(), "somebody keeps the queue");
}

#[test]
fn a_topic_keeps_its_queues_while_a_batch_waits_or_is_in_flight() {
    let fixture = Fixture::new(config());
    fixture.append(1, VALUE);
    expire_topic(&fixture);
    assert_eq!(topic_count(&fixture), 1, "a batch waits");
    fixture.time.advance_ms(10);
    assert_eq!(fixture.ready_ids(), [1]);
    let batches = fixture.drain(1);
    let queue = Arc::clone(batches[0].partition());
    expire_topic(&fixture);
    assert_eq!(topic_count(&fixture), 1, "a batch is in flight");
    // The attempt failed, and the batch is put back.
    fixture.io().end_flight(&queue);
    for batch in batches {
        let now = fixture.time.now();
        fixture.io().reenqueue(batch, now, Duration::ZERO);
    }
    expire_topic(&fixture);
    assert_eq!(topic_count(&fixture), 1, "a batch waits again");
    fixture.append(0, VALUE);
    fixture.time.advance_ms(10);
    assert_eq!(fixture.ready_ids(), [1]);
    let next = fixture.drain(1);
    assert_eq!(next.len(), 2, "partitions that were idle go on");
    complete(next);
    expire_topic(&fixture);
    assert_eq!(topic_count(&fixture), 0);
}

/// A caller read its view of the topic before the topic expired.
#[test]
fn a_record_of_a_caller_with_an_old_view_is_not_lost() {
    let fixture = Fixture::new(config());
    complete_one(&fixture, Some(2));
    let old_queue = fixture.accumulator.queue(&TopicPartition::new(TOPIC, 2));
    expire_topic(&fixture);
    for partition in [Some(2), None] {
        let result = fixture.try_append(partition, VALUE).unwrap().result;
        assert_eq!(topic_count(&fixture), 1, "the topic is in use again");
        assert!(fixture.accumulator.has_incomplete());
        fixture.time.advance_ms(10);
        let ready = fixture.ready_ids();
        assert_eq!(ready.len(), 1);
        complete(fixture.drain(ready[0]));
        assert!(result.is_done());
    }
    assert!(old_queue.unwrap().state.lock().batches.is_empty());
    assert!(!fixture.accumulator.has_incomplete());
    fixture.accumulator.close();
    let closed = fixture.try_append(Some(2), VALUE).unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed);
}

fn complete_one(fixture: &Fixture, partition: Option<i32>) {
    fixture.try_append(partition, VALUE).unwrap();
    fixture.time.advance_ms(10);
    let ready = fixture.ready_ids();
    complete(fixture.drain(ready[0]));
}

#[test]
fn topics_that_come_after_others_expired_have_places_of_their_own() {
    let fixture = Fixture::new(config());
    let topic = |name: &str| {
        let partitions = fixture.cluster.topic(TOPIC).unwrap().partitions().to_vec();
        TopicInfo::new(name.into(), Uuid::ZERO, false, partitions)
    };
    let add = |name: &str| {
        let queues = fixture
            .accumulator
            .topic_queues(&topic(name), &fixture.cluster);
        queues.partitions[0].handle().order_in_request().0
    };
    let before = ["a", "b"].map(add);
    let with_b = without_topics()
        .to_builder()
        .topic(Arc::new(topic("b")))
        .build();
    fixture.io().ready(&Arc::new(with_b), fixture.time.now());
    let after = ["b", "c"].map(add);
    assert_eq!(after[0], before[1]);
    assert_ne!(after[0], after[1]);
}

#[test]
fn callers_and_an_expiring_topic_lose_no_record() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    let records = 2000;
    let mut done = 0;
    thread::scope(|scope| {
        for partition in [Some(0), None] {
            let fixture = &fixture;
            scope.spawn(move || {
                for _ in 0..records {
                    fixture.try_append(partition, VALUE).unwrap();
                }
            });
        }
        while done < 2 * records {
            expire_topic(&fixture);
            fixture.ready();
            for batch in fixture.drain_max(&[1, 2], usize::MAX) {
                done += batch.record_count() as usize;
                complete(vec![batch]);
            }
        }
    });
    assert!(!fixture.accumulator.has_incomplete());
    expire_topic(&fixture);
    assert_eq!(topic_count(&fixture), 0);
}
