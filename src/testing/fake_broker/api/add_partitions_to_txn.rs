//! Responds to AddPartitionsToTxn. Java (broker): `KafkaApis.handleAddPartitionsToTxnRequest`.

use super::{FIRST_VERSION_WITH_PRODUCER_FENCED, RequestContext};
use crate::common::TopicPartition;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopicResult,
    TxnPartitionResult,
};
use crate::sync::Arc;
use crate::testing::fake_broker::model::cluster::Cluster;
use crate::testing::fake_broker::model::topic::is_internal;
use crate::testing::fake_broker::model::transaction_metadata::ProducerIdAndEpoch;
use crate::testing::fake_broker::model::transactions::fenced;

pub(crate) fn handle(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let named = request.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|number| TopicPartition::new(Arc::clone(&topic.name), *number))
    });
    let named: Vec<_> = named.collect();
    let answers = codes(cluster, context, request, &named);

    let mut response = AddPartitionsToTxnResponse::default();
    let mut codes = named.iter().zip(answers);
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

/// Returns the code of each partition. If one cannot be added, none is.
fn codes(
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
        // Clients may not write to internal topics.
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
