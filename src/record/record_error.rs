//! Why a record cannot be appended, or a batch not be closed or read. Java: `InvalidRecordException` and the
//! `IllegalArgumentException`s of the record classes.

use super::compression::CompressionError;

/// What is wrong with a record or a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// A timestamp that is neither a time since 1970 nor -1, which stands for none.
    #[error("invalid negative timestamp {0}")]
    InvalidTimestamp(i64),
    /// A length of the record, or of the batch around it, does not fit the format's 32 bits.
    #[error("the {0} is longer than the record format can hold")]
    TooLong(&'static str),
    /// The batch takes no more records.
    #[error("the batch is closed for appends")]
    Closed,
    /// A batch without records has no form.
    #[error("the batch holds no records")]
    Empty,
    /// Producer id, epoch and sequence do not go together.
    #[error("invalid producer state: {0}")]
    InvalidProducerState(&'static str),
    /// The codec failed, or is not there.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// Fewer bytes than the batch says that it has.
    #[error("the batch needs {needed} bytes, but there are {available}")]
    Truncated { needed: usize, available: usize },
    /// The batch says that it is shorter than its own header, or negative.
    #[error("invalid batch length {0}")]
    InvalidLength(i32),
    /// A message format other than 2.
    #[error("unsupported magic {0}: only record format 2 is read")]
    UnsupportedMagic(i8),
    /// The attributes name a codec that does not exist.
    #[error("unknown compression type {0}")]
    UnknownCompression(i16),
    /// The records do not follow the format.
    #[error("invalid record: {0}")]
    InvalidRecord(&'static str),
    /// The batch has fewer or more records than its header says.
    #[error("{0}")]
    InvalidCount(&'static str),
}
