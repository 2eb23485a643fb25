//! Where a codec's output goes: the chunks of a batch, one after the other.

use crate::record::chunks::{Chunks, WrittenBytes};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// What is written now; its capacity is the chunk.
    current: Vec<u8>,
    chunks: Chunks,
}

impl Output {
    /// Writes to the end of `current`.
    pub(super) fn new(current: Vec<u8>) -> Self {
        Self {
            current,
            chunks: Chunks::default(),
        }
    }

    /// Adds a chunk, which is written when those before it are full.
    pub(super) fn add_chunk(&mut self, mut memory: Vec<u8>) {
        memory.clear();
        self.chunks.add(memory);
    }

    /// Returns the bytes so far.
    pub(super) fn len(&self) -> usize {
        self.chunks.filled_len() + self.current.len()
    }

    /// A vector with room for a byte or more. The codec appends to it, and need not fill it.
    #[cfg(any(feature = "gzip", feature = "zstd"))]
    pub(super) fn with_room(&mut self) -> &mut Vec<u8> {
        self.make_room(1);
        &mut self.current
    }

    #[cfg(any(feature = "gzip", feature = "snappy", feature = "lz4"))]
    pub(super) fn put(&mut self, mut bytes: &[u8]) {
        loop {
            self.make_room(bytes.len());
            let room = self.current.capacity() - self.current.len();
            let (fitting, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.current.extend_from_slice(fitting);
            if rest.is_empty() {
                return;
            }
            bytes = rest;
        }
    }

    /// Goes on to the next chunk if this one is full.
    ///
    /// The last chunk grows for `wanted` bytes, and by a tenth at least, as in Java. What outgrows its estimate does so by
    /// little, and the pool does not account for it.
    #[cfg(any(
        feature = "gzip",
        feature = "snappy",
        feature = "lz4",
        feature = "zstd"
    ))]
    fn make_room(&mut self, wanted: usize) {
        let room = self.current.capacity() - self.current.len();
        if room >= wanted {
            return;
        }
        if !self.chunks.has_spare() {
            let more = wanted.max(self.current.capacity() / 10);
            self.current.reserve_exact(more);
        } else if room == 0 {
            let len = self.current.len();
            self.chunks.advance(&mut self.current, len);
        }
    }

    pub(super) fn finish(self) -> WrittenBytes {
        let len = self.current.len();
        self.chunks.finish(self.current, len)
    }
}
