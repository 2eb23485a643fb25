//! The destination of a record's bytes.

use super::CompressionError;

/// The destination of a record's bytes: the batch itself, or a compressor in front of it.
pub(crate) trait RecordSink {
    fn put(&mut self, bytes: &[u8]) -> Result<(), CompressionError>;
    fn put_byte(&mut self, byte: u8) -> Result<(), CompressionError>;
}

impl RecordSink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), CompressionError> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn put_byte(&mut self, byte: u8) -> Result<(), CompressionError> {
        self.push(byte);
        Ok(())
    }
}
