//! The header of a request. Java: `RequestHeader`, schema `RequestHeader.json` versions 1 and 2.
//!
//! | field | type |
//! |---|---|
//! | api_key | i16 |
//! | api_version | i16 |
//! | correlation_id | i32 |
//! | client_id | nullable string, in its classic form in version 2 too (KIP-482) |
//! | tagged fields | version 2 |

use crate::protocol::{ApiKey, DecodeError, EncodeError, Reader, Writer};
use crate::sync::Arc;

/// The header of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestHeader {
    /// A number, because a broker may receive a request of an API that this library does not know.
    pub(crate) api_key: i16,
    pub(crate) api_version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<Arc<str>>,
}

impl RequestHeader {
    pub(crate) fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.i16(self.api_key);
        w.i16(self.api_version);
        w.i32(self.correlation_id);
        w.nullable_string(self.client_id.as_deref(), false)?;
        w.no_tagged_fields(self.has_tagged_fields());
        Ok(())
    }

    /// Decodes a header of any API. Reads tagged fields only for the APIs in [`ApiKey`]: it is
    /// unknown whether others have any, and their body cannot be decoded either.
    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = Self {
            api_key: r.i16()?,
            api_version: r.i16()?,
            correlation_id: r.i32()?,
            client_id: r.nullable_string(false)?.map(Arc::from),
        };
        r.skip_tagged_fields(header.has_tagged_fields())?;
        Ok(header)
    }

    fn has_tagged_fields(&self) -> bool {
        ApiKey::from_id(self.api_key)
            .is_some_and(|key| key.request_header_version(self.api_version) >= 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(header: &RequestHeader) -> Vec<u8> {
        let mut w = Writer::new();
        header.encode(&mut w).unwrap();
        w.finish().unwrap().to_vec()
    }

    // Java: RequestHeaderTest.testRequestHeaderV1.
    #[test]
    fn a_header_of_version_1_has_java_bytes() {
        let header = RequestHeader {
            api_key: 3,
            api_version: 4,
            correlation_id: 10,
            client_id: Some(Arc::from("ab")),
        };
        let expected = [0, 3, 0, 4, 0, 0, 0, 10, 0, 2, b'a', b'b'];
        assert_eq!(bytes(&header), expected);
        assert_eq!(
            RequestHeader::decode(&mut Reader::new(&expected)),
            Ok(header)
        );
    }

    // Java: RequestHeaderTest.testRequestHeaderV2.
    #[test]
    fn a_header_of_version_2_has_java_bytes() {
        let header = RequestHeader {
            api_key: 18,
            api_version: 3,
            correlation_id: -2,
            client_id: None,
        };
        let expected = [0, 18, 0, 3, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0];
        assert_eq!(bytes(&header), expected);
        assert_eq!(
            RequestHeader::decode(&mut Reader::new(&expected)),
            Ok(header)
        );
    }

    #[test]
    fn tagged_fields_of_the_header_are_skipped() {
        let payload = [0, 18, 0, 9, 0, 0, 0, 1, 0, 0, 1, 7, 2, 0xaa, 0xbb, 0x55];
        let mut r = Reader::new(&payload);
        let header = RequestHeader::decode(&mut r).unwrap();
        assert_eq!(
            (header.api_version, header.client_id),
            (9, Some(Arc::from("")))
        );
        assert_eq!(r.unsigned_varint(), Ok(0x55));
        assert_eq!(r.finish(), Ok(()));
    }

    #[test]
    fn the_header_of_an_unknown_api_can_be_read() {
        let payload = [0x7f, 0, 0, 1, 0, 0, 0, 5, 0xff, 0xff];
        let header = RequestHeader::decode(&mut Reader::new(&payload)).unwrap();
        assert_eq!((header.api_key, header.correlation_id), (0x7f00, 5));
    }
}
