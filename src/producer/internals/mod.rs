//! The parts behind [`KafkaProducer`](super::KafkaProducer), under Java's names.

mod batch;
mod buffer_pool;
mod built_in_partitioner;
mod fate;
mod io_thread;
mod ready_signal;
mod record_accumulator;
mod sender;
pub(crate) mod sequences;
pub(crate) mod transactions;

pub(crate) use batch::{
    AppendRecord, Outcome, ProduceRequestResult, ProducerBatch, RecordFacts, record_result,
};
pub(crate) use buffer_pool::BufferPool;
#[cfg(feature = "_internals")]
pub(crate) use buffer_pool::Wanted;
pub(crate) use io_thread::IoThreadId;
pub(crate) use record_accumulator::{
    AccumulatorConfig, AppendContext, AppendOutcome, Joined, Patience, RecordAccumulator, Scheduler,
};
pub(crate) use sender::{Ledger, Sender, SenderConfig, SenderControl, SenderParts};
