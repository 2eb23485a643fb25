//! snappy in the framing of xerial's snappy-java, which is not snappy's own framing format. Java: `SnappyCompression`.
//!
//! ```text
//! 82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version i32 = 1 | lowest compatible version i32 = 1
//! then, for each block of up to 32 KiB: length i32 | a raw snappy block
//! ```

use byteorder::{BigEndian, ByteOrder};

use super::{Codec, CompressionError, CompressionType, Output};

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const BLOCK_SIZE: usize = 32 * 1024;

/// An element of a snappy block yields at most 64 bytes, and takes at least two.
const MAX_RATIO: usize = 32;

pub(super) struct SnappyCodec {
    encoder: snap::raw::Encoder,
    /// The buffer for a compressed block. It needs room for the worst case, which the batch's
    /// buffer may not have.
    block: Vec<u8>,
    started: bool,
}

impl SnappyCodec {
    pub(super) fn new() -> Self {
        Self {
            encoder: snap::raw::Encoder::new(),
            block: vec![0; snap::raw::max_compress_len(BLOCK_SIZE)],
            started: false,
        }
    }
}

impl Codec for SnappyCodec {
    fn write(&mut self, input: &[u8], out: &mut Output) -> Result<(), CompressionError> {
        if !self.started {
            out.put(&HEADER);
            self.started = true;
        }
        for chunk in input.chunks(BLOCK_SIZE) {
            let length = self
                .encoder
                .compress(chunk, &mut self.block)
                .map_err(|error| CompressionError::codec(CompressionType::Snappy, error))?;
            let block = self.block.get(..length).unwrap_or_default();
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            out.put(&length.to_be_bytes());
            out.put(block);
        }
        Ok(())
    }

    fn finish(&mut self, input: &[u8], out: &mut Output) -> Result<(), CompressionError> {
        self.write(input, out)?;
        self.started = false;
        Ok(())
    }
}

/// Reads xerial's framing. Without its magic bytes, reads a single raw block, as Java's library
/// does.
pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    if !input.starts_with(&MAGIC) {
        read_block(input, limit, &mut out)?;
        return Ok(out);
    }
    let Some((_, mut rest)) = input.split_at_checked(HEADER.len()) else {
        return Err(invalid("the stream ends inside its header"));
    };
    while !rest.is_empty() {
        let Some((length, tail)) = rest.split_at_checked(4) else {
            return Err(invalid("the stream ends inside a block's length"));
        };
        let Some((block, tail)) = usize::try_from(BigEndian::read_i32(length))
            .ok()
            .and_then(|length| tail.split_at_checked(length))
        else {
            return Err(invalid("a block's length is more than what is left"));
        };
        read_block(block, limit, &mut out)?;
        rest = tail;
    }
    Ok(out)
}

/// Appends one raw block. Limits its claimed size to what snappy can produce from its input.
fn read_block(block: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let codec_error = |error| CompressionError::codec(CompressionType::Snappy, error);
    let length = snap::raw::decompress_len(block).map_err(codec_error)?;
    if length > limit.saturating_sub(out.len()) {
        return Err(CompressionError::TooLarge { limit });
    }
    if length / MAX_RATIO > block.len() {
        return Err(invalid("a block claims more than its bytes can hold"));
    }
    let start = out.len();
    out.resize(start + length, 0);
    let target = out.get_mut(start..).unwrap_or_default();
    snap::raw::Decoder::new()
        .decompress(block, target)
        .map_err(codec_error)?;
    Ok(())
}

fn invalid(reason: &str) -> CompressionError {
    CompressionError::codec(CompressionType::Snappy, reason)
}
