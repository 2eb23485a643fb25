//! Producer ids, and sequence numbers that wrap. Java: `ProducerIdAndEpoch`, `DefaultRecordBatch.incrementSequence`.
//!
//! Differs from Java: every comparison handles the wrap, so that nothing changes at 2^31 records.
//! KAFKA-7693 fixed only the addition.

use std::cmp::Ordering;
use std::fmt;

/// A producer id with its epoch. Java: `ProducerIdAndEpoch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ProducerIdAndEpoch {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

impl ProducerIdAndEpoch {
    /// No producer id is known.
    pub(crate) const NONE: Self = Self {
        producer_id: -1,
        epoch: -1,
    };

    pub(crate) fn is_valid(self) -> bool {
        self.producer_id >= 0
    }

    /// Returns the same id with the next epoch, or `None` if the epochs of the id are used up.
    pub(crate) fn next_epoch(self) -> Option<Self> {
        let epoch = self.epoch.checked_add(1)?;
        Some(Self { epoch, ..self })
    }
}

impl fmt::Display for ProducerIdAndEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "producer id {}, epoch {}", self.producer_id, self.epoch)
    }
}

/// The sequences of one batch. They identify the batch to the broker and to the transaction
/// manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BatchSequence {
    pub(crate) producer: ProducerIdAndEpoch,
    pub(crate) base_sequence: i32,
    /// At least 1, because a batch without records is never sent.
    pub(crate) record_count: u32,
}

impl BatchSequence {
    /// Returns the sequence of the batch's last record.
    pub(crate) fn last_sequence(&self) -> i32 {
        increment(self.base_sequence, self.record_count.saturating_sub(1))
    }

    /// Returns the sequence of the record after the batch.
    pub(crate) fn next_sequence(&self) -> i32 {
        increment(self.base_sequence, self.record_count)
    }
}

/// Returns the sequence `by` records later. 0 follows `i32::MAX`. -1 means "none yet", and the
/// first record after it has 0.
pub(crate) fn increment(sequence: i32, by: u32) -> i32 {
    let wrapped = (i64::from(sequence) + i64::from(by)) & i64::from(i32::MAX);
    i32::try_from(wrapped).unwrap_or(i32::MAX)
}

/// Orders two sequences of one partition and epoch by the shorter distance. Two batches that are
/// unsettled at the same time are never 2^30 records apart.
pub(crate) fn compare(a: i32, b: i32) -> Ordering {
    match b.wrapping_sub(a) & i32::MAX {
        0 => Ordering::Equal,
        forward if forward < 1 << 30 => Ordering::Less,
        _ => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Java: TransactionManagerTest.testSequenceNumberOverflow, DefaultRecordBatchTest.testIncrementSequence.
    #[test]
    fn a_sequence_wraps_to_zero() {
        assert_eq!(increment(i32::MAX, 1), 0);
        assert_eq!(increment(i32::MAX, 100), 99);
        assert_eq!(increment(i32::MAX - 10, 10), i32::MAX);
        assert_eq!(increment(0, 0), 0);
        assert_eq!(increment(-1, 1), 0);
    }

    #[test]
    fn order_survives_the_wrap() {
        assert_eq!(compare(3, 3), Ordering::Equal);
        assert_eq!(compare(3, 4), Ordering::Less);
        assert_eq!(compare(i32::MAX, 0), Ordering::Less);
        assert_eq!(compare(0, i32::MAX - 5), Ordering::Greater);
    }

    #[test]
    fn epochs_run_out() {
        let at = |epoch| ProducerIdAndEpoch {
            producer_id: 7,
            epoch,
        };
        assert_eq!(at(3).next_epoch(), Some(at(4)));
        assert_eq!(at(i16::MAX).next_epoch(), None);
    }
}
