//! A record to send. Java: `ProducerRecord`.
//!
//! Differs from Java: fields are public and a record can be changed in place, because it has one
//! owner. `send` takes the record, so it cannot be changed afterwards.

use std::borrow::Cow;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Data, IntoData, RecordData};
use crate::common::Headers;
use crate::error::{Error, ErrorKind, Result};

/// The longest name of a topic. Java (broker): `Topic.MAX_NAME_LENGTH`.
const MAX_TOPIC_LENGTH: usize = 249;

/// A topic, a value, and optionally key, partition, timestamp and headers. It borrows data that is
/// given by reference, so a record of `&str` and `&[u8]` allocates nothing.
///
/// Keys and values of the plain producer are bytes, or anything that can be borrowed as bytes:
///
/// ```
/// use kafka_producer::ProducerRecord;
///
/// # fn send(_: ProducerRecord<'_>) {}
/// # let (name, payload) = (String::from("k"), vec![1u8, 2]);
/// # let maybe: Option<&str> = None;
/// send(ProducerRecord::new("orders", "text"));
/// send(ProducerRecord::new("orders", b"bytes").key("key"));
/// send(ProducerRecord::new("orders", &payload).key(&name).partition(3));
/// send(ProducerRecord::new("orders", payload).key(name).timestamp(1_700_000_000_000));
/// send(ProducerRecord::new("orders", maybe).header("trace", "1"));
/// send(ProducerRecord::tombstone("orders").key([1u8, 2]));
/// ```
///
/// With another serializer, `K` and `V` are the types that the serializer takes, by reference or by
/// value:
///
/// ```
/// # use kafka_producer::ProducerRecord;
/// # struct Order;
/// # fn send(_: ProducerRecord<'_, i32, Order>) {}
/// # let order = Order;
/// send(ProducerRecord::new("orders", &order).key(7));
/// send(ProducerRecord::new("orders", Order).key(&7));
/// ```
#[non_exhaustive]
pub struct ProducerRecord<'a, K: RecordData + ?Sized = [u8], V: RecordData + ?Sized = [u8]> {
    /// The topic's name.
    pub topic: Cow<'a, str>,
    /// The partition, or `None` for the one that the partitioner chooses.
    pub partition: Option<i32>,
    /// Milliseconds since 1970, or `None` for the time of the send. A topic with
    /// `message.timestamp.type=LogAppendTime` replaces it by the broker's time.
    pub timestamp: Option<i64>,
    /// The headers, in order.
    pub headers: Headers,
    /// The key. Records with the same key go to the same partition while the number of partitions
    /// stays the same.
    pub key: Data<'a, K>,
    /// The value. Null is a tombstone, which deletes the key from a compacted topic.
    pub value: Data<'a, V>,
}

impl<'a, K: RecordData + ?Sized, V: RecordData + ?Sized> ProducerRecord<'a, K, V> {
    /// Creates a record without a key. `send` chooses the partition and the timestamp.
    pub fn new(topic: impl Into<Cow<'a, str>>, value: impl IntoData<'a, V>) -> Self {
        Self {
            topic: topic.into(),
            partition: None,
            timestamp: None,
            headers: Headers::new(),
            key: Data::Null,
            value: value.into_data(),
        }
    }

    /// Creates a record whose value is null. With a [`key`](Self::key), it deletes that key from a
    /// compacted topic.
    pub fn tombstone(topic: impl Into<Cow<'a, str>>) -> Self {
        Self::new(topic, Data::Null)
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl IntoData<'a, K>) -> Self {
        self.key = key.into_data();
        self
    }

    /// Sets the partition. With `None` the partitioner chooses it.
    #[must_use]
    pub fn partition(mut self, partition: impl Into<Option<i32>>) -> Self {
        self.partition = partition.into();
        self
    }

    /// Sets the timestamp: milliseconds since 1970, or a [`SystemTime`].
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl IntoTimestamp) -> Self {
        self.timestamp = timestamp.into_timestamp();
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.add(key, value);
        self
    }

    /// Replaces the headers: a [`Headers`], or pairs of key and value.
    ///
    /// ```
    /// # use kafka_producer::ProducerRecord;
    /// # let _: ProducerRecord<'_> =
    /// ProducerRecord::new("orders", "v").headers([("trace", "1"), ("tenant", "a")]);
    /// ```
    #[must_use]
    pub fn headers(mut self, headers: impl Into<Headers>) -> Self {
        self.headers = headers.into();
        self
    }

    /// Returns an equal record that borrows from this one. Copies only the headers.
    pub fn reborrow(&self) -> ProducerRecord<'_, K, V> {
        ProducerRecord {
            topic: Cow::Borrowed(&self.topic),
            partition: self.partition,
            timestamp: self.timestamp,
            headers: self.headers.clone(),
            key: self.key.reborrow(),
            value: self.value.reborrow(),
        }
    }

    /// Refuses records that can never be sent. The broker decides whether the topic's name is
    /// legal.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::IllegalArgument`] for a negative partition or timestamp,
    /// [`ErrorKind::InvalidTopic`] for a topic without a name.
    pub(crate) fn validate(&self) -> Result<()> {
        let negative = |what: &str, number: i64| {
            let message = format!("the record's {what} is {number}, and cannot be negative");
            Err(Error::new(ErrorKind::IllegalArgument, message))
        };
        match (self.partition, self.timestamp) {
            (Some(partition @ ..=-1), _) => negative("partition", partition.into()),
            (_, Some(timestamp @ ..=-1)) => negative("timestamp", timestamp),
            _ => check_topic(&self.topic),
        }
    }
}

/// Refuses topic names whose length no broker accepts. A name too long for the protocol would block
/// metadata requests for all other topics. Brokers apply the other rules, as in Java.
pub(crate) fn check_topic(topic: &str) -> Result<()> {
    let text = match topic.len() {
        0 => "the topic is empty: a topic needs a name".to_owned(),
        1..=MAX_TOPIC_LENGTH => return Ok(()),
        length => {
            format!("the topic's name has {length} bytes, which is more than {MAX_TOPIC_LENGTH}")
        }
    };
    Err(Error::new(ErrorKind::InvalidTopic, text))
}

impl<K, V> Clone for ProducerRecord<'_, K, V>
where
    K: RecordData<Owned: Clone> + ?Sized,
    V: RecordData<Owned: Clone> + ?Sized,
{
    fn clone(&self) -> Self {
        Self {
            topic: self.topic.clone(),
            partition: self.partition,
            timestamp: self.timestamp,
            headers: self.headers.clone(),
            key: self.key.clone(),
            value: self.value.clone(),
        }
    }
}

impl<K, V> PartialEq for ProducerRecord<'_, K, V>
where
    K: RecordData + PartialEq + ?Sized,
    V: RecordData + PartialEq + ?Sized,
{
    fn eq(&self, other: &Self) -> bool {
        self.topic == other.topic
            && self.partition == other.partition
            && self.timestamp == other.timestamp
            && self.headers == other.headers
            && self.key == other.key
            && self.value == other.value
    }
}

impl<K, V> fmt::Debug for ProducerRecord<'_, K, V>
where
    K: RecordData + fmt::Debug + ?Sized,
    V: RecordData + fmt::Debug + ?Sized,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerRecord")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("timestamp", &self.timestamp)
            .field("headers", &self.headers)
            .field("key", &self.key)
            .field("value", &self.value)
            .finish()
    }
}

/// The timestamp of a record: milliseconds since 1970, a [`SystemTime`], or an `Option` of these.
/// `None` is the time of the send.
///
/// A time before 1970 is negative, and `send` refuses it.
pub trait IntoTimestamp {
    /// Returns the time in milliseconds since 1970, rounded down.
    fn into_timestamp(self) -> Option<i64>;
}

impl IntoTimestamp for i64 {
    fn into_timestamp(self) -> Option<i64> {
        Some(self)
    }
}

impl IntoTimestamp for SystemTime {
    fn into_timestamp(self) -> Option<i64> {
        let millis = match self.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => {
                let nanos = before.duration().as_nanos();
                i64::try_from(nanos.div_ceil(1_000_000)).map_or(i64::MIN, |millis| -millis)
            }
        };
        Some(millis)
    }
}

impl<T: IntoTimestamp> IntoTimestamp for Option<T> {
    fn into_timestamp(self) -> Option<i64> {
        self.and_then(T::into_timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_has_a_null_value() {
        let tombstone: ProducerRecord<'_, str, i32> = ProducerRecord::tombstone("t").key("k");
        assert!(tombstone.value.is_null());
        assert_eq!(tombstone.key.as_ref(), Some("k"));
    }

    #[test]
    fn numbers_and_own_types_go_by_value_and_by_reference() {
        struct Order(i32);
        let by_value: ProducerRecord<'_, i32, Order> = ProducerRecord::new("t", Order(1)).key(7);
        let order = Order(1);
        let by_reference: ProducerRecord<'_, i32, Order> =
            ProducerRecord::new("t", Some(&order)).key(Some(7));
        assert_eq!(by_value.key, by_reference.key);
        assert_eq!(by_reference.value.as_ref().map(|order| order.0), Some(1));
        assert_eq!(by_value.value.as_ref().map(|order| order.0), Some(1));
    }

    // Java: ProducerRecordTest.testInvalidRecords.
    #[test]
    fn validate_refuses_invalid_records() {
        let refused = |record: ProducerRecord<'_>| {
            let error = record.validate().unwrap_err();
            (error.kind(), error.to_string())
        };
        let (kind, text) = refused(ProducerRecord::new("t", "v").partition(-2));
        assert_eq!(kind, ErrorKind::IllegalArgument);
        assert!(text.contains("partition is -2"), "{text}");
        let (kind, text) = refused(ProducerRecord::new("t", "v").timestamp(-5));
        assert_eq!(kind, ErrorKind::IllegalArgument);
        assert!(text.contains("timestamp is -5"), "{text}");
        assert_eq!(
            refused(ProducerRecord::new("", "v")).0,
            ErrorKind::InvalidTopic
        );
        let record: ProducerRecord<'_> = ProducerRecord::new("t", "v");
        record.partition(0).timestamp(0).validate().unwrap();
    }

    // Java: ProducerRecordTest.testEqualsAndHashCode.
    #[test]
    fn equal_when_every_field_is() {
        let record = || -> ProducerRecord<'_> {
            ProducerRecord::new("t", "v")
                .key("k")
                .partition(1)
                .timestamp(9)
        };
        assert_eq!(record(), record());
        assert_eq!(record(), record().reborrow());
        assert_eq!(record(), record().clone().key(String::from("k")));
        for other in [
            record().key("other"),
            record().key(None::<&str>),
            record().partition(None),
            record().timestamp(10),
            record().header("h", "v"),
            ProducerRecord {
                topic: "u".into(),
                ..record()
            },
            ProducerRecord {
                value: Data::Null,
                ..record()
            },
        ] {
            assert_ne!(record(), other);
        }
    }

    #[test]
    fn a_system_time_is_rounded_down_to_milliseconds() {
        use std::time::Duration;
        let millis = |time: SystemTime| time.into_timestamp();
        assert_eq!(millis(UNIX_EPOCH), Some(0));
        assert_eq!(millis(UNIX_EPOCH + Duration::from_micros(1_999)), Some(1));
        assert_eq!(millis(UNIX_EPOCH - Duration::from_micros(1)), Some(-1));
        let unset: ProducerRecord<'_> = ProducerRecord::new("t", "v").timestamp(None::<SystemTime>);
        assert_eq!(unset.timestamp, None);
    }

    #[test]
    fn pairs_become_headers_in_their_order() {
        let record: ProducerRecord<'_> =
            ProducerRecord::new("t", "v").headers([("a", "1"), ("b", "2")]);
        let mut expected = Headers::new();
        expected.add("a", "1").add("b", "2");
        assert_eq!(record.headers, expected);
        let pairs = vec![
            (String::from("a"), vec![b'1']),
            (String::from("b"), vec![b'2']),
        ];
        assert_eq!(Headers::from(pairs.clone()), expected);
        assert_eq!(pairs.into_iter().collect::<Headers>(), expected);
    }

    #[test]
    fn debug_prints_null_and_data() {
        let record: ProducerRecord<'_, str, str> = ProducerRecord::tombstone("t").key("k");
        let printed = format!("{record:?}");
        assert!(printed.contains("key: \"k\", value: null"), "{printed}");
    }
}
