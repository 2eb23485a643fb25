//! gzip: one ordinary member. The state of the deflater is reset and reused. Java:
//! `GzipCompression`.
//!
//! This writes the header and trailer itself, because the encoder types of `flate2` cannot be
//! reused for another stream.

use flate2::bufread::MultiGzDecoder;
use flate2::{Compress, Crc, FlushCompress, Status};

use super::{Codec, CompressionError, CompressionType, Output, read_bounded};

/// Magic, deflate, no flags, no time, no hint, unknown system, as in the JDK.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

pub(super) struct GzipCodec {
    deflate: Compress,
    /// Checksum and length of the input so far.
    crc: Crc,
    started: bool,
}

impl GzipCodec {
    /// Creates a codec. `level` is -1 for the default, or 1 to 9.
    pub(super) fn new(level: i32) -> Self {
        let level = u32::try_from(level)
            .map_or_else(|_| flate2::Compression::default(), flate2::Compression::new);
        Self {
            deflate: Compress::new(level, false),
            crc: Crc::new(),
            started: false,
        }
    }

    /// Runs the deflater until it has taken all input. With `Finish`, runs it until the end of the
    /// stream.
    fn deflate(
        &mut self,
        mut input: &[u8],
        flush: FlushCompress,
        out: &mut Output,
    ) -> Result<(), CompressionError> {
        loop {
            let before = self.deflate.total_in();
            let status = self
                .deflate
                .compress_vec(input, out.with_room(), flush)
                .map_err(|error| CompressionError::codec(CompressionType::Gzip, error))?;
            let taken = usize::try_from(self.deflate.total_in() - before).unwrap_or(usize::MAX);
            input = input.get(taken..).unwrap_or_default();

            let is_done = match flush {
                FlushCompress::Finish => status == Status::StreamEnd,
                _ => input.is_empty(),
            };
            if is_done {
                return Ok(());
            }
        }
    }

    fn start(&mut self, out: &mut Output) {
        if !self.started {
            out.put(&HEADER);
            self.started = true;
        }
    }
}

impl Codec for GzipCodec {
    fn write(&mut self, input: &[u8], out: &mut Output) -> Result<(), CompressionError> {
        self.start(out);
        self.crc.update(input);
        self.deflate(input, FlushCompress::None, out)
    }

    fn finish(&mut self, input: &[u8], out: &mut Output) -> Result<(), CompressionError> {
        self.start(out);
        self.crc.update(input);
        self.deflate(input, FlushCompress::Finish, out)?;
        out.put(&self.crc.sum().to_le_bytes());
        out.put(&self.crc.amount().to_le_bytes());

        self.deflate.reset();
        self.crc.reset();
        self.started = false;
        Ok(())
    }
}

/// Reads one or more members, as the JDK does.
pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    read_bounded(CompressionType::Gzip, MultiGzDecoder::new(input), limit)
}
