//! The parts behind [`KafkaProducer`](super::KafkaProducer), under Java's names.

mod buffer_pool;
mod built_in_partitioner;
mod fate;
mod incomplete_batches;
mod io_thread;
mod produce_request_result;
mod producer_batch;
mod ready_signal;
mod record_accumulator;
mod record_facts;
mod sender;
pub(crate) mod sequences;
mod thunks;
pub(crate) mod transactions;

pub(crate) use buffer_pool::BufferPool;
#[cfg(feature = "_internals")]
pub(crate) use buffer_pool::Wanted;
pub(crate) use io_thread::IoThreadId;
pub(crate) use produce_request_result::{Outcome, ProduceRequestResult, record_result};
pub(crate) use producer_batch::{AppendRecord, ProducerBatch};
pub(crate) use record_accumulator::{
    AccumulatorConfig, AppendContext, AppendOutcome, Joined, Patience, RecordAccumulator, Scheduler,
};
pub(crate) use record_facts::RecordFacts;
pub(crate) use sender::{Ledger, Sender, SenderConfig, SenderControl, SenderParts};
