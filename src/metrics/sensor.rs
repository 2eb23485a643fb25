//! Counts one thing over windows of time. Java: `Sensor`, `SampledStat` and the stats over it.
//!
//! The windows are Java's. A sample takes values for `metrics.sample.window.ms`, and there are
//! `metrics.num.samples` of them plus one. A sample counts until its last value is older than all
//! windows together. A rate divides by the age of the oldest sample, or by the length of all
//! windows but one if that is longer.

use std::mem;
use std::time::{Duration, Instant};

use super::quantiles::{Histogram, quantile};
use crate::utils::later;

/// How a metric reads its sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stat {
    /// The mean of the values in the windows; NaN if there are none. Java: `Avg`.
    Avg,
    /// The largest value in the windows; NaN if there are none. Java: `Max`.
    Max,
    /// The sum of the values in the windows, per second. Java: `Rate`.
    Rate,
    /// The number of values in the windows, per second. Java: `Rate(WindowedCount)`.
    CountRate,
    /// The sum of the values in the windows, which are nanoseconds, as a fraction of the elapsed
    /// time. Java: `Rate(NANOSECONDS)`.
    Ratio,
    /// The sum of all values. Java: `CumulativeSum`.
    Total,
    /// The number of all values. Java: `CumulativeCount`.
    CountTotal,
    /// The median of the times in the windows, in milliseconds; NaN if there are none.
    P50,
    /// The 99 % quantile of the times in the windows, likewise.
    P99,
    /// The 99.9 % quantile of the times in the windows, likewise.
    P999,
    /// Computed elsewhere when it is read, and never recorded. Java: `Gauge`.
    Gauge,
}

impl Stat {
    fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P99 => Some(0.99),
            Self::P999 => Some(0.999),
            _ => None,
        }
    }

    /// Returns whether the value can only grow, by its meaning.
    pub(crate) fn is_cumulative(self) -> bool {
        matches!(self, Self::Total | Self::CountTotal)
    }

    pub(super) fn needs_histogram(self) -> bool {
        self.quantile().is_some()
    }
}

/// `metrics.num.samples` and `metrics.sample.window.ms`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub(super) samples: usize,
    pub(super) length: Duration,
}

/// What one window has seen.
#[derive(Clone, Debug)]
struct Sample {
    start: Instant,
    last_event: Instant,
    events: u64,
    sum: f64,
    max: f64,
    /// `Some` for a sensor with quantiles.
    histogram: Option<Histogram>,
}

impl Sample {
    fn new(now: Instant, with_histogram: bool) -> Self {
        Self {
            start: now,
            last_event: now,
            events: 0,
            sum: 0.0,
            max: f64::NEG_INFINITY,
            histogram: with_histogram.then(Histogram::default),
        }
    }

    #[inline]
    fn add(&mut self, events: u64, sum: f64, max: f64, now: Instant) {
        self.events += events;
        self.sum += sum;
        // One instruction, which `f64::max` is not. A NaN changes nothing.
        self.max = if max > self.max { max } else { self.max };
        self.last_event = now;
    }

    fn reset(&mut self, now: Instant) {
        let mut histogram = self.histogram.take();
        if let Some(histogram) = &mut histogram {
            histogram.clear();
        }
        *self = Self {
            histogram,
            ..Self::new(now, false)
        };
    }
}

/// See the module's documentation.
///
/// A value costs a comparison with `ends` and four updates of `current`: the I/O thread records a dozen values for each
/// request. All else happens when a sample ends or is read. So the time is an [`Instant`], because the difference of two
/// costs as much as recording three values.
#[derive(Debug)]
pub(super) struct Sensor {
    /// Takes values until `ends`.
    current: Sample,
    /// When the current sample ends. In the past until the first value begins one.
    ends: Instant,
    has_begun: bool,
    /// The samples before the current one: up to `metrics.num.samples` of them, in a ring.
    older: Vec<Sample>,
    oldest: usize,
    /// Of all samples before the current one.
    sum_before: f64,
    count_before: u64,
}

impl Sensor {
    /// A sensor that takes values from `start` on.
    pub(super) fn new(with_histogram: bool, start: Instant) -> Self {
        Self {
            current: Sample::new(start, with_histogram),
            ends: start,
            has_begun: false,
            older: Vec::new(),
            oldest: 0,
            sum_before: 0.0,
            count_before: 0,
        }
    }

    /// Records `events` values at once, given their sum and the largest of them.
    #[inline]
    pub(super) fn record(
        &mut self,
        windows: &Windows,
        (events, sum, max): (u64, f64, f64),
        now: Instant,
    ) {
        let sample = self.sample(windows, now);
        sample.add(events, sum, max, now);
        if let Some(histogram) = &mut sample.histogram {
            histogram.record(max, u32::try_from(events).unwrap_or(u32::MAX));
        }
    }

    /// Records each of the values as often as the number in front of it says.
    #[inline]
    pub(super) fn record_each(
        &mut self,
        windows: &Windows,
        mut values: impl Iterator<Item = (u32, f64)>,
        now: Instant,
    ) {
        let mut next = values.next();
        if next.is_none() {
            return;
        }
        let sample = self.sample(windows, now);
        let (mut events, mut sum, mut max) = (0, 0.0, f64::NEG_INFINITY);
        while let Some((weight, value)) = next {
            events += u64::from(weight);
            sum += f64::from(weight) * value;
            max = if value > max { value } else { max };
            if let Some(histogram) = &mut sample.histogram {
                histogram.record(value, weight);
            }
            next = values.next();
        }
        sample.add(events, sum, max, now);
    }

    /// Returns the sample that takes values now.
    #[inline]
    fn sample(&mut self, windows: &Windows, now: Instant) -> &mut Sample {
        if now >= self.ends {
            self.begin_sample(windows, now);
        }
        &mut self.current
    }

    /// Begins the first sample, or the one that follows the current one.
    #[cold]
    #[inline(never)]
    fn begin_sample(&mut self, windows: &Windows, now: Instant) {
        if self.has_begun {
            self.sum_before += self.current.sum;
            self.count_before += self.current.events;
            if self.older.len() < windows.samples {
                let with_histogram = self.current.histogram.is_some();
                let next = Sample::new(now, with_histogram);
                // A topic has a few sensors, and there may be many topics.
                self.older.reserve_exact(1);
                self.older.push(mem::replace(&mut self.current, next));
            } else if let Some(oldest) = self.older.get_mut(self.oldest) {
                mem::swap(oldest, &mut self.current);
                self.oldest = (self.oldest + 1) % windows.samples;
            }
        }
        self.has_begun = true;
        self.reset_current(windows, now);
    }

    fn reset_current(&mut self, windows: &Windows, now: Instant) {
        self.current.reset(now);
        self.ends = later(now, windows.length);
    }

    /// Empties the samples whose last value is too old to count.
    fn purge(&mut self, windows: &Windows, now: Instant) {
        let samples = u32::try_from(windows.samples).unwrap_or(u32::MAX);
        let expires = windows.length.saturating_mul(samples);
        let is_old = |sample: &Sample| now.saturating_duration_since(sample.last_event) >= expires;
        for sample in &mut self.older {
            if is_old(sample) {
                sample.reset(now);
            }
        }
        if self.has_begun && is_old(&self.current) {
            self.sum_before += self.current.sum;
            self.count_before += self.current.events;
            self.reset_current(windows, now);
        }
    }

    fn samples(&self) -> impl Iterator<Item = &Sample> + Clone {
        let current = self.has_begun.then_some(&self.current);
        self.older.iter().chain(current)
    }

    /// What a metric of this sensor is now.
    pub(super) fn measure(&mut self, windows: &Windows, stat: Stat, now: Instant) -> f64 {
        match stat {
            Stat::Total => return self.sum_before + self.current.sum,
            Stat::CountTotal => return (self.count_before + self.current.events) as f64,
            Stat::Gauge => return f64::NAN,
            _ => self.purge(windows, now),
        }
        let events: u64 = self.samples().map(|sample| sample.events).sum();
        // The sum of no floats is -0.0, which readers would show.
        let sums = self.samples().map(|sample| sample.sum);
        let sum = sums.fold(0.0, |sum, of_sample| sum + of_sample);
        match stat {
            Stat::Avg if events > 0 => sum / events as f64,
            Stat::Max if events > 0 => {
                let maxima = self.samples().map(|sample| sample.max);
                maxima.fold(f64::NEG_INFINITY, f64::max)
            }
            Stat::Rate => sum / (self.window_size(windows, now) / 1000.0),
            Stat::CountRate => events as f64 / (self.window_size(windows, now) / 1000.0),
            Stat::Ratio => sum / (self.window_size(windows, now) * 1_000_000.0),
            Stat::P50 | Stat::P99 | Stat::P999 => {
                let histograms = self
                    .samples()
                    .filter_map(|sample| sample.histogram.as_ref());
                quantile(histograms, stat.quantile().unwrap_or(f64::NAN))
            }
            _ => f64::NAN,
        }
    }

    /// The time in milliseconds that a rate divides by.
    fn window_size(&mut self, windows: &Windows, now: Instant) -> f64 {
        if !self.has_begun {
            self.begin_sample(windows, now);
        }
        let oldest = self.samples().map(|sample| sample.start).min();
        let elapsed = millis(now.saturating_duration_since(oldest.unwrap_or(now)));
        let window = millis(windows.length);
        let full_windows = elapsed.checked_div(window).unwrap_or(0);
        let least = (windows.samples as u64).saturating_sub(1);
        let missing = least.saturating_sub(full_windows);
        let size = elapsed.saturating_add(missing.saturating_mul(window));
        size.max(1) as f64
    }
}

/// Whole milliseconds, as Java has them.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::utils::{MockTime, Time};

    const WINDOWS: Windows = Windows {
        samples: 2,
        length: Duration::from_secs(1),
    };

    /// A sensor on a clock of milliseconds.
    struct Clocked {
        sensor: Sensor,
        windows: Windows,
        start: Instant,
    }

    impl Clocked {
        fn new(windows: Windows) -> Self {
            let start = MockTime::new().now();
            Self {
                sensor: Sensor::new(true, start),
                windows,
                start,
            }
        }

        fn record(&mut self, value: f64, now: u64) {
            self.record_many((1, value, value), now);
        }

        fn record_many(&mut self, values: (u64, f64, f64), now: u64) {
            let now = self.start + Duration::from_millis(now);
            self.sensor.record(&self.windows, values, now);
        }

        fn measure(&mut self, stat: Stat, now: u64) -> f64 {
            let now = self.start + Duration::from_millis(now);
            self.sensor.measure(&self.windows, stat, now)
        }
    }

    /// Sequences of values and reads, with what Java's own classes answered to each read.
    // Java: SampledStatTest, RateTest, MeterTest, SensorTest.testRateWindowing, MetricsTest.testTimeWindowing.
    #[test]
    fn windows_rates_and_totals_are_those_of_java() {
        let mut reads = 0;
        for line in include_str!("../../tests/data/metric-windows.tsv").lines() {
            let mut columns = line.split('\t');
            let stat = match columns.next().unwrap() {
                "Avg" => Stat::Avg,
                "Max" => Stat::Max,
                "Rate" => Stat::Rate,
                "CountRate" => Stat::CountRate,
                "Ratio" => Stat::Ratio,
                "Total" => Stat::Total,
                "CountTotal" => Stat::CountTotal,
                other => panic!("{other}"),
            };
            let samples = columns.next().unwrap().parse().unwrap();
            let length = Duration::from_millis(columns.next().unwrap().parse().unwrap());
            let mut sensor = Clocked::new(Windows { samples, length });
            for step in columns.next().unwrap().split(' ') {
                let (kind, rest) = step.split_once('@').unwrap();
                let (now, value) = rest.split_once('=').unwrap();
                let (now, value): (u64, f64) = (now.parse().unwrap(), value.parse().unwrap());
                if kind == "r" {
                    sensor.record(value, now);
                    continue;
                }
                reads += 1;
                let read = sensor.measure(stat, now);
                let is_same = (read.is_nan() && value.is_nan())
                    || (read - value).abs() <= value.abs() * 1e-12;
                assert!(is_same, "{line}: {step}: {read}");
            }
        }
        assert!(reads > 250, "{reads}");
    }

    // Java: MetricsTest.testSimpleStats.
    #[test]
    fn one_update_serves_every_stat_of_a_sensor() {
        let mut sensor = Clocked::new(WINDOWS);
        for value in 0..10 {
            sensor.record(f64::from(value), 0);
        }
        let mut read = |stat| sensor.measure(stat, 500);
        assert_eq!(read(Stat::Avg), 4.5);
        assert_eq!(read(Stat::Max), 9.0);
        assert_eq!(read(Stat::Total), 45.0);
        assert_eq!(read(Stat::CountTotal), 10.0);
        // Half a window has passed, and one more counts as full.
        assert_eq!(read(Stat::Rate), 45.0 / 1.5);
        assert_eq!(read(Stat::CountRate), 10.0 / 1.5);
        assert_eq!(read(Stat::Ratio), 45.0 / 1.5e9);
        assert!((9.0..9.3).contains(&read(Stat::P999)));
    }

    // Java: MetricsTest.testOldDataHasNoEffect.
    #[test]
    fn old_values_have_no_effect() {
        let mut sensor = Clocked::new(WINDOWS);
        sensor.record(50.0, 0);
        assert_eq!(sensor.measure(Stat::Max, 1999), 50.0);
        for stat in [Stat::Max, Stat::Avg, Stat::P50, Stat::P999] {
            assert!(sensor.measure(stat, 2000).is_nan(), "{stat:?}");
        }
        assert_eq!(sensor.measure(Stat::Rate, 2000), 0.0);
        assert_eq!(sensor.measure(Stat::Total, 2000), 50.0);
    }

    // Java: RateTest.testRateWithNoPriorAvailableSamples.
    #[test]
    fn a_rate_without_values_is_zero_and_never_divides_by_nothing() {
        for (samples, millis) in [(1, 1000), (2, 1000), (1, 0), (3, 0)] {
            let length = Duration::from_millis(millis);
            let mut sensor = Clocked::new(Windows { samples, length });
            let rate = sensor.measure(Stat::Rate, 0);
            assert_eq!(rate.to_bits(), 0.0_f64.to_bits(), "{rate}");
            sensor.record(5.0, 7);
            assert!(sensor.measure(Stat::Rate, 7).is_finite());
        }
    }

    // Java: SampledStatTest.testSampleIsKeptIfOverlaps, testSampleIsKeptIfOverlapsAndExtra.
    #[test]
    fn a_sample_is_kept_while_it_overlaps_the_windows() {
        let mut sensor = Clocked::new(WINDOWS);
        sensor.record(1.0, 0);
        sensor.record(1.0, 999);
        sensor.record(1.0, 1500);
        assert_eq!(sensor.measure(Stat::CountRate, 2900) * 2.9, 3.0);
        // The first sample's last value is 2,000 ms old.
        assert_eq!(sensor.measure(Stat::CountRate, 2999) * 1.499, 1.0);
    }

    #[test]
    fn a_clock_that_does_not_move_is_no_division_by_zero() {
        let mut sensor = Clocked::new(Windows {
            samples: 1,
            ..WINDOWS
        });
        sensor.record_many((4, 4.0, 1.0), 10);
        assert_eq!(sensor.measure(Stat::Rate, 10), 4000.0);
    }
}
