//! Metrics that belong together: those of the client, of one topic or of one node.

use std::fmt;
use std::time::Instant;

use super::sensor::{Sensor, Stat, Windows};
use super::snapshot::Metric;
use super::{MetricConfig, MetricName, MetricValue, RecordingLevel, Tag};
use crate::sync::{Arc, Mutex};
use crate::utils::Time;

/// The sensors of a set and the names of their metrics. Made by [`metric_table!`](metric_table).
#[derive(Debug)]
pub(crate) struct MetricTable {
    pub(crate) group: &'static str,
    pub(crate) sensors: &'static [SensorTemplate],
}

/// See [`MetricTable`].
#[derive(Debug)]
pub(crate) struct SensorTemplate {
    pub(crate) level: RecordingLevel,
    pub(crate) stats: &'static [StatTemplate],
}

/// See [`MetricTable`].
#[derive(Debug)]
pub(crate) struct StatTemplate {
    pub(crate) stat: Stat,
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
}

/// Defines an enum of sensors, and the table of their metrics in the same order.
macro_rules! metric_table {
    (
        $(#[$doc:meta])*
        $visibility:vis enum $sensors:ident, $table:ident of $group:literal {
            $($sensor:ident $level:ident { $($stat:ident $name:literal $description:literal),+ $(,)? })+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $sensors {
            $($sensor),+
        }

        $visibility static $table: $crate::metrics::MetricTable = $crate::metrics::MetricTable {
            group: $group,
            sensors: &[$(
                $crate::metrics::SensorTemplate {
                    level: $crate::metrics::RecordingLevel::$level,
                    stats: &[$(
                        $crate::metrics::StatTemplate {
                            stat: $crate::metrics::Stat::$stat,
                            name: $name,
                            description: $description,
                        }
                    ),+],
                }
            ),+],
        };

        impl $sensors {
            const ALL: &[Self] = &[$(Self::$sensor),+];
        }

        // A sensor is found in the table by its number.
        const _: () = assert!($sensors::ALL.len() == $table.sensors.len());

        impl From<$sensors> for usize {
            fn from(sensor: $sensors) -> Self {
                sensor as Self
            }
        }
    };
}
pub(crate) use metric_table;

/// The source of a set's values.
pub(super) enum Source {
    Sensors(Mutex<Vec<Sensor>>),
    /// Computes a value, given the index of the sensor.
    Gauges(Box<dyn Fn(usize, Instant) -> MetricValue + Send + Sync>),
}

impl Source {
    /// Sensors that have recorded nothing, one for each of the table.
    ///
    /// One that `metrics.recording.level` leaves out takes values too, because a test for each would cost more. It has no
    /// metric that reads them, and no histogram.
    pub(super) fn sensors(table: &MetricTable, config: &MetricConfig, start: Instant) -> Self {
        let sensor = |template: &SensorTemplate| {
            let mut stats = template.stats.iter();
            let is_on = config.recording_level.includes(template.level);
            let with_histogram = is_on && stats.any(|stat| stat.stat.needs_histogram());
            Sensor::new(with_histogram, start)
        };
        Self::Sensors(Mutex::new(table.sensors.iter().map(sensor).collect()))
    }
}

/// See the module's documentation.
pub(crate) struct MetricSet {
    table: &'static MetricTable,
    tags: Arc<[Tag]>,
    level: RecordingLevel,
    windows: Windows,
    /// When the set was made, in milliseconds since 1970.
    added_ms: i64,
    time: Arc<dyn Time>,
    source: Source,
}

/// Records values of one moment in the sensors of a set, under one lock.
pub(crate) struct Recording<'a> {
    sensors: &'a mut [Sensor],
    windows: &'a Windows,
    now: Instant,
}

impl Recording<'_> {
    /// Records a value.
    #[inline]
    pub(crate) fn record(&mut self, sensor: impl Into<usize>, value: f64) {
        self.record_many(sensor, 1, value, value);
    }

    /// Records `events` values at once, given their sum and the largest of them.
    #[inline]
    pub(crate) fn record_many(
        &mut self,
        sensor: impl Into<usize>,
        events: u64,
        sum: f64,
        max: f64,
    ) {
        if let Some(sensor) = self.sensors.get_mut(sensor.into()) {
            sensor.record(self.windows, (events, sum, max), self.now);
        }
    }

    /// Records each of the values as often as the number in front of it says.
    #[inline]
    pub(crate) fn record_each(
        &mut self,
        sensor: impl Into<usize>,
        values: impl Iterator<Item = (u32, f64)>,
    ) {
        if let Some(sensor) = self.sensors.get_mut(sensor.into()) {
            sensor.record_each(self.windows, values, self.now);
        }
    }
}

impl MetricSet {
    pub(super) fn new(
        table: &'static MetricTable,
        tags: Arc<[Tag]>,
        config: &MetricConfig,
        time: Arc<dyn Time>,
        source: Source,
    ) -> Self {
        let windows = Windows {
            samples: config.samples,
            length: config.window,
        };
        Self {
            table,
            tags,
            level: config.recording_level,
            windows,
            added_ms: time.unix_millis(),
            time,
            source,
        }
    }

    /// Records what happened at `now`. Does nothing for a set of gauges.
    pub(crate) fn record(&self, now: Instant, body: impl FnOnce(&mut Recording<'_>)) {
        if let Source::Sensors(sensors) = &self.source {
            body(&mut Recording {
                sensors: &mut sensors.lock(),
                windows: &self.windows,
                now,
            });
        }
    }

    pub(super) fn table(&self) -> &'static MetricTable {
        self.table
    }

    /// When the set was made, in milliseconds since 1970.
    pub(super) fn added_ms(&self) -> i64 {
        self.added_ms
    }

    /// The metrics of the set, each with the index of its sensor.
    pub(super) fn templates(&self) -> impl Iterator<Item = (usize, &'static StatTemplate)> {
        let level = self.level;
        let sensors = self.table.sensors.iter().enumerate();
        let recorded = sensors.filter(move |(_, sensor)| level.includes(sensor.level));
        recorded.flat_map(|(index, sensor)| sensor.stats.iter().map(move |stat| (index, stat)))
    }

    /// Returns the number of metrics.
    pub(super) fn len(&self) -> usize {
        self.templates().count()
    }

    fn name(&self, template: &'static StatTemplate) -> MetricName {
        let tags = Arc::clone(&self.tags);
        MetricName::of_table(template.name, self.table.group, template.description, tags)
    }

    /// Returns the names of the metrics, in the order of the table.
    pub(super) fn names(&self) -> impl Iterator<Item = MetricName> {
        self.templates().map(|(_, template)| self.name(template))
    }

    /// Reads every metric.
    pub(super) fn read_all(&self, now: Instant, into: &mut Vec<Metric>) {
        self.read_some(now, |_| true, |_, metric| into.push(metric));
    }

    /// Reads the metrics that are wanted by their place in [`Self::names`], and hands each over with its place.
    pub(super) fn read_some(
        &self,
        now: Instant,
        wants: impl Fn(usize) -> bool,
        mut take: impl FnMut(usize, Metric),
    ) {
        let templates = self.templates().enumerate();
        let templates = templates.filter(|(place, _)| wants(*place));
        match &self.source {
            Source::Sensors(sensors) => {
                let mut sensors = sensors.lock();
                for (place, (index, template)) in templates {
                    let value = sensors.get_mut(index).map_or(f64::NAN, |sensor| {
                        sensor.measure(&self.windows, template.stat, now)
                    });
                    let name = self.name(template);
                    take(place, Metric::new(name, value.into(), template.stat));
                }
            }
            Source::Gauges(read) => {
                for (place, (index, template)) in templates {
                    let (name, value) = (self.name(template), read(index, now));
                    take(place, Metric::new(name, value, template.stat));
                }
            }
        }
    }

    /// Reads one metric, given its place in [`Self::names`].
    pub(super) fn read(&self, index: usize) -> MetricValue {
        let now = self.time.now();
        let Some((sensor, template)) = self.templates().nth(index) else {
            return f64::NAN.into();
        };
        match &self.source {
            Source::Sensors(sensors) => {
                let mut sensors = sensors.lock();
                let value = sensors.get_mut(sensor).map_or(f64::NAN, |sensor| {
                    sensor.measure(&self.windows, template.stat, now)
                });
                value.into()
            }
            Source::Gauges(read) => read(sensor, now),
        }
    }
}

impl fmt::Debug for MetricSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricSet")
            .field("group", &self.table.group)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}
