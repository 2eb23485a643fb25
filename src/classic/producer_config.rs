//! The settings of the classic producer, by the keys of Kafka 0.8. Java: `kafka.producer.ProducerConfig`,
//! `AsyncProducerConfig`, `SyncProducerConfig`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::error::{Error, Result};
use crate::common::{Node, NodeId};
use crate::record::CompressionType;
use crate::utils::{log, printable};

/// Whether `send` delivers on the calling thread, or passes the messages to a thread of the
/// producer. Java: `producer.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "Kafka 0.8 gets no third")]
pub enum ProducerType {
    /// `send` returns when the messages are delivered.
    Sync,
    /// `send` returns when the messages are in the queue.
    Async,
}

/// The time that `send` waits for room in the queue. Java: `queue.enqueue.timeout.ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnqueueTimeout {
    /// 0: not at all.
    Offer,
    /// Above 0.
    OfferWithin(Duration),
    /// Below 0: without a limit.
    Put,
}

/// The validated settings of a [`Producer`](super::Producer).
///
/// The keys and their defaults are those of Kafka 0.8.2; the [module](super) lists them.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    pub(crate) brokers: Vec<Node>,
    pub(crate) producer_type: ProducerType,
    pub(crate) request_required_acks: i16,
    pub(crate) request_timeout: Duration,
    pub(crate) client_id: String,
    /// `None` leaves the size to the operating system.
    pub(crate) send_buffer_bytes: Option<usize>,
    pub(crate) serializer_class: String,
    pub(crate) key_serializer_class: String,
    pub(crate) serializer_encoding: String,
    pub(crate) partitioner_class: String,
    pub(crate) compression_codec: CompressionType,
    pub(crate) compressed_topics: Vec<String>,
    pub(crate) message_send_max_retries: u32,
    pub(crate) retry_backoff: Duration,
    /// `None` refreshes only after failures.
    pub(crate) topic_metadata_refresh_interval: Option<Duration>,
    pub(crate) queue_buffering_max: Duration,
    pub(crate) queue_buffering_max_messages: usize,
    pub(crate) queue_enqueue_timeout: EnqueueTimeout,
    pub(crate) batch_num_messages: usize,
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident = $key:literal;)*) => {
        impl ProducerConfig {
            $($(#[$doc])* pub const $name: &'static str = $key;)*

            /// Every key, in the order of Kafka's documentation.
            pub const KEYS: &'static [&'static str] = &[$($key),*];
        }
    };
}

keys! {
    /// `host:port,...`, required. The producer requests metadata from these brokers, and sends
    /// nothing else to them.
    METADATA_BROKER_LIST = "metadata.broker.list";
    /// `sync` or `async`. Default: `sync`.
    PRODUCER_TYPE = "producer.type";
    /// 0 waits for no response, 1 for the leader, -1 for all in-sync replicas. Default: 0.
    REQUEST_REQUIRED_ACKS = "request.required.acks";
    /// Milliseconds, 1 or more: the broker's limit for its replicas, and the producer's limit for
    /// reading the response. Default: 10000.
    REQUEST_TIMEOUT_MS = "request.timeout.ms";
    /// The name of the producer in metrics and broker logs: letters, digits, `.`, `_` and `-`. Default: empty.
    CLIENT_ID = "client.id";
    /// Bytes of the socket's send buffer; 0 or less leaves the size to the operating system.
    /// Default: 102400.
    SEND_BUFFER_BYTES = "send.buffer.bytes";
    /// The encoder of values. Default: `kafka.serializer.DefaultEncoder`.
    SERIALIZER_CLASS = "serializer.class";
    /// The encoder of keys. Default: `serializer.class`.
    KEY_SERIALIZER_CLASS = "key.serializer.class";
    /// The encoding of `kafka.serializer.StringEncoder`. Default: `UTF8`.
    SERIALIZER_ENCODING = "serializer.encoding";
    /// The partitioner. Default: `kafka.producer.DefaultPartitioner`.
    PARTITIONER_CLASS = "partitioner.class";
    /// `none`, `gzip`, `snappy` or `lz4`, or 0 to 3. Default: `none`.
    COMPRESSION_CODEC = "compression.codec";
    /// The topics to compress; empty means all. Default: empty.
    COMPRESSED_TOPICS = "compressed.topics";
    /// How often the producer retries the messages that failed. Default: 3.
    MESSAGE_SEND_MAX_RETRIES = "message.send.max.retries";
    /// Milliseconds before each retry. Default: 100.
    RETRY_BACKOFF_MS = "retry.backoff.ms";
    /// Milliseconds between metadata refreshes. Less than 0: only after failures. 0: before each
    /// send. Default: 600000.
    TOPIC_METADATA_REFRESH_INTERVAL_MS = "topic.metadata.refresh.interval.ms";
    /// Milliseconds for which async mode gathers messages. Default: 5000.
    QUEUE_BUFFERING_MAX_MS = "queue.buffering.max.ms";
    /// The capacity of the queue of async mode in messages, `batch.num.messages` or more. Default:
    /// 10000.
    QUEUE_BUFFERING_MAX_MESSAGES = "queue.buffering.max.messages";
    /// Milliseconds that async `send` waits for room in the queue; 0 does not wait, less than 0 waits without a limit.
    /// Default: -1.
    QUEUE_ENQUEUE_TIMEOUT_MS = "queue.enqueue.timeout.ms";
    /// The largest number of messages that async mode sends together. Default: 200.
    BATCH_NUM_MESSAGES = "batch.num.messages";
}

impl ProducerConfig {
    /// Reads settings. The last value of a key wins. An unknown key is logged as a warning and
    /// ignored.
    ///
    /// ```
    /// use kafka_producer::classic::ProducerConfig;
    ///
    /// let config = ProducerConfig::new([
    ///     ("metadata.broker.list", "broker-1:9092,broker-2:9092"),
    ///     ("request.required.acks", "1"),
    /// ])?;
    /// # Ok::<(), kafka_producer::classic::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidConfig` if `metadata.broker.list` is missing, a value is malformed or out of range, or
    /// `batch.num.messages` is larger than `queue.buffering.max.messages`.
    pub fn new<N, V>(props: impl IntoIterator<Item = (N, V)>) -> Result<Self>
    where
        N: Into<String>,
        V: Into<String>,
    {
        let props = props.into_iter();
        let props = Properties(
            props
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        );
        props.verify();
        let serializer_class =
            props.text(Self::SERIALIZER_CLASS, "kafka.serializer.DefaultEncoder");
        let config = Self {
            brokers: props.brokers(Self::METADATA_BROKER_LIST)?,
            producer_type: props.producer_type()?,
            request_required_acks: props.number(Self::REQUEST_REQUIRED_ACKS, 0, -1, 1)?,
            request_timeout: props.millis(Self::REQUEST_TIMEOUT_MS, 10_000, 1)?,
            client_id: props.client_id()?,
            send_buffer_bytes: {
                let bytes =
                    props.number(Self::SEND_BUFFER_BYTES, 100 * 1024, i32::MIN, i32::MAX)?;
                usize::try_from(bytes).ok().filter(|bytes| *bytes > 0)
            },
            key_serializer_class: props.text(Self::KEY_SERIALIZER_CLASS, &serializer_class),
            serializer_class,
            serializer_encoding: props.text(Self::SERIALIZER_ENCODING, "UTF8"),
            partitioner_class: props
                .text(Self::PARTITIONER_CLASS, "kafka.producer.DefaultPartitioner"),
            compression_codec: props.codec()?,
            compressed_topics: props.list(Self::COMPRESSED_TOPICS),
            message_send_max_retries: props.number(
                Self::MESSAGE_SEND_MAX_RETRIES,
                3,
                0,
                i32::MAX.unsigned_abs(),
            )?,
            retry_backoff: props.millis(Self::RETRY_BACKOFF_MS, 100, 0)?,
            topic_metadata_refresh_interval: props
                .millis_or_negative(Self::TOPIC_METADATA_REFRESH_INTERVAL_MS, 600_000)?,
            queue_buffering_max: props.millis(Self::QUEUE_BUFFERING_MAX_MS, 5000, 0)?,
            queue_buffering_max_messages: props
                .count(Self::QUEUE_BUFFERING_MAX_MESSAGES, 10_000)?,
            queue_enqueue_timeout: {
                let timeout = props.millis_or_negative(Self::QUEUE_ENQUEUE_TIMEOUT_MS, -1)?;
                match timeout {
                    None => EnqueueTimeout::Put,
                    Some(Duration::ZERO) => EnqueueTimeout::Offer,
                    Some(timeout) => EnqueueTimeout::OfferWithin(timeout),
                }
            },
            batch_num_messages: props.count(Self::BATCH_NUM_MESSAGES, 200)?,
        };
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<()> {
        let (batch, queue) = (self.batch_num_messages, self.queue_buffering_max_messages);
        if batch > queue {
            return Err(Error::config(format!(
                "Batch size = {batch} can't be larger than queue size = {queue} \
                 (batch.num.messages, queue.buffering.max.messages)"
            )));
        }
        Ok(())
    }

    /// Returns the brokers of `metadata.broker.list`. Their ids are their positions in it.
    pub fn broker_list(&self) -> &[Node] {
        &self.brokers
    }

    /// Returns `producer.type`.
    pub fn producer_type(&self) -> ProducerType {
        self.producer_type
    }

    /// Returns `request.required.acks`.
    pub fn request_required_acks(&self) -> i16 {
        self.request_required_acks
    }

    /// Returns `client.id`.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the codec of a topic.
    pub(crate) fn codec_of(&self, topic: &str) -> CompressionType {
        let is_compressed = self.compressed_topics.is_empty()
            || self.compressed_topics.iter().any(|name| name == topic);
        match is_compressed {
            true => self.compression_codec,
            false => CompressionType::None,
        }
    }
}

/// The settings as text. Java: `VerifiableProperties`.
struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Logs a warning for keys that the producer does not have.
    fn verify(&self) {
        for key in self.0.keys() {
            if !ProducerConfig::KEYS.contains(&key.as_str()) {
                log::warn!("Property {} is not valid", printable(key));
            }
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.trim())
    }

    fn text(&self, key: &str, default: &str) -> String {
        self.get(key).unwrap_or(default).to_owned()
    }

    /// Parses a comma-separated list. Java: `Utils.parseCsvList`.
    fn list(&self, key: &str) -> Vec<String> {
        let items = self.get(key).unwrap_or_default().split(',').map(str::trim);
        items
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn number<T: FromStr + PartialOrd + Display>(
        &self,
        key: &str,
        default: T,
        least: T,
        most: T,
    ) -> Result<T> {
        let Some(text) = self.get(key) else {
            return Ok(default);
        };
        let number = text.parse().ok();
        number
            .filter(|number| least <= *number && *number <= most)
            .ok_or_else(|| {
                let text = printable(text);
                Error::config(format!(
                    "{key} has value {text} which is not in the range [{least}, {most}]"
                ))
            })
    }

    fn millis(&self, key: &str, default: u64, least: u64) -> Result<Duration> {
        let most = u64::from(i32::MAX.unsigned_abs());
        self.number(key, default, least, most)
            .map(Duration::from_millis)
    }

    fn millis_or_negative(&self, key: &str, default: i32) -> Result<Option<Duration>> {
        let millis = self.number(key, default, i32::MIN, i32::MAX)?;
        Ok(u64::try_from(millis).ok().map(Duration::from_millis))
    }

    fn count(&self, key: &str, default: usize) -> Result<usize> {
        self.number(
            key,
            default,
            1,
            usize::try_from(i32::MAX).unwrap_or(usize::MAX),
        )
    }

    fn producer_type(&self) -> Result<ProducerType> {
        match self.get(ProducerConfig::PRODUCER_TYPE) {
            None | Some("sync") => Ok(ProducerType::Sync),
            Some("async") => Ok(ProducerType::Async),
            Some(other) => Err(Error::config(format!(
                "Invalid value {} for producer.type, valid values are sync/async",
                printable(other)
            ))),
        }
    }

    fn client_id(&self) -> Result<String> {
        let client_id = self.text(ProducerConfig::CLIENT_ID, "");
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if client_id.chars().all(is_legal) {
            return Ok(client_id);
        }
        Err(Error::config(format!(
            "client.id {} is illegal, contains a character other than ASCII alphanumerics, '.', '_' and '-'",
            printable(&client_id)
        )))
    }

    fn codec(&self) -> Result<CompressionType> {
        let codec = self
            .text(ProducerConfig::COMPRESSION_CODEC, "none")
            .to_ascii_lowercase();
        match codec.as_str() {
            "none" | "0" => Ok(CompressionType::None),
            "gzip" | "1" => Ok(CompressionType::Gzip),
            "snappy" | "2" => Ok(CompressionType::Snappy),
            "lz4" | "3" => Ok(CompressionType::Lz4),
            other => Err(Error::config(format!(
                "compression.codec: {} is an unknown compression codec, valid values are none, gzip, snappy and lz4, \
                 or 0 to 3",
                printable(other)
            ))),
        }
    }

    /// Parses a list of brokers. Java: `ClientUtils.parseBrokerList`.
    fn brokers(&self, key: &str) -> Result<Vec<Node>> {
        let list = self.list(key);
        if list.is_empty() {
            return Err(Error::config(format!("Missing required property '{key}'")));
        }
        let brokers = (0..).zip(&list).map(|(id, text)| {
            parse_address(text)
                .map(|(host, port)| Node::new(NodeId(id), host, port, None))
                .ok_or_else(|| {
                    Error::config(format!("{key}: '{}' is not a host:port", printable(text)))
                })
        });
        brokers.collect()
    }
}

/// Splits `host:port`. An IPv6 address must have brackets.
fn parse_address(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let inside = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = match inside {
        Some(address) => address,
        None if host.contains([':', '[', ']', '/']) => return None,
        None => host,
    };
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests;
