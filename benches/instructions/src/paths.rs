//! The counted paths. Each is prepared and warmed up first; its closure is counted.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use kafka_producer::_internals::{
    self as internals, Batch, BufferPool, Cluster, Compression, Metrics, ProduceRequest,
    ThreadlessProducer,
};
use kafka_producer::common::Headers;
use kafka_producer::{
    CompressionType, ErrorKind, KafkaProducer, ProducerConfig, ProducerRecord, RecordFuture,
    RecordMetadata, TrySendError,
};

use crate::Failure;

/// One row of the budget.
pub(crate) struct Path {
    pub(crate) name: &'static str,
    /// The name of one operation.
    pub(crate) unit: &'static str,
    /// How many operations the closure does.
    pub(crate) operations: u64,
    pub(crate) prepare: fn() -> Result<Work, Failure>,
}

type Work = Box<dyn FnMut()>;

/// Enough for rare events to be in the figure, and few enough for one batch.
const RECORDS: u64 = 10_000;
const ROUNDS: u64 = 1_000;
const BATCHES: u64 = 100;
const BATCH_SIZE: usize = 16 << 10;
/// The timestamp of each record. With the clock's time, the length of a record would vary.
const TIMESTAMP: i64 = 1_700_000_000_000;
const TOPIC: &str = "topic-0";
const VALUE: &[u8] = &[b'v'; 100];

pub(crate) const PATHS: &[Path] = &[
    // From the call to the appended record, in an open batch of a known topic: the cost for a
    // caller.
    record("send", || send(1, ONE_BATCH, send_future)),
    record("send, with a callback", || {
        send(1, ONE_BATCH, send_callback)
    }),
    record("send, with a key", || send(1, ONE_BATCH, send_key)),
    record("send, over 1,000 topics", || {
        send(1_000, DEFAULT_BATCHES, send_future)
    }),
    // The I/O thread's work for records with callbacks, which is mostly calling them.
    record("complete, with a callback", complete),
    // Both together: appends, full batches, requests, responses, callbacks.
    record("send and complete, default batches", || {
        default_batches(DEFAULT_BATCHES)
    }),
    // At most 10 % more than the row above: KIP-1332.
    record("send and complete, default batches in chunks", || {
        default_batches(BATCHES_IN_CHUNKS)
    }),
    record("send and complete, one by one", one_by_one),
    record(
        "send and complete, a record on each of 16 partitions",
        sixteen_partitions,
    ),
    // The parts.
    record("append", append),
    Path {
        name: "batch close, 16 KiB",
        unit: "batch",
        operations: BATCHES,
        prepare: close,
    },
    Path {
        name: "request encoding, 16 batches",
        unit: "request",
        operations: ROUNDS,
        prepare: encode,
    },
    Path {
        name: "response decoding, 1 partition",
        unit: "response",
        operations: ROUNDS,
        prepare: || decode(1),
    },
    Path {
        name: "response decoding, 16 partitions",
        unit: "response",
        operations: ROUNDS,
        prepare: || decode(16),
    },
    call("topic lookup", lookup),
    call("buffer memory, taken and given back", memory),
    call("metric, a value", || metric(false)),
    call("metric, a value with quantiles", || metric(true)),
    Path {
        name: "telemetry push, one metric of 10,000 topics",
        unit: "push",
        operations: 1,
        prepare: push,
    },
    call("murmur2, 8 B", || murmur2(8)),
    call("murmur2, 100 B", || murmur2(100)),
    call("varint, 1 byte", || varint(1)),
    call("varint, 4 bytes", || varint(1_000_000)),
    call("CRC, 100 B", || crc(100)),
    call("CRC, 16 KiB", || crc(BATCH_SIZE)),
];

const fn record(name: &'static str, prepare: fn() -> Result<Work, Failure>) -> Path {
    Path {
        name,
        unit: "record",
        operations: RECORDS,
        prepare,
    }
}

const fn call(name: &'static str, prepare: fn() -> Result<Work, Failure>) -> Path {
    Path {
        name,
        unit: "call",
        operations: ROUNDS,
        prepare,
    }
}

// The whole producer on one thread.

/// Settings with which all records of a path are in one batch.
const ONE_BATCH: &[(&str, &str)] = &[
    ("batch.size", "2097152"),
    ("max.request.size", "4194304"),
    ("buffer.memory", "67108864"),
];
const DEFAULT_BATCHES: &[(&str, &str)] = &[];
const BATCHES_IN_CHUNKS: &[(&str, &str)] = &[("buffer.memory.allocation.strategy", "incremental")];

/// The number of records whose callback had a success.
static ACKNOWLEDGED: AtomicU64 = AtomicU64::new(0);

/// A producer that knows its topics and has sent to each.
fn producer(
    topics: u32,
    partitions: i32,
    settings: &[(&str, &str)],
) -> Result<ThreadlessProducer, Failure> {
    let mut config = ProducerConfig::new();
    // A send that would have to wait fails instead, because no other thread could end the wait.
    let common = [
        ("linger.ms", "0"),
        ("retry.backoff.ms", "0"),
        ("max.block.ms", "0"),
    ];
    for (key, value) in common.iter().chain(settings) {
        config.set(key, value)?;
    }
    let mut producer = ThreadlessProducer::new(config, topics, partitions)?;
    let mut unknown: Vec<_> = names(topics).collect();
    while !unknown.is_empty() {
        unknown.retain(|topic| would_block(producer.producer().try_send(record_for(topic))));
        producer.run_once();
    }
    settle(&mut producer);
    Ok(producer)
}

fn names(topics: u32) -> impl Iterator<Item = &'static str> {
    (0..topics).map(|topic| &*format!("topic-{topic}").leak())
}

fn record_for(topic: &'static str) -> ProducerRecord<'static> {
    ProducerRecord::new(topic, VALUE).timestamp(TIMESTAMP)
}

fn would_block(sent: Result<RecordFuture, TrySendError<'_>>) -> bool {
    sent.is_err_and(|unsent| unsent.error.kind() == ErrorKind::WouldBlock)
}

/// Enough rounds to deliver everything that was sent.
fn settle(producer: &mut ThreadlessProducer) {
    (0..50).for_each(|_| producer.run_once());
}

fn acknowledged(result: kafka_producer::Result<RecordMetadata>) {
    ACKNOWLEDGED.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
}

fn send_future(producer: &KafkaProducer, topic: &'static str) {
    let sent = producer.send(record_for(black_box(topic)));
    assert!(sent.is_ok(), "the record was not sent");
}

fn send_callback(producer: &KafkaProducer, topic: &'static str) {
    let sent = producer.send_with_callback(record_for(black_box(topic)), acknowledged);
    assert!(sent.is_ok(), "the record was not sent");
}

fn send_key(producer: &KafkaProducer, topic: &'static str) {
    let sent = producer.send(record_for(black_box(topic)).key(black_box("customer")));
    assert!(sent.is_ok(), "the record was not sent");
}

/// Sends to the topics in turn, into open batches.
fn send(
    topics: u32,
    settings: &[(&str, &str)],
    send: fn(&KafkaProducer, &'static str),
) -> Result<Work, Failure> {
    let mut producer = producer(topics, 1, settings)?;
    let topics: Vec<_> = names(topics).collect();
    let records = topics.iter().cycle().take(RECORDS as usize);
    // The first round lets lists grow to their size.
    for _ in 0..2 {
        records
            .clone()
            .for_each(|topic| send(producer.producer(), topic));
        settle(&mut producer);
    }
    topics
        .iter()
        .for_each(|topic| send(producer.producer(), topic));
    Ok(Box::new(move || {
        let records = topics.iter().cycle().take(RECORDS as usize);
        records.for_each(|topic| send(producer.producer(), topic));
    }))
}

/// Calls `send` for `RECORDS` records, `at_once` at a time, and runs the I/O thread's loop until
/// all of them are acknowledged.
fn send_and_complete(
    producer: &mut ThreadlessProducer,
    at_once: u64,
    send: impl Fn(&KafkaProducer, u64),
) {
    let before = ACKNOWLEDGED.load(Ordering::Relaxed);
    for first in (0..RECORDS).step_by(at_once as usize) {
        (first..first + at_once).for_each(|number| send(producer.producer(), number));
        producer.run_once();
    }
    while ACKNOWLEDGED.load(Ordering::Relaxed) < before + RECORDS {
        producer.run_once();
    }
}

fn complete() -> Result<Work, Failure> {
    let mut producer = producer(1, 1, ONE_BATCH)?;
    let send = |producer: &KafkaProducer, _| send_callback(producer, TOPIC);
    (0..2).for_each(|_| send_and_complete(&mut producer, RECORDS, send));
    (0..RECORDS).for_each(|number| send(producer.producer(), number));
    Ok(Box::new(move || {
        let before = ACKNOWLEDGED.load(Ordering::Relaxed);
        while ACKNOWLEDGED.load(Ordering::Relaxed) < before + RECORDS {
            producer.run_once();
        }
    }))
}

fn default_batches(settings: &[(&str, &str)]) -> Result<Work, Failure> {
    let mut producer = producer(1, 1, settings)?;
    let send = |producer: &KafkaProducer, _| send_callback(producer, TOPIC);
    send_and_complete(&mut producer, 500, send);
    Ok(Box::new(move || {
        send_and_complete(&mut producer, 500, send)
    }))
}

fn one_by_one() -> Result<Work, Failure> {
    let mut producer = producer(1, 1, DEFAULT_BATCHES)?;
    let send = |producer: &KafkaProducer, _| send_callback(producer, TOPIC);
    send_and_complete(&mut producer, 1, send);
    Ok(Box::new(move || send_and_complete(&mut producer, 1, send)))
}

fn sixteen_partitions() -> Result<Work, Failure> {
    let mut producer = producer(1, 16, DEFAULT_BATCHES)?;
    let send = |producer: &KafkaProducer, number| {
        let record = record_for(TOPIC).partition((number % 16) as i32);
        let sent = producer.send_with_callback(record, acknowledged);
        assert!(sent.is_ok(), "the record was not sent");
    };
    send_and_complete(&mut producer, 16, send);
    Ok(Box::new(move || send_and_complete(&mut producer, 16, send)))
}

// The parts.

fn plain_batch(size: usize) -> Result<Batch, Failure> {
    let compression = Compression::new(CompressionType::None).ok_or("no compression is missing")?;
    Ok(Batch::new(Vec::with_capacity(size), &compression))
}

fn append() -> Result<Work, Failure> {
    let mut batch = plain_batch(2 << 20)?;
    let headers = Headers::new();
    Ok(Box::new(move || {
        for _ in 0..RECORDS {
            let fits = batch.try_append(TIMESTAMP, None, black_box(VALUE), &headers);
            assert!(fits, "the batch is too small");
        }
    }))
}

fn close() -> Result<Work, Failure> {
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        let mut batch = plain_batch(BATCH_SIZE)?;
        while batch.try_append(TIMESTAMP, None, VALUE, &Headers::new()) {}
        batches.push(batch);
    }
    let mut closed = Vec::with_capacity(batches.len());
    Ok(Box::new(move || {
        closed.extend(batches.drain(..).map(Batch::close))
    }))
}

fn encode() -> Result<Work, Failure> {
    let request = ProduceRequest::new(16, vec![0; BATCH_SIZE]);
    assert!(request.encode() > 16 * BATCH_SIZE);
    Ok(rounds(move || {
        black_box(black_box(&request).encode());
    }))
}

fn decode(partitions: i32) -> Result<Work, Failure> {
    let bytes = internals::produce_response(partitions);
    assert_eq!(
        internals::decode_produce_response(&bytes),
        partitions as usize
    );
    Ok(rounds(move || {
        black_box(internals::decode_produce_response(black_box(&bytes)));
    }))
}

/// Looks up every topic. The hash of one is by chance like that of another now and then, which costs a
/// comparison more.
fn lookup() -> Result<Work, Failure> {
    let cluster = Cluster::new(ROUNDS as usize);
    let names: Vec<String> = (0..ROUNDS).map(|topic| format!("topic-{topic}")).collect();
    Ok(Box::new(move || {
        for name in &names {
            black_box(cluster.partition_count(black_box(name)));
        }
    }))
}

fn memory() -> Result<Work, Failure> {
    let pool = BufferPool::new(4 * BATCH_SIZE, BATCH_SIZE);
    pool.allocate(BATCH_SIZE)?;
    Ok(rounds(move || {
        black_box(pool.allocate(black_box(BATCH_SIZE)).is_ok());
    }))
}

fn metric(has_quantiles: bool) -> Result<Work, Failure> {
    let metrics = Metrics::new();
    metrics.record(has_quantiles, 1);
    Ok(Box::new(move || {
        metrics.record(black_box(has_quantiles), ROUNDS as u32);
    }))
}

fn push() -> Result<Work, Failure> {
    let mut metrics = Metrics::new();
    metrics.send_to(10_000);
    Ok(Box::new(move || {
        let bytes = metrics.push(black_box(
            "org.apache.kafka.producer.topic.record.send.total",
        ));
        assert!(bytes > 500_000, "{bytes} bytes");
    }))
}

fn murmur2(size: usize) -> Result<Work, Failure> {
    let key = vec![b'k'; size];
    Ok(rounds(move || {
        black_box(internals::murmur2(black_box(&key)));
    }))
}

fn varint(value: i64) -> Result<Work, Failure> {
    let mut buffer = Vec::with_capacity(16);
    Ok(rounds(move || {
        buffer.clear();
        internals::write_varlong(&mut buffer, black_box(value));
        black_box(&buffer);
    }))
}

fn crc(size: usize) -> Result<Work, Failure> {
    let bytes = vec![b'v'; size];
    Ok(rounds(move || {
        black_box(crc32c::crc32c(black_box(&bytes)));
    }))
}

fn rounds(mut operation: impl FnMut() + 'static) -> Work {
    Box::new(move || (0..ROUNDS).for_each(|_| operation()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_runs() {
        for path in PATHS {
            let mut work =
                (path.prepare)().unwrap_or_else(|error| panic!("{}: {error}", path.name));
            work();
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = PATHS.iter().map(|path| path.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PATHS.len());
    }
}
