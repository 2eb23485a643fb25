//! Connections to brokers, from the sender's side: requests in flight, versions, timeouts, cluster
//! metadata.

mod api_versions;
mod bootstrap;
mod broker_address;
mod client_metrics;
mod client_status;
mod client_utils;
mod cluster_connection_states;
mod host_resolver;
mod in_flight_requests;
mod kafka_client;
mod metadata;
mod metadata_updater;
#[cfg(test)]
mod mock_client;
mod network_client;
mod node_api_versions;
mod telemetry;

pub(crate) use bootstrap::BootstrapConfig;
pub(crate) use client_metrics::ClientMetrics;
pub(crate) use client_status::ClientStatus;
pub use client_utils::ClientDnsLookup;
pub(crate) use client_utils::{address_refusals, parse_addresses, parse_and_validate_addresses};
pub use cluster_connection_states::ConnectionState;
pub(crate) use cluster_connection_states::NodeStatus;
pub(crate) use host_resolver::{SystemHostLookup, ThreadedHostResolver};
pub(crate) use kafka_client::{
    ClientRequest, ClientResponse, CorrelationId, KafkaClient, RequestFailure,
};
pub(crate) use metadata::{
    Metadata, MetadataConfig, MetadataRequestVersion, node_address, node_from_wire, printable,
};
pub use metadata_updater::MetadataRecoveryStrategy;
#[cfg(test)]
pub(crate) use mock_client::MockClient;
pub(crate) use network_client::{NetworkClient, NetworkClientConfig};
pub(crate) use telemetry::{ClientInstanceId, ClientTelemetrySender, KafkaMetricsCollector};
