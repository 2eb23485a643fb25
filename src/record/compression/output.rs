//! The output of a codec: the chunks of a batch, one after the other.

use crate::record::chunks::{Chunks, WrittenBytes};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The current chunk. Its capacity is the chunk's size.
    current: Vec<u8>,
    chunks: Chunks,
}

impl Output {
    /// Creates an output that appends to `current`.
    pub(super) fn new(current: Vec<u8>) -> Self {
        Self {
            current,
            chunks: Chunks::default(),
        }
    }

    /// Adds a chunk after the others.
    pub(super) fn add_chunk(&mut self, mut memory: Vec<u8>) {
        memory.clear();
        self.chunks.add(memory);
    }

    /// Returns the number of bytes so far.
    pub(super) fn len(&self) -> usize {
        self.chunks.filled_len() + self.current.len()
    }

    /// Returns a vector with room for at least one byte. The codec appends to it, and need not fill
    /// it.
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

    /// Moves to the next chunk if this one is full.
    ///
    /// The last chunk grows for `wanted` bytes, and by at least a tenth, as in Java. A batch
    /// exceeds its estimate only slightly, and the pool does not account for that.
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
