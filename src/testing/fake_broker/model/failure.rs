//! An error that a broker answers, whether the model or a test's script says so.

use crate::protocol::ErrorCode;

/// An error that the broker is to answer, for a partition, a topic or a whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<String>,
    pub(crate) record_errors: Vec<(i32, Option<String>)>,
    pub(crate) is_after_append: bool,
}

impl Failure {
    /// This code, without a text.
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            record_errors: Vec::new(),
            is_after_append: false,
        }
    }

    /// Adds a text. Produce sends it from version 8 on, and FindCoordinator; the other APIs have no place for one.
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.message = Some(text.into());
        self
    }

    /// Blames one record of the batch, by its place in the batch (KIP-467). Produce sends it from version 8 on.
    pub fn record_error(mut self, batch_index: i32, text: impl Into<String>) -> Self {
        self.record_errors.push((batch_index, Some(text.into())));
        self
    }

    /// Appends the records all the same, as a broker does before it answers `NOT_ENOUGH_REPLICAS_AFTER_APPEND` or
    /// `REQUEST_TIMED_OUT`; requests of a transaction are carried out likewise. Without this a failure is a refusal before
    /// anything was done.
    pub fn after_append(mut self) -> Self {
        self.is_after_append = true;
        self
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}
