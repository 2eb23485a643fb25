//! Apache Kafka's producer for programs that have no async runtime.

mod client;
pub mod common;
mod error;
mod network;
pub mod producer;
mod protocol;
mod record;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod utils;

pub use error::{Delivery, Error, ErrorKind, Result, TimeoutReason};
pub use producer::{
    Acks, ClientDnsLookup, CompressionType, ConfigKey, KafkaProducer, KafkaProducerBuilder,
    MetadataRecoveryStrategy, Partitioner, PartitionerClass, ProducerConfig, ProducerInterceptor,
    ProducerRecord, RecordFuture, RecordMetadata, Serialized, Serializer, TrySendError,
};
pub use protocol::ErrorCode;
