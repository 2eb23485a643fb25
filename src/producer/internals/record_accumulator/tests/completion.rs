//! Flush, expiry and abort: every batch ends once, and its memory is returned.

use super::*;

// Java: testFlush
#[test]
fn a_flush_makes_every_batch_ready() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    for partition in 0..3 {
        fixture.append(partition, VALUE);
    }
    assert_eq!(fixture.ready_ids(), [0_i32; 0]);
    fixture.accumulator.begin_flush();
    assert_eq!(fixture.ready_ids(), [1, 2]);
    fixture.append(1, VALUE);
    let batches = fixture.drain_max(&[1, 2], usize::MAX);
    thread::scope(|scope| {
        let flush = scope.spawn(|| fixture.accumulator.await_flush_completion(None));
        complete(batches);
        flush.join().unwrap();
    });
    fixture.accumulator.end_flush();
    assert!(!fixture.accumulator.is_flush_in_progress() && !fixture.accumulator.has_incomplete());
    fixture.append(0, VALUE);
    assert_eq!(fixture.ready_ids(), [0_i32; 0], "linger counts again");
    fixture.io().abort_batches(&refused());
}

// KAFKA-9312, KAFKA-19479: a flush must not return before all parts of a split batch are done.
#[test]
fn flush_waits_for_the_parts_of_a_split_batch() {
    let fixture = Fixture::new(config());
    for _ in 0..8 {
        fixture.append(0, &[1; 50]);
    }
    fixture.time.advance_ms(10);
    fixture.ready();
    let original = fixture.drain(1).pop().unwrap();
    let result = Arc::clone(original.result());
    fixture
        .io()
        .split_and_reenqueue(original, |_, _| Vec::new())
        .unwrap();
    assert!(!result.is_done(), "the parts are not done");
    fixture.ready();
    let first = fixture.drain(1);
    complete(first);
    assert!(!result.is_done(), "one part is not done");
    complete(fixture.drain(1));
    assert!(result.is_done());
    fixture.accumulator.await_flush_completion(None);
}

// Java: testAbortIncompleteBatches
#[test]
fn aborted_batches_fail_and_free_their_memory() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    let failed = Arc::new(AtomicUsize::new(0));
    for index in 0..100 {
        let failed = Arc::clone(&failed);
        let callback = Callback::new(move |result| {
            let error = result.unwrap_err();
            assert_eq!(
                (error.kind(), error.delivery()),
                (ErrorKind::Broker, Delivery::NotWritten)
            );
            assert_eq!(error.topic_partition().unwrap().topic(), TOPIC);
            failed.fetch_add(1, Ordering::Relaxed);
        });
        fixture
            .append_with(
                Some(index % 3),
                None,
                &[1; 100],
                &Headers::new(),
                Some(callback),
            )
            .unwrap();
    }
    fixture.io().abort_batches(&refused());
    assert_eq!(failed.load(Ordering::Relaxed), 100);
    assert!(!fixture.accumulator.has_undrained() && !fixture.accumulator.has_incomplete());
    assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
}

// Java: testExpiredBatches, testExpiredBatchesSize, testExpiredBatchesRetry, testMutedPartitions
#[test]
fn expired_batches_leave_the_queues() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.append(0, VALUE);
    fixture.ready();
    let queue = fixture
        .accumulator
        .queue(&TopicPartition::new(TOPIC, 0))
        .unwrap();
    fixture.io().mute_partition(queue.handle());
    fixture.time.advance_ms(1000);
    fixture.append(1, VALUE);
    fixture.ready();
    assert!(fixture.io().expired_batches(fixture.time.now()).is_empty());
    fixture.time.advance_ms(2200);
    let expired = fixture.io().expired_batches(fixture.time.now());
    assert_eq!(expired.len(), 1, "muted or not");
    assert_eq!(expired[0].topic_partition().partition(), 0);
    assert_eq!(
        fixture.io().next_expiry(),
        Some(fixture.time.now() + Duration::from_millis(1000)),
        "the other partition's turn"
    );
    fixture.time.advance_ms(1000);
    let rest = fixture.io().expired_batches(fixture.time.now());
    assert_eq!(rest.len(), 1);
    for batch in expired.into_iter().chain(rest) {
        batch.complete_exceptionally(refused(), Vec::new());
    }
    assert_eq!(fixture.io().next_expiry(), None);
}

// Java: testExpiredBatchesRetry
#[test]
fn a_retried_batch_expires_by_its_creation() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    fixture.append(0, VALUE);
    fixture.ready();
    let batch = fixture.drain(1).pop().unwrap();
    fixture.time.advance_ms(3100);
    fixture
        .io()
        .reenqueue(batch, fixture.time.now(), Duration::MAX);
    fixture.ready();
    fixture.time.advance_ms(100);
    let expired = fixture.io().expired_batches(fixture.time.now());
    assert_eq!(expired.len(), 1);
    for batch in expired {
        batch.complete_exceptionally(refused(), Vec::new());
    }
}

// Memory is returned once even if user code panics: a callback panics, and another batch is dropped
// without completion.
#[test]
fn every_callback_runs_once_whatever_happens_to_its_batch() {
    let fixture = Fixture::new(config());
    let calls = Arc::new(AtomicUsize::new(0));
    for index in 0..3 {
        let calls = Arc::clone(&calls);
        let callback = Callback::new(move |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            assert_ne!(index, 1, "a callback that panics");
        });
        fixture
            .append_with(Some(0), None, VALUE, &Headers::new(), Some(callback))
            .unwrap();
    }
    fixture.time.advance_ms(10);
    fixture.ready();
    let batches = fixture.drain(1);
    let result = Arc::clone(batches[0].result());
    drop(batches);
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    let (outcome, index) = result.wait_record(0, None).unwrap();
    let error = crate::producer::internals::record_result(&outcome, index).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
}

// KAFKA-19012: a buffer must not be reused while a request still reads it.
#[test]
fn memory_returns_only_when_the_last_owner_of_the_bytes_is_gone() {
    let fixture = Fixture::new(config());
    fixture.append(0, VALUE);
    fixture.time.advance_ms(10);
    fixture.ready();
    let batch = fixture.drain(1).pop().unwrap();
    let being_written = batch.record_set();
    let bytes = being_written.to_vec();
    batch.complete_exceptionally(refused(), Vec::new());
    assert_eq!(
        fixture.accumulator.pool().available_memory(),
        10 * MB - 1024
    );
    fixture.append(1, b"another record, which must not land in those bytes");
    assert_eq!(being_written.to_vec(), bytes);
    drop(being_written);
    assert_eq!(
        fixture.accumulator.pool().available_memory(),
        10 * MB - 1024
    );
    fixture.io().abort_batches(&refused());
    assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
}

/// An announced partition and its signal refer to each other. Neither may outlive the accumulator,
/// because the selector's waker, which has a descriptor, would be kept with them.
#[test]
fn a_dropped_accumulator_frees_its_partitions() {
    let fixture = Fixture::new(config());
    drop(fixture.append(0, VALUE));
    let queue = fixture
        .accumulator
        .queue(&TopicPartition::new(TOPIC, 0))
        .unwrap();
    fixture.io().abort_batches(&refused());
    queue.handle().announce();
    let freed = (Arc::downgrade(&queue), Arc::downgrade(queue.handle()));
    drop((queue, fixture));
    assert!(freed.0.upgrade().is_none() && freed.1.upgrade().is_none());
}
