//! The callbacks of a batch. Java: `ProducerBatch.Thunk`. A batch that is done leaves its list to a
//! new one.
//!
//! The list of a batch of 1 MB has some 10,000 entries. A new list would grow by doubling, into
//! memory that the allocator has returned to the system meanwhile, which costs a page fault for
//! each 4 KiB.
//!
//! Locks: one mutex around the spare lists, taken when a batch begins and when it ends, never per record.

use std::fmt;
use std::iter::Take;
use std::slice::IterMut;

use super::record_facts::RecordFacts;
use crate::producer::Callback;
use crate::sync::Mutex;
use crate::utils::prefetch;

/// A callback, and the facts for its record's metadata.
pub(super) struct Thunk {
    /// The index of the record in its batch.
    pub(super) index: u32,
    pub(super) facts: RecordFacts,
    pub(super) callback: Callback,
}

/// The callbacks of one batch, by record.
///
/// A new callback is assigned to a vacant slot. `Vec::push` would assemble the entry on the stack
/// and copy it from there in larger pieces than it was written in, for which the processor waits:
/// the benchmark `100b-1mb` has 0.94 times the rate with it.
#[derive(Default)]
pub(super) struct Thunks {
    /// One slot for each record, and vacant ones behind them.
    slots: Vec<Option<Entry>>,
    /// The slots up to that of the last record with a callback.
    used: usize,
    /// The heap memory of the closures.
    heap_size: usize,
}

/// A thunk in its list, where its position is the index.
struct Entry {
    facts: RecordFacts,
    callback: Callback,
}

/// The slots of a new list.
const FIRST_SLOTS: usize = 4;

/// The memory that the list takes per record.
pub(super) const ENTRY_SIZE: usize = size_of::<Option<Entry>>();

impl Thunks {
    /// Returns the memory of all callbacks if the record at `index` adds this one.
    #[inline(always)]
    pub(super) fn size_with(&self, index: u32, callback: &Callback) -> usize {
        (index as usize + 1) * ENTRY_SIZE + self.heap_size + callback.heap_size()
    }

    /// Adds the callback of a record after the present ones.
    #[inline(always)]
    pub(super) fn push(&mut self, index: u32, facts: RecordFacts, callback: Callback) {
        let index = index as usize;
        self.heap_size += callback.heap_size();
        self.used = index + 1;
        if self.slots.len() <= index {
            self.grow();
        }
        if let Some(slot) = self.slots.get_mut(index) {
            debug_assert!(slot.is_none(), "a callback would be dropped uncalled");
            *slot = Some(Entry { facts, callback });
        }
    }

    /// Prefetches the memory for the next callback.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch(&self.slots, self.used, 1);
    }

    /// Prefetches the callbacks of the first records.
    pub(super) fn prefetch_first(&self) {
        prefetch(&self.slots, 0, self.used);
    }

    /// Adds slots, at least for the used part.
    #[cold]
    fn grow(&mut self) {
        let len = (2 * self.slots.len()).max(self.used).max(FIRST_SLOTS);
        self.slots.resize_with(len, || None);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    fn capacity(&self) -> usize {
        self.slots.len()
    }

    fn clear(&mut self) {
        drop(self.drain());
        self.heap_size = 0;
    }

    /// Takes the callbacks out in order. Drops those that are left when the iterator is dropped.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Thunk> + '_ {
        let used = std::mem::take(&mut self.used);
        Drain {
            index: 0,
            slots: self.slots.iter_mut().take(used),
        }
    }
}

/// See [`Thunks::drain`].
struct Drain<'a> {
    /// That of the next slot.
    index: u32,
    slots: Take<IterMut<'a, Option<Entry>>>,
}

impl Iterator for Drain<'_> {
    type Item = Thunk;

    fn next(&mut self) -> Option<Thunk> {
        loop {
            let entry = self.slots.next()?.take();
            let index = self.index;
            self.index += 1;
            if let Some(Entry { facts, callback }) = entry {
                return Some(Thunk {
                    index,
                    facts,
                    callback,
                });
            }
        }
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// Empty lists with reserved capacity.
#[derive(Default)]
pub(crate) struct SpareThunks(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    lists: Vec<Thunks>,
    /// The capacity of all lists in callbacks.
    capacity: usize,
}

/// The limit of the capacity of all kept lists, some 4 MB.
const MAX_CAPACITY: usize = 100_000;

impl SpareThunks {
    /// Returns the list that was kept last. Returns a new one if that list has room for more than
    /// `limit` bytes, because a small batch would hold memory that its reservation does not cover.
    pub(super) fn take(&self, limit: usize) -> Thunks {
        let mut spare = self.0.lock();
        let last = spare.lists.last();
        if last.is_some_and(|list| list.capacity() > limit / ENTRY_SIZE) {
            return Thunks::default();
        }
        let list = spare.lists.pop().unwrap_or_default();
        spare.capacity -= list.capacity();
        list
    }

    /// Keeps a list for later, unless there are too many. Drops its contents.
    pub(super) fn put(&self, mut list: Thunks) {
        list.clear();
        let mut spare = self.0.lock();
        if list.capacity() > 0 && spare.capacity + list.capacity() <= MAX_CAPACITY {
            spare.capacity += list.capacity();
            spare.lists.push(list);
        }
    }
}

impl fmt::Debug for SpareThunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpareThunks")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_capacity(capacity: usize) -> Thunks {
        let mut thunks = Thunks::default();
        thunks.slots.resize_with(capacity, || None);
        thunks
    }

    #[test]
    fn the_last_list_is_the_next_one() {
        let spare = SpareThunks::default();
        assert_eq!(spare.take(usize::MAX).capacity(), 0);
        for capacity in [10, 20] {
            spare.put(with_capacity(capacity));
        }
        let capacities = [(); 3].map(|()| spare.take(usize::MAX).capacity());
        assert_eq!(capacities, [20, 10, 0]);
    }

    #[test]
    fn a_list_with_more_room_than_the_limit_stays() {
        let spare = SpareThunks::default();
        spare.put(with_capacity(10));
        assert_eq!(spare.take(10 * ENTRY_SIZE - 1).capacity(), 0);
        assert_eq!(spare.take(10 * ENTRY_SIZE).capacity(), 10);
    }

    #[test]
    fn no_more_is_kept_than_the_limit() {
        let spare = SpareThunks::default();
        let sizes = [MAX_CAPACITY - 10, 20, 10];
        for capacity in sizes {
            spare.put(with_capacity(capacity));
        }
        let capacities = [(); 3].map(|()| spare.take(usize::MAX).capacity());
        assert_eq!(capacities, [10, MAX_CAPACITY - 10, 0]);
    }

    fn facts(number: i32) -> RecordFacts {
        RecordFacts {
            timestamp: i64::from(number) - 1,
            serialized_key_size: -1,
            serialized_value_size: number,
        }
    }

    #[test]
    fn callbacks_come_back_with_the_facts_of_their_records() {
        let mut thunks = Thunks::default();
        for index in [2, 3, 7] {
            thunks.push(index, facts(index as i32), Callback::new(drop));
        }
        let drained: Vec<_> = thunks
            .drain()
            .map(|thunk| (thunk.index, thunk.facts))
            .collect();
        assert_eq!(drained, [2, 3, 7].map(|index| (index, facts(index as i32))));
        assert!(thunks.is_empty());
    }

    /// After a panic, the drain continues behind the callback that panicked.
    #[test]
    fn a_drain_that_is_dropped_drops_the_rest() {
        let count = std::sync::Arc::new(());
        let mut thunks = Thunks::default();
        for index in 0..3_u32 {
            let count = std::sync::Arc::clone(&count);
            let callback = Callback::new(move |_| drop(count));
            thunks.push(index, facts(index as i32), callback);
        }
        drop(thunks.drain().next());
        assert_eq!(std::sync::Arc::strong_count(&count), 1);
    }
}
