//! TxnOffsetCommit: commits a group's offsets with the transaction. Java: `TxnOffsetCommitHandler`.

use super::{Abortable, Done, ErrorTable, Fatal, FindCoordinator, Verdict};
use crate::producer::internals::sequences::ProducerIdAndEpoch;
use crate::producer::internals::transactions::queue::GroupOffsets;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnOffsetCommitTopic,
};
use crate::sync::Arc;

pub(super) static ERRORS: ErrorTable = ErrorTable {
    rows: &[
        (ErrorCode::REQUEST_TIMED_OUT, FindCoordinator),
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, Abortable),
        (ErrorCode::FENCED_INSTANCE_ID, Abortable),
        (ErrorCode::UNKNOWN_MEMBER_ID, Abortable),
        (ErrorCode::ILLEGAL_GENERATION, Abortable),
        (ErrorCode::GROUP_ID_NOT_FOUND, Abortable),
        (ErrorCode::STALE_MEMBER_EPOCH, Abortable),
        (ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT, Fatal),
    ],
    others: Fatal,
};

pub(super) fn body(
    commit: &GroupOffsets,
    transactional_id: Arc<str>,
    producer: ProducerIdAndEpoch,
) -> TxnOffsetCommitRequest {
    TxnOffsetCommitRequest {
        transactional_id,
        group_id: Arc::clone(&commit.group_id),
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
        generation_id_or_member_epoch: commit.group.generation_id(),
        member_id: Arc::clone(commit.group.shared_member_id()),
        group_instance_id: commit.group.shared_instance_id().cloned(),
        topics: topics(commit),
    }
}

/// Returns the topics of a request. The offsets are sorted, so that each topic is named once.
fn topics(commit: &GroupOffsets) -> Vec<TxnOffsetCommitTopic> {
    let by_topic = commit
        .offsets
        .chunk_by(|(a, _), (b, _)| a.topic() == b.topic());
    by_topic
        .filter_map(|of_topic| {
            let partitions =
                of_topic
                    .iter()
                    .map(|(topic_partition, offset)| TxnOffsetCommitPartition {
                        partition_index: topic_partition.partition(),
                        committed_offset: offset.offset(),
                        committed_leader_epoch: offset.known_leader_epoch().unwrap_or(-1),
                        committed_metadata: Some(Arc::clone(offset.text())),
                    });
            let name = of_topic.first()?.0.shared_topic();
            Some(TxnOffsetCommitTopic {
                name: Arc::clone(name),
                topic_id: commit.topic_ids.id(name),
                partitions: partitions.collect(),
            })
        })
        .collect()
}

pub(super) fn judge(
    commit: &mut GroupOffsets,
    body: &TxnOffsetCommitResponse,
    warn: &mut dyn FnMut(String),
) -> Verdict {
    match commit.remove_committed(body, warn) {
        Some(code) => ERRORS.refusal(code, refusal(commit, code)),
        None if commit.offsets.is_empty() => Verdict::Done(Done::OffsetsCommitted),
        None => Verdict::Unusable(format!(
            "the response to an offset commit of group {} leaves partitions out",
            commit.group_id
        )),
    }
}

impl GroupOffsets {
    /// Removes the committed offsets. Returns the code that decides about the others.
    fn remove_committed(
        &mut self,
        response: &TxnOffsetCommitResponse,
        warn: &mut dyn FnMut(String),
    ) -> Option<ErrorCode> {
        let mut worst = None;
        for topic in &response.topics {
            let name = match topic.name.is_empty() {
                true => self.topic_ids.name(topic.topic_id).cloned(),
                false => Some(Arc::clone(&topic.name)),
            };
            let Some(name) = name else {
                let text = format!(
                    "the response to an offset commit of group {} has the topic id {}, which is not in the request",
                    self.group_id, topic.topic_id
                );
                warn(text);
                continue;
            };
            for result in &topic.partitions {
                let code = result.error_code;
                if code.is_none() {
                    self.offsets.retain(|(topic_partition, _)| {
                        topic_partition.topic() != &*name
                            || topic_partition.partition() != result.partition_index
                    });
                } else {
                    let known = worst.filter(|known: &ErrorCode| !known.is_retriable());
                    worst = known.or(Some(code));
                }
            }
        }
        worst
    }
}

/// Describes why the group's coordinator refuses the offsets.
fn refusal(commit: &GroupOffsets, code: ErrorCode) -> String {
    let group_id = &commit.group_id;
    match code {
        ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::ILLEGAL_GENERATION
        | ErrorCode::GROUP_ID_NOT_FOUND
        | ErrorCode::STALE_MEMBER_EPOCH => format!(
            "the offsets of group {group_id} cannot be committed with the transaction, because the consumer group metadata \
             (generation {}, member '{}') does not match the group: {code}",
            commit.group.generation_id(),
            commit.group.member_id()
        ),
        _ => format!(
            "the offsets of group {group_id} cannot be committed with the transaction: {code}"
        ),
    }
}
