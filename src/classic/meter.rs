//! Counts and their rates. Java: Yammer's `Meter` and `EWMA`, which Kafka 0.8 used.
//!
//! Differs from Java: no thread ticks every five seconds. A meter makes up for missed ticks when it
//! is marked or read, which gives the same numbers.
//!
//! Locks: one in each meter, held for one mark or one read.

use std::time::{Duration, Instant};

use crate::sync::{Arc, Mutex};
use crate::utils::Time;

/// The interval between two updates of the averages.
const TICK: Duration = Duration::from_secs(5);
/// The periods of the averages.
const MINUTES: [f64; 3] = [1.0, 5.0, 15.0];

/// Counts events, and averages their rate over the last 1, 5 and 15 minutes.
#[derive(Debug)]
pub(crate) struct Meter {
    time: Arc<dyn Time>,
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    count: u64,
    /// The events since the last tick.
    uncounted: u64,
    last_tick: Instant,
    /// Events per second, for each of [`MINUTES`]; `None` before the first tick.
    averages: Option<[f64; 3]>,
}

impl Meter {
    pub(crate) fn new(time: &Arc<dyn Time>) -> Self {
        let now = time.now();
        Self {
            time: Arc::clone(time),
            start: now,
            state: Mutex::new(State {
                count: 0,
                uncounted: 0,
                last_tick: now,
                averages: None,
            }),
        }
    }

    /// Counts events.
    pub(crate) fn mark(&self, by: u64) {
        let mut state = self.state.lock();
        state.catch_up(self.time.now());
        state.count += by;
        state.uncounted += by;
    }

    pub(crate) fn count(&self) -> u64 {
        self.state.lock().count
    }

    /// Returns an attribute: the count, the rate since the start, and the averages.
    pub(crate) fn attribute(&self, index: usize, now: Instant) -> f64 {
        let mut state = self.state.lock();
        match index {
            0 => state.count as f64,
            1 => {
                let seconds = now.saturating_duration_since(self.start).as_secs_f64();
                match state.count {
                    0 => 0.0,
                    count => count as f64 / seconds,
                }
            }
            _ => {
                state.catch_up(now);
                let averages = state.averages.unwrap_or_default();
                averages.get(index - 2).copied().unwrap_or(f64::NAN)
            }
        }
    }
}

impl State {
    /// Makes up for the missed ticks. The first one takes the events since the last tick; the
    /// others take none.
    fn catch_up(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.last_tick);
        let ticks = u32::try_from(elapsed.as_secs() / TICK.as_secs()).unwrap_or(u32::MAX);
        if ticks == 0 {
            return;
        }
        self.last_tick += TICK * ticks;
        let rate = std::mem::take(&mut self.uncounted) as f64 / TICK.as_secs_f64();
        // The first rate is the average over the whole time before.
        let mut averages = self.averages.unwrap_or([rate; 3]);
        for (average, minutes) in averages.iter_mut().zip(MINUTES) {
            let kept = (-TICK.as_secs_f64() / (60.0 * minutes)).exp();
            *average = rate + (*average - rate) * kept;
            *average *= kept.powf(f64::from(ticks - 1));
        }
        self.averages = Some(averages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::utils::MockTime;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-6, "{value} {expected}");
    }

    // Java: Yammer's EWMATest: 3 events, one tick, and then a decay by the minute.
    #[test]
    fn averages_decay_as_yammers_do() {
        let clock = MockTime::new();
        let time: Arc<dyn Time> = Arc::new(clock.clone());
        let meter = Meter::new(&time);
        meter.mark(3);
        near(meter.attribute(2, clock.now()), 0.0);
        clock.advance_ms(5000);
        for index in 2..5 {
            near(meter.attribute(index, clock.now()), 0.6);
        }
        for (one, five, fifteen) in [
            (0.220_727_66, 0.491_238_45, 0.561_304_19),
            (0.081_201_17, 0.402_192_03, 0.525_104_25),
            (0.029_872_24, 0.329_286_98, 0.491_238_45),
        ] {
            clock.advance_ms(60_000);
            near(meter.attribute(2, clock.now()), one);
            near(meter.attribute(3, clock.now()), five);
            near(meter.attribute(4, clock.now()), fifteen);
        }
    }

    #[test]
    fn marks_between_ticks_count_for_the_next_one() {
        let clock = MockTime::new();
        let time: Arc<dyn Time> = Arc::new(clock.clone());
        let (often, seldom) = (Meter::new(&time), Meter::new(&time));
        for _ in 0..8 {
            often.mark(1);
            clock.advance_ms(1250);
            often.attribute(2, clock.now());
        }
        seldom.mark(4);
        // Two ticks have passed, with four events each; the other meter's events come after them.
        near(often.attribute(2, clock.now()), 0.8);
        near(seldom.attribute(2, clock.now()), 0.0);
        assert_eq!((often.count(), seldom.count()), (8, 4));
        near(often.attribute(0, clock.now()), 8.0);
        near(often.attribute(1, clock.now()), 0.8);
    }

    #[test]
    fn a_meter_without_events_is_zero() {
        let clock = MockTime::new();
        let time: Arc<dyn Time> = Arc::new(clock.clone());
        let meter = Meter::new(&time);
        for index in 0..5 {
            near(meter.attribute(index, clock.now()), 0.0);
        }
        clock.advance(Duration::from_secs(1_000_000));
        for index in 0..5 {
            near(meter.attribute(index, clock.now()), 0.0);
        }
    }
}
