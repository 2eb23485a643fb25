//! The finished bytes of a batch.

use std::borrow::Cow;

use crate::producer::internals::buffer_pool::{KeptMemory, PooledBuffer};
use crate::protocol::RecordBytes;
use crate::record::{ProducerState, RecordError, WrittenBytes, rewrite_producer_state};
use crate::sync::Arc;

/// Finished bytes with their reservation of buffer memory, which the last owner returns.
#[derive(Debug)]
pub(super) struct FrozenRecords {
    bytes: WrittenBytes,
    memory: PooledBuffer,
}

impl FrozenRecords {
    pub(super) fn new(bytes: WrittenBytes, memory: PooledBuffer) -> Self {
        Self { bytes, memory }
    }

    /// Returns a copy that takes no memory of the pool.
    pub(super) fn unpooled_copy(&self) -> Self {
        Self::new(self.copied_bytes(), self.memory.unpooled_sibling(0))
    }

    fn copied_bytes(&self) -> WrittenBytes {
        WrittenBytes::from(self.bytes.contiguous().into_owned())
    }

    /// Allocates memory for a part of this batch. The pool does not count it.
    pub(super) fn unpooled_sibling(&self, capacity: usize) -> PooledBuffer {
        self.memory.unpooled_sibling(capacity)
    }

    /// Returns the bytes, and gives their reservation back to the pool. Copies them if a socket
    /// still writes them, or if they fill only a small part of their memory. Returns `None` if the
    /// limit of kept bytes is reached.
    pub(super) fn keep(records: Arc<Self>) -> Option<(WrittenBytes, Option<KeptMemory>)> {
        let kept = match records.memory.pool() {
            Some(pool) => Some(pool.keep(records.bytes.len())?),
            None => None,
        };
        let bytes = match Arc::try_unwrap(records) {
            Ok(mut own) if own.bytes.len() > own.memory.reserved() / 2 => {
                std::mem::take(&mut own.bytes)
            }
            Ok(own) => own.copied_bytes(),
            Err(shared) => shared.copied_bytes(),
        };
        Some((bytes, kept))
    }

    /// Returns the bytes in one piece. Copies them if they are in several.
    pub(super) fn contiguous(&self) -> Cow<'_, [u8]> {
        self.bytes.contiguous()
    }

    pub(super) fn rewrite_producer_state(
        &mut self,
        state: ProducerState,
    ) -> Result<(), RecordError> {
        rewrite_producer_state(&mut self.bytes, state)
    }
}

impl RecordBytes for FrozenRecords {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn slice(&self, index: usize) -> Option<&[u8]> {
        self.bytes.slice(index)
    }
}

impl Drop for FrozenRecords {
    fn drop(&mut self) {
        let (mut first, mut others) = std::mem::take(&mut self.bytes).into_buffers();
        self.memory.give_back(&mut first, &mut others);
    }
}
