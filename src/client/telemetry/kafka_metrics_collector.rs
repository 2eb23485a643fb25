//! Reads the metrics for a push, and remembers those of the last one. Java:
//! `KafkaMetricsCollector`, `ClientTelemetryProvider`.

use std::borrow::Cow;
use std::fmt;

use hashbrown::HashMap;

use super::metric_naming::{attributes, telemetry_name};
use super::otlp::{Attribute, Kind, Point, metrics_data};
use super::requested_metrics::RequestedMetrics;
use crate::metrics::{MetricId, Metrics, Selected};
use crate::sync::Arc;
use crate::utils::Time;

/// What one push tells of the metrics that are wanted.
#[derive(Debug)]
pub(super) struct Collected {
    /// OpenTelemetry's `MetricsData`.
    pub(super) bytes: Vec<u8>,
    /// The number of metrics in it.
    pub(super) count: usize,
    /// The number of requested metrics.
    pub(super) wanted: usize,
    /// Milliseconds since 1970.
    time_ms: i64,
    /// What the sums in it stand at, if they are deltas.
    sums: Vec<(MetricId, f64)>,
}

/// What a sum stood at when it was pushed. Java: `LastValueTracker`.
#[derive(Clone, Copy, Debug)]
struct Pushed {
    /// Milliseconds since 1970.
    time_ms: i64,
    value: f64,
}

/// See the module's documentation.
pub(crate) struct KafkaMetricsCollector {
    metrics: Arc<Metrics>,
    time: Arc<dyn Time>,
    /// Labels of everything that this producer pushes.
    resource: Vec<(&'static str, Arc<str>)>,
    /// When the last push was made, in milliseconds since 1970.
    time_ms: i64,
    /// The sums that were pushed as deltas, for the next delta. One that is not wanted for a while stays.
    pushed: HashMap<MetricId, Pushed>,
}

impl KafkaMetricsCollector {
    /// Creates a collector of these metrics. The labels come from the configuration.
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
            time_ms: time.unix_millis(),
            pushed: HashMap::new(),
            time,
        }
    }

    /// Reads the metrics that are wanted, as many as fit into `limit` bytes. Those of the whole producer come before those
    /// of a node, and these before those of a topic.
    ///
    /// This is the I/O thread's time. So only what is wanted is read, and each name is put together once for all topics.
    pub(super) fn collect(
        &self,
        requested: &RequestedMetrics,
        is_delta: bool,
        limit: usize,
    ) -> Collected {
        let mut selected = self
            .metrics
            .select(|group, name| requested.contains(&telemetry_name(group, name)));
        // A value that is a text, such as the version, is no metric of OpenTelemetry.
        selected.retain(|selected| selected.metric.value().as_number().is_some());
        let time_ms = self.time.unix_millis().max(self.time_ms);
        let of_one_name = || selected.chunk_by(have_one_name);
        let names: Vec<String> = of_one_name()
            .filter_map(|chunk| Some(chunk.first()?.metric.name()))
            .map(|name| telemetry_name(name.group(), name.name()))
            .collect();
        let points: Vec<_> = of_one_name()
            .zip(&names)
            .flat_map(|(chunk, name)| chunk.iter().map(move |selected| (selected, name)))
            .map(|(selected, name)| self.point(selected, name, is_delta, time_ms))
            .collect();
        let resource = self.resource.iter();
        let resource: Vec<Attribute<'_>> = resource
            .map(|(label, value)| (Cow::Borrowed(*label), &**value))
            .collect();
        let (bytes, count) = metrics_data(&resource, &points, limit);
        let in_it = selected.iter().take(if is_delta { count } else { 0 });
        let sums = in_it.filter(|selected| selected.metric.is_cumulative());
        let sums =
            sums.filter_map(|selected| Some((selected.id?, selected.metric.value().as_number()?)));
        Collected {
            bytes,
            count,
            wanted: points.len(),
            time_ms,
            sums: sums.collect(),
        }
    }

    fn point<'a>(
        &self,
        selected: &'a Selected,
        name: &'a str,
        is_delta: bool,
        time_ms: i64,
    ) -> Point<'a> {
        let metric = &selected.metric;
        let value = metric.value().as_number().unwrap_or(f64::NAN);
        let (kind, value) = match selected.id {
            Some(id) if metric.is_cumulative() => {
                let before = self.pushed.get(&id).filter(|_| is_delta);
                let (since_ms, before) = before.map_or((selected.added_ms, 0.0), |pushed| {
                    (pushed.time_ms, pushed.value)
                });
                // The wall clock may have been set back.
                let since_ms = since_ms.min(time_ms);
                (Kind::Sum { since_ms, is_delta }, value - before)
            }
            _ => (Kind::Gauge, value),
        };
        Point {
            name,
            attributes: attributes(metric.name()).collect(),
            kind,
            time_ms,
            value,
        }
    }

    /// Notes that the broker has received the collected metrics, or may have.
    pub(super) fn pushed(&mut self, collected: Collected) {
        let time_ms = collected.time_ms;
        self.time_ms = time_ms;
        if collected.sums.is_empty() {
            return;
        }
        let sums = collected.sums.into_iter();
        self.pushed
            .extend(sums.map(|(id, value)| (id, Pushed { time_ms, value })));
        let sets = self.metrics.set_numbers();
        self.pushed.retain(|id, _| sets.contains(&id.set));
    }

    /// Forgets what was pushed, so that the next push has the whole sums. Java: `metricsReset`.
    pub(super) fn reset(&mut self) {
        self.pushed.clear();
    }

    /// What is pushed to a subscription with this prefix, uncompressed.
    #[cfg(feature = "_internals")]
    pub(crate) fn payload(&self, prefix: &str) -> Vec<u8> {
        let requested = RequestedMetrics::new(vec![prefix.to_owned()]);
        self.collect(&requested, false, usize::MAX).bytes
    }
}

fn have_one_name(one: &Selected, next: &Selected) -> bool {
    let (one, next) = (one.metric.name(), next.metric.name());
    (one.group(), one.name()) == (next.group(), next.name())
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
