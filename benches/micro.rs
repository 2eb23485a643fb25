//! Single parts of the hot path: varints, murmur2, CRC, append and close of a batch, topic lookup,
//! buffer memory under contention, decoding of a response.
//!
//! ```text
//! cargo bench --features _internals --bench micro
//! cargo bench --features _internals,zstd --bench micro -- batch    # those whose names contain this
//! ```

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench may panic, and reads the real clock"
)]

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kafka_producer::_internals::{
    Batch, BufferPool, Cluster, Compression, decode_produce_response, murmur2, produce_response,
    write_varlong,
};
use kafka_producer::CompressionType;
use kafka_producer::common::Headers;

const TIMESTAMP: i64 = 1_700_000_000_000;

fn numbers(criterion: &mut Criterion) {
    let mut buffer = Vec::with_capacity(1 << 10);
    let mut group = criterion.benchmark_group("varint");
    for value in [1_i64, 1_000, 1_000_000, i64::MIN] {
        group.bench_with_input(
            BenchmarkId::from_parameter(value),
            &value,
            |bencher, value| {
                bencher.iter(|| {
                    buffer.clear();
                    write_varlong(&mut buffer, black_box(*value));
                    buffer.len()
                });
            },
        );
    }
    group.finish();

    let data = vec![b'k'; 16 << 10];
    for (name, sizes) in [
        ("murmur2", &[8, 100][..]),
        ("crc32c", &[100, 1_000, 16 << 10]),
    ] {
        let mut group = criterion.benchmark_group(name);
        for size in sizes {
            group.throughput(Throughput::Bytes(*size as u64));
            group.bench_with_input(BenchmarkId::from_parameter(size), size, |bencher, size| {
                let data = &data[..*size];
                match name {
                    "murmur2" => bencher.iter(|| murmur2(black_box(data)) as u32),
                    _ => bencher.iter(|| crc32c::crc32c(black_box(data))),
                }
            });
        }
        group.finish();
    }
}

/// Different values of some words each, because a codec's time for the same value over and over
/// would be misleading.
fn values(size: usize) -> Vec<Vec<u8>> {
    const WORDS: [&str; 12] = [
        "order", "customer", "amount", "EUR", "status", "shipped", "{", "}", "\":\"", ",", "id",
        "2026",
    ];
    let mut state = 1_u32;
    let mut word = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let number = state >> 16;
        format!("{}{number}", WORDS[number as usize % WORDS.len()])
    };
    let value = |_| {
        let mut value = Vec::with_capacity(size + 16);
        while value.len() < size {
            value.extend_from_slice(word().as_bytes());
        }
        value.truncate(size);
        value
    };
    (0..1_000).map(value).collect()
}

/// Fills and closes a batch again and again: every append and the checksum.
fn batches(criterion: &mut Criterion) {
    let headers = Headers::new();
    let mut group = criterion.benchmark_group("batch");
    let codecs = [
        CompressionType::None,
        #[cfg(feature = "gzip")]
        CompressionType::Gzip,
        #[cfg(feature = "snappy")]
        CompressionType::Snappy,
        #[cfg(feature = "lz4")]
        CompressionType::Lz4,
        #[cfg(feature = "zstd")]
        CompressionType::Zstd,
    ];
    for codec in codecs {
        let compression = Compression::new(codec).expect("built in");
        for (batch_size, value_size) in [(16 << 10, 100), (1 << 20, 100), (1 << 20, 1_000)] {
            let values = values(value_size);
            // A record takes at most 20 bytes besides its value. The codec is allowed 5 % of
            // overhead.
            let records = batch_size / (value_size + 20) * 19 / 20;
            let mut buffer = Vec::with_capacity(batch_size);
            let name = format!("{codec:?}/{value_size} B in {batch_size}").to_lowercase();
            group.throughput(Throughput::Elements(records as u64));
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let mut batch = Batch::new(std::mem::take(&mut buffer), &compression);
                    for value in values.iter().cycle().take(records) {
                        let fits = batch.try_append(TIMESTAMP, None, black_box(value), &headers);
                        assert!(fits, "the batch is not what is measured");
                    }
                    buffer = batch.close();
                });
            });
        }
    }
    group.finish();

    criterion.bench_function("batch close, 16 KiB", |bencher| {
        let compression = Compression::new(CompressionType::None).expect("always there");
        bencher.iter_batched(
            || {
                let mut batch = Batch::new(Vec::with_capacity(16 << 10), &compression);
                while batch.try_append(TIMESTAMP, None, &[b'v'; 100], &headers) {}
                batch
            },
            Batch::close,
            criterion::BatchSize::SmallInput,
        );
    });
}

/// Looks up topics in turn, so that not only one of them is in the cache.
fn lookups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("topic lookup");
    for topics in [1, 1_000, 10_000] {
        let cluster = Cluster::new(topics);
        let names: Vec<_> = (0..topics).map(|topic| format!("topic-{topic}")).collect();
        let mut names = names.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(topics), |bencher| {
            bencher.iter(|| {
                let name = names.next().expect("there are topics");
                cluster.partition_count(black_box(name)).expect("a topic")
            });
        });
    }
    group.finish();
}

/// Threads that allocate memory for a batch and return it. The figure is the time in which every
/// thread does so once.
fn buffer_memory(criterion: &mut Criterion) {
    const SIZE: usize = 16 << 10;
    let mut group = criterion.benchmark_group("buffer pool");
    group.measurement_time(Duration::from_secs(3));
    // Enough for every thread, and enough for two of them.
    for (name, total) in [("free", 64 * SIZE), ("short", 2 * SIZE)] {
        for threads in [1, 4, 16] {
            let pool = BufferPool::new(total, SIZE);
            group.throughput(Throughput::Elements(threads as u64));
            group.bench_function(format!("{name}/{threads} threads"), |bencher| {
                bencher.iter_custom(|rounds| {
                    together(threads, rounds, || {
                        pool.allocate(SIZE).expect("memory comes back");
                    })
                });
            });
        }
    }
    group.finish();
}

/// Returns the time that the threads take for `rounds` each, after all of them have started.
fn together(threads: usize, rounds: u64, operation: impl Fn() + Sync) -> Duration {
    let start = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    (0..rounds).for_each(|_| operation());
                })
            })
            .collect();
        start.wait();
        let started = Instant::now();
        for worker in workers {
            worker.join().expect("no worker panics");
        }
        started.elapsed()
    })
}

fn responses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("produce response");
    for partitions in [1, 16, 1_000] {
        let bytes = produce_response(partitions);
        group.throughput(Throughput::Elements(partitions as u64));
        group.bench_function(BenchmarkId::from_parameter(partitions), |bencher| {
            bencher.iter(|| decode_produce_response(black_box(&bytes)));
        });
    }
    group.finish();
}

criterion_group!(benches, numbers, batches, lookups, buffer_memory, responses);
criterion_main!(benches);
