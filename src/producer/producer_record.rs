//! What is sent. Java: `ProducerRecord`.
//!
//! Differs from Java: fields are public and a record is changed in place, because a record is owned by whoever holds it
//! and nobody else can see the change; `send` takes it, so that it cannot be changed afterwards.

use std::borrow::{Borrow, Cow};
use std::fmt;

use crate::common::Headers;
use crate::error::{Error, ErrorKind, Result};

/// Java (broker): `Topic.MAX_NAME_LENGTH`.
const MAX_TOPIC_LENGTH: usize = 249;

/// A topic, a value, and what else there is to say of a record. Borrows what it is given by reference, so that making
/// one of `&str` and `&[u8]` allocates nothing.
///
/// Keys and values of the plain producer are bytes, and everything that can be seen as bytes will do:
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
/// With a serializer of another type, `K` and `V` are what that serializer takes, by reference or by value:
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
    /// Milliseconds since 1970, or `None` for the moment of the send. A topic with
    /// `message.timestamp.type=LogAppendTime` puts the broker's time in its place.
    pub timestamp: Option<i64>,
    /// The headers, in order.
    pub headers: Headers,
    /// The key. Records with the same key go to the same partition, as long as the topic's partitions do not change.
    pub key: Data<'a, K>,
    /// The value; null is a tombstone, which deletes the key from a compacted topic.
    pub value: Data<'a, V>,
}

impl<'a, K: RecordData + ?Sized, V: RecordData + ?Sized> ProducerRecord<'a, K, V> {
    /// A record without a key, for a partition and with a time that `send` chooses.
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

    /// A record whose value is null. With a [`key`](Self::key), it deletes that key from a compacted topic.
    pub fn tombstone(topic: impl Into<Cow<'a, str>>) -> Self {
        Self::new(topic, Data::Null)
    }

    /// This record, with a key.
    #[must_use]
    pub fn key(mut self, key: impl IntoData<'a, K>) -> Self {
        self.key = key.into_data();
        self
    }

    /// This record, for a given partition, or with `None` for the one that the partitioner chooses.
    #[must_use]
    pub fn partition(mut self, partition: impl Into<Option<i32>>) -> Self {
        self.partition = partition.into();
        self
    }

    /// This record, with a time of its own: milliseconds since 1970.
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl Into<Option<i64>>) -> Self {
        self.timestamp = timestamp.into();
        self
    }

    /// This record, with one header more.
    #[must_use]
    pub fn header(mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.add(key, value);
        self
    }

    /// This record, with these headers instead of those it has.
    #[must_use]
    pub fn headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// A record that says the same and borrows from this one. Copies the headers, and nothing else.
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

    /// Refuses what can never be sent. Whether the topic's name is legal is for the broker to say.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::IllegalArgument`] for a negative partition or timestamp, [`ErrorKind::InvalidTopic`] for a topic
    /// without a name.
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

/// What no broker takes as the name of a topic, by its length. A name that is too long for the protocol would keep the
/// metadata of all other topics from being asked for; the rest of the rules is left to the brokers, as in Java.
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

/// A type that can be a record's key or value. Every sized type is one, and so are `[T]` and `str`.
pub trait RecordData {
    /// How a record keeps what it was given by value.
    type Owned: Borrow<Self>;
}

impl<T> RecordData for T {
    type Owned = T;
}

impl<T> RecordData for [T] {
    type Owned = Vec<T>;
}

impl RecordData for str {
    type Owned = String;
}

/// A record's key or value: null, borrowed, or owned.
#[expect(
    clippy::exhaustive_enums,
    reason = "data is there or not, and somebody owns it"
)]
pub enum Data<'a, T: RecordData + ?Sized> {
    /// Nothing; on the wire, a length of -1.
    Null,
    /// Data that somebody else owns.
    Borrowed(&'a T),
    /// Data that the record owns.
    Owned(T::Owned),
}

impl<T: RecordData + ?Sized> Data<'_, T> {
    /// The data; `None` is null.
    pub fn as_ref(&self) -> Option<&T> {
        match self {
            Self::Null => None,
            Self::Borrowed(data) => Some(data),
            Self::Owned(data) => Some(data.borrow()),
        }
    }

    /// Whether there is none.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    fn reborrow(&self) -> Data<'_, T> {
        self.as_ref().map_or(Data::Null, Data::Borrowed)
    }
}

impl<T: RecordData<Owned: Clone> + ?Sized> Clone for Data<'_, T> {
    fn clone(&self) -> Self {
        match self {
            Self::Null => Self::Null,
            Self::Borrowed(data) => Self::Borrowed(data),
            Self::Owned(data) => Self::Owned(data.clone()),
        }
    }
}

/// Borrowed and owned data are equal when the data is.
impl<T: RecordData + PartialEq + ?Sized> PartialEq for Data<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl<T: RecordData + fmt::Debug + ?Sized> fmt::Debug for Data<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_ref() {
            None => f.write_str("null"),
            Some(data) => data.fmt(f),
        }
    }
}

/// What can be given as a key or value of type `T`: a `T` or `&T`, what is as good as one, and an `Option` of these, of
/// which `None` is null. A `None` that stands alone has no type; leave the key out, or make a
/// [tombstone](ProducerRecord::tombstone).
pub trait IntoData<'a, T: RecordData + ?Sized> {
    /// The key or value as a record keeps it.
    fn into_data(self) -> Data<'a, T>;
}

impl<'a, T: RecordData + ?Sized> IntoData<'a, T> for Data<'a, T> {
    fn into_data(self) -> Self {
        self
    }
}

impl<'a, T: RecordData + ?Sized> IntoData<'a, T> for &'a T {
    fn into_data(self) -> Data<'a, T> {
        Data::Borrowed(self)
    }
}

impl<'a, T> IntoData<'a, T> for T {
    fn into_data(self) -> Data<'a, T> {
        Data::Owned(self)
    }
}

impl<'a, T: RecordData + ?Sized> IntoData<'a, T> for Option<&'a T> {
    fn into_data(self) -> Data<'a, T> {
        self.map_or(Data::Null, Data::Borrowed)
    }
}

impl<'a, T> IntoData<'a, T> for Option<T> {
    fn into_data(self) -> Data<'a, T> {
        self.map_or(Data::Null, Data::Owned)
    }
}

/// What is as good as the target, and an `Option` of it.
macro_rules! into_data {
    ($([$($generics:tt)*] $source:ty as $target:ty, |$data:ident| $into:expr;)+) => {
        $(
            impl<'a, $($generics)*> IntoData<'a, $target> for $source {
                fn into_data(self) -> Data<'a, $target> {
                    let $data = self;
                    $into
                }
            }

            impl<'a, $($generics)*> IntoData<'a, $target> for Option<$source> {
                fn into_data(self) -> Data<'a, $target> {
                    self.map_or(Data::Null, |$data| $into)
                }
            }
        )+
    };
}

into_data! {
    [] &'a str as [u8], |text| Data::Borrowed(text.as_bytes());
    [] String as [u8], |text| Data::Owned(text.into_bytes());
    [] &'a String as [u8], |text| Data::Borrowed(text.as_bytes());
    [] Cow<'a, str> as [u8], |text| match text {
        Cow::Borrowed(text) => Data::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Data::Owned(text.into_bytes()),
    };
    [] Cow<'a, [u8]> as [u8], |bytes| match bytes {
        Cow::Borrowed(bytes) => Data::Borrowed(bytes),
        Cow::Owned(bytes) => Data::Owned(bytes),
    };
    [T] Vec<T> as [T], |items| Data::Owned(items);
    [T] &'a Vec<T> as [T], |items| Data::Borrowed(items);
    [T, const N: usize] [T; N] as [T], |items| Data::Owned(items.into());
    [T, const N: usize] &'a [T; N] as [T], |items| Data::Borrowed(items);
    [] String as str, |text| Data::Owned(text);
    [] &'a String as str, |text| Data::Borrowed(text);
    [] Cow<'a, str> as str, |text| match text {
        Cow::Borrowed(text) => Data::Borrowed(text),
        Cow::Owned(text) => Data::Owned(text),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<'a>(data: impl IntoData<'a, [u8]>) -> Data<'a, [u8]> {
        data.into_data()
    }

    fn text<'a>(data: impl IntoData<'a, str>) -> Data<'a, str> {
        data.into_data()
    }

    #[test]
    fn borrows_what_is_given_by_reference() {
        let (string, vec) = (String::from("ab"), b"ab".to_vec());
        for data in [
            bytes("ab"),
            bytes(b"ab"),
            bytes(&b"ab"[..]),
            bytes(&string),
            bytes(&vec),
            bytes(Cow::Borrowed("ab")),
            bytes(Cow::Borrowed(&b"ab"[..])),
            bytes(Some("ab")),
            bytes(Some(b"ab")),
            bytes(Some(&vec)),
            bytes(Some(&vec[..])),
        ] {
            assert!(matches!(data, Data::Borrowed(b"ab")), "{data:?}");
        }
        for data in [text("ab"), text(&string), text(Some("ab"))] {
            assert!(matches!(data, Data::Borrowed("ab")), "{data:?}");
        }
    }

    #[test]
    fn keeps_what_is_given_by_value() {
        let (string, vec) = (String::from("ab"), b"ab".to_vec());
        let (string_at, vec_at) = (string.as_ptr(), vec.as_ptr());
        for (data, at) in [(bytes(string), string_at), (bytes(Some(vec)), vec_at)] {
            let Data::Owned(owned) = data else {
                panic!("{data:?}")
            };
            assert_eq!(
                (owned.as_slice(), owned.as_ptr()),
                (&b"ab"[..], at),
                "copied"
            );
        }
        assert_eq!(bytes([1, 2]).as_ref(), Some(&[1, 2][..]));
        assert_eq!(text(String::from("ab")).as_ref(), Some("ab"));
    }

    #[test]
    fn none_is_null() {
        assert!(bytes(None::<&str>).is_null());
        assert!(bytes(None::<Vec<u8>>).is_null());
        assert!(text(None::<String>).is_null());
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
    fn invalid_records() {
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
    fn prints_null_and_data() {
        let record: ProducerRecord<'_, str, str> = ProducerRecord::tombstone("t").key("k");
        let printed = format!("{record:?}");
        assert!(printed.contains("key: \"k\", value: null"), "{printed}");
    }
}
