//! In an outage of every broker, records for known topics are still buffered, and are delivered
//! when the cluster is back.

#![allow(clippy::disallowed_methods, reason = "tests may read the clock")]

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::common::PartitionInfo;
use kafka_producer::testing::FakeBroker;
use kafka_producer::{ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord, Result};

const SOON: Duration = Duration::from_secs(20);
const TOPIC: &str = "orders";

fn broker() -> FakeBroker {
    let builder = FakeBroker::builder().nodes(2).topic(TOPIC, 4);
    builder.topic("other", 1).start().unwrap()
}

/// A producer that rebootstraps as soon as all nodes are in their reconnect backoff.
fn producer(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .linger(Duration::ZERO)
        .retry_backoff(Duration::from_millis(5))
        .retry_backoff_max(Duration::from_millis(20))
        .reconnect_backoff(Duration::from_millis(300))
        .reconnect_backoff_max(Duration::from_millis(300))
        .max_block(Duration::from_secs(2))
}

/// Waits until the producer's metadata matches.
fn await_partitions(producer: &KafkaProducer, is_true: impl Fn(&PartitionInfo) -> bool) {
    let deadline = Instant::now() + SOON;
    while !producer.partitions_for(TOPIC).unwrap().iter().all(&is_true) {
        assert!(Instant::now() < deadline);
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Stops every node, and waits until the producer has no connection.
fn begin_outage(broker: &FakeBroker, producer: &KafkaProducer) {
    for node in broker.nodes() {
        broker.stop_node(node).unwrap();
    }
    await_partitions(producer, |partition| partition.leader().is_none());
}

fn end_outage(broker: &FakeBroker) {
    for node in broker.nodes() {
        broker.start_node(node).unwrap();
    }
}

fn record<'a>() -> ProducerRecord<'a> {
    ProducerRecord::new(TOPIC, "value")
}

#[test]
fn sends_to_a_topic_in_use_are_buffered_and_delivered_when_the_cluster_is_back() {
    let broker = broker();
    let producer = producer(&broker).build().unwrap();
    producer.send(record()).unwrap().get().unwrap();
    begin_outage(&broker, &producer);

    let mut sent = Vec::new();
    for number in 0..100 {
        let key = number.to_string();
        let record = match number % 3 {
            0 => record().key(&key),
            1 => record().partition(number % 4),
            _ => record(),
        };
        sent.push(producer.send(record).unwrap());
    }
    assert!(sent.iter().all(|future| !future.is_done()));
    // A topic that was never used is different.
    let error = producer
        .send(ProducerRecord::new("other", "value"))
        .unwrap();
    let error = error.get().unwrap_err();
    assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));

    end_outage(&broker);
    for future in sent {
        future.get().unwrap();
    }
    assert_eq!(broker.record_count(TOPIC), 101);
    await_partitions(&producer, |partition| partition.leader().is_some());
}

#[test]
fn a_callback_sends_again_during_the_outage() {
    let broker = broker();
    let builder = producer(&broker)
        .request_timeout(Duration::from_millis(1000))
        .delivery_timeout(Duration::from_millis(1500));
    let producer = Arc::new(builder.build().unwrap());
    producer.send(record()).unwrap().get().unwrap();
    begin_outage(&broker, &producer);

    let (outcome, outcomes) = mpsc::channel();
    let again = Arc::clone(&producer);
    let callback = move |result: Result<_>| {
        let expired = result.map(drop);
        let outcome_of_second = outcome.clone();
        let callback = move |result: Result<_>| outcome_of_second.send(result.map(drop)).unwrap();
        let sent = again.send_with_callback(record(), callback);
        outcome.send(expired).unwrap();
        outcome.send(sent).unwrap();
    };
    producer.send_with_callback(record(), callback).unwrap();
    let expired = outcomes.recv_timeout(SOON).unwrap().unwrap_err();
    assert_eq!(expired.kind(), ErrorKind::Timeout);
    outcomes.recv_timeout(SOON).unwrap().unwrap();
    let expired = outcomes.recv_timeout(SOON).unwrap().unwrap_err();
    assert_eq!(
        expired.timeout().unwrap().config,
        Some("delivery.timeout.ms")
    );
}
