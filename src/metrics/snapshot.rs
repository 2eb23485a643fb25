//! The values of all metrics at one moment. Java: the map that `Producer.metrics` returns.

use std::fmt;

use super::{MetricName, MetricValue, Stat, Tag};
use crate::sync::Arc;

/// A metric and its value at the time of the snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    name: MetricName,
    value: MetricValue,
    is_cumulative: bool,
}

impl Metric {
    pub(super) fn new(name: MetricName, value: MetricValue, stat: Stat) -> Self {
        let is_cumulative = stat.is_cumulative() || name.name().ends_with("-total");
        Self {
            name,
            value,
            is_cumulative,
        }
    }

    /// Creates a metric that a view found.
    pub(crate) fn viewed(
        name: &'static str,
        group: &'static str,
        description: &'static str,
        tags: &Arc<[Tag]>,
        value: impl Into<MetricValue>,
    ) -> Self {
        let name = MetricName::of_table(name, group, description, Arc::clone(tags));
        Self::new(name, value.into(), Stat::Gauge)
    }

    /// Creates a metric of a [`MockProducer`](crate::MockProducer).
    pub(crate) fn mocked(name: MetricName, value: MetricValue) -> Self {
        Self::new(name, value, Stat::Gauge)
    }

    /// Returns the name.
    pub fn name(&self) -> &MetricName {
        &self.name
    }

    /// Returns the value.
    pub fn value(&self) -> &MetricValue {
        &self.value
    }

    /// Returns `true` if the value can only grow, which makes it a Prometheus counter.
    pub fn is_cumulative(&self) -> bool {
        self.is_cumulative
    }
}

/// The metrics of a producer at one moment, in the order of their names.
///
/// `producer.metrics()` computes each metric on the calling thread. Without a call nothing is
/// computed. Its `Display` is a table.
///
/// ```
/// # use kafka_producer::{KafkaProducer, ProducerRecord};
/// # fn main() -> kafka_producer::Result<()> {
/// # let broker = kafka_producer::testing::FakeBroker::builder().topic("orders", 1).start().unwrap();
/// # let servers = broker.bootstrap_servers();
/// let producer = KafkaProducer::builder().bootstrap_servers(&servers).build()?;
/// producer.send(ProducerRecord::new("orders", "value"))?.get()?;
///
/// let metrics = producer.metrics();
/// assert_eq!(metrics.number("producer-metrics", "record-send-total"), Some(1.0));
/// let topic = metrics.find("producer-topic-metrics", "record-send-total", &[("topic", "orders")]);
/// assert_eq!(topic.and_then(|metric| metric.value().as_number()), Some(1.0));
/// print!("{metrics}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsSnapshot {
    /// Sorted by name.
    metrics: Vec<Metric>,
}

impl MetricsSnapshot {
    pub(crate) fn new(mut metrics: Vec<Metric>) -> Self {
        metrics.sort_by(|a, b| a.name.cmp(&b.name));
        Self { metrics }
    }

    /// Returns the metrics, by group, name and tags.
    pub fn iter(&self) -> std::slice::Iter<'_, Metric> {
        self.metrics.iter()
    }

    /// Returns how many metrics there are.
    pub fn len(&self) -> usize {
        self.metrics.len()
    }

    /// Returns `true` if there are no metrics.
    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty()
    }

    /// Returns the metric with this name. Takes logarithmic time.
    pub fn get(&self, name: &MetricName) -> Option<&Metric> {
        let index = self
            .metrics
            .binary_search_by(|metric| metric.name.cmp(name));
        self.metrics.get(index.ok()?)
    }

    /// Returns the metrics of this group and name, one for each topic or node.
    pub fn all(&self, group: &str, name: &str) -> impl Iterator<Item = &Metric> {
        let key = |metric: &Metric| (metric.name.group(), metric.name.name()).cmp(&(group, name));
        let begin = self.metrics.partition_point(|metric| key(metric).is_lt());
        let end = self.metrics.partition_point(|metric| key(metric).is_le());
        self.metrics.get(begin..end).unwrap_or_default().iter()
    }

    /// Returns the first metric of this group and name that has these tags. It may have others too.
    pub fn find(&self, group: &str, name: &str, tags: &[(&str, &str)]) -> Option<&Metric> {
        self.all(group, name).find(|metric| {
            let mut tags = tags.iter();
            tags.all(|(tag, value)| metric.name.tag(tag) == Some(value))
        })
    }

    /// Returns the value of the first metric of this group and name, if it is a number.
    pub fn number(&self, group: &str, name: &str) -> Option<f64> {
        self.find(group, name, &[])?.value.as_number()
    }
}

impl<'a> IntoIterator for &'a MetricsSnapshot {
    type Item = &'a Metric;
    type IntoIter = std::slice::Iter<'a, Metric>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for MetricsSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self
            .iter()
            .map(|metric| (metric.name.to_string(), &metric.value))
            .collect();
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in rows {
            match value {
                MetricValue::Number(number) => writeln!(f, "{name:width$} {number:>18.3}")?,
                MetricValue::Text(text) => writeln!(f, "{name:width$} {text:>18}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> MetricsSnapshot {
        let metric = |group, name, topic, value: f64| {
            let name = MetricName::new(name, group, "", &[("client-id", "c"), ("topic", topic)]);
            Metric::mocked(name, value.into())
        };
        MetricsSnapshot::new(vec![
            metric("topics", "sent", "b", 2.0),
            metric("topics", "lost", "b", 3.0),
            metric("topics", "sent", "a", 1.0),
            metric("client", "sent", "", 4.0),
        ])
    }

    #[test]
    fn a_metric_is_found_by_group_name_and_tags() {
        let snapshot = snapshot();
        let value = |tags: &[(&str, &str)]| {
            let metric = snapshot.find("topics", "sent", tags);
            metric.and_then(|metric| metric.value().as_number())
        };
        assert_eq!(value(&[("topic", "b")]), Some(2.0));
        assert_eq!(value(&[]), Some(1.0));
        assert_eq!(value(&[("topic", "c")]), None);
        assert_eq!(snapshot.all("topics", "sent").count(), 2);
        assert_eq!(snapshot.number("client", "sent"), Some(4.0));
        let name = MetricName::new("lost", "topics", "", &[("client-id", "c"), ("topic", "b")]);
        assert_eq!(
            snapshot.get(&name).unwrap().value(),
            &MetricValue::Number(3.0)
        );
        assert_eq!((snapshot.len(), snapshot.is_empty()), (4, false));
    }

    #[test]
    fn a_snapshot_prints_as_a_table() {
        let text = snapshot().to_string();
        let first = "client:sent{client-id=c, topic=}               4.000";
        assert_eq!(text.lines().next(), Some(first));
        assert_eq!(text.lines().count(), 4);
    }
}
