//! Pushes metrics to the brokers that subscribe to them (KIP-714). Java: `common.telemetry`.
//!
//! [`ClientTelemetrySender`] decides what to request of a broker and when,
//! [`KafkaMetricsCollector`] reads the metrics, and `otlp` writes them in OpenTelemetry's format.
//! None of them does I/O: `NetworkClient` chooses the node and sends.
//!
//! Threads: owned by the I/O thread. Callers that request the client instance id wait for a
//! [`Latch`]. A send is not involved.
//!
//! Differs from Java; [`java_map`](crate::manual::java_map#telemetry) lists the reasons. The codecs
//! and metric names come from another table, one resource carries all metrics, a payload respects
//! the broker's limit, and no error makes the client send requests in a loop.

mod client_telemetry_sender;
mod client_telemetry_state;
mod client_telemetry_subscription;
mod kafka_metrics_collector;
mod metric_naming;
mod otlp;
mod requested_metrics;

pub(crate) use client_telemetry_sender::{ClientTelemetrySender, TelemetryFailure};
pub(crate) use kafka_metrics_collector::KafkaMetricsCollector;

use std::time::Duration;

use crate::common::Uuid;
use crate::sync::{Arc, AtomicBool, Latch, Ordering};

/// See [`AssignedId`].
pub(crate) type ClientInstanceId = Arc<AssignedId>;

/// The id that a broker assigns to this producer. It is set once; to `None` if the producer is
/// closed before.
#[derive(Debug, Default)]
pub(crate) struct AssignedId {
    id: Latch<Option<Uuid>>,
    /// Whether a caller requested it, so that a connection may be made for it.
    is_wanted: AtomicBool,
}

impl AssignedId {
    pub(crate) fn get(&self) -> Option<Option<Uuid>> {
        self.id.get().copied()
    }

    /// Sets the id, and wakes the threads that wait for it. Returns whether it is the first.
    fn set(&self, id: Option<Uuid>) -> bool {
        // Only threads wait for it, and no tasks.
        self.id.open(id).is_first
    }

    /// Makes the I/O thread connect to a node for the id, if there is no connection. The caller
    /// wakes it afterwards.
    pub(crate) fn want(&self) {
        self.is_wanted.store(true, Ordering::Release);
    }

    fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    pub(crate) fn wait(&self, timeout: Option<Duration>) -> Option<Option<Uuid>> {
        self.id.wait(timeout).copied()
    }
}
