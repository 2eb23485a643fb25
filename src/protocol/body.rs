//! A request or a response of any API, and whole frames. Java: `AbstractRequest`, `AbstractResponse`.

use crate::protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, ApiVersionsRequest, ApiVersionsResponse, EndTxnRequest,
    EndTxnResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, InitProducerIdRequest,
    InitProducerIdResponse, MetadataRequest, MetadataResponse, MetadataView, ProduceRequest,
    ProduceResponse, PushTelemetryRequest, PushTelemetryResponse, SaslAuthenticateRequest,
    SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, Message, MessageBytes, Reader, RequestHeader, ResponseHeader,
    Writer,
};

macro_rules! bodies {
    ($(#[$doc:meta])* $name:ident { $($api:ident($message:ident),)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) enum $name {
            $($api($message),)*
        }

        impl $name {
            /// Returns the API that this belongs to.
            pub(crate) const fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$api(_) => ApiKey::$api,)*
                }
            }

            pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
                let key = self.api_key();
                if !key.versions().contains(&version) {
                    return Err(EncodeError::UnsupportedVersion { api: key.name(), version });
                }
                match self {
                    $(Self::$api(message) => message.encode(w, version),)*
                }
            }

            pub(crate) fn decode(
                key: ApiKey,
                r: &mut Reader<'_>,
                version: i16,
            ) -> Result<Self, DecodeError> {
                check_version(key, version)?;
                match key {
                    $(ApiKey::$api => $message::decode(r, version).map(Self::$api),)*
                }
            }
        }

        $(impl From<$message> for $name {
            fn from(message: $message) -> Self {
                Self::$api(message)
            }
        })*
    };
}

bodies! {
    /// The body of a request.
    RequestBody {
        Produce(ProduceRequest),
        Metadata(MetadataRequest),
        FindCoordinator(FindCoordinatorRequest),
        SaslHandshake(SaslHandshakeRequest),
        ApiVersions(ApiVersionsRequest),
        InitProducerId(InitProducerIdRequest),
        AddPartitionsToTxn(AddPartitionsToTxnRequest),
        AddOffsetsToTxn(AddOffsetsToTxnRequest),
        EndTxn(EndTxnRequest),
        TxnOffsetCommit(TxnOffsetCommitRequest),
        SaslAuthenticate(SaslAuthenticateRequest),
        GetTelemetrySubscriptions(GetTelemetrySubscriptionsRequest),
        PushTelemetry(PushTelemetryRequest),
    }
}

bodies! {
    /// The body of a response.
    ResponseBody {
        Produce(ProduceResponse),
        Metadata(MetadataResponse),
        FindCoordinator(FindCoordinatorResponse),
        SaslHandshake(SaslHandshakeResponse),
        ApiVersions(ApiVersionsResponse),
        InitProducerId(InitProducerIdResponse),
        AddPartitionsToTxn(AddPartitionsToTxnResponse),
        AddOffsetsToTxn(AddOffsetsToTxnResponse),
        EndTxn(EndTxnResponse),
        TxnOffsetCommit(TxnOffsetCommitResponse),
        SaslAuthenticate(SaslAuthenticateResponse),
        GetTelemetrySubscriptions(GetTelemetrySubscriptionsResponse),
        PushTelemetry(PushTelemetryResponse),
    }
}

impl ResponseBody {
    /// Returns how long the broker asks the client to send nothing (KIP-219).
    pub(crate) const fn throttle_time_ms(&self) -> i32 {
        match self {
            Self::Produce(response) => response.throttle_time_ms,
            Self::Metadata(response) => response.throttle_time_ms,
            Self::FindCoordinator(response) => response.throttle_time_ms,
            Self::ApiVersions(response) => response.throttle_time_ms,
            Self::InitProducerId(response) => response.throttle_time_ms,
            Self::AddPartitionsToTxn(response) => response.throttle_time_ms,
            Self::AddOffsetsToTxn(response) => response.throttle_time_ms,
            Self::EndTxn(response) => response.throttle_time_ms,
            Self::TxnOffsetCommit(response) => response.throttle_time_ms,
            Self::GetTelemetrySubscriptions(response) => response.throttle_time_ms,
            Self::PushTelemetry(response) => response.throttle_time_ms,
            Self::SaslHandshake(_) | Self::SaslAuthenticate(_) => 0,
        }
    }
}

/// Encodes a request, without the four bytes of its size.
pub(crate) fn encode_request(
    header: &RequestHeader,
    body: &RequestBody,
) -> Result<MessageBytes, EncodeError> {
    let key = body.api_key();
    if header.api_key != key.id() {
        return Err(EncodeError::HeaderMismatch {
            header: header.api_key,
            body: key.name(),
        });
    }
    let mut w = Writer::new();
    header.encode(&mut w)?;
    body.encode(&mut w, header.api_version)?;
    w.finish()
}

/// Decodes a whole request. Fails for an API or a version that this library does not support. A
/// broker that responds to those decodes only the [`RequestHeader`].
pub(crate) fn decode_request(payload: &[u8]) -> Result<(RequestHeader, RequestBody), DecodeError> {
    let mut r = Reader::new(payload);
    let header = RequestHeader::decode(&mut r)?;
    let key = ApiKey::from_id(header.api_key).ok_or(DecodeError::UnknownApiKey(header.api_key))?;
    let body = RequestBody::decode(key, &mut r, header.api_version)?;
    r.finish()?;
    Ok((header, body))
}

/// Encodes a response, without the four bytes of its size.
pub(crate) fn encode_response(
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &ResponseBody,
) -> Result<Vec<u8>, EncodeError> {
    if body.api_key() != key {
        return Err(EncodeError::HeaderMismatch {
            header: key.id(),
            body: body.api_key().name(),
        });
    }
    let mut w = Writer::new();
    ResponseHeader { correlation_id }.encode(&mut w, key.response_header_version(version));
    body.encode(&mut w, version)?;
    Ok(w.finish()?.to_vec())
}

/// Decodes the whole response to a request of this API and version. Java ignores bytes after the
/// end. Here they are an error, because they are the only sign of a misread response, which must
/// not count as an acknowledgement. The exception is an empty section of tagged fields after that
/// of the response: librdkafka's mock broker ends its Metadata with it.
pub(crate) fn decode_response(
    key: ApiKey,
    version: i16,
    payload: &[u8],
) -> Result<(ResponseHeader, ResponseBody), DecodeError> {
    decode_whole(key, version, payload, |r| {
        ResponseBody::decode(key, r, version)
    })
}

/// Does the same as [`decode_response`], for a Metadata response that stays in `payload`.
pub(crate) fn decode_metadata_response(
    version: i16,
    payload: &[u8],
) -> Result<MetadataView<'_>, DecodeError> {
    let key = ApiKey::Metadata;
    let (_, view) = decode_whole(key, version, payload, |r| {
        check_version(key, version)?;
        MetadataView::decode(r, version)
    })?;
    Ok(view)
}

fn decode_whole<'a, T>(
    key: ApiKey,
    version: i16,
    payload: &'a [u8],
    decode: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<(ResponseHeader, T), DecodeError> {
    let mut r = Reader::new(payload);
    let header = ResponseHeader::decode(&mut r, key.response_header_version(version))?;
    let body = decode(&mut r)?;
    if !(key.is_flexible(version) && r.rest() == [0]) {
        r.finish()?;
    }
    Ok((header, body))
}

fn check_version(key: ApiKey, version: i16) -> Result<(), DecodeError> {
    match key.versions().contains(&version) {
        true => Ok(()),
        false => Err(DecodeError::UnsupportedVersion {
            api: key.name(),
            version,
        }),
    }
}
