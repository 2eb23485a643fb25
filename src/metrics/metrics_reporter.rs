//! Where a program has its metrics reported to. Java: `MetricsReporter`.

use super::KafkaMetric;

/// Is told which metrics a producer has, and reads them when it likes. Given to the builder (`metric.reporters`).
///
/// The methods run on the thread that adds or removes the metric: the one that builds or closes the producer, and its I/O
/// thread for the metrics of topics and nodes. Keep them short. A panic is logged and changes nothing else.
///
/// Java: `MetricsReporter`. `configure` has no counterpart, because a reporter is a value; `contextChange` neither, and
/// `metrics.context.` keys are refused.
pub trait MetricsReporter: Send + Sync {
    /// Takes the metrics that are there already. Called once, before the other methods.
    fn init(&self, metrics: &[KafkaMetric]);

    /// Takes a metric that was added.
    fn metric_change(&self, metric: &KafkaMetric);

    /// Forgets a metric that was removed: of a topic that left the metadata, or all at close.
    fn metric_removal(&self, metric: &KafkaMetric);

    /// Ends the reporting. Called once, when the producer is closed.
    fn close(&self) {}
}
