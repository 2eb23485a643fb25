//! Java: `DefaultRecordTest`.

use super::*;

static NO_HEADERS: Headers = Headers::new();

/// Returns a record of these parts with the correct length in front.
fn with_length(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = Vec::new();
    write_varint(&mut bytes, i32::try_from(body.len()).unwrap()).unwrap();
    bytes.extend(body);
    bytes
}

fn varint(value: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_varint(&mut bytes, value).unwrap();
    bytes
}

/// Attributes, timestamp delta and offset delta.
const START: &[u8] = &[0, 0, 0];
const NULL: &[u8] = &[1];
const NONE: &[u8] = &[0];

fn read_error(bytes: &[u8]) -> String {
    DecodedRecord::read(&mut &bytes[..], 0)
        .unwrap_err()
        .to_string()
}

fn written(record: &DefaultRecord<'_>, timestamp_delta: i64, offset_delta: i32) -> Vec<u8> {
    let place = record.place(timestamp_delta, offset_delta);
    let mut bytes = Vec::new();
    record.write(&place, &mut bytes).unwrap();
    assert_eq!(bytes.len(), place.size);
    bytes
}

#[test]
fn size_is_exact_and_the_bound_holds() {
    // Java: DefaultRecordTest.testBasicSerde, testSerdeNoSequence.
    let mut headers = Headers::new();
    headers
        .add("foo", "value")
        .add_null("bar")
        .add("\u{1f511}", "");
    for headers in [&NO_HEADERS, &headers] {
        for key in [None, Some(&b""[..]), Some(b"hi"), Some(&[7; 200])] {
            for value in [None, Some(&b""[..]), Some(b"there"), Some(&[9; 20_000])] {
                let record = DefaultRecord::new(key, value, headers).unwrap();
                for (timestamp_delta, offset_delta) in
                    [(0, 0), (-5, 63), (i64::MIN, i32::MAX), (i64::MAX, 1 << 20)]
                {
                    let bytes = written(&record, timestamp_delta, offset_delta);
                    assert!(RECORD_BATCH_OVERHEAD + bytes.len() <= record.batch_size_upper_bound());
                    let mut rest = &bytes[..];
                    let read = DecodedRecord::read(&mut rest, 0).unwrap();
                    assert!(rest.is_empty());
                    assert_eq!(read.timestamp, timestamp_delta);
                    assert_eq!(read.offset_delta, offset_delta);
                    assert_eq!(read.key.as_deref(), key);
                    assert_eq!(read.value.as_deref(), value);
                    assert_eq!(read.headers, *headers);
                }
            }
        }
    }
}

#[test]
fn bytes_behind_the_record_are_left_alone() {
    let record = DefaultRecord::new(None, Some(b"v"), &NO_HEADERS).unwrap();
    let mut bytes = written(&record, 0, 0);
    bytes.extend_from_slice(b"next");
    let mut rest = &bytes[..];
    DecodedRecord::read(&mut rest, 0).unwrap();
    assert_eq!(rest, b"next");
}

#[test]
fn timestamps_wrap_in_both_directions() {
    let record = DefaultRecord::new(None, None, &NO_HEADERS).unwrap();
    let bytes = written(&record, i64::MAX.wrapping_sub(-1), 0);
    let read = DecodedRecord::read(&mut &bytes[..], -1).unwrap();
    assert_eq!(read.timestamp, i64::MAX);
}

#[test]
fn a_key_longer_than_its_record_is_refused() {
    // Java: DefaultRecordTest.testInvalidKeySize, testInvalidKeySizePartial.
    let bytes = with_length(&[START, &varint(1000), b"key"]);
    assert!(read_error(&bytes).contains("key length"));
}

#[test]
fn a_value_longer_than_its_record_is_refused() {
    // Java: DefaultRecordTest.testInvalidValueSize, testInvalidValueSizePartial.
    let bytes = with_length(&[START, NULL, &varint(i32::MAX), b"value"]);
    assert!(read_error(&bytes).contains("value length"));
}

#[test]
fn an_impossible_count_of_headers_is_refused() {
    // Java: DefaultRecordTest.testInvalidNumHeaders, testInvalidNumHeadersPartial.
    let bytes = with_length(&[START, NULL, NULL, &varint(-1)]);
    assert!(read_error(&bytes).contains("header count is negative"));
    let bytes = with_length(&[START, NULL, NULL, &varint(i32::MAX)]);
    assert!(read_error(&bytes).contains("header count is more"));
}

#[test]
fn an_invalid_header_key_is_refused() {
    // Java: DefaultRecordTest.testInvalidHeaderKey, testNullHeaderKey.
    let bytes = with_length(&[START, NULL, NULL, &varint(1), &varint(5), b"k"]);
    assert!(read_error(&bytes).contains("header key's length"));
    let bytes = with_length(&[START, NULL, NULL, &varint(1), NULL, NULL]);
    assert!(read_error(&bytes).contains("header key is null"));
    let bytes = with_length(&[START, NULL, NULL, &varint(1), &varint(1), &[0xff], NULL]);
    assert!(read_error(&bytes).contains("UTF-8"));
}

#[test]
fn a_header_value_longer_than_its_record_is_refused() {
    // Java: DefaultRecordTest.testInvalidHeaderValue.
    let bytes = with_length(&[START, NULL, NULL, &varint(1), &varint(1), b"k", &varint(9)]);
    assert!(read_error(&bytes).contains("header value's length"));
}

#[test]
fn a_record_that_ends_early_is_refused() {
    // Java: DefaultRecordTest.testUnderflowReadingTimestamp, testUnderflowReadingVarlong.
    assert!(read_error(&with_length(&[&[]])).contains("attributes"));
    assert!(read_error(&with_length(&[&[0]])).contains("inside a number"));
    assert!(read_error(&with_length(&[&[0, 0x80]])).contains("inside a number"));
    assert!(read_error(&with_length(&[&[0, 0]])).contains("inside a number"));
}

#[test]
fn a_varlong_that_does_not_end_is_refused() {
    // Java: DefaultRecordTest.testInvalidVarlong.
    let bytes = with_length(&[&[0], &[0xff; 11]]);
    assert!(read_error(&bytes).contains("too long"));
}

#[test]
fn a_wrong_length_of_a_record_is_refused() {
    let record = with_length(&[START, NULL, NULL, NONE]);
    assert!(DecodedRecord::read(&mut &record[..], 0).is_ok());

    assert!(read_error(&varint(-1)).contains("length is negative"));
    assert!(read_error(&record[..record.len() - 1]).contains("more than what is left"));
    let bytes = with_length(&[START, NULL, NULL, NONE, b"more"]);
    assert!(read_error(&bytes).contains("behind its headers"));
}

#[test]
fn the_bound_is_that_of_java() {
    // 61 + 21 + "k" and "v" with their lengths + no headers.
    let record = DefaultRecord::new(Some(b"k"), Some(b"v"), &NO_HEADERS).unwrap();
    assert_eq!(record.batch_size_upper_bound(), 61 + 21 + 2 + 2 + 1);
}

/// Both paths lead to the same bytes where both are possible. Nothing after the extra word is
/// written.
#[test]
fn a_small_record_is_written_as_any_other() {
    let fields = [
        None,
        Some(&b""[..]),
        Some(b"k"),
        Some(&[7; 63]),
        Some(&[8; 70_000]),
    ];
    let numbers = [0, 1, 63, 64, 8191, 8192, 1_048_575];
    for (key, value) in fields
        .iter()
        .flat_map(|key| fields.map(|value| (*key, value)))
    {
        let record = DefaultRecord::new(key, value, &NO_HEADERS).unwrap();
        for (delta, offset) in numbers
            .iter()
            .flat_map(|a| numbers.map(|b| (i64::from(*a), b)))
        {
            for delta in [delta, -delta - 1] {
                let small = record.place_small(delta, offset).unwrap();
                let mut room = vec![0xaa; small.size + 12];
                record.write_small(&small, &mut room);
                assert_eq!(room[..small.size], written(&record, delta, offset));
                assert_eq!(room[small.size + 8..], [0xaa; 4]);
            }
        }
        assert!(record.place_small(1 << 20, 0).is_none());
        assert!(record.place_small(0, 1 << 20).is_none());
    }
    let mut headers = Headers::new();
    headers.add("k", "v");
    let record = DefaultRecord::new(None, None, &headers).unwrap();
    assert!(record.place_small(0, 0).is_none());
}
