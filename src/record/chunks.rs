//! The memory of a batch, in one or more chunks. Each is filled before the next one begins.
//!
//! With `buffer.memory.allocation.strategy=full` there is one chunk. With `incremental` a batch
//! starts with a small one and gets more as it grows. The socket gets the chunks as they are: the
//! bytes are never copied into one piece.

use std::borrow::Cow;
use std::collections::VecDeque;

/// Memory, and how many bytes at its start are written.
#[derive(Debug, Default)]
struct Chunk {
    memory: Vec<u8>,
    len: usize,
}

impl Chunk {
    fn written(&self) -> &[u8] {
        self.memory.get(..self.len).unwrap_or_default()
    }

    fn written_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(..self.len).unwrap_or_default()
    }
}

/// The chunks of a batch, except the current one, which the writer holds. Most batches have no
/// other, and then this is one word.
#[derive(Debug, Default)]
pub(super) struct Chunks(Option<Box<ChunkList>>);

#[derive(Debug, Default)]
struct ChunkList {
    filled: Vec<Chunk>,
    /// The number of bytes in `filled`.
    filled_len: usize,
    /// The next chunks to write, in this order.
    spare: VecDeque<Vec<u8>>,
}

impl Chunks {
    /// Adds a chunk after the others. Its initial contents are unspecified.
    pub(super) fn add(&mut self, memory: Vec<u8>) {
        let list = self.0.get_or_insert_default();
        list.spare.push_back(memory);
    }

    pub(super) fn has_spare(&self) -> bool {
        self.0.as_ref().is_some_and(|list| !list.spare.is_empty())
    }

    /// Returns the number of bytes in the filled chunks.
    pub(super) fn filled_len(&self) -> usize {
        self.0.as_ref().map_or(0, |list| list.filled_len)
    }

    fn filled(&self) -> &[Chunk] {
        self.0.as_ref().map_or(&[], |list| &list.filled)
    }

    /// Stores `memory`, of which `len` bytes are written, and replaces it by the next chunk. Does
    /// nothing if there is no next chunk.
    pub(super) fn advance(&mut self, memory: &mut Vec<u8>, len: usize) {
        let Some(list) = &mut self.0 else { return };
        if let Some(next) = list.spare.pop_front() {
            let memory = std::mem::replace(memory, next);
            list.filled.push(Chunk { memory, len });
            list.filled_len += len;
        }
    }

    /// Ends the writing. `len` bytes of the last chunk, `memory`, are written.
    pub(super) fn finish(self, memory: Vec<u8>, len: usize) -> WrittenBytes {
        WrittenBytes {
            chunks: self,
            last: Chunk { memory, len },
        }
    }
}

/// The bytes that were written into the memory of a batch.
#[derive(Debug, Default)]
pub(crate) struct WrittenBytes {
    chunks: Chunks,
    last: Chunk,
}

impl WrittenBytes {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.chunks.filled_len() + self.last.len
    }

    /// Returns one of the slices, whose concatenation is the written bytes. A slice may be empty.
    #[inline]
    pub(crate) fn slice(&self, index: usize) -> Option<&[u8]> {
        let filled = self.chunks.filled();
        match filled.get(index) {
            Some(chunk) => Some(chunk.written()),
            None => (index == filled.len()).then(|| self.last.written()),
        }
    }

    pub(crate) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let filled = self.chunks.filled().iter();
        filled.chain([&self.last]).map(Chunk::written)
    }

    /// Returns the first slice, which contains the header of a batch.
    pub(super) fn first_mut(&mut self) -> &mut [u8] {
        let list = self.chunks.0.as_mut();
        let first = list.and_then(|list| list.filled.first_mut());
        first.unwrap_or(&mut self.last).written_mut()
    }

    /// Returns the bytes in one piece. Copies them if they are in several.
    pub(crate) fn contiguous(&self) -> Cow<'_, [u8]> {
        if self.chunks.filled().is_empty() {
            Cow::Borrowed(self.last.written())
        } else {
            Cow::Owned(self.slices().collect::<Vec<_>>().concat())
        }
    }

    /// Copies the bytes.
    #[cfg(any(test, feature = "classic"))]
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.contiguous().into_owned()
    }

    /// Returns every chunk, including unused ones, in no particular order.
    #[cfg(any(test, feature = "_internals"))]
    pub(crate) fn into_memory(self) -> impl Iterator<Item = Vec<u8>> {
        let (first, others) = self.into_buffers();
        std::iter::once(first).chain(others)
    }

    /// Returns every chunk, as one of them and the others. Allocates nothing if there is only one.
    #[inline]
    pub(crate) fn into_buffers(self) -> (Vec<u8>, Vec<Vec<u8>>) {
        let others = self.chunks.0.map_or_else(Vec::new, |list| {
            let filled = list.filled.into_iter().map(|chunk| chunk.memory);
            filled.chain(list.spare).collect()
        });
        (self.last.memory, others)
    }
}

impl From<Vec<u8>> for WrittenBytes {
    fn from(memory: Vec<u8>) -> Self {
        let len = memory.len();
        Chunks::default().finish(memory, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> WrittenBytes {
        let mut chunks = Chunks::default();
        let mut memory = b"abc?".to_vec();
        chunks.advance(&mut memory, 3);
        assert_eq!((&*memory, chunks.filled_len()), (&b"abc?"[..], 0));
        for next in [b"de", b"fg", b"??"] {
            chunks.add(next.to_vec());
        }
        chunks.advance(&mut memory, 3);
        chunks.advance(&mut memory, 2);
        assert_eq!((chunks.filled_len(), chunks.has_spare()), (5, true));
        chunks.finish(memory, 1)
    }

    #[test]
    fn slices_are_what_was_written_in_its_order() {
        let mut written = written();
        assert_eq!(written.len(), 6);
        assert_eq!(
            written.slices().collect::<Vec<_>>(),
            [&b"abc"[..], b"de", b"f"]
        );
        for (index, slice) in written.slices().enumerate() {
            assert_eq!(written.slice(index), Some(slice));
        }
        assert_eq!(written.slice(3), None);
        assert_eq!(*written.contiguous(), *b"abcdef");
        written.first_mut().copy_from_slice(b"ABC");
        assert_eq!(*written.contiguous(), *b"ABCdef");
    }

    #[test]
    fn every_chunk_comes_back() {
        let mut memory: Vec<_> = written().into_memory().collect();
        memory.sort_unstable();
        assert_eq!(memory, [&b"??"[..], b"abc?", b"de", b"fg"]);
    }

    #[test]
    fn bytes_in_one_piece_are_not_copied() {
        let bytes = b"abc".to_vec();
        let address = bytes.as_ptr();
        let written = WrittenBytes::from(bytes);
        assert_eq!(written.contiguous().as_ptr(), address);
        assert_eq!(written.slices().count(), 1);
        assert_eq!(written.into_memory().count(), 1);
    }
}
