//! How much memory a batch starts with, grows by, and may reach. Java: `RecordAccumulator.append`,
//! and in 4.4 `ChunkedRecordAccumulator`.
//!
//! With `buffer.memory.allocation.strategy=full` a batch has all of its memory from the start. With
//! `incremental` it starts with the smallest chunk for its first record, and each further chunk
//! doubles it, up to the same limit. It thus takes at most twice the memory that it needs, and
//! never more than with `full`.
//!
//! A batch that opens behind another one has all of its memory from the start with both strategies.
//! Its partition receives records faster than it sends them, and will fill it. When the memory is
//! used up, no batch can grow. If such batches started small, they would all stay small, and so
//! would the requests.
//!
//! An append waits only for the first chunk of a batch. If a batch cannot grow, it is closed and
//! sent, and the record waits for the first chunk of the next one. Threads that waited to grow
//! their batches could each wait for memory that only the others can return.

use super::partition_queue::QueueState;
use super::{RecordAccumulator, TopicQueues};
use crate::error::{Error, ErrorKind, Result};
use crate::producer::BufferMemoryAllocationStrategy as Strategy;
use crate::producer::internals::batch::{AppendRecord, Extension};
use crate::producer::internals::buffer_pool::{PooledBuffer, Wanted};
use crate::producer::internals::patience::Patience;
use crate::sync::Ordering;

/// A partition with this many waiting batches counts as backlogged. Without growth, the benchmark
/// `delay-1ms` has 0.04 times the rate.
const BACKLOGGED: usize = 2;

/// A grown batch takes at most this fraction of `buffer.memory`, so that other partitions are not
/// starved.
const SHARE_OF_MEMORY: usize = 16;

/// The smallest chunk is less than this, and at least half of it. 10,000 active partitions then
/// take 30 MB.
const SMALLEST_CHUNK: usize = 3 << 10;

impl Strategy {
    /// Returns the size of the smallest first buffer of a batch.
    pub(crate) fn first_buffer_size(self, batch_size: usize) -> usize {
        match self {
            Self::Full => batch_size,
            Self::Incremental => {
                let mut size = batch_size;
                while size >= SMALLEST_CHUNK {
                    size /= 2;
                }
                size
            }
        }
    }
}

impl RecordAccumulator {
    /// Allocates the memory for a new batch that begins with the record.
    pub(super) fn first_memory(
        &self,
        queues: &TopicQueues,
        state: &QueueState,
        record: &AppendRecord<'_>,
    ) -> Wanted {
        let strategy = self.config.allocation;
        let limit = self.next_batch_size(queues, state, record);
        let batch_size = self.config.batch_size;
        let (most, least) = match strategy {
            Strategy::Full => (limit, batch_size),
            Strategy::Incremental if state.batches.is_empty() => {
                let first = self.free.size_class(record.upper_bound());
                (first.min(limit), strategy.first_buffer_size(batch_size))
            }
            // `full` refuses records if the pool is smaller than a batch.
            Strategy::Incremental => (limit, batch_size.min(self.free.total_memory() / 4)),
        };
        Wanted {
            most,
            least: least.max(record.upper_bound()),
        }
    }

    /// Returns the limit for a new batch that begins with the record in this memory.
    pub(super) fn write_limit(
        &self,
        queues: &TopicQueues,
        state: &QueueState,
        record: &AppendRecord<'_>,
        memory: &PooledBuffer,
    ) -> usize {
        let limit = match self.config.allocation {
            Strategy::Full => record.upper_bound(),
            Strategy::Incremental => self.next_batch_size(queues, state, record),
        };
        limit.max(memory.reserved())
    }

    /// If the record lacks only memory to join the last batch, extends that batch.
    pub(super) fn extend_tail(
        &self,
        state: &mut QueueState,
        record: &AppendRecord<'_>,
    ) -> Extension {
        let tail = state.batches.back_mut();
        tail.map_or(Extension::NotNeeded, |tail| {
            tail.extend_for(record, &self.free)
        })
    }

    /// Allocates memory for a batch.
    pub(super) fn allocate(&self, wanted: Wanted, patience: Patience) -> Result<PooledBuffer> {
        match patience {
            Patience::Never => self.free.try_allocate(wanted),
            Patience::InCallback => self.free.try_allocate(wanted).map_err(would_deadlock),
            Patience::UpTo(limit) => self.free.allocate(wanted, limit, || {
                self.signal.recheck_all();
                self.signal.wake();
            }),
        }
    }

    /// Returns `batch.size`, or more for a larger record or for a backlogged partition.
    fn next_batch_size(
        &self,
        queues: &TopicQueues,
        state: &QueueState,
        record: &AppendRecord<'_>,
    ) -> usize {
        let mut size = self.config.batch_size;
        let backlog = state.batches.len();
        if backlog >= BACKLOGGED {
            let ceiling = self
                .config
                .max_request_size
                .min(queues.batch_ceiling.load(Ordering::Relaxed))
                .min(self.free.total_memory() / SHARE_OF_MEMORY);
            // By doubling, because buffers of such sizes are reused.
            for _ in BACKLOGGED..=backlog {
                if size > ceiling / 2 {
                    break;
                }
                size *= 2;
            }
        }
        size.max(record.upper_bound())
    }
}

/// Turns a full buffer inside a callback into an error that says so.
fn would_deadlock(error: Error) -> Error {
    if error.kind() != ErrorKind::WouldBlock {
        return error;
    }
    let text = "the buffer is full, and a send inside a callback cannot wait for the thread that it runs on";
    Error::new(ErrorKind::WouldDeadlock, text).caused_by(error)
}
