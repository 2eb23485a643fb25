//! Distributions of numbers. Java: Yammer's `Histogram`, `Timer` and `ExponentiallyDecayingSample`.
//!
//! Differs from Java: priorities are logarithms, so that they need no rescaling each hour.
//!
//! Locks: one in each histogram, held for one update or one read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::meter::Meter;
use crate::sync::{Arc, Mutex};
use crate::utils::{Time, millis};

/// The number of values that a histogram keeps for its percentiles.
const SAMPLE_SIZE: usize = 1028;
/// The growth of the weight of newer values, per second. The sample covers roughly the last five
/// minutes.
const ALPHA: f64 = 0.015;
/// The percentiles in tenths of a percent, as attributes 5 and later.
const PERCENTILES: [usize; 6] = [500, 750, 950, 980, 990, 999];

/// The distribution of a number: over all values, and percentiles of a sample that prefers new
/// ones.
#[derive(Debug)]
pub(crate) struct Histogram {
    time: Arc<dyn Time>,
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    /// The running mean and the sum of squared differences from it (Welford).
    mean: f64,
    squares: f64,
    /// The values with the highest priorities. The bits of non-negative numbers sort as the numbers
    /// do.
    sample: BTreeMap<u64, f64>,
}

impl Histogram {
    pub(crate) fn new(time: &Arc<dyn Time>) -> Self {
        Self {
            time: Arc::clone(time),
            start: time.now(),
            state: Mutex::default(),
        }
    }

    /// Adds a value.
    pub(crate) fn update(&self, value: f64) {
        let age = self.time.now().saturating_duration_since(self.start);
        // Java divides the weight exp(alpha * age) by a random number in (0, 1].
        let priority = ALPHA * age.as_secs_f64() - (1.0 - fastrand::f64()).ln();
        let mut state = self.state.lock();
        state.count += 1;
        state.sum += value;
        state.min = if state.count == 1 {
            value
        } else {
            state.min.min(value)
        };
        state.max = if state.count == 1 {
            value
        } else {
            state.max.max(value)
        };
        let difference = value - state.mean;
        state.mean += difference / state.count as f64;
        state.squares += difference * (value - state.mean);
        state.sample.insert(priority.to_bits(), value);
        if state.sample.len() > SAMPLE_SIZE {
            state.sample.pop_first();
        }
    }

    /// Returns an attribute: the count, minimum, maximum, mean and standard deviation of all
    /// values, and the percentiles. Without values each is 0.
    pub(crate) fn attribute(&self, index: usize) -> f64 {
        let state = self.state.lock();
        let count = state.count as f64;
        match index {
            _ if state.count == 0 => 0.0,
            0 => count,
            1 => state.min,
            2 => state.max,
            3 => state.sum / count,
            4 if state.count == 1 => 0.0,
            4 => (state.squares / (count - 1.0)).sqrt(),
            _ => {
                let percentile = PERCENTILES.get(index - 5).copied();
                percentile.map_or(f64::NAN, |tenths| state.percentile(tenths))
            }
        }
    }
}

impl State {
    /// Interpolates between neighbouring values. Java: `Snapshot.getValue`.
    fn percentile(&self, tenths: usize) -> f64 {
        let mut values: Vec<_> = self.sample.values().copied().collect();
        values.sort_by(f64::total_cmp);
        // The values are numbered from 1. Numbers outside of the range mean the first and the last
        // one.
        let value = |number: usize| {
            let index = number.clamp(1, values.len()) - 1;
            values.get(index).copied().unwrap_or(f64::NAN)
        };
        let position = tenths * (values.len() + 1);
        let (number, fraction) = (position / 1000, (position % 1000) as f64 / 1000.0);
        value(number) + fraction * (value(number + 1) - value(number))
    }
}

/// The distribution and the rate of durations, in milliseconds.
#[derive(Debug)]
pub(crate) struct Timer {
    meter: Meter,
    histogram: Histogram,
}

impl Timer {
    pub(crate) fn new(time: &Arc<dyn Time>) -> Self {
        Self {
            meter: Meter::new(time),
            histogram: Histogram::new(time),
        }
    }

    /// Adds a duration.
    pub(crate) fn update(&self, duration: Duration) {
        self.meter.mark(1);
        self.histogram.update(millis(duration));
    }

    /// Returns an attribute: those of a meter, followed by those of a histogram without its count.
    pub(crate) fn attribute(&self, index: usize, now: Instant) -> f64 {
        match index {
            0..5 => self.meter.attribute(index, now),
            _ => self.histogram.attribute(index - 4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::utils::MockTime;

    fn attributes(histogram: &Histogram) -> Vec<f64> {
        (0..11).map(|index| histogram.attribute(index)).collect()
    }

    // Java: Yammer's HistogramTest, SnapshotTest.
    #[test]
    fn percentiles_interpolate_as_yammers_do() {
        let time: Arc<dyn Time> = Arc::new(MockTime::new());
        let histogram = Histogram::new(&time);
        assert_eq!(attributes(&histogram), [0.0; 11]);
        histogram.update(7.0);
        let one = [1.0, 7.0, 7.0, 7.0, 0.0, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0];
        assert_eq!(attributes(&histogram), one);

        let histogram = Histogram::new(&time);
        for value in [5, 1, 2, 3, 4] {
            histogram.update(f64::from(value));
        }
        let found = attributes(&histogram);
        assert_eq!(found[..4], [5.0, 1.0, 5.0, 3.0]);
        assert!((found[4] - 2.5f64.sqrt()).abs() < 1e-9, "{found:?}");
        assert_eq!(found[5..], [3.0, 4.5, 5.0, 5.0, 5.0, 5.0]);
    }

    #[test]
    fn a_sample_is_bounded_and_prefers_new_values() {
        let clock = MockTime::new();
        let time: Arc<dyn Time> = Arc::new(clock.clone());
        let histogram = Histogram::new(&time);
        for _ in 0..5000 {
            histogram.update(1.0);
        }
        assert_eq!(histogram.attribute(5), 1.0);
        clock.advance(Duration::from_secs(3600));
        for _ in 0..2000 {
            histogram.update(9.0);
        }
        assert_eq!(histogram.state.lock().sample.len(), SAMPLE_SIZE);
        // After an hour, the probability that an old value outranks a new one is e^-54.
        assert_eq!(histogram.attribute(5), 9.0);
        assert_eq!(
            (histogram.attribute(0), histogram.attribute(1)),
            (7000.0, 1.0)
        );
    }

    #[test]
    fn a_timer_is_a_meter_and_a_histogram_in_milliseconds() {
        let clock = MockTime::new();
        let time: Arc<dyn Time> = Arc::new(clock.clone());
        let timer = Timer::new(&time);
        timer.update(Duration::from_millis(2));
        timer.update(Duration::from_micros(4500));
        clock.advance_ms(5000);
        let read = |index| timer.attribute(index, clock.now());
        assert_eq!([read(0), read(1), read(2)], [2.0, 0.4, 0.4]);
        assert_eq!([read(5), read(6), read(7)], [2.0, 4.5, 3.25]);
        assert_eq!(read(9), 3.25);
    }
}
