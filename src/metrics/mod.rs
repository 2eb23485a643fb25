//! What the producer counts, and how it is read. Java: `common.metrics`.
//!
//! A [`Sensor`](sensor) counts one thing; each of its metrics reads it another way. Sensors that belong together, such as
//! those of one topic, are a [`MetricSet`] over a static table of names. [`Metrics`] knows every set, and a
//! [`MetricsSnapshot`] is what it says at one moment.
//!
//! Threads: the I/O thread records; any thread reads. A caller records only on paths that failed or waited.
//! Locks: one mutex per set, held to record one request or to read one set, and one around the list of sets. So a reader
//! keeps the I/O thread waiting for the reading of one set at most, and what it reads is exact. The alternatives are worse:
//! a snapshot made by the I/O thread on request is out of reach while a callback blocks that thread, which is when a person
//! wants to look, and inside a callback; an average in atomics tears. A
//! request takes each mutex a few times, and a send takes none.
//!
//! Differs from Java: the metrics of one sensor share their windows, so that one update serves all of them. A metric that is
//! read alone closes the old windows of its siblings too.

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
