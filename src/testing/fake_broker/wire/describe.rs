//! The description of a request for the journal, hooks and rules.

use super::connection::Connection;
use super::core::Core;
use crate::common::{TopicPartition, Uuid};
use crate::protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, FindCoordinatorRequest,
    InitProducerIdRequest, MetadataRequest, ProduceRequest, TxnOffsetCommitRequest,
};
use crate::protocol::{RequestBody, RequestHeader};
use crate::record::RecordBatch;
use crate::sync::Arc;
use crate::testing::fake_broker::model::api::Api;
use crate::testing::fake_broker::model::coordinators::CoordinatorType;
use crate::testing::fake_broker::model::facts::{
    BatchHeader, Request, RequestedTransaction, SentBatch,
};

/// Describes a request of which only the header is known.
pub(crate) fn request_of(connection: &Connection, header: &RequestHeader, api: Api) -> Request {
    Request {
        node: connection.node,
        connection: connection.id,
        api,
        version: header.api_version,
        correlation_id: header.correlation_id,
        client_id: header.client_id.as_deref().map(str::to_owned),
        acks: None,
        topics: Vec::new(),
        is_for_all_topics: false,
        partitions: Vec::new(),
        batches: Vec::new(),
        transaction: RequestedTransaction::default(),
    }
}

pub(crate) fn describe(
    core: &Core,
    connection: &Connection,
    header: &RequestHeader,
    body: &RequestBody,
) -> Request {
    let of = |api| request_of(connection, header, api);
    let in_transaction = |api, transaction| Request {
        transaction,
        ..of(api)
    };
    match body {
        RequestBody::ApiVersions(_) => of(Api::ApiVersions),
        RequestBody::Metadata(body) => Request {
            topics: requested_topics(core, body),
            is_for_all_topics: body.topics.is_none(),
            ..of(Api::Metadata)
        },
        RequestBody::Produce(body) => {
            let mut request = of(Api::Produce);
            request.acks = Some(body.acks);
            request.transaction.transactional_id = body.transactional_id.as_deref().map(owned);
            describe_batches(core, body, &mut request);
            request
        }
        RequestBody::FindCoordinator(body) => {
            in_transaction(Api::FindCoordinator, sought_keys(body))
        }
        RequestBody::InitProducerId(body) => in_transaction(Api::InitProducerId, initialized(body)),
        RequestBody::AddPartitionsToTxn(body) => Request {
            partitions: added_partitions(body),
            ..in_transaction(
                Api::AddPartitionsToTxn,
                producer(
                    &body.transactional_id,
                    body.producer_id,
                    body.producer_epoch,
                ),
            )
        },
        RequestBody::AddOffsetsToTxn(body) => {
            in_transaction(Api::AddOffsetsToTxn, added_group(body))
        }
        RequestBody::EndTxn(body) => in_transaction(Api::EndTxn, ended(body)),
        RequestBody::TxnOffsetCommit(body) => Request {
            partitions: committed_partitions(core, body),
            ..in_transaction(Api::TxnOffsetCommit, committed_group(body))
        },
        RequestBody::SaslHandshake(_) => of(Api::SaslHandshake),
        RequestBody::SaslAuthenticate(_) => of(Api::SaslAuthenticate),
        RequestBody::GetTelemetrySubscriptions(_) => of(Api::GetTelemetrySubscriptions),
        RequestBody::PushTelemetry(_) => of(Api::PushTelemetry),
    }
}

fn owned(text: &str) -> String {
    text.to_owned()
}

fn producer(id: &str, producer_id: i64, producer_epoch: i16) -> RequestedTransaction {
    RequestedTransaction {
        transactional_id: Some(owned(id)),
        producer_id: Some(producer_id),
        producer_epoch: Some(producer_epoch),
        ..RequestedTransaction::default()
    }
}

fn sought_keys(body: &FindCoordinatorRequest) -> RequestedTransaction {
    let key = body.coordinator_keys.first().map(|key| owned(key));
    let mut sought = RequestedTransaction::default();
    match CoordinatorType::from_key_type(body.key_type) {
        Some(CoordinatorType::Group) => sought.group_id = key,
        Some(CoordinatorType::Transaction) => sought.transactional_id = key,
        None => {}
    }
    sought
}

fn initialized(body: &InitProducerIdRequest) -> RequestedTransaction {
    RequestedTransaction {
        transactional_id: body.transactional_id.as_deref().map(owned),
        producer_id: Some(body.producer_id),
        producer_epoch: Some(body.producer_epoch),
        ..RequestedTransaction::default()
    }
}

fn added_group(body: &AddOffsetsToTxnRequest) -> RequestedTransaction {
    RequestedTransaction {
        group_id: Some(owned(&body.group_id)),
        ..producer(
            &body.transactional_id,
            body.producer_id,
            body.producer_epoch,
        )
    }
}

fn ended(body: &EndTxnRequest) -> RequestedTransaction {
    RequestedTransaction {
        is_commit: Some(body.committed),
        ..producer(
            &body.transactional_id,
            body.producer_id,
            body.producer_epoch,
        )
    }
}

fn committed_group(body: &TxnOffsetCommitRequest) -> RequestedTransaction {
    RequestedTransaction {
        group_id: Some(owned(&body.group_id)),
        generation_id: Some(body.generation_id_or_member_epoch),
        member_id: Some(owned(&body.member_id)),
        group_instance_id: body.group_instance_id.as_deref().map(owned),
        ..producer(
            &body.transactional_id,
            body.producer_id,
            body.producer_epoch,
        )
    }
}

fn added_partitions(body: &AddPartitionsToTxnRequest) -> Vec<TopicPartition> {
    let of_topic = body.topics.iter().flat_map(|topic| {
        let numbers = topic.partitions.iter();
        numbers.map(|number| TopicPartition::new(Arc::clone(&topic.name), *number))
    });
    of_topic.collect()
}

fn committed_partitions(core: &Core, body: &TxnOffsetCommitRequest) -> Vec<TopicPartition> {
    let of_topic = body.topics.iter().flat_map(|topic| {
        let name = name_or_id(core, &topic.name, topic.topic_id);
        let numbers = topic.partitions.iter().map(|p| p.partition_index);
        numbers.map(move |number| TopicPartition::new(Arc::clone(&name), number))
    });
    of_topic.collect()
}

/// Returns the name of a topic that a request identifies by name or id. If no topic has the id,
/// returns its text.
fn name_or_id(core: &Core, name: &Arc<str>, id: Uuid) -> Arc<str> {
    if id.is_zero() {
        return Arc::clone(name);
    }
    let cluster = core.cluster.lock();
    let known = cluster.topic_with_id(id);
    known.map_or_else(|| Arc::from(id.to_string()), |(name, _)| Arc::clone(name))
}

fn requested_topics(core: &Core, request: &MetadataRequest) -> Vec<String> {
    let cluster = core.cluster.lock();
    let topics = request.topics.iter().flatten();
    topics
        .map(|topic| match &topic.name {
            Some(name) if topic.topic_id.is_zero() => name.to_string(),
            _ => match cluster.topic_with_id(topic.topic_id) {
                Some((name, _)) => name.to_string(),
                None => topic.topic_id.to_string(),
            },
        })
        .collect()
}

fn describe_batches(core: &Core, body: &ProduceRequest, request: &mut Request) {
    for topic in &body.topics {
        let name = name_or_id(core, &topic.name, topic.topic_id);
        for partition in &topic.partitions {
            let topic_partition = TopicPartition::new(Arc::clone(&name), partition.index);
            request.partitions.push(topic_partition.clone());
            let bytes = partition
                .records
                .as_ref()
                .map_or(&[][..], |records| records.as_bytes());
            let header = RecordBatch::parse(bytes).and_then(|(batch, _)| BatchHeader::of(&batch));
            if let Ok(header) = header {
                request.batches.push(SentBatch {
                    topic_partition,
                    header,
                });
            }
        }
    }
}
