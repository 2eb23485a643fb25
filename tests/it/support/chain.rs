//! The text of an error, as a program prints it.

use std::error::Error as StdError;

use kafka_producer::Error;

/// Returns the text of an error and of each of its causes, the root cause last.
pub(crate) fn chain(error: &Error) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next: Option<&dyn StdError> = Some(error);
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    texts
}
