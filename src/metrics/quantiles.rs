//! A histogram of times, for quantiles. Java: no counterpart in the producer, which does not use
//! `Percentiles`.
//!
//! There are [`SUB_BUCKETS`] buckets for each doubling, so that a quantile is at most 1/32 (3.1 %) above the true value, and
//! never below it.

/// Buckets per doubling.
const SUB_BUCKETS: usize = 32;
/// The bits of a float's mantissa below those that choose among the buckets of a doubling.
const SHIFT: u32 = (f64::MANTISSA_DIGITS - 1) - SUB_BUCKETS.trailing_zeros();
/// Smaller times count as this one: 2^-9 ms are 2 us.
const SMALLEST: f64 = 1.0 / 512.0;
/// Larger times count as less than this one: 2^27 ms are 37 hours.
const LIMIT: f64 = 134_217_728.0;
/// The last one below the limit.
const LARGEST: f64 = f64::from_bits(LIMIT.to_bits() - 1);
const DOUBLINGS: usize = 36;
const BUCKETS: usize = DOUBLINGS * SUB_BUCKETS;

/// How many values fell into each bucket: 4.6 KB once a value was recorded, nothing before.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    counts: Box<[u32]>,
}

/// The bucket of a time in milliseconds.
///
/// The bits of a float are its exponent and then its mantissa, so that their upper part counts these buckets by itself.
#[inline]
fn bucket_of(millis: f64) -> usize {
    // Each of these is one instruction, and a NaN becomes the smallest.
    let millis = if millis > SMALLEST { millis } else { SMALLEST };
    let millis = if millis < LARGEST { millis } else { LARGEST };
    ((millis.to_bits() - SMALLEST.to_bits()) >> SHIFT) as usize
}

/// The time in milliseconds that the values of a bucket are below.
fn upper_bound(bucket: usize) -> f64 {
    f64::from_bits(SMALLEST.to_bits() + ((bucket as u64 + 1) << SHIFT))
}

impl Histogram {
    /// Counts `weight` values of so many milliseconds.
    #[inline]
    pub(super) fn record(&mut self, millis: f64, weight: u32) {
        match self.counts.get_mut(bucket_of(millis)) {
            Some(count) => *count = count.saturating_add(weight),
            None => self.begin(millis, weight),
        }
    }

    /// Records the first value.
    #[cold]
    #[inline(never)]
    fn begin(&mut self, millis: f64, weight: u32) {
        self.counts = vec![0; BUCKETS].into_boxed_slice();
        if let Some(count) = self.counts.get_mut(bucket_of(millis)) {
            *count = weight;
        }
    }

    pub(super) fn clear(&mut self) {
        self.counts.fill(0);
    }
}

/// Returns the time in milliseconds that the fraction `quantile` of all values does not exceed, or
/// NaN if there are no values.
pub(super) fn quantile<'a>(
    histograms: impl Iterator<Item = &'a Histogram> + Clone,
    quantile: f64,
) -> f64 {
    let total: u64 = histograms
        .clone()
        .flat_map(|histogram| histogram.counts.iter())
        .map(|count| u64::from(*count))
        .sum();
    if total == 0 {
        return f64::NAN;
    }
    let wanted = (total as f64 * quantile).ceil().max(1.0);
    let mut seen = 0;
    for bucket in 0..BUCKETS {
        let counts = histograms.clone();
        let counts = counts.filter_map(|histogram| histogram.counts.get(bucket));
        seen += counts.map(|count| u64::from(*count)).sum::<u64>();
        if seen as f64 >= wanted {
            return upper_bound(bucket);
        }
    }
    f64::NAN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_bucket_that_is_at_most_a_thirty_second_wide() {
        let mut values: Vec<f64> = (1..2_000).map(|micros| f64::from(micros) * 0.002).collect();
        values.extend((-8..27).flat_map(|bits| {
            let power = 2.0_f64.powi(bits);
            [power.next_down(), power, power.next_up(), power * 1.3]
        }));
        values.extend([SMALLEST, LARGEST]);
        for value in values {
            let bucket = bucket_of(value);
            assert!(bucket < BUCKETS, "{value}");
            let upper = upper_bound(bucket);
            assert!(
                value < upper && upper - value <= value / 32.0,
                "{value} {upper}"
            );
            assert!(bucket == 0 || upper_bound(bucket - 1) <= value, "{value}");
        }
        assert_eq!(bucket_of(SMALLEST), 0);
        assert_eq!(bucket_of(LARGEST), BUCKETS - 1);
        assert_eq!(upper_bound(BUCKETS - 1), LIMIT);
    }

    #[test]
    fn quantiles_of_known_values_are_near_them() {
        let mut histogram = Histogram::default();
        for millis in 1..=1000 {
            histogram.record(f64::from(millis), 1);
        }
        for (part, millis) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let found = quantile([&histogram].into_iter(), part);
            assert!(millis <= found && found <= millis * 1.032, "{part} {found}");
        }
        let mut other = Histogram::default();
        other.record(5_000.0, 1_000);
        let both = [&histogram, &other];
        let found = quantile(both.into_iter(), 0.75);
        assert!((5_000.0..5_160.0).contains(&found), "{found}");
        histogram.clear();
        assert!(quantile([&histogram].into_iter(), 0.5).is_nan());
    }

    #[test]
    fn impossible_times_are_counted_at_the_ends() {
        let mut histogram = Histogram::default();
        histogram.record(-5.0, 1);
        histogram.record(f64::NAN, 1);
        assert!(quantile([&histogram].into_iter(), 1.0) < 0.003);
        histogram.record(f64::INFINITY, u32::MAX);
        histogram.record(f64::INFINITY, u32::MAX);
        assert_eq!(quantile([&histogram].into_iter(), 0.5), LIMIT);
    }
}
