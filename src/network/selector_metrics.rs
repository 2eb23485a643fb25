//! The selector's metrics, of all connections and of those to each node. Java:
//! `Selector.SelectorMetrics`.
//!
//! Threads: the I/O thread records; [`MetricSet`] has the locks.
//! Differs from Java: a TLS connection counts as made when its handshake is done. Of two frames that one wait brings, each
//! counts, and the windows see both at the time of the wait's end.

use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::common::NodeId;
use crate::metrics::{MetricSet, MetricValue, Metrics, Registered, metric_table};
use crate::sync::{Arc, AtomicUsize, Mutex, Ordering};
use crate::utils::{millis, nanos};

metric_table! {
    /// Recorded over all connections.
    enum SelectorSensor, SELECTOR_TABLE of "producer-metrics" {
        ConnectionClosed Info {
            CountRate "connection-close-rate" "Connections closed per second, attempts that failed included.",
            CountTotal "connection-close-total" "Connections closed, attempts that failed included.",
        }
        ConnectionCreated Info {
            CountRate "connection-creation-rate" "Connections made per second.",
            CountTotal "connection-creation-total" "Connections made.",
        }
        SuccessfulAuthentication Info {
            CountRate "successful-authentication-rate" "Connections per second that TLS or SASL authenticated.",
            CountTotal "successful-authentication-total" "Connections that TLS or SASL authenticated.",
        }
        SuccessfulAuthenticationNoReauth Info {
            CountTotal "successful-authentication-no-reauth-total"
                "The same as successful-authentication-total: only a broker tells them apart.",
        }
        FailedAuthentication Info {
            CountRate "failed-authentication-rate" "Connections per second that TLS or SASL did not authenticate.",
            CountTotal "failed-authentication-total" "Connections that TLS or SASL did not authenticate.",
        }
        SuccessfulReauthentication Info {
            CountRate "successful-reauthentication-rate" "Sessions per second that were renewed on their connection.",
            CountTotal "successful-reauthentication-total" "Sessions that were renewed on their connection (KIP-368).",
        }
        ReauthenticationLatency Info {
            Avg "reauthentication-latency-avg" "The mean time in ms that the renewal of a session took.",
            Max "reauthentication-latency-max" "The longest time in ms that the renewal of a session took.",
        }
        FailedReauthentication Info {
            CountRate "failed-reauthentication-rate" "Sessions per second that could not be renewed.",
            CountTotal "failed-reauthentication-total" "Sessions that could not be renewed.",
        }
        NetworkIo Info {
            CountRate "network-io-rate" "Reads and writes of sockets per second that moved bytes.",
            CountTotal "network-io-total" "Reads and writes of sockets that moved bytes.",
        }
        BytesSent Info {
            Rate "outgoing-byte-rate" "Bytes of requests written per second, to all brokers.",
            Total "outgoing-byte-total" "Bytes of requests written, to all brokers.",
        }
        RequestsSent Info {
            CountRate "request-rate" "Requests written per second.",
            CountTotal "request-total" "Requests written.",
            Avg "request-size-avg" "The mean size in bytes of a request.",
            Max "request-size-max" "The size in bytes of the largest request.",
        }
        BytesReceived Info {
            Rate "incoming-byte-rate" "Bytes of responses read per second, from all brokers.",
            Total "incoming-byte-total" "Bytes of responses read, from all brokers.",
        }
        ResponsesReceived Info {
            CountRate "response-rate" "Responses read per second.",
            CountTotal "response-total" "Responses read.",
        }
        SelectTime Info {
            CountRate "select-rate" "How often per second the I/O thread waited for its sockets.",
            CountTotal "select-total" "How often the I/O thread waited for its sockets.",
            Avg "io-wait-time-ns-avg" "The mean time in ns of one wait for the sockets.",
            Ratio "io-wait-ratio" "The part of the time that the I/O thread waited for its sockets.",
            Total "io-wait-time-ns-total" "The time in ns that the I/O thread waited for its sockets.",
        }
        IoTime Info {
            Avg "io-time-ns-avg" "The mean time in ns that reading and writing took after one wait.",
            Ratio "io-ratio" "The part of the time that the I/O thread read and wrote.",
            Total "io-time-ns-total" "The time in ns that the I/O thread read and wrote.",
        }
    }
}

metric_table! {
    /// Read from the selector.
    enum SelectorGauge, SELECTOR_GAUGES of "producer-metrics" {
        Connections Info { Gauge "connection-count" "The connections that are open or being made." }
    }
}

metric_table! {
    /// Recorded per node.
    enum NodeSensor, NODE_TABLE of "producer-node-metrics" {
        RequestsSent Info {
            CountRate "request-rate" "Requests written to the node per second.",
            CountTotal "request-total" "Requests written to the node.",
            Avg "request-size-avg" "The mean size in bytes of a request to the node.",
            Max "request-size-max" "The size in bytes of the largest request to the node.",
        }
        BytesSent Info {
            Rate "outgoing-byte-rate" "Bytes of requests written to the node per second.",
            Total "outgoing-byte-total" "Bytes of requests written to the node.",
        }
        ResponsesReceived Info {
            CountRate "response-rate" "Responses read from the node per second.",
            CountTotal "response-total" "Responses read from the node.",
        }
        BytesReceived Info {
            Rate "incoming-byte-rate" "Bytes of responses read from the node per second.",
            Total "incoming-byte-total" "Bytes of responses read from the node.",
        }
        Latency Info {
            Avg "request-latency-avg" "The mean time in ms from a Produce request to the node's response.",
            Max "request-latency-max" "The longest time in ms from a Produce request to the node's response.",
        }
        LatencyQuantiles Debug {
            P50 "request-latency-p50" "The time in ms that half of the node's Produce responses took at most.",
            P99 "request-latency-p99" "The time in ms that 99 % of the node's Produce responses took at most.",
            P999 "request-latency-p999" "The time in ms that 99.9 % of the node's Produce responses took at most.",
        }
    }
}

/// What one connection did since the last call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Activity {
    pub(super) writes: u64,
    pub(super) bytes_written: u64,
    pub(super) reads: u64,
    pub(super) bytes_read: u64,
    /// The size of the request whose last byte was written.
    pub(super) completed_send: Option<u64>,
    pub(super) receives: u64,
    pub(super) authentication: Option<Authenticated>,
}

/// The kind of an authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authenticated {
    First,
    Again { took: Duration },
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct SelectorMetrics {
    registry: Arc<Metrics>,
    client: Registered,
    connections: Arc<AtomicUsize>,
    /// Only the I/O thread takes this lock. Its connections have their own references.
    nodes: Mutex<HashMap<NodeId, Registered>>,
}

impl SelectorMetrics {
    pub(crate) fn new(registry: &Arc<Metrics>) -> Arc<Self> {
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        registry.add_gauges(&SELECTOR_GAUGES, &[], move |_, _| {
            MetricValue::Number(count.load(Ordering::Relaxed) as f64)
        });
        Arc::new(Self {
            registry: Arc::clone(registry),
            client: registry.add_sensors(&SELECTOR_TABLE, &[]),
            connections,
            nodes: Mutex::default(),
        })
    }

    pub(super) fn set_connections(&self, count: usize) {
        self.connections.store(count, Ordering::Relaxed);
    }

    /// Records a wait for the sockets and the I/O after it.
    pub(super) fn polled(&self, waited: Duration, worked: Duration, now: Instant) {
        let (waited, worked) = (nanos(waited), nanos(worked));
        self.client.record(now, |client| {
            client.record(SelectorSensor::SelectTime, waited);
            client.record(SelectorSensor::IoTime, worked);
        });
    }

    pub(super) fn connected(&self, now: Instant) {
        self.client.record(now, |client| {
            client.record(SelectorSensor::ConnectionCreated, 1.0);
        });
    }

    pub(super) fn closed(&self, now: Instant) {
        self.client.record(now, |client| {
            client.record(SelectorSensor::ConnectionClosed, 1.0);
        });
    }

    /// Records a failed authentication, at first or again.
    pub(super) fn authentication_failed(&self, is_first: bool, now: Instant) {
        let sensor = match is_first {
            true => SelectorSensor::FailedAuthentication,
            false => SelectorSensor::FailedReauthentication,
        };
        self.client.record(now, |client| client.record(sensor, 1.0));
    }

    fn authenticated(&self, how: Authenticated, now: Instant) {
        self.client.record(now, |client| match how {
            Authenticated::First => {
                client.record(SelectorSensor::SuccessfulAuthentication, 1.0);
                client.record(SelectorSensor::SuccessfulAuthenticationNoReauth, 1.0);
            }
            Authenticated::Again { took } => {
                client.record(SelectorSensor::SuccessfulReauthentication, 1.0);
                client.record(SelectorSensor::ReauthenticationLatency, millis(took));
            }
        });
    }

    /// Counts what a connection to the node did.
    pub(super) fn active(&self, node: &MetricSet, activity: &Activity, now: Instant) {
        if *activity == Activity::default() {
            return;
        }
        if let Some(how) = activity.authentication {
            self.authenticated(how, now);
        }
        let Activity {
            writes,
            reads,
            receives,
            completed_send,
            ..
        } = *activity;
        let (written, read) = (activity.bytes_written as f64, activity.bytes_read as f64);
        self.client.record(now, |client| {
            if writes + reads > 0 {
                client.record_many(SelectorSensor::NetworkIo, writes + reads, 0.0, 0.0);
            }
            if writes > 0 {
                client.record_many(SelectorSensor::BytesSent, writes, written, 0.0);
            }
            if reads > 0 {
                client.record_many(SelectorSensor::BytesReceived, reads, read, 0.0);
            }
            if let Some(size) = completed_send {
                client.record(SelectorSensor::RequestsSent, size as f64);
            }
            if receives > 0 {
                client.record_many(SelectorSensor::ResponsesReceived, receives, 0.0, 0.0);
            }
        });
        node.record(now, |node| {
            if writes > 0 {
                node.record_many(NodeSensor::BytesSent, writes, written, 0.0);
            }
            if reads > 0 {
                node.record_many(NodeSensor::BytesReceived, reads, read, 0.0);
            }
            if let Some(size) = completed_send {
                node.record(NodeSensor::RequestsSent, size as f64);
            }
            if receives > 0 {
                node.record_many(NodeSensor::ResponsesReceived, receives, 0.0, 0.0);
            }
        });
    }

    /// A node answered a Produce request after this time, in milliseconds.
    pub(crate) fn produce_latency(&self, id: NodeId, millis: f64, now: Instant) {
        let record = |node: &MetricSet| {
            node.record(now, |node| {
                node.record(NodeSensor::Latency, millis);
                node.record(NodeSensor::LatencyQuantiles, millis);
            });
        };
        let nodes = self.nodes.lock();
        if let Some(node) = nodes.get(&id) {
            return record(node);
        }
        drop(nodes);
        record(&self.node(id));
    }

    /// Returns the metrics of a node, which it has from its first connection on.
    pub(super) fn node(&self, id: NodeId) -> Registered {
        let known = self.nodes.lock().get(&id).cloned();
        known.unwrap_or_else(|| {
            // Without the lock: reporters are told of the new metrics, and may read all others.
            let tag = format!("node-{}", id.0);
            let node = self.registry.add_sensors(&NODE_TABLE, &[("node-id", &tag)]);
            self.nodes.lock().insert(id, node.clone());
            node
        })
    }
}
