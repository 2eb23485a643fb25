//! Suppresses repeated log lines.

use std::hash::Hash;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::log;

/// The time in which a line with the same key is logged once.
pub(crate) const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Admits one log line per key and minute, and a limited number of keys.
#[derive(Debug)]
pub(crate) struct LogLimiter<K> {
    lines: HashMap<K, Line>,
    /// The number of keys per interval.
    max_keys: usize,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    logged: Instant,
    suppressed: u64,
}

impl<K: Clone + Eq + Hash> LogLimiter<K> {
    pub(crate) fn new(max_keys: usize) -> Self {
        let lines = HashMap::new();
        Self { lines, max_keys }
    }

    /// Returns how many lines of this key were suppressed before, or `None` to suppress this one.
    pub(crate) fn admit(&mut self, key: &K, now: Instant) -> Option<u64> {
        let is_recent = |line: &Line| now.saturating_duration_since(line.logged) < LOG_INTERVAL;
        match self.lines.get_mut(key) {
            Some(line) if is_recent(line) => {
                line.suppressed += 1;
                return None;
            }
            Some(line) => {
                let logged = now;
                let fresh = Line {
                    logged,
                    suppressed: 0,
                };
                return Some(std::mem::replace(line, fresh).suppressed);
            }
            None => {}
        }
        if self.lines.len() >= self.max_keys {
            self.lines.retain(|_, line| is_recent(line));
            if self.lines.len() >= self.max_keys {
                return None;
            }
        }
        let line = Line {
            logged: now,
            suppressed: 0,
        };
        self.lines.insert(key.clone(), line);
        Some(0)
    }
}

impl LogLimiter<String> {
    /// Logs a warning that may recur quickly: once a minute for each text.
    pub(crate) fn warn(&mut self, text: String, now: Instant) {
        match self.admit(&text, now) {
            Some(0) => log::warn!("{text}"),
            Some(suppressed) => {
                log::warn!("{text} ({suppressed} times since this was last logged)");
            }
            None => log::debug!("{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::utils::{MockTime, Time};

    #[test]
    fn a_key_is_admitted_once_a_minute() {
        let mut limiter = LogLimiter::new(10);
        let start = MockTime::new().now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(limiter.admit(&"a", at(0)), Some(0));
        assert_eq!(limiter.admit(&"a", at(1)), None);
        assert_eq!(limiter.admit(&"b", at(1)), Some(0));
        assert_eq!(limiter.admit(&"a", at(59)), None);
        assert_eq!(limiter.admit(&"a", at(60)), Some(2));
        assert_eq!(limiter.admit(&"a", at(119)), None);
    }

    #[test]
    fn many_keys_do_not_add_up() {
        let mut limiter = LogLimiter::new(10);
        let start = MockTime::new().now();
        let admitted = |limiter: &mut LogLimiter<u32>, now| {
            (0..1000)
                .filter(|key| limiter.admit(key, now).is_some())
                .count()
        };
        assert_eq!(admitted(&mut limiter, start), 10);
        assert_eq!(limiter.lines.len(), 10);
        assert_eq!(admitted(&mut limiter, start + LOG_INTERVAL), 10);
        assert_eq!(limiter.lines.len(), 10);
    }
}
