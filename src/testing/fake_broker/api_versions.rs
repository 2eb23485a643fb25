//! Answers ApiVersions: what the node was told to speak. Java (broker): `KafkaApis.handleApiVersionsRequest`.

use super::Api;
use super::cluster::Broker;
use super::script::Failure;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{ApiVersion, ApiVersionsResponse, FinalizedFeature};

/// What the nodes have agreed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct FinalizedFeatures {
    pub(super) epoch: i64,
    /// 0 is a cluster that does not know the feature.
    pub(super) transaction_version: i16,
}

pub(super) fn handle(
    broker: &Broker,
    features: FinalizedFeatures,
    failure: Option<&Failure>,
) -> ApiVersionsResponse {
    if let Some(failure) = failure {
        return ApiVersionsResponse {
            error_code: failure.code,
            ..ApiVersionsResponse::default()
        };
    }
    ApiVersionsResponse {
        api_keys: Api::ALL
            .iter()
            .filter_map(|api| version_range(broker, *api))
            .collect(),
        finalized_features_epoch: features.epoch,
        finalized_features: (features.transaction_version > 0)
            .then(|| FinalizedFeature {
                name: "transaction.version".to_owned(),
                max_version_level: features.transaction_version,
                min_version_level: features.transaction_version,
            })
            .into_iter()
            .collect(),
        ..ApiVersionsResponse::default()
    }
}

/// The answer to a version that the node does not speak, which is always sent in the layout of version 0.
///
/// Brokers from 2.4 on, those that speak version 3, name the versions of ApiVersions in it (KIP-511); older ones name
/// nothing.
pub(super) fn unsupported_version(broker: &Broker) -> ApiVersionsResponse {
    let own = version_range(broker, Api::ApiVersions);
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: own
            .into_iter()
            .filter(|range| range.max_version >= 3)
            .collect(),
        ..ApiVersionsResponse::default()
    }
}

fn version_range(broker: &Broker, api: Api) -> Option<ApiVersion> {
    let versions = broker.versions(api)?;
    Some(ApiVersion {
        api_key: api.key().id(),
        min_version: *versions.start(),
        max_version: *versions.end(),
    })
}
