//! The result of a batch, on which all futures of its records wait. Java: `ProduceRequestResult`.
//!
//! Locks: one latch per batch. It opens after the callbacks of the batch have run, so a thread that
//! saw a future complete also saw the callback's effects.
//!
//! Differs from Java: when a batch is split, its result points to the results of the parts. Java
//! chains the future of every record to a new one. Waiting threads, including `flush`, continue to
//! wait for the parts (KAFKA-19479).

use std::fmt;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::failed_records::FailedRecords;
use crate::common::TopicPartition;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::producer::internals::fate::{Fate, HasFate};
use crate::producer::internals::io_thread::IoThreadId;
use crate::producer::internals::ready_signal::PartitionHandle;
use crate::producer::user_code::contain;
use crate::sync::{Arc, AtomicBool, Latch, Ordering};
use crate::utils::{SystemTime, Time, log, spin_limit};

/// See the module's documentation.
pub(crate) struct ProduceRequestResult {
    partition: Arc<PartitionHandle>,
    /// A caller waits for a record of this batch, so it is sent without waiting for `linger.ms`.
    expedited: AtomicBool,
    fate: Fate,
    outcome: Latch<Outcome>,
}

/// With the counters of its `Arc`, at most 120 bytes. A caller allocates one for each batch, and the
/// I/O thread frees it. For more bytes, glibc takes a lock, for which the two then wait: the benchmark
/// `1000-topics` has 0.95 times the rate.
#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
const _: () = assert!(size_of::<ProduceRequestResult>() <= 120 - 2 * size_of::<usize>());

/// The outcome of a batch.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It is in the log. `base_offset` is -1 if the broker did not return it. `log_append_time` is
    /// -1 if the timestamps are the producer's.
    Acked {
        base_offset: i64,
        log_append_time: i64,
    },
    /// It failed. Every record has its own error.
    Failed(RecordErrors),
    /// It was too large. Its records are now in these batches.
    Split(Arc<[SplitPart]>),
}

/// The errors of a failed batch.
#[derive(Clone)]
pub(crate) struct RecordErrors {
    /// The error of each record for which the broker has no own error.
    pub(crate) error: Error,
    /// The records that the broker named (KIP-467), by index in the batch.
    pub(crate) by_index: Arc<[(u32, Error)]>,
    /// Where the records can be read.
    pub(crate) records: Option<Arc<FailedRecords>>,
}

impl RecordErrors {
    pub(crate) fn of(&self, index: u32) -> Error {
        let named = self.by_index.iter().find(|(named, _)| *named == index);
        let error = named.map_or(&self.error, |(_, error)| error).clone();
        match &self.records {
            Some(records) => error.with_record(Arc::<FailedRecords>::clone(records), index),
            None => error,
        }
    }
}

impl fmt::Debug for RecordErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordErrors")
            .field("error", &self.error)
            .field("by_index", &self.by_index)
            .finish_non_exhaustive()
    }
}

/// One part of a split batch: it holds the original's records from `first_index` on.
#[derive(Clone, Debug)]
pub(crate) struct SplitPart {
    pub(crate) first_index: u32,
    pub(crate) result: Arc<ProduceRequestResult>,
}

impl ProduceRequestResult {
    pub(crate) fn new(partition: Arc<PartitionHandle>) -> Arc<Self> {
        Arc::new(Self {
            partition,
            expedited: AtomicBool::new(false),
            fate: Fate::default(),
            outcome: Latch::default(),
        })
    }

    pub(crate) fn partition(&self) -> &Arc<PartitionHandle> {
        &self.partition
    }

    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        self.partition.topic_partition()
    }

    /// Returns whether the batch may be in the log, as long as it has no outcome.
    pub(crate) fn fate(&self) -> &Fate {
        &self.fate
    }

    pub(crate) fn io_thread(&self) -> IoThreadId {
        self.partition.io_thread()
    }

    /// Opens the result, and wakes the tasks that wait for its records. Only the first outcome counts.
    ///
    /// A waker is the program's code: no lock is held, and a panic in it goes to the log and no further.
    pub(crate) fn complete(&self, outcome: Outcome) {
        let opened = self.outcome.open(outcome);
        debug_assert!(opened.is_first, "a batch completed twice");
        for waker in opened.tasks.into_values() {
            if let Err(panic) = contain("a task's waker", || waker.wake()) {
                log::error!("{panic}; its record was for {}", self.topic_partition());
            }
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        match self.outcome.get() {
            Some(Outcome::Split(parts)) => parts.iter().all(|part| part.result.is_done()),
            outcome => outcome.is_some(),
        }
    }

    /// Makes the batch sendable immediately and wakes the I/O thread, unless it is done or expedited.
    pub(crate) fn expedite(&self) {
        if !self.expedited.swap(true, Ordering::AcqRel) && self.outcome.get().is_none() {
            self.partition.announce();
            self.partition.wake_io_thread();
        }
    }

    /// Marks the batch as drained. A later waiting caller need not expedite it.
    pub(crate) fn mark_drained(&self) {
        self.expedited.store(true, Ordering::Release);
    }

    pub(crate) fn is_expedited(&self) -> bool {
        self.expedited.load(Ordering::Acquire)
    }

    /// Returns the outcome of the record at `index`, if it is known.
    pub(crate) fn poll_record(&self, index: u32) -> Option<(Outcome, u32)> {
        let outcome = self.outcome.get()?;
        if let Outcome::Split(parts) = outcome {
            if let Some((part, index)) = part_of(parts, index) {
                return part.result.poll_record(index);
            }
        }
        Some((outcome.clone(), index))
    }

    /// Returns the outcome of the record at `index` if it is known. Otherwise expedites the batch
    /// and registers the task. The task is woken when the batch is done, or when it is split and
    /// the record is in a part of it.
    ///
    /// No two tasks wait for the same record, so its index identifies the task.
    pub(crate) fn poll_record_for(&self, index: u32, waker: &Waker) -> Option<(Outcome, u32)> {
        if self.outcome.get().is_none() && self.outcome.register(index, waker.clone()) {
            self.expedite();
            return None;
        }
        let outcome = self.outcome.get()?;
        if let Outcome::Split(parts) = outcome {
            if let Some((part, index)) = part_of(parts, index) {
                return part.result.poll_record_for(index, waker);
            }
        }
        Some((outcome.clone(), index))
    }

    /// Waits for the outcome of the record at `index`, even in a part of a split batch. Returns
    /// `None` after `deadline`.
    pub(crate) fn wait_record(
        &self,
        index: u32,
        deadline: Option<Instant>,
    ) -> Option<(Outcome, u32)> {
        self.spin(deadline);
        let outcome = self.wait(deadline)?;
        if let Outcome::Split(parts) = outcome {
            if let Some((part, index)) = part_of(parts, index) {
                return part.result.wait_record(index, deadline);
            }
        }
        Some((outcome.clone(), index))
    }

    /// Waits until every record of the batch has an outcome, including those in its parts. Returns
    /// false if `deadline` passes first.
    pub(crate) fn wait_all(&self, deadline: Option<Instant>) -> bool {
        match self.wait(deadline) {
            None => false,
            Some(Outcome::Split(parts)) => parts.iter().all(|part| part.result.wait_all(deadline)),
            Some(_) => true,
        }
    }

    /// Polls without sleeping for a response that is expected soon, and makes the I/O thread do so
    /// too. Otherwise the record of a blocking caller, its request and the response would each wake
    /// one sleeping thread after the other.
    fn spin(&self, deadline: Option<Instant>) {
        let is_done = || self.outcome.get().is_some();
        if is_done() {
            return;
        }
        if let Some(turn) = self.partition.take_spin_turn() {
            turn.spin_until(spin_limit(remaining(deadline)), is_done);
        }
    }

    fn wait(&self, deadline: Option<Instant>) -> Option<&Outcome> {
        self.outcome.wait(remaining(deadline))
    }
}

fn remaining(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|deadline| deadline.saturating_duration_since(SystemTime.now()))
}

/// Returns the part that holds the record at `index` of the original, and its index there.
fn part_of(parts: &[SplitPart], index: u32) -> Option<(&SplitPart, u32)> {
    let part = parts.iter().rev().find(|part| part.first_index <= index)?;
    Some((part, index - part.first_index))
}

impl HasFate for ProduceRequestResult {
    fn fate(&self) -> &Fate {
        &self.fate
    }
}

impl fmt::Debug for ProduceRequestResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProduceRequestResult")
            .field("topic_partition", self.topic_partition())
            .field("outcome", &self.outcome.get())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl ProduceRequestResult {
    /// Returns whether an attempt to write the record at `index` ended without a known outcome.
    pub(crate) fn is_in_doubt(&self, index: u32) -> bool {
        if let Some(Outcome::Split(parts)) = self.outcome.get() {
            if let Some((part, index)) = part_of(parts, index) {
                return part.result.is_in_doubt(index);
            }
        }
        self.fate.is_indefinite()
    }
}

/// Returns the base offset and the log append time of a batch with this outcome, or the error of
/// its record at `index`.
pub(crate) fn record_result(outcome: &Outcome, index: u32) -> Result<(i64, i64)> {
    match outcome {
        Outcome::Acked {
            base_offset,
            log_append_time,
        } => Ok((*base_offset, *log_append_time)),
        Outcome::Failed(errors) => Err(errors.of(index)),
        Outcome::Split(_) => {
            let text = "a record of a split batch is in none of its parts";
            Err(Error::new(ErrorKind::Internal, text).with_delivery(Delivery::MaybeWritten))
        }
    }
}
