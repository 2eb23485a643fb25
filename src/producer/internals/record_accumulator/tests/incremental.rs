//! `buffer.memory.allocation.strategy=incremental` (KIP-1332). Java: `ChunkedRecordAccumulatorTest`.

use super::*;
use crate::record::RECORD_BATCH_OVERHEAD;
use crate::utils::SystemTime;

const KB: usize = 1024;
const LONG: Duration = Duration::from_secs(60);

/// Batches of 16 KiB that are sent only when they are full.
fn incremental() -> AccumulatorConfig {
    AccumulatorConfig {
        allocation: BufferMemoryAllocationStrategy::Incremental,
        batch_size: 16 * KB,
        linger: Duration::MAX,
        ..config()
    }
}

fn full() -> AccumulatorConfig {
    AccumulatorConfig {
        allocation: BufferMemoryAllocationStrategy::Full,
        ..incremental()
    }
}

/// Every codec of this build.
fn codecs() -> Vec<Compression> {
    let all = CompressionType::ALL.into_iter();
    all.filter_map(|kind| Compression::new(kind, None).ok())
        .collect()
}

impl Fixture {
    fn used(&self) -> usize {
        let pool = self.accumulator.pool();
        pool.total_memory() - pool.available_memory()
    }

    fn try_send(&self, partition: i32, value: &[u8]) -> Result<RecordAppend> {
        let headers = Headers::new();
        let record = AppendRecord::new(0, None, Some(value), &headers).unwrap();
        self.append_record(Some(partition), &record, None, Patience::Never)
    }

    /// Returns the sendable batches of both nodes.
    fn ready_batches(&self) -> Vec<ProducerBatch> {
        let nodes = self.ready_ids();
        self.drain_max(&nodes, usize::MAX)
    }
}

#[test]
fn ten_thousand_partitions_with_a_record_each_fit_in_the_default_memory() {
    for batch_size in [16 * KB, 1_000_000, MB] {
        let config = AccumulatorConfig {
            batch_size,
            ..incremental()
        };
        let mut fixture = Fixture::with_memory(config, 32 * MB);
        fixture.cluster = cluster_of(&vec![Some(1); 10_000], 0);
        for partition in 0..10_000 {
            let appended = fixture.try_send(partition, &[7; 100]);
            appended.unwrap_or_else(|error| panic!("{batch_size}, {partition}: {error}"));
        }
        let used = fixture.used();
        assert!(
            used > 10_000 * 100 && used < 31 * MB,
            "{batch_size}: {used}"
        );
        assert_eq!(fixture.ready_ids(), [0_i32; 0], "every batch is open");
        fixture.io().abort_batches(&refused());
        assert_eq!(fixture.used(), 0);
    }
}

// Java: ChunkedRecordAccumulatorTest, where chunks are of 16 KiB.
#[test]
fn a_batch_has_at_most_twice_the_memory_that_it_needs() {
    let fixture = Fixture::new(incremental());
    let first = fixture.append(0, VALUE).result;
    let smallest = fixture.used();
    assert_eq!(smallest, 2 * KB);
    let mut needed = RECORD_BATCH_OVERHEAD + 20;
    loop {
        let next = fixture.append_with(Some(0), None, &[7; 93], &Headers::new(), None);
        if !Arc::ptr_eq(&first, &next.unwrap().result) {
            break;
        }
        needed += 103;
        let used = fixture.used();
        assert!(used >= needed - 100 && used <= smallest.max(2 * needed));
        assert!(used <= 16 * KB, "no more than with the other strategy");
    }
    assert!(needed > 16 * KB - 300, "the batch was filled: {needed}");
    fixture.io().abort_batches(&refused());
    assert_eq!(fixture.used(), 0);
}

#[test]
fn a_batch_in_chunks_sends_the_bytes_of_one_in_one_piece() {
    for compression in codecs() {
        for length in [0, 100, 5_000, 20_000] {
            let [mut whole, mut chunked] = [full(), incremental()].map(|config| {
                let fixture = Fixture::new(AccumulatorConfig {
                    compression: compression.clone(),
                    ..config
                });
                let value = vec![7; length];
                for _ in 0..(200_000 / (length + 100)).max(20) {
                    fixture.append(0, &value);
                }
                fixture.accumulator.begin_flush();
                let mut sent = Vec::new();
                while fixture.accumulator.has_undrained() {
                    for batch in fixture.ready_batches() {
                        sent.push(batch.record_set().to_vec());
                        complete(vec![batch]);
                    }
                }
                assert_eq!(fixture.used(), 0);
                sent
            });
            assert_eq!(whole.len(), chunked.len(), "{length}");
            assert!(whole.drain(..).eq(chunked.drain(..)), "{length}");
        }
    }
}

/// It is the only one sent. Java closes the batch that is then the last, even if it is another one.
#[test]
fn a_batch_that_finds_no_memory_to_grow_is_sent() {
    let fixture = Fixture::with_memory(incremental(), 8 * KB);
    let grow = |partition| {
        while fixture.used() % (4 * KB) != 0 || fixture.used() == 0 {
            fixture.try_send(partition, &[7; 500]).unwrap();
        }
    };
    grow(0);
    fixture.try_send(1, VALUE).unwrap();
    grow(1);
    assert_eq!((fixture.used(), fixture.ready_ids().len()), (8 * KB, 0));
    // The batch of the other partition is not affected.
    let refused_record = loop {
        if let Err(error) = fixture.try_send(0, &[7; 500]) {
            break error;
        }
    };
    assert_eq!(refused_record.kind(), ErrorKind::WouldBlock);
    let sent = fixture.ready_batches();
    let partitions: Vec<_> = sent
        .iter()
        .map(|batch| batch.topic_partition().partition())
        .collect();
    assert_eq!(partitions, [0]);
    assert!(records(&sent[0]).len() > 5);
    complete(sent);
    assert_eq!(fixture.used(), 4 * KB);
    assert_eq!(fixture.try_send(0, &[7; 500]).unwrap().index, 0);
    fixture.io().abort_batches(&refused());
    assert_eq!(fixture.used(), 0);
}

/// Each thread holds a batch that is not full, and needs memory that the others hold. No batch is
/// sent because of its age.
#[test]
fn threads_that_all_need_memory_to_grow_do_not_wait_for_each_other() {
    const RECORDS: usize = 500;
    for codec in codecs() {
        let config = AccumulatorConfig {
            compression: codec,
            ..incremental()
        };
        let fixture = Fixture::with_memory(config, 8 * KB);
        thread::scope(|scope| {
            for partition in 0..3 {
                let fixture = &fixture;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(partition as u64);
                    for _ in 0..RECORDS {
                        let value: Vec<u8> = (0..100).map(|_| random.u8(..)).collect();
                        let headers = Headers::new();
                        let record = AppendRecord::new(0, None, Some(&value), &headers).unwrap();
                        let patience = Patience::UpTo(WaitLimit::max_block(LONG));
                        let appended =
                            fixture.append_record(Some(partition), &record, None, patience);
                        appended.unwrap();
                    }
                });
            }
            let start = SystemTime.now();
            let mut acked = 0;
            let mut complete_until = |count| {
                while acked < count {
                    let batches = fixture.ready_batches();
                    let counts = batches.iter().map(|batch| batch.record_count() as usize);
                    acked += counts.sum::<usize>();
                    complete(batches);
                    assert!(SystemTime.now() - start < 2 * LONG, "{acked} records");
                    thread::yield_now();
                }
            };
            // The missing ones then fit into the memory, and wait for more.
            complete_until(3 * (RECORDS - 100));
            fixture.accumulator.begin_flush();
            complete_until(3 * RECORDS);
        });
        assert_eq!(fixture.used(), 0);
    }
}

/// When the memory is used up, no batch can grow, so small ones would stay small.
#[test]
fn a_batch_behind_another_one_has_its_memory_from_the_start() {
    let fixture = Fixture::with_memory(incremental(), 64 * KB);
    fixture.append(0, &[7; 10_000]);
    let first = fixture.used();
    fixture.append(0, &[7; 10_000]);
    assert_eq!((first, fixture.used()), (16 * KB, 32 * KB));
    fixture.append(1, VALUE);
    assert_eq!(fixture.used(), 34 * KB);
    fixture.io().abort_batches(&refused());
}

/// Makes the same calls on both: as long as no record fails with `full`, none fails with
/// `incremental`.
#[test]
fn no_record_fails_before_it_would_with_full() {
    let mut outlived = 0;
    for (seed, largest) in (0..100).zip([100, 3_000, 30_000].into_iter().cycle()) {
        let mut random = fastrand::Rng::with_seed(seed);
        let [whole, chunked] =
            [full(), incremental()].map(|config| Fixture::with_memory(config, 100 * KB));
        for number in 0.. {
            let partition = random.i32(0..3);
            let value = vec![7; random.usize(..largest)];
            let expected = whole.try_send(partition, &value);
            let appended = chunked.try_send(partition, &value);
            if let Err(error) = expected {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                outlived += usize::from(appended.is_ok());
                break;
            }
            appended.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert!(chunked.used() <= whole.used(), "seed {seed}");
            // Later nothing is sent any more, so that the memory is used up in the end.
            if number < 500 && random.u8(..) < 10 {
                for fixture in [&whole, &chunked] {
                    complete(fixture.ready_batches());
                }
            }
        }
        for fixture in [&whole, &chunked] {
            fixture.io().abort_batches(&refused());
            assert_eq!(fixture.used(), 0);
        }
    }
    // Few do, because a batch that opens behind another one has all of its memory from the start.
    assert!(outlived > 0, "no record outlived");
}

// Java: RecordAccumulatorTest and ChunkedRecordAccumulatorTest, judged by the remaining memory.
#[test]
fn every_chunk_comes_back_once_whatever_becomes_of_its_batch() {
    for (number, compression) in codecs().into_iter().cycle().take(30).enumerate() {
        for config in [full(), incremental()] {
            let seed = number as u64;
            let fixture = Fixture::with_memory(
                AccumulatorConfig {
                    compression: compression.clone(),
                    batch_size: [16 * KB, 5_000, 1][number % 3],
                    ..config
                },
                100 * KB,
            );
            random_lives(&fixture, &mut fastrand::Rng::with_seed(seed));
            assert_eq!(fixture.used(), 0, "seed {seed}");
            // Not only the count: the kept buffers do not exceed the total.
            let whole = fixture.try_send(0, &vec![7; 100 * KB - 200]);
            whole.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            fixture.io().abort_batches(&refused());
        }
    }
}

/// Appends, sends, retries, splits, fails and completes in random order, until every batch has
/// ended.
fn random_lives(fixture: &Fixture, random: &mut fastrand::Rng) {
    let mut in_flight: Vec<ProducerBatch> = Vec::new();
    let mut being_written = Vec::new();
    let mut appended = 0;
    for _ in 0..400 {
        match random.u8(..20) {
            0..12 => {
                let length = random.usize(..3_000);
                let value: Vec<u8> = (0..length).map(|_| random.u8(..50)).collect();
                let callback = random.bool().then(|| Callback::new(drop));
                let headers = Headers::new();
                let record = AppendRecord::new(0, None, Some(&value), &headers).unwrap();
                let partition = Some(random.i32(0..3));
                match fixture.append_record(partition, &record, callback, Patience::Never) {
                    Ok(_) => appended += 1,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
                }
            }
            12..15 => {
                in_flight.extend(fixture.ready_batches());
                being_written.extend(in_flight.last().map(ProducerBatch::record_set));
            }
            15 if !being_written.is_empty() => drop(being_written.swap_remove(0)),
            16 => {
                fixture.time.advance_ms(200);
                let flush = random.bool();
                if flush {
                    fixture.accumulator.begin_flush();
                    in_flight.extend(fixture.ready_batches());
                    fixture.accumulator.end_flush();
                }
            }
            _ if in_flight.is_empty() => {}
            _ => {
                let batch = in_flight.swap_remove(random.usize(..in_flight.len()));
                batch.partition().end_flight();
                end_attempt(fixture, batch, random.u8(..4));
            }
        }
    }
    assert!(appended > 20, "{appended} records");
    for batch in in_flight {
        batch.partition().end_flight();
        batch.complete_exceptionally(refused(), Vec::new());
    }
    fixture.io().abort_batches(&refused());
}

fn end_attempt(fixture: &Fixture, batch: ProducerBatch, outcome: u8) {
    match outcome {
        0 => Box::new(batch).complete(0, -1),
        1 => batch.complete_exceptionally(refused(), Vec::new()),
        2 => {
            let now = fixture.time.now();
            fixture.io().reenqueue(batch, now, Duration::ZERO);
        }
        _ if batch.record_count() > 1 => {
            let split = fixture.io().split_and_reenqueue(batch, |_, _| Vec::new());
            split.unwrap();
        }
        _ => Box::new(batch).complete(0, -1),
    }
}
