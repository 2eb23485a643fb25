//! Where each partition waits, and the lists with which the I/O thread finds those whose wait is
//! over.
//!
//! [`Parking::park`] is the only function that moves a partition. It keeps the value of [`Parked`]
//! and the lists consistent: a partition leaves the list of its old value immediately, so that no
//! list grows with the moves of its partitions. A ready queue finds a partition by the ticket of
//! its stay.
//!
//! Whatever can end a wait leads to a new look at the partition: its announcement, its timer, a
//! change of the metadata, a flush.
//!
//! Threads: the I/O thread.
//! Locks: none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::pacing::Pace;
use super::parked::Parked;
use super::partition_queue::PartitionQueue;
use crate::common::NodeId;
use crate::producer::internals::ready_signal::PartitionHandle;
use crate::sync::Arc;

/// The index of a partition's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SlotId(u32);

/// Identifies one stay in a ready queue. Later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket(u64);

/// The I/O thread's data about a partition.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) queue: Arc<PartitionQueue>,
    parked: Parked,
    /// The ticket of the last stay.
    ticket: Ticket,
}

impl Slot {
    pub(super) fn parked(&self) -> Parked {
        self.parked
    }
}

/// The partitions of one node whose heads can be sent, in the order in which they became ready.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    entries: BTreeMap<Ticket, SlotId>,
    pub(super) pace: Pace,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Parking {
    slots: Slots,
    nodes: BTreeMap<NodeId, ReadyQueue>,
    timers: BTreeSet<(Instant, SlotId)>,
    no_leader: BTreeSet<SlotId>,
    blocked: BTreeSet<SlotId>,
    last_ticket: Ticket,
}

/// The partitions that the I/O thread knows.
#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Option<Slot>>,
    vacant: Vec<SlotId>,
}

impl Slots {
    fn get(&self, id: SlotId) -> Option<&Slot> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    fn get_mut(&mut self, id: SlotId) -> Option<&mut Slot> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }

    /// Adds a slot. Returns `None` if the numbers are used up.
    fn add(&mut self, slot: Slot) -> Option<SlotId> {
        if let Some(id) = self.vacant.pop() {
            if let Some(vacant) = self.slots.get_mut(id.0 as usize) {
                *vacant = Some(slot);
            }
            return Some(id);
        }
        let id = SlotId(u32::try_from(self.slots.len()).ok()?);
        self.slots.push(Some(slot));
        Some(id)
    }

    fn remove(&mut self, id: SlotId) {
        if self
            .slots
            .get_mut(id.0 as usize)
            .and_then(Option::take)
            .is_some()
        {
            self.vacant.push(id);
        }
    }
}

impl Parking {
    pub(super) fn slot(&self, id: SlotId) -> Option<&Slot> {
        self.slots.get(id)
    }

    /// Returns the slot of a partition that the I/O thread knows.
    pub(super) fn known(partition: &PartitionHandle) -> Option<SlotId> {
        partition.slot().map(SlotId)
    }

    /// Gives the partition a slot.
    pub(super) fn add(&mut self, queue: Arc<PartitionQueue>) -> Option<SlotId> {
        let handle = Arc::clone(queue.handle());
        let id = self.slots.add(Slot {
            queue,
            parked: Parked::Nowhere,
            ticket: Ticket::default(),
        })?;
        handle.set_slot(Some(id.0));
        Some(id)
    }

    /// Forgets a partition that the accumulator has dropped.
    pub(super) fn remove(&mut self, partition: &PartitionHandle) {
        if let Some(id) = Self::known(partition) {
            self.park(id, Parked::Nowhere);
            self.slots.remove(id);
            partition.set_slot(None);
        }
    }

    /// Moves a partition. Returns the pace of the node if the partition has just become ready
    /// there.
    ///
    /// The I/O thread has looked at the partition before. Callers must announce changes after that
    /// look, unless another look is certain.
    pub(super) fn park(&mut self, id: SlotId, to: Parked) -> Option<&mut Pace> {
        let slot = self.slots.get_mut(id)?;
        let mut pace = None;
        let from = std::mem::replace(&mut slot.parked, to);
        if from != to {
            match from {
                Parked::Ready(node) => {
                    // A change of leaders has emptied all queues.
                    if let Some(queue) = self.nodes.get_mut(&node) {
                        queue.entries.remove(&slot.ticket);
                    }
                }
                Parked::Until(due) => _ = self.timers.remove(&(due, id)),
                Parked::NoLeader => _ = self.no_leader.remove(&id),
                Parked::Blocked => _ = self.blocked.remove(&id),
                Parked::Nowhere | Parked::Muted => {}
            }
            match to {
                Parked::Ready(node) => {
                    self.last_ticket.0 += 1;
                    slot.ticket = self.last_ticket;
                    let queue = self.nodes.entry(node).or_default();
                    queue.entries.insert(slot.ticket, id);
                    pace = Some(&mut queue.pace);
                }
                Parked::Until(due) => _ = self.timers.insert((due, id)),
                Parked::NoLeader => _ = self.no_leader.insert(id),
                Parked::Blocked => _ = self.blocked.insert(id),
                Parked::Nowhere | Parked::Muted => {}
            }
        }
        if to.is_looked_at_again() {
            slot.queue.handle().expect_look();
        }
        pace
    }

    /// Notes that a partition has no batch left. A muted partition stays muted.
    pub(super) fn vacate(&mut self, partition: &PartitionHandle) {
        if let Some(id) = Self::known(partition) {
            if self.place_of(partition) != Parked::Muted {
                self.park(id, Parked::Nowhere);
            }
        }
    }

    /// Returns where the partition waits.
    pub(super) fn place_of(&self, partition: &PartitionHandle) -> Parked {
        let slot = Self::known(partition).and_then(|id| self.slots.get(id));
        slot.map_or(Parked::Nowhere, Slot::parked)
    }

    /// Returns the first partition of the node's ready queue. It stays there until it is parked
    /// elsewhere.
    pub(super) fn first_ready(&self, node: NodeId) -> Option<SlotId> {
        let first = self.nodes.get(&node)?.entries.first_key_value();
        first.map(|(_, id)| *id)
    }

    pub(super) fn pace(&mut self, node: NodeId) -> Option<&mut Pace> {
        self.nodes.get_mut(&node).map(|queue| &mut queue.pace)
    }

    pub(super) fn paces(&self) -> impl Iterator<Item = &Pace> {
        self.nodes.values().map(|queue| &queue.pace)
    }

    /// Returns the nodes that have a partition in their ready queues, with their paces.
    pub(super) fn ready_nodes(&mut self) -> impl Iterator<Item = (NodeId, &Pace)> {
        self.nodes.iter_mut().filter_map(|(node, queue)| {
            if queue.entries.is_empty() {
                queue.pace.nothing_waits();
                return None;
            }
            Some((*node, &queue.pace))
        })
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }

    pub(super) fn without_leader(&self) -> impl Iterator<Item = &Slot> {
        self.no_leader.iter().filter_map(|id| self.slots.get(*id))
    }

    /// Adds the partitions whose linger or backoff has ended.
    pub(super) fn due(&self, now: Instant, to: &mut Vec<SlotId>) {
        let due = self.timers.iter().take_while(|(due, _)| *due <= now);
        to.extend(due.map(|(_, id)| *id));
    }

    /// Adds the partitions that may become sendable with a flush, a close or a new producer id.
    pub(super) fn waiting(&self, to: &mut Vec<SlotId>) {
        to.extend(self.timers.iter().map(|(_, id)| *id));
        to.extend(&self.blocked);
    }

    /// Empties the ready queues after a change of leaders, and adds every waiting partition. A new
    /// leader ends the backoff of its partitions (KIP-951).
    pub(super) fn leaders_changed(&mut self, to: &mut Vec<SlotId>) {
        let before = to.len();
        for queue in std::mem::take(&mut self.nodes).into_values() {
            to.extend(queue.entries.into_values());
        }
        for id in to.iter().skip(before) {
            self.park(*id, Parked::Nowhere);
        }
        to.extend(&self.no_leader);
        self.waiting(to);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::common::TopicPartition;
    use crate::producer::internals::io_thread::IoThreadId;
    use crate::producer::internals::ready_signal::ReadySignal;
    use crate::utils::{MockTime, Time};

    const NODE: NodeId = NodeId(1);

    fn with_partitions(count: i32) -> (Parking, Vec<SlotId>) {
        let mut parking = Parking::default();
        let signal = ReadySignal::new(IoThreadId::next());
        let ids = (0..count).filter_map(|partition| {
            let partition = TopicPartition::new("t", partition);
            parking.add(PartitionQueue::new(partition, 0, Arc::clone(&signal)))
        });
        let ids = ids.collect();
        (parking, ids)
    }

    /// Returns how many lists contain the partition.
    fn entries_of(parking: &Parking, id: SlotId) -> usize {
        let queue = parking.nodes.get(&NODE);
        let ready = queue.map_or(0, |queue| {
            queue.entries.values().filter(|ready| **ready == id).count()
        });
        let timers = parking.timers.iter().filter(|(_, timer)| *timer == id);
        let others = [&parking.no_leader, &parking.blocked];
        let others = others.iter().filter(|list| list.contains(&id));
        ready + timers.count() + others.count()
    }

    #[test]
    fn a_partition_is_in_the_list_of_its_place_and_in_no_other() {
        let now = MockTime::new().now();
        let places = [
            (Parked::Nowhere, 0),
            (Parked::Ready(NODE), 1),
            (Parked::Until(now), 1),
            (Parked::Until(now + Duration::from_millis(1)), 1),
            (Parked::NoLeader, 1),
            (Parked::Blocked, 1),
            (Parked::Muted, 0),
        ];
        let (mut parking, ids) = with_partitions(1);
        for (from, _) in places {
            for (to, lists) in places {
                parking.park(ids[0], from);
                let handle = Arc::clone(parking.slot(ids[0]).unwrap().queue.handle());
                // Every look does this.
                handle.want_news();
                parking.park(ids[0], to);
                assert_eq!(entries_of(&parking, ids[0]), lists, "{from:?} to {to:?}");
                assert_eq!(handle.wants_news(), !to.is_looked_at_again());
            }
        }
    }

    #[test]
    fn a_partition_that_comes_back_to_a_ready_queue_stands_at_its_end() {
        let (mut parking, ids) = with_partitions(3);
        for id in &ids {
            parking.park(*id, Parked::Ready(NODE));
        }
        parking.park(ids[0], Parked::Muted);
        parking.park(ids[0], Parked::Ready(NODE));
        let mut order = Vec::new();
        while let Some(id) = parking.first_ready(NODE) {
            order.push(id);
            parking.park(id, Parked::Nowhere);
        }
        assert_eq!(order, [ids[1], ids[2], ids[0]]);
    }

    /// A node is unreachable, and batches in its ready queue expire.
    #[test]
    fn a_partition_that_leaves_a_ready_queue_behind_another_leaves_nothing_there() {
        let (mut parking, ids) = with_partitions(2);
        parking.park(ids[0], Parked::Ready(NODE));
        for _ in 0..1000 {
            parking.park(ids[1], Parked::Ready(NODE));
            parking.park(ids[1], Parked::Nowhere);
        }
        assert_eq!(parking.nodes[&NODE].entries.len(), 1);
        assert_eq!(parking.first_ready(NODE), Some(ids[0]));
    }

    #[test]
    fn a_node_that_all_its_partitions_have_left_has_nothing_to_send() {
        let (mut parking, ids) = with_partitions(2);
        for id in ids {
            parking.park(id, Parked::Ready(NODE));
            parking.park(id, Parked::Nowhere);
        }
        assert_eq!(parking.ready_nodes().count(), 0);
    }

    #[test]
    fn a_slot_that_is_used_again_has_no_entries_of_before() {
        let (mut parking, ids) = with_partitions(1);
        parking.park(ids[0], Parked::Ready(NODE));
        let queue = Arc::clone(&parking.slot(ids[0]).unwrap().queue);
        parking.remove(queue.handle());
        assert!(parking.slot(ids[0]).is_none());
        assert_eq!(parking.add(queue), Some(ids[0]));
        assert_eq!(parking.first_ready(NODE), None);
    }
}
