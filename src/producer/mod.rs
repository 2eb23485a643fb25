//! The producer, and the types around it.

mod callback;
mod config_def;
mod contained_reporter;
mod failed_record;
mod health;
pub(crate) mod internals;
#[cfg(feature = "json")]
mod json_serializer;
mod kafka_producer;
mod mock_producer;
mod offsets;
mod partitioner;
mod partitioners;
#[expect(clippy::module_inception, reason = "the trait has Java's name")]
mod producer;
mod producer_config;
mod producer_ext;
mod producer_interceptor;
mod producer_interceptors;
mod producer_record;
mod receipt;
mod record_data;
mod record_future;
mod record_futures;
mod record_metadata;
mod send_timeout;
mod serializer;
mod serializer_fn;
mod serializers;
mod transaction;
mod try_send_error;
mod user_code;

pub use crate::utils::ParseChoiceError;
pub(crate) use callback::Callback;
pub use config_def::ConfigKey;
pub use health::{Health, NodeHealth};
#[cfg(feature = "json")]
pub use json_serializer::JsonSerializer;
pub use kafka_producer::{KafkaProducer, KafkaProducerBuilder};
pub(crate) use kafka_producer::{
    check_size, is_api_error, needs_transactional_id, no_such_partition, partition_of_key,
    undelivered_at_close,
};
pub use mock_producer::MockProducer;
pub use offsets::{ConsumerGroupMetadata, OffsetAndMetadata};
pub use partitioner::Partitioner;
pub(crate) use partitioner::choose_partition;
pub use partitioners::{DefaultPartitioner, RoundRobinPartitioner, UniformStickyPartitioner};
pub use producer::Producer;
pub use producer_config::{
    Acks, BufferMemoryAllocationStrategy, ClientDnsLookup, CompressionType, IntoList,
    MetadataRecoveryStrategy, PartitionerClass, ProducerConfig, RecordingLevel, SecurityProtocol,
};
pub use producer_ext::ProducerExt;
pub use producer_interceptor::ProducerInterceptor;
pub(crate) use producer_record::check_topic;
pub use producer_record::{IntoTimestamp, ProducerRecord};
pub use record_data::{Data, IntoData, RecordData};
pub use record_future::RecordFuture;
pub use record_futures::{JoinError, RecordFutures};
pub use record_metadata::RecordMetadata;
pub use send_timeout::{SendStep, SendTimeoutError};
pub(crate) use serializer::serialize;
pub use serializer::{Serialized, Serializer};
pub use serializer_fn::{SerializerFn, serializer_fn};
pub use serializers::{
    BooleanSerializer, BytesSerializer, BytesSerializer as ByteArraySerializer, DoubleSerializer,
    FloatSerializer, IntegerSerializer, ListSerializer, LongSerializer, ShortSerializer,
    StringSerializer, UuidSerializer, VoidSerializer,
};
pub use transaction::Transaction;
pub use try_send_error::TrySendError;
