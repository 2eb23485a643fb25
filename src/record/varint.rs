//! Zig-zag variable-length integers of the record format. Java: `ByteUtils`.
//!
//! Small numbers of either sign take one byte: the sign moves to the lowest bit, and the rest is cut into groups of
//! seven bits, lowest first, with the top bit of a byte set where another follows.

use super::compression::CompressionError;
use super::record_error::RecordError;

/// The most bytes that a 32-bit number takes.
pub(crate) const MAX_VARINT_SIZE: usize = 5;
/// The most bytes that a 64-bit number takes.
pub(crate) const MAX_VARLONG_SIZE: usize = 10;

/// Where the bytes of a record go: the batch itself, or a compressor in front of it.
pub(crate) trait RecordSink {
    fn put(&mut self, bytes: &[u8]) -> Result<(), CompressionError>;
    fn put_byte(&mut self, byte: u8) -> Result<(), CompressionError>;
}

impl RecordSink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), CompressionError> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn put_byte(&mut self, byte: u8) -> Result<(), CompressionError> {
        self.push(byte);
        Ok(())
    }
}

#[inline]
fn zig_zag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// How many bytes [`write_varint`] writes.
#[inline]
pub(crate) fn size_of_varint(value: i32) -> usize {
    size_of_varlong(i64::from(value))
}

/// How many bytes [`write_varlong`] writes.
#[inline]
pub(crate) fn size_of_varlong(value: i64) -> usize {
    // Zero takes a byte too, hence the lowest bit.
    let bits = u64::BITS - (zig_zag(value) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Writes a 32-bit number. Zig-zag of the number widened to 64 bits has the same groups, so there is one encoder.
#[inline]
pub(crate) fn write_varint<S: RecordSink>(
    sink: &mut S,
    value: i32,
) -> Result<(), CompressionError> {
    write_varlong(sink, i64::from(value))
}

/// Writes a 64-bit number.
#[inline]
pub(crate) fn write_varlong<S: RecordSink>(
    sink: &mut S,
    value: i64,
) -> Result<(), CompressionError> {
    let mut rest = zig_zag(value);
    while rest > 0x7f {
        sink.put_byte((rest & 0x7f) as u8 | 0x80)?;
        rest >>= 7;
    }
    sink.put_byte((rest & 0x7f) as u8)
}

/// Takes a 32-bit number off the front of `input`.
pub(crate) fn read_varint(input: &mut &[u8]) -> Result<i32, RecordError> {
    let raw = read_unsigned(input, MAX_VARINT_SIZE)?;
    // As in Java, bits of the fifth byte that do not fit are dropped.
    let raw = (raw & u64::from(u32::MAX)) as i64;
    let value = (raw >> 1) ^ -(raw & 1);
    i32::try_from(value).map_err(|_| RecordError::InvalidRecord("a varint is out of range"))
}

/// Takes a 64-bit number off the front of `input`.
pub(crate) fn read_varlong(input: &mut &[u8]) -> Result<i64, RecordError> {
    let raw = read_unsigned(input, MAX_VARLONG_SIZE)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

fn read_unsigned(input: &mut &[u8], max_size: usize) -> Result<u64, RecordError> {
    let mut value = 0;
    for (index, &byte) in input.iter().take(max_size).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *input = input.get(index + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(RecordError::InvalidRecord(if input.len() < max_size {
        "the bytes end inside a number"
    } else {
        "a number is too long: the top bit of its last byte is set"
    }))
}
