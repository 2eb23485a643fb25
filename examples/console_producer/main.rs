//! Sends lines of the standard input to a topic, with the options of Kafka's `kafka-console-producer`.
//!
//! ```text
//! cargo run --release --example console_producer -- --bootstrap-server localhost:9092 --topic orders \
//!     --reader-property parse.key=true --reader-property key.separator=:
//! ```
//!
//! Takes every option of the tool of Kafka 4.4. Differs from it: the exit code is 1 if a record was
//! not delivered, and `--line-reader` accepts only the default reader. If the input is a file or a
//! pipe and the standard error is a terminal, the program shows how many lines it has sent.

#![allow(
    clippy::print_stdout,
    reason = "an example prints what it was asked for"
)]

#[path = "../common/arguments.rs"]
mod arguments;
#[path = "../common/causes.rs"]
mod causes;
pub(crate) mod line_reader;
pub(crate) mod options;
#[path = "../common/progress.rs"]
mod progress;
pub(crate) mod reader_config;

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kafka_producer::{KafkaProducer, ProducerRecord};

use line_reader::LineReader;
use options::{Command, Options};
use progress::{Progress, terminal};

fn main() -> ExitCode {
    let command = match options::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("{error}\n\n{}", options::usage());
            return ExitCode::FAILURE;
        }
    };
    let options = match command {
        Command::Produce(options) => options,
        Command::Help => {
            eprintln!("{}", options::usage());
            return ExitCode::SUCCESS;
        }
        Command::Version => {
            println!("{}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
    };
    let prompt: &[u8] = if io::stdin().is_terminal() { b">" } else { b"" };
    match run(*options, &mut io::stdin().lock(), prompt) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("{failed} records were not delivered");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{}", causes::with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Sends each line. Returns the number of records that were not delivered.
pub(crate) fn run(
    options: Options,
    input: &mut dyn BufRead,
    prompt: &[u8],
) -> Result<u64, Box<dyn std::error::Error>> {
    let mut reader = LineReader::new(&options.reader_properties)?;
    let producer = KafkaProducer::new(options.config)?;
    let failed = Arc::new(AtomicU64::new(0));
    let mut line = Vec::new();
    // Interactive input has a prompt instead of the progress line.
    let output = terminal().filter(|_| prompt.is_empty());
    let mut progress = Progress::to(output, "lines", None);
    for number in 0.. {
        progress.report(number);
        io::stdout().write_all(prompt)?;
        io::stdout().flush()?;
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let record = reader.record(&options.topic, &line)?;
        if options.is_sync {
            producer.send(record)?.get()?;
        } else {
            send(&producer, record, &failed)?;
        }
    }
    drop(progress);
    // Waits for every record. Callbacks count the failures.
    producer.close(Duration::MAX)?;
    Ok(failed.load(Ordering::Relaxed))
}

/// Sends without waiting. A callback prints and counts a failure.
fn send(
    producer: &KafkaProducer,
    record: ProducerRecord<'_>,
    failed: &Arc<AtomicU64>,
) -> kafka_producer::Result<()> {
    let topic = record.topic.to_string();
    let failed = Arc::clone(failed);
    producer.send_with_callback(record, move |result| {
        if let Err(error) = result {
            failed.fetch_add(1, Ordering::Relaxed);
            eprintln!(
                "a record for topic {topic} failed: {error} ({:?})",
                error.delivery()
            );
        }
    })
}
