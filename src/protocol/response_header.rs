//! The header of a response. Java: `ResponseHeader`, schema `ResponseHeader.json` versions 0 and 1.

use crate::protocol::{DecodeError, Reader, Writer};

/// The header of a response. Version 1 adds tagged fields, of which none are defined yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResponseHeader {
    pub(crate) correlation_id: i32,
}

impl ResponseHeader {
    /// Encodes the header. `version` is that of the header; see
    /// [`ApiKey::response_header_version`](super::ApiKey::response_header_version).
    pub(crate) fn encode(self, w: &mut Writer, version: i16) {
        w.i32(self.correlation_id);
        w.no_tagged_fields(version >= 1);
    }

    pub(crate) fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let correlation_id = r.i32()?;
        r.skip_tagged_fields(version >= 1)?;
        Ok(Self { correlation_id })
    }
}
