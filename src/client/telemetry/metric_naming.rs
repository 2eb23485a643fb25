//! The names of metrics in telemetry. Java: `TelemetryMetricNamingConvention`,
//! `ClientTelemetryProvider.DOMAIN`.

use std::borrow::Cow;

use crate::metrics::MetricName;

const DOMAIN: &str = "org.apache.kafka";
/// The domain of metrics that Java's producer does not have. KIP-714 reserves Kafka's domain for
/// the metrics that all clients share.
const OWN_DOMAIN: &str = "kafka_producer";
/// The broker knows this from the request.
const EXCLUDED_TAG: &str = "client-id";

/// Returns the telemetry name: the domain, the group without `-metrics`, and the name, with dots for hyphens.
pub(super) fn telemetry_name(group: &str, name: &str) -> String {
    let domain = match is_kafkas(group, name) {
        true => DOMAIN,
        false => OWN_DOMAIN,
    };
    let group = clean(group, '.').replace(".metrics", "");
    format!("{domain}.{group}.{}", clean(name, '.'))
}

/// The tags as attributes: in snake case, and without `client_id`.
pub(super) fn attributes(metric: &MetricName) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    let tags = metric.tags().filter(|(tag, _)| *tag != EXCLUDED_TAG);
    tags.map(|(tag, value)| {
        let is_clean = tag.bytes().all(|byte| byte.is_ascii_lowercase());
        let tag = match is_clean {
            true => Cow::Borrowed(tag),
            false => Cow::Owned(clean(tag, '_')),
        };
        (tag, value)
    })
}

fn clean(raw: &str, joiner: char) -> String {
    raw.to_lowercase()
        .chars()
        .map(|letter| if letter == '-' { joiner } else { letter })
        .collect()
}

/// Returns whether Java's producer has this metric too. The manual lists those that it does not have.
fn is_kafkas(group: &str, name: &str) -> bool {
    let is_quantile = ["-p50", "-p99", "-p999"]
        .iter()
        .any(|suffix| name.ends_with(suffix));
    let is_own = group == "producer-partition-metrics" || name.starts_with("record-ack-");
    !is_quantile && !is_own
}

#[cfg(test)]
mod tests {
    use super::*;

    // Java: TelemetryMetricNamingConventionTest (17).
    #[test]
    fn names_are_those_of_javas_convention() {
        for (group, metric, expected) in [
            (
                "producer-metrics",
                "record-send-total",
                "org.apache.kafka.producer.record.send.total",
            ),
            (
                "producer-metrics",
                "connection-creation-rate",
                "org.apache.kafka.producer.connection.creation.rate",
            ),
            (
                "producer-topic-metrics",
                "byte-rate",
                "org.apache.kafka.producer.topic.byte.rate",
            ),
            (
                "producer-node-metrics",
                "request-latency-avg",
                "org.apache.kafka.producer.node.request.latency.avg",
            ),
            (
                "kafka-metrics-count",
                "count",
                "org.apache.kafka.kafka.count.count",
            ),
            (
                "app-info",
                "start-time-ms",
                "org.apache.kafka.app.info.start.time.ms",
            ),
            (
                "Group-METRICS",
                "NAME-one",
                "org.apache.kafka.group.name.one",
            ),
            (
                "producer-partition-metrics",
                "queue-age",
                "kafka_producer.producer.partition.queue.age",
            ),
            (
                "producer-metrics",
                "record-queue-time-p99",
                "kafka_producer.producer.record.queue.time.p99",
            ),
            (
                "producer-metrics",
                "record-queue-time-avg",
                "org.apache.kafka.producer.record.queue.time.avg",
            ),
            (
                "producer-metrics",
                "record-ack-latency-avg",
                "kafka_producer.producer.record.ack.latency.avg",
            ),
        ] {
            assert_eq!(telemetry_name(group, metric), expected);
        }
    }

    // Java: KafkaMetricsCollectorTest.testCollectMetricsWithExcludeLabels.
    #[test]
    fn tags_are_in_snake_case_and_the_client_id_is_left_out() {
        let tags = [("client-id", "c"), ("node-id", "node-1"), ("topic", "A-b")];
        let metric = MetricName::new("n", "g", "", &tags);
        let found: Vec<_> = attributes(&metric).collect();
        let expected = [("node_id", "node-1"), ("topic", "A-b")];
        assert_eq!(
            found,
            expected.map(|(tag, value)| (Cow::Borrowed(tag), value))
        );
    }
}
