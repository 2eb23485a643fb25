//! The output: one line per interval while records are delivered, and one or two lines of totals.

use std::fmt::Write;
use std::time::{Duration, Instant};

/// How many latencies are kept for the percentiles.
const SAMPLES: u64 = 500_000;

/// Counts all delivered records, and those after the warm-up. After the warm-up the lines show the
/// latter.
pub(crate) struct Stats {
    all: Series,
    steady: Option<Series>,
    reporting_interval: Duration,
    failed: u64,
}

/// A record that was sent and has no result yet.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) bytes: usize,
    /// Whether it was sent after the warm-up.
    pub(crate) is_steady: bool,
}

/// What was delivered since `start`, and since the last line.
struct Series {
    totals: Totals,
    window: Window,
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
    pub(crate) fn new(start: Instant, records: u64, reporting_interval: Duration) -> Self {
        Self {
            all: Series::new(start, records),
            steady: None,
            reporting_interval,
            failed: 0,
        }
    }

    /// Ends the warm-up. `records` are sent after it.
    pub(crate) fn begin_steady_state(&mut self, now: Instant, records: u64) {
        self.steady = Some(Series::new(now, records));
    }

    /// Counts the result of a record.
    pub(crate) fn record(
        &mut self,
        sent: &Sent,
        now: Instant,
        is_delivered: bool,
        print: &impl Fn(&str),
    ) {
        if !is_delivered {
            self.failed += 1;
            return;
        }
        let line = self.all.add(sent, now, self.reporting_interval);
        match &mut self.steady {
            None => line.iter().for_each(|line| print(line)),
            Some(steady) if sent.is_steady => {
                let is_first_line = steady.window.count == steady.totals.count;
                if let Some(line) = steady.add(sent, now, self.reporting_interval) {
                    if is_first_line {
                        print("In steady state.");
                    }
                    print(&line);
                }
            }
            Some(_) => {}
        }
    }

    pub(crate) fn print_totals(&self, now: Instant, print: &impl Fn(&str)) {
        print(&self.all.totals.line(now, ""));
        if let Some(steady) = &self.steady {
            print(&steady.totals.line(now, " steady state"));
        }
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }
}

impl Series {
    fn new(start: Instant, records: u64) -> Self {
        Self {
            totals: Totals::new(start, records),
            window: Window::new(start),
        }
    }

    /// Returns the next line if it is due.
    fn add(&mut self, sent: &Sent, now: Instant, reporting_interval: Duration) -> Option<String> {
        let latency = now - sent.at;
        self.totals.add(sent.bytes, latency);
        let window = &mut self.window;
        window.count += 1;
        window.bytes += sent.bytes as u64;
        window.latency += latency;
        window.longest = window.longest.max(latency);
        if now - window.start < reporting_interval {
            return None;
        }
        let line = window.line(now);
        self.window = Window::new(now);
        Some(line)
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
