//! One partition's log: validates a batch as a broker does before an append, appends it, and reads
//! it. Java (broker): `LogValidator`, `UnifiedLog.append`, `ProduceRequest.validateRecords`.
//!
//! Differs from Java: the texts about wrong records are shorter. Record offset deltas must be 0, 1,
//! 2, ..., while a broker accepts some others, which no correct producer sends. Markers have
//! offsets, but no bytes.

use super::facts::{BatchHeader, StoredBatch, StoredMarker, StoredRecord};
use super::failure::Failure;
use super::producer_state::{ProducerStates, SequenceRules, Sequenced};
use super::topic_config::TopicConfig;
use super::transaction_index::TransactionIndex;
use super::transaction_metadata::{Marker, ProducerIdAndEpoch};
use crate::protocol::{ErrorCode, RecordSet};
use crate::record::{CompressionType, DecodedRecord, RecordBatch, increment_sequence};

/// The largest decompressed size of a batch.
const MAX_UNCOMPRESSED_BYTES: usize = 256 << 20;

/// The attribute bit that says whose timestamps the records have. A producer leaves it at 0,
/// CreateTime.
const LOG_APPEND_TIME_FLAG: i16 = 1 << 3;

/// The timestamp of a record without one.
const NO_TIMESTAMP: i64 = -1;

/// Everything except the bytes that an append depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppendContext<'a> {
    pub(crate) produce_version: i16,
    pub(crate) config: &'a TopicConfig,
    pub(crate) rules: SequenceRules,
    pub(crate) leader_epoch: i32,
    pub(crate) now_ms: i64,
}

/// The place of a batch, whether it is new or a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// -1 if the records keep the producer's timestamps.
    pub(crate) log_append_time_ms: i64,
}

#[derive(Debug, Default)]
pub(crate) struct PartitionLog {
    batches: Vec<(StoredBatch, RecordSet)>,
    producers: ProducerStates,
    transactions: TransactionIndex,
    start_offset: i64,
    end_offset: i64,
}

impl PartitionLog {
    pub(crate) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    pub(crate) fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Returns the offset at which a read_committed consumer stops: that of the first open
    /// transaction, or the end.
    pub(crate) fn last_stable_offset(&self) -> i64 {
        let first_open = self.transactions.first_open_offset();
        first_open.map_or(self.end_offset, |open| open.max(self.start_offset))
    }

    pub(crate) fn markers(&self) -> &[StoredMarker] {
        self.transactions.markers()
    }

    /// Returns the number of records, without markers.
    pub(crate) fn record_count(&self) -> i64 {
        let markers = i64::try_from(self.markers().len()).unwrap_or(i64::MAX);
        self.end_offset - self.start_offset - markers
    }

    /// Notes a transactional batch whose transaction the coordinator must verify. `adds` says that
    /// the request's version makes the broker add the partition to the transaction.
    pub(crate) fn start_verification(
        &mut self,
        batch: &RecordBatch<'_>,
        adds: bool,
    ) -> Result<(), Failure> {
        match sequences(batch) {
            Some(sequenced) => self.producers.start_verification(sequenced, adds),
            None => Ok(()),
        }
    }

    pub(crate) fn has_open_transaction(&self, producer: ProducerIdAndEpoch) -> bool {
        self.transactions.is_open(producer.producer_id)
            && self.producers.epoch(producer.producer_id) == Some(producer.epoch)
    }

    /// Ends a producer's transaction. Ignores a marker with an older epoch than the partition
    /// knows.
    pub(crate) fn append_marker(&mut self, marker: Marker) {
        let ProducerIdAndEpoch { producer_id, epoch } = marker.producer;
        if self
            .producers
            .epoch(producer_id)
            .is_some_and(|known| known > epoch)
        {
            return;
        }
        self.producers.append_marker(producer_id, epoch);
        self.transactions.ended(marker, self.end_offset);
        self.end_offset += 1;
    }

    pub(crate) fn forget_producers(&mut self) {
        self.producers.forget();
    }

    /// Moves the start of the log. Removes whole batches before it, and producers that have no
    /// others.
    pub(crate) fn delete_records_before(&mut self, offset: i64) {
        self.start_offset = offset.clamp(self.start_offset, self.end_offset);
        let start_offset = self.start_offset;
        self.batches
            .retain(|(batch, _)| batch.last_offset() >= start_offset);
        let first_kept = self.batches.first();
        self.transactions.forget_markers_before(start_offset);
        let kept_from = first_kept.map_or(self.end_offset, |(batch, _)| batch.base_offset);
        self.producers.forget_before(kept_from);
    }

    pub(crate) fn append(
        &mut self,
        records: Option<&RecordSet>,
        context: AppendContext<'_>,
    ) -> Result<Appended, Failure> {
        let records = records.ok_or_else(without_records)?;
        let batch = single_batch(records, context.produce_version)?;
        check_batch(&batch, context.config)?;
        let decoded = batch
            .records(MAX_UNCOMPRESSED_BYTES)
            .map_err(|error| invalid(&error.to_string()))?;
        check_records(&batch, &decoded, context)?;
        let header = BatchHeader::of(&batch).map_err(|error| invalid(&error.to_string()))?;

        let sequenced = sequences(&batch);
        if let Some(sequenced) = sequenced {
            if let Some(duplicate) = self.producers.check(sequenced, context.rules)? {
                // As in a broker: the time in the response to a duplicate is the batch's largest
                // timestamp, even if records keep the producer's timestamps.
                return Ok(Appended {
                    base_offset: duplicate.base_offset,
                    log_append_time_ms: duplicate.timestamp,
                });
            }
        }
        let is_open = self.transactions.is_open(batch.producer_id());
        if is_open && !batch.is_transactional() {
            let text = "a batch outside the open transaction of its producer";
            return Err(Failure::new(ErrorCode::INVALID_TXN_STATE).message(text));
        }
        Ok(self.store(header, sequenced, records.clone(), context))
    }

    fn store(
        &mut self,
        header: BatchHeader,
        sequenced: Option<Sequenced>,
        records: RecordSet,
        context: AppendContext<'_>,
    ) -> Appended {
        let base_offset = self.end_offset;
        let log_append_time = context.config.log_append_time.then_some(context.now_ms);
        if let Some(sequenced) = sequenced {
            let timestamp = log_append_time.unwrap_or(header.max_timestamp);
            self.producers.append(sequenced, base_offset, timestamp);
        }
        if header.is_transactional {
            self.producers.end_verification(header.producer_id);
            self.transactions.wrote(header.producer_id, base_offset);
        }
        self.end_offset += i64::from(header.record_count);
        let stored = StoredBatch {
            base_offset,
            leader_epoch: context.leader_epoch,
            log_append_time,
            header,
        };
        self.batches.push((stored, records));
        Appended {
            base_offset,
            log_append_time_ms: log_append_time.unwrap_or(-1),
        }
    }

    pub(crate) fn batches(&self) -> Vec<StoredBatch> {
        self.batches
            .iter()
            .map(|(batch, _)| batch.clone())
            .collect()
    }

    /// Returns the records from the start of the log, as a read_uncommitted consumer sees them.
    pub(crate) fn records(&self, partition: i32) -> Vec<StoredRecord> {
        self.records_of(partition, |_| true)
    }

    /// Returns the records that a read_committed consumer sees.
    pub(crate) fn committed_records(&self, partition: i32) -> Vec<StoredRecord> {
        let end = self.last_stable_offset();
        self.records_of(partition, |batch| {
            let (producer_id, offset) = (batch.header.producer_id, batch.base_offset);
            let is_aborted =
                batch.header.is_transactional && self.transactions.is_aborted(producer_id, offset);
            offset < end && !is_aborted
        })
    }

    fn records_of(
        &self,
        partition: i32,
        is_read: impl Fn(&StoredBatch) -> bool,
    ) -> Vec<StoredRecord> {
        let mut records = Vec::new();
        for (stored, bytes) in self.batches.iter().filter(|(batch, _)| is_read(batch)) {
            // Both succeeded when the batch was appended, and the bytes are the same.
            let Ok((batch, _)) = RecordBatch::parse(bytes.as_bytes()) else {
                continue;
            };
            let decoded = batch.records(MAX_UNCOMPRESSED_BYTES).unwrap_or_default();
            records.extend(
                decoded
                    .into_iter()
                    .map(|record| stored_record(partition, stored, record))
                    .filter(|record| record.offset >= self.start_offset),
            );
        }
        records
    }
}

fn stored_record(partition: i32, batch: &StoredBatch, record: DecodedRecord) -> StoredRecord {
    let sequence = match batch.header.base_sequence {
        -1 => -1,
        base => increment_sequence(base, record.offset_delta),
    };
    StoredRecord {
        partition,
        offset: batch.base_offset + i64::from(record.offset_delta),
        timestamp: batch.log_append_time.unwrap_or(record.timestamp),
        key: record.key,
        value: record.value,
        headers: record.headers,
        producer_id: batch.header.producer_id,
        producer_epoch: batch.header.producer_epoch,
        sequence,
    }
}

pub(crate) fn without_records() -> Failure {
    invalid("a partition without records")
}

fn invalid(text: &str) -> Failure {
    Failure::new(ErrorCode::INVALID_RECORD).message(text)
}

/// Returns the single batch that a partition of a Produce request must contain. Java:
/// `ProduceRequest.validateRecords`.
pub(crate) fn single_batch(
    records: &RecordSet,
    produce_version: i16,
) -> Result<RecordBatch<'_>, Failure> {
    let bytes = records.as_bytes();
    if bytes.is_empty() {
        return Err(invalid("a partition without a record batch"));
    }
    // The magic byte has the same position in every format. The older formats have no batch header
    // to parse.
    if let Some(magic) = bytes.get(16).filter(|magic| **magic != 2) {
        return Err(invalid(&format!("magic {magic} where 2 is needed")));
    }
    let (batch, rest) = RecordBatch::parse(bytes)
        .map_err(|error| Failure::new(ErrorCode::CORRUPT_MESSAGE).message(error.to_string()))?;
    if !rest.is_empty() {
        return Err(invalid("more than one record batch for a partition"));
    }
    let compression = batch.compression_type();
    if produce_version < 7 && compression.is_ok_and(|kind| kind == CompressionType::Zstd) {
        return Err(
            Failure::new(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE).message("zstd needs Produce v7")
        );
    }
    Ok(batch)
}

/// Validates the header of a batch, in a broker's order.
fn check_batch(batch: &RecordBatch<'_>, config: &TopicConfig) -> Result<(), Failure> {
    if batch.base_offset() != 0 {
        return Err(invalid(&format!(
            "base offset {} where 0 is needed",
            batch.base_offset()
        )));
    }
    if batch.as_bytes().len() > config.max_message_bytes {
        return Err(Failure::new(ErrorCode::MESSAGE_TOO_LARGE).message(format!(
            "a batch of {} bytes; max.message.bytes is {}",
            batch.as_bytes().len(),
            config.max_message_bytes
        )));
    }
    if !batch.is_crc_valid() {
        return Err(Failure::new(ErrorCode::CORRUPT_MESSAGE).message("the CRC does not match"));
    }
    if batch.is_control() {
        return Err(invalid("a client wrote a control batch"));
    }
    if batch.is_transactional() && batch.producer_id() < 0 {
        return Err(invalid("a transactional batch without a producer id"));
    }
    let count = batch.record_count();
    if count <= 0 || batch.last_offset_delta().checked_add(1) != Some(count) {
        return Err(invalid(&format!(
            "{count} records with a last offset delta of {}",
            batch.last_offset_delta()
        )));
    }
    if batch.producer_id() >= 0 && (batch.base_sequence() < 0 || batch.producer_epoch() < 0) {
        return Err(invalid(&format!(
            "producer {} with epoch {} and base sequence {}",
            batch.producer_id(),
            batch.producer_epoch(),
            batch.base_sequence()
        )));
    }
    Ok(())
}

/// Validates each record. The failure names every wrong record, and the whole batch is refused
/// (KIP-467).
fn check_records(
    batch: &RecordBatch<'_>,
    records: &[DecodedRecord],
    context: AppendContext<'_>,
) -> Result<(), Failure> {
    if i32::try_from(records.len()) != Ok(batch.record_count()) {
        return Err(invalid("the number of records is not the declared one"));
    }
    if (0..)
        .zip(records)
        .any(|(index, record)| record.offset_delta != index)
    {
        return Err(invalid("the records' offset deltas are not 0, 1, 2, ..."));
    }
    let wrong = |record: &DecodedRecord| {
        let code_and_text =
            check_key(record, context.config).or_else(|| check_timestamp(batch, record, context));
        code_and_text.map(|(code, text)| (record.offset_delta, code, text))
    };
    let wrong: Vec<_> = records.iter().filter_map(wrong).collect();
    let Some((_, first_code, _)) = wrong.first() else {
        return Ok(());
    };
    // A wrong timestamp in any record determines the code of the batch.
    let timestamp = ErrorCode::INVALID_TIMESTAMP;
    let has_wrong_timestamp = wrong.iter().any(|(_, code, _)| *code == timestamp);
    let code = if has_wrong_timestamp {
        timestamp
    } else {
        *first_code
    };
    let failure = Failure::new(code).message("one or more records have been rejected");
    Err(wrong
        .into_iter()
        .fold(failure, |failure, (index, _, text)| {
            failure.record_error(index, text)
        }))
}

fn check_key(record: &DecodedRecord, config: &TopicConfig) -> Option<(ErrorCode, String)> {
    let is_missing = config.compacted && record.key.is_none();
    is_missing.then(|| {
        let text = "a compacted topic takes no record without a key";
        (ErrorCode::INVALID_RECORD, text.to_owned())
    })
}

/// Java (broker): `LogValidator.validateTimestamp`.
fn check_timestamp(
    batch: &RecordBatch<'_>,
    record: &DecodedRecord,
    context: AppendContext<'_>,
) -> Option<(ErrorCode, String)> {
    let is_log_append_time = batch.attributes() & LOG_APPEND_TIME_FLAG != 0;
    // All records of such a batch have the time of the batch.
    let timestamp = match is_log_append_time {
        true => batch.max_timestamp(),
        false => record.timestamp,
    };
    let text = if !context.config.log_append_time && timestamp != NO_TIMESTAMP {
        context.config.timestamp_error(timestamp, context.now_ms)?
    } else if is_log_append_time {
        "a producer must not set the timestamp type to LogAppendTime".to_owned()
    } else {
        return None;
    };
    Some((ErrorCode::INVALID_TIMESTAMP, text))
}

fn sequences(batch: &RecordBatch<'_>) -> Option<Sequenced> {
    (batch.producer_id() >= 0).then(|| Sequenced {
        producer_id: batch.producer_id(),
        epoch: batch.producer_epoch(),
        first_sequence: batch.base_sequence(),
        last_sequence: batch.last_sequence(),
    })
}
