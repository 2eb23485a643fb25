//! Mutated inputs for parsers, such as a damaged file or data from a hostile broker.
//!
//! Every run makes the same changes, in about a second. `KAFKA_PRODUCER_FUZZ_SECONDS` makes others for as long. The page
//! `testing` of the manual says how to fuzz with it.

use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;

use super::{SystemTime, Time};

/// Bytes that end texts and lengths, or are extreme values.
const ODD: [u8; 12] = [
    0, 1, 2, 0x1f, 0x30, 0x7f, 0x80, 0x81, 0x84, 0xa0, 0xfe, 0xff,
];
const SECONDS: &str = "KAFKA_PRODUCER_FUZZ_SECONDS";

/// Far more than one input takes, in a debug build on a busy machine too.
const LONG: Duration = Duration::from_secs(60);

/// Calls `parse` with the seeds, and with `count` changed ones of them. Each call must end soon.
pub(crate) fn mutated(seeds: &[impl AsRef<[u8]>], count: u64, mut parse: impl FnMut(&[u8])) {
    let mut parse = |bytes: &[u8]| {
        let started = SystemTime.now();
        parse(bytes);
        let took = SystemTime.now() - started;
        assert!(took < LONG, "{took:?} for {bytes:?}");
    };
    for seed in seeds {
        parse(seed.as_ref());
    }
    let seconds = std::env::var(SECONDS).ok();
    let seconds = seconds.map(|seconds| seconds.parse().unwrap());
    let mut rng = match seconds {
        None => Rng::with_seed(16),
        Some(_) => Rng::new(),
    };
    let started = SystemTime.now();
    let is_over = |done: u64| match seconds {
        None => done == count,
        Some(seconds) => SystemTime.now() - started > Duration::from_secs(seconds),
    };
    let mut done = 0;
    while !is_over(done) {
        let seed = rng.choice(seeds).unwrap().as_ref();
        let other = rng.choice(seeds).unwrap().as_ref();
        let bytes = change(&mut rng, seed, other);
        if seconds.is_some() {
            // Remains after a panic, for another attempt.
            std::fs::write(crash_file(), &bytes).unwrap();
        }
        parse(&bytes);
        done += 1;
    }
    if let Some(seconds) = seconds {
        std::fs::remove_file(crash_file()).unwrap();
        eprintln!("{done} inputs in {seconds} s");
    }
}

fn crash_file() -> PathBuf {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default().replace(':', "-");
    std::env::temp_dir().join(format!("kafka-producer-fuzz-{name}"))
}

fn change(rng: &mut Rng, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..rng.usize(1..5) {
        if bytes.is_empty() {
            bytes.push(rng.u8(..));
        }
        let at = rng.usize(..bytes.len());
        let len = rng.usize(1..=(bytes.len() - at).min(16));
        match rng.u8(..8) {
            0 => bytes[at] ^= 1 << rng.u8(..8),
            1 => bytes[at] = ODD[rng.usize(..ODD.len())],
            2 => bytes[at] = rng.u8(..),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..at + len)),
            5 => bytes.insert(at, rng.u8(..)),
            6 => {
                let again = bytes[at..at + len].to_vec();
                drop(bytes.splice(at..at, again));
            }
            // The beginning of one seed with the end of another.
            _ => {
                let cut = at.min(other.len());
                drop(bytes.splice(at.., other[cut..].iter().copied()));
            }
        }
    }
    bytes
}
