//! A cluster of one node that responds on the producer's own thread. Without sockets and waits,
//! every run of a producer executes the same instructions. It trusts and acknowledges everything.
//!
//! The broker's work is in functions whose names begin with `broker_work`. A count of the
//! producer's instructions excludes them by this name.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::common::{NodeId, Uuid};
use crate::network::{Disconnect, NetworkReceive, NetworkSend, Selectable, Waker};
use crate::protocol::messages::{
    ApiVersion, ApiVersionsResponse, InitProducerIdResponse, MetadataBroker, MetadataPartition,
    MetadataResponse, MetadataTopic, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceResponse,
};
use crate::protocol::{
    ApiKey, RequestBody, RequestHeader, ResponseBody, decode_request, encode_response,
};
use crate::sync::Arc;

const NODE: i32 = 1;
const PRODUCER_ID: i64 = 1_000;

/// The topics in the responses: `topic-0` and so on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Topics {
    pub(super) count: u32,
    pub(super) partitions: i32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Loopback {
    topics: Topics,
    waker: Waker,
    connected: Vec<NodeId>,
    newly_connected: Vec<NodeId>,
    sends: VecDeque<NetworkSend>,
    completed_sends: Vec<NodeId>,
    completed_receives: Vec<NetworkReceive>,
}

impl Loopback {
    pub(super) fn new(topics: Topics) -> Self {
        Self {
            topics,
            waker: Waker::new(|| Ok(())),
            connected: Vec::new(),
            newly_connected: Vec::new(),
            sends: VecDeque::new(),
            completed_sends: Vec::new(),
            completed_receives: Vec::new(),
        }
    }
}

impl Selectable for Loopback {
    fn connect(
        &mut self,
        id: NodeId,
        _host: &str,
        _address: SocketAddr,
        _now: Instant,
    ) -> io::Result<()> {
        self.connected.push(id);
        self.newly_connected.push(id);
        Ok(())
    }

    fn send(&mut self, send: NetworkSend) -> Result<(), NetworkSend> {
        self.sends.push_back(send);
        Ok(())
    }

    /// Writes what was sent since the last poll, and reads the responses.
    fn poll(&mut self, _timeout: Duration) -> io::Result<()> {
        self.waker.acknowledge();
        while let Some(mut send) = self.sends.pop_front() {
            let mut wire = Wire::default();
            while !send.is_completed() {
                send.write_to(&mut wire)?;
            }
            let source = send.destination();
            self.completed_sends.push(source);
            if let Some(payload) = broker_work_answer(self.topics, &wire) {
                let receive = NetworkReceive { source, payload };
                self.completed_receives.push(receive);
            }
        }
        Ok(())
    }

    fn completed_sends(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.completed_sends)
    }

    fn completed_receives(&mut self) -> Vec<NetworkReceive> {
        std::mem::take(&mut self.completed_receives)
    }

    fn disconnected(&mut self) -> Vec<(NodeId, Disconnect)> {
        Vec::new()
    }

    fn connected(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.newly_connected)
    }

    fn is_channel_ready(&self, id: NodeId) -> bool {
        self.connected.contains(&id)
    }

    fn bytes_written(&self, _id: NodeId) -> u64 {
        0
    }

    fn close(&mut self, id: NodeId) {
        self.connected.retain(|node| *node != id);
    }

    fn close_all(&mut self) {
        self.connected.clear();
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn set_receive_limit(&mut self, _id: NodeId, _limit: usize) {}
}

/// The written bytes of one request.
#[derive(Debug, Default)]
struct Wire(Vec<u8>);

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(broker_work_take(&mut self.0, &[IoSlice::new(bytes)]))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(broker_work_take(&mut self.0, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[inline(never)]
fn broker_work_take(taken: &mut Vec<u8>, slices: &[IoSlice<'_>]) -> usize {
    let before = taken.len();
    slices
        .iter()
        .for_each(|slice| taken.extend_from_slice(slice));
    taken.len() - before
}

/// Returns the response to a request, without its size. Returns `None` if there is no response or
/// it cannot be encoded.
#[inline(never)]
fn broker_work_answer(topics: Topics, wire: &Wire) -> Option<Vec<u8>> {
    let (header, request) = decode_request(wire.0.get(4..)?).ok()?;
    let RequestHeader {
        api_version,
        correlation_id,
        ..
    } = header;
    let answer: ResponseBody = match &request {
        RequestBody::Produce(request) if request.acks == 0 => return None,
        RequestBody::Produce(request) => acknowledge(request).into(),
        RequestBody::Metadata(_) => describe(topics).into(),
        RequestBody::ApiVersions(_) => api_versions().into(),
        RequestBody::InitProducerId(_) => InitProducerIdResponse {
            producer_id: PRODUCER_ID,
            producer_epoch: 0,
            ..InitProducerIdResponse::default()
        }
        .into(),
        _ => return None,
    };
    encode_response(request.api_key(), api_version, correlation_id, &answer).ok()
}

fn acknowledge(request: &ProduceRequest) -> ProduceResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic
            .partitions
            .iter()
            .map(|partition| PartitionProduceResponse {
                index: partition.index,
                log_append_time_ms: -1,
                ..PartitionProduceResponse::default()
            });
        TopicProduceResponse {
            name: Arc::clone(&topic.name),
            topic_id: topic.topic_id,
            partitions: partitions.collect(),
        }
    });
    ProduceResponse {
        topics: topics.collect(),
        ..ProduceResponse::default()
    }
}

fn describe(topics: Topics) -> MetadataResponse {
    let described = (0..topics.count).map(|number| {
        let partitions = (0..topics.partitions).map(|partition_index| MetadataPartition {
            partition_index,
            leader_id: NODE,
            leader_epoch: 0,
            replica_nodes: vec![NODE],
            isr_nodes: vec![NODE],
            ..MetadataPartition::default()
        });
        MetadataTopic {
            name: Some(format!("topic-{number}").into()),
            topic_id: Uuid::from_bytes((u128::from(number) + 1).to_be_bytes()),
            partitions: partitions.collect(),
            ..MetadataTopic::default()
        }
    });
    MetadataResponse {
        brokers: vec![MetadataBroker {
            node_id: NODE,
            host: "127.0.0.1".to_owned(),
            port: 9092,
            rack: None,
        }],
        controller_id: NODE,
        topics: described.collect(),
        ..MetadataResponse::default()
    }
}

fn api_versions() -> ApiVersionsResponse {
    let keys = ApiKey::ALL.iter().map(|key| ApiVersion {
        api_key: key.id(),
        min_version: *key.versions().start(),
        max_version: *key.versions().end(),
    });
    ApiVersionsResponse {
        api_keys: keys.collect(),
        ..ApiVersionsResponse::default()
    }
}
