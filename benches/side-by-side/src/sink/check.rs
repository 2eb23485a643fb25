//! With `--check`: every batch has the right checksum, and follows the one before it.

use std::collections::HashMap;
use std::sync::Mutex;

/// The next sequence of each producer in each partition.
#[derive(Default)]
pub(super) struct Check {
    sequences: Mutex<HashMap<Key, i32>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    topic: Vec<u8>,
    partition: i32,
    producer_id: i64,
    epoch: i16,
}

impl Check {
    pub(super) fn batch(&self, topic: &[u8], partition: i32, batch: &[u8]) -> Result<(), String> {
        let length = i32_at(batch, 8) as usize + 12;
        if length != batch.len() {
            return Err(format!("{length} bytes in a field of {}", batch.len()));
        }
        let (crc, right) = (i32_at(batch, 17) as u32, crc32c::crc32c(&batch[21..]));
        if crc != right {
            return Err(format!("the CRC is {crc:x} instead of {right:x}"));
        }
        let count = i32_at(batch, 57);
        let producer_id = i64::from(i32_at(batch, 43)) << 32 | i64::from(i32_at(batch, 47) as u32);
        if producer_id < 0 {
            return Ok(());
        }
        let key = Key {
            topic: topic.to_vec(),
            partition,
            producer_id,
            epoch: i16::from_be_bytes([batch[51], batch[52]]),
        };
        let mut sequences = self.sequences.lock().map_err(|error| error.to_string())?;
        let next = sequences.entry(key).or_insert(0);
        let (expected, found) = (*next, i32_at(batch, 53));
        // Java counts from zero again after the largest one.
        *next = (i64::from(found) + i64::from(count)).rem_euclid(1 << 31) as i32;
        if found == expected {
            Ok(())
        } else {
            Err(format!("sequence {found} instead of {expected}"))
        }
    }
}

fn i32_at(bytes: &[u8], index: usize) -> i32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[index..index + 4]);
    i32::from_be_bytes(field)
}
