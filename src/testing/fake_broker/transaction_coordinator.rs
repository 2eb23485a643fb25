//! Answers AddPartitionsToTxn, AddOffsetsToTxn and EndTxn, says who may write in a transaction, and writes the markers that
//! end one. Java (broker): `TransactionCoordinator`, `TransactionMarkerChannelManager`, `AddPartitionsToTxnManager`.
//!
//! Differs from Java: markers are written in the same step as the decision, unless a test paused them or a partition has no
//! leader. A transaction expires when a test says so, and not with time.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::coordinators::CoordinatorType;
use super::handler::RequestContext;
use super::topic::{Topic, is_internal};
use super::transaction_metadata::{Fence, Marker, ProducerIdAndEpoch, TransactionMetadata};
use crate::common::{NodeId, TopicPartition};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, AddPartitionsToTxnTopicResult, EndTxnRequest, EndTxnResponse,
    TxnPartitionResult,
};
use crate::sync::Arc;

/// The first version of these APIs with PRODUCER_FENCED (KIP-588).
const FIRST_VERSION_WITH_PRODUCER_FENCED: i16 = 2;

/// The version of EndTxn whose answer has the next epoch (KIP-890).
const FIRST_END_TXN_WITH_NEXT_EPOCH: i16 = 5;

/// The level of `transaction.version` from which a broker that aborts a transaction bumps the epoch as its producer would.
const TRANSACTION_VERSION_2: i16 = 2;

pub(super) fn next_producer_id(next: &mut i64) -> i64 {
    let id = *next;
    *next += 1;
    id
}

/// Clients that do not know PRODUCER_FENCED are told of an old epoch.
pub(super) fn fenced(code: ErrorCode, knows_fenced: bool) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED if !knows_fenced => ErrorCode::INVALID_PRODUCER_EPOCH,
        _ => code,
    }
}

pub(super) fn add_partitions(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let named = request.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|number| TopicPartition::new(Arc::clone(&topic.name), *number))
    });
    let named: Vec<_> = named.collect();
    let codes = add_partitions_codes(cluster, context, request, &named);

    let mut response = AddPartitionsToTxnResponse::default();
    let mut codes = named.iter().zip(codes);
    for topic in &request.topics {
        let answered = codes.by_ref().take(topic.partitions.len());
        let kept = answered
            .filter(|(partition, _)| !context.plan.omits(partition.topic(), partition.partition()));
        response.topics.push(AddPartitionsToTxnTopicResult {
            name: Arc::clone(&topic.name),
            partitions: kept
                .map(|(partition, error_code)| TxnPartitionResult {
                    partition_index: partition.partition(),
                    error_code,
                })
                .collect(),
        });
    }
    response
}

/// What each partition is answered. One that cannot be added keeps all from being added.
fn add_partitions_codes(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &AddPartitionsToTxnRequest,
    named: &[TopicPartition],
) -> Vec<ErrorCode> {
    let scripted = |partition: &TopicPartition| {
        let (topic, number) = (partition.topic(), partition.partition());
        context.plan.failure(topic, number)
    };
    let refusal = |partition: &TopicPartition| match scripted(partition) {
        Some(failure) if !failure.is_after_append => Some(failure.code),
        // No client may write there.
        _ if is_internal(partition.topic()) => Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
        _ => {
            let known = cluster.partition(partition.topic(), partition.partition());
            let is_unknown = known.is_none();
            is_unknown.then_some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        }
    };
    let refusals: Vec<_> = named.iter().map(refusal).collect();
    if refusals.iter().any(Option::is_some) {
        let not_attempted = ErrorCode::OPERATION_NOT_ATTEMPTED;
        let codes = refusals.into_iter();
        return codes.map(|code| code.unwrap_or(not_attempted)).collect();
    }
    let producer = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
    let added = cluster
        .coordinated_transaction(&request.transactional_id, context.node)
        .and_then(|transaction| {
            transaction.begin_or_go_on(producer)?;
            transaction.partitions.extend(named.iter().cloned());
            Ok(())
        });
    let answer = |partition| match (added, scripted(partition)) {
        (Err(code), _) => fenced(code, context.version >= FIRST_VERSION_WITH_PRODUCER_FENCED),
        (Ok(()), Some(failure)) => failure.code,
        (Ok(()), None) => ErrorCode::NONE,
    };
    named.iter().map(answer).collect()
}

pub(super) fn add_offsets(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let producer = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
    let knows_fenced = context.version >= FIRST_VERSION_WITH_PRODUCER_FENCED;
    let added = context.plan.around(|| {
        cluster
            .coordinated_transaction(&request.transactional_id, context.node)
            .and_then(|transaction| {
                transaction.begin_or_go_on(producer)?;
                transaction.groups.insert(Arc::clone(&request.group_id));
                Ok(())
            })
            .map_err(|code| fenced(code, knows_fenced))
    });
    AddOffsetsToTxnResponse {
        throttle_time_ms: 0,
        error_code: added.err().unwrap_or(ErrorCode::NONE),
    }
}

pub(super) fn end(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &EndTxnRequest,
) -> EndTxnResponse {
    let knows_fenced = context.version >= FIRST_VERSION_WITH_PRODUCER_FENCED;
    let ended = context.plan.around(|| {
        cluster
            .end_transaction(context, request)
            .map_err(|code| fenced(code, knows_fenced))
    });
    match ended {
        Ok(next) => EndTxnResponse {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            producer_id: next.producer_id,
            producer_epoch: next.epoch,
        },
        Err(error_code) => EndTxnResponse {
            error_code,
            ..EndTxnResponse::default()
        },
    }
}

/// A write of a producer that is not known to have an open transaction where it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransactionalWrite<'a> {
    pub(super) transactional_id: &'a Arc<str>,
    pub(super) producer: ProducerIdAndEpoch,
    /// The request is of a version that has the broker add what is written to the transaction.
    pub(super) adds: bool,
    /// The client knows TRANSACTION_ABORTABLE.
    pub(super) knows_abortable: bool,
}

impl Cluster {
    /// What comes of a producer whose transaction the coordinator aborts by itself. Everything else goes by the versions of
    /// the requests, whatever the cluster's `transaction.version` is.
    pub(super) fn fence(&self) -> Fence {
        if self.settings.transaction_version >= TRANSACTION_VERSION_2 {
            Fence::Bump
        } else {
            Fence::Final
        }
    }

    /// The transactional id, if `node` coordinates it and InitProducerId was asked for it.
    fn coordinated_transaction(
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

    /// The producer's id and epoch for the next transaction.
    fn end_transaction(
        &mut self,
        context: RequestContext<'_>,
        request: &EndTxnRequest,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        let (id, is_commit) = (&request.transactional_id, request.committed);
        let producer = ProducerIdAndEpoch::new(request.producer_id, request.producer_epoch);
        let bumps = context.version >= FIRST_END_TXN_WITH_NEXT_EPOCH;
        self.coordinated_transaction(id, context.node)?;
        let producer_ids = &mut self.next_producer_id;
        let Some(transaction) = self.transactions.get_mut(id) else {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        };
        let next = if bumps {
            transaction.end_and_bump(producer, is_commit, || next_producer_id(producer_ids))
        } else {
            transaction.end(producer, is_commit).map(|()| producer)
        };
        self.write_markers();
        next
    }

    /// Whether a write belongs to the open transaction of its producer. `is_added` looks for what it goes to, `add` adds it.
    pub(super) fn check_transactional_write(
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
            // To who takes the write, a fenced producer is one with an old epoch.
            _ => fenced(code, false),
        })
    }

    /// Aborts the open transactions as if their time were up, and returns how many there were.
    pub(super) fn expire_transactions(&mut self) -> usize {
        let fence = self.fence();
        let transactions = self.transactions.values_mut();
        let expired =
            transactions.filter_map(|transaction| transaction.expire(fence).then_some(()));
        let count = expired.count();
        self.write_markers();
        count
    }

    /// Writes the markers of transactions that are decided, where there is a leader that takes them.
    pub(super) fn write_markers(&mut self) {
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

/// Whether nothing is left to do: a deleted partition needs no marker, one without a leader gets it later.
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
