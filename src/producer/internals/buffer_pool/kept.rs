//! The bytes of failed batches that are kept for their errors. They are no part of the pool, and are limited by its size.

use super::BufferPool;
use crate::sync::{Arc, AtomicUsize, Ordering};

/// A share in what is kept, given back when it is dropped. It outlives the producer with its error, so it holds the count and
/// not the pool, which has all of its free buffers.
#[derive(Debug)]
pub(crate) struct KeptMemory {
    kept: Arc<AtomicUsize>,
    size: usize,
}

impl BufferPool {
    /// Counts bytes that are kept for errors. `None` if as many as the pool has would be kept then.
    pub(crate) fn keep(&self, size: usize) -> Option<KeptMemory> {
        let more = |kept: usize| kept.checked_add(size).filter(|kept| *kept <= self.total);
        let relaxed = Ordering::Relaxed;
        self.kept.fetch_update(relaxed, relaxed, more).ok()?;
        Some(KeptMemory {
            kept: Arc::clone(&self.kept),
            size,
        })
    }
}

impl Drop for KeptMemory {
    fn drop(&mut self) {
        self.kept.fetch_sub(self.size, Ordering::Relaxed);
    }
}
