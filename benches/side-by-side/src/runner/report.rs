//! The report: a table of medians for each scenario, on stdout and as Markdown.

use std::fmt::Write;
use std::fs;

use super::clients::ClientUnderTest;
use super::process::{Figures, TOOK_TOO_LONG};
use super::scenarios::{Mode, Scenario};
use crate::Failure;

/// The rounds of one client in one scenario.
pub(super) struct Row {
    client: &'static ClientUnderTest,
    /// With their numbers: a round that does not count is missing.
    pub(super) rounds: Vec<(u64, Figures)>,
    pub(super) failures: Vec<String>,
}

impl Row {
    pub(super) fn new(client: &'static ClientUnderTest) -> Self {
        Self {
            client,
            rounds: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Whether it is ours or a rival's.
    pub(super) fn is_ours_or_a_rivals(&self) -> bool {
        !self.client.is_floor() && !self.client.is_variant()
    }

    pub(super) fn is_of(&self, client: &ClientUnderTest) -> bool {
        self.client.name == client.name
    }

    pub(super) fn took_too_long(&self) -> bool {
        self.failures.iter().any(|why| why == TOOK_TOO_LONG)
    }

    /// The client's name, and its median, which is no number if no round counts.
    pub(super) fn records_per_second(&self) -> (&'static str, f64) {
        (self.client.name, self.median(records_per_second))
    }

    fn median(&self, figure: impl Fn(&Figures) -> f64) -> f64 {
        median(self.rounds.iter().map(|(_, round)| figure(round)).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

fn records_per_second(figures: &Figures) -> f64 {
    figures.number("records") / (figures.number("elapsed_ns") / 1e9)
}

fn cpu_ns(figures: &Figures) -> f64 {
    1e3 * (figures.number("user_us") + figures.number("sys_us")) / figures.number("records")
}

/// The share of one core.
fn cpu_share(figures: &Figures) -> f64 {
    1e3 * (figures.number("user_us") + figures.number("sys_us")) / figures.number("elapsed_ns")
}

/// The text so far.
pub(super) struct Report {
    text: String,
}

impl Report {
    pub(super) fn begin(rounds: u64, duration_ms: u64, check: bool) -> Result<Self, Failure> {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cpus = read("/proc/cpuinfo");
        let model = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .map_or("an unknown CPU", |rest| {
                rest.trim_start_matches([' ', '\t', ':'])
            });
        let load = read("/proc/loadavg");
        let load = load.split(' ').next().unwrap_or_default();
        let mut text = String::from("# Producers side by side\n\n");
        writeln!(
            text,
            "Written by `cargo run --profile bench -p kafka-producer-side-by-side --features rivals`; see [its main.rs](src/main.rs).\n"
        )?;
        writeln!(
            text,
            "- Machine: {model}, {} cores, Linux {}; load {load} when the run began. The sink has the same cores.",
            std::thread::available_parallelism()?,
            read("/proc/sys/kernel/osrelease").trim()
        )?;
        writeln!(
            text,
            "- Medians of {rounds} interleaved rounds of {duration_ms} ms; each client in a process of its own, warmed up before. All: `acks=all`, idempotent, no compression unless named, values of text. The clients in Rust are built with fat LTO."
        )?;
        writeln!(
            text,
            "- CPU is that of the client's process, user + system, per record. Switches are voluntary / involuntary, per 1000 records. RSS is the peak. Batch is records per batch."
        )?;
        writeln!(
            text,
            "- An open loop sends each record when it is due, whatever became of earlier ones, and counts its latency from then to its callback."
        )?;
        writeln!(
            text,
            "- Ratios are ours against the best rival of that column: the median over the rounds of the ratio within a round.{}",
            if check {
                " The sink checked checksums and sequences."
            } else {
                ""
            }
        )?;
        print!("{text}");
        Ok(Self { text })
    }

    fn line(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub(super) fn missing(&mut self, client: &ClientUnderTest, why: &str) {
        self.line(&format!(
            "- Left out: {} ({}): {why}",
            client.name, client.version
        ));
    }

    pub(super) fn clients<'a>(&mut self, clients: impl Iterator<Item = &'a ClientUnderTest>) {
        for client in clients {
            let (name, version, defaults) = (client.name, client.version, client.defaults);
            self.line(&format!("- {name}: {version}; defaults: {defaults}"));
        }
    }

    pub(super) fn scenario(&mut self, scenario: &Scenario, rows: &[Row]) {
        self.line(&format!("\n## {}\n", scenario.name));
        self.line(&format!("{}: {}.\n", scenario.about, scenario.settings()));
        match scenario.mode {
            Mode::Idle | Mode::Stalled => self.waiting(rows),
            Mode::OpenLoop => self.open_loop(rows),
            mode => self.sending(mode, rows),
        }
        for row in rows {
            if let Some(failure) = row.failures.first() {
                let (count, name) = (row.failures.len(), row.client.name);
                self.line(&format!(
                    "\n{name}: {count} round(s) do not count: {failure}"
                ));
            }
        }
        match scenario.mode {
            Mode::Idle | Mode::Stalled => {}
            Mode::Blocking => {
                self.ratio(rows, "rec/s", records_per_second, f64::max);
                self.ratio(rows, "p50", |figures| figures.number("p50_ns"), f64::min);
                self.ratio(rows, "p99", |figures| figures.number("p99_ns"), f64::min);
            }
            Mode::OpenLoop => {
                self.ratio(rows, "p50", |figures| figures.number("p50_ns"), f64::min);
                self.ratio(rows, "p99", |figures| figures.number("p99_ns"), f64::min);
                self.ratio(rows, "p99.9", |figures| figures.number("p999_ns"), f64::min);
            }
            Mode::Callback | Mode::Future => {
                self.ratio(rows, "rec/s", records_per_second, f64::max);
                self.ratio(rows, "CPU", cpu_ns, f64::min);
            }
        }
    }

    fn sending(&mut self, mode: Mode, rows: &[Row]) {
        let (mut head, mut rule) = (
            "| client | rec/s | CPU ns | user | sys | switches | RSS MB | batch |".to_owned(),
            "|---|--:|--:|--:|--:|--:|--:|--:|".to_owned(),
        );
        if mode == Mode::Blocking {
            head.push_str(" p50 us | p99 us | p99.9 us |");
            rule.push_str("--:|--:|--:|");
        }
        self.line(&head);
        self.line(&rule);
        for row in rows.iter().filter(|row| !row.rounds.is_empty()) {
            let per_record = |name: &'static str, unit: f64| {
                row.median(|figures| unit * figures.number(name) / figures.number("records"))
            };
            let mut line = format!(
                "| {} | {} | {:.0} | {:.0} | {:.0} | {:.1} / {:.1} | {:.0} | {:.0} |",
                row.client.name,
                short(row.median(records_per_second)),
                row.median(cpu_ns),
                per_record("user_us", 1e3),
                per_record("sys_us", 1e3),
                per_record("voluntary", 1e3),
                per_record("involuntary", 1e3),
                row.median(|figures| figures.number("rss_kb") / 1024.0),
                row.median(|figures| figures.number("records_per_batch")),
            );
            if mode == Mode::Blocking {
                for name in ["p50_ns", "p99_ns", "p999_ns"] {
                    let latency = row.median(|figures| figures.number(name) / 1e3);
                    line.push_str(&format!(" {latency:.0} |"));
                }
            }
            self.line(&line);
        }
    }

    /// Without CPU, most of which the driver takes while nothing is due.
    fn open_loop(&mut self, rows: &[Row]) {
        self.line(
            "| client | rec/s | RSS MB | batch | batches a request | p50 us | p99 us | p99.9 us |",
        );
        self.line("|---|--:|--:|--:|--:|--:|--:|--:|");
        for row in rows.iter().filter(|row| !row.rounds.is_empty()) {
            let figure = |name, unit| row.median(|figures| figures.number(name) / unit);
            self.line(&format!(
                "| {} | {} | {:.0} | {:.0} | {:.1} | {:.0} | {:.0} | {:.0} |",
                row.client.name,
                short(row.median(records_per_second)),
                figure("rss_kb", 1024.0),
                figure("records_per_batch", 1.0),
                figure("batches_per_request", 1.0),
                figure("p50_ns", 1e3),
                figure("p99_ns", 1e3),
                figure("p999_ns", 1e3),
            ));
        }
    }

    fn waiting(&mut self, rows: &[Row]) {
        self.line("| client | CPU, % of a core | switches a second | RSS MB |");
        self.line("|---|--:|--:|--:|");
        for row in rows.iter().filter(|row| !row.rounds.is_empty()) {
            let switches = |figures: &Figures| {
                let count = figures.number("voluntary") + figures.number("involuntary");
                count / (figures.number("elapsed_ns") / 1e9)
            };
            self.line(&format!(
                "| {} | {:.2} | {:.0} | {:.0} |",
                row.client.name,
                100.0 * row.median(cpu_share),
                row.median(switches),
                row.median(|figures| figures.number("rss_kb") / 1024.0),
            ));
        }
    }

    /// Ours against the rival whose median is the best, and against the floor.
    fn ratio(
        &mut self,
        rows: &[Row],
        column: &str,
        figure: impl Fn(&Figures) -> f64 + Copy,
        better: fn(f64, f64) -> f64,
    ) {
        let Some(ours) = rows.iter().find(|row| row.client.name == "ours") else {
            return;
        };
        let rivals = rows
            .iter()
            .filter(|row| row.is_ours_or_a_rivals() && !row.is_of(ours.client))
            .filter(|row| !row.rounds.is_empty());
        let best = rivals.reduce(|best, row| {
            let (a, b) = (best.median(figure), row.median(figure));
            if better(a, b) == b { row } else { best }
        });
        let against = |row: &Row| {
            let ratios = ours.rounds.iter().filter_map(|(round, ours)| {
                let (_, other) = row.rounds.iter().find(|(other, _)| other == round)?;
                Some(figure(ours) / figure(other))
            });
            median(ratios.collect())
        };
        let mut words = Vec::new();
        if let Some(best) = best {
            words.push(format!("{:.2} x {}'s", against(best), best.client.name));
        }
        if let Some(floor) = rows.iter().find(|row| row.client.is_floor()) {
            words.push(format!("{:.2} x the floor's", against(floor)));
        }
        if let Some(variant) = rows.iter().find(|row| row.client.is_variant()) {
            words.push(format!(
                "{:.2} x {}'s",
                against(variant),
                variant.client.name
            ));
        }
        if !words.is_empty() && !ours.rounds.is_empty() {
            self.line(&format!("\nOurs, {column}: {}.", words.join(", ")));
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// Three figures.
fn short(number: f64) -> String {
    match number {
        ..1e3 => format!("{number:.0}"),
        ..1e6 => format!("{:.1} k", number / 1e3),
        _ => format!("{:.2} M", number / 1e6),
    }
}
