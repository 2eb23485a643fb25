//! An acknowledged record is in the log once, in order, even if responses are lost (librdkafka
//! #4438, #4736).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, Failure, FakeBroker, Request};
use kafka_producer::{
    Delivery, ErrorCode, ErrorKind, KafkaProducer, ProducerRecord, RecordMetadata, Result,
};

use crate::support::history::{Findings, History, Outcome, ReadRecord, Verdict};
use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);

#[test]
fn a_retry_after_a_lost_reply_is_the_same_bytes() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let producer = quick(&broker).linger(millis(200)).build().unwrap();
    for _ in 0..3 {
        broker.on(Api::Produce).then(Action::apply().disconnect());
    }
    let futures = ["a", "b", "c"].map(|value| send(&producer, ORDERS, value));
    assert_eq!(offsets(&futures), [0, 1, 2]);
    assert_eq!(values(&broker, ORDERS), ["a", "b", "c"]);

    // Producer id, epoch, sequences, sizes, timestamps and the CRC over all of it.
    let attempts = attempts(&broker, ORDERS);
    assert_eq!(attempts.len(), 4);
    assert!(attempts.iter().all(|attempt| *attempt == attempts[0]));
    assert_eq!(
        (attempts[0].base_sequence, attempts[0].record_count),
        (0, 3)
    );
}

/// A batch is compressed once, not for every attempt.
#[cfg(feature = "gzip")]
#[test]
fn a_retry_of_a_compressed_batch_is_the_same_bytes() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let producer = quick(&broker)
        .compression_type(kafka_producer::CompressionType::Gzip)
        .linger(millis(200))
        .build()
        .unwrap();
    broker.on(Api::Produce).then(Action::apply().disconnect());
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    let long = ["a", "b", "c"].map(|value| value.repeat(1000));
    let futures = long.each_ref().map(|value| send(&producer, ORDERS, value));
    assert_eq!(offsets(&futures), [0, 1, 2]);
    assert_eq!(values(&broker, ORDERS), long);
    let attempts = attempts(&broker, ORDERS);
    assert_eq!((attempts.len(), attempts[0].compression), (3, "gzip"));
    assert!(attempts.iter().all(|attempt| *attempt == attempts[0]));
}

// Java: SenderTest.testHandlingOfDuplicateSequenceNumber, TransactionManagerTest.testDuplicateSequenceAfterProducerReset.
#[test]
fn a_duplicate_is_a_success_without_an_offset() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let producer = record_by_record(&broker).build().unwrap();
    broker.on(Api::Produce).then(Action::apply().disconnect());
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::DUPLICATE_SEQUENCE_NUMBER));
    let metadata = send(&producer, ORDERS, "a").get_timeout(LONG).unwrap();
    assert_eq!((metadata.offset(), metadata.has_offset()), (-1, false));
    assert_eq!((metadata.topic(), metadata.partition()), ORDERS);

    // The sequences continue after it.
    assert_eq!(offsets(&[send(&producer, ORDERS, "b")]), [1]);
    assert_eq!(values(&broker, ORDERS), ["a", "b"]);
    let last = attempts(&broker, ORDERS).pop().unwrap();
    assert_eq!((last.producer_epoch, last.base_sequence), (0, 1));
}

/// librdkafka #4438: the broker has the batch with sequences that the producer would give to the
/// next records, and would then take them for duplicates.
#[test]
fn records_after_a_batch_of_unknown_fate_are_not_taken_for_it() {
    for first_is_written in [true, false] {
        let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
        let producer = record_by_record(&broker)
            .request_timeout(millis(500))
            .delivery_timeout(millis(1500))
            .build()
            .unwrap();
        send(&producer, ORDERS, "first").get_timeout(LONG).unwrap();
        let lost = match first_is_written {
            true => Action::apply(),
            false => Action::skip(),
        };
        broker.on(Api::Produce).then(lost.never_reply());
        broker.on(Api::Produce).always().then(Action::skip());
        let error = send(&producer, ORDERS, "a").get_timeout(LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.delivery(), Delivery::MaybeWritten);
        broker.clear_script();

        let later = ["b", "c", "d"].map(|value| send(&producer, ORDERS, value));
        for future in &later {
            future.get_timeout(LONG).unwrap();
        }
        let mut expected = vec!["first", "a", "b", "c", "d"];
        expected.retain(|value| first_is_written || *value != "a");
        assert_eq!(values(&broker, ORDERS), expected);
    }
}

/// While a retry is possible, at most five batches follow it, so the broker still knows the batch
/// as a duplicate.
#[test]
fn a_duplicate_is_known_as_one_however_late_it_comes() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let producer = record_by_record(&broker).build().unwrap();
    send(&producer, ORDERS, "first").get_timeout(LONG).unwrap();
    // The batch is written but refused again and again, while others wait behind it.
    let not_replicated = Failure::new(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND).after_append();
    let unlucky = Arc::new(AtomicU64::new(0));
    broker.on_request(move |_, request| {
        let is_unlucky = request
            .batches
            .iter()
            .any(|batch| batch.header.base_sequence == 1);
        let attempt = is_unlucky.then(|| unlucky.fetch_add(1, Ordering::SeqCst));
        attempt
            .filter(|attempt| *attempt < 5)
            .map(|_| Action::fail(not_replicated.clone()))
    });
    let long: Vec<String> = (0..20).map(|n| format!("{n}-").repeat(100)).collect();
    let futures: Vec<_> = long
        .iter()
        .map(|value| send(&producer, ORDERS, value))
        .collect();
    let expected: Vec<i64> = (1..=20).collect();
    assert_eq!(offsets(&futures), expected);
    assert_eq!(values(&broker, ORDERS)[1..], long);
}

/// SplitMix64, which generates the faults of one run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

const NODES: i32 = 3;
const PARTITIONS: i32 = 6;
const THREADS: u32 = 4;
const RECORDS: usize = 2000;

/// Returns the fault for this Produce request, if it gets one.
fn fault(broker: &FakeBroker, request: &Request, random: &mut Random) -> Option<Action> {
    const REFUSALS: [ErrorCode; 4] = [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::CORRUPT_MESSAGE,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ];
    const OPEN: [ErrorCode; 3] = [
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::KAFKA_STORAGE_ERROR,
    ];
    if request.api != Api::Produce || request.partitions.is_empty() {
        return None;
    }
    let victim = random.below(request.partitions.len() as u64) as usize;
    let partition = request.partitions[victim].partition();
    Some(match random.below(100) {
        0..5 => Action::apply().disconnect(),
        5..9 => Action::skip().disconnect(),
        9..14 => Action::apply().fail_partition("orders", partition, random.of(&REFUSALS)),
        14..17 => {
            let open = Failure::new(random.of(&OPEN)).after_append();
            Action::apply().fail_partition("orders", partition, open)
        }
        17 => Action::fail(ErrorCode::INVALID_RECORD),
        18 => Action::apply().never_reply(),
        19..22 => Action::apply().omit_partition("orders", partition),
        22..24 => Action::apply().cut_reply(random.below(60) as usize),
        24..28 => Action::apply().delay(millis(random.below(20))),
        28..31 => {
            let node = NodeId(1 + random.below(NODES as u64) as i32);
            // A stopped node leads nothing. Then the partition stays where it is.
            let _ = broker.move_leader("orders", partition, node);
            return None;
        }
        _ => return None,
    })
}

fn outcome(result: &Result<RecordMetadata>) -> Outcome {
    match result {
        Ok(metadata) => Outcome::Acked {
            partition: metadata.partition(),
            offset: metadata.has_offset().then(|| metadata.offset()),
        },
        Err(error) if error.delivery() == Delivery::NotWritten => Outcome::NotWritten,
        Err(_) => Outcome::MaybeWritten,
    }
}

fn send_all(producer: &KafkaProducer, history: &Arc<History>, session: u32) {
    for record in 0..RECORDS {
        let key = format!("{session}-{}", record % 20);
        let payload = history.invoke(session, Some(&key), 60);
        let (history, id) = (Arc::clone(history), payload.id);
        let record = ProducerRecord::new("orders", payload.value).key(key);
        let complete = move |result| history.complete(id, outcome(&result));
        producer.send_with_callback(record, complete).unwrap();
    }
}

/// Stops one node after another, each for a few requests.
fn stop_and_start(broker: &FakeBroker, mut random: Random, is_over: &AtomicBool) {
    let pause = |requests| {
        let until = broker.request_count(Api::Produce) + requests;
        broker.wait_for(millis(200), |broker| {
            is_over.load(Ordering::SeqCst) || broker.request_count(Api::Produce) >= until
        });
    };
    while !is_over.load(Ordering::SeqCst) {
        pause(40);
        let node = NodeId(1 + random.below(NODES as u64) as i32);
        broker.stop_node(node).unwrap();
        pause(10);
        broker.start_node(node).unwrap();
    }
}

fn verdict(broker: &FakeBroker, history: Arc<History>) -> Verdict {
    let mut checker = Arc::into_inner(history).unwrap().check();
    for record in broker.all_records("orders") {
        checker.read(ReadRecord {
            partition: record.partition,
            offset: record.offset,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
        });
    }
    checker.verdict()
}

fn run(seed: u64) -> Verdict {
    let broker = FakeBroker::builder()
        .nodes(NODES)
        .topic("orders", PARTITIONS)
        .start()
        .unwrap();
    let producer = quick(&broker)
        .linger(millis(1))
        .batch_size(500)
        .buffer_memory(30_000)
        .request_timeout(millis(200))
        .delivery_timeout(millis(2000))
        .build()
        .unwrap();
    let random = Mutex::new(Random(seed));
    broker.on_request(move |broker, request| fault(broker, request, &mut random.lock().unwrap()));
    let history = Arc::new(History::new(seed as u32, THREADS));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let senders: Vec<_> = (0..THREADS)
            .map(|session| {
                let (producer, history) = (&producer, &history);
                scope.spawn(move || send_all(producer, history, session))
            })
            .collect();
        scope.spawn(|| stop_and_start(&broker, Random(!seed), &is_over));
        for sender in senders {
            sender.join().unwrap();
        }
        producer.flush().unwrap();
        is_over.store(true, Ordering::SeqCst);
    });
    // The faults are over, and every partition accepts records again.
    broker.clear_script();
    let last: Vec<_> = (0..PARTITIONS)
        .map(|partition| {
            let payload = history.invoke(0, None, 60);
            let record = ProducerRecord::new("orders", payload.value).partition(partition);
            (payload.id, producer.send(record).unwrap())
        })
        .collect();
    for (id, future) in last {
        let acked = future.get_timeout(LONG);
        assert!(acked.is_ok(), "seed {seed}: {acked:?}");
        history.complete(id, outcome(&acked));
    }
    producer.close(LONG).unwrap();
    assert_eq!(broker.protocol_violations(), Vec::<String>::new());
    verdict(&broker, history)
}

#[test]
fn random_faults_lose_and_double_nothing() {
    let mut refused = 0;
    for seed in 1..=4 {
        let mut verdict = run(seed);
        println!("seed {seed}: {verdict}");
        // As in Java, the callback of a batch runs even if an earlier batch is still being retried.
        verdict.callbacks_reordered = Findings::default();
        assert!(verdict.is_clean(), "seed {seed}: {verdict}");
        assert!(verdict.acked > verdict.sent / 2, "seed {seed}: {verdict}");
        refused += verdict.not_written;
    }
    // Some batches failed for good, and the partition continued after the gap.
    assert!(refused > 0);
}
