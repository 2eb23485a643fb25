//! The transactions of a cluster: begins, commits and aborts them, decides which writes belong to
//! one, and writes the markers that end one. Java (broker): `TransactionCoordinator`,
//! `TransactionMarkerChannelManager`, `AddPartitionsToTxnManager`.
//!
//! Differs from Java: markers are written together with the decision, unless a test paused them or
//! a partition has no leader. A transaction expires when a test requests it, and not after a time.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::coordinators::CoordinatorType;
use super::topic::Topic;
use super::transaction_metadata::{Fence, Marker, ProducerIdAndEpoch, TransactionMetadata};
use crate::common::{NodeId, TopicPartition};
use crate::protocol::ErrorCode;
use crate::sync::Arc;

/// The level of `transaction.version` from which a broker that aborts a transaction bumps the epoch
/// as its producer would.
const TRANSACTION_VERSION_2: i16 = 2;

/// Returns the code for clients that may not know PRODUCER_FENCED.
pub(crate) fn fenced(code: ErrorCode, knows_fenced: bool) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED if !knows_fenced => ErrorCode::INVALID_PRODUCER_EPOCH,
        _ => code,
    }
}

/// A write of a producer that may have no open transaction with that partition or group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransactionalWrite<'a> {
    pub(crate) transactional_id: &'a Arc<str>,
    pub(crate) producer: ProducerIdAndEpoch,
    /// The request's version makes the broker add the partition or group to the transaction.
    pub(crate) adds: bool,
    /// The client knows TRANSACTION_ABORTABLE.
    pub(crate) knows_abortable: bool,
}

impl Cluster {
    /// Returns what happens to a producer whose transaction the coordinator aborts on its own.
    /// Everything else depends on the versions of the requests, and not on the cluster's
    /// `transaction.version`.
    pub(crate) fn fence(&self) -> Fence {
        if self.settings.transaction_version >= TRANSACTION_VERSION_2 {
            Fence::Bump
        } else {
            Fence::Final
        }
    }

    /// Returns the transactional id if `node` coordinates it and InitProducerId was called with it.
    pub(crate) fn coordinated_transaction(
        &mut self,
        id: &Arc<str>,
        node: NodeId,
    ) -> Result<&mut TransactionMetadata, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        self.check_coordinator(CoordinatorType::Transaction, id, node)?;
        let known = self.transactions.get_mut(id);
        known.ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
    }

    /// Returns the next epoch of a transactional id. Aborts its open transaction first.
    pub(crate) fn init_transactional_id(
        &mut self,
        id: &Arc<str>,
        expected: Option<ProducerIdAndEpoch>,
        timeout_ms: i32,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        let fence = self.fence();
        let producer_ids = &mut self.producer_ids;
        let transaction = self
            .transactions
            .entry(Arc::clone(id))
            .or_insert_with(|| TransactionMetadata::new(producer_ids.next()));
        let initialized = transaction.init(expected, timeout_ms, fence, || producer_ids.next());
        self.write_markers();
        initialized
    }

    /// Ends the transaction of a producer, and returns the id and epoch of its next one. `bumps`
    /// says that the version of the request returns them.
    pub(crate) fn end_transaction(
        &mut self,
        id: &Arc<str>,
        producer: ProducerIdAndEpoch,
        is_commit: bool,
        bumps: bool,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        let producer_ids = &mut self.producer_ids;
        let Some(transaction) = self.transactions.get_mut(id) else {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        };
        let next = if bumps {
            transaction.end_and_bump(producer, is_commit, || producer_ids.next())
        } else {
            transaction.end(producer, is_commit).map(|()| producer)
        };
        self.write_markers();
        next
    }

    /// Returns whether a write belongs to the open transaction of its producer. `is_added` looks up
    /// the partition or group, and `add` adds it.
    pub(crate) fn check_transactional_write(
        &mut self,
        write: TransactionalWrite<'_>,
        is_added: impl FnOnce(&TransactionMetadata) -> bool,
        add: impl FnOnce(&mut TransactionMetadata),
    ) -> Result<(), ErrorCode> {
        if write.transactional_id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let known = self.transactions.get_mut(write.transactional_id);
        let transaction = known.ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        let checked = if write.adds {
            transaction
                .begin_or_go_on(write.producer)
                .map(|()| add(transaction))
        } else {
            transaction.verify(write.producer, is_added)
        };
        checked.map_err(|code| match code {
            ErrorCode::TRANSACTION_ABORTABLE if !write.knows_abortable => {
                ErrorCode::INVALID_TXN_STATE
            }
            // For the receiver of the write, a fenced producer is one with an old epoch.
            _ => fenced(code, false),
        })
    }

    /// Aborts the open transactions as if they had timed out. Returns their number.
    pub(crate) fn expire_transactions(&mut self) -> usize {
        let fence = self.fence();
        let transactions = self.transactions.values_mut();
        let expired =
            transactions.filter_map(|transaction| transaction.expire(fence).then_some(()));
        let count = expired.count();
        self.write_markers();
        count
    }

    /// Writes the markers of decided transactions, to the partitions with a leader.
    pub(crate) fn write_markers(&mut self) {
        if self.are_markers_paused {
            return;
        }
        for transaction in self.transactions.values_mut() {
            let Some(marker) = transaction.marker() else {
                continue;
            };
            let topics = &mut self.topics;
            transaction
                .partitions
                .retain(|partition| !write_marker(topics, partition, marker));
            for group in std::mem::take(&mut transaction.groups) {
                self.groups
                    .entry(group)
                    .or_default()
                    .end_transaction(marker);
            }
            if transaction.partitions.is_empty() {
                transaction.complete();
            }
        }
    }
}

/// Returns whether the marker is done. A deleted partition needs no marker, and one without a
/// leader gets it later.
fn write_marker(
    topics: &mut BTreeMap<Arc<str>, Topic>,
    partition: &TopicPartition,
    marker: Marker,
) -> bool {
    let topic = topics.get_mut(partition.topic());
    let Some(target) = topic.and_then(|topic| topic.partition_mut(partition.partition())) else {
        return true;
    };
    if target.leader.is_none() {
        return false;
    }
    target.log.append_marker(marker);
    true
}
