//! Names to addresses, off the I/O thread. Java: `HostResolver`, `DefaultHostResolver`.
//!
//! Threads: one thread per client asks the operating system, which may take many seconds; it is started by the first
//! name and ends after the look-up during which the resolver was dropped. Requests and answers pass through channels, and
//! each answer ends the I/O thread's wait. Addresses that are written as numbers do not come here.
//! Differs from Java: the I/O thread goes on with other nodes while a name is resolved.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};

use crossbeam_channel::{Receiver, Sender, unbounded};
use hashbrown::HashSet;

use crate::sync::Arc;
use crate::utils::KafkaThread;

/// Asks the name service; blocks.
pub(crate) trait HostLookup: Send + Sync + std::fmt::Debug {
    /// Every address of a host, the preferred ones first.
    fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;

    /// The name that belongs to an address, or the address as text where there is none.
    fn canonical_host_name(&self, address: IpAddr) -> String;
}

/// The operating system's name service.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemHostLookup;

impl HostLookup for SystemHostLookup {
    fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let addresses = (host, 0).to_socket_addrs()?;
        Ok(addresses.map(|address| address.ip()).collect())
    }

    /// Differs from Java: the standard library cannot ask for the name of an address, so this is the address as text,
    /// which is what Java gets too where the name service has no reverse entry.
    fn canonical_host_name(&self, address: IpAddr) -> String {
        address.to_string()
    }
}

/// The end of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedHost {
    pub(crate) host: Arc<str>,
    /// Never empty; or why there are none.
    pub(crate) addresses: Result<Vec<IpAddr>, String>,
}

/// Resolves names without blocking.
pub(crate) trait HostResolver: Send + std::fmt::Debug {
    /// Asks for the addresses of a host. A host that is being resolved already is not asked for twice.
    fn resolve(&mut self, host: &str);

    /// The next look-up that has ended.
    fn poll_resolved(&mut self) -> Option<ResolvedHost>;
}

/// Resolves on a thread of its own.
#[derive(Debug)]
pub(crate) struct ThreadedHostResolver {
    requests: Sender<Arc<str>>,
    resolved: Receiver<ResolvedHost>,
    pending: HashSet<Arc<str>>,
    /// What the thread is made of, until one could be started.
    worker: Option<Worker>,
    /// Answers that need no thread: it could not be started.
    failed: Vec<ResolvedHost>,
}

#[derive(Clone)]
struct Worker {
    thread_name: String,
    requests: Receiver<Arc<str>>,
    resolved: Sender<ResolvedHost>,
    lookup: Arc<dyn HostLookup>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl ThreadedHostResolver {
    /// `wake` is called after each answer, on the resolver's thread.
    pub(crate) fn new(
        thread_name: String,
        lookup: Arc<dyn HostLookup>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (requests, to_resolve) = unbounded();
        let (answers, resolved) = unbounded();
        Self {
            requests,
            resolved,
            pending: HashSet::new(),
            worker: Some(Worker {
                thread_name,
                requests: to_resolve,
                resolved: answers,
                lookup,
                wake: Arc::new(wake),
            }),
            failed: Vec::new(),
        }
    }
}

impl ThreadedHostResolver {
    fn hand_over(&mut self, host: &Arc<str>) -> Result<(), String> {
        if let Some(worker) = &self.worker {
            let started = worker.clone().start();
            started.map_err(|error| format!("no thread to resolve names on: {error}"))?;
            self.worker = None;
        }
        self.requests
            .send(Arc::clone(host))
            .map_err(|_| "the thread that resolves names has died".to_owned())
    }
}

impl HostResolver for ThreadedHostResolver {
    fn resolve(&mut self, host: &str) {
        if self.pending.contains(host) {
            return;
        }
        let host: Arc<str> = Arc::from(host);
        match self.hand_over(&host) {
            Ok(()) => {
                self.pending.insert(host);
            }
            Err(reason) => self.failed.push(ResolvedHost {
                host,
                addresses: Err(reason),
            }),
        }
    }

    fn poll_resolved(&mut self) -> Option<ResolvedHost> {
        if let Some(failed) = self.failed.pop() {
            return Some(failed);
        }
        let resolved = self.resolved.try_recv().ok()?;
        self.pending.remove(&resolved.host);
        Some(resolved)
    }
}

impl Worker {
    fn start(self) -> io::Result<()> {
        let thread_name = self.thread_name.clone();
        // Nobody waits for the thread: it may be in a look-up that cannot be broken off. It ends by itself when the
        // resolver, and with it the other end of the channels, is gone.
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

    fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        match self.lookup.addresses(host) {
            Ok(addresses) if addresses.is_empty() => Err("it has no addresses".to_owned()),
            Ok(addresses) => Ok(addresses),
            Err(error) => Err(error.to_string()),
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
