//! Apache Kafka's producer for programs that have no async runtime.

pub mod common;
mod error;
pub mod producer;
mod protocol;
mod record;
mod sync;
mod utils;

pub use error::{Delivery, Error, ErrorKind, Result};
pub use producer::{
    Acks, ClientDnsLookup, CompressionType, ConfigKey, MetadataRecoveryStrategy, PartitionerClass,
    ProducerConfig, ProducerRecord, RecordMetadata, Serialized, Serializer,
};
pub use protocol::ErrorCode;
