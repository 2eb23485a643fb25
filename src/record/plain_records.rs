//! The memory of a batch whose records are not compressed.
//!
//! A record goes where the chunk that is written has room for it and a word more. One that meets the end of the chunk is
//! written field by field, on into the next chunk.
//!
//! The vector is longer than what was written: what lies behind is memory with some value, which a record is written over a
//! word at a time, without asking for room again before each number and field. A vector that comes from an earlier batch
//! keeps the length that it had, however little of it is written; a new one gets longer in steps, so that memory is touched
//! only when it is needed.

use super::chunks::{Chunks, WrittenBytes};
use super::compression::CompressionError;
use super::compression::RecordSink;
use crate::utils::prefetch;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct PlainRecords {
    /// The chunk that is written now.
    bytes: Vec<u8>,
    /// The bytes of it that were written.
    used: usize,
    chunks: Chunks,
}

/// A word that ends with the last byte of a number may begin in front of it, so that this many bytes too many are written.
const SLACK: usize = size_of::<u64>();

/// The most memory that is given a value at a time, beyond what is asked for.
const PAGE: usize = 4096;

impl PlainRecords {
    /// Memory whose first `reserved` bytes another component writes at the end. The initial
    /// contents of `bytes` are unspecified.
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

    /// Adds a chunk, which is written when those before it are full. Its initial contents are unspecified.
    pub(crate) fn add_chunk(&mut self, memory: Vec<u8>) {
        self.chunks.add(memory);
    }

    /// Room for `size` bytes and a word more; `None` where the chunk ends before.
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

    /// Asks for the memory that `size` further bytes are going to take.
    #[inline]
    pub(crate) fn prefetch(&self, size: usize) {
        prefetch(&self.bytes, self.used, size + SLACK);
    }

    /// Asks for the first of what was written.
    pub(crate) fn prefetch_written(&self) {
        prefetch(&self.bytes, 0, self.used);
    }

    #[cold]
    fn lengthen(&mut self, end: usize) {
        let len = self.bytes.len();
        let len = end.max(len + len.min(PAGE)).min(self.bytes.capacity());
        self.bytes.resize(len, 0);
    }

    /// What was written.
    pub(crate) fn into_bytes(self) -> WrittenBytes {
        self.chunks.finish(self.bytes, self.used)
    }

    /// Writes into the chunk, which grows if it must.
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

    /// Used memory keeps the length that it had, and new memory has none.
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
