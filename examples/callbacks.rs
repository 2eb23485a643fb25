//! Two threads, each with a producer of numbers and text: one sends and lets a callback report, the other waits for each
//! record. Kafka's own demo producer, in Rust.
//!
//! ```text
//! cargo run --release --example callbacks
//! cargo run --release --example callbacks -- --bootstrap-server localhost:9092 --topic demo --records 100
//! cargo run --release --example callbacks -- --transactional-id demo --transaction-timeout-ms 10000
//! ```
//!
//! With `--transactional-id` each thread sends its records in one transaction, with an id of its
//! own. Without `--bootstrap-server` the program starts a test broker in its own process.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example prints what it does, and measures it on the real clock"
)]

#[path = "common/arguments.rs"]
mod arguments;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::producer::{IntegerSerializer, StringSerializer};
use kafka_producer::testing::FakeBroker;
use kafka_producer::{KafkaProducer, ProducerRecord, RecordMetadata};

use arguments::Arguments;

const USAGE: &str = "callbacks [--bootstrap-server HOST:PORT] [--topic NAME] [--records COUNT] [--transactional-id ID] \
                     [--enable-idempotence true|false] [--transaction-timeout-ms MILLIS]";

/// Each of the two threads uses every second `i32` as a key.
const MAX_RECORDS: usize = 1 << 30;

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("callbacks failed: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    servers: String,
    topic: String,
    records: usize,
    transactional_id: Option<String>,
    enable_idempotence: bool,
    transaction_timeout_ms: Option<u32>,
}

pub(crate) fn run(words: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let mut options = Options {
        servers: String::new(),
        topic: "demo".to_owned(),
        records: 10,
        transactional_id: None,
        enable_idempotence: true,
        transaction_timeout_ms: None,
    };
    let mut arguments = Arguments::new(words);
    while let Some(name) = arguments.next_name()? {
        match name.as_str() {
            "--bootstrap-server" => options.servers = arguments.value()?,
            "--topic" => options.topic = arguments.value()?,
            "--records" => {
                options.records = arguments.parsed()?;
                if options.records > MAX_RECORDS {
                    return Err(format!("--records must be at most {MAX_RECORDS}").into());
                }
            }
            "--transactional-id" => options.transactional_id = Some(arguments.value()?),
            "--enable-idempotence" => options.enable_idempotence = arguments.parsed()?,
            "--transaction-timeout-ms" => {
                options.transaction_timeout_ms = Some(arguments.parsed()?);
            }
            _ => return Err(format!("{}\n{USAGE}", arguments.unknown()).into()),
        }
    }
    if options.servers.is_empty() {
        let broker = FakeBroker::builder().topic(&options.topic, 3).start()?;
        options.servers = broker.bootstrap_servers();
        return produce(&options);
    }
    produce(&options)
}

/// Runs both threads. One sends the even keys, the other the odd keys.
fn produce(options: &Options) -> Result<(), Box<dyn Error>> {
    let records = options.records;
    thread::scope(|scope| {
        let with_callbacks = scope.spawn(move || {
            let producer = producer(options, "callbacks")?;
            let keys = (0..=i32::MAX).step_by(2).take(records);
            send_with_callbacks(&producer, options, keys)
        });
        let waiting = scope.spawn(move || {
            let producer = producer(options, "waiting")?;
            let keys = (1..=i32::MAX).step_by(2).take(records);
            send_and_wait(&producer, options, keys)
        });
        for thread in [with_callbacks, waiting] {
            let failed = thread.join().map_err(|_| "a producer thread panicked")??;
            if failed > 0 {
                return Err(format!("{failed} of {records} records were not delivered").into());
            }
            println!("Producer sent {records} records successfully");
        }
        Ok(())
    })
}

type DemoProducer = KafkaProducer<IntegerSerializer, StringSerializer>;

fn producer(options: &Options, thread: &str) -> kafka_producer::Result<DemoProducer> {
    let mut builder = KafkaProducer::builder()
        .key_serializer(IntegerSerializer)
        .value_serializer(StringSerializer)
        .bootstrap_servers(&options.servers)
        .set("client.id", "DemoProducer")?
        .set(
            "enable.idempotence",
            &options.enable_idempotence.to_string(),
        )?;
    if let Some(timeout) = options.transaction_timeout_ms {
        builder = builder.set("transaction.timeout.ms", &timeout.to_string())?;
    }
    if let Some(id) = &options.transactional_id {
        builder = builder.set("transactional.id", &format!("{id}-{thread}"))?;
    }
    builder.build()
}

/// Runs `send` inside of a transaction, if the producer has a transactional id.
fn in_transaction<T>(
    producer: &DemoProducer,
    options: &Options,
    send: impl FnOnce() -> kafka_producer::Result<T>,
) -> kafka_producer::Result<T> {
    if options.transactional_id.is_none() {
        return send();
    }
    producer.init_transactions()?;
    producer.begin_transaction()?;
    let sent = send()?;
    // It waits for the records, and fails if one of them failed.
    producer.commit_transaction()?;
    Ok(sent)
}

/// Sends without waiting; the callbacks run on the producer's I/O thread. Returns the number of failures.
fn send_with_callbacks(
    producer: &DemoProducer,
    options: &Options,
    keys: impl Iterator<Item = i32>,
) -> kafka_producer::Result<usize> {
    let failed = Arc::new(AtomicUsize::new(0));
    in_transaction(producer, options, || {
        for key in keys {
            let message = format!("Message_{key}");
            let record = ProducerRecord::new(&*options.topic, message.clone()).key(key);
            let callback = DemoCallback {
                start: Instant::now(),
                key,
                message,
                failed: Arc::clone(&failed),
            };
            producer.send_with_callback(record, move |result| callback.on_completion(result))?;
        }
        Ok(())
    })?;
    producer.close(Duration::from_secs(30))?;
    Ok(failed.load(Ordering::Relaxed))
}

/// What a callback needs to know about its record.
struct DemoCallback {
    start: Instant,
    key: i32,
    message: String,
    failed: Arc<AtomicUsize>,
}

impl DemoCallback {
    fn on_completion(self, result: kafka_producer::Result<RecordMetadata>) {
        let Self {
            start,
            key,
            message,
            failed,
        } = self;
        match result {
            Ok(metadata) => println!(
                "message({key}, {message}) sent to partition({}), offset({}) in {} ms",
                metadata.partition(),
                metadata.offset(),
                start.elapsed().as_millis()
            ),
            Err(error) => {
                failed.fetch_add(1, Ordering::Relaxed);
                eprintln!(
                    "message({key}, {message}) failed: {error} ({:?})",
                    error.delivery()
                );
            }
        }
    }
}

/// Sends each record after the previous one has its offset. Returns the number of failures.
fn send_and_wait(
    producer: &DemoProducer,
    options: &Options,
    keys: impl Iterator<Item = i32>,
) -> kafka_producer::Result<usize> {
    let failed = in_transaction(producer, options, || {
        let mut failed = 0;
        for key in keys {
            let message = format!("Message_{key}");
            let record = ProducerRecord::new(&*options.topic, &message[..]).key(key);
            match producer.send(record)?.get() {
                Ok(_) => println!("Sent message: ({key}, {message})"),
                Err(error) => {
                    failed += 1;
                    eprintln!(
                        "message({key}, {message}) failed: {error} ({:?})",
                        error.delivery()
                    );
                }
            }
        }
        Ok(failed)
    })?;
    producer.close(Duration::from_secs(30))?;
    Ok(failed)
}
