//! Pushes metrics to the brokers that subscribe to them (KIP-714). Java: `common.telemetry`.
//!
//! [`ClientTelemetrySender`] decides what to ask of a broker and when, [`KafkaMetricsCollector`] reads the metrics, and
//! `otlp` writes them in the format of OpenTelemetry. None of them does I/O: `NetworkClient` chooses the node and sends.
//!
//! Threads: owned by the I/O thread. Callers that ask for the client instance id wait on a [`Latch`].
//! A send is not involved.
//!
//! Differs from Java, where [`java_map`](crate::manual::java_map#telemetry) lists why: the codecs and metric names come from
//! another table, one resource carries all metrics, a payload respects the broker's limit, and no error of a broker makes
//! the client ask in a loop.

mod client_telemetry_sender;
mod client_telemetry_state;
mod client_telemetry_subscription;
mod kafka_metrics_collector;
mod metric_naming;
mod otlp;
mod requested_metrics;

pub(crate) use client_telemetry_sender::{ClientTelemetrySender, TelemetryFailure};
pub(crate) use kafka_metrics_collector::KafkaMetricsCollector;

use crate::common::Uuid;
use crate::sync::{Arc, Latch};

/// The id that a broker assigned to this producer; `None` if the producer was closed before. It is set once.
pub(crate) type ClientInstanceId = Arc<Latch<Option<Uuid>>>;
