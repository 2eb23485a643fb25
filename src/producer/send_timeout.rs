//! Sends with one deadline over everything that a send waits for. Java has no such call.

use std::fmt;
use std::time::{Duration, Instant};

use super::{RecordFuture, RecordMetadata};
use crate::error::{Error, ErrorKind, Result};

/// The step that `send_timeout` was in when its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a send waits for these three things and nothing else"
)]
pub enum SendStep {
    /// It waited for the metadata of the topic. The record was not sent.
    Metadata,
    /// It waited for buffer memory. The record was not sent.
    Memory,
    /// It waited for the response of the broker. The record is in flight, and may be written.
    Response,
}

impl fmt::Display for SendStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "metadata",
            Self::Memory => "memory",
            Self::Response => "response",
        })
    }
}

/// Why `send_timeout` has no metadata of the record to return: its time was up, or the record failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct SendTimeoutError {
    /// The error. [`Error::delivery`] says whether the log may hold the record.
    pub error: Error,
    /// What the call waited for when its time, or that of `max.block.ms`, was up. `None` for every other failure.
    pub step: Option<SendStep>,
    /// The delivery, which continues, if the step is [`Response`](SendStep::Response). `None`
    /// otherwise.
    pub future: Option<RecordFuture>,
}

impl fmt::Display for SendTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for SendTimeoutError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.error)
    }
}

impl From<SendTimeoutError> for Error {
    fn from(unfinished: SendTimeoutError) -> Self {
        unfinished.error
    }
}

impl From<Error> for SendTimeoutError {
    fn from(error: Error) -> Self {
        Self {
            error,
            step: None,
            future: None,
        }
    }
}

/// Waits for the rest of a send that began `timeout` before `deadline`. No deadline is one that is never reached.
pub(crate) fn await_response(
    future: RecordFuture,
    deadline: Option<Instant>,
    timeout: Duration,
) -> Result<RecordMetadata, SendTimeoutError> {
    let was_refused = future.is_known_from_the_start();
    let error = match future.get_until(deadline, timeout) {
        Ok(metadata) => return Ok(metadata),
        Err(error) => error,
    };
    let step = match error.kind() {
        ErrorKind::Pending => Some(SendStep::Response),
        ErrorKind::BufferExhausted if was_refused => Some(SendStep::Memory),
        ErrorKind::Timeout if was_refused => Some(SendStep::Metadata),
        _ => None,
    };
    let is_pending = step == Some(SendStep::Response);
    Err(SendTimeoutError {
        error,
        step,
        future: is_pending.then_some(future),
    })
}
