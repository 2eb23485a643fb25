//! Reads the stores again for new connections. Java: `SslFactory.reconfigure`, which only brokers call.
//!
//! Threads: the I/O thread asks for what the stores hold now, and waits a moment for it. One thread at a time reads them, for
//! it alone: a file system that hangs must not hold up the other connections.
//! Locks: that of the [`Latch`].

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rustls::ClientConfig;

use super::certificates::StoreContents;
use crate::sync::{Arc, Latch};
use crate::utils::KafkaThread;

/// How long the I/O thread waits for files, which a local disk has in less than a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

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

/// Reads the stores on a thread of its own.
#[derive(Clone)]
pub(super) struct Reloader {
    read: Arc<Read>,
    /// A reading that took too long, and may never end.
    late: Option<Arc<Latch<Outcome>>>,
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

    /// Returns what the stores hold now, if that is not `held`.
    ///
    /// # Errors
    ///
    /// It cannot be used, or is not there yet. While a reading hangs, this returns at once.
    ///
    /// # Blocking
    ///
    /// Half a second, once for each reading that hangs.
    pub(super) fn reload(&mut self, held: &Arc<StoreContents>) -> Outcome {
        // What a late reading found may be old by now.
        if self.late.as_ref().is_some_and(|late| late.get().is_none()) {
            return Err(hangs());
        }
        let reading = self.start(held);
        let reading = reading.map_err(|error| {
            format!("the operating system refuses a thread that reads the stores: {error}")
        })?;
        let outcome = reading.wait(Some(PATIENCE)).cloned();
        self.late = outcome.is_none().then_some(reading);
        outcome.unwrap_or_else(|| Err(hangs()))
    }

    fn start(&self, held: &Arc<StoreContents>) -> io::Result<Arc<Latch<Outcome>>> {
        let reading = Arc::new(Latch::default());
        let (read, held, done) = (
            Arc::clone(&self.read),
            Arc::clone(held),
            Arc::clone(&reading),
        );
        KafkaThread::spawn("kafka-certificate-reader".to_owned(), move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| read(&held)));
            let outcome = outcome.unwrap_or_else(|_| Err("reading the stores panicked".to_owned()));
            // Only the I/O thread waits, and that is no task.
            _ = done.open(outcome);
        })?;
        Ok(reading)
    }
}

fn hangs() -> String {
    let ms = PATIENCE.as_millis();
    format!("ssl.truststore.location and ssl.keystore.location could not be read within {ms} ms")
}
