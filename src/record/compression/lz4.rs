//! lz4 frames: version 1, independent blocks of 64 KiB, no checksums (KIP-57). Java: `Lz4Compression`.
//!
//! The blocks must be independent, because Java's reader refuses linked ones.

use std::io::{self, Write};

use byteorder::{ByteOrder, LittleEndian};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{Codec, CompressionError, CompressionType, Output, read_bounded};

const MAGIC: u32 = 0x184d_2204;
const VERSION_BITS: u8 = 0b1100_0000;
const VERSION_1: u8 = 0b0100_0000;
const INDEPENDENT_BLOCKS: u8 = 0b0010_0000;
const BLOCK_CHECKSUM: u8 = 0b0001_0000;
const CONTENT_SIZE: u8 = 0b0000_1000;
const CONTENT_CHECKSUM: u8 = 0b0000_0100;
/// The top bit of a block's size: the block is not compressed.
const STORED: u32 = 0x8000_0000;

pub(super) struct Lz4Codec {
    /// Its writer is the batch's buffer during a call, and empty between calls.
    encoder: FrameEncoder<Output>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lz4Codec {
    pub(super) fn new() -> Self {
        let info = FrameInfo::new()
            .block_size(BlockSize::Max64KB)
            .block_mode(BlockMode::Independent);
        Self {
            encoder: FrameEncoder::with_frame_info(info, Output::default()),
        }
    }

    fn with_output<E: std::fmt::Display>(
        &mut self,
        out: &mut Output,
        step: impl FnOnce(&mut FrameEncoder<Output>) -> Result<(), E>,
    ) -> Result<(), CompressionError> {
        std::mem::swap(self.encoder.get_mut(), out);
        let result = step(&mut self.encoder);
        std::mem::swap(self.encoder.get_mut(), out);
        result.map_err(|error| CompressionError::codec(CompressionType::Lz4, error))
    }
}

impl Codec for Lz4Codec {
    fn write(&mut self, input: &[u8], out: &mut Output) -> Result<(), CompressionError> {
        self.with_output(out, |encoder| encoder.write_all(input))
    }

    fn finish(&mut self, input: &[u8], out: &mut Output) -> Result<(), CompressionError> {
        self.write(input, out)?;
        self.with_output(out, FrameEncoder::try_finish)
    }
}

/// Reads one frame without anything after it.
pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    check_frame(input).map_err(|reason| CompressionError::codec(CompressionType::Lz4, reason))?;
    read_bounded(CompressionType::Lz4, FrameDecoder::new(input), limit)
}

/// Checks the frame's parts. The decoder would take a frame that stops between two blocks for a
/// complete one, and would ignore bytes after the end.
fn check_frame(input: &[u8]) -> Result<(), &'static str> {
    const ENDS_EARLY: &str = "the frame ends early";
    let mut rest = input;
    let mut take = |length: usize| -> Result<&[u8], &'static str> {
        let (head, tail) = rest.split_at_checked(length).ok_or(ENDS_EARLY)?;
        rest = tail;
        Ok(head)
    };

    if LittleEndian::read_u32(take(4)?) != MAGIC {
        return Err("the frame's magic is wrong");
    }
    let flags = take(1)?.first().copied().unwrap_or_default();
    if flags & VERSION_BITS != VERSION_1 {
        return Err("the frame's version is not 1");
    }
    if flags & INDEPENDENT_BLOCKS == 0 {
        return Err("the frame's blocks depend on each other, which Kafka does not allow");
    }
    let content_size = if flags & CONTENT_SIZE == 0 { 0 } else { 8 };
    // Block size, content size, checksum of the descriptor.
    take(1 + content_size + 1)?;

    let checksum = if flags & BLOCK_CHECKSUM == 0 { 0 } else { 4 };
    loop {
        let size = LittleEndian::read_u32(take(4)?);
        if size == 0 {
            break;
        }
        let length = usize::try_from(size & !STORED).map_err(|_| ENDS_EARLY)?;
        take(length.checked_add(checksum).ok_or(ENDS_EARLY)?)?;
    }
    if flags & CONTENT_CHECKSUM != 0 {
        take(4)?;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err("bytes are left behind the frame")
    }
}
