//! A load of keyed records from several threads, and its check with Kafka's console consumer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::{Delivery, KafkaProducer, ProducerRecord, RecordMetadata};

use crate::harness::{Admin, ConsoleConsumer, wait_until};
use crate::history::{Findings, History, Outcome, ReadRecord, Verdict};
use crate::usage;

pub(crate) const THREADS: u32 = 4;
/// The size of each value.
const VALUE_SIZE: usize = 100;
/// The number of records that a thread sends between two checks of its pace.
const STRIDE: u64 = 50;
/// The time for records that are in flight when the load ends, beyond their delivery timeout.
const CLOSE_LIMIT: Duration = Duration::from_secs(180);
/// How long the load may take to make progress.
const PROGRESS_LIMIT: Duration = Duration::from_secs(300);

/// What is sent: each thread sends its share, with keys [`key`] in turn.
#[derive(Clone, Debug)]
pub(crate) struct Load<'a> {
    topic: &'a str,
    records: u64,
    keys: u64,
    per_second: Option<u64>,
    settings: Vec<(&'a str, &'a str)>,
    #[cfg(all(feature = "sasl", feature = "tls"))]
    credentials: Option<Credentials>,
}

/// Returns the credentials of a producer, at each authentication.
#[cfg(all(feature = "sasl", feature = "tls"))]
pub(crate) type Credentials = fn() -> kafka_producer::SaslCredentials;

/// Returns the text of a key.
pub(crate) fn key(number: u64) -> String {
    format!("key-{number}")
}

impl<'a> Load<'a> {
    /// Sends `records` in total, as fast as the producer accepts them, with default settings.
    pub(crate) fn new(topic: &'a str, records: u64) -> Self {
        Self {
            topic,
            records,
            keys: 1_000,
            per_second: None,
            settings: Vec::new(),
            #[cfg(all(feature = "sasl", feature = "tls"))]
            credentials: None,
        }
    }

    /// Authenticates with the credentials that the function returns.
    #[cfg(all(feature = "sasl", feature = "tls"))]
    pub(crate) fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sends at most this many records per second in total, so that a fault is well within the
    /// load.
    pub(crate) fn per_second(mut self, records: u64) -> Self {
        self.per_second = Some(records);
        self
    }

    /// Sets a key of the producer's configuration.
    pub(crate) fn set(mut self, key: &'a str, value: &'a str) -> Self {
        self.settings.push((key, value));
        self
    }

    /// Sends everything, and waits until each record has a result.
    pub(crate) fn send(self, bootstrap_servers: &str) -> Sent<'a> {
        self.send_while(bootstrap_servers, |_| ())
    }

    /// Like [`send`](Self::send), while `meanwhile` does something to the cluster. The threads
    /// continue until it has returned, even after their share is sent.
    pub(crate) fn send_while(
        self,
        bootstrap_servers: &str,
        meanwhile: impl FnOnce(&Progress),
    ) -> Sent<'a> {
        let mut builder = KafkaProducer::builder().bootstrap_servers(bootstrap_servers);
        for (key, value) in &self.settings {
            builder = builder.set(key, value).unwrap();
        }
        #[cfg(all(feature = "sasl", feature = "tls"))]
        if let Some(credentials) = self.credentials {
            builder = builder.sasl_credentials(move || Ok(credentials()));
        }
        let producer = builder.build().unwrap();
        let history = Arc::new(History::new(fastrand::u32(..), THREADS));
        let progress = Progress::default();
        let is_over = AtomicBool::new(false);
        let (started, cpu) = (Instant::now(), usage::process_cpu());
        thread::scope(|scope| {
            for session in 0..THREADS {
                let (producer, history) = (&producer, &history);
                let (load, progress, is_over) = (&self, &progress, &is_over);
                scope.spawn(move || load.run(session, producer, history, progress, is_over));
            }
            // Also if it panics, because the scope waits for the threads.
            let _over = SetOnDrop(&is_over);
            meanwhile(&progress);
        });
        producer.flush().unwrap();
        let elapsed = started.elapsed();
        producer.close(CLOSE_LIMIT).unwrap();
        drop(producer);
        Sent {
            topic: self.topic,
            history: Arc::try_unwrap(history).expect("every callback has run"),
            elapsed,
            cpu: usage::process_cpu() - cpu,
        }
    }

    fn run(
        &self,
        session: u32,
        producer: &KafkaProducer,
        history: &Arc<History>,
        progress: &Progress,
        is_over: &AtomicBool,
    ) {
        let share = self.records / u64::from(THREADS);
        let started = Instant::now();
        let mut number = 0;
        while number < share || !is_over.load(Ordering::Relaxed) {
            let key = key(number % self.keys);
            let payload = history.invoke(session, Some(&key), VALUE_SIZE);
            let (id, log) = (payload.id, Arc::clone(history));
            let acked = Arc::clone(&progress.0);
            let record = ProducerRecord::new(self.topic, payload.value).key(key);
            let sent = producer.send_with_callback(record, move |result| {
                acked.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
                log.complete(id, outcome(result));
            });
            // In this case the callback was dropped.
            if let Err(error) = sent {
                history.complete(id, outcome(Err(error)));
            }
            number += 1;
            if number % STRIDE == 0 {
                self.keep_pace(started, number);
            }
        }
    }

    fn keep_pace(&self, started: Instant, number: u64) {
        let Some(per_second) = self.per_second else {
            return;
        };
        let due = Duration::from_millis(number * u64::from(THREADS) * 1_000 / per_second);
        thread::sleep(due.saturating_sub(started.elapsed()));
    }
}

/// The progress of a load.
#[derive(Clone, Default, Debug)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    fn acked(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits until `more` records more than now are acknowledged.
    pub(crate) fn await_acked(&self, more: u64) {
        let goal = self.acked() + more;
        wait_until("acknowledgements", PROGRESS_LIMIT, || {
            (self.acked() >= goal).then_some(())
        });
    }
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Returns what the result of a record means for the log.
pub(crate) fn outcome(result: kafka_producer::Result<RecordMetadata>) -> Outcome {
    match result {
        Ok(metadata) => Outcome::Acked {
            partition: metadata.partition(),
            offset: metadata.has_offset().then(|| metadata.offset()),
        },
        Err(error) if error.delivery() == Delivery::NotWritten => Outcome::NotWritten,
        Err(_) => Outcome::MaybeWritten,
    }
}

/// A load whose records all have results.
#[derive(Debug)]
pub(crate) struct Sent<'a> {
    topic: &'a str,
    history: History,
    elapsed: Duration,
    cpu: Duration,
}

impl Sent<'_> {
    /// Checks the results against what the console consumer reads.
    pub(crate) fn check(self, admin: &Admin) -> Checked {
        let count: i64 = admin.end_offsets(self.topic).iter().sum();
        let started = Instant::now();
        let mut checker = self.history.check();
        let mut homes = BTreeMap::<Vec<u8>, BTreeSet<i32>>::new();
        ConsoleConsumer::new(admin.bootstrap_servers(), self.topic).read_each(
            count as u64,
            |record| {
                checker.read(ReadRecord {
                    partition: record.partition,
                    offset: record.offset,
                    key: record.key.as_deref(),
                    value: record.value.as_deref(),
                });
                let key = record.key.unwrap_or_default();
                homes.entry(key).or_default().insert(record.partition);
            },
        );
        let checked = Checked {
            verdict: checker.verdict(),
            homes,
            sent_in: self.elapsed,
            cpu: self.cpu,
            read_in: started.elapsed(),
        };
        eprintln!("{}: {checked}", self.topic);
        checked
    }
}

/// The checked results of a load.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) verdict: Verdict,
    /// The partitions of each key.
    pub(crate) homes: BTreeMap<Vec<u8>, BTreeSet<i32>>,
    sent_in: Duration,
    cpu: Duration,
    read_in: Duration,
}

impl Checked {
    /// After a fault, batches are retried. As in Java, a later batch may be acknowledged before an
    /// earlier one.
    pub(crate) fn with_retries(mut self) -> Self {
        self.verdict.callbacks_reordered = Findings::default();
        self
    }

    /// Checks that there are no findings and no failed records.
    pub(crate) fn assert_all_acked(&self) {
        self.verdict.assert_clean();
        assert_eq!(self.verdict.acked, self.verdict.sent, "{self}");
        assert_eq!(self.verdict.read, self.verdict.sent, "{self}");
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            verdict,
            sent_in,
            cpu,
            read_in,
            ..
        } = self;
        write!(
            f,
            "sent in {sent_in:.1?} with {cpu:.1?} of CPU, read in {read_in:.1?}; {verdict}"
        )
    }
}
