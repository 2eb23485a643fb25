//! Apache Kafka's producer for programs that have no async runtime.

pub mod common;
mod error;
mod network;
pub mod producer;
mod protocol;
mod record;
mod sync;
mod utils;

pub use error::{Delivery, Error, ErrorKind, Result};
pub use producer::{
    Acks, ClientDnsLookup, CompressionType, MetadataRecoveryStrategy, MockProducer, Partitioner,
    Producer, ProducerConfig, ProducerInterceptor, ProducerRecord, RecordFuture, RecordMetadata,
    Serialized, Serializer,
};
pub use protocol::ErrorCode;
