//! What sees every record on its way out and every answer on its way back. Java: `ProducerInterceptor`.
//!
//! Differs from Java: `on_send` notes its changes on an [`OutgoingRecord`] instead of making another record. The record
//! itself stays as it is until the interceptor has returned, so that one which fails half way has spoiled nothing, and
//! nothing needs to be copied for that.

use std::borrow::Cow;
use std::error::Error as StdError;

use super::producer_record::{Data, IntoData, RecordData};
use super::{ProducerRecord, RecordMetadata};
use crate::common::Headers;
use crate::error::{Error, Result};

/// Sees each record before it is sent, and may change it; sees each outcome.
///
/// The types are those of the producer's records: an interceptor sees keys and values as the program gave them, before they
/// are serialized. An error or a panic of an interceptor is logged and stops nothing.
///
/// ```
/// use kafka_producer::{OutgoingRecord, ProducerInterceptor};
///
/// struct Traced;
///
/// impl ProducerInterceptor for Traced {
///     fn on_send(
///         &self,
///         record: &mut OutgoingRecord<'_, '_>,
///     ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///         record.headers_mut().add("trace", "1");
///         if record.key().is_none() {
///             record.set_key("no key");
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait ProducerInterceptor<K: RecordData + ?Sized = [u8], V: RecordData + ?Sized = [u8]>:
    Send + Sync
{
    /// Called on the thread that sends, before the record is serialized and given a partition. May change all of it; what
    /// it left is what the next interceptor sees, and what is sent in the end.
    ///
    /// # Errors
    ///
    /// Whatever; the record goes on as it was before this call, with a line in the log.
    fn on_send(
        &self,
        _record: &mut OutgoingRecord<'_, '_, K, V>,
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        Ok(())
    }

    /// Called once for each record with its outcome, before the callback of the send, on the I/O thread unless the send
    /// failed at once. So it must be quick, and must not block.
    ///
    /// With an error, `metadata` has the topic, and the partition if one was chosen, and nothing else.
    fn on_acknowledgement(
        &self,
        _metadata: &RecordMetadata,
        _error: Option<&Error>,
        _headers: &Headers,
    ) {
    }

    /// Called once, when the producer is closed.
    fn close(&self) {}
}

/// A record on its way out, with the changes that an interceptor makes to it.
pub struct OutgoingRecord<
    'r,
    'a,
    K: RecordData + ?Sized = [u8],
    V: RecordData + ?Sized = [u8],
> {
    record: &'r ProducerRecord<'a, K, V>,
    changes: Changes<'a, K, V>,
}

/// What is not `None` takes the place of what the record had.
pub(super) struct Changes<'a, K: RecordData + ?Sized, V: RecordData + ?Sized> {
    topic: Option<Cow<'a, str>>,
    partition: Option<Option<i32>>,
    timestamp: Option<Option<i64>>,
    headers: Option<Headers>,
    key: Option<Data<'a, K>>,
    value: Option<Data<'a, V>>,
}

impl<'r, 'a, K: RecordData + ?Sized, V: RecordData + ?Sized> OutgoingRecord<'r, 'a, K, V> {
    pub(super) fn new(record: &'r ProducerRecord<'a, K, V>) -> Self {
        let changes = Changes {
            topic: None,
            partition: None,
            timestamp: None,
            headers: None,
            key: None,
            value: None,
        };
        Self { record, changes }
    }

    /// Ends the look at the record, so that the changes can be made to it.
    pub(super) fn into_changes(self) -> Changes<'a, K, V> {
        self.changes
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.changes.topic.as_ref().unwrap_or(&self.record.topic)
    }

    /// The partition, where the record names one.
    pub fn partition(&self) -> Option<i32> {
        self.changes.partition.unwrap_or(self.record.partition)
    }

    /// The time, where the record has one of its own: milliseconds since 1970.
    pub fn timestamp(&self) -> Option<i64> {
        self.changes.timestamp.unwrap_or(self.record.timestamp)
    }

    /// The headers.
    pub fn headers(&self) -> &Headers {
        self.changes.headers.as_ref().unwrap_or(&self.record.headers)
    }

    /// The key; `None` is null.
    pub fn key(&self) -> Option<&K> {
        self.changes.key.as_ref().unwrap_or(&self.record.key).as_ref()
    }

    /// The value; `None` is null.
    pub fn value(&self) -> Option<&V> {
        self.changes.value.as_ref().unwrap_or(&self.record.value).as_ref()
    }

    /// Sends the record to another topic.
    pub fn set_topic(&mut self, topic: impl Into<Cow<'a, str>>) -> &mut Self {
        self.changes.topic = Some(topic.into());
        self
    }

    /// Sends the record to another partition; `None` is the one that the partitioner chooses.
    pub fn set_partition(&mut self, partition: impl Into<Option<i32>>) -> &mut Self {
        self.changes.partition = Some(partition.into());
        self
    }

    /// Gives the record another time: milliseconds since 1970.
    pub fn set_timestamp(&mut self, timestamp: impl Into<Option<i64>>) -> &mut Self {
        self.changes.timestamp = Some(timestamp.into());
        self
    }

    /// The headers, to be changed. Copies those that are there.
    pub fn headers_mut(&mut self) -> &mut Headers {
        let copy = || self.record.headers.clone();
        self.changes.headers.get_or_insert_with(copy)
    }

    /// Gives the record another key.
    pub fn set_key(&mut self, key: impl IntoData<'a, K>) -> &mut Self {
        self.changes.key = Some(key.into_data());
        self
    }

    /// Gives the record another value.
    pub fn set_value(&mut self, value: impl IntoData<'a, V>) -> &mut Self {
        self.changes.value = Some(value.into_data());
        self
    }
}

impl<'a, K: RecordData + ?Sized, V: RecordData + ?Sized> Changes<'a, K, V> {
    pub(super) fn apply(self, record: &mut ProducerRecord<'a, K, V>) {
        replace(&mut record.topic, self.topic);
        replace(&mut record.partition, self.partition);
        replace(&mut record.timestamp, self.timestamp);
        replace(&mut record.headers, self.headers);
        replace(&mut record.key, self.key);
        replace(&mut record.value, self.value);
    }
}

fn replace<T>(field: &mut T, change: Option<T>) {
    if let Some(change) = change {
        *field = change;
    }
}

impl<K, V> std::fmt::Debug for OutgoingRecord<'_, '_, K, V>
where
    K: RecordData + std::fmt::Debug + ?Sized,
    V: RecordData + std::fmt::Debug + ?Sized,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingRecord")
            .field("topic", &self.topic())
            .field("partition", &self.partition())
            .field("timestamp", &self.timestamp())
            .field("headers", self.headers())
            .field("key", &self.key())
            .field("value", &self.value())
            .finish()
    }
}
