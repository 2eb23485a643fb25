//! Copies records in transactions, with how far it has read in the same transaction: what read-committed consumers see of
//! the copies goes with the offset of the group at every moment.
//!
//! ```text
//! cargo run --example transactional
//! cargo run --example transactional -- --bootstrap-server localhost:9092 --topic copies --records 1000
//! ```
//!
//! The input is a counted list in place of records of the topic `lines`, since this crate has no consumer. So each start
//! begins at the first line; a consumer begins at its group's offset, and neither leaves out nor repeats a line:
//! `tests/interop/examples/transactional_copier.rs` does that, with the consumer of the `rdkafka` crate. Both topics must
//! exist. Without `--bootstrap-server` it starts a test broker in its own process, and compares. Any failure makes the
//! exit code 1.

#![allow(clippy::print_stdout, reason = "an example prints what it does")]

#[path = "common/arguments.rs"]
mod arguments;
#[path = "common/progress.rs"]
mod progress;

use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;

use kafka_producer::testing::FakeBroker;
use kafka_producer::{ConsumerGroupMetadata, KafkaProducer, ProducerRecord, TopicPartition};

use arguments::Arguments;
use progress::{Progress, terminal};

const USAGE: &str = "transactional [--bootstrap-server HOST:PORT] [--topic NAME] [--records COUNT]";

/// What is copied, and who copies it.
const INPUT: &str = "lines";
const GROUP: &str = "copiers";
/// Records of one transaction.
const AT_ONCE: u64 = 100;
/// Aborts in all before this gives up.
const ABORTS: u32 = 10;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("transactional failed: {error}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) struct Options {
    /// `None` is a test broker.
    pub(crate) bootstrap_servers: Option<String>,
    pub(crate) topic: String,
    pub(crate) records: u64,
}

impl Options {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            bootstrap_servers: None,
            topic: "copies".to_owned(),
            records: 1_000,
        };
        let mut arguments = Arguments::new(words);
        while let Some(name) = arguments.next_name()? {
            match name.as_str() {
                "--bootstrap-server" => options.bootstrap_servers = Some(arguments.value()?),
                "--topic" => options.topic = arguments.value()?,
                "--records" => options.records = arguments.parsed()?,
                _ => return Err(format!("{}\n{USAGE}", arguments.unknown()).into()),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let topic = options.topic.as_str();
    let broker = match options.bootstrap_servers {
        Some(_) => None,
        None => Some(
            FakeBroker::builder()
                .nodes(3)
                .topic(topic, 3)
                .topic(INPUT, 1)
                .start()?,
        ),
    };
    let servers = match (&broker, &options.bootstrap_servers) {
        (Some(broker), _) => broker.bootstrap_servers(),
        (None, servers) => servers.clone().unwrap_or_default(),
    };
    let producer = KafkaProducer::builder()
        .bootstrap_servers(&servers)
        // The same at each start: a new copier ends what an old one left open, and fences it off.
        .transactional_id("copier-of-lines")
        .build()?;
    producer.init_transactions()?;

    let (mut next, mut aborts) = (0, 0);
    let mut progress = Progress::to(terminal(), "records", Some(options.records));
    while next < options.records {
        progress.report(next);
        let end = options.records.min(next + AT_ONCE);
        match copy(&producer, topic, next..end) {
            Ok(()) => next = end,
            // Aborted: nobody who reads committed records has seen any of it.
            Err(error) if error.is_aborted() && aborts < ABORTS => {
                aborts += 1;
                println!("once more from {next}: {error}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    drop(progress);
    println!("copied {next} records to {topic}");

    if let Some(broker) = broker {
        let committed = broker.committed_records(topic).len() as u64;
        println!("the broker has {committed} committed records");
        if committed != options.records {
            return Err(format!("{} were sent", options.records).into());
        }
    }
    Ok(())
}

/// One transaction: the copies, and the offset at which the next one begins.
fn copy(
    producer: &KafkaProducer,
    topic: &str,
    lines: std::ops::Range<u64>,
) -> kafka_producer::Result<()> {
    let next = i64::try_from(lines.end).unwrap_or(i64::MAX);
    producer.transaction(|transaction| {
        for line in lines {
            let record = ProducerRecord::new(topic, format!("line {line}"));
            // If it is not delivered, the commit is refused.
            transaction.send(record)?;
        }
        let offsets = HashMap::from([(TopicPartition::new(INPUT, 0), next.into())]);
        transaction.send_offsets(&offsets, &ConsumerGroupMetadata::new(GROUP))
    })
}
