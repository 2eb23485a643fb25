//! Every message that the producer of Kafka 0.8 loses is in its counts and in its log, and the two
//! agree.

use kafka_producer::classic::{
    DefaultEncoder, KeyedMessage, Partitioner, Producer, ProducerConfig,
};
use kafka_producer::common::NodeId;
use kafka_producer::testing::FakeBroker;

use super::{capture, lines_of};

const MESSAGES: usize = 4000;

/// Chooses the partition with the number in the key.
struct ByNumber;

impl Partitioner<String> for ByNumber {
    fn partition(&mut self, key: &String, _: i32) -> i32 {
        key.parse().unwrap()
    }
}

#[test]
fn the_messages_that_are_lost_are_counted_in_the_log() {
    capture();
    let broker = FakeBroker::builder().topic("t", 2).start().unwrap();
    let servers = broker.bootstrap_servers();
    let config = ProducerConfig::new([
        ("metadata.broker.list", servers.as_str()),
        ("client.id", "classic-lost"),
        ("producer.type", "async"),
        ("request.required.acks", "1"),
        ("message.send.max.retries", "1"),
        ("retry.backoff.ms", "1"),
        ("queue.buffering.max.messages", "500"),
        ("queue.enqueue.timeout.ms", "0"),
    ]);
    let producer =
        Producer::with_classes(config.unwrap(), ByNumber, DefaultEncoder, DefaultEncoder).unwrap();
    let mut dropped = 0;
    for number in 0..MESSAGES {
        // Messages for a partition without a leader fail, and none of them is stored.
        if number == MESSAGES / 4 {
            broker.remove_leader("t", 1).unwrap();
        }
        if number == MESSAGES / 2 {
            assert!(broker.wait_for(super::SOON, |_| producer.stats().failed_sends() > 0));
            broker.move_leader("t", 1, NodeId(1)).unwrap();
        }
        let message = KeyedMessage::new("t", number.to_string());
        let message = message.part_key((number % 2).to_string());
        dropped += u64::from(producer.send(message).is_err());
    }
    producer.close().unwrap();

    let lines = lines_of("[Producer clientId=classic-lost] ");
    let lost = lines.iter().filter_map(|line| {
        let text = line.text.strip_suffix(" messages are lost")?;
        text.rsplit(' ').next()?.parse::<u64>().ok()
    });
    let lost: Vec<_> = lost.collect();
    let stats = producer.stats();
    assert!(!lost.is_empty());
    assert_eq!(stats.failed_sends(), lost.len() as u64);
    assert_eq!(stats.dropped_messages(), dropped);
    let stored = broker.record_count("t");
    let accounted = stored + dropped + lost.iter().sum::<u64>();
    assert_eq!(
        (stats.messages(), accounted),
        (MESSAGES as u64, MESSAGES as u64)
    );
    let handled = lines
        .iter()
        .filter(|line| line.text.contains("Error in handling batch of "));
    assert_eq!(handled.count(), lost.len());
}
