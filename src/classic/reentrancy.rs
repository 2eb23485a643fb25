//! Detects calls to a producer from its own handler, encoder or partitioner. Such a call would wait
//! for itself.
//!
//! Java's lock lets its own thread in again, and Java's `close` deadlocks in the send thread.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::sync::{AtomicU64, Ordering};

thread_local! {
    /// The producers whose handlers run on this thread.
    static HANDLING: RefCell<Vec<ProducerId>> = const { RefCell::new(Vec::new()) };
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The id of a producer within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerId(u64);

impl ProducerId {
    pub(crate) fn next() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Marks the thread as running the producer's handler, until the guard is dropped.
    pub(crate) fn enter(self) -> Handling {
        HANDLING.with_borrow_mut(|handling| handling.push(self));
        Handling(PhantomData)
    }

    /// Returns whether this thread runs the producer's handler.
    pub(crate) fn is_handling(self) -> bool {
        HANDLING.with_borrow(|handling| handling.contains(&self))
    }
}

/// See [`ProducerId::enter`]. Bound to its thread.
#[derive(Debug)]
pub(crate) struct Handling(PhantomData<*const ()>);

impl Drop for Handling {
    fn drop(&mut self) {
        HANDLING.with_borrow_mut(Vec::pop);
    }
}
