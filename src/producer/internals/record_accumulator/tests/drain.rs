//! The contents and the order of a request.

use super::*;

// Java: testPartialDrain
#[test]
fn a_drain_stops_at_the_size_of_a_request() {
    let fixture = Fixture::new(config());
    fixture.fill_batch(0);
    fixture.fill_batch(1);
    assert_eq!(fixture.ready_ids(), [1]);
    let batches = fixture.drain_max(&[1], 1024);
    assert_eq!(
        batches.len(),
        1,
        "the other one does not fit into the request"
    );
    assert_eq!(batches[0].topic_partition().partition(), 0);
    let rest = fixture.drain_max(&[1], 1024);
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].topic_partition().partition(), 1);
    complete(batches);
    complete(rest);
    fixture.io().abort_batches(&refused());
}

/// The actual sizes of the batches fill a request, not estimates from earlier data.
#[cfg(feature = "snappy")]
#[test]
fn a_request_is_not_filled_by_estimates() {
    let compression = Compression::new(CompressionType::Snappy, None).unwrap();
    let fixture = Fixture::new(AccumulatorConfig {
        compression,
        ..config()
    });
    let ratio = &fixture.accumulator.ratio;
    ratio.set_estimation(TOPIC, CompressionType::Snappy, 0.02);
    for partition in [0, 1] {
        fixture.append(partition, &noise(8000));
    }
    fixture.time.advance_ms(10);
    fixture.ready();
    let first = fixture.drain_max(&[1], 4096);
    assert_eq!(first.len(), 1);
    assert!(first[0].estimated_size_in_bytes() > 8000);
    let second = fixture.drain_max(&[1], 4096);
    assert_eq!(second.len(), 1);
    complete(first);
    complete(second);
}

// Java: testDrainBatches; KAFKA-13834
#[test]
fn drain_goes_around_the_partitions() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    for partition in [0, 1] {
        for _ in 0..3 {
            fixture.fill_batch(partition);
        }
    }
    fixture.ready();
    let mut order = Vec::new();
    for _ in 0..6 {
        let batches = fixture.drain_max(&[1], 1);
        assert_eq!(batches.len(), 1, "a batch above the limit goes alone");
        order.push(batches[0].topic_partition().partition());
        complete(batches);
    }
    assert_eq!(order, [0, 1, 0, 1, 0, 1]);
    assert!(
        fixture.drain(2).is_empty(),
        "a node that leads nothing with batches"
    );
    fixture.io().abort_batches(&refused());
}

// Java: testStressfulSituation
#[test]
fn every_record_is_drained_once_under_load() {
    const THREADS: usize = 5;
    const RECORDS: usize = 10_000;
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    let mut read = 0;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let fixture = &fixture;
            scope.spawn(move || {
                for record in 0..RECORDS {
                    let partition = i32::try_from(record % 3).unwrap();
                    let value = format!("{thread}-{record}");
                    while fixture
                        .try_append(Some(partition), value.as_bytes())
                        .is_err()
                    {}
                }
            });
        }
        while read < THREADS * RECORDS {
            let nodes: Vec<_> = fixture.ready_ids();
            for batch in fixture.drain_max(&nodes, 5 * 1024) {
                read += records(&batch).len();
                Box::new(batch).complete(0, -1);
            }
        }
    });
    assert_eq!(read, THREADS * RECORDS);
    assert!(!fixture.accumulator.has_undrained() && !fixture.accumulator.has_incomplete());
    assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
}
