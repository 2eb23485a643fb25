//! Reads the metrics for a push, and knows what the last one said. Java: `KafkaMetricsCollector`, `ClientTelemetryProvider`.

use std::borrow::Cow;
use std::fmt;

use hashbrown::HashMap;

use super::metric_naming::{attributes, telemetry_name};
use super::otlp::{Attribute, Kind, Point, metrics_data};
use super::requested_metrics::RequestedMetrics;
use crate::metrics::{MetricName, Metrics};
use crate::sync::Arc;
use crate::utils::Time;

/// What one push tells of all metrics.
#[derive(Debug)]
pub(super) struct Collected {
    /// OpenTelemetry's `MetricsData`.
    pub(super) bytes: Vec<u8>,
    /// The metrics in it.
    pub(super) count: usize,
    /// The metrics that a smaller payload would have room for.
    pub(super) wanted: usize,
    /// What the sums in it stand at, for the next push.
    ledger: Ledger,
}

/// The sums that metrics had at one time. Java: `StateLedger`.
#[derive(Debug, Default)]
struct Ledger {
    /// Milliseconds since 1970.
    time_ms: i64,
    sums: HashMap<MetricName, Sum>,
}

#[derive(Clone, Copy, Debug)]
struct Sum {
    /// When the metric began to count, in milliseconds since 1970, or a little earlier.
    added_ms: i64,
    /// What was pushed last, and when; `None` before the first push.
    pushed: Option<(i64, f64)>,
    value: f64,
}

/// See the module's documentation.
pub(crate) struct KafkaMetricsCollector {
    metrics: Arc<Metrics>,
    time: Arc<dyn Time>,
    /// Labels of everything that this producer pushes.
    resource: Vec<(&'static str, Arc<str>)>,
    ledger: Ledger,
}

impl KafkaMetricsCollector {
    /// Reads these metrics. The labels are those that the configuration has.
    pub(crate) fn new(
        metrics: Arc<Metrics>,
        time: Arc<dyn Time>,
        transactional_id: Option<Arc<str>>,
        client_rack: Option<Arc<str>>,
    ) -> Self {
        let labels = [
            ("transactional_id", transactional_id),
            ("client_rack", client_rack),
        ];
        let labels = labels.into_iter();
        let resource = labels.filter_map(|(label, value)| Some((label, value?)));
        Self {
            metrics,
            resource: resource.collect(),
            ledger: Ledger {
                time_ms: time.unix_millis(),
                sums: HashMap::new(),
            },
            time,
        }
    }

    /// Reads the metrics that are wanted, as many as fit into `limit` bytes. Those of the whole producer come before those
    /// of a node, and these before those of a topic.
    pub(super) fn collect(
        &self,
        requested: &RequestedMetrics,
        is_delta: bool,
        limit: usize,
    ) -> Collected {
        let snapshot = self.metrics.snapshot();
        let time_ms = self.time.unix_millis().max(self.ledger.time_ms);
        // A value that is a text, such as the version, is no metric of OpenTelemetry.
        let wanted: Vec<_> = snapshot
            .iter()
            .filter_map(|metric| Some((metric, metric.value().as_number()?)))
            .map(|(metric, value)| (metric, value, telemetry_name(metric.name())))
            .filter(|(.., name)| requested.contains(name))
            .collect();
        // Of every sum, wanted or not, because the next subscription may want others.
        let mut ledger: HashMap<MetricName, Sum> = snapshot
            .iter()
            .filter(|metric| metric.is_cumulative())
            .filter_map(|metric| {
                let value = metric.value().as_number()?;
                Some((metric.name().clone(), self.ledger.sum(metric.name(), value)))
            })
            .collect();
        let sums: Vec<Option<Sum>> = wanted
            .iter()
            .map(|(metric, ..)| ledger.get(metric.name()).copied())
            .collect();
        let points: Vec<_> = wanted
            .iter()
            .zip(&sums)
            .map(|((metric, value, name), sum)| {
                let (kind, value) = match sum {
                    None => (Kind::Gauge, *value),
                    Some(sum) => sum.point(is_delta),
                };
                Point {
                    name,
                    attributes: attributes(metric.name())
                        .map(|(tag, value)| (Cow::Owned(tag), value))
                        .collect(),
                    kind,
                    time_ms,
                    value,
                }
            })
            .collect();
        let resource = self.resource.iter();
        let resource: Vec<Attribute<'_>> = resource
            .map(|(label, value)| (Cow::Borrowed(*label), &**value))
            .collect();
        let (bytes, count) = metrics_data(&resource, &points, limit);
        for (metric, value, _) in wanted.iter().take(count) {
            if let Some(sum) = ledger.get_mut(metric.name()) {
                sum.pushed = Some((time_ms, *value));
            }
        }
        Collected {
            bytes,
            count,
            wanted: wanted.len(),
            ledger: Ledger {
                time_ms,
                sums: ledger,
            },
        }
    }

    /// The broker has taken what was collected, or may have.
    pub(super) fn pushed(&mut self, collected: Collected) {
        self.ledger = collected.ledger;
    }

    /// Forgets what was pushed, so that the next push has every sum whole. Java: `metricsReset`.
    pub(super) fn reset(&mut self) {
        for sum in self.ledger.sums.values_mut() {
            sum.pushed = None;
        }
    }
}

impl Ledger {
    /// The sum as it is now. One that is smaller than it was belongs to a metric that was removed and added again since, as
    /// that of a topic may.
    fn sum(&self, name: &MetricName, value: f64) -> Sum {
        match self.sums.get(name) {
            Some(last) if last.value <= value => Sum { value, ..*last },
            _ => Sum {
                added_ms: self.time_ms,
                pushed: None,
                value,
            },
        }
    }
}

impl Sum {
    fn point(&self, is_delta: bool) -> (Kind, f64) {
        let (since_ms, before) = match self.pushed {
            Some(pushed) if is_delta => pushed,
            _ => (self.added_ms, 0.0),
        };
        (Kind::Sum { since_ms, is_delta }, self.value - before)
    }
}

impl fmt::Debug for KafkaMetricsCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaMetricsCollector")
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
