//! Builds a batch in the memory that later goes to the socket. Java: `MemoryRecordsBuilder`.
//!
//! ```text
//! new --append*--> open --close_for_record_appends--> closed for appends --close--> ClosedBatch
//!                    \______________________close_____________________________________/
//! ```
//!
//! Without compression a record is written once, into its place. With compression it is encoded into a stage in front of
//! the codec. The header's 61 bytes are reserved at the start and written last, because only then are they known.
//!
//! Threads: one at a time; the owner of the batch sees to that.

use super::chunks::WrittenBytes;
use super::compression::{CompressedStream, Compression, CompressionError, CompressionType};
use super::default_record::{DefaultRecord, PlacedRecord, RECORD_BATCH_OVERHEAD};
use super::default_record_batch::{BatchSummary, ProducerState, write_header};
use super::plain_records::PlainRecords;
use super::record_error::RecordError;

/// Estimates of compressed sizes are raised by this much, because a batch that overruns its memory is dear.
const COMPRESSION_RATE_ESTIMATION_FACTOR: f32 = 1.05;

/// The timestamp that stands for none.
const NO_TIMESTAMP: i64 = -1;

/// A batch that is being filled.
#[derive(Debug)]
pub(crate) struct MemoryRecordsBuilder {
    records: Records,
    compression: CompressionType,
    /// The size at which the batch is full, by `estimated_size_in_bytes`.
    write_limit: usize,
    /// The memory that the batch has, if that is less than `write_limit`.
    memory: usize,
    /// The lesser of both: the size to which records are appended now.
    append_limit: usize,
    /// Compressed by uncompressed size, as expected.
    estimated_ratio: f32,
    record_count: i32,
    uncompressed_bytes: usize,
    /// The header and the records as they are, or as they are expected to be when they are compressed.
    estimated_bytes_written: usize,
    base_timestamp: i64,
    max_timestamp: i64,
}

/// Where the records go. In each case the buffer begins with the space for the header.
#[derive(Debug)]
enum Records {
    Plain(PlainRecords),
    Compressed(Box<CompressedStream>),
    /// Appends are over.
    Closed(WrittenBytes),
    /// The codec failed, so that the batch can never be closed.
    Failed(CompressionError),
}

/// A finished batch: its bytes change no more, except by [`rewrite_producer_state`](super::rewrite_producer_state).
#[derive(Debug)]
pub(crate) struct ClosedBatch {
    pub(crate) bytes: WrittenBytes,
    /// Bytes of the records as they were before compression, without the header.
    pub(crate) uncompressed_bytes: usize,
    /// Bytes of the records by `uncompressed_bytes`; 1 without compression.
    pub(crate) compression_ratio: f32,
}

/// Memory that a batch needs to grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MissingMemory {
    /// For the next record.
    pub(crate) least: usize,
    /// Up to the batch's write limit.
    pub(crate) most: usize,
    /// What the batch has.
    pub(crate) held: usize,
}

impl MemoryRecordsBuilder {
    /// Begins a batch in a buffer whose capacity the caller has reserved; its initial contents are
    /// unspecified. Its capacity is at least `write_limit`, or [`limit_memory`](Self::limit_memory)
    /// follows.
    ///
    /// `write_limit` is at least 61. `estimated_ratio` is what the estimator expects of this topic and codec.
    pub(crate) fn new(
        mut buffer: Vec<u8>,
        compression: &Compression,
        write_limit: usize,
        estimated_ratio: f32,
    ) -> Self {
        debug_assert!(write_limit >= RECORD_BATCH_OVERHEAD);
        let records = match compression.kind {
            CompressionType::None => {
                Records::Plain(PlainRecords::new(buffer, RECORD_BATCH_OVERHEAD))
            }
            _ => {
                buffer.clear();
                buffer.resize(RECORD_BATCH_OVERHEAD, 0);
                Records::Compressed(Box::new(CompressedStream::new(compression, buffer)))
            }
        };
        Self {
            records,
            compression: compression.kind,
            write_limit,
            memory: write_limit,
            append_limit: write_limit,
            estimated_ratio,
            record_count: 0,
            uncompressed_bytes: 0,
            estimated_bytes_written: RECORD_BATCH_OVERHEAD,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
        }
    }

    /// Appends a record if there is room, and says how many bytes it takes before compression; `None` says that there is no
    /// room, or that the batch is closed for appends.
    ///
    /// # Errors
    /// The timestamp is negative and not -1, or the codec failed. Only the last one changes the batch.
    #[inline(always)]
    pub(crate) fn try_append(
        &mut self,
        timestamp: i64,
        record: &DefaultRecord<'_>,
    ) -> Result<Option<usize>, RecordError> {
        self.check_appendable(timestamp)?;
        let small = match &self.records {
            Records::Plain(_) => {
                record.place_small(self.timestamp_delta(timestamp), self.record_count)
            }
            _ => None,
        };
        if let Some(small) = small.filter(|small| self.has_room_for_bytes(small.size)) {
            if let Records::Plain(plain) = &mut self.records {
                if let Some(room) = plain.room(small.size) {
                    record.write_small(&small, room);
                    plain.advance(small.size);
                    self.appended(timestamp, small.size);
                    return Ok(Some(small.size));
                }
            }
        }
        self.try_append_any(timestamp, record)
    }

    /// Appends a record that is compressed, or has headers or large numbers.
    #[inline(never)]
    fn try_append_any(
        &mut self,
        timestamp: i64,
        record: &DefaultRecord<'_>,
    ) -> Result<Option<usize>, RecordError> {
        if self.is_closed_for_appends() {
            return Ok(None);
        }
        let place = self.place(timestamp, record);
        if !self.has_room_for_bytes(place.size) {
            return Ok(None);
        }
        self.write(record, &place)?;
        self.appended(timestamp, place.size);
        Ok(Some(place.size))
    }

    /// The next record is counted uncompressed, which leaves room for a guess that was too low.
    #[inline]
    fn has_room_for_bytes(&self, size: usize) -> bool {
        if self.record_count == 0 {
            return true;
        }
        let estimated = self.estimated_bytes_written;
        estimated < self.append_limit && size <= self.append_limit - estimated
    }

    /// Sets the memory that the batch has, if it does not reach for the write limit yet. No record is appended beyond it.
    pub(crate) fn limit_memory(&mut self, memory: usize) {
        self.memory = memory;
        self.append_limit = self.write_limit.min(memory);
    }

    /// Adds a chunk of memory, whose initial contents are unspecified.
    pub(crate) fn add_chunk(&mut self, chunk: Vec<u8>) {
        self.limit_memory(self.memory + chunk.capacity());
        match &mut self.records {
            Records::Plain(plain) => plain.add_chunk(chunk),
            Records::Compressed(stream) => stream.add_chunk(chunk),
            // Its bytes are in memory already.
            Records::Closed(_) | Records::Failed(_) => {}
        }
    }

    /// Returns the memory that the record lacks, if that is all that keeps it out of the batch.
    pub(crate) fn missing_memory(
        &self,
        timestamp: i64,
        record: &DefaultRecord<'_>,
    ) -> Option<MissingMemory> {
        let end = self.estimated_bytes_written + self.place(timestamp, record).size;
        let is_missing = self.memory < end && end <= self.write_limit;
        (is_missing && self.record_count > 0 && !self.is_closed_for_appends()).then(|| {
            MissingMemory {
                least: end - self.memory,
                most: self.write_limit - self.memory,
                held: self.memory,
            }
        })
    }

    #[inline]
    fn check_appendable(&self, timestamp: i64) -> Result<(), RecordError> {
        if timestamp < 0 && timestamp != NO_TIMESTAMP {
            return Err(RecordError::InvalidTimestamp(timestamp));
        }
        if self.record_count == i32::MAX {
            return Err(RecordError::TooLong("record count"));
        }
        Ok(())
    }

    /// Returns the exact size of a record if it comes next.
    fn place(&self, timestamp: i64, record: &DefaultRecord<'_>) -> PlacedRecord {
        record.place(self.timestamp_delta(timestamp), self.record_count)
    }

    /// From the first record, which says what the others are counted from.
    #[inline]
    fn timestamp_delta(&self, timestamp: i64) -> i64 {
        if self.record_count == 0 {
            0
        } else {
            // From -1 to i64::MAX it wraps, as in Java; reading wraps back.
            timestamp.wrapping_sub(self.base_timestamp)
        }
    }

    fn write(
        &mut self,
        record: &DefaultRecord<'_>,
        place: &PlacedRecord,
    ) -> Result<(), RecordError> {
        match &mut self.records {
            Records::Plain(plain) => record.write(place, plain)?,
            Records::Compressed(stream) => {
                if let Err(error) = record.write(place, stream.as_mut()) {
                    // Half a record may be in the stream.
                    self.records = Records::Failed(error.clone());
                    return Err(error.into());
                }
            }
            Records::Closed(_) => return Err(RecordError::Closed),
            Records::Failed(error) => return Err(error.clone().into()),
        }
        Ok(())
    }

    /// Counts a record that was written.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float converts to the nearest usize, as Java's converts to an int"
    )]
    fn appended(&mut self, timestamp: i64, size: usize) {
        if self.record_count == 0 {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.record_count += 1;
        self.uncompressed_bytes += size;
        let records = match self.compression {
            CompressionType::None => self.uncompressed_bytes,
            _ => {
                let expected = self.uncompressed_bytes as f32 * self.estimated_ratio;
                (expected * COMPRESSION_RATE_ESTIMATION_FACTOR) as usize
            }
        };
        self.estimated_bytes_written = RECORD_BATCH_OVERHEAD + records;
    }

    /// Returns whether the batch takes no more records: closed for appends, or grown to its limit.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        // A batch always takes a first record, however small the limit.
        self.is_closed_for_appends()
            || (self.record_count > 0 && self.write_limit <= self.estimated_bytes_written)
    }

    /// Returns whether nothing was appended.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Returns the batch's size: exact once it is closed for appends or where nothing is
    /// compressed, an estimate before.
    #[inline]
    pub(crate) fn estimated_size_in_bytes(&self) -> usize {
        match &self.records {
            Records::Closed(bytes) => bytes.len(),
            _ => self.estimated_bytes_written,
        }
    }

    /// Returns the newest timestamp, or -1.
    #[inline]
    #[cfg(test)]
    pub(crate) fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// Asks for the memory that another record of `size` bytes is going to take.
    #[inline]
    pub(crate) fn prefetch(&self, size: usize) {
        if let Records::Plain(plain) = &self.records {
            plain.prefetch(size);
        }
    }

    /// Asks for the first of what was written.
    pub(crate) fn prefetch_written(&self) {
        if let Records::Plain(plain) = &self.records {
            plain.prefetch_written();
        }
    }

    /// Ends appends, and with them the codec's work, so that [`close`](Self::close) has only the header left to do.
    /// Doing it twice is allowed.
    ///
    /// # Errors
    /// The codec failed, now or earlier.
    pub(crate) fn close_for_record_appends(&mut self) -> Result<(), CompressionError> {
        // The placeholder is never visible: each arm puts the right state in its place.
        let records =
            std::mem::replace(&mut self.records, Records::Closed(WrittenBytes::default()));
        let closed = match records {
            Records::Plain(plain) => Ok(plain.into_bytes()),
            Records::Closed(buffer) => Ok(buffer),
            Records::Compressed(stream) => stream.finish(),
            Records::Failed(error) => Err(error),
        };
        match closed {
            Ok(buffer) => {
                self.records = Records::Closed(buffer);
                Ok(())
            }
            Err(error) => {
                self.records = Records::Failed(error.clone());
                Err(error)
            }
        }
    }

    /// Returns whether appends have ended.
    #[inline]
    pub(crate) fn is_closed_for_appends(&self) -> bool {
        !matches!(self.records, Records::Plain(_) | Records::Compressed(_))
    }

    /// Writes the header, and gives the finished batch away.
    ///
    /// # Errors
    /// Nothing was appended, the producer state is not valid, the batch is beyond the format, or the codec failed.
    pub(crate) fn close(mut self, state: ProducerState) -> Result<ClosedBatch, RecordError> {
        if self.is_empty() {
            return Err(RecordError::Empty);
        }
        self.close_for_record_appends()?;
        let Records::Closed(mut bytes) = self.records else {
            return Err(RecordError::Closed);
        };
        let summary = BatchSummary {
            compression: self.compression,
            last_offset_delta: self.record_count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
        };
        write_header(&mut bytes, &summary, &state)?;
        let payload = bytes.len() - RECORD_BATCH_OVERHEAD;
        Ok(ClosedBatch {
            compression_ratio: payload as f32 / self.uncompressed_bytes as f32,
            uncompressed_bytes: self.uncompressed_bytes,
            bytes,
        })
    }
}

#[cfg(test)]
mod tests;
