//! What a producer has to send, and the history of it.

use std::ops::Range;
use std::sync::Arc;
use std::thread;

use crate::history::{History, Outcome};

const THREADS: u32 = 4;
/// The keys of each thread.
const KEYS: u64 = 250;
const VALUE_SIZE: usize = 100;

/// Faults happen between these parts of a load.
const ROUNDS: i32 = 7;
pub(crate) const LAST_ROUND: i32 = ROUNDS - 1;

/// Called once with the result of a record.
pub(crate) type Done = Box<dyn FnOnce(Outcome) + Send>;

/// A header's key and value.
pub(crate) type Header = (String, Option<Vec<u8>>);

/// A record to send. The producer chooses a missing partition or timestamp.
#[derive(Copy, Clone, Default)]
pub(crate) struct Record<'a> {
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [Header],
}

/// A producer under test.
pub(crate) trait Subject: Sync + Sized {
    /// Connects to `bootstrap_servers`. `properties` have names that Java and librdkafka share.
    fn start(bootstrap_servers: &str, properties: &[(&str, &str)]) -> Self;
    /// Sends to the topic. May block while the producer's buffer is full.
    fn send(&self, record: Record<'_>, done: Done);
    /// Returns when every record has a result.
    fn flush(&self);
}

/// How much is sent, and with which settings.
pub(crate) struct Load<'a> {
    properties: &'a [(&'a str, &'a str)],
    /// The number of records of each thread.
    count: u64,
    has_keys: bool,
}

impl<'a> Load<'a> {
    pub(crate) fn keyed(properties: &'a [(&'a str, &'a str)], count: u64) -> Self {
        Self {
            properties,
            count,
            has_keys: true,
        }
    }

    pub(crate) fn without_keys(properties: &'a [(&'a str, &'a str)], count: u64) -> Self {
        Self {
            has_keys: false,
            ..Self::keyed(properties, count)
        }
    }

    /// Sends from all threads, and calls `fault` before each of [`ROUNDS`] parts. Returns when
    /// every record has a result.
    pub(crate) fn send<S: Subject>(
        &self,
        bootstrap_servers: &str,
        mut fault: impl FnMut(i32),
    ) -> History {
        let history = Arc::new(History::new(std::process::id(), THREADS));
        let producer = S::start(bootstrap_servers, self.properties);
        for round in 0..ROUNDS {
            fault(round);
            let part = self.part(round as u64);
            thread::scope(|scope| {
                for thread in 0..THREADS {
                    let (producer, history, part) = (&producer, &history, part.clone());
                    scope.spawn(move || self.send_part(producer, history, thread, part));
                }
            });
        }
        producer.flush();
        drop(producer);
        let history = Arc::into_inner(history).expect("every callback was called and dropped");
        assert_eq!(history.sent(), self.count * u64::from(THREADS));
        history
    }

    fn part(&self, round: u64) -> Range<u64> {
        let start_of = |round| self.count * round / ROUNDS as u64;
        start_of(round)..start_of(round + 1)
    }

    fn send_part<S: Subject>(
        &self,
        producer: &S,
        history: &Arc<History>,
        thread: u32,
        numbers: Range<u64>,
    ) {
        for number in numbers {
            // Each key belongs to one thread, so that its order is that of the thread's sends.
            let key = self.has_keys.then(|| format!("{thread}-{}", number % KEYS));
            let payload = history.invoke(thread, key.as_deref(), VALUE_SIZE);
            let record = Record {
                key: key.as_ref().map(String::as_bytes),
                value: Some(payload.value.as_bytes()),
                ..Record::default()
            };
            let (id, history) = (payload.id, Arc::clone(history));
            producer.send(
                record,
                Box::new(move |outcome| history.complete(id, outcome)),
            );
        }
    }
}
