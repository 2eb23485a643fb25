//! The internal parts of [`KafkaProducer`](super::KafkaProducer), with Java's names.

mod batch;
mod batch_sum;
mod buffer_pool;
mod built_in_partitioner;
mod fate;
mod io_thread;
mod patience;
mod producer_metrics;
mod ready_signal;
mod record_accumulator;
mod sender;
mod sender_metrics;
pub(crate) mod sequences;
mod topic_metrics;
pub(crate) mod transactions;

pub(crate) use batch::{
    AppendRecord, DrainedBatch, Outcome, ProduceRequestResult, ProducerBatch, RecordFacts,
    record_result,
};
#[cfg(feature = "_internals")]
pub(crate) use batch_sum::BatchSum;
#[cfg(feature = "_internals")]
pub(crate) use buffer_pool::Wanted;
pub(crate) use buffer_pool::{BufferPool, PoolMetrics};
pub(crate) use io_thread::IoThreadId;
pub(crate) use patience::{Patience, WaitLimit};
pub(crate) use producer_metrics::{CallTimes, ProducerCall};
pub(crate) use record_accumulator::{
    AccumulatorConfig, AppendContext, AppendOutcome, Joined, RecordAccumulator, Scheduler, Share,
};
pub(crate) use sender::{Ledger, Sender, SenderConfig, SenderControl, SenderParts};
pub(crate) use sender_metrics::{ErrorCounter, SenderMetrics};
#[cfg(feature = "_internals")]
pub(crate) use topic_metrics::TopicMetrics;
