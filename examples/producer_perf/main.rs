//! Measures a producer: takes the options of `kafka-producer-perf-test` and prints its lines.
//!
//! ```text
//! cargo run --release --example producer_perf -- --topic test --num-records 5000000 --record-size 100 --throughput -1
//! cargo run --release --example producer_perf -- --bootstrap-server localhost:9092 --topic test --num-records 5000000 \
//!     --record-size 100 --throughput 100000 --command-property batch.size=65536 linger.ms=10
//! ```
//!
//! Without brokers in the options it starts a test broker in its own process, which keeps every record in memory. Any
//! failed record makes the exit code 1. Java's `--print-metrics`, `--transactional-id` and `--transaction-duration-ms` are
//! missing.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example prints what it does, and measures it on the real clock"
)]

pub(crate) mod options;
pub(crate) mod payload;
pub(crate) mod stats;

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::testing::FakeBroker;
use kafka_producer::{KafkaProducer, ProducerRecord};

use options::{Command, Options};
use payload::Payloads;
use stats::{Sent, Stats};

fn main() -> ExitCode {
    let done = match options::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            print!("{}", options::USAGE);
            return ExitCode::SUCCESS;
        }
        Ok(Command::Measure(options)) => run(*options, |line| println!("{line}")),
        Err(error) => Err(error),
    };
    match done {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("{failed} records were not delivered");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("producer_perf failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends the records, and gives each line to `print`. Gives the number of failures.
pub(crate) fn run(
    mut options: Options,
    print: impl Fn(&str) + Send + Sync + 'static,
) -> Result<u64, Box<dyn Error>> {
    let _broker = if options.config.is_set("bootstrap.servers") {
        None
    } else {
        let broker = FakeBroker::builder().topic(&options.topic, 16).start()?;
        let servers = broker.bootstrap_servers();
        options.config.set("bootstrap.servers", &servers)?;
        Some(broker)
    };
    let producer = KafkaProducer::new(options.config.clone())?;
    let mut payloads = Payloads::new(&options.payload, &print)?;
    if options.warmup_records > 0 {
        print(&format!(
            "Warmup first {} records. Steady state results will print after the complete test summary.",
            options.warmup_records
        ));
    }
    let start = Instant::now();
    let interval = options.reporting_interval;
    let stats = Stats::new(start, options.records, interval);
    let shared = Arc::new((Mutex::new(stats), print));
    for number in 0..options.records {
        let value = payloads.next();
        let sent = Sent {
            at: Instant::now(),
            bytes: value.len(),
            is_steady: options.warmup_records > 0 && number >= options.warmup_records,
        };
        if sent.is_steady && number == options.warmup_records {
            let records = options.records - options.warmup_records;
            lock(&shared.0).begin_steady_state(sent.at, records);
        }
        let shared = Arc::clone(&shared);
        producer.send_with_callback(
            ProducerRecord::new(&*options.topic, value),
            move |result| {
                let (stats, print) = &*shared;
                if let Err(error) = &result {
                    eprintln!("{error} ({:?})", error.delivery());
                }
                lock(stats).record(&sent, Instant::now(), result.is_ok(), print);
            },
        )?;
        if let Some(early) = options.ahead(number + 1, start.elapsed()) {
            thread::sleep(early);
        }
    }
    producer.close(Duration::MAX)?;
    let (stats, print) = &*shared;
    let stats = lock(stats);
    stats.print_totals(Instant::now(), print);
    Ok(stats.failed())
}

fn lock(stats: &Mutex<Stats>) -> MutexGuard<'_, Stats> {
    stats.lock().unwrap_or_else(PoisonError::into_inner)
}
