//! A raw client that runs transactions, for the tests of the coordinator.

use super::*;
use crate::protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, EndTxnRequest,
    EndTxnResponse, InitProducerIdRequest, TxnOffsetCommitPartition, TxnOffsetCommitRequest,
    TxnOffsetCommitTopic,
};

/// A transactional producer that sends each request explicitly, in the versions of transaction
/// version 1 or 2.
pub(super) struct TransactionalClient {
    pub(super) client: Client,
    pub(super) id: Arc<str>,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) sequence: i32,
    pub(super) is_v2: bool,
    /// The id of topic `t`; zero if it does not exist.
    pub(super) topic_id: Uuid,
}

impl TransactionalClient {
    /// Creates a producer with its id and epoch. All partitions and coordinators are on node 1.
    pub(super) fn start(broker: &FakeBroker, id: &str, is_v2: bool) -> Self {
        let mut producer = Self {
            client: Client::connect(broker, 1),
            id: Arc::from(id),
            producer_id: -1,
            epoch: -1,
            sequence: 0,
            is_v2,
            topic_id: broker.topic_id("t").unwrap_or(Uuid::ZERO),
        };
        if producer.init() == ErrorCode::CONCURRENT_TRANSACTIONS {
            assert_eq!(producer.init(), ErrorCode::NONE);
        }
        producer
    }

    /// Requests an id and epoch, or the next epoch.
    pub(super) fn init(&mut self) -> ErrorCode {
        self.init_at(4)
    }

    pub(super) fn init_at(&mut self, version: i16) -> ErrorCode {
        let request = InitProducerIdRequest {
            transactional_id: Some(Arc::clone(&self.id)),
            transaction_timeout_ms: 60_000,
            producer_id: if version >= 3 { self.producer_id } else { -1 },
            producer_epoch: if version >= 3 { self.epoch } else { -1 },
        };
        let ResponseBody::InitProducerId(response) = self.client.call(version, request) else {
            panic!("another API");
        };
        if response.error_code.is_none() {
            self.go_on_as(response.producer_id, response.producer_epoch);
        }
        response.error_code
    }

    /// Continues with this producer id and epoch. A new epoch begins with sequence 0.
    pub(super) fn go_on_as(&mut self, producer_id: i64, epoch: i16) {
        self.sequence = 0;
        (self.producer_id, self.epoch) = (producer_id, epoch);
    }

    pub(super) fn add_partitions(
        &mut self,
        version: i16,
        topic: &str,
        partitions: &[i32],
    ) -> Vec<ErrorCode> {
        let request = AddPartitionsToTxnRequest {
            transactional_id: Arc::clone(&self.id),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            topics: vec![AddPartitionsToTxnTopic {
                name: Arc::from(topic),
                partitions: partitions.to_vec(),
            }],
        };
        let ResponseBody::AddPartitionsToTxn(response) = self.client.call(version, request) else {
            panic!("another API");
        };
        let results = response.topics.iter().flat_map(|topic| &topic.partitions);
        results.map(|result| result.error_code).collect()
    }

    pub(super) fn add_offsets(&mut self, version: i16, group: &str) -> ErrorCode {
        let request = AddOffsetsToTxnRequest {
            transactional_id: Arc::clone(&self.id),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            group_id: Arc::from(group),
        };
        match self.client.call(version, request) {
            ResponseBody::AddOffsetsToTxn(response) => response.error_code,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn offsets(&self, group: &str, offsets: &[(i32, i64)]) -> TxnOffsetCommitRequest {
        let partitions = offsets.iter();
        TxnOffsetCommitRequest {
            transactional_id: Arc::clone(&self.id),
            group_id: Arc::from(group),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            topics: vec![TxnOffsetCommitTopic {
                name: Arc::from("t"),
                topic_id: self.topic_id,
                partitions: partitions
                    .map(
                        |&(partition_index, committed_offset)| TxnOffsetCommitPartition {
                            partition_index,
                            committed_offset,
                            committed_leader_epoch: -1,
                            committed_metadata: None,
                        },
                    )
                    .collect(),
            }],
            ..TxnOffsetCommitRequest::default()
        }
    }

    pub(super) fn commit_offsets(
        &mut self,
        version: i16,
        request: TxnOffsetCommitRequest,
    ) -> Vec<ErrorCode> {
        let ResponseBody::TxnOffsetCommit(response) = self.client.call(version, request) else {
            panic!("another API");
        };
        let results = response.topics.iter().flat_map(|topic| &topic.partitions);
        results.map(|result| result.error_code).collect()
    }

    /// Returns a request of one record with the next sequence.
    pub(super) fn produce_request(&self, partition: i32, value: &str) -> ProduceRequest {
        let state = ProducerState {
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            base_sequence: self.sequence,
            is_transactional: true,
        };
        ProduceRequest {
            transactional_id: Some(Arc::clone(&self.id)),
            ..request("t", partition, batch(state, &[value]))
        }
    }

    pub(super) fn produce_at(&mut self, version: i16, partition: i32, value: &str) -> ErrorCode {
        let request = self.produce_request(partition, value);
        self.client.send(version, request);
        only_partition(self.client.receive_produce(version).1).error_code
    }

    /// Writes one record to partition 0. Adds the partition first if that is the client's task.
    pub(super) fn produce(&mut self, value: &str) {
        if !self.is_v2 {
            assert_eq!(self.add_partitions(3, "t", &[0]), [ErrorCode::NONE]);
        }
        let version = if self.is_v2 { 12 } else { 11 };
        assert_eq!(self.produce_at(version, 0, value), ErrorCode::NONE);
        self.sequence += 1;
    }

    pub(super) fn end_request(&self, committed: bool) -> EndTxnRequest {
        EndTxnRequest {
            transactional_id: Arc::clone(&self.id),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed,
        }
    }

    pub(super) fn end_at(&mut self, version: i16, committed: bool) -> EndTxnResponse {
        match self.client.call(version, self.end_request(committed)) {
            ResponseBody::EndTxn(response) => response,
            other => panic!("{other:?}"),
        }
    }

    /// Ends the transaction, and continues with the epoch in the response.
    pub(super) fn end(&mut self, committed: bool) -> ErrorCode {
        let response = self.end_at(if self.is_v2 { 5 } else { 4 }, committed);
        if self.is_v2 && response.error_code.is_none() {
            self.go_on_as(response.producer_id, response.producer_epoch);
        }
        response.error_code
    }
}

/// Starts one node of this transaction version, with partitions 0 and 1 of topic "t".
pub(super) fn transactional_broker(version: i16) -> FakeBroker {
    FakeBroker::builder()
        .topic("t", 2)
        .transaction_version(version)
        .start()
        .unwrap()
}

/// Returns the values that a read_committed consumer sees in topic "t".
pub(super) fn committed(broker: &FakeBroker) -> Vec<String> {
    let records = broker.committed_records("t").into_iter();
    records
        .map(|record| String::from_utf8(record.value.unwrap()).unwrap())
        .collect()
}
