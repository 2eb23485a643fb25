//! Writes metrics as OpenTelemetry's `MetricsData`, in Protocol Buffers. Java: `SinglePointMetric`,
//! and generated classes.
//!
//! Only the messages and fields in the payload; the numbers are those of
//! `opentelemetry/proto/metrics/v1/metrics.proto` and its imports, version 1. A unit test reads the
//! bytes with the message types of the OpenTelemetry project.

use std::borrow::Cow;

/// A text label.
pub(super) type Attribute<'a> = (Cow<'a, str>, &'a str);

/// The kind of a metric's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    /// A sum that can only grow, counted since a time in milliseconds since 1970.
    Sum {
        since_ms: i64,
        is_delta: bool,
    },
}

/// One number of a metric.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point<'a> {
    pub(super) name: &'a str,
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) kind: Kind,
    /// Milliseconds since 1970.
    pub(super) time_ms: i64,
    pub(super) value: f64,
}

/// `AGGREGATION_TEMPORALITY_DELTA` and `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;

/// The size of the messages around the metrics and the resource: three tags and lengths.
const OVERHEAD: usize = 3 * (1 + 10);

/// Writes as many of the points as fit into `limit` bytes, in order. Returns the bytes and the
/// number of points.
///
/// The points are in one scope of one resource. Adjacent points with the same name are in one
/// metric.
pub(super) fn metrics_data(
    resource: &[Attribute<'_>],
    points: &[Point<'_>],
    limit: usize,
) -> (Vec<u8>, usize) {
    let mut resource_bytes = Vec::new();
    for attribute in resource {
        key_value(&mut resource_bytes, 1, attribute);
    }
    let limit = limit.saturating_sub(OVERHEAD + resource_bytes.len());
    let mut scope = Vec::new();
    let mut count = 0;
    for group in points.chunk_by(|a, b| (a.name, a.kind.sort()) == (b.name, b.kind.sort())) {
        let metric = metric(group);
        let len = scope.len() + len_of_message(metric.len());
        if len > limit {
            break;
        }
        message(&mut scope, 2, &metric);
        count += group.len();
    }
    if count == 0 {
        return (Vec::new(), 0);
    }
    let mut resource_metrics = Vec::new();
    message(&mut resource_metrics, 1, &resource_bytes);
    message(&mut resource_metrics, 2, &scope);
    let mut data = Vec::with_capacity(resource_metrics.len() + OVERHEAD);
    message(&mut data, 1, &resource_metrics);
    (data, count)
}

impl Kind {
    /// Returns a key: points with the same one can be in the same metric.
    fn sort(self) -> Option<bool> {
        match self {
            Self::Gauge => None,
            Self::Sum { is_delta, .. } => Some(is_delta),
        }
    }
}

/// Writes a `Metric` whose points have the same name and sort.
fn metric(points: &[Point<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Some(first) = points.first() else {
        return bytes;
    };
    message(&mut bytes, 1, first.name.as_bytes());
    let mut data = Vec::new();
    for point in points {
        message(&mut data, 1, &number_data_point(point));
    }
    match first.kind.sort() {
        None => message(&mut bytes, 5, &data),
        Some(is_delta) => {
            varint_field(&mut data, 2, if is_delta { DELTA } else { CUMULATIVE });
            // is_monotonic
            varint_field(&mut data, 3, 1);
            message(&mut bytes, 7, &data);
        }
    }
    bytes
}

fn number_data_point(point: &Point<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Kind::Sum { since_ms, .. } = point.kind {
        fixed64(&mut bytes, 2, unix_nanos(since_ms));
    }
    fixed64(&mut bytes, 3, unix_nanos(point.time_ms));
    // as_double
    fixed64(&mut bytes, 4, point.value.to_bits());
    for attribute in &point.attributes {
        key_value(&mut bytes, 7, attribute);
    }
    bytes
}

fn unix_nanos(unix_millis: i64) -> u64 {
    u64::try_from(unix_millis)
        .unwrap_or(0)
        .saturating_mul(1_000_000)
}

fn key_value(out: &mut Vec<u8>, field: u32, (key, value): &Attribute<'_>) {
    let mut any_value = Vec::new();
    // string_value
    message(&mut any_value, 1, value.as_bytes());
    let mut bytes = Vec::new();
    message(&mut bytes, 1, key.as_bytes());
    message(&mut bytes, 2, &any_value);
    message(out, field, &bytes);
}

/// Writes a field that is a message or a text: its tag, its length, its bytes.
fn message(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    tag(out, field, 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn len_of_message(len: usize) -> usize {
    let mut prefix = Vec::new();
    varint(&mut prefix, len as u64);
    1 + prefix.len() + len
}

fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn varint_field(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, 0);
    varint(out, value);
}

/// Writes a tag. Field numbers are below 16 here, so it is one byte.
fn tag(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    varint(out, u64::from(field << 3 | wire_type));
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

#[cfg(test)]
mod tests;
