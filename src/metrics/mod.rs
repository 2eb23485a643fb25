//! The producer's metrics: how they are recorded and read. Java: `common.metrics`.
//!
//! A [`Sensor`](sensor) records one kind of event, and each of its metrics computes another value
//! from it. Sensors that belong together, such as those of one topic, form a [`MetricSet`] with a
//! static table of names. [`Metrics`] knows every set. A [`MetricsSnapshot`] has the values of all
//! metrics at one moment.
//!
//! Threads: the I/O thread records; any thread reads. A calling thread records only if it failed or
//! waited.
//! Locks: one mutex per set, held to record one request or to read one set, and one around the list
//! of sets. A reader thus blocks the I/O thread for no longer than it takes to read one set, and
//! reads exact values. A request takes each mutex a few times; a send takes none.
//!
//! There are two alternatives, both worse. The I/O thread could make a snapshot on request, but not
//! while a callback blocks it, which is when the metrics matter most, nor for a request from within
//! a callback. Atomics would give averages whose sum and count do not belong together.
//!
//! Differs from Java: the metrics of one sensor share their windows, so that one update serves all
//! of them. Reading one metric therefore also closes the old windows of the sensor's other metrics.

#[cfg(feature = "metrics")]
mod facade;
mod kafka_metric;
mod metric_config;
mod metric_name;
mod metric_set;
mod metric_value;
mod metrics_registry;
mod metrics_reporter;
mod prometheus;
mod quantiles;
mod selection;
mod sensor;
mod snapshot;

#[cfg(feature = "metrics")]
pub use facade::MetricsFacade;
pub use kafka_metric::KafkaMetric;
pub(crate) use metric_config::MetricConfig;
pub use metric_config::RecordingLevel;
pub use metric_name::MetricName;
pub(crate) use metric_name::Tag;
pub(crate) use metric_set::{MetricSet, MetricTable, SensorTemplate, StatTemplate, metric_table};
pub use metric_value::MetricValue;
pub(crate) use metrics_registry::{Metrics, Registered};
pub use metrics_reporter::MetricsReporter;
pub(crate) use selection::{MetricId, Selected};
pub(crate) use sensor::Stat;
pub use snapshot::{Metric, MetricsSnapshot};
