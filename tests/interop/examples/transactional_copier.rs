//! Copies a topic exactly once: librdkafka consumes, this library produces, and each transaction
//! contains the copies and the offsets up to which the input was read. Java:
//! `ExactlyOnceMessageProcessor` of Kafka's examples, and `TransactionalMessageCopier` of its
//! system tests, which has the same options.
//!
//! ```text
//! cargo run -p kafka-producer-interop --example transactional_copier -- \
//!     --bootstrap-server localhost:9092 --input-topic orders --output-topic copies
//! ```
//!
//! Both topics must exist with the same number of partitions: a record keeps its partition, so the
//! order is kept. You can kill the program at any time and start it again: it continues where its
//! last committed transaction ended. A second instance fences off the first. `--until-end` ends it
//! when everything is copied, `--abort-every 3` aborts every third transaction on purpose. The exit
//! code is 1 after any failure.
//!
//! The program assigns all partitions itself, because the crate `rdkafka` does not expose the
//! generation and the member id of its consumer. So the group only stores the offsets, and the
//! `transactional.id` prevents two copiers from copying the same records. If your consumer exposes
//! them, pass them to `ConsumerGroupMetadata::generation`, and let the group distribute the
//! partitions (KIP-447).

#![allow(
    clippy::disallowed_methods,
    reason = "librdkafka is asked again on the real clock"
)]

use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::common::Headers;
use kafka_producer::{ConsumerGroupMetadata, KafkaProducer, ProducerRecord, TopicPartition};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const USAGE: &str = "transactional_copier --bootstrap-server HOST:PORT --input-topic NAME --output-topic NAME \
    [--consumer-group NAME] [--transactional-id NAME] [--transaction-size COUNT] [--abort-every COUNT] [--until-end]";

/// The limit for requests to a broker.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// A transaction that is not full is committed after no record has arrived for this long.
const QUIET: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let copied = Options::parse(std::env::args().skip(1)).and_then(|options| run(&options));
    match copied {
        Ok(copied) => {
            println!("{copied:?}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("transactional_copier failed: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
pub(crate) struct Options {
    pub(crate) bootstrap_servers: String,
    pub(crate) input_topic: String,
    pub(crate) output_topic: String,
    pub(crate) consumer_group: String,
    pub(crate) transactional_id: String,
    /// The maximum of records in a transaction.
    pub(crate) transaction_size: usize,
    /// Aborts every this many transactions. 0 aborts none.
    pub(crate) abort_every: u64,
    pub(crate) until_end: bool,
}

impl Options {
    pub(crate) fn parse(
        mut arguments: impl Iterator<Item = String>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            consumer_group: "copiers".to_owned(),
            transaction_size: 200,
            ..Self::default()
        };
        while let Some(name) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{name} needs a value\n{USAGE}"))
            };
            match name.as_str() {
                "--bootstrap-server" => options.bootstrap_servers = value()?,
                "--input-topic" => options.input_topic = value()?,
                "--output-topic" => options.output_topic = value()?,
                "--consumer-group" => options.consumer_group = value()?,
                "--transactional-id" => options.transactional_id = value()?,
                "--transaction-size" => options.transaction_size = value()?.parse()?,
                "--abort-every" => options.abort_every = value()?.parse()?,
                "--until-end" => options.until_end = true,
                _ => return Err(format!("{name} is no option\n{USAGE}").into()),
            }
        }
        if options.transaction_size == 0 {
            return Err("--transaction-size must be positive".into());
        }
        if options.transactional_id.is_empty() {
            // The same id at each start: a new copier aborts the transaction that an old one left
            // open, and fences the old one.
            options.transactional_id = format!("copier-of-{}", options.input_topic);
        }
        for (name, value) in [
            ("--bootstrap-server", &options.bootstrap_servers),
            ("--input-topic", &options.input_topic),
            ("--output-topic", &options.output_topic),
        ] {
            if value.is_empty() {
                return Err(format!("{name} is required\n{USAGE}").into());
            }
        }
        Ok(options)
    }
}

/// What a copier did until the end of the topic.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    pub(crate) records: u64,
    pub(crate) transactions: u64,
    pub(crate) aborted: u64,
}

pub(crate) fn run(options: &Options) -> Result<Copied, Box<dyn Error>> {
    let producer = KafkaProducer::builder()
        .bootstrap_servers(&options.bootstrap_servers)
        .transactional_id(&options.transactional_id)
        .build()?;
    // Before the offsets are read: after this call no earlier copier can change them.
    producer.init_transactions()?;
    let mut input = Input::open(options)?;
    let mut copied = Copied::default();
    loop {
        let messages = input.read(options.transaction_size)?;
        if messages.is_empty() {
            if options.until_end && input.is_at_end() {
                return Ok(copied);
            }
            continue;
        }
        let number = copied.transactions + copied.aborted + 1;
        let is_spoilt = options.abort_every > 0 && number % options.abort_every == 0;
        match copy(&producer, options, &messages, is_spoilt) {
            Ok(()) => {
                copied.records += messages.len() as u64;
                copied.transactions += 1;
            }
            Err(failed) if failed.is_aborted() => {
                copied.aborted += 1;
                println!("{} records once more: {failed}", messages.len());
                drop(messages);
                input.go_to_committed()?;
            }
            Err(failed) => return Err(failed.into()),
        }
    }
}

/// Sends the copies of one transaction, and the offsets at which the next one begins.
fn copy(
    producer: &KafkaProducer,
    options: &Options,
    messages: &[BorrowedMessage<'_>],
    is_spoilt: bool,
) -> Result<(), Failed> {
    producer.transaction(|transaction| {
        let mut offsets = HashMap::new();
        for message in messages {
            transaction.send(copy_of(message, &options.output_topic))?;
            let from = TopicPartition::new(message.topic(), message.partition());
            offsets.insert(from, (message.offset() + 1).into());
        }
        let group = ConsumerGroupMetadata::new(options.consumer_group.as_str());
        transaction.send_offsets(&offsets, &group)?;
        if is_spoilt {
            return Err(Failed::OnPurpose);
        }
        Ok(())
    })
}

fn copy_of<'a>(message: &'a BorrowedMessage<'_>, topic: &'a str) -> ProducerRecord<'a> {
    let mut headers = Headers::new();
    for header in message.headers().into_iter().flat_map(|all| all.iter()) {
        match header.value {
            Some(value) => headers.add(header.key, value),
            None => headers.add_null(header.key),
        };
    }
    ProducerRecord::new(topic, message.payload())
        .key(message.key())
        .headers(headers)
        .partition(message.partition())
        .timestamp(message.timestamp().to_millis())
}

/// Why a transaction was not committed.
#[derive(Debug)]
enum Failed {
    Kafka(kafka_producer::Error),
    OnPurpose,
}

impl Failed {
    /// Returns whether the transaction was aborted, so that the same producer may try again.
    fn is_aborted(&self) -> bool {
        match self {
            Self::Kafka(error) => error.is_aborted(),
            Self::OnPurpose => true,
        }
    }
}

impl From<kafka_producer::Error> for Failed {
    fn from(error: kafka_producer::Error) -> Self {
        Self::Kafka(error)
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kafka(error) => error.fmt(f),
            Self::OnPurpose => f.write_str("aborted on purpose"),
        }
    }
}

impl Error for Failed {}

/// The input topic, read from the end of the last committed transaction.
struct Input {
    consumer: BaseConsumer,
    topic: String,
    /// Whether there was nothing left to read at the last look, by partition.
    at_end: Vec<bool>,
}

impl Input {
    fn open(options: &Options) -> Result<Self, Box<dyn Error>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &options.bootstrap_servers)
            .set("group.id", &options.consumer_group)
            // The transactions commit the offsets.
            .set("enable.auto.commit", "false")
            // Applies to offsets too: the consumer waits for those of a transaction that is being
            // committed.
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .create()?;
        let metadata = consumer.fetch_metadata(Some(&options.input_topic), ANSWER_LIMIT)?;
        let count = metadata
            .topics()
            .first()
            .map_or(0, |t| t.partitions().len());
        if count == 0 {
            return Err(format!("there is no topic {}", options.input_topic).into());
        }
        let mut input = Self {
            consumer,
            topic: options.input_topic.clone(),
            at_end: vec![false; count],
        };
        input.go_to_committed()?;
        Ok(input)
    }

    /// Seeks to the offsets of the group, or to the beginning if it has none. Records that were
    /// fetched before are discarded.
    fn go_to_committed(&mut self) -> Result<(), KafkaError> {
        let deadline = Instant::now() + ANSWER_LIMIT;
        let start = loop {
            match self.committed() {
                // The group's coordinator may have moved, or may still be loading.
                Err(error) if Instant::now() < deadline => {
                    eprintln!("the group's offsets are not known yet: {error}");
                    thread::sleep(QUIET);
                }
                known => break known?,
            }
        };
        self.at_end.fill(false);
        self.consumer.assign(&start)
    }

    fn committed(&self) -> Result<TopicPartitionList, KafkaError> {
        let mut partitions = TopicPartitionList::new();
        for partition in 0..self.at_end.len() {
            partitions.add_partition(&self.topic, partition as i32);
        }
        let committed = self.consumer.committed_offsets(partitions, ANSWER_LIMIT)?;
        let mut start = TopicPartitionList::new();
        for element in committed.elements() {
            element.error()?;
            let offset = match element.offset() {
                Offset::Offset(next) => Offset::Offset(next),
                _ => Offset::Beginning,
            };
            start.add_partition_offset(element.topic(), element.partition(), offset)?;
        }
        Ok(start)
    }

    /// Returns the next records, at most `most`. Returns none if none arrived for a while.
    fn read(&mut self, most: usize) -> Result<Vec<BorrowedMessage<'_>>, KafkaError> {
        let mut messages = Vec::new();
        while messages.len() < most {
            match self.consumer.poll(QUIET) {
                None => break,
                Some(Ok(message)) => {
                    self.at_end[message.partition() as usize] = false;
                    messages.push(message);
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.at_end[partition as usize] = true;
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
                // librdkafka reports lost connections and the like, and retries by itself.
                Some(Err(error)) => eprintln!("the consumer says: {error}"),
            }
        }
        Ok(messages)
    }

    fn is_at_end(&self) -> bool {
        !self.at_end.contains(&false)
    }
}
