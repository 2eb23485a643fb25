//! The record that an error is about, to be read when it is asked for.

use crate::common::Headers;
use crate::sync::Arc;

/// A record as it was, or would have been, sent.
#[derive(Clone, Debug)]
pub(crate) struct FailedRecord {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: Option<i32>,
    /// Milliseconds since 1970.
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Headers,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
}

/// Where failed records can be read.
pub(crate) trait FailedRecordSource: Send + Sync {
    /// Returns the record at `index`, if it can be read.
    fn record(&self, index: u32) -> Option<FailedRecord>;
}

/// A source of one record.
impl FailedRecordSource for FailedRecord {
    fn record(&self, _index: u32) -> Option<FailedRecord> {
        Some(self.clone())
    }
}

/// A record in its source.
#[derive(Clone)]
pub(crate) struct FailedRecordPlace {
    pub(crate) source: Arc<dyn FailedRecordSource>,
    pub(crate) index: u32,
}
