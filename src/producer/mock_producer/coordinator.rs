//! The transactional half of a mock: the state machine of a real producer, with a coordinator that
//! responds to each of its requests immediately.
//!
//! Threads: any.
//! Locks: those of the [`TransactionManager`], which are held for a few instructions.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::producer::internals::transactions::{
    ClusterFacts, NextRequest, TransactionConfig, TransactionManager, TransactionalRequestResult,
};
use crate::protocol::messages::{
    EndTxnResponse, InitProducerIdResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
    TxnOffsetCommitTopicResult, TxnPartitionResult,
};
use crate::protocol::{ErrorCode, RequestBody, ResponseBody};
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::utils::{ExponentialBackoff, SystemTime, Time};

/// The version of transactions that the mock's cluster has finalized (KIP-890).
const TRANSACTION_VERSION: i16 = 2;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Coordinator {
    manager: TransactionManager,
    /// Another producer has taken over. This one learns of it from the next response.
    is_fenced: AtomicBool,
}

impl Coordinator {
    pub(super) fn new(transactional_id: &str) -> Self {
        let config = TransactionConfig {
            transactional_id: Arc::from(transactional_id),
            transaction_timeout_ms: 60_000,
        };
        // Nothing is retried, so the settings for that do not matter.
        let backoff = ExponentialBackoff::new(Duration::ZERO, Duration::ZERO);
        Self {
            manager: TransactionManager::new(1, backoff, config),
            is_fenced: AtomicBool::new(false),
        }
    }

    pub(super) fn manager(&self) -> &TransactionManager {
        &self.manager
    }

    pub(super) fn fence(&self) {
        self.is_fenced.store(true, Ordering::Release);
    }

    /// Returns why a partition's leader refuses a record, if it does.
    pub(super) fn leaders_refusal(&self) -> Option<Error> {
        let code = ErrorCode::INVALID_PRODUCER_EPOCH;
        let refusal = || Error::from_code(code, format!("the mock's leader returns {code}"));
        self.is_fenced().then(refusal)
    }

    fn is_fenced(&self) -> bool {
        self.is_fenced.load(Ordering::Acquire)
    }

    /// Responds to the call's requests, and returns the outcome. The records of the transaction
    /// already have theirs.
    pub(super) fn finish(&self, result: &TransactionalRequestResult) -> Result<()> {
        let facts = ClusterFacts {
            now: SystemTime.now(),
            transaction_version: TRANSACTION_VERSION,
        };
        while let NextRequest::Send(request) = self.manager.next_request(true, facts) {
            let body = self.manager.request_body(&request);
            self.manager.request_sent(&request, true);
            match self.answer(&body) {
                Some(response) => self.manager.handle_response(request, response, facts),
                None => {
                    let text = "the mock has no response to this request";
                    self.manager.handle_unsupported_version(&request, text);
                }
            }
        }
        result.wait(Duration::ZERO)
    }

    /// Returns the response to a request. A producer that starts transactions with version 2 sends
    /// only these three requests.
    fn answer(&self, request: &RequestBody) -> Option<ResponseBody> {
        let error_code = match self.is_fenced() {
            true => ErrorCode::PRODUCER_FENCED,
            false => ErrorCode::NONE,
        };
        Some(match request {
            RequestBody::InitProducerId(request) => {
                let (producer_id, producer_epoch) =
                    next_epoch(request.producer_id, request.producer_epoch);
                ResponseBody::InitProducerId(InitProducerIdResponse {
                    error_code,
                    producer_id,
                    producer_epoch,
                    ..InitProducerIdResponse::default()
                })
            }
            RequestBody::EndTxn(request) => {
                let (producer_id, producer_epoch) =
                    next_epoch(request.producer_id, request.producer_epoch);
                ResponseBody::EndTxn(EndTxnResponse {
                    error_code,
                    producer_id,
                    producer_epoch,
                    ..EndTxnResponse::default()
                })
            }
            RequestBody::TxnOffsetCommit(request) => {
                ResponseBody::TxnOffsetCommit(committed_offsets(request, error_code))
            }
            _ => return None,
        })
    }
}

/// Returns the id and epoch of the producer after this one.
fn next_epoch(producer_id: i64, epoch: i16) -> (i64, i16) {
    match epoch.checked_add(1) {
        Some(epoch) if producer_id >= 0 => (producer_id, epoch),
        _ => (producer_id + 1, 0),
    }
}

fn committed_offsets(
    request: &TxnOffsetCommitRequest,
    error_code: ErrorCode,
) -> TxnOffsetCommitResponse {
    let topics = request
        .topics
        .iter()
        .map(|topic| TxnOffsetCommitTopicResult {
            name: Arc::clone(&topic.name),
            topic_id: topic.topic_id,
            partitions: topic
                .partitions
                .iter()
                .map(|partition| TxnPartitionResult {
                    partition_index: partition.partition_index,
                    error_code,
                })
                .collect(),
        });
    TxnOffsetCommitResponse {
        throttle_time_ms: 0,
        topics: topics.collect(),
    }
}
