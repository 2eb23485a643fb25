//! What is sent, and how the producer is set up: the same for every client.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Mode;
use crate::Failure;
use crate::arguments::Arguments;

/// The options of a driver. Settings that are `None` are left at the client's default.
pub(super) struct Options {
    pub(super) servers: String,
    pub(super) mode: Mode,
    pub(super) threads: usize,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    /// Records a second of an open loop.
    pub(super) rate: u64,
    pub(super) value_size: usize,
    pub(super) topics: Vec<&'static str>,
    /// No keys are records without keys.
    pub(super) keys: Vec<&'static [u8]>,
    /// A megabyte of different values, or sixteen large ones.
    pub(super) values: Vec<&'static [u8]>,
    pub(super) linger_ms: Option<u64>,
    pub(super) batch_size: Option<u64>,
    pub(super) buffer_memory: Option<u64>,
    pub(super) codec: &'static str,
    /// A PEM file with the authority of the sink's certificate; nothing is plaintext.
    pub(super) tls_authority: Option<String>,
}

impl Options {
    pub(super) fn parse(arguments: &Arguments) -> Result<Self, Failure> {
        arguments.allow_only(&[
            "client",
            "servers",
            "mode",
            "threads",
            "warm-up-ms",
            "duration-ms",
            "rate",
            "size",
            "topics",
            "keys",
            "linger-ms",
            "batch-size",
            "buffer-memory",
            "codec",
            "tls-authority",
        ])?;
        let optional = |name| match arguments.text(name) {
            Some(_) => arguments.number(name, 0).map(Some),
            None => Ok(None),
        };
        let topics = (0..arguments.number("topics", 1)?)
            .map(|topic| &*format!("topic-{topic}").leak())
            .collect();
        let size = usize::try_from(arguments.number("size", 100)?)?;
        let values = (1_usize << 20).div_ceil(size.max(64)).max(16);
        let mut text = Text(1);
        Ok(Self {
            servers: arguments
                .text("servers")
                .ok_or("--servers is missing")?
                .to_owned(),
            mode: match arguments.text("mode").unwrap_or("callback") {
                "callback" => Mode::Callback,
                "future" => Mode::Future,
                "blocking" => Mode::Blocking,
                "open-loop" => Mode::OpenLoop,
                "idle" => Mode::Idle,
                "stalled" => Mode::Stalled,
                other => return Err(format!("mode {other}").into()),
            },
            threads: usize::try_from(arguments.number("threads", 1)?)?,
            warm_up: Duration::from_millis(arguments.number("warm-up-ms", 500)?),
            duration: Duration::from_millis(arguments.number("duration-ms", 2_000)?),
            rate: arguments.number("rate", 10_000)?.max(1),
            topics,
            values: (0..values).map(|_| text.of(size)).collect(),
            keys: (0..arguments.number("keys", 0)?)
                .map(|_| text.of(8))
                .collect(),
            value_size: size,
            linger_ms: optional("linger-ms")?,
            batch_size: optional("batch-size")?,
            buffer_memory: optional("buffer-memory")?,
            codec: match arguments.text("codec").unwrap_or("none") {
                "none" => "none",
                "gzip" => "gzip",
                "snappy" => "snappy",
                "lz4" => "lz4",
                "zstd" => "zstd",
                other => return Err(format!("codec {other}").into()),
            },
            tls_authority: arguments.text("tls-authority").map(str::to_owned),
        })
    }
}

impl Options {
    /// What differs from the defaults, under Java's names.
    pub(super) fn java_settings(&self) -> impl Iterator<Item = (String, String)> {
        let settings = [
            ("linger.ms", self.linger_ms),
            ("batch.size", self.batch_size),
            ("buffer.memory", self.buffer_memory),
        ];
        settings
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.to_string())))
    }
}

/// One record. Its bytes live as long as the program, so that a client that can share them need not copy them.
#[derive(Clone, Copy)]
pub(super) struct Record {
    /// An index into [`Options::topics`].
    pub(super) topic: usize,
    pub(super) key: Option<&'static [u8]>,
    pub(super) value: &'static [u8],
}

/// The records of one thread: values, topics and keys in turn, from where no other thread begins.
pub(super) struct Source<'a> {
    options: &'a Options,
    next_value: usize,
    next_key: usize,
    next_topic: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(options: &'a Options, thread: usize) -> Self {
        Self {
            options,
            next_value: 37 * thread % options.values.len(),
            next_key: 37 * thread % options.keys.len().max(1),
            next_topic: thread % options.topics.len(),
        }
    }

    pub(super) fn next(&mut self) -> Record {
        let topic = self.next_topic;
        self.next_topic = following(topic, self.options.topics.len());
        let value = self.options.values[self.next_value];
        self.next_value = following(self.next_value, self.options.values.len());
        let key = self.options.keys.get(self.next_key).copied();
        self.next_key = following(self.next_key, self.options.keys.len());
        Record { topic, key, value }
    }
}

fn following(index: usize, length: usize) -> usize {
    if index + 1 < length { index + 1 } else { 0 }
}

/// Text that compresses about as log lines do: words of a small vocabulary and numbers.
struct Text(u64);

impl Text {
    fn of(&mut self, size: usize) -> &'static [u8] {
        const WORDS: [&str; 16] = [
            "order",
            "customer",
            "shipped",
            "pending",
            "amount",
            "currency",
            "warehouse",
            "status",
            "created",
            "updated",
            "region",
            "north",
            "south",
            "invoice",
            "payment",
            "failed",
        ];
        let mut text = String::with_capacity(size + 16);
        while text.len() < size {
            let random = self.random();
            text.push_str(WORDS[(random % 16) as usize]);
            text.push_str(&format!("={:x} ", (random >> 8) & 0xffff));
        }
        text.truncate(size);
        text.leak().as_bytes()
    }

    /// A linear congruential generator's upper bits.
    fn random(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 24
    }
}

/// What the callbacks of the process were told.
pub(super) static DELIVERIES: Deliveries = Deliveries {
    delivered: AtomicU64::new(0),
    failed: AtomicU64::new(0),
};

/// Has its cache lines to itself: the linker may place something of a client there that each send reads.
#[repr(align(128))]
pub(super) struct Deliveries {
    delivered: AtomicU64,
    failed: AtomicU64,
}

impl Deliveries {
    pub(super) fn count(&self, delivered: bool) {
        let counter = if delivered {
            &self.delivered
        } else {
            &self.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}
