//! The log of a partition, as Fetch returns it.

use std::net::SocketAddr;
use std::time::Duration;

use super::raw_batch::RawBatch;
use super::raw_producer::Identity;
use super::wait_until;
use super::wire::{Api, Body, Cursor, exchange};

const ANSWER_LIMIT: Duration = Duration::from_secs(60);

const FETCH: Api = Api {
    key: 1,
    version: 4,
    flexible: false,
};

/// A batch in a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LoggedBatch {
    pub(crate) base_offset: i64,
    /// The offset after its last record.
    pub(crate) next_offset: i64,
    pub(crate) identity: Identity,
    pub(crate) base_sequence: i32,
    pub(crate) is_transactional: bool,
    pub(crate) content: LoggedContent,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum LoggedContent {
    /// The timestamp and the value of each record.
    Records(Vec<(i64, Vec<u8>)>),
    /// The end of a transaction.
    Marker { is_commit: bool },
}

/// A response to Fetch for one partition.
struct Fetched {
    batches: Vec<LoggedBatch>,
    high_watermark: i64,
    stable_offset: i64,
}

/// Returns the batches of a partition of the only node from `offset` on, and the last stable
/// offset.
pub(crate) fn fetch_log(
    address: SocketAddr,
    partition: (&str, i32),
    offset: i64,
) -> (Vec<LoggedBatch>, i64) {
    let (mut batches, mut next) = (Vec::new(), offset);
    // A broker may return fewer batches than fit.
    let stable_offset = wait_until("end of the log", ANSWER_LIMIT, || {
        let fetched = fetch(address, partition, next);
        next = fetched.batches.last().map_or(next, |last| last.next_offset);
        batches.extend(fetched.batches);
        (next >= fetched.high_watermark).then_some(fetched.stable_offset)
    });
    (batches, stable_offset)
}

fn fetch(address: SocketAddr, (topic, partition): (&str, i32), offset: i64) -> Fetched {
    const READ_UNCOMMITTED: i8 = 0;
    const MAX_BYTES: i32 = 16 << 20;
    const NO_REPLICA: i32 = -1;
    let (max_wait_ms, min_bytes) = (0, 0);
    let mut body = Body::new();
    body.i32(NO_REPLICA).i32(max_wait_ms).i32(min_bytes);
    body.i32(MAX_BYTES).i8(READ_UNCOMMITTED);
    body.array(&[topic], |body, topic| {
        body.string(topic);
        body.array(&[partition], |body, partition| {
            body.i32(*partition).i64(offset).i32(MAX_BYTES);
        });
    });
    let answer = exchange(address, FETCH, &body).expect("a response to Fetch");
    parse_fetch(&answer).unwrap_or_else(|| panic!("a response to Fetch that cannot be read"))
}

fn parse_fetch(answer: &[u8]) -> Option<Fetched> {
    let mut answer = Cursor(answer);
    let _throttle_time_ms = answer.i32()?;
    let topics = answer.array(|answer| {
        answer.string()?;
        answer.array(|answer| {
            let (_partition, code) = (answer.i32()?, answer.i16()?);
            assert_eq!(code, 0, "Fetch is refused");
            let (high_watermark, stable_offset) = (answer.i64()?, answer.i64()?);
            answer.array(|aborted| Some((aborted.i64()?, aborted.i64()?)))?;
            let length = usize::try_from(answer.i32()?).unwrap_or(0);
            let mut records = Cursor(answer.bytes(length)?);
            let mut batches = Vec::new();
            while !records.0.is_empty() {
                batches.push(parse_batch(&mut records)?);
            }
            Some(Fetched {
                batches,
                high_watermark,
                stable_offset,
            })
        })
    })?;
    topics.into_iter().flatten().next()
}

/// Parses a batch without compression.
fn parse_batch(records: &mut Cursor<'_>) -> Option<LoggedBatch> {
    const IS_CONTROL: i16 = 1 << 5;
    const COMMIT: i16 = 1;
    let base_offset = records.i64()?;
    let length = usize::try_from(records.i32()?).ok()?;
    let mut batch = Cursor(records.bytes(length)?);
    let (_leader_epoch, _magic, _crc) = (batch.i32()?, batch.i8()?, batch.i32()?);
    let attributes = batch.i16()?;
    let last_offset_delta = batch.i32()?;
    let (base_timestamp, _max_timestamp) = (batch.i64()?, batch.i64()?);
    let identity = Identity {
        producer_id: batch.i64()?,
        epoch: batch.i16()?,
    };
    let base_sequence = batch.i32()?;
    let records = batch.array(|batch| parse_record(batch, base_timestamp))?;
    let content = if attributes & IS_CONTROL == 0 {
        let records = records.into_iter();
        LoggedContent::Records(records.map(|(time, _, value)| (time, value)).collect())
    } else {
        // The key is a version and a type.
        let (_, key, _) = records.first()?;
        let mut key = Cursor(key);
        let (_version, kind) = (key.i16()?, key.i16()?);
        LoggedContent::Marker {
            is_commit: kind == COMMIT,
        }
    };
    Some(LoggedBatch {
        base_offset,
        next_offset: base_offset + i64::from(last_offset_delta) + 1,
        identity,
        base_sequence,
        is_transactional: attributes & RawBatch::IS_TRANSACTIONAL != 0,
        content,
    })
}

/// Returns the timestamp, the key and the value. Null is returned as empty.
fn parse_record(batch: &mut Cursor<'_>, base_timestamp: i64) -> Option<(i64, Vec<u8>, Vec<u8>)> {
    let length = usize::try_from(batch.varint()?).ok()?;
    let mut record = Cursor(batch.bytes(length)?);
    let _attributes = record.i8()?;
    let timestamp = base_timestamp.wrapping_add(record.varint()?);
    let _offset_delta = record.varint()?;
    let mut bytes = || {
        let length = usize::try_from(record.varint()?).unwrap_or(0);
        Some(record.bytes(length)?.to_vec())
    };
    Some((timestamp, bytes()?, bytes()?))
}
