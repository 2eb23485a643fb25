//! The memory of a batch without compression.
//!
//! A record is written in one step if the current chunk has room for it and one more word.
//! Otherwise it is written field by field, and continues in the next chunk.
//!
//! The vector is longer than the written part. The rest is initialized memory, over which a record
//! is written a word at a time, without checking for room before each number and field. A vector
//! from an earlier batch keeps its length, however little of it is written. A new one grows in
//! steps, so that memory is touched only when it is needed.

use super::chunks::{Chunks, WrittenBytes};
use super::compression::CompressionError;
use super::compression::RecordSink;
use crate::utils::prefetch;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct PlainRecords {
    /// The current chunk.
    bytes: Vec<u8>,
    /// The number of its written bytes.
    used: usize,
    chunks: Chunks,
}

/// A word that ends with the last byte of a number may begin before it, so up to this many extra
/// bytes are written.
const SLACK: usize = size_of::<u64>();

/// The most memory that is initialized at a time, beyond the requested size.
const PAGE: usize = 4096;

impl PlainRecords {
    /// Creates a vector whose first `reserved` bytes another component writes at the end. The
    /// initial contents of `bytes` are unspecified.
    pub(crate) fn new(mut bytes: Vec<u8>, reserved: usize) -> Self {
        if bytes.len() < reserved {
            bytes.resize(reserved, 0);
        }
        Self {
            bytes,
            used: reserved,
            chunks: Chunks::default(),
        }
    }

    /// Adds a chunk after the others. Its initial contents are unspecified.
    pub(crate) fn add_chunk(&mut self, memory: Vec<u8>) {
        self.chunks.add(memory);
    }

    /// Returns room for `size` bytes and one more word, or `None` if the chunk ends before.
    #[inline(always)]
    pub(crate) fn room(&mut self, size: usize) -> Option<&mut [u8]> {
        let end = self.used + size + SLACK;
        if self.bytes.len() < end {
            self.lengthen(end);
        }
        self.bytes.get_mut(self.used..end)
    }

    /// Counts bytes that were written into [`Self::room`].
    #[inline(always)]
    pub(crate) fn advance(&mut self, size: usize) {
        self.used += size;
    }

    /// Prefetches the memory for `size` more bytes.
    #[inline]
    pub(crate) fn prefetch(&self, size: usize) {
        prefetch(&self.bytes, self.used, size + SLACK);
    }

    /// Prefetches the first written bytes.
    pub(crate) fn prefetch_written(&self) {
        prefetch(&self.bytes, 0, self.used);
    }

    #[cold]
    fn lengthen(&mut self, end: usize) {
        let len = self.bytes.len();
        let len = end.max(len + len.min(PAGE)).min(self.bytes.capacity());
        self.bytes.resize(len, 0);
    }

    /// Returns the written bytes.
    pub(crate) fn into_bytes(self) -> WrittenBytes {
        self.chunks.finish(self.bytes, self.used)
    }

    /// Writes into the chunk. Grows it if necessary.
    fn write(&mut self, bytes: &[u8]) {
        let end = self.used + bytes.len();
        match self.bytes.get_mut(self.used..end) {
            Some(place) => place.copy_from_slice(bytes),
            None => {
                self.bytes.truncate(self.used);
                self.bytes.extend_from_slice(bytes);
            }
        }
        self.used = end;
    }
}

impl RecordSink for PlainRecords {
    fn put(&mut self, mut bytes: &[u8]) -> Result<(), CompressionError> {
        loop {
            let room = self.bytes.capacity() - self.used;
            if bytes.len() <= room || !self.chunks.has_spare() {
                self.write(bytes);
                return Ok(());
            }
            let (fitting, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.write(fitting);
            self.chunks.advance(&mut self.bytes, self.used);
            self.used = 0;
            bytes = rest;
        }
    }

    fn put_byte(&mut self, byte: u8) -> Result<(), CompressionError> {
        self.put(&[byte])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_before_is_not_there_afterwards() {
        let mut records = PlainRecords::new(vec![7; 100], 3);
        records.room(2).unwrap()[..2].copy_from_slice(b"ab");
        records.advance(2);
        records.put(b"cd").unwrap();
        records.put_byte(b'e').unwrap();
        records.room(1).unwrap()[0] = b'f';
        records.advance(1);
        let written = records.into_bytes();
        assert_eq!(*written.contiguous(), *b"\x07\x07\x07abcdef");
    }

    #[test]
    fn room_ends_where_the_memory_ends_and_the_sink_goes_on() {
        let mut records = PlainRecords::new(Vec::with_capacity(20), 2);
        assert_eq!(records.room(10).unwrap().len(), 10 + SLACK);
        records.advance(10);
        assert!(records.room(1).is_none());
        records.put(&[1; 20]).unwrap();
        let bytes = records.into_bytes();
        assert_eq!((bytes.len(), &bytes.contiguous()[12..]), (32, &[1; 20][..]));
    }

    #[test]
    fn memory_keeps_the_length_that_it_had() {
        let mut records = PlainRecords::new(vec![7; 100], 3);
        records.advance(10);
        let written = records.into_bytes();
        assert_eq!(written.len(), 13);
        assert_eq!(written.into_memory().next().unwrap().len(), 100);
    }

    /// Used memory keeps its length, and new memory has none.
    #[test]
    fn what_meets_the_end_of_a_chunk_goes_on_in_the_next() {
        for next in [vec![7; 16], Vec::with_capacity(16)] {
            let mut records = PlainRecords::new(Vec::with_capacity(16), 2);
            records.add_chunk(next);
            records.add_chunk(vec![7; 4]);
            records.put(b"abcdefghij").unwrap();
            assert!(records.room(1).is_none());
            records.put(b"klmnopq").unwrap();
            records.room(4).unwrap()[..4].copy_from_slice(b"rstu");
            records.advance(4);
            records.put(b"vwxyz01234").unwrap();
            let written = records.into_bytes();
            let slices: Vec<_> = written.slices().map(<[u8]>::len).collect();
            assert_eq!(slices, [16, 16, 1]);
            assert_eq!(
                written.contiguous()[2..],
                *b"abcdefghijklmnopqrstuvwxyz01234"
            );
        }
    }

    #[test]
    fn memory_is_touched_when_it_is_needed() {
        let mut records = PlainRecords::new(Vec::with_capacity(1 << 20), 61);
        assert!(records.room(100).is_some());
        assert!(records.bytes.len() < 400);
        assert_eq!(records.bytes.capacity(), 1 << 20);
    }
}
