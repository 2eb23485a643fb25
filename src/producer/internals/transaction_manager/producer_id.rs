//! The producer id of a producer without transactions. Java: `InitProducerIdHandler`.

use std::time::{Duration, Instant};

use super::sequence::ProducerIdAndEpoch;
use super::states::State;
use super::{InitOutcome, TransactionManager};
use crate::error::{Error, ErrorKind};
use crate::protocol::ErrorCode;
use crate::utils::log;

impl TransactionManager {
    /// How long until InitProducerId may be sent to any node; `None` where there is no need to.
    pub(crate) fn init_producer_id_delay(&self, now: Instant) -> Option<Duration> {
        let inner = self.lock();
        if inner.transaction.is_some() || inner.state != State::Uninitialized {
            return None;
        }
        let delay = inner
            .retry_at
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        Some(delay)
    }

    /// InitProducerId was sent.
    pub(crate) fn init_producer_id_sent(&self) {
        let mut inner = self.lock();
        if inner.state == State::Uninitialized {
            inner.transition_or_fail(State::Initializing);
        }
    }

    /// InitProducerId was not sent, or not answered: it is tried again after a wait.
    pub(crate) fn init_producer_id_failed(&self, now: Instant) -> InitOutcome {
        let mut inner = self.lock();
        if matches!(inner.state, State::Uninitialized | State::Initializing) {
            let wait = self.retry_backoff.backoff(inner.init_attempts);
            inner.init_attempts = inner.init_attempts.saturating_add(1);
            inner.retry_at = Some(now + wait);
            if inner.state == State::Initializing {
                inner.transition_or_fail(State::Uninitialized);
            }
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

    /// Forgets the producer id and every sequence, because the brokers belong to another cluster. Another id is requested at
    /// once. For a producer without transactions.
    pub(crate) fn forget_producer_id(&self, reason: &str) {
        let mut inner = self.lock();
        inner.partitions.clear();
        inner.unresolved.clear();
        inner.init_attempts = 0;
        inner.retry_at = None;
        if matches!(inner.state, State::Ready | State::Initializing) {
            inner.replace_producer_id(reason);
        }
    }

    /// Ends a transactional producer that was initialized at another cluster: its transaction and the offsets of its group
    /// are not there.
    pub(crate) fn fail_for_other_cluster(&self, reason: String) {
        let mut inner = self.lock();
        if inner.state != State::Uninitialized {
            inner.transition_to_fatal_error(Error::new(ErrorKind::Fenced, reason));
        }
    }

    fn producer_id_received(&self, producer: ProducerIdAndEpoch) -> InitOutcome {
        if !producer.is_valid() || producer.epoch < 0 {
            let text = format!("the broker gave out an invalid {producer}");
            let error = Error::new(ErrorKind::Protocol, text);
            self.transition_to_fatal_error(error.clone());
            return InitOutcome::Fatal(error);
        }
        let mut inner = self.lock();
        if inner.state != State::Initializing {
            return InitOutcome::Retry;
        }
        log::info!("producer id set to {producer}");
        inner.producer = producer;
        inner.init_attempts = 0;
        inner.retry_at = None;
        inner.transition_or_fail(State::Ready);
        InitOutcome::Ready
    }
}
