//! What the producer knows of the cluster, shared by every thread. Java: `Metadata`, `ProducerMetadata`.
//!
//! Threads: callers add topics, read the snapshot and wait; the I/O thread updates.
//! Locks: `state` guards everything that changes with an update, and `updated` is signalled under it. The snapshot, the
//! topic table and the time of the next update are published for reading without the lock. They are only written with
//! the lock held, so that none can go back in time.
//!
//! Differs from Java: one type, because there is only a producer; nothing on the path of a send whose topic is known
//! takes the lock.

mod connection_failures;
mod errors;
mod leader_epochs;
mod nodes;
mod refresh_schedule;
mod state;
#[cfg(test)]
mod tests;
mod topic_table;
mod update;

use std::time::{Duration, Instant};

use crate::common::{Cluster, ClusterBuilder, Node, TopicPartition};
use crate::error::{Error, ErrorKind, TimeoutReason};
#[cfg(test)]
use crate::protocol::messages::MetadataResponse;
use crate::protocol::messages::{MetadataRequest, MetadataView};
use crate::sync::{Arc, ArcSwap, AtomicU64, Condvar, Mutex, Ordering, Snapshot};
use crate::utils::Time;

pub(crate) use crate::utils::printable;
pub(crate) use connection_failures::node_address;
pub(crate) use nodes::node_from_wire;
use state::MetadataState;
use topic_table::TopicTable;
pub(crate) use update::describe_errors;

/// How often metadata is refreshed, and how long an unused topic is kept.
#[derive(Clone, Debug)]
pub(crate) struct MetadataConfig {
    /// `retry.backoff.ms`: the least time between two updates, unless a caller waits for a new
    /// topic.
    pub(crate) refresh_backoff: Duration,
    /// `retry.backoff.max.ms`
    pub(crate) refresh_backoff_max: Duration,
    /// `metadata.max.age.ms`: an update is due after this time even if nothing seems to have changed.
    pub(crate) max_age: Duration,
    /// `metadata.max.idle.ms`: a topic that is not sent to for this long is forgotten.
    pub(crate) topic_idle: Duration,
}

/// Which state of affairs a metadata request asked about, so that its response is applied as what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MetadataRequestVersion {
    pub(crate) request_version: u64,
    /// Only the topics that are new were asked for.
    pub(crate) is_partial: bool,
}

/// The cluster's nodes and the topics that the producer sends to. Shared by `Arc`.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// Published times are counted from here.
    start: Instant,
    state: Mutex<MetadataState>,
    updated: Condvar,
    snapshot: ArcSwap<Cluster>,
    topics: ArcSwap<TopicTable>,
    next_update_nanos: AtomicU64,
}

impl Metadata {
    /// Metadata without nodes; [`bootstrap`](Self::bootstrap) names the first ones.
    pub(crate) fn new(config: MetadataConfig, now: Instant) -> Self {
        Self {
            start: now,
            state: Mutex::new(MetadataState::new(&config)),
            updated: Condvar::new(),
            snapshot: ArcSwap::default(),
            topics: ArcSwap::from_pointee(TopicTable::new(config.topic_idle)),
            next_update_nanos: AtomicU64::new(0),
        }
    }

    /// Returns the latest view of the cluster. Lock-free; for a short time only, since a guard
    /// makes an update slower.
    pub(crate) fn snapshot(&self) -> Snapshot<Arc<Cluster>> {
        self.snapshot.load()
    }

    /// Returns the latest view of the cluster, to keep.
    pub(crate) fn load(&self) -> Arc<Cluster> {
        self.snapshot.load_full()
    }

    /// Makes the nodes that the user named the only ones that are known, and keeps them for
    /// [`rebootstrap`](Self::rebootstrap).
    pub(crate) fn bootstrap(&self, nodes: Vec<Node>) {
        self.change(|metadata, state| {
            state.bootstrap_nodes.clone_from(&nodes);
            state.refresh.request_full();
            state.update_version += 1;
            metadata
                .snapshot
                .store(Arc::new(ClusterBuilder::bootstrap(nodes)));
        });
    }

    /// The names of the bootstrap nodes were not resolved in time: every waiter fails with this error, now and later.
    pub(crate) fn fail_bootstrap(&self, error: Error) {
        self.change(|_, state| state.bootstrap_error = Some(error.into_fatal()));
        self.updated.notify_all();
    }

    /// Returns the error of [`fail_bootstrap`](Self::fail_bootstrap). Costs the lock only while no node is known.
    pub(crate) fn bootstrap_error(&self) -> Option<Error> {
        if !self.snapshot.load().nodes().is_empty() {
            return None;
        }
        self.state.lock().bootstrap_error.clone()
    }

    /// Forgets the nodes and starts again from those that the user named. KIP-899.
    ///
    /// The topics stay as they were known last, without leaders, until a cluster responds: a send to a topic in use goes on
    /// into the buffer, which is there for that. Java forgets them, and its sends block. The epochs are forgotten: the
    /// cluster may be another one, or restored from a backup, with lower ones.
    ///
    /// Returns the number of those nodes. Returns `None`, and does nothing, if no broker has responded since the last time:
    /// there is nothing to forget.
    pub(crate) fn rebootstrap(&self) -> Option<usize> {
        self.change(|metadata, state| {
            let last = metadata.snapshot.load_full();
            if last.is_bootstrap() {
                return None;
            }
            let nodes = state.bootstrap_nodes.clone();
            let count = nodes.len();
            state.refresh.request_full();
            state.epochs.clear();
            state.update_version += 1;
            metadata
                .snapshot
                .store(Arc::new(ClusterBuilder::rebootstrap(nodes, &last)));
            Some(count)
        })
    }

    /// Keeps `topic` for `metadata.max.idle.ms` from now. A topic that is new asks for an update at once. Returns whether it
    /// is new.
    pub(crate) fn add(&self, topic: &str, now: Instant) -> bool {
        let millis = self.millis(now);
        // Every send that begins a batch comes here, so a known topic must not cost the lock. If an update drops the topic as
        // idle at this very moment, the touch is lost; the sender then finds the topic missing and adds it again.
        if self.topics.load().touch(topic, millis) {
            return false;
        }
        self.change(|metadata, state| {
            // Another thread may have added it while this one waited for the lock.
            let table = metadata.topics.load();
            if table.touch(topic, millis) {
                return false;
            }
            let name = Arc::from(topic);
            let with_topic = table.with_topic(Arc::clone(&name), millis);
            metadata.topics.store(Arc::new(with_topic));
            state.add_new_topic(name);
            true
        })
    }

    /// Returns whether [`add`](Self::add) was called for `topic` and it was not forgotten since.
    #[cfg(test)]
    pub(crate) fn contains_topic(&self, topic: &str) -> bool {
        self.topics.load().shared_name(topic).is_some()
    }

    /// Asks for an update of everything. Returns the version that [`await_update`](Self::await_update) must exceed.
    pub(crate) fn request_update(&self) -> u64 {
        self.change(|_, state| {
            state.refresh.request_full();
            state.update_version
        })
    }

    /// Requests an update that covers `topic`: of the new topics alone if it is new, else of everything. The backoffs
    /// hold; only [`add`](Self::add) of a topic that is not there yet passes over one. Java passes over it in each call.
    pub(crate) fn request_update_for_topic(&self, topic: &str) -> u64 {
        self.change(|_, state| {
            if state.is_new_topic(topic) {
                state.refresh.request_partial();
            } else {
                state.refresh.request_full();
            }
            state.update_version
        })
    }

    /// Returns the version that [`await_update`](Self::await_update) must exceed while a topic of `topics` is in no response
    /// yet, or `None` if responses cover all of them.
    pub(crate) fn version_before_response(&self, topics: &[&str]) -> Option<u64> {
        let state = self.state.lock();
        let is_new = topics.iter().any(|topic| state.is_new_topic(topic));
        is_new.then_some(state.update_version)
    }

    /// Grows with each update.
    pub(crate) fn update_version(&self) -> u64 {
        self.state.lock().update_version
    }

    /// Waits until the update version exceeds `version`.
    ///
    /// # Errors
    ///
    /// `Timeout` after `max_wait`; `Closed`; or the fatal error that the I/O thread has met, told to one waiter.
    ///
    /// # Blocking
    ///
    /// Up to `max_wait`, which is what remains of `max.block.ms`.
    pub(crate) fn await_update(
        &self,
        version: u64,
        max_wait: Duration,
        time: &dyn Time,
    ) -> Result<(), Error> {
        let start = time.now();
        let mut state = self.state.lock();
        loop {
            if let Some(error) = &state.bootstrap_error {
                return Err(error.clone());
            }
            if let Some(error) = state.fatal_error.take() {
                return Err(error);
            }
            if state.closed {
                let text = "the producer was closed while the call waited for cluster metadata";
                return Err(Error::new(ErrorKind::Closed, text));
            }
            if state.update_version > version {
                return Ok(());
            }
            let waited = time.now().saturating_duration_since(start);
            if waited >= max_wait {
                return Err(update_timed_out(max_wait));
            }
            self.updated.wait_for(&mut state, max_wait - waited);
        }
    }

    /// What the last update said against `topic`, if anything. Takes the lock: for topics that have no partitions.
    pub(crate) fn topic_error(&self, topic: &str) -> Option<Error> {
        self.state.lock().errors.topic_error(topic)
    }

    /// Throws the fatal error, or what the last update said against `topic` if that is final, and clears both for all
    /// topics. Java: `maybeThrowExceptionForTopic`.
    pub(crate) fn maybe_throw_exception_for_topic(&self, topic: &str) -> Result<(), Error> {
        let mut state = self.state.lock();
        let thrown = state.errors.take_pending(topic);
        match state.fatal_error.take().or(thrown) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Tells one waiter that no update will come, and why.
    pub(crate) fn fatal_error(&self, error: Error) {
        self.change(|_, state| state.fatal_error = Some(error));
        self.updated.notify_all();
    }

    /// A connection to `node` failed, or could not be made.
    pub(crate) fn connection_failed(&self, node: &Node, kind: ErrorKind, cause: &str) {
        let mut state = self.state.lock();
        let version = state.update_version;
        state.connection_failures.add(node, kind, cause, version);
    }

    /// Another broker than `node` answers at its address (KIP-1242).
    pub(crate) fn connection_misrouted(&self, node: &Node, cause: &str) {
        let mut state = self.state.lock();
        state.connection_failures.add_misrouted(node, cause);
    }

    /// `node` has answered a request: what was wrong with it is over.
    pub(crate) fn connection_succeeded(&self, node: &Node) {
        self.state.lock().connection_failures.remove(node);
    }

    /// Why no update came since the last one: the last failure of each address, and the brokers whose addresses are
    /// unusable.
    pub(crate) fn connection_failure(&self) -> Option<Error> {
        let state = self.state.lock();
        let failure = state.connection_failures.since(state.update_version);
        match (failure, &state.unusable_nodes) {
            (Some(failure), Some(unusable)) => {
                let text = format!("{failure}; {unusable}");
                Some(Error::new(ErrorKind::Network, text))
            }
            (failure, unusable) => failure.or_else(|| unusable.as_deref().map(unusable_nodes)),
        }
    }

    /// Returns the brokers of the last response that cannot be connected to, if there are any: a
    /// leader may be among them.
    pub(crate) fn unusable_nodes(&self) -> Option<Error> {
        let state = self.state.lock();
        state.unusable_nodes.as_deref().map(unusable_nodes)
    }

    /// Why `node` cannot be reached, if it was tried and has not answered since.
    pub(crate) fn connection_failure_of(&self, node: &Node) -> Option<Error> {
        self.state.lock().connection_failures.of(node)
    }

    /// Returns when the last full update came.
    pub(crate) fn last_successful_update(&self) -> Option<Instant> {
        self.state.lock().refresh.last_full_refresh()
    }

    /// Wakes the waiters; no update is taken any more.
    pub(crate) fn close(&self) {
        self.change(|_, state| state.closed = true);
        self.updated.notify_all();
    }

    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Returns how long until an update is due; zero if one is due now. Lock-free: the I/O thread
    /// asks for each node.
    pub(crate) fn time_to_next_update(&self, now: Instant) -> Duration {
        let due = Duration::from_nanos(self.next_update_nanos.load(Ordering::Acquire));
        due.saturating_sub(now.saturating_duration_since(self.start))
    }

    /// Returns whether a requested update has not come yet.
    #[cfg(test)]
    pub(crate) fn is_update_requested(&self) -> bool {
        self.state.lock().refresh.is_requested()
    }

    /// What to ask the cluster now.
    pub(crate) fn new_request(&self, now: Instant) -> (MetadataRequest, MetadataRequestVersion) {
        self.change(|metadata, state| state.new_request(&metadata.topics.load(), now))
    }

    /// Applies a response to a request of [`new_request`](Self::new_request), and wakes the waiters.
    ///
    /// Leader epochs are trusted from version 9 of the response on. Returns whether the response was taken; one without a
    /// usable broker is not, and nor is any after [`close`](Self::close).
    pub(crate) fn update(
        &self,
        request: MetadataRequestVersion,
        response: &MetadataView<'_>,
        now: Instant,
    ) -> bool {
        let millis = self.millis(now);
        let taken = self.change(|metadata, state| {
            if state.closed {
                return false;
            }
            let snapshot = metadata.snapshot.load_full();
            let (nodes, unusable_nodes) =
                nodes::nodes_of(response, &snapshot, &mut state.warnings, now);
            state.unusable_nodes = unusable_nodes;
            if nodes.is_empty() {
                return false;
            }
            let expired = metadata.remove_idle_topics(state, millis);
            let topics = metadata.topics.load_full();
            let update = update::Update {
                request,
                response,
                nodes,
                now,
                topics: &topics,
                expired: &expired,
            };
            let cluster = update.apply(&snapshot, state);
            metadata.snapshot.store(Arc::new(cluster));
            true
        });
        if taken {
            self.updated.notify_all();
        }
        taken
    }

    /// As [`update`](Self::update), with a response that is encoded as this version and decoded again.
    #[cfg(test)]
    pub(crate) fn update_with(
        &self,
        request: MetadataRequestVersion,
        response: &MetadataResponse,
        api_version: i16,
        now: Instant,
    ) -> bool {
        response.with_view(api_version, |view| self.update(request, view, now))
    }

    /// Removes the topics that were not used for too long, and returns them. It looks at the topics only if one may be
    /// idle, so that the cost of an update does not grow with the topics that it is not about.
    fn remove_idle_topics(&self, state: &mut MetadataState, millis: u64) -> Vec<Arc<str>> {
        if millis < state.next_idle_check_millis {
            return Vec::new();
        }
        let topics = self.topics.load_full();
        let idle = topics.idle(millis, |topic| state.is_new_topic(topic));
        state.next_idle_check_millis = idle.next_check_millis;
        if !idle.topics.is_empty() {
            self.topics.store(Arc::new(topics.without(&idle.topics)));
        }
        idle.topics
    }

    /// An update was due and did not come: the next one waits for a backoff that grows.
    pub(crate) fn failed_update(&self, now: Instant) {
        self.change(|_, state| state.refresh.failed(now));
    }

    /// Takes over leaders that a Produce response told (KIP-951), given as partition, leader id and leader epoch.
    /// `nodes` are where the response says that the leaders live. Returns the partitions whose leader changed.
    pub(crate) fn update_partition_leadership(
        &self,
        leaders: &[(TopicPartition, i32, i32)],
        nodes: &[Node],
    ) -> Vec<TopicPartition> {
        self.change(|metadata, state| {
            let current = metadata.snapshot.load_full();
            match update::with_new_leaders(&current, &mut state.epochs, leaders, nodes) {
                Some((cluster, changed)) => {
                    metadata.snapshot.store(Arc::new(cluster));
                    changed
                }
                None => Vec::new(),
            }
        })
    }

    /// A broker refused records because it does not lead the partition, or does not know it.
    ///
    /// If the topic has no id, because the brokers are older than 2.8, it may have been created anew: its epochs start again
    /// then, and each response would be taken for a stale one, for ever. So the epoch is forgotten.
    pub(crate) fn leader_refused(&self, topic_partition: &TopicPartition) {
        let (topic, partition) = (topic_partition.topic(), topic_partition.partition());
        let snapshot = self.snapshot.load();
        if snapshot
            .topic(topic)
            .is_some_and(|topic| topic.id().is_zero())
        {
            self.state.lock().epochs.forget(topic, partition);
        }
    }

    /// Changes the state, and publishes when the next update is due then.
    fn change<R>(&self, change: impl FnOnce(&Self, &mut MetadataState) -> R) -> R {
        let mut state = self.state.lock();
        let result = change(self, &mut state);
        let due = state.refresh.next_update_at();
        let nanos = due.map_or(0, |due| {
            let nanos = due.saturating_duration_since(self.start).as_nanos();
            u64::try_from(nanos).unwrap_or(u64::MAX)
        });
        self.next_update_nanos.store(nanos, Ordering::Release);
        result
    }

    fn millis(&self, now: Instant) -> u64 {
        let millis = now.saturating_duration_since(self.start).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX)
    }
}

fn unusable_nodes(description: &str) -> Error {
    Error::new(ErrorKind::Network, description)
}

fn update_timed_out(max_wait: Duration) -> Error {
    Error::timed_out(
        format!(
            "timed out after {} ms waiting for cluster metadata",
            max_wait.as_millis()
        ),
        TimeoutReason {
            waiting_for: "cluster metadata",
            waited: max_wait,
            config: Some("max.block.ms"),
        },
    )
}
