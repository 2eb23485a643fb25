//! Reads the stores again for new connections. Java: `SslFactory.reconfigure`, which only brokers call.
//!
//! Threads: the I/O thread asks for what the stores hold now, and waits a moment for it. One thread at a time reads them, for
//! it alone: a file system that hangs must not hold up the other connections.
//! Locks: that of the [`Latch`].

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rustls::ClientConfig;

use super::certificates::StoreContents;
use crate::sync::{Arc, Latch};
use crate::utils::{KafkaThread, SystemTime, Time};

/// How long the I/O thread waits for files, which a local disk has in less than a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

/// After a reading that nobody waited for and that took longer than this, the next one is not waited for either.
const SLOW: Duration = Duration::from_millis(250);

/// What the stores hold, and the settings that were made of it.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) contents: Arc<StoreContents>,
    pub(super) client: Arc<ClientConfig>,
}

/// What came of a reading: `None` if the stores hold what they held.
pub(super) type Outcome = Result<Option<Loaded>, String>;

/// Reads the stores, and compares them with what they held before.
type Read = dyn Fn(&StoreContents) -> Outcome + Send + Sync;

/// What came of a reading, and how long it took.
type Reading = Latch<(Outcome, Duration)>;

/// Reads the stores on a thread of its own.
#[derive(Clone)]
pub(super) struct Reloader {
    read: Arc<Read>,
    /// A reading that nobody waits for any more, because it or the one before took too long. It may never end.
    late: Option<Arc<Reading>>,
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader")
            .field("late", &self.late.is_some())
            .finish_non_exhaustive()
    }
}

impl Reloader {
    pub(super) fn new(read: Arc<Read>) -> Self {
        Self { read, late: None }
    }

    /// Returns what the stores hold now, if that is not `held`. Where stores are slow, it is what they held when the
    /// connection before this one was made.
    ///
    /// # Errors
    ///
    /// It cannot be used, or is not there yet. While a reading hangs, this returns at once.
    ///
    /// # Blocking
    ///
    /// Half a second, and not again until the stores have been fast.
    pub(super) fn reload(&mut self, held: &Arc<StoreContents>) -> Outcome {
        if let Some(late) = self.late.clone() {
            let Some((outcome, took)) = late.get() else {
                return Err(hangs());
            };
            if *took > SLOW {
                let found = outcome.as_ref().ok().and_then(Option::as_ref);
                let held = found.map_or(held, |found| &found.contents);
                self.late = Some(self.start(held)?);
                return outcome.clone();
            }
        }
        let reading = self.start(held)?;
        let done = reading.wait(Some(PATIENCE));
        let outcome = done.map(|(outcome, _)| outcome.clone());
        self.late = outcome.is_none().then_some(reading);
        outcome.unwrap_or_else(|| Err(hangs()))
    }

    fn start(&self, held: &Arc<StoreContents>) -> Result<Arc<Reading>, String> {
        let reading = Arc::new(Latch::default());
        let (read, held, done) = (
            Arc::clone(&self.read),
            Arc::clone(held),
            Arc::clone(&reading),
        );
        let spawned = KafkaThread::spawn("kafka-certificate-reader".to_owned(), move || {
            let start = SystemTime.now();
            let outcome = catch_unwind(AssertUnwindSafe(|| read(&held)));
            let outcome = outcome.unwrap_or_else(|_| Err("reading the stores panicked".to_owned()));
            let took = SystemTime.now().saturating_duration_since(start);
            // Only the I/O thread waits, and that is no task.
            _ = done.open((outcome, took));
        });
        spawned.map(|_| reading).map_err(|error| {
            format!("the operating system refuses a thread that reads the stores: {error}")
        })
    }
}

fn hangs() -> String {
    let ms = PATIENCE.as_millis();
    format!("ssl.truststore.location and ssl.keystore.location could not be read within {ms} ms")
}
