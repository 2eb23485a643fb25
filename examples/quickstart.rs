//! The common case in one program: one record that it waits for, then many with keys and callbacks.
//!
//! ```text
//! cargo run --release --example quickstart
//! cargo run --release --example quickstart -- --bootstrap-server localhost:9092 --topic orders
//! ```
//!
//! Without `--bootstrap-server` it starts a test broker of three nodes in its own process, and
//! compares the acknowledged records with those in the broker's log. The exit code is 1 after any
//! failure.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example prints what it does, and measures it on the real clock"
)]

#[path = "common/arguments.rs"]
pub(crate) mod arguments;
#[path = "common/progress.rs"]
pub(crate) mod progress;

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kafka_producer::testing::FakeBroker;
use kafka_producer::{KafkaProducer, ProducerRecord, RecordMetadata};

use arguments::Arguments;
use progress::{Progress, terminal};

const USAGE: &str = "quickstart [--bootstrap-server HOST:PORT] [--topic NAME] [--records COUNT]";

/// The number of different keys.
const KEYS: u64 = 1_000;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart failed: {error}");
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
            topic: "quickstart".to_owned(),
            records: 100_000,
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
        None => Some(FakeBroker::builder().nodes(3).topic(topic, 6).start()?),
    };
    let servers = match (&broker, &options.bootstrap_servers) {
        (Some(broker), _) => broker.bootstrap_servers(),
        (None, servers) => servers.clone().unwrap_or_default(),
    };

    let producer = KafkaProducer::builder()
        .bootstrap_servers(&servers)
        .client_id("quickstart")
        .build()?;

    let metadata = producer
        .send(ProducerRecord::new(topic, "hello").key("key-0"))?
        .get()?;
    println!("sent a record and waited for it: {metadata}");

    let tally = Arc::new(Mutex::new(Tally::default()));
    let start = Instant::now();
    let mut progress = Progress::to(terminal(), "records", Some(options.records));
    for number in 0..options.records {
        progress.report(number);
        let key = format!("key-{}", number % KEYS);
        let record = ProducerRecord::new(topic, format!("value-{number}")).key(key);
        let tally = Arc::clone(&tally);
        producer.send_with_callback(record, move |result| {
            tally
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .add(result);
        })?;
    }
    producer.flush()?;
    drop(progress);
    let elapsed = start.elapsed();
    producer.close(Duration::from_secs(10))?;

    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    for (partition, (records, last_offset)) in &tally.delivered {
        println!("{topic}-{partition}: {records} records, the last at offset {last_offset}");
    }
    tally.check(options.records)?;
    let rate = options.records as f64 / elapsed.as_secs_f64();
    println!(
        "{} records in {elapsed:.2?}: {rate:.0} records/s",
        options.records
    );

    if let Some(broker) = broker {
        let stored = broker.record_count(topic);
        println!("the broker has {stored} records");
        if stored != options.records + 1 {
            return Err(format!("{} records were acknowledged", options.records + 1).into());
        }
    }
    Ok(())
}

/// What the callbacks reported.
#[derive(Default)]
struct Tally {
    /// The number of records and the largest offset, by partition.
    delivered: BTreeMap<i32, (u64, i64)>,
    failed: u64,
    first_error: Option<kafka_producer::Error>,
}

impl Tally {
    fn add(&mut self, result: kafka_producer::Result<RecordMetadata>) {
        match result {
            Ok(metadata) => {
                let (records, last) = self
                    .delivered
                    .entry(metadata.partition())
                    .or_insert((0, -1));
                *records += 1;
                *last = (*last).max(metadata.offset());
            }
            Err(error) => {
                self.failed += 1;
                self.first_error.get_or_insert(error);
            }
        }
    }

    fn check(&self, sent: u64) -> Result<(), Box<dyn Error>> {
        if let Some(error) = &self.first_error {
            let delivery = error.delivery();
            return Err(
                format!("{} failed, the first: {error} ({delivery:?})", self.failed).into(),
            );
        }
        let delivered: u64 = self.delivered.values().map(|(records, _)| records).sum();
        if delivered == sent {
            Ok(())
        } else {
            Err(format!("{sent} records were sent, and {delivered} callbacks came").into())
        }
    }
}
