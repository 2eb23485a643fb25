//! When the batches that wait in the partitions' deques reach `delivery.timeout.ms`. Java:
//! `RecordAccumulator.expiredBatches`.
//!
//! A partition registers the expiry of a batch when the batch enters its deque. It does not depend
//! on the ready queues, the timers or the announcements. While the deque has batches,
//! `QueueState::expiry` is at most the expiry of each of them, and the register or the heap has an
//! entry with that time. An entry with another time is stale and is discarded. A partition has one
//! live entry, so a round that expires batches visits only the partitions that are due.
//!
//! Threads: callers and the I/O thread register; the I/O thread collects the entries and expires
//! the batches.
//! Locks: the register's mutex is a leaf. It is taken under the partition's lock, once per
//! partition and `delivery.timeout.ms`.
//!
//! A caller does not wake the I/O thread for an expiry. A wait that began earlier also ends
//! earlier, because the sender waits no longer than `delivery.timeout.ms`.
//!
//! Differs from Java: Java visits every partition in every round.

use std::cmp::{Ordering as CmpOrdering, Reverse};
use std::collections::BinaryHeap;
use std::time::Instant;

use super::partition_queue::{PartitionQueue, QueueState};
use super::{RecordAccumulator, Scheduler};
use crate::producer::internals::ProducerBatch;
use crate::sync::{Arc, Mutex};
use crate::utils::later;

/// The entries that the I/O thread has not collected yet.
#[derive(Debug, Default)]
pub(super) struct ExpiryRegister {
    entries: Mutex<Vec<Expiry>>,
}

impl ExpiryRegister {
    /// Registers that a batch of the deque expires at `due`. Called under the partition's lock.
    pub(super) fn register(
        &self,
        partition: &Arc<PartitionQueue>,
        state: &mut QueueState,
        due: Instant,
    ) {
        if state.expiry.is_some_and(|known| known <= due) {
            return;
        }
        state.expiry = Some(due);
        let partition = Arc::clone(partition);
        self.entries.lock().push(Expiry { due, partition });
    }
}

/// The partitions by their next expiry. Belongs to the I/O thread.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    heap: BinaryHeap<Reverse<Expiry>>,
    /// How many partitions were locked to look for expired batches.
    #[cfg(test)]
    pub(super) visits: usize,
}

#[derive(Debug)]
struct Expiry {
    due: Instant,
    partition: Arc<PartitionQueue>,
}

impl RecordAccumulator {
    /// Returns when the batch reaches `delivery.timeout.ms`.
    pub(super) fn expiry_of(&self, batch: &ProducerBatch) -> Instant {
        later(batch.created(), self.config.delivery_timeout)
    }

    /// Takes the expired batches of one partition. Looks as far as
    /// [`next_expiry_in`](Self::next_expiry_in) does.
    fn take_expired(&self, state: &mut QueueState, now: Instant) -> Vec<ProducerBatch> {
        let mut taken = Vec::new();
        let mut index = 0;
        while let Some(batch) = state.batches.get(index) {
            if self.expiry_of(batch) <= now {
                taken.extend(state.batches.remove(index));
            } else if batch.is_back() {
                index += 1;
            } else {
                break;
            }
        }
        taken
    }

    /// Returns when the first batch of a deque expires.
    ///
    /// Batches that came back are at the front. Without sequences they may be in any order. The
    /// others follow in order of their age.
    fn next_expiry_in(&self, state: &QueueState) -> Option<Instant> {
        let came_back = state
            .batches
            .iter()
            .take_while(|batch| batch.is_back())
            .count();
        let candidates = state.batches.iter().take(came_back + 1);
        candidates.map(|batch| self.expiry_of(batch)).min()
    }
}

impl Scheduler {
    /// Takes the batches that have been waiting for longer than `delivery.timeout.ms`.
    pub(crate) fn expired_batches(&mut self, now: Instant) -> Vec<ProducerBatch> {
        self.collect_expiries();
        let mut expired = Vec::new();
        while let Some(Expiry { due, partition }) = self.expiries.take_due(now) {
            if partition.state.lock().expiry != Some(due) {
                continue;
            }
            #[cfg(test)]
            {
                self.expiries.visits += 1;
            }
            let accumulator = Arc::clone(&self.accumulator);
            let mut next = None;
            expired.extend(self.take_from(&partition, |state| {
                let taken = accumulator.take_expired(state, now);
                next = accumulator.next_expiry_in(state);
                state.expiry = next;
                taken
            }));
            if let Some(due) = next {
                self.expiries.heap.push(Reverse(Expiry { due, partition }));
            }
        }
        expired
    }

    /// Returns the earliest time when a batch that waits here can expire.
    pub(crate) fn next_expiry(&mut self) -> Option<Instant> {
        self.collect_expiries();
        let next = self.expiries.heap.peek();
        next.map(|Reverse(entry)| entry.due)
    }

    fn collect_expiries(&mut self) {
        let mut entries = self.accumulator.expiries.entries.lock();
        self.expiries.heap.extend(entries.drain(..).map(Reverse));
    }
}

impl Expiries {
    fn take_due(&mut self, now: Instant) -> Option<Expiry> {
        self.heap.peek().filter(|Reverse(entry)| entry.due <= now)?;
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

impl PartialEq for Expiry {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Expiry {}

impl PartialOrd for Expiry {
    fn partial_cmp(&self, other: &Self) -> Option<CmpOrdering> {
        Some(self.cmp(other))
    }
}

impl Ord for Expiry {
    fn cmp(&self, other: &Self) -> CmpOrdering {
        self.due.cmp(&other.due)
    }
}
