//! Determines the nodes with something to send. Java: `RecordAccumulator.ready`.

use std::time::{Duration, Instant};

use super::Scheduler;
use super::parked::{HeadFacts, Parked, next_place};
use super::parking::{Parking, Slot, SlotId};
use crate::common::{Cluster, Node};
use crate::producer::internals::ready_signal::PartitionHandle;
use crate::sync::Arc;
use crate::utils::later;

/// The result of [`Scheduler::ready`].
#[derive(Debug)]
pub(crate) struct ReadyCheckResult {
    /// The leaders of partitions whose head can be sent.
    pub(crate) ready_nodes: Vec<Node>,
    /// The time until the next linger or backoff of a partition ends; `Duration::MAX` if there is
    /// none.
    pub(crate) next_ready_check_delay: Duration,
    /// The topics with batches in partitions without a known leader.
    pub(crate) unknown_leader_topics: Vec<Arc<str>>,
    /// Whether the metadata changed since the last check.
    pub(crate) is_view_new: bool,
}

/// The head of a partition.
struct Head {
    facts: HeadFacts,
    /// The bytes of the partition's full batches, as if all were as large as the head.
    full_bytes: usize,
}

impl Scheduler {
    /// Looks at the changed partitions. Returns the nodes with something to send; [`next_place`]
    /// decides.
    pub(crate) fn ready(&mut self, cluster: &Arc<Cluster>, now: Instant) -> ReadyCheckResult {
        let mut to_look_at = std::mem::take(&mut self.to_look_at);
        self.take_announcements(&mut to_look_at);
        let is_view_new = self.routes.change_to(cluster);
        if is_view_new {
            self.parking.leaders_changed(&mut to_look_at);
            for partition in self.accumulator.forget_topics(cluster) {
                self.parking.remove(partition.handle());
            }
        }
        // Read before `urgent`, because the caller that makes it urgent sets this flag afterwards.
        // In the other order, a change between the two reads would take the flag and park the
        // partitions as not urgent: a flush would then wait for the linger.
        let recheck_all = self.accumulator.signal.take_recheck_all();
        let urgent = self.accumulator.is_urgent();
        if recheck_all {
            self.parking.waiting(&mut to_look_at);
        } else {
            self.parking.due(now, &mut to_look_at);
        }
        for id in to_look_at.drain(..) {
            self.look_at(id, urgent, now);
        }
        self.to_look_at = to_look_at;
        self.publish_load(cluster, now);
        ReadyCheckResult {
            is_view_new,
            ..self.check_result(cluster, urgent, now)
        }
    }

    /// Takes the announcements without looking at the partitions.
    pub(crate) fn forget_announcements(&mut self) {
        let signal = &self.accumulator.signal;
        signal.take_announcements(&mut self.announcements);
        self.announcements.clear();
    }

    fn take_announcements(&mut self, to_look_at: &mut Vec<SlotId>) {
        let mut announcements = std::mem::take(&mut self.announcements);
        let signal = &self.accumulator.signal;
        signal.take_announcements(&mut announcements);
        let announced = announcements.drain(..);
        to_look_at.extend(announced.filter_map(|partition| self.slot_of(&partition)));
        self.announcements = announcements;
    }

    /// Returns the slot of a partition, or a new one at first. Returns `None` if the partition is
    /// retired.
    pub(super) fn slot_of(&mut self, partition: &Arc<PartitionHandle>) -> Option<SlotId> {
        Parking::known(partition).or_else(|| {
            let queue = self.accumulator.queue(partition.topic_partition());
            // The topic may have been dropped and created again, with another queue.
            let queue = queue.filter(|queue| Arc::ptr_eq(queue.handle(), partition));
            self.parking.add(queue?)
        })
    }

    /// Parks the partition at its current place.
    pub(super) fn look_at(&mut self, id: SlotId, urgent: bool, now: Instant) {
        let Some(parked) = self.parking.slot(id).map(Slot::parked) else {
            return;
        };
        let head = match parked {
            Parked::Muted => None,
            _ => self.head(id, now),
        };
        let place = match (&head, parked) {
            (_, Parked::Muted) => Parked::Muted,
            (None, _) => Parked::Nowhere,
            // It is already ready. The drain looks at it.
            (Some(_), Parked::Ready(node)) => Parked::Ready(node),
            (Some(head), _) => next_place(&head.facts, urgent, now),
        };
        let became_ready = self.parking.park(id, place);
        let Some(Head { facts, full_bytes }) = head else {
            return;
        };
        if let Some(pace) = became_ready {
            let gathers = self.accumulator.may_gather() && !facts.is_hurried(urgent, now);
            pace.ready(gathers, full_bytes);
        } else if let (Parked::Ready(node), true) = (place, facts.is_expedited) {
            if let Some(pace) = self.parking.pace(node) {
                pace.hurry();
            }
        }
    }

    /// Looks at the head of a partition. Later changes need an announcement.
    fn head(&self, id: SlotId, now: Instant) -> Option<Head> {
        let slot = self.parking.slot(id)?;
        let partition = slot.queue.handle();
        let leader = self.routes.of(partition.topic_partition()).leader;
        let mut state = slot.queue.state.lock();
        partition.want_news();
        let len = state.batches.len();
        let head = state.batches.front_mut()?;
        if let Some(leader) = leader {
            head.maybe_update_leader_epoch(leader.epoch);
        }
        let facts = HeadFacts {
            leader: leader.map(|leader| leader.id),
            lingered: later(head.created(), self.accumulator.config.linger),
            backing_off_until: head.backing_off_until(now),
            is_full: len > 1 || head.is_full(),
            is_back: head.is_back(),
            is_expedited: head.result().is_expedited(),
            has_batch_in_flight: partition.has_batch_in_flight(),
        };
        let size = head.estimated_size_in_bytes();
        let full = len - usize::from(!state.is_tail_full());
        Some(Head {
            facts,
            full_bytes: size * full,
        })
    }

    fn check_result(&mut self, cluster: &Cluster, urgent: bool, now: Instant) -> ReadyCheckResult {
        let mut ready_nodes = Vec::new();
        let mut next = self.parking.next_timer();
        for (node, pace) in self.parking.ready_nodes() {
            match pace.holds_until(now).filter(|_| !urgent) {
                None => ready_nodes.extend(cluster.node(node).cloned()),
                Some(until) => next = Some(next.map_or(until, |next| next.min(until))),
            }
        }
        let mut unknown_leader_topics: Vec<Arc<str>> = Vec::new();
        for slot in self.parking.without_leader() {
            let topic = slot.queue.topic_partition().shared_topic();
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
            is_view_new: false,
        }
    }
}
