//! The interface to a program's own metrics system. Java: `MetricsReporter`.

use super::KafkaMetric;

/// Learns which metrics a producer has, and may read their values at any time. Pass it to the
/// builder (`metric.reporters`).
///
/// The methods run on the thread that adds or removes the metric. That is the thread that builds or
/// closes the producer, or the I/O thread for the metrics of topics and nodes. Keep them short. A
/// panic is logged and changes nothing else.
///
/// Java: `MetricsReporter`. There is no `configure`, because a reporter is a value, and no
/// `contextChange`: keys that begin with `metrics.context.` are refused.
pub trait MetricsReporter: Send + Sync {
    /// Receives the metrics that already exist. Called once, before the other methods.
    fn init(&self, metrics: &[KafkaMetric]);

    /// Receives a metric that was added.
    fn metric_change(&self, metric: &KafkaMetric);

    /// Forgets a metric that was removed: one of a topic that left the metadata, or any metric when
    /// the producer closes.
    fn metric_removal(&self, metric: &KafkaMetric);

    /// Ends the reporting. Called once, when the producer closes.
    fn close(&self) {}
}
