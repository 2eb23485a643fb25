//! Metadata (3): brokers, topics and leaders. Java: `MetadataRequestData`, `MetadataResponseData`.
//!
//! Schemas: `MetadataRequest.json`, `MetadataResponse.json`, versions 4-13. KIP-112 (5: offline replicas), KIP-219
//! (6: throttling by the client), KIP-320 (7: leader epochs), KIP-430 (8: authorized operations), KIP-516 (10: topic ids,
//! 12: topics by id), KIP-700 (11: no cluster operations), KIP-1102 (13: a top-level error).

use super::metadata_view::{
    BrokerView, MetadataView, NO_OPERATIONS, PartitionView, TopicView, decode_name, decode_topic_id,
};
use crate::common::Uuid;
use crate::protocol::{
    ApiKey, ApiRequest, DecodeError, EncodeError, ErrorCode, Message, Reader, Writer,
};
use crate::sync::Arc;

/// Requests topics, and the brokers of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetadataRequest {
    /// `None` means every topic, and an empty list means none.
    pub(crate) topics: Option<Vec<MetadataRequestTopic>>,
    pub(crate) allow_auto_topic_creation: bool,
    /// Versions 8-10.
    pub(crate) include_cluster_authorized_operations: bool,
    /// Version 8+.
    pub(crate) include_topic_authorized_operations: bool,
}

/// A requested topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetadataRequestTopic {
    /// Version 10+, ignorable.
    pub(crate) topic_id: Uuid,
    /// Nullable from version 10.
    pub(crate) name: Option<Arc<str>>,
}

impl Default for MetadataRequest {
    fn default() -> Self {
        Self {
            topics: Some(Vec::new()),
            allow_auto_topic_creation: true,
            include_cluster_authorized_operations: false,
            include_topic_authorized_operations: false,
        }
    }
}

impl ApiRequest for MetadataRequest {
    const KEY: ApiKey = ApiKey::Metadata;
    type Response = MetadataResponse;
}

impl Message for MetadataRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = Self::KEY.is_flexible(version);
        let nullable_name = version >= 10;
        w.nullable_array(self.topics.as_deref(), flexible, |w, topic| {
            if version >= 10 {
                w.uuid(topic.topic_id);
            }
            encode_name(w, topic.name.as_deref(), version, nullable_name)?;
            w.no_tagged_fields(flexible);
            Ok(())
        })?;
        w.bool(self.allow_auto_topic_creation);
        if (8..=10).contains(&version) {
            w.bool(self.include_cluster_authorized_operations);
        } else if self.include_cluster_authorized_operations {
            return Err(EncodeError::UnsupportedField {
                field: "include_cluster_authorized_operations",
                version,
            });
        }
        if version >= 8 {
            w.bool(self.include_topic_authorized_operations);
        } else if self.include_topic_authorized_operations {
            return Err(EncodeError::UnsupportedField {
                field: "include_topic_authorized_operations",
                version,
            });
        }
        w.no_tagged_fields(flexible);
        Ok(())
    }

    #[inline]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = Self::KEY.is_flexible(version);
        let request = Self {
            topics: r.nullable_array(flexible, 2, |r| {
                let topic = MetadataRequestTopic {
                    topic_id: decode_topic_id(r, version)?,
                    name: decode_name(r, version, version >= 10)?.map(Arc::from),
                };
                r.skip_tagged_fields(flexible)?;
                Ok(topic)
            })?,
            allow_auto_topic_creation: r.bool()?,
            include_cluster_authorized_operations: (8..=10).contains(&version) && r.bool()?,
            include_topic_authorized_operations: version >= 8 && r.bool()?,
        };
        r.skip_tagged_fields(flexible)?;
        Ok(request)
    }
}

/// The cluster as one broker knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetadataResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) brokers: Vec<MetadataBroker>,
    pub(crate) cluster_id: Option<String>,
    pub(crate) controller_id: i32,
    pub(crate) topics: Vec<MetadataTopic>,
    /// Versions 8-10, ignorable.
    pub(crate) cluster_authorized_operations: i32,
    /// Version 13+, ignorable.
    pub(crate) error_code: ErrorCode,
}

/// A broker and the address that it advertises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MetadataBroker {
    pub(crate) node_id: i32,
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) rack: Option<String>,
}

/// A topic, or the reason why it cannot be described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetadataTopic {
    pub(crate) error_code: ErrorCode,
    /// Nullable from version 12, for a request by an id that the broker does not know.
    pub(crate) name: Option<Arc<str>>,
    /// Version 10+, ignorable.
    pub(crate) topic_id: Uuid,
    pub(crate) is_internal: bool,
    pub(crate) partitions: Vec<MetadataPartition>,
    /// Version 8+, ignorable.
    pub(crate) topic_authorized_operations: i32,
}

/// A partition, its leader and its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetadataPartition {
    pub(crate) error_code: ErrorCode,
    pub(crate) partition_index: i32,
    /// -1 if there is none.
    pub(crate) leader_id: i32,
    /// Version 7+, ignorable; -1 if unknown.
    pub(crate) leader_epoch: i32,
    pub(crate) replica_nodes: Vec<i32>,
    pub(crate) isr_nodes: Vec<i32>,
    /// Version 5+, ignorable.
    pub(crate) offline_replicas: Vec<i32>,
}

impl Default for MetadataResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            brokers: Vec::new(),
            cluster_id: None,
            controller_id: -1,
            topics: Vec::new(),
            cluster_authorized_operations: NO_OPERATIONS,
            error_code: ErrorCode::NONE,
        }
    }
}

impl Default for MetadataTopic {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            name: None,
            topic_id: Uuid::ZERO,
            is_internal: false,
            partitions: Vec::new(),
            topic_authorized_operations: NO_OPERATIONS,
        }
    }
}

impl Default for MetadataPartition {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            partition_index: 0,
            leader_id: 0,
            leader_epoch: -1,
            replica_nodes: Vec::new(),
            isr_nodes: Vec::new(),
            offline_replicas: Vec::new(),
        }
    }
}

impl Message for MetadataResponse {
    #[inline]
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = ApiKey::Metadata.is_flexible(version);
        w.i32(self.throttle_time_ms);
        w.array(&self.brokers, flexible, |w, broker| {
            w.i32(broker.node_id);
            w.string(&broker.host, flexible)?;
            w.i32(broker.port);
            w.nullable_string(broker.rack.as_deref(), flexible)?;
            w.no_tagged_fields(flexible);
            Ok(())
        })?;
        w.nullable_string(self.cluster_id.as_deref(), flexible)?;
        w.i32(self.controller_id);
        w.array(&self.topics, flexible, |w, topic| topic.encode(w, version))?;
        if (8..=10).contains(&version) {
            w.i32(self.cluster_authorized_operations);
        }
        if version >= 13 {
            w.error_code(self.error_code);
        }
        w.no_tagged_fields(flexible);
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        MetadataView::decode(r, version).map(|view| Self::from(&view))
    }
}

impl MetadataTopic {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = ApiKey::Metadata.is_flexible(version);
        w.error_code(self.error_code);
        encode_name(w, self.name.as_deref(), version, version >= 12)?;
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        w.bool(self.is_internal);
        w.array(&self.partitions, flexible, |w, partition| {
            partition.encode(w, version)
        })?;
        if version >= 8 {
            w.i32(self.topic_authorized_operations);
        }
        w.no_tagged_fields(flexible);
        Ok(())
    }
}

impl MetadataPartition {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = ApiKey::Metadata.is_flexible(version);
        w.error_code(self.error_code);
        w.i32(self.partition_index);
        w.i32(self.leader_id);
        if version >= 7 {
            w.i32(self.leader_epoch);
        }
        w.i32_array(&self.replica_nodes, flexible)?;
        w.i32_array(&self.isr_nodes, flexible)?;
        if version >= 5 {
            w.i32_array(&self.offline_replicas, flexible)?;
        }
        w.no_tagged_fields(flexible);
        Ok(())
    }
}

fn encode_name(
    w: &mut Writer,
    name: Option<&str>,
    version: i16,
    nullable: bool,
) -> Result<(), EncodeError> {
    if name.is_none() && !nullable {
        return Err(EncodeError::MissingField {
            field: "topics.name",
            version,
        });
    }
    w.nullable_string(name, ApiKey::Metadata.is_flexible(version))
}

#[cfg(test)]
impl MetadataResponse {
    /// Passes the encoded and decoded response to `read`.
    pub(crate) fn with_view<R>(
        &self,
        version: i16,
        read: impl FnOnce(&MetadataView<'_>) -> R,
    ) -> R {
        let mut w = Writer::new();
        self.encode(&mut w, version).unwrap();
        let bytes = w.finish().unwrap().to_vec();
        let view = MetadataView::decode(&mut Reader::new(&bytes), version).unwrap();
        read(&view)
    }
}

impl From<&MetadataView<'_>> for MetadataResponse {
    fn from(view: &MetadataView<'_>) -> Self {
        Self {
            throttle_time_ms: view.throttle_time_ms,
            brokers: view.brokers().map(MetadataBroker::from).collect(),
            cluster_id: view.cluster_id.map(str::to_owned),
            controller_id: view.controller_id,
            topics: view.topics().map(MetadataTopic::from).collect(),
            cluster_authorized_operations: view.cluster_authorized_operations,
            error_code: view.error_code,
        }
    }
}

impl From<BrokerView<'_>> for MetadataBroker {
    fn from(view: BrokerView<'_>) -> Self {
        Self {
            node_id: view.node_id,
            host: view.host.to_owned(),
            port: view.port,
            rack: view.rack.map(str::to_owned),
        }
    }
}

impl From<TopicView<'_>> for MetadataTopic {
    fn from(view: TopicView<'_>) -> Self {
        Self {
            error_code: view.error_code,
            name: view.name.map(Arc::from),
            topic_id: view.topic_id,
            is_internal: view.is_internal,
            partitions: view.partitions().map(MetadataPartition::from).collect(),
            topic_authorized_operations: view.topic_authorized_operations,
        }
    }
}

impl From<PartitionView<'_>> for MetadataPartition {
    fn from(view: PartitionView<'_>) -> Self {
        Self {
            error_code: view.error_code,
            partition_index: view.partition_index,
            leader_id: view.leader_id,
            leader_epoch: view.leader_epoch,
            replica_nodes: view.replica_nodes.iter().collect(),
            isr_nodes: view.isr_nodes.iter().collect(),
            offline_replicas: view.offline_replicas.iter().collect(),
        }
    }
}
