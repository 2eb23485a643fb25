//! Record batches (magic 2): building, freezing, reading back, compression. Java: `org.apache.kafka.common.record`.
//!
//! A [`MemoryRecordsBuilder`] builds a batch directly in the memory that goes to the socket.
//! Message formats 0 and 1 are not supported, because no supported broker needs them.

#![cfg_attr(
    not(feature = "testing"),
    allow(
        dead_code,
        unused_imports,
        reason = "what only a broker reads of a batch is for `testing`"
    )
)]

mod chunks;
mod compression;
mod compression_ratio_estimator;
mod default_record;
mod default_record_batch;
mod memory_records_builder;
mod plain_records;
mod record_error;
mod varint;

pub(crate) use chunks::WrittenBytes;
pub use compression::CompressionType;
pub(crate) use compression::{Compression, compress, decompress};
pub(crate) use compression_ratio_estimator::CompressionRatioEstimator;
pub(crate) use default_record::{DecodedRecord, DefaultRecord, RECORD_BATCH_OVERHEAD};
pub(crate) use default_record_batch::{
    ProducerState, RecordBatch, increment_sequence, rewrite_producer_state,
};
pub(crate) use memory_records_builder::{MemoryRecordsBuilder, MissingMemory};
pub(crate) use record_error::RecordError;
#[cfg(feature = "_internals")]
pub(crate) use varint::write_varlong;
