//! A histogram for quantiles of times. Java: no counterpart in the producer (`Percentiles` is not used there).
//!
//! Buckets are linear up to [`SUB_BUCKETS`] microseconds and then [`SUB_BUCKETS`] for each doubling, so that a quantile is at
//! most 1/32 (3.1 %) above the true value, and never below it.

/// Buckets per doubling.
const SUB_BUCKETS: u64 = 32;
const SUB_BUCKET_BITS: u32 = SUB_BUCKETS.trailing_zeros();
/// Larger values count as this one: 2^38 microseconds are three days.
const LARGEST: u64 = (1 << 38) - 1;
const BUCKETS: usize = bucket_of(LARGEST) + 1;

/// How many values fell into each bucket: 4.4 KB once a value was recorded, nothing before.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    counts: Vec<u32>,
}

/// The bucket of a value in microseconds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a bucket's number is below 2,000"
)]
const fn bucket_of(micros: u64) -> usize {
    if micros < SUB_BUCKETS {
        return micros as usize;
    }
    let shift = micros.ilog2() - SUB_BUCKET_BITS;
    let octave = (shift as u64 + 1) * SUB_BUCKETS;
    (octave + (micros >> shift) - SUB_BUCKETS) as usize
}

/// The largest value of a bucket, in microseconds.
fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB_BUCKETS {
        return bucket;
    }
    let shift = bucket / SUB_BUCKETS - 1;
    let sub_bucket = bucket % SUB_BUCKETS + SUB_BUCKETS;
    ((sub_bucket + 1) << shift) - 1
}

impl Histogram {
    /// Counts `weight` values of so many milliseconds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from a float saturates, and negative times count as 0"
    )]
    pub(super) fn record(&mut self, millis: f64, weight: u32) {
        if self.counts.is_empty() {
            self.counts.resize(BUCKETS, 0);
        }
        let micros = ((millis * 1000.0) as u64).min(LARGEST);
        if let Some(count) = self.counts.get_mut(bucket_of(micros)) {
            *count = count.saturating_add(weight);
        }
    }

    pub(super) fn clear(&mut self) {
        self.counts.fill(0);
    }
}

/// Returns the value in milliseconds that a part `quantile` of all values does not exceed; NaN if there is none.
pub(super) fn quantile<'a>(
    histograms: impl Iterator<Item = &'a Histogram> + Clone,
    quantile: f64,
) -> f64 {
    let total: u64 = histograms
        .clone()
        .flat_map(|histogram| &histogram.counts)
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
            return upper_bound(bucket) as f64 / 1000.0;
        }
    }
    f64::NAN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_bucket_that_is_at_most_a_thirty_second_wide() {
        let mut values: Vec<u64> = (0..2_000).collect();
        values.extend((11..38).flat_map(|bits| {
            let power = 1_u64 << bits;
            [power - 1, power, power + 1, power + power / 3]
        }));
        values.push(LARGEST);
        for value in values {
            let bucket = bucket_of(value);
            assert!(bucket < BUCKETS, "{value}");
            let upper = upper_bound(bucket);
            assert!(value <= upper, "{value} {upper}");
            assert!(
                (upper - value) as f64 <= value as f64 / 32.0,
                "{value} {upper}"
            );
            assert!(bucket == 0 || upper_bound(bucket - 1) < value, "{value}");
        }
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
        assert!(quantile([&histogram].into_iter(), 1.0) < 0.001);
        histogram.record(f64::INFINITY, u32::MAX);
        histogram.record(f64::INFINITY, u32::MAX);
        assert!(quantile([&histogram].into_iter(), 0.5) > 2.0e8);
    }
}
