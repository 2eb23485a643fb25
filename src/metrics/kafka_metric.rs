//! A metric that can be read at any time. Java: `KafkaMetric`.

use std::fmt;

use super::{MetricName, MetricSet, MetricValue};
use crate::sync::Arc;

/// A metric that a [`MetricsReporter`](super::MetricsReporter) is told of, and may read at any time.
///
/// It stays readable after its removal, with the last values.
#[derive(Clone)]
pub struct KafkaMetric {
    set: Arc<MetricSet>,
    index: usize,
    name: MetricName,
}

impl KafkaMetric {
    /// Every metric of a set.
    pub(super) fn all_of(set: &Arc<MetricSet>) -> Vec<Self> {
        let names = set.names().enumerate();
        names
            .map(|(index, name)| Self {
                set: Arc::clone(set),
                index,
                name,
            })
            .collect()
    }

    /// Returns the name. Java: `metricName`.
    pub fn metric_name(&self) -> &MetricName {
        &self.name
    }

    /// Reads the value as it is now. Java: `metricValue`.
    pub fn metric_value(&self) -> MetricValue {
        self.set.read(self.index)
    }
}

impl fmt::Debug for KafkaMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KafkaMetric").field(&self.name).finish()
    }
}
