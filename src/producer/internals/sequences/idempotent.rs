//! The producer id and the sequences of a producer with idempotence and without transactions. Java:
//! `InitProducerIdHandler`, `bumpIdempotentProducerEpoch`.
//!
//! Threads: the I/O thread; a caller reads whether there is a fatal error.
//! Locks: one mutex around everything, held for a few instructions. The drain takes it inside the
//! lock of a partition's deque. No lock is taken inside it.

use std::time::{Duration, Instant};

use super::{
    BatchSequence, DrainGate, LogView, NextBatch, ProducerIdAndEpoch, Resolved, ResolvedOutcome,
    Sequences,
};
use crate::common::TopicPartition;
use crate::error::{Error, ErrorKind};
use crate::producer::internals::fate::HasFate;
use crate::protocol::ErrorCode;
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::utils::{ExponentialBackoff, log};

/// The meaning of a response to InitProducerId for the batches that wait for it.
#[derive(Debug)]
pub(crate) enum InitOutcome {
    /// Batches can be drained.
    Ready,
    /// The request is retried after a wait.
    Retry,
    /// Every batch fails with this error, and the producer requests an id again. Rights that are
    /// granted later do not require a new producer.
    AbortBatches(Error),
    /// The producer can send nothing any more.
    Fatal,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct IdempotentProducer {
    retry_backoff: ExponentialBackoff,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    sequences: Sequences,
}

/// Whether there is a producer id.
#[derive(Debug)]
enum State {
    /// There is none. InitProducerId may be sent now, or at `not_before` after this many attempts.
    Uninitialized {
        attempts: u32,
        not_before: Option<Instant>,
    },
    /// InitProducerId is in flight.
    Initializing {
        attempts: u32,
    },
    Ready,
    /// Nothing can be sent any more.
    FatalError(Error),
}

impl State {
    const UNINITIALIZED: Self = Self::Uninitialized {
        attempts: 0,
        not_before: None,
    };
}

impl IdempotentProducer {
    /// Creates a producer. `max_in_flight` is `max.in.flight.requests.per.connection`;
    /// `retry_backoff` delays repeated requests.
    pub(crate) fn new(max_in_flight: usize, retry_backoff: ExponentialBackoff) -> Self {
        Self {
            retry_backoff,
            inner: Mutex::new(Inner {
                state: State::UNINITIALIZED,
                sequences: Sequences::new(max_in_flight),
            }),
        }
    }

    /// Runs `call` on the sequences.
    pub(crate) fn with_sequences<R>(&self, call: impl FnOnce(&mut Sequences) -> R) -> R {
        call(&mut self.lock().sequences)
    }

    /// Returns why nothing can be sent any more, if there is such an error.
    pub(crate) fn fatal_error(&self) -> Option<Error> {
        match &self.lock().state {
            State::FatalError(error) => Some(error.clone()),
            _ => None,
        }
    }

    /// Ends all sending. The first error is kept.
    pub(crate) fn transition_to_fatal_error(&self, error: Error) {
        self.lock().transition_to_fatal_error(error);
    }

    /// Returns how long until InitProducerId may be sent to any node, or `None` if it is not
    /// needed.
    pub(crate) fn init_producer_id_delay(&self, now: Instant) -> Option<Duration> {
        match self.lock().state {
            State::Uninitialized { not_before, .. } => {
                Some(not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(now)))
            }
            _ => None,
        }
    }

    /// Notes that InitProducerId was sent.
    pub(crate) fn init_producer_id_sent(&self) {
        let mut inner = self.lock();
        if let State::Uninitialized { attempts, .. } = inner.state {
            inner.state = State::Initializing { attempts };
        }
    }

    /// Notes that InitProducerId was not sent, or has no response. It is retried after a wait.
    pub(crate) fn init_producer_id_failed(&self, now: Instant) -> InitOutcome {
        let mut inner = self.lock();
        if let State::Uninitialized { attempts, .. } | State::Initializing { attempts } =
            inner.state
        {
            inner.state = State::Uninitialized {
                attempts: attempts.saturating_add(1),
                not_before: Some(now + self.retry_backoff.backoff(attempts)),
            };
        }
        InitOutcome::Retry
    }

    /// Handles the response to InitProducerId.
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
            log::debug!("the response to InitProducerId is {code}; it will be retried");
            return self.init_producer_id_failed(now);
        }
        let error = Error::from_code(code, format!("InitProducerId was refused: {code}"));
        if code == ErrorCode::CLUSTER_AUTHORIZATION_FAILED {
            self.init_producer_id_failed(now);
            return InitOutcome::AbortBatches(error);
        }
        self.transition_to_fatal_error(error);
        InitOutcome::Fatal
    }

    fn producer_id_received(&self, producer: ProducerIdAndEpoch) -> InitOutcome {
        let mut inner = self.lock();
        if !producer.is_valid() || producer.epoch < 0 {
            let text = format!("the broker returned an invalid {producer}");
            inner.transition_to_fatal_error(Error::new(ErrorKind::Protocol, text));
            return InitOutcome::Fatal;
        }
        if !matches!(inner.state, State::Initializing { .. }) {
            return InitOutcome::Retry;
        }
        log::info!("producer id set to {producer}");
        inner.sequences.take_over_unsettled(producer);
        inner.state = State::Ready;
        InitOutcome::Ready
    }

    /// Forgets the producer id and every sequence, because the brokers belong to another cluster.
    /// Requests another id immediately.
    pub(crate) fn forget_producer_id(&self, reason: &str) {
        let mut inner = self.lock();
        inner.sequences.take_over(ProducerIdAndEpoch::NONE);
        match inner.state {
            State::FatalError(_) => return,
            State::Uninitialized { .. } => {}
            State::Initializing { .. } | State::Ready => {
                log::info!("requesting another producer id: {reason}");
            }
        }
        inner.state = State::UNINITIALIZED;
    }

    /// Resolves every partition whose batches all have an outcome. It continues where it stopped if
    /// nothing is missing, and otherwise restarts at 0 with a new epoch. Java:
    /// `maybeResolveSequences`.
    pub(crate) fn maybe_resolve_sequences(&self) -> Vec<Resolved> {
        let mut inner = self.lock();
        let Inner { state, sequences } = &mut *inner;
        if !matches!(state, State::Ready) {
            return Vec::new();
        }
        let resolved = sequences.resolve(|sequences, topic_partition| {
            let restart = sequences.bump_after_gap(topic_partition);
            restart.map(ResolvedOutcome::Restarted)
        });
        if !sequences.producer().is_valid() {
            *state = State::UNINITIALIZED;
        }
        resolved
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

impl Inner {
    fn transition_to_fatal_error(&mut self, error: Error) {
        if !matches!(self.state, State::FatalError(_)) {
            log::error!("the producer failed permanently: {error}");
            self.state = State::FatalError(error.into_fatal());
        }
    }
}

impl DrainGate for IdempotentProducer {
    fn next_to_drain(
        &self,
        topic_partition: &TopicPartition,
        has_sequence: bool,
        log: LogView,
        now: Instant,
    ) -> NextBatch {
        let mut inner = self.lock();
        match inner.state {
            State::Ready => inner
                .sequences
                .next_to_drain(topic_partition, has_sequence, log, now),
            _ => NextBatch::None,
        }
    }

    fn assign_sequence(
        &self,
        topic_partition: &TopicPartition,
        record_count: u32,
        batch: Arc<dyn HasFate>,
        log: LogView,
    ) -> BatchSequence {
        self.with_sequences(|sequences| sequences.assign(topic_partition, record_count, batch, log))
    }

    fn add_in_flight(&self, topic_partition: &TopicPartition, sequence: &BatchSequence) {
        self.with_sequences(|sequences| sequences.add_in_flight(topic_partition, sequence));
    }
}
