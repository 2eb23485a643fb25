//! The callbacks of a batch, and the lists of them that done batches leave for those that begin. Java: `ProducerBatch.Thunk`.
//!
//! A list of a batch of 1 MB has some 10,000 entries. Made anew for each batch it would grow by doublings, into memory that
//! the allocator has given back to the system meanwhile: a page fault for each 4 KiB.
//!
//! Locks: one mutex around the lists, taken when a batch begins and when it ends, never per record.

use std::fmt;

use crate::producer::Callback;
use crate::producer::record_future::RecordFacts;
use crate::sync::Mutex;

/// A callback with what its record's metadata needs.
pub(super) struct Thunk {
    /// Of the record in its batch.
    pub(super) index: u32,
    pub(super) facts: RecordFacts,
    pub(super) callback: Callback,
}

/// Empty lists that have room.
#[derive(Default)]
pub(crate) struct SpareThunks(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    lists: Vec<Vec<Thunk>>,
    /// The callbacks that all of them have room for.
    capacity: usize,
}

/// The callbacks that the kept lists have room for at most: some 4 MB.
const MAX_CAPACITY: usize = 100_000;

impl SpareThunks {
    pub(super) fn take(&self) -> Vec<Thunk> {
        let mut spare = self.0.lock();
        let list = spare.lists.pop().unwrap_or_default();
        spare.capacity -= list.capacity();
        list
    }

    /// Keeps a list for later, as long as there are not too many. What is in it is dropped.
    pub(super) fn put(&self, mut list: Vec<Thunk>) {
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

    #[test]
    fn the_last_list_is_the_next_one() {
        let spare = SpareThunks::default();
        assert_eq!(spare.take().capacity(), 0);
        for capacity in [10, 20] {
            spare.put(Vec::with_capacity(capacity));
        }
        let capacities = [(); 3].map(|()| spare.take().capacity());
        assert_eq!(capacities, [20, 10, 0]);
    }

    #[test]
    fn no_more_is_kept_than_the_limit() {
        let spare = SpareThunks::default();
        let sizes = [MAX_CAPACITY - 10, 20, 10];
        for capacity in sizes {
            spare.put(Vec::with_capacity(capacity));
        }
        let capacities = [(); 3].map(|()| spare.take().capacity());
        assert_eq!(capacities, [10, MAX_CAPACITY - 10, 0]);
    }
}
