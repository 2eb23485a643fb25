//! The first look-up of `bootstrap.servers` in the background. Java:
//! `NetworkClient.BootstrapConfiguration`; KIP-909.
//!
//! Threads: owned by the I/O thread; the threads of the client's [`HostResolver`] resolve the
//! names.
//!
//! Differs from Java: the rebootstrap timer does nothing before the first look-up has ended; Java's
//! loop fails in every round. If a look-up hangs, the names that are resolved when the time runs
//! out are used.

use std::time::{Duration, Instant};

use super::client_utils::{BootstrapAddress, ClientDnsLookup, bootstrap_nodes, names_of};
use super::host_resolver::{HostResolver, ResolvedHost, SystemHostLookup};
use crate::common::Node;
use crate::error::{Error, ErrorKind};
use crate::utils::log;

/// The names to resolve, and the time limit.
#[derive(Clone, Debug)]
pub(crate) struct BootstrapConfig {
    pub(crate) addresses: Vec<BootstrapAddress>,
    pub(crate) lookup: ClientDnsLookup,
    /// `bootstrap.resolve.timeout.ms`, above 0.
    pub(crate) timeout: Duration,
    /// `retry.backoff.ms`: the wait after a look-up without a result. It does not grow.
    pub(crate) retry_backoff: Duration,
}

/// The state of one entry in the current look-up.
#[derive(Clone, Debug)]
enum Entry {
    Pending,
    Resolved(Vec<String>),
    Failed,
}

#[derive(Debug)]
enum Phase {
    /// The next look-up begins at this time.
    Waiting(Instant),
    /// One entry for each address.
    Resolving(Vec<Entry>),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct BootstrapResolution {
    config: BootstrapConfig,
    phase: Phase,
    deadline: Instant,
    /// Why the last look-up of a name failed.
    last_failure: Option<String>,
}

impl BootstrapResolution {
    /// Creates a resolution whose time begins now.
    pub(crate) fn new(config: BootstrapConfig, now: Instant) -> Self {
        let deadline = now.checked_add(config.timeout);
        Self {
            // A time beyond the clock's range never ends.
            deadline: deadline.unwrap_or_else(|| now + Duration::from_secs(u32::MAX.into())),
            phase: Phase::Waiting(now),
            config,
            last_failure: None,
        }
    }

    /// Takes the result of a look-up, which may be for another name.
    pub(crate) fn handle_resolved(&mut self, resolved: &ResolvedHost) {
        let Phase::Resolving(entries) = &mut self.phase else {
            return;
        };
        let entries = entries.iter_mut().zip(&self.config.addresses);
        for (entry, address) in entries.filter(|(_, address)| address.host == *resolved.host) {
            *entry = match &resolved.addresses {
                Ok(addresses) => Entry::Resolved(names_of(
                    &address.host,
                    addresses,
                    self.config.lookup,
                    &SystemHostLookup,
                )),
                Err(reason) => {
                    let host = &address.host;
                    log::warn!("bootstrap.servers: {host} cannot be resolved: {reason}");
                    self.last_failure = Some(format!("{host}: {reason}"));
                    Entry::Failed
                }
            };
        }
    }

    /// Takes the next step. Returns the first nodes, or the final error. The resolution has then
    /// ended.
    pub(crate) fn poll(
        &mut self,
        resolver: &mut dyn HostResolver,
        now: Instant,
    ) -> Option<Result<Vec<Node>, Error>> {
        // A result counts even if the time has run out meanwhile.
        if let Some(nodes) = self.nodes(now) {
            return Some(Ok(nodes));
        }
        if now >= self.deadline {
            return Some(Err(self.timed_out()));
        }
        match &self.phase {
            Phase::Resolving(entries) if entries.iter().all(Entry::has_failed) => {
                self.phase = Phase::Waiting(now + self.config.retry_backoff);
            }
            Phase::Waiting(begin) if now >= *begin => self.begin(resolver, now),
            Phase::Waiting(_) | Phase::Resolving(_) => {}
        }
        None
    }

    /// Returns when [`poll`](Self::poll) must be called even if no name is resolved before.
    pub(crate) fn next_poll(&self) -> Instant {
        match self.phase {
            Phase::Waiting(begin) => begin.min(self.deadline),
            Phase::Resolving(_) => self.deadline,
        }
    }

    fn begin(&mut self, resolver: &mut dyn HostResolver, now: Instant) {
        let entries = self.config.addresses.iter().map(|address| {
            match address.without_resolution(self.config.lookup) {
                Some(name) => Entry::Resolved(vec![name]),
                None => {
                    resolver.resolve(&address.host, now);
                    Entry::Pending
                }
            }
        });
        self.phase = Phase::Resolving(entries.collect());
    }

    /// Returns the nodes of the resolved names, once every look-up has ended or the time has run
    /// out.
    fn nodes(&self, now: Instant) -> Option<Vec<Node>> {
        let Phase::Resolving(entries) = &self.phase else {
            return None;
        };
        let is_pending = entries.iter().any(|entry| matches!(entry, Entry::Pending));
        if is_pending && now < self.deadline {
            return None;
        }
        let resolved = entries.iter().zip(&self.config.addresses);
        let resolved = resolved.filter_map(|(entry, address)| match entry {
            Entry::Resolved(names) => Some((names, address.port)),
            Entry::Pending | Entry::Failed => None,
        });
        let nodes = bootstrap_nodes(
            resolved.flat_map(|(names, port)| names.iter().map(move |name| (name.clone(), port))),
        );
        (!nodes.is_empty()).then_some(nodes)
    }

    fn timed_out(&self) -> Error {
        let millis = self.config.timeout.as_millis();
        let why = match &self.last_failure {
            Some(failure) => format!("; {failure}"),
            None => String::new(),
        };
        let text = format!(
            "no name of bootstrap.servers was resolved within {millis} ms (bootstrap.resolve.timeout.ms); close this producer and \
             build another{why}"
        );
        Error::new(ErrorKind::BootstrapResolution, text)
    }
}

impl Entry {
    const fn has_failed(&self) -> bool {
        matches!(self, Self::Failed)
    }
}
