//! Chooses the partition of a key. Java: `kafka.producer.Partitioner`, `DefaultPartitioner`,
//! `ByteArrayPartitioner`.

use std::borrow::Cow;

use crate::sync::Arc;

/// Chooses a partition by the partition key of a message.
///
/// The producer calls it on one thread at a time: the caller in sync mode, the send thread in async
/// mode. It is not called for a message without a partition key.
pub trait Partitioner<K: ?Sized>: Send {
    /// Returns a number from 0 to `num_partitions` - 1. Any other number fails the messages of the
    /// call, and the producer retries them.
    fn partition(&mut self, key: &K, num_partitions: i32) -> i32;
}

/// The value of Java's `hashCode`, so that keys go to the same partitions as with the Scala
/// producer.
///
/// Text has the hash code of `String`, and numbers have that of `Integer` and `Long`. Bytes have
/// that of `Arrays.hashCode`, because the hash code of a Java array is its address.
pub trait HashCode {
    /// Returns the hash code.
    fn hash_code(&self) -> i32;
}

fn string_hash_code(text: &str) -> i32 {
    let step = |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    text.encode_utf16().fold(0, step)
}

fn array_hash_code(bytes: &[u8]) -> i32 {
    let step = |hash: i32, byte: &u8| {
        let byte = i32::from(i8::from_ne_bytes([*byte]));
        hash.wrapping_mul(31).wrapping_add(byte)
    };
    bytes.iter().fold(1, step)
}

macro_rules! hash_codes {
    ($($type:ty => $code:expr;)*) => {
        $(impl HashCode for $type {
            fn hash_code(&self) -> i32 {
                let code: fn(&Self) -> i32 = $code;
                code(self)
            }
        })*
    };
}

hash_codes! {
    str => |text| string_hash_code(text);
    String => |text| string_hash_code(text);
    Box<str> => |text| string_hash_code(text);
    Arc<str> => |text| string_hash_code(text);
    Cow<'_, str> => |text| string_hash_code(text);
    [u8] => |bytes| array_hash_code(bytes);
    Vec<u8> => |bytes| array_hash_code(bytes);
    Box<[u8]> => |bytes| array_hash_code(bytes);
    Arc<[u8]> => |bytes| array_hash_code(bytes);
    Cow<'_, [u8]> => |bytes| array_hash_code(bytes);
    i8 => |number| i32::from(*number);
    i16 => |number| i32::from(*number);
    i32 => |number| *number;
    i64 => |number| {
        // The low half of the number, xor its high half.
        let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
        i32::from_be_bytes([a, b, c, d]) ^ i32::from_be_bytes([e, f, g, h])
    };
    bool => |value| if *value { 1231 } else { 1237 };
}

impl<const N: usize> HashCode for [u8; N] {
    fn hash_code(&self) -> i32 {
        array_hash_code(self)
    }
}

impl<T: HashCode + ?Sized> HashCode for &T {
    fn hash_code(&self) -> i32 {
        (**self).hash_code()
    }
}

/// Chooses by the hash code of the key: `abs(key.hashCode) % numPartitions`.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a value without parts")]
pub struct DefaultPartitioner;

impl<K: HashCode + ?Sized> Partitioner<K> for DefaultPartitioner {
    fn partition(&mut self, key: &K, num_partitions: i32) -> i32 {
        remainder(key.hash_code(), num_partitions)
    }
}

/// Chooses by the contents of the key: `abs(Arrays.hashCode(key)) % numPartitions`.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a value without parts")]
pub struct ByteArrayPartitioner;

impl<K: AsRef<[u8]> + ?Sized> Partitioner<K> for ByteArrayPartitioner {
    fn partition(&mut self, key: &K, num_partitions: i32) -> i32 {
        remainder(array_hash_code(key.as_ref()), num_partitions)
    }
}

/// Java: `Utils.abs`, which clears the sign bit, and `%`.
fn remainder(hash_code: i32, num_partitions: i32) -> i32 {
    (hash_code & i32::MAX)
        .checked_rem(num_partitions)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Follows the definitions in Java's documentation. The third is a well-known text with this
    // hash code.
    #[test]
    fn hash_codes_are_those_of_java() {
        assert_eq!("".hash_code(), 0);
        assert_eq!("abc".hash_code(), 96_354);
        assert_eq!("polygenelubricants".hash_code(), i32::MIN);
        assert_eq!("\u{e4}\u{1f600}".to_owned().hash_code(), 1_992_007);
        assert_eq!([1u8, 2].hash_code(), 994);
        assert_eq!(vec![255u8].hash_code(), 30);
        assert_eq!(5_000_000_000i64.hash_code(), 705_032_705);
        assert_eq!((-1i64).hash_code(), 0);
        assert_eq!((-7i32).hash_code(), -7);
        assert_eq!(true.hash_code(), 1231);
    }

    #[test]
    fn partitioners_clear_the_sign_and_take_the_remainder() {
        let mut default = DefaultPartitioner;
        assert_eq!(default.partition("abc", 7), 96_354 % 7);
        assert_eq!(default.partition("polygenelubricants", 7), 0);
        assert_eq!(default.partition(&-1i32, 7), i32::MAX % 7);
        let mut bytes = ByteArrayPartitioner;
        assert_eq!(bytes.partition(&[1u8, 2], 10), 4);
        // Hashes the contents of the text, not its hash code.
        assert_eq!(bytes.partition("a", 1000), 31 + 97);
    }
}
