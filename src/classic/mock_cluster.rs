//! A cluster on the test's own thread, behind the producer's channels. It replaces the mocks of
//! `SyncProducer` in Java's tests.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::time::Duration;

use super::default_event_handler::DefaultEventHandler;
use super::encoder::{DefaultEncoder, Encoder};
use super::partitioner::{DefaultPartitioner, Partitioner};
use super::producer_config::ProducerConfig;
use super::stats::Lease;
use super::sync_producer::Context;
use crate::common::{TopicPartition, Uuid};
use crate::network::{Channel, ChannelOptions, Channels};
use crate::protocol::messages::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use crate::protocol::{
    ErrorCode, MessageBytes, RequestBody, RequestHeader, ResponseBody, decode_request,
    encode_response,
};
use crate::record::{DecodedRecord, RecordBatch};
use crate::sync::{Arc, Mutex};
use crate::utils::{MockTime, Time};

/// A fault of a Produce request.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// One partition is refused.
    Refuse(TopicPartition, ErrorCode),
    /// The response leaves a partition out.
    Omit(TopicPartition),
    /// The records are written, but the connection ends before the response.
    DropResponse,
    /// The response is for another request.
    WrongCorrelationId,
    Garbage,
}

#[derive(Debug, Default)]
struct State {
    /// Each topic with the leaders of its partitions; -1 means none.
    topics: BTreeMap<String, Vec<i32>>,
    topic_errors: BTreeMap<String, ErrorCode>,
    /// Brokers that refuse connections.
    down: BTreeSet<i32>,
    /// The faults of the next Produce requests, one each. `None` means success.
    faults: VecDeque<Option<Fault>>,
    max_batch_records: Option<usize>,
    log: BTreeMap<TopicPartition, Vec<DecodedRecord>>,
    batches: Vec<(TopicPartition, String, usize)>,
    requests: Vec<Sent>,
    connections: Vec<i32>,
    /// The send buffer and the timeout of the last channel.
    options: Option<(Option<usize>, Duration)>,
    open_connections: usize,
}

/// A request that a broker received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) broker: i32,
    pub(super) api: &'static str,
    pub(super) correlation_id: i32,
    pub(super) topics: Vec<String>,
    pub(super) at: Duration,
    pub(super) client_id: Option<Arc<str>>,
    /// The acks and the timeout of a Produce request.
    pub(super) asks_for: Option<(i16, i32)>,
}

/// Brokers 1 to 3 under the names `b1` to `b3`.
#[derive(Clone, Debug)]
pub(super) struct MockCluster {
    state: Arc<Mutex<State>>,
    pub(super) time: MockTime,
    started: std::time::Instant,
}

impl MockCluster {
    pub(super) fn new() -> Self {
        let time = MockTime::new();
        Self {
            state: Arc::default(),
            started: time.now(),
            time,
        }
    }

    /// Creates a topic, or moves its leaders.
    pub(super) fn topic(&self, topic: &str, leaders: &[i32]) {
        let mut state = self.state.lock();
        state.topics.insert(topic.to_owned(), leaders.to_vec());
    }

    pub(super) fn topic_error(&self, topic: &str, code: ErrorCode) {
        self.state
            .lock()
            .topic_errors
            .insert(topic.to_owned(), code);
    }

    pub(super) fn stop(&self, broker: i32) {
        self.state.lock().down.insert(broker);
    }

    pub(super) fn start(&self, broker: i32) {
        self.state.lock().down.remove(&broker);
    }

    pub(super) fn faults(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.state.lock().faults.extend(faults);
    }

    pub(super) fn max_batch_records(&self, count: usize) {
        self.state.lock().max_batch_records = Some(count);
    }

    pub(super) fn values(&self, topic: &str, partition: i32) -> Vec<String> {
        let text = |bytes: Option<Vec<u8>>| match bytes {
            Some(bytes) => String::from_utf8(bytes).unwrap(),
            None => "null".to_owned(),
        };
        let records = self.records(topic, partition).into_iter();
        records.map(|record| text(record.value)).collect()
    }

    pub(super) fn records(&self, topic: &str, partition: i32) -> Vec<DecodedRecord> {
        let state = self.state.lock();
        let records = state.log.get(&TopicPartition::new(topic, partition));
        records.cloned().unwrap_or_default()
    }

    /// Returns the topic and partition, the codec, and the number of records of each batch.
    pub(super) fn batches(&self) -> Vec<(String, String, usize)> {
        let state = self.state.lock();
        let batches = state.batches.iter();
        batches
            .map(|(tp, codec, count)| (tp.to_string(), codec.clone(), *count))
            .collect()
    }

    pub(super) fn requests(&self, api: &str) -> Vec<Sent> {
        let state = self.state.lock();
        state
            .requests
            .iter()
            .filter(|sent| sent.api == api)
            .cloned()
            .collect()
    }

    /// Returns the brokers in the order of the connections to them.
    pub(super) fn connections(&self) -> Vec<i32> {
        self.state.lock().connections.clone()
    }

    /// Returns the send buffer and the timeout of the last channel.
    pub(super) fn channel_options(&self) -> Option<(Option<usize>, Duration)> {
        self.state.lock().options
    }

    pub(super) fn open_connections(&self) -> usize {
        self.state.lock().open_connections
    }

    pub(super) fn context(&self, config: &ProducerConfig) -> Context {
        let time: Arc<dyn Time> = Arc::new(self.time.clone());
        Context {
            stats: Arc::new(Lease::of(config.client_id(), &time)),
            channels: Arc::new(self.clone()),
            time,
        }
    }

    /// Returns a handler for text keys and values.
    pub(super) fn handler(&self, config: &ProducerConfig) -> DefaultEventHandler<String, String> {
        self.handler_with(config, DefaultPartitioner, DefaultEncoder)
    }

    pub(super) fn handler_with(
        &self,
        config: &ProducerConfig,
        partitioner: impl Partitioner<String> + 'static,
        encoder: impl Encoder<String> + 'static,
    ) -> DefaultEventHandler<String, String> {
        DefaultEventHandler::with_context(
            config,
            Box::new(partitioner),
            Box::new(encoder),
            Box::new(DefaultEncoder),
            self.context(config),
        )
        .unwrap()
    }

    fn respond(&self, broker: i32, message: &MessageBytes) -> io::Result<Option<Vec<u8>>> {
        let (header, body) = decode_request(&message.to_vec()).unwrap();
        match body {
            RequestBody::Metadata(request) => {
                let response = self.metadata(broker, &header, &request);
                Ok(Some(encoded(
                    &header,
                    header.correlation_id,
                    response.into(),
                )))
            }
            RequestBody::Produce(request) => self.produce(broker, &header, &request),
            other => panic!("{other:?}"),
        }
    }

    fn note(
        &self,
        broker: i32,
        header: &RequestHeader,
        topics: Vec<String>,
        asks_for: Option<(i16, i32)>,
    ) {
        let at = self.time.now() - self.started;
        self.state.lock().requests.push(Sent {
            broker,
            api: if asks_for.is_some() {
                "Produce"
            } else {
                "Metadata"
            },
            correlation_id: header.correlation_id,
            topics,
            at,
            client_id: header.client_id.clone(),
            asks_for,
        });
    }

    fn metadata(
        &self,
        broker: i32,
        header: &RequestHeader,
        request: &MetadataRequest,
    ) -> MetadataResponse {
        let names: Vec<Arc<str>> = request
            .topics
            .iter()
            .flatten()
            .filter_map(|t| t.name.clone())
            .collect();
        let asked = names.iter().map(ToString::to_string).collect();
        self.note(broker, header, asked, None);
        let state = self.state.lock();
        let topics = names.into_iter().map(|name| {
            let leaders = state.topics.get(&*name);
            let error = state.topic_errors.get(&*name).copied();
            let missing = if leaders.is_none() {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            } else {
                ErrorCode::NONE
            };
            // In reverse, because the protocol promises no order.
            let partitions = (0..)
                .zip(leaders.into_iter().flatten())
                .map(|(index, leader)| MetadataPartition {
                    error_code: if *leader < 0 {
                        ErrorCode::LEADER_NOT_AVAILABLE
                    } else {
                        ErrorCode::NONE
                    },
                    partition_index: index,
                    leader_id: *leader,
                    leader_epoch: 0,
                    replica_nodes: Vec::new(),
                    isr_nodes: Vec::new(),
                    offline_replicas: Vec::new(),
                });
            let mut partitions: Vec<_> = partitions.collect();
            partitions.reverse();
            MetadataTopic {
                error_code: error.unwrap_or(missing),
                name: Some(name),
                topic_id: Uuid::ZERO,
                is_internal: false,
                partitions,
                topic_authorized_operations: i32::MIN,
            }
        });
        let brokers = (1..=3).map(|id| MetadataBroker {
            node_id: id,
            host: format!("b{id}"),
            port: 9092,
            rack: None,
        });
        MetadataResponse {
            throttle_time_ms: 0,
            brokers: brokers.collect(),
            cluster_id: None,
            controller_id: 1,
            topics: topics.collect(),
            cluster_authorized_operations: i32::MIN,
            error_code: ErrorCode::NONE,
        }
    }

    fn produce(
        &self,
        broker: i32,
        header: &RequestHeader,
        request: &ProduceRequest,
    ) -> io::Result<Option<Vec<u8>>> {
        let names = request
            .topics
            .iter()
            .map(|topic| topic.name.to_string())
            .collect();
        let asks_for = Some((request.acks, request.timeout_ms));
        self.note(broker, header, names, asks_for);
        let fault = self.state.lock().faults.pop_front().flatten();
        let topics = request.topics.iter().map(|topic| TopicProduceResponse {
            name: Arc::clone(&topic.name),
            topic_id: Uuid::ZERO,
            partitions: topic
                .partitions
                .iter()
                .filter_map(|partition| {
                    let tp = TopicPartition::new(Arc::clone(&topic.name), partition.index);
                    let records = partition.records.as_ref().unwrap().as_bytes();
                    let mut error_code = self.append(broker, &tp, records, fault.as_ref());
                    match &fault {
                        Some(Fault::Omit(omitted)) if *omitted == tp => return None,
                        Some(Fault::Refuse(refused, code)) if *refused == tp => error_code = *code,
                        _ => {}
                    }
                    Some(PartitionProduceResponse {
                        index: partition.index,
                        error_code,
                        ..PartitionProduceResponse::default()
                    })
                })
                .collect(),
        });
        let response = ProduceResponse {
            topics: topics.collect(),
            ..ProduceResponse::default()
        };
        let id = header.correlation_id;
        match fault {
            _ if request.acks == 0 => Ok(None),
            Some(Fault::DropResponse) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(Fault::Garbage) => Ok(Some(vec![1, 2, 3])),
            Some(Fault::WrongCorrelationId) => Ok(Some(encoded(header, id + 1, response.into()))),
            _ => Ok(Some(encoded(header, id, response.into()))),
        }
    }

    /// Appends to the partitions that the broker leads, unless the fault refuses one.
    fn append(
        &self,
        broker: i32,
        tp: &TopicPartition,
        records: &[u8],
        fault: Option<&Fault>,
    ) -> ErrorCode {
        let (batch, rest) = RecordBatch::parse(records).unwrap();
        assert!(rest.is_empty() && batch.is_crc_valid() && batch.producer_id() == -1);
        let records = batch.records(1 << 20).unwrap();
        let codec = batch.compression_type().unwrap().to_string();
        let mut state = self.state.lock();
        state.batches.push((tp.clone(), codec, records.len()));
        let leaders = state.topics.get(tp.topic());
        let index = usize::try_from(tp.partition()).unwrap();
        if leaders.and_then(|leaders| leaders.get(index)) != Some(&broker) {
            return ErrorCode::NOT_LEADER_OR_FOLLOWER;
        }
        if state
            .max_batch_records
            .is_some_and(|most| records.len() > most)
        {
            return ErrorCode::MESSAGE_TOO_LARGE;
        }
        if !matches!(fault, Some(Fault::Refuse(refused, _)) if refused == tp) {
            state.log.entry(tp.clone()).or_default().extend(records);
        }
        ErrorCode::NONE
    }
}

fn encoded(header: &RequestHeader, correlation_id: i32, body: ResponseBody) -> Vec<u8> {
    encode_response(body.api_key(), header.api_version, correlation_id, &body).unwrap()
}

impl Channels for MockCluster {
    fn channel(&self, options: ChannelOptions) -> Box<dyn Channel> {
        self.state.lock().options = Some((options.send_buffer, options.timeout));
        Box::new(MockChannel {
            cluster: self.clone(),
            broker: options.host.trim_start_matches('b').parse().unwrap(),
            is_connected: false,
            response: None,
        })
    }
}

#[derive(Debug)]
struct MockChannel {
    cluster: MockCluster,
    broker: i32,
    is_connected: bool,
    response: Option<Vec<u8>>,
}

impl Channel for MockChannel {
    fn is_connected(&self) -> bool {
        self.is_connected
    }

    fn connect(&mut self) -> io::Result<()> {
        let mut state = self.cluster.state.lock();
        state.connections.push(self.broker);
        if state.down.contains(&self.broker) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        state.open_connections += 1;
        self.is_connected = true;
        Ok(())
    }

    fn send(&mut self, message: &MessageBytes) -> io::Result<()> {
        assert!(self.is_connected);
        if self.cluster.state.lock().down.contains(&self.broker) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.response = self.cluster.respond(self.broker, message)?;
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.response.take().expect("no request has a response"))
    }

    fn disconnect(&mut self) {
        if std::mem::take(&mut self.is_connected) {
            self.cluster.state.lock().open_connections -= 1;
        }
    }
}

impl Drop for MockChannel {
    fn drop(&mut self) {
        self.disconnect();
    }
}
