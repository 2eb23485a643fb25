//! The callbacks of a batch, and the lists of them that done batches leave for those that begin. Java: `ProducerBatch.Thunk`.
//!
//! A list of a batch of 1 MB has some 10,000 entries. Made anew for each batch it would grow by doublings, into memory that
//! the allocator has given back to the system meanwhile: a page fault for each 4 KiB.
//!
//! Locks: one mutex around the lists, taken when a batch begins and when it ends, never per record.

use std::fmt;

use super::record_facts::RecordFacts;
use crate::producer::Callback;
use crate::sync::Mutex;
use crate::utils::prefetch;

/// A callback with what its record's metadata needs.
pub(super) struct Thunk {
    /// Of the record in its batch.
    pub(super) index: u32,
    pub(super) facts: RecordFacts,
    pub(super) callback: Callback,
}

/// The callbacks of one batch, by its records.
///
/// Two lists of pairs, because a pair goes from registers into its place. A thunk would be put together on the stack and
/// copied from there in other pieces than it was written in, for which the processor waits.
#[derive(Default)]
pub(super) struct Thunks {
    /// Not longer than up to the last record with a callback.
    callbacks: Vec<Option<Callback>>,
    /// As long; the timestamps, and the sizes of key and value in one number.
    facts: Vec<(i64, u64)>,
    /// The bytes that the closures have on the heap.
    heap_size: usize,
}

/// The bytes that the lists have for each record.
pub(super) const ENTRY_SIZE: usize = size_of::<Option<Callback>>() + size_of::<(i64, u64)>();

impl Thunks {
    /// Returns how many bytes all callbacks take if the record at `index` brings this one.
    #[inline(always)]
    pub(super) fn size_with(&self, index: u32, callback: &Callback) -> usize {
        (index as usize + 1) * ENTRY_SIZE + self.heap_size + callback.heap_size()
    }

    /// Adds the callback of a record behind those that are here.
    #[inline(always)]
    pub(super) fn push(&mut self, index: u32, facts: RecordFacts, callback: Callback) {
        if self.callbacks.len() < index as usize {
            self.pass_over(index as usize);
        }
        self.heap_size += callback.heap_size();
        self.callbacks.push(Some(callback));
        self.facts.push(facts.to_words());
    }

    /// Asks for the memory of the next callback.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch(&self.callbacks, self.callbacks.len(), 1);
        prefetch(&self.facts, self.facts.len(), 1);
    }

    /// Asks for the callbacks of the first records.
    pub(super) fn prefetch_first(&self) {
        prefetch(&self.callbacks, 0, self.callbacks.len());
        prefetch(&self.facts, 0, self.facts.len());
    }

    /// The records up to this one have none.
    #[cold]
    fn pass_over(&mut self, index: usize) {
        self.callbacks.resize_with(index, || None);
        self.facts.resize(index, (0, 0));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.callbacks.is_empty()
    }

    fn capacity(&self) -> usize {
        self.callbacks.capacity()
    }

    fn clear(&mut self) {
        self.callbacks.clear();
        self.facts.clear();
        self.heap_size = 0;
    }

    /// Takes them out, one by one and in order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Thunk> + '_ {
        let records = self.callbacks.drain(..).zip(self.facts.drain(..));
        (0..).zip(records).filter_map(|(index, (callback, facts))| {
            Some(Thunk {
                index,
                facts: RecordFacts::from_words(facts),
                callback: callback?,
            })
        })
    }
}

/// Empty lists that have room.
#[derive(Default)]
pub(crate) struct SpareThunks(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    lists: Vec<Thunks>,
    /// The callbacks that all of them have room for.
    capacity: usize,
}

/// The callbacks that the kept lists have room for at most: some 4 MB.
const MAX_CAPACITY: usize = 100_000;

impl SpareThunks {
    /// Returns the list that was kept last, or a new one if that has room for more bytes than `limit`: a small batch would
    /// keep memory that its reservation does not cover.
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

    /// Keeps a list for later, as long as there are not too many. What is in it is dropped.
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
        Thunks {
            callbacks: Vec::with_capacity(capacity),
            facts: Vec::with_capacity(capacity),
            heap_size: 0,
        }
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

    #[test]
    fn callbacks_come_back_with_the_facts_of_their_records() {
        let facts = |number: i32| RecordFacts {
            timestamp: i64::from(number) - 1,
            serialized_key_size: -1,
            serialized_value_size: number,
        };
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

    /// What a panic leaves behind goes on behind the one that panicked.
    #[test]
    fn a_drain_that_is_dropped_drops_the_rest() {
        let count = std::sync::Arc::new(());
        let mut thunks = Thunks::default();
        for index in 0..3 {
            let count = std::sync::Arc::clone(&count);
            let callback = Callback::new(move |_| drop(count));
            thunks.push(index, RecordFacts::from_words((0, 0)), callback);
        }
        drop(thunks.drain().next());
        assert_eq!(std::sync::Arc::strong_count(&count), 1);
    }
}
