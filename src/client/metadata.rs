//! The producer's metadata, shared by every thread. Java: `Metadata`, `ProducerMetadata`.
//!
//! Threads: callers add topics, read the snapshot and wait; the I/O thread updates.
//! Locks: `state` guards everything that an update changes, and `updated` is signalled under it.
//! The snapshot, the topic table and the time of the next update can be read without the lock. They
//! are written only with the lock held, so that none can go back in time.
//!
//! Differs from Java: one type, because there is only a producer. A send to a known topic takes no
//! lock.

mod connection_failures;
mod errors;
mod leader_epochs;
mod nodes;
mod refresh_schedule;
mod state;
#[cfg(test)]
mod tests;
mod topics_in_use;
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
use topics_in_use::TopicsInUse;
pub(crate) use update::describe_errors;

/// When metadata is refreshed, and how long an unused topic is kept.
#[derive(Clone, Debug)]
pub(crate) struct MetadataConfig {
    /// `retry.backoff.ms`: the shortest time between two updates, unless a caller waits for a new
    /// topic.
    pub(crate) refresh_backoff: Duration,
    /// `retry.backoff.max.ms`
    pub(crate) refresh_backoff_max: Duration,
    /// `metadata.max.age.ms`: an update is due after this time even without a sign of change.
    pub(crate) max_age: Duration,
    /// `metadata.max.idle.ms`: a topic without sends for this long is forgotten.
    pub(crate) topic_idle: Duration,
}

/// The versions that a metadata request is about, so that its response is applied accordingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MetadataRequestVersion {
    pub(crate) request_version: u64,
    /// Whether the request was only about new topics.
    pub(crate) is_partial: bool,
}

/// The cluster's nodes and the producer's topics. Shared by `Arc`.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// The origin of the published times.
    start: Instant,
    state: Mutex<MetadataState>,
    updated: Condvar,
    snapshot: ArcSwap<Cluster>,
    topics: ArcSwap<TopicsInUse>,
    next_update_nanos: AtomicU64,
}

impl Metadata {
    /// Creates metadata without nodes. [`bootstrap`](Self::bootstrap) sets the first ones.
    pub(crate) fn new(config: MetadataConfig, now: Instant) -> Self {
        Self {
            start: now,
            state: Mutex::new(MetadataState::new(&config)),
            updated: Condvar::new(),
            snapshot: ArcSwap::default(),
            topics: ArcSwap::from_pointee(TopicsInUse::new(config.topic_idle)),
            next_update_nanos: AtomicU64::new(0),
        }
    }

    /// Returns the latest view of the cluster. Lock-free. Drop it soon, because a guard makes an
    /// update slower.
    pub(crate) fn snapshot(&self) -> Snapshot<Arc<Cluster>> {
        self.snapshot.load()
    }

    /// Returns the latest view of the cluster, for longer use.
    pub(crate) fn load(&self) -> Arc<Cluster> {
        self.snapshot.load_full()
    }

    /// Sets the user's nodes as the only known ones, and keeps them for
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

    /// Notes that the names of the bootstrap nodes were not resolved in time. Every waiting call
    /// fails with this error, now and later.
    pub(crate) fn fail_bootstrap(&self, error: Error) {
        self.change(|_, state| state.bootstrap_error = Some(error.into_fatal()));
        self.updated.notify_all();
    }

    /// Returns the error of [`fail_bootstrap`](Self::fail_bootstrap). Takes the lock only while no
    /// node is known.
    pub(crate) fn bootstrap_error(&self) -> Option<Error> {
        if !self.snapshot.load().nodes().is_empty() {
            return None;
        }
        self.state.lock().bootstrap_error.clone()
    }

    /// Forgets the nodes and starts again from the user's nodes. KIP-899.
    ///
    /// Until a cluster responds, the topics stay as they were, without leaders. Sends to known
    /// topics continue into the buffer. Java forgets the topics, and its sends block. The epochs
    /// are forgotten: the cluster may be another one, or restored from a backup with lower epochs.
    ///
    /// Returns the number of the user's nodes. Returns `None` and does nothing if no broker has
    /// responded since the last call, because then there is nothing to forget.
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

    /// Keeps `topic` for `metadata.max.idle.ms` from now. Requests an update immediately if the
    /// topic is new. Returns whether it is new.
    pub(crate) fn add(&self, topic: &str, now: Instant) -> bool {
        let millis = self.millis(now);
        // Every send that begins a batch calls this, so a known topic must not take the lock. If an
        // update drops the topic as idle at this moment, the new time is lost. The sender then
        // finds no topic and adds it again.
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

    /// Returns whether [`add`](Self::add) was called for `topic` and it has not been forgotten
    /// since.
    #[cfg(test)]
    pub(crate) fn contains_topic(&self, topic: &str) -> bool {
        self.topics.load().shared_name(topic).is_some()
    }

    /// Requests an update of everything. Returns the version that
    /// [`await_update`](Self::await_update) must exceed.
    pub(crate) fn request_update(&self) -> u64 {
        self.change(|_, state| {
            state.refresh.request_full();
            state.update_version
        })
    }

    /// Requests an update that includes `topic`: only of the new topics if it is new, otherwise of
    /// everything. The backoffs apply. Only [`add`](Self::add) of a topic that is not in the table
    /// ignores one. Java ignores it in each call.
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

    /// Returns the version that [`await_update`](Self::await_update) must exceed while no response
    /// has included one of `topics`, or `None` if responses have included all of them.
    pub(crate) fn version_before_response(&self, topics: &[&str]) -> Option<u64> {
        let state = self.state.lock();
        let is_new = topics.iter().any(|topic| state.is_new_topic(topic));
        is_new.then_some(state.update_version)
    }

    /// Returns the version, which increases with each update.
    pub(crate) fn update_version(&self) -> u64 {
        self.state.lock().update_version
    }

    /// Waits until the update version exceeds `version`.
    ///
    /// # Errors
    ///
    /// `Timeout` after `max_wait`; `Closed`; or the I/O thread's fatal error, which one waiting
    /// caller receives.
    ///
    /// # Blocking
    ///
    /// At most `max_wait`, which is the rest of `max.block.ms`.
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

    /// Returns the error of `topic` in the last update, if any. Takes the lock, so it is for topics
    /// without partitions.
    pub(crate) fn topic_error(&self, topic: &str) -> Option<Error> {
        self.state.lock().errors.topic_error(topic)
    }

    /// Returns the fatal error, or the error of `topic` in the last update if it is final. Clears
    /// both for all topics. Java: `maybeThrowExceptionForTopic`.
    pub(crate) fn maybe_throw_exception_for_topic(&self, topic: &str) -> Result<(), Error> {
        let mut state = self.state.lock();
        let thrown = state.errors.take_pending(topic);
        match state.fatal_error.take().or(thrown) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Tells one waiting caller that no update will come, and why.
    pub(crate) fn fatal_error(&self, error: Error) {
        self.change(|_, state| state.fatal_error = Some(error));
        self.updated.notify_all();
    }

    /// Notes that a connection to `node` failed or could not be made.
    pub(crate) fn connection_failed(&self, node: &Node, kind: ErrorKind, cause: &str) {
        let mut state = self.state.lock();
        let version = state.update_version;
        state.connection_failures.add(node, kind, cause, version);
    }

    /// Notes that another broker than `node` responds at its address (KIP-1242).
    pub(crate) fn connection_misrouted(&self, node: &Node, cause: &str) {
        let mut state = self.state.lock();
        state.connection_failures.add_misrouted(node, cause);
    }

    /// Notes that `node` responded to a request, which clears its failures.
    pub(crate) fn connection_succeeded(&self, node: &Node) {
        self.state.lock().connection_failures.remove(node);
    }

    /// Returns why there was no update since the last one: the last failure of each address, and
    /// the brokers with unusable addresses.
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

    /// Returns the brokers in the last response to which no connection is possible, if any. One of
    /// them may be a leader.
    pub(crate) fn unusable_nodes(&self) -> Option<Error> {
        let state = self.state.lock();
        state.unusable_nodes.as_deref().map(unusable_nodes)
    }

    /// Returns why `node` is unreachable, if an attempt failed and it has not responded since.
    pub(crate) fn connection_failure_of(&self, node: &Node) -> Option<Error> {
        self.state.lock().connection_failures.of(node)
    }

    /// Returns the time of the last full update.
    pub(crate) fn last_successful_update(&self) -> Option<Instant> {
        self.state.lock().refresh.last_full_refresh()
    }

    /// Wakes the waiting callers. No update is accepted any more.
    pub(crate) fn close(&self) {
        self.change(|_, state| state.closed = true);
        self.updated.notify_all();
    }

    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Returns how long until an update is due, or zero if one is due now. Lock-free, because the
    /// I/O thread calls it for each node.
    pub(crate) fn time_to_next_update(&self, now: Instant) -> Duration {
        let due = Duration::from_nanos(self.next_update_nanos.load(Ordering::Acquire));
        due.saturating_sub(now.saturating_duration_since(self.start))
    }

    /// Returns whether a requested update is still missing.
    #[cfg(test)]
    pub(crate) fn is_update_requested(&self) -> bool {
        self.state.lock().refresh.is_requested()
    }

    /// Returns the request to send now.
    pub(crate) fn new_request(&self, now: Instant) -> (MetadataRequest, MetadataRequestVersion) {
        self.change(|metadata, state| state.new_request(&metadata.topics.load(), now))
    }

    /// Applies a response to a request from [`new_request`](Self::new_request), and wakes the
    /// waiting callers.
    ///
    /// Leader epochs are trusted from response version 9 on. Returns whether the response was
    /// accepted. One without a usable broker is not, and none is after [`close`](Self::close).
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

    /// Does the same as [`update`](Self::update), with a response that is encoded in this version
    /// and decoded again.
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

    /// Removes the topics that were unused for too long, and returns them. Looks at the topics only
    /// if one may be idle, so that the cost of an update does not grow with unrelated topics.
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

    /// Notes that a due update failed. The next one waits for a growing backoff.
    pub(crate) fn failed_update(&self, now: Instant) {
        self.change(|_, state| state.refresh.failed(now));
    }

    /// Applies the leaders in a Produce response (KIP-951), given as partition, leader id and
    /// leader epoch. `nodes` are the leaders' addresses in the response.
    pub(crate) fn update_partition_leadership(
        &self,
        leaders: &[(TopicPartition, i32, i32)],
        nodes: &[Node],
    ) {
        self.change(|metadata, state| {
            let current = metadata.snapshot.load_full();
            let next = update::with_new_leaders(&current, &mut state.epochs, leaders, nodes);
            if let Some(cluster) = next {
                metadata.snapshot.store(Arc::new(cluster));
            }
        });
    }

    /// Notes that a broker refused records because it does not lead the partition, or does not know
    /// it.
    ///
    /// A topic without an id, from brokers older than 2.8, may have been created again. Its epochs
    /// then start again, and each response would look stale forever. So the epoch is forgotten.
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

    /// Changes the state, and publishes when the next update is due.
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
