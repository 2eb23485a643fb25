//! Responds to Produce. Java (broker): `KafkaApis.handleProduceRequest`,
//! `ReplicaManager.appendRecords`.

use super::RequestContext;
use crate::common::{NodeId, TopicPartition};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    ProducePartition, ProduceRequest, ProduceResponse, ProduceTopic, TopicProduceResponse,
};
use crate::record::RecordBatch;
use crate::sync::Arc;
use crate::testing::fake_broker::model::cluster::Cluster;
use crate::testing::fake_broker::model::failure::Failure;
use crate::testing::fake_broker::model::log::{self, AppendContext};
use crate::testing::fake_broker::model::topic::{Hosting, is_internal};
use crate::testing::fake_broker::model::transaction_metadata::ProducerIdAndEpoch;
use crate::testing::fake_broker::model::transactions::TransactionalWrite;

/// The version from which ids identify the topics.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;

/// The first version with TRANSACTION_ABORTABLE (KIP-890).
const FIRST_VERSION_WITH_ABORTABLE: i16 = 11;

/// The first version that adds partitions to the transaction (KIP-890).
const FIRST_VERSION_THAT_ADDS: i16 = 12;

pub(crate) fn handle(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &ProduceRequest,
) -> ProduceResponse {
    let mut response = ProduceResponse::default();
    let refusal = check_request(request);
    for topic in &request.topics {
        let name = topic_name(cluster, context.version, topic);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let label = name.as_deref().unwrap_or_default();
            let scripted = context.plan.failure(label, partition.index);
            let answer = match (&name, &refusal) {
                (Ok(_), Err(code)) if scripted.is_none() => {
                    failed(partition.index, Failure::new(*code))
                }
                (Ok(name), _) => produce_partition(cluster, context, request, name, partition),
                (Err(failure), _) => failed(partition.index, failure.clone()),
            };
            add_endpoint(cluster, &mut response, answer.current_leader);
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

/// Returns whether every partition was appended.
pub(crate) fn is_success(response: &ProduceResponse) -> bool {
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
    if let Err(refusal) = check_partition(cluster, context, request, topic, partition) {
        return PartitionProduceResponse {
            current_leader: refusal.current_leader,
            ..failed(index, refusal.failure)
        };
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

/// The reason why a partition refuses records.
struct Refusal {
    failure: Failure,
    current_leader: LeaderIdAndEpoch,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            current_leader: LeaderIdAndEpoch::default(),
        }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Failure::new(code).into()
    }
}

/// Checks the whole request. Java (broker): `KafkaApis.handleProduceRequest`,
/// `ReplicaManager.handleProduceAppend`.
fn check_request(request: &ProduceRequest) -> Result<(), ErrorCode> {
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    let mut producers = partitions.filter_map(transactional_producer);
    let Some(first) = producers.next() else {
        return Ok(());
    };
    if request.transactional_id.is_none() {
        return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    if producers.any(|other| other.producer_id != first.producer_id) {
        return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    }
    Ok(())
}

/// Checks a partition before the log validates the batch, in a broker's order.
fn check_partition(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &ProduceRequest,
    topic: &Arc<str>,
    partition: &ProducePartition,
) -> Result<(), Refusal> {
    let index = partition.index;
    if cluster.partition(topic, index).is_none() {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into());
    }
    let records = partition.records.as_ref();
    let records = records.ok_or_else(log::without_records)?;
    let batch = log::single_batch(records, context.version)?;
    if batch.is_transactional() {
        check_transaction(cluster, context, request, topic, index, &batch)?;
    }
    if !(-1..=1).contains(&request.acks) {
        return Err(ErrorCode::INVALID_REQUIRED_ACKS.into());
    }
    if is_internal(topic) {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION.into());
    }
    check_leader(cluster, context, topic, index)?;
    check_in_sync_replicas(cluster, request.acks, topic, index)?;
    Ok(())
}

/// Refuses batches on a node that does not lead the partition, or does not serve it yet.
fn check_leader(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    topic: &str,
    index: i32,
) -> Result<(), Refusal> {
    let Some(partition) = cluster.partition_mut(topic, index) else {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into());
    };
    let is_leader = partition.leader == Some(context.node);
    if is_leader && partition.hosting == Hosting::Open {
        return Ok(());
    }
    if is_leader {
        partition.hosting = Hosting::Open;
    }
    Err(Refusal {
        failure: Failure::new(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        current_leader: LeaderIdAndEpoch {
            leader_id: partition.leader.map_or(-1, |leader| leader.0),
            leader_epoch: partition.leader_epoch,
        },
    })
}

fn check_in_sync_replicas(
    cluster: &Cluster,
    acks: i16,
    topic: &str,
    index: i32,
) -> Result<(), Refusal> {
    let found = cluster.topics.get(topic);
    let found = found.and_then(|topic| Some((&topic.config, topic.partition(index)?)));
    let Some((config, partition)) = found else {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into());
    };
    let in_sync = cluster.in_sync_replicas(partition).len();
    if acks == -1 && in_sync < config.min_insync_replicas {
        return Err(ErrorCode::NOT_ENOUGH_REPLICAS.into());
    }
    Ok(())
}

/// Returns whether a transactional batch belongs to an open transaction. A partition asks the
/// coordinator once per transaction.
fn check_transaction(
    cluster: &mut Cluster,
    context: RequestContext<'_>,
    request: &ProduceRequest,
    topic: &Arc<str>,
    index: i32,
    batch: &RecordBatch<'_>,
) -> Result<(), Refusal> {
    let Some(transactional_id) = &request.transactional_id else {
        return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED.into());
    };
    check_leader(cluster, context, topic, index)?;
    let Some(target) = cluster.partition_mut(topic, index) else {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into());
    };
    let producer = ProducerIdAndEpoch::new(batch.producer_id(), batch.producer_epoch());
    if target.log.has_open_transaction(producer) {
        return Ok(());
    }
    let write = TransactionalWrite {
        transactional_id,
        producer,
        adds: context.version >= FIRST_VERSION_THAT_ADDS,
        knows_abortable: context.version >= FIRST_VERSION_WITH_ABORTABLE,
    };
    target.log.start_verification(batch, write.adds)?;
    let target = TopicPartition::new(Arc::clone(topic), index);
    let checked = cluster.check_transactional_write(
        write,
        |transaction| transaction.partitions.contains(&target),
        |transaction| {
            transaction.partitions.insert(target.clone());
        },
    );
    checked.map_err(|code| {
        let code = match code {
            // Older clients treat the first code as fatal, and the second one as retriable.
            ErrorCode::CONCURRENT_TRANSACTIONS if !write.adds => ErrorCode::NOT_ENOUGH_REPLICAS,
            _ => code,
        };
        let text = "the batch is not of an open transaction of its producer";
        Failure::new(code).message(text).into()
    })
}

/// Returns the producer of a transactional batch. The log refuses a batch that cannot be read.
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

/// Adds the address of a leader in the response (KIP-951), once.
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
