//! One thing that is counted, over windows of time. Java: `Sensor`, `SampledStat` and the stats over it.
//!
//! The windows are Java's: a sample takes values for `metrics.sample.window.ms`, there are `metrics.num.samples` of them and
//! one more, and a sample counts until its last value is as old as all windows together. A rate divides by the age of the
//! oldest sample, and by no less than all windows but one.

use super::quantiles::{Histogram, quantile};

/// How a metric reads its sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stat {
    /// The mean of the values in the windows; NaN if there are none. Java: `Avg`.
    Avg,
    /// The largest value in the windows; NaN if there are none. Java: `Max`.
    Max,
    /// The sum of the values in the windows, per second. Java: `Rate`.
    Rate,
    /// How many values the windows have, per second. Java: `Rate(WindowedCount)`.
    CountRate,
    /// The sum of the values in the windows, which are nanoseconds, as a part of the time. Java: `Rate(NANOSECONDS)`.
    Ratio,
    /// The sum of all values. Java: `CumulativeSum`.
    Total,
    /// How many values there were. Java: `CumulativeCount`.
    CountTotal,
    /// The time in milliseconds that half of those in the windows do not exceed; NaN if there are none.
    P50,
    /// The same of 99 %.
    P99,
    /// The same of 99.9 %.
    P999,
    /// Read from elsewhere, and never recorded. Java: `Gauge`.
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

    /// Whether the value only ever grows, by its meaning.
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
    pub(super) millis: u64,
}

/// What one window has seen. Times are in milliseconds.
#[derive(Clone, Debug)]
struct Sample {
    start: u64,
    last_event: u64,
    events: u64,
    sum: f64,
    max: f64,
    /// There for a sensor with quantiles.
    histogram: Option<Histogram>,
}

impl Sample {
    fn new(now: u64, with_histogram: bool) -> Self {
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
    fn add(&mut self, events: u64, sum: f64, max: f64, now: u64) {
        self.events += events;
        self.sum += sum;
        self.max = self.max.max(max);
        self.last_event = now;
    }

    fn reset(&mut self, now: u64) {
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
#[derive(Debug)]
pub(super) struct Sensor {
    /// Grows to one more than `metrics.num.samples`.
    samples: Vec<Sample>,
    current: usize,
    total: f64,
    count: u64,
    with_histogram: bool,
    /// Whether `metrics.recording.level` includes the sensor.
    is_on: bool,
}

impl Sensor {
    pub(super) fn new(with_histogram: bool) -> Self {
        Self {
            samples: Vec::new(),
            current: 0,
            total: 0.0,
            count: 0,
            with_histogram,
            is_on: true,
        }
    }

    /// A sensor that records nothing.
    pub(super) fn off() -> Self {
        Self {
            is_on: false,
            ..Self::new(false)
        }
    }

    /// Records `events` values that are `sum` together, the largest of which is `max`.
    #[inline]
    pub(super) fn record(
        &mut self,
        windows: Windows,
        (events, sum, max): (u64, f64, f64),
        now: u64,
    ) {
        if !self.is_on {
            return;
        }
        if let Some(sample) = self.sample(windows, now) {
            sample.add(events, sum, max, now);
            if let Some(histogram) = &mut sample.histogram {
                histogram.record(max, u32::try_from(events).unwrap_or(u32::MAX));
            }
        }
        self.total += sum;
        self.count += events;
    }

    /// Records each of the values, as often as the number in front of it says.
    #[inline]
    pub(super) fn record_each(
        &mut self,
        windows: Windows,
        values: impl Iterator<Item = (u32, f64)>,
        now: u64,
    ) {
        let mut values = values.peekable();
        if !self.is_on || values.peek().is_none() {
            return;
        }
        let Some(sample) = self.sample(windows, now) else {
            return;
        };
        let (mut events, mut sum, mut max) = (0, 0.0, f64::NEG_INFINITY);
        for (weight, value) in values {
            events += u64::from(weight);
            sum += f64::from(weight) * value;
            max = f64::max(max, value);
            if let Some(histogram) = &mut sample.histogram {
                histogram.record(value, weight);
            }
        }
        sample.add(events, sum, max, now);
        self.total += sum;
        self.count += events;
    }

    /// The sample that takes values now.
    #[inline]
    fn sample(&mut self, windows: Windows, now: u64) -> Option<&mut Sample> {
        let current = self.samples.get(self.current);
        let is_over =
            current.is_none_or(|sample| now.saturating_sub(sample.start) >= windows.millis);
        if is_over {
            self.begin_sample(windows, now);
        }
        self.samples.get_mut(self.current)
    }

    /// Begins the first sample, or the one after the current one.
    #[cold]
    fn begin_sample(&mut self, windows: Windows, now: u64) {
        if self.current < self.samples.len() {
            self.current = (self.current + 1) % windows.samples.saturating_add(1);
        }
        match self.samples.get_mut(self.current) {
            Some(sample) => sample.reset(now),
            None => self.samples.push(Sample::new(now, self.with_histogram)),
        }
    }

    /// Empties the samples whose last value is too old to count.
    fn purge(&mut self, windows: Windows, now: u64) {
        let expires = (windows.samples as u64).saturating_mul(windows.millis);
        for sample in &mut self.samples {
            if now.saturating_sub(sample.last_event) >= expires {
                sample.reset(now);
            }
        }
    }

    /// What a metric of this sensor is now.
    pub(super) fn measure(&mut self, windows: Windows, stat: Stat, now: u64) -> f64 {
        match stat {
            Stat::Total => return self.total,
            Stat::CountTotal => return self.count as f64,
            Stat::Gauge => return f64::NAN,
            _ => self.purge(windows, now),
        }
        let events: u64 = self.samples.iter().map(|sample| sample.events).sum();
        // The sum of no floats is -0.0, which readers would show.
        let sums = self.samples.iter().map(|sample| sample.sum);
        let sum = sums.fold(0.0, |sum, of_sample| sum + of_sample);
        match stat {
            Stat::Avg if events > 0 => sum / events as f64,
            Stat::Max if events > 0 => {
                let maxima = self.samples.iter().map(|sample| sample.max);
                maxima.fold(f64::NEG_INFINITY, f64::max)
            }
            Stat::Rate => sum / (self.window_size(windows, now) / 1000.0),
            Stat::CountRate => events as f64 / (self.window_size(windows, now) / 1000.0),
            Stat::Ratio => sum / (self.window_size(windows, now) * 1_000_000.0),
            Stat::P50 | Stat::P99 | Stat::P999 => {
                let samples = self.samples.iter();
                let histograms = samples.filter_map(|sample| sample.histogram.as_ref());
                quantile(histograms, stat.quantile().unwrap_or(f64::NAN))
            }
            _ => f64::NAN,
        }
    }

    /// The time in milliseconds that a rate divides by.
    fn window_size(&mut self, windows: Windows, now: u64) -> f64 {
        if self.samples.is_empty() {
            self.samples.push(Sample::new(now, self.with_histogram));
        }
        let oldest = self.samples.iter().map(|sample| sample.start).min();
        let elapsed = now.saturating_sub(oldest.unwrap_or(now));
        let full_windows = elapsed.checked_div(windows.millis).unwrap_or(0);
        let least = (windows.samples as u64).saturating_sub(1);
        let missing = least.saturating_sub(full_windows);
        let size = elapsed.saturating_add(missing.saturating_mul(windows.millis));
        size.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows {
        samples: 2,
        millis: 1000,
    };

    fn record(sensor: &mut Sensor, value: f64, now: u64) {
        sensor.record(WINDOWS, (1, value, value), now);
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
            let millis = columns.next().unwrap().parse().unwrap();
            let windows = Windows { samples, millis };
            let mut sensor = Sensor::new(false);
            for step in columns.next().unwrap().split(' ') {
                let (kind, rest) = step.split_once('@').unwrap();
                let (now, value) = rest.split_once('=').unwrap();
                let (now, value): (u64, f64) = (now.parse().unwrap(), value.parse().unwrap());
                if kind == "r" {
                    sensor.record(windows, (1, value, value), now);
                    continue;
                }
                reads += 1;
                let read = sensor.measure(windows, stat, now);
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
        let mut sensor = Sensor::new(true);
        for value in 0..10 {
            record(&mut sensor, f64::from(value), 0);
        }
        let mut read = |stat| sensor.measure(WINDOWS, stat, 500);
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
        let mut sensor = Sensor::new(true);
        record(&mut sensor, 50.0, 0);
        assert_eq!(sensor.measure(WINDOWS, Stat::Max, 1999), 50.0);
        for stat in [Stat::Max, Stat::Avg, Stat::P50, Stat::P999] {
            assert!(sensor.measure(WINDOWS, stat, 2000).is_nan(), "{stat:?}");
        }
        assert_eq!(sensor.measure(WINDOWS, Stat::Rate, 2000), 0.0);
        assert_eq!(sensor.measure(WINDOWS, Stat::Total, 2000), 50.0);
    }

    // Java: RateTest.testRateWithNoPriorAvailableSamples.
    #[test]
    fn a_rate_without_values_is_zero_and_never_divides_by_nothing() {
        for (samples, millis) in [(1, 1000), (2, 1000), (1, 0), (3, 0)] {
            let windows = Windows { samples, millis };
            let mut sensor = Sensor::new(false);
            let rate = sensor.measure(windows, Stat::Rate, 0);
            assert_eq!(rate.to_bits(), 0.0_f64.to_bits(), "{rate}");
            sensor.record(windows, (1, 5.0, 5.0), 7);
            assert!(sensor.measure(windows, Stat::Rate, 7).is_finite());
        }
    }

    // Java: SampledStatTest.testSampleIsKeptIfOverlaps, testSampleIsKeptIfOverlapsAndExtra.
    #[test]
    fn a_sample_is_kept_while_it_overlaps_the_windows() {
        let mut sensor = Sensor::new(false);
        record(&mut sensor, 1.0, 0);
        record(&mut sensor, 1.0, 999);
        record(&mut sensor, 1.0, 1500);
        assert_eq!(sensor.measure(WINDOWS, Stat::CountRate, 2900) * 2.9, 3.0);
        // The first sample's last value is 2,000 ms old.
        assert_eq!(sensor.measure(WINDOWS, Stat::CountRate, 2999) * 1.499, 1.0);
    }

    #[test]
    fn a_clock_that_does_not_move_is_no_division_by_zero() {
        let mut sensor = Sensor::new(false);
        let windows = Windows {
            samples: 1,
            millis: 1000,
        };
        sensor.record(windows, (4, 4.0, 1.0), 10);
        assert_eq!(sensor.measure(windows, Stat::Rate, 10), 4000.0);
    }
}
