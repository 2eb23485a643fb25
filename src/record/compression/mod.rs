//! The codecs of `compression.type`. Java: `CompressionType`, `Compression`.
//!
//! Each codec is a file behind its cargo feature. The names always exist, so that a configuration
//! with a missing codec gets a clear error.
//!
//! Threads: the state of a codec belongs to one batch at a time.
//! Locks: the list of free states, held only to push or pop.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
mod output;
mod record_sink;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;
#[cfg(any(feature = "gzip", feature = "lz4", feature = "zstd"))]
use std::io::Read;
use std::ops::RangeInclusive;

use output::Output;
pub(crate) use record_sink::RecordSink;

use super::chunks::WrittenBytes;
use crate::sync::{Arc, Mutex};
use crate::utils::choice;

choice! {
    /// The codec for batches (`compression.type`).
    CompressionType {
        /// No compression.
        None = "none",
        /// Cargo feature `gzip`, on by default.
        Gzip = "gzip",
        /// Cargo feature `snappy`, on by default.
        Snappy = "snappy",
        /// Cargo feature `lz4`, on by default.
        Lz4 = "lz4",
        /// Cargo feature `zstd`, off by default because it needs a C compiler.
        Zstd = "zstd",
    }
}

impl CompressionType {
    /// Every codec, by id.
    pub(crate) const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Returns the codec's number in bits 0 to 2 of the attributes.
    pub(crate) fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Returns the codec with this number.
    pub(crate) fn from_id(id: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }

    /// Returns the level that means the codec's own default, and the other levels that Java
    /// accepts.
    fn levels(self) -> Option<(i32, RangeInclusive<i32>)> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some((-1, 1..=9)),
            Self::Lz4 => Some((9, 1..=17)),
            Self::Zstd => Some((3, -131_072..=22)),
        }
    }
}

/// Why a codec is not available, or why it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CompressionError {
    MissingFeature(CompressionType),
    LevelOutOfRange {
        kind: CompressionType,
        level: i32,
        allowed: String,
    },
    Lz4Level(i32),
    NoLevels(CompressionType),
    #[cfg(any(
        feature = "gzip",
        feature = "snappy",
        feature = "lz4",
        feature = "zstd"
    ))]
    Codec {
        kind: CompressionType,
        reason: String,
    },
    #[cfg(any(
        feature = "gzip",
        feature = "snappy",
        feature = "lz4",
        feature = "zstd",
        test
    ))]
    TooLarge {
        limit: usize,
    },
}

impl fmt::Display for CompressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingFeature(kind) => write!(
                f,
                "compression type {kind} needs the cargo feature `{kind}`, which is not part of this build"
            ),
            Self::LevelOutOfRange {
                kind,
                level,
                allowed,
            } => write!(f, "compression.{kind}.level {level} is not {allowed}"),
            Self::Lz4Level(level) => write!(
                f,
                "compression.lz4.level {level} is not supported: only 9, the default, for which Kafka uses the fast compressor; \
                 every other level asks for the high-compression one, which this library does not have"
            ),
            Self::NoLevels(kind) => write!(f, "compression type {kind} takes no level"),
            #[cfg(any(
                feature = "gzip",
                feature = "snappy",
                feature = "lz4",
                feature = "zstd"
            ))]
            Self::Codec { kind, reason } => write!(f, "{kind} failed: {reason}"),
            #[cfg(any(
                feature = "gzip",
                feature = "snappy",
                feature = "lz4",
                feature = "zstd",
                test
            ))]
            Self::TooLarge { limit } => {
                write!(f, "the records take more than {limit} bytes uncompressed")
            }
        }
    }
}

impl std::error::Error for CompressionError {}

impl CompressionError {
    /// The error of a codec library.
    #[cfg(any(
        feature = "gzip",
        feature = "snappy",
        feature = "lz4",
        feature = "zstd"
    ))]
    fn codec(kind: CompressionType, reason: impl fmt::Display) -> Self {
        Self::Codec {
            kind,
            reason: reason.to_string(),
        }
    }
}

/// A codec with its level, and idle codec states for later batches. Clones share the states.
#[derive(Clone)]
pub(crate) struct Compression {
    pub(crate) kind: CompressionType,
    level: Option<i32>,
    free: Arc<Mutex<Vec<Box<dyn Codec>>>>,
}

/// The number of idle codec states to keep. A state is large (deflate 300 KB, zstd megabytes), and
/// no more are in use than batches are being compressed.
const MAX_FREE: usize = 4;

impl Compression {
    /// Returns no compression.
    pub(crate) fn none() -> Self {
        Self {
            kind: CompressionType::None,
            level: None,
            free: Arc::default(),
        }
    }

    /// Returns a codec; `None` is its default level.
    ///
    /// # Errors
    /// The codec is not compiled in, the level is out of Java's range, or the codec does not
    /// support it.
    pub(crate) fn new(kind: CompressionType, level: Option<i32>) -> Result<Self, CompressionError> {
        if let Some(level) = level {
            check_level(kind, level)?;
        }
        let compression = Self {
            kind,
            level,
            free: Arc::default(),
        };
        if kind != CompressionType::None {
            // Also checks now, and not in the middle of a batch, that the library accepts the
            // level.
            compression.put_back(new_codec(kind, compression.level())?);
        }
        Ok(compression)
    }

    /// Returns the current level, or 0 if the codec has none.
    fn level(&self) -> i32 {
        let default = self.kind.levels().map_or(0, |(default, _)| default);
        self.level.unwrap_or(default)
    }

    fn take(&self) -> Result<Box<dyn Codec>, CompressionError> {
        // A separate statement, so that the lock is not held while a state is created.
        let free = self.free.lock().pop();
        match free {
            Some(codec) => Ok(codec),
            None => new_codec(self.kind, self.level()),
        }
    }

    fn put_back(&self, codec: Box<dyn Codec>) {
        let mut free = self.free.lock();
        if free.len() < MAX_FREE {
            free.push(codec);
        }
    }
}

impl fmt::Debug for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compression")
            .field("kind", &self.kind)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

fn check_level(kind: CompressionType, level: i32) -> Result<(), CompressionError> {
    let Some((default, range)) = kind.levels() else {
        return Err(CompressionError::NoLevels(kind));
    };
    if level != default && !range.contains(&level) {
        let mut allowed = format!("between {} and {}", range.start(), range.end());
        if !range.contains(&default) {
            allowed.push_str(&format!(", or {default}"));
        }
        return Err(CompressionError::LevelOutOfRange {
            kind,
            level,
            allowed,
        });
    }
    if kind == CompressionType::Lz4 && level != default {
        return Err(CompressionError::Lz4Level(level));
    }
    Ok(())
}

/// The state of a compressor. It can compress any number of streams, one after the other.
trait Codec: Send {
    /// Compresses `input`, which is not empty. Appends its output to `out`, now or later.
    fn write(&mut self, input: &[u8], out: &mut Output) -> Result<(), CompressionError>;

    /// Compresses the rest of the input, which may be empty, and ends the stream. The state is then
    /// ready for another one.
    fn finish(&mut self, input: &[u8], out: &mut Output) -> Result<(), CompressionError>;
}

#[cfg_attr(
    not(any(feature = "gzip", feature = "zstd")),
    expect(unused_variables, reason = "no codec of this build has levels")
)]
fn new_codec(kind: CompressionType, level: i32) -> Result<Box<dyn Codec>, CompressionError> {
    match kind {
        #[cfg(feature = "gzip")]
        CompressionType::Gzip => Ok(Box::new(gzip::GzipCodec::new(level))),
        #[cfg(feature = "snappy")]
        CompressionType::Snappy => Ok(Box::new(snappy::SnappyCodec::new())),
        #[cfg(feature = "lz4")]
        CompressionType::Lz4 => Ok(Box::new(lz4::Lz4Codec::new())),
        #[cfg(feature = "zstd")]
        CompressionType::Zstd => Ok(Box::new(zstd::ZstdCodec::new(level)?)),
        missing => Err(CompressionError::MissingFeature(missing)),
    }
}

/// The size of the stage in front of a codec: one block of snappy's stream, and enough for other
/// codecs to make a call worthwhile.
const STAGE_SIZE: usize = 32 * 1024;

/// The records of a batch, which pass through a codec into the batch's buffer.
///
/// A codec state is taken only when a full stage must be compressed, or at the end. Small batches
/// thus use one only while they are closed, so that ten thousand open partitions do not hold ten
/// thousand states.
pub(crate) struct CompressedStream {
    compression: Compression,
    codec: Option<Box<dyn Codec>>,
    staged: Vec<u8>,
    out: Output,
}

impl CompressedStream {
    /// Creates a stream that appends to `out`.
    pub(crate) fn new(compression: &Compression, out: Vec<u8>) -> Self {
        Self {
            compression: compression.clone(),
            codec: None,
            staged: Vec::new(),
            out: Output::new(out),
        }
    }

    /// Adds a chunk for the output after the others.
    pub(crate) fn add_chunk(&mut self, memory: Vec<u8>) {
        self.out.add_chunk(memory);
    }

    /// Ends the stream and returns the output. A stream without input stays empty.
    pub(crate) fn finish(mut self) -> Result<WrittenBytes, CompressionError> {
        if self.codec.is_none() && self.staged.is_empty() {
            return Ok(self.out.finish());
        }
        let mut codec = self.take_codec()?;
        codec.finish(&self.staged, &mut self.out)?;
        self.compression.put_back(codec);
        Ok(self.out.finish())
    }

    fn take_codec(&mut self) -> Result<Box<dyn Codec>, CompressionError> {
        match self.codec.take() {
            Some(codec) => Ok(codec),
            None => self.compression.take(),
        }
    }

    /// Compresses the stage once it is full, and whole stages of `bytes` without copying them.
    #[cold]
    fn put_over_stage(&mut self, bytes: &[u8]) -> Result<(), CompressionError> {
        let mut codec = self.take_codec()?;
        let room = STAGE_SIZE.saturating_sub(self.staged.len());
        let (filling, bytes) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.staged.extend_from_slice(filling);
        codec.write(&self.staged, &mut self.out)?;
        self.staged.clear();

        let whole = bytes.len() - bytes.len() % STAGE_SIZE;
        let (stages, rest) = bytes.split_at_checked(whole).unwrap_or((bytes, &[]));
        if !stages.is_empty() {
            codec.write(stages, &mut self.out)?;
        }
        self.staged.extend_from_slice(rest);
        self.codec = Some(codec);
        Ok(())
    }
}

impl RecordSink for CompressedStream {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), CompressionError> {
        if bytes.len() < STAGE_SIZE - self.staged.len() {
            self.staged.extend_from_slice(bytes);
            Ok(())
        } else {
            self.put_over_stage(bytes)
        }
    }

    #[inline]
    fn put_byte(&mut self, byte: u8) -> Result<(), CompressionError> {
        if self.staged.len() < STAGE_SIZE - 1 {
            self.staged.push(byte);
            Ok(())
        } else {
            self.put_over_stage(&[byte])
        }
    }
}

impl fmt::Debug for CompressedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompressedStream")
            .field("compression", &self.compression)
            .field("staged", &self.staged.len())
            .field("written", &self.out.len())
            .finish_non_exhaustive()
    }
}

/// Compresses bytes outside of a batch, with the codec's default level.
///
/// # Errors
/// The codec is not compiled in, or it fails.
pub(crate) fn compress(kind: CompressionType, input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let compression = Compression::new(kind, None)?;
    let mut stream = CompressedStream::new(&compression, Vec::new());
    stream.put(input)?;
    Ok(stream.finish()?.contiguous().into_owned())
}

/// Decompresses a whole records section.
///
/// # Errors
/// The codec did not write these bytes, other bytes follow, or the output exceeds `limit`.
#[cfg_attr(
    not(any(
        feature = "gzip",
        feature = "snappy",
        feature = "lz4",
        feature = "zstd"
    )),
    expect(unused_variables, reason = "no codec of this build reads it")
)]
pub(crate) fn decompress(
    kind: CompressionType,
    input: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    match kind {
        #[cfg(feature = "gzip")]
        CompressionType::Gzip => gzip::decompress(input, limit),
        #[cfg(feature = "snappy")]
        CompressionType::Snappy => snappy::decompress(input, limit),
        #[cfg(feature = "lz4")]
        CompressionType::Lz4 => lz4::decompress(input, limit),
        #[cfg(feature = "zstd")]
        CompressionType::Zstd => zstd::decompress(input, limit),
        missing => Err(CompressionError::MissingFeature(missing)),
    }
}

/// Reads a decompressor to its end. Fails as soon as the output exceeds the limit.
#[cfg(any(feature = "gzip", feature = "lz4", feature = "zstd"))]
fn read_bounded(
    kind: CompressionType,
    decoder: impl Read,
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    let one_more = u64::try_from(limit).map_or(u64::MAX, |limit| limit.saturating_add(1));
    decoder
        .take(one_more)
        .read_to_end(&mut out)
        .map_err(|error| CompressionError::codec(kind, error))?;
    if out.len() > limit {
        return Err(CompressionError::TooLarge { limit });
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
