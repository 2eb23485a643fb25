//! Java: `TransactionManagerTest`, and the transactions of `SenderTest`. The sender and the transaction manager together,
//! one request at a time.

mod basics;
mod calls;
mod closing;
mod coordinators;
mod defence;
mod errors;
mod recovery;
mod topic_ids;
mod version_two;

use super::*;
use crate::producer::internals::transactions::TransactionalRequestResult;
use crate::producer::{ConsumerGroupMetadata, OffsetAndMetadata};
use crate::protocol::ResponseBody;
use crate::protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, AddPartitionsToTxnTopicResult,
    Coordinator, EndTxnResponse, FindCoordinatorResponse, TxnOffsetCommitResponse,
    TxnOffsetCommitTopicResult, TxnPartitionResult,
};

const NONE: ErrorCode = ErrorCode::NONE;
const GROUP: &str = "group";

/// Polls a result without blocking.
pub(super) fn outcome(result: &TransactionalRequestResult) -> Option<Result<(), Error>> {
    result.is_completed().then(|| result.wait(Duration::ZERO))
}

fn transactional(setup: Setup) -> Fixture {
    Fixture::new(&Setup {
        idempotent: true,
        transactional: true,
        ..setup
    })
}

/// A fixture with a producer id and no transaction.
fn initialized() -> Fixture {
    initialized_with(Setup::default())
}

pub(super) fn initialized_with(setup: Setup) -> Fixture {
    let mut fixture = transactional(setup);
    fixture.init_transactions();
    fixture
}

/// A fixture whose brokers follow version 2.
fn initialized_v2() -> Fixture {
    let mut fixture = transactional(Setup::default());
    fixture.set_transaction_version(2);
    fixture.init_transactions();
    fixture
}

/// A fixture with an open transaction.
fn in_transaction() -> Fixture {
    let fixture = initialized();
    fixture.manager().begin_transaction().unwrap();
    fixture
}

/// A fixture whose transaction has an acknowledged record in partition 0.
pub(super) fn with_record() -> Fixture {
    let mut fixture = in_transaction();
    let sent = fixture.send_added(0);
    fixture.answer(NONE, 0);
    assert_eq!(sent.offset(), 0);
    fixture
}

fn epoch(epoch: i16) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { epoch, ..PRODUCER }
}

fn coordinator(code: ErrorCode, node: i32) -> FindCoordinatorResponse {
    FindCoordinatorResponse {
        throttle_time_ms: 0,
        coordinators: vec![Coordinator {
            key: "".into(),
            node_id: node,
            host: "localhost".to_owned(),
            port: 1969 + node,
            error_code: code,
            error_message: None,
        }],
    }
}

fn results(partitions: &[(i32, ErrorCode)]) -> Vec<TxnPartitionResult> {
    let results = partitions.iter();
    let results = results.map(|(partition_index, error_code)| TxnPartitionResult {
        partition_index: *partition_index,
        error_code: *error_code,
    });
    results.collect()
}

pub(super) fn added(partitions: &[(i32, ErrorCode)]) -> AddPartitionsToTxnResponse {
    AddPartitionsToTxnResponse {
        throttle_time_ms: 0,
        topics: vec![AddPartitionsToTxnTopicResult {
            name: TOPIC.into(),
            partitions: results(partitions),
        }],
    }
}

fn offsets_added(error_code: ErrorCode) -> AddOffsetsToTxnResponse {
    AddOffsetsToTxnResponse {
        throttle_time_ms: 0,
        error_code,
    }
}

fn offsets_committed(partitions: &[(i32, ErrorCode)]) -> TxnOffsetCommitResponse {
    TxnOffsetCommitResponse {
        throttle_time_ms: 0,
        topics: vec![TxnOffsetCommitTopicResult {
            name: TOPIC.into(),
            topic_id: Uuid::ZERO,
            partitions: results(partitions),
        }],
    }
}

fn ended(error_code: ErrorCode) -> EndTxnResponse {
    EndTxnResponse {
        throttle_time_ms: 0,
        error_code,
        producer_id: -1,
        producer_epoch: -1,
    }
}

/// Returns the response of version 5: the next transaction has this epoch.
fn ended_with(producer: ProducerIdAndEpoch) -> EndTxnResponse {
    EndTxnResponse {
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
        ..ended(NONE)
    }
}

impl Fixture {
    fn set_transaction_version(&mut self, level: i16) {
        self.client()
            .set_finalized_feature("transaction.version", level);
    }

    /// Returns the APIs of the requests in flight, oldest first.
    fn apis(&self) -> Vec<ApiKey> {
        let requests = self.sender.client.requests().iter();
        requests.map(|sent| sent.request.body.api_key()).collect()
    }

    fn find(&self, key: ApiKey) -> Option<(CorrelationId, RequestBody)> {
        let mut requests = self.sender.client.requests().iter();
        let sent = requests.find(|sent| sent.request.body.api_key() == key)?;
        Some((sent.correlation_id, sent.request.body.clone()))
    }

    /// Returns the request of this API that is in flight now.
    pub(super) fn request(&mut self, key: ApiKey) -> RequestBody {
        self.run();
        let apis = self.apis();
        let found = self.find(key);
        let found = found.unwrap_or_else(|| panic!("{key} is not in flight, but {apis:?}"));
        found.1
    }

    /// Responds to the request of this API, which must be in flight.
    fn serve(&mut self, key: ApiKey, body: impl Into<ResponseBody>) {
        self.request(key);
        let (id, _) = self.find(key).unwrap();
        self.client().respond_to(id, body);
        self.run();
    }

    fn serve_coordinator(&mut self) {
        self.serve(ApiKey::FindCoordinator, coordinator(NONE, 0));
    }

    fn serve_producer_id(&mut self, producer: ProducerIdAndEpoch) {
        self.serve(ApiKey::InitProducerId, init_response(NONE, producer));
    }

    fn init_transactions(&mut self) {
        let result = self.manager().initialize_transactions().unwrap();
        self.serve_coordinator();
        self.serve_producer_id(PRODUCER);
        outcome(&result).unwrap().unwrap();
    }

    fn serve_added(&mut self, partition: i32) {
        self.serve(ApiKey::AddPartitionsToTxn, added(&[(partition, NONE)]));
    }

    /// Appends a record, adds its partition, and sends it.
    fn send_added(&mut self, partition: i32) -> Sent {
        let sent = self.append(partition);
        self.serve_added(partition);
        sent
    }

    fn send_offsets(&self, offsets: &[(i32, i64)]) -> Arc<TransactionalRequestResult> {
        self.send_offsets_of(offsets, &ConsumerGroupMetadata::new(GROUP))
    }

    fn send_offsets_of(
        &self,
        offsets: &[(i32, i64)],
        group: &ConsumerGroupMetadata,
    ) -> Arc<TransactionalRequestResult> {
        let offsets = offsets
            .iter()
            .map(|(partition, offset)| (tp(*partition), OffsetAndMetadata::new(*offset)));
        let cluster = self.metadata.snapshot();
        self.manager()
            .send_offsets_to_transaction(offsets.collect(), group, &cluster)
            .unwrap()
    }

    /// Commits, with successful responses.
    fn commit(&mut self) {
        let result = self.manager().begin_commit().unwrap();
        self.serve(ApiKey::EndTxn, ended(NONE));
        outcome(&result).unwrap().unwrap();
    }

    /// Loses the coordinator's connection, and waits until a reconnect is allowed.
    fn lose_coordinator(&mut self) {
        self.run();
        self.client().lose(NodeId(0));
        self.run();
        self.back_off();
    }

    pub(super) fn begin(&self) {
        self.manager().begin_transaction().unwrap();
    }

    #[track_caller]
    fn assert_state(&self, expected: &str) {
        assert_eq!(format!("{:?}", self.manager().state()), expected);
    }

    /// Returns the error that every call returns now.
    fn error_state(&self) -> Error {
        self.manager().check_may_send().unwrap_err()
    }

    #[track_caller]
    fn assert_fenced(&self) {
        let error = self.error_state();
        assert_eq!(error.kind(), ErrorKind::Fenced);
        assert!(error.is_fatal() && !error.is_abortable());
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("transactional-id"), "{error}: {cause}");
        self.assert_state("FatalError");
    }

    #[track_caller]
    fn assert_abortable(&self) {
        let error = self.error_state();
        assert!(error.is_abortable() && !error.is_fatal(), "{error:?}");
        assert!(self.manager().begin_commit().is_err());
        self.assert_state("AbortableError");
    }

    /// Aborts, and responds to every request that this needs.
    fn abort(&mut self, expected: &[ApiKey]) {
        let result = self.manager().begin_abort().unwrap();
        for key in expected {
            match key {
                ApiKey::EndTxn => self.serve(*key, ended(NONE)),
                ApiKey::InitProducerId => {
                    let next = self.ledger.producer_id_and_epoch().epoch + 1;
                    self.serve_producer_id(epoch(next));
                }
                other => panic!("{other} is not part of an abort"),
            }
        }
        self.run();
        assert_eq!(self.apis(), [], "there is more to it");
        outcome(&result).unwrap().unwrap();
        self.assert_state("Ready");
    }
}
