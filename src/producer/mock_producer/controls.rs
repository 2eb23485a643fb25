//! The controls of a mock: a test sets the outcomes of sends, injects errors, and reads what was
//! sent.

use std::time::Duration;

use super::coordinator::Coordinator;
use super::{MockProducer, give_up, undecided};
use crate::client::{ConnectionState, NodeStatus};
use crate::common::{Node, NodeId};
use crate::error::{Delivery, Error, ErrorKind};
use crate::metrics::{Metric, MetricName, MetricValue, MetricsSnapshot};
use crate::producer::{Health, NodeHealth, ProducerRecord};
use crate::protocol::ErrorCode;

/// The buffer memory that a mock reports, in bytes: the default of `buffer.memory`.
const BUFFER_MEMORY: usize = 32 << 20;

/// The test's access to the mock.
impl<KS, VS> MockProducer<KS, VS> {
    /// Completes the oldest open send. Returns `false` if there is none.
    pub fn complete_next(&self) -> bool {
        self.decide_next(None)
    }

    /// Fails the oldest open send. Returns `false` if there is none.
    ///
    /// The error is an [`ErrorCode`] of a broker or an [`ErrorKind`], optionally with a
    /// [`Delivery`]. By default the code implies the delivery, and a kind means
    /// [`NotWritten`](Delivery::NotWritten).
    pub fn error_next(&self, error: impl Into<Error>) -> bool {
        self.decide_next(Some(error.into()))
    }

    /// Sets the outcome of the oldest open send. A failure in a transaction fails the transaction.
    pub(super) fn decide_next(&self, error: Option<Error>) -> bool {
        let Some(completion) = self.state.lock().open.pop_front() else {
            return false;
        };
        let coordinator = self.coordinator.as_ref();
        let error = error.or_else(|| coordinator.and_then(Coordinator::leaders_refusal));
        completion.complete(
            self.io_thread,
            error.map(|error| self.in_transaction(error)),
        );
        true
    }

    /// Returns the error of a record, after it has been reported to the open transaction.
    pub(super) fn in_transaction(&self, error: Error) -> Error {
        match &self.coordinator {
            Some(coordinator) => coordinator.manager().handle_error_in_transaction(error),
            None => error,
        }
    }

    /// Sets a metric, or changes its value. A mock has no others. Java: `setMockMetrics`.
    pub fn set_mock_metrics(&self, name: MetricName, value: impl Into<MetricValue>) {
        self.state.lock().metrics.insert(name, value.into());
    }

    /// Returns the metrics from [`set_mock_metrics`](Self::set_mock_metrics).
    pub fn metrics(&self) -> MetricsSnapshot {
        let state = self.state.lock();
        let metrics = state.metrics.iter();
        let metrics = metrics.map(|(name, value)| Metric::mocked(name.clone(), value.clone()));
        MetricsSnapshot::new(metrics.collect())
    }

    /// Returns the state of the mock. It is healthy unless it is closed, fenced, or
    /// [`set_unreachable`](Self::set_unreachable) was called.
    pub fn health(&self) -> Health {
        let fatal_error = self.coordinator.as_ref();
        let fatal_error = fatal_error.and_then(|coordinator| coordinator.manager().fatal_error());
        let state = self.state.lock();
        let node = NodeStatus {
            node: Node::new(NodeId(1), "mock", 9092, None),
            state: match state.unreachable {
                None => ConnectionState::Ready,
                Some(_) => ConnectionState::Disconnected,
            },
        };
        Health {
            is_open: !state.is_closed,
            fatal_error,
            since_last_response: Some(Duration::ZERO),
            nodes: vec![NodeHealth::new(&node, state.unreachable.clone())],
            buffer_total_bytes: BUFFER_MEMORY,
            buffer_available_bytes: BUFFER_MEMORY,
            waiting_threads: 0,
        }
    }

    /// Makes [`health`](Self::health) report that the connection to the only broker failed with
    /// this error, until it is set to `None`. Does not affect sends.
    pub fn set_unreachable(&self, error: Option<Error>) {
        self.state.lock().unreachable = error;
    }

    /// Returns every record that was sent since the beginning or the last [`clear`](Self::clear),
    /// as bytes, in order. Records of transactions are included once committed.
    pub fn history(&self) -> Vec<ProducerRecord<'static>> {
        self.state.lock().history.clone()
    }

    /// Clears the history and the offsets. Open sends fail, so that no thread waits for them
    /// forever.
    pub fn clear(&self) {
        let open = {
            let mut state = self.state.lock();
            state.history.clear();
            state.next_offsets.clear();
            state.transactions.clear();
            std::mem::take(&mut state.open)
        };
        give_up(open, self.io_thread, &undecided("cleared"));
    }

    /// Returns `true` if no send is open.
    pub fn flushed(&self) -> bool {
        self.state.lock().open.is_empty()
    }

    /// Returns `true` if the mock was closed.
    pub fn closed(&self) -> bool {
        self.state.lock().is_closed
    }

    /// Makes every `send` fail with this error, until it is set to `None`. As with a real producer,
    /// the call returns the error, unless it concerns the cluster, such as `Timeout` and
    /// `Authorization`: those are in the future.
    pub fn set_send_error(&self, error: Option<Error>) {
        self.state.lock().errors.send = error;
    }

    /// Makes every `flush` fail with this error, until it is set to `None`.
    pub fn set_flush_error(&self, error: Option<Error>) {
        self.state.lock().errors.flush = error;
    }

    /// Makes every `partitions_for` fail with this error, until it is set to `None`.
    pub fn set_partitions_for_error(&self, error: Option<Error>) {
        self.state.lock().errors.partitions_for = error;
    }

    /// Makes every `close` fail with this error, until it is set to `None`.
    pub fn set_close_error(&self, error: Option<Error>) {
        self.state.lock().errors.close = error;
    }
}

/// Creates the error for a broker's code, for tests of a program's error handling.
impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        let delivery = match code.is_refusal_before_append() {
            true => Delivery::NotWritten,
            false => Delivery::MaybeWritten,
        };
        Self::from_code(code, format!("the mock producer returns {code}")).with_delivery(delivery)
    }
}

/// Creates an error of this kind, for tests of a program's error handling.
impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind, format!("the mock producer fails with {kind:?}"))
    }
}

/// Creates an error with this [`Delivery`], such as one after which the log may hold the record.
impl<E: Into<Self>> From<(E, Delivery)> for Error {
    fn from((error, delivery): (E, Delivery)) -> Self {
        error.into().with_delivery(delivery)
    }
}
