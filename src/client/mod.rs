//! Connections to brokers as the sender sees them: requests in flight, versions, time-outs, cluster metadata.

mod kafka_client;
mod metadata;
#[cfg(test)]
mod mock_client;
mod node_api_versions;

pub(crate) use kafka_client::{
    ClientRequest, ClientResponse, CorrelationId, KafkaClient, RequestFailure,
};
pub(crate) use metadata::{Metadata, MetadataConfig, MetadataRequestVersion, node_from_wire};
#[cfg(test)]
pub(crate) use mock_client::{MockClient, SentRequest};
