//! Round trips of the primitives and of whole frames.

use proptest::prelude::*;

use super::messages::*;
use super::*;
use crate::common::Uuid;
use crate::sync::Arc;

/// Writes, asserts that every proper prefix is refused, and passes all bytes to `read`, which must
/// read to the end.
fn round_trip<T>(
    write: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    read: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> T {
    let mut w = Writer::new();
    write(&mut w).unwrap();
    let bytes = w.finish().unwrap().to_vec();
    for length in 0..bytes.len() {
        assert!(read(&mut Reader::new(&bytes[..length])).is_err());
    }
    let mut r = Reader::new(&bytes);
    let value = read(&mut r).unwrap();
    r.finish().unwrap();
    value
}

proptest! {
    // Java: ProtocolSerializationTest.testSimple.
    #[test]
    fn numbers_round_trip(short: i16, int: i32, long: i64, varint: u32, bits: u128, flag: bool) {
        let id = Uuid::from_bytes(bits.to_be_bytes());
        let write = |w: &mut Writer| {
            w.i16(short);
            w.i32(int);
            w.i64(long);
            w.unsigned_varint(varint);
            w.uuid(id);
            w.bool(flag);
            w.error_code(ErrorCode::from_i16(short));
            Ok(())
        };
        let read = |r: &mut Reader<'_>| {
            Ok((r.i16()?, r.i32()?, r.i64()?, r.unsigned_varint()?, r.uuid()?, r.bool()?, r.error_code()?))
        };
        let expected = (short, int, long, varint, id, flag, ErrorCode::from_i16(short));
        prop_assert_eq!(round_trip(write, read), expected);
    }

    #[test]
    fn strings_round_trip(text: Option<String>, flexible: bool) {
        let write = |w: &mut Writer| w.nullable_string(text.as_deref(), flexible);
        let read = |r: &mut Reader<'_>| Ok(r.nullable_string(flexible)?.map(str::to_owned));
        prop_assert_eq!(round_trip(write, read), text);
    }

    #[test]
    fn records_round_trip(bytes: Option<Vec<u8>>, flexible: bool) {
        let records = bytes.clone().map(RecordSet::from);
        let write = |w: &mut Writer| w.nullable_records(records.as_ref(), flexible);
        let read = |r: &mut Reader<'_>| Ok(r.nullable_bytes(flexible)?.map(<[u8]>::to_vec));
        prop_assert_eq!(round_trip(write, read), bytes);
    }

    #[test]
    fn arrays_round_trip(
        values in prop::option::of(prop::collection::vec(any::<i32>(), 0..20)),
        texts in prop::collection::vec(any::<String>(), 0..6),
        flexible: bool,
    ) {
        let write = |w: &mut Writer| {
            w.nullable_array(values.as_deref(), flexible, |w, &value| {
                w.i32(value);
                Ok(())
            })?;
            w.i32_array(values.as_deref().unwrap_or_default(), flexible)?;
            w.array(&texts, flexible, |w, text| w.string(text, flexible))
        };
        let read = |r: &mut Reader<'_>| {
            Ok((
                r.nullable_array(flexible, 4, Reader::i32)?,
                r.i32_array(flexible)?,
                r.array(flexible, 1, |r| Ok(r.string(flexible)?.to_owned()))?,
            ))
        };
        let expected = (values.clone(), values.clone().unwrap_or_default(), texts.clone());
        prop_assert_eq!(round_trip(write, read), expected);
    }

    #[test]
    fn tagged_fields_round_trip(fields in prop::collection::btree_map(any::<u32>(), any::<i64>(), 0..20)) {
        let write = |w: &mut Writer| {
            w.tagged_fields(true, |tags| {
                fields.iter().try_for_each(|(&tag, &value)| {
                    tags.field(tag, |w| {
                        w.i64(value);
                        Ok(())
                    })
                })
            })
        };
        let read = |r: &mut Reader<'_>| {
            let mut read = std::collections::BTreeMap::new();
            r.tagged_fields(true, |tag, r| {
                read.insert(tag, r.i64()?);
                Ok(true)
            })?;
            Ok(read)
        };
        prop_assert_eq!(round_trip(write, read), fields.clone());
        round_trip(write, |r| r.skip_tagged_fields(true));
    }
}

// Java: ByteUtilsTest.testUnsignedVarintSerde.
#[test]
fn unsigned_varints_have_the_bytes_of_the_protocol() {
    for (value, bytes) in [
        (0, &[0][..]),
        (127, &[0x7f]),
        (128, &[0x80, 0x01]),
        (16_383, &[0xff, 0x7f]),
        (16_384, &[0x80, 0x80, 0x01]),
        (i32::MAX.unsigned_abs(), &[0xff, 0xff, 0xff, 0xff, 0x07]),
        (u32::MAX, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ] {
        let mut w = Writer::new();
        w.unsigned_varint(value);
        assert_eq!(w.finish().unwrap().to_vec(), bytes);
        assert_eq!(Reader::new(bytes).unsigned_varint(), Ok(value));
    }
}

// Java: ByteUtilsTest.testInvalidVarint.
#[test]
fn a_varint_of_more_than_32_bits_is_refused() {
    for bytes in [
        &[0xff, 0xff, 0xff, 0xff, 0x10][..],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        &[0xff; 11],
    ] {
        let expected = Err(DecodeError::VarintTooLong { offset: 0 });
        assert_eq!(Reader::new(bytes).unsigned_varint(), expected);
    }
    assert!(matches!(
        Reader::new(&[0x80, 0x80]).unsigned_varint(),
        Err(DecodeError::Truncated { offset: 2, .. })
    ));
}

#[test]
fn negative_lengths_other_than_null_are_refused() {
    let string = [0xff, 0xfe, 0, 0];
    assert_eq!(
        Reader::new(&string).nullable_string(false),
        Err(DecodeError::InvalidLength {
            offset: 0,
            length: -2
        })
    );
    let array = [0x80, 0, 0, 0];
    let expected = DecodeError::InvalidLength {
        offset: 0,
        length: i32::MIN,
    };
    assert_eq!(
        Reader::new(&array).nullable_bytes(false),
        Err(expected.clone())
    );
    assert_eq!(Reader::new(&array).i32_array(false), Err(expected));
}

#[test]
fn null_is_refused_where_the_protocol_has_none() {
    let null = [0xff; 4];
    let expected = DecodeError::UnexpectedNull { offset: 0 };
    assert_eq!(Reader::new(&null).string(false), Err(expected.clone()));
    assert_eq!(Reader::new(&[0]).string(true), Err(expected.clone()));
    assert_eq!(Reader::new(&null).i32_array(false), Err(expected.clone()));
    assert_eq!(Reader::new(&[0]).i32_array(true), Err(expected));
}

#[test]
fn strings_are_utf_8_and_at_most_32767_bytes() {
    let bad = [0, 2, 0xc3, 0x28];
    assert_eq!(
        Reader::new(&bad).string(false),
        Err(DecodeError::NotUtf8 { offset: 0 })
    );
    for flexible in [false, true] {
        let longest = "x".repeat(MAX_STRING_LENGTH);
        let write = |w: &mut Writer| w.string(&longest, flexible);
        let mut w = Writer::new();
        write(&mut w).unwrap();
        let bytes = w.finish().unwrap().to_vec();
        assert_eq!(Reader::new(&bytes).string(flexible), Ok(longest.as_str()));

        let expected = Err(EncodeError::StringTooLong { length: 32_768 });
        assert_eq!(
            Writer::new().string(&"x".repeat(32_768), flexible),
            expected
        );
    }
    let mut long = vec![0x81, 0x80, 0x02];
    long.resize(40_000, b'x');
    assert_eq!(
        Reader::new(&long).string(true),
        Err(DecodeError::StringTooLong {
            offset: 0,
            length: 32_768
        })
    );
}

#[test]
fn structures_that_are_not_flexible_have_no_tagged_fields() {
    let mut w = Writer::new();
    w.tagged_fields(false, |_| panic!("not asked")).unwrap();
    w.no_tagged_fields(false);
    assert_eq!(w.len(), 0);
    Reader::new(&[]).skip_tagged_fields(false).unwrap();
}

fn header(key: ApiKey, api_version: i16) -> RequestHeader {
    RequestHeader {
        api_key: key.id(),
        api_version,
        correlation_id: 7,
        client_id: Some(Arc::from("c")),
    }
}

pub(crate) fn default_request(key: ApiKey) -> RequestBody {
    match key {
        ApiKey::Produce => ProduceRequest::default().into(),
        ApiKey::Metadata => MetadataRequest::default().into(),
        ApiKey::FindCoordinator => FindCoordinatorRequest {
            coordinator_keys: vec![Arc::from("k")],
            ..FindCoordinatorRequest::default()
        }
        .into(),
        ApiKey::ApiVersions => ApiVersionsRequest::default().into(),
        ApiKey::InitProducerId => InitProducerIdRequest::default().into(),
        ApiKey::AddPartitionsToTxn => AddPartitionsToTxnRequest::default().into(),
        ApiKey::AddOffsetsToTxn => AddOffsetsToTxnRequest::default().into(),
        ApiKey::EndTxn => EndTxnRequest::default().into(),
        ApiKey::TxnOffsetCommit => TxnOffsetCommitRequest::default().into(),
        ApiKey::SaslHandshake => SaslHandshakeRequest::default().into(),
        ApiKey::SaslAuthenticate => SaslAuthenticateRequest::default().into(),
        ApiKey::GetTelemetrySubscriptions => GetTelemetrySubscriptionsRequest::default().into(),
        ApiKey::PushTelemetry => PushTelemetryRequest::default().into(),
    }
}

fn default_response(key: ApiKey) -> ResponseBody {
    match key {
        ApiKey::Produce => ProduceResponse::default().into(),
        ApiKey::Metadata => MetadataResponse::default().into(),
        ApiKey::FindCoordinator => FindCoordinatorResponse {
            coordinators: vec![Coordinator::default()],
            ..FindCoordinatorResponse::default()
        }
        .into(),
        ApiKey::ApiVersions => ApiVersionsResponse::default().into(),
        ApiKey::InitProducerId => InitProducerIdResponse::default().into(),
        ApiKey::AddPartitionsToTxn => AddPartitionsToTxnResponse::default().into(),
        ApiKey::AddOffsetsToTxn => AddOffsetsToTxnResponse::default().into(),
        ApiKey::EndTxn => EndTxnResponse::default().into(),
        ApiKey::TxnOffsetCommit => TxnOffsetCommitResponse::default().into(),
        ApiKey::SaslHandshake => SaslHandshakeResponse::default().into(),
        ApiKey::SaslAuthenticate => SaslAuthenticateResponse::default().into(),
        ApiKey::GetTelemetrySubscriptions => GetTelemetrySubscriptionsResponse::default().into(),
        ApiKey::PushTelemetry => PushTelemetryResponse::default().into(),
    }
}

// Java: RequestResponseTest.testSerialization.
#[test]
fn frames_round_trip() {
    for key in ApiKey::ALL {
        for version in key.versions() {
            let (header, body) = (header(key, version), default_request(key));
            let frame = encode_request(&header, &body).unwrap().to_vec();
            assert_eq!(decode_request(&frame), Ok((header, body)));
            for length in 0..frame.len() {
                assert!(decode_request(&frame[..length]).is_err());
            }
            let longer = [&frame[..], &[0]].concat();
            assert!(matches!(
                decode_request(&longer),
                Err(DecodeError::TrailingBytes { count: 1, .. })
            ));

            let body = default_response(key);
            let frame = encode_response(key, version, 9, &body).unwrap();
            let expected = (ResponseHeader { correlation_id: 9 }, body);
            assert_eq!(decode_response(key, version, &frame), Ok(expected.clone()));
            for length in 0..frame.len() {
                assert!(decode_response(key, version, &frame[..length]).is_err());
            }
            for rest in [&[1][..], &[0, 0]] {
                let longer = [&frame[..], rest].concat();
                assert!(decode_response(key, version, &longer).is_err());
            }
            let with_empty_tags = [&frame[..], &[0]].concat();
            let decoded = decode_response(key, version, &with_empty_tags);
            let expected = key.is_flexible(version).then_some(expected);
            assert_eq!(decoded.ok(), expected);
        }
    }
}

// KIP-511.
#[test]
fn api_versions_is_flexible_in_its_request_header_alone() {
    let frame = encode_request(
        &header(ApiKey::ApiVersions, 3),
        &default_request(ApiKey::ApiVersions),
    );
    let expected = [0, 18, 0, 3, 0, 0, 0, 7, 0, 1, b'c', 0, 1, 1, 0];
    assert_eq!(frame.unwrap().to_vec(), expected);

    let body = default_response(ApiKey::ApiVersions);
    let frame = encode_response(ApiKey::ApiVersions, 3, 7, &body).unwrap();
    assert_eq!(frame, [0, 0, 0, 7, 0, 0, 1, 0, 0, 0, 0, 0]);

    let body = default_response(ApiKey::InitProducerId);
    let frame = encode_response(ApiKey::InitProducerId, 2, 7, &body).unwrap();
    assert_eq!(
        frame[..5],
        [0, 0, 0, 7, 0],
        "response header v1 has tagged fields"
    );
}

#[test]
fn a_header_of_another_api_is_refused() {
    let request = encode_request(
        &header(ApiKey::Metadata, 9),
        &default_request(ApiKey::Produce),
    );
    assert_eq!(
        request.unwrap_err(),
        EncodeError::HeaderMismatch {
            header: 3,
            body: "Produce"
        }
    );
    let response = encode_response(ApiKey::Metadata, 9, 1, &default_response(ApiKey::Produce));
    assert!(response.is_err());
}

#[test]
fn requests_that_are_not_spoken_are_refused() {
    let unknown = [0, 1, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    assert_eq!(decode_request(&unknown), Err(DecodeError::UnknownApiKey(1)));
    let newer = [0, 18, 0, 99, 0, 0, 0, 1, 0xff, 0xff, 0];
    assert_eq!(
        decode_request(&newer),
        Err(DecodeError::UnsupportedVersion {
            api: "ApiVersions",
            version: 99
        })
    );
}

#[test]
fn throttle_time_is_that_of_the_response() {
    let response = ResponseBody::from(MetadataResponse {
        throttle_time_ms: 30,
        ..MetadataResponse::default()
    });
    assert_eq!(response.throttle_time_ms(), 30);
    assert_eq!(default_response(ApiKey::Produce).throttle_time_ms(), 0);
}

#[test]
fn record_sets_are_equal_by_bytes_and_do_not_print_them() {
    let records = RecordSet::from(vec![1, 2, 3]);
    assert_eq!(records, RecordSet::from(vec![1, 2, 3]));
    assert_ne!(records, RecordSet::from(vec![1, 2]));
    assert_eq!(format!("{records:?}"), "RecordSet(3 bytes)");
}

#[test]
fn owned_bytes_are_a_message_of_one_slice() {
    let message = MessageBytes::from(vec![1, 2]);
    assert_eq!((message.len(), message.slice_count()), (2, 1));
    assert_eq!(message.slices().collect::<Vec<_>>(), [&[1, 2]]);
    let empty = MessageBytes::from(Vec::new());
    assert_eq!((empty.len(), empty.slice_count()), (0, 0));
    assert_eq!(empty.slices().count(), 0);
}
