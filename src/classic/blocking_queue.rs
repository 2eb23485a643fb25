//! The bounded queue between senders and the send thread. Java: `BlockingQueue`, `LinkedBlockingQueue`.
//!
//! Threads: senders add items; the send thread takes them.
//! Locks: one around the items, held for one operation.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sync::{Condvar, Mutex};

/// The queue that the send thread reads. Tests replace it to control the waits.
pub(crate) trait BlockingQueue<T>: Send + Sync {
    /// Adds an item. Waits for room without a limit.
    fn put(&self, item: T);

    /// Adds an item, or returns it if there is no room.
    fn offer(&self, item: T) -> Result<(), T>;

    /// Adds an item, or returns it if there is no room within `timeout`.
    fn offer_within(&self, item: T, timeout: Duration) -> Result<(), T>;

    /// Adds an item even if the queue is full.
    fn force(&self, item: T);

    /// Takes the oldest item. Returns `None` if none arrives within `timeout`.
    fn poll(&self, timeout: Duration) -> Option<T>;

    fn len(&self) -> usize;

    fn remaining_capacity(&self) -> usize;
}

/// A queue of at most `capacity` items.
pub(crate) struct LinkedBlockingQueue<T> {
    capacity: usize,
    items: Mutex<VecDeque<T>>,
    not_empty: Condvar,
    not_full: Condvar,
}

impl<T> LinkedBlockingQueue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            items: Mutex::default(),
            not_empty: Condvar::new(),
            not_full: Condvar::new(),
        }
    }

    fn is_full(&self, items: &VecDeque<T>) -> bool {
        items.len() >= self.capacity
    }
}

impl<T: Send> BlockingQueue<T> for LinkedBlockingQueue<T> {
    fn put(&self, item: T) {
        let mut items = self.items.lock();
        self.not_full
            .wait_while(&mut items, |items| self.is_full(items));
        items.push_back(item);
        self.not_empty.notify_one();
    }

    fn offer(&self, item: T) -> Result<(), T> {
        self.offer_within(item, Duration::ZERO)
    }

    fn offer_within(&self, item: T, timeout: Duration) -> Result<(), T> {
        let mut items = self.items.lock();
        if self.is_full(&items) && !timeout.is_zero() {
            let is_full = |items: &mut VecDeque<T>| self.is_full(items);
            self.not_full.wait_while_for(&mut items, is_full, timeout);
        }
        if self.is_full(&items) {
            return Err(item);
        }
        items.push_back(item);
        self.not_empty.notify_one();
        Ok(())
    }

    fn force(&self, item: T) {
        self.items.lock().push_back(item);
        self.not_empty.notify_one();
    }

    fn poll(&self, timeout: Duration) -> Option<T> {
        let mut items = self.items.lock();
        if items.is_empty() && !timeout.is_zero() {
            self.not_empty
                .wait_while_for(&mut items, |items| items.is_empty(), timeout);
        }
        let item = items.pop_front();
        if item.is_some() {
            self.not_full.notify_one();
        }
        item
    }

    fn len(&self) -> usize {
        self.items.lock().len()
    }

    fn remaining_capacity(&self) -> usize {
        self.capacity.saturating_sub(self.len())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_full_queue_refuses_and_keeps_its_order() {
        let queue = LinkedBlockingQueue::new(2);
        assert_eq!(queue.poll(Duration::ZERO), None);
        assert_eq!((queue.offer(1), queue.offer(2)), (Ok(()), Ok(())));
        assert_eq!(
            (queue.offer(3), queue.len(), queue.remaining_capacity()),
            (Err(3), 2, 0)
        );
        assert_eq!(queue.offer_within(3, Duration::from_millis(1)), Err(3));
        queue.force(4);
        assert_eq!(queue.remaining_capacity(), 0);
        let polled: Vec<_> = (0..3).map(|_| queue.poll(LONG)).collect();
        assert_eq!(polled, [Some(1), Some(2), Some(4)]);
        assert_eq!(queue.poll(Duration::from_millis(1)), None);
    }

    #[test]
    fn waiters_go_on_when_there_is_room_or_an_item() {
        let queue = LinkedBlockingQueue::new(1);
        queue.put(0);
        thread::scope(|scope| {
            scope.spawn(|| queue.put(1));
            scope.spawn(|| assert_eq!(queue.offer_within(1, LONG), Ok(())));
            scope.spawn(|| {
                let sum: Option<i32> = (0..3).map(|_| queue.poll(LONG)).sum();
                assert_eq!(sum, Some(2));
            });
        });
        assert_eq!(queue.len(), 0);
    }
}
