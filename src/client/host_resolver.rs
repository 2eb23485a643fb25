//! Resolves names on other threads than the I/O thread. Java: `HostResolver`,
//! `DefaultHostResolver`.
//!
//! Threads: one thread per client calls the operating system, which may take many seconds. The
//! first name starts it. If a name waits while all look-ups hang, another thread is started, up to
//! [`MAX_THREADS`]. After the resolver is dropped, each thread ends with its current look-up.
//! A queue each way carries the names and the results, and each result ends the I/O thread's wait.
//! Numeric addresses do not come here.
//! Locks: one mutex around both queues, held for a push or a pop.
//! Differs from Java: the I/O thread continues with other nodes while a name is resolved.

mod system_lookup;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use hashbrown::HashSet;

use crate::sync::{Arc, Condvar, Mutex};
use crate::utils::{KafkaThread, log};

pub(crate) use system_lookup::SystemHostLookup;

/// The number of hanging look-ups that block all others.
const MAX_THREADS: usize = 4;

/// Calls the name service, and blocks.
pub(crate) trait HostLookup: Send + Sync + std::fmt::Debug {
    /// Returns every address of a host with port 0, the preferred ones first. IPv6 addresses keep
    /// their scope.
    fn addresses(&self, host: &str) -> io::Result<Vec<SocketAddr>>;

    /// Returns the name of an address, or the address as text if it has none.
    fn canonical_host_name(&self, address: SocketAddr) -> String;
}

/// The result of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedHost {
    pub(crate) host: Arc<str>,
    /// The addresses with port 0, never empty; or why there are none.
    pub(crate) addresses: Result<Vec<SocketAddr>, String>,
}

/// Resolves names without blocking.
pub(crate) trait HostResolver: Send + std::fmt::Debug {
    /// Requests the addresses of a host. Does nothing if the host is already being resolved.
    fn resolve(&mut self, host: &str, now: Instant);

    /// Returns the next finished look-up.
    fn poll_resolved(&mut self, now: Instant) -> Option<ResolvedHost>;

    /// Returns when [`poll_resolved`](Self::poll_resolved) must be called even if no look-up has
    /// ended.
    fn next_poll(&self) -> Option<Instant>;
}

/// Resolves names on its own threads.
#[derive(Debug)]
pub(crate) struct ThreadedHostResolver {
    /// Hosts without a result. The threads have the oldest ones; the others wait.
    pending: HashSet<Arc<str>>,
    worker: Worker,
    threads: usize,
    /// How long all threads may hang while another name waits.
    patience: Duration,
    /// When a thread last began or ended a look-up, as far as this side knows.
    last_progress: Option<Instant>,
    /// Results of names for which no thread could be started.
    failed: Vec<ResolvedHost>,
}

/// What the resolver and its threads exchange.
#[derive(Debug, Default)]
struct Exchange {
    queues: Mutex<Queues>,
    /// A name has come, or the resolver has gone.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queues {
    names: VecDeque<Arc<str>>,
    results: VecDeque<ResolvedHost>,
    /// Whether the resolver has gone.
    is_closed: bool,
}

/// The parts of a thread.
#[derive(Clone)]
struct Worker {
    thread_name: String,
    exchange: Arc<Exchange>,
    lookup: Arc<dyn HostLookup>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl ThreadedHostResolver {
    /// Creates a resolver without threads.
    ///
    /// `patience` is `socket.connection.setup.timeout.ms`. After that time the connection has
    /// failed anyway, so other names need not wait for the look-up. `wake` is called after each
    /// result, on a resolver thread.
    pub(crate) fn new(
        thread_name: String,
        lookup: Arc<dyn HostLookup>,
        patience: Duration,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self {
            pending: HashSet::new(),
            worker: Worker {
                thread_name,
                exchange: Arc::default(),
                lookup,
                wake: Arc::new(wake),
            },
            threads: 0,
            patience,
            last_progress: None,
            failed: Vec::new(),
        }
    }

    /// Hands a name to the threads.
    ///
    /// # Errors
    ///
    /// There is no thread, and the operating system refuses one.
    fn hand_over(&mut self, host: &Arc<str>, now: Instant) -> io::Result<()> {
        if self.threads == 0 {
            self.start_thread(now)?;
        } else if self.pending.len() < self.threads {
            // An idle thread takes it.
            self.last_progress = Some(now);
        }
        self.worker.exchange.request(Arc::clone(host));
        Ok(())
    }

    fn start_thread(&mut self, now: Instant) -> io::Result<()> {
        self.last_progress = Some(now);
        self.worker.clone().start()?;
        self.threads += 1;
        Ok(())
    }

    /// Starts another thread if names wait while every thread hangs.
    fn relieve(&mut self, now: Instant) {
        if self.next_poll().is_none_or(|due| now < due) {
            return;
        }
        log::warn!(
            "{} look-ups of host names take longer than {} ms (socket.connection.setup.timeout.ms), \
             so another thread resolves the waiting names",
            self.threads,
            self.patience.as_millis()
        );
        if let Err(error) = self.start_thread(now) {
            log::warn!("cannot start another thread to resolve names: {error}");
        }
    }
}

impl HostResolver for ThreadedHostResolver {
    fn resolve(&mut self, host: &str, now: Instant) {
        if !self.pending.contains(host) {
            let host: Arc<str> = Arc::from(host);
            match self.hand_over(&host, now) {
                Ok(()) => {
                    self.pending.insert(host);
                }
                Err(error) => self.failed.push(ResolvedHost {
                    host,
                    addresses: Err(format!("cannot start a thread to resolve names: {error}")),
                }),
            }
        }
        self.relieve(now);
    }

    fn poll_resolved(&mut self, now: Instant) -> Option<ResolvedHost> {
        if let Some(failed) = self.failed.pop() {
            return Some(failed);
        }
        let Some(resolved) = self.worker.exchange.next_result() else {
            self.relieve(now);
            return None;
        };
        self.pending.remove(&resolved.host);
        self.last_progress = Some(now);
        Some(resolved)
    }

    fn next_poll(&self) -> Option<Instant> {
        let is_waiting = self.pending.len() > self.threads && self.threads < MAX_THREADS;
        let since = self.last_progress.filter(|_| is_waiting)?;
        since.checked_add(self.patience)
    }
}

impl Drop for ThreadedHostResolver {
    fn drop(&mut self) {
        self.worker.exchange.close();
    }
}

impl Exchange {
    fn request(&self, host: Arc<str>) {
        self.queues.lock().names.push_back(host);
        self.changed.notify_one();
    }

    fn next_result(&self) -> Option<ResolvedHost> {
        self.queues.lock().results.pop_front()
    }

    fn close(&self) {
        self.queues.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits for the next name. `None` when the resolver has gone.
    fn next_name(&self) -> Option<Arc<str>> {
        let mut queues = self.queues.lock();
        self.changed.wait_while(&mut queues, |queues| {
            queues.names.is_empty() && !queues.is_closed
        });
        match queues.is_closed {
            true => None,
            false => queues.names.pop_front(),
        }
    }

    fn answer(&self, result: ResolvedHost) {
        self.queues.lock().results.push_back(result);
    }
}

impl Worker {
    fn start(self) -> io::Result<()> {
        let thread_name = self.thread_name.clone();
        // The thread is never joined, because it may be in a look-up that cannot be cancelled. It
        // ends on its own once the resolver is gone.
        KafkaThread::spawn(thread_name, move || self.run()).map(drop)
    }

    fn run(&self) {
        while let Some(host) = self.exchange.next_name() {
            let addresses = self.addresses(&host);
            self.exchange.answer(ResolvedHost { host, addresses });
            (self.wake)();
        }
    }

    fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, String> {
        // A panic would end the thread without a result, and the name would wait forever.
        match catch_unwind(AssertUnwindSafe(|| self.lookup.addresses(host))) {
            Ok(Ok(addresses)) if addresses.is_empty() => Err("it has no addresses".to_owned()),
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the look-up panicked".to_owned()),
        }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("thread_name", &self.thread_name)
            .field("lookup", &self.lookup)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
