//! The failure of a batch: its records get errors, which share the batch's bytes.

use super::{ProducerBatch, Records};
use crate::error::{Error, ErrorKind};
use crate::producer::internals::batch::failed_records::FailedRecords;
use crate::producer::internals::batch::frozen_records::FrozenRecords;
use crate::producer::internals::batch::produce_request_result::{Outcome, RecordErrors};
use crate::record::ProducerState;
use crate::sync::Arc;
use crate::utils::log;

impl ProducerBatch {
    /// Fails every record: those in `by_index` with their own error, the rest with `error`. Each
    /// error contains the partition, whether the log may hold the record, and the record itself.
    pub(crate) fn complete_exceptionally(mut self, error: Error, by_index: Vec<(u32, Error)>) {
        self.fail(error, by_index);
    }

    fn fail(&mut self, error: Error, by_index: Vec<(u32, Error)>) {
        let stamp = |error: Error| {
            error
                .with_delivery(self.result.fate().delivery())
                .for_partition(self.topic_partition().clone())
        };
        let by_index = by_index
            .into_iter()
            .map(|(index, error)| (index, stamp(error)))
            .collect();
        let error = stamp(error);
        let records = self.take_failed_records();
        self.finish(Outcome::Failed(RecordErrors {
            error,
            by_index,
            records,
        }));
    }

    /// Takes the bytes from which the errors read their records. Returns their reservation before
    /// the callbacks run. The bytes are freed after the callbacks if no error and no future is
    /// kept.
    ///
    /// Returns `None` if the limit of kept bytes is reached, or if a codec failed.
    fn take_failed_records(&mut self) -> Option<Arc<FailedRecords>> {
        let (frozen, uncompressed_bytes) = match std::mem::replace(&mut self.records, Records::Gone)
        {
            Records::Open { builder, memory } => {
                // It is not sent, so its place in the sequence does not matter.
                let closed = builder.close(ProducerState::NONE).ok()?;
                let frozen = Arc::new(FrozenRecords::new(closed.bytes, memory));
                (frozen, closed.uncompressed_bytes)
            }
            Records::Closed {
                frozen,
                uncompressed_bytes,
                ..
            } => (frozen, uncompressed_bytes),
            Records::Gone => return None,
        };
        let (bytes, kept) = FrozenRecords::keep(frozen)?;
        let topic_partition = self.topic_partition().clone();
        Some(FailedRecords::new(
            topic_partition,
            bytes,
            uncompressed_bytes,
            kept,
        ))
    }
}

impl Drop for ProducerBatch {
    fn drop(&mut self) {
        if !matches!(self.records, Records::Gone) || !self.thunks.is_empty() {
            log::error!(
                "a batch of {} was dropped without a result",
                self.topic_partition()
            );
            let text = "the batch was dropped without a result";
            self.fail(Error::new(ErrorKind::Internal, text), Vec::new());
        }
    }
}
