//! The finished bytes of a batch.

use std::borrow::Cow;

use crate::producer::internals::buffer_pool::PooledBuffer;
use crate::protocol::RecordBytes;
use crate::record::{ProducerState, RecordError, WrittenBytes, rewrite_producer_state};

/// Finished bytes, standing on their reservation of buffer memory until the last owner drops them.
#[derive(Debug)]
pub(super) struct FrozenRecords {
    bytes: WrittenBytes,
    memory: PooledBuffer,
}

impl FrozenRecords {
    pub(super) fn new(bytes: WrittenBytes, memory: PooledBuffer) -> Self {
        Self { bytes, memory }
    }

    /// A copy that takes nothing of the pool.
    pub(super) fn unpooled_copy(&self) -> Self {
        let bytes = WrittenBytes::from(self.bytes.contiguous().into_owned());
        Self::new(bytes, PooledBuffer::unpooled(0))
    }

    /// The bytes in one piece, copied if they are in several.
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
        let bytes = std::mem::take(&mut self.bytes);
        self.memory.put_back(bytes.into_memory());
    }
}
