//! A topic, key and value. Java: `kafka.producer.KeyedMessage`.

use std::fmt;

/// A message to send: a topic, an optional key, and a value.
///
/// If there is a partition key, the partitioner uses it instead of the key. It is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "Java: a case class of these four fields"
)]
pub struct KeyedMessage<K, V> {
    /// The topic to write to.
    pub topic: String,
    /// The key that is stored with the message.
    pub key: Option<K>,
    /// The key for the partitioner, instead of `key`. Java: `partKey`.
    pub part_key: Option<K>,
    /// The value. `None` is null, which deletes the key from a compacted topic.
    pub message: Option<V>,
}

impl<K, V> KeyedMessage<K, V> {
    /// Creates a message without a key.
    pub fn new(topic: impl Into<String>, message: V) -> Self {
        Self {
            topic: topic.into(),
            key: None,
            part_key: None,
            message: Some(message),
        }
    }

    /// Creates a message with a null value, which deletes `key` from a compacted topic.
    pub fn tombstone(topic: impl Into<String>, key: K) -> Self {
        Self {
            topic: topic.into(),
            key: Some(key),
            part_key: None,
            message: None,
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: K) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the partition key.
    #[must_use]
    pub fn part_key(mut self, part_key: K) -> Self {
        self.part_key = Some(part_key);
        self
    }

    /// Returns the key that determines the partition: the partition key if set, and otherwise the
    /// key.
    pub fn partition_key(&self) -> Option<&K> {
        self.part_key.as_ref().or(self.key.as_ref())
    }

    /// Returns whether the message has a key.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Formats the message for errors and log lines: its topic and nothing of its contents.
    pub(crate) fn label(&self) -> impl fmt::Display + '_ {
        Label(&self.topic)
    }
}

struct Label<'a>(&'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedMessage({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_key_wins_over_the_key_and_is_not_the_key() {
        let plain = KeyedMessage::<&str, _>::new("orders", 1);
        assert!(!plain.has_key() && plain.partition_key().is_none());
        let keyed = plain.key("k");
        assert!(keyed.has_key());
        assert_eq!(keyed.partition_key(), Some(&"k"));
        let both = keyed.part_key("p");
        assert_eq!((both.key, both.partition_key()), (Some("k"), Some(&"p")));
        let placed = KeyedMessage::new("orders", 1).part_key("p");
        assert!(!placed.has_key() && placed.partition_key() == Some(&"p"));
        let gone = KeyedMessage::<_, u8>::tombstone("orders", "k");
        assert_eq!((gone.key, gone.message), (Some("k"), None));
    }
}
