//! The result of each message of an async producer of Kafka 0.8: delivered, dropped by the queue,
//! or lost with its batch.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kafka_producer::classic::{
    DefaultEncoder, DefaultEventHandler, ErrorKind, EventHandler, KeyedMessage, Partitioner,
    Producer, ProducerConfig, ProducerStats, Result,
};

type Message = KeyedMessage<String, String>;

/// Settings that lose messages in both ways.
pub(crate) const LOSSY: &[(&str, &str)] = &[
    ("producer.type", "async"),
    ("message.send.max.retries", "1"),
    ("queue.enqueue.timeout.ms", "1"),
    ("queue.buffering.max.messages", "2000"),
];

/// Chooses the partition with the number in the key.
pub(crate) struct ByNumber;

impl Partitioner<String> for ByNumber {
    fn partition(&mut self, key: &String, _: i32) -> i32 {
        key.parse().unwrap()
    }
}

/// Counts what the default handler delivers and what it gives up, by batch.
struct Counting {
    handler: DefaultEventHandler<String, String>,
    delivered: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<BTreeSet<String>>>>,
}

impl EventHandler<String, String> for Counting {
    fn handle(&mut self, events: &[Message]) -> Result<()> {
        let outcome = self.handler.handle(events);
        match &outcome {
            Ok(()) => {
                self.delivered.fetch_add(events.len(), Ordering::Relaxed);
            }
            Err(_) => {
                let values = events.iter().filter_map(|event| event.message.clone());
                self.failed.lock().unwrap().push(values.collect());
            }
        }
        outcome
    }

    fn close(&mut self) {
        self.handler.close();
    }
}

/// The results of a closed producer that sent the numbers from 0 on.
pub(crate) struct Account {
    count: usize,
    delivered: usize,
    dropped: BTreeSet<String>,
    /// The messages of each failed batch. Some of them were delivered.
    failed: Vec<BTreeSet<String>>,
    stats: ProducerStats,
}

impl Account {
    /// Sends the numbers up to `count` to the partitions in turn, calls `before` before each, and
    /// closes the producer.
    pub(crate) fn send(
        config: ProducerConfig,
        topic: &str,
        partitions: usize,
        count: usize,
        before: impl Fn(&Producer<String, String>, usize),
    ) -> Self {
        let (delivered, failed) = (Arc::default(), Arc::default());
        let handler = Counting {
            handler: DefaultEventHandler::new(&config, ByNumber, DefaultEncoder, DefaultEncoder)
                .unwrap(),
            delivered: Arc::clone(&delivered),
            failed: Arc::clone(&failed),
        };
        let producer = Producer::with_event_handler(config, handler).unwrap();
        let mut dropped = BTreeSet::new();
        for number in 0..count {
            before(&producer, number);
            let value = number.to_string();
            let partition = (number % partitions).to_string();
            let message = KeyedMessage::new(topic, value.clone()).part_key(partition);
            if let Err(error) = producer.send(message) {
                assert_eq!(error.kind(), ErrorKind::QueueFull);
                dropped.insert(value);
            }
        }
        producer.close().unwrap();
        let failed = std::mem::take(&mut *failed.lock().unwrap());
        Self {
            count,
            delivered: delivered.load(Ordering::Relaxed),
            dropped,
            failed,
            stats: producer.stats(),
        }
    }

    /// Checks the counts against each other and against the values in the cluster.
    pub(crate) fn check(self, stored: impl IntoIterator<Item = Vec<u8>>) {
        assert!(!self.failed.is_empty(), "nothing failed");
        assert_eq!(self.stats.messages(), self.count as u64);
        assert_eq!(self.stats.dropped_messages(), self.dropped.len() as u64);
        assert_eq!(self.stats.failed_sends(), self.failed.len() as u64);
        let in_failed_batches: usize = self.failed.iter().map(BTreeSet::len).sum();
        assert_eq!(
            self.delivered + in_failed_batches + self.dropped.len(),
            self.count
        );

        let stored = stored.into_iter();
        let stored: BTreeSet<_> = stored
            .map(|value| String::from_utf8(value).unwrap())
            .collect();
        assert!(stored.is_disjoint(&self.dropped));
        let failed: BTreeSet<_> = self.failed.iter().flatten().cloned().collect();
        let all: BTreeSet<_> = (0..self.count).map(|number| number.to_string()).collect();
        assert!(stored.is_subset(&all));
        let lost: BTreeSet<_> = all.difference(&stored).collect();
        // A lost message was dropped by the queue or is in a failed batch. The other messages of
        // such a batch were delivered.
        assert!(
            lost.iter()
                .all(|value| self.dropped.contains(*value) || failed.contains(*value))
        );
        assert!(stored.len() >= self.delivered);
        eprintln!(
            "{} sent: {} delivered, {} dropped, {in_failed_batches} in {} failed batches, {} stored, {} lost",
            self.count,
            self.delivered,
            self.dropped.len(),
            self.failed.len(),
            stored.len(),
            lost.len()
        );
    }
}
