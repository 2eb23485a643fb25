//! Kafka's 128-bit ids, mainly of topics. Java: `Uuid`.

use std::fmt;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A 128-bit id. Its `Display` is Kafka's: 22 characters of URL-safe base64. The default is
/// [`Uuid::ZERO`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// All zero, which means "no id". Brokers without topic ids send it.
    pub const ZERO: Self = Self([0; 16]);

    /// Creates an id from its 16 bytes, most significant first.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Returns `true` if this is [`Uuid::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// Creates a random id (version 4) for tests and test brokers. The source is not cryptographic.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn random() -> Self {
        let mut bytes = fastrand::u128(..).to_be_bytes();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }
}

#[cfg(feature = "uuid")]
impl From<uuid::Uuid> for Uuid {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.into_bytes())
    }
}

#[cfg(feature = "uuid")]
impl From<Uuid> for uuid::Uuid {
    fn from(id: Uuid) -> Self {
        Self::from_bytes(id.0)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        // 21 characters carry six bits each, and the last one carries the remaining two.
        for index in 0..22 {
            let sextet = match index {
                21 => (bits << 4) & 0x3f,
                _ => (bits >> (122 - 6 * index)) & 0x3f,
            };
            let character = ALPHABET.get(sextet as usize).copied().unwrap_or(b'A');
            write!(f, "{}", char::from(character))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_kafka_does() {
        // Java: `new Uuid(0x0123456789abcdefL, 0xfedcba9876543210L)`, and ONE_UUID.
        let id = Uuid::from_bytes(0x0123456789abcdeffedcba9876543210u128.to_be_bytes());
        assert_eq!(id.to_string(), "ASNFZ4mrze_-3LqYdlQyEA");
        assert_eq!(
            Uuid::from_bytes(1u128.to_be_bytes()).to_string(),
            "AAAAAAAAAAAAAAAAAAAAAQ"
        );
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
    }

    #[test]
    fn random_ids_differ_and_are_not_zero() {
        let (a, b) = (Uuid::random(), Uuid::random());
        assert_ne!(a, b);
        assert!(!a.is_zero());
    }
}
