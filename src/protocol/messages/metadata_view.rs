//! A Metadata response that stays in its encoded bytes. Java: no counterpart,
//! `MetadataResponseData` is a copy.
//!
//! Decoding validates the whole response and copies nothing, so applying it needs no memory for a
//! second copy. The iterators decode their elements again, which can no longer fail.

use crate::common::Uuid;
use crate::protocol::{ApiKey, DecodeError, ErrorCode, I32s, Reader};

/// The value of an authorized-operations field that was not requested.
pub(super) const NO_OPERATIONS: i32 = i32::MIN;

/// See [`MetadataResponse`](super::MetadataResponse).
#[derive(Clone, Debug)]
pub(crate) struct MetadataView<'a> {
    version: i16,
    pub(crate) throttle_time_ms: i32,
    brokers: Elements<'a>,
    pub(crate) cluster_id: Option<&'a str>,
    pub(crate) controller_id: i32,
    topics: Elements<'a>,
    pub(super) cluster_authorized_operations: i32,
    pub(crate) error_code: ErrorCode,
}

/// See [`MetadataBroker`](super::MetadataBroker).
#[derive(Clone, Copy, Debug)]
pub(crate) struct BrokerView<'a> {
    pub(crate) node_id: i32,
    pub(crate) host: &'a str,
    pub(crate) port: i32,
    pub(crate) rack: Option<&'a str>,
}

/// See [`MetadataTopic`](super::MetadataTopic).
#[derive(Clone, Debug)]
pub(crate) struct TopicView<'a> {
    version: i16,
    pub(crate) error_code: ErrorCode,
    pub(crate) name: Option<&'a str>,
    pub(crate) topic_id: Uuid,
    pub(crate) is_internal: bool,
    partitions: Elements<'a>,
    pub(super) topic_authorized_operations: i32,
}

/// See [`MetadataPartition`](super::MetadataPartition).
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionView<'a> {
    pub(crate) error_code: ErrorCode,
    pub(crate) partition_index: i32,
    pub(crate) leader_id: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) replica_nodes: I32s<'a>,
    pub(crate) isr_nodes: I32s<'a>,
    pub(crate) offline_replicas: I32s<'a>,
}

impl<'a> MetadataView<'a> {
    /// Decodes a response of one of the versions of [`ApiKey::versions`].
    pub(crate) fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        let flexible = ApiKey::Metadata.is_flexible(version);
        let view = Self {
            version,
            throttle_time_ms: r.i32()?,
            brokers: Elements::decode(r, flexible, 11, |r| BrokerView::decode(r, version))?,
            cluster_id: r.nullable_string(flexible)?,
            controller_id: r.i32()?,
            topics: Elements::decode(r, flexible, 6, |r| TopicView::decode(r, version))?,
            cluster_authorized_operations: match version {
                8..=10 => r.i32()?,
                _ => NO_OPERATIONS,
            },
            error_code: match version {
                13.. => r.error_code()?,
                _ => ErrorCode::NONE,
            },
        };
        r.skip_tagged_fields(flexible)?;
        Ok(view)
    }

    /// Returns the version in which the response was decoded.
    pub(crate) fn version(&self) -> i16 {
        self.version
    }

    pub(crate) fn brokers(&self) -> impl Iterator<Item = BrokerView<'a>> {
        let version = self.version;
        self.brokers.iter(move |r| BrokerView::decode(r, version))
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = TopicView<'a>> {
        let version = self.version;
        self.topics.iter(move |r| TopicView::decode(r, version))
    }
}

impl<'a> BrokerView<'a> {
    fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        let flexible = ApiKey::Metadata.is_flexible(version);
        let broker = Self {
            node_id: r.i32()?,
            host: r.string(flexible)?,
            port: r.i32()?,
            rack: r.nullable_string(flexible)?,
        };
        r.skip_tagged_fields(flexible)?;
        Ok(broker)
    }
}

impl<'a> TopicView<'a> {
    fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        let flexible = ApiKey::Metadata.is_flexible(version);
        let topic = Self {
            version,
            error_code: r.error_code()?,
            name: decode_name(r, version, version >= 12)?,
            topic_id: decode_topic_id(r, version)?,
            is_internal: r.bool()?,
            partitions: Elements::decode(r, flexible, 17, |r| PartitionView::decode(r, version))?,
            topic_authorized_operations: match version {
                8.. => r.i32()?,
                _ => NO_OPERATIONS,
            },
        };
        r.skip_tagged_fields(flexible)?;
        Ok(topic)
    }

    pub(crate) fn partition_count(&self) -> usize {
        self.partitions.count
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = PartitionView<'a>> {
        let version = self.version;
        self.partitions
            .iter(move |r| PartitionView::decode(r, version))
    }
}

impl<'a> PartitionView<'a> {
    #[inline]
    fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        let flexible = ApiKey::Metadata.is_flexible(version);
        let partition = Self {
            error_code: r.error_code()?,
            partition_index: r.i32()?,
            leader_id: r.i32()?,
            leader_epoch: if version >= 7 { r.i32()? } else { -1 },
            replica_nodes: r.i32s(flexible)?,
            isr_nodes: r.i32s(flexible)?,
            offline_replicas: match version {
                5.. => r.i32s(flexible)?,
                _ => I32s::default(),
            },
        };
        r.skip_tagged_fields(flexible)?;
        Ok(partition)
    }
}

/// An array of structures that were all validated before.
#[derive(Clone, Debug)]
struct Elements<'a> {
    first: Reader<'a>,
    count: usize,
}

impl<'a> Elements<'a> {
    fn decode<T>(
        r: &mut Reader<'a>,
        flexible: bool,
        min_size: usize,
        element: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let count = r.array_length(flexible, min_size)?;
        let first = r.clone();
        for _ in 0..count {
            element(r)?;
        }
        Ok(Self { first, count })
    }

    fn iter<T>(
        &self,
        element: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> impl Iterator<Item = T> {
        let mut r = self.first.clone();
        (0..self.count).map_while(move |_| element(&mut r).ok())
    }
}

pub(super) fn decode_name<'a>(
    r: &mut Reader<'a>,
    version: i16,
    nullable: bool,
) -> Result<Option<&'a str>, DecodeError> {
    let flexible = ApiKey::Metadata.is_flexible(version);
    match nullable {
        true => r.nullable_string(flexible),
        false => r.string(flexible).map(Some),
    }
}

pub(super) fn decode_topic_id(r: &mut Reader<'_>, version: i16) -> Result<Uuid, DecodeError> {
    if version >= 10 {
        r.uuid()
    } else {
        Ok(Uuid::ZERO)
    }
}
