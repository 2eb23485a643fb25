//! The errors of the classic producer. Java: the exceptions in `kafka.common` and `kafka.producer`.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::sync::Arc;

/// The result of every fallible call of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error of a user's encoder.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The error of a call. Cheap to clone.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<BoxError>,
}

/// The kind of an [`Error`]: the exception that the Scala producer threw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is missing, malformed or out of range. Java: `InvalidConfigException`.
    InvalidConfig,
    /// The producer is closed. Java: `ProducerClosedException`.
    ProducerClosed,
    /// The queue of the async producer had no room within `queue.enqueue.timeout.ms`. Java: `QueueFullException`.
    QueueFull,
    /// Some messages were not acknowledged after all attempts. Java: `FailedToSendMessageException`.
    FailedToSendMessage,
    /// The topic does not exist, or the partitioner chose a partition that the topic does not have.
    /// Java: `UnknownTopicOrPartitionException`.
    UnknownTopicOrPartition,
    /// No partition of the topic has a leader. Java: `LeaderNotAvailableException`.
    LeaderNotAvailable,
    /// The pool has no connection for the broker. Java: `UnavailableProducerException`.
    UnavailableProducer,
    /// Messages remained in the queue after the shutdown command. Java: `IllegalQueueStateException`.
    IllegalQueueState,
    /// An encoder failed or panicked. Java: the exception of the encoder.
    Serialization,
    /// The user's partitioner or event handler panicked. Java: the exception that it threw.
    Panic,
    /// The connection could not be made, or was lost. Java: `IOException`.
    Io,
    /// The connection is closed for good. Java: `ClosedChannelException`.
    ClosedChannel,
    /// An encoder, partitioner or event handler called its own producer. The call would wait for
    /// itself.
    WouldDeadlock,
    /// Any other failure, such as an invalid response. Java: `KafkaException`.
    Kafka,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    pub(crate) fn caused_by(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<BoxError>,
    ) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            source: Some(source.into()),
        }))
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidConfig, message)
    }

    pub(crate) fn kafka(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Kafka, message)
    }

    /// Returns the kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Writes the message and the chain of its causes, for a log line.
    pub(crate) fn chain(&self) -> impl fmt::Display {
        Chain(self.clone())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

struct Chain(Error);

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// Runs the user's code. A panic becomes an error of kind `kind`, whose text begins with `what`.
///
/// Needs `panic = "unwind"`, the default.
pub(crate) fn contain<T>(kind: ErrorKind, what: &str, call: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let error = Error::new(kind, format!("{what} panicked: {}", said(payload.as_ref())));
        // Leaks a payload that panics in its own drop.
        if let Err(another) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
            std::mem::forget(another);
        }
        error
    })
}

fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_names_every_cause() {
        let cause = std::io::Error::other("reset");
        let error = Error::caused_by(ErrorKind::Io, "broker 1 failed", cause);
        assert_eq!(error.chain().to_string(), "broker 1 failed: reset");
        assert_eq!(error.to_string(), "broker 1 failed");
        assert_eq!(error.kind(), ErrorKind::Io);
    }

    #[test]
    fn a_panic_becomes_an_error() {
        let error = contain(ErrorKind::Panic, "the partitioner", || panic!("{}", 7)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panic);
        assert_eq!(error.to_string(), "the partitioner panicked: 7");
        assert_eq!(contain(ErrorKind::Panic, "", || 3).unwrap(), 3);
    }
}
