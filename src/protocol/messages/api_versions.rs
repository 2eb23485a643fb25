//! ApiVersions (18): the APIs and versions that a broker supports. Java: `ApiVersionsRequestData`,
//! `ApiVersionsResponseData`.
//!
//! Schemas: `ApiVersionsRequest.json`, `ApiVersionsResponse.json`, versions 0-5. KIP-35, KIP-511
//! (client software), KIP-584 (features), KIP-866 (ZooKeeper migration), KIP-1242 (5: the intended
//! broker). Version 4 may list features whose minimum is 0.

use crate::protocol::{
    ApiKey, ApiRequest, DecodeError, EncodeError, ErrorCode, Message, Reader, Writer,
};

/// Requests a broker's APIs. Versions 0-2 have no fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiVersionsRequest {
    /// Version 3+, ignorable.
    pub(crate) client_software_name: String,
    /// Version 3+, ignorable.
    pub(crate) client_software_version: String,
    /// Version 5+, ignorable. The intended cluster; set together with `node_id`, or not at all.
    pub(crate) cluster_id: Option<String>,
    /// Version 5+, ignorable. The intended node; -1 if unset.
    pub(crate) node_id: i32,
}

impl Default for ApiVersionsRequest {
    fn default() -> Self {
        Self {
            client_software_name: String::new(),
            client_software_version: String::new(),
            cluster_id: None,
            node_id: -1,
        }
    }
}

impl ApiRequest for ApiVersionsRequest {
    const KEY: ApiKey = ApiKey::ApiVersions;
    type Response = ApiVersionsResponse;
}

impl Message for ApiVersionsRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = Self::KEY.is_flexible(version);
        if version >= 3 {
            w.string(&self.client_software_name, flexible)?;
            w.string(&self.client_software_version, flexible)?;
        }
        if version >= 5 {
            w.nullable_string(self.cluster_id.as_deref(), flexible)?;
            w.i32(self.node_id);
        }
        w.no_tagged_fields(flexible);
        Ok(())
    }

    #[inline]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = Self::KEY.is_flexible(version);
        let mut request = Self::default();
        if version >= 3 {
            request.client_software_name = r.string(flexible)?.to_owned();
            request.client_software_version = r.string(flexible)?.to_owned();
        }
        if version >= 5 {
            request.cluster_id = r.nullable_string(flexible)?.map(str::to_owned);
            request.node_id = r.i32()?;
        }
        r.skip_tagged_fields(flexible)?;
        Ok(request)
    }
}

/// The APIs that a broker supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiVersionsResponse {
    pub(crate) error_code: ErrorCode,
    pub(crate) api_keys: Vec<ApiVersion>,
    /// Version 1+, ignorable.
    pub(crate) throttle_time_ms: i32,
    /// Version 3+ (tag 0), ignorable.
    pub(crate) supported_features: Vec<SupportedFeature>,
    /// Version 3+ (tag 1), ignorable; -1 if unknown.
    pub(crate) finalized_features_epoch: i64,
    /// Version 3+ (tag 2), ignorable.
    pub(crate) finalized_features: Vec<FinalizedFeature>,
    /// Version 3+ (tag 3), ignorable.
    pub(crate) zk_migration_ready: bool,
}

/// The versions of one API that a broker supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ApiVersion {
    pub(crate) api_key: i16,
    pub(crate) min_version: i16,
    pub(crate) max_version: i16,
}

/// The versions of a feature that a broker supports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SupportedFeature {
    pub(crate) name: String,
    pub(crate) min_version: i16,
    pub(crate) max_version: i16,
}

/// The cluster's finalized versions of a feature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FinalizedFeature {
    pub(crate) name: String,
    pub(crate) max_version_level: i16,
    pub(crate) min_version_level: i16,
}

impl Default for ApiVersionsResponse {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            api_keys: Vec::new(),
            throttle_time_ms: 0,
            supported_features: Vec::new(),
            finalized_features_epoch: -1,
            finalized_features: Vec::new(),
            zk_migration_ready: false,
        }
    }
}

impl Message for ApiVersionsResponse {
    #[inline]
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = ApiKey::ApiVersions.is_flexible(version);
        w.error_code(self.error_code);
        w.array(&self.api_keys, flexible, |w, api| {
            w.i16(api.api_key);
            w.i16(api.min_version);
            w.i16(api.max_version);
            w.no_tagged_fields(flexible);
            Ok(())
        })?;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.tagged_fields(flexible, |tags| {
            if !self.supported_features.is_empty() {
                tags.field(0, |w| self.encode_supported_features(w))?;
            }
            if self.finalized_features_epoch != -1 {
                tags.field(1, |w| {
                    w.i64(self.finalized_features_epoch);
                    Ok(())
                })?;
            }
            if !self.finalized_features.is_empty() {
                tags.field(2, |w| self.encode_finalized_features(w))?;
            }
            if self.zk_migration_ready {
                tags.field(3, |w| {
                    w.bool(true);
                    Ok(())
                })?;
            }
            Ok(())
        })
    }

    /// Decodes a response. A broker that does not support the version of the request responds with
    /// UNSUPPORTED_VERSION in version 0. Its bytes are never a body of another version: the
    /// throttle time is missing, and the count would be a null compact array. Java accepts any body
    /// in that form; this accepts only that error.
    ///
    /// librdkafka's mock broker responds in a form of its own, whose count is one too small. Java
    /// reads the beginning of it, and takes a throttle time of 20 minutes from the middle of a
    /// version range. If bytes are left over, this keeps only the error.
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let start = r.clone();
        let decoded = Self::decode_version(r, version);
        if let Ok(response) = &decoded {
            let is_refusal = response.error_code == ErrorCode::UNSUPPORTED_VERSION;
            if is_refusal && r.finish().is_err() {
                r.skip_rest();
                return Ok(Self {
                    error_code: response.error_code,
                    ..Self::default()
                });
            }
        }
        decoded.or_else(|error| {
            *r = start;
            match Self::decode_version(r, 0) {
                Ok(response) if response.error_code == ErrorCode::UNSUPPORTED_VERSION => {
                    Ok(response)
                }
                _ => Err(error),
            }
        })
    }
}

impl ApiVersionsResponse {
    fn decode_version(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let flexible = ApiKey::ApiVersions.is_flexible(version);
        let mut response = Self {
            error_code: r.error_code()?,
            api_keys: r.array(flexible, 6, |r| {
                let api = ApiVersion {
                    api_key: r.i16()?,
                    min_version: r.i16()?,
                    max_version: r.i16()?,
                };
                r.skip_tagged_fields(flexible)?;
                Ok(api)
            })?,
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            ..Self::default()
        };
        r.tagged_fields(flexible, |tag, r| {
            match tag {
                0 => response.supported_features = decode_supported_features(r)?,
                1 => response.finalized_features_epoch = r.i64()?,
                2 => response.finalized_features = decode_finalized_features(r)?,
                3 => response.zk_migration_ready = r.bool()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(response)
    }

    fn encode_supported_features(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.array(&self.supported_features, true, |w, feature| {
            w.string(&feature.name, true)?;
            w.i16(feature.min_version);
            w.i16(feature.max_version);
            w.no_tagged_fields(true);
            Ok(())
        })
    }

    fn encode_finalized_features(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.array(&self.finalized_features, true, |w, feature| {
            w.string(&feature.name, true)?;
            w.i16(feature.max_version_level);
            w.i16(feature.min_version_level);
            w.no_tagged_fields(true);
            Ok(())
        })
    }
}

fn decode_supported_features(r: &mut Reader<'_>) -> Result<Vec<SupportedFeature>, DecodeError> {
    r.array(true, 6, |r| {
        let feature = SupportedFeature {
            name: r.string(true)?.to_owned(),
            min_version: r.i16()?,
            max_version: r.i16()?,
        };
        r.skip_tagged_fields(true)?;
        Ok(feature)
    })
}

fn decode_finalized_features(r: &mut Reader<'_>) -> Result<Vec<FinalizedFeature>, DecodeError> {
    r.array(true, 6, |r| {
        let feature = FinalizedFeature {
            name: r.string(true)?.to_owned(),
            max_version_level: r.i16()?,
            min_version_level: r.i16()?,
        };
        r.skip_tagged_fields(true)?;
        Ok(feature)
    })
}
