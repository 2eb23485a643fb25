//! Copies a topic exactly once: librdkafka consumes, this library produces, and each transaction holds the copies together
//! with the offsets that they were read up to. Java: `ExactlyOnceMessageProcessor` of Kafka's examples, and
//! `TransactionalMessageCopier` of its system tests, which the options are named after.
//!
//! ```text
//! cargo run -p kafka-producer-interop --example transactional_copier -- \
//!     --bootstrap-server localhost:9092 --input-topic orders --output-topic copies
//! ```
//!
//! Both topics must exist, with the same number of partitions: a record goes to the partition that it came from, so the order
//! is kept. Kill it when you like, and start it again: it goes on where its last committed transaction ended. Start it
//! twice, and the second one fences off the first. `--until-end` ends it when everything is copied, `--abort-every 3` aborts
//! every third transaction on purpose. Any failure makes the exit code 1.
//!
//! The partitions are assigned by hand, all of them, because the crate `rdkafka` keeps to itself the generation and the member
//! id that a group gives its consumer. So the group here is a name for the offsets alone, and it is the `transactional.id`
//! that keeps two copiers from copying the same. With a consumer that tells them, give them to
//! `ConsumerGroupMetadata::generation`, and let the group share out the partitions (KIP-447).

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

/// For what is asked of a broker.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// A transaction that is not full goes out when no record has come for so long.
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
    /// Records of one transaction, at most.
    pub(crate) transaction_size: usize,
    /// Every so many transactions one is aborted; 0 for none.
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
            // The same at each start: a new copier ends what an old one left open, and fences it off.
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

/// What a copier did from its start to the end of the topic.
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
    // Before the offsets are asked for: after this call no earlier copier can change them any more.
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

/// One transaction: the copies, and the offsets from which the next one goes on.
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
    /// Whether nothing of it will ever be seen, and the same producer may try again.
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

/// The topic that is copied, read from where the last committed transaction ended.
struct Input {
    consumer: BaseConsumer,
    topic: String,
    /// By partition: nothing was left to read when it was last looked at.
    at_end: Vec<bool>,
}

impl Input {
    fn open(options: &Options) -> Result<Self, Box<dyn Error>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &options.bootstrap_servers)
            .set("group.id", &options.consumer_group)
            // The transactions commit the offsets.
            .set("enable.auto.commit", "false")
            // Also for the offsets: those of a transaction that is being committed are waited for.
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

    /// Reads from the offsets of the group, and from the beginning where it has none. What was fetched before is forgotten.
    fn go_to_committed(&mut self) -> Result<(), KafkaError> {
        let deadline = Instant::now() + ANSWER_LIMIT;
        let start = loop {
            match self.committed() {
                // The group's coordinator may have moved, or not begun yet.
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

    /// The next records, at most so many; none if none have come for a while.
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
                // librdkafka tells of lost connections and the like, and tries again by itself.
                Some(Err(error)) => eprintln!("the consumer says: {error}"),
            }
        }
        Ok(messages)
    }

    fn is_at_end(&self) -> bool {
        !self.at_end.contains(&false)
    }
}
