//! The hash that chooses the partition of a key. Java: `Utils.murmur2`.

use byteorder::{ByteOrder, LittleEndian};

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// Returns the 32-bit murmur2 hash with Kafka's seed, as a signed number like Java's.
pub(crate) fn murmur2(data: &[u8]) -> i32 {
    // Java has an int for the length. A longer key does not fit into a record.
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut h = SEED ^ length;

    let mut blocks = data.chunks_exact(4);
    for block in &mut blocks {
        let mut k = LittleEndian::read_u32(block).wrapping_mul(M);
        k ^= k >> R;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let tail = blocks.remainder();
    if !tail.is_empty() {
        for (index, &byte) in tail.iter().enumerate() {
            h ^= u32::from(byte) << (8 * index);
        }
        h = h.wrapping_mul(M);
    }

    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^= h >> 15;
    i32::from_ne_bytes(h.to_ne_bytes())
}

/// Clears the sign bit, as Kafka does before it takes the remainder of a hash. Java:
/// `Utils.toPositive`.
pub(crate) fn to_positive(number: i32) -> i32 {
    number & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_match_javas() {
        // Java: UtilsTest.testMurmur2.
        for (key, hash) in [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58897971,
            ),
            ("abc", 479470107),
            ("", 275646681),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
        assert_eq!(to_positive(-1), i32::MAX);
    }

    #[test]
    fn keys_go_to_the_partition_that_java_chooses() {
        let table = include_str!("../../tests/data/murmur2-partitions.tsv");
        let mut checked = 0;
        for line in table.lines() {
            let mut columns = line.rsplitn(3, '\t');
            let partition: i32 = columns.next().unwrap().parse().unwrap();
            let partitions: i32 = columns.next().unwrap().parse().unwrap();
            let key = columns.next().unwrap();
            assert_eq!(
                to_positive(murmur2(key.as_bytes())) % partitions,
                partition,
                "{key}"
            );
            checked += 1;
        }
        assert_eq!(checked, 400);
    }
}
