//! One record inside a batch: its size, encoding and decoding. Java: `DefaultRecord`.
//!
//! ```text
//! length          varint     of all that follows
//! attributes      i8         0
//! timestamp delta varlong    to the batch's base timestamp; may be negative
//! offset delta    varint     0, 1, 2 ...
//! key length      varint     -1 is null     key
//! value length    varint     -1 is null     value
//! header count    varint
//!   key length    varint                    key, UTF-8
//!   value length  varint     -1 is null     value
//! ```

use super::compression::{CompressionError, RecordSink};
use super::record_error::RecordError;
use super::varint::{
    VarintWord, read_varint, read_varlong, size_of_varint, size_of_varlong, write_varint,
    write_varlong,
};
use crate::common::{Header, Headers};

/// The size of a batch's header.
pub(crate) const RECORD_BATCH_OVERHEAD: usize = 61;

/// The largest size of a record without key, value and headers: length 5, attributes 1, timestamp
/// 10, offset 5.
const MAX_RECORD_OVERHEAD: usize = 21;

/// The smallest size of a record: each of its seven numbers takes one byte.
const MIN_RECORD_SIZE: usize = 7;

/// The smallest size of a header: two lengths.
const MIN_HEADER_SIZE: usize = 2;

/// A record to append, with its sizes.
///
/// Measuring needs no batch, so a caller can do it before it takes the lock for the append.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DefaultRecord<'a> {
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a Headers,
    /// The encoded length; -1 for null.
    key_length: i32,
    value_length: i32,
    header_count: i32,
    /// The bytes of key, value and headers with their lengths.
    fields_size: usize,
}

/// A record at its position in a batch, which determines the deltas and thus the exact size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlacedRecord {
    timestamp_delta: i64,
    offset_delta: i32,
    body_size: i32,
    /// The size of the whole record, including its length in front.
    pub(crate) size: usize,
}

/// A record at its position in a batch, if it has small numbers and no headers, as most do. The
/// numbers before the key and the value can then be written a word at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SmallRecord {
    length: VarintWord,
    /// Attributes, timestamp delta and offset delta.
    start: VarintWord,
    key_length: VarintWord,
    value_length: VarintWord,
    header_count: VarintWord,
    /// The whole record, with its length in front.
    pub(crate) size: usize,
}

impl<'a> DefaultRecord<'a> {
    /// Measures a record.
    ///
    /// # Errors
    /// A length does not fit the format, or a batch with only this record does not.
    #[inline(always)]
    pub(crate) fn new(
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        headers: &'a Headers,
    ) -> Result<Self, RecordError> {
        let key_length = length_of(key, "key")?;
        let value_length = length_of(value, "value")?;
        let (header_count, headers_size) = if headers.is_empty() {
            (0, 1)
        } else {
            measure_headers(headers)?
        };
        let size = size_of_nullable(key_length) + size_of_nullable(value_length) + headers_size;
        // Then neither the record's length nor its batch's can overflow later.
        let fields_size = match usize::try_from(size) {
            Ok(size) if size <= MAX_FIELDS_SIZE => size,
            _ => return Err(RecordError::TooLong("record")),
        };
        Ok(Self {
            key,
            value,
            headers,
            key_length,
            value_length,
            header_count,
            fields_size,
        })
    }

    #[inline]
    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        self.key
    }

    #[inline]
    pub(crate) fn value(&self) -> Option<&'a [u8]> {
        self.value
    }

    pub(crate) fn headers(&self) -> &'a Headers {
        self.headers
    }

    /// Returns the encoded length of the key; -1 for null.
    #[inline]
    pub(crate) fn key_length(&self) -> i32 {
        self.key_length
    }

    /// Returns the encoded length of the value; -1 for null.
    #[inline]
    pub(crate) fn value_length(&self) -> i32 {
        self.value_length
    }

    /// Returns an upper bound for the size of a batch with only this record. Java:
    /// `AbstractRecords.estimateSizeInBytesUpperBound`.
    #[inline]
    pub(crate) fn batch_size_upper_bound(&self) -> usize {
        RECORD_BATCH_OVERHEAD + MAX_RECORD_OVERHEAD + self.fields_size
    }

    /// Returns the exact size of this record at a position in a batch.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`new` bounds the fields so that the largest deltas fit too"
    )]
    pub(crate) fn place(&self, timestamp_delta: i64, offset_delta: i32) -> PlacedRecord {
        let body_size =
            1 + size_of_varlong(timestamp_delta) + size_of_varint(offset_delta) + self.fields_size;
        let body_size = body_size as i32;
        PlacedRecord {
            timestamp_delta,
            offset_delta,
            body_size,
            size: size_of_varint(body_size) + body_size as usize,
        }
    }

    /// Writes the record.
    #[inline]
    pub(crate) fn write<S: RecordSink>(
        &self,
        place: &PlacedRecord,
        sink: &mut S,
    ) -> Result<(), CompressionError> {
        write_varint(sink, place.body_size)?;
        sink.put_byte(0)?;
        write_varlong(sink, place.timestamp_delta)?;
        write_varint(sink, place.offset_delta)?;
        write_nullable(sink, self.key, self.key_length)?;
        write_nullable(sink, self.value, self.value_length)?;
        write_varint(sink, self.header_count)?;
        if self.header_count != 0 {
            write_headers(sink, self.headers)?;
        }
        Ok(())
    }
}

impl DefaultRecord<'_> {
    /// Returns the words of the record at a position in a batch, if its numbers are small.
    #[inline(always)]
    pub(crate) fn place_small(
        &self,
        timestamp_delta: i64,
        offset_delta: i32,
    ) -> Option<SmallRecord> {
        if self.header_count != 0 {
            return None;
        }
        let attributes = VarintWord::small(0)?;
        let start = attributes
            .and(VarintWord::small(timestamp_delta)?)
            .and(VarintWord::small(i64::from(offset_delta))?);
        let body_size = start.len() + self.fields_size;
        let length = VarintWord::small(i64::try_from(body_size).ok()?)?;
        Some(SmallRecord {
            length,
            start,
            key_length: VarintWord::small(i64::from(self.key_length))?,
            value_length: VarintWord::small(i64::from(self.value_length))?,
            header_count: VarintWord::small(0)?,
            size: length.len() + body_size,
        })
    }

    /// Writes the record into its size and one more word.
    #[inline(always)]
    pub(crate) fn write_small(&self, place: &SmallRecord, room: &mut [u8]) {
        let mut end = put_word(place.length, room, 0);
        end = put_word(place.start, room, end);
        end = put_word(place.key_length, room, end);
        if let Some(key) = self.key {
            end = put_bytes(key, room, end);
        }
        end = put_word(place.value_length, room, end);
        if let Some(value) = self.value {
            end = put_bytes(value, room, end);
        }
        put_word(place.header_count, room, end);
    }
}

/// Writes a whole word. Returns where its numbers end.
#[inline(always)]
fn put_word(word: VarintWord, room: &mut [u8], at: usize) -> usize {
    put_bytes(&word.to_bytes(), room, at);
    at + word.len()
}

#[inline(always)]
fn put_bytes(bytes: &[u8], room: &mut [u8], at: usize) -> usize {
    let end = at + bytes.len();
    if let Some(place) = room.get_mut(at..end) {
        place.copy_from_slice(bytes);
    }
    end
}

/// Above this size, the length of a batch with one record would not fit into 32 bits.
const MAX_FIELDS_SIZE: usize = i32::MAX as usize - RECORD_BATCH_OVERHEAD - MAX_RECORD_OVERHEAD;

/// Returns the encoded length; -1 for null.
#[inline]
fn length_of(field: Option<&[u8]>, name: &'static str) -> Result<i32, RecordError> {
    match field {
        None => Ok(-1),
        Some(bytes) => i32::try_from(bytes.len()).map_err(|_| RecordError::TooLong(name)),
    }
}

/// Returns the size of a field with its length; -1 means null.
#[inline]
fn size_of_nullable(length: i32) -> u64 {
    size_of_varint(length) as u64 + u64::from(length.max(0).unsigned_abs())
}

/// Returns the size of the headers, including their count. Outlined from the hot path, because most
/// records have none.
#[cold]
fn measure_headers(headers: &Headers) -> Result<(i32, u64), RecordError> {
    let count = i32::try_from(headers.len()).map_err(|_| RecordError::TooLong("header list"))?;
    let mut size = size_of_varint(count) as u64;
    for header in headers {
        size += size_of_nullable(length_of(Some(header.key().as_bytes()), "header key")?);
        size += size_of_nullable(length_of(header.value(), "header value")?);
    }
    Ok((count, size))
}

#[inline]
fn write_nullable<S: RecordSink>(
    sink: &mut S,
    field: Option<&[u8]>,
    length: i32,
) -> Result<(), CompressionError> {
    write_varint(sink, length)?;
    match field {
        Some(bytes) => sink.put(bytes),
        None => Ok(()),
    }
}

#[inline(never)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "`measure_headers` refused lengths over i32::MAX"
)]
fn write_headers<S: RecordSink>(sink: &mut S, headers: &Headers) -> Result<(), CompressionError> {
    for header in headers {
        let key = header.key().as_bytes();
        write_nullable(sink, Some(key), key.len() as i32)?;
        let value = header.value();
        write_nullable(sink, value, value.map_or(-1, |bytes| bytes.len() as i32))?;
    }
    Ok(())
}

/// A record that was decoded from a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DecodedRecord {
    pub(crate) offset_delta: i32,
    /// Milliseconds since 1970, or -1.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Headers,
}

/// Decodes `count` records, which must be all of `input`.
pub(crate) fn read_records(
    mut input: &[u8],
    count: usize,
    base_timestamp: i64,
) -> Result<Vec<DecodedRecord>, RecordError> {
    // The sender claims the count; the present bytes limit it.
    let mut records = Vec::with_capacity(count.min(input.len() / MIN_RECORD_SIZE));
    for _ in 0..count {
        if input.is_empty() {
            return Err(RecordError::InvalidCount(
                "the batch has fewer records than its header says",
            ));
        }
        records.push(DecodedRecord::read(&mut input, base_timestamp)?);
    }
    if input.is_empty() {
        Ok(records)
    } else {
        Err(RecordError::InvalidCount(
            "bytes are left behind the last record of the batch",
        ))
    }
}

impl DecodedRecord {
    /// Decodes a record at the front of `input`.
    fn read(input: &mut &[u8], base_timestamp: i64) -> Result<Self, RecordError> {
        let length = read_varint(input)?;
        let mut body = take(input, length).ok_or(RecordError::InvalidRecord(
            "its length is negative or more than what is left",
        ))?;
        let body = &mut body;

        // A record's attributes have no meaning yet.
        take(body, 1).ok_or(RecordError::InvalidRecord("it ends before its attributes"))?;
        let timestamp_delta = read_varlong(body)?;
        let record = Self {
            // Wraps where the writer's subtraction did.
            timestamp: base_timestamp.wrapping_add(timestamp_delta),
            offset_delta: read_varint(body)?,
            key: read_nullable(body, "its key length is more than what is left")?.map(Vec::from),
            value: read_nullable(body, "its value length is more than what is left")?
                .map(Vec::from),
            headers: read_headers(body)?,
        };
        if body.is_empty() {
            Ok(record)
        } else {
            Err(RecordError::InvalidRecord(
                "bytes are left behind its headers",
            ))
        }
    }
}

fn read_headers(input: &mut &[u8]) -> Result<Headers, RecordError> {
    let count = usize::try_from(read_varint(input)?)
        .map_err(|_| RecordError::InvalidRecord("its header count is negative"))?;
    if count > input.len() / MIN_HEADER_SIZE {
        return Err(RecordError::InvalidRecord(
            "its header count is more than what is left can hold",
        ));
    }
    (0..count)
        .map(|_| {
            let key = read_nullable(input, "a header key's length is more than what is left")?
                .ok_or(RecordError::InvalidRecord("a header key is null"))?;
            let key = std::str::from_utf8(key)
                .map_err(|_| RecordError::InvalidRecord("a header key is not UTF-8"))?;
            let value = read_nullable(input, "a header value's length is more than what is left")?;
            Ok(Header::new(key, value))
        })
        .collect()
}

/// Takes a field from the front of `input`. As in Java, any negative length means null.
fn read_nullable<'a>(
    input: &mut &'a [u8],
    too_long: &'static str,
) -> Result<Option<&'a [u8]>, RecordError> {
    let length = read_varint(input)?;
    if length < 0 {
        return Ok(None);
    }
    match take(input, length) {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(RecordError::InvalidRecord(too_long)),
    }
}

/// Takes bytes from the front of `input`. Returns `None` if the length is negative or larger than
/// `input`.
fn take<'a>(input: &mut &'a [u8], length: i32) -> Option<&'a [u8]> {
    let (head, tail) = input.split_at_checked(usize::try_from(length).ok()?)?;
    *input = tail;
    Some(head)
}

#[cfg(test)]
mod tests;
