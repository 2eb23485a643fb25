//! Copies records in transactions, together with the offsets of the copier's group.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kafka_producer::common::TopicPartition;
use kafka_producer::{ConsumerGroupMetadata, KafkaProducer, OffsetAndMetadata, ProducerRecord};

use super::{PARTITIONS, ready};
use crate::harness::{Admin, ConsoleConsumer, KafkaCluster, SetOnDrop, is_long_run};

// Java: TransactionsTest.testSendOffsetsWithGroupMetadata.
pub(super) fn records_are_copied_exactly_once(cluster: &KafkaCluster, _: i16) {
    let copying = Copying::new(cluster.admin(), "copied");
    copying.copy(500, 50, &AtomicBool::new(true));
    copying.check();
}

// Java: TransactionsBounceTest.testWithGroupId, testWithGroupMetadata.
pub(super) fn records_are_copied_exactly_once_while_nodes_restart(cluster: &KafkaCluster, _: i16) {
    let copying = Copying::new(cluster.admin(), "bounced");
    let mut nodes = cluster.node_ids();
    // The coordinator of the transactions is restarted first.
    let coordinator = cluster.admin().transaction_coordinator(copying.output);
    nodes.sort_by_key(|node| *node != coordinator);
    let restarts = if is_long_run() { 6 } else { 1 };
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| copying.copy(10_000, 200, &is_over));
        // Also if this panics, because the scope waits for the copier.
        let _over = SetOnDrop(&is_over);
        for node in nodes.into_iter().cycle().take(restarts) {
            cluster.stop(node);
            cluster.restart(node);
            for topic in [copying.output, "__transaction_state", "__consumer_offsets"] {
                cluster.admin().await_in_sync(topic);
            }
        }
    });
    copying.check();
}

/// A copier with its topics. It knows the input, so it has no consumer, only the offsets of its
/// group.
#[derive(Debug)]
struct Copying<'a> {
    admin: &'a Admin,
    input: String,
    output: &'a str,
    group: ConsumerGroupMetadata,
}

impl<'a> Copying<'a> {
    fn new(admin: &'a Admin, output: &'a str) -> Self {
        let input = format!("{output}-from");
        admin.create_topic(output, PARTITIONS);
        admin.create_topic(&input, 1);
        let (generation, member) = admin.join_group(output, "");
        let group = ConsumerGroupMetadata::new(output).generation(generation, member);
        Self {
            admin,
            input,
            output,
            group,
        }
    }

    fn position(&self) -> i64 {
        let position = self.admin.group_offset(self.output, &self.input, 0);
        position.offset.max(0)
    }

    /// Copies at least `count` records until `is_over`, `at_once` in each transaction. Every third
    /// transaction is aborted.
    fn copy(&self, count: i64, at_once: i64, is_over: &AtomicBool) {
        let producer = ready(&self.admin.bootstrap_servers(), self.output);
        let mut aborted = 0;
        for number in 1.. {
            let from = self.position();
            if from >= count && is_over.load(Ordering::Relaxed) {
                break;
            }
            producer.begin_transaction().unwrap();
            self.copy_some(&producer, from..from + at_once);
            if number % 3 == 0 {
                producer.abort_transaction().unwrap();
                aborted += 1;
                assert_eq!(self.position(), from);
            } else {
                producer.commit_transaction().unwrap();
            }
        }
        assert!(aborted > 0);
    }

    fn copy_some(&self, producer: &KafkaProducer, offsets: std::ops::Range<i64>) {
        let end = OffsetAndMetadata::new(offsets.end);
        for offset in offsets {
            let partition = (offset % i64::from(PARTITIONS)) as i32;
            let record = ProducerRecord::new(self.output, offset.to_string());
            drop(producer.send(record.partition(partition)).unwrap());
        }
        let position = HashMap::from([(TopicPartition::new(&*self.input, 0), end)]);
        producer
            .send_offsets_to_transaction(&position, &self.group)
            .unwrap();
    }

    /// Checks that the committed copies are there once, in order, up to the offset of the group.
    fn check(&self) {
        self.admin.await_stable(self.output);
        let count = self.position();
        let mut next: Vec<i64> = (0..PARTITIONS.into()).collect();
        let servers = self.admin.bootstrap_servers();
        let consumer = ConsoleConsumer::new(servers, self.output).read_committed();
        consumer.read_each(count as u64, |record| {
            let value = String::from_utf8(record.value.unwrap()).unwrap();
            let next = &mut next[record.partition as usize];
            assert_eq!(value, next.to_string());
            *next += i64::from(PARTITIONS);
        });
        let copied: Vec<_> = next
            .iter()
            .map(|next| next / i64::from(PARTITIONS))
            .collect();
        assert_eq!(copied.iter().sum::<i64>(), count, "{copied:?}");
        eprintln!("{}: {count} records copied", self.output);
        self.admin.delete_topic(self.output);
        self.admin.delete_topic(&self.input);
    }
}
