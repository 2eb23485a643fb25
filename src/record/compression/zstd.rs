//! zstd, with the reference library. Java: `ZstdCompression`.

use zstd::stream::read::Decoder;
use zstd::zstd_safe::{
    CCtx, CParameter, InBuffer, OutBuffer, get_error_name, zstd_sys::ZSTD_EndDirective,
};

use super::{Codec, CompressionError, CompressionType, Output, read_bounded};

pub(super) struct ZstdCodec {
    context: CCtx<'static>,
}

impl ZstdCodec {
    pub(super) fn new(level: i32) -> Result<Self, CompressionError> {
        let Some(mut context) = CCtx::try_create() else {
            return Err(CompressionError::codec(
                CompressionType::Zstd,
                "no memory for a compression context",
            ));
        };
        context
            .set_parameter(CParameter::CompressionLevel(level))
            .map_err(library_error)?;
        Ok(Self { context })
    }

    /// Runs until all input is taken. At the end, runs until the frame is complete.
    fn run(
        &mut self,
        input: &[u8],
        directive: ZSTD_EndDirective,
        out: &mut Output,
    ) -> Result<(), CompressionError> {
        let mut input = InBuffer::around(input);
        loop {
            let chunk = out.with_room();
            let written = chunk.len();
            let mut output = OutBuffer::around_pos(chunk, written);
            let left = self
                .context
                .compress_stream2(&mut output, &mut input, directive)
                .map_err(library_error)?;
            let is_done = match directive {
                ZSTD_EndDirective::ZSTD_e_continue => input.pos() == input.src.len(),
                _ => left == 0,
            };
            if is_done {
                return Ok(());
            }
        }
    }
}

impl Codec for ZstdCodec {
    fn write(&mut self, input: &[u8], out: &mut Output) -> Result<(), CompressionError> {
        self.run(input, ZSTD_EndDirective::ZSTD_e_continue, out)
    }

    fn finish(&mut self, input: &[u8], out: &mut Output) -> Result<(), CompressionError> {
        // The end of a frame also ends the session: the context is ready for another frame with the
        // same level.
        self.run(input, ZSTD_EndDirective::ZSTD_e_end, out)
    }
}

fn library_error(code: usize) -> CompressionError {
    CompressionError::codec(CompressionType::Zstd, get_error_name(code))
}

/// Reads one or more frames. The library refuses windows over 128 MiB, and only uses the memory
/// that it fills.
pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let decoder = Decoder::with_buffer(input)
        .map_err(|error| CompressionError::codec(CompressionType::Zstd, error))?;
    read_bounded(CompressionType::Zstd, decoder, limit)
}
