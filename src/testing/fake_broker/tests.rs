//! Drives the broker over raw sockets, with a client that shares nothing with this crate's own.

mod coordinators;
mod groups;
mod lifecycle;
mod metadata;
mod produce;
mod script;
mod telemetry;
mod transaction_faults;
mod transactional_client;
mod transactions;
mod versions;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::FakeBroker;
use crate::common::{Headers, NodeId, Uuid};
use crate::protocol::messages::{
    PartitionProduceResponse, ProducePartition, ProduceRequest, ProduceResponse, ProduceTopic,
};
use crate::protocol::{
    ApiKey, ErrorCode, RequestBody, RequestHeader, ResponseBody, decode_response, encode_request,
};
use crate::record::{Compression, CompressionType, MemoryRecordsBuilder, ProducerState};
use crate::sync::Arc;

/// Far more than anything here takes. It only bounds a test that fails.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A client that sends exactly what a test specifies.
struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    fn connect(broker: &FakeBroker, node: i32) -> Self {
        let port = broker.port(NodeId(node)).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        // Leaves no lingering connection that would keep its port.
        let linger = Some(Duration::ZERO);
        socket2::SockRef::from(&stream).set_linger(linger).unwrap();
        Self {
            stream,
            correlation_id: 0,
        }
    }

    fn send_raw(&mut self, payload: &[u8]) {
        let size = i32::try_from(payload.len()).unwrap().to_be_bytes();
        self.stream
            .write_all(&[&size[..], payload].concat())
            .unwrap();
    }

    /// Sends a request, and returns its correlation id.
    fn send(&mut self, version: i16, body: impl Into<RequestBody>) -> i32 {
        let body = body.into();
        self.correlation_id += 1;
        let header = RequestHeader {
            api_key: body.api_key().id(),
            api_version: version,
            correlation_id: self.correlation_id,
            client_id: Some(Arc::from("test")),
        };
        self.send_raw(&encode_request(&header, &body).unwrap().to_vec());
        self.correlation_id
    }

    /// Returns the next reply without its size, or `None` at the end of the connection.
    fn receive_raw(&mut self) -> Option<Vec<u8>> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size).ok()?;
        let mut payload = vec![0; usize::try_from(i32::from_be_bytes(size)).unwrap()];
        self.stream.read_exact(&mut payload).ok()?;
        Some(payload)
    }

    /// Returns the next reply, with its correlation id.
    fn receive(&mut self, key: ApiKey, version: i16) -> (i32, ResponseBody) {
        let payload = self.receive_raw().expect("the connection ended");
        let (header, body) = decode_response(key, version, &payload).unwrap();
        (header.correlation_id, body)
    }

    fn call(&mut self, version: i16, body: impl Into<RequestBody>) -> ResponseBody {
        let body = body.into();
        let key = body.api_key();
        let sent = self.send(version, body);
        let (received, body) = self.receive(key, version);
        assert_eq!(received, sent);
        body
    }

    fn receive_produce(&mut self, version: i16) -> (i32, ProduceResponse) {
        match self.receive(ApiKey::Produce, version) {
            (id, ResponseBody::Produce(response)) => (id, response),
            other => panic!("{other:?}"),
        }
    }

    /// Sends one batch to one partition with Produce v9, and returns the partition's response.
    fn produce(&mut self, topic: &str, partition: i32, batch: Vec<u8>) -> PartitionProduceResponse {
        self.send(9, request(topic, partition, batch));
        only_partition(self.receive_produce(9).1)
    }

    fn produce_code(&mut self, topic: &str, partition: i32, batch: Vec<u8>) -> ErrorCode {
        self.produce(topic, partition, batch).error_code
    }

    /// Returns whether the broker has ended the connection without sending anything.
    fn is_at_end(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

fn only_partition(response: ProduceResponse) -> PartitionProduceResponse {
    let mut partitions = response
        .topics
        .into_iter()
        .flat_map(|topic| topic.partitions);
    let partition = partitions.next().expect("no partition in the answer");
    assert!(partitions.next().is_none());
    partition
}

fn request(topic: &str, partition: i32, batch: Vec<u8>) -> ProduceRequest {
    request_of_batches(topic, vec![(partition, batch)])
}

fn request_of_batches(topic: &str, batches: Vec<(i32, Vec<u8>)>) -> ProduceRequest {
    let partitions = batches.into_iter().map(|(index, batch)| ProducePartition {
        index,
        records: Some(batch.into()),
    });
    ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 1000,
        topics: vec![ProduceTopic {
            name: Arc::from(topic),
            topic_id: Uuid::ZERO,
            partitions: partitions.collect(),
        }],
    }
}

/// Returns a batch without a producer id. The keys are null.
fn plain(values: &[&str]) -> Vec<u8> {
    batch(ProducerState::NONE, values)
}

/// Returns a batch of one record for each sequence.
fn sequenced(producer_epoch: i16, base_sequence: i32, values: &[&str]) -> Vec<u8> {
    let state = ProducerState {
        producer_id: 7,
        producer_epoch,
        base_sequence,
        is_transactional: false,
    };
    batch(state, values)
}

fn batch(state: ProducerState, values: &[&str]) -> Vec<u8> {
    let compression = Compression::new(CompressionType::None, None).unwrap();
    let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 1 << 20, 1.0);
    for (value, timestamp) in values.iter().zip(1000..) {
        let value = Some(value.as_bytes());
        builder
            .append(timestamp, None, value, &Headers::new())
            .unwrap();
    }
    builder.close(state).unwrap().bytes.to_vec()
}

fn values(broker: &FakeBroker, topic: &str, partition: i32) -> Vec<String> {
    let records = broker.records(topic, partition).into_iter();
    records
        .map(|record| String::from_utf8(record.value.unwrap()).unwrap())
        .collect()
}
