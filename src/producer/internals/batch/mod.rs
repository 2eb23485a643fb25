//! A batch of records, from its first append to its callbacks and futures.

mod failed_records;
mod frozen_records;
mod incomplete_batches;
mod produce_request_result;
mod producer_batch;
mod record_facts;
mod thunks;

pub(crate) use incomplete_batches::IncompleteBatches;
pub(crate) use produce_request_result::{Outcome, ProduceRequestResult, record_result};
pub(crate) use producer_batch::{
    AppendRecord, Appended, DrainedBatch, Extension, NewBatch, ProducerBatch,
};
pub(crate) use record_facts::RecordFacts;
pub(crate) use thunks::SpareThunks;
