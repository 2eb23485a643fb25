//! Java: `DefaultRecordBatchTest`, `MemoryRecordsTest`, and batches that Java itself wrote.

use super::*;
use crate::common::Headers;
use crate::record::chunks::Chunks;
use crate::record::{Compression, MemoryRecordsBuilder};

/// The limit of decompressed bytes.
const LIMIT: usize = 1 << 20;

fn from_hex(hex: &str) -> Vec<u8> {
    assert_eq!(hex.len() % 2, 0);
    (0..hex.len())
        .step_by(2)
        .map(|index| u8::from_str_radix(&hex[index..index + 2], 16).unwrap())
        .collect()
}

/// A row of tests/data/record-batches.tsv.
struct Golden {
    kind: CompressionType,
    state: ProducerState,
    records: Vec<DecodedRecord>,
    batch: Vec<u8>,
}

fn golden_batches() -> Vec<Golden> {
    let table = include_str!("../../../tests/data/record-batches.tsv");
    table.lines().map(golden_row).collect()
}

fn golden_row(line: &str) -> Golden {
    let columns: Vec<_> = line.split('\t').collect();
    let [kind, id, epoch, sequence, transactional, records, batch] = columns[..] else {
        panic!("{} columns", columns.len());
    };
    let records: Vec<serde_json::Value> = serde_json::from_str(records).unwrap();
    let bytes = |value: &serde_json::Value| value.as_str().map(from_hex);
    let records = records.iter().enumerate().map(|(index, record)| {
        let headers = record["headers"].as_array().unwrap().iter();
        DecodedRecord {
            offset_delta: i32::try_from(index).unwrap(),
            timestamp: record["ts"].as_i64().unwrap(),
            key: bytes(&record["key"]),
            value: bytes(&record["value"]),
            headers: headers
                .map(|header| {
                    crate::common::Header::new(header[0].as_str().unwrap(), bytes(&header[1]))
                })
                .collect(),
        }
    });
    Golden {
        kind: CompressionType::from_name(kind).unwrap(),
        state: ProducerState {
            producer_id: id.parse().unwrap(),
            producer_epoch: epoch.parse().unwrap(),
            base_sequence: sequence.parse().unwrap(),
            is_transactional: transactional.parse().unwrap(),
        },
        records: records.collect(),
        batch: from_hex(batch),
    }
}

fn build(kind: CompressionType, state: ProducerState, records: &[DecodedRecord]) -> Vec<u8> {
    let compression = Compression::new(kind, None).unwrap();
    let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 1 << 20, 1.0);
    for record in records {
        builder
            .append(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &record.headers,
            )
            .unwrap();
    }
    builder.close(state).unwrap().bytes.to_vec()
}

/// The codecs of this build.
fn codecs() -> Vec<CompressionType> {
    let has_feature = |kind: &CompressionType| Compression::new(*kind, None).is_ok();
    CompressionType::ALL
        .into_iter()
        .filter(has_feature)
        .collect()
}

fn parse_one(bytes: &[u8]) -> RecordBatch<'_> {
    let (batch, rest) = RecordBatch::parse(bytes).unwrap();
    assert!(rest.is_empty());
    batch
}

#[test]
fn without_compression_bytes_are_those_of_java() {
    let mut rows = 0;
    for golden in golden_batches() {
        if golden.kind == CompressionType::None {
            let ours = build(golden.kind, golden.state, &golden.records);
            assert_eq!(ours, golden.batch);
            rows += 1;
        }
    }
    assert_eq!(rows, 6);
}

#[test]
fn batches_of_java_and_of_this_crate_are_read() {
    let codecs = codecs();
    let mut rows = 0;
    for golden in golden_batches() {
        if !codecs.contains(&golden.kind) {
            continue;
        }
        rows += 1;
        let ours = build(golden.kind, golden.state, &golden.records);
        for bytes in [&golden.batch, &ours] {
            let batch = parse_one(bytes);
            assert!(batch.is_crc_valid());
            assert_eq!(batch.compression_type(), Ok(golden.kind));
            assert_eq!(batch.producer_id(), golden.state.producer_id);
            assert_eq!(batch.producer_epoch(), golden.state.producer_epoch);
            assert_eq!(batch.base_sequence(), golden.state.base_sequence);
            assert_eq!(batch.is_transactional(), golden.state.is_transactional);
            assert!(!batch.is_control());
            assert_eq!(batch.record_count() as usize, golden.records.len());
            assert_eq!(batch.last_offset_delta(), batch.record_count() - 1);
            assert_eq!(batch.base_timestamp(), golden.records[0].timestamp);
            let newest = golden.records.iter().map(|record| record.timestamp).max();
            assert_eq!(Some(batch.max_timestamp()), newest);
            assert_eq!(batch.records(LIMIT).unwrap(), golden.records);
        }
    }
    assert_eq!(rows, 6 * codecs.len());
}

#[test]
fn one_record_without_producer_state_has_the_expected_bytes() {
    // The expected bytes come from an encoder that is independent of Kafka's.
    let record = DecodedRecord {
        offset_delta: 0,
        timestamp: 1000,
        key: Some(b"k".to_vec()),
        value: Some(b"v".to_vec()),
        headers: Headers::new(),
    };
    let batch = build(CompressionType::None, ProducerState::NONE, &[record]);
    let expected = "00000000000000000000003affffffff02716a618900000000000000000000000003e8000000000000\
                    03e8ffffffffffffffffffffffffffff0000000110000000026b027600";
    assert_eq!(batch, from_hex(expected));
}

/// A second vector of the same encoder: nulls, empty values, headers, a negative delta.
fn three_records() -> (ProducerState, Vec<DecodedRecord>) {
    let state = ProducerState {
        producer_id: 4096,
        producer_epoch: 3,
        base_sequence: 10,
        is_transactional: true,
    };
    let base = 1_600_000_000_000;
    let record =
        |offset_delta, delta: i64, key: Option<&[u8]>, value: Option<&[u8]>| DecodedRecord {
            offset_delta,
            timestamp: base + delta,
            key: key.map(Vec::from),
            value: value.map(Vec::from),
            headers: Headers::new(),
        };
    let mut records = vec![
        record(0, 0, Some(b"k1"), Some(b"v1")),
        record(1, -5, None, Some(b"")),
        record(2, 7, Some(b""), None),
    ];
    records[0].headers.add("h", "x");
    records[1].headers.add_null("n");
    (state, records)
}

#[test]
fn records_with_nulls_headers_and_negative_deltas_have_the_expected_bytes() {
    let (state, records) = three_records();
    let expected = "000000000000000000000051ffffffff02331aae1800100000000200000174876e8000000001748\
                    76e8007000000000000100000030000000a000000031c000000046b31047631020268027812000902\
                    010002026e010c000e04000100";
    assert_eq!(
        build(CompressionType::None, state, &records),
        from_hex(expected)
    );
}

#[test]
fn the_checksum_is_crc32c() {
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn a_flipped_bit_makes_the_checksum_invalid() {
    // Java: DefaultRecordBatchTest.testInvalidCrc. Flips every bit that the checksum covers, and
    // those of the checksum.
    let (state, records) = three_records();
    let good = build(CompressionType::None, state, &records);
    assert!(parse_one(&good).is_crc_valid());
    for bit in CRC * 8..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(!parse_one(&bad).is_crc_valid(), "bit {bit}");
    }
}

#[test]
fn crc_leaves_out_what_the_broker_fills_in() {
    // Java: DefaultRecordBatchTest.testSetLastOffset, testSetPartitionLeaderEpoch.
    let (state, records) = three_records();
    let mut batch = build(CompressionType::None, state, &records);
    BigEndian::write_i64(&mut batch[..LENGTH], 1 << 40);
    BigEndian::write_i32(&mut batch[LEADER_EPOCH..MAGIC], 15);
    let batch = parse_one(&batch);
    assert!(batch.is_crc_valid());
    assert_eq!(batch.base_offset(), 1 << 40);
    assert_eq!(batch.partition_leader_epoch(), 15);
}

#[test]
fn rewriting_the_producer_state_keeps_the_records() {
    // Java: MemoryRecordsBuilder.reopenAndRewriteProducerState. A retry sends the same bytes.
    let (state, records) = three_records();
    for kind in codecs() {
        let original = build(kind, state, &records);
        for new_state in [
            ProducerState {
                producer_epoch: 4,
                base_sequence: 0,
                ..state
            },
            ProducerState {
                producer_id: i64::MAX,
                producer_epoch: i16::MAX,
                base_sequence: i32::MAX,
                is_transactional: false,
            },
            ProducerState::NONE,
        ] {
            let mut batch = original.clone();
            rewrite(&mut batch, new_state).unwrap();
            // The result equals a batch that was built with this state, without compressing it
            // again.
            assert_eq!(
                batch[RECORD_BATCH_OVERHEAD..],
                original[RECORD_BATCH_OVERHEAD..]
            );
            assert_eq!(batch, build(kind, new_state, &records));
            assert!(parse_one(&batch).is_crc_valid());

            rewrite(&mut batch, state).unwrap();
            assert_eq!(batch, original);
        }
    }
}

/// Rewrites a batch in one chunk and in two. Both must give the same bytes.
fn rewrite(batch: &mut [u8], state: ProducerState) -> Result<(), RecordError> {
    let mut whole = WrittenBytes::from(batch.to_vec());
    let mut split = in_chunks(batch);
    let result = rewrite_producer_state(&mut whole, state);
    assert_eq!(rewrite_producer_state(&mut split, state), result);
    assert_eq!(split.contiguous(), whole.contiguous());
    batch.copy_from_slice(&whole.contiguous());
    result
}

/// Splits the bytes into a chunk with the header and at most two records, and one with the rest.
fn in_chunks(bytes: &[u8]) -> WrittenBytes {
    let (first, second) = bytes.split_at(bytes.len().min(RECORD_BATCH_OVERHEAD + 20));
    let mut chunks = Chunks::default();
    let mut memory = first.to_vec();
    chunks.add(second.to_vec());
    chunks.advance(&mut memory, first.len());
    chunks.finish(memory, second.len())
}

#[test]
fn a_refused_rewrite_changes_nothing() {
    let (state, records) = three_records();
    let mut batch = build(CompressionType::None, state, &records);
    let original = batch.clone();
    let invalid = ProducerState {
        base_sequence: -1,
        ..state
    };
    assert!(rewrite(&mut batch, invalid).is_err());
    assert_eq!(batch, original);
    assert!(rewrite(&mut batch[..40], state).is_err());
    batch.push(0);
    assert!(rewrite(&mut batch, state).is_err());
    assert_eq!(batch[..original.len()], original);
}

#[test]
fn parse_refuses_wrong_sizes() {
    // Java: DefaultRecordBatchTest.testSizeInBytes, testInvalidRecordSize.
    let (state, records) = three_records();
    let good = build(CompressionType::None, state, &records);
    assert_eq!(
        usize::try_from(parse_one(&good).length()),
        Ok(good.len() - 12)
    );
    for end in 0..good.len() {
        assert!(
            matches!(
                RecordBatch::parse(&good[..end]),
                Err(RecordError::Truncated { .. })
            ),
            "{end}"
        );
    }
    for length in [i32::MIN, -1, 0, 48] {
        let mut bad = good.clone();
        BigEndian::write_i32(&mut bad[LENGTH..LEADER_EPOCH], length);
        let error = RecordBatch::parse(&bad).unwrap_err();
        assert_eq!(error, RecordError::InvalidLength(length));
    }
    for length in [82, i32::MAX] {
        let mut bad = good.clone();
        BigEndian::write_i32(&mut bad[LENGTH..LEADER_EPOCH], length);
        let error = RecordBatch::parse(&bad).unwrap_err();
        assert!(matches!(error, RecordError::Truncated { .. }));
    }
}

#[test]
fn only_magic_2_is_read() {
    let (state, records) = three_records();
    for magic in [0, 1, 3, -1] {
        let mut batch = build(CompressionType::None, state, &records);
        batch[MAGIC] = i8::to_be_bytes(magic)[0];
        let error = RecordBatch::parse(&batch).unwrap_err();
        assert_eq!(error, RecordError::UnsupportedMagic(magic));
    }
}

#[test]
fn batches_follow_each_other() {
    let (state, records) = three_records();
    let first = build(CompressionType::None, state, &records);
    let second = build(CompressionType::None, ProducerState::NONE, &records[..1]);
    let both = [&first[..], &second].concat();
    let (batch, rest) = RecordBatch::parse(&both).unwrap();
    assert_eq!(batch.as_bytes(), first);
    assert_eq!(rest, second);
}

#[test]
fn unknown_codecs_are_an_error() {
    let (state, records) = three_records();
    let mut batch = build(CompressionType::None, state, &records);
    for id in 5..8 {
        BigEndian::write_i16(&mut batch[ATTRIBUTES..LAST_OFFSET_DELTA], id);
        let batch = parse_one(&batch);
        let expected = RecordError::UnknownCompression(id);
        assert_eq!(batch.records(LIMIT), Err(expected.clone()));
        assert_eq!(batch.compression_type(), Err(expected));
    }
}

#[test]
fn too_many_and_too_few_records() {
    // Java: DefaultRecordBatchTest.testInvalidRecordCountTooManyNonCompressedV2, ..TooLittleNonCompressedV2,
    // ..TooManyCompressedV2, ..TooLittleCompressedV2.
    let (state, records) = three_records();
    for kind in codecs() {
        let mut batch = build(kind, state, &records);
        for count in [i32::MIN, -1, 0, 2, 4, i32::MAX] {
            BigEndian::write_i32(&mut batch[RECORD_COUNT..RECORD_BATCH_OVERHEAD], count);
            let result = parse_one(&batch).records(LIMIT);
            assert!(
                matches!(result, Err(RecordError::InvalidCount(_))),
                "{kind} {count}: {result:?}"
            );
        }
    }
}

#[test]
fn decompression_is_bounded() {
    let records = [DecodedRecord {
        offset_delta: 0,
        timestamp: 0,
        key: None,
        value: Some(vec![0; 100_000]),
        headers: Headers::new(),
    }];
    for kind in codecs() {
        if kind == CompressionType::None {
            continue;
        }
        let batch = build(kind, ProducerState::NONE, &records);
        assert!(batch.len() < 10_000);
        assert!(matches!(
            parse_one(&batch).records(99_999),
            Err(RecordError::Compression(_))
        ));
        assert_eq!(parse_one(&batch).records(LIMIT).unwrap(), records);
    }
}

#[test]
fn increment_sequence_wraps() {
    // Java: DefaultRecordBatchTest.testIncrementSequence.
    assert_eq!(increment_sequence(5, 5), 10);
    assert_eq!(increment_sequence(i32::MAX, 1), 0);
    assert_eq!(increment_sequence(i32::MAX - 5, 10), 4);
    assert_eq!(increment_sequence(i32::MAX, i32::MAX), i32::MAX - 1);
}

#[test]
fn last_sequence_wraps() {
    // Java: DefaultRecordBatchTest.buildDefaultRecordBatchWithSequenceWrapAround.
    let (state, records) = three_records();
    let sequence = |base_sequence| {
        let state = ProducerState {
            base_sequence,
            ..state
        };
        parse_one(&build(CompressionType::None, state, &records)).last_sequence()
    };
    assert_eq!(sequence(10), 12);
    assert_eq!(sequence(i32::MAX - 1), 0);
    let batch = build(CompressionType::None, ProducerState::NONE, &records);
    assert_eq!(parse_one(&batch).last_sequence(), -1);
}

mod properties {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn headers() -> impl Strategy<Value = Headers> {
        let header = ("\\PC{0,6}", option::of(vec(any::<u8>(), 0..8)));
        vec(header, 0..4).prop_map(|headers| {
            headers
                .into_iter()
                .map(|(key, value)| crate::common::Header::new(key, value))
                .collect()
        })
    }

    fn field() -> impl Strategy<Value = Option<Vec<u8>>> {
        option::of(prop_oneof![
            9 => vec(any::<u8>(), 0..40),
            1 => vec(0u8..3, 30_000..80_000),
        ])
    }

    fn timestamp() -> impl Strategy<Value = i64> {
        prop_oneof![Just(-1), 0..2000i64, 0..=i64::MAX]
    }

    fn records() -> impl Strategy<Value = Vec<DecodedRecord>> {
        vec((timestamp(), field(), field(), headers()), 1..12).prop_map(|records| {
            (0..)
                .zip(records)
                .map(
                    |(offset_delta, (timestamp, key, value, headers))| DecodedRecord {
                        offset_delta,
                        timestamp,
                        key,
                        value,
                        headers,
                    },
                )
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_batch_comes_back(records in records()) {
            for kind in codecs() {
                let bytes = build(kind, ProducerState::NONE, &records);
                let batch = parse_one(&bytes);
                prop_assert!(batch.is_crc_valid());
                prop_assert_eq!(&batch.records(LIMIT).unwrap(), &records);
            }
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
            if let Ok((batch, _)) = RecordBatch::parse(&bytes) {
                let _ = batch.records(LIMIT);
            }
            for kind in codecs() {
                if kind != CompressionType::None {
                    let _ = decompress(kind, &bytes, LIMIT);
                }
            }
            let _ = read_records(&bytes, bytes.len(), 0);
        }

        /// Random bytes fail the first check. These are damaged after it.
        #[test]
        fn damaged_batches_never_panic(
            edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            end in any::<prop::sample::Index>(),
        ) {
            let (state, records) = three_records();
            for kind in codecs() {
                let mut bytes = build(kind, state, &records);
                for (index, byte) in &edits {
                    let at = RECORD_COUNT + index.index(bytes.len() - RECORD_COUNT);
                    bytes[at] = *byte;
                }
                let _ = parse_one(&bytes).records(LIMIT);

                let end = RECORD_BATCH_OVERHEAD + end.index(bytes.len() - RECORD_BATCH_OVERHEAD);
                bytes.truncate(end);
                let length = i32::try_from(end - LOG_OVERHEAD).unwrap();
                BigEndian::write_i32(&mut bytes[LENGTH..LEADER_EPOCH], length);
                let _ = parse_one(&bytes).records(LIMIT);
            }
        }
    }

    #[test]
    fn truncated_sections_are_errors_at_every_offset() {
        let (state, records) = three_records();
        for kind in codecs() {
            let good = build(kind, state, &records);
            for end in RECORD_BATCH_OVERHEAD..good.len() {
                let mut bytes = good[..end].to_vec();
                let length = i32::try_from(end - LOG_OVERHEAD).unwrap();
                BigEndian::write_i32(&mut bytes[LENGTH..LEADER_EPOCH], length);
                assert!(parse_one(&bytes).records(LIMIT).is_err(), "{kind} {end}");
                assert!(!parse_one(&bytes).is_crc_valid());
            }
        }
    }
}
