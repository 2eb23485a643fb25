//! One blocking connection to one broker. Java: `kafka.producer.SyncProducer`.
//!
//! The requests have the oldest versions that every broker from 0.11 to 4.x supports, so that no
//! negotiation is needed.
//!
//! Differs from Java: a response with another correlation id, or one that cannot be decoded, ends
//! the connection. The old producer did not check the id.
//!
//! Threads: one at a time. The exclusive borrow replaces Java's lock.

use std::fmt;
use std::io;

use super::error::{Error, ErrorKind, Result};
use super::producer_config::ProducerConfig;
use super::stats::Lease;
use crate::common::Node;
use crate::network::{BlockingChannels, Channel, ChannelOptions, Channels};
use crate::protocol::messages::{
    MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse,
};
use crate::protocol::{
    ApiKey, MessageBytes, RequestBody, RequestHeader, ResponseBody, decode_request,
    decode_response, encode_request,
};
use crate::sync::Arc;
use crate::utils::{SystemTime, Time, log};

/// The shared parts of a producer: its clock, its counts, and the access to its brokers.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) time: Arc<dyn Time>,
    pub(crate) channels: Arc<dyn Channels>,
    pub(crate) stats: Arc<Lease>,
}

impl Context {
    /// Returns a context with the system's clocks and real sockets.
    pub(crate) fn of_system(config: &ProducerConfig) -> Self {
        let time: Arc<dyn Time> = Arc::new(SystemTime);
        Self {
            stats: Arc::new(Lease::of(&config.client_id, &time)),
            channels: Arc::new(BlockingChannels),
            time,
        }
    }
}

/// The first version with record batches.
const PRODUCE_VERSION: i16 = 3;
/// The first version that says whether topics may be created.
const METADATA_VERSION: i16 = 4;

/// A connection that opens when a request needs it.
#[derive(Debug)]
pub(crate) struct SyncProducer {
    broker: Node,
    client_id: Arc<str>,
    state: State,
    context: Context,
}

#[derive(Debug)]
enum State {
    /// Connected or not. A request connects.
    Open(Box<dyn Channel>),
    /// Closed for good.
    Shutdown,
}

impl SyncProducer {
    /// Creates a producer for one broker. Java: `ProducerPool.createSyncProducer`.
    pub(crate) fn new(config: &ProducerConfig, broker: Node, context: &Context) -> Self {
        log::trace!("instantiating a sync producer for {}", address(&broker));
        let channel = context.channels.channel(ChannelOptions {
            host: broker.host().to_owned(),
            port: broker.port(),
            send_buffer: config.send_buffer_bytes,
            timeout: config.request_timeout,
        });
        Self {
            broker,
            client_id: Arc::from(config.client_id.as_str()),
            state: State::Open(channel),
            context: context.clone(),
        }
    }

    /// Sends a produce request. Returns `None` for acks=0, which has no response.
    pub(crate) fn send(
        &mut self,
        correlation_id: i32,
        request: ProduceRequest,
    ) -> Result<Option<ProduceResponse>> {
        let has_response = request.acks != 0;
        let request = self.encode(PRODUCE_VERSION, correlation_id, &request.into())?;
        let started = self.context.time.now();
        let outcome = self.do_send(&request, has_response);
        let took = self.context.time.now().saturating_duration_since(started);
        let (host, port) = (self.broker.host(), self.broker.port());
        self.context
            .stats
            .note_request(host, port, request.len(), took);
        match outcome? {
            None => Ok(None),
            Some(payload) => {
                match self.decode(ApiKey::Produce, PRODUCE_VERSION, correlation_id, &payload)? {
                    ResponseBody::Produce(response) => Ok(Some(response)),
                    _ => Err(self.other_response()),
                }
            }
        }
    }

    /// Sends a metadata request. Java: `send(TopicMetadataRequest)`.
    pub(crate) fn send_metadata_request(
        &mut self,
        correlation_id: i32,
        request: MetadataRequest,
    ) -> Result<MetadataResponse> {
        let request = self.encode(METADATA_VERSION, correlation_id, &request.into())?;
        let payload = self.do_send(&request, true)?.unwrap_or_default();
        match self.decode(ApiKey::Metadata, METADATA_VERSION, correlation_id, &payload)? {
            ResponseBody::Metadata(response) => Ok(response),
            _ => Err(self.other_response()),
        }
    }

    /// Closes the connection for good.
    pub(crate) fn close(&mut self) {
        self.disconnect();
        self.state = State::Shutdown;
    }

    fn do_send(&mut self, request: &MessageBytes, reads_response: bool) -> Result<Option<Vec<u8>>> {
        verify_request(request);
        self.get_or_make_connection()?;
        let State::Open(channel) = &mut self.state else {
            return Err(self.closed());
        };
        let exchange = channel.send(request).and_then(|()| match reads_response {
            true => channel.receive().map(Some),
            false => Ok(None),
        });
        exchange.map_err(|error| {
            // It is unknown whether the broker has the request. The caller retries.
            self.disconnect();
            let text = format!("the connection to {} failed", address(&self.broker));
            Error::caused_by(ErrorKind::Io, text, error)
        })
    }

    fn get_or_make_connection(&mut self) -> Result<()> {
        let State::Open(channel) = &mut self.state else {
            return Err(self.closed());
        };
        if channel.is_connected() {
            return Ok(());
        }
        match channel.connect() {
            Ok(()) => {
                log::info!("Connected to {} for producing", address(&self.broker));
                Ok(())
            }
            Err(error) => {
                self.disconnect();
                let text = format!(
                    "Producer connection to {} unsuccessful",
                    address(&self.broker)
                );
                log::error!("{text}: {error}");
                Err(Error::caused_by(ErrorKind::Io, text, error))
            }
        }
    }

    fn disconnect(&mut self) {
        if let State::Open(channel) = &mut self.state {
            if channel.is_connected() {
                log::info!("Disconnecting from {}", address(&self.broker));
            }
            channel.disconnect();
        }
    }

    fn encode(
        &self,
        version: i16,
        correlation_id: i32,
        body: &RequestBody,
    ) -> Result<MessageBytes> {
        let header = RequestHeader {
            api_key: body.api_key().id(),
            api_version: version,
            correlation_id,
            client_id: Some(Arc::clone(&self.client_id)),
        };
        encode_request(&header, body).map_err(|error| {
            Error::caused_by(ErrorKind::Kafka, "the request cannot be encoded", error)
        })
    }

    fn decode(
        &mut self,
        key: ApiKey,
        version: i16,
        correlation_id: i32,
        payload: &[u8],
    ) -> Result<ResponseBody> {
        let failure = match decode_response(key, version, payload) {
            Ok((header, body)) if header.correlation_id == correlation_id => return Ok(body),
            Ok((header, _)) => io::Error::other(format!(
                "correlation id {} in place of {correlation_id}",
                header.correlation_id
            )),
            Err(error) => io::Error::other(error),
        };
        self.disconnect();
        let text = format!("{} sent an invalid {key} response", address(&self.broker));
        Err(Error::caused_by(ErrorKind::Kafka, text, failure))
    }

    fn closed(&self) -> Error {
        let text = format!("the connection to {} is closed", address(&self.broker));
        Error::new(ErrorKind::ClosedChannel, text)
    }

    fn other_response(&self) -> Error {
        Error::kafka(format!(
            "{} sent another response than asked for",
            address(&self.broker)
        ))
    }
}

/// Decodes the request for a trace line. Java: `verifyRequest`.
fn verify_request(request: &MessageBytes) {
    struct Decoded<'a>(&'a MessageBytes);
    impl fmt::Display for Decoded<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match decode_request(&self.0.to_vec()) {
                Ok((header, body)) => write!(f, "{header:?} {body:?}"),
                Err(error) => write!(f, "not decodable: {error}"),
            }
        }
    }
    log::trace!(
        "verifying send buffer of size {}: {}",
        request.len(),
        Decoded(request)
    );
}

/// Formats an address. Java: `Utils.formatAddress`.
pub(crate) fn address(broker: &Node) -> String {
    match broker.host() {
        host if host.contains(':') => format!("[{host}]:{}", broker.port()),
        host => format!("{host}:{}", broker.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::mock_cluster::MockCluster;
    use super::*;
    use crate::common::NodeId;

    fn producer(cluster: &MockCluster, test: &str, acks: &str) -> SyncProducer {
        let settings = [
            ("metadata.broker.list", "b1:9092"),
            ("client.id", test),
            ("request.required.acks", acks),
        ];
        let config = ProducerConfig::new(settings).unwrap();
        let broker = Node::new(NodeId(1), "b1", 9092, None);
        SyncProducer::new(&config, broker, &cluster.context(&config))
    }

    fn empty_request(acks: i16) -> ProduceRequest {
        ProduceRequest {
            transactional_id: None,
            acks,
            timeout_ms: 1000,
            topics: Vec::new(),
        }
    }

    // Java: SyncProducerTest.testEmptyProduceRequest.
    #[test]
    fn an_empty_request_gets_an_empty_response() {
        let cluster = MockCluster::new();
        let mut producer = producer(&cluster, "empty-request", "1");
        let response = producer.send(7, empty_request(1)).unwrap().unwrap();
        assert!(response.topics.is_empty());
        assert_eq!(cluster.requests("Produce")[0].correlation_id, 7);
        assert!(producer.send(8, empty_request(0)).unwrap().is_none());
        // The request counts for the broker and for all brokers.
        let metrics = producer.context.stats.snapshot();
        for tags in [&[][..], &[("brokerHost", "b1"), ("brokerPort", "9092")]] {
            let name = "ProducerRequestSize.Count";
            let metric = metrics.find("ProducerRequestMetrics", name, tags).unwrap();
            assert_eq!(metric.value().as_number(), Some(2.0));
        }
    }

    #[test]
    fn a_connection_is_made_by_the_first_request_and_again_after_a_failure() {
        let cluster = MockCluster::new();
        let mut producer = producer(&cluster, "reconnects", "1");
        assert!(cluster.connections().is_empty());
        producer.send(0, empty_request(1)).unwrap();
        producer.send(1, empty_request(1)).unwrap();
        assert_eq!(cluster.connections(), [1]);
        cluster.stop(1);
        let error = producer.send(2, empty_request(1)).unwrap_err();
        assert_eq!(error.to_string(), "the connection to b1:9092 failed");
        assert_eq!(
            (error.kind(), cluster.open_connections()),
            (ErrorKind::Io, 0)
        );
        let error = producer.send(3, empty_request(1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Producer connection to b1:9092 unsuccessful"
        );
        cluster.start(1);
        producer.send(4, empty_request(1)).unwrap();
        assert_eq!(cluster.connections(), [1, 1, 1]);
    }

    #[test]
    fn a_closed_producer_connects_no_more() {
        let cluster = MockCluster::new();
        let mut producer = producer(&cluster, "closed-channel", "1");
        producer.send(0, empty_request(1)).unwrap();
        producer.close();
        producer.close();
        assert_eq!(cluster.open_connections(), 0);
        let error = producer.send(1, empty_request(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ClosedChannel);
        assert_eq!(cluster.connections(), [1]);
    }
}
