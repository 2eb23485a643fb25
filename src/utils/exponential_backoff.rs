//! Growing waits between attempts. Java: `ExponentialBackoff`; KIP-580, KIP-601.

use std::time::Duration;

use super::millis;

const EXP_BASE: u32 = 2;
const JITTER: f64 = 0.2;

/// Doubles from an initial wait up to a maximum. Each wait has a jitter of up to 20 %, so that
/// clients that failed together do not retry together. With `initial >= max` every wait is `max`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExponentialBackoff {
    initial_ms: f64,
    max_ms: f64,
    /// The number of attempts after which the wait would exceed the maximum; 0 makes it constant.
    max_exponent: f64,
}

impl ExponentialBackoff {
    pub(crate) fn new(initial: Duration, max: Duration) -> Self {
        let max_ms = millis(max);
        let initial_ms = millis(initial).min(max_ms);
        let max_exponent = if max_ms > initial_ms {
            (max_ms / initial_ms.max(1.0)).log(f64::from(EXP_BASE))
        } else {
            0.0
        };
        Self {
            initial_ms,
            max_ms,
            max_exponent,
        }
    }

    /// Returns the wait after `attempts` earlier waits. Draws the jitter anew in each call, and
    /// limits the wait to the maximum.
    pub(crate) fn backoff(&self, attempts: u32) -> Duration {
        if self.max_exponent == 0.0 {
            return Duration::from_secs_f64(self.initial_ms / 1000.0);
        }
        let exponent = f64::from(attempts).min(self.max_exponent);
        let term = self.initial_ms * f64::from(EXP_BASE).powf(exponent);
        let factor = 1.0 - JITTER + fastrand::f64() * 2.0 * JITTER;
        Duration::from_secs_f64((term * factor).floor().min(self.max_ms) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    // Java: ExponentialBackoffTest.testExponentialBackoff.
    #[test]
    fn a_backoff_doubles_with_jitter_up_to_the_maximum() {
        let backoff = ExponentialBackoff::new(ms(100), ms(2000));
        for attempts in 0..=100 {
            let center = (100.0 * f64::from(2u32.pow(attempts.min(10)))).min(2000.0);
            let wait = millis(backoff.backoff(attempts));
            assert!(
                wait >= (center * 0.8).floor() && wait <= (center * 1.2).min(2000.0),
                "{attempts}: {wait}"
            );
        }
    }

    // Java: ExponentialBackoffTest.testExponentialBackoffWithoutJitter, and an initial wait above the maximum.
    #[test]
    fn is_constant_when_the_maximum_is_not_above_the_initial_wait() {
        let backoff = ExponentialBackoff::new(ms(500), ms(400));
        assert!((0..20).all(|attempts| backoff.backoff(attempts) == ms(400)));
        let backoff = ExponentialBackoff::new(ms(50), ms(50));
        assert!((0..20).all(|attempts| backoff.backoff(attempts) == ms(50)));
    }

    #[test]
    fn zero_means_no_wait_at_first() {
        assert_eq!(ExponentialBackoff::new(ms(0), ms(0)).backoff(3), ms(0));
        assert_eq!(ExponentialBackoff::new(ms(0), ms(1000)).backoff(0), ms(0));
    }
}
