//! Reads pushed metrics with the message types of the OpenTelemetry project.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{MetricsData, ResourceMetrics};
use prost::Message;

pub(crate) type Labels = BTreeMap<String, String>;

/// One number of a push.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pushed {
    pub(crate) value: f64,
    pub(crate) is_sum: bool,
    pub(crate) is_delta: bool,
}

/// Returns the resource labels of a payload.
pub(crate) fn resource_labels(payload: &[u8]) -> Labels {
    let resource = resource_metrics(payload).resource;
    labels(&resource.unwrap().attributes)
}

/// Returns the numbers of a payload by name and labels. Each occurs once.
pub(crate) fn numbers(payload: &[u8]) -> BTreeMap<(String, Labels), Pushed> {
    let mut numbers = BTreeMap::new();
    for metric in &resource_metrics(payload).scope_metrics[0].metrics {
        let (points, is_sum, is_delta) = match metric.data.as_ref().unwrap() {
            Data::Gauge(gauge) => (&gauge.data_points, false, false),
            Data::Sum(sum) => {
                assert!(sum.is_monotonic);
                (&sum.data_points, true, sum.aggregation_temporality == 1)
            }
            other => panic!("{other:?}"),
        };
        for point in points {
            let Some(Number::AsDouble(value)) = point.value else {
                panic!("{point:?}");
            };
            assert!(point.time_unix_nano > 0 && point.start_time_unix_nano <= point.time_unix_nano);
            let key = (metric.name.clone(), labels(&point.attributes));
            let pushed = Pushed {
                value,
                is_sum,
                is_delta,
            };
            assert_eq!(numbers.insert(key, pushed), None);
        }
    }
    numbers
}

/// Returns the group, name and tags of this metric in the producer's snapshot.
pub(crate) fn name_in_snapshot(name: &str, labels: &Labels) -> (&'static str, String) {
    let (group, prefix) = match labels.contains_key("topic") {
        true => ("producer-topic-metrics", "org.apache.kafka.producer.topic."),
        false => ("producer-metrics", "org.apache.kafka.producer."),
    };
    (group, name.strip_prefix(prefix).unwrap().replace('.', "-"))
}

fn resource_metrics(payload: &[u8]) -> ResourceMetrics {
    let mut data = MetricsData::decode(payload).unwrap();
    assert_eq!(data.resource_metrics.len(), 1);
    data.resource_metrics.remove(0)
}

fn labels(attributes: &[KeyValue]) -> Labels {
    let text = |label: &KeyValue| match label.value.as_ref().and_then(|value| value.value.as_ref())
    {
        Some(Value::StringValue(text)) => (label.key.clone(), text.clone()),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(text).collect()
}
