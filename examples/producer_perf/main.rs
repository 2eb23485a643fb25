//! Measures a producer: takes the options of `kafka-producer-perf-test` and prints its lines.
//!
//! ```text
//! cargo run --release --example producer_perf -- --topic test --num-records 5000000 --record-size 100 --throughput -1
//! cargo run --release --example producer_perf -- --bootstrap-server localhost:9092 --topic test --num-records 5000000 \
//!     --record-size 100 --throughput 100000 --command-property batch.size=65536 linger.ms=10
//! ```
//!
//! Takes every option of the tool of Kafka 4.4. Without brokers in the options it starts a test
//! broker in its own process, which keeps every record in memory. The exit code is 1 if a record
//! failed. The same `--random-seed` gives the same values and keys in each run, but not those of
//! Java's tool.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example prints what it does, and measures it on the real clock"
)]

#[path = "../common/arguments.rs"]
mod arguments;
#[path = "../common/causes.rs"]
mod causes;
pub(crate) mod keys;
pub(crate) mod options;
pub(crate) mod payload;
pub(crate) mod stats;
#[path = "../common/throughput.rs"]
mod throughput;

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::testing::FakeBroker;
use kafka_producer::{KafkaProducer, Metric, MetricsSnapshot, ProducerRecord};

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
            eprintln!("producer_perf failed: {}", causes::with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Sends the records and passes each line to `print`. Returns the number of failures.
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
    if options.transaction_duration.is_some() {
        producer.init_transactions()?;
    }
    let mut payloads = Payloads::new(&options.payload, options.random_seed, &print)?;
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
    let mut transaction = Transaction::new(&producer, options.transaction_duration);
    for number in 0..options.records {
        let value = payloads.next();
        transaction.begin()?;
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
        let mut record = ProducerRecord::new(&*options.topic, value);
        if let Some(key) = options.keys.next() {
            record = record.key(key);
        }
        producer.send_with_callback(record, move |result| {
            let (stats, print) = &*shared;
            if let Err(error) = &result {
                eprintln!("{error} ({:?})", error.delivery());
            }
            lock(stats).record(&sent, Instant::now(), result.is_ok(), print);
        })?;
        transaction.commit_if_older(sent.at)?;
        if let Some(early) = options.ahead(number + 1, start.elapsed()) {
            thread::sleep(early);
        }
    }
    transaction.commit()?;
    // After `close` there are no metrics. `flush` makes sure that they include every record.
    producer.flush()?;
    let (stats, print) = &*shared;
    lock(stats).print_totals(Instant::now(), print);
    if options.prints_metrics {
        print_metrics(&producer.metrics(), print);
    }
    producer.close(Duration::MAX)?;
    let failed = lock(stats).failed();
    Ok(failed)
}

/// The open transaction, if the records are sent in transactions.
struct Transaction<'a> {
    producer: &'a KafkaProducer,
    duration: Option<Duration>,
    began: Option<Instant>,
}

impl<'a> Transaction<'a> {
    fn new(producer: &'a KafkaProducer, duration: Option<Duration>) -> Self {
        Self {
            producer,
            duration,
            began: None,
        }
    }

    fn begin(&mut self) -> kafka_producer::Result<()> {
        if self.duration.is_some() && self.began.is_none() {
            self.producer.begin_transaction()?;
            self.began = Some(Instant::now());
        }
        Ok(())
    }

    fn commit_if_older(&mut self, now: Instant) -> kafka_producer::Result<()> {
        match (self.duration, self.began) {
            (Some(duration), Some(began)) if now.saturating_duration_since(began) >= duration => {
                self.commit()
            }
            _ => Ok(()),
        }
    }

    fn commit(&mut self) -> kafka_producer::Result<()> {
        match self.began.take() {
            Some(_) => self.producer.commit_transaction(),
            None => Ok(()),
        }
    }
}

/// Prints `group:name:{tags} : value`, one metric per line. Java: `ToolsUtils.printMetrics`.
fn print_metrics(metrics: &MetricsSnapshot, print: &impl Fn(&str)) {
    let name = |metric: &Metric| {
        let name = metric.name();
        let tags: Vec<_> = name
            .tags()
            .map(|(tag, value)| format!("{tag}={value}"))
            .collect();
        format!("{}:{}:{{{}}}", name.group(), name.name(), tags.join(", "))
    };
    let names: Vec<_> = metrics.iter().map(name).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    print(&format!("\n{:<width$}   Value", "Metric Name"));
    for (name, metric) in names.iter().zip(metrics) {
        match metric.value().as_number() {
            Some(number) => print(&format!("{name:<width$} : {number:.3}")),
            None => print(&format!("{name:<width$} : {}", metric.value())),
        }
    }
}

fn lock(stats: &Mutex<Stats>) -> MutexGuard<'_, Stats> {
    stats.lock().unwrap_or_else(PoisonError::into_inner)
}
