//! Which nodes have something to send. Java: `RecordAccumulator.ready`.
//!
//! A partition with batches is in at most one of these places, and moves when it is looked at:
//!
//! - the ready queue of its leader, if its head can be sent now;
//! - the timers, until its linger or its backoff ends;
//! - the unknown list, while it has no leader; the blocked list, while its sequences do not allow the head.
//!
//! What can free a partition from its place looks at it again: its announcement, its timer, a change of the metadata, a
//! flush. An entry whose partition has moved on is dropped when it is met.

use std::cmp::{Ordering as CmpOrdering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::expiry::Expiries;
use super::pacing::Pace;
use super::parked::{HeadFacts, Parked, next_place};
use super::{PartitionQueue, RecordAccumulator};
use crate::common::{Cluster, Node, NodeId};
use crate::producer::internals::built_in_partitioner::PartitionLoad;
use crate::sync::Arc;

/// What [`RecordAccumulator::ready`] found.
#[derive(Debug)]
pub(crate) struct ReadyCheckResult {
    /// The leaders of partitions whose head can be sent.
    pub(crate) ready_nodes: Vec<Node>,
    /// How long until another partition's linger or backoff ends; `Duration::MAX` if none is waiting.
    pub(crate) next_ready_check_delay: Duration,
    /// The topics of partitions that have batches and no known leader.
    pub(crate) unknown_leader_topics: Vec<Arc<str>>,
}

/// The I/O thread's view of the partitions.
#[derive(Debug, Default)]
pub(super) struct IoState {
    /// The metadata that the places below were worked out with.
    pub(super) cluster: Option<Arc<Cluster>>,
    /// How many different metadata those are the latest of.
    pub(super) generation: u64,
    pub(super) nodes: HashMap<NodeId, ReadyQueue>,
    timers: BinaryHeap<Reverse<Timer>>,
    unknown: Vec<Arc<PartitionQueue>>,
    pub(super) blocked: Vec<Arc<PartitionQueue>>,
    /// Emptied and refilled in each round.
    announcements: Vec<Arc<PartitionQueue>>,
    pub(super) expiries: Expiries,
    /// When a request was last filled.
    pub(super) drained: Option<Instant>,
    /// When a node was last found with something to send, and when it last took it.
    latency: HashMap<NodeId, NodeLatencyStats>,
    load_published: Option<Instant>,
    /// How long the load table holds.
    load_interval: Duration,
}

/// The partitions of one node whose heads can be sent, in the order in which they became so.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    pub(super) partitions: VecDeque<Arc<PartitionQueue>>,
    pub(super) pace: Pace,
}

#[derive(Debug)]
struct Timer {
    due: Instant,
    partition: Arc<PartitionQueue>,
}

/// Java: `NodeLatencyStats`.
#[derive(Clone, Copy, Debug)]
struct NodeLatencyStats {
    ready: Instant,
    drained: Instant,
}

/// The load table of the sticky partitioners is brought up to date this often for each thousand partitions, so that it takes
/// the same small share of the time however many there are.
const LOAD_INTERVAL: Duration = Duration::from_millis(5);

impl RecordAccumulator {
    /// Looks at the partitions where something changed, and says which nodes have something to send.
    ///
    /// [`next_place`] says when a head can be sent.
    pub(crate) fn ready(&self, cluster: &Arc<Cluster>, now: Instant) -> ReadyCheckResult {
        let mut io = self.io.lock();
        let io = &mut *io;
        let mut to_check = std::mem::take(&mut io.announcements);
        self.signal.take_announcements(&mut to_check);
        for partition in &to_check {
            partition.clear_announcement();
        }
        if !io
            .cluster
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, cluster))
        {
            io.cluster = Some(Arc::clone(cluster));
            io.generation += 1;
            io.recheck_places(&mut to_check);
            self.forget_topics(cluster);
        }
        // Whoever makes it urgent sets the flag after that. Looked at in the other order, what comes between the two looks would
        // be placed as if nothing were urgent, with the flag gone: a flush would wait for the linger.
        let recheck_all = self.signal.take_recheck_all();
        let urgent = self.is_urgent();
        if recheck_all {
            io.recheck_waiting(&mut to_check);
        }
        io.take_due_timers(now, &mut to_check);
        for partition in to_check.drain(..) {
            self.place(io, partition, urgent, now);
        }
        io.announcements = to_check;
        self.publish_load(io, cluster, now);
        io.check_result(cluster, urgent, now)
    }

    /// Whether every batch goes out at once. Threads that wait for memory show here before they are asleep.
    pub(super) fn is_urgent(&self) -> bool {
        self.free.queued() > 0 || self.is_closed() || self.is_flush_in_progress()
    }

    /// Puts the partition where it belongs now.
    pub(super) fn place(
        &self,
        io: &mut IoState,
        partition: Arc<PartitionQueue>,
        urgent: bool,
        now: Instant,
    ) {
        let mut guard = partition.state.lock();
        let state = &mut *guard;
        state.is_blocked = false;
        let waits_for_others = state.queued_on.is_some() || state.muted;
        let len = state.batches.len();
        let Some(head) = state.batches.front_mut() else {
            return;
        };
        if waits_for_others {
            let is_expedited = head.result().is_expedited();
            let queued_on = state.queued_on.filter(|_| is_expedited);
            if let Some(queue) = queued_on.and_then(|node| io.nodes.get_mut(&node)) {
                queue.pace.hurry();
            }
            return;
        }
        io.update_route(&mut state.route, partition.topic_partition());
        let leader = state.route.leader;
        if let Some(leader) = leader {
            head.maybe_update_leader_epoch(leader.epoch);
        }
        let facts = HeadFacts {
            leader: leader.map(|leader| leader.id),
            lingered: later(head.created(), self.config.linger),
            backing_off_until: head.backing_off_until(now),
            is_full: len > 1 || head.is_full(),
            is_back: head.is_back(),
            is_expedited: head.result().is_expedited(),
            has_batch_in_flight: partition.has_batch_in_flight(),
        };
        match next_place(&facts, urgent, now) {
            Parked::NoLeader => {
                if !std::mem::replace(&mut state.in_unknown, true) {
                    drop(guard);
                    io.unknown.push(partition);
                }
            }
            Parked::Ready(node) => {
                let is_alone = !facts.has_batch_in_flight && !facts.is_hurried(urgent, now);
                let gathers = self.is_paced() && is_alone;
                let bytes = head.estimated_size_in_bytes();
                state.queued_on = Some(node);
                drop(guard);
                let queue = io.nodes.entry(node).or_default();
                queue.pace.ready(gathers, bytes);
                queue.partitions.push_back(partition);
            }
            Parked::Until(due) => {
                if state.timer.is_none_or(|timer| due < timer) {
                    state.timer = Some(due);
                    drop(guard);
                    io.timers.push(Reverse(Timer { due, partition }));
                }
            }
        }
    }

    /// Notes whether a node that has something to send could take it (`partitioner.availability.timeout.ms`).
    pub(crate) fn update_node_latency_stats(&self, node: NodeId, now: Instant, can_drain: bool) {
        if self.config.availability_timeout.is_zero() {
            return;
        }
        let mut io = self.io.lock();
        let stats = io.latency.entry(node).or_insert(NodeLatencyStats {
            ready: now,
            drained: now,
        });
        stats.ready = now;
        if can_drain {
            stats.drained = now;
        }
    }

    /// Tells the sticky partitioners how long the queues are, now and then. Java does it for every topic in every round.
    fn publish_load(&self, io: &mut IoState, cluster: &Cluster, now: Instant) {
        if !self.config.adaptive_partitioning {
            return;
        }
        let elapsed = io
            .load_published
            .map(|last| now.saturating_duration_since(last));
        if elapsed.is_some_and(|elapsed| elapsed < io.load_interval) {
            return;
        }
        io.load_published = Some(now);
        let mut partitions = 0;
        for (name, queues) in self.topics.lock().iter() {
            partitions += queues.partitions.len();
            if queues.partitions.len() < 2 || !queues.partitioner.is_in_use() {
                continue;
            }
            let Some(topic) = cluster.topic(name) else {
                continue;
            };
            let with_leader = topic.partitions().iter().filter_map(|info| {
                let index = usize::try_from(info.partition()).ok()?;
                let queue_len = queues.partitions.get(index)?.load(self.config.batch_size);
                let leader = info.leader()?.id();
                Some(PartitionLoad {
                    partition: info.partition(),
                    queue_len,
                    // Where nothing waits, nothing would tell that the node is back.
                    excluded: queue_len > 0 && self.is_unavailable(io, leader),
                })
            });
            let loads: Vec<_> = with_leader.collect();
            queues
                .partitioner
                .update_partition_load_stats(&loads, topic, cluster);
        }
        let thousands = u32::try_from(partitions / 1000).unwrap_or(u32::MAX);
        io.load_interval = LOAD_INTERVAL.saturating_mul(thousands.max(1));
    }

    fn is_unavailable(&self, io: &IoState, node: NodeId) -> bool {
        io.latency.get(&node).is_some_and(|stats| {
            stats.ready.saturating_duration_since(stats.drained) > self.config.availability_timeout
        })
    }

    /// A batch of the partition left the in-flight requests, which may let the next one go.
    pub(crate) fn end_flight(&self, partition: &Arc<PartitionQueue>) {
        partition.end_flight();
        partition.announce();
    }

    /// Asks for another look at a partition whose sequences changed.
    pub(crate) fn recheck(&self, partition: &Arc<PartitionQueue>) {
        partition.announce();
    }

    /// Asks for another look at every partition that waits, after a change that concerns all: a new producer id.
    pub(crate) fn recheck_all(&self) {
        self.signal.recheck_all();
    }

    /// Keeps further batches of the partition back until [`Self::unmute_partition`].
    pub(crate) fn mute_partition(&self, partition: &Arc<PartitionQueue>) {
        partition.state.lock().muted = true;
    }

    pub(crate) fn unmute_partition(&self, partition: &Arc<PartitionQueue>) {
        partition.state.lock().muted = false;
        partition.announce();
    }

    /// The number of batches that wait for this partition.
    #[cfg(test)]
    pub(crate) fn queue_len(&self, topic_partition: &crate::common::TopicPartition) -> usize {
        self.queue(topic_partition)
            .map_or(0, |queue| queue.state.lock().batches.len())
    }
}

/// An instant so late that nobody waits for it, where the sum would overflow.
pub(super) fn later(instant: Instant, by: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    instant.checked_add(by).unwrap_or(instant + YEAR)
}

impl IoState {
    /// After a change of leaders every partition that stands in a ready queue or has no leader is placed again.
    fn recheck_places(&mut self, to_check: &mut Vec<Arc<PartitionQueue>>) {
        for queue in self.nodes.values_mut() {
            for partition in queue.partitions.drain(..) {
                partition.state.lock().queued_on = None;
                to_check.push(partition);
            }
        }
        self.nodes.clear();
        for partition in self.unknown.drain(..) {
            partition.state.lock().in_unknown = false;
            to_check.push(partition);
        }
        // A new leader ends the backoff of what it leads (KIP-951).
        self.recheck_waiting(to_check);
    }

    fn recheck_waiting(&mut self, to_check: &mut Vec<Arc<PartitionQueue>>) {
        for Reverse(timer) in self.timers.drain() {
            timer.partition.state.lock().timer = None;
            to_check.push(timer.partition);
        }
        for partition in self.blocked.drain(..) {
            partition.state.lock().in_blocked = false;
            to_check.push(partition);
        }
    }

    fn take_due_timers(&mut self, now: Instant, to_check: &mut Vec<Arc<PartitionQueue>>) {
        while let Some(Reverse(timer)) = self.timers.peek() {
            if timer.due > now {
                return;
            }
            if let Some(Reverse(timer)) = self.timers.pop() {
                let mut state = timer.partition.state.lock();
                if state.timer == Some(timer.due) {
                    state.timer = None;
                }
                drop(state);
                to_check.push(timer.partition);
            }
        }
    }

    fn check_result(&self, cluster: &Cluster, urgent: bool, now: Instant) -> ReadyCheckResult {
        let mut ready_nodes = Vec::new();
        let mut next = self.timers.peek().map(|Reverse(timer)| timer.due);
        for (node, queue) in &self.nodes {
            if queue.partitions.is_empty() {
                continue;
            }
            match queue.pace.holds_until(now).filter(|_| !urgent) {
                None => ready_nodes.extend(cluster.node(*node).cloned()),
                Some(until) => next = Some(next.map_or(until, |next| next.min(until))),
            }
        }
        let mut unknown_leader_topics: Vec<Arc<str>> = Vec::new();
        for partition in &self.unknown {
            let topic = partition.topic_partition().shared_topic();
            if unknown_leader_topics.last() != Some(topic) {
                unknown_leader_topics.push(Arc::clone(topic));
            }
        }
        unknown_leader_topics.sort_unstable();
        unknown_leader_topics.dedup();
        ReadyCheckResult {
            ready_nodes,
            next_ready_check_delay: next
                .map_or(Duration::MAX, |due| due.saturating_duration_since(now)),
            unknown_leader_topics,
        }
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<CmpOrdering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> CmpOrdering {
        self.due.cmp(&other.due)
    }
}
