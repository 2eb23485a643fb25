//! AddPartitionsToTxn (24): tells the transaction coordinator which partitions are about to be written. Java:
//! `AddPartitionsToTxnRequestData`, `AddPartitionsToTxnResponseData`.
//!
//! Schemas: `AddPartitionsToTxnRequest.json`, `AddPartitionsToTxnResponse.json`, versions 0-3.
//! Versions from 4 on are only used between brokers, and have several transactions in a request.
//! KIP-98, KIP-219 (1: throttling by the client), KIP-588 (2: PRODUCER_FENCED).

use super::txn_results::{self, TxnPartitionResult};
use crate::protocol::{ApiKey, ApiRequest, DecodeError, EncodeError, Message, Reader, Writer};
use crate::sync::Arc;

/// Partitions to add to the open transaction. In Kafka's schema these fields begin with
/// `v3AndBelow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddPartitionsToTxnRequest {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) topics: Vec<AddPartitionsToTxnTopic>,
}

/// The partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddPartitionsToTxnTopic {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: Vec<i32>,
}

impl Default for AddPartitionsToTxnRequest {
    fn default() -> Self {
        Self {
            transactional_id: Arc::from(""),
            producer_id: 0,
            producer_epoch: 0,
            topics: Vec::new(),
        }
    }
}

impl ApiRequest for AddPartitionsToTxnRequest {
    const KEY: ApiKey = ApiKey::AddPartitionsToTxn;
    type Response = AddPartitionsToTxnResponse;
}

impl Message for AddPartitionsToTxnRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = Self::KEY.is_flexible(version);
        w.string(&self.transactional_id, flexible)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.array(&self.topics, flexible, |w, topic| {
            w.string(&topic.name, flexible)?;
            w.i32_array(&topic.partitions, flexible)?;
            w.no_tagged_fields(flexible);
            Ok(())
        })?;
        w.no_tagged_fields(flexible);
        Ok(())
    }

    #[inline]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = Self::KEY.is_flexible(version);
        let request = Self {
            transactional_id: Arc::from(r.string(flexible)?),
            producer_id: r.i64()?,
            producer_epoch: r.i16()?,
            topics: r.array(flexible, 3, |r| {
                let topic = AddPartitionsToTxnTopic {
                    name: Arc::from(r.string(flexible)?),
                    partitions: r.i32_array(flexible)?,
                };
                r.skip_tagged_fields(flexible)?;
                Ok(topic)
            })?,
        };
        r.skip_tagged_fields(flexible)?;
        Ok(request)
    }
}

/// The result for each partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddPartitionsToTxnResponse {
    pub(crate) throttle_time_ms: i32,
    /// Kafka's name on the wire is `resultsByTopicV3AndBelow`.
    pub(crate) topics: Vec<AddPartitionsToTxnTopicResult>,
}

/// The results of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddPartitionsToTxnTopicResult {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: Vec<TxnPartitionResult>,
}

impl Message for AddPartitionsToTxnResponse {
    #[inline]
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = ApiKey::AddPartitionsToTxn.is_flexible(version);
        w.i32(self.throttle_time_ms);
        w.array(&self.topics, flexible, |w, topic| {
            w.string(&topic.name, flexible)?;
            txn_results::encode_partitions(w, &topic.partitions, flexible)?;
            w.no_tagged_fields(flexible);
            Ok(())
        })?;
        w.no_tagged_fields(flexible);
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = ApiKey::AddPartitionsToTxn.is_flexible(version);
        let response = Self {
            throttle_time_ms: r.i32()?,
            topics: r.array(flexible, 3, |r| {
                let topic = AddPartitionsToTxnTopicResult {
                    name: Arc::from(r.string(flexible)?),
                    partitions: txn_results::decode_partitions(r, flexible)?,
                };
                r.skip_tagged_fields(flexible)?;
                Ok(topic)
            })?,
        };
        r.skip_tagged_fields(flexible)?;
        Ok(response)
    }
}
