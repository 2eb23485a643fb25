//! A record batch that is built field by field.

use super::raw_producer::Identity;
use super::wire::Body;

/// A record batch of format 2. Every record has the value `v`.
#[derive(Clone, Debug)]
pub(crate) struct RawBatch {
    pub(crate) identity: Identity,
    pub(crate) sequence: i32,
    pub(crate) attributes: i16,
    /// One for each record.
    pub(crate) timestamps: Vec<i64>,
    /// Whether the records have the key `k`. Otherwise their key is null.
    pub(crate) has_keys: bool,
    /// The size of each value.
    pub(crate) value_size: usize,
}

impl RawBatch {
    pub(crate) const IS_TRANSACTIONAL: i16 = 1 << 4;

    /// One record in a transaction.
    pub(crate) fn transactional(identity: Identity, sequence: i32) -> Self {
        Self {
            identity,
            sequence,
            attributes: Self::IS_TRANSACTIONAL,
            timestamps: vec![1_700_000_000_000],
            has_keys: false,
            value_size: 1,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let count = self.timestamps.len() as i32;
        let base_timestamp = self.timestamps.first().copied().unwrap_or(-1);
        let max_timestamp = self.timestamps.iter().copied().max().unwrap_or(-1);
        let mut checked = Body::new();
        checked.i16(self.attributes).i32(count - 1);
        checked.i64(base_timestamp).i64(max_timestamp);
        checked.i64(self.identity.producer_id);
        checked.i16(self.identity.epoch);
        checked.i32(self.sequence).i32(count);
        for (offset_delta, timestamp) in (0..).zip(&self.timestamps) {
            let record = self.record(offset_delta, timestamp.wrapping_sub(base_timestamp));
            checked.varint(record.len() as i64);
            checked.bytes(&record);
        }
        let checked = checked.into_bytes();

        let mut batch = Body::new();
        let (base_offset, leader_epoch, magic) = (0, -1, 2);
        // What follows the length: leader epoch, magic, checksum.
        batch.i64(base_offset).i32(checked.len() as i32 + 9);
        batch.i32(leader_epoch).i8(magic);
        batch.i32(crc32c::crc32c(&checked) as i32);
        batch.bytes(&checked);
        batch.into_bytes()
    }

    fn record(&self, offset_delta: i64, timestamp_delta: i64) -> Vec<u8> {
        let mut record = Body::new();
        let attributes = 0;
        record.i8(attributes);
        record.varint(timestamp_delta);
        record.varint(offset_delta);
        if self.has_keys {
            record.varint(1);
            record.bytes(b"k");
        } else {
            record.varint(-1);
        }
        record.varint(self.value_size as i64);
        record.bytes(&vec![b'v'; self.value_size]);
        let headers = 0;
        record.varint(headers);
        record.into_bytes()
    }
}
