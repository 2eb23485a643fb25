//! Apache Kafka's producer as a synchronous library, which needs no async runtime.
//!
//! It has the semantics, names and defaults of Kafka's Java producer: idempotent with `acks=all`,
//! batches per partition, five requests in flight on a connection. Any number of threads share one
//! [`KafkaProducer`]. Each producer has one I/O thread, and there is nothing to poll. Async programs
//! await a record with any runtime. The default build has no C in it.
//!
//! ```
//! use std::time::Duration;
//!
//! use kafka_producer::{Delivery, KafkaProducer, ProducerRecord};
//!
//! # fn main() -> kafka_producer::Result<()> {
//! # let broker = kafka_producer::testing::FakeBroker::builder().topic("orders", 3).start()?;
//! # let servers = broker.bootstrap_servers();
//! # let servers = servers.as_str();
//! let producer = KafkaProducer::builder()
//!     .bootstrap_servers(servers) // "broker-1:9092,broker-2:9092"
//!     .build()?;
//!
//! // Wait for one record.
//! let metadata = producer.send(ProducerRecord::new("orders", "first").key("k"))?.get()?;
//! println!("{}-{}@{}", metadata.topic(), metadata.partition(), metadata.offset());
//!
//! // Or send many, with a callback for each outcome.
//! for number in 0..100 {
//!     let record = ProducerRecord::new("orders", format!("value {number}")).key("k");
//!     producer.send_with_callback(record, |result| match result {
//!         Ok(_) => {}
//!         Err(error) if error.delivery() == Delivery::MaybeWritten => eprintln!("perhaps: {error}"),
//!         Err(error) => eprintln!("not written: {error}"),
//!     })?;
//! }
//!
//! producer.close(Duration::from_secs(30))?;
//! # assert_eq!(broker.record_count("orders"), 101);
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! - [`KafkaProducer`], [`ProducerRecord`], [`RecordFuture`]: sending.
//!   [`KafkaProducer::send_timeout`] has one deadline for the whole send.
//! - [`KafkaProducer::try_send`]: sending without blocking. [`manual::async_programs`] shows how to
//!   await a record.
//! - [`Producer`] and [`MockProducer`]: tests without a broker. `testing::FakeBroker` (feature
//!   `testing`): a cluster inside the test.
//! - [`KafkaProducer::transaction`], and the five calls behind it: records and consumed offsets that
//!   are committed together.
//! - [`ProducerConfig`]: Kafka's keys, by name or by typed setter. [`manual::configuration`] has them
//!   in one table.
//! - [`Error`]: what failed. [`Error::delivery`] returns whether the log may hold the record, and
//!   [`Error::record`] returns the record. [`manual::delivery`] says what to do with each error.
//! - [`KafkaProducer::metrics`]: Java's metrics, for Prometheus too
//!   ([`MetricsSnapshot::to_prometheus`]), in the log by
//!   [`KafkaProducerBuilder::log_metrics_every`], and for the `metrics` crate by `MetricsFacade`
//!   (feature `metrics`).
//! - [`KafkaProducer::health`]: the producer's own state, for a readiness probe.
//! - [`manual`]: how it works, what it guarantees, and where it differs from Java.
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `gzip`, `snappy`, `lz4` | yes | codecs for `compression.type`, in Rust |
//! | `tls` | yes | `security.protocol` `SSL` and `SASL_SSL`, by rustls with the cryptography of graviola |
//! | `sasl` | yes | `security.protocol` `SASL_SSL` and `SASL_PLAINTEXT`: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER |
//! | `oauth-oidc` | no | OAUTHBEARER tokens from a token endpoint by HTTPS (`sasl.oauthbearer.token.endpoint.url`) |
//! | `aws-msk-iam` | no | Amazon MSK with IAM (`sasl.mechanism=AWS_MSK_IAM`) |
//! | `gssapi` | no | Kerberos (`sasl.mechanism=GSSAPI`) by the system's C library, on Unix |
//! | `tls-aws-lc`, `tls-ring` | no | the cryptography of aws-lc-rs or ring, for processors that graviola does not support; both need a C compiler |
//! | `keystores` | no | JKS and PKCS#12 stores (`ssl.keystore.type`) and encrypted private keys (`ssl.key.password`) |
//! | `zstd` | no | the codec of the reference library, which needs a C compiler |
//! | `classic` | no | the module `classic` with the Scala producer of Kafka 0.8 |
//! | `json` | no | [`producer::JsonSerializer`](producer), for every type that serde serializes |
//! | `serde` | no | [`ProducerConfig`] from any format that serde reads |
//! | `metrics` | no | `MetricsFacade`: the metrics for the recorder of the `metrics` crate |
//! | `bytes`, `uuid` | no | `bytes::Bytes` and `uuid::Uuid` as key and value |
//! | `testing` | no | the module `testing` with its `FakeBroker` |

#[cfg(feature = "_internals")]
#[doc(hidden)]
pub mod _internals;
#[cfg(feature = "classic")]
pub mod classic;
mod client;
pub mod common;
mod error;
pub mod manual;
mod metrics;
mod network;
pub mod producer;
mod protocol;
mod record;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod utils;

pub use client::ConnectionState;
pub use common::TopicPartition;
pub use error::{Delivery, Error, ErrorKind, Result, TimeoutReason};
#[cfg(feature = "metrics")]
pub use metrics::MetricsFacade;
pub use metrics::{
    KafkaMetric, Metric, MetricName, MetricValue, MetricsReporter, MetricsSnapshot, RecordingLevel,
};
#[cfg(feature = "aws-msk-iam")]
pub use network::AwsCredentials;
#[cfg(feature = "sasl")]
pub use network::{OAuthBearerToken, SaslCredentials};
pub use producer::{
    Acks, BufferMemoryAllocationStrategy, ClientDnsLookup, CompressionType, ConfigKey,
    ConsumerGroupMetadata, Health, JoinError, KafkaProducer, KafkaProducerBuilder,
    MetadataRecoveryStrategy, MockProducer, NodeHealth, OffsetAndMetadata, Partitioner,
    PartitionerClass, Producer, ProducerConfig, ProducerExt, ProducerInterceptor, ProducerRecord,
    RecordFuture, RecordFutures, RecordMetadata, SecurityProtocol, SendStep, SendTimeoutError,
    Serialized, Serializer, Transaction, TrySendError,
};
pub use protocol::ErrorCode;

/// The programs of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
