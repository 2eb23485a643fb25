//! The settings that say what is recorded, and over which time. Java: `MetricConfig`,
//! `Sensor.RecordingLevel`.

use std::time::Duration;

use crate::utils::choice;

choice! {
    /// How much is recorded (`metrics.recording.level`). Java: `Sensor.RecordingLevel`.
    RecordingLevel {
        /// All metrics of Java's producer and the cheap ones of this crate.
        Info = "INFO",
        /// Also the quantiles of each node's latency, which take 14 KB per node.
        Debug = "DEBUG",
        /// The same as `DEBUG`.
        Trace = "TRACE",
    }
}

impl RecordingLevel {
    /// Returns whether a sensor of the level `other` is recorded.
    pub(super) fn includes(self, other: Self) -> bool {
        other as u8 <= self as u8
    }
}

/// The settings of the metrics. Java: `MetricConfig`.
#[derive(Clone, Debug)]
pub(crate) struct MetricConfig {
    /// `metrics.num.samples`
    pub(crate) samples: usize,
    /// `metrics.sample.window.ms`
    pub(crate) window: Duration,
    /// `metrics.recording.level`
    pub(crate) recording_level: RecordingLevel,
}

impl Default for MetricConfig {
    fn default() -> Self {
        Self {
            samples: 2,
            window: Duration::from_secs(30),
            recording_level: RecordingLevel::Info,
        }
    }
}
