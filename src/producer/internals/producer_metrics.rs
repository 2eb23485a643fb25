//! The time that callers wait, and the facts about the producer. Java: `KafkaProducerMetrics`,
//! `AppInfoParser`.
//!
//! Threads: callers add the time of calls that waited; any thread reads.

use std::time::Duration;

use crate::metrics::{MetricValue, Metrics, metric_table};
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::utils::Time;

metric_table! {
    /// The calls whose time is recorded.
    pub(crate) enum ProducerCall, CALL_TABLE of "producer-metrics" {
        Flush Info { Gauge "flush-time-ns-total" "The time in ns that callers spent in flush." }
        InitTransactions Info {
            Gauge "txn-init-time-ns-total" "The time in ns that callers spent in init_transactions."
        }
        BeginTransaction Info {
            Gauge "txn-begin-time-ns-total" "The time in ns that callers spent in begin_transaction."
        }
        SendOffsets Info {
            Gauge "txn-send-offsets-time-ns-total" "The time in ns that callers spent in send_offsets_to_transaction."
        }
        CommitTransaction Info {
            Gauge "txn-commit-time-ns-total" "The time in ns that callers spent in commit_transaction."
        }
        AbortTransaction Info {
            Gauge "txn-abort-time-ns-total" "The time in ns that callers spent in abort_transaction."
        }
        AwaitMetadata Info {
            Gauge "metadata-wait-time-ns-total" "The time in ns that callers waited for the metadata of a topic."
        }
    }
}

metric_table! {
    /// The version of this library.
    enum AppInfo, APP_INFO of "app-info" {
        Version Info { Gauge "version" "The version of this library." }
        StartTime Info { Gauge "start-time-ms" "When the producer was built, in ms since 1970." }
    }
}

/// The total time of successful calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallTimes(Arc<[AtomicU64; ProducerCall::ALL.len()]>);

impl CallTimes {
    /// Registers these metrics, and the constant ones.
    pub(crate) fn new(registry: &Metrics, time: &dyn Time) -> Self {
        let times = Self::default();
        let read = times.clone();
        registry.add_gauges(&CALL_TABLE, &[], move |index, _| {
            let nanos = read.0.get(index);
            let nanos = nanos.map_or(0, |nanos| nanos.load(Ordering::Relaxed));
            MetricValue::Number(nanos as f64)
        });
        let start = time.unix_millis() as f64;
        registry.add_gauges(&APP_INFO, &[], move |index, _| {
            match AppInfo::ALL.get(index) {
                Some(AppInfo::StartTime) => start.into(),
                Some(AppInfo::Version) | None => env!("CARGO_PKG_VERSION").into(),
            }
        });
        times
    }

    pub(crate) fn add(&self, call: ProducerCall, spent: Duration) {
        if let Some(nanos) = self.0.get(usize::from(call)) {
            let spent = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
            nanos.fetch_add(spent, Ordering::Relaxed);
        }
    }
}
