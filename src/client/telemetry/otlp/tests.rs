//! Reads the written bytes with the message types of the OpenTelemetry project.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{MetricsData, NumberDataPoint};
use proptest::prelude::*;
use prost::Message;

use super::*;

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn point<'a>(name: &'a str, kind: Kind, topic: Option<&'static str>, value: f64) -> Point<'a> {
    Point {
        name,
        attributes: topic
            .map(|topic| (Cow::Borrowed("topic"), topic))
            .into_iter()
            .collect(),
        kind,
        time_ms: 1_700_000_000_123,
        value,
    }
}

fn number(point: &NumberDataPoint) -> f64 {
    match point.value {
        Some(Number::AsDouble(value)) => value,
        other => panic!("{other:?}"),
    }
}

// Java: SinglePointMetricTest (testGauge, testSum, testDeltaSum, ...).
#[test]
fn gauges_and_sums_are_read_back() {
    let sum = |is_delta| Kind::Sum {
        since_ms: 1_600_000_000_000,
        is_delta,
    };
    let points = [
        point("a.gauge", Kind::Gauge, None, f64::NAN),
        point("a.sum", sum(false), Some("one"), 1.5),
        point("a.sum", sum(false), Some("two"), 0.0),
        point("b.delta", sum(true), None, -0.0),
    ];
    let resource = [(Cow::Borrowed("client_rack"), "rack-1")];
    let (bytes, count) = metrics_data(&resource, &points, usize::MAX);
    assert_eq!(count, 4);
    let data = MetricsData::decode(&bytes[..]).unwrap();
    // The other library writes the same bytes.
    assert_eq!(data.encode_to_vec(), bytes);

    let [all] = &data.resource_metrics[..] else {
        panic!("one resource");
    };
    let resource = all.resource.as_ref().unwrap();
    assert_eq!(resource.attributes, [text("client_rack", "rack-1")]);
    let [scope] = &all.scope_metrics[..] else {
        panic!("one scope");
    };
    let names: Vec<_> = scope.metrics.iter().map(|metric| &*metric.name).collect();
    assert_eq!(names, ["a.gauge", "a.sum", "b.delta"]);

    let Some(Data::Gauge(gauge)) = &scope.metrics[0].data else {
        panic!("a gauge");
    };
    assert!(number(&gauge.data_points[0]).is_nan());
    assert_eq!(
        gauge.data_points[0].time_unix_nano,
        1_700_000_000_123_000_000
    );
    assert_eq!(gauge.data_points[0].start_time_unix_nano, 0);

    let Some(Data::Sum(sum)) = &scope.metrics[1].data else {
        panic!("a sum");
    };
    assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (2, true));
    assert_eq!(number(&sum.data_points[0]), 1.5);
    assert_eq!(number(&sum.data_points[1]), 0.0);
    assert_eq!(sum.data_points[1].attributes, [text("topic", "two")]);
    assert_eq!(
        sum.data_points[0].start_time_unix_nano,
        1_600_000_000_000_000_000
    );
    let Some(Data::Sum(delta)) = &scope.metrics[2].data else {
        panic!("a sum");
    };
    assert_eq!(delta.aggregation_temporality, 1);
}

#[test]
fn no_points_are_no_bytes() {
    assert_eq!(metrics_data(&[], &[], usize::MAX), (Vec::new(), 0));
}

proptest! {
    /// Any texts and numbers are read back, and a limit is respected.
    #[test]
    fn whatever_fits_is_read_back(
        points in prop::collection::vec(
            (".{0,200}", any::<f64>(), any::<i64>(), prop::option::of(any::<bool>())), 0..20),
        limit in 0_usize..4000,
    ) {
        let of = |(name, value, time_ms, sum): &(String, f64, i64, Option<bool>)| Point {
            name: Box::leak(name.clone().into_boxed_str()),
            attributes: vec![(Cow::Owned(name.clone()), "v")],
            kind: sum.map_or(Kind::Gauge, |is_delta| Kind::Sum { since_ms: *time_ms, is_delta }),
            time_ms: *time_ms,
            value: *value,
        };
        let points: Vec<_> = points.iter().map(of).collect();
        let (bytes, count) = metrics_data(&[], &points, limit);
        prop_assert!(bytes.len() <= limit && count <= points.len());
        let data = MetricsData::decode(&bytes[..]).unwrap();
        let metrics = data.resource_metrics.iter().flat_map(|all| &all.scope_metrics);
        let metrics = metrics.flat_map(|scope| &scope.metrics);
        let read: Vec<_> = metrics
            .flat_map(|metric| {
                let points = match &metric.data {
                    Some(Data::Gauge(gauge)) => &gauge.data_points,
                    Some(Data::Sum(sum)) => &sum.data_points,
                    other => panic!("{other:?}"),
                };
                points.iter().map(|point| (&*metric.name, number(point).to_bits()))
            })
            .collect();
        let expected: Vec<_> = points[..count]
            .iter()
            .map(|point| (point.name, point.value.to_bits()))
            .collect();
        prop_assert_eq!(read, expected);
    }
}
