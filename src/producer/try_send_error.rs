//! The error of a send that does not wait, with its record.

use std::fmt;

use super::{ProducerRecord, RecordData};
use crate::error::{Error, ErrorKind};

/// A record that `try_send` did not accept, and the reason.
pub struct TrySendError<'a, K: RecordData + ?Sized = [u8], V: RecordData + ?Sized = [u8]> {
    /// The unchanged record.
    pub record: ProducerRecord<'a, K, V>,
    /// The reason. `WouldBlock` means that the same call may succeed a little later.
    pub error: Error,
}

impl<K: RecordData + ?Sized, V: RecordData + ?Sized> TrySendError<'_, K, V> {
    /// Returns `true` if the same call may succeed a little later.
    pub fn is_would_block(&self) -> bool {
        self.error.kind() == ErrorKind::WouldBlock
    }
}

impl<K: RecordData + ?Sized, V: RecordData + ?Sized> From<TrySendError<'_, K, V>> for Error {
    fn from(unsent: TrySendError<'_, K, V>) -> Self {
        unsent.error
    }
}

impl<K: RecordData + ?Sized, V: RecordData + ?Sized> fmt::Debug for TrySendError<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrySendError")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<K: RecordData + ?Sized, V: RecordData + ?Sized> fmt::Display for TrySendError<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record was not sent")
    }
}

impl<K: RecordData + ?Sized, V: RecordData + ?Sized> std::error::Error for TrySendError<'_, K, V> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
