//! A metric that can be read at any time. Java: `KafkaMetric`.

use std::fmt;

use super::{MetricName, MetricSet, MetricValue};
use crate::sync::Arc;

/// A metric that a [`MetricsReporter`](super::MetricsReporter) receives and may read at any time.
///
/// It stays readable after its removal, and then has its last value.
#[derive(Clone)]
pub struct KafkaMetric {
    set: Arc<MetricSet>,
    index: usize,
    name: MetricName,
}

impl KafkaMetric {
    /// Returns every metric of a set.
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

    /// Returns the current value. Java: `metricValue`.
    pub fn metric_value(&self) -> MetricValue {
        self.set.read(self.index)
    }
}

impl fmt::Debug for KafkaMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KafkaMetric").field(&self.name).finish()
    }
}
