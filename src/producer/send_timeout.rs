//! Sends with one deadline for everything that a send waits for. Java has no counterpart.

use std::fmt;
use std::time::{Duration, Instant};

use super::{RecordFuture, RecordMetadata};
use crate::error::{Error, ErrorKind, Result};

/// The step that `send_timeout` was in when its time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a send waits for these three things and nothing else"
)]
pub enum SendStep {
    /// It was waiting for the topic's metadata. The record was not sent.
    Metadata,
    /// It was waiting for buffer memory. The record was not sent.
    Memory,
    /// It was waiting for the broker's response. The record is in flight, and may be written.
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

/// The error of `send_timeout`: its time ran out, or the record failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct SendTimeoutError {
    /// The error. [`Error::delivery`] says whether the log may hold the record.
    pub error: Error,
    /// The step in which the call's time, or `max.block.ms`, ran out. `None` for every other
    /// failure.
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

/// Waits for the rest of a send that began `timeout` before `deadline`. `None` is a deadline that
/// is never reached.
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
