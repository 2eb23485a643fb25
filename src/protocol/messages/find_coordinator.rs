//! FindCoordinator (10): the coordinator of a group or a transactional id. Java:
//! `FindCoordinatorRequestData`, `FindCoordinatorResponseData`.
//!
//! Schemas: `FindCoordinatorRequest.json`, `FindCoordinatorResponse.json`, versions 1-6. KIP-98 (1: transactional ids),
//! KIP-219 (2: throttling by the client), KIP-699 (4: several keys at once), KIP-890 (5: TRANSACTION_ABORTABLE), KIP-932
//! (6: share groups).
//!
//! Up to version 3 there is one key and one coordinator, and from version 4 on a list of each. This
//! type always has lists; the older versions can only carry lists of one element.

use crate::protocol::{
    ApiKey, ApiRequest, DecodeError, EncodeError, ErrorCode, Message, Reader, Writer,
};
use crate::sync::Arc;

/// Requests coordinators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FindCoordinatorRequest {
    /// The kind of the keys: [`GROUP`](Self::GROUP) or [`TRANSACTION`](Self::TRANSACTION).
    pub(crate) key_type: i8,
    /// Group ids or transactional ids. Exactly one up to version 3, where Kafka's name on the wire
    /// is `key`.
    pub(crate) coordinator_keys: Vec<Arc<str>>,
}

impl FindCoordinatorRequest {
    /// The keys are group ids.
    pub(crate) const GROUP: i8 = 0;
    /// The keys are transactional ids.
    pub(crate) const TRANSACTION: i8 = 1;
}

impl ApiRequest for FindCoordinatorRequest {
    const KEY: ApiKey = ApiKey::FindCoordinator;
    type Response = FindCoordinatorResponse;
}

impl Message for FindCoordinatorRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = Self::KEY.is_flexible(version);
        if version <= 3 {
            let key = only(&self.coordinator_keys, "coordinator_keys", version)?;
            w.string(key, flexible)?;
        }
        w.i8(self.key_type);
        if version >= 4 {
            w.array(&self.coordinator_keys, flexible, |w, key| {
                w.string(key, flexible)
            })?;
        }
        w.no_tagged_fields(flexible);
        Ok(())
    }

    #[inline]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = Self::KEY.is_flexible(version);
        let key = |r: &mut Reader<'_>| r.string(flexible).map(Arc::from);
        let request = if version <= 3 {
            let coordinator_keys = vec![key(r)?];
            Self {
                coordinator_keys,
                key_type: r.i8()?,
            }
        } else {
            Self {
                key_type: r.i8()?,
                coordinator_keys: r.array(flexible, 1, key)?,
            }
        };
        r.skip_tagged_fields(flexible)?;
        Ok(request)
    }
}

/// The requested coordinators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FindCoordinatorResponse {
    pub(crate) throttle_time_ms: i32,
    /// Exactly one up to version 3.
    pub(crate) coordinators: Vec<Coordinator>,
}

/// The coordinator of a key, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coordinator {
    /// Version 4+, ignorable; empty before it.
    pub(crate) key: Arc<str>,
    /// -1 if there is none.
    pub(crate) node_id: i32,
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) error_code: ErrorCode,
    pub(crate) error_message: Option<String>,
}

impl Default for Coordinator {
    fn default() -> Self {
        Self {
            key: Arc::from(""),
            node_id: 0,
            host: String::new(),
            port: 0,
            error_code: ErrorCode::NONE,
            error_message: None,
        }
    }
}

impl Message for FindCoordinatorResponse {
    #[inline]
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = ApiKey::FindCoordinator.is_flexible(version);
        w.i32(self.throttle_time_ms);
        if version <= 3 {
            only(&self.coordinators, "coordinators", version)?.encode_alone(w, flexible)?;
        } else {
            w.array(&self.coordinators, flexible, |w, coordinator| {
                coordinator.encode(w, flexible)
            })?;
        }
        w.no_tagged_fields(flexible);
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = ApiKey::FindCoordinator.is_flexible(version);
        let response = Self {
            throttle_time_ms: r.i32()?,
            coordinators: if version <= 3 {
                vec![Coordinator::decode_alone(r, flexible)?]
            } else {
                r.array(flexible, 14, |r| Coordinator::decode(r, flexible))?
            },
        };
        r.skip_tagged_fields(flexible)?;
        Ok(response)
    }
}

impl Coordinator {
    /// Encodes versions 1-3: the fields are spread over the response, error first, without the key.
    fn encode_alone(&self, w: &mut Writer, flexible: bool) -> Result<(), EncodeError> {
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_deref(), flexible)?;
        w.i32(self.node_id);
        w.string(&self.host, flexible)?;
        w.i32(self.port);
        Ok(())
    }

    fn decode_alone(r: &mut Reader<'_>, flexible: bool) -> Result<Self, DecodeError> {
        Ok(Self {
            key: Arc::from(""),
            error_code: r.error_code()?,
            error_message: r.nullable_string(flexible)?.map(str::to_owned),
            node_id: r.i32()?,
            host: r.string(flexible)?.to_owned(),
            port: r.i32()?,
        })
    }

    fn encode(&self, w: &mut Writer, flexible: bool) -> Result<(), EncodeError> {
        w.string(&self.key, flexible)?;
        w.i32(self.node_id);
        w.string(&self.host, flexible)?;
        w.i32(self.port);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_deref(), flexible)?;
        w.no_tagged_fields(flexible);
        Ok(())
    }

    fn decode(r: &mut Reader<'_>, flexible: bool) -> Result<Self, DecodeError> {
        let coordinator = Self {
            key: Arc::from(r.string(flexible)?),
            node_id: r.i32()?,
            host: r.string(flexible)?.to_owned(),
            port: r.i32()?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(flexible)?.map(str::to_owned),
        };
        r.skip_tagged_fields(flexible)?;
        Ok(coordinator)
    }
}

/// Returns the single element for a version without lists.
const fn only<'a, T>(
    elements: &'a [T],
    field: &'static str,
    version: i16,
) -> Result<&'a T, EncodeError> {
    match elements {
        [element] => Ok(element),
        [] => Err(EncodeError::MissingField { field, version }),
        _ => Err(EncodeError::UnsupportedField { field, version }),
    }
}
