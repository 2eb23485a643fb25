//! Bytes that no broker intends to send. Every decoder returns a message or an error, and uses
//! little memory.

use proptest::prelude::*;

use super::golden_tests::{Body, rows};
use crate::protocol::messages::{ApiVersionsResponse, MetadataResponse, ProduceResponse};
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, ErrorCode, Message, Reader, ResponseBody, decode_request,
    decode_response,
};

/// Asserts that a decoded message can be encoded and decoded to the same message.
fn check(key: ApiKey, is_request: bool, version: i16, bytes: &[u8]) {
    let Ok(body) = Body::decode(key, is_request, version, bytes) else {
        return;
    };
    let encoded = match body.encode(version) {
        // A request for a topic without a name or an id.
        Err(EncodeError::MissingField { .. }) if is_request => return,
        encoded => encoded.unwrap(),
    };
    assert_eq!(
        Body::decode(key, is_request, version, &encoded),
        Ok(body),
        "{bytes:02x?}"
    );
}

#[test]
fn every_truncation_is_an_error() {
    for row in rows() {
        for length in 0..row.bytes.len() {
            let decoded = row.decode(&row.bytes[..length]);
            assert!(decoded.is_err(), "{length} bytes of {row:?}");
        }
    }
}

#[test]
fn a_byte_too_many_is_an_error() {
    for row in rows() {
        let longer = [&row.bytes[..], &[0]].concat();
        let expected = DecodeError::TrailingBytes {
            offset: row.bytes.len(),
            count: 1,
        };
        assert_eq!(row.decode(&longer), Err(expected), "{row:?}");
    }
}

#[test]
fn any_changed_byte_decodes_or_fails() {
    for row in rows() {
        for index in 0..row.bytes.len() {
            for value in [0, 1, 2, 0x7f, 0x80, 0xff] {
                let mut bytes = row.bytes.clone();
                bytes[index] = value;
                check(row.key, row.is_request, row.version, &bytes);
            }
        }
    }
}

/// Makes every length huge in turn. A reservation of that size would fail the test.
#[test]
fn hostile_lengths_anywhere_decode_or_fail() {
    const LENGTHS: [&[u8]; 5] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0x80, 0, 0, 0],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff, 0xff, 0xff, 0xff, 0x1f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ];
    for row in rows() {
        for index in 0..row.bytes.len() {
            for length in LENGTHS {
                let (before, after) = row.bytes.split_at(index);
                for replaced in [1, length.len().min(after.len())] {
                    let bytes = [before, length, &after[replaced..]].concat();
                    check(row.key, row.is_request, row.version, &bytes);
                }
            }
        }
    }
}

#[test]
fn a_count_beyond_the_bytes_present_is_refused() {
    let mut classic = vec![0; 4];
    classic.extend([0x7f, 0xff, 0xff, 0xff]);
    classic.extend([0; 100]);
    assert_eq!(
        MetadataResponse::decode(&mut Reader::new(&classic), 4),
        Err(DecodeError::ArrayTooLong {
            offset: 4,
            count: i32::MAX as usize,
            remaining: 100
        })
    );
    let mut compact = vec![0xff, 0xff, 0xff, 0xff, 0x0f];
    compact.extend([0; 100]);
    assert_eq!(
        ProduceResponse::decode(&mut Reader::new(&compact), 9),
        Err(DecodeError::ArrayTooLong {
            offset: 0,
            count: u32::MAX as usize - 1,
            remaining: 100
        })
    );
    let endless = [0xff; 20];
    assert_eq!(
        ProduceResponse::decode(&mut Reader::new(&endless), 9),
        Err(DecodeError::VarintTooLong { offset: 0 })
    );
}

/// A million and one present elements, and ten thousand and one tagged fields.
#[test]
fn a_count_beyond_kafkas_own_limits_is_refused() {
    let mut array = vec![0xc2, 0x84, 0x3d];
    array.resize(5_000_000, 0);
    assert_eq!(
        Reader::new(&array).array(true, 1, Reader::i8),
        Err(DecodeError::ArrayTooLong {
            offset: 0,
            count: 1_000_001,
            remaining: array.len() - 3
        })
    );
    array[0] = 0xc1;
    let decoded = Reader::new(&array).array(true, 1, Reader::i8);
    assert_eq!(decoded.map(|elements| elements.len()), Ok(1_000_000));

    let varint = |value: u16| [value.to_le_bytes()[0] | 0x80, (value >> 7).to_le_bytes()[0]];
    let fields = |count: u16| {
        let mut bytes = varint(count).to_vec();
        for tag in 0..count {
            bytes.extend(varint(tag));
            bytes.push(0);
        }
        Reader::new(&bytes).skip_tagged_fields(true)
    };
    assert_eq!(fields(10_000), Ok(()));
    assert_eq!(
        fields(10_001),
        Err(DecodeError::TooManyTaggedFields {
            offset: 0,
            count: 10_001
        })
    );
}

/// Returns the body of a Produce v10 response without topics, and these tagged fields.
fn produce_v10(tagged_fields: &[u8]) -> Result<ProduceResponse, DecodeError> {
    let payload = [&[1, 0, 0, 0, 9][..], tagged_fields].concat();
    let mut r = Reader::new(&payload);
    let response = ProduceResponse::decode(&mut r, 10)?;
    r.finish()?;
    Ok(response)
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    let endpoint = [0, 0, 0, 7, 2, b'h', 0, 0, 0, 5, 0, 0];
    let known = [&[0, 13, 2][..], &endpoint].concat();
    let unknown = [9, 2, 0xaa, 0xbb];
    let tagged_fields = [&[2][..], &known, &unknown].concat();
    let response = produce_v10(&tagged_fields).unwrap();
    assert_eq!(response.throttle_time_ms, 9);
    let [endpoint] = &response.node_endpoints[..] else {
        panic!("{response:?}");
    };
    assert_eq!(
        (endpoint.node_id, endpoint.host.as_str(), endpoint.port),
        (7, "h", 5)
    );
    assert_eq!(endpoint.rack, None);

    // Version 9 has no tag 0: the same bytes are skipped.
    let payload = [&[1, 0, 0, 0, 9][..], &tagged_fields].concat();
    let response = ProduceResponse::decode(&mut Reader::new(&payload), 9).unwrap();
    assert!(response.node_endpoints.is_empty());
}

#[test]
fn tagged_fields_out_of_order_or_twice_are_refused() {
    for (tags, previous, tag) in [([5, 3], 5, 3), ([5, 5], 5, 5)] {
        let result = produce_v10(&[2, tags[0], 0, tags[1], 0]);
        assert_eq!(
            result,
            Err(DecodeError::TagOrder {
                offset: 8,
                tag,
                previous
            })
        );
    }
}

#[test]
fn lying_sizes_of_tagged_fields_are_refused() {
    // Larger than the rest, in a known and in an unknown field.
    assert!(produce_v10(&[1, 0, 50, 1]).is_err());
    assert!(produce_v10(&[1, 6, 50, 1]).is_err());
    assert!(produce_v10(&[1, 6, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]).is_err());
    // Larger than the value: the empty array of endpoints is one byte.
    assert!(produce_v10(&[1, 0, 1, 1]).is_ok());
    assert!(matches!(
        produce_v10(&[1, 0, 2, 1, 0]),
        Err(DecodeError::TrailingBytes { count: 1, .. })
    ));
    // Smaller than the value.
    assert!(matches!(
        produce_v10(&[1, 0, 0]),
        Err(DecodeError::Truncated { remaining: 0, .. })
    ));
    // More fields than bytes.
    assert!(matches!(
        produce_v10(&[0xff, 0xff, 0xff, 0xff, 0x0f, 4, 0]),
        Err(DecodeError::TooManyTaggedFields { .. })
    ));
}

// Java: RequestResponseTest.testApiVersionResponseParsingFallback.
#[test]
fn an_unsupported_api_versions_request_is_answered_in_version_0() {
    let bare = [0, 35, 0, 0, 0, 0];
    let with_range = [0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 3];
    for version in 1..=4 {
        for (body, keys) in [(&bare[..], 0), (&with_range, 1)] {
            let body = Body::decode(ApiKey::ApiVersions, false, version, body);
            let Ok(Body::Response(ResponseBody::ApiVersions(response))) = body else {
                panic!("{body:?}");
            };
            assert_eq!(response.error_code, ErrorCode::UNSUPPORTED_VERSION);
            assert_eq!(response.api_keys.len(), keys);
            assert!(response.api_keys.iter().all(|api| api.max_version == 3));
        }
    }
}

/// The response of librdkafka 2.12's mock broker to version 3 and later: the count of a compact
/// array is one too small, so that the API key and the lowest version would be read as the throttle
/// time.
#[test]
fn a_refusal_with_bytes_left_over_says_nothing_else() {
    let mut payload = [0, 0, 0, 7, 0, 35, 1, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0];
    for version in 3..=4 {
        let (_, body) = decode_response(ApiKey::ApiVersions, version, &payload).unwrap();
        let refusal = ApiVersionsResponse {
            error_code: ErrorCode::UNSUPPORTED_VERSION,
            ..ApiVersionsResponse::default()
        };
        assert_eq!(body, refusal.into());
    }
    // Without the error the result differs.
    payload[5] = 0;
    let accepted = decode_response(ApiKey::ApiVersions, 4, &payload);
    assert!(matches!(
        accepted,
        Err(DecodeError::TrailingBytes { count: 5, .. })
    ));
}

// Java: RequestResponseTest.testApiVersionResponseParsingFallbackException.
#[test]
fn the_fallback_to_version_0_is_for_unsupported_version_alone() {
    for version in 1..=4 {
        for body in [
            &[0, 0, 0, 0, 0, 1, 0, 18, 0, 0, 0, 3][..],
            &[0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0],
            &[0, 35, 0],
            &[0, 35, 0, 0, 0, 2, 0, 18, 0, 0, 0, 3],
        ] {
            assert!(Body::decode(ApiKey::ApiVersions, false, version, body).is_err());
        }
    }
}

/// Decodes the bytes as every message, with and without headers.
fn check_all(bytes: &[u8]) {
    let _ = decode_request(bytes);
    for key in ApiKey::ALL {
        for version in key.versions() {
            let _ = decode_response(key, version, bytes);
            check(key, true, version, bytes);
            check(key, false, version, bytes);
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_decode_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check_all(&bytes);
    }

    /// Lengths and counts are small values, so these bytes get further.
    #[test]
    fn random_small_bytes_decode_or_fail(bytes in prop::collection::vec(0_u8..6, 0..300)) {
        check_all(&bytes);
    }
}
