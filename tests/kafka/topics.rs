//! Topics are created, deleted and recreated while records are sent to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use kafka_producer::{ErrorKind, KafkaProducer, ProducerRecord};

use crate::harness::{ConsoleConsumer, KafkaCluster, wait_until};
use crate::kafka_or_skip;

const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_topic_is_created_by_the_first_record_where_brokers_may() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::start_with(
        1,
        &[
            ("auto.create.topics.enable", "true"),
            ("num.partitions", "4"),
        ],
    );
    let producer = KafkaProducer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .build()
        .unwrap();
    let record = ProducerRecord::new("new", "value").partition(3);
    let metadata = producer.send(record).unwrap().get().unwrap();
    assert_eq!(metadata.to_string(), "new-3@0");
    assert_eq!(producer.partitions_for("new").unwrap().len(), 4);
    producer.close(SOON).unwrap();
    assert_eq!(cluster.admin().end_offsets("new"), [0, 0, 0, 1]);
}

#[test]
fn a_topic_that_does_not_exist_is_waited_for_and_then_an_error() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    let producer = KafkaProducer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .max_block(Duration::from_millis(500))
        .build()
        .unwrap();
    let record = ProducerRecord::new("nowhere", "value");
    let error = producer.send(record).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));

    // The response comes at once, but perhaps not within so short a time.
    let patient = KafkaProducer::builder().bootstrap_servers(cluster.bootstrap_servers());
    let patient = patient.build().unwrap();
    let wrong = ProducerRecord::new("no/where", "value");
    let error = patient.send(wrong).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidTopic, "{error}");
}

/// The producer's metadata is valid for five minutes, and lacks the partition.
#[test]
fn a_partition_that_was_added_is_found_when_a_record_names_it() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    cluster.admin().create_topic("grown", 2);
    let producer = KafkaProducer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .build()
        .unwrap();
    assert_eq!(producer.partitions_for("grown").unwrap().len(), 2);
    cluster.admin().add_partitions("grown", 3);
    let record = ProducerRecord::new("grown", "value").partition(2);
    let metadata = producer.send(record).unwrap().get().unwrap();
    assert_eq!(metadata.to_string(), "grown-2@0");
    producer.close(SOON).unwrap();
    cluster.admin().delete_topic("grown");
}

/// Earlier records are in the deleted topic, or in a partition of the new one. All records that are
/// sent after the new topic exists are in it, in order, once.
#[test]
fn a_topic_is_deleted_and_created_anew_while_records_are_sent() {
    let _turn = kafka_or_skip!();
    const AFTER: usize = 1_000;
    let cluster = KafkaCluster::lease();
    let admin = cluster.admin();
    admin.create_topic("again", 2);
    let producer = KafkaProducer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .build()
        .unwrap();
    let background = Background::default();
    thread::scope(|scope| {
        let _stop = background.stop_on_drop();
        let sender = scope.spawn(|| background.send(&producer, "again"));
        background.await_acked(100);
        admin.delete_topic("again");
        admin.create_topic("again", 2);
        let send = |number: usize| {
            let value = format!("after {number:06}");
            producer.send(ProducerRecord::new("again", value).partition(1))
        };
        let futures: Vec<_> = (0..AFTER).map(|number| send(number).unwrap()).collect();
        for future in futures {
            future.get().unwrap();
        }
        background.await_acked(100);
        background.is_over.store(true, Ordering::Relaxed);
        let sent = sender.join().unwrap();
        producer.flush().unwrap();
        let acked = background.acked.load(Ordering::Relaxed);
        let failed = background.failed.load(Ordering::Relaxed);
        eprintln!("again: sent {sent} = acked {acked} + failed {failed}");
        assert_eq!(sent, acked + failed);
    });
    producer.close(SOON).unwrap();

    let count: i64 = admin.end_offsets("again").iter().sum();
    let read = ConsoleConsumer::new(cluster.bootstrap_servers(), "again").read(count as u64);
    let mut by_partition = BTreeMap::<i32, Vec<String>>::new();
    for record in read {
        let value = String::from_utf8(record.value.unwrap()).unwrap();
        by_partition
            .entry(record.partition)
            .or_default()
            .push(value);
    }
    let after: Vec<_> = by_partition[&1]
        .iter()
        .filter(|value| value.starts_with("after"))
        .cloned()
        .collect();
    let sent: Vec<_> = (0..AFTER)
        .map(|number| format!("after {number:06}"))
        .collect();
    assert_eq!(after, sent);
    for (partition, values) in &by_partition {
        let background = values
            .iter()
            .filter(|value| value.starts_with("background"));
        let background: Vec<_> = background.collect();
        assert!(
            background.is_sorted_by(|a, b| a < b),
            "partition {partition}"
        );
    }
    admin.delete_topic("again");
}

/// A thread that sends to every partition in turn until it is told to stop.
#[derive(Default)]
struct Background {
    is_over: AtomicBool,
    acked: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl Background {
    /// Returns the number of sends.
    fn send(&self, producer: &KafkaProducer, topic: &str) -> u64 {
        let mut number = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            let value = format!("background {number:09}");
            let record = ProducerRecord::new(topic, value).partition((number % 2) as i32);
            let (acked, failed) = (Arc::clone(&self.acked), Arc::clone(&self.failed));
            let sent = producer.send_with_callback(record, move |result| {
                let outcome = if result.is_ok() { &acked } else { &failed };
                outcome.fetch_add(1, Ordering::Relaxed);
            });
            sent.unwrap();
            number += 1;
            thread::sleep(Duration::from_micros(500));
        }
        number
    }

    fn await_acked(&self, more: u64) {
        let goal = self.acked.load(Ordering::Relaxed) + more;
        wait_until("acknowledgements", SOON, || {
            (self.acked.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    /// Stops the thread when dropped, because the scope waits for it even if the test panics.
    fn stop_on_drop(&self) -> impl Drop + '_ {
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        Stop(&self.is_over)
    }
}
