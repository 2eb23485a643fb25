//! Two threads, each with a producer of numbers and text: one sends and lets a callback report, the other waits for each
//! record. Kafka's own demo producer, in Rust.
//!
//! ```text
//! cargo run --release --example callbacks
//! cargo run --release --example callbacks -- --bootstrap-server localhost:9092 --topic demo --records 100
//! ```
//!
//! Without `--bootstrap-server` it starts a test broker in its own process.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example prints what it does, and measures it on the real clock"
)]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::producer::{IntegerSerializer, StringSerializer};
use kafka_producer::testing::FakeBroker;
use kafka_producer::{KafkaProducer, ProducerRecord, RecordMetadata};

const USAGE: &str = "callbacks [--bootstrap-server HOST:PORT] [--topic NAME] [--records COUNT]";

/// Each of the two threads has every second number of 32 bits for its keys.
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

pub(crate) fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let (mut servers, mut topic, mut records) = (None, "demo".to_owned(), 10);
    while let Some(name) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value\n{USAGE}"))
        };
        match name.as_str() {
            "--bootstrap-server" => servers = Some(value()?),
            "--topic" => topic = value()?,
            "--records" => {
                records = value()?.parse()?;
                if records > MAX_RECORDS {
                    return Err(format!("--records must be at most {MAX_RECORDS}").into());
                }
            }
            _ => return Err(format!("{name} is no option\n{USAGE}").into()),
        }
    }
    match servers {
        Some(servers) => produce(&servers, &topic, records),
        None => {
            let broker = FakeBroker::builder().topic(&topic, 3).start()?;
            produce(&broker.bootstrap_servers(), &topic, records)
        }
    }
}

/// Runs both threads. Even keys are sent by the one, odd keys by the other.
fn produce(servers: &str, topic: &str, records: usize) -> Result<(), Box<dyn Error>> {
    thread::scope(|scope| {
        let with_callbacks = scope.spawn(|| {
            send_with_callbacks(
                &producer(servers)?,
                topic,
                (0..=i32::MAX).step_by(2).take(records),
            )
        });
        let waiting = scope.spawn(|| {
            send_and_wait(
                &producer(servers)?,
                topic,
                (1..=i32::MAX).step_by(2).take(records),
            )
        });
        for thread in [with_callbacks, waiting] {
            let failed = thread.join().map_err(|_| "a producer thread panicked")??;
            if failed > 0 {
                return Err(format!("{failed} of {records} records were not delivered").into());
            }
        }
        Ok(())
    })
}

type DemoProducer = KafkaProducer<IntegerSerializer, StringSerializer>;

fn producer(servers: &str) -> kafka_producer::Result<DemoProducer> {
    KafkaProducer::builder()
        .key_serializer(IntegerSerializer)
        .value_serializer(StringSerializer)
        .bootstrap_servers(servers)
        .build()
}

/// Sends without waiting; the callbacks run on the producer's I/O thread. Gives the number of failures.
fn send_with_callbacks(
    producer: &DemoProducer,
    topic: &str,
    keys: impl Iterator<Item = i32>,
) -> kafka_producer::Result<usize> {
    let failed = Arc::new(AtomicUsize::new(0));
    for key in keys {
        let message = format!("Message_{key}");
        let record = ProducerRecord::new(topic, message.clone()).key(key);
        let callback = DemoCallback {
            start: Instant::now(),
            key,
            message,
            failed: Arc::clone(&failed),
        };
        producer.send_with_callback(record, move |result| callback.on_completion(result))?;
    }
    producer.close(Duration::from_secs(30))?;
    Ok(failed.load(Ordering::Relaxed))
}

/// What a callback remembers of its record.
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

/// Sends each record when the one before has its offset. Gives the number of failures.
fn send_and_wait(
    producer: &DemoProducer,
    topic: &str,
    keys: impl Iterator<Item = i32>,
) -> kafka_producer::Result<usize> {
    let mut failed = 0;
    for key in keys {
        let message = format!("Message_{key}");
        match producer
            .send(ProducerRecord::new(topic, &message[..]).key(key))?
            .get()
        {
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
    producer.close(Duration::from_secs(30))?;
    Ok(failed)
}
