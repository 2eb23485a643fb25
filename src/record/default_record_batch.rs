//! The 61-byte header of a batch, and the reading of batches. Java: `DefaultRecordBatch`.
//!
//! ```text
//! offset  field                   type  as a producer writes it
//!      0  base offset             i64   0; the broker fills it in
//!      8  batch length            i32   bytes behind this field
//!     12  partition leader epoch  i32   -1; the broker fills it in
//!     16  magic                   i8    2
//!     17  crc                     u32   CRC-32C of everything from 21 to the end
//!     21  attributes              i16   bits 0-2 codec, 3 timestamp type (0 create time), 4 transactional, 5 control
//!     23  last offset delta       i32   records - 1
//!     27  base timestamp          i64   of the first record, which need not be the least
//!     35  max timestamp           i64
//!     43  producer id             i64   -1 without idempotence
//!     51  producer epoch          i16   -1 without idempotence
//!     53  base sequence           i32   -1 without idempotence
//!     57  record count            i32
//!     61  records                       compressed as one stream where there is a codec
//! ```
//!
//! The fields that the broker fills in are before the checksummed range, so it need not compute the
//! checksum again.

use std::cmp::Ordering;

use byteorder::{BigEndian, ByteOrder};

use super::chunks::WrittenBytes;
use super::compression::{CompressionType, decompress};
use super::default_record::{DecodedRecord, RECORD_BATCH_OVERHEAD, read_records};
use super::record_error::RecordError;

/// The bytes before the range of the batch length: base offset and the length itself.
const LOG_OVERHEAD: usize = 12;

const LENGTH: usize = 8;
const LEADER_EPOCH: usize = 12;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const BASE_TIMESTAMP: usize = 27;
const MAX_TIMESTAMP: usize = 35;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
const RECORD_COUNT: usize = 57;

const CURRENT_MAGIC: i8 = 2;
const COMPRESSION_MASK: i16 = 0x07;
const TRANSACTIONAL_FLAG: i16 = 0x10;
const CONTROL_FLAG: i16 = 0x20;

type Header = [u8; RECORD_BATCH_OVERHEAD];

/// The part of the header that belongs to idempotence and transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerState {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) is_transactional: bool,
}

impl ProducerState {
    /// Neither idempotent nor transactional.
    pub(crate) const NONE: Self = Self {
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        is_transactional: false,
    };

    /// # Errors
    /// A transaction without a producer id, or a producer id without epoch or sequence.
    fn validate(&self) -> Result<(), RecordError> {
        let has_producer_id = self.producer_id != Self::NONE.producer_id;
        let problem = if self.is_transactional && !has_producer_id {
            "transactional records need a producer id"
        } else if has_producer_id && self.producer_epoch < 0 {
            "the producer epoch is negative"
        } else if has_producer_id && self.base_sequence < 0 {
            "the base sequence is negative"
        } else {
            return Ok(());
        };
        Err(RecordError::InvalidProducerState(problem))
    }

    fn write(&self, header: &mut Header) {
        BigEndian::write_i64(&mut header[PRODUCER_ID..PRODUCER_EPOCH], self.producer_id);
        BigEndian::write_i16(
            &mut header[PRODUCER_EPOCH..BASE_SEQUENCE],
            self.producer_epoch,
        );
        BigEndian::write_i32(&mut header[BASE_SEQUENCE..RECORD_COUNT], self.base_sequence);
        let attributes = BigEndian::read_i16(&header[ATTRIBUTES..LAST_OFFSET_DELTA]);
        let attributes = if self.is_transactional {
            attributes | TRANSACTIONAL_FLAG
        } else {
            attributes & !TRANSACTIONAL_FLAG
        };
        BigEndian::write_i16(&mut header[ATTRIBUTES..LAST_OFFSET_DELTA], attributes);
    }
}

/// The builder's facts about a batch for the header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchSummary {
    pub(crate) compression: CompressionType,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
}

/// Writes the header in front of the records of a batch, whose first 61 bytes are reserved for it.
pub(crate) fn write_header(
    batch: &mut WrittenBytes,
    summary: &BatchSummary,
    state: &ProducerState,
) -> Result<(), RecordError> {
    state.validate()?;
    let length = i32::try_from(batch.len().saturating_sub(LOG_OVERHEAD))
        .map_err(|_| RecordError::TooLong("batch"))?;
    let header = header_mut(batch.first_mut())?;

    BigEndian::write_i64(&mut header[..LENGTH], 0);
    BigEndian::write_i32(&mut header[LENGTH..LEADER_EPOCH], length);
    BigEndian::write_i32(&mut header[LEADER_EPOCH..MAGIC], -1);
    header[MAGIC] = CURRENT_MAGIC as u8;
    BigEndian::write_i16(
        &mut header[ATTRIBUTES..LAST_OFFSET_DELTA],
        summary.compression.id(),
    );
    BigEndian::write_i32(
        &mut header[LAST_OFFSET_DELTA..BASE_TIMESTAMP],
        summary.last_offset_delta,
    );
    BigEndian::write_i64(
        &mut header[BASE_TIMESTAMP..MAX_TIMESTAMP],
        summary.base_timestamp,
    );
    BigEndian::write_i64(
        &mut header[MAX_TIMESTAMP..PRODUCER_ID],
        summary.max_timestamp,
    );
    BigEndian::write_i32(
        &mut header[RECORD_COUNT..],
        summary.last_offset_delta.saturating_add(1),
    );
    state.write(header);
    write_crc(batch)
}

/// Changes the producer state of a finished batch: the header and the checksum change, and the
/// records do not.
///
/// Java: `MemoryRecordsBuilder.reopenAndRewriteProducerState`, for batches that outlive an epoch bump (KIP-360).
///
/// # Errors
/// The state is not valid, or `batch` is not one whole batch. Nothing is changed then.
pub(crate) fn rewrite_producer_state(
    batch: &mut WrittenBytes,
    state: ProducerState,
) -> Result<(), RecordError> {
    state.validate()?;
    let available = batch.len();
    let header = header_mut(batch.first_mut())?;
    let needed = size_of_batch(header)?;
    match available.cmp(&needed) {
        Ordering::Less => return Err(RecordError::Truncated { needed, available }),
        Ordering::Equal => {}
        Ordering::Greater => return Err(RecordError::InvalidRecord("bytes follow the batch")),
    }
    state.write(header);
    write_crc(batch)
}

fn header_mut(batch: &mut [u8]) -> Result<&mut Header, RecordError> {
    let available = batch.len();
    batch.first_chunk_mut().ok_or(RecordError::Truncated {
        needed: RECORD_BATCH_OVERHEAD,
        available,
    })
}

/// Returns the batch's size according to this header, if it is valid.
fn size_of_batch(header: &Header) -> Result<usize, RecordError> {
    let magic = i8::from_be_bytes([header[MAGIC]]);
    if magic != CURRENT_MAGIC {
        return Err(RecordError::UnsupportedMagic(magic));
    }
    let length = BigEndian::read_i32(&header[LENGTH..LEADER_EPOCH]);
    usize::try_from(length)
        .ok()
        .and_then(|length| length.checked_add(LOG_OVERHEAD))
        .filter(|&size| size >= RECORD_BATCH_OVERHEAD)
        .ok_or(RecordError::InvalidLength(length))
}

fn write_crc(batch: &mut WrittenBytes) -> Result<(), RecordError> {
    let crc = compute_crc(batch.slices());
    let header = header_mut(batch.first_mut())?;
    BigEndian::write_u32(&mut header[CRC..ATTRIBUTES], crc);
    Ok(())
}

/// Returns the checksum of a batch in slices. The first slice must contain the whole header.
fn compute_crc<'a>(batch: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let mut slices = batch.into_iter();
    let first = slices.next().and_then(|slice| slice.get(ATTRIBUTES..));
    let crc = crc32c::crc32c(first.unwrap_or_default());
    slices.fold(crc, crc32c::crc32c_append)
}

/// Returns the sequence `by` records later. Sequences wrap from `i32::MAX` to 0.
pub(crate) fn increment_sequence(sequence: i32, by: i32) -> i32 {
    wrap_sequence(i64::from(sequence) + i64::from(by))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder by 2^31 is at most i32::MAX"
)]
fn wrap_sequence(sequence: i64) -> i32 {
    sequence.rem_euclid(i64::from(i32::MAX) + 1) as i32
}

/// A batch somewhere in memory. Its length and magic are validated, and the rest only on request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordBatch<'a> {
    header: &'a Header,
    bytes: &'a [u8],
}

impl<'a> RecordBatch<'a> {
    /// Takes a batch from the front of `input`. Returns it with the rest.
    ///
    /// # Errors
    /// There are fewer bytes than the batch claims, the length is less than that of the header, or
    /// the format is not 2.
    pub(crate) fn parse(input: &'a [u8]) -> Result<(Self, &'a [u8]), RecordError> {
        let truncated = |needed| RecordError::Truncated {
            needed,
            available: input.len(),
        };
        let header: &Header = input
            .first_chunk()
            .ok_or_else(|| truncated(RECORD_BATCH_OVERHEAD))?;
        let size = size_of_batch(header)?;
        let (bytes, rest) = input
            .split_at_checked(size)
            .ok_or_else(|| truncated(size))?;
        Ok((Self { header, bytes }, rest))
    }

    /// Returns the whole batch, including the header.
    pub(crate) fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the offset of the first record; 0 before a broker appends the batch.
    pub(crate) fn base_offset(&self) -> i64 {
        BigEndian::read_i64(&self.header[..LENGTH])
    }

    /// Returns the number of bytes after the length field.
    #[cfg(test)]
    pub(crate) fn length(&self) -> i32 {
        BigEndian::read_i32(&self.header[LENGTH..LEADER_EPOCH])
    }

    #[cfg(test)]
    pub(crate) fn partition_leader_epoch(&self) -> i32 {
        BigEndian::read_i32(&self.header[LEADER_EPOCH..MAGIC])
    }

    /// Returns the checksum in the batch.
    pub(crate) fn crc(&self) -> u32 {
        BigEndian::read_u32(&self.header[CRC..ATTRIBUTES])
    }

    /// Returns whether the checksum in the batch is correct.
    pub(crate) fn is_crc_valid(&self) -> bool {
        self.crc() == compute_crc([self.bytes])
    }

    pub(crate) fn attributes(&self) -> i16 {
        BigEndian::read_i16(&self.header[ATTRIBUTES..LAST_OFFSET_DELTA])
    }

    /// # Errors
    /// The attributes contain an unknown codec.
    pub(crate) fn compression_type(&self) -> Result<CompressionType, RecordError> {
        let id = self.attributes() & COMPRESSION_MASK;
        CompressionType::from_id(id).ok_or(RecordError::UnknownCompression(id))
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes() & TRANSACTIONAL_FLAG != 0
    }

    pub(crate) fn is_control(&self) -> bool {
        self.attributes() & CONTROL_FLAG != 0
    }

    pub(crate) fn last_offset_delta(&self) -> i32 {
        BigEndian::read_i32(&self.header[LAST_OFFSET_DELTA..BASE_TIMESTAMP])
    }

    pub(crate) fn base_timestamp(&self) -> i64 {
        BigEndian::read_i64(&self.header[BASE_TIMESTAMP..MAX_TIMESTAMP])
    }

    pub(crate) fn max_timestamp(&self) -> i64 {
        BigEndian::read_i64(&self.header[MAX_TIMESTAMP..PRODUCER_ID])
    }

    pub(crate) fn producer_id(&self) -> i64 {
        BigEndian::read_i64(&self.header[PRODUCER_ID..PRODUCER_EPOCH])
    }

    pub(crate) fn producer_epoch(&self) -> i16 {
        BigEndian::read_i16(&self.header[PRODUCER_EPOCH..BASE_SEQUENCE])
    }

    pub(crate) fn base_sequence(&self) -> i32 {
        BigEndian::read_i32(&self.header[BASE_SEQUENCE..RECORD_COUNT])
    }

    /// Returns the sequence of the last record, or -1 if it has none.
    pub(crate) fn last_sequence(&self) -> i32 {
        match self.base_sequence() {
            -1 => -1,
            base => increment_sequence(base, self.last_offset_delta()),
        }
    }

    pub(crate) fn record_count(&self) -> i32 {
        BigEndian::read_i32(&self.header[RECORD_COUNT..])
    }

    /// Decodes the records. Does not check the checksum: see [`is_crc_valid`](Self::is_crc_valid).
    ///
    /// # Errors
    /// The records are malformed, their number differs from the header's, or they take more than
    /// `max_uncompressed` bytes.
    pub(crate) fn records(
        &self,
        max_uncompressed: usize,
    ) -> Result<Vec<DecodedRecord>, RecordError> {
        let count = usize::try_from(self.record_count()).map_err(|_| {
            RecordError::InvalidCount("the batch says that it has a negative number of records")
        })?;
        let kind = self.compression_type()?;
        let section = self.bytes.get(RECORD_BATCH_OVERHEAD..).unwrap_or_default();
        if kind == CompressionType::None {
            return read_records(section, count, self.base_timestamp());
        }
        let section = decompress(kind, section, max_uncompressed)?;
        read_records(&section, count, self.base_timestamp())
    }
}

#[cfg(test)]
mod tests;
