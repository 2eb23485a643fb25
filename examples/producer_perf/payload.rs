//! The values of the records.

use std::error::Error;
use std::fs;
use std::path::{self, PathBuf};

/// The source of the values.
pub(crate) enum Payload {
    /// This many random capital letters.
    Random(usize),
    /// A random line of the file.
    File { path: PathBuf, delimiter: String },
    /// The record's number.
    Monotonic,
}

/// A linear congruential generator, of which the upper bits are used. The same seed gives the same
/// numbers.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Produces one value after another.
pub(crate) struct Payloads {
    source: Source,
    random: Random,
    number: u64,
}

enum Source {
    /// The values are windows of these letters.
    Letters(Vec<u8>, usize),
    Lines(Vec<String>),
    Number(String),
}

impl Payloads {
    pub(crate) fn new(
        payload: &Payload,
        seed: u64,
        print: &impl Fn(&str),
    ) -> Result<Self, Box<dyn Error>> {
        let mut payloads = Self {
            source: Source::Number(String::new()),
            random: Random::new(seed),
            number: 0,
        };
        match payload {
            Payload::Random(size) => {
                // One megabyte more than a value, so that values differ without choosing each
                // letter.
                let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
                let letters = (0..size + (1 << 20))
                    .filter_map(|_| alphabet.get(payloads.random.below(alphabet.len())).copied());
                payloads.source = Source::Letters(letters.collect(), *size);
            }
            Payload::File { path, delimiter } => {
                let absolute = path::absolute(path)?;
                print(&format!("Reading payloads from: {}", absolute.display()));
                let text = fs::read_to_string(path)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                if text.is_empty() {
                    return Err(format!("{} has no payloads", path.display()).into());
                }
                // A delimiter at the end of the file starts no payload. Two delimiters in a row
                // enclose an empty one.
                let text = text.strip_suffix(&**delimiter).unwrap_or(&text);
                let lines: Vec<_> = text.split(&**delimiter).map(str::to_owned).collect();
                print(&format!("Number of records read: {}", lines.len()));
                payloads.source = Source::Lines(lines);
            }
            Payload::Monotonic => {}
        }
        Ok(payloads)
    }

    pub(crate) fn next(&mut self) -> &[u8] {
        let (number, random) = (self.number, self.random.below(1 << 20));
        self.number += 1;
        match &mut self.source {
            Source::Letters(letters, size) => letters.get(random..random + *size).unwrap_or(&[]),
            Source::Lines(lines) => lines
                .get(random % lines.len())
                .map_or(&[], String::as_bytes),
            Source::Number(text) => {
                *text = number.to_string();
                text.as_bytes()
            }
        }
    }
}
