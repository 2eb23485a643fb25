//! A metrics reporter whose panics are contained.

use super::user_code::contain;
use crate::metrics::{KafkaMetric, MetricsReporter};
use crate::utils::log;

/// Calls the user's reporter, and logs its panics.
pub(super) struct ContainedReporter<R>(pub(super) R);

impl<R: MetricsReporter> ContainedReporter<R> {
    fn call(&self, call: impl FnOnce(&R)) {
        if let Err(panic) = contain("a metrics reporter", || call(&self.0)) {
            log::error!("{panic}");
        }
    }
}

impl<R: MetricsReporter> MetricsReporter for ContainedReporter<R> {
    fn init(&self, metrics: &[KafkaMetric]) {
        self.call(|reporter| reporter.init(metrics));
    }

    fn metric_change(&self, metric: &KafkaMetric) {
        self.call(|reporter| reporter.metric_change(metric));
    }

    fn metric_removal(&self, metric: &KafkaMetric) {
        self.call(|reporter| reporter.metric_removal(metric));
    }

    fn close(&self) {
        self.call(MetricsReporter::close);
    }
}
