//! Builds a batch in the memory that the socket later reads. Java: `MemoryRecordsBuilder`.
//!
//! ```text
//! new --append*--> open --close_for_record_appends--> closed for appends --close--> ClosedBatch
//!                    \______________________close_____________________________________/
//! ```
//!
//! Without compression a record is written once, in its final place. With compression it is encoded
//! into a stage in front of the codec. The header's 61 bytes are reserved at the start and written
//! last, because their contents are known only then.
//!
//! Threads: one at a time, which the owner of the batch ensures.

use super::chunks::WrittenBytes;
use super::compression::{CompressedStream, Compression, CompressionError, CompressionType};
use super::default_record::{DefaultRecord, PlacedRecord, RECORD_BATCH_OVERHEAD};
use super::default_record_batch::{BatchSummary, ProducerState, write_header};
use super::plain_records::PlainRecords;
use super::record_error::RecordError;

/// Estimates of compressed sizes are raised by this factor, because a batch that exceeds its memory
/// is expensive.
const COMPRESSION_RATE_ESTIMATION_FACTOR: f32 = 1.05;

/// The timestamp of a record without one.
const NO_TIMESTAMP: i64 = -1;

/// A batch that is being filled.
#[derive(Debug)]
pub(crate) struct MemoryRecordsBuilder {
    records: Records,
    compression: CompressionType,
    /// The size at which the batch is full, by `estimated_size_in_bytes`.
    write_limit: usize,
    /// The memory of the batch, if that is less than `write_limit`.
    memory: usize,
    /// The smaller of both: the current limit for appends.
    append_limit: usize,
    /// The expected ratio of compressed to uncompressed size.
    estimated_ratio: f32,
    record_count: i32,
    uncompressed_bytes: usize,
    /// The size of the header and the records, or their expected size after compression.
    estimated_bytes_written: usize,
    base_timestamp: i64,
    max_timestamp: i64,
}

/// The destination of the records. The buffer always begins with the space for the header.
#[derive(Debug)]
enum Records {
    Plain(PlainRecords),
    Compressed(Box<CompressedStream>),
    /// Appends have ended.
    Closed(WrittenBytes),
    /// The codec failed, so the batch can never be closed.
    Failed(CompressionError),
}

/// A finished batch. Only [`rewrite_producer_state`](super::rewrite_producer_state) can still
/// change its bytes.
#[derive(Debug)]
pub(crate) struct ClosedBatch {
    pub(crate) bytes: WrittenBytes,
    /// The size of the records before compression, without the header.
    pub(crate) uncompressed_bytes: usize,
    /// The compressed size of the records divided by `uncompressed_bytes`; 1 without compression.
    pub(crate) compression_ratio: f32,
}

/// Memory that a batch needs to grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MissingMemory {
    /// The missing memory for the next record.
    pub(crate) least: usize,
    /// The missing memory up to the batch's write limit.
    pub(crate) most: usize,
    /// The memory that the batch has.
    pub(crate) held: usize,
}

impl MemoryRecordsBuilder {
    /// Begins a batch in a buffer whose capacity the caller has reserved. Its initial contents are
    /// unspecified. Its capacity is at least `write_limit`, or [`limit_memory`](Self::limit_memory)
    /// follows.
    ///
    /// `write_limit` is at least 61. `estimated_ratio` comes from the estimator for this topic and
    /// codec.
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

    /// Appends a record if there is room. Returns its size before compression, or `None` if there
    /// is no room or the batch is closed for appends.
    ///
    /// # Errors
    /// The timestamp is negative and not -1, or the codec failed. Only a failed codec changes the
    /// batch.
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

    /// Returns whether a record fits. Counts it uncompressed, which leaves a margin for a low
    /// estimate.
    #[inline]
    fn has_room_for_bytes(&self, size: usize) -> bool {
        if self.record_count == 0 {
            return true;
        }
        let estimated = self.estimated_bytes_written;
        estimated < self.append_limit && size <= self.append_limit - estimated
    }

    /// Sets the batch's memory, if that is less than the write limit. No record is appended beyond
    /// it.
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
            // Its bytes are already in memory.
            Records::Closed(_) | Records::Failed(_) => {}
        }
    }

    /// Returns the memory that the record lacks, if it lacks nothing else to join the batch.
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

    /// Returns the exact size of the record as the next one.
    fn place(&self, timestamp: i64, record: &DefaultRecord<'_>) -> PlacedRecord {
        record.place(self.timestamp_delta(timestamp), self.record_count)
    }

    /// Returns the difference to the first record's timestamp.
    #[inline]
    fn timestamp_delta(&self, timestamp: i64) -> i64 {
        if self.record_count == 0 {
            0
        } else {
            // Wraps between -1 and i64::MAX, as in Java. Decoding reverses that.
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
                    // The stream may contain a part of a record.
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

    /// Returns whether the batch takes no more records: it is closed for appends, or has reached
    /// its limit.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        // A batch always takes a first record, however small the limit is.
        self.is_closed_for_appends()
            || (self.record_count > 0 && self.write_limit <= self.estimated_bytes_written)
    }

    /// Returns whether the batch has no records.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Returns the batch's size. It is exact without compression and once appends have ended, and
    /// otherwise an estimate.
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

    /// Prefetches the memory for another record of `size` bytes.
    #[inline]
    pub(crate) fn prefetch(&self, size: usize) {
        if let Records::Plain(plain) = &self.records {
            plain.prefetch(size);
        }
    }

    /// Prefetches the first written bytes.
    pub(crate) fn prefetch_written(&self) {
        if let Records::Plain(plain) = &self.records {
            plain.prefetch_written();
        }
    }

    /// Ends appends and the codec's stream, so that [`close`](Self::close) only needs to write the
    /// header. A second call does nothing.
    ///
    /// # Errors
    /// The codec failed, now or earlier.
    pub(crate) fn close_for_record_appends(&mut self) -> Result<(), CompressionError> {
        // The placeholder is never visible: each arm replaces it.
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

    /// Writes the header, and returns the finished batch.
    ///
    /// # Errors
    /// The batch has no records, the producer state is not valid, the batch exceeds the format, or
    /// the codec failed.
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
