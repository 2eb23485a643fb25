//! An error in a broker's response, from the model or from a test's script.

use crate::protocol::ErrorCode;

/// An error to return for a partition, a topic or a whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<String>,
    pub(crate) record_errors: Vec<(i32, Option<String>)>,
    pub(crate) is_after_append: bool,
}

impl Failure {
    /// Creates a failure with this code and without a text.
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            record_errors: Vec::new(),
            is_after_append: false,
        }
    }

    /// Adds a text. Produce sends it from version 8 on, and FindCoordinator sends it; the other
    /// APIs have no field for it.
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.message = Some(text.into());
        self
    }

    /// Adds an error for one record of the batch, by its index (KIP-467). Produce sends it from
    /// version 8 on.
    pub fn record_error(mut self, batch_index: i32, text: impl Into<String>) -> Self {
        self.record_errors.push((batch_index, Some(text.into())));
        self
    }

    /// Appends the records anyway, as a broker does before it returns
    /// `NOT_ENOUGH_REPLICAS_AFTER_APPEND` or `REQUEST_TIMED_OUT`. Requests of a transaction are
    /// handled likewise. Without this, a failure means that nothing was done.
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
