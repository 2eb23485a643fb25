//! The API versions of each connected node, and the cluster's finalized features. Java:
//! `ApiVersions`; KIP-584.

use hashbrown::HashMap;

use super::node_api_versions::NodeApiVersions;
use crate::common::NodeId;
use crate::protocol::messages::{ApiVersionsResponse, FinalizedFeature};

/// The API versions of every connected node.
#[derive(Debug, Default)]
pub(crate) struct ApiVersions {
    nodes: HashMap<NodeId, ConnectedNode>,
    finalized_features: FinalizedFeatures,
}

/// The response of one node when it was connected to.
#[derive(Debug)]
struct ConnectedNode {
    versions: NodeApiVersions,
    finalized_features: FinalizedFeatures,
}

/// The cluster's finalized features, as of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FinalizedFeatures {
    /// -1 if no broker sent any.
    pub(crate) epoch: i64,
    pub(crate) features: Vec<FinalizedFeature>,
}

impl Default for FinalizedFeatures {
    fn default() -> Self {
        Self {
            epoch: -1,
            features: Vec::new(),
        }
    }
}

impl ApiVersions {
    /// Takes a node's response. Its features count only if they are newer than the known ones.
    pub(crate) fn update(
        &mut self,
        node: NodeId,
        versions: NodeApiVersions,
        response: ApiVersionsResponse,
    ) {
        let finalized_features = FinalizedFeatures {
            epoch: response.finalized_features_epoch,
            features: response.finalized_features,
        };
        if finalized_features.epoch > self.finalized_features.epoch {
            self.finalized_features = finalized_features.clone();
        }
        let node_facts = ConnectedNode {
            versions,
            finalized_features,
        };
        self.nodes.insert(node, node_facts);
    }

    /// Handles a rebootstrap: only the responses of nodes that are still connected count. The
    /// cluster may be another one, or restored from a backup with a lower epoch of its features.
    pub(crate) fn forget_features_of_lost_nodes(&mut self) {
        let connected = self.nodes.values().map(|node| &node.finalized_features);
        let latest = connected.max_by_key(|features| features.epoch);
        self.finalized_features = latest.cloned().unwrap_or_default();
    }

    /// Handles a node of another cluster: its features replace the known ones.
    pub(crate) fn take_features_of(&mut self, node: NodeId) {
        let node = self.nodes.get(&node);
        let features = node.map(|node| node.finalized_features.clone());
        self.finalized_features = features.unwrap_or_default();
    }

    pub(crate) fn remove(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }

    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<&NodeApiVersions> {
        self.nodes.get(&node).map(|node| &node.versions)
    }

    /// Returns the finalized level of a feature, or 0 if it has none.
    pub(crate) fn finalized_feature_level(&self, name: &str) -> i16 {
        let mut features = self.finalized_features.features.iter();
        let feature = features.find(|feature| feature.name == name);
        feature.map_or(0, |feature| feature.max_version_level)
    }

    #[cfg(test)]
    pub(crate) fn finalized_features(&self) -> &FinalizedFeatures {
        &self.finalized_features
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ApiKey;
    use crate::protocol::messages::ApiVersion;

    fn response(epoch: i64, level: i16) -> ApiVersionsResponse {
        ApiVersionsResponse {
            finalized_features_epoch: epoch,
            finalized_features: vec![FinalizedFeature {
                name: "transaction.version".to_owned(),
                max_version_level: level,
                min_version_level: level,
            }],
            ..ApiVersionsResponse::default()
        }
    }

    fn none() -> NodeApiVersions {
        NodeApiVersions::new(&[])
    }

    // Java: ApiVersionsTest.testFinalizedFeaturesUpdate.
    #[test]
    fn the_epoch_of_the_features_does_not_go_back() {
        let mut versions = ApiVersions::default();
        assert_eq!(versions.finalized_features().epoch, -1);
        let level = |versions: &ApiVersions| {
            let features = versions.finalized_features();
            (features.epoch, features.features[0].max_version_level)
        };
        versions.update(NodeId(1), none(), response(1, 1));
        assert_eq!(level(&versions), (1, 1));
        versions.update(NodeId(2), none(), response(0, 2));
        assert_eq!(level(&versions), (1, 1), "node 2 lags behind");
        versions.update(NodeId(3), none(), response(3, 2));
        assert_eq!(level(&versions), (3, 2));
        versions.remove(NodeId(3));
        assert_eq!(level(&versions), (3, 2));
        versions.update(NodeId(4), none(), response(i64::MIN, 9));
        assert_eq!(level(&versions), (3, 2));
        assert_eq!(versions.finalized_feature_level("transaction.version"), 2);
        assert_eq!(versions.finalized_feature_level("kraft.version"), 0);
    }

    #[test]
    fn a_rebootstrap_forgets_the_features_of_lost_nodes() {
        let mut versions = ApiVersions::default();
        versions.update(NodeId(1), none(), response(10, 2));
        versions.remove(NodeId(1));
        versions.forget_features_of_lost_nodes();
        assert_eq!(versions.finalized_feature_level("transaction.version"), 0);
        versions.update(NodeId(1), none(), response(3, 1));
        assert_eq!(versions.finalized_feature_level("transaction.version"), 1);
        versions.forget_features_of_lost_nodes();
        assert_eq!(versions.finalized_feature_level("transaction.version"), 1);
    }

    #[test]
    fn another_cluster_starts_with_the_features_of_its_node() {
        let mut versions = ApiVersions::default();
        versions.update(NodeId(1), none(), response(10, 2));
        versions.update(NodeId(2), none(), response(3, 1));
        assert_eq!(versions.finalized_features().epoch, 10);
        versions.take_features_of(NodeId(2));
        assert_eq!(versions.finalized_features().epoch, 3);
        versions.take_features_of(NodeId(3));
        assert_eq!(versions.finalized_features().epoch, -1, "not connected");
    }

    #[test]
    fn nodes_come_and_go() {
        let mut versions = ApiVersions::default();
        let produce = ApiVersion {
            api_key: ApiKey::Produce.id(),
            min_version: 0,
            max_version: 9,
        };
        let node = NodeId(1);
        versions.update(node, NodeApiVersions::new(&[produce]), response(-1, 0));
        let usable = versions
            .get(node)
            .map(|v| v.latest_usable_version(ApiKey::Produce));
        assert_eq!(usable, Some(Ok(9)));
        versions.remove(node);
        assert!(versions.get(node).is_none());
    }
}
