//! The Scala producer of Kafka 0.8, for programs that were written for it. Feature `classic`.
//!
//! Use [`KafkaProducer`](crate::KafkaProducer) instead, unless a program depends on the behaviour
//! of the old one. This producer
//! - **loses messages**: with `request.required.acks=0`, the default, a message counts as sent once
//!   it is written to a socket. If a batch of async mode fails after its retries, it is logged and
//!   lost, and the caller does not learn of it;
//! - **duplicates and reorders messages**: a retry after a lost response writes them again, because
//!   there are no sequence numbers for the broker to detect that. Retried messages come after those
//!   that succeeded at first;
//! - **is slow**: it has one request in flight, and one `send` at a time;
//! - supports plaintext only: no TLS, no SASL, no transactions.
//!
//! ```
//! use kafka_producer::classic::{KeyedMessage, Producer, ProducerConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = kafka_producer::testing::FakeBroker::builder().topic("orders", 3).start()?;
//! # let brokers = broker.bootstrap_servers();
//! # let brokers = brokers.as_str();
//! let config = ProducerConfig::new([
//!     ("metadata.broker.list", brokers), // "broker-1:9092,broker-2:9092"
//!     ("serializer.class", "kafka.serializer.StringEncoder"),
//!     ("request.required.acks", "1"),
//! ])?;
//! let producer = Producer::<String, String>::new(config)?;
//! producer.send(KeyedMessage::new("orders", "value".to_owned()).key("k".to_owned()))?;
//! producer.close()?;
//! # assert_eq!(broker.record_count("orders"), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # The parts
//!
//! ```text
//! send -> Producer -+- sync ----------------------------------------+-> EventHandler -> ProducerPool -> SyncProducer
//!                   +- async -> queue -> ProducerSendThread --------+   (encode, partition, retry)      per broker
//! ```
//!
//! - In **sync** mode `send` runs the [`EventHandler`] on the caller's thread, and returns its error.
//! - In **async** mode `send` appends the message to a queue of `queue.buffering.max.messages`. One
//!   thread takes messages out. It runs the handler when it has `batch.num.messages`, or when
//!   `queue.buffering.max.ms` has passed since the last batch.
//! - The [`DefaultEventHandler`] encodes, partitions, and sends one request to each leader. It
//!   retries what failed, `message.send.max.retries` times, with fresh metadata after
//!   `retry.backoff.ms`. It treats all errors alike: a topic that will never exist is retried just
//!   like a leader that moved.
//! - Messages without a key all go to one random partition with a leader, until the next metadata
//!   refresh or failure.
//!   failure.
//!
//! # Differences from Kafka 0.8
//!
//! - Requests are Produce 3 and Metadata 4, with record batches (magic 2), because Kafka 4 refuses
//!   those of 0.8. The timestamp of a message is the time when it was encoded; messages of 0.8 had
//!   none.
//! - A batch has one size limit on the broker, while 0.8 had a limit for each message. The handler
//!   splits a batch that is too large, so that only messages that are too large themselves fail.
//!   With acks=0 the broker cannot report this, and the batch is lost: keep `batch.num.messages`
//!   small for large messages.
//! - In 0.8, an error in the middle of a dispatch lost the messages for the remaining brokers. Here
//!   they are sent.
//! - The response must name the partitions of the request and carry its correlation id. Writes have
//!   the same timeout as reads. Negative retries, waits and counts are refused. With
//!   `queue.buffering.max.ms=0` an idle thread sleeps.
//! - A null value counts as 0 bytes in `BytesPerSec`. In 0.8 it counted as -1.
//! - A panic in an encoder, a partitioner or a handler becomes an error, as an exception did.
//! - The partition key has the type of the key. Java's `Any` has no counterpart.
//!
//! # Old keys and new ones
//!
//! | key | default | in [`KafkaProducer`](crate::KafkaProducer) |
//! |---|---|---|
//! | `metadata.broker.list` | required | `bootstrap.servers` |
//! | `producer.type` | `sync` | every send is asynchronous; `send(record)?.get()?` waits |
//! | `request.required.acks` | 0 | `acks`, default `all` |
//! | `request.timeout.ms` | 10000 | `request.timeout.ms`, 30000; `delivery.timeout.ms` bounds the whole |
//! | `client.id` | empty | `client.id` |
//! | `send.buffer.bytes` | 102400 | `send.buffer.bytes`, 131072 |
//! | `serializer.class` | `kafka.serializer.DefaultEncoder` | `value.serializer`, or the builder |
//! | `key.serializer.class` | `serializer.class` | `key.serializer`, or the builder |
//! | `serializer.encoding` | `UTF8` | none: text is UTF-8 |
//! | `partitioner.class` | `kafka.producer.DefaultPartitioner` | `partitioner.class`; keys are hashed by murmur2 there, so that they move |
//! | `compression.codec` | `none` | `compression.type` |
//! | `compressed.topics` | all | none: one producer for each codec |
//! | `message.send.max.retries` | 3 | `retries`, bounded by `delivery.timeout.ms` |
//! | `retry.backoff.ms` | 100 | `retry.backoff.ms`, which grows to `retry.backoff.max.ms` |
//! | `topic.metadata.refresh.interval.ms` | 600000 | `metadata.max.age.ms`, 300000 |
//! | `queue.buffering.max.ms` | 5000 | `linger.ms`, 5 |
//! | `queue.buffering.max.messages` | 10000 | `buffer.memory`, in bytes |
//! | `queue.enqueue.timeout.ms` | -1 | `max.block.ms`; `try_send` does not wait |
//! | `batch.num.messages` | 200 | `batch.size`, in bytes |
//!
//! # Metrics
//!
//! [`Producer::metrics`] returns them under the old names, until the close. [`Producer::stats`]
//! returns only the counts, even after the close.
//!
//! ```
//! # use kafka_producer::classic::{KeyedMessage, Producer, ProducerConfig};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = kafka_producer::testing::FakeBroker::builder().topic("orders", 3).start()?;
//! # let config = ProducerConfig::new([("metadata.broker.list", broker.bootstrap_servers())])?;
//! # let producer = Producer::<Vec<u8>, Vec<u8>>::new(config)?;
//! producer.send(KeyedMessage::new("orders", b"value".to_vec()))?;
//! let metrics = producer.metrics();
//! let sent = metrics.number("ProducerTopicMetrics", "MessagesPerSec.Count");
//! let of_topic = metrics.find("ProducerTopicMetrics", "BytesPerSec.Count", &[("topic", "orders")]);
//! # assert_eq!(sent, Some(1.0));
//! # assert_eq!(of_topic.unwrap().value().as_number(), Some(5.0));
//! # Ok(())
//! # }
//! ```
//!
//! The group is the `type` of the MBean in Kafka 0.8. A metric with attributes becomes several,
//! such as `MessagesPerSec.OneMinuteRate`.
//!
//! | group | metric | tags | what |
//! |---|---|---|---|
//! | `ProducerTopicMetrics` | `MessagesPerSec` | `clientId`, `topic` | meter of messages given to `send` |
//! | | `BytesPerSec` | `clientId`, `topic` | meter of bytes of encoded values |
//! | | `DroppedMessagesPerSec` | `clientId`, `topic` | meter of messages that the full queue refused |
//! | `ProducerStats` | `SerializationErrorsPerSec` | `clientId` | meter of messages that an encoder refused |
//! | | `ResendsPerSec` | `clientId` | meter of failed attempts of a batch |
//! | | `FailedSendsPerSec` | `clientId` | meter of batches that failed after all retries |
//! | `ProducerSendThread` | `ProducerQueueSize` | `clientId` | gauge of messages in the queue, in async mode |
//! | `ProducerRequestMetrics` | `ProducerRequestRateAndTimeMs` | `clientId`, `brokerHost`, `brokerPort` | timer of requests |
//! | | `ProducerRequestSize` | `clientId`, `brokerHost`, `brokerPort` | histogram of bytes of a request |
//!
//! - A meter has `Count`, `MeanRate`, `OneMinuteRate`, `FiveMinuteRate` and `FifteenMinuteRate`, per second.
//! - A histogram has `Count`, `Min`, `Max`, `Mean`, `StdDev`, and `50th`, `75th`, `95th`, `98th`, `99th` and
//!   `999thPercentile` of a sample of 1028 values, new ones preferred.
//! - A timer has both; its times are in milliseconds.
//!
//! Metrics of a topic or a broker also exist once without that tag, for all topics or brokers.
//! Producers that are open at the same time with the same `client.id` share all of them.

mod blocking_queue;
mod broker_partition_info;
mod default_event_handler;
mod encoder;
mod error;
mod event_handler;
mod histogram;
mod keyed_message;
mod meter;
#[cfg(test)]
mod mock_cluster;
mod partitioner;
mod producer;
mod producer_config;
mod producer_pool;
mod producer_send_thread;
mod reentrancy;
mod stats;
mod sync_producer;

pub use default_event_handler::DefaultEventHandler;
pub use encoder::{DefaultEncoder, Encoder, NullEncoder, StringEncoder};
pub use error::{BoxError, Error, ErrorKind, Result};
pub use event_handler::EventHandler;
pub use keyed_message::KeyedMessage;
pub use partitioner::{ByteArrayPartitioner, DefaultPartitioner, HashCode, Partitioner};
pub use producer::Producer;
pub use producer_config::{ProducerConfig, ProducerType};
pub use stats::ProducerStats;
