//! Batches that come back: backoff and sequence order.

use super::*;

// Java: testRetryBackoff, testExponentialRetryBackoff
#[test]
fn a_retried_batch_is_ready_after_its_backoff() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.append(0, VALUE);
    fixture.ready();
    let mut batch = fixture.drain(1).pop().unwrap();
    for (attempt, backoff) in [(1, 100.0), (2, 200.0), (3, 400.0), (4, 800.0), (5, 1000.0)] {
        fixture
            .io()
            .reenqueue(batch, fixture.time.now(), Duration::MAX);
        fixture.append(1, VALUE);
        let result = fixture.ready();
        let delay = result.next_ready_check_delay.as_secs_f64() * 1000.0;
        assert!(
            delay >= backoff * 0.8 - 1.0 && delay <= (backoff * 1.2_f64).min(1000.0),
            "{delay}"
        );
        assert_eq!(
            result.ready_nodes,
            [node(1)],
            "the other partition is not held up"
        );
        let others = fixture.drain(1);
        assert_eq!(others.len(), 1);
        assert_eq!(others[0].topic_partition().partition(), 1);
        complete(others);
        fixture.time.advance(result.next_ready_check_delay);
        assert_eq!(fixture.ready_ids(), [1]);
        batch = fixture.drain(1).pop().unwrap();
        assert_eq!(batch.attempts(), attempt);
    }
    Box::new(batch).complete(0, -1);
}

// Java: testExponentialRetryBackoffLeaderChange; KIP-951
#[test]
fn a_new_leader_ends_the_backoff() {
    let mut fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.append(0, VALUE);
    fixture.ready();
    let batch = fixture.drain(1).pop().unwrap();
    fixture
        .io()
        .reenqueue(batch, fixture.time.now(), Duration::MAX);
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    fixture.cluster = cluster_of(&[Some(2), Some(1), Some(2)], 1);
    assert_eq!(fixture.ready_ids(), [2], "the epoch rose during this retry");
    let batch = fixture.drain(2).pop().unwrap();
    fixture
        .io()
        .reenqueue(batch, fixture.time.now(), Duration::MAX);
    fixture.cluster = cluster_of(&[Some(2), Some(1), Some(2)], 1);
    assert_eq!(
        fixture.ready_ids(),
        [0_i32; 0],
        "and not during the next one"
    );
    fixture.io().abort_batches(&refused());
}

fn ready_producer(fixture: &Fixture) -> IdempotentProducer {
    let backoff = ExponentialBackoff::new(Duration::from_millis(100), Duration::from_millis(100));
    let producer = IdempotentProducer::new(5, backoff);
    producer.init_producer_id_sent();
    let id = ProducerIdAndEpoch {
        producer_id: 7,
        epoch: 0,
    };
    producer.handle_init_producer_id_response(ErrorCode::NONE, id, fixture.time.now());
    producer
}

fn drain_idempotent(fixture: &Fixture, producer: &IdempotentProducer) -> Vec<ProducerBatch> {
    fixture.ready();
    let drained = fixture
        .io()
        .drain(&[node(1)], usize::MAX, fixture.time.now(), Some(producer));
    drained
        .batches
        .into_iter()
        .flat_map(|(_, batches)| batches)
        .map(|batch| *batch)
        .collect()
}

#[test]
fn one_batch_is_in_flight_until_the_first_ack_and_then_more() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    let producer = ready_producer(&fixture);
    for _ in 0..8 {
        fixture.fill_batch(0);
    }
    let first = drain_idempotent(&fixture, &producer).pop().unwrap();
    assert!(
        drain_idempotent(&fixture, &producer).is_empty(),
        "nothing before the first ack"
    );
    let partition = Arc::clone(first.partition());
    let sequence = first.sequence().unwrap();
    producer.with_sequences(|sequences| {
        sequences.completed(first.topic_partition(), &sequence, fixture.time.now())
    });
    Box::new(first).complete(0, -1);
    partition.announce();
    let mut in_flight = Vec::new();
    loop {
        let batches = drain_idempotent(&fixture, &producer);
        if batches.is_empty() {
            break;
        }
        in_flight.extend(batches);
    }
    assert_eq!(in_flight.len(), 5);
    let bases: Vec<_> = in_flight
        .iter()
        .map(|b| b.sequence().unwrap().base_sequence)
        .collect();
    assert!(bases.windows(2).all(|pair| pair[0] < pair[1]), "{bases:?}");
    complete(in_flight);
    fixture.io().abort_batches(&refused());
}

// Java: testReenqueue in sequence order. A retry reorders nothing.
#[test]
fn retried_batches_come_back_in_sequence_order() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        retry_backoff: Duration::ZERO,
        retry_backoff_max: Duration::ZERO,
        ..config()
    });
    let producer = ready_producer(&fixture);
    for _ in 0..6 {
        fixture.fill_batch(0);
    }
    let first = drain_idempotent(&fixture, &producer).pop().unwrap();
    let partition = Arc::clone(first.partition());
    let sequence = first.sequence().unwrap();
    producer.with_sequences(|sequences| {
        sequences.completed(first.topic_partition(), &sequence, fixture.time.now())
    });
    Box::new(first).complete(0, -1);
    partition.announce();
    let mut batches: Vec<_> = (0..3)
        .flat_map(|_| drain_idempotent(&fixture, &producer))
        .collect();
    let sent: Vec<_> = batches
        .iter()
        .map(|batch| batch.record_set().to_vec())
        .collect();
    batches.swap(0, 2);
    for batch in batches {
        let sequence = batch.sequence().unwrap();
        let attempt = crate::producer::internals::sequences::Attempt::Refused;
        producer.with_sequences(|sequences| {
            sequences.retried(batch.topic_partition(), &sequence, attempt);
        });
        fixture
            .io()
            .reenqueue(batch, fixture.time.now(), Duration::MAX);
    }
    let mut again = Vec::new();
    while again.len() < 3 {
        let batch = drain_idempotent(&fixture, &producer)
            .pop()
            .expect("one at a time, in order");
        again.push(batch.record_set().to_vec());
        let sequence = batch.sequence().unwrap();
        producer.with_sequences(|sequences| {
            sequences.completed(batch.topic_partition(), &sequence, fixture.time.now())
        });
        partition.announce();
        Box::new(batch).complete(0, -1);
    }
    assert_eq!(
        again, sent,
        "in order, and byte for byte what was sent before"
    );
    fixture.io().abort_batches(&refused());
}
