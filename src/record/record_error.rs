//! Errors of appending records, and of closing or reading batches. Java: `InvalidRecordException`
//! and the `IllegalArgumentException`s of the record classes.

use std::fmt;

use super::compression::CompressionError;

/// A problem with a record or a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordError {
    /// A timestamp is neither a time since 1970 nor -1, which means none.
    InvalidTimestamp(i64),
    /// A length of the record, or of a batch with it, does not fit into the format's 32 bits.
    TooLong(&'static str),
    /// The batch takes no more records.
    Closed,
    /// A batch must have records.
    Empty,
    /// Producer id, epoch and sequence contradict each other.
    InvalidProducerState(&'static str),
    /// The codec failed, or is not compiled in.
    Compression(CompressionError),
    /// There are fewer bytes than the batch claims.
    Truncated { needed: usize, available: usize },
    /// The claimed length of the batch is less than its header, or negative.
    InvalidLength(i32),
    /// A message format other than 2.
    UnsupportedMagic(i8),
    /// The attributes contain an unknown codec.
    UnknownCompression(i16),
    /// The records are malformed.
    InvalidRecord(&'static str),
    /// The batch has fewer or more records than its header says.
    InvalidCount(&'static str),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidTimestamp(timestamp) => {
                write!(f, "invalid negative timestamp {timestamp}")
            }
            Self::TooLong(what) => {
                write!(f, "the {what} is longer than the record format can hold")
            }
            Self::Closed => f.write_str("the batch is closed for appends"),
            Self::Empty => f.write_str("the batch holds no records"),
            Self::InvalidProducerState(why) => write!(f, "invalid producer state: {why}"),
            Self::Compression(error) => error.fmt(f),
            Self::Truncated { needed, available } => write!(
                f,
                "the batch needs {needed} bytes, but there are {available}"
            ),
            Self::InvalidLength(length) => write!(f, "invalid batch length {length}"),
            Self::UnsupportedMagic(magic) => {
                write!(f, "unsupported magic {magic}: only record format 2 is read")
            }
            Self::UnknownCompression(id) => write!(f, "unknown compression type {id}"),
            Self::InvalidRecord(why) => write!(f, "invalid record: {why}"),
            Self::InvalidCount(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for RecordError {}

impl From<CompressionError> for RecordError {
    fn from(error: CompressionError) -> Self {
        Self::Compression(error)
    }
}
