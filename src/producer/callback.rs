//! The closure that a send may bring. Java: `Callback`.

use std::fmt;

use super::RecordMetadata;
use crate::error::Result;

/// Called exactly once with the fate of a record, on the I/O thread unless the send failed at once. Boxing a closure that
/// captures nothing does not allocate.
pub(crate) struct Callback(Box<dyn FnOnce(Result<RecordMetadata>) + Send>);

impl Callback {
    pub(crate) fn new(callback: impl FnOnce(Result<RecordMetadata>) + Send + 'static) -> Self {
        Self(Box::new(callback))
    }

    pub(crate) fn call(self, result: Result<RecordMetadata>) {
        (self.0)(result);
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}
