//! The effect of an append: the batch that it uses, and its size.

use super::*;

// Java: testFull
#[test]
fn a_full_batch_makes_its_node_ready() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    let mut count = 0;
    while fixture.queue_len(0) < 2 {
        assert_eq!(
            fixture.ready_ids(),
            [0_i32; 0],
            "not ready before a batch is full"
        );
        fixture.append(0, VALUE);
        count += 1;
    }
    assert_eq!(fixture.ready_ids(), [1]);
    let batches = fixture.drain(1);
    assert_eq!(batches.len(), 1, "one batch of a partition at a time");
    let records = records(&batches[0]);
    assert_eq!(records.len(), count - 1);
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.offset_delta as usize, index);
        assert_eq!(
            (record.key.as_deref(), record.value.as_deref()),
            (Some(&b"key"[..]), Some(VALUE))
        );
    }
    assert!(batches[0].record_set().len() <= 1024);
    complete(batches);
    fixture.io().abort_batches(&refused());
}

// Java: testAppendLargeCompressed, testAppendLargeNonCompressed
#[test]
fn a_record_larger_than_a_batch_gets_its_own() {
    let mut kinds = vec![CompressionType::None];
    if cfg!(feature = "gzip") {
        kinds.push(CompressionType::Gzip);
    }
    for kind in kinds {
        let compression = Compression::new(kind, None).unwrap();
        let fixture = Fixture::new(AccumulatorConfig {
            compression,
            linger: Duration::ZERO,
            ..config()
        });
        let value = vec![1; 2 * 1024];
        fixture.append(0, &value);
        assert_eq!(fixture.ready_ids(), [1], "{kind:?}");
        let batches = fixture.drain(1);
        assert_eq!(records(&batches[0])[0].value.as_deref(), Some(&value[..]));
        complete(batches);
        assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
    }
}

// Java: testStickyBatches, testUniformBuiltInPartitioner
#[test]
fn sticky_records_fill_a_batch_before_the_partition_switches() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    let mut runs = Vec::new();
    for _ in 0..1000 {
        let partition = fixture.try_append(None, &[1; 90]).unwrap().partition;
        match runs.last_mut() {
            Some((last, count)) if *last == partition => *count += 1,
            _ => runs.push((partition, 1)),
        }
    }
    runs.pop();
    assert!(runs.len() > 10);
    assert!(
        runs.iter().all(|(_, count)| *count >= 9),
        "no tiny batches: {runs:?}"
    );
    fixture.io().abort_batches(&refused());
}

/// If records do not fill a batch exactly, the batch ends when the next record does not fit.
#[test]
fn a_sticky_partition_is_left_at_the_end_of_a_batch() {
    let append = |fixture: &Fixture| fixture.try_append(None, &[1; 90]).unwrap().partition;
    let (fixture, left, appended) = loop {
        let fixture = Fixture::new(AccumulatorConfig {
            linger: Duration::MAX,
            ..config()
        });
        let left = append(&fixture);
        let mut appended = 1;
        while append(&fixture) == left {
            appended += 1;
        }
        if appended < 2 * 18 {
            break (fixture, left, appended);
        }
        // The same partition was drawn again, and is now backlogged.
        fixture.io().abort_batches(&refused());
    };
    assert_eq!(appended, 18);
    let leader = if left == 2 { 2 } else { 1 };
    for _ in 0..2 {
        assert_eq!(fixture.ready_ids(), [leader], "nobody sends there any more");
        let batches = fixture.drain(leader);
        assert_eq!(batches[0].topic_partition().partition(), left);
        assert_eq!(batches[0].record_count(), 9);
        complete(batches);
        // Until then the next full batch gathers with others.
        fixture.time.advance_ms(1);
    }
    fixture.io().abort_batches(&refused());
}

#[test]
fn a_closed_accumulator_takes_no_records_and_sends_what_it_has() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    fixture.append(0, VALUE);
    fixture.ready();
    fixture.accumulator.close();
    assert_eq!(
        fixture.try_append(Some(0), VALUE).unwrap_err().kind(),
        ErrorKind::Closed
    );
    assert_eq!(fixture.ready_ids(), [1]);
    complete(fixture.drain(1));
}

#[test]
fn backlogged_partitions_open_larger_batches() {
    let fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::ZERO,
        ..config()
    });
    for _ in 0..200 {
        fixture.append(0, &[1; 100]);
        fixture.ready();
    }
    let mut sizes = Vec::new();
    while fixture.ready_ids() == [1] {
        for batch in fixture.drain(1) {
            sizes.push(batch.record_set().len());
            Box::new(batch).complete(0, -1);
        }
    }
    assert!(sizes[0] <= 1024 && sizes[1] <= 1024);
    assert!(sizes.iter().any(|size| *size > 2048), "{sizes:?}");
    fixture.append(0, VALUE);
    fixture.time.advance_ms(1);
    fixture.ready();
    complete(fixture.drain(1));
    assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
}

#[test]
fn a_topic_of_one_partition_needs_no_sticky_choice() {
    let mut fixture = Fixture::new(config());
    fixture.cluster = cluster_of(&[Some(1)], 0);
    let is_in_use = |fixture: &Fixture| {
        let queues = fixture.accumulator.queues_of(TOPIC).unwrap();
        queues.partitioner.is_in_use()
    };
    for _ in 0..30 {
        assert_eq!(fixture.try_append(None, &[1; 90]).unwrap().partition, 0);
    }
    assert!(!is_in_use(&fixture));
    fixture.cluster = cluster_of(&[Some(1), Some(1), Some(2)], 0);
    let partitions: std::collections::BTreeSet<_> = (0..300)
        .map(|_| fixture.try_append(None, &[1; 90]).unwrap().partition)
        .collect();
    assert!(
        is_in_use(&fixture) && partitions.len() > 1,
        "{partitions:?}"
    );
    fixture.io().abort_batches(&refused());
}

/// Callers with older metadata have their own choice.
#[test]
fn a_sticky_choice_is_among_the_partitions_of_the_callers_metadata() {
    let mut fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    let append = |fixture: &Fixture| fixture.try_append(None, VALUE).unwrap().partition;
    append(&fixture);
    let few = Arc::clone(&fixture.cluster);
    let many = cluster_of(&[Some(1); 40], 1);
    fixture.cluster = Arc::clone(&many);
    while append(&fixture) < 3 {}
    for _ in 0..200 {
        fixture.cluster = Arc::clone(&few);
        assert!(append(&fixture) < 3);
        fixture.cluster = Arc::clone(&many);
        append(&fixture);
    }
    fixture.cluster = cluster_of(&[Some(1); 2], 2);
    for _ in 0..200 {
        assert!(append(&fixture) < 2, "the topic was created anew");
    }
    fixture.io().abort_batches(&refused());
}

#[test]
fn a_view_with_missing_numbers_has_choices_of_its_own() {
    let mut fixture = Fixture::new(config());
    let view = |numbers: &[i32]| {
        let all = cluster_of(&[Some(1); 8], 0);
        let partitions = all.topic(TOPIC).unwrap().partitions().iter();
        let partitions = partitions.filter(|info| numbers.contains(&info.partition()));
        let topic = TopicInfo::new(
            TOPIC.into(),
            Uuid::ZERO,
            false,
            partitions.cloned().collect(),
        );
        Arc::new(all.to_builder().topic(Arc::new(topic)).build())
    };
    for numbers in [&[0, 7][..], &[0, 1], &[1, 6], &[5], &[2, 6]] {
        fixture.cluster = view(numbers);
        for _ in 0..50 {
            let partition = fixture.try_append(None, &[1; 90]).unwrap().partition;
            assert!(numbers.contains(&partition), "{partition} of {numbers:?}");
        }
    }
    fixture.io().abort_batches(&refused());
}

/// The leader is lost while a batch is open there, and the reverse.
#[test]
fn a_sticky_choice_without_a_leader_is_left() {
    let mut fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    for _ in 0..20 {
        fixture.cluster = cluster_of(&[Some(1); 3], 0);
        let choice = fixture.try_append(None, VALUE).unwrap().partition;
        let others: Vec<_> = (0..3).map(|n| (n != choice).then_some(1)).collect();
        fixture.cluster = cluster_of(&others, 0);
        let next = fixture.try_append(None, VALUE).unwrap().partition;
        assert_ne!(next, choice);
        fixture.cluster = cluster_of(&[None; 3], 0);
        let stays = fixture.try_append(None, VALUE).unwrap().partition;
        assert_eq!(stays, next, "no other has a leader");
        fixture.io().abort_batches(&refused());
    }
}

/// Another caller with older metadata has drawn a partition that has no leader now.
#[test]
fn no_batch_is_opened_for_a_sticky_choice_without_a_leader() {
    let mut fixture = Fixture::new(AccumulatorConfig {
        linger: Duration::MAX,
        ..config()
    });
    let before = Arc::clone(&fixture.cluster);
    fixture.cluster = cluster_of(&[Some(1), None, Some(2)], 1);
    fixture.try_append(None, VALUE).unwrap();
    let (new, old) = (Arc::clone(&fixture.cluster), before);
    for _ in 0..50 {
        fixture.cluster = Arc::clone(&old);
        let drawn = fixture.try_append(None, &[1; 2048]).unwrap().partition;
        fixture.cluster = Arc::clone(&new);
        let partition = fixture.try_append(None, &[1; 2048]).unwrap().partition;
        assert_ne!(partition, 1, "{drawn} was drawn before");
    }
    fixture.io().abort_batches(&refused());
}

/// The memory suffices for a batch of the usual size, but not for a larger one.
#[test]
fn a_backlogged_partition_takes_a_batch_of_the_usual_size_before_it_waits() {
    for patience in [
        Patience::Never,
        Patience::UpTo(WaitLimit::max_block(Duration::ZERO)),
    ] {
        let config = AccumulatorConfig {
            linger: Duration::MAX,
            ..config()
        };
        let fixture = Fixture::with_memory(config, 64 * 1024);
        let headers = Headers::new();
        let record = AppendRecord::new(0, None, Some(&[1; 500]), &headers).unwrap();
        let append = || fixture.append_record(Some(0), &record, None, patience);
        while append().is_ok() {}
        let unused = fixture.accumulator.pool().available_memory();
        assert!(unused < 1024, "{unused} with {patience:?}");
        fixture.io().abort_batches(&refused());
    }
}

#[test]
fn a_thread_returns_to_a_partition_from_another_one() {
    let fixture = Fixture::new(config());
    fixture.append(0, VALUE);
    fixture.append(1, VALUE);
    let queue = |partition| {
        fixture
            .accumulator
            .queue(&TopicPartition::new(TOPIC, partition))
            .unwrap()
    };
    let (first, second) = (queue(0), queue(1));
    let returned = [&first, &first, &second, &first].map(|queue| queue.is_returned_to());
    assert_eq!(returned, [true, false, true, true]);
    let elsewhere = thread::scope(|scope| scope.spawn(|| first.is_returned_to()).join());
    assert!(elsewhere.unwrap(), "another thread");
    assert!(!first.is_returned_to());
    fixture.io().abort_batches(&refused());
}

/// This is the order in a request, which names each topic once.
#[test]
fn partitions_of_a_topic_are_together_however_late_they_come() {
    let fixture = Fixture::new(config());
    let grow = |topic: &str, partitions: &[Option<i32>]| {
        let partitions = cluster_of(partitions, 0)
            .topic(TOPIC)
            .unwrap()
            .partitions()
            .to_vec();
        let topic = TopicInfo::new(topic.into(), Uuid::ZERO, false, partitions);
        fixture.accumulator.topic_queues(&topic, &fixture.cluster);
    };
    grow("b", &[Some(1)]);
    grow("a", &[Some(1)]);
    grow("b", &[Some(1), Some(2)]);
    grow("c", &[Some(1)]);
    let mut queues = fixture.accumulator.all_queues();
    queues.sort_by_key(|queue| queue.handle().order_in_request());
    let order: Vec<_> = queues
        .iter()
        .map(|queue| queue.topic_partition().to_string())
        .collect();
    assert_eq!(order, ["b-0", "b-1", "a-0", "c-0"]);
    let places: std::collections::BTreeSet<_> = queues
        .iter()
        .map(|queue| queue.handle().order_in_request().0)
        .collect();
    assert_eq!(places.len(), 3);
}

/// Appends to partition 0 until a second batch opens. Returns the number of records in the first
/// one.
fn records_of_a_full_batch(
    fixture: &Fixture,
    mut callback: impl FnMut() -> Option<Callback>,
) -> usize {
    let mut append = || {
        fixture
            .append_with(Some(0), None, b"", &Headers::new(), callback())
            .unwrap()
            .result
    };
    let first = append();
    let mut count = 1;
    while Arc::ptr_eq(&first, &append()) {
        count += 1;
    }
    fixture.io().abort_batches(&refused());
    count
}

#[test]
fn callbacks_take_no_more_memory_than_the_buffer_of_their_batch() {
    let fixture = Fixture::new(config());
    let batch_size = config().batch_size;
    let without = records_of_a_full_batch(&fixture, || None);
    assert!(without > 100);
    let plain = records_of_a_full_batch(&fixture, || Some(Callback::new(drop)));
    assert_eq!(plain, batch_size / 32);
    let captured = [7_u64; 5];
    let capturing = || Callback::new(move |result| drop((result, captured)));
    let counted = records_of_a_full_batch(&fixture, || Some(capturing()));
    assert_eq!(counted, batch_size / (32 + size_of_val(&captured) + 24));
    // A single record always gets a batch.
    let large = [7_u8; 5000];
    let large = || Callback::new(move |result| drop((result, large)));
    assert_eq!(records_of_a_full_batch(&fixture, || Some(large())), 1);
    // The list of callbacks has an entry for each record up to the last one with a callback.
    let mut index = 0;
    let mixed = records_of_a_full_batch(&fixture, || {
        index += 1;
        (index % 50 == 0).then(|| Callback::new(drop))
    });
    assert_eq!(mixed, 49);
}

#[test]
fn a_batch_that_is_full_of_callbacks_does_not_wait_for_the_linger() {
    for partition in [Some(0), None] {
        let fixture = Fixture::new(AccumulatorConfig {
            linger: Duration::MAX,
            ..config()
        });
        let append = || {
            let callback = Some(Callback::new(drop));
            let appended = fixture.append_with(partition, None, b"", &Headers::new(), callback);
            appended.unwrap().result
        };
        let first = append();
        assert_eq!(fixture.ready_ids(), [0_i32; 0]);
        while Arc::ptr_eq(&first, &append()) {}
        assert_eq!(fixture.ready_ids().len(), 1, "{partition:?}");
        fixture.io().abort_batches(&refused());
    }
}
