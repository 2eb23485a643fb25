//! The producer: what a program sends records with, and the types around it.

mod config_def;
mod producer_config;

pub use config_def::ConfigKey;
pub use producer_config::{
    Acks, ClientDnsLookup, CompressionType, MetadataRecoveryStrategy, PartitionerClass,
    ProducerConfig,
};
