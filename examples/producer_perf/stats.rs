//! The lines: one for each interval while records are delivered, and one or two of totals.

use std::fmt::Write;
use std::time::{Duration, Instant};

/// How many latencies are kept for the percentiles.
const SAMPLES: u64 = 500_000;

/// What was delivered, since the start, since the warm-up and since the last line.
pub(crate) struct Stats {
    all: Totals,
    steady: Option<Totals>,
    /// Records until the steady state begins.
    warmup_left: u64,
    window: Window,
    reporting_interval: Duration,
    records: u64,
    failed: u64,
}

/// Counts, and a sample of the latencies.
struct Totals {
    start: Instant,
    count: u64,
    bytes: u64,
    latency: Duration,
    longest: Duration,
    every: u64,
    samples: Vec<Duration>,
}

struct Window {
    start: Instant,
    count: u64,
    bytes: u64,
    latency: Duration,
    longest: Duration,
}

impl Window {
    fn new(start: Instant) -> Self {
        Self {
            start,
            count: 0,
            bytes: 0,
            latency: Duration::ZERO,
            longest: Duration::ZERO,
        }
    }
}

impl Stats {
    pub(crate) fn new(
        start: Instant,
        records: u64,
        warmup_records: u64,
        reporting_interval: Duration,
    ) -> Self {
        Self {
            all: Totals::new(start, records),
            steady: None,
            warmup_left: warmup_records,
            window: Window::new(start),
            reporting_interval,
            records: records - warmup_records,
            failed: 0,
        }
    }

    /// A record has its result: how many bytes were delivered, or that none were.
    pub(crate) fn record(
        &mut self,
        sent: Instant,
        now: Instant,
        delivered: Option<usize>,
        print: &impl Fn(&str),
    ) {
        let Some(bytes) = delivered else {
            self.failed += 1;
            return;
        };
        let latency = now - sent;
        self.all.add(bytes, latency);
        if let Some(steady) = &mut self.steady {
            steady.add(bytes, latency);
        }
        self.window.count += 1;
        self.window.bytes += bytes as u64;
        self.window.latency += latency;
        self.window.longest = self.window.longest.max(latency);
        if now - self.window.start >= self.reporting_interval {
            print(&self.window.line(now));
            self.window = Window::new(now);
        }
        if self.warmup_left > 0 {
            self.warmup_left -= 1;
            if self.warmup_left == 0 {
                print("In steady state.");
                self.steady = Some(Totals::new(now, self.records));
            }
        }
    }

    pub(crate) fn print_totals(&self, now: Instant, print: &impl Fn(&str)) {
        print(&self.all.line(now, ""));
        if let Some(steady) = &self.steady {
            print(&steady.line(now, " steady state"));
        }
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }
}

impl Window {
    fn line(&self, now: Instant) -> String {
        let seconds = (now - self.start).as_secs_f64();
        format!(
            "{} records sent, {:.1} records/sec ({:.2} MB/sec), {:.1} ms avg latency, {:.1} ms max latency.",
            self.count,
            self.count as f64 / seconds,
            megabytes(self.bytes) / seconds,
            average_ms(self.latency, self.count),
            ms(self.longest)
        )
    }
}

impl Totals {
    fn new(start: Instant, records: u64) -> Self {
        Self {
            start,
            count: 0,
            bytes: 0,
            latency: Duration::ZERO,
            longest: Duration::ZERO,
            every: records.div_ceil(SAMPLES).max(1),
            samples: Vec::new(),
        }
    }

    fn add(&mut self, bytes: usize, latency: Duration) {
        if self.count % self.every == 0 {
            self.samples.push(latency);
        }
        self.count += 1;
        self.bytes += bytes as u64;
        self.latency += latency;
        self.longest = self.longest.max(latency);
    }

    fn line(&self, now: Instant, state: &str) -> String {
        let seconds = (now - self.start).as_secs_f64().max(f64::MIN_POSITIVE);
        let mut line = format!(
            "{}{state} records sent, {:.6} records/sec ({:.2} MB/sec), {:.2} ms avg latency, {:.2} ms max latency",
            self.count,
            self.count as f64 / seconds,
            megabytes(self.bytes) / seconds,
            average_ms(self.latency, self.count),
            ms(self.longest)
        );
        let mut samples = self.samples.clone();
        samples.sort_unstable();
        for (name, per_mille) in [("50th", 500), ("95th", 950), ("99th", 990), ("99.9th", 999)] {
            let sample = samples.get(samples.len() * per_mille / 1_000);
            let latency = sample.map_or(0, Duration::as_millis);
            // Writing to a String cannot fail.
            _ = write!(line, ", {latency} ms {name}");
        }
        line.push('.');
        line
    }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn average_ms(sum: Duration, count: u64) -> f64 {
    if count == 0 {
        0.0
    } else {
        ms(sum) / count as f64
    }
}
