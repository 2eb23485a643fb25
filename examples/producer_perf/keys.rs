//! The keys of the records: decimal numbers, as in Kafka's tool.

use super::payload::Random;

/// Produces one key after another.
pub(crate) enum Keys {
    None,
    /// The numbers below this one, in turn.
    Range {
        range: u32,
        next: u32,
    },
    Random {
        range: u32,
        random: Random,
    },
}

impl Keys {
    pub(crate) fn new(
        distribution: Option<&str>,
        range: Option<u32>,
        seed: u64,
    ) -> Result<Self, String> {
        let distribution = distribution.unwrap_or("none");
        match (distribution.to_ascii_lowercase().as_str(), range) {
            ("none", None) => Ok(Self::None),
            ("none", Some(_)) => {
                Err("--key-distribution must be range or random with --record-key-range".to_owned())
            }
            ("range" | "random", None) => Err(format!(
                "--key-distribution {distribution} needs --record-key-range"
            )),
            (_, Some(0)) => Err("--record-key-range is to be positive".to_owned()),
            ("range", Some(range)) => Ok(Self::Range { range, next: 0 }),
            ("random", Some(range)) => Ok(Self::Random {
                range,
                // A different sequence than that of the values.
                random: Random::new(!seed),
            }),
            _ => Err(format!(
                "--key-distribution {distribution} is not none, range or random"
            )),
        }
    }

    pub(crate) fn next(&mut self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Range { range, next } => {
                let key = *next;
                *next = (key + 1) % *range;
                Some(key.to_string())
            }
            Self::Random { range, random } => Some(random.below(*range as usize).to_string()),
        }
    }
}
