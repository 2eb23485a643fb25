//! Sends the numbers from 0 on and prints the result of each, one JSON object per line. It replaces
//! Kafka's `VerifiableProducer` in programs that start it and read its lines, such as Kafka's
//! system tests.
//!
//! ```text
//! cargo run --release --example verifiable_producer -- --bootstrap-server localhost:9092 --topic test --max-messages 10
//! ```
//!
//! Takes every option of the tool of Kafka 4.4. SIGTERM and SIGINT have the same effect as the last
//! message: the producer is closed, and the last two lines are `shutdown_complete` and `tool_data`.
//! As in Kafka's tool, messages that failed do not change the exit code, and the producer retries
//! nothing unless `--command-config` says so.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example prints what it does, and measures it on the real clock"
)]

#[path = "../common/arguments.rs"]
mod arguments;
#[path = "../common/causes.rs"]
mod causes;
pub(crate) mod events;
pub(crate) mod options;
#[path = "../common/throughput.rs"]
mod throughput;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::{KafkaProducer, ProducerRecord};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use events::Event;
use options::{Command, Options};

/// The longest time until a signal is seen.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long the sending thread may take to end after a signal.
const GRACE: Duration = Duration::from_secs(1);

/// Prints a line.
pub(crate) type Print = Arc<dyn Fn(&str) + Send + Sync>;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "verifiable_producer failed: {}",
                causes::with_causes(&*error)
            );
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<(), Box<dyn Error>> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let options = match options::parse(words.into_iter())? {
        Command::Help => {
            print!("{}", options::USAGE);
            return Ok(());
        }
        Command::Produce(options) => *options,
    };
    let is_stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&is_stopped))?;
    }
    run(&options, &is_stopped, Arc::new(|line| println!("{line}")))
}

/// Sends until all messages are sent or `is_stopped` is set, and closes the producer.
pub(crate) fn run(
    options: &Options,
    is_stopped: &AtomicBool,
    print: Print,
) -> Result<(), Box<dyn Error>> {
    let producer = KafkaProducer::new(options.config.clone())?;
    let start = Instant::now();
    let acked = Arc::new(AtomicU64::new(0));
    let sender = Sender {
        producer: &producer,
        options,
        is_stopped,
        start,
        acked: Arc::clone(&acked),
        print: Arc::clone(&print),
    };
    print(&Event::now("startup_complete").line());
    let (sent, closed) = thread::scope(|scope| {
        let (done, is_done) = channel::<()>();
        let sender = scope.spawn(move || {
            let _done = done;
            sender.send_all()
        });
        // The sending thread sees a signal too, unless it waits for metadata or memory. Then the
        // close ends its wait.
        while is_done.recv_timeout(LOOK_AGAIN) == Err(RecvTimeoutError::Timeout)
            && !is_stopped.load(Ordering::Acquire)
        {}
        _ = is_done.recv_timeout(GRACE);
        let closed = producer.close(Duration::MAX);
        (sender.join(), closed)
    });
    let sent = sent.map_err(|_| "the sending thread panicked")?;
    closed?;
    print(&Event::now("shutdown_complete").line());
    let acked = acked.load(Ordering::Relaxed);
    let seconds = start.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
    let summary = Event::now("tool_data")
        .number("sent", sent)
        .number("acked", acked)
        .number("target_throughput", options.throughput)
        .number("avg_throughput", format!("{:?}", acked as f64 / seconds));
    print(&summary.line());
    Ok(())
}

/// The state of the sending thread.
struct Sender<'a> {
    producer: &'a KafkaProducer,
    options: &'a Options,
    is_stopped: &'a AtomicBool,
    start: Instant,
    acked: Arc<AtomicU64>,
    print: Print,
}

impl Sender<'_> {
    /// Returns how many messages it tried to send.
    fn send_all(&self) -> u64 {
        let most = u64::try_from(self.options.max_messages).unwrap_or(u64::MAX);
        let started = events::unix_millis();
        let mut create_time = self.options.message_create_time;
        let mut keys = self.options.keys();
        for number in 0..most {
            if self.is_stopped.load(Ordering::Acquire) {
                return number;
            }
            self.send(keys.next(), self.options.value(number), create_time);
            // As in Kafka's tool, the elapsed time is added for each message.
            if let Some(time) = &mut create_time {
                *time += events::unix_millis() - started;
            }
            self.pause(number + 1);
        }
        most
    }

    fn send(&self, key: Option<String>, value: String, create_time: Option<i64>) {
        let mut record = ProducerRecord::new(&*self.options.topic, &*value);
        if let Some(key) = &key {
            record = record.key(&**key);
        }
        if let Some(time) = create_time {
            record = record.timestamp(time);
        }
        let (print, acked) = (Arc::clone(&self.print), Arc::clone(&self.acked));
        let (topic, own_key, own_value) = (self.options.topic.clone(), key.clone(), value.clone());
        let sent = self.producer.send_with_callback(record, move |result| {
            if result.is_ok() {
                acked.fetch_add(1, Ordering::Relaxed);
            }
            print(&events::outcome(
                &topic,
                own_key.as_deref(),
                &own_value,
                &result,
            ));
        });
        if let Err(error) = sent {
            let topic = &self.options.topic;
            let line = events::outcome(topic, key.as_deref(), &value, &Err(error));
            (self.print)(&line);
        }
    }

    /// Waits until the next message is due.
    fn pause(&self, sent: u64) {
        if self.options.throughput < 0 {
            return;
        }
        let per_second = f64::from(self.options.throughput);
        while let Some(early) = throughput::ahead(sent, per_second, self.start.elapsed()) {
            if self.is_stopped.load(Ordering::Acquire) {
                return;
            }
            thread::sleep(early.min(LOOK_AGAIN));
        }
    }
}
