//! The open and ended transactions of a partition's log, and what a read_committed consumer sees.
//! Java (broker): `ProducerStateManager.ongoingTxns`, `TransactionIndex`.

use std::collections::BTreeMap;

use super::facts::StoredMarker;
use super::transaction_metadata::Marker;

/// An aborted transaction: all records of this producer between the two offsets.
#[derive(Clone, Copy, Debug)]
struct AbortedTxn {
    producer_id: i64,
    first_offset: i64,
    marker_offset: i64,
}

/// The transactions of one log.
#[derive(Debug, Default)]
pub(crate) struct TransactionIndex {
    /// The first offset of each producer's open transaction.
    open: BTreeMap<i64, i64>,
    aborted: Vec<AbortedTxn>,
    markers: Vec<StoredMarker>,
}

impl TransactionIndex {
    pub(crate) fn is_open(&self, producer_id: i64) -> bool {
        self.open.contains_key(&producer_id)
    }

    /// Notes a transactional batch.
    pub(crate) fn wrote(&mut self, producer_id: i64, base_offset: i64) {
        self.open.entry(producer_id).or_insert(base_offset);
    }

    /// Notes a marker. A transaction that wrote nothing here has a marker too.
    pub(crate) fn ended(&mut self, marker: Marker, offset: i64) {
        let producer_id = marker.producer.producer_id;
        if let Some(first_offset) = self.open.remove(&producer_id) {
            if !marker.is_commit {
                self.aborted.push(AbortedTxn {
                    producer_id,
                    first_offset,
                    marker_offset: offset,
                });
            }
        }
        self.markers.push(StoredMarker {
            offset,
            producer_id,
            producer_epoch: marker.producer.epoch,
            is_commit: marker.is_commit,
        });
    }

    pub(crate) fn markers(&self) -> &[StoredMarker] {
        &self.markers
    }

    pub(crate) fn forget_markers_before(&mut self, offset: i64) {
        self.markers.retain(|marker| marker.offset >= offset);
    }

    /// Returns the first offset of the first open transaction. A read_committed consumer reads no
    /// further.
    pub(crate) fn first_open_offset(&self) -> Option<i64> {
        self.open.values().min().copied()
    }

    pub(crate) fn is_aborted(&self, producer_id: i64, offset: i64) -> bool {
        self.aborted.iter().any(|aborted| {
            aborted.producer_id == producer_id
                && (aborted.first_offset..aborted.marker_offset).contains(&offset)
        })
    }
}
