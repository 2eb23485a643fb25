//! Splits a batch that a broker rejected as too large. Java: `ProducerBatch.split`.

use super::{AppendRecord, NewBatch, ProducerBatch, Records, codec_failure, refused_record};
use crate::error::{Error, ErrorKind, Result};
use crate::producer::internals::batch::produce_request_result::{Outcome, SplitPart};
use crate::producer::internals::buffer_pool::PooledBuffer;
use crate::protocol::RecordBytes;
use crate::record::{Compression, DecodedRecord, RECORD_BATCH_OVERHEAD, RecordBatch};
use crate::sync::Arc;
use crate::utils::log;

impl ProducerBatch {
    /// Returns half of the batch's size, rounded up to a whole record, so that equal records make
    /// two parts.
    ///
    /// This is half of the uncompressed size. Incompressible data take more bytes compressed, and
    /// half of those could still hold the largest record and a small one before it. The same batch
    /// would then be split forever.
    pub(crate) fn half(&self) -> usize {
        let records = match &self.records {
            Records::Closed {
                frozen,
                uncompressed_bytes,
                ..
            } => {
                let payload = frozen.len().saturating_sub(RECORD_BATCH_OVERHEAD);
                payload.min(*uncompressed_bytes)
            }
            Records::Open { .. } | Records::Gone => 0,
        };
        RECORD_BATCH_OVERHEAD + (records + self.max_record_size) / 2
    }

    /// Splits the batch into batches of at most `size` bytes each, or of one record. They are
    /// closed for appends, keep its age and its fate so far, and own its callbacks.
    ///
    /// # Errors
    ///
    /// Returns the unchanged batch if its own bytes cannot be read, which is a bug.
    pub(crate) fn split(
        self,
        size: usize,
        compression: &Compression,
    ) -> std::result::Result<Vec<Self>, Box<(Self, Error)>> {
        let records = match self.decode() {
            Ok(records) => records,
            Err(error) => return Err(Box::new((self, error))),
        };
        let mut parts: Vec<(u32, Self)> = Vec::new();
        for (index, record) in (0_u32..).zip(&records) {
            let appended = AppendRecord::new(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &record.headers,
            )
            .map_err(refused_record)
            .and_then(|record| self.append_to_parts(&mut parts, index, &record, size, compression));
            if let Err(error) = appended {
                return Err(Box::new((self, error)));
            }
        }
        Ok(self.hand_over_to(parts))
    }

    fn append_to_parts(
        &self,
        parts: &mut Vec<(u32, Self)>,
        index: u32,
        record: &AppendRecord<'_>,
        size: usize,
        compression: &Compression,
    ) -> Result<()> {
        if let Some((_, part)) = parts.last_mut() {
            if part.try_append(record, &mut None)?.is_some() {
                return Ok(());
            }
            part.close_for_record_appends()?;
        }
        // A part takes its first record even above the limit, and then no other one. Between a
        // record's size and its upper bound there could be room for the small record that must move
        // to another part.
        let mut part = Self::new(NewBatch {
            partition: Arc::clone(self.partition()),
            incomplete: &self.incomplete,
            spare_thunks: &self.spare_thunks,
            memory: self.memory_for_part(size.max(record.upper_bound())),
            compression,
            compression_ratio: 1.0,
            write_limit: size.max(RECORD_BATCH_OVERHEAD),
            is_transactional: self.is_transactional,
            now: self.created,
        });
        part.is_split = true;
        part.result.fate().inherit(self.result.fate());
        part.last_failure.clone_from(&self.last_failure);
        part.try_append(record, &mut None)?;
        parts.push((index, part));
        Ok(())
    }

    /// Allocates memory for a part without a reservation. The whole has returned its reservation by
    /// the time the parts are sent.
    fn memory_for_part(&self, size: usize) -> PooledBuffer {
        match &self.records {
            Records::Closed { frozen, .. } => frozen.unpooled_sibling(size),
            Records::Open { .. } | Records::Gone => PooledBuffer::unpooled(size),
        }
    }

    /// Moves the callbacks to the parts, and redirects the futures to them.
    fn hand_over_to(mut self, mut parts: Vec<(u32, Self)>) -> Vec<Self> {
        for thunk in self.thunks.drain() {
            if let Some((first, part)) = parts
                .iter_mut()
                .rev()
                .find(|(first, _)| *first <= thunk.index)
            {
                part.thunks
                    .push(thunk.index - *first, thunk.facts, thunk.callback);
            }
        }
        let links: Vec<_> = parts
            .iter()
            .map(|(first_index, part)| SplitPart {
                first_index: *first_index,
                result: Arc::clone(&part.result),
            })
            .collect();
        self.finish(Outcome::Split(links.into()));
        let mut batches: Vec<_> = parts.into_iter().map(|(_, part)| part).collect();
        for batch in &mut batches {
            if let Err(error) = batch.close_for_record_appends() {
                log::error!("a part of a split batch cannot be closed: {error}");
            }
        }
        batches
    }

    fn decode(&self) -> Result<Vec<DecodedRecord>> {
        let Records::Closed {
            frozen,
            uncompressed_bytes,
            ..
        } = &self.records
        else {
            return Err(Error::new(
                ErrorKind::Internal,
                "only a frozen batch can be split",
            ));
        };
        let bytes = frozen.contiguous();
        let (batch, _) = RecordBatch::parse(&bytes).map_err(|error| codec_failure(&error))?;
        batch
            .records(*uncompressed_bytes)
            .map_err(|error| codec_failure(&error))
    }
}
