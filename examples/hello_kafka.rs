//! Sends ten messages to the topic `test` and does not wait for each: the smallest producer.
//!
//! ```text
//! cargo run --example hello_kafka -- localhost:9092
//! ```
//!
//! Without an address it starts a test broker in its own process.

use std::time::Duration;

use kafka_producer::testing::FakeBroker;
use kafka_producer::{KafkaProducer, ProducerRecord};

const TOPIC: &str = "test";
const MESSAGES: usize = 10;

fn main() -> kafka_producer::Result<()> {
    match std::env::args().nth(1) {
        Some(servers) => run(&servers),
        None => run(&FakeBroker::builder().start()?.bootstrap_servers()),
    }
}

pub(crate) fn run(servers: &str) -> kafka_producer::Result<()> {
    let producer = KafkaProducer::builder()
        .bootstrap_servers(servers)
        .build()?;
    for number in 0..MESSAGES {
        // The future is dropped, so nothing waits for this record. `close` waits for all of them
        // and reports those that were not delivered.
        drop(producer.send(ProducerRecord::new(TOPIC, format!("{number} Hello Kafka")))?);
    }
    producer.close(Duration::from_secs(30))
}
