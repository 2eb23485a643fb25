//! Java: `DefaultRecordBatchTest`, `MemoryRecordsTest`, and batches that Java itself wrote.

use super::*;
use crate::record::{Compression, MemoryRecordsBuilder};

/// What the tests may decompress to.
pub(super) const LIMIT: usize = 1 << 20;

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

pub(super) fn build(
    kind: CompressionType,
    state: ProducerState,
    records: &[DecodedRecord],
) -> Vec<u8> {
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
    builder.close(state).unwrap().bytes
}

/// The codecs of this build.
pub(super) fn codecs() -> Vec<CompressionType> {
    let has_feature = |kind: &CompressionType| Compression::new(*kind, None).is_ok();
    CompressionType::ALL
        .into_iter()
        .filter(has_feature)
        .collect()
}

pub(super) fn parse_one(bytes: &[u8]) -> RecordBatch<'_> {
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
fn reads_what_java_wrote_and_what_we_wrote() {
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
