//! Names to addresses, off the I/O thread. Java: `HostResolver`, `DefaultHostResolver`.
//!
//! Threads: one thread per client asks the operating system, which may take many seconds; it is started by the first
//! name. While a name waits behind look-ups that hang, another thread is started, up to [`MAX_THREADS`]. Each thread ends
//! after the look-up during which the resolver was dropped. Requests and answers pass through channels, and each answer
//! ends the I/O thread's wait. Addresses that are written as numbers do not come here.
//! Differs from Java: the I/O thread goes on with other nodes while a name is resolved.

mod system_lookup;

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use hashbrown::HashSet;

use crate::sync::Arc;
use crate::utils::{KafkaThread, log};

pub(crate) use system_lookup::SystemHostLookup;

/// How many look-ups may hang before they hold up all others.
const MAX_THREADS: usize = 4;

/// Asks the name service; blocks.
pub(crate) trait HostLookup: Send + Sync + std::fmt::Debug {
    /// Every address of a host with port 0, the preferred ones first. IPv6 addresses keep their scope.
    fn addresses(&self, host: &str) -> io::Result<Vec<SocketAddr>>;

    /// Returns the name that belongs to an address, or the address as text where there is none.
    fn canonical_host_name(&self, address: SocketAddr) -> String;
}

/// The end of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedHost {
    pub(crate) host: Arc<str>,
    /// Never empty, with port 0; or why there are none.
    pub(crate) addresses: Result<Vec<SocketAddr>, String>,
}

/// Resolves names without blocking.
pub(crate) trait HostResolver: Send + std::fmt::Debug {
    /// Asks for the addresses of a host. A host that is being resolved already is not asked for twice.
    fn resolve(&mut self, host: &str, now: Instant);

    /// Returns the next look-up that has ended.
    fn poll_resolved(&mut self, now: Instant) -> Option<ResolvedHost>;

    /// When [`poll_resolved`](Self::poll_resolved) must be called even if no look-up has ended.
    fn next_poll(&self) -> Option<Instant>;
}

/// Resolves on threads of its own.
#[derive(Debug)]
pub(crate) struct ThreadedHostResolver {
    requests: Sender<Arc<str>>,
    resolved: Receiver<ResolvedHost>,
    /// Hosts without an answer. The oldest are with the threads, the others wait for one.
    pending: HashSet<Arc<str>>,
    worker: Worker,
    threads: usize,
    /// How long all threads may be busy with the same look-ups while another name waits.
    patience: Duration,
    /// When a thread last took up or ended a look-up, as far as this side knows.
    last_progress: Option<Instant>,
    /// Answers that need no thread: it could not be started.
    failed: Vec<ResolvedHost>,
}

/// What a thread is made of.
#[derive(Clone)]
struct Worker {
    thread_name: String,
    requests: Receiver<Arc<str>>,
    resolved: Sender<ResolvedHost>,
    lookup: Arc<dyn HostLookup>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl ThreadedHostResolver {
    /// Creates a resolver without threads.
    ///
    /// `patience` is `socket.connection.setup.timeout.ms`: a connection whose name takes longer has failed, so a look-up
    /// that takes longer is no reason for others to wait. `wake` is called after each answer, on a resolver thread.
    pub(crate) fn new(
        thread_name: String,
        lookup: Arc<dyn HostLookup>,
        patience: Duration,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (requests, to_resolve) = unbounded();
        let (answers, resolved) = unbounded();
        Self {
            requests,
            resolved,
            pending: HashSet::new(),
            worker: Worker {
                thread_name,
                requests: to_resolve,
                resolved: answers,
                lookup,
                wake: Arc::new(wake),
            },
            threads: 0,
            patience,
            last_progress: None,
            failed: Vec::new(),
        }
    }

    fn hand_over(&mut self, host: &Arc<str>, now: Instant) -> Result<(), String> {
        if self.threads == 0 {
            self.start_thread(now)
                .map_err(|error| format!("no thread to resolve names on: {error}"))?;
        } else if self.pending.len() < self.threads {
            // An idle thread takes it up.
            self.last_progress = Some(now);
        }
        self.requests
            .send(Arc::clone(host))
            .map_err(|_| "the threads that resolve names have died".to_owned())
    }

    fn start_thread(&mut self, now: Instant) -> io::Result<()> {
        self.last_progress = Some(now);
        self.worker.clone().start()?;
        self.threads += 1;
        Ok(())
    }

    /// Starts another thread for the names that wait while every thread hangs.
    fn relieve(&mut self, now: Instant) {
        if self.next_poll().is_none_or(|due| now < due) {
            return;
        }
        log::warn!(
            "{} look-ups of host names take longer than {} ms (socket.connection.setup.timeout.ms), \
             and another thread resolves the names that wait",
            self.threads,
            self.patience.as_millis()
        );
        if let Err(error) = self.start_thread(now) {
            log::warn!("no further thread to resolve names on: {error}");
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
                Err(reason) => self.failed.push(ResolvedHost {
                    host,
                    addresses: Err(reason),
                }),
            }
        }
        self.relieve(now);
    }

    fn poll_resolved(&mut self, now: Instant) -> Option<ResolvedHost> {
        if let Some(failed) = self.failed.pop() {
            return Some(failed);
        }
        let Ok(resolved) = self.resolved.try_recv() else {
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

impl Worker {
    fn start(self) -> io::Result<()> {
        let thread_name = self.thread_name.clone();
        // No thread joins this one: it may be in a look-up that cannot be cancelled. It ends by
        // itself when the resolver, and with it the other end of the channels, is gone.
        KafkaThread::spawn(thread_name, move || self.run()).map(drop)
    }

    fn run(&self) {
        for host in &self.requests {
            let addresses = self.addresses(&host);
            if self
                .resolved
                .send(ResolvedHost { host, addresses })
                .is_err()
            {
                return;
            }
            (self.wake)();
        }
    }

    fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, String> {
        // A panic would end the thread without an answer, and the name would wait for ever.
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
