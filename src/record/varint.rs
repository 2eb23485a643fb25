//! Zig-zag variable-length integers of the record format. Java: `ByteUtils`.
//!
//! Small numbers of either sign take one byte. The sign moves to the lowest bit. The rest is split
//! into groups of seven bits, lowest first, and the top bit of a byte says that another one
//! follows.

use super::compression::{CompressionError, RecordSink};
use super::record_error::RecordError;

/// The largest size of a 32-bit number.
pub(crate) const MAX_VARINT_SIZE: usize = 5;
/// The largest size of a 64-bit number.
pub(crate) const MAX_VARLONG_SIZE: usize = 10;

#[inline]
fn zig_zag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Returns how many bytes [`write_varint`] writes.
#[inline]
pub(crate) fn size_of_varint(value: i32) -> usize {
    size_of_varlong(i64::from(value))
}

/// Returns how many bytes [`write_varlong`] writes.
#[inline]
pub(crate) fn size_of_varlong(value: i64) -> usize {
    // 1 + highest_bit / 7 for every highest bit of 64, without the division. Zero takes one byte
    // too, hence the `| 1`.
    let highest_bit = (zig_zag(value) | 1).ilog2();
    ((highest_bit * 9 + 73) / 64) as usize
}

/// Writes a 32-bit number. Its zig-zag code has the same groups as that of the number widened to 64
/// bits, so one encoder suffices.
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

/// Consecutive small numbers in encoded form: `len` bytes, the first one lowest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VarintWord {
    bytes: u64,
    len: usize,
}

impl VarintWord {
    /// Encodes a number in at most three bytes. Returns `None` below -1,048,576 and above
    /// 1,048,575.
    #[inline(always)]
    pub(crate) fn small(value: i64) -> Option<Self> {
        let number = zig_zag(value);
        let (bytes, len) = match number {
            0..0x80 => (number, 1),
            0x80..0x4000 => (number & 0x7f | 0x80 | number >> 7 << 8, 2),
            0x4000..0x20_0000 => {
                let low = number & 0x7f | 0x80;
                let middle = number >> 7 & 0x7f | 0x80;
                (low | middle << 8 | number >> 14 << 16, 3)
            }
            _ => return None,
        };
        Some(Self { bytes, len })
    }

    /// Returns these numbers followed by those. They must fit into eight bytes.
    #[inline(always)]
    pub(crate) fn and(self, next: Self) -> Self {
        Self {
            bytes: self.bytes | next.bytes << (8 * self.len),
            len: self.len + next.len,
        }
    }

    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// Returns all eight bytes. Those after the first `len` do not belong to the numbers.
    #[inline(always)]
    pub(crate) fn to_bytes(self) -> [u8; size_of::<u64>()] {
        self.bytes.to_le_bytes()
    }
}

/// Takes a 32-bit number from the front of `input`.
pub(crate) fn read_varint(input: &mut &[u8]) -> Result<i32, RecordError> {
    let raw = read_unsigned(input, MAX_VARINT_SIZE)?;
    // As in Java, excess bits of the fifth byte are dropped.
    let raw = (raw & u64::from(u32::MAX)) as i64;
    let value = (raw >> 1) ^ -(raw & 1);
    i32::try_from(value).map_err(|_| RecordError::InvalidRecord("a varint is out of range"))
}

/// Takes a 64-bit number from the front of `input`.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(write: impl FnOnce(&mut Vec<u8>) -> Result<(), CompressionError>) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn varints_have_the_bytes_of_java() {
        // Java: ByteUtilsTest.testVarintSerde.
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (-65, &[0x81, 0x01]),
            (8191, &[0xfe, 0x7f]),
            (-8192, &[0xff, 0x7f]),
            (8192, &[0x80, 0x80, 0x01]),
            (-8193, &[0x81, 0x80, 0x01]),
            (1_048_575, &[0xfe, 0xff, 0x7f]),
            (-1_048_576, &[0xff, 0xff, 0x7f]),
            (1_048_576, &[0x80, 0x80, 0x80, 0x01]),
            (134_217_727, &[0xfe, 0xff, 0xff, 0x7f]),
            (134_217_728, &[0x80, 0x80, 0x80, 0x80, 0x01]),
            (-134_217_729, &[0x81, 0x80, 0x80, 0x80, 0x01]),
            (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            assert_eq!(encoded(|sink| write_varint(sink, value)), bytes, "{value}");
            assert_eq!(size_of_varint(value), bytes.len(), "{value}");
            assert_eq!(read_varint(&mut &bytes[..]), Ok(value));
        }
    }

    #[test]
    fn varlongs_have_the_bytes_of_java() {
        // Java: ByteUtilsTest.testVarlongSerde.
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (-8192, &[0xff, 0x7f]),
            (17_179_869_183, &[0xfe, 0xff, 0xff, 0xff, 0x7f]),
            (-17_179_869_184, &[0xff, 0xff, 0xff, 0xff, 0x7f]),
            (17_179_869_184, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
            (
                i64::MAX,
                &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            ),
            (
                i64::MIN,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            ),
        ] {
            assert_eq!(encoded(|sink| write_varlong(sink, value)), bytes, "{value}");
            assert_eq!(size_of_varlong(value), bytes.len(), "{value}");
            assert_eq!(read_varlong(&mut &bytes[..]), Ok(value));
        }
    }

    #[test]
    fn a_varint_that_is_too_long_is_refused() {
        // Java: ByteUtilsTest.testInvalidVarint.
        let mut bytes = &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..];
        assert!(read_varint(&mut bytes).is_err());
    }

    #[test]
    fn a_varlong_that_is_too_long_is_refused() {
        // Java: ByteUtilsTest.testInvalidVarlong.
        let mut bytes = &[0xff; 11][..];
        assert!(read_varlong(&mut bytes).is_err());
    }

    #[test]
    fn a_number_that_ends_early_is_an_error() {
        for bytes in [&[][..], &[0x80], &[0xff, 0xff, 0xff]] {
            assert!(read_varint(&mut &bytes[..]).is_err());
            assert!(read_varlong(&mut &bytes[..]).is_err());
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back_and_nothing_else_is_read(value: i64, tail: u8) {
            let mut bytes = encoded(|sink| write_varlong(sink, value));
            prop_assert_eq!(bytes.len(), size_of_varlong(value));
            bytes.push(tail);
            let mut rest = &bytes[..];
            prop_assert_eq!(read_varlong(&mut rest), Ok(value));
            prop_assert_eq!(rest, &[tail]);
        }

        #[test]
        fn every_int_comes_back(value: i32) {
            let bytes = encoded(|sink| write_varint(sink, value));
            prop_assert_eq!(bytes.len(), size_of_varint(value));
            prop_assert_eq!(read_varint(&mut &bytes[..]), Ok(value));
        }
    }
}
