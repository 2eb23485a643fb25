//! A line that shows the progress of a long job on a terminal. A file or a pipe gets none.

#![allow(
    clippy::disallowed_methods,
    reason = "a person watches on the real clock"
)]

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// The time between two updates of the line.
const INTERVAL: Duration = Duration::from_millis(250);

pub(crate) struct Progress<W: Write = io::Stderr> {
    /// `None` if the output is not a terminal.
    output: Option<W>,
    what: &'static str,
    total: Option<u64>,
    shown: Option<Instant>,
    /// The number of characters to erase.
    width: usize,
}

/// Returns the standard error if it is a terminal.
pub(crate) fn terminal() -> Option<io::Stderr> {
    Some(io::stderr()).filter(IsTerminal::is_terminal)
}

impl<W: Write> Progress<W> {
    pub(crate) fn to(output: Option<W>, what: &'static str, total: Option<u64>) -> Self {
        Self {
            output,
            what,
            total,
            shown: None,
            width: 0,
        }
    }

    /// Replaces the line, at most a few times a second.
    pub(crate) fn report(&mut self, done: u64) {
        let Some(output) = &mut self.output else {
            return;
        };
        let now = Instant::now();
        if self.shown.is_some_and(|shown| now - shown < INTERVAL) {
            return;
        }
        self.shown = Some(now);
        let what = self.what;
        let line = match self.total {
            Some(total) => {
                let percent = done as f64 * 100.0 / total.max(1) as f64;
                format!("{done} of {total} {what} ({percent:.0} %)")
            }
            None => format!("{done} {what}"),
        };
        let width = self.width.max(line.len());
        // A closed terminal does not stop the job.
        _ = write!(output, "\r{line:width$}").and_then(|()| output.flush());
        self.width = line.len();
    }
}

/// Erases the line, so that the result takes its place.
impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        let width = self.width;
        if let Some(output) = self.output.as_mut().filter(|_| width > 0) {
            _ = write!(output, "\r{:width$}\r", "").and_then(|()| output.flush());
        }
    }
}
