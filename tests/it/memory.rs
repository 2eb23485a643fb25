//! `buffer.memory` limits the batches. All of it is returned whatever the result of a batch, and
//! none is reused while a socket may still read it.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use kafka_producer::common::{Cluster, Headers, NodeId};
use kafka_producer::testing::{Action, Api, FakeBroker, TopicConfig};
use kafka_producer::{
    BufferMemoryAllocationStrategy, Delivery, ErrorCode, ErrorKind, KafkaProducer,
    KafkaProducerBuilder, Partitioner, ProducerRecord, RecordFuture, Serialized, Serializer,
};

const SOON: Duration = Duration::from_secs(20);
const TOPIC: &str = "orders";
const BUFFER: usize = 256 << 10;

fn producer(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .buffer_memory(BUFFER)
        .linger(Duration::ZERO)
        .retry_backoff(Duration::from_millis(5))
        .max_block(SOON)
}

fn record(value: &str) -> ProducerRecord<'_> {
    ProducerRecord::new(TOPIC, value).partition(0)
}

/// A record that fits only when the whole buffer is free.
#[track_caller]
fn assert_whole_buffer_is_free<KS, VS>(producer: &KafkaProducer<KS, VS>)
where
    KS: Serializer,
    VS: Serializer<Input = [u8]>,
{
    let whole = vec![b'w'; BUFFER - 200];
    let record = ProducerRecord::new(TOPIC, &*whole).partition(0);
    let sent = producer
        .try_send(record)
        .unwrap_or_else(|unsent| panic!("not all memory came back: {}", unsent.error));
    sent.get().unwrap();
}

// Java: SenderTest.testResetNextBatchExpiry and others, which check the memory that is left in the
// pool.
#[test]
fn memory_comes_back_after_every_outcome() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker).build().unwrap();
    let send = || producer.send(record("value")).unwrap();
    send().get().unwrap();
    assert_whole_buffer_is_free(&producer);

    for code in [
        ErrorCode::INVALID_RECORD,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::UNKNOWN_SERVER_ERROR,
        ErrorCode::MESSAGE_TOO_LARGE,
    ] {
        broker.on(Api::Produce).then(Action::fail(code));
        assert_eq!(send().get().unwrap_err().code(), Some(code));
        assert_whole_buffer_is_free(&producer);
    }
    for action in [
        Action::fail(ErrorCode::NOT_ENOUGH_REPLICAS),
        Action::apply().disconnect(),
        Action::skip().disconnect(),
        Action::apply().cut_reply(9),
        Action::apply().reply_with_body([]),
    ] {
        broker.on(Api::Produce).then(action);
        send().get().unwrap();
        assert_whole_buffer_is_free(&producer);
    }
    assert_eq!(broker.unspent_rules(), 0);
}

#[test]
fn memory_comes_back_from_batches_that_expire() {
    let broker = FakeBroker::builder().topic(TOPIC, 2).start().unwrap();
    let producer = producer(&broker)
        .request_timeout(Duration::from_millis(1500))
        .delivery_timeout(Duration::from_millis(1500))
        .build()
        .unwrap();
    producer.send(record("warm")).unwrap().get().unwrap();
    // One batch expires before it is sent, the other in flight.
    broker.remove_leader(TOPIC, 1).unwrap();
    broker.on(Api::Produce).always().then(Action::skip());
    let waits = producer
        .send(ProducerRecord::new(TOPIC, "waits").partition(1))
        .unwrap();
    let flies = producer.send(record("flies")).unwrap();
    assert!(waits.get().unwrap_err().is_timeout());
    assert!(flies.get().unwrap_err().is_timeout());
    broker.clear_script();
    // The memory of the batch in flight is free when its request ends, at the latest after the
    // request timeout.
    let whole = "w".repeat(BUFFER - 200);
    producer.send(record(&whole)).unwrap().get().unwrap();
    assert_whole_buffer_is_free(&producer);
}

#[test]
fn memory_comes_back_from_batches_that_are_split() {
    for strategy in [
        BufferMemoryAllocationStrategy::Full,
        BufferMemoryAllocationStrategy::Incremental,
    ] {
        assert_memory_comes_back_from_splits(strategy);
    }
}

fn assert_memory_comes_back_from_splits(strategy: BufferMemoryAllocationStrategy) {
    let small = TopicConfig::new(1).max_message_bytes(5_000);
    let broker = FakeBroker::builder()
        .topic(TOPIC, 1)
        .topic_with("small", small)
        .start()
        .unwrap();
    let producer = producer(&broker)
        .linger(SOON)
        .batch_size(32 << 10)
        .buffer_memory_allocation_strategy(strategy)
        .build()
        .unwrap();
    producer.send(record("warm")).unwrap().get().unwrap();
    let value = "v".repeat(500);
    for _ in 0..3 {
        for _ in 0..200 {
            drop(
                producer
                    .send(ProducerRecord::new("small", &*value))
                    .unwrap(),
            );
        }
        producer.flush().unwrap();
        assert_whole_buffer_is_free(&producer);
    }
    assert_eq!(broker.record_count("small"), 600);
}

/// KIP-1332, with every codec. More is sent than fits, so batches grow while memory is short.
#[test]
fn batches_in_chunks_arrive_whole() {
    let values: Vec<Vec<u8>> = (0..400_usize)
        .map(|number| (0..number * 37 % 2_000).map(|n| (n * n) as u8).collect())
        .collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
        let builder = producer(&broker)
            .linger(SOON)
            .batch_size(64 << 10)
            .buffer_memory_allocation_strategy(BufferMemoryAllocationStrategy::Incremental)
            .set("compression.type", codec)
            .unwrap();
        let producer = match builder.build() {
            Ok(producer) => producer,
            Err(error) if codec == "none" => panic!("{error}"),
            // The feature of the codec is off.
            Err(_) => continue,
        };
        for value in &values {
            let record = ProducerRecord::new(TOPIC, &**value).partition(0);
            drop(producer.send(record).unwrap());
        }
        producer.flush().unwrap();
        let records = broker.records(TOPIC, 0).into_iter();
        let arrived: Vec<_> = records.map(|record| record.value.unwrap()).collect();
        assert!(arrived == values, "{codec}");
        assert_whole_buffer_is_free(&producer);
    }
}

/// Returns an error or panics for some values.
struct Refusing;

impl Serializer for Refusing {
    type Input = [u8];

    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        data: &'a [u8],
    ) -> Result<Serialized<'a>, Box<dyn std::error::Error + Send + Sync>> {
        match data {
            b"refuse" => Err("no".into()),
            b"panic" => panic!("as the value says"),
            _ => Ok(data.into()),
        }
    }
}

impl Partitioner for Refusing {
    fn partition(
        &self,
        _: &str,
        _: Option<&[u8]>,
        value: Option<&[u8]>,
        _: &Cluster,
    ) -> Result<i32, Box<dyn std::error::Error + Send + Sync>> {
        match value {
            Some(b"no partition") => Ok(-1),
            Some(b"panic late") => panic!("as the value says"),
            _ => Ok(0),
        }
    }
}

#[test]
fn memory_comes_back_when_the_users_code_fails() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker)
        .value_serializer(Refusing)
        .partitioner(Refusing)
        .build()
        .unwrap();
    let too_large = "v".repeat(BUFFER);
    for _ in 0..50 {
        for value in ["refuse", "panic", "no partition", "panic late"] {
            producer
                .send(ProducerRecord::new(TOPIC, value))
                .unwrap_err();
        }
        let error = producer
            .send(ProducerRecord::new(TOPIC, &*too_large))
            .unwrap()
            .get()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
        assert!(error.to_string().contains("buffer.memory"), "{error}");
        producer
            .send_with_callback(ProducerRecord::new(TOPIC, "value"), |_| {
                panic!("in a callback")
            })
            .unwrap();
    }
    producer.flush().unwrap();
    assert_whole_buffer_is_free(&producer);
    assert!(broker.record_count(TOPIC) == 51);
}

/// Fills the buffer while the broker answers nothing.
fn fill(producer: &KafkaProducer) -> Vec<RecordFuture> {
    let value = "v".repeat(8_000);
    std::iter::from_fn(|| producer.try_send(record(&value)).ok()).collect()
}

// Java: BufferPoolTest.testStressfulSituation: all parked senders continue, or all get their error.
#[test]
fn parked_senders_go_on_when_memory_comes_back() {
    const SENDERS: usize = 256;
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker).build().unwrap();
    producer.send(record("warm")).unwrap().get().unwrap();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .always()
        .then(Action::apply().hold(&hold));
    let filling = fill(&producer);
    let value = "p".repeat(8_000);
    let all_there = Barrier::new(SENDERS + 1);
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                all_there.wait();
                producer.send(record(&value)).unwrap().get().unwrap();
            });
        }
        all_there.wait();
        assert!(
            producer
                .try_send(record(&value))
                .unwrap_err()
                .is_would_block()
        );
        hold.release();
    });
    assert!(filling.iter().all(|sent| sent.get().is_ok()));
    assert_eq!(
        broker.record_count(TOPIC) as usize,
        1 + filling.len() + SENDERS
    );
    assert_whole_buffer_is_free(&producer);
}

#[test]
fn parked_senders_get_their_error_when_it_does_not() {
    const SENDERS: usize = 64;
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker)
        .max_block(Duration::from_secs(2))
        .build()
        .unwrap();
    producer.send(record("warm")).unwrap().get().unwrap();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .always()
        .then(Action::apply().hold(&hold));
    let filling = fill(&producer);
    let value = "p".repeat(8_000);
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let error = producer.send(record(&value)).unwrap().get().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::BufferExhausted);
                assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));
                assert_eq!(error.delivery(), Delivery::NotWritten);
            });
        }
    });
    hold.release();
    producer.flush().unwrap();
    assert_eq!(broker.record_count(TOPIC) as usize, 1 + filling.len());
    assert_whole_buffer_is_free(&producer);
}

/// A waiter collects memory in pieces, and returns the pieces when it times out.
#[test]
fn what_a_waiter_gathered_comes_back_when_it_gives_up() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 2)
        .start()
        .unwrap();
    let producer = producer(&broker)
        .linger(SOON)
        .max_block(Duration::from_secs(2))
        .build()
        .unwrap();
    let send = |partition, size: usize| {
        let value = "v".repeat(size);
        let record = ProducerRecord::new(TOPIC, value).partition(partition);
        producer.send(record).unwrap()
    };
    send(0, 1).get().unwrap();
    send(1, 1).get().unwrap();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .node(NodeId(1))
        .then(Action::apply().hold(&hold));
    let held = send(0, 100_000);
    thread::scope(|scope| {
        // Waiting for the result sends the record at once.
        let held = scope.spawn(|| held.get().unwrap());
        assert!(broker.await_requests(Api::Produce, 3, SOON));
        // This batch lingers until someone waits for memory. Then it is sent, and its memory goes
        // to the waiter.
        let lingers = send(1, 1_000);
        let waiter = send(0, BUFFER - 200);
        assert_eq!(waiter.get().unwrap_err().kind(), ErrorKind::BufferExhausted);
        hold.release();
        held.join().unwrap();
        lingers.get().unwrap();
    });
    assert_whole_buffer_is_free(&producer);
}

/// The pool serves waiters in order. One that needs the whole buffer gets it, although others take
/// and return small pieces all the time.
#[test]
fn a_large_record_is_not_starved_by_small_ones() {
    let broker = FakeBroker::builder().topic(TOPIC, 4).start().unwrap();
    let producer = producer(&broker).build().unwrap();
    producer.send(record("warm")).unwrap().get().unwrap();
    let is_over = AtomicBool::new(false);
    let small = "s".repeat(20_000);
    thread::scope(|scope| {
        for partition in 0..4 {
            let (producer, is_over, small) = (&producer, &is_over, &small);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let record = ProducerRecord::new(TOPIC, &**small).partition(partition);
                    drop(producer.send(record).unwrap());
                }
            });
        }
        let whole = "w".repeat(BUFFER - 200);
        let outcomes: Vec<_> = (0..5)
            .map(|_| producer.send(record(&whole)).unwrap().get())
            .collect();
        is_over.store(true, Ordering::Relaxed);
        for outcome in outcomes {
            outcome.unwrap();
        }
    });
    producer.flush().unwrap();
    assert_whole_buffer_is_free(&producer);
}

/// Returns the value of a record in the test below, filled up to `size`.
fn said(topic: &str, number: usize, size: usize) -> String {
    let mut said = format!("{topic}|{number}|");
    said.push_str(&".".repeat(size - said.len()));
    said
}

/// More than the sockets' buffers take while nobody reads. They may grow to 32 MB.
const SLOW_SIZE: usize = 48 << 20;
const OTHER_RECORDS: usize = 1_000;

// KAFKA-19012: the batch of a half-written request expires. If its memory were free then, records
// of another topic would be written into it, and the rest of the request would carry them to the
// wrong topic.
#[test]
fn memory_is_not_used_again_while_a_request_is_being_written() {
    // On a machine that stops for a second the request may time out before it is read. Then the
    // test proves nothing, and it tries again with more time.
    let was_held = (1..=5).any(expire_a_request_that_is_half_written);
    assert!(
        was_held,
        "the memory was free while the request was being written"
    );
}

/// Returns whether the memory was held meanwhile and the late request was read in the end.
fn expire_a_request_that_is_half_written(patience: u32) -> bool {
    let broker = slow_reader();
    let timeout = patience * Duration::from_millis(2_500);
    let producer = KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .buffer_memory(64 << 20)
        .max_request_size(64 << 20)
        .linger(Duration::ZERO)
        .request_timeout(timeout)
        .delivery_timeout(timeout)
        .retry_backoff(Duration::from_millis(5))
        .build()
        .unwrap();
    let send = |topic: &str, number, size| {
        let value = said(topic, number, size);
        producer
            .send(ProducerRecord::new(topic, value).partition(0))
            .unwrap()
    };
    for topic in ["plug", "slow", "other"] {
        send(topic, 0, 100).get().unwrap();
    }

    // The slow record is refused twice, so the third attempt begins late in its delivery timeout.
    let hold_answer = broker.new_hold();
    let too_few = || Action::fail(ErrorCode::NOT_ENOUGH_REPLICAS);
    let late = timeout / 2;
    broker
        .on(Api::Produce)
        .topic("slow")
        .then(too_few().delay(late));
    broker
        .on(Api::Produce)
        .topic("slow")
        .then(too_few().hold(&hold_answer));
    let slow = send("slow", 1, SLOW_SIZE);
    if !broker.wait_for(timeout, |broker| requests_for(broker, "slow") == 3) {
        return false;
    }

    // From here on the broker reads nothing from that connection.
    let hold_plug = broker.new_hold();
    broker
        .on(Api::Produce)
        .topic("plug")
        .then(Action::apply().hold_request(&hold_plug));
    let plug = send("plug", 1, 100);
    assert!(broker.wait_for(SOON, |broker| requests_for(broker, "plug") == 2));
    hold_answer.release();
    let error = slow.get().unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(error.delivery(), Delivery::MaybeWritten);

    // The 48 MB of the 64 MB are not free yet.
    let whole = "v".repeat(32 << 20);
    let is_held = producer
        .try_send(ProducerRecord::new("other", &*whole).partition(0))
        .is_err();
    let other: Vec<_> = (1..=OTHER_RECORDS)
        .map(|number| send("other", number, 1_000))
        .collect();
    other.iter().for_each(|sent| drop(sent.get().unwrap()));
    hold_plug.release();
    let _ = plug.get();
    let has_landed = broker.await_records("slow", 2, Duration::from_secs(2));
    for (topic, size) in [("plug", 100), ("slow", SLOW_SIZE), ("other", 1_000)] {
        for (number, record) in broker.records(topic, 0).iter().enumerate().skip(1) {
            let is_itself = record.value.as_deref() == Some(said(topic, number, size).as_bytes());
            assert!(is_itself, "another record lies at {topic}@{number}");
        }
    }
    has_landed && is_held
}

/// Two nodes. The first one leads "slow" and "plug", whose held request stops its connection.
fn slow_reader() -> FakeBroker {
    let large = TopicConfig::new(1).max_message_bytes(2 * SLOW_SIZE);
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic("plug", 1)
        .topic_with("slow", large)
        .topic("other", 1)
        .start()
        .unwrap();
    broker.move_leader("plug", 0, NodeId(1)).unwrap();
    broker.move_leader("slow", 0, NodeId(1)).unwrap();
    broker.move_leader("other", 0, NodeId(2)).unwrap();
    broker
}

fn requests_for(broker: &FakeBroker, topic: &str) -> usize {
    broker.count_requests(|request| {
        let mut partitions = request.partitions.iter();
        partitions.any(|partition| partition.topic() == topic)
    })
}
