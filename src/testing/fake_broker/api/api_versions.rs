//! Responds to ApiVersions with the versions of the node. Java (broker):
//! `KafkaApis.handleApiVersionsRequest`.

use std::ops::RangeInclusive;

use super::RequestContext;
use crate::common::NodeId;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeature,
};
use crate::testing::fake_broker::model::api::Api;
use crate::testing::fake_broker::model::cluster::{Broker, Cluster};

/// Returns the response, or `None` if the node does not exist.
pub(crate) fn handle(
    cluster: &Cluster,
    context: RequestContext<'_>,
    request: &ApiVersionsRequest,
) -> Option<ApiVersionsResponse> {
    let scripted = context.plan.whole_failure().map(|failure| failure.code);
    let refusal = scripted.or_else(|| misrouted(cluster, context, request));
    if let Some(error_code) = refusal {
        return Some(ApiVersionsResponse {
            error_code,
            ..ApiVersionsResponse::default()
        });
    }
    let broker = cluster.broker(context.node)?;
    let features = cluster.finalized_features();
    Some(ApiVersionsResponse {
        api_keys: Api::ALL
            .iter()
            .filter_map(|api| Some(version_range(*api, cluster.versions(broker, *api)?)))
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
    })
}

/// Compares the cluster and node that the client expects with the actual ones (KIP-1242). Requests
/// of older versions do not contain them.
fn misrouted(
    cluster: &Cluster,
    context: RequestContext<'_>,
    request: &ApiVersionsRequest,
) -> Option<ErrorCode> {
    match (&request.cluster_id, request.node_id) {
        (None, -1) => None,
        (None, _) | (Some(_), -1) => Some(ErrorCode::INVALID_REQUEST),
        (Some(cluster_id), node_id) => {
            let is_meant =
                *cluster_id == cluster.settings.cluster_id && NodeId(node_id) == context.node;
            (!is_meant).then_some(ErrorCode::REBOOTSTRAP_REQUIRED)
        }
    }
}

/// Returns the response to an unsupported version, which always has the layout of version 0.
///
/// Brokers from 2.4 on, which support version 3, return their versions of ApiVersions in it
/// (KIP-511). Older ones return none.
pub(crate) fn unsupported_version(broker: &Broker) -> ApiVersionsResponse {
    let own = broker.versions(Api::ApiVersions);
    let own = own.map(|versions| version_range(Api::ApiVersions, versions));
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: own
            .into_iter()
            .filter(|range| range.max_version >= 3)
            .collect(),
        ..ApiVersionsResponse::default()
    }
}

fn version_range(api: Api, versions: RangeInclusive<i16>) -> ApiVersion {
    ApiVersion {
        api_key: api.key().id(),
        min_version: *versions.start(),
        max_version: *versions.end(),
    }
}
