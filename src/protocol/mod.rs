//! Kafka's wire protocol: primitives, headers, and one file per API in `messages`.
//!
//! It converts bytes to values and back, without I/O. No data from the wire can cause a panic, an
//! index out of bounds, or a reservation of more memory than the present bytes justify.

#![cfg_attr(
    not(feature = "testing"),
    allow(
        dead_code,
        unused_imports,
        reason = "the half of the wire format that a broker speaks is for `testing`"
    )
)]

mod api_key;
mod body;
mod error_code;
mod error_remedies;
mod message_bytes;
pub(crate) mod messages;
mod readable;
mod request_header;
mod response_header;
#[cfg(test)]
pub(crate) mod tests;
mod writable;

pub use error_code::ErrorCode;

pub(crate) use api_key::ApiKey;
pub(crate) use body::{
    RequestBody, ResponseBody, decode_metadata_response, decode_request, decode_response,
    encode_request, encode_response,
};
pub(crate) use message_bytes::{MessageBytes, RecordBytes, RecordSet};
pub(crate) use readable::{DecodeError, I32s, Reader};
pub(crate) use request_header::RequestHeader;
pub(crate) use response_header::ResponseHeader;
pub(crate) use writable::{EncodeError, Writer};

/// The longest string in bytes of UTF-8, even in the compact form.
const MAX_STRING_LENGTH: usize = i16::MAX as usize;

/// A request or a response. `version` is one of [`ApiKey::versions`], which the caller has checked.
///
/// What only a broker does, decoding a request and encoding a response, is `#[inline]`, so that it is
/// compiled where it is called: in a program without `testing`, nowhere. That is one part in 60 of
/// what the compiler translates.
pub(crate) trait Message: Sized {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError>;
}

/// A request with its API and its response.
pub(crate) trait ApiRequest: Message {
    const KEY: ApiKey;
    type Response: Message;
}
