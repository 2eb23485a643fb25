//! The bytes of failed batches that are kept for their errors. They are no part of the pool, and are limited by its size.

use super::BufferPool;
use crate::sync::{Arc, Ordering};

/// A share in what is kept, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct KeptMemory {
    pool: Arc<BufferPool>,
    size: usize,
}

impl BufferPool {
    /// Counts bytes that are kept for errors. `None` if as many as the pool has would be kept then.
    pub(crate) fn keep(self: &Arc<Self>, size: usize) -> Option<KeptMemory> {
        let more = |kept: usize| kept.checked_add(size).filter(|kept| *kept <= self.total);
        let relaxed = Ordering::Relaxed;
        self.kept.fetch_update(relaxed, relaxed, more).ok()?;
        Some(KeptMemory {
            pool: Arc::clone(self),
            size,
        })
    }
}

impl Drop for KeptMemory {
    fn drop(&mut self) {
        self.pool.kept.fetch_sub(self.size, Ordering::Relaxed);
    }
}
