//! Answers Produce. Java (broker): `KafkaApis.handleProduceRequest`, `ReplicaManager.appendRecords`.

use super::cluster::Cluster;
use super::handler::RequestContext;
use super::log::AppendContext;
use super::script::Failure;
use super::transaction_coordinator::TransactionalWrite;
use super::transaction_metadata::ProducerIdAndEpoch;
use crate::common::{NodeId, TopicPartition};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    ProducePartition, ProduceRequest, ProduceResponse, ProduceTopic, TopicProduceResponse,
};
use crate::record::RecordBatch;
use crate::sync::Arc;

/// The version from which topics are named by their ids.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;

/// The first version with TRANSACTION_ABORTABLE (KIP-890).
const FIRST_VERSION_WITH_ABORTABLE: i16 = 11;

/// The first version that adds partitions to the transaction (KIP-890).
pub(super) const FIRST_VERSION_THAT_ADDS: i16 = 12;

pub(super) fn handle(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &ProduceRequest,
) -> ProduceResponse {
    let mut response = ProduceResponse::default();
    for topic in &request.topics {
        let name = topic_name(cluster, context.version, topic);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let answer = match &name {
                Ok(name) => produce_partition(cluster, context, request, name, partition),
                Err(failure) => failed(partition.index, failure.clone()),
            };
            add_endpoint(cluster, &mut response, answer.current_leader);
            let label = name.as_deref().unwrap_or_default();
            if !context.plan.omits(label, partition.index) {
                partitions.push(answer);
            }
        }
        response.topics.push(TopicProduceResponse {
            name: Arc::clone(&topic.name),
            topic_id: topic.topic_id,
            partitions,
        });
    }
    response
}

/// Whether every partition was appended.
pub(super) fn is_success(response: &ProduceResponse) -> bool {
    let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.all(|partition| partition.error_code.is_none())
}

fn topic_name(cluster: &Cluster, version: i16, topic: &ProduceTopic) -> Result<Arc<str>, Failure> {
    if version < FIRST_VERSION_WITH_TOPIC_IDS {
        return Ok(Arc::clone(&topic.name));
    }
    match cluster.topic_with_id(topic.topic_id) {
        Some((name, _)) => Ok(Arc::clone(name)),
        None => Err(Failure::new(ErrorCode::UNKNOWN_TOPIC_ID)),
    }
}

fn produce_partition(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &ProduceRequest,
    topic: &Arc<str>,
    partition: &ProducePartition,
) -> PartitionProduceResponse {
    let scripted = context.plan.failure(topic, partition.index);
    if let Some(failure) = scripted.filter(|failure| !failure.is_after_append) {
        return failed(partition.index, failure.clone());
    }
    let answer = append(cluster, context, request, topic, partition);
    match scripted {
        Some(failure) if answer.error_code.is_none() => failed(partition.index, failure.clone()),
        _ => answer,
    }
}

fn append(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &ProduceRequest,
    topic: &Arc<str>,
    partition: &ProducePartition,
) -> PartitionProduceResponse {
    let index = partition.index;
    if let Err(answer) = check_request(cluster, context, request.acks, topic, index) {
        return answer;
    }
    if let Err(code) = check_transaction(cluster, context.version, request, topic, partition) {
        let text = "the batch is not of an open transaction of its producer";
        return failed(index, Failure::new(code).message(text));
    }
    let rules = cluster.settings.sequence_rules;
    let unknown = || failed(index, Failure::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    let Some(topic) = cluster.topics.get_mut(topic) else {
        return unknown();
    };
    let config = topic.config.clone();
    let Some(target) = topic.partition_mut(index) else {
        return unknown();
    };
    let append = AppendContext {
        produce_version: context.version,
        config: &config,
        rules,
        leader_epoch: target.leader_epoch,
        now_ms: context.now_ms,
    };
    let appended = target.log.append(partition.records.as_ref(), append);
    let log_start_offset = target.log.start_offset();
    match appended {
        Ok(appended) => PartitionProduceResponse {
            index,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time_ms,
            log_start_offset,
            ..PartitionProduceResponse::default()
        },
        Err(failure) => PartitionProduceResponse {
            log_start_offset,
            ..failed(index, failure)
        },
    }
}

/// What is wrong before a look at the records; `Err` is the answer.
fn check_request(
    cluster: &Cluster,
    context: RequestContext<'_>,
    acks: i16,
    topic: &str,
    index: i32,
) -> Result<(), PartitionProduceResponse> {
    let refuse = |code| Err(failed(index, Failure::new(code)));
    if !(-1..=1).contains(&acks) {
        return refuse(ErrorCode::INVALID_REQUIRED_ACKS);
    }
    let Some(topic) = cluster.topics.get(topic) else {
        return refuse(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    let Some(partition) = topic.partition(index) else {
        return refuse(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    if partition.leader != Some(context.node) {
        return Err(PartitionProduceResponse {
            current_leader: LeaderIdAndEpoch {
                leader_id: partition.leader.map_or(-1, |leader| leader.0),
                leader_epoch: partition.leader_epoch,
            },
            ..failed(index, Failure::new(ErrorCode::NOT_LEADER_OR_FOLLOWER))
        });
    }
    let in_sync = cluster.in_sync_replicas(partition).len();
    if acks == -1 && in_sync < topic.config.min_insync_replicas {
        return refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
    }
    Ok(())
}

/// Whether a transactional batch belongs to an open transaction. A partition asks the coordinator once for each.
fn check_transaction(
    cluster: &mut Cluster,
    version: i16,
    request: &ProduceRequest,
    topic: &Arc<str>,
    partition: &ProducePartition,
) -> Result<(), ErrorCode> {
    let Some(producer) = transactional_producer(partition) else {
        return Ok(());
    };
    let Some(transactional_id) = &request.transactional_id else {
        return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    };
    let target = cluster.partition(topic, partition.index);
    if target.is_some_and(|target| target.log.has_open_transaction(producer)) {
        return Ok(());
    }
    let target = TopicPartition::new(Arc::clone(topic), partition.index);
    let write = TransactionalWrite {
        transactional_id,
        producer,
        adds: version >= FIRST_VERSION_THAT_ADDS,
        knows_abortable: version >= FIRST_VERSION_WITH_ABORTABLE,
    };
    let checked = cluster.check_transactional_write(
        write,
        |transaction| transaction.partitions.contains(&target),
        |transaction| {
            transaction.partitions.insert(target.clone());
        },
    );
    checked.map_err(|code| match code {
        // Older clients take it for the end of everything, and this for a reason to try again.
        ErrorCode::CONCURRENT_TRANSACTIONS if !write.adds => ErrorCode::NOT_ENOUGH_REPLICAS,
        _ => code,
    })
}

/// The producer of a batch that is transactional; what cannot be read is refused by the log.
fn transactional_producer(partition: &ProducePartition) -> Option<ProducerIdAndEpoch> {
    let bytes = partition.records.as_ref()?.as_bytes();
    let (batch, _) = RecordBatch::parse(bytes).ok()?;
    batch
        .is_transactional()
        .then(|| ProducerIdAndEpoch::new(batch.producer_id(), batch.producer_epoch()))
}

fn failed(index: i32, failure: Failure) -> PartitionProduceResponse {
    let record_errors = failure.record_errors.into_iter();
    PartitionProduceResponse {
        index,
        error_code: failure.code,
        base_offset: -1,
        record_errors: record_errors
            .map(
                |(batch_index, batch_index_error_message)| BatchIndexAndErrorMessage {
                    batch_index,
                    batch_index_error_message,
                },
            )
            .collect(),
        error_message: failure.message,
        ..PartitionProduceResponse::default()
    }
}

/// Gives the address of a leader that the answer names (KIP-951), once.
fn add_endpoint(cluster: &Cluster, response: &mut ProduceResponse, leader: LeaderIdAndEpoch) {
    let endpoints = &mut response.node_endpoints;
    if endpoints
        .iter()
        .any(|endpoint| endpoint.node_id == leader.leader_id)
    {
        return;
    }
    if let Some(broker) = cluster.broker(NodeId(leader.leader_id)) {
        endpoints.push(NodeEndpoint {
            node_id: broker.id.0,
            host: broker.host.clone(),
            port: i32::from(broker.port),
            rack: broker.rack.clone(),
        });
    }
}
