//! Copies records in transactions. Each transaction also commits the offset up to which the input
//! was read, so consumers with `read_committed` always see copies and offset together.
//!
//! ```text
//! cargo run --example transactional
//! cargo run --example transactional -- --bootstrap-server localhost:9092 --topic copies --records 1000
//! ```
//!
//! The input is a list of numbered lines in place of the records of the topic `lines`, because this
//! crate has no consumer. So each start begins at the first line. A program with a consumer begins
//! at its group's offset, and so neither loses nor repeats a line: see
//! `tests/interop/examples/transactional_copier.rs`, which uses the consumer of the `rdkafka`
//! crate. Both topics must exist. Without `--bootstrap-server` it starts a test broker in its own
//! process, and compares the copies with the input. The exit code is 1 after any failure.

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

/// The input topic.
const INPUT: &str = "lines";
const GROUP: &str = "copiers";
/// The number of records in one transaction.
const AT_ONCE: u64 = 100;
/// The number of aborts after which the program ends.
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
    /// `None` starts a test broker.
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
        // The same id at each start: a new copier aborts the transaction that an old one left open,
        // and fences the old one.
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
            // The transaction was aborted: consumers with `read_committed` see none of it.
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

/// Sends the copies of one transaction, with the offset at which the next one begins.
fn copy(
    producer: &KafkaProducer,
    topic: &str,
    lines: std::ops::Range<u64>,
) -> kafka_producer::Result<()> {
    let next = i64::try_from(lines.end).unwrap_or(i64::MAX);
    producer.transaction(|transaction| {
        for line in lines {
            let record = ProducerRecord::new(topic, format!("line {line}"));
            // If a record is not delivered, the commit fails.
            transaction.send(record)?;
        }
        let offsets = HashMap::from([(TopicPartition::new(INPUT, 0), next.into())]);
        transaction.send_offsets(&offsets, &ConsumerGroupMetadata::new(GROUP))
    })
}
