//! One file per API. Its request and its response can both be encoded and decoded, because a test
//! broker needs the half that a producer does not.
//!
//! Java: the classes that are generated from `clients/src/main/resources/common/message/*.json`.
//! Fields have the names in those schemas. A field that a version does not have decodes to the
//! schema's default. If a version cannot carry a field that is set, encoding drops it if the schema
//! calls it ignorable, and fails otherwise.
//!
//! In every `decode`, the order of the fields in the literal is their order on the wire, because
//! Rust evaluates them as written. The number passed to `Reader::array` is the smallest size of an
//! element in any version.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod api_versions;
mod end_txn;
#[cfg(test)]
mod field_tests;
mod find_coordinator;
mod get_telemetry_subscriptions;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod hostile_tests;
mod init_producer_id;
mod metadata;
mod metadata_view;
mod produce;
mod push_telemetry;
mod sasl_authenticate;
mod sasl_handshake;
mod txn_offset_commit;
mod txn_results;

pub(crate) use add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
pub(crate) use add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
};
#[cfg(test)]
pub(crate) use api_versions::SupportedFeature;
pub(crate) use api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeature,
};
pub(crate) use end_txn::{EndTxnRequest, EndTxnResponse};
pub(crate) use find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
pub(crate) use get_telemetry_subscriptions::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
};
pub(crate) use init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub(crate) use metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse,
    MetadataTopic,
};
pub(crate) use metadata_view::{MetadataView, PartitionView, TopicView};
pub(crate) use produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    ProducePartition, ProduceRequest, ProduceResponse, ProduceTopic, TopicProduceResponse,
};
pub(crate) use push_telemetry::{PushTelemetryRequest, PushTelemetryResponse};
pub(crate) use sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse};
pub(crate) use sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
pub(crate) use txn_offset_commit::{
    TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
    TxnOffsetCommitTopic, TxnOffsetCommitTopicResult,
};
pub(crate) use txn_results::TxnPartitionResult;
