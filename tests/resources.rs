//! Threads, descriptors, memory and processor time: a producer returns all of them when it ends,
//! however it ends, and a waiting producer uses no processor time.
//!
//! A program of its own, because it reads what Linux shows about the whole process in /proc.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on is to fail; real threads have real time"
)]

use std::fs;
use std::path::Path;
use std::sync::{Barrier, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{BufferMemoryAllocationStrategy, ErrorKind, KafkaProducer, ProducerRecord};

const NODE: NodeId = NodeId(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an idle producer is observed.
const WATCHED: Duration = Duration::from_secs(1);

/// Makes tests run one at a time, because each looks at the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A failed test leaves nothing behind that the next one would count.
    let alone = ALONE.lock().unwrap_or_else(|failed| failed.into_inner());
    eventually("threads of earlier tests", || Task::all().is_empty());
    alone
}

/// A thread of the library.
struct Task(String);

impl Task {
    /// Returns the threads whose names begin with the prefix of producers.
    fn all() -> Vec<Self> {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let paths = tasks.flatten().map(|task| task.path());
        paths
            .filter(|path| is_of_producer(path))
            .map(|path| Self(path.display().to_string()))
            .collect()
    }

    /// Returns the only I/O thread. A thread gets its name a moment after it starts.
    fn io_thread() -> Self {
        eventually("there is one I/O thread", || Self::all().len() == 1);
        Self::all().remove(0)
    }

    /// Returns how long the thread has run on a processor.
    fn cpu_time(&self) -> Duration {
        cpu_time(&self.0)
    }

    /// Returns how often the thread has gone to sleep voluntarily.
    fn sleeps(&self) -> u64 {
        number_of(&format!("{}/status", self.0), "voluntary_ctxt_switches:")
    }
}

fn is_of_producer(task: &Path) -> bool {
    // Linux keeps 15 bytes of a name. The thread may have ended meanwhile.
    let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
    name.starts_with("kafka-producer-")
}

fn cpu_time(task: &str) -> Duration {
    let stat = fs::read_to_string(format!("{task}/schedstat")).unwrap();
    let on_cpu = stat.split_whitespace().next().unwrap();
    Duration::from_nanos(on_cpu.parse().unwrap())
}

/// Returns the number after `label` in a file of /proc.
fn number_of(file: &str, label: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let number = line.unwrap().split_whitespace().next();
    number.unwrap().parse().unwrap()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident_bytes() -> u64 {
    number_of("/proc/self/status", "VmRSS:") * 1024
}

/// Waits for something that another thread does soon.
fn eventually(what: &str, is_true: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

/// The threads and descriptors before any producer was built.
struct Baseline<'a> {
    broker: &'a FakeBroker,
    descriptors: usize,
}

impl<'a> Baseline<'a> {
    fn of(broker: &'a FakeBroker) -> Self {
        assert!(broker.await_connections(0, PATIENCE));
        eventually("threads of earlier tests", || Task::all().is_empty());
        let descriptors = descriptors();
        Self {
            broker,
            descriptors,
        }
    }

    fn assert_restored(&self) {
        assert!(self.broker.await_connections(0, PATIENCE));
        eventually("threads are left", || Task::all().is_empty());
        eventually("descriptors are left", || descriptors() <= self.descriptors);
    }
}

fn broker() -> FakeBroker {
    FakeBroker::builder().topic("orders", 1).start().unwrap()
}

fn producer_for(broker: &FakeBroker) -> KafkaProducer {
    let builder = KafkaProducer::builder();
    builder
        .bootstrap_servers(broker.bootstrap_servers())
        .build()
        .unwrap()
}

fn send(producer: &KafkaProducer) {
    let sent = producer.send(ProducerRecord::new("orders", "v")).unwrap();
    sent.get_timeout(PATIENCE).unwrap();
}

/// Sleeps, and returns how long that took.
fn watch(broker: &FakeBroker) -> Duration {
    let start = Instant::now();
    broker.wait_for(WATCHED, |_| false);
    start.elapsed()
}

/// Checks that `used` is less than a tenth of `elapsed`. A busy loop uses all of it. A thread that
/// wakes up now and then uses some thousandths, or a few hundredths in a debug build on a busy
/// machine.
fn assert_idle(used: Duration, elapsed: Duration) {
    assert!(used * 10 < elapsed, "{used:?} of {elapsed:?}");
}

// Threads and descriptors are back at the baseline.
#[test]
fn producers_that_are_used_and_closed_leave_nothing() {
    let _alone = alone();
    let broker = broker();
    let baseline = Baseline::of(&broker);
    for _ in 0..20 {
        // A host name, so that there is a thread that resolves it.
        let servers = format!("localhost:{}", broker.port(NODE).unwrap());
        let builder = KafkaProducer::builder().bootstrap_servers(&servers);
        let producer = builder.build().unwrap();
        send(&producer);
        producer.close(PATIENCE).unwrap();
    }
    // All of them were closed and dropped.
    baseline.assert_restored();
}

#[test]
fn a_closed_producer_keeps_nothing_while_it_is_not_dropped() {
    let _alone = alone();
    let broker = broker();
    let baseline = Baseline::of(&broker);
    let producer = producer_for(&broker);
    send(&producer);
    producer.close(PATIENCE).unwrap();
    assert!(broker.await_connections(0, PATIENCE));
    eventually("the I/O thread", || Task::all().is_empty());
    drop(producer);
    baseline.assert_restored();
}

#[test]
fn producers_that_are_dropped_leave_nothing() {
    let _alone = alone();
    let broker = broker();
    let baseline = Baseline::of(&broker);
    for _ in 0..10 {
        drop(producer_for(&broker));
        let producer = producer_for(&broker);
        send(&producer);
        let last = producer.send(ProducerRecord::new("orders", "last"));
        drop(producer);
        last.unwrap().get().unwrap();
    }
    baseline.assert_restored();
}

#[test]
fn builds_that_fail_leave_nothing() {
    let _alone = alone();
    let broker = broker();
    let baseline = Baseline::of(&broker);
    for _ in 0..10 {
        let build = |servers: &str| KafkaProducer::builder().bootstrap_servers(servers);
        build("").build().unwrap_err();
        build("nowhere").build().unwrap_err();
        build("[::1]:9092")
            .batch_size(usize::MAX)
            .build()
            .unwrap_err();
        let contradictory = build("127.0.0.1:1").max_in_flight_requests_per_connection(6);
        contradictory.build().unwrap_err();
    }
    baseline.assert_restored();
}

#[test]
fn a_broker_that_vanishes_takes_nothing_with_it() {
    let _alone = alone();
    let broker = broker();
    let baseline = Baseline::of(&broker);
    let producers: Vec<_> = (0..5)
        .map(|_| {
            let builder = KafkaProducer::builder();
            let producer = builder
                .bootstrap_servers(broker.bootstrap_servers())
                .linger(Duration::ZERO)
                .max_block(Duration::from_secs(2))
                .request_timeout(Duration::from_millis(1000))
                .delivery_timeout(Duration::from_millis(1500))
                .build()
                .unwrap();
            send(&producer);
            producer
        })
        .collect();
    broker.stop_node(NODE).unwrap();
    let lost: Vec<_> = producers
        .iter()
        .map(|producer| {
            producer
                .send(ProducerRecord::new("orders", "lost"))
                .unwrap()
        })
        .collect();
    for lost in lost {
        assert_eq!(lost.get().unwrap_err().kind(), ErrorKind::Timeout);
    }
    let (closed, dropped) = producers.split_at(2);
    for producer in closed {
        producer.close(PATIENCE).unwrap();
    }
    assert_eq!(dropped.len(), 3);
    drop(producers);
    broker.start_node(NODE).unwrap();
    baseline.assert_restored();
}

// Buffer memory comes back, whether records are delivered, fail or expire.
#[test]
fn buffer_memory_comes_back() {
    let _alone = alone();
    let broker = broker();
    let producer = KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .buffer_memory(100_000)
        .batch_size(10_000)
        .build()
        .unwrap();
    send(&producer);
    let mut counts = Vec::new();
    for round in 0..4 {
        let hold = broker.new_hold();
        let stalled = match round % 2 {
            0 => Action::apply(),
            _ => Action::fail(kafka_producer::ErrorCode::INVALID_TIMESTAMP),
        };
        broker
            .on(Api::Produce)
            .always()
            .then(stalled.hold_request(&hold));
        let mut taken = Vec::new();
        while let Ok(future) = producer.try_send(ProducerRecord::new("orders", vec![0; 9_000])) {
            taken.push(future);
        }
        counts.push(taken.len());
        hold.release();
        for future in taken {
            assert_eq!(future.get_timeout(PATIENCE).is_ok(), round % 2 == 0);
        }
        broker.clear_script();
    }
    assert_eq!(counts, [10; 4]);
    send(&producer);
    producer.close(PATIENCE).unwrap();
}

/// With a full buffer and a stalled broker, waiting senders use no processor time, memory stays
/// near `buffer.memory`, and each sender gets its error in the end.
#[test]
fn senders_that_wait_for_a_stalled_broker_cost_nothing() {
    const SENDERS: usize = 16;
    const BUFFER: usize = 32 << 20;
    const SLACK: u64 = 12 << 20;
    let _alone = alone();
    let broker = broker();
    let hold = broker.new_hold();
    let producer = KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .buffer_memory(BUFFER)
        .max_block(Duration::from_secs(1))
        .build()
        .unwrap();
    send(&producer);
    broker
        .on(Api::Produce)
        .always()
        .then(Action::apply().hold_request(&hold));

    let before = resident_bytes();
    let value = vec![1; 8_000];
    let mut taken = Vec::new();
    while let Ok(future) = producer.try_send(ProducerRecord::new("orders", &value)) {
        taken.push(future);
    }
    assert!(taken.len() * value.len() > BUFFER / 2, "it was filled");

    let io_thread = Task::io_thread();
    let io_before = io_thread.cpu_time();
    let start = Instant::now();
    let all_began = Barrier::new(SENDERS);
    let used: Duration = thread::scope(|scope| {
        let wait = || {
            all_began.wait();
            let before = cpu_time("/proc/thread-self");
            let unsent = producer.send(ProducerRecord::new("orders", &value));
            let error = unsent.unwrap().get().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BufferExhausted);
            assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));
            cpu_time("/proc/thread-self") - before
        };
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(wait)).collect();
        senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .sum()
    });
    let elapsed = start.elapsed();
    assert_idle(used + (io_thread.cpu_time() - io_before), elapsed);
    // This includes what the broker's threads hold of the requests.
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < BUFFER as u64 + SLACK, "{} KB", grown / 1024);

    hold.release();
    for future in taken {
        future.get_timeout(PATIENCE).unwrap();
    }
    producer.close(PATIENCE).unwrap();
}

/// With nothing to do, the I/O thread soon sleeps until something is due.
#[test]
fn an_idle_producer_sleeps() {
    let _alone = alone();
    let broker = broker();
    let producer = producer_for(&broker);
    send(&producer);
    producer.flush().unwrap();
    let io_thread = Task::io_thread();
    let (cpu, sleeps) = (io_thread.cpu_time(), io_thread.sleeps());
    let elapsed = watch(&broker);
    assert_idle(io_thread.cpu_time() - cpu, elapsed);
    let sleeps = io_thread.sleeps() - sleeps;
    assert!(sleeps < 20, "woke up {sleeps} times in {elapsed:?}");
    producer.close(PATIENCE).unwrap();
}

/// Checks the I/O thread of a producer that cannot connect, with the default backoffs: 50 ms
/// growing to 1 s for connections, 100 ms growing to 1 s for everything else.
fn assert_tries_calmly(broker: &FakeBroker) {
    let io_thread = Task::io_thread();
    let (cpu, sleeps) = (io_thread.cpu_time(), io_thread.sleeps());
    let elapsed = watch(broker);
    assert_idle(io_thread.cpu_time() - cpu, elapsed);
    let sleeps = io_thread.sleeps() - sleeps;
    assert!(sleeps < 150, "woke up {sleeps} times in {elapsed:?}");
}

#[test]
fn brokers_that_cannot_be_reached_are_tried_calmly() {
    let _alone = alone();
    for refuses in [true, false] {
        eventually("threads are left", || Task::all().is_empty());
        let broker = broker();
        let producer = producer_for(&broker);
        match refuses {
            true => broker.close_listener(NODE).unwrap(),
            false => broker.accept_then_close(NODE, true).unwrap(),
        }
        let unsent = producer.try_send(ProducerRecord::new("orders", "v"));
        assert!(unsent.unwrap_err().is_would_block());
        assert_tries_calmly(&broker);
        producer.close(Duration::ZERO).unwrap();
    }
}

// With a record in the buffer the I/O thread could always retry something.
#[test]
fn a_record_whose_broker_vanished_waits_calmly() {
    let _alone = alone();
    let broker = broker();
    let producer = producer_for(&broker);
    send(&producer);
    broker.stop_node(NODE).unwrap();
    let waiting = producer.send(ProducerRecord::new("orders", "v")).unwrap();
    assert_tries_calmly(&broker);
    broker.start_node(NODE).unwrap();
    waiting.get_timeout(PATIENCE).unwrap();
    producer.close(PATIENCE).unwrap();
}

#[test]
fn a_record_without_a_leader_waits_calmly() {
    let _alone = alone();
    let broker = broker();
    let producer = producer_for(&broker);
    send(&producer);
    broker.remove_leader("orders", 0).unwrap();
    let waiting = producer.send(ProducerRecord::new("orders", "v")).unwrap();
    let before = broker.requests().len();
    assert_tries_calmly(&broker);
    let asked = broker.requests().len() - before;
    assert!(asked < 40, "{asked} requests");
    broker.move_leader("orders", 0, NODE).unwrap();
    waiting.get_timeout(PATIENCE).unwrap();
    producer.close(PATIENCE).unwrap();
}

/// Requests about a missing topic, and to a broker that throttles, use backoff too.
#[test]
fn a_topic_that_does_not_exist_is_asked_for_calmly() {
    let _alone = alone();
    let builder = FakeBroker::builder().topic("orders", 1);
    let broker = builder.auto_create_topics(false).start().unwrap();
    let producer = producer_for(&broker);
    send(&producer);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let sent = producer.send(ProducerRecord::new("late", "v")).unwrap();
            sent.get_timeout(PATIENCE).unwrap();
        });
        let names_it = |broker: &FakeBroker| {
            broker.count_requests(|request| request.topics.iter().any(|topic| topic == "late"))
        };
        assert!(broker.wait_for(PATIENCE, |broker| names_it(broker) > 0));
        let before = names_it(&broker);
        assert_tries_calmly(&broker);
        let asked = names_it(&broker) - before;
        assert!(asked < 30, "{asked} requests");
        let config = kafka_producer::testing::TopicConfig::new(1);
        broker.create_topic("late", config).unwrap();
        waiting.join().unwrap();
    });
    producer.close(PATIENCE).unwrap();
}

/// KIP-1332: resident memory is proportional to the buffered bytes, not to the number of partitions
/// times `batch.size`.
#[test]
fn ten_thousand_partitions_with_a_record_each_take_little_memory() {
    const PARTITIONS: i32 = 10_000;
    let _alone = alone();
    let broker = FakeBroker::builder()
        .topic("wide", PARTITIONS)
        .start()
        .unwrap();
    let producer = KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .buffer_memory_allocation_strategy(BufferMemoryAllocationStrategy::Incremental)
        .batch_size(1 << 20)
        .buffer_memory(32 << 20)
        .linger(PATIENCE)
        .build()
        .unwrap();
    producer.partitions_for("wide").unwrap();
    let value = [b'v'; 100];
    let before = resident_bytes();
    for partition in 0..PARTITIONS {
        let record = ProducerRecord::new("wide", value.as_slice()).partition(partition);
        let sent = producer.try_send(record);
        drop(sent.unwrap_or_else(|unsent| panic!("partition {partition}: {}", unsent.error)));
    }
    let grown = resident_bytes().saturating_sub(before);
    println!("{PARTITIONS} open batches: {} KiB resident", grown >> 10);
    assert!(grown < 48 << 20, "{grown} bytes for {PARTITIONS} records");
    producer.flush().unwrap();
    assert_eq!(broker.record_count("wide"), PARTITIONS as u64);
}
