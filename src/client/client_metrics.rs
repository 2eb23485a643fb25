//! The client's metrics: requests in flight, throttling, the age of the metadata. Java:
//! `SenderMetricsRegistry`, the part that `NetworkClient` and `Metadata` record.
//!
//! Threads: the I/O thread records.

use std::time::Instant;

use super::{ClientStatus, Metadata};
use crate::metrics::{Metric, MetricValue, Metrics, Registered, metric_table};
use crate::sync::{Arc, AtomicUsize, Ordering};

metric_table! {
    /// Recorded for responses.
    enum ClientSensor, CLIENT_TABLE of "producer-metrics" {
        ThrottleTime Info {
            Avg "produce-throttle-time-avg" "The mean time in ms for which a broker throttled the producer.",
            Max "produce-throttle-time-max" "The longest time in ms for which a broker throttled the producer.",
        }
    }
}

metric_table! {
    /// Read from the client.
    enum ClientGauge, CLIENT_GAUGES of "producer-metrics" {
        RequestsInFlight Info { Gauge "requests-in-flight" "The requests of any kind that wait for a response." }
        MetadataAge Info { Gauge "metadata-age" "The age in s of the metadata; NaN before the first." }
    }
}

/// The group and name of the metric that is looked up.
const CONNECTION_STATE: (&str, &str) = ("producer-node-metrics", "connection-state");

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct ClientMetrics {
    responses: Registered,
    /// The number of requests in flight, which the client updates.
    pub(super) in_flight: Arc<AtomicUsize>,
    status: Arc<ClientStatus>,
}

impl ClientMetrics {
    pub(crate) fn new(registry: &Arc<Metrics>, metadata: &Arc<Metadata>) -> Self {
        let in_flight = Arc::<AtomicUsize>::default();
        let (count, metadata) = (Arc::clone(&in_flight), Arc::clone(metadata));
        registry.add_gauges(&CLIENT_GAUGES, &[], move |index, now| {
            let value = match ClientGauge::ALL.get(index) {
                Some(ClientGauge::RequestsInFlight) => count.load(Ordering::Relaxed) as f64,
                Some(ClientGauge::MetadataAge) | None => metadata_age(&metadata, now),
            };
            MetricValue::Number(value)
        });
        let status = Arc::<ClientStatus>::default();
        let read = Arc::clone(&status);
        registry.add_view(&[CONNECTION_STATE], move |registry, _, into| {
            read_states(&read, registry, into);
        });
        Self {
            status,
            responses: registry.add_sensors(&CLIENT_TABLE, &[]),
            in_flight,
        }
    }

    /// Returns the client's status, for other threads.
    pub(crate) fn status(&self) -> &Arc<ClientStatus> {
        &self.status
    }

    /// Records a response of any kind with this throttle time.
    pub(super) fn responded(&self, throttle_time_ms: i32, now: Instant) {
        self.status.responded(now);
        self.responses.record(now, |responses| {
            responses.record(ClientSensor::ThrottleTime, f64::from(throttle_time_ms));
        });
    }
}

/// Adds the state of each connection.
fn read_states(status: &ClientStatus, registry: &Metrics, into: &mut Vec<Metric>) {
    let (group, name) = CONNECTION_STATE;
    for status in status.nodes() {
        let node = format!("node-{}", status.node.id().0);
        let tags = registry.tags(&[("node-id", &node)]);
        into.push(Metric::viewed(
            name,
            group,
            "The state of the connection to the node.",
            &tags,
            status.state.as_str(),
        ));
    }
}

fn metadata_age(metadata: &Metadata, now: Instant) -> f64 {
    let last = metadata.last_successful_update();
    last.map_or(f64::NAN, |last| {
        now.saturating_duration_since(last).as_secs_f64()
    })
}
