//! The records of a failed batch, kept as long as an error or a future of one of them.
//!
//! Keeps the batch's own bytes, and decodes them when a record is requested.
//!
//! Locks: one mutex per failed batch, held while its records are decoded or one of them is copied.

use crate::common::TopicPartition;
use crate::error::{FailedRecord, FailedRecordSource};
use crate::producer::internals::buffer_pool::KeptMemory;
use crate::record::{DecodedRecord, RecordBatch, WrittenBytes};
use crate::sync::{Arc, Mutex};
use crate::utils::log;

/// See the module's documentation.
pub(crate) struct FailedRecords {
    topic_partition: TopicPartition,
    form: Mutex<Form>,
    /// Counts the kept bytes.
    _kept: Option<KeptMemory>,
}

enum Form {
    Encoded {
        bytes: WrittenBytes,
        uncompressed_bytes: usize,
    },
    Decoded(Vec<DecodedRecord>),
}

impl FailedRecords {
    /// Keeps `bytes`, which are a finished batch.
    pub(super) fn new(
        topic_partition: TopicPartition,
        bytes: WrittenBytes,
        uncompressed_bytes: usize,
        kept: Option<KeptMemory>,
    ) -> Arc<Self> {
        Arc::new(Self {
            topic_partition,
            form: Mutex::new(Form::Encoded {
                bytes,
                uncompressed_bytes,
            }),
            _kept: kept,
        })
    }
}

impl Form {
    fn decoded(&mut self) -> &[DecodedRecord] {
        if let Self::Encoded {
            bytes,
            uncompressed_bytes,
        } = self
        {
            let bytes = bytes.contiguous();
            let batch = RecordBatch::parse(&bytes);
            let records = batch.and_then(|(batch, _)| batch.records(*uncompressed_bytes));
            let records = records.unwrap_or_else(|error| {
                log::error!("the records of a failed batch cannot be read: {error}");
                Vec::new()
            });
            *self = Self::Decoded(records);
        }
        match self {
            Self::Decoded(records) => records,
            Self::Encoded { .. } => &[],
        }
    }
}

impl FailedRecordSource for FailedRecords {
    fn record(&self, index: u32) -> Option<FailedRecord> {
        let mut form = self.form.lock();
        let record = form.decoded().get(index as usize)?;
        Some(FailedRecord {
            topic: Arc::clone(self.topic_partition.shared_topic()),
            partition: Some(self.topic_partition.partition()),
            // -1 means no timestamp.
            timestamp: Some(record.timestamp).filter(|timestamp| *timestamp >= 0),
            headers: record.headers.clone(),
            key: record.key.clone(),
            value: record.value.clone(),
        })
    }
}
