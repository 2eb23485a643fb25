//! Producer id, epochs and sequences. Java: `TransactionManager`, `TxnPartitionMap`; KIP-98, KIP-360.
//!
//! Threads: the I/O thread changes the state; callers read it. Locks: one mutex around everything, held for a few
//! instructions and never while another lock is taken. It is taken inside the lock of a partition's deque by the drain.
//!
//! Differs from Java:
//! - It knows batches by their [`BatchSequence`] alone. It owns none, and rewrites none: renumbering is returned to the
//!   caller.
//! - A batch whose fate is unknown is never renumbered. Where Java rewrites what is in flight as soon as it sees a gap, a
//!   partition here awaits resolution: it gives out no new sequences, and its batches are sent again under their old ones
//!   until each is acknowledged or surely not in the log. Only then does the epoch move, for this partition at once, for
//!   every other one when it has nothing unsettled.
//! - A batch that was sent even once and then given up leaves its partition unresolved (Java: that was *retried* once).
//! - No more than `max.in.flight` batches, five at most, are given sequences from the first unsettled one on, be the later
//!   ones acknowledged or not. Java counts those without an answer, and can run ahead of what a broker remembers.
//! - Until the first acknowledgement of a producer id and epoch in a partition, one batch is in flight there.

mod partition_entry;
mod sequence;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use hashbrown::HashMap;

use self::partition_entry::{PartitionEntry, Resolution};
use crate::common::TopicPartition;
use crate::error::{Error, ErrorKind};
use crate::protocol::ErrorCode;
use crate::sync::{Mutex, MutexGuard};
use crate::utils::ExponentialBackoff;

pub(crate) use self::partition_entry::Attempt;
pub(crate) use self::sequence::{BatchSequence, ProducerIdAndEpoch, compare as compare_sequences};

/// A broker remembers this many batches of a producer in each partition, and can tell a duplicate among them alone.
const MAX_IN_FLIGHT_WITH_IDEMPOTENCE: u64 = 5;

/// How far the producer is on its way to a producer id.
#[derive(Clone, Debug)]
enum State {
    /// No producer id; one may be asked for from `retry_at` on.
    Uninitialized { retry_at: Option<Instant> },
    /// InitProducerId is in flight.
    Initializing,
    /// Batches can be sent.
    Ready,
    /// Nothing can be sent any more.
    FatalError(Error),
}

/// A partition that goes on after it awaited resolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) topic_partition: TopicPartition,
    /// What the sequenced batches at the front of the partition's deque become, in order; empty where they stay as they
    /// are.
    pub(crate) renumbered: Vec<BatchSequence>,
}

/// What an answer to InitProducerId means for the batches that wait for it.
#[derive(Debug)]
pub(crate) enum InitOutcome {
    /// Batches can be drained.
    Ready,
    /// It is asked for again after a wait.
    Retry,
    /// Every batch fails with this error, and the producer asks again: rights that are granted later need no new one.
    AbortBatches(Error),
    /// The producer is finished.
    Fatal(Error),
}

/// The idempotent producer's state.
#[derive(Debug)]
pub(crate) struct TransactionManager {
    max_in_flight: u64,
    retry_backoff: ExponentialBackoff,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// What partitions start with from now on. A partition that has batches unsettled keeps its own until it has none.
    producer: ProducerIdAndEpoch,
    init_attempts: u32,
    /// Never shrinks: forgetting a partition while its topic is missing from the metadata would start it at 0 again, and
    /// the broker would drop new records as duplicates.
    partitions: HashMap<TopicPartition, PartitionEntry>,
    /// The partitions that await resolution, so that looking for them costs nothing when there is none.
    unresolved: Vec<TopicPartition>,
}

impl TransactionManager {
    /// `max_in_flight` is `max.in.flight.requests.per.connection`; `retry_backoff` paces InitProducerId.
    pub(crate) fn new(max_in_flight: usize, retry_backoff: ExponentialBackoff) -> Self {
        Self {
            max_in_flight: u64::try_from(max_in_flight)
                .unwrap_or(u64::MAX)
                .clamp(1, MAX_IN_FLIGHT_WITH_IDEMPOTENCE),
            retry_backoff,
            inner: Mutex::new(Inner {
                state: State::Uninitialized { retry_at: None },
                producer: ProducerIdAndEpoch::NONE,
                init_attempts: 0,
                partitions: HashMap::new(),
                unresolved: Vec::new(),
            }),
        }
    }

    /// The current producer id and epoch, or [`ProducerIdAndEpoch::NONE`].
    #[cfg(test)]
    pub(crate) fn producer_id_and_epoch(&self) -> ProducerIdAndEpoch {
        self.lock().producer
    }

    #[cfg(test)]
    pub(crate) fn has_producer_id(&self) -> bool {
        self.lock().producer.is_valid()
    }

    /// Why nothing can be sent any more, if that is so.
    pub(crate) fn fatal_error(&self) -> Option<Error> {
        match &self.lock().state {
            State::FatalError(error) => Some(error.clone()),
            _ => None,
        }
    }

    /// Ends all sending. The first error stays.
    pub(crate) fn transition_to_fatal_error(&self, error: Error) {
        let mut inner = self.lock();
        if !matches!(inner.state, State::FatalError(_)) {
            log::error!("transiting to fatal error state: {error}");
            inner.state = State::FatalError(error.into_fatal());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

/// The producer id. Java: `InitProducerIdHandler`.
impl TransactionManager {
    /// How long until InitProducerId may be sent; `None` where there is no need to.
    pub(crate) fn init_producer_id_delay(&self, now: Instant) -> Option<Duration> {
        match &self.lock().state {
            State::Uninitialized { retry_at } => {
                Some(retry_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now)))
            }
            _ => None,
        }
    }

    /// InitProducerId was sent.
    pub(crate) fn init_producer_id_sent(&self) {
        let mut inner = self.lock();
        if matches!(inner.state, State::Uninitialized { .. }) {
            inner.state = State::Initializing;
        }
    }

    /// InitProducerId was not sent, or not answered: it is tried again after a wait.
    pub(crate) fn init_producer_id_failed(&self, now: Instant) -> InitOutcome {
        let mut inner = self.lock();
        if matches!(
            inner.state,
            State::Uninitialized { .. } | State::Initializing
        ) {
            let wait = self.retry_backoff.backoff(inner.init_attempts);
            inner.init_attempts = inner.init_attempts.saturating_add(1);
            inner.state = State::Uninitialized {
                retry_at: Some(now + wait),
            };
        }
        InitOutcome::Retry
    }

    /// Takes the answer to InitProducerId.
    pub(crate) fn handle_init_producer_id_response(
        &self,
        code: ErrorCode,
        producer: ProducerIdAndEpoch,
        now: Instant,
    ) -> InitOutcome {
        if code.is_none() {
            return self.producer_id_received(producer);
        }
        if code.is_retriable() {
            log::debug!("InitProducerId was answered with {code}, will be retried");
            return self.init_producer_id_failed(now);
        }
        let error = Error::from_code(code, format!("InitProducerId was refused: {code}"));
        if code == ErrorCode::CLUSTER_AUTHORIZATION_FAILED {
            self.init_producer_id_failed(now);
            return InitOutcome::AbortBatches(error);
        }
        self.transition_to_fatal_error(error.clone());
        InitOutcome::Fatal(error)
    }

    fn producer_id_received(&self, producer: ProducerIdAndEpoch) -> InitOutcome {
        if !producer.is_valid() || producer.epoch < 0 {
            let text = format!("the broker gave out an invalid {producer}");
            let error = Error::new(ErrorKind::Protocol, text);
            self.transition_to_fatal_error(error.clone());
            return InitOutcome::Fatal(error);
        }
        let mut inner = self.lock();
        if !matches!(inner.state, State::Initializing) {
            return InitOutcome::Retry;
        }
        log::info!("producer id set to {producer}");
        inner.producer = producer;
        inner.init_attempts = 0;
        inner.state = State::Ready;
        InitOutcome::Ready
    }
}

/// What the accumulator's drain asks and tells, with the lock of the partition's deque held.
impl TransactionManager {
    /// Whether the partition may not send its head now. `head` is the head's sequence, `None` where it has none yet.
    pub(crate) fn should_stop_drain(
        &self,
        topic_partition: &TopicPartition,
        head: Option<&BatchSequence>,
    ) -> bool {
        let inner = self.lock();
        if !matches!(inner.state, State::Ready) {
            return true;
        }
        let entry = inner.partitions.get(topic_partition);
        let may_send = match (entry, head) {
            (Some(entry), None) => entry.can_assign(inner.producer, self.max_in_flight),
            (Some(entry), Some(sequence)) => entry.can_retry_now(sequence),
            (None, head) => head.is_none(),
        };
        !may_send
    }

    /// Gives sequences to a batch that is about to be sent for the first time, and counts it as in flight. A partition
    /// of an older producer id or epoch starts at 0 with the current one.
    ///
    /// Only for a head that [`should_stop_drain`](Self::should_stop_drain) let pass.
    pub(crate) fn assign_sequence(
        &self,
        topic_partition: &TopicPartition,
        record_count: u32,
    ) -> BatchSequence {
        let mut inner = self.lock();
        let producer = inner.producer;
        let entry = inner
            .partitions
            .entry_ref(topic_partition)
            .or_insert_with(|| PartitionEntry::new(producer));
        if entry.producer() != producer && !entry.has_unsettled() {
            entry.restart(producer);
        }
        entry.assign(record_count)
    }

    /// Counts a batch that has sequences as in flight again.
    pub(crate) fn add_in_flight(&self, topic_partition: &TopicPartition, sequence: &BatchSequence) {
        if let Some(entry) = self.lock().partitions.get_mut(topic_partition) {
            entry.set_on_wire(sequence);
        }
    }
}

#[cfg(test)]
impl TransactionManager {
    pub(crate) fn set_next_sequence(&self, topic_partition: &TopicPartition, sequence: i32) {
        let mut inner = self.lock();
        let entry = inner.partitions.get_mut(topic_partition);
        entry
            .expect("the partition has a batch")
            .set_next_sequence(sequence);
    }
}

/// What became of a batch that was sent.
impl TransactionManager {
    /// The batch is in the log. Also for a duplicate, and for the late answer to a batch that was given up on the wire.
    pub(crate) fn handle_completed_batch(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
    ) -> bool {
        let mut inner = self.lock();
        let entry = inner.partitions.get_mut(topic_partition);
        entry.is_some_and(|entry| entry.acknowledge(sequence))
    }

    /// Whether a batch that was refused with one of the two codes about sequences may be tried again. Java: `canRetry`.
    ///
    /// Always, apart from a part of a split batch: the whole batch may be in the log under the same sequences, and to
    /// send the part under others would write its records twice.
    pub(crate) fn can_retry_out_of_sequence(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
    ) -> bool {
        let inner = self.lock();
        let entry = inner.partitions.get(topic_partition);
        entry.is_some_and(|entry| !entry.parent_may_be_written(sequence))
    }

    /// The batch goes back to the accumulator with its sequences, to be tried again.
    pub(crate) fn handle_retry(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
        attempt: Attempt,
    ) {
        self.settle(topic_partition, |entry| {
            entry.attempt_failed(sequence, attempt)
        });
    }

    /// The batch failed and is not on the wire: refused for good, or expired between two attempts.
    pub(crate) fn handle_failed_batch(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
    ) {
        self.settle(topic_partition, |entry| entry.give_up(sequence));
    }

    /// The batch was completed exceptionally while its request waits for an answer.
    ///
    /// The answer is to be reported as for any batch: to [`handle_completed_batch`](Self::handle_completed_batch) or to
    /// [`handle_failed_batch`](Self::handle_failed_batch).
    pub(crate) fn handle_expired_in_flight(
        &self,
        topic_partition: &TopicPartition,
        sequence: &BatchSequence,
    ) {
        self.settle(topic_partition, |entry| entry.give_up_on_wire(sequence));
    }

    /// Exchanges a batch that was split for its parts, in order. The result are the parts' sequences.
    pub(crate) fn replace_split_batch(
        &self,
        topic_partition: &TopicPartition,
        original: &BatchSequence,
        record_counts: &[u32],
    ) -> Vec<BatchSequence> {
        let mut inner = self.lock();
        let producer = original.producer;
        inner
            .partitions
            .entry_ref(topic_partition)
            .or_insert_with(|| PartitionEntry::new(producer))
            .split(original, record_counts)
    }

    /// Applies `change`, which says whether the partition may have become unresolved.
    fn settle(
        &self,
        topic_partition: &TopicPartition,
        change: impl FnOnce(&mut PartitionEntry) -> bool,
    ) {
        let mut inner = self.lock();
        let Some(entry) = inner.partitions.get_mut(topic_partition) else {
            return;
        };
        let awaited = entry.awaits_resolution();
        if change(entry) && !awaited {
            log::debug!(
                "{topic_partition} gives out no sequences until the open ones are resolved"
            );
            inner.unresolved.push(topic_partition.clone());
        }
    }
}

/// Recovery. Java: `maybeResolveSequences`, `bumpIdempotentProducerEpoch`.
impl TransactionManager {
    /// Lets every partition go on whose batches are settled: where it stopped if nothing is missing, and otherwise at 0 with
    /// a new epoch.
    ///
    /// Called before every drain. The caller writes new sequences into the batches before anything is drained.
    pub(crate) fn maybe_resolve_sequences(&self) -> Vec<Resolved> {
        let mut inner = self.lock();
        if inner.unresolved.is_empty() || !matches!(inner.state, State::Ready) {
            return Vec::new();
        }
        let mut resolved = Vec::new();
        for topic_partition in std::mem::take(&mut inner.unresolved) {
            match inner.resolve(&topic_partition) {
                Some(renumbered) => resolved.push(Resolved {
                    topic_partition,
                    renumbered,
                }),
                None => inner.unresolved.push(topic_partition),
            }
        }
        resolved
    }
}

impl Inner {
    /// `None` while the partition has to wait.
    fn resolve(&mut self, topic_partition: &TopicPartition) -> Option<Vec<BatchSequence>> {
        let entry = self.partitions.get_mut(topic_partition)?;
        match entry.resolution() {
            Resolution::Pending => None,
            Resolution::Resolved => {
                entry.resolve();
                Some(Vec::new())
            }
            Resolution::Gap => {
                let stale = entry.producer();
                if self.producer == stale {
                    self.bump_epoch();
                }
                if !self.producer.is_valid() {
                    return None;
                }
                let producer = self.producer;
                let entry = self.partitions.get_mut(topic_partition)?;
                let renumbered = entry.restart(producer);
                log::info!(
                    "{topic_partition} restarts at sequence 0 with {producer} after a gap under {stale}"
                );
                Some(renumbered)
            }
        }
    }

    /// Moves to the next epoch without asking a broker, or gives up the producer id when its epochs are used up.
    fn bump_epoch(&mut self) {
        if let Some(next) = self.producer.next_epoch() {
            self.producer = next;
        } else {
            log::info!(
                "the epochs of {} are used up, asking for another id",
                self.producer
            );
            self.producer = ProducerIdAndEpoch::NONE;
            self.state = State::Uninitialized { retry_at: None };
        }
    }
}
