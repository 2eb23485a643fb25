//! How long a call may wait, and which setting limits it.

use std::fmt;
use std::time::Duration;

/// Whether a call may wait, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// The caller does not want to wait.
    Never,
    /// The caller is in a callback, and would wait for the thread that it runs on.
    InCallback,
    UpTo(WaitLimit),
}

/// The longest wait of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitLimit {
    pub(crate) time: Duration,
    set_by: SetBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SetBy {
    /// `max.block.ms`.
    MaxBlock,
    /// The timeout of the call itself.
    Caller,
}

impl WaitLimit {
    /// Returns the limit of `max.block.ms`.
    pub(crate) fn max_block(time: Duration) -> Self {
        Self {
            time,
            set_by: SetBy::MaxBlock,
        }
    }

    /// Returns the shorter of this limit and the caller's own timeout.
    pub(crate) fn or_caller(self, timeout: Duration) -> Self {
        if timeout < self.time {
            Self {
                time: timeout,
                set_by: SetBy::Caller,
            }
        } else {
            self
        }
    }

    /// Returns the rest of the limit.
    pub(crate) fn after(self, waited: Duration) -> Self {
        Self {
            time: self.time.saturating_sub(waited),
            ..self
        }
    }

    /// Returns the configuration key that set the limit, if one did.
    pub(crate) fn config(self) -> Option<&'static str> {
        match self.set_by {
            SetBy::MaxBlock => Some("max.block.ms"),
            SetBy::Caller => None,
        }
    }
}

impl fmt::Display for WaitLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.time.as_millis())?;
        match self.set_by {
            SetBy::MaxBlock => f.write_str(" (max.block.ms)"),
            SetBy::Caller => f.write_str(" (the timeout of the call)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_limit_counts_and_says_who_set_it() {
        let [short, long] = [10, 20].map(Duration::from_millis);
        let limit = WaitLimit::max_block(short).or_caller(long);
        assert_eq!((limit.time, limit.config()), (short, Some("max.block.ms")));
        assert_eq!(limit.to_string(), "10 ms (max.block.ms)");
        let limit = WaitLimit::max_block(long).or_caller(short).after(short);
        assert_eq!((limit.time, limit.config()), (Duration::ZERO, None));
        assert_eq!(limit.to_string(), "0 ms (the timeout of the call)");
    }
}
