//! Writes the primitive types of the protocol. Java: `Writable`, `SendBuilder`.
//!
//! A value that the wire cannot carry is an error, and is never shortened. Methods with `flexible`
//! write the compact form of KIP-482 if it is set, and otherwise the classic one; see
//! [`Reader`](super::Reader).

use std::fmt;

use crate::common::Uuid;
use crate::protocol::message_bytes::Splice;
use crate::protocol::{ErrorCode, MAX_STRING_LENGTH, MessageBytes, RecordSet};

/// The reason why a message cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EncodeError {
    StringTooLong { length: usize },
    TooManyBytes { length: usize },
    ArrayTooLong { count: usize },
    MissingField { field: &'static str, version: i16 },
    UnsupportedField { field: &'static str, version: i16 },
    UnsupportedVersion { api: &'static str, version: i16 },
    HeaderMismatch { header: i16, body: &'static str },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StringTooLong { length } => write!(
                f,
                "a string of {length} bytes is longer than {MAX_STRING_LENGTH}"
            ),
            Self::TooManyBytes { length } => {
                write!(f, "{length} bytes are more than a message can carry")
            }
            Self::ArrayTooLong { count } => write!(
                f,
                "an array of {count} elements is longer than a message can carry"
            ),
            Self::MissingField { field, version } => {
                write!(f, "{field} is null, which version {version} does not allow")
            }
            Self::UnsupportedField { field, version } => {
                write!(f, "{field} is set, which version {version} cannot carry")
            }
            Self::UnsupportedVersion { api, version } => write!(
                f,
                "version {version} of {api} is not one that this library speaks"
            ),
            Self::HeaderMismatch { header, body } => write!(
                f,
                "the header of API key {header} does not fit a body of {body}"
            ),
        }
    }
}

impl std::error::Error for EncodeError {}

/// A message under construction: bytes, and [`RecordSet`]s between them that are not copied.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    /// The positions in `bytes` of the slices of record sets, in order.
    splices: Vec<Splice>,
    spliced_bytes: usize,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Reserves memory for this many more bytes and record sets.
    pub(crate) fn reserve(&mut self, bytes: usize, record_sets: usize) {
        self.bytes.reserve(bytes);
        self.splices.reserve(record_sets);
    }

    /// Returns the number of bytes so far, including record sets.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.spliced_bytes
    }

    /// Returns the finished message.
    pub(crate) fn finish(self) -> Result<MessageBytes, EncodeError> {
        let len = self.len();
        checked_length(len)?;
        Ok(MessageBytes::new(self.bytes, self.splices, len))
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    pub(crate) fn i8(&mut self, value: i8) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn error_code(&mut self, value: ErrorCode) {
        self.i16(value.code());
    }

    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.bytes.extend_from_slice(value.as_bytes());
    }

    pub(crate) fn unsigned_varint(&mut self, mut value: u32) {
        loop {
            let [low, ..] = value.to_le_bytes();
            if value < 0x80 {
                self.bytes.push(low);
                return;
            }
            self.bytes.push(low | 0x80);
            value >>= 7;
        }
    }

    pub(crate) fn string(&mut self, value: &str, flexible: bool) -> Result<(), EncodeError> {
        let Ok(length) = i16::try_from(value.len()) else {
            return Err(EncodeError::StringTooLong {
                length: value.len(),
            });
        };
        if flexible {
            self.unsigned_varint(u32::from(length.unsigned_abs()) + 1);
        } else {
            self.i16(length);
        }
        self.bytes.extend_from_slice(value.as_bytes());
        Ok(())
    }

    pub(crate) fn nullable_string(
        &mut self,
        value: Option<&str>,
        flexible: bool,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.string(value, flexible)?,
            None if flexible => self.unsigned_varint(0),
            None => self.i16(-1),
        }
        Ok(())
    }

    pub(crate) fn bytes(&mut self, value: &[u8], flexible: bool) -> Result<(), EncodeError> {
        self.length(checked_length(value.len())?, flexible);
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    /// Adds bytes of records without copying them.
    pub(crate) fn nullable_records(
        &mut self,
        records: Option<&RecordSet>,
        flexible: bool,
    ) -> Result<(), EncodeError> {
        let Some(records) = records else {
            self.null_length(flexible);
            return Ok(());
        };
        let length = records.len();
        self.length(checked_length(length)?, flexible);
        if records.0.is_contiguous() {
            self.splice(records, 0, length);
        } else {
            for (index, slice) in records.slices().enumerate() {
                self.splice(records, index, slice.len());
            }
        }
        self.spliced_bytes += length;
        Ok(())
    }

    fn splice(&mut self, records: &RecordSet, index: usize, len: usize) {
        if len > 0 {
            self.splices.push(Splice {
                position: self.bytes.len(),
                records: records.clone(),
                index,
                len,
            });
        }
    }

    pub(crate) fn array<T>(
        &mut self,
        elements: &[T],
        flexible: bool,
        mut element: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let count = i32::try_from(elements.len()).map_err(|_| EncodeError::ArrayTooLong {
            count: elements.len(),
        })?;
        self.length(count, flexible);
        elements.iter().try_for_each(|item| element(self, item))
    }

    pub(crate) fn nullable_array<T>(
        &mut self,
        elements: Option<&[T]>,
        flexible: bool,
        element: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match elements {
            Some(elements) => self.array(elements, flexible, element),
            None => {
                self.null_length(flexible);
                Ok(())
            }
        }
    }

    pub(crate) fn i32_array(
        &mut self,
        elements: &[i32],
        flexible: bool,
    ) -> Result<(), EncodeError> {
        self.array(elements, flexible, |w, &value| {
            w.i32(value);
            Ok(())
        })
    }

    /// Ends a flexible structure with the fields that `fields` adds. Writes nothing if it is not
    /// flexible.
    pub(crate) fn tagged_fields(
        &mut self,
        flexible: bool,
        fields: impl FnOnce(&mut TaggedFields) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        if !flexible {
            return Ok(());
        }
        let mut tagged = TaggedFields::default();
        fields(&mut tagged)?;
        self.unsigned_varint(tagged.count);
        self.bytes.extend_from_slice(&tagged.bytes);
        Ok(())
    }

    /// Ends a flexible structure without tagged fields.
    pub(crate) fn no_tagged_fields(&mut self, flexible: bool) {
        if flexible {
            self.unsigned_varint(0);
        }
    }

    /// Writes the length of bytes or of an array, which must not be negative.
    fn length(&mut self, length: i32, flexible: bool) {
        if flexible {
            self.unsigned_varint(length.unsigned_abs() + 1);
        } else {
            self.i32(length);
        }
    }

    fn null_length(&mut self, flexible: bool) {
        if flexible {
            self.unsigned_varint(0);
        } else {
            self.i32(-1);
        }
    }
}

/// The tagged fields of one structure; see [`Writer::tagged_fields`].
#[derive(Debug, Default)]
pub(crate) struct TaggedFields {
    count: u32,
    bytes: Vec<u8>,
}

impl TaggedFields {
    /// Adds a field. Tags must ascend. The value must not contain records.
    pub(crate) fn field(
        &mut self,
        tag: u32,
        value: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut writer = Writer::new();
        value(&mut writer)?;
        debug_assert!(writer.splices.is_empty(), "records in a tagged field");
        let size = checked_length(writer.len())?;

        let mut head = Writer {
            bytes: std::mem::take(&mut self.bytes),
            ..Writer::default()
        };
        head.unsigned_varint(tag);
        head.unsigned_varint(size.unsigned_abs());
        self.bytes = head.bytes;
        self.bytes.extend_from_slice(&writer.bytes);
        self.count += 1;
        Ok(())
    }
}

fn checked_length(length: usize) -> Result<i32, EncodeError> {
    i32::try_from(length).map_err(|_| EncodeError::TooManyBytes { length })
}
