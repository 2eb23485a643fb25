//! A list that grows at its end and is read without a lock, an atomic read-modify-write, or a copy.
//!
//! The elements live in blocks, each twice as long as the one before it, which never move.

use crate::sync::{Mutex, OnceLock};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct AppendList<T> {
    blocks: [OnceLock<Box<[OnceLock<T>]>>; BLOCKS],
    len: Mutex<usize>,
}

/// Enough for 2^32 elements.
const BLOCKS: usize = 30;

/// The length of the first block is `1 << FIRST`.
const FIRST: u32 = 3;

impl<T> Default for AppendList<T> {
    fn default() -> Self {
        Self {
            blocks: [const { OnceLock::new() }; BLOCKS],
            len: Mutex::new(0),
        }
    }
}

impl<T> AppendList<T> {
    /// The block of an element, and its place there.
    #[inline]
    fn place(index: usize) -> (usize, usize) {
        let shifted = index + (1 << FIRST);
        let level = shifted.ilog2();
        ((level - FIRST) as usize, shifted - (1 << level))
    }

    /// Adds an element, and says where [`Self::get`] finds it.
    pub(crate) fn push(&self, element: T) -> usize {
        let mut len = self.len.lock();
        let index = *len;
        let (block, place) = Self::place(index);
        let block_len = 1 << (FIRST as usize + block);
        let new_block = || (0..block_len).map(|_| OnceLock::new()).collect();
        if let Some(block) = self.blocks.get(block) {
            if let Some(slot) = block.get_or_init(new_block).get(place) {
                // Empty, since the length grows with the lock held.
                let _ = slot.set(element);
            }
        }
        *len += 1;
        index
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        let (block, place) = Self::place(index);
        self.blocks.get(block)?.get()?.get(place)?.get()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn elements_stay_where_they_were_put() {
        let list = AppendList::default();
        assert_eq!(list.get(0), None);
        for number in 0..1000 {
            assert_eq!(list.push(number), number);
        }
        let first = std::ptr::from_ref(list.get(0).unwrap());
        assert!((0..1000).all(|number| list.get(number) == Some(&number)));
        assert_eq!(list.get(1000), None);
        list.push(1000);
        assert_eq!(std::ptr::from_ref(list.get(0).unwrap()), first);
    }

    #[test]
    fn threads_get_places_of_their_own() {
        let list = AppendList::default();
        thread::scope(|scope| {
            for thread in 0..4 {
                let list = &list;
                scope.spawn(move || {
                    for number in 0..500 {
                        let index = list.push((thread, number));
                        assert_eq!(list.get(index), Some(&(thread, number)));
                    }
                });
            }
        });
        assert!(list.get(1999).is_some() && list.get(2000).is_none());
    }
}
