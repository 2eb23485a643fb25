//! The bytes of failed batches that their errors keep. They are not part of the pool, and are
//! limited to its size.

use super::BufferPool;
use crate::sync::{Arc, AtomicUsize, Ordering};

/// A share of the kept bytes, returned on drop. An error can outlive its producer, so the share
/// holds only the counter and not the pool with its free buffers.
#[derive(Debug)]
pub(crate) struct KeptMemory {
    kept: Arc<AtomicUsize>,
    size: usize,
}

impl BufferPool {
    /// Counts bytes that errors keep. Returns `None` if the total would exceed the size of the
    /// pool.
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
