//! What a send returns of a record that it has taken.

use super::internals::{RecordFacts, Share};
use crate::error::Error;

/// A future, or nothing where a callback receives the outcome.
pub(super) trait Receipt: Sized {
    type Share: Share;

    /// Returns the receipt of the record at `index` of a batch.
    fn in_batch(share: Self::Share, index: u32, facts: RecordFacts) -> Self;

    /// Returns the receipt of a record that failed before it was in a batch.
    fn failed(error: Error) -> Self;
}

impl Receipt for () {
    type Share = ();

    #[inline(always)]
    fn in_batch((): (), _: u32, _: RecordFacts) -> Self {}

    fn failed(_: Error) -> Self {}
}
