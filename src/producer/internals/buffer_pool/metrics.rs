//! The metrics of the buffer memory and of the waits for it. Java: the sensors of `BufferPool`.
//!
//! Threads: callers record after a wait; any thread reads.

use std::time::{Duration, Instant};

use super::BufferPool;
use crate::metrics::{MetricValue, Metrics, Registered, metric_table};
use crate::sync::Arc;
use crate::utils::nanos;

metric_table! {
    /// Recorded for the buffer memory.
    enum PoolSensor, POOL_TABLE of "producer-metrics" {
        WaitTime Info {
            Ratio "bufferpool-wait-ratio" "The time that callers waited for buffer memory, as a part of all time.",
            Total "bufferpool-wait-time-ns-total" "The time in ns that callers waited for buffer memory.",
        }
        Exhausted Info {
            Rate "buffer-exhausted-rate" "Records per second that failed because no buffer memory became free.",
            Total "buffer-exhausted-total" "Records that failed because no buffer memory became free.",
        }
    }
}

metric_table! {
    /// Read from the buffer memory.
    enum PoolGauge, POOL_GAUGES of "producer-metrics" {
        WaitingThreads Info { Gauge "waiting-threads" "The callers that wait for buffer memory." }
        TotalBytes Info { Gauge "buffer-total-bytes" "The buffer memory in bytes (buffer.memory)." }
        AvailableBytes Info { Gauge "buffer-available-bytes" "The buffer memory in bytes that is free." }
    }
}

/// Counts the waits for buffer memory.
#[derive(Debug)]
pub(crate) struct PoolMetrics(Registered);

impl PoolMetrics {
    /// Registers the metrics of this pool, which counts its waits from now on.
    pub(crate) fn register(registry: &Metrics, pool: &Arc<BufferPool>) {
        let read = Arc::clone(pool);
        registry.add_gauges(&POOL_GAUGES, &[], move |index, _| {
            let value = match PoolGauge::ALL.get(index) {
                Some(PoolGauge::WaitingThreads) => read.queued(),
                Some(PoolGauge::TotalBytes) => read.total_memory(),
                Some(PoolGauge::AvailableBytes) | None => read.available_memory(),
            };
            MetricValue::Number(value as f64)
        });
        pool.set_metrics(Self(registry.add_sensors(&POOL_TABLE, &[])));
    }

    /// Records that a caller waited this long.
    pub(super) fn waited(&self, waited: Duration, is_exhausted: bool, now: Instant) {
        self.0.record(now, |pool| {
            pool.record(PoolSensor::WaitTime, nanos(waited));
            if is_exhausted {
                pool.record(PoolSensor::Exhausted, 1.0);
            }
        });
    }
}
