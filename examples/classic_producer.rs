//! The producer of Kafka 0.8 with the program's own partitioner, in sync and in async mode.
//!
//! ```text
//! cargo run --features classic --example classic_producer
//! cargo run --features classic --example classic_producer -- --broker-list localhost:9092 --topic demo --messages 100
//! ```
//!
//! Without `--broker-list` it starts a test broker in its own process.

#![allow(clippy::print_stdout, reason = "an example prints what it does")]

#[path = "common/arguments.rs"]
mod arguments;

use std::error::Error;
use std::process::ExitCode;

use kafka_producer::classic::{
    KeyedMessage, Partitioner, Producer, ProducerConfig, Result, StringEncoder,
};
use kafka_producer::testing::FakeBroker;

use arguments::Arguments;

const USAGE: &str =
    "classic_producer [--broker-list HOST:PORT,...] [--topic NAME] [--messages COUNT]";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("classic_producer failed: {error}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn run(words: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let (mut brokers, mut topic, mut messages) = (None, "demo".to_owned(), 10);
    let mut arguments = Arguments::new(words);
    while let Some(name) = arguments.next_name()? {
        match name.as_str() {
            "--broker-list" => brokers = Some(arguments.value()?),
            "--topic" => topic = arguments.value()?,
            "--messages" => messages = arguments.parsed()?,
            _ => return Err(format!("{}\n{USAGE}", arguments.unknown()).into()),
        }
    }
    match brokers {
        Some(brokers) => Ok(produce(&brokers, &topic, messages)?),
        None => {
            let broker = FakeBroker::builder().topic(&topic, 3).start()?;
            Ok(produce(&broker.bootstrap_servers(), &topic, messages)?)
        }
    }
}

/// Chooses the partitions in turn and ignores the key.
#[derive(Default)]
struct RoundRobinPartitioner {
    i: i32,
}

impl Partitioner<String> for RoundRobinPartitioner {
    fn partition(&mut self, _key: &String, num_partitions: i32) -> i32 {
        self.i = self.i.wrapping_add(1);
        self.i.rem_euclid(num_partitions)
    }
}

/// Sends the messages in both modes.
fn produce(brokers: &str, topic: &str, messages: usize) -> Result<()> {
    for mode in ["sync", "async"] {
        let config = ProducerConfig::new([
            (ProducerConfig::METADATA_BROKER_LIST, brokers),
            (ProducerConfig::PRODUCER_TYPE, mode),
            (ProducerConfig::CLIENT_ID, "classic-demo"),
            (ProducerConfig::REQUEST_REQUIRED_ACKS, "1"),
            (ProducerConfig::QUEUE_BUFFERING_MAX_MS, "100"),
        ])?;
        let producer = Producer::with_classes(
            config,
            RoundRobinPartitioner::default(),
            StringEncoder::default(),
            StringEncoder::default(),
        )?;
        for number in 0..messages {
            // A message without a key is not passed to the partitioner.
            let message = KeyedMessage::new(topic, format!("{mode} message {number}"));
            producer.send(message.key(format!("key {number}")))?;
        }
        producer.close()?;
        // A batch that fails in async mode is reported only in the log and in these counts.
        let stats = producer.stats();
        println!(
            "{mode}: {} messages, {} bytes, {} retries, {} failed batches",
            stats.messages(),
            stats.bytes(),
            stats.resends(),
            stats.failed_sends()
        );
    }
    Ok(())
}
