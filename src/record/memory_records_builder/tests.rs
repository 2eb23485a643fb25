//! Java: `MemoryRecordsBuilderTest`.

use super::*;
use crate::common::Headers;
use crate::record::{DecodedRecord, RecordBatch};

static NO_HEADERS: Headers = Headers::new();

/// A record of ten bytes at timestamp 0: seven numbers and three bytes of value.
const VALUE: Option<&[u8]> = Some(b"abc");
const RECORD_SIZE: usize = 10;

/// Methods of Java's builder that the producer does not need.
impl MemoryRecordsBuilder {
    /// Appends a record even if there is no room for it.
    pub(crate) fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> Result<(), RecordError> {
        let record = DefaultRecord::new(key, value, headers)?;
        self.check_appendable(timestamp)?;
        let place = self.place(timestamp, &record);
        self.write(&record, &place)?;
        self.appended(timestamp, place.size);
        Ok(())
    }

    fn has_room_for(
        &self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> bool {
        let record = DefaultRecord::new(key, value, headers).unwrap();
        !self.is_closed_for_appends()
            && self.has_room_for_bytes(self.place(timestamp, &record).size)
    }
}

fn try_append(
    builder: &mut MemoryRecordsBuilder,
    timestamp: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &Headers,
) -> Result<bool, RecordError> {
    let appended = builder.try_append(timestamp, &DefaultRecord::new(key, value, headers)?)?;
    Ok(appended.is_some())
}

fn plain(write_limit: usize) -> MemoryRecordsBuilder {
    let buffer = Vec::with_capacity(write_limit);
    MemoryRecordsBuilder::new(buffer, &Compression::none(), write_limit, 1.0)
}

/// Every codec of this build.
fn codecs() -> impl Iterator<Item = Compression> {
    CompressionType::ALL
        .into_iter()
        .filter_map(|kind| Compression::new(kind, None).ok())
}

fn any_codec() -> Option<Compression> {
    codecs().find(|compression| compression.kind != CompressionType::None)
}

fn records_of(batch: &ClosedBatch) -> Vec<DecodedRecord> {
    let bytes = batch.bytes.contiguous();
    let (batch, rest) = RecordBatch::parse(&bytes).unwrap();
    assert!(rest.is_empty());
    assert!(batch.is_crc_valid());
    batch.records(1 << 20).unwrap()
}

#[test]
fn an_empty_batch_cannot_be_closed() {
    // Java: MemoryRecordsBuilderTest.testWriteEmptyRecordSet.
    for compression in codecs() {
        let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 1024, 1.0);
        assert!(builder.is_empty());
        assert_eq!(builder.max_timestamp(), -1);
        assert_eq!(builder.estimated_size_in_bytes(), RECORD_BATCH_OVERHEAD);
        builder.close_for_record_appends().unwrap();
        assert_eq!(builder.estimated_size_in_bytes(), RECORD_BATCH_OVERHEAD);
        let error = builder.close(ProducerState::NONE).unwrap_err();
        assert_eq!(error, RecordError::Empty);
    }
}

#[test]
fn an_empty_stream_leaves_the_codec_fit_for_the_next() {
    for compression in codecs() {
        for _ in 0..2 {
            let mut empty = MemoryRecordsBuilder::new(Vec::new(), &compression, 1024, 1.0);
            empty.close_for_record_appends().unwrap();
            let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 1024, 1.0);
            builder.append(0, None, VALUE, &NO_HEADERS).unwrap();
            let batch = builder.close(ProducerState::NONE).unwrap();
            assert_eq!(records_of(&batch).len(), 1);
        }
    }
}

#[test]
fn producer_state_must_fit_together() {
    // Java: MemoryRecordsBuilderTest.testWriteTransactionalRecordSet, testWriteTransactionalNotAllowedMagicV0 (has no
    // counterpart), testWriteTransactionalWithInvalidPID, testWriteIdempotentWithInvalidEpoch,
    // testWriteIdempotentWithInvalidBaseSequence.
    let close = |producer_id, producer_epoch, base_sequence, is_transactional| {
        let mut builder = plain(1024);
        builder.append(0, None, VALUE, &NO_HEADERS).unwrap();
        builder.close(ProducerState {
            producer_id,
            producer_epoch,
            base_sequence,
            is_transactional,
        })
    };
    for state in [
        (-1, -1, -1, true),
        (9809, -1, 0, false),
        (9809, 5, -1, false),
        (9809, 5, -1, true),
    ] {
        let error = close(state.0, state.1, state.2, state.3).unwrap_err();
        assert!(matches!(error, RecordError::InvalidProducerState(_)));
    }

    let batch = close(9809, 15, 2342, true).unwrap();
    let bytes = batch.bytes.contiguous();
    let (batch, _) = RecordBatch::parse(&bytes).unwrap();
    assert!(batch.is_transactional());
    assert_eq!(batch.producer_id(), 9809);
    assert_eq!(batch.producer_epoch(), 15);
    assert_eq!(batch.base_sequence(), 2342);
}

#[test]
fn build_uses_the_first_and_the_newest_timestamp() {
    // Java: MemoryRecordsBuilderTest.buildUsingCreateTime.
    for compression in codecs() {
        let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 1024, 1.0);
        for timestamp in [5, 0, 9, 2] {
            builder.append(timestamp, None, VALUE, &NO_HEADERS).unwrap();
        }
        assert_eq!(builder.max_timestamp(), 9);
        let closed = builder.close(ProducerState::NONE).unwrap();
        let timestamps: Vec<_> = records_of(&closed).iter().map(|r| r.timestamp).collect();
        assert_eq!(timestamps, [5, 0, 9, 2]);
        let bytes = closed.bytes.contiguous();
        let (batch, _) = RecordBatch::parse(&bytes).unwrap();
        assert_eq!(batch.base_timestamp(), 5);
        assert_eq!(batch.max_timestamp(), 9);
    }
}

#[test]
fn a_batch_without_timestamps() {
    let mut builder = plain(1024);
    builder.append(-1, None, VALUE, &NO_HEADERS).unwrap();
    let closed = builder.close(ProducerState::NONE).unwrap();
    let bytes = closed.bytes.contiguous();
    let (batch, _) = RecordBatch::parse(&bytes).unwrap();
    assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (-1, -1));
    assert_eq!(records_of(&closed)[0].timestamp, -1);
}

#[test]
fn negative_timestamps_are_refused_and_change_nothing() {
    for compression in codecs() {
        let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 1024, 1.0);
        for timestamp in [-2, i64::MIN] {
            let expected = RecordError::InvalidTimestamp(timestamp);
            let result = builder.append(timestamp, None, VALUE, &NO_HEADERS);
            assert_eq!(result, Err(expected.clone()));
            let result = try_append(&mut builder, timestamp, None, VALUE, &NO_HEADERS);
            assert_eq!(result, Err(expected));
        }
        assert!(builder.is_empty());
        assert_eq!(builder.uncompressed_bytes, 0);
        builder.append(3, None, VALUE, &NO_HEADERS).unwrap();
        let closed = builder.close(ProducerState::NONE).unwrap();
        assert_eq!(records_of(&closed)[0].timestamp, 3);
    }
}

#[test]
fn the_estimated_size_grows_and_is_exact_after_close() {
    // Java: MemoryRecordsBuilderTest.testEstimatedSizeInBytes.
    for compression in codecs() {
        let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 4096, 1.0);
        let mut previous = 0;
        for _ in 0..10 {
            let size = builder.estimated_size_in_bytes();
            assert!(size > previous);
            previous = size;
            builder.append(0, None, VALUE, &NO_HEADERS).unwrap();
        }
        builder.close_for_record_appends().unwrap();
        let size = builder.estimated_size_in_bytes();
        let batch = builder.close(ProducerState::NONE).unwrap();
        assert_eq!(batch.bytes.len(), size);
    }
}

#[test]
fn without_compression_the_estimate_is_the_size() {
    let mut builder = plain(4096);
    let mut headers = Headers::new();
    headers.add("key", "value").add_null("null");
    for timestamp in 0..100 {
        builder
            .append(timestamp * 77, Some(b"k"), VALUE, &headers)
            .unwrap();
    }
    let estimated = builder.estimated_size_in_bytes();
    assert_eq!(
        estimated,
        RECORD_BATCH_OVERHEAD + builder.uncompressed_bytes
    );
    let batch = builder.close(ProducerState::NONE).unwrap();
    assert_eq!(batch.bytes.len(), estimated);
    assert_eq!(batch.uncompressed_bytes, estimated - RECORD_BATCH_OVERHEAD);
    assert_eq!(batch.compression_ratio, 1.0);
}

#[test]
fn close_returns_the_compression_ratio() {
    // Java: MemoryRecordsBuilderTest.testCompressionRate.
    for compression in codecs() {
        let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 1 << 20, 1.0);
        let value = [b'a'; 1000];
        for _ in 0..100 {
            builder.append(0, None, Some(&value), &NO_HEADERS).unwrap();
        }
        let batch = builder.close(ProducerState::NONE).unwrap();
        let payload = batch.bytes.len() - RECORD_BATCH_OVERHEAD;
        let ratio = payload as f32 / batch.uncompressed_bytes as f32;
        assert_eq!(batch.compression_ratio, ratio);
        assert_eq!(
            batch.compression_ratio < 0.5,
            compression.kind != CompressionType::None
        );
    }
}

#[test]
fn a_batch_takes_a_first_record_of_any_size() {
    // Java: MemoryRecordsBuilderTest.testSmallWriteLimit: a batch takes a first record of any size.
    for compression in codecs() {
        let mut builder =
            MemoryRecordsBuilder::new(Vec::new(), &compression, RECORD_BATCH_OVERHEAD, 1.0);
        assert!(!builder.is_full());
        assert!(builder.has_room_for(0, Some(b"foo"), VALUE, &NO_HEADERS));
        assert_eq!(
            try_append(&mut builder, 0, Some(b"foo"), VALUE, &NO_HEADERS),
            Ok(true)
        );
        assert!(builder.is_full());
        assert!(!builder.has_room_for(0, Some(b"foo"), VALUE, &NO_HEADERS));
        assert_eq!(
            try_append(&mut builder, 0, Some(b"foo"), VALUE, &NO_HEADERS),
            Ok(false)
        );
        let batch = builder.close(ProducerState::NONE).unwrap();
        let records = records_of(&batch);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].key.as_deref(), Some(&b"foo"[..]));
    }
}

#[test]
fn a_batch_past_its_limit_is_full_and_takes_more() {
    // Java: MemoryRecordsBuilderTest.writePastLimit.
    let mut builder = plain(64);
    for timestamp in 0..3 {
        builder
            .append(timestamp, Some(b"a"), Some(b"1"), &NO_HEADERS)
            .unwrap();
    }
    assert!(builder.is_full());
    let batch = builder.close(ProducerState::NONE).unwrap();
    assert_eq!(records_of(&batch).len(), 3);
}

#[test]
fn has_room_for_is_exact_to_the_byte() {
    // Java: MemoryRecordsBuilderTest.testHasRoomForMethod.
    let limit = RECORD_BATCH_OVERHEAD + 2 * RECORD_SIZE;
    let mut builder = plain(limit);
    assert!(try_append(&mut builder, 0, None, VALUE, &NO_HEADERS).unwrap());
    assert_eq!(builder.uncompressed_bytes, RECORD_SIZE);
    // Exact to the byte: the second record fills the batch, and one more byte would not fit.
    assert!(builder.has_room_for(0, None, VALUE, &NO_HEADERS));
    assert!(!builder.has_room_for(0, None, Some(b"abcd"), &NO_HEADERS));
    assert!(!builder.has_room_for(100, None, VALUE, &NO_HEADERS));
    assert!(!builder.is_full());
    assert!(try_append(&mut builder, 0, None, VALUE, &NO_HEADERS).unwrap());
    assert!(builder.is_full());
    assert!(!builder.has_room_for(0, None, None, &NO_HEADERS));
}

#[test]
fn has_room_for_counts_headers() {
    // Java: MemoryRecordsBuilderTest.testHasRoomForMethodWithHeaders.
    let mut builder = plain(RECORD_BATCH_OVERHEAD + 2 * RECORD_SIZE + 1);
    builder.append(0, None, VALUE, &NO_HEADERS).unwrap();
    let mut headers = Headers::new();
    headers.add("h", "v");
    assert!(builder.has_room_for(0, None, VALUE, &NO_HEADERS));
    assert!(!builder.has_room_for(0, None, VALUE, &headers));
}

#[test]
fn a_full_buffer_is_not_grown() {
    let limit = 16_384;
    let mut builder = plain(limit);
    while try_append(&mut builder, 0, None, Some(&[1; 100]), &NO_HEADERS).unwrap() {}
    let batch = builder.close(ProducerState::NONE).unwrap();
    assert!(batch.bytes.len() > limit - 110);
    let memory = batch.bytes.into_memory().next().unwrap();
    assert_eq!(memory.capacity(), limit);
}

#[test]
fn room_follows_the_estimated_ratio() {
    let Some(compression) = any_codec() else {
        return;
    };
    let filled = |ratio: f32| {
        let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 1061, ratio);
        while try_append(&mut builder, 0, None, VALUE, &NO_HEADERS).unwrap() {}
        builder.uncompressed_bytes
    };
    // 64 records of 10 bytes, and then of 11, whose offset takes two bytes. The estimate is raised
    // by 1.05 and the next record counts in full. So the last append is the last one with records *
    // ratio * 1.05 + 11 within 1000.
    assert_eq!(filled(1.0), 937 + 11);
    assert_eq!(filled(0.5), 1883 + 11);
}

/// Some records take the fast path and some do not.
fn headers_at(timestamp: i64) -> Headers {
    let mut headers = Headers::new();
    if timestamp % 3 == 0 {
        headers.add("key", "value");
    }
    headers
}

/// Fills a batch that has memory for one record, and adds what it lacks in chunks that double its
/// memory.
fn fill_by_chunks(compression: &Compression, limit: usize, value: &[u8]) -> ClosedBatch {
    let first = vec![7; 150 + value.len()];
    let first_len = first.len();
    let mut builder = MemoryRecordsBuilder::new(first, compression, limit, 0.5);
    builder.limit_memory(first_len);
    for timestamp in 0.. {
        let headers = headers_at(timestamp);
        let record = DefaultRecord::new(None, Some(value), &headers).unwrap();
        if builder.try_append(timestamp, &record).unwrap().is_some() {
            continue;
        }
        let Some(missing) = builder.missing_memory(timestamp, &record) else {
            break;
        };
        assert!(missing.least <= missing.most && missing.held + missing.most == limit);
        let size = missing.held.max(missing.least).min(missing.most);
        builder.add_chunk(Vec::with_capacity(size));
        let appended = builder.try_append(timestamp, &record).unwrap();
        assert!(appended.is_some(), "that was all it lacked");
    }
    builder.close(ProducerState::NONE).unwrap()
}

#[test]
fn a_batch_in_chunks_has_the_bytes_of_one_in_one_piece() {
    for compression in codecs() {
        for value in [&[b'v'; 100][..], &[b'v'; 3_000], b""] {
            let limit = 16_384;
            let chunked = fill_by_chunks(&compression, limit, value);
            let records = records_of(&chunked);
            let buffer = Vec::with_capacity(limit);
            let mut builder = MemoryRecordsBuilder::new(buffer, &compression, limit, 0.5);
            for record in &records {
                let value = record.value.as_deref();
                let headers = &record.headers;
                assert!(try_append(&mut builder, record.timestamp, None, value, headers).unwrap());
            }
            let timestamp = i64::try_from(records.len()).unwrap();
            let headers = headers_at(timestamp);
            let next = try_append(&mut builder, timestamp, None, Some(value), &headers);
            assert_eq!(next, Ok(false), "the whole one is full too");
            let whole = builder.close(ProducerState::NONE).unwrap();
            assert_eq!(chunked.bytes.contiguous(), whole.bytes.contiguous());
            assert_eq!(chunked.compression_ratio, whole.compression_ratio);
            let slices = chunked.bytes.slices().count();
            let memory: usize = chunked.bytes.into_memory().map(|m| m.capacity()).sum();
            if compression.kind == CompressionType::None {
                assert!(
                    slices > 1 && memory <= limit,
                    "{slices} slices, {memory} bytes"
                );
            }
        }
    }
}

#[test]
fn memory_is_missing_only_for_a_record_that_the_batch_would_take() {
    let mut builder = MemoryRecordsBuilder::new(vec![0; 100], &Compression::none(), 200, 1.0);
    builder.limit_memory(100);
    let large = DefaultRecord::new(None, Some(&[1; 90]), &NO_HEADERS).unwrap();
    assert_eq!(
        builder.missing_memory(0, &large),
        None,
        "it takes any first record"
    );
    builder
        .append(0, None, Some(&[1; 20]), &NO_HEADERS)
        .unwrap();
    let used = builder.estimated_size_in_bytes();
    // Seven numbers, two of which take two bytes.
    let missing = MissingMemory {
        least: used + 99 - 100,
        most: 100,
        held: 100,
    };
    assert_eq!(builder.missing_memory(0, &large), Some(missing));
    assert!(!builder.is_full(), "it is not full for want of memory");
    let too_large = DefaultRecord::new(None, Some(&[1; 150]), &NO_HEADERS).unwrap();
    assert_eq!(builder.missing_memory(0, &too_large), None);
    builder.close_for_record_appends().unwrap();
    assert_eq!(builder.missing_memory(0, &large), None);
}

#[test]
fn appends_after_close_for_record_appends() {
    // Java: MemoryRecordsBuilderTest.shouldThrowIllegalStateExceptionOnAppendWhenAborted and its relatives.
    for compression in codecs() {
        let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 1024, 1.0);
        builder.append(0, None, VALUE, &NO_HEADERS).unwrap();
        assert!(!builder.is_closed_for_appends());
        builder.close_for_record_appends().unwrap();
        builder.close_for_record_appends().unwrap();
        assert!(builder.is_closed_for_appends());
        assert!(builder.is_full());
        assert!(!builder.has_room_for(0, None, VALUE, &NO_HEADERS));
        assert_eq!(
            try_append(&mut builder, 0, None, VALUE, &NO_HEADERS),
            Ok(false)
        );
        assert_eq!(
            builder.append(0, None, VALUE, &NO_HEADERS),
            Err(RecordError::Closed)
        );
        let batch = builder.close(ProducerState::NONE).unwrap();
        assert_eq!(records_of(&batch).len(), 1);
    }
}

#[test]
fn a_failed_codec_fails_the_batch_for_good() {
    let mut builder = plain(1024);
    builder.append(0, None, VALUE, &NO_HEADERS).unwrap();
    let failure = CompressionError::TooLarge { limit: 0 };
    builder.records = Records::Failed(failure.clone());
    let expected = RecordError::Compression(failure.clone());
    assert!(builder.is_full());
    assert_eq!(
        try_append(&mut builder, 0, None, VALUE, &NO_HEADERS),
        Ok(false)
    );
    assert_eq!(
        builder.append(0, None, VALUE, &NO_HEADERS),
        Err(expected.clone())
    );
    assert_eq!(builder.close_for_record_appends(), Err(failure));
    assert_eq!(builder.close(ProducerState::NONE).unwrap_err(), expected);
}

#[test]
fn builders_are_send_and_compression_is_sync() {
    fn assert_send<T: Send>() {}
    assert_send::<MemoryRecordsBuilder>();
    fn assert_sync<T: Sync>() {}
    assert_sync::<Compression>();
}
