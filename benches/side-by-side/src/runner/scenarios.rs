//! What is measured.

use crate::sink::CERTIFICATES;

/// A workload against a cluster.
#[derive(Clone)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) mode: Mode,
    pub(super) nodes: u32,
    pub(super) partitions: u32,
    pub(super) delay_ms: u64,
    pub(super) has_floor: bool,
    pub(super) tls: bool,
    threads: u32,
    size: u32,
    topics: u32,
    keys: u32,
    /// Records a second of an open loop.
    rate: u32,
    settings: Settings,
    linger_ms: Option<u32>,
    codec: &'static str,
}

/// As the drivers name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Callback,
    Future,
    Blocking,
    OpenLoop,
    Idle,
    Stalled,
}

/// Linger, batch size and buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settings {
    /// Each client's own.
    Defaults,
    /// Java's defaults for all: 5 ms, 16 KiB, 32 MiB.
    Java,
    /// 5 ms, 1 MiB, 64 MiB.
    Large,
}

impl Settings {
    fn values(self) -> Option<[(&'static str, u32); 3]> {
        let (linger_ms, batch_size, buffer_memory) = match self {
            Self::Defaults => return None,
            Self::Java => (5, 16_384, 32 << 20),
            Self::Large => (5, 1 << 20, 64 << 20),
        };
        Some([
            ("linger-ms", linger_ms),
            ("batch-size", batch_size),
            ("buffer-memory", buffer_memory),
        ])
    }
}

/// What the scenarios differ from.
const BASE: Scenario = Scenario {
    name: "",
    about: "",
    mode: Mode::Callback,
    nodes: 1,
    partitions: 16,
    delay_ms: 0,
    has_floor: false,
    tls: false,
    threads: 1,
    size: 100,
    topics: 1,
    keys: 0,
    rate: 0,
    settings: Settings::Defaults,
    linger_ms: None,
    codec: "none",
};

impl Scenario {
    /// What the drivers are told.
    pub(super) fn driver_arguments(&self) -> Vec<String> {
        let mode = match self.mode {
            Mode::Callback => "callback",
            Mode::Future => "future",
            Mode::Blocking => "blocking",
            Mode::OpenLoop => "open-loop",
            Mode::Idle => "idle",
            Mode::Stalled => "stalled",
        };
        let mut arguments = vec![
            ("mode", mode.to_owned()),
            ("threads", self.threads.to_string()),
            ("size", self.size.to_string()),
            ("topics", self.topics.to_string()),
            ("keys", self.keys.to_string()),
            ("codec", self.codec.to_owned()),
        ];
        for (name, value) in self.settings.values().into_iter().flatten() {
            arguments.push((name, value.to_string()));
        }
        if self.mode == Mode::OpenLoop {
            arguments.push(("rate", self.rate.to_string()));
        }
        if let Some(linger_ms) = self.linger_ms {
            arguments.push(("linger-ms", linger_ms.to_string()));
        }
        if self.tls {
            arguments.push(("tls-authority", format!("{CERTIFICATES}/ca.pem")));
        }
        arguments
            .into_iter()
            .flat_map(|(name, value)| [format!("--{name}"), value])
            .collect()
    }

    /// Whether every record that was sent reaches the sink.
    pub(super) fn is_delivered(&self) -> bool {
        self.mode != Mode::Stalled
    }

    /// The settings in words.
    pub(super) fn settings(&self) -> String {
        let mut words = match self.settings {
            Settings::Defaults => "own defaults".to_owned(),
            Settings::Java => "linger 5 ms, batches of 16 KiB, buffer of 32 MiB".to_owned(),
            Settings::Large => "linger 5 ms, batches of 1 MiB, buffer of 64 MiB".to_owned(),
        };
        if let Some(linger_ms) = self.linger_ms {
            words.push_str(&format!(", but linger {linger_ms} ms"));
        }
        words.push_str(&format!(
            "; {} B, {} thread(s), {} topic(s) of {} partition(s) on {} node(s)",
            self.size, self.threads, self.topics, self.partitions, self.nodes
        ));
        if self.mode == Mode::OpenLoop {
            words.push_str(&format!(", {} records a second", self.rate));
        }
        if self.keys > 0 {
            words.push_str(&format!(", {} keys", self.keys));
        }
        if self.codec != "none" {
            words.push_str(&format!(", {}", self.codec));
        }
        if self.tls {
            words.push_str(", TLS 1.3 with AES-256");
        }
        if self.delay_ms > 0 && self.is_delivered() {
            words.push_str(&format!(", answers after {} ms", self.delay_ms));
        }
        words
    }
}

/// All of them.
#[rustfmt::skip]
pub(super) fn scenarios() -> Vec<Scenario> {
    let throughput = [
        ("100b-defaults", "100 B, each client's defaults", 100, Settings::Defaults),
        ("100b-1mb", "100 B in batches of 1 MiB", 100, Settings::Large),
        ("1kb-defaults", "1 KB, each client's defaults", 1_000, Settings::Defaults),
        ("1kb-1mb", "1 KB in batches of 1 MiB", 1_000, Settings::Large),
        ("100b-same", "100 B, Java's settings for all", 100, Settings::Java),
        ("1kb-same", "1 KB, Java's settings for all", 1_000, Settings::Java),
        ("10b-defaults", "10 B, each client's defaults", 10, Settings::Defaults),
        ("10b-1mb", "10 B in batches of 1 MiB", 10, Settings::Large),
        ("10kb-defaults", "10 KB, each client's defaults", 10_000, Settings::Defaults),
        ("10kb-1mb", "10 KB in batches of 1 MiB", 10_000, Settings::Large),
    ];
    let mut all: Vec<_> = throughput
        .map(|(name, about, size, settings)| Scenario { name, about, size, settings, has_floor: true, ..BASE })
        .into();
    let tls = [
        ("tls-100b", "100 B over TLS, each client's defaults", 100, Settings::Defaults),
        ("tls-100b-1mb", "100 B over TLS in batches of 1 MiB", 100, Settings::Large),
        ("tls-1kb", "1 KB over TLS, each client's defaults", 1_000, Settings::Defaults),
        ("tls-1kb-1mb", "1 KB over TLS in batches of 1 MiB", 1_000, Settings::Large),
    ];
    all.extend(tls.map(|(name, about, size, settings)| Scenario { name, about, size, settings, tls: true, ..BASE }));
    let large = Scenario { settings: Settings::Large, ..BASE };
    let blocking = Scenario { mode: Mode::Blocking, ..BASE };
    let kilobyte = Scenario { size: 1_000, partitions: 1, ..BASE };
    let open_loops = [
        ("open-loop-20k", "open loop, 20,000 records a second", 20_000, None),
        ("open-loop-50k", "open loop, 50,000 records a second", 50_000, None),
        ("open-loop-200k", "open loop, 200,000 records a second", 200_000, None),
        ("open-loop-500k", "open loop, 500,000 records a second", 500_000, None),
        ("open-loop-20k-linger-0", "open loop, 20,000 records a second, without linger", 20_000, Some(0)),
        ("open-loop-50k-linger-0", "open loop, 50,000 records a second, without linger", 50_000, Some(0)),
        ("open-loop-200k-linger-0", "open loop, 200,000 records a second, without linger", 200_000, Some(0)),
        ("open-loop-500k-linger-0", "open loop, 500,000 records a second, without linger", 500_000, Some(0)),
    ];
    all.extend(open_loops.map(|(name, about, rate, linger_ms)| Scenario { name, about, mode: Mode::OpenLoop, rate, linger_ms, ..BASE }));
    all.extend([
        Scenario { name: "4-threads", about: "4 threads share the producer", threads: 4, ..BASE },
        Scenario { name: "16-threads", about: "16 threads share the producer", threads: 16, ..BASE },
        Scenario { name: "1-partition", about: "a topic of one partition", partitions: 1, ..BASE },
        Scenario { name: "1000-partitions", about: "a topic of 1000 partitions", partitions: 1_000, ..BASE },
        Scenario { name: "3-nodes", about: "16 partitions on three nodes", nodes: 3, ..BASE },
        Scenario { name: "3-nodes-1000-partitions", about: "1000 partitions on three nodes", nodes: 3, partitions: 1_000, ..BASE },
        Scenario { name: "1000-topics", about: "1000 topics in turn, one partition each", topics: 1_000, partitions: 1, ..BASE },
        Scenario { name: "10000-partitions", about: "a topic of 10,000 partitions on three nodes", nodes: 3, partitions: 10_000, ..BASE },
        Scenario { name: "keyed", about: "10,000 keys of 8 bytes, murmur2", keys: 10_000, ..BASE },
        Scenario { name: "keyed-1mb", about: "10,000 keys of 8 bytes, batches of 1 MiB", keys: 10_000, ..large.clone() },
        Scenario { name: "futures", about: "a future for each record", mode: Mode::Future, ..BASE },
        Scenario { name: "gzip", about: "gzip", codec: "gzip", ..large.clone() },
        Scenario { name: "snappy", about: "snappy", codec: "snappy", ..large.clone() },
        Scenario { name: "lz4", about: "lz4", codec: "lz4", ..large.clone() },
        Scenario { name: "zstd", about: "zstd", codec: "zstd", ..large },
        Scenario { name: "blocking-defaults", about: "one thread waits for each record", has_floor: true, ..blocking.clone() },
        Scenario { name: "blocking-linger-0", about: "one thread waits for each record, without linger", linger_ms: Some(0), has_floor: true, ..blocking.clone() },
        Scenario { name: "blocking-16-threads", about: "16 threads wait for each record", threads: 16, has_floor: true, ..blocking.clone() },
        Scenario { name: "blocking-256-threads", about: "256 threads wait for each record", threads: 256, has_floor: true, ..blocking.clone() },
        Scenario { name: "blocking-16-threads-linger-0", about: "16 threads wait for each record, without linger", threads: 16, linger_ms: Some(0), ..blocking.clone() },
        Scenario { name: "blocking-256-threads-linger-0", about: "256 threads wait for each record, without linger", threads: 256, linger_ms: Some(0), ..blocking },
        Scenario { name: "delay-1ms", about: "one partition, 1 KB, a round trip of 1 ms", delay_ms: 1, ..kilobyte.clone() },
        Scenario { name: "delay-10ms", about: "one partition, 1 KB, a round trip of 10 ms", delay_ms: 10, ..kilobyte.clone() },
        Scenario { name: "delay-50ms", about: "one partition, 1 KB, a round trip of 50 ms", delay_ms: 50, ..kilobyte },
        Scenario { name: "stalled", about: "the broker does not answer, and the buffer is full", mode: Mode::Stalled, delay_ms: 3_600_000, settings: Settings::Java, ..BASE },
        Scenario { name: "idle", about: "nothing is sent", mode: Mode::Idle, ..BASE },
    ]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_is_driven_at_its_rate_and_linger() {
        let scenarios = scenarios();
        let scenario = scenarios
            .iter()
            .find(|scenario| scenario.name == "open-loop-200k-linger-0");
        let arguments = scenario.map(Scenario::driver_arguments).unwrap_or_default();
        for pair in [
            ["--mode", "open-loop"],
            ["--rate", "200000"],
            ["--linger-ms", "0"],
        ] {
            assert!(arguments.chunks(2).any(|words| words == pair), "{pair:?}");
        }
    }

    #[test]
    fn no_two_scenarios_have_one_name() {
        let mut names: Vec<_> = scenarios().iter().map(|scenario| scenario.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
