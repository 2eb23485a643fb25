//! With a stalled cluster, senders park and use no processor time, memory is bounded, and each
//! sender gets its error.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::{ErrorKind, KafkaProducer, ProducerRecord};

use crate::harness::{KafkaCluster, wait_until};
use crate::kafka_or_skip;
use crate::usage;

const SENDERS: usize = 8;
const BUFFER_MEMORY: u64 = 32 << 20;
/// How much the process may grow beyond the buffer: the state of records, stacks, and the
/// allocator's reserves.
const MORE_MEMORY: u64 = 8 << 20;
const VALUE_SIZE: usize = 1_000;
const MAX_BLOCK: Duration = Duration::from_secs(8);
const LIMIT: Duration = Duration::from_secs(60);
/// If no record is accepted for this long, all senders are parked.
const QUIET: Duration = Duration::from_secs(2);

#[test]
fn senders_park_when_the_buffer_is_full_and_each_gets_its_error() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    cluster.admin().create_topic("stalled", 6);
    let producer = KafkaProducer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .max_block(MAX_BLOCK)
        .build()
        .unwrap();
    let first = ProducerRecord::new("stalled", vec![b'.'; VALUE_SIZE]);
    producer.send(first).unwrap().get().unwrap();
    let memory = usage::resident_memory();
    cluster
        .node_ids()
        .iter()
        .for_each(|&node| cluster.pause(node));

    let (taken, acked) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let (errors, failures) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            let (producer, taken, acked) = (&producer, &taken, &acked);
            let errors = errors.clone();
            scope.spawn(move || {
                errors
                    .send(send_until_refused(producer, taken, acked))
                    .unwrap();
            });
        }
        await_standstill(&taken);
        let (cpu, since) = (usage::process_cpu(), Instant::now());
        let grown = usage::resident_memory().saturating_sub(memory);
        let first = failures.recv_timeout(LIMIT).unwrap();
        let (cpu, waited) = (usage::process_cpu() - cpu, since.elapsed());
        let held = taken.load(Ordering::Relaxed);
        eprintln!("stalled: {held} records held, {grown} bytes more, {cpu:?} of CPU in {waited:?}");
        assert!(cpu * 50 < waited, "{cpu:?} of CPU in {waited:?}");
        assert!(grown < BUFFER_MEMORY + MORE_MEMORY, "{grown} bytes");
        // It used what it may, and not much less.
        assert!(
            held * VALUE_SIZE as u64 > BUFFER_MEMORY / 2,
            "{held} records"
        );
        let others = (1..SENDERS).map(|_| failures.recv_timeout(LIMIT).unwrap());
        for error in std::iter::once(first).chain(others) {
            assert_eq!(error.kind(), ErrorKind::BufferExhausted, "{error}");
            assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));
        }
    });

    cluster
        .node_ids()
        .iter()
        .for_each(|&node| cluster.resume(node));
    producer.flush().unwrap();
    producer.close(LIMIT).unwrap();
    assert_eq!(acked.load(Ordering::Relaxed), taken.load(Ordering::Relaxed));
    let stored: i64 = cluster.admin().end_offsets("stalled").iter().sum();
    assert_eq!(stored as u64, taken.load(Ordering::Relaxed) + 1);
    cluster.admin().await_in_sync("stalled");
    cluster.admin().delete_topic("stalled");
}

/// Sends until a send fails. Returns its error. No record fails later.
fn send_until_refused(
    producer: &KafkaProducer,
    taken: &AtomicU64,
    acked: &Arc<AtomicU64>,
) -> kafka_producer::Error {
    let refusal = Arc::new(OnceLock::new());
    loop {
        let (acked, refused) = (Arc::clone(acked), Arc::clone(&refusal));
        let record = ProducerRecord::new("stalled", vec![b'.'; VALUE_SIZE]);
        let sent = producer.send_with_callback(record, move |result| match result {
            Ok(_) => drop(acked.fetch_add(1, Ordering::Relaxed)),
            Err(error) => refused.set(error).unwrap(),
        });
        sent.unwrap();
        if let Some(error) = refusal.get() {
            return error.clone();
        }
        taken.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns when no record was accepted for a while.
fn await_standstill(taken: &AtomicU64) {
    let (mut last, mut since) = (0, Instant::now());
    wait_until("full buffer", LIMIT, || {
        let now = taken.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        (since.elapsed() >= QUIET).then_some(())
    });
}
