//! Reads the primitive types of the protocol from untrusted bytes. Java: `Readable`,
//! `ByteBufferAccessor`.
//!
//! Every read is checked. Memory is reserved for what the present bytes can hold, never for a
//! claimed length. Methods with `flexible` read the compact form of KIP-482 if it is set (an
//! unsigned varint, length + 1, 0 for null), and otherwise the classic one (a big-endian length, -1
//! for null).

use std::fmt;

use byteorder::{BigEndian, ByteOrder};

use crate::common::Uuid;
use crate::protocol::{ErrorCode, MAX_STRING_LENGTH};

/// The longest array of a message, and the largest number of tagged fields of a structure: the
/// limits of Kafka 4.4's own decoders.
const MAX_ARRAY_LENGTH: usize = 1_000_000;
const MAX_TAGGED_FIELDS: u32 = 10_000;

/// Why bytes are not a message. `offset` counts from the start of the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    Truncated {
        offset: usize,
        needed: usize,
        remaining: usize,
    },
    VarintTooLong {
        offset: usize,
    },
    InvalidLength {
        offset: usize,
        length: i32,
    },
    UnexpectedNull {
        offset: usize,
    },
    StringTooLong {
        offset: usize,
        length: usize,
    },
    NotUtf8 {
        offset: usize,
    },
    ArrayTooLong {
        offset: usize,
        count: usize,
        remaining: usize,
    },
    TooManyTaggedFields {
        offset: usize,
        count: u32,
    },
    TagOrder {
        offset: usize,
        tag: u32,
        previous: u32,
    },
    TrailingBytes {
        offset: usize,
        count: usize,
    },
    UnknownApiKey(i16),
    UnsupportedVersion {
        api: &'static str,
        version: i16,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated {
                offset,
                needed,
                remaining,
            } => write!(
                f,
                "{needed} bytes are needed at offset {offset} where {remaining} remain"
            ),
            Self::VarintTooLong { offset } => {
                write!(f, "the varint at offset {offset} does not fit 32 bits")
            }
            Self::InvalidLength { offset, length } => {
                write!(f, "the length {length} at offset {offset} is out of range")
            }
            Self::UnexpectedNull { offset } => {
                write!(f, "null at offset {offset}, where the protocol allows none")
            }
            Self::StringTooLong { offset, length } => write!(
                f,
                "the string of {length} bytes at offset {offset} is longer than {MAX_STRING_LENGTH}"
            ),
            Self::NotUtf8 { offset } => write!(f, "the string at offset {offset} is not UTF-8"),
            Self::ArrayTooLong {
                offset,
                count,
                remaining,
            } => write!(
                f,
                "an array of {count} elements at offset {offset} is longer than {MAX_ARRAY_LENGTH}, or than the {remaining} bytes that remain can hold"
            ),
            Self::TooManyTaggedFields { offset, count } => write!(
                f,
                "{count} tagged fields at offset {offset} are more than {MAX_TAGGED_FIELDS}"
            ),
            Self::TagOrder {
                offset,
                tag,
                previous,
            } => write!(f, "tag {tag} at offset {offset} follows tag {previous}"),
            Self::TrailingBytes { offset, count } => write!(
                f,
                "{count} bytes are left at offset {offset}, after the end"
            ),
            Self::UnknownApiKey(id) => write!(f, "unknown API key {id}"),
            Self::UnsupportedVersion { api, version } => write!(
                f,
                "version {version} of {api} is not one that this library speaks"
            ),
        }
    }
}

impl std::error::Error for DecodeError {}

/// A cursor over a payload.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

/// An array of `i32` in the bytes of a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct I32s<'a>(&'a [u8]);

impl<'a> I32s<'a> {
    pub(crate) fn iter(self) -> impl Iterator<Item = i32> + Clone + 'a {
        self.0
            .chunks_exact(size_of::<i32>())
            .map(BigEndian::read_i32)
    }
}

// Reads that happen for each partition of a response are marked to be inlined. Otherwise the
// compiler's choice depends on which functions share a codegen unit, and makes a difference of a
// quarter of the time.
impl<'a> Reader<'a> {
    /// Reads from the start of `payload`.
    pub(crate) const fn new(payload: &'a [u8]) -> Self {
        Self {
            rest: payload,
            offset: 0,
        }
    }

    /// Returns the unread bytes.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Skips the unread bytes.
    pub(crate) fn skip_rest(&mut self) {
        self.offset += self.rest.len();
        self.rest = &[];
    }

    /// Fails if bytes are left.
    pub(crate) const fn finish(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::TrailingBytes {
                offset: self.offset,
                count,
            }),
        }
    }

    pub(crate) fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.u8()? != 0)
    }

    #[inline]
    pub(crate) fn i8(&mut self) -> Result<i8, DecodeError> {
        self.u8().map(|byte| i8::from_be_bytes([byte]))
    }

    #[inline]
    pub(crate) fn i16(&mut self) -> Result<i16, DecodeError> {
        self.take(2).map(BigEndian::read_i16)
    }

    #[inline]
    pub(crate) fn i32(&mut self) -> Result<i32, DecodeError> {
        self.take(4).map(BigEndian::read_i32)
    }

    #[inline]
    pub(crate) fn i64(&mut self) -> Result<i64, DecodeError> {
        self.take(8).map(BigEndian::read_i64)
    }

    #[inline]
    pub(crate) fn error_code(&mut self) -> Result<ErrorCode, DecodeError> {
        self.i16().map(ErrorCode::from_i16)
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        let bits = self.take(16).map(BigEndian::read_u128)?;
        Ok(Uuid::from_bytes(bits.to_be_bytes()))
    }

    /// Reads seven bits per byte, least significant first, in at most five bytes.
    #[inline]
    pub(crate) fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let offset = self.offset;
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.u8()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::VarintTooLong { offset })
    }

    pub(crate) fn string(&mut self, flexible: bool) -> Result<&'a str, DecodeError> {
        let offset = self.offset;
        self.nullable_string(flexible)?
            .ok_or(DecodeError::UnexpectedNull { offset })
    }

    pub(crate) fn nullable_string(
        &mut self,
        flexible: bool,
    ) -> Result<Option<&'a str>, DecodeError> {
        let offset = self.offset;
        let length = if flexible {
            self.compact_length()?
        } else {
            let length = i32::from(self.i16()?);
            classic_length(length, offset)?
        };
        let Some(length) = length else {
            return Ok(None);
        };
        if length > MAX_STRING_LENGTH {
            return Err(DecodeError::StringTooLong { offset, length });
        }
        match std::str::from_utf8(self.take(length)?) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(DecodeError::NotUtf8 { offset }),
        }
    }

    pub(crate) fn bytes(&mut self, flexible: bool) -> Result<&'a [u8], DecodeError> {
        let offset = self.offset;
        self.nullable_bytes(flexible)?
            .ok_or(DecodeError::UnexpectedNull { offset })
    }

    pub(crate) fn nullable_bytes(
        &mut self,
        flexible: bool,
    ) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.length(flexible)? {
            None => Ok(None),
            Some(length) => self.take(length).map(Some),
        }
    }

    /// Reads an array whose elements take at least `min_size` bytes each.
    pub(crate) fn array<T>(
        &mut self,
        flexible: bool,
        min_size: usize,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let offset = self.offset;
        self.nullable_array(flexible, min_size, element)?
            .ok_or(DecodeError::UnexpectedNull { offset })
    }

    /// Reads an array like [`array`](Self::array), or null.
    pub(crate) fn nullable_array<T>(
        &mut self,
        flexible: bool,
        min_size: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.nullable_array_length(flexible, min_size)? else {
            return Ok(None);
        };
        let mut elements = Vec::with_capacity(initial_capacity::<T>(count, self.rest.len()));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// Reads the length of an array whose elements take at least `min_size` bytes each. The caller
    /// reads the elements.
    pub(crate) fn array_length(
        &mut self,
        flexible: bool,
        min_size: usize,
    ) -> Result<usize, DecodeError> {
        let offset = self.offset;
        self.nullable_array_length(flexible, min_size)?
            .ok_or(DecodeError::UnexpectedNull { offset })
    }

    #[inline]
    fn nullable_array_length(
        &mut self,
        flexible: bool,
        min_size: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let offset = self.offset;
        let Some(count) = self.length(flexible)? else {
            return Ok(None);
        };
        let remaining = self.rest.len();
        if count > MAX_ARRAY_LENGTH.min(remaining / min_size.max(1)) {
            return Err(DecodeError::ArrayTooLong {
                offset,
                count,
                remaining,
            });
        }
        Ok(Some(count))
    }

    pub(crate) fn i32_array(&mut self, flexible: bool) -> Result<Vec<i32>, DecodeError> {
        self.i32s(flexible).map(|values| values.iter().collect())
    }

    /// Reads an array of `i32`, which stays in the payload.
    #[inline]
    pub(crate) fn i32s(&mut self, flexible: bool) -> Result<I32s<'a>, DecodeError> {
        let count = self.array_length(flexible, size_of::<i32>())?;
        self.take(count * size_of::<i32>()).map(I32s)
    }

    /// Reads the tagged fields that end a flexible structure. Reads nothing if it is not flexible.
    ///
    /// `field` gets each tag with a reader of its value, and returns whether it knows the tag. It
    /// must read a known value to its end; other values are skipped.
    pub(crate) fn tagged_fields(
        &mut self,
        flexible: bool,
        mut field: impl FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        if !flexible {
            return Ok(());
        }
        let offset = self.offset;
        let count = self.unsigned_varint()?;
        if count > MAX_TAGGED_FIELDS {
            return Err(DecodeError::TooManyTaggedFields { offset, count });
        }
        let mut previous = None;
        for _ in 0..count {
            let offset = self.offset;
            let tag = self.unsigned_varint()?;
            match previous {
                Some(previous) if tag <= previous => {
                    return Err(DecodeError::TagOrder {
                        offset,
                        tag,
                        previous,
                    });
                }
                _ => previous = Some(tag),
            }
            let size = self.unsigned_varint()?;
            let offset = self.offset;
            let mut value = Self {
                rest: self.take(size as usize)?,
                offset,
            };
            if field(tag, &mut value)? {
                value.finish()?;
            }
        }
        Ok(())
    }

    /// Skips the tagged fields of a structure without known ones.
    #[inline]
    pub(crate) fn skip_tagged_fields(&mut self, flexible: bool) -> Result<(), DecodeError> {
        self.tagged_fields(flexible, |_, _| Ok(false))
    }

    #[inline]
    fn u8(&mut self) -> Result<u8, DecodeError> {
        let Some((&byte, rest)) = self.rest.split_first() else {
            return Err(self.truncated(1));
        };
        self.rest = rest;
        self.offset += 1;
        Ok(byte)
    }

    /// Reads the length of bytes or of an array.
    #[inline]
    fn length(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        if flexible {
            return self.compact_length();
        }
        let offset = self.offset;
        let length = self.i32()?;
        classic_length(length, offset)
    }

    #[inline]
    fn compact_length(&mut self) -> Result<Option<usize>, DecodeError> {
        let length_plus_one = self.unsigned_varint()?;
        Ok(length_plus_one.checked_sub(1).map(|length| length as usize))
    }

    #[inline]
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.truncated(count));
        };
        self.rest = rest;
        self.offset += count;
        Ok(taken)
    }

    #[cold]
    const fn truncated(&self, needed: usize) -> DecodeError {
        DecodeError::Truncated {
            offset: self.offset,
            needed,
            remaining: self.rest.len(),
        }
    }
}

/// Converts a length; -1 means null. Java accepts every negative length as null, but no broker
/// sends another one.
fn classic_length(length: i32, offset: usize) -> Result<Option<usize>, DecodeError> {
    match length {
        -1 => Ok(None),
        _ => usize::try_from(length)
            .map(Some)
            .map_err(|_| DecodeError::InvalidLength { offset, length }),
    }
}

/// Returns the initial capacity of a vector. A decoded element is larger than its bytes. The first
/// reservation is smaller than the present bytes, and the vector grows beyond it only with elements
/// that were read.
fn initial_capacity<T>(count: usize, remaining: usize) -> usize {
    count.min(remaining / size_of::<T>().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_reserved_than_bytes_are_present() {
        type Element = [u64; 16];
        for (count, remaining) in [
            (0, 0),
            (1, 100),
            (1_000_000, 2_000_000),
            (usize::MAX, 1_023),
        ] {
            let capacity = initial_capacity::<Element>(count, remaining);
            assert!(capacity * size_of::<Element>() <= remaining);
            assert!(capacity <= count);
        }
        assert_eq!(initial_capacity::<i32>(25, 100), 25);
        assert_eq!(initial_capacity::<()>(5, 100), 5);
    }
}
