//! The settings of a test broker.

use std::ops::RangeInclusive;
#[cfg(feature = "sasl")]
use std::time::Duration;

use super::FakeBroker;
use super::model::api::Api;
use super::model::cluster::{Broker, Cluster, Settings};
use super::model::producer_state::SequenceRules;
use super::model::sasl::SaslServer;
use super::model::telemetry::TelemetrySubscription;
use super::model::topic_config::TopicConfig;
#[cfg(feature = "tls")]
use super::tls::TlsSettings;
use super::wire::core::Core;
use super::wire::server::NodeServer;
use super::wire::stream::Security;
use crate::common::NodeId;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::ErrorCode;
use crate::sync::Arc;
#[cfg(feature = "sasl")]
use crate::utils::ScramMechanism;

/// Builds a [`FakeBroker`].
#[must_use = "nothing runs before `start`"]
#[derive(Clone, Debug)]
pub struct FakeBrokerBuilder {
    nodes: i32,
    racks: Vec<String>,
    topics: Vec<(String, TopicConfig)>,
    versions: Vec<(Option<NodeId>, Api, Option<RangeInclusive<i16>>)>,
    settings: Settings,
    telemetry: Option<TelemetrySubscription>,
    #[cfg(feature = "tls")]
    tls: Option<TlsSettings>,
}

impl FakeBroker {
    /// Returns a builder for a cluster of one node with Kafka's defaults, which creates topics on
    /// demand.
    pub fn builder() -> FakeBrokerBuilder {
        FakeBrokerBuilder::new()
    }
}

impl FakeBrokerBuilder {
    pub(super) fn new() -> Self {
        Self {
            nodes: 1,
            racks: Vec::new(),
            topics: Vec::new(),
            versions: Vec::new(),
            telemetry: None,
            #[cfg(feature = "tls")]
            tls: None,
            settings: Settings {
                cluster_id: "fake-broker".into(),
                replication_factor: 3,
                auto_create_topics: true,
                instant_auto_creation: false,
                default_topic: TopicConfig::new(1),
                offset_metadata_max_bytes: 4096,
                sequence_rules: SequenceRules::default(),
                transaction_version: 2,
                sasl: SaslServer::default(),
            },
        }
    }

    /// Sets the number of nodes. Their ids are 1, 2, ... Default: 1.
    pub fn nodes(mut self, nodes: i32) -> Self {
        self.nodes = nodes;
        self
    }

    /// Sets the racks of the nodes, in the order of their ids. A short list repeats. Default: none.
    pub fn racks<R: Into<String>>(mut self, racks: impl IntoIterator<Item = R>) -> Self {
        self.racks = racks.into_iter().map(Into::into).collect();
        self
    }

    /// Creates a topic with this many partitions. Their leaders are assigned to the nodes in turn,
    /// beginning with the first.
    pub fn topic(self, topic: impl Into<String>, partitions: i32) -> Self {
        self.topic_with(topic, TopicConfig::new(partitions))
    }

    /// Creates a topic with this configuration.
    pub fn topic_with(mut self, topic: impl Into<String>, config: TopicConfig) -> Self {
        self.topics.push((topic.into(), config));
        self
    }

    /// Sets whether a Metadata request creates unknown topics if it allows that. Default: true.
    pub fn auto_create_topics(mut self, auto_create_topics: bool) -> Self {
        self.settings.auto_create_topics = auto_create_topics;
        self
    }

    /// Sets whether the response to the Metadata request that creates a topic already contains it.
    /// Default: false, as in Kafka.
    ///
    /// With the default, the response contains UNKNOWN_TOPIC_OR_PARTITION, and later responses name
    /// the leaders. The first Produce request to each partition fails with NOT_LEADER_OR_FOLLOWER,
    /// because its leader has not opened the log yet. Producers retry both. A test that counts
    /// requests creates its topics with [`topic`](Self::topic), or sets this to true.
    ///
    /// Kafka takes up to some hundred milliseconds for this, and sometimes accepts the first
    /// Produce request. A test broker takes one request for each step, so that a test runs the same
    /// way every time.
    pub fn instant_auto_creation(mut self, is_instant: bool) -> Self {
        self.settings.instant_auto_creation = is_instant;
        self
    }

    /// Sets the configuration of topics that are created on demand. Default: one partition.
    pub fn default_topic(mut self, config: TopicConfig) -> Self {
        self.settings.default_topic = config;
        self
    }

    /// Sets the number of replicas of a partition, which is at most the number of nodes. Only a
    /// node with a replica becomes the leader when the leader stops. Default: 3.
    pub fn replication_factor(mut self, replicas: usize) -> Self {
        self.settings.replication_factor = replicas;
        self
    }

    /// `offset.metadata.max.bytes`: if a TxnOffsetCommit has longer metadata for a partition, that
    /// partition fails with OFFSET_METADATA_TOO_LARGE. Kafka counts UTF-16 units, not bytes.
    /// Default: 4096.
    pub fn offset_metadata_max_bytes(mut self, units: usize) -> Self {
        self.settings.offset_metadata_max_bytes = units;
        self
    }

    /// Sets the id of the cluster. Default: `fake-broker`.
    pub fn cluster_id(mut self, id: impl Into<String>) -> Self {
        self.settings.cluster_id = id.into();
        self
    }

    /// Sets the versions of an API that all nodes support. Default: all that this library supports.
    pub fn versions(mut self, api: Api, versions: RangeInclusive<i16>) -> Self {
        self.versions.push((None, api, Some(versions)));
        self
    }

    /// Sets the versions of an API that one node supports.
    pub fn node_versions(
        mut self,
        node: impl Into<NodeId>,
        api: Api,
        versions: RangeInclusive<i16>,
    ) -> Self {
        let node = node.into();
        self.versions.push((Some(node), api, Some(versions)));
        self
    }

    /// Removes an API from all nodes.
    pub fn without_api(mut self, api: Api) -> Self {
        self.versions.push((None, api, None));
        self
    }

    /// Sets whether a partition that does not know a producer returns UNKNOWN_PRODUCER_ID unless
    /// its first sequence is 0, as brokers before 2.5 do. Default: false, it accepts any sequence.
    pub fn unknown_producer_id(mut self, unknown_producer_id: bool) -> Self {
        self.settings.sequence_rules.unknown_producer_id = unknown_producer_id;
        self
    }

    /// Sets the response to a duplicate of a batch that the partition no longer remembers, because
    /// 5 newer ones followed. Default: OUT_OF_ORDER_SEQUENCE_NUMBER, as in Kafka 4. Brokers 1.0
    /// return DUPLICATE_SEQUENCE_NUMBER.
    pub fn stale_duplicate_answer(mut self, code: ErrorCode) -> Self {
        self.settings.sequence_rules.stale_duplicate = code;
        self
    }

    /// Sets the level of the feature `transaction.version` on which the cluster has agreed.
    /// Default: 2, with which brokers bump the epoch at the end of every transaction and add
    /// partitions to it (KIP-890). Levels 1 and 0 mean the older transactions; a cluster at level 0
    /// does not know the feature.
    ///
    /// As in Kafka, the behaviour of a broker depends on the versions of the requests, regardless
    /// of the level.
    pub fn transaction_version(mut self, level: i16) -> Self {
        self.settings.transaction_version = level;
        self
    }

    /// Subscribes to the metrics of every client (KIP-714). Default: none. Then the nodes have no
    /// telemetry APIs, like Kafka's without a receiver of telemetry.
    pub fn telemetry(mut self, subscription: TelemetrySubscription) -> Self {
        self.telemetry = Some(subscription);
        self
    }

    /// Requires SASL, and accepts this user with PLAIN. Any number of users and mechanisms can be
    /// added.
    #[cfg(feature = "sasl")]
    pub fn sasl_plain(mut self, username: &str, password: &str) -> Self {
        self.settings.sasl.add_plain_user(username, password);
        self
    }

    /// Requires SASL, and accepts this user with SCRAM-SHA-256.
    #[cfg(feature = "sasl")]
    pub fn sasl_scram_sha_256(mut self, username: &str, password: &str) -> Self {
        let mechanism = ScramMechanism::Sha256;
        self.settings
            .sasl
            .add_scram_user(mechanism, username, password);
        self
    }

    /// Requires SASL, and accepts this user with SCRAM-SHA-512.
    #[cfg(feature = "sasl")]
    pub fn sasl_scram_sha_512(mut self, username: &str, password: &str) -> Self {
        let mechanism = ScramMechanism::Sha512;
        self.settings
            .sasl
            .add_scram_user(mechanism, username, password);
        self
    }

    /// Sets the number of iterations that the broker requires for SCRAM. Default: 4096.
    #[cfg(feature = "sasl")]
    pub fn sasl_scram_iterations(mut self, iterations: u32) -> Self {
        self.settings.sasl.scram_iterations = iterations;
        self
    }

    /// Requires SASL, and accepts OAUTHBEARER tokens for which `is_token` returns `true`.
    #[cfg(feature = "sasl")]
    pub fn sasl_oauthbearer(
        mut self,
        is_token: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.settings.sasl.accept_tokens(Arc::new(is_token));
        self
    }

    /// `connections.max.reauth.ms`: clients must authenticate again within this time. A later
    /// request ends its connection. Default: no limit.
    #[cfg(feature = "sasl")]
    pub fn sasl_max_reauth(mut self, max_reauth: Duration) -> Self {
        self.settings.sasl.max_reauth = Some(max_reauth);
        self
    }

    /// Requires TLS with this certificate chain and private key, both in PEM. The nodes have the
    /// address `127.0.0.1`, so the certificate needs that address as an alternative name. Default:
    /// plaintext.
    #[cfg(feature = "tls")]
    pub fn tls(
        mut self,
        certificate_chain: impl Into<String>,
        private_key: impl Into<String>,
    ) -> Self {
        let client_authorities = self.tls.and_then(|tls| tls.client_authorities);
        self.tls = Some(TlsSettings {
            certificate_chain: certificate_chain.into(),
            private_key: private_key.into(),
            client_authorities,
        });
        self
    }

    /// Requires client certificates of these authorities, in PEM. Use after [`tls`](Self::tls).
    /// Default: not required.
    #[cfg(feature = "tls")]
    pub fn tls_client_authorities(mut self, authorities: impl Into<String>) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.client_authorities = Some(authorities.into());
        }
        self
    }

    /// Starts the cluster.
    ///
    /// # Errors
    ///
    /// There would be no node, a topic or a node in the settings is invalid, or the operating
    /// system refuses a port or a thread.
    pub fn start(self) -> Result<FakeBroker> {
        if self.nodes < 1 {
            return Err(config_error("a test broker needs at least one node".into()));
        }
        let servers = (1..=self.nodes)
            .map(|id| NodeServer::bind(NodeId(id)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| {
                Error::new(ErrorKind::Internal, "no port for a test broker").caused_by(error)
            })?;
        let security = Security {
            #[cfg(feature = "tls")]
            tls: match &self.tls {
                None => None,
                Some(settings) => {
                    let config = settings.server_config();
                    let config = config
                        .map_err(|error| config_error(format!("TLS of the test broker: {error}")));
                    Some(config?)
                }
            },
        };
        let cluster = self.build_cluster(&servers)?;
        // If a later step fails, dropping this stops everything.
        let broker = FakeBroker {
            core: Arc::new(Core::new(cluster, security)),
            servers: Arc::new(servers),
            is_owner: true,
        };
        for node in broker.nodes() {
            broker.open_listener(node)?;
        }
        Ok(broker)
    }

    fn build_cluster(self, servers: &[NodeServer]) -> Result<Cluster> {
        let racks = self.racks.iter().map(|rack| Some(rack.clone())).cycle();
        let racks = racks.chain(std::iter::repeat(None));
        let brokers = servers.iter().zip(racks).map(|(server, rack)| {
            let address = server.address();
            Broker::new(server.node, address.ip().to_string(), address.port(), rack)
        });
        let mut cluster = Cluster::new(self.settings, brokers.collect());
        for (node, api, versions) in self.versions {
            if let Some(node) = node.filter(|node| cluster.broker(*node).is_none()) {
                return Err(config_error(format!(
                    "versions are set for node {node}, which there is not"
                )));
            }
            for broker in &mut cluster.brokers {
                if node.is_none_or(|node| node == broker.id) {
                    broker.set_versions(api, versions.clone());
                }
            }
        }
        cluster.telemetry.subscribe(self.telemetry);
        for (topic, config) in self.topics {
            let created = cluster.create_topic(&topic, config);
            created.map_err(|code| config_error(format!("topic '{topic}': {code}")))?;
        }
        Ok(cluster)
    }
}

fn config_error(text: String) -> Error {
    Error::new(ErrorKind::Config, text)
}
